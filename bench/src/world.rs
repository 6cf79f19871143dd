//! What is measured: the product's programs and OpenSSH's agent, side by side in one directory.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::client::Client;
use crate::login;
use crate::phone::{self, Phone};
use crate::program::Program;

/// Where programs are, and how much is measured.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// The directory of the product's programs.
    pub(crate) programs: PathBuf,
    /// How many samples.
    pub(crate) effort: Effort,
}

/// How many samples are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Enough to see that everything works.
    Quick,
    /// Enough to believe the figures.
    Full,
}

impl Setting {
    /// So many.
    pub(crate) fn samples(&self, quick: usize, full: usize) -> usize {
        match self.effort {
            Effort::Quick => quick,
            Effort::Full => full,
        }
    }
}

/// A directory that vanishes, short enough for sockets.
#[derive(Debug)]
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("vmux-bench-").tempdir();
        Self(dir.expect("a temporary directory"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file with these contents that only its owner may read.
    pub(crate) fn write(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(contents.as_bytes()))
            .expect("a file");
        path
    }
}

/// The product's agent, as a program.
#[derive(Debug)]
pub(crate) struct Agent {
    programs: PathBuf,
    home: PathBuf,
    pub(crate) socket: PathBuf,
    pub(crate) program: Program,
}

impl Agent {
    /// Starts one that meets its phones at this relay, and waits until it answers.
    pub(crate) fn start(setting: &Setting, place: &Place, relay: &str) -> Self {
        let home = place.path("desk");
        std::fs::create_dir_all(home.join(".ssh")).expect("a home directory");
        let mut command = agent_command(&setting.programs, &home, place);
        command.args(["run", "--relay", relay]);
        let program = Program::start(&mut command, &place.path("agent.log"));
        let socket = home.join(".ssh/vmux-agent.sock");
        wait_for(&socket);
        // The agent's own commands are served a moment later.
        wait_for(&place.path("state/vmux-agent/control.sock"));
        Self {
            programs: setting.programs.clone(),
            home,
            socket,
            program,
        }
    }

    /// Pairs a phone of this process and waits until its identity is listed.
    pub(crate) fn pair(&self, place: &Place) -> Phone {
        let mut command = agent_command(&self.programs, &self.home, place);
        command.args(["pair", "--json"]);
        let mut pair = Program::start(&mut command, &place.path("pair.log"));
        let mut lines = BufReader::new(pair.out().expect("its output")).lines();
        let mut event = |name: &str| {
            let line = lines.next().expect("an event").expect("a line");
            let event: Value = serde_json::from_str(&line).expect("an event in JSON");
            assert_eq!(event["event"], name, "{event}");
            event
        };
        let offer = event("offer");
        let link = offer["link"].as_str().expect("a link");
        let phone = Phone::start(link, || {
            event("code");
            pair.say("yes");
        });
        event("done");
        pair.finish();
        let mut client = Client::connect(&self.socket);
        until("the identity is listed", || {
            let (_, reply) = client.ask(&login::list());
            reply.get(1..5) == Some(&[0, 0, 0, 1])
        });
        phone
    }
}

/// The command that runs the agent's program in a home of its own.
pub(crate) fn agent_command(programs: &Path, home: &Path, place: &Place) -> Command {
    let mut command = Command::new(programs.join("vmux-agent"));
    command
        .env_clear()
        .env("HOME", home)
        .env("XDG_STATE_HOME", place.path("state"))
        .env("XDG_CONFIG_HOME", place.path("config"));
    command
}

/// OpenSSH's agent with the same identity that the phone has.
#[derive(Debug)]
pub(crate) struct OpenSsh {
    pub(crate) socket: PathBuf,
    pub(crate) program: Program,
}

impl OpenSsh {
    pub(crate) fn start(place: &Place) -> Self {
        let socket = place.path("openssh.sock");
        let mut command = Command::new("ssh-agent");
        command.arg("-D").arg("-a").arg(&socket);
        let program = Program::start(&mut command, &place.path("openssh.log"));
        wait_for(&socket);
        let mut client = Client::connect(&socket);
        let (_, reply) = client.ask(&login::add(&phone::secret(), phone::LABEL));
        login::expect_success(&reply);
        Self { socket, program }
    }
}

/// The product's relay, as a program.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    pub(crate) program: Program,
}

impl Relay {
    /// Starts one with this configuration and so many worker threads.
    pub(crate) fn start(setting: &Setting, place: &Place, limits: &str, workers: u32) -> Self {
        let config = place.write("relay.toml", &format!("[limits]\n{limits}"));
        let mut command = Command::new(setting.programs.join("vmux-relay"));
        command
            .args(["run", "--json", "--listen", "127.0.0.1:0", "--config"])
            .arg(config)
            .env("TOKIO_WORKER_THREADS", workers.to_string());
        let mut program = Program::start(&mut command, &place.path("relay.log"));
        let mut line = String::new();
        BufReader::new(program.out().expect("its output"))
            .read_line(&mut line)
            .expect("a line");
        let event: Value = serde_json::from_str(&line).expect("an event in JSON");
        let address = event["address"].as_str().expect("an address");
        Self {
            address: address.parse().expect("an address"),
            program,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// A port of loopback that nobody listens on.
pub(crate) fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
}

/// Waits until somebody takes connections here.
pub(crate) fn wait_for(socket: &Path) {
    until("a socket", || UnixStream::connect(socket).is_ok());
}

/// Asks again and again until it is so.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < LONGEST, "waited too long for {what}");
        std::thread::sleep(PAUSE);
    }
}

const LONGEST: Duration = Duration::from_secs(20);

/// Short beside everything that is measured by waiting for it.
const PAUSE: Duration = Duration::from_micros(200);

//! A workstation: `vmux-agent`, and OpenSSH's programs that use it.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::place::Home;
use crate::port::Port;
use crate::process::{Finished, Running};
use crate::programs::{find, product};
use crate::server::Server;
use crate::wait::eventually;

/// A user's account on a workstation.
#[derive(Debug)]
pub struct Workstation {
    home: Home,
    name: String,
    relay: Meets,
    running: Option<Running>,
}

/// Where the agent meets its phones.
#[derive(Debug)]
enum Meets {
    AtItsOwn(Port),
    At(String),
}

impl Workstation {
    /// One whose agent brings its own relay. Nothing runs yet.
    pub fn new(home: Home, name: &str) -> Self {
        Self::with(home, name, Meets::AtItsOwn(Port::reserve()))
    }

    /// One whose agent uses a relay elsewhere. Nothing runs yet.
    pub fn with_relay(home: Home, name: &str, relay: &str) -> Self {
        Self::with(home, name, Meets::At(relay.to_owned()))
    }

    fn with(home: Home, name: &str, relay: Meets) -> Self {
        // Programs that call `ssh` by its name get this user's configuration with it: OpenSSH itself
        // asks the system where the home directory is.
        let config = home.write(".ssh/config", CLIENT.replace("HOME", &display(&home)));
        let ssh = find("ssh");
        let text = format!(
            "#!/bin/sh\nexec {} -F {} \"$@\"\n",
            ssh.display(),
            config.display()
        );
        home.script("bin/ssh", &text);
        home.write(".ssh/known_hosts", "");
        let workstation = Self {
            home,
            name: name.to_owned(),
            relay,
            running: None,
        };
        workstation.configure("");
        workstation
    }

    /// Writes the agent's configuration: what every test needs, and more lines.
    pub fn configure(&self, more: &str) {
        let name = &self.name;
        let text = format!("name = \"{name}\"\nterminal-notices = false\n{more}\n");
        self.home.write("config/vmux-agent/config.toml", text);
    }

    /// Its home directory.
    pub const fn home(&self) -> &Home {
        &self.home
    }

    /// The agent's socket.
    pub fn socket(&self) -> PathBuf {
        self.home.path().join(".ssh/vmux-agent.sock")
    }

    /// Where the agent keeps its state.
    pub fn state_dir(&self) -> PathBuf {
        self.home.path().join("state/vmux-agent")
    }

    /// A `vmux-agent` command.
    pub fn agent_command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = self.home.command(product("vmux-agent"));
        command.args(arguments);
        command
    }

    /// Runs a `vmux-agent` command.
    #[track_caller]
    pub fn agent<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Finished {
        self.home.run(&mut self.agent_command(arguments))
    }

    /// The command that runs the agent.
    pub fn run_command(&self) -> Command {
        let mut command = self.agent_command(&["run"]);
        command.env("VMUX_LOG", "info");
        match &self.relay {
            Meets::AtItsOwn(port) => command.args(["--relay-listen", &port.address().to_string()]),
            Meets::At(url) => command.args(["--relay", url]),
        };
        command
    }

    /// Starts the agent and waits until it answers.
    #[track_caller]
    pub fn start(&mut self) {
        let mut running = self.home.start(&mut self.run_command());
        let control = self.state_dir().join("control.sock");
        eventually("an agent that answers", Duration::from_secs(20), || {
            assert!(running.is_alive(), "the agent ended: {}", running.err());
            let both = [
                UnixStream::connect(self.socket()),
                UnixStream::connect(&control),
            ];
            both.iter().all(Result::is_ok).then_some(())
        });
        self.running = Some(running);
    }

    /// Ends the agent, as a service manager would.
    #[track_caller]
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().ok();
        }
    }

    /// Ends the agent without a chance to clean up.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// The running agent's process.
    pub fn pid(&self) -> u32 {
        self.running.as_ref().expect("the agent runs").id()
    }

    /// What the running agent has logged.
    pub fn log(&self) -> String {
        self.running.as_ref().map(Running::err).unwrap_or_default()
    }

    /// Waits for words in the running agent's log.
    #[track_caller]
    pub fn logs(&self, words: &str) {
        let what = format!("{words:?} in the agent's log");
        eventually(&what, Duration::from_secs(10), || {
            self.log().contains(words).then_some(())
        });
    }

    /// The agent at this moment.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.agent(&["status", "--json"]).ok().json()
    }

    /// Waits until the agent says this of itself.
    #[track_caller]
    pub fn comes_to(&self, what: &str, mut holds: impl FnMut(&Value) -> bool) -> Value {
        eventually(what, Duration::from_secs(30), || {
            Some(self.status()).filter(|status| holds(status))
        })
    }

    /// Waits until all paired phones are connected, and there are as many as this.
    #[track_caller]
    pub fn sees_phones(&self, count: usize) {
        self.comes_to("connected phones", |status| {
            let phones = status["phones"].as_array().expect("a list of phones");
            let connected = |phone: &Value| phone["state"] == "connected";
            phones.len() == count && phones.iter().all(connected)
        });
    }

    /// A program that uses the agent.
    pub fn command(&self, program: &str) -> Command {
        let own = self.home.path().join("bin").join(program);
        let path = if own.is_file() { own } else { find(program) };
        let mut command = self.home.command(path);
        command.env("SSH_AUTH_SOCK", self.socket());
        command
    }

    /// Runs a program that uses the agent.
    #[track_caller]
    pub fn run<A: AsRef<OsStr>>(&self, program: &str, arguments: &[A]) -> Finished {
        self.home.run(self.command(program).args(arguments))
    }

    /// Runs `ssh`.
    #[track_caller]
    pub fn ssh<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Finished {
        self.run("ssh", arguments)
    }

    /// Starts `ssh`.
    #[track_caller]
    pub fn start_ssh<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Running {
        self.home.start(self.command("ssh").args(arguments))
    }

    /// Makes the host known here by its name: address, port and host keys.
    pub fn knows(&self, server: &Server) {
        self.finds(server);
        for line in server.known_hosts() {
            self.append(".ssh/known_hosts", &line);
        }
    }

    /// Makes the host known here by its name, but not its keys.
    pub fn finds(&self, server: &Server) {
        let (name, port, user) = (server.name(), server.port(), whoami());
        let block = format!(
            "Host {name}\n  HostName 127.0.0.1\n  Port {port}\n  HostKeyAlias {name}\n  User {user}\n"
        );
        // A block with all hosts comes first; the first value of an option counts, and it has none
        // of these.
        self.append(".ssh/config", &block);
    }

    /// Adds lines to a file of the home directory.
    pub fn append(&self, name: &str, text: &str) {
        let path = self.home.path().join(name);
        let mut file = OpenOptions::new()
            .append(true)
            .open(path)
            .expect("a file to add to");
        writeln!(file, "{text}").expect("a line to add");
    }
}

/// The user who runs the tests, and whom servers know.
pub fn whoami() -> String {
    let told = Command::new("id").arg("-un").output().expect("`id` runs");
    String::from_utf8_lossy(&told.stdout).trim().to_owned()
}

fn display(home: &Home) -> String {
    home.path().display().to_string()
}

/// Everything private, nothing asked, and no key but the agent's.
const CLIENT: &str = "Host *
  UserKnownHostsFile HOME/.ssh/known_hosts
  GlobalKnownHostsFile /dev/null
  IdentityFile none
  PreferredAuthentications publickey
  StrictHostKeyChecking yes
  UpdateHostKeys no
  BatchMode yes
  ConnectTimeout 20
";

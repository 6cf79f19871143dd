//! A host to log in to: OpenSSH's own server, run for the user of the tests.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::place::{Home, Place};
use crate::port::Port;
use crate::process::Running;
use crate::programs::{find, is_root};
use crate::wait::eventually;

/// A running `sshd` on loopback.
#[derive(Debug)]
pub struct Server {
    name: String,
    home: Home,
    port: Port,
    keys: Vec<PathBuf>,
    running: Running,
}

/// What kind of host key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostKey {
    /// Ed25519.
    Ed25519,
    /// ECDSA on P-256.
    Ecdsa256,
    /// ECDSA on P-384.
    Ecdsa384,
    /// ECDSA on P-521.
    Ecdsa521,
    /// RSA of 3,072 bits.
    Rsa,
}

impl HostKey {
    const fn arguments(self) -> [&'static str; 4] {
        match self {
            Self::Ed25519 => ["-t", "ed25519", "-b", "256"],
            Self::Ecdsa256 => ["-t", "ecdsa", "-b", "256"],
            Self::Ecdsa384 => ["-t", "ecdsa", "-b", "384"],
            Self::Ecdsa521 => ["-t", "ecdsa", "-b", "521"],
            Self::Rsa => ["-t", "rsa", "-b", "3072"],
        }
    }
}

impl Server {
    /// Starts one with an Ed25519 host key.
    #[track_caller]
    pub fn start(place: &Place, name: &str) -> Self {
        Self::start_with(place, name, HostKey::Ed25519)
    }

    /// Starts one with a host key of this kind.
    #[track_caller]
    pub fn start_with(place: &Place, name: &str, kind: HostKey) -> Self {
        let home = place.home(name);
        let key = make_key(&home, "host_key", kind);
        Self::start_in(home, name, &[key], "")
    }

    /// Starts one whose host key is certified for its name by the key in the file `authority`.
    #[track_caller]
    pub fn start_certified(place: &Place, name: &str, kind: HostKey, authority: &Path) -> Self {
        let home = place.home(name);
        let key = make_key(&home, "host_key", kind);
        let mut certify = home.command(find("ssh-keygen"));
        certify
            .arg("-q")
            .arg("-s")
            .arg(authority)
            .args(["-I", name, "-h", "-n", name]);
        home.run(certify.arg(key.with_extension("pub"))).ok();
        let certificate = home.path().join("host_key-cert.pub");
        let line = format!("HostCertificate {}", certificate.display());
        Self::start_in(home, name, &[key], &line)
    }

    #[track_caller]
    fn start_in(home: Home, name: &str, keys: &[PathBuf], more: &str) -> Self {
        if is_root() {
            // What the service does before it starts the program.
            fs::create_dir_all("/run/sshd").expect("the directory that sshd wants");
        }
        let port = Port::reserve();
        let allowed = home.write("authorized_keys", "");
        let environment: Vec<_> = home
            .environment()
            .into_iter()
            .filter(|(variable, _)| matches!(*variable, "HOME" | "PATH" | "TMPDIR" | "LANG"))
            .map(|(variable, value)| format!("{variable}={value}"))
            .collect();
        let host_keys: Vec<_> = keys
            .iter()
            .map(|key| format!("HostKey {}", key.display()))
            .collect();
        let host_keys = host_keys.join("\n");
        let text = format!(
            "ListenAddress 127.0.0.1\nPort {}\n{host_keys}\n{more}\n\
             AuthorizedKeysFile {}\nSetEnv {}\n{SERVER}",
            port.number(),
            allowed.display(),
            environment.join(" "),
        );
        let config = home.write("sshd_config", &text);
        if !accepts(&home, &config) {
            home.write("sshd_config", text.replace(NEWER, ""));
        }
        let sshd = find("sshd");
        let mut running = home.start(home.command(&sshd).args(["-D", "-e", "-f"]).arg(&config));
        eventually("an sshd that listens", Duration::from_secs(20), || {
            assert!(running.is_alive(), "sshd ended: {}", running.err());
            running.err().contains("Server listening on").then_some(())
        });
        Self {
            name: name.to_owned(),
            home,
            port,
            keys: keys.to_vec(),
            running,
        }
    }

    /// What the client calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens.
    pub const fn port(&self) -> u16 {
        self.port.number()
    }

    /// The home directory of whoever logs in.
    pub const fn home(&self) -> &Home {
        &self.home
    }

    /// Lets the owner of a key log in.
    pub fn allow(&self, public: &str) {
        let path = self.home.path().join("authorized_keys");
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(path)
            .expect("authorized_keys");
        writeln!(file, "{public}").expect("a line in authorized_keys");
    }

    /// The lines that a client keeps about it in `known_hosts`.
    pub fn known_hosts(&self) -> Vec<String> {
        let line = |key: &PathBuf| {
            let public = fs::read_to_string(key.with_extension("pub")).expect("a public host key");
            let words: Vec<_> = public.split_whitespace().take(2).collect();
            format!("{} {}", self.name, words.join(" "))
        };
        self.keys.iter().map(line).collect()
    }

    /// The fingerprint of its host key.
    pub fn fingerprint(&self) -> String {
        let told = Command::new(find("ssh-keygen"))
            .args(["-l", "-f"])
            .arg(self.keys[0].with_extension("pub"))
            .output()
            .expect("ssh-keygen runs");
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        text.split_whitespace()
            .nth(1)
            .expect("a fingerprint")
            .to_owned()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.running.err()
    }
}

/// Makes a key without a passphrase; returns the private file.
pub(crate) fn make_key(home: &Home, name: &str, kind: HostKey) -> PathBuf {
    let path = home.path().join(name);
    let mut command = home.command(find("ssh-keygen"));
    command
        .args(["-q", "-N", "", "-C", name])
        .args(kind.arguments());
    home.run(command.arg("-f").arg(&path)).ok();
    path
}

fn accepts(home: &Home, config: &Path) -> bool {
    home.run(home.command(find("sshd")).args(["-t", "-f"]).arg(config))
        .code
        == Some(0)
}

/// Since OpenSSH 9.8: who is denied often is not shut out.
const NEWER: &str = "PerSourcePenalties no\n";

const SERVER: &str = "PerSourcePenalties no
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
Subsystem sftp internal-sftp
MaxStartups 100
MaxSessions 100
PrintMotd no
PrintLastLog no
LogLevel VERBOSE
";

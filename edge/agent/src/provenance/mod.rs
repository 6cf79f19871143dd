//! Who is asking: what the agent can find out about the process behind a client's connection.
//!
//! All of it is a hint for the person's eyes and never a proof. A program of the same user can
//! rename itself, be run by anything, or borrow another program's connection; only the peer's user
//! id, which the kernel vouches for, decides anything. So nothing found here permits what would
//! otherwise be refused, and a look that fails or takes too long just finds nothing.
//!
//! The process is pinned when its connection is accepted and looked at when a signature is asked
//! for; listing keys costs nothing here.

#[cfg(target_os = "linux")]
pub(crate) mod apart;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
mod title;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Pid;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use vmux_broker::ssh_argv::Invocation;
use vmux_proto::Untrusted;
use vmux_proto::audit::Program;
use vmux_proto::limits::MAX_HINT;
use vmux_proto::message::{Process as ReportedProcess, Reported};

#[cfg(target_os = "linux")]
pub use linux::ProcFs as System;
#[cfg(target_os = "macos")]
pub use macos::Ps as System;

#[cfg(target_os = "linux")]
use linux::Handle;
#[cfg(target_os = "macos")]
use macos::Handle;

/// Largest command line that is read, in bytes: host and first words stand at its beginning.
pub const MAX_COMMAND_LINE: usize = 4096;

/// Words of a command line that are kept.
pub const MAX_WORDS: usize = 64;

/// Longest a look at a client's processes may take. A process can make reading its command line
/// hang, and no client waits for another one's.
pub const LONGEST_LOOK: Duration = Duration::from_millis(500);

/// Looks going on at once, hanging ones included.
const MAX_LOOKS: usize = 8;

/// The other end of an accepted connection.
#[derive(Debug)]
pub struct Peer {
    uid: u32,
    pid: Option<Pid>,
    handle: Option<Handle>,
}

impl Peer {
    /// Asks the kernel, and pins the process so that a successor with its number is not mistaken
    /// for it. Call it directly after accepting: a process that ended before this moment may
    /// already have a successor.
    pub fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        // Zero stands for a process of another pid namespace, whose number means nothing here.
        let pid = credentials
            .pid()
            .filter(|pid| *pid > 0)
            .and_then(Pid::from_raw);
        Ok(Self {
            uid: credentials.uid(),
            pid,
            handle: pid.and_then(Handle::of),
        })
    }

    /// The user the process ran as when it connected. The kernel vouches for it.
    pub const fn uid(&self) -> u32 {
        self.uid
    }

    /// The process that connected, for logs.
    pub fn pid(&self) -> Option<u32> {
        self.pid
            .and_then(|pid| u32::try_from(pid.as_raw_pid()).ok())
    }

    /// The number of the pinned process, if it is still that process's number.
    fn living(&self) -> Option<Pid> {
        self.pid
            .filter(|_| self.handle.as_ref().is_some_and(Handle::is_alive))
    }
}

/// What was found out about a client. Hints, all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The client and its ancestors, the client first, at most
    /// [`MAX_PROCESSES`](vmux_proto::limits::MAX_PROCESSES).
    pub chain: Vec<Process>,
    /// The client's controlling terminal.
    pub terminal: Option<Terminal>,
}

/// One process of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// The path of its executable; none if it is another user's.
    pub program: Option<Untrusted>,
    /// Its command line: at most [`MAX_WORDS`] words of together [`MAX_COMMAND_LINE`] bytes.
    pub words: Vec<Untrusted>,
    /// Its working directory.
    pub directory: Option<Untrusted>,
    /// When it started, in milliseconds since boot.
    pub started: Option<u64>,
}

/// A terminal, as a device that can be recognised when it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terminal {
    /// Where it is.
    pub path: PathBuf,
    /// Its device number.
    pub device: u64,
}

/// As [`Provenance::title`], of what a request carries.
pub(crate) fn title_of(reported: &Reported) -> Untrusted {
    let processes = reported.processes.iter();
    title_of_parts(processes.map(|one| (one.pid, &*one.program, &*one.command)))
}

/// As [`Provenance::title`], of what a record of the log carries.
pub(crate) fn title_of_programs(programs: &[Program]) -> Untrusted {
    title_of_parts(
        programs
            .iter()
            .map(|one| (one.pid, &*one.path, &*one.command)),
    )
}

fn title_of_parts<'a>(parts: impl Iterator<Item = (u32, &'a str, &'a str)>) -> Untrusted {
    let chain: Vec<_> = parts
        .map(|(pid, program, command)| Process {
            pid,
            program: (!program.is_empty()).then(|| Untrusted::new(program)),
            words: command.split(' ').map(Untrusted::new).collect(),
            directory: None,
            started: None,
        })
        .collect();
    Untrusted::new(&title::title(&chain))
}

impl Provenance {
    /// What the client's command line says about where it goes, if the client is `ssh`.
    pub fn invocation(&self) -> Option<Invocation> {
        let words: Vec<_> = self
            .chain
            .first()?
            .words
            .iter()
            .map(Untrusted::raw)
            .collect();
        Invocation::parse(&words)
    }

    /// One line for a list: what the person most likely ran, and from where, such as
    /// `git push ← zsh`. Empty if nothing is known.
    pub fn title(&self) -> Untrusted {
        Untrusted::new(&title::title(&self.chain))
    }

    /// The hints as the signer gets them, each within its limit. Host names are looked up elsewhere.
    pub fn reported(&self) -> Reported {
        let processes = self
            .chain
            .iter()
            .zip(0..)
            .map(|(process, at)| ReportedProcess {
                pid: process.pid,
                program: process.program.as_ref().map(bounded).unwrap_or_default(),
                // What started the shell is the machine's business, not the phone's.
                command: if at < TELLING {
                    process.command()
                } else {
                    String::new()
                },
            });
        Reported {
            processes: processes.collect(),
            directory: self
                .chain
                .first()
                .and_then(|client| client.directory.as_ref())
                .map(bounded),
            terminal: self
                .terminal
                .as_ref()
                .map(|terminal| bounded(&Untrusted::new(&terminal.path.to_string_lossy()))),
            host: self
                .invocation()
                .and_then(|invocation| invocation.names().into_iter().next())
                .map(|name| bounded(&name.as_str().into())),
            origin: title::origin(&self.chain),
            ..Reported::default()
        }
    }
}

impl Process {
    fn command(&self) -> String {
        let words: Vec<_> = self.words.iter().map(Untrusted::raw).collect();
        cut(&words.join(" "), MAX_HINT).to_owned()
    }
}

/// Processes whose command line the phone is told: the client, what ran it, and the shell.
const TELLING: usize = 3;

/// Finds out about a client. Reads what other processes wrote, so it can hang: use [`Inspector`].
pub trait Inspect: Send + Sync + 'static {
    /// Everything that can be found out, or nothing if the process is not there any more.
    fn inspect(&self, peer: &Peer) -> Provenance;
}

/// Looks at clients without waiting for any of them longer than [`LONGEST_LOOK`].
#[derive(Clone)]
pub struct Inspector {
    system: Arc<dyn Inspect>,
    turns: Arc<Semaphore>,
}

impl Inspector {
    /// Looks through `system`.
    pub fn new(system: impl Inspect) -> Self {
        Self {
            system: Arc::new(system),
            turns: Arc::new(Semaphore::new(MAX_LOOKS)),
        }
    }

    /// What can be found out in time; nothing if that is not enough, or too many looks hang.
    pub async fn inspect(&self, peer: Arc<Peer>) -> Provenance {
        let look = async {
            let turn = Arc::clone(&self.turns).acquire_owned().await.ok()?;
            let system = Arc::clone(&self.system);
            let look = tokio::task::spawn_blocking(move || {
                let found = system.inspect(&peer);
                // Given back by the look itself, so that a hanging one keeps its turn.
                drop(turn);
                found
            });
            look.await.ok()
        };
        tokio::time::timeout(LONGEST_LOOK, look)
            .await
            .ok()
            .flatten()
            .unwrap_or_default()
    }
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector")
            .field("turns", &self.turns)
            .finish_non_exhaustive()
    }
}

fn bounded(text: &Untrusted) -> String {
    cut(text.raw(), MAX_HINT).to_owned()
}

/// As much of the text as fits in so many bytes.
fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most))
        .unwrap_or_default()
}

/// The words of a command line as the kernel keeps it, a zero after each. `more` words may follow
/// the bytes that were read; then the last one is cut and left out.
#[cfg(any(test, target_os = "linux"))]
fn words(line: &[u8]) -> Vec<Untrusted> {
    let whole = match line.get(..MAX_COMMAND_LINE) {
        Some(most) if line.len() > MAX_COMMAND_LINE => most
            .iter()
            .rposition(|byte| *byte == 0)
            .and_then(|end| most.get(..end))
            .unwrap_or(&[]),
        Some(_) | None => line.strip_suffix(&[0]).unwrap_or(line),
    };
    if whole.is_empty() {
        return Vec::new();
    }
    whole
        .split(|byte| *byte == 0)
        .take(MAX_WORDS)
        .map(Untrusted::from_bytes)
        .collect()
}

#[cfg(test)]
mod tests;

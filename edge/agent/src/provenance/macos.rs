//! Processes as `/bin/ps` shows them, because the calls behind it are out of reach of safe code.
//!
//! Compiled and type-checked, not run by us. What is missing compared with Linux: the path of the
//! executable and the working directory are not told, words of a command line that hold blanks fall
//! apart, and a process is recognised by its number alone, so one that ended and whose number was
//! given to another at once is not noticed.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, test_kill_process};
use vmux_host::clock;
use vmux_proto::Untrusted;
use vmux_proto::limits::MAX_PROCESSES;

use super::{
    Inspect, LONGEST_LOOK, MAX_COMMAND_LINE, MAX_WORDS, Peer, Process, Provenance, Terminal, cut,
};

/// A process number; see the module's text for what it cannot tell.
#[derive(Debug)]
pub(super) struct Handle(Pid);

impl Handle {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "as on Linux, where a process can be gone"
    )]
    pub(super) const fn of(pid: Pid) -> Option<Self> {
        Some(Self(pid))
    }

    pub(super) fn is_alive(&self) -> bool {
        test_kill_process(self.0).is_ok()
    }
}

/// Asks `/bin/ps`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ps;

impl Inspect for Ps {
    fn inspect(&self, peer: &Peer) -> Provenance {
        look(peer).unwrap_or_default()
    }
}

fn look(peer: &Peer) -> Option<Provenance> {
    let pid = u32::try_from(peer.living()?.as_raw_pid()).ok()?;
    let table = ask()?;
    peer.living()?;
    let rows: BTreeMap<u32, Row<'_>> = table.lines().filter_map(Row::parse).collect();
    let mut found = Provenance {
        chain: Vec::new(),
        terminal: rows.get(&pid).and_then(|row| terminal(row.terminal)),
    };
    let mut next = pid;
    while let Some(row) = rows
        .get(&next)
        .filter(|_| found.chain.len() < MAX_PROCESSES)
    {
        found.chain.push(row.process(next));
        next = row.parent;
    }
    Some(found)
}

/// One line of the table.
struct Row<'a> {
    parent: u32,
    terminal: &'a str,
    command: &'a str,
}

impl<'a> Row<'a> {
    /// `pid ppid tty args`
    fn parse(line: &'a str) -> Option<(u32, Self)> {
        let mut rest = line;
        let mut field = || {
            let (field, after) = rest.trim_start().split_once(' ')?;
            rest = after;
            Some(field)
        };
        let pid = field()?.parse().ok()?;
        let parent = field()?.parse().ok()?;
        let terminal = field()?;
        Some((
            pid,
            Self {
                parent,
                terminal,
                command: rest.trim(),
            },
        ))
    }

    fn process(&self, pid: u32) -> Process {
        let command = cut(self.command, MAX_COMMAND_LINE);
        Process {
            pid,
            program: None,
            words: command
                .split(' ')
                .take(MAX_WORDS)
                .map(Untrusted::new)
                .collect(),
            directory: None,
            started: None,
        }
    }
}

/// The table of all processes, taken at one moment.
fn ask() -> Option<String> {
    let mut ps = Command::new("/bin/ps")
        .args([
            "-A", "-ww", "-o", "pid=", "-o", "ppid=", "-o", "tty=", "-o", "args=",
        ])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let table = read(&mut ps);
    // It may be waiting for us to read on, or be slow; either way nobody waits for it.
    if let Err(error) = ps.kill().and_then(|()| ps.wait()) {
        tracing::debug!(%error, "ps stays behind");
    }
    table.map(|table| String::from_utf8_lossy(&table).into_owned())
}

/// What `ps` prints until it ends; none if that takes too long or is too much.
fn read(ps: &mut Child) -> Option<Vec<u8>> {
    let mut output = ps.stdout.take()?;
    let longest = u64::try_from(LONGEST_LOOK.as_millis()).ok()?;
    let deadline = clock::now().uptime.saturating_add(longest);
    let mut table = Vec::new();
    let mut part = vec![0; PART];
    loop {
        let left = deadline.checked_sub(clock::now().uptime)?;
        let wait = Timespec {
            tv_sec: i64::try_from(left / 1000).ok()?,
            tv_nsec: i64::try_from(left % 1000).ok()?.saturating_mul(1_000_000),
        };
        if poll(&mut [PollFd::new(&output, PollFlags::IN)], Some(&wait)).ok()? == 0 {
            return None;
        }
        let count = output.read(&mut part).ok()?;
        if count == 0 {
            return Some(table);
        }
        table.extend_from_slice(part.get(..count)?);
        if table.len() > MAX_TABLE {
            return None;
        }
    }
}

/// `ps` names a terminal without its folder, and `??` if there is none.
fn terminal(name: &str) -> Option<Terminal> {
    if !name.starts_with("tty") || name.contains('/') {
        return None;
    }
    let path = PathBuf::from("/dev").join(name);
    let metadata = fs::symlink_metadata(&path).ok()?;
    let device = metadata.rdev();
    metadata
        .file_type()
        .is_char_device()
        .then_some(Terminal { path, device })
}

/// Largest table that is read: thousands of processes with long command lines.
const MAX_TABLE: usize = 4 * 1024 * 1024;
const PART: usize = 16 * 1024;

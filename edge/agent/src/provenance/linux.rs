//! Processes as `/proc` shows them.
//!
//! A process is pinned by a pidfd from the moment its connection is accepted. Its folder in `/proc`
//! is opened once, and the pidfd is asked afterwards whether the process is still there: then the
//! folder was that process's, and reads through it fail rather than show a successor. A parent is
//! only believed if the child still has it after its folder was opened.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, makedev, openat, readlinkat};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use vmux_proto::Untrusted;
use vmux_proto::limits::MAX_PROCESSES;

use super::{Inspect, MAX_COMMAND_LINE, Peer, Process, Provenance, Terminal, words};

/// A pidfd: it stands for one process, not for its number.
#[derive(Debug)]
pub(super) struct Handle(OwnedFd);

impl Handle {
    pub(super) fn of(pid: Pid) -> Option<Self> {
        pidfd_open(pid, PidfdFlags::empty()).ok().map(Self)
    }

    /// A pidfd becomes readable when its process ends.
    pub(super) fn is_alive(&self) -> bool {
        let mut asked = [PollFd::new(&self.0, PollFlags::IN)];
        poll(
            &mut asked,
            Some(&Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            }),
        ) == Ok(0)
    }
}

/// Reads `/proc`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcFs;

impl Inspect for ProcFs {
    fn inspect(&self, peer: &Peer) -> Provenance {
        let looked = peer.living().and_then(|pid| {
            let pid = u32::try_from(pid.as_raw_pid()).ok()?;
            look(pid, || peer.living().is_some())
        });
        looked.unwrap_or_default()
    }
}

/// Looks at the process of this number, if it is that process once its folder was opened.
pub(super) fn look(pid: u32, is_it: impl FnOnce() -> bool) -> Option<Provenance> {
    let mut folder = Folder::open(pid)?;
    if !is_it() {
        return None;
    }
    let mut stat = folder.stat()?;
    let mut found = Provenance {
        chain: vec![folder.process(pid, &stat)],
        // In a container the same number can be another terminal.
        terminal: folder
            .shares_our_files()
            .then(|| terminal(stat.terminal))
            .flatten(),
    };
    while found.chain.len() < MAX_PROCESSES && stat.parent != 0 {
        let Some(parent) = Folder::open(stat.parent) else {
            break;
        };
        // An orphan gets another parent at once, so the old one was there all the time.
        if folder
            .stat()
            .is_none_or(|again| again.parent != stat.parent)
        {
            break;
        }
        let pid = stat.parent;
        let Some(parents) = parent.stat() else { break };
        found.chain.push(parent.process(pid, &parents));
        (folder, stat) = (parent, parents);
    }
    Some(found)
}

/// The folder of one process.
struct Folder(OwnedFd);

impl Folder {
    fn open(pid: u32) -> Option<Self> {
        let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, format!("/proc/{pid}"), how, Mode::empty())
            .ok()
            .map(Self)
    }

    fn process(&self, pid: u32, stat: &Stat) -> Process {
        Process {
            pid,
            program: self.link("exe"),
            words: self
                .read("cmdline")
                .map(|line| words(&line))
                .unwrap_or_default(),
            directory: self.link("cwd"),
            started: Some(stat.started),
        }
    }

    fn stat(&self) -> Option<Stat> {
        Stat::parse(&self.read("stat")?)
    }

    fn shares_our_files(&self) -> bool {
        let ours = fs::read_link("/proc/self/ns/mnt").ok();
        ours.is_some_and(|ours| {
            self.link("ns/mnt")
                .is_some_and(|its| ours.as_os_str() == its.raw())
        })
    }

    fn link(&self, name: &str) -> Option<Untrusted> {
        let target = readlinkat(&self.0, name, Vec::new()).ok()?;
        Some(Untrusted::from_bytes(target.as_bytes()))
    }

    /// One byte more than a command line may have, so that a longer one shows.
    fn read(&self, name: &str) -> Option<Vec<u8>> {
        let most = u64::try_from(MAX_COMMAND_LINE).ok()?.saturating_add(1);
        let file = openat(
            &self.0,
            name,
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .ok()?;
        let mut contents = Vec::new();
        File::from(file)
            .take(most)
            .read_to_end(&mut contents)
            .ok()?;
        Some(contents)
    }
}

/// What is read from `/proc/PID/stat` (proc_pid_stat(5)).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// Device number of the controlling terminal, zero if there is none.
    terminal: u32,
    /// Milliseconds since boot.
    started: u64,
}

impl Stat {
    fn parse(line: &[u8]) -> Option<Self> {
        // The name stands in parentheses and may hold any byte, parentheses and blanks included.
        let end = line.iter().rposition(|byte| *byte == b')')?;
        let rest = str::from_utf8(line.get(end..)?.get(1..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        // Field 3 is the state; 4 the parent, 7 the terminal, 22 the start.
        let parent = fields.nth(1)?.parse().ok()?;
        let terminal = fields.nth(2)?.parse::<i32>().ok()?.cast_unsigned();
        let ticks: u64 = fields.nth(14)?.parse().ok()?;
        Some(Self {
            parent,
            terminal,
            started: ticks.saturating_mul(MILLISECONDS_A_TICK),
        })
    }
}

/// Finds the device file of a terminal, in the old 32-bit form of device numbers.
fn terminal(number: u32) -> Option<Terminal> {
    let major = (number >> 8) & 0xfff;
    let minor = (number & 0xff) | ((number >> 12) & 0xfff00);
    let path = match (major, minor) {
        (PTY, index) => format!("/dev/pts/{index}"),
        (CONSOLE, index @ 1..=63) => format!("/dev/tty{index}"),
        (CONSOLE, index @ 64..) => format!("/dev/ttyS{}", index.saturating_sub(64)),
        _ => return None,
    };
    let device = makedev(major, minor);
    let path = PathBuf::from(path);
    let metadata = fs::symlink_metadata(&path).ok()?;
    (metadata.file_type().is_char_device() && metadata.rdev() == device)
        .then_some(Terminal { path, device })
}

/// Linux reports times to programs in hundredths of a second (`USER_HZ`).
const MILLISECONDS_A_TICK: u64 = 10;
/// Major device numbers (Documentation/admin-guide/devices.txt).
const PTY: u32 = 136;
const CONSOLE: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "4242 (a) b (c) S 41 4242 41 34817 4242 4194304 1 2 3 4 5 6 7 8 20 0 1 0 \
                        123456 1000 200 18446744073709551615";

    #[test]
    fn names_with_parentheses_do_not_shift_the_fields() {
        let expected = Stat {
            parent: 41,
            terminal: 34817,
            started: 1_234_560,
        };
        assert_eq!(Stat::parse(LINE.as_bytes()), Some(expected));
    }

    #[test]
    fn lines_that_end_early_are_refused() {
        let cut = LINE.split(" 123456").next().unwrap();
        assert_eq!(Stat::parse(cut.as_bytes()), None);
        assert_eq!(Stat::parse(b"4242 (name"), None);
        assert_eq!(Stat::parse(b")"), None);
        assert_eq!(Stat::parse(b""), None);
    }

    #[test]
    fn device_numbers_that_are_no_terminal_have_no_path() {
        // No terminal, /dev/null (1:3), a pty that does not exist.
        for number in [0, 0x103, (PTY << 8) | 0xff | (0xfff << 20)] {
            assert_eq!(terminal(number), None);
        }
    }
}

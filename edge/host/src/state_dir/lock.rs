//! One process per state directory, and a name for the one that is there.
//!
//! The lock is the kernel's and ends with the process, however it ends; what the file says is only
//! for the person who is told why a second one will not start.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use vmux_proto::Untrusted;

use super::StateRefused;
use super::open::open_file;
use crate::files::{FileRefused, read_all};

/// A process that uses a state directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// What it calls itself.
    pub program: String,
}

impl Holder {
    /// This process, under the name of its program.
    pub fn this(program: &str) -> Self {
        Self {
            pid: std::process::id(),
            program: program.to_owned(),
        }
    }

    pub(super) fn describe(holder: Option<&Self>) -> String {
        match holder {
            Some(Self { pid, program }) => {
                format!("{} (process {pid})", Untrusted::new(program))
            }
            None => "another process".to_owned(),
        }
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let line = core::str::from_utf8(line).ok()?.strip_suffix('\n')?;
        let (pid, program) = line.split_once(' ')?;
        Some(Self {
            pid: pid.parse().ok()?,
            program: program.to_owned(),
        })
    }
}

/// Takes the lock in `dir` and writes down who holds it.
pub(super) fn take(dir: &File, dir_path: &Path, holder: &Holder) -> Result<File, StateRefused> {
    let path = dir_path.join(NAME);
    let mut file = open(dir, &path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let line = read_all(&file, &path, MAX_LINE).ok();
            let holder = line.and_then(|line| Holder::parse(&line));
            return Err(StateRefused::Held {
                dir: dir_path.to_owned(),
                holder,
            });
        }
        Err(e) => return Err(FileRefused::failed(&path, "lock it", e).into()),
    }
    let line = format!("{} {}\n", holder.pid, holder.program);
    file.set_len(0)
        .and_then(|()| file.write_all(line.as_bytes()))
        .map_err(|e| FileRefused::failed(&path, "write it", e))?;
    Ok(file)
}

fn open(dir: &File, path: &Path) -> Result<File, FileRefused> {
    // Making and checking are two steps, so that a file that is not ours is left as it is.
    let how = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(dir, NAME, how, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(File::from(file)),
        Err(Errno::EXIST) => open_file(dir, NAME, path, OFlags::RDWR)?.ok_or_else(|| {
            FileRefused::failed(path, "open it", io::Error::from(io::ErrorKind::NotFound))
        }),
        Err(e) => Err(FileRefused::failed(path, "make it", e)),
    }
}

/// The lock file's name; no state file may have it.
pub(super) const NAME: &str = "lock";

/// A process id and a program's name.
const MAX_LINE: usize = 256;

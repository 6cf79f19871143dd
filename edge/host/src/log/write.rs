//! Adds lines to the log.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::PathBuf;

use rustix::fs::OFlags;
use tracing::{error, warn};
use vmux_proto::audit::{Head, Line, Storing};

use super::folder::{CURRENT, Folder, LogRefused};
use super::recover::{self, End};
use crate::files::FileRefused;
use crate::state_dir::StateDir;

/// How large files become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A file this long is set aside and another begun.
    pub max_file: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_file: 8 * 1024 * 1024,
        }
    }
}

/// Why lines are not in the log: none of those handed over are.
#[derive(Debug, thiserror::Error)]
pub enum LogFailed {
    /// The system failed.
    #[error(transparent)]
    System(#[from] FileRefused),
    /// The file is not as this program left it.
    #[error("{} was changed or removed by something else", file.display())]
    Touched {
        /// The file.
        file: PathBuf,
    },
}

impl LogFailed {
    /// What the person can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::System(refused) => refused.hint(),
            Self::Touched { .. } => "find out what did that, then start this program anew".into(),
        }
    }
}

/// The log of this process: whoever has the state directory has its log.
#[derive(Debug)]
pub struct AuditLog {
    folder: Folder,
    limits: Limits,
    file: File,
    head: Head,
    /// Bytes of the file that are whole lines.
    length: u64,
    /// Number of the file's first line.
    first: u64,
    state: State,
}

/// What is to be done before the next line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing.
    Whole,
    /// The file may hold more than `length` says.
    Torn,
    /// The file is full and has its other name, and another must be begun.
    Aside,
}

impl AuditLog {
    /// Opens the log of a state directory, or begins one, and says how far it goes. What a killed
    /// predecessor left half written is cut off and kept beside.
    pub fn open(state: &StateDir, limits: Limits) -> Result<(Self, Head), LogRefused> {
        let folder = Folder::make(state)?;
        let path = folder.path.join(CURRENT);
        let look = |e| FileRefused::failed(&path, "read it", e);
        let file = match folder.open(CURRENT, OFlags::RDWR | OFlags::APPEND)? {
            Some(file) => file,
            None => folder.create(CURRENT)?,
        };
        let found = recover::end(&file).map_err(look)?;
        let End { head, bytes } = match found {
            Some(end) => end,
            None => End {
                head: head_of_last_aside(&folder)?,
                bytes: 0,
            },
        };
        let first = recover::first_line(&file).map_err(look)?;
        let mut log = Self {
            folder,
            limits,
            file,
            head,
            length: bytes,
            first: first.unwrap_or_else(|| head.lines.saturating_add(1)),
            state: State::Whole,
        };
        log.cut_torn_end()?;
        Ok((log, head))
    }

    /// The log so far.
    pub const fn head(&self) -> Head {
        self.head
    }

    /// Adds lines, all of them or none, and says how many the log has afterwards. Lines that do not
    /// follow its end are left out: they were made before a failure was known.
    pub fn append(&mut self, lines: &[Line]) -> Result<u64, LogFailed> {
        let mut head = self.head;
        let mut bytes = Vec::new();
        let mut storing = Storing::Written;
        for line in lines {
            if line.before == head && !line.bytes.is_empty() {
                bytes.extend_from_slice(&line.bytes);
                bytes.push(b'\n');
                storing = storing.max(line.storing);
                head = line.after;
            }
        }
        if bytes.is_empty() {
            return Ok(self.head.lines);
        }
        self.mend()?;
        self.rotate()?;
        let added = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let written = self.file.write_all(&bytes).and_then(|()| match storing {
            Storing::Written => Ok(()),
            Storing::Synced => self.file.sync_data(),
        });
        if let Err(cause) = written {
            self.state = State::Torn;
            if let Err(failed) = self.mend() {
                error!(%failed, "the log ends in a part of a line until it can be written again");
            }
            return Err(self.failed("write it", cause).into());
        }
        self.length = self.length.saturating_add(added);
        self.head = head;
        Ok(head.lines)
    }

    /// Makes sure that the file ends where its last line ends.
    fn mend(&mut self) -> Result<(), LogFailed> {
        if self.state == State::Torn {
            self.file
                .set_len(self.length)
                .map_err(|e| self.failed("cut off half a line", e))?;
            self.state = State::Whole;
        }
        let metadata = self
            .file
            .metadata()
            .map_err(|e| self.failed("look at it", e))?;
        if metadata.nlink() == 0 || metadata.len() != self.length {
            return Err(LogFailed::Touched {
                file: self.folder.path.join(CURRENT),
            });
        }
        Ok(())
    }

    fn rotate(&mut self) -> Result<(), LogFailed> {
        if self.length < self.limits.max_file {
            return Ok(());
        }
        // What is set aside is safe, so that a later line that is safe says so of all before it.
        self.file
            .sync_data()
            .map_err(|e| self.failed("save it", e))?;
        if self.state != State::Aside {
            self.folder.set_aside(self.first)?;
            self.state = State::Aside;
        }
        self.file = self.folder.create(CURRENT)?;
        self.state = State::Whole;
        self.length = 0;
        self.first = self.head.lines.saturating_add(1);
        Ok(())
    }

    fn cut_torn_end(&mut self) -> Result<(), LogRefused> {
        let look = |e| self.failed("read it", e);
        let length = self.file.metadata().map_err(look)?.len();
        let torn = length.saturating_sub(self.length);
        if torn == 0 {
            return Ok(());
        }
        if let Err(refused) = self.keep_torn(torn) {
            warn!(%refused, "half a line that the last run left is not kept");
        }
        self.file
            .set_len(self.length)
            .and_then(|()| self.file.sync_data())
            .map_err(|e| self.failed("cut off half a line", e))?;
        warn!(
            bytes = torn,
            after_line = self.head.lines,
            "the last run ended while it wrote a line of the log, which counts as not written"
        );
        Ok(())
    }

    /// Puts what is cut off beside the log, for whoever wants to look at it.
    fn keep_torn(&self, torn: u64) -> Result<(), FileRefused> {
        let look = |e| self.failed("read it", e);
        let most = torn.min(MAX_KEPT);
        let mut bytes = vec![0; usize::try_from(most).unwrap_or_default()];
        self.file
            .read_exact_at(&mut bytes, self.length)
            .map_err(look)?;
        for number in 1..=MAX_TORN {
            let name = format!("torn-{number}");
            match self.folder.create(&name) {
                Ok(mut file) => {
                    return file.write_all(&bytes).map_err(|e| {
                        FileRefused::failed(&self.folder.path.join(&name), "write it", e)
                    });
                }
                Err(FileRefused::Failed { cause, .. })
                    if cause.kind() == io::ErrorKind::AlreadyExists => {}
                Err(refused) => return Err(refused),
            }
        }
        Err(self.failed("keep one more", io::ErrorKind::QuotaExceeded.into()))
    }

    fn failed(&self, doing: &'static str, cause: io::Error) -> FileRefused {
        FileRefused::failed(&self.folder.path.join(CURRENT), doing, cause)
    }
}

fn head_of_last_aside(folder: &Folder) -> Result<Head, LogRefused> {
    for first in folder.set_aside_before()?.into_iter().rev() {
        let name = super::folder::aside(first);
        let Some(file) = folder.open(&name, OFlags::RDONLY)? else {
            continue;
        };
        let found = recover::end(&file)
            .map_err(|e| FileRefused::failed(&folder.path.join(&name), "read it", e))?;
        if let Some(end) = found {
            return Ok(end.head);
        }
    }
    Ok(Head::EMPTY)
}

/// Half lines that are kept; more of them say nothing new.
const MAX_TORN: u32 = 100;

/// The most that is kept of one.
const MAX_KEPT: u64 = 1024 * 1024;

//! The directory a program keeps its state in: its owner's alone, one program at a time (I18).
//!
//! Refused are a directory or file that is a symbolic link, belongs to another user or has any other
//! mode than 0700 and 0600, a file larger than its reader expects, one that is damaged and one that a
//! newer version wrote. A refusal changes nothing on disk and names the way out. Everything inside is
//! reached through the directory as it was opened, not through its path.

mod envelope;
mod lock;
pub(crate) mod open;

pub use envelope::{FileKind, Stored};
pub use lock::Holder;

use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::files::{FileRefused, Owner, has_mode, owned_by, read_all};
use envelope::Rejected;
use open::{DIR_MODE, open_dir, open_dir_in, open_file};

/// Why state is not used. Nothing has been changed on disk.
#[derive(Debug, thiserror::Error)]
pub enum StateRefused {
    /// The directory or a file in it is not fit to be trusted, or the system failed.
    #[error(transparent)]
    File(#[from] FileRefused),
    /// Another process uses the directory.
    #[error("{} is in use by {}", dir.display(), Holder::describe(holder.as_ref()))]
    Held {
        /// The directory.
        dir: PathBuf,
        /// Who says to be using it, if that can be read.
        holder: Option<Holder>,
    },
    /// A newer version of the program wrote the file.
    #[error("{} has format {found}, this program knows formats up to {known}", file.display())]
    NewerVersion {
        /// The file.
        file: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version this program reads.
        known: u32,
    },
    /// The file is not what was written.
    #[error("{} is damaged", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is lost if the file is given up.
        if_lost: &'static str,
    },
    /// Not a name for a state file: a mistake in the program, not in the directory.
    #[error("{name:?} is not a name for a state file")]
    BadName {
        /// The name.
        name: String,
    },
}

impl StateRefused {
    /// What the person can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::File(refused) => refused.hint(),
            Self::Held {
                holder: Some(holder),
                ..
            } => {
                format!(
                    "stop process {} first, or use another --state-dir",
                    holder.pid
                )
            }
            Self::Held { holder: None, .. } => {
                "stop the other program first, or use another --state-dir".to_owned()
            }
            Self::NewerVersion { .. } => {
                "use the newer version of this program, or another --state-dir".to_owned()
            }
            Self::Damaged { file, if_lost } => {
                format!(
                    "put back a copy of {0}, or move it away to start anew: {if_lost}",
                    file.display()
                )
            }
            Self::BadName { .. } => "please report this as a bug".to_owned(),
        }
    }
}

/// An opened state directory, held for this process alone until dropped.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    dir: File,
    // Held, never read: closing it ends the exclusive use.
    _lock: File,
    // Two writers of one file would share its temporary name.
    turn: Mutex<()>,
}

impl StateDir {
    /// Opens `path` for this process alone; makes it, and what is missing above it, if need be.
    pub fn open(path: &Path, holder: &Holder) -> Result<Self, StateRefused> {
        // A trailing slash would follow a symbolic link.
        let path: PathBuf = path.components().collect();
        DirBuilder::new()
            .recursive(true)
            .mode(DIR_MODE)
            .create(&path)
            .or_else(|e| {
                if e.kind() == io::ErrorKind::AlreadyExists {
                    Ok(())
                } else {
                    Err(e)
                }
            })
            .map_err(|e| FileRefused::failed(&path, "make the directory", e))?;
        let dir = open_dir(&path)?;
        let metadata = dir
            .metadata()
            .map_err(|e| FileRefused::failed(&path, "look at it", e))?;
        owned_by(&metadata, &path, Owner::Me)?;
        // A set-group-id bit comes from the directory above on some systems and opens nothing.
        has_mode(&metadata, &path, 0o777, DIR_MODE)?;
        let lock = lock::take(&dir, &path, holder)?;
        Ok(Self {
            path,
            dir,
            _lock: lock,
            turn: Mutex::new(()),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of a file, or `None` if there is none. Reads at most `max` bytes.
    pub fn read(&self, name: &str, max: usize) -> Result<Option<Zeroizing<Vec<u8>>>, StateRefused> {
        check_name(name)?;
        let path = self.path.join(name);
        match open_file(&self.dir, name, &path, OFlags::RDONLY)? {
            Some(file) => Ok(Some(read_all(&file, &path, max)?)),
            None => Ok(None),
        }
    }

    /// Puts `bytes` in the place of a file at once: whatever happens, afterwards there is either all
    /// of the old contents or all of the new. When this returns, the new ones are on the disk.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StateRefused> {
        check_name(name)?;
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = format!(".{name}.new");
        let path = self.path.join(&fresh);
        // What a killed predecessor left behind.
        self.unlink(&fresh)?;
        let written = self.write_new(&fresh, bytes);
        let renamed = written.and_then(|()| {
            rustix::fs::renameat(&self.dir, &fresh, &self.dir, name)
                .map_err(|e| FileRefused::failed(&path, "rename it", e))
        });
        if let Err(refused) = renamed {
            if let Err(error) = self.unlink(&fresh) {
                tracing::debug!(%error, "a temporary file stays behind");
            }
            return Err(refused.into());
        }
        Ok(self.sync()?)
    }

    /// Removes a file; one that is not there is fine.
    pub fn remove(&self, name: &str) -> Result<(), StateRefused> {
        check_name(name)?;
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.unlink(name)?;
        Ok(self.sync()?)
    }

    /// A file to add to, made if there is none. What is added is on the disk after the file's own
    /// `sync_data`, not before.
    pub fn append(&self, name: &str) -> Result<File, StateRefused> {
        check_name(name)?;
        let path = self.path.join(name);
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open_file(&self.dir, name, &path, OFlags::RDWR | OFlags::APPEND)? {
            return Ok(file);
        }
        let file = self.make(name, &path, OFlags::RDWR | OFlags::APPEND)?;
        self.sync()?;
        Ok(file)
    }

    /// A directory inside this one, its owner's alone, made if there is none.
    pub(crate) fn folder(&self, name: &str) -> Result<File, StateRefused> {
        check_name(name)?;
        let path = self.path.join(name);
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        match rustix::fs::mkdirat(&self.dir, name, Mode::RWXU) {
            Ok(()) => self.sync()?,
            Err(Errno::EXIST) => {}
            Err(e) => return Err(FileRefused::failed(&path, "make the directory", e).into()),
        }
        let folder = open_dir_in(&self.dir, name, &path)?;
        let metadata = folder
            .metadata()
            .map_err(|e| FileRefused::failed(&path, "look at it", e))?;
        owned_by(&metadata, &path, Owner::Me)?;
        has_mode(&metadata, &path, 0o777, DIR_MODE)?;
        Ok(folder)
    }

    /// What [`Self::save`] wrote, or `None` if there is no such file. The body is at most `max` bytes.
    pub fn load(
        &self,
        name: &str,
        kind: &FileKind,
        max: usize,
    ) -> Result<Option<Stored>, StateRefused> {
        let most = max.saturating_add(envelope::MAX_OVERHEAD);
        let Some(bytes) = self.read(name, most)? else {
            return Ok(None);
        };
        let file = || self.path.join(name);
        let stored = envelope::unwrap(kind, &bytes).map_err(|rejected| match rejected {
            Rejected::Damaged => StateRefused::Damaged {
                file: file(),
                if_lost: kind.if_lost,
            },
            Rejected::Newer(found) => StateRefused::NewerVersion {
                file: file(),
                found,
                known: kind.version,
            },
        })?;
        if stored.body.len() > max {
            return Err(FileRefused::TooLarge { file: file(), max }.into());
        }
        Ok(Some(stored))
    }

    /// Replaces a file by `body`, marked with its kind and version and made so that damage shows.
    pub fn save(&self, name: &str, kind: &FileKind, body: &[u8]) -> Result<(), StateRefused> {
        self.replace(name, &envelope::wrap(kind, body))
    }

    fn write_new(&self, name: &str, bytes: &[u8]) -> Result<(), FileRefused> {
        let path = self.path.join(name);
        let mut file = self.make(name, &path, OFlags::WRONLY)?;
        file.write_all(bytes)
            .and_then(|()| file.sync_all())
            .map_err(|e| FileRefused::failed(&path, "write it", e))
    }

    fn make(&self, name: &str, path: &Path, how: OFlags) -> Result<File, FileRefused> {
        let how = how | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::openat(&self.dir, name, how, mode)
            // The umask can only have taken bits the owner needs.
            .and_then(|file| rustix::fs::fchmod(&file, mode).map(|()| File::from(file)))
            .map_err(|e| FileRefused::failed(path, "make it", e))
    }

    fn unlink(&self, name: &str) -> Result<(), FileRefused> {
        match rustix::fs::unlinkat(&self.dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(FileRefused::failed(&self.path.join(name), "remove it", e)),
        }
    }

    fn sync(&self) -> Result<(), FileRefused> {
        self.dir
            .sync_all()
            .map_err(|e| FileRefused::failed(&self.path, "save the directory", e))
    }
}

fn check_name(name: &str) -> Result<(), StateRefused> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    let fits = !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(plain);
    if fits && !name.starts_with('.') && name != lock::NAME {
        Ok(())
    } else {
        Err(StateRefused::BadName {
            name: name.to_owned(),
        })
    }
}

/// Names are chosen by this program; a longer one is a mistake.
const MAX_NAME: usize = 64;

#[cfg(test)]
mod tests;

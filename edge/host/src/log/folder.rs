//! The folder of the log and the files in it.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::files::{FileRefused, Owner, has_mode, owned_by};
use crate::state_dir::open::{DIR_MODE, open_dir, open_file};
use crate::state_dir::{StateDir, StateRefused};

/// The folder's name in the state directory.
pub const FOLDER: &str = "log";

/// The file that is written.
pub(super) const CURRENT: &str = "log.jsonl";

/// Why a log is not opened. Nothing has been changed on disk.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct LogRefused(#[from] pub(super) FileRefused);

impl LogRefused {
    /// What the person can do about it.
    pub fn hint(&self) -> String {
        self.0.hint()
    }
}

/// The opened folder.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) dir: File,
}

impl Folder {
    /// Opens it inside a state directory; makes it if there is none.
    pub(super) fn make(state: &StateDir) -> Result<Self, LogRefused> {
        let dir = state.folder(FOLDER).map_err(|refused| match refused {
            StateRefused::File(refused) => refused,
            other @ (StateRefused::Held { .. }
            | StateRefused::NewerVersion { .. }
            | StateRefused::Damaged { .. }
            | StateRefused::BadName { .. }) => FileRefused::failed(
                &state.path().join(FOLDER),
                "open it",
                std::io::Error::other(other.to_string()),
            ),
        })?;
        Ok(Self {
            path: state.path().join(FOLDER),
            dir,
        })
    }

    /// Opens it to be read, without a lock; none if there is none.
    pub(super) fn look(state_dir: &Path) -> Result<Option<Self>, FileRefused> {
        let path: PathBuf = state_dir.join(FOLDER).components().collect();
        let dir = match open_dir(&path) {
            Ok(dir) => dir,
            Err(FileRefused::Failed { cause, .. })
                if cause.kind() == std::io::ErrorKind::NotFound =>
            {
                return Ok(None);
            }
            Err(refused) => return Err(refused),
        };
        let metadata = dir
            .metadata()
            .map_err(|e| FileRefused::failed(&path, "look at it", e))?;
        owned_by(&metadata, &path, Owner::Me)?;
        has_mode(&metadata, &path, 0o777, DIR_MODE)?;
        Ok(Some(Self { path, dir }))
    }

    pub(super) fn open(&self, name: &str, how: OFlags) -> Result<Option<File>, FileRefused> {
        open_file(&self.dir, name, &self.path.join(name), how)
    }

    /// Makes a file that is not there yet.
    pub(super) fn create(&self, name: &str) -> Result<File, FileRefused> {
        let how = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL;
        let how = how | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let path = self.path.join(name);
        let file = rustix::fs::openat(&self.dir, name, how, mode)
            // The umask can only have taken bits the owner needs.
            .and_then(|file| rustix::fs::fchmod(&file, mode).map(|()| File::from(file)))
            .map_err(|e| FileRefused::failed(&path, "make it", e))?;
        self.sync()?;
        Ok(file)
    }

    /// Sets the current file aside under the number of its first line.
    pub(super) fn set_aside(&self, first: u64) -> Result<(), FileRefused> {
        let name = aside(first);
        let path = self.path.join(&name);
        match rustix::fs::statat(&self.dir, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {}
            Ok(_) => return Err(FileRefused::failed(&path, "make it", Errno::EXIST)),
            Err(e) => return Err(FileRefused::failed(&path, "look at it", e)),
        }
        rustix::fs::renameat(&self.dir, CURRENT, &self.dir, &name)
            .map_err(|e| FileRefused::failed(&path, "make it", e))?;
        self.sync()
    }

    /// The files set aside, by the number of their first line, oldest first.
    pub(super) fn set_aside_before(&self) -> Result<Vec<u64>, FileRefused> {
        let failed = |e: Errno| FileRefused::failed(&self.path, "list it", e);
        let entries = rustix::fs::Dir::read_from(&self.dir).map_err(failed)?;
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            found.extend(entry.file_name().to_str().ok().and_then(first_line));
        }
        found.sort_unstable();
        Ok(found)
    }

    pub(super) fn sync(&self) -> Result<(), FileRefused> {
        self.dir
            .sync_all()
            .map_err(|e| FileRefused::failed(&self.path, "save the directory", e))
    }
}

/// The name of a file that begins with this line.
pub(super) fn aside(first: u64) -> String {
    format!("log-{first:012}.jsonl")
}

fn first_line(name: &str) -> Option<u64> {
    let first = name
        .strip_prefix("log-")?
        .strip_suffix(".jsonl")?
        .parse()
        .ok()?;
    // Two names for one number would be two files for one place.
    (aside(first) == name).then_some(first)
}

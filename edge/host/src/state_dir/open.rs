//! Opens a state directory and the files in it, refusing what this program would not have made.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::path::Arg;

use crate::files::{FileRefused, Owner, has_mode, owned_by};

pub(crate) fn open_dir(path: &Path) -> Result<File, FileRefused> {
    open_dir_in(CWD, path, path)
}

/// Opens `name` inside `dir`; `path` is what the person is told.
pub(crate) fn open_dir_in(
    dir: impl AsFd,
    name: impl Arg,
    path: &Path,
) -> Result<File, FileRefused> {
    let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, how, Mode::empty())
        .map(File::from)
        .map_err(|e| match e {
            // Which of the two a symbolic link gives differs between systems.
            Errno::LOOP | Errno::NOTDIR if path.is_symlink() => FileRefused::Symlink {
                file: path.to_owned(),
            },
            Errno::NOTDIR => FileRefused::WrongType {
                file: path.to_owned(),
                wanted: "directory",
            },
            Errno::ACCESS => denied(path, 0o777, DIR_MODE),
            other => FileRefused::failed(path, "open it", other),
        })
}

/// Opens a file that must be exactly as this program makes its files; `None` if there is none.
pub(crate) fn open_file(
    dir: &File,
    name: &str,
    path: &Path,
    how: OFlags,
) -> Result<Option<File>, FileRefused> {
    // Not waiting for a writer, should it be a named pipe.
    let how = how | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(dir, name, how, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => {
            return Err(FileRefused::Symlink {
                file: path.to_owned(),
            });
        }
        Err(Errno::NXIO | Errno::ISDIR) => {
            return Err(FileRefused::WrongType {
                file: path.to_owned(),
                wanted: "file",
            });
        }
        Err(Errno::ACCESS) => return Err(denied(path, 0o7777, FILE_MODE)),
        Err(e) => return Err(FileRefused::failed(path, "open it", e)),
    };
    let metadata = file
        .metadata()
        .map_err(|e| FileRefused::failed(path, "look at it", e))?;
    if !metadata.is_file() {
        return Err(FileRefused::WrongType {
            file: path.to_owned(),
            wanted: "file",
        });
    }
    owned_by(&metadata, path, Owner::Me)?;
    has_mode(&metadata, path, 0o7777, FILE_MODE)?;
    Ok(Some(file))
}

/// Why the system denies it, for the person: its owner or its mode, if those are wrong. Decides
/// nothing, so a look by name is good enough.
fn denied(path: &Path, mask: u32, wanted: u32) -> FileRefused {
    let found = path.symlink_metadata().ok();
    let reason = found.and_then(|found| {
        owned_by(&found, path, Owner::Me)
            .and_then(|()| has_mode(&found, path, mask, wanted))
            .err()
    });
    reason.unwrap_or_else(|| FileRefused::failed(path, "open it", Errno::ACCESS))
}

pub(crate) const DIR_MODE: u32 = 0o700;
pub(crate) const FILE_MODE: u32 = 0o600;

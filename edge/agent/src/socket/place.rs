//! The place of a socket: a name in a directory that nobody else may write to.

use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{
    AtFlags, Dev, FileType, FlockOperation, Mode, OFlags, Stat, chmodat, flock, open, openat,
    statat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;
use tokio::net::UnixStream;
use vmux_host::paths::fits_socket;

use super::{IfMissing, SocketRefused};
use crate::provenance::Peer;

/// A name in an opened directory that only we may write to.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    directory: File,
    name: OsString,
}

impl Place {
    pub(super) fn open(path: &Path, missing: IfMissing) -> Result<Self, SocketRefused> {
        fits_socket(path)?;
        let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else {
            return Err(SocketRefused::NoName {
                path: path.to_owned(),
            });
        };
        let parent = if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };
        let failed = |doing, cause: io::Error| SocketRefused::Failed {
            path: parent.to_owned(),
            doing,
            cause,
        };
        if missing == IfMissing::Make {
            match DirBuilder::new().mode(0o700).create(parent) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("make it", error)),
            }
        }
        let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = open(parent, how, Mode::empty()).map_err(|error| match error {
            Errno::NOENT => SocketRefused::NoDirectory {
                directory: parent.to_owned(),
            },
            other => failed("open it", other.into()),
        })?;
        let directory = File::from(directory);
        let metadata = directory
            .metadata()
            .map_err(|error| failed("look at it", error))?;
        if metadata.uid() != geteuid().as_raw() && metadata.uid() != 0 {
            return Err(SocketRefused::ForeignDirectory {
                directory: parent.to_owned(),
                owner: metadata.uid(),
            });
        }
        let mode = metadata.mode() & 0o7777;
        if mode & 0o022 != 0 {
            return Err(SocketRefused::OpenDirectory {
                directory: parent.to_owned(),
                mode,
            });
        }
        Ok(Self {
            path: path.to_owned(),
            directory,
            name: name.to_owned(),
        })
    }

    /// Takes the lock beside the socket and writes down who holds it. The file stays for ever:
    /// removing it would let two agents hold two different files of one name.
    pub(super) fn lock(&self) -> Result<File, SocketRefused> {
        let mut name = self.name.clone();
        name.push(".lock");
        let path = self.path.with_file_name(&name);
        let failed = |doing, cause: io::Error| SocketRefused::Failed {
            path: path.clone(),
            doing,
            cause,
        };
        let how =
            OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&self.directory, &name, how, Mode::RUSR | Mode::WUSR);
        let mut file = match file {
            Ok(file) => File::from(file),
            Err(Errno::LOOP) => {
                return Err(SocketRefused::Occupied {
                    path,
                    what: "a symbolic link",
                });
            }
            Err(error) => return Err(failed("open it", error.into())),
        };
        let metadata = file
            .metadata()
            .map_err(|error| failed("look at it", error))?;
        if !metadata.is_file() {
            return Err(SocketRefused::Occupied {
                path,
                what: "not a file",
            });
        }
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut line = String::new();
                let read = file.take(MAX_PID_LINE).read_to_string(&mut line);
                let pid = read.ok().and_then(|_| line.trim().parse().ok());
                return Err(SocketRefused::Living {
                    path: self.path.clone(),
                    pid,
                });
            }
            Err(error) => return Err(failed("lock it", error.into())),
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(|error| failed("write it", error))?;
        Ok(file)
    }

    /// A socket of ours that stands in the way; none if nothing does.
    pub(super) fn look(&self) -> Result<Option<FileId>, SocketRefused> {
        let Some(stat) = self.stat()? else {
            return Ok(None);
        };
        let what = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Socket => {
                if stat.st_uid != geteuid().as_raw() {
                    let path = self.path.clone();
                    return Err(SocketRefused::ForeignSocket {
                        path,
                        owner: stat.st_uid,
                    });
                }
                return Ok(Some(FileId::of(&stat)));
            }
            FileType::Symlink => "a symbolic link",
            FileType::Directory => "a directory",
            FileType::RegularFile => "a file",
            _ => "not a socket",
        };
        Err(SocketRefused::Occupied {
            path: self.path.clone(),
            what,
        })
    }

    /// Finds out whether a program listens there. Anything but a plain no counts as one: with a full
    /// queue, for example, connecting fails in another way.
    pub(super) async fn ask(&self) -> Result<(), SocketRefused> {
        let connected = tokio::time::timeout(LONGEST_ASK, UnixStream::connect(&self.path)).await;
        let stream = match connected {
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(()),
            // It went away by itself.
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(_)) | Err(_) => None,
        };
        let pid = stream.and_then(|stream| Peer::of(&stream).ok()?.pid());
        Err(SocketRefused::Living {
            path: self.path.clone(),
            pid,
        })
    }

    /// Removes the file if it is still that one.
    pub(super) fn remove(&self, file: &FileId) -> Result<(), SocketRefused> {
        if self.stat()?.is_none_or(|stat| FileId::of(&stat) != *file) {
            return Ok(());
        }
        match unlinkat(&self.directory, &self.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.failed("remove it", error.into())),
        }
    }

    /// Checks that what was bound by path stands in the checked directory, for our user alone.
    pub(super) fn finish(&self) -> Result<FileId, SocketRefused> {
        let moved = || self.failed("find it where it was made", io::ErrorKind::NotFound.into());
        let file = self.look()?.ok_or_else(moved)?;
        let closed = self.close_to_others();
        if closed.is_err() {
            self.remove(&file)?;
        }
        closed.map(|()| file)
    }

    /// An access list of the directory can widen the mode a file is made with.
    fn close_to_others(&self) -> Result<(), SocketRefused> {
        let failed = |error| self.failed("close it to others", error);
        chmodat(
            &self.directory,
            &self.name,
            Mode::RUSR | Mode::WUSR,
            AtFlags::empty(),
        )
        .map_err(|error| failed(error.into()))?;
        let mode = self.stat()?.map(|stat| Mode::from_raw_mode(stat.st_mode));
        if mode == Some(Mode::RUSR | Mode::WUSR) {
            Ok(())
        } else {
            Err(failed(io::ErrorKind::PermissionDenied.into()))
        }
    }

    fn stat(&self) -> Result<Option<Stat>, SocketRefused> {
        match statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.failed("look at it", error.into())),
        }
    }

    pub(super) fn failed(&self, doing: &'static str, cause: io::Error) -> SocketRefused {
        SocketRefused::Failed {
            path: self.path.clone(),
            doing,
            cause,
        }
    }
}

/// Tells one file from another in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId {
    device: Dev,
    inode: u64,
}

impl FileId {
    const fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
        }
    }
}

/// A daemon that has not taken a connection by then is busy, not dead.
const LONGEST_ASK: Duration = Duration::from_secs(1);
/// A process number and a line end.
const MAX_PID_LINE: u64 = 16;

//! What makes a file on disk fit to be trusted, looked at on the opened file and never by name, so
//! that nothing can be exchanged between the look and the read.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Why a file or directory is not used. Nothing has been changed.
#[derive(Debug, thiserror::Error)]
pub enum FileRefused {
    /// A symbolic link stands where the thing itself must stand.
    #[error("{} is a symbolic link", file.display())]
    Symlink {
        /// The link.
        file: PathBuf,
    },
    /// A directory, socket or device stands where a file must stand, or a file for a directory.
    #[error("{} is not a {wanted}", file.display())]
    WrongType {
        /// What stands there.
        file: PathBuf,
        /// What should.
        wanted: &'static str,
    },
    /// It belongs to another user.
    #[error("{} belongs to user {owner}, not to you", file.display())]
    WrongOwner {
        /// Whose it should not be.
        file: PathBuf,
        /// The user id it belongs to.
        owner: u32,
    },
    /// Others may use it, or its owner may not.
    #[error("{} has mode {mode:04o}, which must be {wanted:04o}", file.display())]
    WrongMode {
        /// The file or directory.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The bits it must have.
        wanted: u32,
    },
    /// It is longer than anything this program writes or expects there.
    #[error("{} is larger than {max} bytes", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// The most that is read.
        max: usize,
    },
    /// The system failed.
    #[error("{}: cannot {doing}: {cause}", file.display())]
    Failed {
        /// The file or directory.
        file: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

impl FileRefused {
    pub(crate) fn failed(file: &Path, doing: &'static str, cause: impl Into<io::Error>) -> Self {
        Self::Failed {
            file: file.to_owned(),
            doing,
            cause: cause.into(),
        }
    }

    /// What the person can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Symlink { file } => {
                format!(
                    "name the place {} points to, or remove the link",
                    file.display()
                )
            }
            Self::WrongType { file, .. } | Self::TooLarge { file, .. } => {
                format!(
                    "move {} away if you did not put it there on purpose",
                    file.display()
                )
            }
            Self::WrongOwner { file, .. } => format!(
                "run this as the user who owns {}, or have its owner give it to you with chown",
                file.display()
            ),
            Self::WrongMode { file, wanted, .. } => {
                format!("chmod {wanted:o} {}", quoted(file))
            }
            Self::Failed { file, cause, .. } => match cause.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "free some disk space, then try again".to_owned()
                }
                io::ErrorKind::ReadOnlyFilesystem => {
                    format!(
                        "{} is on a read-only disk; name another place",
                        file.display()
                    )
                }
                io::ErrorKind::NotFound => format!("check that {} exists", file.display()),
                io::ErrorKind::PermissionDenied => {
                    format!(
                        "check who may use {} and the directories above it",
                        file.display()
                    )
                }
                _ => format!("check the disk that holds {}", file.display()),
            },
        }
    }
}

/// Who may own a file that is about to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The user this program runs as.
    Me,
    /// The user this program runs as, or the system.
    MeOrRoot,
}

/// Checks the owner.
pub(crate) fn owned_by(metadata: &Metadata, file: &Path, owner: Owner) -> Result<(), FileRefused> {
    let found = metadata.uid();
    let mine = found == rustix::process::geteuid().as_raw();
    let accepted = match owner {
        Owner::Me => mine,
        Owner::MeOrRoot => mine || found == 0,
    };
    if accepted {
        Ok(())
    } else {
        Err(FileRefused::WrongOwner {
            file: file.to_owned(),
            owner: found,
        })
    }
}

/// Checks that of the bits in `mask` exactly those in `wanted` are set.
pub(crate) fn has_mode(
    metadata: &Metadata,
    file: &Path,
    mask: u32,
    wanted: u32,
) -> Result<(), FileRefused> {
    let mode = metadata.mode() & PERMISSIONS;
    if mode & mask == wanted & mask {
        Ok(())
    } else {
        Err(FileRefused::WrongMode {
            file: file.to_owned(),
            mode,
            wanted,
        })
    }
}

/// Reads all of an opened file, which may hold secrets: one buffer, never grown, wiped on drop.
pub(crate) fn read_all(
    mut file: &File,
    path: &Path,
    max: usize,
) -> Result<Zeroizing<Vec<u8>>, FileRefused> {
    let metadata = file
        .metadata()
        .map_err(|e| FileRefused::failed(path, "look at it", e))?;
    let too_large = || FileRefused::TooLarge {
        file: path.to_owned(),
        max,
    };
    // One byte more than allowed tells "exactly the most" from "more".
    let room = if metadata.is_file() {
        usize::try_from(metadata.len())
            .map_err(|_| too_large())?
            .min(max)
    } else {
        max
    };
    let mut bytes = Zeroizing::new(vec![0; room.saturating_add(1)]);
    let mut filled = 0;
    while let Some(free) = bytes.get_mut(filled..).filter(|free| !free.is_empty()) {
        match file.read(free) {
            Ok(0) => break,
            Ok(more) => filled = filled.saturating_add(more),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(FileRefused::failed(path, "read it", e)),
        }
    }
    if filled > max {
        return Err(too_large());
    }
    if filled > room {
        let grew = io::Error::other("it grew while being read");
        return Err(FileRefused::failed(path, "read it", grew));
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    if text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"/._-+@%".contains(&b))
    {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Permission bits, with set-id and sticky.
const PERMISSIONS: u32 = 0o7777;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn file_of(length: usize) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![b'x'; length]).unwrap();
        file
    }

    #[test]
    fn a_file_of_exactly_the_most_is_read() {
        let file = file_of(100);
        let read = read_all(&File::open(file.path()).unwrap(), file.path(), 100).unwrap();
        assert_eq!(read.as_slice(), [b'x'; 100]);
    }

    #[test]
    fn a_file_of_one_byte_more_is_refused() {
        let file = file_of(101);
        let refused = read_all(&File::open(file.path()).unwrap(), file.path(), 100).unwrap_err();
        assert!(
            matches!(refused, FileRefused::TooLarge { max: 100, .. }),
            "{refused}"
        );
    }

    #[test]
    fn a_file_that_claims_no_size_is_bounded_all_the_same() {
        let endless = Path::new("/dev/zero");
        let refused = read_all(&File::open(endless).unwrap(), endless, 100).unwrap_err();
        assert!(matches!(refused, FileRefused::TooLarge { .. }), "{refused}");
        let empty = Path::new("/dev/null");
        assert!(
            read_all(&File::open(empty).unwrap(), empty, 100)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_hint_can_be_pasted_into_a_shell() {
        let hint = |file: &str| {
            FileRefused::WrongMode {
                file: file.into(),
                mode: 0o644,
                wanted: 0o600,
            }
            .hint()
        };
        assert_eq!(hint("/a/b.c"), "chmod 600 /a/b.c");
        assert_eq!(hint("/a/it's b"), r"chmod 600 '/a/it'\''s b'");
    }
}

//! A secret that the person keeps in a file, such as the one named by `--passphrase-file`.
//!
//! The file must be the person's own and closed to everybody else. A pipe is as good as a file, so a
//! password manager's output can be given without ever being on a disk.

use std::fs::File;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::files::{FileRefused, Owner, has_mode, owned_by, read_all};

/// Why no secret was read.
#[derive(Debug, thiserror::Error)]
pub enum SecretRefused {
    /// The file is not fit to hold a secret, or the system failed.
    #[error(transparent)]
    File(#[from] FileRefused),
    /// Its first line is empty.
    #[error("the first line of {} is empty", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// Its first line is not UTF-8.
    #[error("the first line of {} is not text", file.display())]
    NotText {
        /// The file.
        file: PathBuf,
    },
}

impl SecretRefused {
    /// What the person can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::File(refused) => refused.hint(),
            Self::Empty { file } | Self::NotText { file } => {
                format!("put the passphrase on the first line of {}", file.display())
            }
        }
    }
}

/// The first line of a file that only its owner, who is the user or root, may use.
pub fn first_line(path: &Path) -> Result<Zeroizing<String>, SecretRefused> {
    let file = File::open(path).map_err(|e| FileRefused::failed(path, "open it", e))?;
    let metadata = file
        .metadata()
        .map_err(|e| FileRefused::failed(path, "look at it", e))?;
    let kind = metadata.file_type();
    if !kind.is_file() && !kind.is_fifo() {
        return Err(FileRefused::WrongType {
            file: path.to_owned(),
            wanted: "file",
        }
        .into());
    }
    owned_by(&metadata, path, Owner::MeOrRoot)?;
    // Whether the owner may write it does not matter: 0400 is as good as 0600.
    has_mode(&metadata, path, 0o077, 0o600)?;
    let bytes = read_all(&file, path, MAX_SECRET_FILE)?;
    let line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(SecretRefused::Empty {
            file: path.to_owned(),
        });
    }
    match core::str::from_utf8(line) {
        Ok(line) => Ok(Zeroizing::new(line.to_owned())),
        Err(_) => Err(SecretRefused::NotText {
            file: path.to_owned(),
        }),
    }
}

/// Longer than any passphrase, shorter than a file named by mistake.
pub const MAX_SECRET_FILE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    fn file_with(contents: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(contents).unwrap();
        file
    }

    #[test]
    fn the_first_line_is_the_secret_and_nothing_else_is() {
        for contents in [
            "pass word",
            "pass word\n",
            "pass word\r\n",
            "pass word\nmore\n",
        ] {
            let file = file_with(contents.as_bytes());
            assert_eq!(first_line(file.path()).unwrap().as_str(), "pass word");
        }
        let file = file_with(b" spaces stay \n");
        assert_eq!(first_line(file.path()).unwrap().as_str(), " spaces stay ");
    }

    #[test]
    fn a_first_line_that_is_no_secret_is_refused() {
        for contents in ["", "\n", "\r\n", "\nsecond\n"] {
            let refused = first_line(file_with(contents.as_bytes()).path());
            assert!(
                matches!(refused, Err(SecretRefused::Empty { .. })),
                "{contents:?}"
            );
        }
        let refused = first_line(file_with(b"\xff\xfe\n").path());
        assert!(matches!(refused, Err(SecretRefused::NotText { .. })));
    }

    #[test]
    fn a_file_that_others_can_use_is_refused_and_one_that_they_cannot_is_read() {
        let file = file_with(b"secret\n");
        for mode in [0o600, 0o400] {
            std::fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
            first_line(file.path()).unwrap();
        }
        for mode in [0o601, 0o602, 0o604, 0o610, 0o620, 0o640, 0o644] {
            std::fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
            let refused = first_line(file.path()).unwrap_err();
            assert!(
                matches!(refused, SecretRefused::File(FileRefused::WrongMode { .. })),
                "{refused}"
            );
            assert_eq!(
                refused.hint(),
                format!("chmod 600 {}", file.path().display())
            );
        }
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        if !rustix::process::geteuid().is_root() {
            // Only root can give a file away; everybody sees that one who is neither is refused.
            return;
        }
        let file = file_with(b"secret\n");
        first_line(file.path()).unwrap();
        std::os::unix::fs::chown(file.path(), Some(12345), None).unwrap();
        let refused = first_line(file.path()).unwrap_err();
        assert!(
            matches!(
                refused,
                SecretRefused::File(FileRefused::WrongOwner { owner: 12345, .. })
            ),
            "{refused}"
        );
    }

    #[test]
    fn the_largest_file_is_read_and_one_byte_more_is_refused() {
        let file = file_with(&[b'x'; MAX_SECRET_FILE]);
        assert_eq!(first_line(file.path()).unwrap().len(), MAX_SECRET_FILE);
        let file = file_with(&[b'x'; MAX_SECRET_FILE + 1]);
        let refused = first_line(file.path()).unwrap_err();
        assert!(
            matches!(refused, SecretRefused::File(FileRefused::TooLarge { .. })),
            "{refused}"
        );
    }

    #[test]
    fn a_pipe_is_read_like_a_file_and_a_directory_is_not() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"from a pipe\n").unwrap();
        drop(writer);
        let path = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
        assert_eq!(
            first_line(Path::new(&path)).unwrap().as_str(),
            "from a pipe"
        );

        let dir = tempfile::tempdir().unwrap();
        let refused = first_line(dir.path()).unwrap_err();
        assert!(
            matches!(refused, SecretRefused::File(FileRefused::WrongType { .. })),
            "{refused}"
        );
    }
}

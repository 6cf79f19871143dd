//! Why there is no socket, and what the person can do about it.

use std::io;
use std::path::{Path, PathBuf};

use vmux_host::paths::SocketPathTooLong;

/// Why there is no socket. What stood in its place is untouched.
#[derive(Debug, thiserror::Error)]
pub enum SocketRefused {
    /// The path does not fit into a socket's address.
    #[error(transparent)]
    TooLong(#[from] SocketPathTooLong),
    /// The path has no last part, such as `/` or `..`.
    #[error("{} is not a path for a socket", path.display())]
    NoName {
        /// The path.
        path: PathBuf,
    },
    /// The directory is not there.
    #[error("the directory {} does not exist", directory.display())]
    NoDirectory {
        /// The directory.
        directory: PathBuf,
    },
    /// The directory belongs to another user, who could put another socket there.
    #[error("the directory {} belongs to user {owner}, not to you", directory.display())]
    ForeignDirectory {
        /// The directory.
        directory: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// Others may write to the directory, and so put another socket there.
    #[error("others may write to the directory {} (mode {mode:04o})", directory.display())]
    OpenDirectory {
        /// The directory.
        directory: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Something that is no socket stands there.
    #[error("{} is there and is {what}", path.display())]
    Occupied {
        /// The path.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A socket of another user stands there.
    #[error("{} is a socket of user {owner}", path.display())]
    ForeignSocket {
        /// The path.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// A program answers there.
    #[error("{}", living(path, *pid))]
    Living {
        /// The path.
        path: PathBuf,
        /// Its process, if it is known.
        pid: Option<u32>,
    },
    /// The system failed.
    #[error("{}: cannot {doing}: {cause}", path.display())]
    Failed {
        /// What it was about.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

impl SocketRefused {
    /// What the person can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::TooLong(refused) => refused.hint().to_owned(),
            Self::NoName { .. } => "name a file with --socket".to_owned(),
            Self::NoDirectory { directory } => format!("mkdir -m 700 {}", quoted(directory)),
            Self::ForeignDirectory { .. } | Self::ForeignSocket { .. } => {
                "name a place of your own with --socket".to_owned()
            }
            Self::OpenDirectory { directory, .. } => {
                format!("chmod go-w {}", quoted(directory))
            }
            Self::Occupied { path, .. } => {
                format!(
                    "move {} away, or name another place with --socket",
                    path.display()
                )
            }
            Self::Living { pid: Some(pid), .. } => {
                format!("use the one that runs, or stop process {pid} first")
            }
            Self::Living { pid: None, .. } => "use the one that runs, or stop it first".to_owned(),
            Self::Failed { path, .. } => {
                format!(
                    "check the disk and the directories above {}",
                    path.display()
                )
            }
        }
    }
}

fn living(path: &Path, pid: Option<u32>) -> String {
    let path = path.display();
    match pid {
        Some(pid) => format!("an agent answers on {path} already (process {pid})"),
        None => format!("an agent answers on {path} already"),
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    if text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"/._-+@%".contains(&byte))
    {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_hints_can_be_pasted() {
        assert_eq!(quoted(Path::new("/home/a/.ssh")), "/home/a/.ssh");
        assert_eq!(
            quoted(Path::new("/home/it's $HOME")),
            r"'/home/it'\''s $HOME'"
        );
    }
}

//! Where things are unless the person says otherwise.
//!
//! On Linux the XDG base directories, of which a relative one counts as not set, as their
//! specification demands. On macOS state is kept in `~/Library/Application Support`, while the
//! configuration stays where command-line programs have it on both, in `~/.config`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// One of the programs that keep state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The agent on the workstation.
    Agent,
    /// The signer in a terminal.
    Signer,
}

impl Program {
    /// Its name, which is also that of its directories.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agent => "vmux-agent",
            Self::Signer => "vmux-signer",
        }
    }
}

/// Nobody says where the home directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no home directory: HOME is not set to a full path and the system knows none")]
pub struct NoHome;

impl NoHome {
    /// What the person can do about it.
    #[expect(clippy::unused_self, reason = "asked of every refusal in the same way")]
    pub const fn hint(self) -> &'static str {
        "set HOME, or name every place with --state-dir, --config and --socket"
    }
}

/// A path that is too long for the address of a socket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is too long for a socket: at most {MAX_SOCKET_PATH} bytes", path.display())]
pub struct SocketPathTooLong {
    /// The path.
    pub path: PathBuf,
}

impl SocketPathTooLong {
    /// What the person can do about it.
    #[expect(clippy::unused_self, reason = "asked of every refusal in the same way")]
    pub const fn hint(&self) -> &'static str {
        "name a shorter path with --socket or --state-dir"
    }
}

/// The usual places of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    home: PathBuf,
    state: PathBuf,
    config: PathBuf,
}

impl Places {
    /// The places of the user this program runs as.
    pub fn of_this_user() -> Result<Self, NoHome> {
        Self::new(
            Platform::THIS,
            |name| std::env::var_os(name),
            std::env::home_dir,
        )
    }

    fn new(
        platform: Platform,
        variable: impl Fn(&str) -> Option<OsString>,
        home_of_user: impl FnOnce() -> Option<PathBuf>,
    ) -> Result<Self, NoHome> {
        let absolute = |name| {
            variable(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let home = absolute("HOME")
            .or_else(|| home_of_user().filter(|path| path.is_absolute()))
            .ok_or(NoHome)?;
        let state = match platform {
            Platform::Linux => {
                absolute("XDG_STATE_HOME").unwrap_or_else(|| home.join(".local/state"))
            }
            Platform::MacOs => home.join("Library/Application Support"),
        };
        let config = absolute("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
        Ok(Self {
            home,
            state,
            config,
        })
    }

    /// The directory for a program's state.
    pub fn state_dir(&self, program: Program) -> PathBuf {
        self.state.join(program.name())
    }

    /// A program's configuration file.
    pub fn config_file(&self, program: Program) -> PathBuf {
        self.config.join(program.name()).join("config.toml")
    }

    /// The socket that ssh and other clients speak to.
    pub fn agent_socket(&self) -> PathBuf {
        self.home.join(".ssh/vmux-agent.sock")
    }

    /// The home directory.
    pub fn home(&self) -> &Path {
        &self.home
    }
}

/// The socket a running program is managed through. It is kept with the state, never beside the
/// agent's socket, so whoever reaches it owns the state (I12, I18), and programs with different
/// state directories never meet there.
pub fn control_socket(state_dir: &Path) -> PathBuf {
    state_dir.join("control.sock")
}

/// Checks that a socket can have this path; the system's own complaint does not say what is wrong.
pub fn fits_socket(path: &Path) -> Result<(), SocketPathTooLong> {
    if path.as_os_str().as_bytes().len() <= MAX_SOCKET_PATH {
        Ok(())
    } else {
        Err(SocketPathTooLong {
            path: path.to_owned(),
        })
    }
}

/// Longest path of a socket: `sun_path` has 108 bytes on Linux, 104 on macOS, one of them a zero.
pub const MAX_SOCKET_PATH: usize = if cfg!(target_os = "macos") { 103 } else { 107 };

#[derive(Clone, Copy, Debug)]
enum Platform {
    Linux,
    MacOs,
}

impl Platform {
    const THIS: Self = if cfg!(target_os = "macos") {
        Self::MacOs
    } else {
        Self::Linux
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(platform: Platform, set: &[(&str, &str)]) -> Result<Places, NoHome> {
        let variable = |name: &str| {
            set.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from(value))
        };
        Places::new(platform, variable, || Some(PathBuf::from("/passwd/home")))
    }

    #[test]
    fn linux_follows_the_base_directories() {
        let usual = places(Platform::Linux, &[("HOME", "/h")]).unwrap();
        assert_eq!(
            usual.state_dir(Program::Agent),
            Path::new("/h/.local/state/vmux-agent")
        );
        assert_eq!(
            usual.config_file(Program::Agent),
            Path::new("/h/.config/vmux-agent/config.toml")
        );
        assert_eq!(usual.agent_socket(), Path::new("/h/.ssh/vmux-agent.sock"));

        let set = [
            ("HOME", "/h"),
            ("XDG_STATE_HOME", "/s"),
            ("XDG_CONFIG_HOME", "/c"),
        ];
        let moved = places(Platform::Linux, &set).unwrap();
        assert_eq!(
            moved.state_dir(Program::Signer),
            Path::new("/s/vmux-signer")
        );
        assert_eq!(
            moved.config_file(Program::Signer),
            Path::new("/c/vmux-signer/config.toml")
        );
        assert_eq!(moved.agent_socket(), Path::new("/h/.ssh/vmux-agent.sock"));
    }

    #[test]
    fn macos_keeps_state_in_application_support() {
        let set = [("HOME", "/h"), ("XDG_STATE_HOME", "/s")];
        let usual = places(Platform::MacOs, &set).unwrap();
        let state = Path::new("/h/Library/Application Support/vmux-agent");
        assert_eq!(usual.state_dir(Program::Agent), state);
        assert_eq!(
            usual.config_file(Program::Agent),
            Path::new("/h/.config/vmux-agent/config.toml")
        );
    }

    #[test]
    fn relative_and_empty_directories_count_as_not_set() {
        for value in ["", "s", "./s"] {
            let set = [
                ("HOME", "/h"),
                ("XDG_STATE_HOME", value),
                ("XDG_CONFIG_HOME", value),
            ];
            let same = places(Platform::Linux, &set).unwrap();
            assert_eq!(Ok(same), places(Platform::Linux, &[("HOME", "/h")]));
        }
    }

    #[test]
    fn without_home_the_system_is_asked_and_without_either_there_is_none() {
        for set in [&[][..], &[("HOME", "")], &[("HOME", "relative")]] {
            let places = places(Platform::Linux, set).unwrap();
            assert_eq!(places.home(), Path::new("/passwd/home"));
        }
        assert_eq!(Places::new(Platform::Linux, |_| None, || None), Err(NoHome));
        let relative = || Some(PathBuf::from("home"));
        assert_eq!(
            Places::new(Platform::Linux, |_| None, relative),
            Err(NoHome)
        );
    }

    #[test]
    fn this_user_has_places() {
        assert!(Places::of_this_user().unwrap().home().is_absolute());
    }

    #[test]
    fn the_longest_socket_path_fits_and_one_byte_more_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let longest = |more: usize| {
            let room = MAX_SOCKET_PATH - dir.path().as_os_str().len() - 1;
            dir.path().join("s".repeat(room + more))
        };
        fits_socket(&longest(0)).unwrap();
        assert!(fits_socket(&longest(1)).is_err());
        // The system agrees.
        drop(std::os::unix::net::UnixListener::bind(longest(0)).unwrap());
        assert!(std::os::unix::net::UnixListener::bind(longest(1)).is_err());
    }

    #[test]
    fn the_control_socket_lies_with_the_state() {
        assert_eq!(
            control_socket(Path::new("/s")),
            Path::new("/s/control.sock")
        );
    }
}

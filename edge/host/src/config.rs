//! Reads a configuration file: TOML, every key known, every mistake with its line.
//!
//! A setting that is spelled wrong must not silently be none, so the type that is read into refuses
//! unknown keys (`#[serde(deny_unknown_fields)]`). A file that others may write is refused, because
//! it can hold policy; it may be a symbolic link, because people keep such files elsewhere.

use core::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::files::{FileRefused, Owner, has_mode, owned_by, read_all};

/// Why a configuration is not used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigRefused {
    /// There is no such file.
    #[error("{} does not exist", file.display())]
    Missing {
        /// The file.
        file: PathBuf,
    },
    /// The file is not fit to be trusted, or the system failed.
    #[error(transparent)]
    File(#[from] FileRefused),
    /// A key that means nothing.
    #[error("{place}: unknown key `{key}`")]
    UnknownKey {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// The keys that may stand there, as text.
        known: String,
    },
    /// Not TOML, or a value that does not fit.
    #[error("{place}: {what}")]
    Wrong {
        /// Where.
        place: Place,
        /// What is wrong.
        what: String,
    },
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; none if the mistake is what is missing.
    pub line: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        match self.line {
            Some(line) => write!(f, ":{line}"),
            None => Ok(()),
        }
    }
}

impl ConfigRefused {
    /// What the person can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Missing { file } => {
                format!(
                    "make {}, or leave --config away to use the defaults",
                    file.display()
                )
            }
            Self::File(FileRefused::WrongMode { file, .. }) => {
                format!("chmod go-w {}", file.display())
            }
            Self::File(refused) => refused.hint(),
            Self::UnknownKey { known, .. } => known.clone(),
            Self::Wrong { place, .. } => format!("correct {place}"),
        }
    }
}

/// The configuration in a file the person named; it must be there.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigRefused> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(ConfigRefused::Missing {
                file: path.to_owned(),
            });
        }
        Err(e) => return Err(FileRefused::failed(path, "open it", e).into()),
    };
    let metadata = file
        .metadata()
        .map_err(|e| FileRefused::failed(path, "look at it", e))?;
    if !metadata.is_file() {
        return Err(FileRefused::WrongType {
            file: path.to_owned(),
            wanted: "file",
        }
        .into());
    }
    owned_by(&metadata, path, Owner::MeOrRoot)?;
    has_mode(&metadata, path, 0o022, 0o644)?;
    let bytes = read_all(&file, path, MAX_CONFIG)?;
    let text = core::str::from_utf8(&bytes).map_err(|e| ConfigRefused::Wrong {
        place: place(path, &bytes, Some(e.valid_up_to())),
        what: "not UTF-8 text".to_owned(),
    })?;
    parse(path, text)
}

/// The configuration in a file at its usual place, or the defaults if there is none.
pub fn load_or_default<T: DeserializeOwned + Default>(path: &Path) -> Result<T, ConfigRefused> {
    match load(path) {
        Err(ConfigRefused::Missing { .. }) => Ok(T::default()),
        other => other,
    }
}

fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigRefused> {
    toml::from_str(text).map_err(|error| {
        let place = place(path, text.as_bytes(), error.span().map(|span| span.start));
        // serde has no structure for this: "unknown field `x`, expected `y` or `z`".
        let unknown = error.message().strip_prefix("unknown field `");
        match unknown.and_then(|rest| rest.split_once("`, ")) {
            Some((key, known)) => ConfigRefused::UnknownKey {
                place,
                key: key.to_owned(),
                known: known.to_owned(),
            },
            None => ConfigRefused::Wrong {
                place,
                what: error.message().to_owned(),
            },
        }
    })
}

fn place(path: &Path, text: &[u8], at: Option<usize>) -> Place {
    let line = at.map(|at| {
        let before = text.get(..at).unwrap_or(text);
        before.split(|&b| b == b'\n').count()
    });
    Place {
        file: path.to_owned(),
        line,
    }
}

/// Much longer than any configuration, small enough to read at once.
pub const MAX_CONFIG: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Settings {
        relay: String,
        wait: u32,
        notice: Notice,
    }

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Notice {
        terminal: bool,
    }

    fn file_with(contents: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(contents).unwrap();
        file
    }

    fn refusal(contents: &str) -> (ConfigRefused, PathBuf) {
        let file = file_with(contents.as_bytes());
        (
            load::<Settings>(file.path()).unwrap_err(),
            file.path().to_owned(),
        )
    }

    #[test]
    fn known_keys_are_read() {
        let file = file_with(b"relay = \"ws://localhost\"\nwait = 5\n[notice]\nterminal = true\n");
        let settings: Settings = load(file.path()).unwrap();
        assert_eq!(settings.relay, "ws://localhost");
        assert_eq!(settings.wait, 5);
        assert!(settings.notice.terminal);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_known_ones() {
        let (refused, path) = refusal("# first\nrelay = \"x\"\n\nwiat = 5\n");
        let ConfigRefused::UnknownKey { place, key, .. } = &refused else {
            panic!("{refused}")
        };
        assert_eq!((place.line, key.as_str()), (Some(4), "wiat"));
        assert_eq!(
            refused.to_string(),
            format!("{}:4: unknown key `wiat`", path.display())
        );
        assert!(refused.hint().contains("wait"), "{}", refused.hint());
    }

    #[test]
    fn an_unknown_key_in_a_table_is_named_with_its_line_too() {
        for text in [
            "[notice]\n\nterminl = true\n",
            "wait = 5\n\nnotice = { terminl = true }\n",
        ] {
            let (refused, _) = refusal(text);
            let ConfigRefused::UnknownKey { place, key, .. } = &refused else {
                panic!("{refused}")
            };
            assert_eq!((place.line, key.as_str()), (Some(3), "terminl"));
        }
    }

    #[test]
    fn a_value_that_does_not_fit_is_named_with_its_line() {
        for text in [
            "\nwait = \"long\"\n",
            "\nwait = -1\n",
            "\nwait = \n",
            "\nwait = 1\u{0}\n",
        ] {
            let (refused, path) = refusal(text);
            let ConfigRefused::Wrong { place, .. } = &refused else {
                panic!("{refused}")
            };
            assert_eq!(place.line, Some(2), "{text:?}: {refused}");
            assert_eq!(refused.hint(), format!("correct {}:2", path.display()));
        }
    }

    #[test]
    fn a_key_given_twice_is_refused() {
        let (refused, _) = refusal("wait = 1\nwait = 2\n");
        let ConfigRefused::Wrong { place, what } = &refused else {
            panic!("{refused}")
        };
        assert_eq!(place.line, Some(2), "{what}");
    }

    #[test]
    fn what_is_not_text_is_refused_with_its_line() {
        let file = file_with(b"wait = 1\nrelay = \"\xff\"\n");
        let refused = load::<Settings>(file.path()).unwrap_err();
        let ConfigRefused::Wrong { place, .. } = &refused else {
            panic!("{refused}")
        };
        assert_eq!(place.line, Some(2));
    }

    #[test]
    fn a_missing_file_is_an_error_if_named_and_the_defaults_if_not() {
        let missing = tempfile::tempdir().unwrap().path().join("config.toml");
        let refused = load::<Settings>(&missing).unwrap_err();
        assert!(
            matches!(refused, ConfigRefused::Missing { .. }),
            "{refused}"
        );
        assert_eq!(
            load_or_default::<Settings>(&missing).unwrap(),
            Settings::default()
        );
        let broken = file_with(b"wait = x");
        assert!(load_or_default::<Settings>(broken.path()).is_err());
    }

    #[test]
    fn the_largest_file_is_read_and_one_byte_more_is_refused() {
        let mut text = vec![b'#'; MAX_CONFIG];
        load::<Settings>(file_with(&text).path()).unwrap();
        text.push(b'#');
        let refused = load::<Settings>(file_with(&text).path()).unwrap_err();
        assert!(
            matches!(refused, ConfigRefused::File(FileRefused::TooLarge { .. })),
            "{refused}"
        );
    }

    #[test]
    fn a_file_that_others_may_write_is_refused_and_one_they_may_read_is_not() {
        let file = file_with(b"wait = 1\n");
        for mode in [0o600, 0o644, 0o444] {
            std::fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
            load::<Settings>(file.path()).unwrap();
        }
        for mode in [0o664, 0o646, 0o622] {
            std::fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
            let refused = load::<Settings>(file.path()).unwrap_err();
            assert!(
                matches!(refused, ConfigRefused::File(FileRefused::WrongMode { .. })),
                "{refused}"
            );
            assert_eq!(
                refused.hint(),
                format!("chmod go-w {}", file.path().display())
            );
        }
    }

    #[test]
    fn a_link_to_a_good_file_is_followed_and_a_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = file_with(b"wait = 7\n");
        let link = dir.path().join("config.toml");
        std::os::unix::fs::symlink(file.path(), &link).unwrap();
        assert_eq!(load::<Settings>(&link).unwrap().wait, 7);
        let refused = load::<Settings>(dir.path()).unwrap_err();
        assert!(
            matches!(refused, ConfigRefused::File(FileRefused::WrongType { .. })),
            "{refused}"
        );
    }
}

//! The configuration file: TOML, every key optional, an unknown one refused by name and line.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use vmux_host::config;
use vmux_host::paths::{Places, Program};
use vmux_host::relay::Trust;
use vmux_proto::limits::MAX_NAME;
use vmux_proto::untrusted::is_visible;
use vmux_signer::Settings;

use crate::failure::CommandFailed;

/// What the person set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    /// What this signer calls itself; wins over the name given to `init`.
    pub(crate) name: Option<String>,
    /// SSHSIG namespaces it signs.
    pub(crate) namespaces: Vec<String>,
    /// Files with certificate authorities, in PEM form, that may vouch for a relay besides those
    /// browsers know.
    pub(crate) relay_authorities: Vec<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        let Settings { namespaces } = Settings::default();
        Self {
            name: None,
            namespaces,
            relay_authorities: Vec::new(),
        }
    }
}

impl Config {
    /// The one in `named`, which must be there, or at its usual place, or the defaults.
    pub(crate) fn load(named: Option<&Path>) -> Result<Self, CommandFailed> {
        let (config, path): (Self, _) = match named {
            Some(path) => (config::load(path)?, path.to_owned()),
            None => match Places::of_this_user() {
                Ok(places) => {
                    let path = places.config_file(Program::Signer);
                    (config::load_or_default(&path)?, path)
                }
                Err(_no_home) => return Ok(Self::default()),
            },
        };
        if let Some(name) = &config.name {
            let place = || format!("correct `name` in {}", path.display());
            check_name(name).map_err(|refused| CommandFailed::new(refused, place()))?;
        }
        Ok(config)
    }

    /// What the trusted part needs to know.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            namespaces: self.namespaces.clone(),
        }
    }

    /// Who may vouch for a relay.
    pub(crate) fn trust(&self) -> Result<Trust, CommandFailed> {
        self.relay_authorities
            .iter()
            .try_fold(Trust::web(), |trust, file| {
                let failed = |what: &dyn core::fmt::Display| {
                    let hint = "correct `relay-authorities` in the configuration";
                    CommandFailed::new(format!("{}: {what}", file.display()), hint)
                };
                let mut pem = Vec::new();
                File::open(file)
                    .and_then(|opened| opened.take(MAX_AUTHORITIES).read_to_end(&mut pem))
                    .map_err(|error| failed(&error))?;
                trust.with_authorities(&pem).map_err(|error| failed(&error))
            })
    }
}

/// A name that cannot be a signer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a signer's name has 1 to {MAX_NAME} bytes of visible characters")]
pub(crate) struct NameRefused;

/// Checks a name for a signer.
pub(crate) fn check_name(name: &str) -> Result<(), NameRefused> {
    let fits = !name.trim().is_empty() && name.len() <= MAX_NAME;
    if fits && name.chars().all(is_visible) {
        Ok(())
    } else {
        Err(NameRefused)
    }
}

/// The name of this computer, as far as it can be a signer's.
pub(crate) fn name_of_this_computer() -> String {
    let system = rustix::system::uname();
    let name = system.nodename().to_string_lossy();
    if check_name(&name).is_ok() {
        name.into_owned()
    } else {
        "terminal signer".to_owned()
    }
}

/// A whole bundle of authorities fits.
const MAX_AUTHORITIES: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn file_with(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn loaded(text: &str) -> Result<Config, CommandFailed> {
        Config::load(Some(file_with(text).path()))
    }

    #[test]
    fn every_key_is_optional() {
        assert_eq!(loaded("").unwrap(), Config::default());
        let config = loaded("name = \"desk\"\nnamespaces = [\"git\"]\n").unwrap();
        assert_eq!(config.name.as_deref(), Some("desk"));
        assert_eq!(config.settings().namespaces, ["git"]);
    }

    #[test]
    fn an_unknown_key_is_refused_by_name_and_line() {
        let refused = loaded("name = \"desk\"\nnamespace = [\"git\"]\n").unwrap_err();
        assert!(
            refused.what.ends_with(":2: unknown key `namespace`"),
            "{refused}"
        );
    }

    #[test]
    fn names_that_cannot_be_shown_are_refused() {
        check_name("Zoë's laptop").unwrap();
        for name in ["", " ", "a\u{202e}b", "a\nb", &"a".repeat(MAX_NAME + 1)] {
            assert_eq!(check_name(name), Err(NameRefused), "{name:?}");
        }
        check_name(&"a".repeat(MAX_NAME)).unwrap();
        assert!(loaded("name = \"a\\u202eb\"").is_err());
        check_name(&name_of_this_computer()).unwrap();
    }

    #[test]
    fn an_authority_that_is_none_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let files = vec![file.path().to_owned()];
        let config = Config {
            relay_authorities: files,
            ..Config::default()
        };
        let refused = config.trust().unwrap_err();
        assert!(
            refused.what.contains(&file.path().display().to_string()),
            "{refused}"
        );
        Config::default().trust().unwrap();
    }
}

//! The configuration file: TOML, every key optional, an unknown one refused by name and line.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Deserialize;
use vmux_relay::{Addresses, Limits};

/// What a relay is told at its start.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) metrics_listen: Option<SocketAddr>,
    pub(crate) client_address: ClientAddress,
    pub(crate) limits: Limits,
}

/// Whose address is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ClientAddress {
    /// The connection's own address
    #[default]
    Peer,
    /// The last address in X-Forwarded-For; only behind a reverse proxy that sets it
    Forwarded,
}

/// A configuration file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigRejected {
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: io::Error },
    #[error("{}: {cause}", path.display())]
    Wrong {
        path: PathBuf,
        cause: toml::de::Error,
    },
}

impl Config {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigRejected> {
        let path_buf = || path.to_path_buf();
        let text = fs::read_to_string(path).map_err(|cause| ConfigRejected::Unreadable {
            path: path_buf(),
            cause,
        })?;
        toml::from_str(&text).map_err(|cause| ConfigRejected::Wrong {
            path: path_buf(),
            cause,
        })
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
            metrics_listen: None,
            client_address: ClientAddress::default(),
            limits: Limits::default(),
        }
    }
}

impl From<ClientAddress> for Addresses {
    fn from(address: ClientAddress) -> Self {
        match address {
            ClientAddress::Peer => Self::Peer,
            ClientAddress::Forwarded => Self::Forwarded,
        }
    }
}

const DEFAULT_PORT: u16 = 7420;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_empty_file_changes_nothing() {
        assert_eq!(toml::from_str::<Config>("").unwrap(), Config::default());
    }

    #[test]
    fn keys_are_read_and_the_rest_keeps_its_default() {
        let text = "listen = \"[::1]:80\"\nclient-address = \"forwarded\"\n\
                    [limits]\nmailboxes = 7\nidle-after-seconds = 90\n";
        let config: Config = toml::from_str(text).unwrap();
        assert_eq!(config.listen, "[::1]:80".parse().unwrap());
        assert_eq!(config.client_address, ClientAddress::Forwarded);
        let (mailboxes, idle_after) = (7, Duration::from_secs(90));
        assert_eq!(
            config.limits,
            Limits {
                mailboxes,
                idle_after,
                ..Limits::default()
            }
        );
    }

    #[test]
    fn an_unknown_key_is_refused_by_name_and_line() {
        let refused = toml::from_str::<Config>("[limits]\nmailboxs = 7\n").unwrap_err();
        let words = refused.to_string();
        assert!(
            words.contains("mailboxs") && words.contains("line 2"),
            "{words}"
        );
    }
}

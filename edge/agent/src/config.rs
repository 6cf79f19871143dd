//! The agent's configuration file.
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use vmux_broker::Limits;
use vmux_host::relay::{AddressRejected, RelayAddress};

/// `config.toml`; every key may be left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Config {
    /// Where clients connect.
    pub(crate) socket: Option<PathBuf>,
    /// What phones call this workstation; its host name by default.
    pub(crate) name: Option<String>,
    /// How long a person has to decide, in seconds.
    pub(crate) wait: u64,
    /// Whether waiting requests are shown in the client's terminal.
    pub(crate) terminal_notices: bool,
    /// Clients at a time.
    pub(crate) max_clients: usize,
    /// Where phones are met.
    pub(crate) relay: Relay,
}

/// `[relay]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Relay {
    /// A relay elsewhere. Without it the agent runs one itself.
    pub(crate) url: Option<String>,
    /// Where the agent's own relay listens.
    pub(crate) listen: Option<SocketAddr>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            socket: None,
            name: None,
            wait: 60,
            terminal_notices: true,
            max_clients: 1000,
            relay: Relay::default(),
        }
    }
}

/// A value that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ValueRefused {
    /// Too short to decide, or longer than a server waits.
    #[error("wait = {0} in the configuration: 5 to 100 seconds are possible")]
    Wait(u64),
    /// No client could connect, or more than there are files.
    #[error("max-clients = {0} in the configuration: 1 to 10000 are possible")]
    MaxClients(usize),
    /// Not an address of a relay.
    #[error("relay.url in the configuration: {0}")]
    RelayUrl(AddressRejected),
    /// Too long for a phone's screen.
    #[error("name in the configuration: 1 to 128 bytes are possible")]
    Name,
}

impl Config {
    /// Checks what the types cannot.
    pub(crate) fn check(&self) -> Result<(), ValueRefused> {
        if !(5..=100).contains(&self.wait) {
            return Err(ValueRefused::Wait(self.wait));
        }
        if !(1..=10_000).contains(&self.max_clients) {
            return Err(ValueRefused::MaxClients(self.max_clients));
        }
        if self
            .name
            .as_ref()
            .is_some_and(|name| name.is_empty() || name.len() > 128)
        {
            return Err(ValueRefused::Name);
        }
        if let Some(url) = &self.relay.url {
            RelayAddress::parse(url).map_err(ValueRefused::RelayUrl)?;
        }
        Ok(())
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            wait_ms: self.wait.saturating_mul(1000),
            ..Limits::default()
        }
    }

    /// What phones call this workstation.
    pub(crate) fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| {
            let system = rustix::system::uname();
            let host = system.nodename().to_string_lossy();
            let end = host.floor_char_boundary(64);
            host.get(..end)
                .filter(|name| !name.is_empty())
                .unwrap_or("workstation")
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_at_the_bounds_pass_and_beyond_are_refused() {
        for (wait, good) in [(4, false), (5, true), (100, true), (101, false)] {
            let config = Config {
                wait,
                ..Config::default()
            };
            assert_eq!(config.check().is_ok(), good, "{wait}");
        }
    }

    #[test]
    fn a_relay_url_of_another_scheme_is_refused() {
        for (url, good) in [
            ("https://relay.example", true),
            ("ftp://relay.example", false),
        ] {
            let relay = Relay {
                url: Some(url.to_owned()),
                listen: None,
            };
            let config = Config {
                relay,
                ..Config::default()
            };
            assert_eq!(config.check().is_ok(), good, "{url}");
        }
    }

    #[test]
    fn the_guides_example_is_a_configuration_and_names_every_key() {
        let guide = include_str!("../../../docs/guide/agent.md");
        let example = guide.split("```toml\n").nth(1).unwrap();
        let example = example.split("```").next().unwrap().replace("# url", "url");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::io::Write::write_all(
            &mut std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&file)
                .unwrap(),
            example.as_bytes(),
        )
        .unwrap();
        let config: Config = vmux_host::config::load(&file).unwrap();
        config.check().unwrap();
        assert!(config.socket.is_some() && config.name.is_some());
        assert!(config.relay.url.is_some() && config.relay.listen.is_some());
        assert_eq!(config.wait, Config::default().wait);
        assert_eq!(config.max_clients, Config::default().max_clients);
        assert_eq!(config.terminal_notices, Config::default().terminal_notices);
    }
}

//! Where a relay is: scheme, host and port, and nothing else.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr};

use vmux_proto::mailbox::Seat;

/// A relay's place. Shown as the WebSocket address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayAddress {
    security: Security,
    host: Host,
    port: u16,
}

/// Why a text is no relay's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressRejected {
    /// Not a scheme a relay is reached by.
    #[error("a relay's address begins with wss:// or ws://, or https:// or http://")]
    Scheme,
    /// No host name or IP address, or one with characters no host has.
    #[error("the address has no host name or IP address that can be used")]
    Host,
    /// Not a number from 1 to 65535.
    #[error("the address has a port that is not a number from 1 to 65535")]
    Port,
    /// More than a place: a path, a query, a fragment or a user name.
    #[error("the address may only have a scheme, a host and a port")]
    More,
    /// Longer than an address can be.
    #[error("the address is too long")]
    TooLong,
}

impl AddressRejected {
    /// What the person can do about it.
    #[expect(clippy::unused_self, reason = "asked of every refusal in the same way")]
    pub const fn hint(self) -> &'static str {
        "write it like wss://relay.example.org or ws://127.0.0.1:7420"
    }
}

impl RelayAddress {
    /// Reads `wss://host`, `ws://host`, each with or without `:port`. `https` and `http` mean the same
    /// two.
    pub fn parse(text: &str) -> Result<Self, AddressRejected> {
        if text.len() > MAX_ADDRESS {
            return Err(AddressRejected::TooLong);
        }
        let (scheme, rest) = text.split_once("://").ok_or(AddressRejected::Scheme)?;
        let security = match scheme.to_ascii_lowercase().as_str() {
            "ws" | "http" => Security::None,
            "wss" | "https" => Security::Tls,
            _ => return Err(AddressRejected::Scheme),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '@', '\\']) {
            return Err(AddressRejected::More);
        }
        let (host, port) = split_port(authority)?;
        let port = match port {
            None => security.usual_port(),
            Some(digits) => parse_port(digits)?,
        };
        Ok(Self {
            security,
            host: Host::parse(host)?,
            port,
        })
    }

    /// Whether it is on this machine, as far as its name says.
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Ip(ip) => ip.is_loopback(),
        }
    }

    /// Whether the way to it is encrypted, so that nobody on it sees mailbox ids.
    pub fn is_encrypted(&self) -> bool {
        self.security == Security::Tls
    }

    /// The address as browsers name it: the origin of what the relay serves.
    pub fn http_origin(&self) -> String {
        self.with_scheme(self.security.http())
    }

    pub(super) fn seat_url(&self, seat: Seat) -> String {
        format!("{self}{}", seat.path())
    }

    /// The host without brackets, as resolvers and certificates have it.
    pub(super) fn host(&self) -> String {
        match &self.host {
            Host::Name(name) => name.clone(),
            Host::Ip(ip) => ip.to_string(),
        }
    }

    /// The TCP port, named or usual.
    pub const fn port(&self) -> u16 {
        self.port
    }

    fn with_scheme(&self, scheme: &str) -> String {
        let host = &self.host;
        if self.port == self.security.usual_port() {
            format!("{scheme}://{host}")
        } else {
            format!("{scheme}://{host}:{}", self.port)
        }
    }
}

impl fmt::Display for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_scheme(self.security.websocket()))
    }
}

impl core::str::FromStr for RelayAddress {
    type Err = AddressRejected;

    fn from_str(text: &str) -> Result<Self, AddressRejected> {
        Self::parse(text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Security {
    None,
    Tls,
}

impl Security {
    const fn usual_port(self) -> u16 {
        match self {
            Self::None => 80,
            Self::Tls => 443,
        }
    }

    const fn websocket(self) -> &'static str {
        match self {
            Self::None => "ws",
            Self::Tls => "wss",
        }
    }

    const fn http(self) -> &'static str {
        match self {
            Self::None => "http",
            Self::Tls => "https",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Name(String),
    Ip(IpAddr),
}

impl Host {
    fn parse(text: &str) -> Result<Self, AddressRejected> {
        if let Some(inner) = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            let ip: Ipv6Addr = inner.parse().map_err(|_| AddressRejected::Host)?;
            return Ok(Self::Ip(ip.into()));
        }
        if let Ok(IpAddr::V4(ip)) = text.parse() {
            return Ok(Self::Ip(ip.into()));
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        // A last label of digits alone would be read as some spelling of an IPv4 address.
        let last = text.rsplit('.').next().unwrap_or_default();
        let numeric = last.bytes().all(|b| b.is_ascii_digit());
        let labels = text
            .split('.')
            .all(|label| !label.is_empty() && label.len() <= MAX_LABEL);
        if text.len() <= MAX_NAME && labels && !numeric && text.bytes().all(plain) {
            Ok(Self::Name(text.to_ascii_lowercase()))
        } else {
            Err(AddressRejected::Host)
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), AddressRejected> {
    if authority.starts_with('[') {
        let (host, rest) = authority.split_once(']').ok_or(AddressRejected::Host)?;
        let host = authority
            .get(..host.len().saturating_add(1))
            .ok_or(AddressRejected::Host)?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(AddressRejected::Host),
        };
    }
    match authority.split_once(':') {
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((authority, None)),
    }
}

fn parse_port(digits: &str) -> Result<u16, AddressRejected> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AddressRejected::Port);
    }
    match digits.parse() {
        Ok(0) | Err(_) => Err(AddressRejected::Port),
        Ok(port) => Ok(port),
    }
}

/// Longest name in the DNS, and longest part of one (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// Scheme, longest name, port.
const MAX_ADDRESS: usize = 280;

#[cfg(test)]
mod tests {
    use super::*;
    use vmux_proto::mailbox::{MailboxId, Side};

    #[test]
    fn schemes_of_browsers_and_of_websockets_mean_the_same() {
        for (text, websocket, http) in [
            (
                "ws://127.0.0.1:7420",
                "ws://127.0.0.1:7420",
                "http://127.0.0.1:7420",
            ),
            (
                "http://127.0.0.1:7420/",
                "ws://127.0.0.1:7420",
                "http://127.0.0.1:7420",
            ),
            (
                "wss://Relay.example",
                "wss://relay.example",
                "https://relay.example",
            ),
            (
                "HTTPS://relay.example:443",
                "wss://relay.example",
                "https://relay.example",
            ),
            (
                "wss://relay.example:8443",
                "wss://relay.example:8443",
                "https://relay.example:8443",
            ),
            ("ws://[::1]:7420", "ws://[::1]:7420", "http://[::1]:7420"),
            (
                "wss://[2001:db8:0::1]",
                "wss://[2001:db8::1]",
                "https://[2001:db8::1]",
            ),
            ("ws://localhost:80", "ws://localhost", "http://localhost"),
        ] {
            let address = RelayAddress::parse(text).unwrap();
            assert_eq!(address.to_string(), websocket);
            assert_eq!(address.http_origin(), http);
            assert_eq!(
                RelayAddress::parse(&address.to_string()),
                Ok(address.clone())
            );
            assert_eq!(RelayAddress::parse(&address.http_origin()), Ok(address));
        }
    }

    #[test]
    fn what_is_not_just_a_place_is_refused() {
        use AddressRejected::{Host, More, Port, Scheme, TooLong};
        for (text, why) in [
            ("", Scheme),
            ("relay.example", Scheme),
            ("ftp://relay.example", Scheme),
            ("//relay.example", Scheme),
            ("wss://", Host),
            ("wss:///", Host),
            ("wss://:443", Host),
            ("wss://a b", Host),
            ("wss://a..b", Host),
            ("wss://example.", Host),
            ("wss://example\u{e9}.org", Host),
            ("wss://127.1", Host),
            ("wss://1.2.3.256", Host),
            ("wss://[::1", Host),
            ("wss://[::1]x", Host),
            ("wss://[::1%25eth0]", Host),
            ("wss://[relay.example]", Host),
            ("wss://::1", Port),
            ("wss://relay.example:", Port),
            ("wss://relay.example:0", Port),
            ("wss://relay.example:65536", Port),
            ("wss://relay.example:+443", Port),
            ("wss://relay.example/path", More),
            ("wss://relay.example//", More),
            ("wss://relay.example?x", More),
            ("wss://relay.example#x", More),
            ("wss://person@relay.example", More),
            ("wss://relay.example\\@other.example", More),
            (&format!("wss://{}", "a".repeat(MAX_ADDRESS)), TooLong),
            (&format!("wss://{}.example", "a".repeat(64)), Host),
        ] {
            assert_eq!(RelayAddress::parse(text), Err(why), "{text}");
        }
        RelayAddress::parse("wss://relay.example:65535").unwrap();
        RelayAddress::parse(&format!("wss://{}.example", "a".repeat(63))).unwrap();
    }

    #[test]
    fn this_machine_is_known_by_its_names() {
        for (text, here) in [
            ("ws://127.0.0.1:1", true),
            ("ws://127.9.9.9:1", true),
            ("ws://[::1]:1", true),
            ("ws://localhost", true),
            ("ws://relay.localhost", true),
            ("ws://localhost.example", false),
            ("ws://128.0.0.1:1", false),
            ("ws://[::2]:1", false),
        ] {
            assert_eq!(
                RelayAddress::parse(text).unwrap().is_loopback(),
                here,
                "{text}"
            );
        }
    }

    #[test]
    fn a_seat_has_its_address() {
        let seat = Seat {
            mailbox: MailboxId::from_bytes([0; 16]),
            side: Side::Agent,
        };
        let address = RelayAddress::parse("https://relay.example").unwrap();
        assert_eq!(
            address.seat_url(seat),
            "wss://relay.example/v1/mailbox/AAAAAAAAAAAAAAAAAAAAAA/agent"
        );
    }
}

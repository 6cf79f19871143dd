//! What the agent shows and the phone scans to begin a pairing.
//!
//! As a link, `<relay origin>/pair#<base64url>`: a browser keeps what follows `#` to itself, so the
//! relay serves the page and never learns the secret. Only that part is read back; what stands
//! before it is where the page came from and proves nothing. Refused: other versions, more or fewer
//! bytes than the fields need, and a relay that is not a plain lower-case http or https origin.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use zeroize::Zeroizing;

use crate::limits::{MAX_LINK, MAX_RELAY};
use crate::secret::{Psk, PublicKey};

/// An offer to pair, good for one use until it expires.
pub struct Offer {
    /// Origin of the relay on which to meet, such as `https://relay.example.org`.
    pub relay: String,
    /// The mailbox in which to meet.
    pub mailbox: [u8; 16],
    /// The agent's public key.
    pub agent: PublicKey,
    /// The secret of the pairing handshake.
    pub secret: Psk,
    /// The last second at which the offer is good, in seconds since 1970.
    pub expires: u64,
}

/// Why an offer was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OfferRejected {
    /// It is not a pairing link, or not all of one.
    #[error("this is not a complete pairing link")]
    Malformed,
    /// It was made by a version of the agent this program does not know.
    #[error("the pairing link is of an unknown version")]
    UnknownVersion,
    /// The relay in it is not an http or https origin, or is too long.
    #[error("the relay in the pairing link is not an http or https origin")]
    BadRelay,
    /// Its time is over.
    #[error("the pairing link has expired")]
    Expired,
}

impl OfferRejected {
    /// What the person can do about it.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Malformed => "copy the whole link, or scan the code again",
            Self::UnknownVersion => "update this program, or the agent, to the same version",
            Self::BadRelay => "set the agent's relay to an address like https://relay.example.org",
            Self::Expired => "run `vmux-agent pair` again for a new link",
        }
    }
}

impl Offer {
    /// The link; fails only for a relay that [`Offer::parse`] would refuse.
    pub fn encode(&self) -> Result<String, OfferRejected> {
        check_relay(&self.relay)?;
        let length = u8::try_from(self.relay.len()).map_err(|_| OfferRejected::BadRelay)?;
        let bytes = Zeroizing::new(
            [
                &[VERSION][..],
                &self.expires.to_be_bytes(),
                &self.mailbox,
                &self.agent.0,
                self.secret.expose(),
                &[length],
                self.relay.as_bytes(),
            ]
            .concat(),
        );
        let fragment = Zeroizing::new(Base64UrlUnpadded::encode_string(&bytes));
        Ok([self.relay.as_str(), APP_PATH, "#", &fragment].concat())
    }

    /// Reads a link, or only its part after the `#`. Says nothing about time; see [`Offer::check`].
    pub fn parse(link: &str) -> Result<Self, OfferRejected> {
        if link.len() > MAX_LINK {
            return Err(OfferRejected::Malformed);
        }
        let fragment = link.split_once('#').map_or(link, |(_, fragment)| fragment);
        let bytes: Zeroizing<Vec<u8>> = Base64UrlUnpadded::decode_vec(fragment)
            .map_err(|_| OfferRejected::Malformed)?
            .into();
        let (version, fields) = bytes.split_first().ok_or(OfferRejected::Malformed)?;
        if *version != VERSION {
            return Err(OfferRejected::UnknownVersion);
        }
        let offer = parse_fields(fields).ok_or(OfferRejected::Malformed)?;
        check_relay(&offer.relay)?;
        Ok(offer)
    }

    /// Checks that the offer is still good at `now_wall`, in seconds since 1970.
    pub fn check(&self, now_wall: u64) -> Result<(), OfferRejected> {
        if now_wall <= self.expires {
            Ok(())
        } else {
            Err(OfferRejected::Expired)
        }
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer")
            .field("relay", &self.relay)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Everything after the version; `None` if bytes are missing or left over.
fn parse_fields(bytes: &[u8]) -> Option<Offer> {
    let (expires, bytes) = bytes.split_first_chunk()?;
    let (mailbox, bytes) = bytes.split_first_chunk()?;
    let (agent, bytes) = bytes.split_first_chunk()?;
    let (secret, bytes) = bytes.split_first_chunk()?;
    let (length, relay) = bytes.split_first()?;
    if relay.len() != usize::from(*length) {
        return None;
    }
    Some(Offer {
        relay: core::str::from_utf8(relay).ok()?.to_owned(),
        mailbox: *mailbox,
        agent: PublicKey(*agent),
        secret: Psk::from_bytes(*secret),
        expires: u64::from_be_bytes(*expires),
    })
}

/// Accepts `http` or `https`, a lower-case host name or address, and a port if it is not the usual.
fn check_relay(relay: &str) -> Result<(), OfferRejected> {
    let authority = relay
        .strip_prefix("https://")
        .or_else(|| relay.strip_prefix("http://"))
        .ok_or(OfferRejected::BadRelay)?;
    let (host, port) = split_port(authority);
    let good = relay.len() <= MAX_RELAY && is_host(host) && port.is_none_or(is_port);
    good.then_some(()).ok_or(OfferRejected::BadRelay)
}

/// Splits at the last colon, unless it belongs to an IPv6 address in brackets.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        return address
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<core::net::Ipv6Addr>().is_ok());
    }
    host.split('.').all(is_name_label)
}

/// Letters, digits, hyphens; no hyphen at either end (RFC 1123 section 2.1).
fn is_name_label(label: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    !label.is_empty()
        && label.bytes().all(allowed)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_port(port: &str) -> bool {
    // A number has one form: u16's parser also takes "+1" and "01".
    let canonical = port.bytes().all(|c| c.is_ascii_digit()) && !port.starts_with('0');
    canonical && port.parse::<u16>().is_ok()
}

/// First byte of the encoded offer.
const VERSION: u8 = 1;

/// Where a relay serves the page that takes an offer.
const APP_PATH: &str = "/pair";

#[cfg(test)]
mod tests;

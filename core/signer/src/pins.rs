//! The host keys this signer has met, under the names the person gave them.
//!
//! A pin is made only when the person approves a login to a host whose key proved itself. Names that
//! the workstation reports are never looked up to decide trust, with one exception: a reported name
//! that is pinned to another key of the same kind is shown as changed, and then nothing is signed. One
//! that is pinned to a key of another kind is said to be taken.
use crate::record::{RecordDamaged, decode, encode};
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use vmux_proto::key::{Fingerprint, PublicKey};

/// Pins a signer keeps; a person with more hosts than this loses the oldest unused.
const MAX_PINS: usize = 10_000;

/// The name of a pinned host: 1 to 128 visible characters without spaces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PinName(String);

/// A name that cannot be a pin's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a host's name has 1 to 128 visible characters without spaces")]
pub struct PinNameRefused;

impl PinName {
    /// Checks a name the person gave.
    pub fn parse(name: &str) -> Result<Self, PinNameRefused> {
        let fits = (1..=128).contains(&name.chars().count());
        let visible = name
            .chars()
            .all(|c| c != ' ' && vmux_proto::untrusted::is_visible(c));
        if fits && visible {
            Ok(Self(name.into()))
        } else {
            Err(PinNameRefused)
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A host key the person knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The key.
    pub fingerprint: Fingerprint,
    /// The key's algorithm name.
    pub algorithm: String,
    /// What the person calls the host.
    pub name: PinName,
    /// When it was first approved, in seconds since 1970; 0 for one that came with the program.
    pub first_seen: u64,
    /// When it was last approved, in seconds since 1970.
    pub last_used: u64,
    /// Approved logins.
    pub uses: u64,
}

/// How a proven host key stands with the pins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Pinned under a name.
    Pinned(Pin),
    /// Never approved before.
    New,
    /// The reported name is pinned to another key of the same kind.
    Changed(Pin),
    /// The key did not prove itself, or there is none.
    Unverified,
}

/// All pins, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins(Vec<Pin>);

impl Pins {
    /// The pins that come with the program: host keys that large forges publish.
    pub fn well_known() -> Self {
        let pins = WELL_KNOWN.iter().filter_map(|(name, line)| {
            let (key, _) = PublicKey::from_line(line).ok()?;
            Some(Pin {
                fingerprint: key.fingerprint(),
                algorithm: key.algorithm().name().into(),
                name: PinName::parse(name).ok()?,
                first_seen: 0,
                last_used: 0,
                uses: 0,
            })
        });
        Self(pins.collect())
    }

    /// The pins, oldest first.
    pub fn all(&self) -> &[Pin] {
        &self.0
    }

    /// How a key that proved itself stands, given the name the workstation reports for the host.
    pub fn standing(&self, key: &PublicKey, reported: Option<&str>) -> Standing {
        let fingerprint = key.fingerprint();
        if let Some(pin) = self.0.iter().find(|pin| pin.fingerprint == fingerprint) {
            return Standing::Pinned(pin.clone());
        }
        let algorithm = key.algorithm().name();
        let conflicting = reported.and_then(|name| {
            let mut namesakes = self.namesakes(fingerprint, name);
            namesakes.find(|pin| pin.algorithm == algorithm)
        });
        conflicting.map_or(Standing::New, |pin| Standing::Changed(pin.clone()))
    }

    /// The pins of other keys that have this name, as resolvers compare names: without regard to case
    /// or to a dot at the end.
    pub fn namesakes<'a>(
        &'a self,
        of: Fingerprint,
        name: &'a str,
    ) -> impl Iterator<Item = &'a Pin> + 'a {
        self.0
            .iter()
            .filter(move |pin| pin.fingerprint != of && is_same_name(pin.name.as_str(), name))
    }

    /// Notes an approved login to a proven host; a new host gets `name`, unless that belongs to another
    /// key of its kind.
    pub(crate) fn approved(&mut self, key: &PublicKey, name: Option<&PinName>, wall: u64) {
        let fingerprint = key.fingerprint();
        if let Some(pin) = self.0.iter_mut().find(|pin| pin.fingerprint == fingerprint) {
            pin.uses = pin.uses.saturating_add(1);
            pin.last_used = wall;
            return;
        }
        if self.0.len() >= MAX_PINS {
            let oldest = self
                .0
                .iter()
                .enumerate()
                .min_by_key(|(_, pin)| pin.last_used);
            if let Some((at, _)) = oldest {
                self.0.remove(at);
            }
        }
        let algorithm = key.algorithm().name();
        let free = name.filter(|name| {
            let mut others = self.namesakes(fingerprint, name.as_str());
            !others.any(|pin| pin.algorithm == algorithm)
        });
        let unnamed = || PinName(fingerprint.to_string());
        let name = free.cloned().unwrap_or_else(unnamed);
        self.0.push(Pin {
            fingerprint,
            algorithm: algorithm.into(),
            name,
            first_seen: wall,
            last_used: wall,
            uses: 1,
        });
    }

    /// Gives the pins called `old` another name; says how many there were.
    pub fn rename(&mut self, old: &str, new: &PinName) -> usize {
        let mut renamed = 0_usize;
        for pin in self.0.iter_mut().filter(|pin| matches(pin, old)) {
            pin.name = new.clone();
            renamed = renamed.saturating_add(1);
        }
        renamed
    }

    /// Forgets the pins with this name or fingerprint; says how many there were.
    pub fn forget(&mut self, name: &str) -> usize {
        let before = self.0.len();
        self.0.retain(|pin| !matches(pin, name));
        before.saturating_sub(self.0.len())
    }

    /// For the state file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let stored: Vec<Stored> = self
            .0
            .iter()
            .map(|pin| Stored {
                fingerprint: ByteVec::from(pin.fingerprint.0.to_vec()),
                algorithm: pin.algorithm.clone(),
                name: pin.name.0.clone(),
                first_seen: pin.first_seen,
                last_used: pin.last_used,
                uses: pin.uses,
            })
            .collect();
        encode(&stored)
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordDamaged> {
        let stored: Vec<Stored> = decode(bytes)?;
        if stored.len() > MAX_PINS {
            return Err(RecordDamaged);
        }
        let pins = stored.into_iter().map(|entry| {
            let fingerprint = <[u8; 32]>::try_from(entry.fingerprint.as_slice());
            Ok(Pin {
                fingerprint: Fingerprint(fingerprint.map_err(|_| RecordDamaged)?),
                algorithm: entry.algorithm,
                name: PinName::parse(&entry.name).map_err(|_| RecordDamaged)?,
                first_seen: entry.first_seen,
                last_used: entry.last_used,
                uses: entry.uses,
            })
        });
        let pins: Vec<Pin> = pins.collect::<Result<_, _>>()?;
        let distinct: BTreeSet<_> = pins.iter().map(|pin| pin.fingerprint).collect();
        if distinct.len() == pins.len() {
            Ok(Self(pins))
        } else {
            Err(RecordDamaged)
        }
    }
}

fn is_same_name(one: &str, other: &str) -> bool {
    let folded = |name: &'_ str| -> String {
        let name = name.strip_suffix('.').unwrap_or(name);
        name.chars().flat_map(char::to_lowercase).collect()
    };
    folded(one) == folded(other)
}

fn matches(pin: &Pin, name: &str) -> bool {
    pin.name.as_str() == name || pin.fingerprint.to_string() == name
}

#[derive(Encode, Decode)]
struct Stored {
    #[n(0)]
    fingerprint: ByteVec,
    #[n(1)]
    algorithm: String,
    #[n(2)]
    name: String,
    #[n(3)]
    first_seen: u64,
    #[n(4)]
    last_used: u64,
    #[n(5)]
    uses: u64,
}

/// Published by the forges in their documentation of SSH host keys.
const WELL_KNOWN: &[(&str, &str)] = &[
    (
        "github.com",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",
    ),
    (
        "github.com",
        "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=",
    ),
    (
        "gitlab.com",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf",
    ),
    (
        "gitlab.com",
        "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBFSMqzJeV9rUzU4kWitGjeR4PWSa29SPqJ1fVkhtj3Hw9xjLVXVYrU9QlYWrOLXBpQ6KWjbjTDTdDkoohFzgbEY=",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forges_keys_have_the_fingerprints_they_publish() {
        let pins = Pins::well_known();
        let shown: Vec<String> = pins
            .all()
            .iter()
            .map(|pin| pin.fingerprint.to_string())
            .collect();
        assert_eq!(
            shown,
            [
                "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU",
                "SHA256:p2QAMXNIC1TJYWeIOttrVc98/R1BUFWu3/LiyKgUfQM",
                "SHA256:eUXGGm1YGsMAS7vkcx6JOJdOGHPem5gQp4taiCfCLB8",
                "SHA256:HbW3g8zUjNSksFbqTiUWPWg2Bq1x8xdGUrliXFzSnUw",
            ]
        );
    }

    #[test]
    fn names_are_the_same_whatever_their_case_and_with_a_dot_at_the_end() {
        for (other, same) in [
            ("github.com", true),
            ("GitHub.COM", true),
            ("github.com.", true),
            ("github.com..", false),
            ("github.co", false),
            ("", false),
        ] {
            assert_eq!(is_same_name("github.com", other), same, "{other}");
        }
    }

    #[test]
    fn stored_pins_come_back_and_a_byte_less_is_damage() {
        let bytes = Pins::well_known().to_bytes();
        assert_eq!(Pins::from_bytes(&bytes), Ok(Pins::well_known()));
        assert_eq!(
            Pins::from_bytes(&bytes[..bytes.len() - 1]),
            Err(RecordDamaged)
        );
    }
}

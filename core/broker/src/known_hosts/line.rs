//! One line of a `known_hosts` file, and which names fit it.

use alloc::string::String;
use alloc::vec::Vec;

use base64ct::{Base64, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use vmux_proto::limits::MAX_KEY_BLOB;
use vmux_proto::wire::Reader;

use super::{MAX_LINE, Place};

/// One usable line.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) marker: Marker,
    pub(super) hosts: Hosts,
    pub(super) key: Vec<u8>,
}

impl Entry {
    /// `[marker] hosts type base64 [comment]`, parted by blanks.
    pub(super) fn parse(line: &[u8], place: Place) -> Option<Self> {
        if line.len() > MAX_LINE {
            return None;
        }
        let (first, after_first) = field(line)?;
        let (marker, hosts, rest) = if first.starts_with('@') {
            let marker = match first {
                "@revoked" => Marker::Revoked,
                "@cert-authority" => Marker::Authority,
                _ => return None,
            };
            let (hosts, rest) = field(after_first)?;
            (marker, hosts, rest)
        } else {
            (Marker::None, first, after_first)
        };
        let (name, rest) = field(rest)?;
        let (encoded, _comment) = field(rest)?;
        // Looked at before decoding, which takes memory: four letters stand for three bytes.
        if encoded.len() > MAX_KEY_BLOB.saturating_mul(2) {
            return None;
        }
        let key = Base64::decode_vec(encoded).ok()?;
        let matches_type = Reader::new(&key)
            .string()
            .is_ok_and(|inside| inside == name.as_bytes());
        (key.len() <= MAX_KEY_BLOB && matches_type).then_some(())?;
        Some(Self {
            place,
            marker,
            hosts: Hosts::parse(hosts)?,
            key,
        })
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Marker {
    None,
    /// `@cert-authority`
    Authority,
    /// `@revoked`
    Revoked,
}

/// The host field of a line.
#[derive(Debug, Clone)]
pub(super) enum Hosts {
    Hashed {
        salt: [u8; DIGEST],
        digest: [u8; DIGEST],
    },
    /// Patterns parted by commas.
    Patterns(String),
}

impl Hosts {
    fn parse(field: &str) -> Option<Self> {
        let Some(hashed) = field.strip_prefix('|') else {
            return Some(Self::Patterns(field.into()));
        };
        let (salt, digest) = hashed.strip_prefix("1|")?.split_once('|')?;
        Some(Self::Hashed {
            salt: sha1_size(salt)?,
            digest: sha1_size(digest)?,
        })
    }

    pub(super) fn fits(&self, name: &str) -> bool {
        match self {
            Self::Hashed { salt, digest } => Hmac::<Sha1>::new_from_slice(salt)
                .is_ok_and(|mac| mac.chain_update(name).verify_slice(digest).is_ok()),
            Self::Patterns(list) => fits_list(list, name),
        }
    }
}

/// Whether a name fits a list of patterns; one that it must not fit settles it, wherever it stands.
fn fits_list(list: &str, name: &str) -> bool {
    let mut fits = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(&pattern.to_ascii_lowercase(), name) => return false,
            Some(_) => {}
            None => fits |= matches(&pattern.to_ascii_lowercase(), name),
        }
    }
    fits
}

/// Whether the whole name fits the pattern, where `*` stands for any text and `?` for any byte.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.as_bytes(), name.as_bytes());
    // Where to go on when the latest star has to take one byte more.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, name) {
            ([], []) => return true,
            ([b'*', rest @ ..], _) => {
                pattern = rest;
                retry = Some((rest, name));
                continue;
            }
            ([wanted, pattern_rest @ ..], [byte, name_rest @ ..])
                if *wanted == b'?' || wanted == byte =>
            {
                pattern = pattern_rest;
                name = name_rest;
                continue;
            }
            _ => {}
        }
        match retry {
            Some((after_star, [_, longer @ ..])) => {
                pattern = after_star;
                name = longer;
                retry = Some((after_star, longer));
            }
            _ => return false,
        }
    }
}

/// The next field and what follows it.
fn field(line: &[u8]) -> Option<(&str, &[u8])> {
    let line = line.trim_ascii_start();
    let end = line
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(line.len());
    let (field, rest) = line.split_at_checked(end)?;
    (!field.is_empty()).then_some(())?;
    Some((str::from_utf8(field).ok()?, rest))
}

fn sha1_size(encoded: &str) -> Option<[u8; DIGEST]> {
    let mut bytes = [0; DIGEST];
    (Base64::decode(encoded, &mut bytes).ok()?.len() == DIGEST).then_some(bytes)
}

/// Bytes of a SHA-1 digest, and of the salt that OpenSSH puts beside it.
const DIGEST: usize = 20;

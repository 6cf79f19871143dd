//! What a state file looks like: `VMUX <kind> <version>`, a line feed, the body, a line feed, the
//! SHA-256 of everything before that in hexadecimal, a line feed.
//!
//! The sum is looked at first, so a damaged version number is damage and not another version. It
//! finds accidents, not malice: whoever can write the file can write the sum.

use core::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// What a state file holds, and in which version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileKind {
    /// One word of lower-case letters and hyphens.
    pub word: &'static str,
    /// The version this program writes, and the newest it reads.
    pub version: u32,
    /// What is lost if the file is given up, for the person: "you will need to pair again".
    pub if_lost: &'static str,
}

/// The contents of a state file.
#[derive(Debug)]
pub struct Stored {
    /// The version it was written in, at most the newest known.
    pub version: u32,
    /// What was saved.
    pub body: Zeroizing<Vec<u8>>,
}

/// Why bytes are not the contents of a state file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    Damaged,
    Newer(u32),
}

pub(super) fn wrap(kind: &FileKind, body: &[u8]) -> Zeroizing<Vec<u8>> {
    let header = header(kind.word, kind.version);
    // Exactly enough, so that no copy of a secret is left behind by growing.
    let length = header
        .len()
        .saturating_add(body.len())
        .saturating_add(TRAILER);
    let mut bytes = Zeroizing::new(Vec::with_capacity(length));
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(body);
    let trailer = trailer(&bytes);
    bytes.extend_from_slice(trailer.as_bytes());
    bytes
}

pub(super) fn unwrap(kind: &FileKind, bytes: &[u8]) -> Result<Stored, Rejected> {
    let (contents, found) = bytes
        .split_last_chunk::<TRAILER>()
        .ok_or(Rejected::Damaged)?;
    if found.as_slice() != trailer(contents).as_bytes() {
        return Err(Rejected::Damaged);
    }
    let end = contents
        .iter()
        .position(|&b| b == b'\n')
        .ok_or(Rejected::Damaged)?;
    let (line, body) = contents.split_at_checked(end).ok_or(Rejected::Damaged)?;
    let body = body.strip_prefix(b"\n").ok_or(Rejected::Damaged)?;
    let version = version(kind.word, line).ok_or(Rejected::Damaged)?;
    if version > kind.version {
        return Err(Rejected::Newer(version));
    }
    Ok(Stored {
        version,
        body: Zeroizing::new(body.to_vec()),
    })
}

fn header(word: &str, version: u32) -> String {
    format!("VMUX {word} {version}\n")
}

fn version(word: &str, line: &[u8]) -> Option<u32> {
    let line = core::str::from_utf8(line).ok()?;
    let version = line
        .strip_prefix("VMUX ")?
        .strip_prefix(word)?
        .strip_prefix(' ')?;
    version.parse().ok()
}

fn trailer(contents: &[u8]) -> String {
    let mut line = String::with_capacity(TRAILER);
    line.push('\n');
    for byte in Sha256::digest(contents) {
        // Writing to a string does not fail.
        if write!(line, "{byte:02x}").is_err() {
            break;
        }
    }
    line.push('\n');
    line
}

/// Two line feeds and the sum.
const TRAILER: usize = 66;

/// What the envelope adds to a body, at most: a header is one short word and a number.
pub(super) const MAX_OVERHEAD: usize = 64 + TRAILER;

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: FileKind = FileKind {
        word: "pairings",
        version: 2,
        if_lost: "pair again",
    };

    #[test]
    fn the_form_on_disk_is_this() {
        // The sum is what `printf 'VMUX pairings 2\nbody' | sha256sum` prints.
        let expected = "VMUX pairings 2\nbody\n\
            b7b14d26b119a5fb1486befb547c49da5e935304f46b90602790a770268a53aa\n";
        assert_eq!(wrap(&KIND, b"body").as_slice(), expected.as_bytes());
    }

    #[test]
    fn any_body_comes_back_as_it_went_in() {
        for body in [
            &b""[..],
            b"\n",
            b"\n\n\nVMUX pairings 9\n",
            &[0, 255, b'\n', 0],
        ] {
            let stored = unwrap(&KIND, &wrap(&KIND, body)).unwrap();
            assert_eq!((stored.version, stored.body.as_slice()), (2, body));
        }
    }

    #[test]
    fn one_damaged_byte_anywhere_is_noticed() {
        let whole = wrap(&KIND, b"some body\nof two lines");
        assert!(unwrap(&KIND, &whole).is_ok());
        for at in 0..whole.len() {
            for change in [1, 0x20, 0x80] {
                let mut bytes = whole.to_vec();
                bytes[at] ^= change;
                assert_eq!(
                    unwrap(&KIND, &bytes).err(),
                    Some(Rejected::Damaged),
                    "byte {at}"
                );
            }
        }
    }

    #[test]
    fn a_file_cut_anywhere_or_with_more_behind_is_noticed() {
        let whole = wrap(&KIND, b"body");
        for length in 0..whole.len() {
            assert_eq!(
                unwrap(&KIND, &whole[..length]).err(),
                Some(Rejected::Damaged)
            );
        }
        let mut longer = whole.to_vec();
        longer.push(b'\n');
        assert_eq!(unwrap(&KIND, &longer).err(), Some(Rejected::Damaged));
    }

    #[test]
    fn older_versions_are_read_and_newer_ones_are_not() {
        let of = |version| FileKind { version, ..KIND };
        assert_eq!(unwrap(&KIND, &wrap(&of(1), b"x")).unwrap().version, 1);
        assert_eq!(unwrap(&KIND, &wrap(&of(2), b"x")).unwrap().version, 2);
        assert_eq!(
            unwrap(&KIND, &wrap(&of(3), b"x")).err(),
            Some(Rejected::Newer(3))
        );
    }

    #[test]
    fn a_file_of_another_kind_is_not_taken_for_this_one() {
        for word in ["pairing", "pairingss", "audit"] {
            let other = FileKind { word, ..KIND };
            assert_eq!(
                unwrap(&KIND, &wrap(&other, b"x")).err(),
                Some(Rejected::Damaged)
            );
        }
    }
}

//! Lines that carry the digest of everything before them.
use super::entry::{Entry, hexadecimal};
use crate::limits::{MAX_GROWTH, MAX_LOG_LINE};
use crate::now::Now;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use sha2::{Digest as _, Sha256};

/// SHA-256 of a line, without its newline.
pub type Digest = [u8; 32];

/// A log up to some line: how many lines, and one digest over all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Head {
    /// Lines so far.
    #[n(0)]
    pub lines: u64,
    /// Zeros for no line; then SHA-256 of the digest before, followed by the line's own digest.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub digest: [u8; 32],
}

impl Head {
    /// The head of a log without lines.
    pub const EMPTY: Self = Self {
        lines: 0,
        digest: [0; 32],
    };

    /// The head after one more line.
    #[must_use]
    pub fn after(self, line: &Digest) -> Self {
        let digest = Sha256::new()
            .chain_update(self.digest)
            .chain_update(line)
            .finalize();
        Self {
            lines: self.lines.saturating_add(1),
            digest: digest.into(),
        }
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (lines, digest) = text.split_once(':')?;
        let head = Self {
            lines: lines.parse().ok()?,
            digest: parse_digest(digest)?,
        };
        // Numbers have other spellings, a head has one.
        (head.to_string() == text).then_some(head)
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.lines, hexadecimal(&self.digest))
    }
}

/// How safe a line must be before those who wait for it go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Storing {
    /// Taken by the file system.
    Written,
    /// On disk.
    Synced,
}

/// A line on its way to the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The log before it. A line that does not fit the end of the file is not written.
    pub before: Head,
    /// The log after it.
    pub after: Head,
    /// The line's own digest.
    pub digest: Digest,
    /// The JSON object, without a newline.
    pub bytes: Vec<u8>,
    /// How safe it must be.
    pub storing: Storing,
}

/// Makes the lines of a log.
#[derive(Clone, Copy, Debug)]
pub struct Chain {
    head: Head,
}

impl Chain {
    /// Goes on after this head.
    pub const fn after(head: Head) -> Self {
        Self { head }
    }

    /// The log so far.
    pub const fn head(&self) -> Head {
        self.head
    }

    /// Makes the next line.
    pub fn append(&mut self, entry: Entry, storing: Storing, now: Now) -> Line {
        let before = self.head;
        let entry = Entry {
            line: before.lines.saturating_add(1),
            time: rfc3339(now.wall),
            prev: hexadecimal(&before.digest),
            ..entry
        };
        // Texts and numbers always encode; an empty line would be refused by whoever writes it.
        let bytes = serde_json::to_vec(&entry).unwrap_or_default();
        let digest: Digest = Sha256::digest(&bytes).into();
        self.head = before.after(&digest);
        Line {
            before,
            after: self.head,
            digest,
            bytes,
            storing,
        }
    }
}

/// Checks the lines of a log, in order.
#[derive(Clone, Copy, Debug)]
pub struct Checker {
    /// None before the first line, whose word for what was before it is taken.
    head: Option<Head>,
}

/// Where a log is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Not a record.
    #[error("line {line} is not a record")]
    NotARecord {
        /// Its number, counted from the line before.
        line: u64,
    },
    /// Lines are missing, or stand twice.
    #[error("line {expected} is missing: line {found} follows line {}", expected.saturating_sub(1))]
    Missing {
        /// The number that should be here.
        expected: u64,
        /// The number that is.
        found: u64,
    },
    /// The digest does not fit what stands before.
    #[error("line {line} was changed, or something before it")]
    Changed {
        /// The last line before the digest that does not fit.
        line: u64,
    },
}

impl Checker {
    /// Begins with the first line of the oldest file.
    pub const fn new() -> Self {
        Self { head: None }
    }

    /// Goes on after this head.
    pub const fn after(head: Head) -> Self {
        Self { head: Some(head) }
    }

    /// The log so far; none before the first line.
    pub const fn head(&self) -> Option<Head> {
        self.head
    }

    /// Checks the next line, without its newline.
    pub fn line(&mut self, bytes: &[u8]) -> Result<Entry, Broken> {
        let next = self.head.map(|head| head.lines.saturating_add(1));
        let not_a_record = Broken::NotARecord {
            line: next.unwrap_or(1),
        };
        if bytes.len() > MAX_LOG_LINE {
            return Err(not_a_record);
        }
        let entry: Entry = serde_json::from_slice(bytes).map_err(|_| not_a_record.clone())?;
        let prev = parse_digest(&entry.prev).ok_or_else(|| not_a_record.clone())?;
        let lines = entry.line.checked_sub(1).ok_or(not_a_record)?;
        let told = Head {
            lines,
            digest: prev,
        };
        let before = self.head.unwrap_or(told);
        if before.lines != lines {
            return Err(Broken::Missing {
                expected: before.lines.saturating_add(1),
                found: entry.line,
            });
        }
        let is_first = lines == 0;
        if before != told || (is_first && told != Head::EMPTY) {
            return Err(Broken::Changed { line: lines.max(1) });
        }
        self.head = Some(before.after(&Sha256::digest(bytes).into()));
        Ok(entry)
    }
}

impl Default for Checker {
    fn default() -> Self {
        Self::new()
    }
}

/// What the owner of a log tells the other end: digests of the lines after a head that the other
/// end may know. The other end folds them and so sees that the log it knew was only added to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Growth {
    /// The log before these lines.
    #[n(0)]
    pub base: Head,
    /// The lines' digests, 32 bytes each.
    #[n(1)]
    pub digests: ByteVec,
}

impl Growth {
    /// Tells of at most [`MAX_GROWTH`] lines.
    pub fn new<'a>(base: Head, digests: impl IntoIterator<Item = &'a Digest>) -> Self {
        let digests: Vec<u8> = digests
            .into_iter()
            .take(MAX_GROWTH)
            .flatten()
            .copied()
            .collect();
        Self {
            base,
            digests: digests.into(),
        }
    }

    /// The log after these lines.
    pub fn end(&self) -> Head {
        let (digests, _) = self.digests.as_chunks::<32>();
        digests.iter().fold(self.base, Head::after)
    }

    pub(crate) fn within_limits(&self) -> bool {
        let (digests, rest) = self.digests.as_chunks::<32>();
        digests.len() <= MAX_GROWTH && rest.is_empty()
    }
}

fn parse_digest(text: &str) -> Option<Digest> {
    let digits = text.as_bytes();
    let lower = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    if digits.len() != 64 || !digits.iter().all(lower) {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(digits.as_chunks::<2>().0) {
        *byte = u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

/// The time as people and programs read it; a clock beyond the year 9999 reads as 1970.
fn rfc3339(wall: u64) -> String {
    let seconds = i64::try_from(wall).unwrap_or_default();
    jiff::Timestamp::from_second(seconds)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_string()
}

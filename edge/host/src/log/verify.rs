//! Checks the log, and finds in it what the other end may ask about (I9).

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use sha2::{Digest as _, Sha256};
use vmux_proto::audit::{Broken, Checker, Digest, Entry, Growth, Head};
use vmux_proto::limits::MAX_GROWTH;

use super::read::{LogLine, read, read_after};
use crate::files::FileRefused;

/// A log in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How far it goes.
    pub head: Head,
    /// Number of the oldest line that is still there; zero if there is none.
    pub first: u64,
    /// Lines that were checked.
    pub lines: u64,
    /// Files that hold them.
    pub files: u64,
    /// Bytes at the end that are no whole line.
    pub unfinished: usize,
}

/// The first place where a log is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}, line {line} of that file: {broken}")]
pub struct Found {
    /// Name of the file.
    pub file: String,
    /// Line of that file, from 1.
    pub line: u64,
    /// What is wrong there.
    pub broken: Broken,
}

/// Why a log is not in order.
#[derive(Debug, thiserror::Error)]
pub enum NotVerified {
    /// It cannot be read.
    #[error(transparent)]
    Refused(#[from] FileRefused),
    /// It was changed.
    #[error(transparent)]
    Found(#[from] Found),
    /// It is in order, but not the log whose end is known.
    #[error("the log ends with line {}, but line {} is known: its end was cut off", found.lines, known.lines)]
    Cut {
        /// What is known.
        known: Head,
        /// How far it goes.
        found: Head,
    },
    /// It is in order, but another log than the one that is known.
    #[error("line {} is not the one that is known: it or a line before it was rewritten", known.lines)]
    Rewritten {
        /// What is known.
        known: Head,
    },
}

/// Checks the whole log of a state directory, against a head that somebody remembers if there is one.
pub fn verify(state_dir: &Path, known: Option<Head>) -> Result<Verified, NotVerified> {
    let mut checker = Checker::new();
    let mut lines = read(state_dir)?;
    let mut place: Option<(Rc<str>, u64)> = None;
    let mut verified = Verified {
        head: Head::EMPTY,
        first: 0,
        lines: 0,
        files: 0,
        unfinished: 0,
    };
    // A log whose beginning is gone cannot be held against a head from before it.
    let mut met = known.is_none_or(|known| known == Head::EMPTY);
    for line in &mut lines {
        let LogLine {
            file,
            number,
            bytes,
        } = line?;
        let entry = checker
            .line(&bytes)
            .map_err(|broken| found(broken, place.as_ref(), &file, number))?;
        if verified.lines == 0 {
            verified.first = entry.line;
            met |= known.is_some_and(|known| known.lines < entry.line.saturating_sub(1));
            met |= known == told(&entry);
        }
        if place.as_ref().is_none_or(|(before, _)| *before != file) {
            verified.files = verified.files.saturating_add(1);
        }
        verified.lines = verified.lines.saturating_add(1);
        verified.head = checker.head().unwrap_or(Head::EMPTY);
        met |= known == Some(verified.head);
        place = Some((file, number));
    }
    verified.unfinished = lines.unfinished();
    match known {
        Some(known) if !met && known.lines > verified.head.lines => Err(NotVerified::Cut {
            known,
            found: verified.head,
        }),
        Some(known) if !met => Err(NotVerified::Rewritten { known }),
        _ => Ok(verified),
    }
}

/// A digest that does not fit tells of the line before.
fn found(broken: Broken, before: Option<&(Rc<str>, u64)>, file: &Rc<str>, line: u64) -> Found {
    let here = (Rc::clone(file), line);
    let (file, line) = match (&broken, before) {
        (Broken::Changed { .. }, Some(before)) => before.clone(),
        (Broken::Changed { .. } | Broken::Missing { .. } | Broken::NotARecord { .. }, _) => here,
    };
    Found {
        file: file.to_string(),
        line,
        broken,
    }
}

/// What a line says of the log before it.
fn told(entry: &Entry) -> Option<Head> {
    Head::parse(&format!("{}:{}", entry.line.saturating_sub(1), entry.prev))
}

/// The heads of the other ends' logs that this log remembers, by the name of their link.
pub fn heads(state_dir: &Path) -> Result<BTreeMap<String, Head>, FileRefused> {
    let mut heads = BTreeMap::new();
    for line in read(state_dir)? {
        // A line that is no record says nothing; that it is none, `verify` says.
        let Ok(entry) = Checker::new().line(&line?.bytes) else {
            continue;
        };
        if let (Some(link), Some(head)) = (entry.link, entry.other_log)
            && let Some(head) = Head::parse(&head)
        {
            heads.insert(link, head);
        }
    }
    Ok(heads)
}

/// What to tell an end that knows the log up to `from`, in pieces that fit a message; none if `from`
/// is no head of this log.
pub fn growth(state_dir: &Path, from: Head) -> Result<Option<Vec<Growth>>, FileRefused> {
    let mut checker = Checker::new();
    let mut pieces = Vec::new();
    let mut base = (from == Head::EMPTY).then_some(from);
    let mut digests: Vec<Digest> = Vec::new();
    for line in read_after(state_dir, from.lines)? {
        let bytes = line?.bytes;
        let is_first = checker.head().is_none();
        let Ok(entry) = checker.line(&bytes) else {
            // Past a break nothing follows from what is known.
            return Ok(None);
        };
        if is_first {
            let before = told(&entry);
            if base.is_some() && before != Some(Head::EMPTY) {
                return Ok(None);
            }
            base = base.or(before.filter(|head| *head == from));
        }
        if base.is_some() {
            digests.push(Sha256::digest(&bytes).into());
        } else {
            base = checker.head().filter(|head| *head == from);
        }
        if let Some(known) = base
            && digests.len() == MAX_GROWTH
        {
            let piece = Growth::new(known, &digests);
            base = Some(piece.end());
            pieces.push(piece);
            digests.clear();
        }
    }
    if let Some(known) = base
        && (pieces.is_empty() || !digests.is_empty())
    {
        pieces.push(Growth::new(known, &digests));
    }
    Ok(base.is_some().then_some(pieces))
}

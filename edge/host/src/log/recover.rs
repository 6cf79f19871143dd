//! Where a log ends, as its file stands.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use vmux_proto::audit::{Checker, Head};
use vmux_proto::limits::MAX_LOG_LINE;

/// The end of a file: what its last record says, and where that record ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) head: Head,
    /// Bytes up to here are whole lines; what follows is torn.
    pub(super) bytes: u64,
}

/// Finds the last whole record. Its own word for what was before it is taken: a log that was tampered
/// with goes on after what stands there, and whoever verifies it sees where it broke.
pub(super) fn end(file: &File) -> io::Result<Option<End>> {
    let length = file.metadata()?.len();
    let mut window = WINDOW.min(length);
    loop {
        let from = length.saturating_sub(window);
        let mut bytes = vec![0; usize::try_from(window).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, from)?;
        if let Some((head, end)) = last_record(&bytes, from) {
            let end = u64::try_from(end).map_err(io::Error::other)?;
            return Ok(Some(End {
                head,
                bytes: from.saturating_add(end),
            }));
        }
        if from == 0 {
            return Ok(None);
        }
        window = window.saturating_mul(2).min(length);
    }
}

/// The last line of `bytes` that is a record, and where its newline ends. Unless they are `from` the
/// beginning of the file, what stands before the first newline is no whole line.
fn last_record(bytes: &[u8], from: u64) -> Option<(Head, usize)> {
    let mut rest = bytes;
    loop {
        let end = rest.iter().rposition(|byte| *byte == b'\n')?;
        let before = rest.get(..end)?;
        let start = before.iter().rposition(|byte| *byte == b'\n');
        if start.is_none() && from > 0 {
            return None;
        }
        let line = before.get(start.map_or(0, |at| at.saturating_add(1))..)?;
        let mut checker = Checker::new();
        if checker.line(line).is_ok()
            && let Some(head) = checker.head()
        {
            return Some((head, end.saturating_add(1)));
        }
        rest = before;
    }
}

/// The number of the first line of a file, if that is a record.
pub(super) fn first_line(file: &File) -> io::Result<Option<u64>> {
    let mut bytes = vec![0; MAX_LOG_LINE.saturating_add(1)];
    let mut filled = 0;
    while let Some(free) = bytes.get_mut(filled..).filter(|free| !free.is_empty()) {
        let at = u64::try_from(filled).map_err(io::Error::other)?;
        match file.read_at(free, at)? {
            0 => break,
            more => filled = filled.saturating_add(more),
        }
    }
    let line = bytes
        .get(..filled)
        .and_then(|bytes| bytes.split(|byte| *byte == b'\n').next());
    let entry = line.and_then(|line| Checker::new().line(line).ok());
    Ok(entry.map(|entry| entry.line))
}

/// Nearly always enough for the last line, and always if it is whole.
const WINDOW: u64 = 2 * 128 * 1024;

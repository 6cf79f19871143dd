//! The agent's log on a disk that may be slow, or full.
use std::collections::{BTreeSet, VecDeque};
use vmux_proto::audit::{Checker, Digest, Event, Growth, Head, Line};
use vmux_proto::limits::MAX_GROWTH;
use vmux_proto::message::RequestId;

/// The file, and the lines on their way to it.
pub(crate) struct File {
    head: Head,
    digests: Vec<Digest>,
    under_way: VecDeque<Line>,
    /// Requests whose approval is on disk.
    approved: BTreeSet<String>,
    /// Lines that waited for the disk, and lines that it lost.
    pub(crate) late: usize,
    pub(crate) lost: usize,
}

impl File {
    pub(crate) const fn new() -> Self {
        Self {
            head: Head::EMPTY,
            digests: Vec::new(),
            under_way: VecDeque::new(),
            approved: BTreeSet::new(),
            late: 0,
            lost: 0,
        }
    }

    /// Takes a line to be written; gives what it tells of.
    pub(crate) fn take(&mut self, line: Line) -> Event {
        let entry = Checker::after(line.before).line(&line.bytes).unwrap();
        self.under_way.push_back(line);
        entry.event
    }

    /// Writes all lines; gives the number of the last, if there was one.
    pub(crate) fn write(&mut self) -> Option<u64> {
        self.write_some(self.under_way.len())
    }

    pub(crate) fn write_half(&mut self) -> Option<u64> {
        self.write_some(self.under_way.len() / 2)
    }

    /// Loses all that is not written.
    pub(crate) fn lose(&mut self) {
        self.lost += self.under_way.len();
        self.under_way.clear();
    }

    /// The program is killed; gives what the file holds.
    pub(crate) fn restart(&mut self) -> Head {
        self.lose();
        self.head
    }

    /// Time passes without the disk.
    pub(crate) fn wait(&mut self) {
        self.late += self.under_way.len();
    }

    pub(crate) fn has_approval(&self, request: RequestId) -> bool {
        let digits = request.0.iter().map(|byte| format!("{byte:02x}"));
        self.approved.contains(&digits.collect::<String>())
    }

    /// What follows a head, if the file holds it.
    pub(crate) fn growth(&self, from: Head) -> Vec<Growth> {
        let mut base = Head::EMPTY;
        let mut rest = &self.digests[..];
        while base.lines < from.lines {
            let Some((first, others)) = rest.split_first() else {
                return Vec::new();
            };
            (base, rest) = (base.after(first), others);
        }
        if base != from {
            return Vec::new();
        }
        let mut growths = Vec::new();
        for some in rest.chunks(MAX_GROWTH) {
            let growth = Growth::new(base, some);
            base = growth.end();
            growths.push(growth);
        }
        growths
    }

    fn write_some(&mut self, lines: usize) -> Option<u64> {
        for line in self.under_way.drain(..lines).collect::<Vec<_>>() {
            assert_eq!(
                line.before, self.head,
                "a line that does not follow the file"
            );
            let entry = Checker::after(self.head).line(&line.bytes).unwrap();
            self.head = line.after;
            self.digests.push(line.digest);
            if entry.event == Event::Approved {
                self.approved.extend(entry.request);
            }
        }
        (lines > 0).then_some(self.head.lines)
    }
}

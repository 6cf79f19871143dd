//! A log in the hands of a state machine: which lines are safe, and what waits for them (I8).
use super::chain::{Chain, Digest, Growth, Head, Line, Storing};
use super::entry::{Entry, Event};
use crate::limits::MAX_GROWTH;
use crate::now::Now;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// A log and those who wait for its lines.
#[derive(Debug)]
pub struct Journal<W> {
    chain: Chain,
    /// How far the file is known to reach.
    stored: Head,
    under_way: VecDeque<UnderWay<W>>,
    /// Lines to be written, in order.
    lines: VecDeque<Line>,
    /// Records that did not make it into the file since the last that did.
    lost: u64,
    /// Digests of the last stored lines, and the head before the first of them.
    recent: VecDeque<Digest>,
    base: Head,
}

#[derive(Debug)]
struct UnderWay<W> {
    after: Head,
    digest: Digest,
    waiter: Option<W>,
}

impl<W> Journal<W> {
    /// Goes on after what the file holds.
    pub const fn after(head: Head) -> Self {
        Self {
            chain: Chain::after(head),
            stored: head,
            under_way: VecDeque::new(),
            lines: VecDeque::new(),
            lost: 0,
            recent: VecDeque::new(),
            base: head,
        }
    }

    /// Puts a record on its way; nobody waits for it.
    pub fn note(&mut self, entry: Entry, now: Now) {
        self.add(entry, Storing::Written, None, now);
    }

    /// Puts a record on its way; `waiter` comes back when it is safe, or cannot be.
    pub fn wait_for(&mut self, entry: Entry, storing: Storing, waiter: W, now: Now) {
        self.add(entry, storing, Some(waiter), now);
    }

    /// The next line to write, until there is none.
    pub fn poll(&mut self) -> Option<Line> {
        self.lines.pop_front()
    }

    /// The log as far as it is stored.
    pub const fn head(&self) -> Head {
        self.stored
    }

    /// The log with the lines that are on their way.
    pub const fn end(&self) -> Head {
        self.chain.head()
    }

    /// All lines up to this number are as safe as they were to be; gives back who waited for them.
    pub fn stored(&mut self, lines: u64) -> Vec<W> {
        let mut waiters = Vec::new();
        while let Some(one) = self.under_way.pop_front_if(|one| one.after.lines <= lines) {
            self.stored = one.after;
            self.lost = 0;
            if self.recent.len() >= MAX_GROWTH
                && let Some(oldest) = self.recent.pop_front()
            {
                self.base = self.base.after(&oldest);
            }
            self.recent.push_back(one.digest);
            waiters.extend(one.waiter);
        }
        waiters
    }

    /// Nothing after the stored lines could be written; gives back who waited for more. The next
    /// record is tried again, with a line before it that says how many are missing.
    pub fn failed(&mut self) -> Vec<W> {
        let lost = u64::try_from(self.under_way.len()).unwrap_or(u64::MAX);
        self.lost = self.lost.saturating_add(lost);
        self.chain = Chain::after(self.stored);
        self.lines.clear();
        self.under_way
            .drain(..)
            .filter_map(|one| one.waiter)
            .collect()
    }

    /// What to tell an end that knows the log up to `base`; none if that is further back than
    /// memory reaches, or is no head of this log.
    pub fn growth(&self, base: Head) -> Option<Growth> {
        let skipped = base.lines.checked_sub(self.base.lines)?;
        let skipped = usize::try_from(skipped).ok()?;
        if skipped > self.recent.len() {
            return None;
        }
        let before = self.recent.iter().take(skipped);
        let known = before.fold(self.base, Head::after);
        (known == base).then(|| Growth::new(base, self.recent.iter().skip(skipped)))
    }

    fn add(&mut self, entry: Entry, storing: Storing, waiter: Option<W>, now: Now) {
        // Once a failure, say so before anything else; what is lost again is counted again.
        if self.lost > 0 && self.under_way.is_empty() {
            let lost = Entry {
                count: Some(self.lost),
                ..Entry::new(Event::Lost)
            };
            self.push(lost, Storing::Written, None, now);
            // The line that tells of them is not itself lost if it fails.
            self.lost = self.lost.saturating_sub(1);
        }
        self.push(entry, storing, waiter, now);
    }

    fn push(&mut self, entry: Entry, storing: Storing, waiter: Option<W>, now: Now) {
        let line = self.chain.append(entry, storing, now);
        self.under_way.push_back(UnderWay {
            after: line.after,
            digest: line.digest,
            waiter,
        });
        self.lines.push_back(line);
    }
}

#[cfg(test)]
mod tests;

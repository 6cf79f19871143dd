//! How long a source must wait after it was denied or left without an answer.
//!
//! The pause grows with each in a row and is over with the first approval, so that nobody is worn
//! down by prompts. Agent and signer keep one each; what the agent knows can only make it refuse
//! earlier (I6).
use crate::source::Source;
use alloc::collections::BTreeMap;

/// What became of the last requests of each source.
#[derive(Clone, Debug, Default)]
pub struct Patience {
    sources: BTreeMap<Source, Score>,
}

#[derive(Clone, Copy, Debug)]
struct Score {
    failures: usize,
    /// When the last failure happened, and when the next request may come; milliseconds of uptime.
    last: u64,
    until: u64,
}

/// Why a request was in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vain {
    /// The person said no, or typed a wrong number.
    Denied,
    /// Nobody decided.
    TimedOut,
}

/// How long a source stays blocked that the person blocks, in milliseconds.
pub const BLOCK_MS: u64 = 3_600_000;

/// The pause after so many denials in a row, in milliseconds; the last one holds for all further.
const PAUSES: [u64; 6] = [0, 2_000, 10_000, 60_000, 300_000, 900_000];

/// After so long without a failure a source starts anew, in milliseconds.
const FORGIVEN_AFTER: u64 = 3_600_000;

/// Sources remembered; the one whose last failure is longest ago makes room.
const MAX_SOURCES: usize = 256;

impl Patience {
    /// When the next request of this source may be asked, if that is later than now.
    pub fn paused_until(&self, source: &Source, uptime: u64) -> Option<u64> {
        let until = self.sources.get(source)?.until;
        (uptime < until).then_some(until)
    }

    /// Notes a request in vain. Requests that were waiting together count once: they were asked
    /// before anybody could learn from the first one.
    pub fn failed(&mut self, source: &Source, why: Vain, asked: u64, uptime: u64) {
        let score = self.sources.get(source).copied();
        let known = score.filter(|score| uptime.saturating_sub(score.last) < FORGIVEN_AFTER);
        if known.is_some_and(|score| asked <= score.last) {
            return;
        }
        let failures = known.map_or(0, |score| score.failures).saturating_add(1);
        // Who was away is not pestered: a time-out counts one step less.
        let step = match why {
            Vain::Denied => failures,
            Vain::TimedOut => failures.saturating_sub(1),
        };
        let pause = PAUSES.get(step).or(PAUSES.last()).copied().unwrap_or(0);
        if !self.sources.contains_key(source) && self.sources.len() >= MAX_SOURCES {
            self.forget_oldest();
        }
        let score = Score {
            failures,
            last: uptime,
            until: uptime.saturating_add(pause),
        };
        self.sources.insert(source.clone(), score);
    }

    /// Notes an approval: the person wants this source's requests.
    pub fn approved(&mut self, source: &Source) {
        self.sources.remove(source);
    }

    /// The sources that must wait, and until when.
    pub fn paused(&self, uptime: u64) -> impl Iterator<Item = (&Source, u64)> {
        let paused = move |score: &Score| uptime < score.until;
        self.sources
            .iter()
            .filter(move |(_, score)| paused(score))
            .map(|(source, score)| (source, score.until))
    }

    fn forget_oldest(&mut self) {
        let oldest = self.sources.iter().min_by_key(|(_, score)| score.last);
        if let Some(source) = oldest.map(|(source, _)| source.clone()) {
            self.sources.remove(&source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::vec::Vec;

    fn program(name: &str) -> Source {
        Source::Program(name.into())
    }

    /// The pauses after failures that follow each other as soon as they may.
    fn pauses(why: Vain, count: usize) -> Vec<u64> {
        let (mut patience, mut now, git) = (Patience::default(), 1, program("git"));
        let mut pauses = Vec::new();
        for _ in 0..count {
            patience.failed(&git, why, now, now);
            let until = patience.paused_until(&git, now).unwrap_or(now);
            pauses.push(until - now);
            now = until + 1;
        }
        pauses
    }

    #[test]
    fn the_pause_grows_with_each_denial_and_stops_growing() {
        let expected = [2_000, 10_000, 60_000, 300_000, 900_000, 900_000, 900_000];
        assert_eq!(pauses(Vain::Denied, 7), expected);
    }

    #[test]
    fn the_first_time_out_costs_nothing() {
        let expected = [0, 2_000, 10_000, 60_000, 300_000, 900_000, 900_000];
        assert_eq!(pauses(Vain::TimedOut, 7), expected);
    }

    #[test]
    fn the_pause_ends_in_time_and_not_a_millisecond_earlier() {
        let (mut patience, git) = (Patience::default(), program("git"));
        patience.failed(&git, Vain::Denied, 100, 100);
        assert_eq!(patience.paused_until(&git, 2_099), Some(2_100));
        assert_eq!(patience.paused_until(&git, 2_100), None);
        assert_eq!(patience.paused_until(&program("ssh"), 100), None);
    }

    #[test]
    fn what_waited_together_counts_once() {
        let (mut patience, git) = (Patience::default(), program("git"));
        for _ in 0..8 {
            patience.failed(&git, Vain::Denied, 50, 100);
        }
        assert_eq!(patience.paused_until(&git, 100), Some(2_100));
        patience.failed(&git, Vain::Denied, 101, 200);
        assert_eq!(patience.paused_until(&git, 200), Some(10_200));
    }

    #[test]
    fn an_approval_and_an_hour_start_anew() {
        let (mut patience, git) = (Patience::default(), program("git"));
        patience.failed(&git, Vain::Denied, 1, 1);
        patience.failed(&git, Vain::Denied, 2, 2);
        patience.approved(&git);
        assert_eq!(patience.paused_until(&git, 2), None);
        patience.failed(&git, Vain::Denied, 3, 3);
        assert_eq!(patience.paused_until(&git, 3), Some(2_003));
        let later = 3 + FORGIVEN_AFTER;
        patience.failed(&git, Vain::Denied, later - 1, later - 1);
        assert_eq!(patience.paused_until(&git, later - 1), Some(later + 9_999));
        let much_later = 2 * later;
        patience.failed(&git, Vain::Denied, much_later, much_later);
        assert_eq!(
            patience.paused_until(&git, much_later),
            Some(much_later + 2_000)
        );
    }

    #[test]
    fn more_sources_than_fit_push_out_the_oldest() {
        let mut patience = Patience::default();
        for at in 0..=u64::try_from(MAX_SOURCES).unwrap() {
            patience.failed(&program(&format!("p{at}")), Vain::Denied, at, at);
        }
        assert_eq!(patience.sources.len(), MAX_SOURCES);
        assert_eq!(patience.paused_until(&program("p0"), 1), None);
        assert!(patience.paused_until(&program("p1"), 1).is_some());
        assert_eq!(patience.paused(1).count(), MAX_SOURCES);
    }
}

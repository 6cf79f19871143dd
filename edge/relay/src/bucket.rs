//! Token buckets: how often something may happen, and how much at once.

use crate::millis::Millis;

/// What a bucket allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Tokens that come back each second.
    pub(crate) per_second: u32,
    /// Tokens a full bucket holds.
    pub(crate) burst: u32,
}

/// Too little is left in a bucket; nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

/// What is left of a rate at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// In thousandths of a token, so that a millisecond refills a whole number of them.
    level: u64,
    at: Millis,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn full(rate: Rate, now: Millis) -> Self {
        Self {
            level: rate.capacity(),
            at: now,
        }
    }

    /// Takes `tokens`, or nothing if there are fewer.
    pub(crate) fn take(&mut self, tokens: u64, rate: Rate, now: Millis) -> Result<(), Exhausted> {
        self.refill(rate, now);
        self.level = self
            .level
            .checked_sub(tokens.saturating_mul(THOUSANDTHS))
            .ok_or(Exhausted)?;
        Ok(())
    }

    /// Whether nothing would change if this bucket were forgotten.
    pub(crate) fn is_full(mut self, rate: Rate, now: Millis) -> bool {
        self.refill(rate, now);
        self.level == rate.capacity()
    }

    fn refill(&mut self, rate: Rate, now: Millis) {
        let returned = now.since(self.at).saturating_mul(rate.per_second.into());
        self.level = self.level.saturating_add(returned).min(rate.capacity());
        self.at = self.at.max(now);
    }
}

impl Rate {
    fn capacity(self) -> u64 {
        u64::from(self.burst).saturating_mul(THOUSANDTHS)
    }
}

const THOUSANDTHS: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        per_second: 2,
        burst: 3,
    };

    #[test]
    fn a_burst_passes_and_one_more_does_not() {
        let mut bucket = Bucket::full(RATE, Millis(0));
        for _ in 0..3 {
            assert_eq!(bucket.take(1, RATE, Millis(0)), Ok(()));
        }
        assert_eq!(bucket.take(1, RATE, Millis(0)), Err(Exhausted));
    }

    #[test]
    fn a_token_is_back_on_time_and_not_a_millisecond_before() {
        let mut bucket = Bucket::full(RATE, Millis(0));
        assert_eq!(bucket.take(3, RATE, Millis(0)), Ok(()));
        assert_eq!(bucket.take(1, RATE, Millis(499)), Err(Exhausted));
        assert_eq!(bucket.take(1, RATE, Millis(500)), Ok(()));
    }

    #[test]
    fn a_clock_that_steps_back_refills_nothing() {
        let mut bucket = Bucket::full(RATE, Millis(10_000));
        assert_eq!(bucket.take(3, RATE, Millis(10_000)), Ok(()));
        assert_eq!(bucket.take(1, RATE, Millis(0)), Err(Exhausted));
        assert_eq!(bucket.take(1, RATE, Millis(10_000)), Err(Exhausted));
    }

    #[test]
    fn a_long_wait_fills_no_more_than_the_burst() {
        let mut bucket = Bucket::full(RATE, Millis(0));
        assert!(bucket.is_full(RATE, Millis(0)));
        assert_eq!(bucket.take(3, RATE, Millis(0)), Ok(()));
        assert!(!bucket.is_full(RATE, Millis(1499)));
        assert!(bucket.is_full(RATE, Millis(1500)));
        assert_eq!(bucket.take(4, RATE, Millis(u64::MAX)), Err(Exhausted));
    }
}

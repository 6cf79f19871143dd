//! How long to wait before the next try: longer each time, and never all ends at the same moment.

use core::time::Duration;

/// Doubles up to a limit; the wait is anywhere below ("full jitter"), so that a thousand ends of a
/// restarted relay spread over the whole time.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    ceiling: Duration,
}

impl Backoff {
    pub(super) const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            ceiling: first,
        }
    }

    /// The next wait. Without randomness it is the longest that could have come.
    pub(super) fn next(&mut self, random: Option<[u8; 4]>) -> Duration {
        let ceiling = self.ceiling;
        self.ceiling = ceiling.saturating_mul(2).min(self.longest);
        match random {
            Some(bytes) => ceiling.mul_f64(f64::from(u32::from_be_bytes(bytes)) / SPAN),
            None => ceiling,
        }
    }

    /// It went well: the next wait is a first one.
    pub(super) const fn restart(&mut self) {
        self.ceiling = self.first;
    }

    /// There is no hurry: the next wait is a longest one.
    pub(super) const fn slow_down(&mut self) {
        self.ceiling = self.longest;
    }
}

/// One more than the largest of four random bytes.
const SPAN: f64 = 4_294_967_296.0;

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(30);

    fn ceilings(backoff: &mut Backoff, count: usize) -> Vec<u128> {
        (0..count).map(|_| backoff.next(None).as_millis()).collect()
    }

    #[test]
    fn waits_double_up_to_the_longest_and_start_over_after_success() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        let expected = [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000];
        assert_eq!(ceilings(&mut backoff, 9), expected);
        backoff.restart();
        assert_eq!(ceilings(&mut backoff, 2), [250, 500]);
        backoff.slow_down();
        assert_eq!(ceilings(&mut backoff, 2), [30000, 30000]);
    }

    #[test]
    fn a_wait_is_anywhere_between_nothing_and_its_ceiling() {
        let wait = |random| Backoff::new(FIRST, LONGEST).next(Some(random));
        assert_eq!(wait([0; 4]), Duration::ZERO);
        assert_eq!(wait([0x80, 0, 0, 0]), FIRST / 2);
        assert!(wait([0xff; 4]) <= FIRST);
        assert!(wait([0xff; 4]) > FIRST * 99 / 100);
    }
}

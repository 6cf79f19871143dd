//! When the relay is tried again: at once only after a connection that was worth something.
//!
//! Two ends that can never finish a handshake reset every connection as soon as they meet. Such a
//! reset waits like any failure, longer each time, and another reset does not end that wait.

use core::time::Duration;

use vmux_proto::mailbox::CloseReason;

use super::timing::Timing;
use crate::relay::DownReason;
use crate::relay::backoff::Backoff;

/// How far a try came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// No connection.
    Nothing,
    /// A connection that ended too soon to be a success: a relay that takes every connection and
    /// drops it at once, or an end across with which no handshake is finished.
    Briefly,
    /// A connection that lasted.
    Lastingly,
}

/// How long to wait for the next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    /// Without a reset.
    pub(super) whole: Duration,
    /// Whatever is asked for.
    pub(super) least: Duration,
}

impl Wait {
    /// After a try that came this far, ended for this reason and began `ago`.
    pub(super) fn after(
        reason: &DownReason,
        reached: Reached,
        ago: Duration,
        backoff: &mut Backoff,
        timing: &Timing,
        random: Option<[u8; 4]>,
    ) -> Self {
        if reached == Reached::Lastingly {
            backoff.restart();
            if *reason == DownReason::Reset {
                return Self::whole(Duration::ZERO);
            }
        }
        if reason.is_lasting() {
            backoff.slow_down();
        }
        let mut whole = backoff.next(random);
        if *reason == DownReason::Closed(CloseReason::Replaced) {
            // Another program has the seat: taking it back soon would be a fight without an end.
            whole = whole.saturating_add(timing.longest_wait);
        }
        if reached == Reached::Briefly || reason.is_lasting() {
            return Self::whole(whole);
        }
        Self {
            whole,
            least: timing.between.saturating_sub(ago).min(whole),
        }
    }

    /// One that no reset ends.
    const fn whole(whole: Duration) -> Self {
        Self {
            whole,
            least: whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::timing::TIMING;
    use super::*;

    const AGO: Duration = Duration::from_millis(400);

    fn fresh() -> Backoff {
        Backoff::new(TIMING.first_wait, TIMING.longest_wait)
    }

    /// The longest wait that could have come.
    fn wait(reason: &DownReason, reached: Reached, backoff: &mut Backoff) -> Wait {
        Wait::after(reason, reached, AGO, backoff, &TIMING, None)
    }

    fn unreachable() -> DownReason {
        DownReason::Unreachable("refused".to_owned())
    }

    #[test]
    fn resets_of_young_connections_wait_longer_each_time_and_nothing_ends_the_wait() {
        let mut backoff = fresh();
        for expected in [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000] {
            let waited = wait(&DownReason::Reset, Reached::Briefly, &mut backoff);
            assert_eq!(waited, Wait::whole(Duration::from_millis(expected)));
        }
    }

    #[test]
    fn resets_of_connections_that_lasted_wait_for_nothing_and_start_over() {
        let mut backoff = fresh();
        backoff.slow_down();
        for _ in 0..3 {
            let waited = wait(&DownReason::Reset, Reached::Lastingly, &mut backoff);
            assert_eq!(waited, Wait::whole(Duration::ZERO));
        }
        let waited = wait(&DownReason::Reset, Reached::Briefly, &mut backoff);
        assert_eq!(waited.whole, TIMING.first_wait);
    }

    #[test]
    fn a_reset_may_end_the_wait_for_a_relay_out_of_reach_a_second_after_the_last_try() {
        let least = |reason, reached, ago| {
            let mut backoff = fresh();
            backoff.slow_down();
            Wait::after(&reason, reached, ago, &mut backoff, &TIMING, None).least
        };
        let (nothing, soon) = (Reached::Nothing, Duration::from_millis(600));
        assert_eq!(least(unreachable(), nothing, AGO), soon);
        assert_eq!(least(DownReason::TookTooLong, nothing, AGO), soon);
        for (reason, reached) in [
            (unreachable(), nothing),
            (DownReason::Lost, Reached::Lastingly),
        ] {
            let later = Duration::from_secs(1);
            assert_eq!(least(reason, reached, later), Duration::ZERO);
        }
    }

    #[test]
    fn no_reset_ends_the_wait_after_a_young_connection_or_a_lasting_refusal() {
        for (reason, reached) in [
            (DownReason::Lost, Reached::Briefly),
            (DownReason::Status(503), Reached::Nothing),
            (DownReason::BadWords, Reached::Lastingly),
            (DownReason::Closed(CloseReason::TooMany), Reached::Lastingly),
        ] {
            let waited = wait(&reason, reached, &mut fresh());
            assert_eq!(waited.least, waited.whole, "{reason}");
            assert!(waited.whole > Duration::ZERO, "{reason}");
        }
    }

    #[test]
    fn whoever_was_replaced_stays_away_for_the_longest_wait_at_least() {
        let luckiest = Some([0; 4]);
        for reached in [Reached::Briefly, Reached::Lastingly] {
            let after = |reason| {
                let reason = DownReason::Closed(reason);
                Wait::after(&reason, reached, AGO, &mut fresh(), &TIMING, luckiest)
            };
            let replaced = after(CloseReason::Replaced);
            assert_eq!(replaced, Wait::whole(Duration::from_secs(30)));
            // Others may be as lucky as the dice.
            assert_eq!(after(CloseReason::Shutdown).whole, Duration::ZERO);
            assert_eq!(after(CloseReason::TooMany).whole, Duration::ZERO);
        }
    }
}

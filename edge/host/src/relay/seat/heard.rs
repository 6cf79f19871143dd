//! Notices that nobody is there any more.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::SeatEvent;
use super::timing::Timing;
use crate::clock;

/// When something was last heard, on the clock that counts sleep: after a night with the lid closed
/// the connection is known to be dead at the first look.
pub(super) struct Heard(AtomicU64);

impl Heard {
    pub(super) fn now() -> Self {
        Self(AtomicU64::new(clock::now().uptime))
    }

    pub(super) fn note(&self) {
        self.0.store(clock::now().uptime, Ordering::Relaxed);
    }

    pub(super) fn ago(&self) -> Duration {
        let last = self.0.load(Ordering::Relaxed);
        Duration::from_millis(clock::now().uptime.saturating_sub(last))
    }

    /// Returns once the relay was silent for too long.
    pub(super) async fn silence(&self, tell: &mpsc::Sender<SeatEvent>, timing: &Timing) {
        while self.ago() < timing.silent {
            sleep(timing.look).await;
            if tell.capacity() == 0 {
                // Nothing is read while the events are full, so the silence is ours.
                self.note();
            }
        }
    }
}

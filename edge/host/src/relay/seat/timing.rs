//! How long a seat waits for what.

use core::time::Duration;

/// Every wait of a seat.
#[derive(Debug)]
pub(super) struct Timing {
    /// Name, TCP, TLS and WebSocket together.
    pub(super) dial: Duration,
    /// Between two pings; shorter than the idle limits of relays and of the routers on the way.
    pub(super) ping: Duration,
    /// Without any word from the relay: two pings unanswered.
    pub(super) silent: Duration,
    /// Between two looks whether it is silent; how late a dead connection is noticed after sleep.
    pub(super) look: Duration,
    /// For one message to leave.
    pub(super) write: Duration,
    /// For the relay to answer a goodbye.
    pub(super) close: Duration,
    /// Upper bound of the first wait between two tries.
    pub(super) first_wait: Duration,
    /// Upper bound of any.
    pub(super) longest_wait: Duration,
    /// A connection of this age was a success.
    pub(super) healthy: Duration,
    /// From one try to the next, even if a reset ends the wait.
    pub(super) between: Duration,
}

pub(super) const TIMING: Timing = Timing {
    dial: Duration::from_secs(10),
    ping: Duration::from_secs(20),
    silent: Duration::from_secs(45),
    look: Duration::from_secs(3),
    write: Duration::from_secs(10),
    close: Duration::from_secs(1),
    first_wait: Duration::from_millis(250),
    longest_wait: Duration::from_secs(30),
    healthy: Duration::from_secs(10),
    between: Duration::from_secs(1),
};

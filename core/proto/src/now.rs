//! The time, as an argument: nothing in the core has a clock of its own.

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since boot, sleep included; for deadlines (I17).
    pub uptime: u64,
    /// Seconds since 1970; for what people and certificates read.
    pub wall: u64,
}

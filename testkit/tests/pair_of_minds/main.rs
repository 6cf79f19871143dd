//! The agent's mind and the phones' minds against each other, over a relay that may do anything.
//!
//! The world is simulated: its clock is a number, its relay a pair of queues, its persons are dice.
//! Every story is told from a seed and is the same each time. After each step all invariants are
//! checked; a failure names seed and step.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of a test: whatever they do not expect is a failed test"
)]

mod client;
mod dice;
mod file;
mod invariants;
mod ledger;
mod liar;
mod pairing;
mod phone;
mod relay;
mod ssh;
mod stories;
mod world;

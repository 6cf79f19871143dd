//! What clients, phones, a relay and time can make of the agent's mind, told through its public
//! interface. The phones' ends are real: handshakes, sealed frames and signatures are those of the
//! product.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of a test: whatever they do not expect is a failed test"
)]

mod conversations;
mod frames;
mod late;
mod links;
mod listing;
mod locking;
mod pairings;
mod phone;
mod recording;
mod requests;
mod resume;
mod sharing;
mod sources;
mod ssh;
mod world;

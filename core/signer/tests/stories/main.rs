//! What a person, an honest or lying agent and a key can make of a signer, told through its public
//! interface. The agents' ends are real: handshakes, sealed frames and signatures are those of the
//! product.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of a test: whatever they do not expect is a failed test"
)]

mod agent_log;
mod approvals;
mod blocks;
mod bursts;
mod destinations;
mod limits;
mod links;
mod pairing;
mod random;
mod recording;
mod records;
mod refusals;
mod replays;
mod ssh;
mod waiting;
mod world;

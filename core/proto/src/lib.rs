//! What both ends of vmuxAgent share: the words they exchange and the facts they can check.
//!
//! Nothing here has a clock, a file, a socket or randomness. The agent and the signer run the same
//! parsers and the same checks, so the signer can repeat everything the agent claims.
#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod agent_wire;
pub mod audit;
pub mod binding;
pub mod crypto;
pub mod destination;
pub mod ephemeral;
pub mod key;
pub mod limits;
pub mod mailbox;
pub mod message;
pub mod now;
pub mod pairing;
pub mod patience;
pub mod payload;
pub mod signature;
pub mod source;
pub mod untrusted;
pub mod wire;

pub use now::Now;
pub use untrusted::Untrusted;
pub use wire::Malformed;

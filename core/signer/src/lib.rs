//! The mind of the phone: the trusted part of vmuxAgent.
//!
//! It holds no private key and touches nothing. It opens what an agent sends, repeats every check
//! from the raw bytes, says what to show, and lets a signature be made only for an approval of the
//! person. It believes nobody: not the relay, not the workstation.
//!
//! One way in, [`Signer::handle`]; one way out, [`Signer::poll`]. Outputs are performed in order, so
//! what must be remembered is stored before what it permits is sent.
#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod blocks;
mod bursts;
mod check;
mod denials;
mod exchange;
mod heads;
mod identity;
mod limits;
mod line;
mod links;
mod memory;
mod pairing;
mod past;
mod pins;
mod prompt;
mod record;
mod recording;
mod requests;
mod signer;
mod waiting;

pub use blocks::{Blocked, Blocks};
pub use check::{Asked, Settings};
pub use exchange::{After, Decision, Input, Output, Withdrawn};
pub use identity::{Identities, Identity, IdentityKind, IdentityRefused};
pub use memory::Memory;
pub use pairing::{Pairing, PairingInput, PairingOutput};
pub use pins::{Pin, PinName, PinNameRefused, Pins, Standing};
pub use prompt::{Host, Prompt, Subject};
pub use record::{AgentRecord, RecordDamaged};
pub use signer::Signer;
pub use vmux_link::{Entropy, LinkId, Offer, OfferRejected, ShortCode};
pub use vmux_proto::pairing::PairingFailed;
pub use waiting::SignJob;

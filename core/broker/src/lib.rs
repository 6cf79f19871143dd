//! The agent's mind: what happens to each request a client sends, and what survives a restart.
//!
//! A [`Conversation`] belongs to one client: frames, bindings, replies in order. What a conversation
//! cannot answer alone goes to the one [`Broker`], which knows phones, identities and what waits.
//! Neither holds an identity's private key; there is no type for one here (I1).
#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod attempts;
mod blocks;
mod broker;
mod conversation;
mod denial;
mod exchange;
pub mod known_hosts;
mod lock;
mod meetings;
mod pairing;
mod pending;
mod phone;
mod phones;
mod recording;
mod refusals;
mod requests;
pub mod ssh_argv;
mod status;

pub use broker::Broker;
pub use conversation::{Answer, Ask, ClientId, Conversation, SignAsk, Step};
pub use denial::Denial;
pub use exchange::{Asked, Ended, Event, Input, Limits, Locking, Output, Shown, Unasked};
pub use lock::{Job, Passphrase, Salt, Stretched, stretch};
pub use pairing::{Fresh, Pairing, PairingInput, PairingOutput};
pub use phone::{PhoneRecord, RecordDamaged};
pub use status::{PhoneStatus, Progress, Reach, Status, Waiting};
pub use vmux_link::{Entropy, LinkId, Offer, OfferRejected, ShortCode};
pub use vmux_proto::pairing::PairingFailed;

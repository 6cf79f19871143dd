//! The encrypted pipe between one agent and one signer.
//!
//! A link begins with an [`Offer`] that the agent shows and the phone scans. Both ends run one
//! handshake, [`Initiator`] on the signer and [`Responder`] on the agent, and get a [`Channel`]
//! that carries bytes and knows no message. The signer's first message of a pairing holds its
//! [`commitment`] to a nonce, its first frame the nonce; the person compares the [`short_code`] of
//! handshake and nonce on both screens. [`after_pairing`] then gives what every later handshake uses.
//!
//! Refused here: wrong secrets and keys (with the first message already), public keys of low
//! order, lengths nobody sends, frames changed, repeated or out of order, padding that is not
//! zero. Whatever is refused ends the handshake or the channel for good.
//!
//! The bytes are specified in `docs/spec/link.md`, the choice of suite is explained in
//! `docs/decisions/0003-noise-suite.md`.
#![no_std]
#![warn(clippy::arithmetic_side_effects)]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod bond;
mod channel;
mod derive;
mod handshake;
pub mod label;
pub mod limits;
mod offer;
mod padding;
mod place;
mod secret;
mod suite;
#[cfg(test)]
mod tests;

pub use bond::{Bond, LinkId};
pub use channel::{Channel, ChannelEnded};
pub use derive::{LongLived, ShortCode, after_pairing, commitment, short_code};
pub use handshake::{Established, HandshakeFailed, HandshakeHash, Initiator, Responder};
pub use limits::MAX_MESSAGE;
pub use offer::{Offer, OfferRejected};
pub use place::{Place, Purpose};
pub use secret::{Entropy, Psk, PublicKey, StaticSecret};

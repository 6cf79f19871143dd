//! Joins an agent's and a signer's connection at a mailbox and carries sealed bytes between them.
//!
//! The relay knows no message and no key: it does not link the crate that could open what passes
//! (I10). It has no accounts and stores nothing. What strangers can make it hold is bounded by
//! [`Limits`]. The protocol is in `docs/spec/relay.md`.
//!
//! `meetings` decides who hears what and has neither socket nor clock; `gate` counts connections
//! by address; `server`, `seats` and `end` move bytes.

mod bucket;
mod end;
mod gate;
mod limits;
mod meetings;
mod metrics;
mod millis;
mod queue;
mod seats;
mod server;
mod shared;

pub use limits::{LimitTooSmall, Limits};
pub use metrics::Metrics;
pub use server::{Addresses, BindFailed, Relay};

//! The agent daemon: its sockets, the processes behind them, and the way to the signer. It moves
//! bytes between them and the [broker](vmux_broker), which decides.

mod client;
pub mod command;
mod config;
pub mod control;
mod daemon;
pub mod ephemeral;
mod events;
pub mod fuzzing;
mod hosts;
mod hub;
mod links;
mod pairing;
pub mod provenance;
mod recorder;
mod reserved;
mod sandbox;
pub mod socket;
mod trace;
pub mod tty;

/// Program and version, as the other end of a link is told.
pub const SOFTWARE: &str = concat!("vmux-agent ", env!("CARGO_PKG_VERSION"));

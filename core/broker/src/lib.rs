//! The agent's mind: what happens to each request a client sends, and what survives a restart.
#![no_std]
#![warn(clippy::arithmetic_side_effects)]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod known_hosts;
pub mod ssh_argv;

//! What the agent and the terminal signer both need to touch the world: state on disk, clocks,
//! randomness, configuration, output, and the connection to a relay. It moves bytes and keeps them
//! private; it decides nothing.

pub mod clock;
pub mod config;
pub mod crypto;
pub mod entropy;
pub mod files;
pub mod log;
pub mod output;
pub mod paths;
pub mod private_file;
pub mod relay;
pub mod state_dir;

#[cfg(test)]
mod rerun;

//! Worlds to test in: the product's own programs beside real OpenSSH ones.
//!
//! Everything of a test lies in one temporary directory ([`Place`]) and on loopback, every process is
//! killed when its owner is dropped, and no program sees the home directory or the agent of the
//! person who runs the tests. Waiting is asking again until a deadline, never sleeping for a guess.
//! A test that fails prints what every program wrote.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests: what goes wrong here fails the test"
)]

mod agent_client;
mod agent_tap;
mod link;
mod pairing;
mod phone;
mod place;
mod port;
mod process;
mod programs;
mod relay;
mod server;
pub mod state_file;
mod tap;
mod wait;
mod workstation;
mod world;

pub use agent_client::{AgentClient, allow_many_files, frame, string};
pub use agent_tap::{AgentTap, Signing};
pub use link::{OfferLink, base64_bytes};
pub use pairing::{PairedAs, Pairing, offer, pair};
pub use phone::{Decide, KeyKind, Phone};
pub use place::{Home, Logs, Place, make_dir};
pub use port::Port;
pub use process::{Finished, Running};
pub use programs::{find, is_root, product, python};
pub use relay::RelayProgram;
pub use server::{HostKey, Server};
pub use tap::{Message, Recorded, Tap};
pub use wait::{eventually, holds_within};
pub use workstation::{Workstation, whoami};
pub use world::World;

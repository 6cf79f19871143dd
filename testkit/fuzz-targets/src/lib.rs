//! Hostile bytes for every parser and every state machine.
//!
//! Each target is a function from bytes to nothing that panics when a property does not hold. A
//! fuzzer calls them from the bins in `fuzz/`; `tests/corpora.rs` runs them over the committed corpora
//! in every ordinary test run. What each asserts, and what long runs found, is in `docs/fuzzing.md`.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a panic is how a target reports"
)]

mod audit;
mod broker;
mod choices;
mod client;
mod edges;
mod hints;
mod keys;
mod link;
mod messages;
mod pairing;
mod proofs;
mod relay;
mod signer;
mod ssh;
mod stored;

pub use audit::{audit, audit_tampered};
pub use broker::broker;
pub use client::{conversation, request};
pub use edges::{config, control, key_file};
pub use hints::{known_hosts, ssh_argv};
pub use keys::{certificate, key, key_line, signature, verifiers};
pub use link::{channel, handshake, offer};
pub use messages::{message, words};
pub use pairing::pairing;
pub use proofs::{binding, destination, payload};
pub use relay::{mailbox, relay_address};
pub use signer::signer;
pub use stored::{record, state_file};

/// A target and its name, which is also that of its bin and of its corpus.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// `request`, `channel`, …
    pub name: &'static str,
    /// Panics if a property does not hold.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    target("request", request),
    target("conversation", conversation),
    target("key", key),
    target("key_line", key_line),
    target("certificate", certificate),
    target("signature", signature),
    target("verifiers", verifiers),
    target("payload", payload),
    target("binding", binding),
    target("destination", destination),
    target("message", message),
    target("words", words),
    target("offer", offer),
    target("handshake", handshake),
    target("channel", channel),
    target("mailbox", mailbox),
    target("relay_address", relay_address),
    target("known_hosts", known_hosts),
    target("ssh_argv", ssh_argv),
    target("record", record),
    target("state_file", state_file),
    target("control", control),
    target("pairing", pairing),
    target("broker", broker),
    target("signer", signer),
    target("config", config),
    target("key_file", key_file),
    target("audit", audit),
    target("audit_tampered", audit_tampered),
];

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

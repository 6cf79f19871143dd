//! The audit log: what is on record, and how a cut or a change shows (I8, I9; docs/spec/audit.md).
//!
//! Agent and signer each keep one. A line is a JSON object that carries the digest of everything
//! before it, so the lines form a chain; the other end remembers how far it has seen the chain. The
//! core builds the lines and decides who waits for them; an edge writes them.
mod chain;
mod entry;
mod journal;

pub use chain::{Broken, Chain, Checker, Digest, Growth, Head, Line, Storing};
pub use entry::{Entry, Event, Program};
pub use journal::Journal;

//! The audit log on disk: lines are added, never changed (I8, I9; docs/spec/audit.md).
//!
//! The lines come from the core, each with the digest of all before it; what is kept here is their
//! order in files. One file is written, the full ones stand beside it under the number of their first
//! line. Refused are links, files of others and files that others may read, as in the rest of the
//! state. A line that was half written when its writer was killed is cut off at the next start: it
//! counted for nobody. Readers need no lock, as nothing they have read ever changes.

mod folder;
mod read;
mod recover;
mod verify;
mod write;

pub use folder::{FOLDER, LogRefused};
pub use read::{Lines, LogLine, read, read_after};
pub use verify::{Found, NotVerified, Verified, growth, heads, verify};
pub use write::{AuditLog, Limits, LogFailed};

#[cfg(test)]
mod tests;

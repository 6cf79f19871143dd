//! Takes from a process what it does not need, so that a mistake in it, or whoever takes it over,
//! reaches less: core dumps, debuggers, swap, files, ports, system calls. What that is for which
//! program, and why, is in `docs/decisions/0007-sandbox.md`.
//!
//! Nothing here is a condition for working. What the system refuses is told as a [`Protection`] that
//! is off, with the reason; the programs show it and go on.

use std::fmt;

use serde::{Deserialize, Serialize};

mod landlock;
mod memory;
mod process;
mod seccomp;

#[cfg(test)]
mod rerun;

pub use landlock::{Ports, Reach, Within, restrict_reach, restricts_reach};
pub use memory::lock_memory;
pub use process::{NotHardened, harden, protect_process};
pub use seccomp::{Work, restrict_calls};

/// One thing that keeps a process closed, and whether it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// Which one.
    pub what: What,
    /// Whether it holds.
    #[serde(flatten)]
    pub state: State,
}

/// What can be protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Memory is not written to disk when the process crashes.
    CoreDumps,
    /// Other processes of the same user can neither read its memory nor stop it to look.
    Debuggers,
    /// Its memory is not written to swap.
    Swap,
    /// It reaches only the files, ports and processes it was given (Landlock).
    Landlock,
    /// It makes none of the system calls that it never needs (seccomp).
    Seccomp,
}

/// Whether a protection holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// It does.
    On {
        /// How far, if there is more to say.
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// It does not.
    Off {
        /// Why not.
        why: String,
    },
}

impl Protection {
    /// It holds.
    pub fn on(what: What) -> Self {
        let state = State::On { note: None };
        Self { what, state }
    }

    /// It holds as far as the note says.
    pub fn on_with(what: What, note: impl fmt::Display) -> Self {
        let note = Some(note.to_string());
        let state = State::On { note };
        Self { what, state }
    }

    /// It does not hold.
    pub fn off(what: What, why: impl fmt::Display) -> Self {
        let why = why.to_string();
        let state = State::Off { why };
        Self { what, state }
    }

    /// Whether it holds.
    pub const fn is_on(&self) -> bool {
        matches!(self.state, State::On { .. })
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, state } = self;
        let (on, off) = what.words();
        match state {
            State::On { note: None } => write!(f, "{on}"),
            State::On { note: Some(note) } => write!(f, "{on} ({note})"),
            State::Off { why } => write!(f, "{off}: {why}"),
        }
    }
}

impl What {
    /// How it is said that it holds, and that it does not.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::CoreDumps => ("no core dumps", "core dumps"),
            Self::Debuggers => ("closed to debuggers", "open to debuggers"),
            Self::Swap => ("memory locked", "memory not locked"),
            Self::Landlock => ("landlock", "no landlock"),
            Self::Seccomp => ("seccomp", "no seccomp"),
        }
    }
}

/// The protections in words: those that are on, then those that are not.
pub fn in_words(all: &[Protection]) -> (String, String) {
    let words = |on: bool| {
        let these = all.iter().filter(|one| one.is_on() == on);
        let separator = if on { ", " } else { "; " };
        these
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(separator)
    };
    (words(true), words(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> [Protection; 2] {
        [
            Protection::on_with(What::Landlock, "ABI 7"),
            Protection::off(What::Swap, "the limit is 8 MiB"),
        ]
    }

    #[test]
    fn what_is_on_and_what_is_not_are_told_apart() {
        let (on, off) = in_words(&two());
        assert_eq!(on, "landlock (ABI 7)");
        assert_eq!(off, "memory not locked: the limit is 8 MiB");
    }

    #[test]
    fn programs_read_what_people_read() {
        let json = serde_json::to_string(&two()).unwrap();
        assert_eq!(
            json,
            r#"[{"what":"landlock","state":"on","note":"ABI 7"},{"what":"swap","state":"off","why":"the limit is 8 MiB"}]"#
        );
        assert_eq!(
            serde_json::from_str::<[Protection; 2]>(&json).unwrap(),
            two()
        );
    }
}

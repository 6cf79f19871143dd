//! Who a request comes from: the unit that limits, pauses and blocks hold for.
//!
//! A host that the agent is forwarded to has proven its key. A program on the workstation is only
//! reported, so a source of that kind keeps busy programs apart and proves nothing.
use crate::destination::Destination;
use crate::key::Fingerprint;
use crate::limits::MAX_HINT;
use crate::message::Reported;
use crate::untrusted::Untrusted;
use alloc::string::String;
use core::fmt;
use minicbor::{Decode, Encode};

/// Who a request comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Source {
    /// The workstation could not tell which program.
    #[n(0)]
    Unknown,
    /// A program of the workstation, by the name in [`Origin::name`](crate::message::Origin).
    #[n(1)]
    Program(#[n(0)] String),
    /// The last host on the way of a forwarded agent, by its key.
    #[n(2)]
    Host(#[n(0)] Fingerprint),
}

impl Source {
    /// The source of a request with this destination and these hints.
    pub fn of(destination: &Destination, reported: &Reported) -> Self {
        match (destination.hops().last(), &reported.origin) {
            (Some(hop), _) => Self::Host(hop.fingerprint()),
            (None, Some(origin)) => Self::Program(origin.name.clone()),
            (None, None) => Self::Unknown,
        }
    }

    /// Whether the text is within its limit.
    pub fn within_limits(&self) -> bool {
        match self {
            Self::Program(name) => name.len() <= MAX_HINT,
            Self::Unknown | Self::Host(_) => true,
        }
    }
}

impl fmt::Display for Source {
    /// For people, escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("an unknown program"),
            Self::Program(name) => write!(f, "{}", Untrusted::new(name)),
            Self::Host(key) => write!(f, "host {key}"),
        }
    }
}

//! What happened, written down by the world, for the invariants to look at.
use crate::client::Truth;
use std::collections::{BTreeMap, BTreeSet};
use vmux_broker::ClientId;
use vmux_proto::destination::Level;
use vmux_proto::key::{Fingerprint, PublicKey};
use vmux_proto::message::RequestId;
use vmux_signer::Prompt;

/// Everything that happened in a story.
#[derive(Default)]
pub(crate) struct Ledger {
    /// Requests that went to a phone.
    pub(crate) asked: BTreeMap<RequestId, Asked>,
    /// Prompts that were shown, with the phone they were shown on.
    pub(crate) shown: Vec<(usize, Prompt)>,
    pub(crate) approvals: Vec<Approval>,
    /// Signatures that a phone's key was asked to make.
    pub(crate) jobs: Vec<Job>,
    /// Signatures that clients got.
    pub(crate) released: Vec<Released>,
    /// Frames of both ends, sealed.
    pub(crate) sealed: BTreeSet<Vec<u8>>,
    /// Frames that were sealed twice to the same bytes.
    pub(crate) repeated: usize,
    /// What ends did with frames that were not the next one.
    pub(crate) spoilt: Vec<Spoilt>,
}

/// A request as the agent saw it.
pub(crate) struct Asked {
    pub(crate) client: ClientId,
    pub(crate) truth: Truth,
    pub(crate) level: Level,
    pub(crate) host: Option<PublicKey>,
    pub(crate) hops: Vec<PublicKey>,
    /// First moment that is too late.
    pub(crate) until: u64,
}

/// A yes, with the number where one was needed, to what was on the screen at that moment.
pub(crate) struct Approval {
    pub(crate) phone: usize,
    pub(crate) prompt: Prompt,
    pub(crate) at: u64,
}

pub(crate) struct Job {
    pub(crate) phone: usize,
    pub(crate) request: RequestId,
    pub(crate) key: Fingerprint,
    pub(crate) bytes: Vec<u8>,
    pub(crate) at: u64,
}

pub(crate) struct Released {
    pub(crate) client: ClientId,
    pub(crate) request: Option<RequestId>,
    /// Whether its approval was in the agent's file at that moment.
    pub(crate) on_record: bool,
    pub(crate) truth: Truth,
    pub(crate) signature: Vec<u8>,
    pub(crate) at: u64,
}

/// A frame that was not the next one of the other end, and what came of it.
#[derive(Debug)]
pub(crate) struct Spoilt {
    pub(crate) place: Place,
    pub(crate) effects: Effects,
}

/// Where in its meeting a frame came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It was the next one of the other end.
    InStep,
    /// It was the first, and once began a meeting of the same two: it may be answered.
    RecordedCall,
    /// There was no meeting, or it had ended: what was still on its way is ignored.
    AfterTheEnd,
    /// Anywhere else.
    Astray,
}

/// What a mind made of one input.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Effects {
    pub(crate) restarted: bool,
    pub(crate) belief: Belief,
}

/// Whether a mind showed, signed, answered, stored or believed something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Belief {
    #[default]
    Nothing,
    Something,
}

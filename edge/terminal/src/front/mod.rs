//! What the person, or a program in their place, is told and asked.

pub(crate) mod decide;
pub(crate) mod prompt_json;
#[cfg(test)]
pub(crate) mod sample;
pub(crate) mod screen;
pub(crate) mod words;

use crate::store::StoreRefused;
use vmux_host::log::LogFailed;
use vmux_proto::Untrusted;
use vmux_proto::message::{Refusal, RequestId};
use vmux_signer::{Blocks, Decision, Identities, LinkId, Pins, Prompt, Withdrawn};

/// Whoever decides.
pub(crate) trait Front {
    /// Tells what happened.
    fn tell(&mut self, news: News<'_>);
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub(crate) enum News<'a> {
    /// The identities are these.
    Identities(&'a Identities),
    /// The pins are these.
    Pins(&'a Pins),
    /// An agent is paired, and this is how it stands.
    Agent(LinkId, &'a Untrusted, &'a AgentState),
    /// An agent is no longer paired.
    Unpaired(LinkId, &'a Untrusted),
    /// A request waits for a decision.
    Asked(&'a Prompt),
    /// These others may be answered together with a request that waits.
    Together(RequestId, &'a [RequestId]),
    /// A request needs no decision any more.
    Withdrawn(&'a Prompt, Withdrawn),
    /// Another process holds the state, for this reason: an approved request is not signed.
    Held(&'a Prompt, &'a StoreRefused),
    /// A request was refused without asking.
    Refused(&'a Untrusted, Refusal),
    /// An agent is locked out, or no longer.
    Suspended(LinkId, &'a Untrusted, bool),
    /// These sources are blocked.
    Blocks(&'a Blocks),
    /// The log cannot be written, for this reason, and so nothing is signed; or it can again.
    Log(Option<&'a LogFailed>),
    /// Blocks or agents that changed are not on disk yet.
    Unsaved(&'a StoreRefused),
}

/// How an agent stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AgentState {
    /// The relay is being reached.
    Connecting,
    /// Requests can come.
    Connected,
    /// The relay is reached, the agent is not there.
    Away,
    /// The relay is not reached, for this reason.
    Unreachable(String),
}

impl AgentState {
    /// The name in JSON.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Away => "away",
            Self::Unreachable(_) => "unreachable",
        }
    }
}

/// What whoever decides does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Decides one request.
    Decide(RequestId, Decision),
    /// Decides several that wait together in the same way, each checked on its own.
    DecideTogether(Vec<RequestId>, Decision),
    /// Ends the signer.
    Quit,
}

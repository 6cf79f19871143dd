//! What goes into a signer and what comes out of it.
use crate::identity::Identities;
use crate::pins::{PinName, Pins};
use crate::prompt::Prompt;
use crate::record::AgentRecord;
use crate::waiting::SignJob;
use alloc::boxed::Box;
use alloc::vec::Vec;
use vmux_link::{Entropy, LinkId};
use vmux_proto::audit::{Entry, Line};
use vmux_proto::message::{Number, Refusal, RequestId};
use vmux_proto::source::Source;

/// What happens to a signer.
#[derive(Debug)]
pub enum Input {
    /// A link was paired.
    Paired(Box<AgentRecord>),
    /// The agent of this link is at the mailbox; fresh bytes for the handshake.
    Met(LinkId, Entropy),
    /// A frame from the agent; fresh bytes for the number of a request in it.
    Frame(LinkId, Vec<u8>, [u8; 4]),
    /// The agent of this link left.
    Left(LinkId),
    /// The person decided.
    Decided(RequestId, Decision),
    /// The person decided these together: each must belong together with the first
    /// ([`Signer::together`](crate::Signer::together)), and is checked on its own.
    DecidedTogether(Vec<RequestId>, Decision),
    /// A key made a signature, or could not (`None`).
    Signed(RequestId, Option<Vec<u8>>),
    /// The identities were changed.
    Identities(Identities),
    /// The pins were changed by the person.
    Pins(Pins),
    /// The person ends a pairing.
    Unpair(LinkId),
    /// The person allows the agent of this link to ask again, after [`After::NotMe`].
    Resume(LinkId),
    /// The person lifts the block of a source.
    Unblock(LinkId, Source),
    /// The lines of the log up to this number are as safe as they were to be.
    Recorded(u64),
    /// No line after the last one reported could be written.
    NotRecorded,
    /// Something for the log that happened outside.
    Note(Box<Entry>),
    /// The signer is about to stop.
    Close,
    /// Time passed.
    Tick,
}

/// What the person decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes, with the number where one is needed, and a name for a new host.
    Approve {
        /// The number typed.
        number: Option<Number>,
        /// What to call the host from now on, if it is new.
        name: Option<PinName>,
    },
    /// No, and what else.
    Deny(After),
}

/// What a denial means for what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing.
    Nothing,
    /// The source is blocked for [a while](vmux_proto::patience::BLOCK_MS), and what waits of it is
    /// refused.
    Block,
    /// The person did not ask for it: nothing of this agent is signed, until [`Input::Resume`].
    NotMe,
}

/// What a signer wants done, in this order.
#[derive(Debug)]
pub enum Output {
    /// Send this frame on this link.
    Send(LinkId, Vec<u8>),
    /// Close the connection of this link and connect anew.
    Restart(LinkId),
    /// This link's handshake is done; requests can come.
    Opened(LinkId),
    /// A request waits for the person.
    Show(Box<Prompt>),
    /// A request needs no decision any more.
    Withdraw(RequestId, Withdrawn),
    /// Make this signature and report [`Input::Signed`].
    Sign(SignJob),
    /// A request was refused without asking: on which link, and why.
    Refused(LinkId, Refusal),
    /// Store the pins before anything that follows.
    StorePins,
    /// Store the blocks before anything that follows.
    StoreBlocks,
    /// Store the paired agents before anything that follows.
    StoreAgents,
    /// Write this line at the end of the log, and report [`Input::Recorded`] or
    /// [`Input::NotRecorded`].
    Record(Line),
    /// Remove this pairing from what is stored.
    Forget(LinkId),
}

/// Why a request left the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawn {
    /// It was approved and signed.
    Signed,
    /// It was refused.
    Refused(Refusal),
    /// The client is gone.
    Cancelled,
    /// The connection to the agent broke.
    Disconnected,
}

//! What goes into a signer and what comes out of it.
use crate::identity::Identities;
use crate::pins::{PinName, Pins};
use crate::prompt::Prompt;
use crate::record::AgentRecord;
use crate::waiting::SignJob;
use alloc::boxed::Box;
use alloc::vec::Vec;
use vmux_link::{Entropy, LinkId};
use vmux_proto::message::{Number, Refusal, RequestId};

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
    /// A key made a signature, or could not (`None`).
    Signed(RequestId, Option<Vec<u8>>),
    /// The identities were changed.
    Identities(Identities),
    /// The pins were changed by the person.
    Pins(Pins),
    /// The person ends a pairing.
    Unpair(LinkId),
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
    /// No.
    Deny,
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

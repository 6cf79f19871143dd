//! What goes into the broker and what comes out of it.
use crate::conversation::{Answer, Ask, ClientId};
use crate::denial::Denial;
use crate::known_hosts::Verdict;
use crate::lock::{Job, Passphrase, Stretched};
use crate::phone::PhoneRecord;
use crate::status::Waiting;
use alloc::boxed::Box;
use alloc::vec::Vec;
use vmux_link::{Entropy, LinkId};
use vmux_proto::Untrusted;
use vmux_proto::audit::{Entry, Growth, Head, Line};
use vmux_proto::limits::DEFAULT_WAIT_MS;
use vmux_proto::message::{Number, Reported, RequestId};

/// What the configuration sets.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a person has, in milliseconds.
    pub wait_ms: u64,
    /// How long a request waits for a phone that is not connected, in milliseconds.
    pub reach_ms: u64,
    /// Requests that may wait at a time.
    pub pending: usize,
    /// Of these, requests of one source; fewer than `pending`, so that no source keeps others out.
    pub per_source: usize,
}

impl Default for Limits {
    /// One minute for the person, less than a second for the phone, 64 requests, 32 of one source.
    fn default() -> Self {
        Self {
            wait_ms: DEFAULT_WAIT_MS,
            reach_ms: 900,
            pending: 64,
            per_source: 32,
        }
    }
}

/// What happens to the broker.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "made one at a time and moved once; a box costs more"
)]
pub enum Input {
    /// A client asks; see [`Asked`].
    Ask(Asked),
    /// A client hung up.
    Gone(ClientId),
    /// The work of [`Output::Stretch`] is done; `None` if memory was short.
    Stretched(ClientId, Job, Option<Stretched>),
    /// A phone was paired.
    Paired(Box<PhoneRecord>),
    /// The phone of this link is at the mailbox.
    Met(LinkId),
    /// A frame from the phone; fresh bytes, used if it begins a handshake.
    Frame(LinkId, Vec<u8>, Entropy),
    /// The phone of this link left the mailbox.
    Left(LinkId),
    /// The relay of this link cannot be reached.
    RelayDown(LinkId),
    /// The relay of this link is reached.
    RelayUp(LinkId),
    /// The person ends a pairing.
    Unpair(LinkId),
    /// A conversation refused something by itself.
    Refused(Box<Unasked>),
    /// All lines up to this number are as safe as they were to be.
    Recorded(u64),
    /// Nothing after the lines last reported could be written; the file ends with them.
    NotRecorded,
    /// What [`Output::Prove`] asked for, in pieces that follow each other and end with the last
    /// stored line; empty if that head is not in the files.
    Proof(LinkId, Vec<Growth>),
    /// The person takes a request back, on the workstation.
    Cancel(RequestId),
    /// The person lets an agent go on that a phone disowned; from the workstation's own command and
    /// never from the agent socket (I12).
    Resume,
    /// Something for the log that only the edge knows.
    Note(Box<Entry>),
    /// Time passed.
    Tick,
}

/// A client's question with what the edge found out about the client.
#[derive(Debug)]
pub struct Asked {
    /// Who asks.
    pub client: ClientId,
    /// When its login began, in milliseconds of uptime: when it connected or last listed the
    /// identities, whichever was later. A program may keep one connection for many logins.
    pub began: u64,
    /// What it asks.
    pub ask: Ask,
    /// Fresh bytes: the id of a sign request, the salt of a lock.
    pub random: [u8; 16],
    /// What is known of the client; for sign requests.
    pub reported: Reported,
    /// What `known_hosts` says of the host key; for sign requests that have one.
    pub known_hosts: Option<Verdict>,
}

/// What a conversation refused by itself.
#[derive(Debug)]
pub struct Unasked {
    /// Who asked.
    pub client: ClientId,
    /// Why it was refused.
    pub denial: Denial,
    /// What is known of the client.
    pub reported: Reported,
    /// What was understood of the request ([`Step::Refuse`](crate::Step::Refuse)).
    pub known: Box<Entry>,
}

/// What the broker wants done, in this order.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "made one at a time and moved twice; a box costs more"
)]
pub enum Output {
    /// Answer a client.
    Answer(ClientId, Answer),
    /// Send this frame on this link.
    Send(LinkId, Vec<u8>),
    /// Close the connection of this link and connect anew.
    Restart(LinkId),
    /// Hold a connection to the mailbox of this new link.
    Connect(LinkId),
    /// Let go of this link: the pairing is over.
    Disconnect(LinkId),
    /// Store [`Broker::phones_to_bytes`](crate::Broker::phones_to_bytes) before anything that follows.
    Store,
    /// Stretch this passphrase on a thread of its own, then report [`Input::Stretched`].
    Stretch(ClientId, Passphrase, Job),
    /// Write this line of the log, then report [`Input::Recorded`] or [`Input::NotRecorded`].
    Record(Line),
    /// Read from the log's files what this phone needs to see that the log goes on from this head,
    /// then report [`Input::Proof`].
    Prove(LinkId, Head),
    /// Something the person may want to see.
    Event(Event),
}

/// Something the person may want to see, in a terminal, a log or both.
#[derive(Clone, Debug)]
pub enum Event {
    /// A request waits for the phone.
    Asked(Shown),
    /// The request was sent to the phone.
    Sent(Shown),
    /// The request is on the phone's screen.
    Received(Shown),
    /// The phone wants this number typed.
    Number(Shown, Number),
    /// The person approved; the signature is being made.
    Approved(Shown),
    /// The request has ended.
    Ended(Shown, Ended),
    /// A request was refused without asking a phone.
    Refused(ClientId, Denial),
    /// A phone connected.
    Connected(LinkId, Untrusted),
    /// A phone left.
    Away(LinkId, Untrusted),
    /// A phone was paired.
    Paired(LinkId, Untrusted),
    /// A pairing ended.
    Unpaired(LinkId, Untrusted),
    /// A phone's identities changed; how many it offers.
    Identities(LinkId, usize),
    /// The agent was locked or unlocked.
    Locking(Locking),
    /// The phone's log does not go on from where it was.
    Questioned(LinkId, Untrusted),
}

/// What became of a locking attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locking {
    /// The agent is locked.
    Closed,
    /// The agent is unlocked.
    Opened,
    /// A wrong passphrase.
    WrongPassphrase,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The client has its signature.
    Signed,
    /// The client has a failure.
    Denied(Denial),
}

/// A request as people see it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Who asked.
    pub client: ClientId,
    /// The request.
    pub waiting: Waiting,
}

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
use vmux_proto::limits::DEFAULT_WAIT_MS;
use vmux_proto::message::{Number, Reported};

/// What the configuration sets.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a person has, in milliseconds.
    pub wait_ms: u64,
    /// How long a request waits for a phone that is not connected, in milliseconds.
    pub reach_ms: u64,
    /// Requests that may wait at a time.
    pub pending: usize,
}

impl Default for Limits {
    /// One minute for the person, less than a second for the phone, 64 requests.
    fn default() -> Self {
        Self {
            wait_ms: DEFAULT_WAIT_MS,
            reach_ms: 900,
            pending: 64,
        }
    }
}

/// What happens to the broker.
#[derive(Debug)]
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
    /// Something the person may want to see.
    Event(Event),
}

/// Something the person may want to see, in a terminal, a log or both.
#[derive(Clone, Debug)]
pub enum Event {
    /// A request waits for the phone.
    Asked(Shown),
    /// The request is on the phone's screen.
    Received(Shown),
    /// The phone wants this number typed.
    Number(Shown, Number),
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

//! What people can ask the agent about itself.
use alloc::string::String;
use alloc::vec::Vec;
use vmux_link::LinkId;
use vmux_proto::Untrusted;
use vmux_proto::audit::Head;
use vmux_proto::destination::Level;
use vmux_proto::key::PublicKey;
use vmux_proto::message::{Number, Reported, RequestId};
use vmux_proto::source::Source;

/// The agent at one moment.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "two facts that have nothing to do with each other"
)]
pub struct Status {
    /// Whether a passphrase is needed to go on.
    pub locked: bool,
    /// The paired phones, oldest pairing first.
    pub phones: Vec<PhoneStatus>,
    /// The requests that wait for a person; the one that ends first comes first.
    pub waiting: Vec<Waiting>,
    /// Sources that were denied or left unanswered, and the uptime until which nothing is asked.
    pub paused: Vec<(Source, u64)>,
    /// Sources blocked on a phone, and the uptime until which they are.
    pub blocked: Vec<(LinkId, Source, u64)>,
    /// The log as far as it is stored.
    pub log: Head,
    /// Whether the last attempt to write the log failed.
    pub log_failing: bool,
}

/// One paired phone.
#[derive(Clone, Debug)]
pub struct PhoneStatus {
    /// The link's name.
    pub id: LinkId,
    /// What the phone called itself.
    pub name: Untrusted,
    /// What kind of signer it is.
    pub kind: Untrusted,
    /// Where both meet.
    pub relay: String,
    /// When it was paired, in seconds since 1970.
    pub paired: u64,
    /// When it was last connected, in seconds since 1970.
    pub seen: u64,
    /// How it can be reached at this moment.
    pub reach: Reach,
    /// Whether the person said on it that a request was not theirs.
    pub suspended: bool,
    /// Its enabled identities: key and label.
    pub identities: Vec<(PublicKey, Untrusted)>,
}

/// How a phone can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The relay cannot be reached.
    NoRelay,
    /// The phone is not at the relay.
    Away,
    /// Connected.
    Connected,
}

/// A request that waits for a person.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Names the request.
    pub id: RequestId,
    /// Name of the phone that was asked.
    pub phone: Untrusted,
    /// Label of the identity.
    pub identity: Untrusted,
    /// What is asked for: `login as root`, `git signature`.
    pub what: String,
    /// How well the destination is proven.
    pub level: Level,
    /// The host key, proven or claimed as `level` says.
    pub host_key: Option<PublicKey>,
    /// Hosts on the way.
    pub hops: Vec<PublicKey>,
    /// The number to type on the phone, once it asks for one.
    pub number: Option<Number>,
    /// Milliseconds of uptime at which the request ends.
    pub deadline: u64,
    /// What is known of the client.
    pub reported: Reported,
    /// Who is counted for limits.
    pub source: Source,
    /// How far it has come.
    pub stage: Progress,
    /// How many clients wait for this signature.
    pub askers: usize,
    /// Milliseconds of uptime at which it was first asked for.
    pub asked_at: u64,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is being written to the log.
    Recording,
    /// It waits for the phone: that is away, or shows as many as it takes.
    Queued,
    /// It was sent to the phone.
    Sent,
    /// It is on the phone's screen or in its queue.
    Shown,
    /// The person approved; the signature is being made, checked and written to the log.
    Approved,
}

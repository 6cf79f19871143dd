//! What people can ask the agent about itself.
use alloc::string::String;
use alloc::vec::Vec;
use vmux_link::LinkId;
use vmux_proto::Untrusted;
use vmux_proto::destination::Level;
use vmux_proto::key::PublicKey;
use vmux_proto::message::{Number, Reported, RequestId};

/// The agent at one moment.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whether a passphrase is needed to go on.
    pub locked: bool,
    /// The paired phones, oldest pairing first.
    pub phones: Vec<PhoneStatus>,
    /// The requests that wait for a person; the one that ends first comes first.
    pub waiting: Vec<Waiting>,
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
}

//! One paired phone: what is stored of it, and its link.
use crate::status::{PhoneStatus, Reach};
use alloc::string::String;
use alloc::vec::Vec;
use minicbor::bytes::{ByteSlice, ByteVec};
use minicbor::{Decode, Encode};
use vmux_link::{Bond, Channel, Entropy, LinkId};
use vmux_proto::audit::Head;
use vmux_proto::key::PublicKey;
use vmux_proto::limits::{MAX_HANDSHAKE_MS, MAX_IDENTITIES};
use vmux_proto::message::{Hello, Identity, Message as _, ToAgent, ToSigner, VERSION};
use vmux_proto::{Now, Untrusted};
use zeroize::{Zeroize as _, Zeroizing};

/// Stored bytes that do not say what they should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record is damaged")]
pub struct RecordDamaged;

/// What the agent stores of a phone.
#[derive(Debug)]
pub struct PhoneRecord {
    /// What the phone called itself when it was paired.
    pub name: Untrusted,
    /// `terminal`, `web`.
    pub kind: Untrusted,
    /// Address of the relay where both meet.
    pub relay: String,
    /// When it was paired, in seconds since 1970.
    pub paired: u64,
    /// When it was last connected, in seconds since 1970.
    pub seen: u64,
    /// Its enabled identities as it last said: key and label. Listed while it is away.
    pub identities: Vec<(PublicKey, Untrusted)>,
    /// The link's keys.
    pub bond: Bond,
    /// Whether the person said on it that a request was not theirs: until that is lifted on the
    /// workstation, nothing is signed.
    pub suspended: bool,
}

impl PhoneRecord {
    /// The link's name.
    pub fn id(&self) -> LinkId {
        self.bond.id()
    }

    /// For the state file; holds the links' secrets.
    pub fn list_to_bytes<'a>(records: impl IntoIterator<Item = &'a Self>) -> Zeroizing<Vec<u8>> {
        let mut stored: Vec<Stored> = records
            .into_iter()
            .map(|record| Stored {
                name: record.name.raw().into(),
                kind: record.kind.raw().into(),
                relay: record.relay.clone(),
                paired: record.paired,
                seen: record.seen,
                identities: record.announced(),
                bond: ByteVec::from(record.bond.to_bytes().to_vec()),
                suspended: record.suspended.then_some(true),
            })
            .collect();
        let mut bytes = Zeroizing::new(Vec::new());
        if minicbor::encode(&stored, &mut *bytes).is_err() {
            // Writing to memory cannot fail; an empty record is noticed at the next start.
            bytes.clear();
        }
        for entry in &mut stored {
            entry.bond.zeroize();
        }
        bytes
    }

    /// Reads what [`Self::list_to_bytes`] wrote.
    pub fn list_from_bytes(bytes: &[u8]) -> Result<Vec<Self>, RecordDamaged> {
        let mut decoder = minicbor::Decoder::new(bytes);
        let stored: Vec<BorrowedStored<'_>> = decoder.decode().map_err(|_| RecordDamaged)?;
        if decoder.position() != bytes.len() {
            return Err(RecordDamaged);
        }
        stored
            .into_iter()
            .map(|entry| {
                let bond = Bond::from_bytes(entry.bond).ok_or(RecordDamaged)?;
                Ok(Self {
                    name: Untrusted::new(entry.name),
                    kind: Untrusted::new(entry.kind),
                    relay: entry.relay.into(),
                    paired: entry.paired,
                    seen: entry.seen,
                    identities: understood(entry.identities),
                    bond,
                    suspended: entry.suspended.unwrap_or(false),
                })
            })
            .collect()
    }

    fn announced(&self) -> Vec<Identity> {
        self.identities
            .iter()
            .map(|(key, label)| Identity {
                key: ByteVec::from(key.blob().to_vec()),
                label: label.raw().into(),
            })
            .collect()
    }
}

/// Keys of a kind this agent does not know are left out; the phone may be newer.
pub(crate) fn understood(identities: Vec<Identity>) -> Vec<(PublicKey, Untrusted)> {
    identities
        .into_iter()
        .take(MAX_IDENTITIES)
        .filter_map(|identity| {
            let key = PublicKey::parse(&identity.key).ok()?;
            Some((key, Untrusted::new(&identity.label)))
        })
        .collect()
}

#[derive(Encode)]
struct Stored {
    #[n(0)]
    name: String,
    #[n(1)]
    kind: String,
    #[n(2)]
    relay: String,
    #[n(3)]
    paired: u64,
    #[n(4)]
    seen: u64,
    #[n(5)]
    identities: Vec<Identity>,
    #[n(6)]
    bond: ByteVec,
    #[n(7)]
    suspended: Option<bool>,
}

/// Borrows, so that reading leaves no copy of the secrets behind.
#[derive(Decode)]
struct BorrowedStored<'b> {
    #[b(0)]
    name: &'b str,
    #[b(1)]
    kind: &'b str,
    #[b(2)]
    relay: &'b str,
    #[n(3)]
    paired: u64,
    #[n(4)]
    seen: u64,
    #[n(5)]
    identities: Vec<Identity>,
    #[b(6)]
    bond: &'b ByteSlice,
    #[n(7)]
    suspended: Option<bool>,
}

/// A phone and the state of its link.
#[derive(Debug)]
pub(crate) struct Phone {
    pub(crate) record: PhoneRecord,
    state: State,
    relay: Relay,
    /// How far it knows this agent's log, once it has said so in this meeting.
    pub(crate) knows: Option<Head>,
    /// Whether the files are being read for it.
    pub(crate) proving: bool,
    /// The end of its own log, as it last said.
    pub(crate) log: Option<Head>,
}

/// Whether the phone's relay is reached, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relay {
    Up,
    Down,
}

#[derive(Debug)]
enum State {
    /// Not at the mailbox.
    Away,
    /// At the mailbox; its first handshake message is due until this uptime.
    AwaitingCall(u64),
    /// The handshake is done, but its first message may be a recording: only a frame that opens
    /// shows that the phone is there, and is due until this uptime.
    Unproven(Channel, u64),
    /// There.
    Open(Channel),
}

/// Until when the phone's next part of a handshake is due.
const fn handshake_end(now: Now) -> u64 {
    now.uptime.saturating_add(MAX_HANDSHAKE_MS)
}

/// What a frame turned out to be.
#[derive(Debug)]
pub(crate) enum Heard {
    /// The handshake is done; send this.
    Answered(Vec<u8>),
    /// A message.
    Message(ToAgent),
    /// A frame of no meeting.
    Stray,
}

/// The meeting is spoilt; the connection must begin anew.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spoilt;

impl Phone {
    pub(crate) const fn new(record: PhoneRecord) -> Self {
        Self {
            record,
            state: State::Away,
            relay: Relay::Up,
            knows: None,
            proving: false,
            log: None,
        }
    }

    pub(crate) fn met(&mut self, now: Now) {
        self.state = State::AwaitingCall(handshake_end(now));
        self.relay = Relay::Up;
    }

    pub(crate) fn relay_down(&mut self) {
        self.relay = Relay::Down;
    }

    pub(crate) fn relay_up(&mut self) {
        self.relay = Relay::Up;
    }

    pub(crate) fn left(&mut self) {
        self.state = State::Away;
        self.knows = None;
        self.proving = false;
    }

    /// Takes a frame; `entropy` is used if it is the first of a handshake. After an error the phone
    /// is away.
    pub(crate) fn hear(
        &mut self,
        frame: &[u8],
        hello: &Hello,
        entropy: Entropy,
        now: Now,
    ) -> Result<Heard, Spoilt> {
        match core::mem::replace(&mut self.state, State::Away) {
            // What was on its way when the meeting was spoilt.
            State::Away => Ok(Heard::Stray),
            State::AwaitingCall(_) => {
                let (channel, met, message) = self
                    .record
                    .bond
                    .answer(entropy, frame, &hello.to_bytes())
                    .map_err(|_| Spoilt)?;
                let theirs = Hello::from_bytes(&met.payload).map_err(|_| Spoilt)?;
                if theirs.version != VERSION {
                    return Err(Spoilt);
                }
                self.state = State::Unproven(channel, handshake_end(now));
                Ok(Heard::Answered(message))
            }
            State::Unproven(mut channel, _) | State::Open(mut channel) => {
                let bytes = channel.open(frame).map_err(|_| Spoilt)?;
                let message = ToAgent::from_bytes(&bytes).map_err(|_| Spoilt)?;
                self.state = State::Open(channel);
                Ok(Heard::Message(message))
            }
        }
    }

    /// Seals a message, if there is a channel.
    pub(crate) fn say(&mut self, message: &ToSigner) -> Option<Vec<u8>> {
        match &mut self.state {
            State::Unproven(channel, _) | State::Open(channel) => {
                channel.seal(&message.to_bytes()).ok()
            }
            State::Away | State::AwaitingCall(_) => None,
        }
    }

    /// Whether messages can be sent.
    pub(crate) const fn has_channel(&self) -> bool {
        matches!(self.state, State::Unproven(..) | State::Open(_))
    }

    /// Until when a handshake that has begun must be done, in milliseconds of uptime.
    pub(crate) const fn handshake_ends(&self) -> Option<u64> {
        match self.state {
            State::AwaitingCall(until) | State::Unproven(_, until) => Some(until),
            State::Away | State::Open(_) => None,
        }
    }

    /// Whether the phone has shown that it is there.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// The phone as people see it.
    pub(crate) fn status(&self) -> PhoneStatus {
        let record = &self.record;
        PhoneStatus {
            id: record.id(),
            name: record.name.clone(),
            kind: record.kind.clone(),
            relay: record.relay.clone(),
            paired: record.paired,
            seen: record.seen,
            reach: match self.relay {
                _ if self.is_open() => Reach::Connected,
                Relay::Down => Reach::NoRelay,
                Relay::Up => Reach::Away,
            },
            suspended: record.suspended,
            identities: record.identities.clone(),
        }
    }
}

//! What agent and signer say to each other over the link (docs/spec/messages.md).
//!
//! CBOR (RFC 8949), one message a link frame, fields by number. Unknown field numbers are skipped so
//! that both ends can grow; an unknown message or a version nobody knows is [`Malformed`]. The
//! direction is part of a message's type. The link bounds a message before it is decoded.
use crate::audit::{Growth, Head};
use crate::limits::{
    MAX_BINDINGS, MAX_BLOCKS, MAX_CHAIN, MAX_HINT, MAX_IDENTITIES, MAX_IDENTITY_BLOB, MAX_KEY_BLOB,
    MAX_NAME, MAX_PAYLOAD, MAX_PROCESSES, MAX_SIGNATURE,
};
use crate::source::Source;
use crate::wire::Malformed;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;
use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};

/// The version of these messages. Ends of different versions do not talk; the older one must update.
pub const VERSION: u16 = 1;

/// One sign request, never reused (I4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct RequestId(#[cbor(with = "minicbor::bytes")] pub [u8; 16]);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Eight digits tell requests apart in a list; the whole id is in the log's JSON.
        self.0
            .iter()
            .take(4)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Two digits, 10 to 99, that the signer chooses and the workstation shows to whoever asked.
/// [`ToAgent::from_bytes`] refuses every other value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Number(#[n(0)] u8);

impl Number {
    const RANGE: RangeInclusive<u8> = 10..=99;

    /// Picks one of the 90 numbers from random bytes.
    pub fn pick(random: [u8; 4]) -> Self {
        let spread = u32::from_be_bytes(random) % 90;
        Self(u8::try_from(spread).unwrap_or(0).saturating_add(10))
    }

    /// Reads what a person typed.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.trim();
        match digits.parse() {
            Ok(value) if digits.len() == 2 && Self::RANGE.contains(&value) => Some(Self(value)),
            Ok(_) | Err(_) => None,
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Who an end is; the payload of both handshake messages.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
    /// [`VERSION`] of the sender.
    #[n(0)]
    pub version: u16,
    /// Name of the workstation or phone, as its owner set it.
    #[n(1)]
    pub name: String,
    /// `agent`, `terminal`, `web`.
    #[n(2)]
    pub kind: String,
    /// Program and version, for people.
    #[n(3)]
    pub software: String,
    /// What the signer promises to reveal, in its pairing handshake and nowhere else.
    #[n(4)]
    pub commitment: Option<ByteArray<32>>,
}

/// The steps of a pairing after its handshake, both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum PairingStep {
    /// The person on this side says the codes are the same.
    #[n(0)]
    Confirmed,
    /// The person on this side says no.
    #[n(1)]
    Rejected,
    /// This side has stored the pairing.
    #[n(2)]
    Stored,
    /// The nonce behind [`Hello::commitment`]; the signer's first frame, before the codes are shown.
    #[n(3)]
    Reveal(#[n(0)] ByteArray<32>),
}

/// From the agent to the signer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[expect(
    clippy::large_enum_variant,
    reason = "decoded, taken apart at once and never kept"
)]
pub enum ToSigner {
    /// Please sign.
    #[n(0)]
    Sign(#[n(0)] SignRequest),
    /// The client is gone or the time is over.
    #[n(1)]
    Cancel(#[n(0)] RequestId),
    /// The pairing ends here.
    #[n(2)]
    Unpaired,
    /// The lines the agent's log has grown by; goes before the request they lead to (I9).
    #[n(3)]
    Log(#[n(0)] Growth),
}

/// A request for one signature. The signer repeats every check from the raw bytes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SignRequest {
    /// Names the request.
    #[n(0)]
    pub id: RequestId,
    /// The key blob the client asked for.
    #[n(1)]
    pub key: ByteVec,
    /// The bytes to be signed.
    #[n(2)]
    pub payload: ByteVec,
    /// Flags of the sign request.
    #[n(3)]
    pub flags: u32,
    /// The bodies of the bindings, first hop first, as the client sent them.
    #[n(4)]
    pub chain: Vec<ByteVec>,
    /// How long the agent waits from now, in milliseconds.
    #[n(5)]
    pub wait_ms: u32,
    /// What the workstation says about the client. Never proof.
    #[n(6)]
    pub reported: Reported,
}

/// What the workstation found out about a client: hints, never proof. Every text is untrusted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Reported {
    /// The client and its ancestors, the client first.
    #[n(0)]
    pub processes: Vec<Process>,
    /// The client's working directory.
    #[n(1)]
    pub directory: Option<String>,
    /// The client's controlling terminal.
    #[n(2)]
    pub terminal: Option<String>,
    /// The host as the client's command line names it.
    #[n(3)]
    pub host: Option<String>,
    /// Names that the workstation's `known_hosts` gives the host key, and in what way.
    #[n(4)]
    pub known_hosts: Option<String>,
    /// The workstation's user who runs the client.
    #[n(5)]
    pub user: Option<String>,
    /// The program all this is for.
    #[n(6)]
    pub origin: Option<Origin>,
}

/// The program that a client works for: not `ssh`, which `git` runs, but `git`, or the script that
/// runs `git`. Requests of one burst have the same.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Origin {
    /// Process number on the workstation.
    #[n(0)]
    pub pid: u32,
    /// When it started, in milliseconds since boot: tells it from a successor with its number.
    #[n(1)]
    pub started: u64,
    /// The program, by the path of its executable or script: what limits and blocks hold for.
    #[n(2)]
    pub name: String,
}

/// One process of a reported chain.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Process {
    /// Process number on the workstation.
    #[n(0)]
    pub pid: u32,
    /// The executable's path.
    #[n(1)]
    pub program: String,
    /// The command line.
    #[n(2)]
    pub command: String,
}

/// From the signer to the agent.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ToAgent {
    /// All enabled identities, replacing what was said before.
    #[n(0)]
    Identities(#[n(0)] Vec<Identity>),
    /// The request is on the screen or in its queue.
    #[n(1)]
    Received(#[n(0)] RequestId),
    /// Show this number to whoever made the request.
    #[n(2)]
    ShowNumber(#[n(0)] RequestId, #[n(1)] Number),
    /// Approved and signed.
    #[n(3)]
    Signed(#[n(0)] RequestId, #[n(1)] ByteVec),
    /// Not signed.
    #[n(4)]
    Refused(#[n(0)] RequestId, #[n(1)] Refusal),
    /// The pairing ends here.
    #[n(5)]
    Unpaired,
    /// The person approved; the signature follows.
    #[n(6)]
    Approved(#[n(0)] RequestId),
    /// All blocks that hold for this agent, replacing what was said before.
    #[n(7)]
    Blocks(#[n(0)] Vec<Block>),
    /// How far the signer knows the agent's log; the agent goes on from there.
    #[n(8)]
    Remembers(#[n(0)] Head),
    /// The end of the signer's own log; goes before an answer whose record is its last line.
    #[n(9)]
    Log(#[n(0)] Head),
}

/// A source that is not asked for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Block {
    /// Whose requests are refused.
    #[n(0)]
    pub source: Source,
    /// For how long from now, in milliseconds.
    #[n(1)]
    pub left_ms: u32,
}

/// One identity as clients may see it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Identity {
    /// The public key blob.
    #[n(0)]
    pub key: ByteVec,
    /// The label set on the phone; it becomes the comment.
    #[n(1)]
    pub label: String,
}

/// Why a signer did not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Refusal {
    /// The person said no.
    #[n(0)]
    Denied,
    /// The number typed was not the one shown.
    #[n(1)]
    WrongNumber,
    /// Nobody decided in time.
    #[n(2)]
    TimedOut,
    /// The request id was used before.
    #[n(3)]
    Replayed,
    /// The signer holds no such identity, or it is disabled.
    #[n(4)]
    NoSuchIdentity,
    /// The bytes are no login, SSHSIG or certificate.
    #[n(5)]
    NotUnderstood,
    /// Bindings and payload contradict each other.
    #[n(6)]
    Contradiction,
    /// SSHSIG of a namespace the signer does not sign.
    #[n(7)]
    NamespaceNotAllowed,
    /// A certificate the signer did not build itself.
    #[n(8)]
    ForeignCertificate,
    /// The host key differs from the one pinned under this name.
    #[n(9)]
    HostKeyChanged,
    /// Too many requests wait already.
    #[n(10)]
    TooMany,
    /// The key could not be used.
    #[n(11)]
    KeyFailed,
    /// The signer ended before a decision.
    #[n(12)]
    Closed,
    /// The person has blocked what asks.
    #[n(13)]
    Blocked,
    /// What asks was denied, or got no answer, a moment ago.
    #[n(14)]
    Paused,
    /// The person says that the request was not theirs; nothing of this agent is signed any more.
    #[n(15)]
    NotMe,
    /// The record of the signature could not be written.
    #[n(16)]
    NotRecorded,
}

impl Refusal {
    /// What happened, for people.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Denied => "denied on the phone",
            Self::WrongNumber => "the number typed on the phone was not the one shown here",
            Self::TimedOut => "nobody decided on the phone in time",
            Self::Replayed => "the phone saw this request before",
            Self::NoSuchIdentity => "the phone has no such enabled identity",
            Self::NotUnderstood => "the phone does not know what would be signed",
            Self::Contradiction => "the request contradicts what the hosts proved",
            Self::NamespaceNotAllowed => "the phone does not sign this namespace",
            Self::ForeignCertificate => "the phone signs only certificates it built itself",
            Self::HostKeyChanged => "the host key differs from the one the phone has pinned",
            Self::TooMany => "too many requests wait on the phone",
            Self::KeyFailed => "the phone could not use the key",
            Self::Closed => "the signer was closed before a decision",
            Self::Blocked => "blocked on the phone",
            Self::Paused => "denied or left unanswered a moment ago, so the phone does not ask yet",
            Self::NotMe => "marked as not yours on the phone, which signs nothing for this machine",
            Self::NotRecorded => "the phone cannot write its log, so it does not sign",
        }
    }

    /// What the person can do next.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Denied | Self::Replayed => "run the command again if it was yours",
            Self::WrongNumber => "run the command again and type the number it shows",
            Self::TimedOut | Self::Closed => "open the signer, then run the command again",
            Self::NoSuchIdentity => "see `vmux-signer key list` on the phone's side",
            Self::NotUnderstood => "only logins and SSH signatures can be signed",
            Self::Contradiction => "do not use this connection; see the agent's log",
            Self::NamespaceNotAllowed => "allow the namespace in the signer's configuration",
            Self::ForeignCertificate => "certificates are asked for with the agent's own command",
            Self::HostKeyChanged => {
                "if the change is expected, forget the pin: `vmux-signer pins forget NAME`"
            }
            Self::TooMany => "answer or deny what waits on the phone",
            Self::KeyFailed => "see the messages of the signer",
            Self::Blocked => "wait, or lift the block in the signer: `vmux-signer blocks`",
            Self::Paused => "wait a moment, then run the command again",
            Self::NotMe => {
                "find out what asked (`vmux-agent log`), then allow this machine again: \
                 `vmux-signer resume` on the phone's side and `vmux-agent unlock` here"
            }
            Self::NotRecorded => "make room where the signer keeps its state",
        }
    }

    /// The name in logs and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::WrongNumber => "wrong-number",
            Self::TimedOut => "timed-out",
            Self::Replayed => "replayed",
            Self::NoSuchIdentity => "no-such-identity",
            Self::NotUnderstood => "not-understood",
            Self::Contradiction => "contradiction",
            Self::NamespaceNotAllowed => "namespace-not-allowed",
            Self::ForeignCertificate => "foreign-certificate",
            Self::HostKeyChanged => "host-key-changed",
            Self::TooMany => "too-many",
            Self::KeyFailed => "key-failed",
            Self::Closed => "closed",
            Self::Blocked => "blocked",
            Self::Paused => "paused",
            Self::NotMe => "not-me",
            Self::NotRecorded => "not-recorded",
        }
    }
}

/// A message with its own bounds on every field.
pub trait Message: Encode<()> + for<'b> Decode<'b, ()> {
    /// Whether every field is within its limit.
    fn within_limits(&self) -> bool;

    /// The bytes for the link.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Writing to memory cannot fail, and our own types encode always; an empty message does
        // not decode, so even the impossible case is refused by the other end.
        if minicbor::encode(self, &mut bytes).is_err() {
            bytes.clear();
        }
        bytes
    }

    /// Decodes a whole message; nothing may follow it.
    fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut decoder = minicbor::Decoder::new(bytes);
        let message: Self = decoder.decode().map_err(|error| {
            if error.is_end_of_input() {
                Malformed::Truncated
            } else {
                Malformed::Unknown
            }
        })?;
        if decoder.position() != bytes.len() {
            return Err(Malformed::Trailing);
        }
        if message.within_limits() {
            Ok(message)
        } else {
            Err(Malformed::TooLong)
        }
    }
}

impl Message for Hello {
    fn within_limits(&self) -> bool {
        [&self.name, &self.kind, &self.software]
            .iter()
            .all(|text| text.len() <= MAX_NAME)
    }
}

impl Message for PairingStep {
    fn within_limits(&self) -> bool {
        true
    }
}

impl Message for ToSigner {
    fn within_limits(&self) -> bool {
        match self {
            Self::Sign(request) => request.within_limits(),
            Self::Log(growth) => growth.within_limits(),
            Self::Cancel(_) | Self::Unpaired => true,
        }
    }
}

impl SignRequest {
    fn within_limits(&self) -> bool {
        let chain: usize = self.chain.iter().map(|body| body.len()).sum();
        self.key.len() <= MAX_KEY_BLOB
            && self.payload.len() <= MAX_PAYLOAD
            && self.chain.len() <= MAX_BINDINGS
            && chain <= MAX_CHAIN
            && self.reported.within_limits()
    }
}

impl Reported {
    fn within_limits(&self) -> bool {
        let texts = [
            &self.directory,
            &self.terminal,
            &self.host,
            &self.known_hosts,
            &self.user,
        ];
        let origin = self.origin.as_ref();
        self.processes.len() <= MAX_PROCESSES
            && origin.is_none_or(|origin| origin.name.len() <= MAX_HINT)
            && self.processes.iter().all(|process| {
                process.program.len() <= MAX_HINT && process.command.len() <= MAX_HINT
            })
            && texts
                .iter()
                .all(|text| text.as_ref().is_none_or(|text| text.len() <= MAX_HINT))
    }
}

impl Message for ToAgent {
    fn within_limits(&self) -> bool {
        match self {
            Self::Identities(identities) => {
                identities.len() <= MAX_IDENTITIES
                    && identities.iter().all(|identity| {
                        identity.key.len() <= MAX_IDENTITY_BLOB && identity.label.len() <= MAX_NAME
                    })
            }
            Self::Signed(_, signature) => signature.len() <= MAX_SIGNATURE,
            Self::ShowNumber(_, number) => Number::RANGE.contains(&number.0),
            Self::Blocks(blocks) => {
                blocks.len() <= MAX_BLOCKS
                    && blocks.iter().all(|block| block.source.within_limits())
            }
            Self::Received(_)
            | Self::Refused(..)
            | Self::Unpaired
            | Self::Approved(_)
            | Self::Remembers(_)
            | Self::Log(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn messages_come_back_as_they_were() {
        let message = ToAgent::Refused(RequestId([7; 16]), Refusal::WrongNumber);
        assert_eq!(ToAgent::from_bytes(&message.to_bytes()), Ok(message));
    }

    #[test]
    fn one_byte_more_or_less_is_refused() {
        let mut bytes = ToSigner::Cancel(RequestId([1; 16])).to_bytes();
        bytes.push(0);
        assert_eq!(ToSigner::from_bytes(&bytes), Err(Malformed::Trailing));
        bytes.truncate(bytes.len() - 2);
        assert_eq!(ToSigner::from_bytes(&bytes), Err(Malformed::Truncated));
    }

    #[test]
    fn labels_at_the_limit_pass_and_one_byte_more_is_refused() {
        let identities = |length| {
            let key = ByteVec::from(vec![0; 3]);
            ToAgent::Identities(vec![Identity {
                key,
                label: "a".repeat(length),
            }])
        };
        assert!(ToAgent::from_bytes(&identities(MAX_NAME).to_bytes()).is_ok());
        assert_eq!(
            ToAgent::from_bytes(&identities(MAX_NAME + 1).to_bytes()),
            Err(Malformed::TooLong)
        );
    }

    #[test]
    fn numbers_have_two_digits() {
        assert_eq!(Number::pick([0; 4]), Number(10));
        assert_eq!(Number::pick([0, 0, 0, 89]), Number(99));
        assert_eq!(Number::parse("42"), Some(Number(42)));
        for wrong in ["9", "09", "100", "4 2", "+42", ""] {
            assert_eq!(Number::parse(wrong), None, "{wrong}");
        }
    }
}

//! Why a client got no signature. The client learns one byte (RFC 9987 section 5.1), the person the
//! reason and the next step (I21).
use core::fmt;
use vmux_proto::Malformed;
use vmux_proto::binding::BindingRefused;
use vmux_proto::destination::Contradiction;
use vmux_proto::message::Refusal;

/// Why a request was not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The agent is locked.
    Locked,
    /// A host the agent is forwarded to asked to lock or unlock it.
    NotFromHere,
    /// No paired phone offers this key.
    NoSuchIdentity,
    /// The bytes to be signed are no login and no SSH signature.
    NotUnderstood(Malformed),
    /// A certificate to be signed, outside the agent's own command.
    ForeignCertificate,
    /// A binding failed.
    Binding(BindingRefused),
    /// Bindings and payload contradict each other.
    Contradiction(Contradiction),
    /// The host key is marked `@revoked` in `known_hosts`.
    HostKeyRevoked,
    /// The request does not fit into one message to the phone.
    TooLarge,
    /// Too many requests wait already.
    TooMany,
    /// The phone is not connected.
    Unreachable,
    /// Nobody decided in time.
    TimedOut,
    /// The phone refused.
    Phone(Refusal),
    /// The phone's answer does not verify with the key.
    BadAnswer,
    /// The pairing ended while the request waited.
    Unpaired,
    /// The client hung up.
    Cancelled,
    /// The person took the request back on the workstation.
    CancelledHere,
    /// Too many requests of this source wait already.
    TooManyFromSource,
    /// What asks was denied, or got no answer, a moment ago; for so many milliseconds more nothing
    /// of it is asked.
    Paused(u64),
    /// The person has blocked what asks.
    Blocked,
    /// The person said on a phone that a request was not theirs: nothing is signed here.
    NotMe,
    /// The record could not be written.
    NotRecorded,
}

impl Denial {
    /// What happened, for people.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Locked => "the agent is locked",
            Self::NotFromHere => "a host the agent is forwarded to asked to lock or unlock it",
            Self::NoSuchIdentity => "no paired phone offers this key",
            Self::NotUnderstood(_) => "what would be signed is no login and no SSH signature",
            Self::ForeignCertificate => "certificates are not signed on a client's request",
            Self::Binding(BindingRefused::NotSignedByHost) => {
                "the host key did not sign this session"
            }
            Self::Binding(BindingRefused::NotSignedByAuthority) => {
                "the host certificate's authority did not sign it"
            }
            Self::Binding(BindingRefused::Malformed(_)) => "a session binding was malformed",
            Self::Binding(
                BindingRefused::AfterLogin
                | BindingRefused::Conflict
                | BindingRefused::TooMany
                | BindingRefused::Poisoned,
            ) => "a session binding contradicts an earlier one",
            Self::Contradiction(Contradiction::FailedBinding) => {
                "a session binding on this connection failed"
            }
            Self::Contradiction(Contradiction::OtherSession) => {
                "the login is for another session than the one the host proved"
            }
            Self::Contradiction(Contradiction::OtherHostKey) => {
                "the login names another host key than the one that proved itself"
            }
            Self::Contradiction(Contradiction::OwnHop) => {
                "a host the agent is forwarded to asked for a signature in its own session"
            }
            Self::Contradiction(Contradiction::ForwardedUnproven) => {
                "a forwarded login does not prove where it goes"
            }
            Self::Contradiction(Contradiction::NotALogin) => {
                "a connection bound to a login asked for something else"
            }
            Self::HostKeyRevoked => "the host key is marked as revoked in known_hosts",
            Self::TooLarge => "the request is too large for the phone",
            Self::TooMany => "too many requests wait for the phone",
            Self::Unreachable => "the phone is not connected",
            Self::TimedOut => "nobody decided on the phone in time",
            Self::Phone(refusal) => refusal.reason(),
            Self::BadAnswer => "the phone's signature does not verify",
            Self::Unpaired => "the phone was unpaired",
            Self::Cancelled => "the client hung up",
            Self::CancelledHere => "taken back on the workstation",
            Self::TooManyFromSource => "too many requests of this program or host wait",
            Self::Paused(_) => "denied or left unanswered a moment ago, so the phone is not asked",
            Self::Blocked => "blocked on the phone",
            Self::NotMe => "a request was marked as not yours on the phone, so nothing is signed",
            Self::NotRecorded => "the log cannot be written, so nothing is signed",
        }
    }

    /// What the person can do next.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Locked => "unlock it with `vmux-agent unlock` or `ssh-add -X`",
            Self::NotFromHere => "lock and unlock on the workstation itself",
            Self::NoSuchIdentity => "see `vmux-agent keys`; identities are managed on the phone",
            Self::NotUnderstood(_) => "only logins and SSH signatures can be signed",
            Self::ForeignCertificate => "keep a certificate authority's key elsewhere",
            Self::Binding(_) | Self::Contradiction(_) => {
                "do not trust this connection; see `vmux-agent status` for its source"
            }
            Self::HostKeyRevoked => "ask the server's administrator, or mend known_hosts",
            Self::TooLarge => "use a smaller certificate or fewer hops",
            Self::TooMany | Self::TooManyFromSource => "answer or deny what waits on the phone",
            Self::Unreachable | Self::TimedOut => "open the signer, then run the command again",
            Self::Phone(refusal) => refusal.hint(),
            Self::BadAnswer => "update the signer; if it persists, pair again",
            Self::Unpaired => "pair a phone with `vmux-agent pair`",
            Self::Cancelled | Self::CancelledHere => "run the command again",
            Self::Paused(_) => "wait a moment, then run the command again",
            Self::Blocked => "wait, or lift the block in the signer: `vmux-signer blocks`",
            Self::NotMe => {
                "find out what asked (`vmux-agent log`), then go on with `vmux-agent unlock`"
            }
            Self::NotRecorded => "make room where the agent keeps its state, or mend its rights",
        }
    }

    /// The name in logs and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::NotFromHere => "not-from-here",
            Self::NoSuchIdentity => "no-such-identity",
            Self::NotUnderstood(_) => "not-understood",
            Self::ForeignCertificate => "foreign-certificate",
            Self::Binding(_) => "binding-refused",
            Self::Contradiction(_) => "contradiction",
            Self::HostKeyRevoked => "host-key-revoked",
            Self::TooLarge => "too-large",
            Self::TooMany => "too-many",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed-out",
            Self::Phone(refusal) => refusal.name(),
            Self::BadAnswer => "bad-answer",
            Self::Unpaired => "unpaired",
            Self::Cancelled => "cancelled",
            Self::CancelledHere => "cancelled-here",
            Self::TooManyFromSource => "too-many-from-source",
            Self::Paused(_) => "paused",
            Self::Blocked => "blocked",
            Self::NotMe => "not-me",
            Self::NotRecorded => "not-recorded",
        }
    }
}

impl fmt::Display for Denial {
    /// The reason, with the seconds of a pause.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())?;
        if let Self::Paused(left) = self {
            write!(f, " for {} s more", left.div_ceil(1000))?;
        }
        Ok(())
    }
}

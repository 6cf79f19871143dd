//! A request that waits: for the log, for the person, or for the key that the person let sign.
use crate::check::Asked;
use crate::identity::Identity;
use crate::pins::{PinName, Pins, Standing};
use crate::prompt::Prompt;
use alloc::string::ToString as _;
use alloc::vec::Vec;
use sha2::{Digest as _, Sha256};
use vmux_link::LinkId;
use vmux_proto::Now;
use vmux_proto::agent_wire::SignFlags;
use vmux_proto::message::{Message as _, Number, Refusal, RequestId, SignRequest, ToSigner};
use vmux_proto::signature::VerifiedSignature;

/// A request that passed every check.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) link: LinkId,
    /// Tells it from an earlier one of the same id, whose record may still be on its way.
    pub(crate) serial: u64,
    /// When it came, in milliseconds of uptime.
    pub(crate) since: u64,
    pub(crate) digest: [u8; 32],
    pub(crate) asked: Asked,
    pub(crate) prompt: Prompt,
    pub(crate) stage: Stage,
}

/// How far it is, and what it waits for.
#[derive(Debug)]
pub(crate) enum Stage {
    /// For its question to be on record, before the person sees it.
    Arriving,
    /// For the person.
    Shown,
    /// For the key.
    Approved { name: Option<PinName> },
    /// For its answer to be on record, before it leaves (I8).
    Signed {
        name: Option<PinName>,
        signature: VerifiedSignature,
    },
}

impl Waiting {
    pub(crate) const fn is_undecided(&self) -> bool {
        matches!(self.stage, Stage::Arriving | Stage::Shown)
    }

    /// Whether the person has seen it.
    pub(crate) const fn was_shown(&self) -> bool {
        !matches!(self.stage, Stage::Arriving)
    }

    /// Whether the person sees it and has not decided.
    pub(crate) const fn is_on_screen(&self) -> bool {
        matches!(self.stage, Stage::Shown)
    }

    /// Checks an approval; there is no other way to a [`SignJob`].
    pub(crate) fn approve(
        &mut self,
        number: Option<Number>,
        name: Option<PinName>,
        pins: &Pins,
        now: Now,
    ) -> Result<SignJob, Refusal> {
        if now.uptime >= self.prompt.deadline {
            return Err(Refusal::TimedOut);
        }
        if self.is_blocked(pins) {
            return Err(Refusal::HostKeyChanged);
        }
        if self.prompt.number.is_some() && self.prompt.number != number {
            return Err(Refusal::WrongNumber);
        }
        self.stage = Stage::Approved { name };
        Ok(SignJob {
            request: self.prompt.request,
            identity: self.asked.identity().clone(),
            flags: self.asked.flags(),
            bytes: self.asked.bytes().to_vec(),
        })
    }

    /// Whether nothing but denying is possible, by the pins as they were shown or as they are: an
    /// approval of another request may have pinned the name meanwhile.
    fn is_blocked(&self, pins: &Pins) -> bool {
        let host = self.asked.host(&self.prompt.reported, pins);
        self.prompt.is_blocked()
            || host.is_some_and(|host| matches!(host.standing, Standing::Changed(_)))
    }
}

/// A signature to be made for an approval (I3). Nothing but an approval makes one.
#[derive(Debug)]
pub struct SignJob {
    request: RequestId,
    identity: Identity,
    flags: SignFlags,
    bytes: Vec<u8>,
}

impl SignJob {
    /// The request it answers.
    pub const fn request(&self) -> RequestId {
        self.request
    }

    /// The identity to sign with.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Flags of the request, for RSA keys.
    pub const fn flags(&self) -> SignFlags {
        self.flags
    }

    /// The bytes to sign.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Tells whether a request asked again is the same one, on the same link. The wait shrinks between
/// the two, so it does not count.
pub(crate) fn digest(link: LinkId, request: &SignRequest) -> [u8; 32] {
    let same = SignRequest {
        wait_ms: 0,
        ..request.clone()
    };
    Sha256::new()
        .chain_update(link.to_string())
        .chain_update(ToSigner::Sign(same).to_bytes())
        .finalize()
        .into()
}

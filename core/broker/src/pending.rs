//! One sign request on its way to a phone and back, and those who wait for its answer.
use crate::conversation::{ClientId, SignAsk};
use crate::denial::Denial;
use crate::exchange::Shown;
use crate::known_hosts::Verdict;
use crate::status::{Progress, Waiting};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use minicbor::bytes::ByteVec;
use vmux_link::{LinkId, MAX_MESSAGE};
use vmux_proto::Untrusted;
use vmux_proto::destination::Destination;
use vmux_proto::key::PublicKey;
use vmux_proto::message::{Message as _, Reported, RequestId, SignRequest, ToSigner};
use vmux_proto::payload::Payload;
use vmux_proto::signature::VerifiedSignature;
use vmux_proto::source::Source;

/// A client that wants a signature, with all that is known of it.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) client: ClientId,
    pub(crate) began: u64,
    pub(crate) ask: Box<SignAsk>,
    pub(crate) random: [u8; 16],
    pub(crate) reported: Reported,
    pub(crate) known_hosts: Option<Verdict>,
}

/// A sign request and its askers; all of them get the one answer.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) askers: Vec<Asker>,
    pub(crate) link: LinkId,
    pub(crate) key: PublicKey,
    pub(crate) payload: Payload,
    pub(crate) destination: Destination,
    pub(crate) request: SignRequest,
    pub(crate) shown: Waiting,
    /// Set while the phone is not connected: when to give up on it.
    pub(crate) give_up: Option<u64>,
    pub(crate) stage: Stage,
}

/// A client that waits for the answer.
#[derive(Debug)]
pub(crate) struct Asker {
    pub(crate) client: ClientId,
    pub(crate) source: Source,
    pub(crate) reported: Reported,
    pub(crate) asked_at: u64,
    /// When its own time is over, in milliseconds of uptime.
    pub(crate) ends: u64,
}

/// How far a request has come in the current meeting.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Not on record yet.
    Recording,
    /// Here: the phone is away, or shows as many as it takes.
    Queued,
    /// With the phone.
    Sent,
    /// With the phone, which says so.
    Received,
    /// Approved by the person; the phone makes the signature.
    Approved,
    /// The signature is here and must not leave before its record is safe (I8).
    Signed(VerifiedSignature),
}

impl Pending {
    /// Whether the phone has it, and its answer is awaited.
    pub(crate) const fn is_on_phone(&self) -> bool {
        matches!(self.stage, Stage::Sent | Stage::Received | Stage::Approved)
    }

    /// Whether one more client may wait for the same answer.
    pub(crate) fn is_same(&self, ask: &SignAsk) -> bool {
        let request = &self.request;
        let chain = request.chain.iter().map(|body| body.as_slice());
        !matches!(self.stage, Stage::Signed(_))
            && request.key.as_slice() == ask.key.blob()
            && request.payload.as_slice() == ask.bytes
            && request.flags == ask.flags.bits()
            && chain.eq(ask.chain.iter().map(Vec::as_slice))
    }

    /// The request as people see it.
    pub(crate) fn waiting(&self) -> Waiting {
        Waiting {
            stage: match self.stage {
                Stage::Recording => Progress::Recording,
                Stage::Queued => Progress::Queued,
                Stage::Sent => Progress::Sent,
                Stage::Received => Progress::Shown,
                Stage::Approved | Stage::Signed(_) => Progress::Approved,
            },
            askers: self.askers.len(),
            ..self.shown.clone()
        }
    }

    /// The request as each of those who wait sees it.
    pub(crate) fn shown(&self) -> impl Iterator<Item = Shown> {
        self.askers.iter().map(|asker| self.shown_to(asker.client))
    }

    pub(crate) fn shown_to(&self, client: ClientId) -> Shown {
        Shown {
            client,
            waiting: self.waiting(),
        }
    }

    /// When it ends for all.
    pub(crate) fn ends(&self) -> u64 {
        let waits_for_phone = !matches!(self.stage, Stage::Signed(_));
        let give_up = self.give_up.filter(|_| waits_for_phone);
        give_up.unwrap_or(u64::MAX).min(self.shown.deadline)
    }

    /// When it ends for the first of those who wait.
    pub(crate) fn first_end(&self) -> u64 {
        let askers = self.askers.iter().map(|asker| asker.ends);
        askers.min().unwrap_or(u64::MAX).min(self.ends())
    }
}

/// Builds the message to the phone. Hints give way if the proofs need the room.
pub(crate) fn request(wish: &Wish) -> Result<SignRequest, Denial> {
    let ask = &wish.ask;
    let mut request = SignRequest {
        id: RequestId(wish.random),
        key: ByteVec::from(ask.key.blob().to_vec()),
        payload: ByteVec::from(ask.bytes.clone()),
        flags: ask.flags.bits(),
        chain: ask.chain.iter().cloned().map(ByteVec::from).collect(),
        wait_ms: 0,
        reported: wish.reported.clone(),
    };
    let fits = |request: &SignRequest| {
        let message = ToSigner::Sign(request.clone());
        // A phone takes a message beyond its limits for a broken link.
        message.within_limits()
            && message.to_bytes().len().saturating_add(ROOM_FOR_WAIT) <= MAX_MESSAGE
    };
    if !fits(&request) {
        request.reported = Reported::default();
    }
    if fits(&request) {
        Ok(request)
    } else {
        Err(Denial::TooLarge)
    }
}

/// A wait grows from one byte to five when it is filled in.
const ROOM_FOR_WAIT: usize = 4;

pub(crate) fn describe(payload: &Payload) -> String {
    match payload {
        Payload::Userauth(userauth) => format!("login as {}", userauth.user),
        Payload::SshSig(signature) => {
            format!("{} signature", Untrusted::new(&signature.namespace))
        }
        Payload::Certificate(_) => String::from("certificate"),
    }
}

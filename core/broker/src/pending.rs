//! One sign request on its way to a phone and back.
use crate::conversation::{ClientId, SignAsk};
use crate::denial::Denial;
use crate::exchange::{Asked, Shown};
use crate::status::Waiting;
use alloc::format;
use alloc::string::String;
use minicbor::bytes::ByteVec;
use vmux_link::{LinkId, MAX_MESSAGE};
use vmux_proto::Untrusted;
use vmux_proto::key::PublicKey;
use vmux_proto::message::{Message as _, Reported, RequestId, SignRequest, ToSigner};
use vmux_proto::payload::Payload;

/// A sign request that waits for its phone.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) client: ClientId,
    pub(crate) link: LinkId,
    pub(crate) key: PublicKey,
    pub(crate) request: SignRequest,
    pub(crate) shown: Waiting,
    /// Set while the phone is not connected: when to give up on it.
    pub(crate) give_up: Option<u64>,
}

impl Pending {
    pub(crate) fn shown(&self) -> Shown {
        Shown {
            client: self.client,
            waiting: self.shown.clone(),
        }
    }

    pub(crate) fn ends(&self) -> u64 {
        self.give_up.unwrap_or(u64::MAX).min(self.shown.deadline)
    }
}

/// Builds the message to the phone. Hints give way if the proofs need the room.
pub(crate) fn request(asked: &Asked, ask: &SignAsk) -> Result<SignRequest, Denial> {
    let mut request = SignRequest {
        id: RequestId(asked.random),
        key: ByteVec::from(ask.key.blob().to_vec()),
        payload: ByteVec::from(ask.bytes.clone()),
        flags: ask.flags.bits(),
        chain: ask.chain.iter().cloned().map(ByteVec::from).collect(),
        wait_ms: 0,
        reported: asked.reported.clone(),
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

//! A request that waits for the person, or for the key that the person let sign.
use crate::check::Asked;
use crate::pins::{PinName, Pins, Standing};
use crate::prompt::Prompt;
use alloc::string::ToString as _;
use sha2::{Digest as _, Sha256};
use vmux_link::LinkId;
use vmux_proto::message::{Message as _, SignRequest, ToSigner};

/// A request that was shown.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) link: LinkId,
    pub(crate) digest: [u8; 32],
    pub(crate) asked: Asked,
    pub(crate) prompt: Prompt,
    pub(crate) stage: Stage,
}

/// What it waits for.
#[derive(Debug)]
pub(crate) enum Stage {
    AwaitingDecision,
    AwaitingSignature { name: Option<PinName> },
}

impl Waiting {
    pub(crate) const fn is_undecided(&self) -> bool {
        matches!(self.stage, Stage::AwaitingDecision)
    }

    /// Whether nothing but denying is possible, by the pins as they were shown or as they are: an
    /// approval of another request may have pinned the name meanwhile.
    pub(crate) fn is_blocked(&self, pins: &Pins) -> bool {
        let host = self.asked.host(&self.prompt.reported, pins);
        self.prompt.is_blocked()
            || host.is_some_and(|host| matches!(host.standing, Standing::Changed(_)))
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

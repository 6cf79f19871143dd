//! Requests that one program makes at a time, and that the person decides together.
//!
//! What they have in common is reported, and may be a lie: it saves keystrokes, no check. Each request
//! is checked on its own. Those that need the number are for one proven destination and one use, so
//! that the number typed cannot approve anything else.
use crate::signer::Signer;
use crate::waiting::Waiting;
use alloc::vec::Vec;
use vmux_proto::destination::Level;
use vmux_proto::message::{Number, RequestId};

impl Signer {
    /// The requests that the person can decide together with this one, itself first: of the same run of
    /// one program, for the same identity, on the screen and undecided, and where they need the number,
    /// for the same user or content at the same host by the same way. Empty for a request that is not
    /// on the screen.
    pub fn together(&self, request: RequestId) -> Vec<RequestId> {
        self.burst(request, Waiting::is_on_screen)
    }

    /// This request and all that have its number, on the screen or on the way to it.
    pub(crate) fn sharing_number(&self, request: RequestId) -> Vec<RequestId> {
        self.burst(request, Waiting::is_undecided)
    }

    fn burst(&self, request: RequestId, counts: impl Fn(&Waiting) -> bool) -> Vec<RequestId> {
        let Some(first) = self.waiting.get(&request).filter(|first| counts(first)) else {
            return Vec::new();
        };
        let others = self.requests(|other| {
            other.serial != first.serial && counts(other) && belong_together(first, other)
        });
        core::iter::once(request).chain(others).collect()
    }

    /// The number of an undecided request of the same burst.
    pub(crate) fn shared_number(&self, of: &Waiting) -> Option<Number> {
        let mut fellows = self
            .waiting
            .values()
            .filter(|other| other.is_undecided() && belong_together(of, other));
        fellows.find_map(|other| other.prompt.number)
    }
}

fn belong_together(one: &Waiting, other: &Waiting) -> bool {
    let origins = (&one.prompt.reported.origin, &other.prompt.reported.origin);
    let same_origin = matches!(origins, (Some(one), Some(other)) if one == other);
    one.link == other.link
        && same_origin
        && one.prompt.fingerprint == other.prompt.fingerprint
        && !one.prompt.is_blocked()
        && !other.prompt.is_blocked()
        && match (one.prompt.number, other.prompt.number) {
            (None, None) => true,
            (Some(_), Some(_)) => is_same_use(one, other),
            (None, Some(_)) | (Some(_), None) => false,
        }
}

/// The same thing at the same place. Where the destination is not known, none is the same.
fn is_same_use(one: &Waiting, other: &Waiting) -> bool {
    one.prompt.level != Level::Unknown
        && one.prompt.subject == other.prompt.subject
        && one.asked.destination() == other.asked.destination()
}

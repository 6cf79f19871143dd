//! How two ends agree on a pairing once the handshake is done (I15).
//!
//! Each end shows the short code, asks its person, and tells the other. Nothing is stored before both
//! said yes; nobody claims success before the other end has stored it, too.
use crate::message::PairingStep;

/// Where this end stands. Begin with [`Agreement::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement(Stage);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nobody has answered yet.
    BothOpen,
    /// The person here said yes.
    OpenThere,
    /// The person there said yes.
    OpenHere,
    /// Both said yes; this end is storing.
    Storing,
    /// As before, and the other end has stored already.
    StoringLast,
    /// This end has stored; the other has not said so yet.
    OnlyStoredHere,
    Ended,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The person here says the codes are the same.
    YesHere,
    /// The person here says they differ, or gives up.
    NoHere,
    /// The other end said something.
    There(PairingStep),
    /// This end's record is on disk.
    StoredHere,
    /// The other end is gone.
    Left,
}

/// What to do about it: first say, then go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Tell the other end.
    pub say: Option<PairingStep>,
    /// And then.
    pub then: Then,
}

/// What follows an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Wait for more.
    Wait,
    /// Store the pairing and report [`Event::StoredHere`].
    Store,
    /// Both ends have stored it.
    Done,
    /// This end has stored it; the other end left before it said so. The next meeting shows.
    DoneHere,
    /// Nothing is stored.
    Failed(PairingFailed),
}

/// Why a pairing came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairingFailed {
    /// The offer's time is over.
    #[error("this pairing link has expired")]
    Expired,
    /// The other end could not open or make what only the offer's secret can.
    #[error("the other end could not prove that it knows this pairing link")]
    NotProven,
    /// The other end speaks another version.
    #[error("the other end runs another version")]
    Version,
    /// The person here said no.
    #[error("you said that the codes differ")]
    RejectedHere,
    /// The person there said no.
    #[error("the other side said that the codes differ")]
    RejectedThere,
    /// The other end left.
    #[error("the other end left: it was stopped, or the link was used before or is no longer open")]
    Gone,
    /// The other end broke the protocol.
    #[error("the other end sent something that does not belong here")]
    Confused,
}

impl PairingFailed {
    /// What the person can do next.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Expired | Self::Gone | Self::Confused => {
                "run `vmux-agent pair` for a new link and try again"
            }
            Self::NotProven => {
                "check that the link is whole, or run `vmux-agent pair` for a new one"
            }
            Self::Version => "update vmux-agent and vmux-signer to the same version",
            Self::RejectedHere | Self::RejectedThere => {
                "nothing was stored; if the codes really differed, somebody may stand between the two"
            }
        }
    }

    /// The name in logs and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NotProven => "not-proven",
            Self::Version => "version",
            Self::RejectedHere => "rejected-here",
            Self::RejectedThere => "rejected-there",
            Self::Gone => "gone",
            Self::Confused => "confused",
        }
    }
}

impl Agreement {
    /// The handshake is done, nobody has answered.
    pub const fn new() -> Self {
        Self(Stage::BothOpen)
    }

    /// Takes one event.
    pub fn handle(&mut self, event: Event) -> Turn {
        use PairingStep::{Confirmed, Rejected, Reveal, Stored};
        let (stage, say, then) = match (self.0, event) {
            (Stage::BothOpen, Event::YesHere) => (Stage::OpenThere, Some(Confirmed), Then::Wait),
            (Stage::BothOpen, Event::There(Confirmed)) => (Stage::OpenHere, None, Then::Wait),
            (Stage::OpenHere, Event::YesHere) => (Stage::Storing, Some(Confirmed), Then::Store),
            (Stage::OpenThere, Event::There(Confirmed)) => (Stage::Storing, None, Then::Store),
            (Stage::BothOpen | Stage::OpenHere | Stage::OpenThere, event) => match event {
                Event::NoHere => {
                    let failed = Then::Failed(PairingFailed::RejectedHere);
                    (Stage::Ended, Some(Rejected), failed)
                }
                Event::There(Rejected) => (
                    Stage::Ended,
                    None,
                    Then::Failed(PairingFailed::RejectedThere),
                ),
                Event::Left => (Stage::Ended, None, Then::Failed(PairingFailed::Gone)),
                // The nonce was revealed before anybody was asked; a second one is out of place.
                Event::YesHere
                | Event::There(Confirmed | Stored | Reveal(_))
                | Event::StoredHere => (Stage::Ended, None, Then::Failed(PairingFailed::Confused)),
            },
            (Stage::Storing, Event::StoredHere) => {
                (Stage::OnlyStoredHere, Some(Stored), Then::Wait)
            }
            (Stage::Storing, Event::There(Stored)) => (Stage::StoringLast, None, Then::Wait),
            (Stage::StoringLast, Event::StoredHere) => (Stage::Ended, Some(Stored), Then::Done),
            (Stage::OnlyStoredHere, Event::There(Stored)) => (Stage::Ended, None, Then::Done),
            (Stage::OnlyStoredHere, Event::Left) => (Stage::Ended, None, Then::DoneHere),
            // Both persons have said yes: this end stores, whatever comes now.
            (Stage::Storing | Stage::StoringLast | Stage::OnlyStoredHere, _) => {
                (self.0, None, Then::Wait)
            }
            (Stage::Ended, _) => (Stage::Ended, None, Then::Wait),
        };
        self.0 = stage;
        Turn { say, then }
    }
}

impl Default for Agreement {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PairingStep::{Confirmed, Rejected, Stored};

    fn play(events: &[Event]) -> Turn {
        let mut agreement = Agreement::new();
        let mut last = Turn {
            say: None,
            then: Then::Wait,
        };
        for event in events {
            last = agreement.handle(*event);
        }
        last
    }

    #[test]
    fn both_yes_in_either_order_store() {
        let here_first = play(&[Event::YesHere, Event::There(Confirmed)]);
        assert_eq!(
            here_first,
            Turn {
                say: None,
                then: Then::Store
            }
        );
        let there_first = play(&[Event::There(Confirmed), Event::YesHere]);
        assert_eq!(
            there_first,
            Turn {
                say: Some(Confirmed),
                then: Then::Store
            }
        );
    }

    #[test]
    fn one_yes_alone_stores_nothing() {
        assert_eq!(play(&[Event::YesHere]).then, Then::Wait);
        assert_eq!(play(&[Event::There(Confirmed)]).then, Then::Wait);
        assert_eq!(
            play(&[Event::YesHere, Event::YesHere]).then,
            Then::Failed(PairingFailed::Confused)
        );
    }

    #[test]
    fn a_no_on_either_side_ends_it_for_good() {
        for no in [Event::NoHere, Event::There(Rejected), Event::Left] {
            for before in [&[][..], &[Event::YesHere], &[Event::There(Confirmed)]] {
                let mut agreement = Agreement::new();
                for event in before {
                    agreement.handle(*event);
                }
                assert!(matches!(agreement.handle(no).then, Then::Failed(_)));
                assert_eq!(agreement.handle(Event::YesHere).then, Then::Wait);
                assert_eq!(agreement.handle(Event::There(Confirmed)).then, Then::Wait);
            }
        }
    }

    #[test]
    fn a_nonce_once_people_are_asked_ends_it() {
        let reveal = Event::There(PairingStep::Reveal([7; 32].into()));
        for before in [&[][..], &[Event::YesHere], &[Event::There(Confirmed)]] {
            let mut agreement = Agreement::new();
            for event in before {
                agreement.handle(*event);
            }
            assert_eq!(
                agreement.handle(reveal).then,
                Then::Failed(PairingFailed::Confused)
            );
        }
    }

    #[test]
    fn success_is_claimed_only_when_both_have_stored() {
        let agreed = [Event::YesHere, Event::There(Confirmed)];
        let stored_here = [&agreed[..], &[Event::StoredHere]].concat();
        assert_eq!(
            play(&stored_here),
            Turn {
                say: Some(Stored),
                then: Then::Wait
            }
        );
        let both = [&stored_here[..], &[Event::There(Stored)]].concat();
        assert_eq!(play(&both).then, Then::Done);
        let gone = [&stored_here[..], &[Event::Left]].concat();
        assert_eq!(play(&gone).then, Then::DoneHere);
        let last = [&agreed[..], &[Event::There(Stored), Event::StoredHere]].concat();
        assert_eq!(
            play(&last),
            Turn {
                say: Some(Stored),
                then: Then::Done
            }
        );
    }
}

//! Requests that wait no more, remembered so that an id means one request for good (I4).
//!
//! Each link has its own share of the memory: no agent can make another's answers forgotten. What
//! left the screen undecided is kept until its deadline, whatever else its agent asks for: a decision
//! on it may still be on its way, and must not meet other bytes under the same id. It is kept for a
//! minute at least, which bounds how fast an agent can put requests on the screen and take them back.
use alloc::collections::VecDeque;
use vmux_link::LinkId;
use vmux_proto::message::{Refusal, RequestId, ToAgent};

/// Requests remembered for each link beside those that wait; older ones that were decided make room.
const MAX_PAST: usize = 256;

/// What left the screen undecided is kept for so long, even if its deadline is earlier.
const HELD_MS: u64 = 60_000;

/// The requests that wait no more, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Past(VecDeque<Ended>);

/// One of them.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) link: LinkId,
    pub(crate) request: RequestId,
    /// Of the request as it was asked.
    pub(crate) digest: [u8; 32],
    pub(crate) deadline: u64,
    /// When it ended, in milliseconds of uptime.
    pub(crate) at: u64,
    pub(crate) fate: Fate,
}

/// How a request ended.
#[derive(Debug)]
pub(crate) enum Fate {
    /// With this answer, sent or to be sent when the agent asks again.
    Answered(ToAgent),
    /// The agent took it back.
    Cancelled,
    /// The connection broke before a decision; the same request can be shown again.
    Disconnected,
}

/// What is known of a request that comes in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recalled {
    /// Nothing that keeps it from being shown.
    Unanswered,
    /// It was answered like this.
    Answer(ToAgent),
    /// Its id belongs to another request, or to one that is over.
    Replayed,
}

impl Past {
    /// What an id and a digest say about a request, at this uptime.
    pub(crate) fn recall(&self, request: RequestId, digest: [u8; 32], uptime: u64) -> Recalled {
        let Some(ended) = self.0.iter().find(|ended| ended.request == request) else {
            return Recalled::Unanswered;
        };
        if ended.digest != digest {
            return Recalled::Replayed;
        }
        match &ended.fate {
            Fate::Answered(ToAgent::Signed(..)) if uptime >= ended.deadline => {
                Recalled::Answer(ToAgent::Refused(request, Refusal::TimedOut))
            }
            Fate::Answered(answer) => Recalled::Answer(answer.clone()),
            Fate::Cancelled => Recalled::Replayed,
            Fate::Disconnected => Recalled::Unanswered,
        }
    }

    /// Whether a link has so many requests that must not be forgotten yet that no more can follow.
    pub(crate) fn is_full(&self, link: LinkId, uptime: u64) -> bool {
        let held = self
            .0
            .iter()
            .filter(|ended| ended.link == link && ended.is_held(uptime));
        held.count() >= MAX_PAST
    }

    /// Makes room for one more request of this link.
    pub(crate) fn make_room(&mut self, link: LinkId, uptime: u64) {
        if self.0.iter().filter(|ended| ended.link == link).count() >= MAX_PAST {
            let spare = |ended: &Ended| ended.link == link && !ended.is_held(uptime);
            if let Some(at) = self.0.iter().position(spare) {
                self.0.remove(at);
            }
        }
    }

    /// Keeps a request that ends, in the place of what was known of its id.
    pub(crate) fn remember(&mut self, ended: Ended) {
        self.0.retain(|earlier| earlier.request != ended.request);
        self.0.push_back(ended);
    }

    /// Forgets the answers of a link that is no more. The ids that left the screen undecided stay
    /// taken: the person may be deciding, and the same id must not come back over another link.
    pub(crate) fn forget(&mut self, link: LinkId) {
        self.0.retain(|ended| {
            ended.link != link
                || match ended.fate {
                    Fate::Answered(_) => false,
                    Fate::Cancelled | Fate::Disconnected => true,
                }
        });
    }
}

impl Ended {
    fn is_held(&self, uptime: u64) -> bool {
        match self.fate {
            Fate::Answered(_) => false,
            Fate::Cancelled | Fate::Disconnected => {
                uptime < self.deadline.max(self.at.saturating_add(HELD_MS))
            }
        }
    }
}

//! What is known of one mailbox and of one end.

use vmux_proto::mailbox::{CloseReason, Meeting, Seat, Side};

use super::EndId;
use crate::bucket::{Bucket, Rate};
use crate::millis::Millis;
use crate::queue::Queue;

/// Two seats, and the meetings of who sits there.
#[derive(Debug)]
pub(super) struct Mailbox {
    pub(super) agent: Option<EndId>,
    pub(super) signer: Option<EndId>,
    /// The number of the last meeting, if there was one.
    pub(super) last: Option<Meeting>,
    pub(super) presence: Presence,
    pub(super) messages: Bucket,
    pub(super) bytes: Bucket,
}

/// Whether the meeting with the last number goes on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Presence {
    Apart,
    Together,
}

/// One connection, as far as decisions need it.
#[derive(Debug)]
pub(super) struct End {
    pub(super) seat: Seat,
    pub(super) queue: Queue,
    pub(super) heard: Millis,
    pub(super) pinged: Millis,
    /// Since when the connection has been busy with one message.
    pub(super) writing: Option<Millis>,
    /// Set once: the end has lost its seat and only hears why.
    pub(super) closed: Option<CloseReason>,
}

impl Mailbox {
    pub(super) fn new(messages: Rate, bytes: Rate, now: Millis) -> Self {
        Self {
            agent: None,
            signer: None,
            last: None,
            presence: Presence::Apart,
            messages: Bucket::full(messages, now),
            bytes: Bucket::full(bytes, now),
        }
    }

    pub(super) const fn at(&self, side: Side) -> Option<EndId> {
        match side {
            Side::Agent => self.agent,
            Side::Signer => self.signer,
        }
    }

    pub(super) const fn seat(&mut self, side: Side) -> &mut Option<EndId> {
        match side {
            Side::Agent => &mut self.agent,
            Side::Signer => &mut self.signer,
        }
    }

    pub(super) const fn current(&self) -> Option<Meeting> {
        match self.presence {
            Presence::Apart => None,
            Presence::Together => self.last,
        }
    }
}

impl End {
    pub(super) fn new(seat: Seat, now: Millis) -> Self {
        Self {
            seat,
            queue: Queue::default(),
            heard: now,
            pinged: now,
            writing: None,
            closed: None,
        }
    }
}

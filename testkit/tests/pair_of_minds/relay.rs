//! A mailbox as docs/spec/relay.md has it, and what a relay that is not honest can do to it.
use crate::dice::Dice;
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Agent,
    Signer,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Agent, Self::Signer];

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Agent => Self::Signer,
            Self::Signer => Self::Agent,
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Agent => 0,
            Self::Signer => 1,
        }
    }
}

/// A frame on its way, with what an honest relay would know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) from: Side,
    /// The meeting it was sent in.
    pub(crate) meeting: u32,
    /// Frames the sender sent before it in that meeting.
    pub(crate) index: usize,
    /// Whether nobody touched the bytes, and the sender's channel is the one of the two ends.
    pub(crate) genuine: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Arrival {
    Met(u32),
    Left,
    Frame(Sealed),
}

#[derive(Default)]
pub(crate) struct Mailbox {
    seats: [Seat; 2],
    meeting: u32,
    /// Whether the current meeting has both its ends.
    together: bool,
    /// Everything anybody sent, for a relay that keeps it.
    recorded: Vec<Sealed>,
}

#[derive(Default)]
struct Seat {
    taken: bool,
    inbox: VecDeque<Arrival>,
    sent: usize,
}

impl Mailbox {
    pub(crate) const fn is_seated(&self, side: Side) -> bool {
        self.seats[side.index()].taken
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.seats.iter().all(|seat| seat.inbox.is_empty())
    }

    pub(crate) fn sit(&mut self, side: Side) {
        self.leave(side);
        self.seats[side.index()].taken = true;
        if self.is_seated(side.other()) {
            self.meeting += 1;
            self.together = true;
            for seat in &mut self.seats {
                seat.sent = 0;
                seat.inbox.push_back(Arrival::Met(self.meeting));
            }
        }
    }

    pub(crate) fn leave(&mut self, side: Side) {
        let seat = &mut self.seats[side.index()];
        seat.taken = false;
        // What waits for a connection dies with it.
        seat.inbox.clear();
        if std::mem::take(&mut self.together) {
            self.seats[side.other().index()]
                .inbox
                .push_back(Arrival::Left);
        }
    }

    /// A frame of the meeting that its sender believes in.
    pub(crate) fn send(&mut self, from: Side, connection: &Connection, bytes: Vec<u8>) {
        if !self.together || connection.meeting != Some(self.meeting) {
            return;
        }
        let seat = &mut self.seats[from.index()];
        let (meeting, index, genuine) = (self.meeting, seat.sent, !connection.spoilt);
        let sealed = Sealed {
            bytes,
            from,
            meeting,
            index,
            genuine,
        };
        seat.sent += 1;
        self.recorded.push(sealed.clone());
        self.seats[from.other().index()]
            .inbox
            .push_back(Arrival::Frame(sealed));
    }

    pub(crate) fn deliver(&mut self, to: Side) -> Option<Arrival> {
        self.seats[to.index()].inbox.pop_front()
    }

    /// Plays a recorded first frame right after a meeting began, where it does most.
    pub(crate) fn replay_call(&mut self, to: Side, dice: &mut Dice) {
        let inbox = &mut self.seats[to.index()].inbox;
        let begun = inbox
            .iter()
            .rposition(|arrival| matches!(arrival, Arrival::Met(_)));
        let is_call = |old: &&Sealed| old.index == 0 && old.from == to.other();
        let calls: Vec<_> = self.recorded.iter().filter(is_call).collect();
        if let (Some(at), Some(call)) = (begun, dice.pick(&calls)) {
            inbox.insert(at + 1, Arrival::Frame((*call).clone()));
        }
    }

    /// Drops, repeats, swaps, changes or invents frames; `Met` and `Left` stay where they are.
    pub(crate) fn meddle(&mut self, to: Side, dice: &mut Dice) {
        let recorded = self.recorded.clone();
        let meeting = self.meeting;
        let seat = &mut self.seats[to.index()];
        if !seat.taken {
            return;
        }
        let frames: Vec<usize> = (0..seat.inbox.len())
            .filter(|at| matches!(seat.inbox[*at], Arrival::Frame(_)))
            .collect();
        match (dice.below(6), dice.pick(&frames).copied()) {
            (0, Some(at)) => drop(seat.inbox.remove(at)),
            (1, Some(at)) => {
                let again = seat.inbox[at].clone();
                seat.inbox.insert(at, again);
            }
            (2, Some(at)) => {
                let other = at + 1;
                if matches!(seat.inbox.get(other), Some(Arrival::Frame(_))) {
                    seat.inbox.swap(at, other);
                }
            }
            (3, Some(at)) => {
                if let Arrival::Frame(sealed) = &mut seat.inbox[at]
                    && !sealed.bytes.is_empty()
                {
                    let place = dice.below(sealed.bytes.len());
                    sealed.bytes[place] ^= 1 << dice.below(8);
                    sealed.genuine = false;
                }
            }
            (4, _) => {
                if let Some(old) = dice.pick(&recorded) {
                    seat.inbox.push_back(Arrival::Frame(old.clone()));
                }
            }
            (5, _) => {
                let lengths = [0, 1, 96, 272, 368, 1040, 4112];
                let bytes = vec![0x5a; *dice.pick(&lengths).unwrap()];
                let from = to.other();
                let garbage = Sealed {
                    bytes,
                    from,
                    meeting,
                    index: 0,
                    genuine: false,
                };
                seat.inbox.push_back(Arrival::Frame(garbage));
            }
            _ => {}
        }
    }
}

/// One end's connection to a mailbox, and what it may expect to get.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    /// The meeting this end believes in.
    pub(crate) meeting: Option<u32>,
    /// Frames it got in this meeting, each the next one of the other end.
    pub(crate) in_step: usize,
    /// It got a frame that was not the next one, and went on.
    pub(crate) spoilt: bool,
}

impl Connection {
    pub(crate) const fn met(&mut self, meeting: u32) {
        *self = Self {
            meeting: Some(meeting),
            in_step: 0,
            spoilt: false,
        };
    }

    pub(crate) fn gone(&mut self) {
        *self = Self::default();
    }

    /// Whether a frame is the next one of the other end, and no other came before.
    pub(crate) fn takes(&mut self, side: Side, sealed: &Sealed) -> bool {
        let next = sealed.genuine
            && !self.spoilt
            && sealed.from == side.other()
            && Some(sealed.meeting) == self.meeting
            && sealed.index == self.in_step;
        self.in_step += usize::from(next);
        next
    }
}

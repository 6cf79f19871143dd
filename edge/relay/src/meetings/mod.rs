//! Who sits at which mailbox, and what reaches whom.
//!
//! The relay's mind: no socket, no clock, no task. The edge feeds it what arrived
//! ([`Meetings::handle`]), asks which ends have something to do ([`Meetings::woken`]) and drains
//! them ([`Meetings::poll`]). One rule holds everywhere: a frame is put into an end's queue only
//! while its meeting number is that of the meeting this end is in, and a queue dies with its
//! connection. So no end ever sees bytes sent to another that had its seat before.

mod seated;

use std::collections::{BTreeMap, VecDeque};

use axum::body::Bytes;
use vmux_proto::mailbox::{self, CloseReason, Control, MAX_FRAME, MailboxId, Meeting, Seat};

use crate::bucket::Rate;
use crate::limits::Limits;
use crate::millis::Millis;
pub(crate) use crate::queue::Output;
use crate::queue::QueueFull;
use seated::{End, Mailbox, Presence};

/// One connection, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EndId(pub(crate) u64);

/// What happened at the edge.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// A connection takes a seat.
    Arrived(EndId, Seat),
    /// A binary message came.
    Frame(EndId, Bytes),
    /// A ping or a pong came.
    Alive(EndId),
    /// A message came that no end may send.
    Forbidden(EndId),
    /// A message began that is larger than a frame may be.
    Oversize(EndId),
    /// An end's deadline passed.
    Tick(EndId),
    /// A connection ended.
    Gone(EndId),
    /// The relay stops.
    Stop,
}

/// What was counted since the start, and what is there at the moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) arrivals: u64,
    pub(crate) meetings: u64,
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    pub(crate) stale_frames: u64,
    pub(crate) closes: BTreeMap<CloseReason, u64>,
    pub(crate) ends: u64,
    pub(crate) mailboxes: u64,
    pub(crate) queued_bytes: u64,
}

/// All mailboxes of a relay.
#[derive(Debug)]
pub(crate) struct Meetings {
    limits: Limits,
    mailboxes: BTreeMap<MailboxId, Mailbox>,
    ends: BTreeMap<EndId, End>,
    woken: VecDeque<EndId>,
    queued_bytes: u64,
    running: Running,
    counts: Counts,
}

#[derive(Debug)]
enum Running {
    Yes,
    Stopping,
}

impl Meetings {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            mailboxes: BTreeMap::new(),
            ends: BTreeMap::new(),
            woken: VecDeque::new(),
            queued_bytes: 0,
            running: Running::Yes,
            counts: Counts::default(),
        }
    }

    /// Takes in what happened.
    pub(crate) fn handle(&mut self, input: Input, now: Millis) {
        match input {
            Input::Arrived(end, seat) => self.arrived(end, seat, now),
            Input::Frame(end, frame) => self.frame(end, frame, now),
            Input::Alive(end) => self.alive(end, now),
            Input::Forbidden(end) => self.close(end, CloseReason::BadFrame),
            Input::Oversize(end) => self.close(end, CloseReason::TooBig),
            Input::Tick(end) => self.tick(end, now),
            Input::Gone(end) => self.gone(end),
            Input::Stop => self.stop(),
        }
    }

    /// The next end that has something to do; it may be named more than once.
    pub(crate) fn woken(&mut self) -> Option<EndId> {
        self.woken.pop_front()
    }

    /// What `end` does next. Asking again says that the message before is written.
    pub(crate) fn poll(&mut self, end: EndId, now: Millis) -> Option<Output> {
        let it = self.ends.get_mut(&end)?;
        let before = it.queue.bytes();
        let output = it.queue.pop();
        it.writing = output.as_ref().map(|_| now);
        self.queued_bytes = self.queued_bytes.saturating_sub(before - it.queue.bytes());
        output
    }

    /// Why `end` has lost its seat, if it has: its connection then waits for nothing else.
    pub(crate) fn closed(&self, end: EndId) -> Option<CloseReason> {
        self.ends.get(&end).and_then(|it| it.closed)
    }

    /// When `end` wants a [`Input::Tick`].
    pub(crate) fn deadline(&self, end: EndId) -> Option<Millis> {
        let it = self.ends.get(&end)?;
        let idle = it.heard.after(self.limits.idle_after);
        let ping = it.heard.max(it.pinged).after(self.limits.ping_after);
        let stall = it.writing.map(|since| since.after(self.limits.stall_after));
        Some(idle.min(ping).min(stall.unwrap_or(idle)))
    }

    /// What was counted.
    pub(crate) fn counts(&self) -> Counts {
        let count = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
        Counts {
            ends: count(self.ends.len()),
            mailboxes: count(self.mailboxes.len()),
            queued_bytes: self.queued_bytes,
            ..self.counts.clone()
        }
    }

    fn arrived(&mut self, end: EndId, seat: Seat, now: Millis) {
        self.counts.arrivals += 1;
        self.ends.insert(end, End::new(seat, now));
        if matches!(self.running, Running::Stopping) {
            return self.close(end, CloseReason::Shutdown);
        }
        if let Some(older) = self
            .mailboxes
            .get(&seat.mailbox)
            .and_then(|it| it.at(seat.side))
        {
            self.replace(older, end, seat);
        } else if self.has_room(seat.mailbox) {
            let rates = (self.message_rate(), self.byte_rate());
            let mailbox = self
                .mailboxes
                .entry(seat.mailbox)
                .or_insert_with(|| Mailbox::new(rates.0, rates.1, now));
            *mailbox.seat(seat.side) = Some(end);
        } else {
            return self.close(end, CloseReason::Full);
        }
        self.meet(end, seat);
    }

    fn has_room(&self, mailbox: MailboxId) -> bool {
        let open = u64::try_from(self.mailboxes.len()).unwrap_or(u64::MAX);
        open < self.limits.mailboxes.into() || self.mailboxes.contains_key(&mailbox)
    }

    /// Gives `older`'s seat to `newer` without emptying the mailbox in between: its meeting
    /// numbers go on and its rates are not refilled.
    fn replace(&mut self, older: EndId, newer: EndId, seat: Seat) {
        if let Some(mailbox) = self.mailboxes.get_mut(&seat.mailbox) {
            *mailbox.seat(seat.side) = Some(newer);
        }
        self.part(seat);
        self.farewell(older, CloseReason::Replaced);
    }

    /// Starts a meeting of `newer` with the end across, if there is one.
    fn meet(&mut self, newer: EndId, seat: Seat) {
        let Some(mailbox) = self.mailboxes.get_mut(&seat.mailbox) else {
            return;
        };
        let Some(waiting) = mailbox.at(seat.side.other()) else {
            return;
        };
        let next = match mailbox.last {
            None => Some(Meeting::FIRST),
            Some(last) => last.next(),
        };
        let Some(meeting) = next else {
            // Four thousand million meetings: both ends come back to fresh numbers.
            self.close(waiting, CloseReason::Full);
            return self.close(newer, CloseReason::Full);
        };
        mailbox.last = Some(meeting);
        mailbox.presence = Presence::Together;
        self.counts.meetings += 1;
        // The newer one first: its queue has room. If the other's has none, the newer one then
        // hears that this meeting is over, and not of an end it was never told about.
        for end in [newer, waiting] {
            self.push(end, Output::Control(Control::Meeting(meeting)));
        }
    }

    /// Ends the meeting at the mailbox of `seat`, if there is one, and tells the end across.
    fn part(&mut self, seat: Seat) {
        let Some(mailbox) = self.mailboxes.get_mut(&seat.mailbox) else {
            return;
        };
        let Some(meeting) = mailbox.current() else {
            return;
        };
        mailbox.presence = Presence::Apart;
        if let Some(other) = mailbox.at(seat.side.other()) {
            self.push(other, Output::Control(Control::Left(meeting)));
        }
    }

    fn frame(&mut self, end: EndId, frame: Bytes, now: Millis) {
        let (message_rate, byte_rate) = (self.message_rate(), self.byte_rate());
        let Some((seat, mailbox)) = self.heard(end, now) else {
            return;
        };
        if frame.len() > MAX_FRAME {
            return self.close(end, CloseReason::TooBig);
        }
        let Ok((meeting, _sealed)) = mailbox::split(&frame) else {
            return self.close(end, CloseReason::BadFrame);
        };
        let bytes = u64::try_from(frame.len()).unwrap_or(u64::MAX);
        if mailbox.messages.take(1, message_rate, now).is_err()
            || mailbox.bytes.take(bytes, byte_rate, now).is_err()
        {
            return self.close(end, CloseReason::TooMany);
        }
        if mailbox.current() == Some(meeting) {
            if let Some(other) = mailbox.at(seat.side.other()) {
                self.counts.frames += 1;
                self.counts.bytes += bytes;
                self.push(other, Output::Frame(frame));
            }
        } else if mailbox.last.is_some_and(|last| meeting <= last) {
            // Sent before the sender heard that its meeting is over.
            self.counts.stale_frames += 1;
        } else {
            self.close(end, CloseReason::BadFrame);
        }
    }

    fn alive(&mut self, end: EndId, now: Millis) {
        let rate = self.message_rate();
        let Some((_, mailbox)) = self.heard(end, now) else {
            return;
        };
        if mailbox.messages.take(1, rate, now).is_err() {
            self.close(end, CloseReason::TooMany);
        }
    }

    /// Notes a sign of life; nothing for an end that has lost its seat.
    fn heard(&mut self, end: EndId, now: Millis) -> Option<(Seat, &mut Mailbox)> {
        let it = self.ends.get_mut(&end).filter(|it| it.closed.is_none())?;
        it.heard = it.heard.max(now);
        let seat = it.seat;
        self.mailboxes
            .get_mut(&seat.mailbox)
            .map(|mailbox| (seat, mailbox))
    }

    fn tick(&mut self, end: EndId, now: Millis) {
        let Some(it) = self.ends.get_mut(&end).filter(|it| it.closed.is_none()) else {
            return;
        };
        if it
            .writing
            .is_some_and(|since| now >= since.after(self.limits.stall_after))
        {
            self.close(end, CloseReason::Slow);
        } else if now >= it.heard.after(self.limits.idle_after) {
            self.close(end, CloseReason::Idle);
        } else if now >= it.heard.max(it.pinged).after(self.limits.ping_after) {
            it.pinged = now;
            self.push(end, Output::Ping);
        }
    }

    fn gone(&mut self, end: EndId) {
        let Some(it) = self.ends.get(&end) else {
            return;
        };
        let (seat, closed) = (it.seat, it.closed);
        if closed.is_none() {
            self.leave(end, seat);
        }
        if let Some(it) = self.ends.remove(&end) {
            self.queued_bytes = self.queued_bytes.saturating_sub(it.queue.bytes());
        }
    }

    fn stop(&mut self) {
        self.running = Running::Stopping;
        self.mailboxes.clear();
        for (end, it) in &mut self.ends {
            if it.closed.is_none() {
                // What is queued was sent before the stop and still goes out.
                it.queue.push_close(CloseReason::Shutdown);
                it.closed = Some(CloseReason::Shutdown);
                *self.counts.closes.entry(CloseReason::Shutdown).or_default() += 1;
                self.woken.push_back(*end);
            }
        }
    }

    /// Takes an end's seat away and tells it why.
    fn close(&mut self, end: EndId, reason: CloseReason) {
        let Some(it) = self.ends.get(&end).filter(|it| it.closed.is_none()) else {
            return;
        };
        let seat = it.seat;
        // First the farewell: telling the end across may close that one too, and come back here.
        self.farewell(end, reason);
        self.leave(end, seat);
    }

    /// Drops what waits for an end and leaves only the reason.
    fn farewell(&mut self, end: EndId, reason: CloseReason) {
        let Some(it) = self.ends.get_mut(&end) else {
            return;
        };
        self.queued_bytes = self.queued_bytes.saturating_sub(it.queue.bytes());
        it.queue.clear();
        it.queue.push_close(reason);
        it.closed = Some(reason);
        *self.counts.closes.entry(reason).or_default() += 1;
        self.woken.push_back(end);
    }

    /// Empties a seat, if `end` is the one who sits there.
    fn leave(&mut self, end: EndId, seat: Seat) {
        let Some(mailbox) = self.mailboxes.get_mut(&seat.mailbox) else {
            return;
        };
        if mailbox.at(seat.side) != Some(end) {
            return;
        }
        *mailbox.seat(seat.side) = None;
        if mailbox.at(seat.side.other()).is_none() {
            self.mailboxes.remove(&seat.mailbox);
        } else {
            self.part(seat);
        }
    }

    fn push(&mut self, end: EndId, message: Output) {
        let Some(it) = self.ends.get_mut(&end).filter(|it| it.closed.is_none()) else {
            return;
        };
        let before = it.queue.bytes();
        let pushed = it
            .queue
            .push(message, self.limits.queue_messages, self.limits.queue_bytes);
        self.queued_bytes += it.queue.bytes() - before;
        self.woken.push_back(end);
        if pushed == Err(QueueFull) {
            self.close(end, CloseReason::Slow);
        } else if self.queued_bytes > self.limits.queues_bytes.into() {
            self.close(end, CloseReason::Full);
        }
    }

    const fn message_rate(&self) -> Rate {
        Rate {
            per_second: self.limits.messages_per_second,
            burst: self.limits.messages_burst,
        }
    }

    const fn byte_rate(&self) -> Rate {
        Rate {
            per_second: self.limits.bytes_per_second,
            burst: self.limits.bytes_burst,
        }
    }
}

#[cfg(test)]
mod tests;

//! What goes on record, and what waits for it: no request is shown before its line is written, and
//! no signature leaves before its line is on disk (I8).
use crate::broker::Broker;
use crate::conversation::ClientId;
use crate::denial::Denial;
use crate::exchange::{Event, Output, Unasked};
use crate::pending::{Pending, Stage, Wish};
use alloc::format;
use alloc::string::{String, ToString as _};
use vmux_link::LinkId;
use vmux_proto::Now;
use vmux_proto::audit::{self, Entry, Storing};
use vmux_proto::message::{Refusal, Reported, RequestId};
use vmux_proto::source::Source;

/// What waits for a line of the log.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waiter {
    /// A client's question.
    Asked(RequestId, ClientId),
    /// The signature of a request.
    Approved(RequestId),
}

impl Broker {
    /// Lines up to this number are safe.
    pub(crate) fn recorded(&mut self, lines: u64) {
        self.log_failing = false;
        for waiter in self.journal.stored(lines) {
            match waiter {
                Waiter::Asked(id, _) => {
                    if let Some(pending) = self.pending.get_mut(&id)
                        && matches!(pending.stage, Stage::Recording)
                    {
                        pending.stage = Stage::Queued;
                    }
                }
                Waiter::Approved(id) => self.release(id),
            }
        }
    }

    /// Nothing more could be written: whoever waited for it gets nothing.
    pub(crate) fn not_recorded(&mut self, now: Now) {
        self.log_failing = true;
        for waiter in self.journal.failed() {
            match waiter {
                Waiter::Asked(id, client) => self.leave(id, client, Denial::NotRecorded, now),
                Waiter::Approved(id) => self.cancel(id, Denial::NotRecorded, now),
            }
        }
    }

    /// Puts the question of one client on record; the request goes on when that is written.
    pub(crate) fn record_asked(&mut self, id: RequestId, client: ClientId, now: Now) {
        let Some(pending) = self.pending.get(&id) else {
            return;
        };
        let entry = self.entry(audit::Event::Asked, pending, Some(client), now);
        let waiter = Waiter::Asked(id, client);
        self.journal.wait_for(entry, Storing::Written, waiter, now);
    }

    /// Puts the approval on record; the signature leaves when that is on disk.
    pub(crate) fn record_approved(&mut self, id: RequestId, now: Now) {
        let Some(pending) = self.pending.get(&id) else {
            return;
        };
        let entry = self.entry(audit::Event::Approved, pending, None, now);
        let waiter = Waiter::Approved(id);
        self.journal.wait_for(entry, Storing::Synced, waiter, now);
    }

    /// Puts the end of a request on record, or that of one who waited for it.
    pub(crate) fn record_end(
        &mut self,
        pending: &Pending,
        client: Option<ClientId>,
        denial: Denial,
        now: Now,
    ) {
        let entry = Entry {
            reason: Some(denial.name().into()),
            ..self.entry(event_of(denial), pending, client, now)
        };
        self.journal.note(entry, now);
    }

    /// Puts on record what happened to a pairing or the lock.
    pub(crate) fn record_link(
        &mut self,
        event: audit::Event,
        link: LinkId,
        reason: Option<&str>,
        now: Now,
    ) {
        let entry = Entry {
            link: Some(link.to_string()),
            peer: Some(format!("{}", self.phones.name(link))),
            reason: reason.map(String::from),
            ..Entry::new(event)
        };
        self.journal.note(entry, now);
    }

    /// What is known of a request that is refused before it waits.
    pub(crate) fn record_refused(&mut self, wish: &Wish, denial: Denial, now: Now) {
        let ask = &wish.ask;
        let id = RequestId(wish.random);
        let entry = Entry {
            key: Some(ask.key.fingerprint().to_string()),
            ..Entry::new(audit::Event::Refused).about(
                id,
                &ask.payload,
                &ask.destination,
                &wish.reported,
            )
        };
        self.note_refusal(entry, denial, now);
    }

    /// A conversation refused something by itself.
    pub(crate) fn unasked(&mut self, unasked: Unasked, now: Now) {
        let Unasked {
            client,
            denial,
            reported,
            known,
        } = unasked;
        self.outputs
            .push_back(Output::Event(Event::Refused(client, denial)));
        let source = match (&known.source, &reported.origin) {
            (Some(source), _) => source.clone(),
            (None, Some(origin)) => Source::Program(origin.name.clone()).to_string(),
            (None, None) => Source::Unknown.to_string(),
        };
        let entry = Entry {
            event: audit::Event::Refused,
            source: Some(source),
            ..known.reported_by(&reported)
        };
        self.note_refusal(entry, denial, now);
    }

    fn note_refusal(&mut self, entry: Entry, denial: Denial, now: Now) {
        let entry = Entry {
            reason: Some(denial.name().into()),
            ..entry
        };
        if let Some(entry) = self.refusals.take(entry, now) {
            self.journal.note(entry, now);
        }
    }

    /// Writes what was only counted, and hands out all new lines.
    pub(crate) fn write(&mut self, now: Now) {
        for entry in self.refusals.counted(now) {
            self.journal.note(entry, now);
        }
        while let Some(line) = self.journal.poll() {
            self.outputs.push_back(Output::Record(line));
        }
    }

    /// The record of a request; of all who wait, or of one of them.
    fn entry(
        &self,
        event: audit::Event,
        pending: &Pending,
        client: Option<ClientId>,
        now: Now,
    ) -> Entry {
        let asker = client.map_or_else(
            || pending.askers.first(),
            |client| pending.askers.iter().find(|asker| asker.client == client),
        );
        let unknown = Reported::default();
        let reported = asker.map_or(&unknown, |asker| &asker.reported);
        let asked_at = asker.map_or(pending.shown.asked_at, |asker| asker.asked_at);
        let phone = self.phones.get(pending.link);
        let together = u64::try_from(pending.askers.len()).unwrap_or(u64::MAX);
        let after = now.uptime.saturating_sub(asked_at);
        Entry {
            link: Some(pending.link.to_string()),
            peer: Some(format!("{}", pending.shown.phone)),
            identity: Some(format!("{}", pending.shown.identity)),
            key: Some(pending.key.fingerprint().to_string()),
            after_ms: (event != audit::Event::Asked).then_some(after),
            count: (client.is_none() && together > 1).then_some(together),
            other_log: phone
                .and_then(|phone| phone.log)
                .map(|head| head.to_string()),
            ..Entry::new(event).about(
                pending.request.id,
                &pending.payload,
                &pending.destination,
                reported,
            )
        }
    }
}

/// What a record calls the end of a request.
const fn event_of(denial: Denial) -> audit::Event {
    match denial {
        Denial::Phone(Refusal::Denied | Refusal::WrongNumber) => audit::Event::Denied,
        Denial::TimedOut | Denial::Phone(Refusal::TimedOut) => audit::Event::TimedOut,
        Denial::Cancelled | Denial::CancelledHere => audit::Event::Cancelled,
        Denial::Locked
        | Denial::NotFromHere
        | Denial::NoSuchIdentity
        | Denial::NotUnderstood(_)
        | Denial::ForeignCertificate
        | Denial::Binding(_)
        | Denial::Contradiction(_)
        | Denial::HostKeyRevoked
        | Denial::TooLarge
        | Denial::TooMany
        | Denial::TooManyFromSource
        | Denial::Paused(_)
        | Denial::Blocked
        | Denial::NotMe
        | Denial::NotRecorded
        | Denial::Unreachable
        | Denial::Phone(_)
        | Denial::BadAnswer
        | Denial::Unpaired => audit::Event::Refused,
    }
}

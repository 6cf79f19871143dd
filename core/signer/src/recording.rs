//! What is on record, and what waits until it is (I8).
use crate::check::{Asked, hexadecimal};
use crate::exchange::{Output, Withdrawn};
use crate::pins::{PinName, Standing};
use crate::signer::Signer;
use crate::waiting::{Stage, Waiting};
use alloc::string::{String, ToString as _};
use minicbor::bytes::ByteVec;
use vmux_link::LinkId;
use vmux_proto::Now;
use vmux_proto::audit::{Entry, Event, Storing};
use vmux_proto::message::{Refusal, RequestId, SignRequest, ToAgent};
use vmux_proto::signature::VerifiedSignature;

/// A request that waits for a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiter {
    request: RequestId,
    serial: u64,
}

impl Signer {
    /// Puts a question on its way to the log.
    pub(crate) fn record_question(&mut self, waiting: &Waiting, now: Now) {
        let entry = self.entry_about(waiting, Event::Asked, now);
        let waiter = waiting.waiter();
        self.journal.wait_for(entry, Storing::Written, waiter, now);
    }

    /// Puts an answer on its way to the log, and holds the signature meanwhile.
    pub(crate) fn record_answer(
        &mut self,
        request: RequestId,
        name: Option<PinName>,
        signature: VerifiedSignature,
        now: Now,
    ) {
        let Some(waiting) = self.waiting.get_mut(&request) else {
            return;
        };
        waiting.stage = Stage::Signed { name, signature };
        let waiter = waiting.waiter();
        if let Some(waiting) = self.waiting.get(&request) {
            let entry = self.entry_about(waiting, Event::Approved, now);
            self.journal.wait_for(entry, Storing::Synced, waiter, now);
        }
    }

    /// Lines are safe: what waited for them goes on.
    pub(crate) fn recorded(&mut self, lines: u64, now: Now) {
        for Waiter { request, serial } in self.journal.stored(lines) {
            let waiting = self.waiting.get(&request);
            let Some(waiting) = waiting.filter(|waiting| waiting.serial == serial) else {
                continue;
            };
            if now.uptime >= waiting.prompt.deadline {
                self.late(request, now);
                continue;
            }
            match waiting.stage {
                Stage::Arriving => self.show(request),
                Stage::Signed { .. } => self.release(request, now),
                Stage::Shown | Stage::Approved { .. } => {}
            }
        }
    }

    /// Lines could not be written: what waited for them does not happen.
    pub(crate) fn not_recorded(&mut self, now: Now) {
        for Waiter { request, serial } in self.journal.failed() {
            let waiting = self.waiting.get(&request);
            if waiting.is_some_and(|waiting| waiting.serial == serial) {
                self.refuse(request, Refusal::NotRecorded, now);
            }
        }
    }

    /// Sends a signature whose record is safe.
    fn release(&mut self, request: RequestId, now: Now) {
        let Some(waiting) = self.waiting.get(&request) else {
            return;
        };
        let Stage::Signed { name, signature } = &waiting.stage else {
            return;
        };
        let destination = waiting.asked.destination();
        if destination.level().is_verified()
            && let Some(host_key) = destination.host_key()
        {
            self.pins.approved(host_key, name.as_ref(), now.wall);
            self.outputs.push_back(Output::StorePins);
        }
        let answer = ToAgent::Signed(request, ByteVec::from(signature.blob().to_vec()));
        let link = waiting.link;
        self.say(link, &ToAgent::Log(self.journal.head()));
        self.answer(request, answer, Withdrawn::Signed, now);
    }

    /// Notes how a request that waits ended.
    pub(crate) fn note_end(
        &mut self,
        request: RequestId,
        event: Event,
        reason: Option<&str>,
        now: Now,
    ) {
        if let Some(waiting) = self.waiting.get(&request) {
            let entry = Entry {
                reason: reason.map(Into::into),
                ..self.entry_about(waiting, event, now)
            };
            self.journal.note(entry, now);
        }
    }

    /// Notes a refusal nobody was asked for. How many lines that makes in a minute is up to the signer,
    /// not to whoever asks.
    pub(crate) fn note_refusal(
        &mut self,
        (link, request): (LinkId, &SignRequest),
        asked: Option<&Asked>,
        refusal: Refusal,
        now: Now,
    ) {
        if !self.limits.has_line(link, now.uptime) {
            return;
        }
        let known = asked.map_or_else(Entry::default, |asked| asked.record().clone());
        let entry = Entry {
            request: Some(hexadecimal(&request.id.0)),
            reason: Some(refusal.name().into()),
            ..self.entry_with(link, Event::Refused, known)
        };
        self.journal.note(entry, now);
    }

    /// Notes how many refusals got no line of their own.
    pub(crate) fn note_unwritten(&mut self, uptime: Option<u64>, now: Now) {
        for (link, count) in self.limits.unwritten(uptime) {
            let entry = Entry {
                count: Some(count),
                ..self.entry_of(link, Event::Refused)
            };
            self.journal.note(entry, now);
        }
    }

    /// A record about an agent.
    pub(crate) fn entry_of(&self, link: LinkId, event: Event) -> Entry {
        self.entry_with(link, event, Entry::default())
    }

    fn entry_about(&self, waiting: &Waiting, event: Event, now: Now) -> Entry {
        let known = waiting.asked.record().clone();
        Entry {
            host: waiting.host_name(),
            after_ms: (event != Event::Asked).then(|| now.uptime.saturating_sub(waiting.since)),
            ..self.entry_with(waiting.link, event, known)
        }
    }

    fn entry_with(&self, link: LinkId, event: Event, known: Entry) -> Entry {
        let agent = self.lines.get(&link).map(|line| &line.record);
        Entry {
            event,
            link: Some(link.to_string()),
            peer: agent.map(|agent| agent.name.to_string()),
            other_log: self.heads.believed(link).map(|head| head.to_string()),
            ..known
        }
    }
}

impl Waiting {
    const fn waiter(&self) -> Waiter {
        Waiter {
            request: self.prompt.request,
            serial: self.serial,
        }
    }

    /// What the person calls the destination's host.
    fn host_name(&self) -> Option<String> {
        let host = self.prompt.host.as_ref()?;
        let pinned = match &host.standing {
            Standing::Pinned(pin) => Some(&pin.name),
            Standing::New | Standing::Changed(_) | Standing::Unverified => None,
        };
        let given = match &self.stage {
            Stage::Approved { name } | Stage::Signed { name, .. } => name.as_ref(),
            Stage::Arriving | Stage::Shown => None,
        };
        pinned.or(given).map(|name| name.as_str().into())
    }
}

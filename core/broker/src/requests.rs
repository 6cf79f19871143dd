//! The life of a sign request: asked, recorded, sent, answered; and every way it can end.
use crate::broker::Broker;
use crate::conversation::{Answer, ClientId};
use crate::denial::Denial;
use crate::exchange::{Ended, Event, Output};
use crate::known_hosts::Verdict;
use crate::pending::{Asker, Pending, Stage, Wish, describe, request};
use crate::status::{Progress, Waiting};
use alloc::vec;
use alloc::vec::Vec;
use vmux_link::LinkId;
use vmux_proto::Now;
use vmux_proto::limits::{MAX_LOGIN_MS, MAX_SHOWN, MAX_SHOWN_PER_SOURCE};
use vmux_proto::message::{Refusal, RequestId, ToAgent, ToSigner};
use vmux_proto::patience::Vain;
use vmux_proto::signature::{VerifiedSignature, Verifier};
use vmux_proto::source::Source;

impl Broker {
    /// Takes a wish, or refuses it at once.
    pub(crate) fn wish(&mut self, wish: &Wish, now: Now) {
        let client = wish.client;
        if let Err(denial) = self.take(wish, now) {
            self.record_refused(wish, denial, now);
            self.outputs
                .push_back(Output::Event(Event::Refused(client, denial)));
            self.answer(client, Answer::Failure);
        }
    }

    fn take(&mut self, wish: &Wish, now: Now) -> Result<(), Denial> {
        let source = Source::of(&wish.ask.destination, &wish.reported);
        self.may_ask(wish, &source, now)?;
        let asker = Asker {
            client: wish.client,
            source,
            reported: wish.reported.clone(),
            asked_at: now.uptime,
            ends: self.ends(wish, now),
        };
        let mut waiting = self.pending.values_mut();
        let same = waiting.find(|pending| pending.is_same(&wish.ask));
        let id = if let Some(pending) = same {
            pending.askers.push(asker);
            pending.request.id
        } else {
            let pending = self.pending(wish, asker, now)?;
            let id = pending.request.id;
            self.pending.insert(id, pending);
            id
        };
        if let Some(pending) = self.pending.get(&id) {
            let shown = pending.shown_to(wish.client);
            self.outputs.push_back(Output::Event(Event::Asked(shown)));
        }
        self.record_asked(id, wish.client, now);
        Ok(())
    }

    /// What the agent refuses by itself. All of this narrows what a phone may be asked, and nothing
    /// here can make a phone sign (I6).
    fn may_ask(&self, wish: &Wish, source: &Source, now: Now) -> Result<(), Denial> {
        if self.attempts.is_locked() {
            return Err(Denial::Locked);
        }
        if self.phones.is_suspended() {
            return Err(Denial::NotMe);
        }
        if matches!(wish.known_hosts, Some(Verdict::Revoked)) {
            return Err(Denial::HostKeyRevoked);
        }
        if let Some(until) = self.patience.paused_until(source, now.uptime) {
            return Err(Denial::Paused(until.saturating_sub(now.uptime)));
        }
        let askers = || self.pending.values().flat_map(|one| &one.askers);
        if askers().count() >= self.limits.pending {
            return Err(Denial::TooMany);
        }
        if askers().filter(|one| one.source == *source).count() >= self.limits.per_source {
            return Err(Denial::TooManyFromSource);
        }
        let holder = self.phones.holder(&wish.ask.key);
        let (phone, ..) = holder.ok_or(Denial::NoSuchIdentity)?;
        let mut waiting = self.pending.values();
        let same = waiting.find(|pending| pending.is_same(&wish.ask));
        let link = same.map_or_else(|| phone.record.id(), |pending| pending.link);
        if self.blocks.holds(link, source, now) {
            return Err(Denial::Blocked);
        }
        if now.uptime >= self.ends(wish, now) {
            return Err(Denial::TimedOut);
        }
        Ok(())
    }

    /// When the time of a client is over.
    const fn ends(&self, wish: &Wish, now: Now) -> u64 {
        let oldest = wish.began.saturating_add(MAX_LOGIN_MS);
        let wait = now.uptime.saturating_add(self.limits.wait_ms);
        if wait < oldest { wait } else { oldest }
    }

    fn pending(&self, wish: &Wish, asker: Asker, now: Now) -> Result<Pending, Denial> {
        let ask = &wish.ask;
        let (phone, key, label) = self.phones.holder(&ask.key).ok_or(Denial::NoSuchIdentity)?;
        let request = request(wish)?;
        let shown = Waiting {
            id: request.id,
            phone: phone.record.name.clone(),
            identity: label.clone(),
            what: describe(&ask.payload),
            level: ask.destination.level(),
            host_key: ask.destination.host_key().cloned(),
            hops: ask.destination.hops().to_vec(),
            number: None,
            deadline: asker.ends,
            reported: wish.reported.clone(),
            source: asker.source.clone(),
            stage: Progress::Recording,
            askers: 1,
            asked_at: now.uptime,
        };
        let reach_by = now.uptime.saturating_add(self.limits.reach_ms);
        Ok(Pending {
            link: phone.record.id(),
            key: key.clone(),
            payload: ask.payload.clone(),
            destination: ask.destination.clone(),
            request,
            shown,
            give_up: (!phone.is_open()).then_some(reach_by),
            stage: Stage::Recording,
            askers: vec![asker],
        })
    }

    /// Sends what is queued, the most urgent first, as far as the phones take more.
    pub(crate) fn flow(&mut self, now: Now) {
        let queued = self.pending.values();
        let queued = queued.filter(|one| matches!(one.stage, Stage::Queued));
        let mut queued: Vec<_> = queued
            .map(|one| (one.shown.deadline, one.request.id))
            .collect();
        queued.sort_unstable();
        for (_, id) in queued {
            self.send(id, now);
        }
    }

    /// Sends a queued request, if its phone has a channel and room for one more.
    fn send(&mut self, id: RequestId, now: Now) {
        let Some(pending) = self.pending.get(&id) else {
            return;
        };
        let (link, source) = (pending.link, &pending.shown.source);
        let sent = self.pending.values();
        let sent = sent.filter(|one| one.link == link && one.is_on_phone());
        let of_source = sent.clone().filter(|one| one.shown.source == *source);
        if sent.clone().count() >= MAX_SHOWN || of_source.count() >= MAX_SHOWN_PER_SOURCE {
            return;
        }
        if !self
            .phones
            .get(link)
            .is_some_and(crate::phone::Phone::has_channel)
        {
            return;
        }
        // What led to the request goes first (I9).
        self.tell_log(link);
        let (Some(pending), Some(phone)) = (self.pending.get_mut(&id), self.phones.get_mut(link))
        else {
            return;
        };
        pending.stage = Stage::Sent;
        let left = pending.shown.deadline.saturating_sub(now.uptime);
        pending.request.wait_ms = u32::try_from(left).unwrap_or(u32::MAX);
        let output = match phone.say(&ToSigner::Sign(pending.request.clone())) {
            Some(frame) => Output::Send(link, frame),
            None => Output::Restart(link),
        };
        self.outputs.push_back(output);
        self.tell(id, Event::Sent);
    }

    /// What a phone says of a request that it has.
    pub(crate) fn said_of(
        &mut self,
        link: LinkId,
        id: RequestId,
        said: ToAgent,
        verifier: &dyn Verifier,
        now: Now,
    ) {
        // A phone speaks for its own requests alone, and once.
        let Some(pending) = self.pending.get_mut(&id).filter(|pending| {
            pending.link == link && !matches!(pending.stage, Stage::Recording | Stage::Signed(_))
        }) else {
            return;
        };
        match said {
            ToAgent::Received(_) => {
                if matches!(pending.stage, Stage::Sent) {
                    pending.stage = Stage::Received;
                }
                self.tell(id, Event::Received);
            }
            ToAgent::ShowNumber(_, number) => {
                pending.shown.number = Some(number);
                self.tell(id, |shown| Event::Number(shown, number));
            }
            ToAgent::Approved(_) => {
                if pending.is_on_phone() {
                    pending.stage = Stage::Approved;
                }
                self.tell(id, Event::Approved);
            }
            ToAgent::Signed(_, candidate) => {
                let bytes = &pending.request.payload;
                let candidate = candidate.into();
                match VerifiedSignature::check(verifier, &pending.key, bytes, candidate) {
                    Ok(signature) => {
                        pending.stage = Stage::Signed(signature);
                        let source = pending.shown.source.clone();
                        self.patience.approved(&source);
                        self.record_approved(id, now);
                    }
                    Err(_) => self.end(id, Denial::BadAnswer, now),
                }
            }
            ToAgent::Refused(_, refusal) => self.end(id, Denial::Phone(refusal), now),
            ToAgent::Identities(_)
            | ToAgent::Unpaired
            | ToAgent::Blocks(_)
            | ToAgent::Remembers(_)
            | ToAgent::Log(_) => {}
        }
    }

    /// A client hung up.
    pub(crate) fn gone(&mut self, client: ClientId, now: Now) {
        self.attempts.gone(client);
        let waits = |pending: &Pending| pending.askers.iter().any(|one| one.client == client);
        for id in self.pending_where(waits) {
            self.leave(id, client, Denial::Cancelled, now);
        }
    }

    /// Refuses what came too late (I5).
    pub(crate) fn expire(&mut self, now: Now) {
        for id in self.pending_where(|pending| now.uptime >= pending.ends()) {
            let late = |pending: &Pending| now.uptime >= pending.shown.deadline;
            let denial = if self.pending.get(&id).is_some_and(late) {
                Denial::TimedOut
            } else {
                Denial::Unreachable
            };
            self.cancel(id, denial, now);
        }
        for id in self.pending_where(|pending| now.uptime >= pending.first_end()) {
            let askers = self.pending.get(&id).map(|pending| &pending.askers);
            let late = askers
                .into_iter()
                .flatten()
                .filter(|one| now.uptime >= one.ends);
            let late: Vec<_> = late.map(|asker| asker.client).collect();
            for client in late {
                self.leave(id, client, Denial::TimedOut, now);
            }
        }
    }

    /// One of those who wait gets nothing; the request goes on for the others.
    pub(crate) fn leave(&mut self, id: RequestId, client: ClientId, denial: Denial, now: Now) {
        let Some(pending) = self.pending.remove(&id) else {
            return;
        };
        let is_there = pending.askers.iter().any(|one| one.client == client);
        let is_last = pending.askers.iter().all(|one| one.client == client);
        if is_there && !is_last {
            self.record_end(&pending, Some(client), denial, now);
        }
        let entry = self.pending.entry(id).or_insert(pending);
        if is_there && is_last {
            self.cancel(id, denial, now);
        } else if is_there {
            let shown = entry.shown_to(client);
            entry.askers.retain(|one| one.client != client);
            let ended = Ended::Denied(denial);
            self.outputs
                .push_back(Output::Event(Event::Ended(shown, ended)));
            self.answer(client, Answer::Failure);
        }
    }

    /// Ends a request and tells the phone to take it off the screen.
    pub(crate) fn cancel(&mut self, id: RequestId, denial: Denial, now: Now) {
        let on_phone = self.pending.get(&id).filter(|one| one.is_on_phone());
        if let Some(link) = on_phone.map(|pending| pending.link) {
            let phone = self.phones.get_mut(link);
            if let Some(frame) = phone.and_then(|phone| phone.say(&ToSigner::Cancel(id))) {
                self.outputs.push_back(Output::Send(link, frame));
            }
        }
        self.end(id, denial, now);
    }

    /// Ends a request without a signature.
    pub(crate) fn end(&mut self, id: RequestId, denial: Denial, now: Now) {
        let Some(pending) = self.pending.remove(&id) else {
            return;
        };
        if let Some(why) = vain(&pending, denial) {
            let asked = pending.shown.asked_at;
            for asker in &pending.askers {
                self.patience.failed(&asker.source, why, asked, now.uptime);
            }
        }
        self.record_end(&pending, None, denial, now);
        self.answer_all(&pending, Ended::Denied(denial), &Answer::Failure);
    }

    /// The record is on disk: the signature leaves (I8).
    pub(crate) fn release(&mut self, id: RequestId) {
        let Some(pending) = self.pending.remove(&id) else {
            return;
        };
        if let Stage::Signed(signature) = &pending.stage {
            let answer = Answer::Signature(signature.clone());
            self.answer_all(&pending, Ended::Signed, &answer);
        }
    }

    fn answer_all(&mut self, pending: &Pending, ended: Ended, answer: &Answer) {
        for shown in pending.shown() {
            let client = shown.client;
            self.outputs
                .push_back(Output::Event(Event::Ended(shown, ended)));
            self.answer(client, answer.clone());
        }
    }

    /// Tells everybody who waits for a request.
    fn tell(&mut self, id: RequestId, event: impl Fn(crate::exchange::Shown) -> Event) {
        if let Some(pending) = self.pending.get(&id) {
            let events = pending.shown().map(|shown| Output::Event(event(shown)));
            self.outputs.extend(events);
        }
    }
}

/// Whether the person was asked in vain.
const fn vain(pending: &Pending, denial: Denial) -> Option<Vain> {
    match denial {
        Denial::Phone(Refusal::Denied | Refusal::WrongNumber) => Some(Vain::Denied),
        Denial::Phone(Refusal::TimedOut) => Some(Vain::TimedOut),
        Denial::TimedOut if matches!(pending.stage, Stage::Received) => Some(Vain::TimedOut),
        _ => None,
    }
}

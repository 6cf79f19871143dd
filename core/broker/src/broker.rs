//! The agent's one state machine: phones, identities, and the requests that wait for a person.
use crate::attempts::Attempts;
use crate::conversation::{Answer, Ask, ClientId, SignAsk};
use crate::denial::Denial;
use crate::exchange::{Asked, Ended, Event, Input, Limits, Locking, Output};
use crate::known_hosts::Verdict;
use crate::lock::{Job, Salt, Stretched};
use crate::pending::{Pending, describe, request};
use crate::phone::{Heard, Phone, PhoneRecord, Spoilt, understood};
use crate::phones::Phones;
use crate::status::{Progress, Status, Waiting};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use vmux_link::{Entropy, LinkId};
use vmux_proto::Now;
use vmux_proto::audit::{Head, Journal};
use vmux_proto::limits::{MAX_LOGIN_MS, MAX_SHOWN};
use vmux_proto::message::{Hello, RequestId, ToAgent, ToSigner};
use vmux_proto::signature::{VerifiedSignature, Verifier};
use vmux_proto::source::Source;

/// The agent's state machine. See the crate's documentation.
#[derive(Debug)]
pub struct Broker {
    hello: Hello,
    limits: Limits,
    phones: Phones,
    pending: BTreeMap<RequestId, Pending>,
    attempts: Attempts,
    journal: Journal<RequestId>,
    log_failing: bool,
    outputs: VecDeque<Output>,
}

impl Broker {
    /// A broker with what it has stored; `hello` says who this agent is, `log` how far the file of
    /// its log goes.
    pub fn new(hello: Hello, limits: Limits, phones: Vec<PhoneRecord>, log: Head) -> Self {
        Self {
            hello,
            limits,
            phones: Phones::new(phones),
            pending: BTreeMap::new(),
            attempts: Attempts::default(),
            journal: Journal::after(log),
            log_failing: false,
            outputs: VecDeque::new(),
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, input: Input, verifier: &dyn Verifier, now: Now) {
        // First of all: what comes too late is refused, even if nobody said that time passed (I5).
        self.expire(now);
        match input {
            Input::Ask(asked) => self.asked(asked, now),
            Input::Gone(client) => self.gone(client),
            Input::Stretched(client, job, tag) => self.stretched(client, job, tag, now),
            Input::Paired(record) => self.paired(*record),
            Input::Met(link) => {
                // A new meeting ends the one before it.
                self.left(link, now);
                self.phones.change(link, |phone| phone.met(now));
            }
            Input::Frame(link, frame, entropy) => {
                self.frame(link, &frame, entropy, verifier, now);
            }
            Input::Left(link) => self.left(link, now),
            Input::RelayDown(link) => {
                self.left(link, now);
                self.phones.change(link, Phone::relay_down);
            }
            Input::RelayUp(link) => self.phones.change(link, Phone::relay_up),
            Input::Unpair(link) => self.unpair(link),
            Input::Tick => self.hurry(now),
            Input::Refused(unasked) => {
                let event = Event::Refused(unasked.client, unasked.denial);
                self.outputs.push_back(Output::Event(event));
            }
            Input::Recorded(lines) => {
                self.log_failing = false;
                drop(self.journal.stored(lines));
            }
            Input::NotRecorded => {
                self.log_failing = true;
                drop(self.journal.failed());
            }
            Input::Cancel(id) => self.cancel(id, Denial::CancelledHere),
            Input::Note(entry) => self.journal.note(*entry, now),
            Input::Resume => {}
            Input::Proof(..) => {}
        }
        self.attempt(now);
        self.flow(now);
        while let Some(line) = self.journal.poll() {
            self.outputs.push_back(Output::Record(line));
        }
    }

    /// Gives the next output until there is none.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due, in milliseconds of [`Now::uptime`].
    pub fn deadline(&self) -> Option<u64> {
        let requests = self.pending.values().map(Pending::ends);
        let handshakes = self.phones.iter().filter_map(Phone::handshake_ends);
        requests.chain(handshakes).chain(self.attempts.due()).min()
    }

    /// All paired phones, for the state file; holds the links' secrets.
    pub fn phones_to_bytes(&self) -> zeroize::Zeroizing<Vec<u8>> {
        PhoneRecord::list_to_bytes(self.phones.iter().map(|phone| &phone.record))
    }

    /// The paired phones' records.
    pub fn phones(&self) -> impl Iterator<Item = &PhoneRecord> {
        self.phones.iter().map(|phone| &phone.record)
    }

    /// What every client is shown: key blob and comment. It changes with [`Self::handle`] alone, so
    /// whoever runs the broker can keep it and answer [`Ask::Identities`] without asking again.
    pub fn listed(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        if self.attempts.is_locked() {
            Vec::new()
        } else {
            self.phones.listed()
        }
    }

    /// The agent at this moment.
    pub fn status(&self) -> Status {
        let mut waiting: Vec<_> = self
            .pending
            .values()
            .map(|pending| pending.shown.clone())
            .collect();
        waiting.sort_by_key(|one| one.deadline);
        Status {
            locked: self.attempts.is_locked(),
            phones: self.phones.iter().map(Phone::status).collect(),
            waiting,
            paused: Vec::new(),
            blocked: Vec::new(),
            log: self.journal.head(),
            log_failing: self.log_failing,
        }
    }

    fn asked(&mut self, asked: Asked, now: Now) {
        let client = asked.client;
        match asked.ask {
            Ask::Identities => {
                self.answer(client, Answer::Identities(self.listed()));
            }
            Ask::Sign(ref ask) => {
                if let Err(denial) = self.sign(&asked, ask, now) {
                    self.outputs
                        .push_back(Output::Event(Event::Refused(client, denial)));
                    self.answer(client, Answer::Failure);
                }
            }
            Ask::Lock(passphrase) => {
                let salt = Salt(asked.random);
                if !self.attempts.lock_later(client, passphrase, salt) {
                    self.answer(client, Answer::Failure);
                }
            }
            Ask::Unlock(passphrase) => {
                if !self.attempts.unlock_later(client, passphrase) {
                    self.answer(client, Answer::Failure);
                }
            }
            // There is no session material yet that could be dropped; RFC 9987 section 5.4 wants
            // this honoured whatever the policy, also while locked.
            Ask::RemoveAll => self.answer(client, Answer::Success),
            Ask::Remove => self.answer(client, Answer::Failure),
        }
    }

    fn sign(&mut self, asked: &Asked, ask: &SignAsk, now: Now) -> Result<(), Denial> {
        if self.attempts.is_locked() {
            return Err(Denial::Locked);
        }
        if matches!(asked.known_hosts, Some(Verdict::Revoked)) {
            return Err(Denial::HostKeyRevoked);
        }
        if self.pending.len() >= self.limits.pending {
            return Err(Denial::TooMany);
        }
        let (phone, key, label) = self.phones.holder(&ask.key).ok_or(Denial::NoSuchIdentity)?;
        let link = phone.record.id();
        let oldest = asked.began.saturating_add(MAX_LOGIN_MS);
        let deadline = now.uptime.saturating_add(self.limits.wait_ms).min(oldest);
        if now.uptime >= deadline {
            return Err(Denial::TimedOut);
        }
        let request = request(asked, ask)?;
        let shown = Waiting {
            id: request.id,
            phone: phone.record.name.clone(),
            identity: label.clone(),
            what: describe(&ask.payload),
            level: ask.destination.level(),
            host_key: ask.destination.host_key().cloned(),
            hops: ask.destination.hops().to_vec(),
            number: None,
            deadline,
            reported: asked.reported.clone(),
            source: Source::of(&ask.destination, &asked.reported),
            stage: Progress::Queued,
            askers: 1,
            asked_at: now.uptime,
        };
        let reach_by = now.uptime.saturating_add(self.limits.reach_ms);
        let give_up = (!phone.is_open()).then_some(reach_by);
        let pending = Pending {
            client: asked.client,
            link,
            key: key.clone(),
            request,
            shown,
            give_up,
        };
        let id = pending.request.id;
        self.outputs
            .push_back(Output::Event(Event::Asked(pending.shown())));
        self.pending.insert(id, pending);
        Ok(())
    }

    /// Sends what is queued, the most urgent first, as far as the phones take more.
    fn flow(&mut self, now: Now) {
        let queued = self
            .pending
            .values()
            .filter(|one| one.shown.stage == Progress::Queued);
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
        let Some(link) = self.pending.get(&id).map(|pending| pending.link) else {
            return;
        };
        let sent = |one: &&Pending| one.link == link && one.shown.stage == Progress::Sent;
        if self.pending.values().filter(sent).count() >= MAX_SHOWN {
            return;
        }
        let Some(pending) = self.pending.get_mut(&id) else {
            return;
        };
        let Some(phone) = self.phones.get_mut(link) else {
            return;
        };
        if !phone.has_channel() {
            return;
        }
        pending.shown.stage = Progress::Sent;
        let left = pending.shown.deadline.saturating_sub(now.uptime);
        pending.request.wait_ms = u32::try_from(left).unwrap_or(u32::MAX);
        let output = match phone.say(&ToSigner::Sign(pending.request.clone())) {
            Some(frame) => Output::Send(link, frame),
            None => Output::Restart(link),
        };
        self.outputs.push_back(output);
    }

    fn gone(&mut self, client: ClientId) {
        self.attempts.gone(client);
        for id in self.pending_where(|pending| pending.client == client) {
            self.cancel(id, Denial::Cancelled);
        }
    }

    fn frame(
        &mut self,
        link: LinkId,
        frame: &[u8],
        entropy: Entropy,
        verifier: &dyn Verifier,
        now: Now,
    ) {
        let Some(phone) = self.phones.get_mut(link) else {
            return;
        };
        let was_open = phone.is_open();
        match phone.hear(frame, &self.hello, entropy, now) {
            Err(Spoilt) => {
                if was_open {
                    self.parted(link, now);
                }
                self.left(link, now);
                self.outputs.push_back(Output::Restart(link));
            }
            Ok(Heard::Stray) => {}
            Ok(Heard::Answered(message)) => {
                self.outputs.push_back(Output::Send(link, message));
                for pending in self.pending.values_mut().filter(|one| one.link == link) {
                    pending.shown.stage = Progress::Queued;
                }
            }
            Ok(Heard::Message(message)) => {
                if !was_open {
                    self.opened(link, now);
                }
                self.said(link, message, verifier);
            }
        }
    }

    /// The phone has shown that it is there.
    fn opened(&mut self, link: LinkId, now: Now) {
        self.phones
            .change(link, |phone| phone.record.seen = now.wall);
        for pending in self
            .pending
            .values_mut()
            .filter(|pending| pending.link == link)
        {
            pending.give_up = None;
        }
        let name = self.phones.name(link);
        self.outputs
            .push_back(Output::Event(Event::Connected(link, name)));
        self.outputs.push_back(Output::Store);
    }

    fn said(&mut self, link: LinkId, message: ToAgent, verifier: &dyn Verifier) {
        match message {
            ToAgent::Identities(identities) => {
                let identities = understood(identities);
                let count = identities.len();
                let known = self.phones.get(link).map(|phone| &phone.record.identities);
                if known != Some(&identities) {
                    self.phones
                        .change(link, |phone| phone.record.identities = identities);
                    self.outputs.push_back(Output::Store);
                }
                self.outputs
                    .push_back(Output::Event(Event::Identities(link, count)));
            }
            ToAgent::Received(id) => {
                if let Some(shown) = self.of_link(link, id).map(|pending| pending.shown()) {
                    self.outputs
                        .push_back(Output::Event(Event::Received(shown)));
                }
            }
            ToAgent::ShowNumber(id, number) => {
                if let Some(pending) = self.of_link(link, id) {
                    pending.shown.number = Some(number);
                    let shown = pending.shown();
                    self.outputs
                        .push_back(Output::Event(Event::Number(shown, number)));
                }
            }
            ToAgent::Signed(id, candidate) => self.signed(link, id, candidate.into(), verifier),
            ToAgent::Refused(id, refusal) => {
                if self.of_link(link, id).is_some() {
                    self.end(id, Err(Denial::Phone(refusal)));
                }
            }
            ToAgent::Unpaired => self.forget(link, None),
            ToAgent::Approved(_) | ToAgent::Blocks(_) | ToAgent::Remembers(_) | ToAgent::Log(_) => {
            }
        }
    }

    fn signed(&mut self, link: LinkId, id: RequestId, candidate: Vec<u8>, verifier: &dyn Verifier) {
        let Some(pending) = self.of_link(link, id) else {
            return;
        };
        let bytes = &pending.request.payload;
        let outcome = VerifiedSignature::check(verifier, &pending.key, bytes, candidate)
            .map_err(|_| Denial::BadAnswer);
        self.end(id, outcome);
    }

    fn of_link(&mut self, link: LinkId, id: RequestId) -> Option<&mut Pending> {
        // A phone speaks for its own requests alone.
        self.pending
            .get_mut(&id)
            .filter(|pending| pending.link == link)
    }

    fn left(&mut self, link: LinkId, now: Now) {
        if self.phones.get(link).is_some_and(Phone::is_open) {
            self.parted(link, now);
        }
        self.phones.change(link, Phone::left);
        let give_up = now.uptime.saturating_add(self.limits.reach_ms);
        for pending in self
            .pending
            .values_mut()
            .filter(|pending| pending.link == link)
        {
            pending.give_up = pending.give_up.or(Some(give_up));
        }
    }

    /// Gives up handshakes that are not done in time: a relay lost a part of them.
    fn hurry(&mut self, now: Now) {
        let late = |phone: &&Phone| phone.handshake_ends().is_some_and(|end| now.uptime >= end);
        let late = self.phones.iter().filter(late);
        let late: Vec<_> = late.map(|phone| phone.record.id()).collect();
        for link in late {
            self.left(link, now);
            self.outputs.push_back(Output::Restart(link));
        }
    }

    /// A phone that was there is no more.
    fn parted(&mut self, link: LinkId, now: Now) {
        self.phones
            .change(link, |phone| phone.record.seen = now.wall);
        let name = self.phones.name(link);
        self.outputs
            .push_back(Output::Event(Event::Away(link, name)));
    }

    fn paired(&mut self, record: PhoneRecord) {
        let (link, name) = (record.id(), record.name.clone());
        self.phones.add(record);
        self.outputs.push_back(Output::Store);
        self.outputs.push_back(Output::Connect(link));
        self.outputs
            .push_back(Output::Event(Event::Paired(link, name)));
    }

    fn unpair(&mut self, link: LinkId) {
        let said = self
            .phones
            .get_mut(link)
            .and_then(|phone| phone.say(&ToSigner::Unpaired));
        self.forget(link, said);
    }

    /// Ends a pairing; `farewell` is sent once that is stored.
    fn forget(&mut self, link: LinkId, farewell: Option<Vec<u8>>) {
        if self.phones.get(link).is_none() {
            return;
        }
        let name = self.phones.name(link);
        self.phones.remove(link);
        self.outputs.push_back(Output::Store);
        if let Some(frame) = farewell {
            self.outputs.push_back(Output::Send(link, frame));
        }
        for id in self.pending_where(|pending| pending.link == link) {
            self.end(id, Err(Denial::Unpaired));
        }
        self.outputs.push_back(Output::Disconnect(link));
        self.outputs
            .push_back(Output::Event(Event::Unpaired(link, name)));
    }

    fn expire(&mut self, now: Now) {
        for id in self.pending_where(|pending| now.uptime >= pending.ends()) {
            let late = |pending: &Pending| now.uptime >= pending.shown.deadline;
            let timed_out = self.pending.get(&id).is_some_and(late);
            self.cancel(
                id,
                if timed_out {
                    Denial::TimedOut
                } else {
                    Denial::Unreachable
                },
            );
        }
    }

    /// Ends a request and tells the phone to take it off the screen.
    fn cancel(&mut self, id: RequestId, denial: Denial) {
        let sent = |pending: &&Pending| pending.shown.stage == Progress::Sent;
        if let Some(link) = self
            .pending
            .get(&id)
            .filter(sent)
            .map(|pending| pending.link)
        {
            let phone = self.phones.get_mut(link);
            if let Some(frame) = phone.and_then(|phone| phone.say(&ToSigner::Cancel(id))) {
                self.outputs.push_back(Output::Send(link, frame));
            }
        }
        self.end(id, Err(denial));
    }

    fn end(&mut self, id: RequestId, outcome: Result<VerifiedSignature, Denial>) {
        let Some(pending) = self.pending.remove(&id) else {
            return;
        };
        let ended = match &outcome {
            Ok(_) => Ended::Signed,
            Err(denial) => Ended::Denied(*denial),
        };
        self.outputs
            .push_back(Output::Event(Event::Ended(pending.shown(), ended)));
        let answer = outcome.map_or(Answer::Failure, Answer::Signature);
        self.answer(pending.client, answer);
    }

    /// Starts the next attempt to lock or unlock, if its time has come.
    fn attempt(&mut self, now: Now) {
        while let Some((client, work)) = self.attempts.next(now) {
            match work {
                Some((passphrase, job)) => self
                    .outputs
                    .push_back(Output::Stretch(client, passphrase, job)),
                None => self.answer(client, Answer::Failure),
            }
        }
    }

    fn stretched(&mut self, client: ClientId, job: Job, tag: Option<Stretched>, now: Now) {
        let done = self.attempts.done(job, tag, now);
        if done == Some(Locking::Closed) {
            for id in self.pending_where(|_| true) {
                self.cancel(id, Denial::Locked);
            }
        }
        if let Some(done) = done {
            self.outputs.push_back(Output::Event(Event::Locking(done)));
        }
        let answer = match done {
            Some(Locking::Closed | Locking::Opened) => Answer::Success,
            Some(Locking::WrongPassphrase) | None => Answer::Failure,
        };
        self.answer(client, answer);
    }

    fn answer(&mut self, client: ClientId, answer: Answer) {
        self.outputs.push_back(Output::Answer(client, answer));
    }

    fn pending_where(&self, which: impl Fn(&Pending) -> bool) -> Vec<RequestId> {
        self.pending
            .iter()
            .filter(|(_, one)| which(one))
            .map(|(id, _)| *id)
            .collect()
    }
}

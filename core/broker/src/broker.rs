//! The agent's one state machine: phones, identities, and the requests that wait for a person.
use crate::attempts::Attempts;
use crate::blocks::Blocks;
use crate::conversation::{Answer, Ask, ClientId};
use crate::denial::Denial;
use crate::exchange::{Asked, Event, Input, Limits, Locking, Output};
use crate::lock::{Job, Salt, Stretched};
use crate::pending::{Pending, Wish};
use crate::phone::{Phone, PhoneRecord};
use crate::phones::Phones;
use crate::recording::Waiter;
use crate::refusals::Refusals;
use crate::status::Status;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use vmux_proto::Now;
use vmux_proto::audit::{self, Entry, Head, Journal};
use vmux_proto::message::{Hello, RequestId};
use vmux_proto::patience::Patience;
use vmux_proto::signature::Verifier;

/// The agent's state machine. See the crate's documentation.
#[derive(Debug)]
pub struct Broker {
    pub(crate) hello: Hello,
    pub(crate) limits: Limits,
    pub(crate) phones: Phones,
    pub(crate) pending: BTreeMap<RequestId, Pending>,
    pub(crate) attempts: Attempts,
    pub(crate) patience: Patience,
    pub(crate) blocks: Blocks,
    pub(crate) journal: Journal<Waiter>,
    pub(crate) log_failing: bool,
    pub(crate) refusals: Refusals,
    pub(crate) outputs: VecDeque<Output>,
    /// When the last input came.
    now: Now,
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
            patience: Patience::default(),
            blocks: Blocks::default(),
            journal: Journal::after(log),
            log_failing: false,
            refusals: Refusals::default(),
            outputs: VecDeque::new(),
            now: Now::default(),
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, input: Input, verifier: &dyn Verifier, now: Now) {
        // First of all: what comes too late is refused, even if nobody said that time passed (I5).
        self.expire(now);
        match input {
            Input::Ask(asked) => self.asked(asked, now),
            Input::Gone(client) => self.gone(client, now),
            Input::Cancel(id) => self.cancel(id, Denial::CancelledHere, now),
            Input::Refused(unasked) => self.unasked(*unasked, now),
            Input::Stretched(client, job, tag) => self.stretched(client, job, tag, now),
            Input::Resume => self.resume(now),
            Input::Paired(record) => self.paired(*record, now),
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
            Input::Unpair(link) => self.unpair(link, now),
            Input::Recorded(lines) => self.recorded(lines),
            Input::NotRecorded => self.not_recorded(now),
            Input::Proof(link, proof) => self.proof(link, proof),
            Input::Note(entry) => self.journal.note(*entry, now),
            Input::Tick => self.hurry(now),
        }
        self.attempt(now);
        self.flow(now);
        self.write(now);
        self.now = now;
    }

    /// Gives the next output until there is none.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due, in milliseconds of [`Now::uptime`].
    pub fn deadline(&self) -> Option<u64> {
        let requests = self.pending.values().map(Pending::first_end);
        let handshakes = self.phones.iter().filter_map(Phone::handshake_ends);
        let others = self.attempts.due().into_iter().chain(self.refusals.due());
        requests.chain(handshakes).chain(others).min()
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
        if self.attempts.is_locked() || self.phones.is_suspended() {
            Vec::new()
        } else {
            self.phones.listed()
        }
    }

    /// The agent at this moment.
    pub fn status(&self) -> Status {
        let mut waiting: Vec<_> = self.pending.values().map(Pending::waiting).collect();
        waiting.sort_by_key(|one| one.deadline);
        let paused = self.patience.paused(self.now.uptime);
        Status {
            locked: self.attempts.is_locked(),
            phones: self.phones.iter().map(Phone::status).collect(),
            waiting,
            paused: paused
                .map(|(source, until)| (source.clone(), until))
                .collect(),
            blocked: self.blocks.live(self.now).cloned().collect(),
            log: self.journal.head(),
            log_failing: self.log_failing,
        }
    }

    fn asked(&mut self, asked: Asked, now: Now) {
        let Asked {
            client,
            began,
            ask,
            random,
            reported,
            known_hosts,
        } = asked;
        match ask {
            Ask::Identities => self.answer(client, Answer::Identities(self.listed())),
            Ask::Sign(ask) => {
                let wish = Wish {
                    client,
                    began,
                    ask,
                    random,
                    reported,
                    known_hosts,
                };
                self.wish(&wish, now);
            }
            Ask::Lock(passphrase) => {
                if !self.attempts.lock_later(client, passphrase, Salt(random)) {
                    self.answer(client, Answer::Failure);
                }
            }
            // A passphrase does not end what a phone's person began (I12).
            Ask::Unlock(_) if self.phones.is_suspended() => self.answer(client, Answer::Failure),
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
                self.cancel(id, Denial::Locked, now);
            }
        }
        if let Some(done) = done {
            let event = match done {
                Locking::Closed => audit::Event::Locked,
                Locking::Opened => audit::Event::Unlocked,
                Locking::WrongPassphrase => audit::Event::WrongPassphrase,
            };
            self.journal.note(Entry::new(event), now);
            self.outputs.push_back(Output::Event(Event::Locking(done)));
        }
        let answer = match done {
            Some(Locking::Closed | Locking::Opened) => Answer::Success,
            Some(Locking::WrongPassphrase) | None => Answer::Failure,
        };
        self.answer(client, answer);
    }

    pub(crate) fn answer(&mut self, client: ClientId, answer: Answer) {
        self.outputs.push_back(Output::Answer(client, answer));
    }

    pub(crate) fn pending_where(&self, which: impl Fn(&Pending) -> bool) -> Vec<RequestId> {
        self.pending
            .iter()
            .filter(|(_, one)| which(one))
            .map(|(id, _)| *id)
            .collect()
    }
}

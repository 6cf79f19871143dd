//! The signer's one state machine: links, requests, decisions.
use crate::blocks::Blocks;
use crate::check::{Asked, Settings};
use crate::exchange::{Decision, Input, Output, Withdrawn};
use crate::identity::Identities;
use crate::line::{Heard, Line, Spoilt};
use crate::memory::Memory;
use crate::past::{Ended, Fate, Past, Recalled};
use crate::pins::Pins;
use crate::record::AgentRecord;
use crate::waiting::{Stage, Waiting, digest};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use minicbor::bytes::ByteVec;
use vmux_link::{Entropy, LinkId};
use vmux_proto::Now;
use vmux_proto::audit::Journal;
use vmux_proto::limits::MAX_LOGIN_MS;
use vmux_proto::message::{Hello, Number, Refusal, RequestId, SignRequest, ToAgent, ToSigner};
use vmux_proto::signature::{VerifiedSignature, Verifier};

/// Requests of one agent that may wait for the person at a time.
pub(crate) const MAX_WAITING: usize = vmux_proto::limits::MAX_SHOWN;

/// The trusted state machine. See the crate's documentation.
#[derive(Debug)]
pub struct Signer {
    hello: Hello,
    settings: Settings,
    identities: Identities,
    pins: Pins,
    lines: BTreeMap<LinkId, Line>,
    waiting: BTreeMap<RequestId, Waiting>,
    past: Past,
    journal: Journal<RequestId>,
    blocks: Blocks,
    outputs: VecDeque<Output>,
}

impl Signer {
    /// A signer with what it has stored; `hello` says who it is.
    pub fn new(
        hello: Hello,
        settings: Settings,
        identities: Identities,
        pins: Pins,
        agents: Vec<AgentRecord>,
        memory: Memory,
    ) -> Self {
        let mut signer = Self {
            hello,
            settings,
            identities,
            pins,
            lines: BTreeMap::new(),
            waiting: BTreeMap::new(),
            past: Past::default(),
            journal: Journal::after(memory.log),
            blocks: memory.blocks,
            outputs: VecDeque::new(),
        };
        for record in agents {
            signer.paired(record);
        }
        signer
    }

    /// Takes one input.
    pub fn handle(&mut self, input: Input, verifier: &dyn Verifier, now: Now) {
        match input {
            Input::Paired(record) => self.paired(*record),
            Input::Met(link, entropy) => self.met(link, entropy, now),
            Input::Frame(link, frame, random) => self.frame(link, &frame, random, verifier, now),
            Input::Left(link) => self.left(link),
            Input::Decided(request, decision) => self.decided(request, decision, now),
            Input::Signed(request, signature) => self.signed(request, signature, verifier, now),
            Input::Identities(identities) => self.replace_identities(identities),
            Input::Pins(pins) => self.pins = pins,
            Input::Unpair(link) => self.unpair(link),
            Input::DecidedTogether(requests, decision) => {
                for request in requests {
                    self.decided(request, decision.clone(), now);
                }
            }
            Input::Resume(_) => {}
            Input::Unblock(link, source) => {
                if self.blocks.lift(link, &source) {
                    self.outputs.push_back(Output::StoreBlocks);
                }
            }
            Input::Recorded(lines) => drop(self.journal.stored(lines)),
            Input::NotRecorded => drop(self.journal.failed()),
            Input::Note(entry) => self.journal.note(*entry, now),
            Input::Close => self.close(),
            Input::Tick => self.hurry(now),
        }
        self.expire(now);
    }

    /// Gives the next output until there is none.
    pub fn poll(&mut self) -> Option<Output> {
        self.journal
            .poll()
            .map(Output::Record)
            .or_else(|| self.outputs.pop_front())
    }

    /// When [`Input::Tick`] is due, in milliseconds of [`Now::uptime`].
    pub fn deadline(&self) -> Option<u64> {
        let requests = self.waiting.values().map(|waiting| waiting.prompt.deadline);
        let handshakes = self.lines.values().filter_map(Line::handshake_ends);
        requests.chain(handshakes).min()
    }

    /// The pins as they are, to store them.
    pub const fn pins(&self) -> &Pins {
        &self.pins
    }

    /// The blocks as they are, to store them.
    pub const fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// The requests that the person can decide together with this one, itself first: of the same
    /// program, for the same identity, undecided, and where they need the number, for the same thing.
    pub fn together(&self, request: RequestId) -> Vec<RequestId> {
        self.waiting
            .get(&request)
            .filter(|waiting| waiting.is_undecided())
            .map(|_| request)
            .into_iter()
            .collect()
    }

    /// The paired agents, and whether each is connected.
    pub fn agents(&self) -> impl Iterator<Item = (&AgentRecord, bool)> {
        self.lines
            .values()
            .map(|line| (&line.record, line.is_open()))
    }

    /// A link that is there stays: an agent that makes one of the same name must not get its answers.
    fn paired(&mut self, record: AgentRecord) {
        self.lines
            .entry(record.id())
            .or_insert_with(|| Line::new(record));
    }

    fn met(&mut self, id: LinkId, entropy: Entropy, now: Now) {
        self.left(id);
        let Some(line) = self.lines.get_mut(&id) else {
            return;
        };
        let output = match line.call(&self.hello, entropy, now) {
            Ok(message) => Output::Send(id, message),
            Err(Spoilt) => Output::Restart(id),
        };
        self.outputs.push_back(output);
    }

    fn frame(
        &mut self,
        id: LinkId,
        frame: &[u8],
        random: [u8; 4],
        verifier: &dyn Verifier,
        now: Now,
    ) {
        let Some(line) = self.lines.get_mut(&id) else {
            return;
        };
        match line.hear(frame) {
            Err(Spoilt) => {
                self.left(id);
                self.outputs.push_back(Output::Restart(id));
            }
            Ok(Heard::Opened) => {
                let announced = ToAgent::Identities(self.identities.announced());
                self.outputs.push_back(Output::Opened(id));
                self.say(id, &announced);
            }
            Ok(Heard::Message(ToSigner::Sign(request))) => {
                self.asked(id, &request, Number::pick(random), verifier, now);
            }
            Ok(Heard::Message(ToSigner::Cancel(request))) => self.cancel(id, request),
            Ok(Heard::Message(ToSigner::Unpaired)) => self.forget(id),
            Ok(Heard::Message(ToSigner::Log(_))) => {}
        }
    }

    fn asked(
        &mut self,
        link: LinkId,
        request: &SignRequest,
        number: Number,
        verifier: &dyn Verifier,
        now: Now,
    ) {
        let digest = digest(link, request);
        let checked = match self.waiting.get(&request.id) {
            Some(waiting) if waiting.digest == digest => {
                self.received(request.id);
                return;
            }
            Some(_) => Err(Refusal::Replayed),
            None => match self.past.recall(request.id, digest, now.uptime) {
                Recalled::Answer(answer) => {
                    self.say(link, &answer);
                    return;
                }
                Recalled::Replayed => Err(Refusal::Replayed),
                Recalled::Unanswered => self.check(link, request, verifier, now),
            },
        };
        let asked = match checked {
            Ok(asked) => asked,
            Err(refusal) => {
                self.outputs.push_back(Output::Refused(link, refusal));
                self.say(link, &ToAgent::Refused(request.id, refusal));
                return;
            }
        };
        let Some(Line { record, .. }) = self.lines.get(&link) else {
            return;
        };
        let wait = u64::from(request.wait_ms).min(MAX_LOGIN_MS);
        let deadline = now.uptime.saturating_add(wait);
        let origin = (link, &record.name);
        let prompt = asked.prompt(request, origin, &self.pins, number, deadline);
        let shown = Output::Show(Box::new(prompt.clone()));
        let waiting = Waiting {
            link,
            digest,
            asked,
            prompt,
            stage: Stage::AwaitingDecision,
        };
        self.waiting.insert(request.id, waiting);
        self.past.make_room(link, now.uptime);
        self.received(request.id);
        self.outputs.push_back(shown);
    }

    fn check(
        &self,
        link: LinkId,
        request: &SignRequest,
        verifier: &dyn Verifier,
        now: Now,
    ) -> Result<Asked, Refusal> {
        let waiting_here = self
            .waiting
            .values()
            .filter(|waiting| waiting.link == link)
            .count();
        if waiting_here >= MAX_WAITING || self.past.is_full(link, now.uptime) {
            return Err(Refusal::TooMany);
        }
        Asked::check(request, &self.identities, &self.settings, verifier)
    }

    /// Tells the agent that its request waits, and with what number.
    fn received(&mut self, request: RequestId) {
        let Some(waiting) = self.waiting.get(&request) else {
            return;
        };
        let (link, undecided) = (waiting.link, waiting.is_undecided());
        let number = waiting.prompt.number.filter(|_| undecided);
        self.say(link, &ToAgent::Received(request));
        if let Some(number) = number {
            self.say(link, &ToAgent::ShowNumber(request, number));
        }
    }

    fn cancel(&mut self, link: LinkId, request: RequestId) {
        if self
            .waiting
            .get(&request)
            .is_some_and(|waiting| waiting.link == link)
        {
            self.settle(request, Fate::Cancelled, Withdrawn::Cancelled);
        }
    }

    fn decided(&mut self, request: RequestId, decision: Decision, now: Now) {
        let Some(waiting) = self.waiting.get_mut(&request) else {
            return;
        };
        if !waiting.is_undecided() {
            return;
        }
        let Decision::Approve { number, name } = decision else {
            self.refuse(request, Refusal::Denied);
            return;
        };
        match waiting.approve(number, name, &self.pins, now) {
            Ok(job) => self.outputs.push_back(Output::Sign(job)),
            Err(refusal) => self.refuse(request, refusal),
        }
    }

    fn signed(
        &mut self,
        request: RequestId,
        signature: Option<Vec<u8>>,
        verifier: &dyn Verifier,
        now: Now,
    ) {
        let Some(waiting) = self.waiting.get(&request) else {
            return;
        };
        let Stage::AwaitingSignature { name } = &waiting.stage else {
            return;
        };
        if now.uptime >= waiting.prompt.deadline {
            self.refuse(request, Refusal::TimedOut);
            return;
        }
        let asked = &waiting.asked;
        let good = signature.and_then(|candidate| {
            VerifiedSignature::check(verifier, &asked.identity().key, asked.bytes(), candidate).ok()
        });
        let Some(good) = good else {
            self.refuse(request, Refusal::KeyFailed);
            return;
        };
        if asked.destination().level().is_verified()
            && let Some(host_key) = asked.destination().host_key()
        {
            self.pins.approved(host_key, name.as_ref(), now.wall);
            self.outputs.push_back(Output::StorePins);
        }
        let answer = ToAgent::Signed(request, ByteVec::from(good.blob().to_vec()));
        self.answer(request, answer, Withdrawn::Signed);
    }

    fn replace_identities(&mut self, identities: Identities) {
        self.identities = identities;
        let gone: Vec<_> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| {
                self.identities
                    .enabled(&waiting.asked.identity().key)
                    .is_none()
            })
            .map(|(request, _)| *request)
            .collect();
        for request in gone {
            self.refuse(request, Refusal::NoSuchIdentity);
        }
        let announced = ToAgent::Identities(self.identities.announced());
        let links: Vec<_> = self.lines.keys().copied().collect();
        for link in links {
            self.say(link, &announced);
        }
    }

    fn unpair(&mut self, link: LinkId) {
        self.say(link, &ToAgent::Unpaired);
        self.forget(link);
    }

    fn forget(&mut self, link: LinkId) {
        self.withdraw(|waiting| waiting.link == link);
        self.past.forget(link);
        if self.lines.remove(&link).is_some() {
            self.outputs.push_back(Output::Forget(link));
        }
    }

    fn left(&mut self, link: LinkId) {
        if let Some(line) = self.lines.get_mut(&link) {
            line.hang_up();
        }
        // What is decided stays: the agent gets the answer when it asks again.
        self.withdraw(|waiting| waiting.link == link && waiting.is_undecided());
    }

    fn withdraw(&mut self, which: impl Fn(&Waiting) -> bool) {
        let gone: Vec<_> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| which(waiting))
            .map(|(request, _)| *request)
            .collect();
        for request in gone {
            self.settle(request, Fate::Disconnected, Withdrawn::Disconnected);
        }
    }

    fn close(&mut self) {
        let all: Vec<_> = self.waiting.keys().copied().collect();
        for request in all {
            self.refuse(request, Refusal::Closed);
        }
    }

    /// Gives up handshakes that are not done in time: a relay lost a part of them.
    fn hurry(&mut self, now: Now) {
        let late = |line: &Line| line.handshake_ends().is_some_and(|end| now.uptime >= end);
        let late = self.lines.iter().filter(|(_, line)| late(line));
        let late: Vec<_> = late.map(|(id, _)| *id).collect();
        for id in late {
            self.left(id);
            self.outputs.push_back(Output::Restart(id));
        }
    }

    fn expire(&mut self, now: Now) {
        let late: Vec<_> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| now.uptime >= waiting.prompt.deadline)
            .map(|(request, _)| *request)
            .collect();
        for request in late {
            self.refuse(request, Refusal::TimedOut);
        }
    }

    fn refuse(&mut self, request: RequestId, refusal: Refusal) {
        let answer = ToAgent::Refused(request, refusal);
        self.answer(request, answer, Withdrawn::Refused(refusal));
    }

    fn answer(&mut self, request: RequestId, answer: ToAgent, withdrawn: Withdrawn) {
        if let Some(link) = self.waiting.get(&request).map(|waiting| waiting.link) {
            self.say(link, &answer);
        }
        self.settle(request, Fate::Answered(answer), withdrawn);
    }

    /// Takes a request off the list and remembers what became of it.
    fn settle(&mut self, request: RequestId, fate: Fate, withdrawn: Withdrawn) {
        let Some(Waiting {
            link,
            digest,
            prompt,
            ..
        }) = self.waiting.remove(&request)
        else {
            return;
        };
        self.outputs.push_back(Output::Withdraw(request, withdrawn));
        self.past.remember(Ended {
            link,
            request,
            digest,
            deadline: prompt.deadline,
            fate,
        });
    }

    fn say(&mut self, id: LinkId, message: &ToAgent) {
        let Some(line) = self.lines.get_mut(&id) else {
            return;
        };
        if !line.is_open() {
            return;
        }
        let output = match line.say(message) {
            Some(frame) => Output::Send(id, frame),
            None => Output::Restart(id),
        };
        self.outputs.push_back(output);
    }
}

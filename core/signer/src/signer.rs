//! The signer's one state machine: what it holds, and what each input leads to.
use crate::blocks::Blocks;
use crate::check::Settings;
use crate::exchange::{Input, Output, Withdrawn};
use crate::heads::Heads;
use crate::identity::Identities;
use crate::limits::Limits;
use crate::line::Line;
use crate::memory::Memory;
use crate::past::{Ended, Fate, Past};
use crate::pins::Pins;
use crate::record::AgentRecord;
use crate::recording::Waiter;
use crate::waiting::Waiting;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use vmux_link::LinkId;
use vmux_proto::Now;
use vmux_proto::audit::{Event, Journal};
use vmux_proto::message::{Hello, Refusal, RequestId, ToAgent};
use vmux_proto::signature::Verifier;

/// The trusted state machine. See the crate's documentation.
#[derive(Debug)]
pub struct Signer {
    pub(crate) hello: Hello,
    pub(crate) settings: Settings,
    pub(crate) identities: Identities,
    pub(crate) pins: Pins,
    pub(crate) lines: BTreeMap<LinkId, Line>,
    pub(crate) waiting: BTreeMap<RequestId, Waiting>,
    pub(crate) past: Past,
    pub(crate) limits: Limits,
    pub(crate) blocks: Blocks,
    pub(crate) heads: Heads,
    pub(crate) journal: Journal<Waiter>,
    /// Requests so far.
    pub(crate) serial: u64,
    pub(crate) outputs: VecDeque<Output>,
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
            limits: Limits::default(),
            blocks: memory.blocks,
            heads: Heads::new(memory.heads),
            journal: Journal::after(memory.log),
            serial: 0,
            outputs: VecDeque::new(),
        };
        for record in agents {
            signer.add_line(record);
        }
        signer
    }

    /// Takes one input.
    pub fn handle(&mut self, input: Input, verifier: &dyn Verifier, now: Now) {
        self.pass(now);
        match input {
            Input::Paired(record) => self.paired(*record, now),
            Input::Met(link, entropy) => self.met(link, entropy, now),
            Input::Frame(link, frame, random) => self.frame(link, &frame, random, verifier, now),
            Input::Left(link) => self.left(link, now),
            Input::Decided(request, decision) => self.decided(request, decision, now),
            Input::DecidedTogether(requests, decision) => {
                self.decided_together(&requests, &decision, now);
            }
            Input::Signed(request, signature) => self.signed(request, signature, verifier, now),
            Input::Identities(identities) => self.replace_identities(identities, now),
            Input::Pins(pins) => self.pins = pins,
            Input::Unpair(link) => self.unpair(link, now),
            Input::Resume(link) => self.resume(link, now),
            Input::Unblock(link, source) => self.unblock(link, &source, now),
            Input::Recorded(lines) => self.recorded(lines, now),
            Input::NotRecorded => self.not_recorded(now),
            Input::Note(entry) => self.journal.note(*entry, now),
            Input::Close => self.close(now),
            Input::Tick => self.hurry(now),
        }
        self.expire(now);
    }

    /// Gives the next output until there is none.
    pub fn poll(&mut self) -> Option<Output> {
        let line = self.journal.poll().map(Output::Record);
        line.or_else(|| self.outputs.pop_front())
    }

    /// When [`Input::Tick`] is due, in milliseconds of [`Now::uptime`].
    pub fn deadline(&self) -> Option<u64> {
        let requests = self.waiting.values().map(|waiting| waiting.prompt.deadline);
        let handshakes = self.lines.values().filter_map(Line::handshake_ends);
        let blocks = self.blocks.next_end();
        requests.chain(handshakes).chain(blocks).min()
    }

    /// The pins as they are, to store them.
    pub const fn pins(&self) -> &Pins {
        &self.pins
    }

    /// The blocks as they are, to store them.
    pub const fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// The paired agents, and whether each is connected.
    pub fn agents(&self) -> impl Iterator<Item = (&AgentRecord, bool)> {
        self.lines
            .values()
            .map(|line| (&line.record, line.is_open()))
    }

    /// Ends what ends by itself and is no request.
    fn pass(&mut self, now: Now) {
        if self.blocks.pass(now) {
            self.outputs.push_back(Output::StoreBlocks);
        }
        self.note_unwritten(Some(now.uptime), now);
    }

    fn expire(&mut self, now: Now) {
        for request in self.requests(|waiting| now.uptime >= waiting.prompt.deadline) {
            self.late(request, now);
        }
    }

    fn close(&mut self, now: Now) {
        for request in self.requests(|_| true) {
            self.refuse(request, Refusal::Closed, now);
        }
        self.note_unwritten(None, now);
    }

    /// The waiting requests of which this is true.
    pub(crate) fn requests(&self, which: impl Fn(&Waiting) -> bool) -> Vec<RequestId> {
        let waiting = self.waiting.iter().filter(|(_, waiting)| which(waiting));
        waiting.map(|(request, _)| *request).collect()
    }

    /// Refuses a request that waits, without a decision of the person.
    pub(crate) fn refuse(&mut self, request: RequestId, refusal: Refusal, now: Now) {
        self.refuse_as(request, Event::Refused, refusal, now);
    }

    pub(crate) fn refuse_as(
        &mut self,
        request: RequestId,
        event: Event,
        refusal: Refusal,
        now: Now,
    ) {
        self.note_end(request, event, Some(refusal.name()), now);
        let answer = ToAgent::Refused(request, refusal);
        self.answer(request, answer, Withdrawn::Refused(refusal), now);
    }

    pub(crate) fn answer(
        &mut self,
        request: RequestId,
        answer: ToAgent,
        withdrawn: Withdrawn,
        now: Now,
    ) {
        if let Some(link) = self.waiting.get(&request).map(|waiting| waiting.link) {
            self.say(link, &answer);
        }
        self.settle(request, Fate::Answered(answer), withdrawn, now);
    }

    /// Takes a request off the list and remembers what became of it.
    pub(crate) fn settle(
        &mut self,
        request: RequestId,
        fate: Fate,
        withdrawn: Withdrawn,
        now: Now,
    ) {
        let Some(waiting) = self.waiting.remove(&request) else {
            return;
        };
        if waiting.was_shown() {
            self.outputs.push_back(Output::Withdraw(request, withdrawn));
        }
        self.past.remember(Ended {
            link: waiting.link,
            request,
            digest: waiting.digest,
            deadline: waiting.prompt.deadline,
            at: now.uptime,
            fate,
        });
    }

    pub(crate) fn say(&mut self, id: LinkId, message: &ToAgent) {
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

//! Joins the trusted part with files, keys, relay and person: performs its outputs strictly in order,
//! so that what must be remembered is on disk before what it permits is sent (I8).

mod disk;

use std::collections::{BTreeMap, BTreeSet};

use vmux_host::clock;
use vmux_host::log::{AuditLog, heads};
use vmux_host::state_dir::StateRefused;
use vmux_proto::Untrusted;
use vmux_proto::audit::{Entry, Event, Head, Line};
use vmux_proto::crypto::PureRust;
use vmux_proto::message::{Hello, RequestId};
use vmux_signer::{AgentRecord, Input, LinkId, Memory, Output, Prompt, Settings, SignJob, Signer};

use crate::failure::CommandFailed;
use crate::front::{AgentState, Front, News};
use crate::keys::Keys;
use crate::store::{Opened, Store, StoreRefused};
use disk::{Disk, Lack};

/// The way to the agents.
pub(crate) trait Wire {
    /// Connects to an agent; gives its state if that cannot even be tried.
    fn connect(&mut self, record: &AgentRecord) -> Option<AgentState>;
    /// Sends a frame on a link, unless its agent is gone.
    fn send(&mut self, link: LinkId, frame: &[u8]);
    /// Connects a link anew.
    fn restart(&mut self, link: LinkId);
    /// Ends a link once what was sent is on its way.
    fn give_up(&mut self, link: LinkId);
}

/// A running signer.
pub(crate) struct Desk<W, F> {
    signer: Signer,
    store: Store,
    /// What the files are known to hold, and what they still lack.
    disk: Disk,
    log: AuditLog,
    /// Why the log could not be written the last time.
    log_failure: Option<String>,
    keys: Keys,
    pub(crate) wire: W,
    pub(crate) front: F,
    names: BTreeMap<LinkId, Untrusted>,
    asked: BTreeMap<RequestId, Prompt>,
    /// What waits together with each, as the front was told.
    together: BTreeMap<RequestId, Vec<RequestId>>,
    /// The agents of which the front was told that they are locked out.
    suspended: BTreeSet<LinkId>,
}

impl<W: Wire, F: Front> Desk<W, F> {
    /// Starts with what is stored, and connects to every paired agent.
    pub(crate) fn start(
        opened: &Opened,
        store: &Store,
        keys: Keys,
        (hello, settings): (Hello, Settings),
        (mut wire, mut front): (W, F),
    ) -> Result<Self, CommandFailed> {
        let stamps = store.stamps();
        let identities = opened.identities()?;
        let pins = opened.pins()?;
        let agents = opened.agents()?;
        let blocks = opened.blocks()?;
        let (log, head) = opened.log()?;
        let memory = Memory {
            log: head,
            heads: known_heads(store)?,
            blocks: blocks.clone(),
        };
        front.tell(News::Identities(&identities));
        front.tell(News::Pins(&pins));
        let mut names = BTreeMap::new();
        for record in &agents {
            greet(&mut wire, &mut front, record);
            names.insert(record.id(), record.name.clone());
        }
        let known = Disk::new(&stamps, blocks, &agents);
        let signer = Signer::new(hello, settings, identities, pins, agents, memory);
        let mut desk = Self {
            signer,
            store: store.hurried(),
            disk: known,
            log,
            log_failure: None,
            keys,
            wire,
            front,
            names,
            asked: BTreeMap::new(),
            together: BTreeMap::new(),
            suspended: BTreeSet::new(),
        };
        desk.tell_suspended();
        if desk.signer.blocks().iter().next().is_some() {
            desk.tell_blocks();
        }
        Ok(desk)
    }

    /// Notes in the log that the signer begins, or ends in order.
    pub(crate) fn note(&mut self, event: Event) -> Result<(), CommandFailed> {
        self.take(Input::Note(Box::new(Entry::new(event))))
    }

    /// When [`Input::Tick`] is due.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.signer.deadline()
    }

    /// Tells the person how an agent stands.
    pub(crate) fn stands(&mut self, link: LinkId, state: &AgentState) {
        if let Some(name) = self.names.get(&link) {
            self.front.tell(News::Agent(link, name, state));
        }
    }

    /// Hands an input to the trusted part and does what follows from it. After an error nothing more
    /// may be done: what was not stored must not be sent.
    pub(crate) fn take(&mut self, input: Input) -> Result<(), CommandFailed> {
        self.signer.handle(input, &PureRust, clock::now());
        self.settle(None)
    }

    /// Does what follows, with the state that is held already or will be when it is needed.
    fn settle(&mut self, mut held: Option<Opened>) -> Result<(), CommandFailed> {
        while let Some(output) = self.signer.poll() {
            self.perform(output, &mut held)?;
        }
        self.tell_together();
        Ok(())
    }

    fn perform(&mut self, output: Output, held: &mut Option<Opened>) -> Result<(), CommandFailed> {
        match output {
            Output::Send(link, frame) => self.wire.send(link, &frame),
            Output::Restart(link) => self.wire.restart(link),
            Output::Opened(link) => self.stands(link, &AgentState::Connected),
            Output::Show(prompt) => {
                self.front.tell(News::Asked(&prompt));
                self.asked.insert(prompt.request, *prompt);
            }
            Output::Withdraw(request, why) => {
                self.together.remove(&request);
                if let Some(prompt) = self.asked.remove(&request) {
                    self.front.tell(News::Withdrawn(&prompt, why));
                }
            }
            Output::Sign(job) => self.sign(&job, held)?,
            Output::Refused(link, refusal) => {
                if let Some(name) = self.names.get(&link) {
                    self.front.tell(News::Refused(name, refusal));
                }
            }
            Output::StorePins => {
                hold(&self.store, held)?.save_pins(self.signer.pins())?;
                self.disk.stamps.pins = self.store.stamps().pins;
                self.front.tell(News::Pins(self.signer.pins()));
            }
            Output::StoreBlocks => {
                self.disk.lacks.insert(Lack::Blocks);
                self.save(held);
                self.tell_blocks();
            }
            Output::StoreAgents => {
                self.disk.lacks.insert(Lack::Agents);
                self.save(held);
                self.tell_suspended();
            }
            Output::Record(line) => self.record(&line),
            Output::Forget(link) => {
                match hold(&self.store, held) {
                    Ok(opened) => self.erase(link, opened)?,
                    Err(refused) if refused.is_held() => {
                        self.disk.gone.insert(link);
                    }
                    Err(refused) => return Err(refused.into()),
                }
                self.part(link);
            }
        }
        Ok(())
    }

    /// Writes a line of the log at once. While that fails the trusted part signs nothing, and the
    /// signer goes on.
    fn record(&mut self, line: &Line) {
        let input = match self.log.append(core::slice::from_ref(line)) {
            Ok(lines) => {
                if lines >= line.after.lines && self.log_failure.take().is_some() {
                    self.front.tell(News::Log(None));
                }
                Input::Recorded(lines)
            }
            Err(failed) => {
                let why = Some(failed.to_string());
                if self.log_failure != why {
                    self.front.tell(News::Log(Some(&failed)));
                    self.log_failure = why;
                }
                Input::NotRecorded
            }
        };
        self.signer.handle(input, &PureRust, clock::now());
    }

    /// Signs, and reports it with the state held until the pins are stored, so that no change of a
    /// command in between is lost. While another process holds the state nothing is signed, and the
    /// signer goes on.
    fn sign(&mut self, job: &SignJob, held: &mut Option<Opened>) -> Result<(), CommandFailed> {
        let opened = match hold(&self.store, held) {
            Ok(opened) => opened,
            Err(refused) if refused.is_held() => {
                if let Some(prompt) = self.asked.get(&job.request()) {
                    self.front.tell(News::Held(prompt, &refused));
                }
                let unsigned = Input::Signed(job.request(), None);
                self.signer.handle(unsigned, &PureRust, clock::now());
                return Ok(());
            }
            Err(refused) => return Err(refused.into()),
        };
        let pins = self.store.stamps().pins;
        if pins != self.disk.stamps.pins {
            self.take_over_pins(opened)?;
            self.disk.stamps.pins = pins;
        }
        let signed = Input::Signed(job.request(), self.keys.sign(job));
        self.signer.handle(signed, &PureRust, clock::now());
        Ok(())
    }

    /// Tells which requests can be answered together, where that changed.
    fn tell_together(&mut self) {
        for request in self.asked.keys().copied() {
            let mut others = self.signer.together(request);
            others.retain(|other| *other != request);
            let before = self.together.get(&request).map_or(&[][..], Vec::as_slice);
            if others != before {
                self.front.tell(News::Together(request, &others));
                self.together.insert(request, others);
            }
        }
    }

    /// Tells which agents are locked out, where that changed.
    fn tell_suspended(&mut self) {
        for (record, _) in self.signer.agents() {
            let (link, suspended) = (record.id(), record.suspended);
            if suspended != self.suspended.contains(&link) {
                let name = &record.name;
                self.front.tell(News::Suspended(link, name, suspended));
                if suspended {
                    self.suspended.insert(link);
                } else {
                    self.suspended.remove(&link);
                }
            }
        }
    }

    fn tell_blocks(&mut self) {
        self.front.tell(News::Blocks(self.signer.blocks()));
    }

    /// Ends what there is to an agent besides.
    fn part(&mut self, link: LinkId) {
        self.suspended.remove(&link);
        self.wire.give_up(link);
        if let Some(name) = self.names.remove(&link) {
            self.front.tell(News::Unpaired(link, &name));
        }
    }
}

fn greet(wire: &mut impl Wire, front: &mut impl Front, record: &AgentRecord) {
    let state = wire.connect(record).unwrap_or(AgentState::Connecting);
    front.tell(News::Agent(record.id(), &record.name, &state));
}

/// How far this signer knows each agent's log.
fn known_heads(store: &Store) -> Result<BTreeMap<LinkId, Head>, StoreRefused> {
    let heads = heads(store.path()).map_err(StateRefused::from)?;
    let known = heads.into_iter();
    let known = known.filter_map(|(link, head)| Some((LinkId::parse(&link)?, head)));
    Ok(known.collect())
}

/// The state, held since earlier in the same turn or from now on.
fn hold<'a>(store: &Store, held: &'a mut Option<Opened>) -> Result<&'a Opened, StoreRefused> {
    match held {
        Some(opened) => Ok(opened),
        None => Ok(held.insert(store.open()?)),
    }
}

#[cfg(test)]
mod tests;

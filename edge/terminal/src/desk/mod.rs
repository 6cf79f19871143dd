//! Joins the trusted part with files, keys, relay and person: performs its outputs strictly in order,
//! so that what must be remembered is on disk before what it permits is sent.

use std::collections::{BTreeMap, BTreeSet};

use vmux_host::clock;
use vmux_proto::Untrusted;
use vmux_proto::crypto::PureRust;
use vmux_proto::message::{Hello, RequestId};
use vmux_signer::{AgentRecord, Input, LinkId, Memory, Output, Prompt, Settings, SignJob, Signer};

use crate::failure::CommandFailed;
use crate::front::{AgentState, Front, News};
use crate::keys::Keys;
use crate::store::{Opened, Stamps, Store, StoreRefused};

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
    stamps: Stamps,
    keys: Keys,
    pub(crate) wire: W,
    pub(crate) front: F,
    names: BTreeMap<LinkId, Untrusted>,
    asked: BTreeMap<RequestId, Prompt>,
    /// Ended by their agents, and still on disk because another process held the state.
    gone: BTreeSet<LinkId>,
}

impl<W: Wire, F: Front> Desk<W, F> {
    /// Starts with what is stored, and connects to every paired agent.
    pub(crate) fn start(
        opened: &Opened,
        store: &Store,
        keys: Keys,
        (hello, settings): (Hello, Settings),
        (mut wire, mut front): (W, F),
    ) -> Result<Self, StoreRefused> {
        let stamps = store.stamps();
        let identities = opened.identities()?;
        let pins = opened.pins()?;
        let agents = opened.agents()?;
        front.tell(News::Identities(&identities));
        front.tell(News::Pins(&pins));
        let mut names = BTreeMap::new();
        for record in &agents {
            greet(&mut wire, &mut front, record);
            names.insert(record.id(), record.name.clone());
        }
        let signer = Signer::new(hello, settings, identities, pins, agents, Memory::EMPTY);
        let store = store.hurried();
        Ok(Self {
            signer,
            store,
            stamps,
            keys,
            wire,
            front,
            names,
            asked: BTreeMap::new(),
            gone: BTreeSet::new(),
        })
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
        let mut held = None;
        while let Some(output) = self.signer.poll() {
            self.perform(output, &mut held)?;
        }
        Ok(())
    }

    /// Takes over what commands have changed on disk.
    pub(crate) fn look(&mut self) -> Result<(), CommandFailed> {
        if self.store.stamps() == self.stamps && self.gone.is_empty() {
            return Ok(());
        }
        let opened = match self.store.open_at_once() {
            Ok(opened) => opened,
            // A command is at it; its change is looked at when it is done.
            Err(refused) if refused.is_held() => return Ok(()),
            Err(refused) => return Err(refused.into()),
        };
        for link in core::mem::take(&mut self.gone) {
            self.erase(link, &opened)?;
        }
        let now = self.store.stamps();
        let before = self.stamps;
        self.stamps = now;
        if now.identities != before.identities {
            let identities = opened.identities()?;
            self.keys.follow(&opened, &identities)?;
            self.front.tell(News::Identities(&identities));
            self.signer
                .handle(Input::Identities(identities), &PureRust, clock::now());
        }
        if now.pins != before.pins {
            self.take_over_pins(&opened)?;
        }
        if now.agents != before.agents {
            self.follow_agents(opened.agents()?);
        }
        let mut held = Some(opened);
        while let Some(output) = self.signer.poll() {
            self.perform(output, &mut held)?;
        }
        Ok(())
    }

    fn follow_agents(&mut self, stored: Vec<AgentRecord>) {
        let gone: Vec<_> = self
            .names
            .keys()
            .filter(|id| !stored.iter().any(|record| record.id() == **id))
            .copied()
            .collect();
        for link in gone {
            self.signer
                .handle(Input::Unpair(link), &PureRust, clock::now());
        }
        for record in stored {
            if !self.names.contains_key(&record.id()) {
                greet(&mut self.wire, &mut self.front, &record);
                self.names.insert(record.id(), record.name.clone());
                let input = Input::Paired(Box::new(record));
                self.signer.handle(input, &PureRust, clock::now());
            }
        }
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
                self.stamps.pins = self.store.stamps().pins;
                self.front.tell(News::Pins(self.signer.pins()));
            }
            Output::StoreAgents | Output::StoreBlocks | Output::Record(_) => {}
            Output::Forget(link) => {
                match hold(&self.store, held) {
                    Ok(opened) => self.erase(link, opened)?,
                    Err(refused) if refused.is_held() => {
                        self.gone.insert(link);
                    }
                    Err(refused) => return Err(refused.into()),
                }
                self.part(link);
            }
        }
        Ok(())
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
        if pins != self.stamps.pins {
            self.take_over_pins(opened)?;
            self.stamps.pins = pins;
        }
        let signed = Input::Signed(job.request(), self.keys.sign(job));
        self.signer.handle(signed, &PureRust, clock::now());
        Ok(())
    }

    fn take_over_pins(&mut self, opened: &Opened) -> Result<(), StoreRefused> {
        let pins = opened.pins()?;
        self.front.tell(News::Pins(&pins));
        self.signer
            .handle(Input::Pins(pins), &PureRust, clock::now());
        Ok(())
    }

    /// Takes an agent off the disk.
    fn erase(&mut self, link: LinkId, opened: &Opened) -> Result<(), CommandFailed> {
        let mut agents = opened.agents()?;
        let before = agents.len();
        agents.retain(|record| record.id() != link);
        if agents.len() != before {
            let unchanged = self.store.stamps().agents == self.stamps.agents;
            opened.save_agents(&agents)?;
            // What a command has changed besides is still to be looked at.
            if unchanged {
                self.stamps.agents = self.store.stamps().agents;
            }
        }
        Ok(())
    }

    /// Ends what there is to an agent besides.
    fn part(&mut self, link: LinkId) {
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

/// The state, held since earlier in the same turn or from now on.
fn hold<'a>(store: &Store, held: &'a mut Option<Opened>) -> Result<&'a Opened, StoreRefused> {
    match held {
        Some(opened) => Ok(opened),
        None => Ok(held.insert(store.open()?)),
    }
}

#[cfg(test)]
mod tests;

//! What is on disk and what is known of it: takes over what commands change, and stores what a denial
//! brings with it, now or as soon as that is possible.

use std::collections::BTreeSet;

use vmux_host::clock;
use vmux_proto::crypto::PureRust;
use vmux_signer::{AgentRecord, Blocks, Input, LinkId};

use super::{Desk, Wire, greet};
use crate::failure::CommandFailed;
use crate::front::{Front, News};
use crate::store::{Opened, Stamps, StoreRefused};

/// A change that is not on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lack {
    /// Of the blocks.
    Blocks,
    /// An agent was locked out, or no longer is.
    Agents,
}

/// What the files are known to hold, and what they still lack.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) stamps: Stamps,
    blocks: Blocks,
    suspended: BTreeSet<LinkId>,
    /// Ended by their agents, and still on disk because another process held the state.
    pub(super) gone: BTreeSet<LinkId>,
    /// What has changed and is not on disk.
    pub(super) lacks: BTreeSet<Lack>,
    /// Why something is lacking, as the front was told.
    why: Option<String>,
}

impl Disk {
    pub(super) fn new(stamps: &Stamps, blocks: Blocks, agents: &[AgentRecord]) -> Self {
        Self {
            stamps: *stamps,
            blocks,
            suspended: suspended(agents),
            gone: BTreeSet::new(),
            lacks: BTreeSet::new(),
            why: None,
        }
    }

    fn lacks_nothing(&self) -> bool {
        self.gone.is_empty() && self.lacks.is_empty()
    }
}

impl<W: Wire, F: Front> Desk<W, F> {
    /// Takes over what commands have changed on disk.
    pub(crate) fn look(&mut self) -> Result<(), CommandFailed> {
        if self.store.stamps() == self.disk.stamps && self.disk.lacks_nothing() {
            return Ok(());
        }
        let opened = match self.store.open_at_once() {
            Ok(opened) => opened,
            // A command is at it; its change is looked at when it is done.
            Err(refused) if refused.is_held() => return Ok(()),
            Err(refused) => return Err(refused.into()),
        };
        for link in core::mem::take(&mut self.disk.gone) {
            self.erase(link, &opened)?;
        }
        let now = self.store.stamps();
        let before = self.disk.stamps;
        self.disk.stamps = now;
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
            let stored = opened.agents()?;
            self.follow_resumed(&stored);
            self.follow_agents(stored);
        }
        if now.blocks != before.blocks {
            self.follow_lifted(&opened)?;
        }
        let mut held = Some(opened);
        self.save(&mut held);
        self.settle(held)
    }

    pub(super) fn take_over_pins(&mut self, opened: &Opened) -> Result<(), StoreRefused> {
        let pins = opened.pins()?;
        self.front.tell(News::Pins(&pins));
        self.signer
            .handle(Input::Pins(pins), &PureRust, clock::now());
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

    /// Whoever was locked out on disk and is not any more was allowed to ask again by a command.
    fn follow_resumed(&mut self, stored: &[AgentRecord]) {
        let now = suspended(stored);
        let before = core::mem::replace(&mut self.disk.suspended, now.clone());
        for link in before.difference(&now) {
            self.signer
                .handle(Input::Resume(*link), &PureRust, clock::now());
        }
    }

    /// A block that was on disk and is not any more was lifted by a command.
    fn follow_lifted(&mut self, opened: &Opened) -> Result<(), StoreRefused> {
        let now = opened.blocks()?;
        let before = core::mem::replace(&mut self.disk.blocks, now.clone());
        for block in before.iter() {
            let is_same = |other: &&vmux_signer::Blocked| {
                (other.link, &other.source) == (block.link, &block.source)
            };
            if now.iter().find(is_same).is_none() {
                let lifted = Input::Unblock(block.link, block.source.clone());
                self.signer.handle(lifted, &PureRust, clock::now());
            }
        }
        Ok(())
    }

    /// Stores what the files lack. What cannot be stored now holds here all the same, and is tried
    /// again with each look: it only ever makes the signer refuse more.
    pub(super) fn save(&mut self, held: &mut Option<Opened>) {
        if self.disk.lacks.is_empty() {
            return;
        }
        let saved = match held.take().map_or_else(|| self.store.open(), Ok) {
            Ok(opened) => {
                let saved = self.save_in(&opened);
                *held = Some(opened);
                saved
            }
            Err(refused) => Err(refused),
        };
        let why = saved.as_ref().err().map(ToString::to_string);
        if let Err(refused) = &saved
            && !refused.is_held()
            && self.disk.why != why
        {
            self.front.tell(News::Unsaved(refused));
        }
        self.disk.why = why;
    }

    fn save_in(&mut self, opened: &Opened) -> Result<(), StoreRefused> {
        if self.disk.lacks.contains(&Lack::Blocks) {
            if self.store.stamps().blocks != self.disk.stamps.blocks {
                self.follow_lifted(opened)?;
            }
            let blocks = self.signer.blocks();
            opened.save_blocks(blocks)?;
            self.disk.blocks = blocks.clone();
            self.disk.stamps.blocks = self.store.stamps().blocks;
            self.disk.lacks.remove(&Lack::Blocks);
        }
        if self.disk.lacks.contains(&Lack::Agents) {
            self.save_suspended(opened)?;
            self.disk.lacks.remove(&Lack::Agents);
        }
        Ok(())
    }

    fn save_suspended(&mut self, opened: &Opened) -> Result<(), StoreRefused> {
        let mut stored = opened.agents()?;
        let unchanged = self.store.stamps().agents == self.disk.stamps.agents;
        if !unchanged {
            self.follow_resumed(&stored);
        }
        for record in &mut stored {
            let mut known = self.signer.agents();
            if let Some((known, _)) = known.find(|(known, _)| known.id() == record.id()) {
                record.suspended = known.suspended;
            }
        }
        opened.save_agents(&stored)?;
        self.disk.suspended = suspended(&stored);
        // What a command has changed besides is still to be looked at.
        if unchanged {
            self.disk.stamps.agents = self.store.stamps().agents;
        }
        Ok(())
    }

    /// Takes an agent off the disk.
    pub(super) fn erase(&mut self, link: LinkId, opened: &Opened) -> Result<(), CommandFailed> {
        let mut agents = opened.agents()?;
        let before = agents.len();
        agents.retain(|record| record.id() != link);
        if agents.len() != before {
            let unchanged = self.store.stamps().agents == self.disk.stamps.agents;
            opened.save_agents(&agents)?;
            // What a command has changed besides is still to be looked at.
            if unchanged {
                self.disk.stamps.agents = self.store.stamps().agents;
            }
        }
        Ok(())
    }
}

/// The agents that are locked out.
fn suspended(agents: &[AgentRecord]) -> BTreeSet<LinkId> {
    let suspended = agents.iter().filter(|record| record.suspended);
    suspended.map(AgentRecord::id).collect()
}

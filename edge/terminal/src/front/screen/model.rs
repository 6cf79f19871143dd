//! What there is to show. Texts are escaped already.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use vmux_proto::message::RequestId;
use vmux_signer::{Blocked, LinkId, Pins, Prompt, Withdrawn};

use crate::front::words::{log_failure, outcome, summary};
use crate::front::{AgentState, News};

/// Everything the screen can show.
#[derive(Clone, Debug)]
pub(super) struct Model {
    name: String,
    identities: Vec<IdentityRow>,
    pins: Arc<Pins>,
    agents: Vec<AgentRow>,
    prompts: Vec<Prompt>,
    /// What waits together with each, without itself.
    together: BTreeMap<RequestId, Vec<RequestId>>,
    blocks: Vec<BlockRow>,
    /// Why the log cannot be written.
    log_failure: Option<String>,
    recent: VecDeque<Recent>,
    changes: u64,
}

#[derive(Clone, Debug)]
pub(super) struct IdentityRow {
    pub(super) label: String,
    pub(super) fingerprint: String,
    pub(super) enabled: bool,
}

#[derive(Clone, Debug)]
pub(super) struct AgentRow {
    id: LinkId,
    pub(super) name: String,
    pub(super) state: AgentState,
    /// Somebody said "that was not me", so nothing is signed for it.
    pub(super) suspended: bool,
}

/// A source that is blocked.
#[derive(Clone, Debug)]
pub(super) struct BlockRow {
    pub(super) link: LinkId,
    pub(super) source: String,
    /// In seconds since 1970.
    pub(super) ends: u64,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    pub(super) ending: Ending,
    pub(super) text: String,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Good,
    Bad,
    Neither,
}

impl Model {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            identities: Vec::new(),
            pins: Arc::default(),
            agents: Vec::new(),
            prompts: Vec::new(),
            together: BTreeMap::new(),
            blocks: Vec::new(),
            log_failure: None,
            recent: VecDeque::new(),
            changes: 0,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn identities(&self) -> &[IdentityRow] {
        &self.identities
    }

    /// The hosts that have names.
    pub(super) fn pins(&self) -> &Pins {
        &self.pins
    }

    pub(super) fn agents(&self) -> &[AgentRow] {
        &self.agents
    }

    /// Requests that wait, oldest first.
    pub(super) fn prompts(&self) -> &[Prompt] {
        &self.prompts
    }

    /// What may be answered together with this request, without itself.
    pub(super) fn together(&self, request: RequestId) -> &[RequestId] {
        self.together.get(&request).map_or(&[], Vec::as_slice)
    }

    /// What is blocked.
    pub(super) fn blocks(&self) -> &[BlockRow] {
        &self.blocks
    }

    /// What a workstation is called.
    pub(super) fn name_of(&self, link: LinkId) -> &str {
        let agent = self.agents.iter().find(|agent| agent.id == link);
        agent.map_or("another workstation", |agent| &agent.name)
    }

    /// Why the log cannot be written, if it cannot.
    pub(super) fn log_failure(&self) -> Option<&str> {
        self.log_failure.as_deref()
    }

    /// What happened, newest first.
    pub(super) fn recent(&self) -> impl Iterator<Item = &Recent> {
        self.recent.iter()
    }

    /// Differs after each change.
    pub(super) const fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) fn take(&mut self, news: News<'_>) {
        self.changes = self.changes.wrapping_add(1);
        match news {
            News::Identities(identities) => {
                let row = |identity: &vmux_signer::Identity| IdentityRow {
                    label: identity.label.clone(),
                    fingerprint: identity.key.fingerprint().to_string(),
                    enabled: identity.enabled,
                };
                self.identities = identities.all().iter().map(row).collect();
            }
            News::Pins(pins) => self.pins = Arc::new(pins.clone()),
            News::Agent(id, name, state) => {
                match self.agents.iter_mut().find(|agent| agent.id == id) {
                    Some(agent) => agent.state = state.clone(),
                    None => self.agents.push(AgentRow {
                        id,
                        name: name.to_string(),
                        state: state.clone(),
                        suspended: false,
                    }),
                }
            }
            News::Unpaired(id, name) => {
                self.agents.retain(|agent| agent.id != id);
                self.remember(Ending::Neither, format!("{name} is no longer paired"));
            }
            News::Suspended(id, name, suspended) => {
                let agent = self.agents.iter_mut().find(|agent| agent.id == id);
                if let Some(agent) = agent {
                    agent.suspended = suspended;
                }
                let what = if suspended {
                    "is locked out: nothing of it is signed"
                } else {
                    "may ask again"
                };
                self.remember(Ending::Neither, format!("{name} {what}"));
            }
            News::Blocks(blocks) => self.blocks = blocks.iter().map(blocked).collect(),
            News::Log(failure) => {
                self.log_failure = failure.map(log_failure);
            }
            News::Unsaved(refused) => {
                let failed = format!("not saved yet, tried again: {refused}");
                self.remember(Ending::Bad, failed);
            }
            News::Asked(prompt) => self.prompts.push(prompt.clone()),
            News::Together(request, others) => {
                self.together.insert(request, others.to_vec());
            }
            News::Withdrawn(prompt, why) => {
                self.prompts
                    .retain(|waiting| waiting.request != prompt.request);
                self.together.remove(&prompt.request);
                let ending = match why {
                    Withdrawn::Signed => Ending::Good,
                    Withdrawn::Refused(_) => Ending::Bad,
                    Withdrawn::Cancelled | Withdrawn::Disconnected => Ending::Neither,
                };
                let (outcome, summary) = (outcome(why), summary(prompt));
                let name = &prompt.workstation;
                self.remember(ending, format!("{outcome}: {summary}, asked by {name}"));
            }
            News::Held(prompt, refused) => {
                let summary = summary(prompt);
                self.remember(Ending::Bad, format!("not signed: {summary}: {refused}"));
            }
            News::Refused(name, refusal) => {
                let outcome = format!("refused ({})", refusal.name());
                self.remember(
                    Ending::Bad,
                    format!("{outcome}: a request of {name}, unasked"),
                );
            }
        }
    }

    fn remember(&mut self, ending: Ending, text: String) {
        self.recent.truncate(MAX_RECENT);
        self.recent.push_front(Recent { ending, text });
    }
}

fn blocked(block: &Blocked) -> BlockRow {
    BlockRow {
        link: block.link,
        source: block.source.to_string(),
        ends: block.ends,
    }
}

/// Older events are in the log.
const MAX_RECENT: usize = 19;

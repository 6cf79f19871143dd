//! What there is to show. Texts are escaped already.

use std::collections::VecDeque;
use std::sync::Arc;

use vmux_signer::{LinkId, Pins, Prompt, Withdrawn};

use crate::front::words::{outcome, summary};
use crate::front::{AgentState, News};

/// Everything the screen can show.
#[derive(Clone, Debug)]
pub(super) struct Model {
    name: String,
    identities: Vec<IdentityRow>,
    pins: Arc<Pins>,
    agents: Vec<AgentRow>,
    prompts: Vec<Prompt>,
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
                    }),
                }
            }
            News::Unpaired(id, name) => {
                self.agents.retain(|agent| agent.id != id);
                self.remember(Ending::Neither, format!("{name} is no longer paired"));
            }
            News::Asked(prompt) => self.prompts.push(prompt.clone()),
            News::Withdrawn(prompt, why) => {
                self.prompts
                    .retain(|waiting| waiting.request != prompt.request);
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

/// Older events are in the agent's log.
const MAX_RECENT: usize = 19;

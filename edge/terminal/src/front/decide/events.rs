//! What happens, as events or in words, while a program decides.

use serde_json::{Value, json};
use tracing::debug;
use vmux_host::clock;
use vmux_host::output::Paint;
use vmux_signer::{Blocks, Withdrawn};

use super::Decider;
use crate::front::prompt_json::{prompt_json, request_text, source};
use crate::front::words::{outcome, summary};
use crate::front::{AgentState, Front, News};

impl Front for Decider<'_> {
    fn tell(&mut self, news: News<'_>) {
        match news {
            News::Identities(identities) => {
                let enabled = identities
                    .all()
                    .iter()
                    .filter(|identity| identity.enabled)
                    .count();
                let event = json!({ "event": "identities", "enabled": enabled });
                self.print(&event, |_| format!("identities: {enabled} enabled"));
            }
            // The request says what there is to know of its own.
            // Each request is decided on its own, and names are in it.
            News::Pins(_) | News::Together(..) => {}
            News::Agent(id, name, state) => {
                let reason = match state {
                    AgentState::Unreachable(reason) => Some(reason),
                    AgentState::Connecting | AgentState::Connected | AgentState::Away => None,
                };
                let event = json!({
                    "event": "agent",
                    "agent": id.to_string(),
                    "name": name.to_string(),
                    "state": state.name(),
                    "reason": reason,
                });
                let why = reason.map_or(String::new(), |reason| format!(": {reason}"));
                self.print(&event, |_| format!("{name}: {}{why}", state.name()));
            }
            News::Unpaired(id, name) => {
                let event = json!({
                    "event": "unpaired",
                    "agent": id.to_string(),
                    "name": name.to_string(),
                });
                self.print(&event, |_| format!("{name}: no longer paired"));
            }
            News::Asked(prompt) => {
                let event = json!({
                    "event": "asked",
                    "prompt": prompt_json(prompt, clock::now().uptime),
                });
                self.print(&event, |_| {
                    let (request, name) = (prompt.request, &prompt.workstation);
                    format!("{request} {name} asks for {}", summary(prompt))
                });
                self.ask(prompt);
            }
            News::Withdrawn(prompt, why) => {
                if let Some(task) = self.running.remove(&prompt.request) {
                    task.abort();
                }
                let refusal = match why {
                    Withdrawn::Refused(refusal) => Some(refusal.name()),
                    Withdrawn::Signed | Withdrawn::Cancelled | Withdrawn::Disconnected => None,
                };
                let event = json!({
                    "event": match why {
                        Withdrawn::Signed => "signed",
                        Withdrawn::Refused(_) => "refused",
                        Withdrawn::Cancelled => "cancelled",
                        Withdrawn::Disconnected => "disconnected",
                    },
                    "request": request_text(prompt.request),
                    "reason": refusal,
                });
                self.print(&event, |_| format!("{} {}", prompt.request, outcome(why)));
            }
            News::Held(prompt, refused) => {
                let event = json!({
                    "event": "held",
                    "request": request_text(prompt.request),
                    "message": refused.to_string(),
                    "hint": refused.hint(),
                });
                let request = prompt.request;
                self.print(&event, |_| {
                    format!("{request} cannot be signed: {refused}; {}", refused.hint())
                });
            }
            News::Refused(name, refusal) => {
                let event = json!({
                    "event": "refused-unasked",
                    "name": name.to_string(),
                    "reason": refusal.name(),
                });
                self.print(&event, |_| {
                    format!("refused {name} without asking: {}", refusal.reason())
                });
            }
            News::Suspended(..) | News::Blocks(_) | News::Log(_) | News::Unsaved(_) => {
                self.print_what_holds(news);
            }
        }
    }
}

impl Decider<'_> {
    /// What holds from now on for more than one request.
    fn print_what_holds(&self, news: News<'_>) {
        match news {
            News::Suspended(id, name, suspended) => {
                let event = json!({
                    "event": if suspended { "suspended" } else { "resumed" },
                    "agent": id.to_string(),
                    "name": name.to_string(),
                });
                self.print(&event, |_| {
                    if suspended {
                        format!("{name} is locked out: nothing of it is signed")
                    } else {
                        format!("{name} may ask again")
                    }
                });
            }
            News::Blocks(blocks) => self.print_blocks(blocks),
            News::Log(None) => {
                self.print(&json!({ "event": "log-written" }), |_| {
                    "the log can be written again".to_owned()
                });
            }
            News::Log(Some(failed)) => {
                let hint = failed.hint();
                let event = json!({
                    "event": "log-failing",
                    "message": failed.to_string(),
                    "hint": hint,
                });
                self.print(&event, |_| {
                    format!("the log cannot be written, so nothing is signed: {failed}; {hint}")
                });
            }
            News::Unsaved(refused) => {
                let event = json!({
                    "event": "unsaved",
                    "message": refused.to_string(),
                    "hint": refused.hint(),
                });
                self.print(&event, |_| {
                    format!("not saved yet, tried again: {refused}; {}", refused.hint())
                });
            }
            _ => {}
        }
    }

    fn print_blocks(&self, blocks: &Blocks) {
        let facts = blocks.iter().map(|block| {
            json!({
                "agent": block.link.to_string(),
                "source": source(&block.source),
                "ends": block.ends,
            })
        });
        let facts: Vec<_> = facts.collect();
        let count = facts.len();
        let event = json!({ "event": "blocks", "blocks": facts });
        self.print(&event, |_| format!("blocks: {count}"));
    }

    fn print(&self, event: &Value, human: impl FnOnce(Paint) -> String) {
        if let Err(error) = self.output.tell(event, human) {
            debug!(%error, "nobody reads the standard output");
        }
    }
}

//! Lets a program decide: it reads the request as JSON and approves with exit status 0. Anything
//! else, a crash or silence denies; two exit statuses deny with consequences.

use core::time::Duration;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tracing::{debug, warn};
use vmux_host::clock;
use vmux_host::output::{Output, Paint};
use vmux_proto::message::RequestId;
use vmux_signer::{After, Blocks, Decision, Prompt, Withdrawn};

use super::prompt_json::{prompt_json, request_text, source};
use super::words::{outcome, suggested_name, summary};
use super::{Act, AgentState, Front, News};
use crate::failure::CommandFailed;

/// Asks a program and prints what happens.
#[derive(Debug)]
pub(crate) struct Decider<'a> {
    output: &'a Output,
    program: Arc<Path>,
    limit: Duration,
    slots: Arc<Semaphore>,
    running: BTreeMap<RequestId, AbortHandle>,
    acts: mpsc::Sender<Act>,
}

impl<'a> Decider<'a> {
    /// Asks `program`; its decisions arrive at `acts`.
    pub(crate) fn new(output: &'a Output, program: &Path, acts: mpsc::Sender<Act>) -> Self {
        Self {
            output,
            program: program.into(),
            limit: LIMIT,
            slots: Arc::new(Semaphore::new(MAX_PROGRAMS)),
            running: BTreeMap::new(),
            acts,
        }
    }

    fn ask(&mut self, prompt: &Prompt) {
        let (program, limit) = (Arc::clone(&self.program), self.limit);
        let (slots, acts) = (Arc::clone(&self.slots), self.acts.clone());
        let prompt = prompt.clone();
        let request = prompt.request;
        let task = tokio::spawn(async move {
            let Ok(_slot) = slots.acquire().await else {
                return;
            };
            let decision = decide(&program, &prompt, limit).await;
            if acts
                .send(Act::Decide(prompt.request, decision))
                .await
                .is_err()
            {
                debug!(%request, "decided after the end");
            }
        });
        self.running.insert(request, task.abort_handle());
    }

    fn print(&self, event: &Value, human: impl FnOnce(Paint) -> String) {
        if let Err(error) = self.output.tell(event, human) {
            debug!(%error, "nobody reads the standard output");
        }
    }
}

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
}

/// Says whether there is such a program, before a request depends on it.
pub(crate) fn find_program(named: &Path) -> Result<PathBuf, CommandFailed> {
    let candidates: Vec<PathBuf> = if named.components().count() > 1 || named.is_absolute() {
        vec![named.to_owned()]
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .map(|dir| dir.join(named))
            .collect()
    };
    let usable = |file: &&PathBuf| {
        file.is_file() && rustix::fs::access(file.as_path(), rustix::fs::Access::EXEC_OK).is_ok()
    };
    let found = candidates
        .iter()
        .find(usable)
        .and_then(|file| file.canonicalize().ok());
    found.ok_or_else(|| {
        CommandFailed::new(
            format!("{} is not a program that can be run", named.display()),
            "name an executable file with --decide-with",
        )
    })
}

/// One run of the program for one request. When this is dropped, so is the program.
async fn decide(program: &Path, prompt: &Prompt, limit: Duration) -> Decision {
    let request = prompt.request;
    let text = prompt_json(prompt, clock::now().uptime).to_string();
    let spawned = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            warn!(%request, %error, "the program cannot be started: denied");
            return Decision::Deny(After::Nothing);
        }
    };
    let group = Group::of(&child);
    match timeout(limit, tell_and_wait(&mut child, text.as_bytes())).await {
        Ok(Ok(status)) => {
            group.leave();
            if status.success() {
                // It was told the number, so its approval stands for it.
                return Decision::Approve {
                    number: prompt.number,
                    name: suggested_name(prompt),
                };
            }
            debug!(%request, %status, "the program denied");
            return Decision::Deny(match status.code() {
                Some(BLOCK) => After::Block,
                Some(NOT_ME) => After::NotMe,
                _ => After::Nothing,
            });
        }
        Ok(Err(error)) => warn!(%request, %error, "the program is lost: denied"),
        Err(_) => warn!(%request, "the program did not decide in time: denied"),
    }
    Decision::Deny(After::Nothing)
}

/// Writes the request for as long as the program runs; whether it reads is its own affair.
async fn tell_and_wait(
    child: &mut Child,
    text: &[u8],
) -> std::io::Result<std::process::ExitStatus> {
    let stdin = child.stdin.take();
    let tell = async move {
        if let Some(mut stdin) = stdin {
            drop(stdin.write_all(text).await);
        }
    };
    tokio::select! {
        biased;
        status = child.wait() => status,
        never = async { tell.await; core::future::pending().await } => never,
    }
}

/// The program and what it started; killed when dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    /// What the program left running on purpose stays.
    fn leave(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0
            && let Err(error) = kill_process_group(group, Signal::KILL)
        {
            debug!(%error, "the program is gone already");
        }
    }
}

/// The exit status that denies and blocks the source.
const BLOCK: i32 = 10;

/// The exit status that says that the request is not the person's.
const NOT_ME: i32 = 11;

/// Silence for this long denies.
const LIMIT: Duration = Duration::from_mins(1);

/// Programs that run at a time; further requests wait for one to end.
const MAX_PROGRAMS: usize = 16;

#[cfg(test)]
mod tests;

//! Lets a program decide: it reads the request as JSON and approves with exit status 0. Anything
//! else, a crash or silence denies; two exit statuses deny with consequences.

mod events;

use core::time::Duration;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tracing::{debug, warn};
use vmux_host::clock;
use vmux_host::output::Output;
use vmux_proto::message::RequestId;
use vmux_signer::{After, Decision, Prompt};

use super::Act;
use super::prompt_json::prompt_json;
use super::words::suggested_name;
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

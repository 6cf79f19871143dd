//! `vmux-signer run`

use core::time::Duration;
use std::io::{self, IsTerminal as _};
use std::path::Path;

use serde_json::json;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use vmux_proto::audit::Event;
use vmux_signer::Input;

use super::{Desktop, hello};
use crate::cli::Run;
use crate::desk::Desk;
use crate::failure::CommandFailed;
use crate::front::decide::{Decider, find_program};
use crate::front::screen::ScreenFront;
use crate::front::{Act, Front};
use crate::keys::{Keys, NotUnlocked};
use crate::links::{Events, Links, until};
use crate::passphrase::Passphrase;
use crate::start_log;

pub(super) fn run(desktop: &Desktop<'_>, run: &Run) -> Result<(), CommandFailed> {
    let program = run.decide_with.as_deref().map(find_program).transpose()?;
    if program.is_none() && !io::stdout().is_terminal() {
        return Err(CommandFailed::new(
            "there is no terminal to show requests on",
            "run this in a terminal, or let a program decide with --decide-with PROGRAM",
        ));
    }
    let trust = desktop.config.trust()?;
    // Before a passphrase is asked for in vain.
    drop(desktop.store.open()?);
    let _only_one = desktop.store.hold_run()?;
    let keys = unlock(desktop)?;
    let name = desktop.name(&desktop.store.open()?)?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (acts, decided) = mpsc::channel(MAX_ACTS);
        let (links, heard) = Links::new(trust);
        let stage = Stage {
            desktop,
            keys,
            name: &name,
            links,
        };
        if let Some(program) = program {
            start_log();
            let front = Decider::new(desktop.output, &program, acts);
            let ready = json!({ "event": "ready", "name": name });
            desktop
                .output
                .tell(&ready, |_| format!("{name} is ready; Ctrl-C ends it"))?;
            let (outcome, _) = serve(stage, front, heard, decided).await;
            outcome
        } else {
            let front = ScreenFront::start(&name, acts)?;
            let (outcome, front) = serve(stage, front, heard, decided).await;
            let closed = front.map_or(Ok(()), ScreenFront::close);
            outcome.and(closed.map_err(CommandFailed::from))
        }
    })
}

/// Three tries if the person types, one if a file is read.
fn unlock(desktop: &Desktop<'_>) -> Result<Keys, CommandFailed> {
    let file: Option<&Path> = desktop.passphrase_file.as_deref();
    let mut tries = if file.is_some() { 1_u8 } else { TRIES };
    loop {
        tries = tries.saturating_sub(1);
        let passphrase = Passphrase::get(file, "Passphrase of this signer: ")?;
        let opened = desktop.store.open()?;
        match Keys::unlock(&opened, &opened.identities()?, passphrase) {
            Err(NotUnlocked::WrongPassphrase) if tries > 0 => {
                desktop
                    .output
                    .say(|_| "wrong passphrase, try again".to_owned())?;
            }
            other => return Ok(other?),
        }
    }
}

/// What a signer starts with.
struct Stage<'a> {
    desktop: &'a Desktop<'a>,
    keys: Keys,
    name: &'a str,
    links: Links,
}

/// Runs until it is told to stop or may not go on; agents learn of either. Gives the front back.
async fn serve<F: Front>(
    stage: Stage<'_>,
    front: F,
    mut heard: Events,
    decided: mpsc::Receiver<Act>,
) -> (Result<(), CommandFailed>, Option<F>) {
    let Stage {
        desktop,
        keys,
        name,
        links,
    } = stage;
    let about = (hello(name.to_owned()), desktop.config.settings());
    let started = desktop
        .store
        .open()
        .map_err(CommandFailed::from)
        .and_then(|opened| Desk::start(&opened, &desktop.store, keys, about, (links, front)));
    let mut desk = match started {
        Ok(desk) => desk,
        Err(failed) => return (Err(failed), None),
    };
    let outcome = turn(&mut desk, &mut heard, decided).await;
    // What could not be stored must not be sent; everything else is refused in words.
    let outcome = match outcome {
        Ok(()) => desk
            .take(Input::Close)
            .and_then(|()| desk.note(Event::Stopped)),
        failed => failed,
    };
    desk.wire.close(&mut heard).await;
    (outcome, Some(desk.front))
}

async fn turn<F: Front>(
    desk: &mut Desk<Links, F>,
    heard: &mut Events,
    mut decided: mpsc::Receiver<Act>,
) -> Result<(), CommandFailed> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    desk.note(Event::Started)?;
    let mut look = interval(BETWEEN_LOOKS);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some((link, event)) = heard.recv() => {
                let heard = desk.wire.heard(link, event)?;
                if let Some(input) = heard.input {
                    desk.take(input)?;
                }
                if let Some(state) = heard.state {
                    desk.stands(link, &state);
                }
            }
            Some(act) = decided.recv() => match act {
                Act::Decide(request, decision) => desk.take(Input::Decided(request, decision))?,
                Act::DecideTogether(requests, decision) => {
                    desk.take(Input::DecidedTogether(requests, decision))?;
                }
                Act::Quit => return Ok(()),
            },
            () = until(desk.deadline()) => desk.take(Input::Tick)?,
            _ = look.tick() => desk.look()?,
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = hangup.recv() => return Ok(()),
        }
    }
}

/// How often changes on disk are looked for; they must be noticed within a second.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// The relay connections; deciding and storing happen on the main thread.
const WORKERS: usize = 2;

/// Decisions on their way; a program that has one more waits.
const MAX_ACTS: usize = 16;

const TRIES: u8 = 3;

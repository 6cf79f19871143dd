//! `vmux-signer pair`

use core::time::Duration;
use std::io::{self, IsTerminal as _, Write as _};

use serde_json::json;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::timeout;
use vmux_host::output::Format;
use vmux_host::relay::{MeetingId, RelayAddress, SeatEvent, SeatHandle, occupy};
use vmux_host::{clock, entropy};
use vmux_proto::audit::{Entry, Event};
use vmux_proto::mailbox::{MailboxId, Seat, Side};
use vmux_signer::{
    AgentRecord, Entropy, Offer, Pairing, PairingFailed, PairingInput, PairingOutput,
};

use super::lines::Lines;
use super::{Desktop, hello};
use crate::cli::Pair;
use crate::config::check_name;
use crate::failure::{CommandFailed, Exit};
use crate::links::until;

pub(super) fn pair(desktop: &Desktop<'_>, pair: Pair) -> Result<(), CommandFailed> {
    let opened = desktop.store.open()?;
    let name = pair.name.map_or_else(|| desktop.name(&opened), Ok)?;
    drop(opened);
    check_name(&name).map_err(|refused| CommandFailed::new(refused, "choose another --name"))?;
    let mut lines = Lines::default();
    let link = if pair.link == "-" {
        if io::stdin().is_terminal() {
            ask("Link: ")?;
        }
        lines.next_blocking()
    } else {
        pair.link
    };
    let offer = Offer::parse(link.trim())?;
    let now = clock::now();
    offer.check(now.wall)?;
    let trust = desktop.config.trust()?;
    let relay = RelayAddress::parse(&offer.relay)?;
    let seat = Seat {
        mailbox: MailboxId::from_bytes(offer.mailbox),
        side: Side::Signer,
    };
    let lifetime = offer.expires.saturating_sub(now.wall).saturating_mul(1000);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (handle, mut events, task) = occupy(relay, seat, trust);
        let task = tokio::spawn(task);
        let table = Table {
            desktop,
            pairing: Pairing::new(offer, hello(name)),
            handle: handle.clone(),
            meeting: None,
            down: None,
            stored: None,
            stage: Stage::AwaitingAgent,
            deadline: now.uptime.saturating_add(FIRST_WORD_MS),
            ends: now.uptime.saturating_add(lifetime),
        };
        let outcome = table.sit(&mut events, &mut lines).await;
        // The last word, a yes or a no, is still on its way.
        handle.stop();
        let rest = async { while events.recv().await.is_some() {} };
        drop(timeout(FLUSH, async { tokio::join!(rest, task) }).await);
        outcome
    })
}

/// One pairing under way.
struct Table<'a> {
    desktop: &'a Desktop<'a>,
    pairing: Pairing,
    handle: SeatHandle,
    meeting: Option<MeetingId>,
    /// Why the relay is not reached, if it is not.
    down: Option<String>,
    stored: Option<Peer>,
    stage: Stage,
    deadline: u64,
    /// When the link expires.
    ends: u64,
}

struct Peer {
    id: String,
    name: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The agent has not proven itself.
    AwaitingAgent,
    /// The person is asked.
    AwaitingAnswer { name_asked: Tries },
    /// The person has answered.
    Answered,
    /// The record is on disk.
    Stored,
}

/// How often an answer was neither yes nor no.
type Tries = u8;

impl Table<'_> {
    async fn sit(
        mut self,
        events: &mut mpsc::Receiver<SeatEvent>,
        lines: &mut Lines,
    ) -> Result<(), CommandFailed> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        loop {
            let asking = matches!(self.stage, Stage::AwaitingAnswer { .. });
            tokio::select! {
                event = events.recv() => self.heard(event)?,
                line = lines.next(), if asking => self.answered(&line)?,
                () = until(Some(self.deadline)) => self.late()?,
                () = interrupted(&mut interrupt) => self.stopped()?,
            }
            if self.perform(lines)? {
                return Ok(());
            }
        }
    }

    fn heard(&mut self, event: Option<SeatEvent>) -> Result<(), CommandFailed> {
        let input = match event {
            Some(SeatEvent::Met(meeting)) => {
                self.meeting = Some(meeting);
                Some(PairingInput::Met {
                    secret: entropy::fill()?,
                    entropy: Entropy::from_bytes(entropy::fill()?),
                    nonce: entropy::fill()?,
                })
            }
            Some(SeatEvent::Frame(frame)) => Some(PairingInput::Frame(frame)),
            Some(SeatEvent::Left) => self.meeting.take().map(|_| PairingInput::Left),
            Some(SeatEvent::Seated) => {
                self.down = None;
                None
            }
            Some(SeatEvent::Down { reason, .. }) => {
                self.down = Some(format!("{reason}; {}", reason.hint()));
                self.meeting.take().map(|_| PairingInput::Left)
            }
            None => Some(PairingInput::Left),
        };
        if let Some(input) = input {
            self.pairing.handle(input, clock::now());
        }
        Ok(())
    }

    fn answered(&mut self, line: &str) -> Result<(), CommandFailed> {
        let Stage::AwaitingAnswer { name_asked: tries } = self.stage else {
            return Ok(());
        };
        let human = self.desktop.output.format() == Format::Human;
        let input = match line.trim().to_ascii_lowercase().as_str() {
            "yes" => PairingInput::Confirm,
            "" | "no" => PairingInput::Reject,
            _ if human && tries < MAX_TRIES => {
                self.stage = Stage::AwaitingAnswer {
                    name_asked: tries.saturating_add(1),
                };
                return ask("Please type yes or no: ");
            }
            _ => PairingInput::Reject,
        };
        self.stage = Stage::Answered;
        self.pairing.handle(input, clock::now());
        Ok(())
    }

    /// The person stops waiting. What is on disk stays.
    fn stopped(&mut self) -> Result<(), CommandFailed> {
        if self.stage == Stage::Stored {
            return self.late();
        }
        self.pairing.handle(PairingInput::Reject, clock::now());
        self.say_last_words();
        Err(CommandFailed::new("stopped: nothing is paired", AGAIN)
            .with_exit(Exit::Refused, "stopped"))
    }

    /// Nothing came in time.
    fn late(&mut self) -> Result<(), CommandFailed> {
        match (self.stage, &self.down) {
            (Stage::AwaitingAgent, Some(reason)) => {
                let hint = "check the network, and that the relay is running";
                Err(CommandFailed::new(reason, hint).with_exit(Exit::Unreachable, "unreachable"))
            }
            (Stage::AwaitingAgent, None) => {
                let what = "nobody answers this link: it was used before, has expired, or the \
                            workstation is not connected to its relay";
                Err(CommandFailed::new(what, AGAIN).with_exit(Exit::Failed, "no-answer"))
            }
            (Stage::AwaitingAnswer { .. } | Stage::Answered, _) => {
                self.pairing.handle(PairingInput::Reject, clock::now());
                self.say_last_words();
                Err(PairingFailed::Expired.into())
            }
            // The agent had its time; the next meeting shows whether it has stored, too.
            (Stage::Stored, _) => {
                self.deadline = u64::MAX;
                self.pairing.handle(PairingInput::Left, clock::now());
                Ok(())
            }
        }
    }

    /// Does what the pairing wants; says whether it is finished.
    fn perform(&mut self, lines: &Lines) -> Result<bool, CommandFailed> {
        while let Some(output) = self.pairing.poll() {
            match output {
                PairingOutput::Send(frame) => self.send(&frame),
                PairingOutput::Compare { code, name } => {
                    self.stage = Stage::AwaitingAnswer { name_asked: 0 };
                    self.deadline = self.ends;
                    let event = json!({
                        "event": "code",
                        "code": code.to_string(),
                        "agent": { "name": name.to_string() },
                    });
                    self.desktop
                        .output
                        .tell(&event, |paint| format!("code: {}", paint.bold(code)))?;
                    if self.desktop.output.format() == Format::Human {
                        // Nobody has compared a code before it was there.
                        lines.forget_typed();
                        ask(&format!("Does {name} show the same code? [yes/no] "))?;
                    }
                }
                PairingOutput::Store(record) => {
                    self.store(*record)?;
                    self.pairing.handle(PairingInput::Stored, clock::now());
                }
                PairingOutput::Done => return self.done(None).map(|()| true),
                PairingOutput::DoneHere => return self.done(Some(DOUBT)).map(|()| true),
                PairingOutput::Failed(failed) => return Err(failed.into()),
            }
        }
        Ok(false)
    }

    fn store(&mut self, record: AgentRecord) -> Result<(), CommandFailed> {
        let peer = Peer {
            id: record.id().to_string(),
            name: record.name.to_string(),
        };
        let opened = self.desktop.store.open()?;
        let mut agents = opened.agents()?;
        agents.push(record);
        opened.save_agents(&agents)?;
        let entry = Entry {
            link: Some(peer.id.clone()),
            peer: Some(peer.name.clone()),
            ..Entry::new(Event::Paired)
        };
        self.desktop.record(&opened, [entry])?;
        self.stored = Some(peer);
        self.stage = Stage::Stored;
        self.deadline = clock::now().uptime.saturating_add(LAST_WORD_MS);
        Ok(())
    }

    fn done(&self, note: Option<&str>) -> Result<(), CommandFailed> {
        let Some(Peer { id, name }) = &self.stored else {
            return Err(PairingFailed::Confused.into());
        };
        let mut event = json!({ "event": "done", "agent": id, "name": name });
        if let (Some(note), Some(fields)) = (note, event.as_object_mut()) {
            fields.insert("note".to_owned(), note.into());
        }
        Ok(self.desktop.output.tell(&event, |paint| {
            let note = note.map(|note| format!("; {note}")).unwrap_or_default();
            format!("{} paired with {name}{note}", paint.green("done:"))
        })?)
    }

    fn send(&self, frame: &[u8]) {
        if let Some(meeting) = self.meeting
            && let Err(error) = self.handle.send(meeting, frame)
        {
            // The end of the meeting is on its way here as an event.
            tracing::debug!(%error, "not sent");
        }
    }

    fn say_last_words(&mut self) {
        while let Some(output) = self.pairing.poll() {
            if let PairingOutput::Send(frame) = output {
                self.send(&frame);
            }
        }
    }
}

/// A question for a person, on the line where the answer is typed.
fn ask(question: &str) -> Result<(), CommandFailed> {
    let mut terminal = io::stdout();
    terminal.write_all(question.as_bytes())?;
    Ok(terminal.flush()?)
}

async fn interrupted(interrupt: &mut Signal) {
    if interrupt.recv().await.is_none() {
        core::future::pending::<()>().await;
    }
}

const AGAIN: &str = "run `vmux-agent pair` on the workstation for a new link, and use it at once";

/// What is still open when only this side is known to have stored the pairing.
const DOUBT: &str = "it left before saying so: check with `vmux-agent phones` there";

/// How long an agent that waits for this link takes to answer, with time to spare.
const FIRST_WORD_MS: u64 = 10_000;

/// How long the agent may take to store, once both sides said yes.
const LAST_WORD_MS: u64 = 10_000;

const FLUSH: Duration = Duration::from_secs(2);

const MAX_TRIES: Tries = 3;

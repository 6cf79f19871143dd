//! A seat at a relay for each paired agent.

use core::time::Duration;
use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use vmux_host::clock;
use vmux_host::entropy::{self, NoEntropy};
use vmux_host::relay::{MeetingId, NotSent, RelayAddress, SeatEvent, SeatHandle, Trust, occupy};
use vmux_proto::mailbox::{MailboxId, Seat, Side};
use vmux_signer::{AgentRecord, Entropy, Input, LinkId};

use crate::desk::Wire;
use crate::front::AgentState;

/// The seats of all links.
#[derive(Debug)]
pub(crate) struct Links {
    trust: Trust,
    open: BTreeMap<LinkId, Link>,
    tasks: JoinSet<()>,
    tell: mpsc::Sender<(LinkId, SeatEvent)>,
}

#[derive(Debug)]
struct Link {
    handle: SeatHandle,
    meeting: Option<MeetingId>,
}

/// What a seat's event means.
#[derive(Debug)]
pub(crate) struct Heard {
    /// For the trusted part.
    pub(crate) input: Option<Input>,
    /// For the person.
    pub(crate) state: Option<AgentState>,
}

/// The events of all seats.
pub(crate) type Events = mpsc::Receiver<(LinkId, SeatEvent)>;

impl Links {
    /// None yet.
    pub(crate) fn new(trust: Trust) -> (Self, Events) {
        let (tell, events) = mpsc::channel(MAX_EVENTS);
        (
            Self {
                trust,
                open: BTreeMap::new(),
                tasks: JoinSet::new(),
                tell,
            },
            events,
        )
    }

    /// Takes note of an event. One of a seat that was given up means nothing.
    pub(crate) fn heard(&mut self, id: LinkId, event: SeatEvent) -> Result<Heard, NoEntropy> {
        let nothing = Heard {
            input: None,
            state: None,
        };
        let Some(link) = self.open.get_mut(&id) else {
            return Ok(nothing);
        };
        Ok(match event {
            SeatEvent::Seated => Heard {
                input: None,
                state: Some(AgentState::Away),
            },
            SeatEvent::Met(meeting) => {
                link.meeting = Some(meeting);
                let entropy = Entropy::from_bytes(entropy::fill()?);
                Heard {
                    input: Some(Input::Met(id, entropy)),
                    state: None,
                }
            }
            // After a restart was asked for, what is left of the old meeting means nothing.
            SeatEvent::Frame(_) if link.meeting.is_none() => nothing,
            SeatEvent::Frame(frame) => {
                let input = Input::Frame(id, frame, entropy::fill()?);
                Heard {
                    input: Some(input),
                    state: None,
                }
            }
            SeatEvent::Left => {
                link.meeting = None;
                Heard {
                    input: Some(Input::Left(id)),
                    state: Some(AgentState::Away),
                }
            }
            SeatEvent::Down { reason, .. } => {
                link.meeting = None;
                let state = AgentState::Unreachable(reason.to_string());
                Heard {
                    input: Some(Input::Left(id)),
                    state: Some(state),
                }
            }
        })
    }

    /// Gives up all seats; what was said before is still sent, if that is possible soon.
    ///
    /// The events are read until the end: a seat whose events nobody reads is given up at once.
    pub(crate) async fn close(mut self, events: &mut Events) {
        for link in self.open.values() {
            link.handle.stop();
        }
        let all_gone = async {
            loop {
                tokio::select! {
                    _ = events.recv() => {}
                    gone = self.tasks.join_next() => if gone.is_none() { return },
                }
            }
        };
        let closed = tokio::time::timeout(FLUSH, all_gone).await;
        if closed.is_err() {
            tracing::warn!("not every relay took the last words in time");
        }
    }
}

impl Wire for Links {
    fn connect(&mut self, record: &AgentRecord) -> Option<AgentState> {
        let id = record.id();
        let relay = match RelayAddress::parse(&record.relay) {
            Ok(relay) => relay,
            Err(rejected) => return Some(AgentState::Unreachable(rejected.to_string())),
        };
        let mailbox = MailboxId::from_bytes(record.bond.mailbox);
        let seat = Seat {
            mailbox,
            side: Side::Signer,
        };
        let (handle, mut events, task) = occupy(relay, seat, self.trust.clone());
        let tell = self.tell.clone();
        drop(self.tasks.spawn(task));
        drop(tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                if tell.send((id, event)).await.is_err() {
                    return;
                }
            }
        }));
        self.open.insert(
            id,
            Link {
                handle,
                meeting: None,
            },
        );
        None
    }

    fn send(&mut self, id: LinkId, frame: &[u8]) {
        let Some(link) = self.open.get_mut(&id) else {
            return;
        };
        let Some(meeting) = link.meeting else { return };
        match link.handle.send(meeting, frame) {
            // The end of the meeting is on its way here as an event.
            Ok(()) | Err(NotSent::NotMet | NotSent::Stopped) => {}
            Err(refused @ (NotSent::Full | NotSent::Size(_))) => {
                tracing::warn!(link = %id, %refused, "connecting anew");
                self.restart(id);
            }
        }
    }

    fn restart(&mut self, id: LinkId) {
        if let Some(link) = self.open.get_mut(&id) {
            link.meeting = None;
            link.handle.reset();
        }
    }

    fn give_up(&mut self, id: LinkId) {
        if let Some(link) = self.open.remove(&id) {
            link.handle.stop();
        }
    }
}

/// Waits for the deadline, or for ever if there is none.
pub(crate) async fn until(deadline: Option<u64>) {
    match deadline {
        Some(uptime) => clock::sleep_until(uptime).await,
        None => core::future::pending().await,
    }
}

/// Events of all seats that wait to be taken; a seat with more waits itself.
const MAX_EVENTS: usize = 64;

/// How long the last words may take.
const FLUSH: Duration = Duration::from_secs(2);

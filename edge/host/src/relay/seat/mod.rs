//! Holds one seat: connects, listens, speaks, notices that nobody is there any more, tries again.
//!
//! Reading and writing wait for nobody but their own side: a reader of the events that falls behind
//! delays the network, not the other way round, and a network that takes nothing ends the connection
//! instead of filling memory.

mod heard;
mod reader;
mod retry;
mod timing;
mod writer;

use core::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use vmux_proto::mailbox::{self, FrameRejected, Meeting, Seat};

use self::heard::Heard;
use self::reader::Reader;
use self::retry::{Reached, Wait};
use self::timing::{TIMING, Timing};
use self::writer::Writer;
use super::backoff::Backoff;
use super::dial::{Dialer, Socket};
use super::{DownReason, RelayAddress, Trust};
use crate::entropy;

/// What happens at a seat, in the order it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeatEvent {
    /// The relay is reached; nobody may be across yet.
    Seated,
    /// A meeting began. Another one that was still going on has ended with a [`SeatEvent::Left`].
    Met(MeetingId),
    /// Bytes from whoever is across, in the meeting that began last.
    Frame(Vec<u8>),
    /// The meeting ended; the relay is still reached.
    Left,
    /// The relay is not reached, and a meeting that was going on has ended.
    Down {
        /// Why.
        reason: DownReason,
        /// When it is tried again.
        retry_in: Duration,
    },
}

/// One meeting on one connection; never equal to any other of the same seat, even if the relay
/// forgets its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeetingId {
    connection: u64,
    meeting: Meeting,
}

/// Why bytes were not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// That meeting is over.
    #[error("the meeting is over")]
    NotMet,
    /// Too much is waiting to be sent.
    #[error("too much is waiting to be sent")]
    Full,
    /// Nothing, or more than a frame carries.
    #[error("not a size that a frame has: {0}")]
    Size(FrameRejected),
    /// The seat was given up.
    #[error("the seat was given up")]
    Stopped,
}

/// Speaks at a seat. The seat is given up when [`SeatHandle::stop`] is called or the last handle is
/// dropped: what was accepted is still sent if the relay is reached, then the connection is closed.
#[derive(Clone, Debug)]
pub struct SeatHandle {
    orders: watch::Sender<Orders>,
    frames: mpsc::Sender<Outgoing>,
    current: watch::Receiver<Option<MeetingId>>,
}

impl SeatHandle {
    /// Sends bytes in a meeting. They are dropped if it ends before they are on their way.
    pub fn send(&self, meeting: MeetingId, sealed: &[u8]) -> Result<(), NotSent> {
        if *self.current.borrow() != Some(meeting) {
            return Err(if self.frames.is_closed() {
                NotSent::Stopped
            } else {
                NotSent::NotMet
            });
        }
        let frame = mailbox::frame(meeting.meeting, sealed).map_err(NotSent::Size)?;
        self.frames
            .try_send(Outgoing { meeting, frame })
            .map_err(|e| match e {
                TrySendError::Full(_) => NotSent::Full,
                TrySendError::Closed(_) => NotSent::Stopped,
            })
    }

    /// Connects anew: at once if the connection that it closes has lasted, after a wait that grows
    /// if it was young. It also ends the wait for a relay out of reach, but not a wait that keeps
    /// two ends, or two programs on one seat, from a quarrel without pause.
    pub fn reset(&self) {
        self.orders
            .send_modify(|orders| orders.resets = orders.resets.wrapping_add(1));
    }

    /// Gives up the seat.
    pub fn stop(&self) {
        self.orders.send_modify(|orders| orders.stop = Stop::Asked);
    }
}

/// Takes a seat and keeps it: a handle to speak with, the events, and the task that does it, which
/// ends when the seat is given up or nobody reads the events any more.
pub fn occupy(
    relay: RelayAddress,
    seat: Seat,
    trust: Trust,
) -> (
    SeatHandle,
    mpsc::Receiver<SeatEvent>,
    impl Future<Output = ()> + Send + 'static,
) {
    occupy_with(Dialer::new(relay, seat, trust), &TIMING)
}

fn occupy_with(
    dialer: Dialer,
    timing: &'static Timing,
) -> (
    SeatHandle,
    mpsc::Receiver<SeatEvent>,
    impl Future<Output = ()> + Send + 'static,
) {
    let (orders, ordered) = watch::channel(Orders::default());
    let (frames, outgoing) = mpsc::channel(MAX_OUTGOING);
    let (announce, current) = watch::channel(None);
    let (tell, events) = mpsc::channel(MAX_EVENTS);
    let occupant = Occupant {
        dialer,
        timing,
        ordered,
        outgoing,
        announce,
        tell,
        connection: 0,
        resets: 0,
    };
    (
        SeatHandle {
            orders,
            frames,
            current,
        },
        events,
        occupant.run(),
    )
}

/// What the handles want, as it stands: nothing to queue, so nothing to lose.
#[derive(Clone, Copy, Debug, Default)]
struct Orders {
    resets: u64,
    stop: Stop,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stop {
    #[default]
    NotAsked,
    Asked,
}

#[derive(Debug)]
struct Outgoing {
    meeting: MeetingId,
    frame: Vec<u8>,
}

/// Nobody wants the seat any more.
struct GivenUp;

/// How a connection ended.
enum Ended {
    Down(DownReason),
    GivenUp,
}

struct Occupant {
    dialer: Dialer,
    timing: &'static Timing,
    ordered: watch::Receiver<Orders>,
    outgoing: mpsc::Receiver<Outgoing>,
    announce: watch::Sender<Option<MeetingId>>,
    tell: mpsc::Sender<SeatEvent>,
    connection: u64,
    // Resets that were carried out, so that none is lost or done twice.
    resets: u64,
}

impl Occupant {
    async fn run(mut self) {
        let mut backoff = Backoff::new(self.timing.first_wait, self.timing.longest_wait);
        loop {
            let began = Heard::now();
            let (ended, reached) = self.connection().await;
            let Ended::Down(reason) = ended else { break };
            tracing::debug!(%reason, "relay is down");
            if reason == DownReason::Reset {
                self.resets = self.ordered.borrow().resets;
            }
            let random = entropy::fill().ok();
            let ago = began.ago();
            let wait = Wait::after(&reason, reached, ago, &mut backoff, self.timing, random);
            if let Err(GivenUp) = self.pause(reason, wait).await {
                break;
            }
        }
        self.announce.send_replace(None);
    }

    /// One connection, from the first try to its end, and how far it came.
    async fn connection(&mut self) -> (Ended, Reached) {
        let mut stops = self.ordered.clone();
        let dialed = tokio::select! {
            () = given_up(&mut stops, &self.tell) => return (Ended::GivenUp, Reached::Nothing),
            dialed = timeout(self.timing.dial, self.dialer.dial()) => dialed,
        };
        let failed = match dialed {
            Ok(Ok(socket)) => return self.connected(socket).await,
            Ok(Err(reason)) => reason,
            Err(_) => DownReason::TookTooLong,
        };
        (Ended::Down(failed), Reached::Nothing)
    }

    async fn connected(&mut self, socket: Socket) -> (Ended, Reached) {
        // This is the new connection that a reset before it asked for.
        self.resets = self.ordered.borrow().resets;
        self.connection = self.connection.wrapping_add(1);
        let opened = Heard::now();
        let ended = Box::pin(self.hold(socket)).await;
        self.announce.send_replace(None);
        let reached = if opened.ago() >= self.timing.healthy {
            Reached::Lastingly
        } else {
            Reached::Briefly
        };
        (ended, reached)
    }

    async fn hold(&mut self, socket: Socket) -> Ended {
        let (sink, stream) = socket.split();
        let heard = Heard::now();
        let mut resets = self.ordered.clone();
        let reader = Reader {
            stream,
            connection: self.connection,
            last: None,
            announce: &self.announce,
            tell: &self.tell,
            heard: &heard,
        };
        let writer = Writer {
            sink,
            outgoing: &mut self.outgoing,
            current: self.announce.subscribe(),
            ordered: self.ordered.clone(),
            tell: &self.tell,
            timing: self.timing,
        };
        tokio::select! {
            reason = reader.run() => Ended::Down(reason),
            ended = writer.run() => ended,
            () = heard.silence(&self.tell, self.timing) => Ended::Down(DownReason::Silent),
            () = reset_asked(&mut resets, self.resets) => Ended::Down(DownReason::Reset),
        }
    }

    /// Tells that the relay is down and waits for the next try, or for an order.
    async fn pause(&mut self, reason: DownReason, wait: Wait) -> Result<(), GivenUp> {
        let (mut resets, mut stops) = (self.ordered.clone(), self.ordered.clone());
        let waited = async {
            let down = SeatEvent::Down {
                reason,
                retry_in: wait.whole,
            };
            self.tell.send(down).await.map_err(|_| GivenUp)?;
            sleep(wait.least).await;
            tokio::select! {
                () = sleep(wait.whole.saturating_sub(wait.least)) => {}
                () = reset_asked(&mut resets, self.resets) => {}
            }
            Ok(())
        };
        tokio::select! {
            () = given_up(&mut stops, &self.tell) => return Err(GivenUp),
            waited = waited => waited?,
        }
        // The next try is what a reset during the wait asked for.
        self.resets = self.ordered.borrow().resets;
        Ok(())
    }
}

/// Waits until a handle has asked for more new connections than were made.
async fn reset_asked(ordered: &mut watch::Receiver<Orders>, done: u64) {
    if ordered
        .wait_for(|orders| orders.resets != done)
        .await
        .is_err()
    {
        // No handle is left to ask.
        core::future::pending::<()>().await;
    }
}

/// Waits until the seat is given up: said, or no handle left, or nobody reading the events.
async fn given_up(ordered: &mut watch::Receiver<Orders>, tell: &mpsc::Sender<SeatEvent>) {
    tokio::select! {
        // It fails when no handle is left, which means the same.
        _ = ordered.wait_for(|orders| orders.stop == Stop::Asked) => {}
        () = tell.closed() => {}
    }
}

/// Events that wait for their reader: a few bursts of a busy link, at most 2 MiB.
const MAX_EVENTS: usize = 32;

/// Frames that wait to be sent: as many.
const MAX_OUTGOING: usize = 32;

#[cfg(test)]
mod tests;

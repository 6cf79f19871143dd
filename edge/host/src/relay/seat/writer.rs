//! Speaks to the relay: frames of the meeting that is going on, pings in between, and a goodbye.

use futures_util::SinkExt as _;
use futures_util::stream::SplitSink;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::timing::Timing;
use super::{DownReason, Ended, MeetingId, Orders, Outgoing, SeatEvent, Socket, Stop, given_up};

/// What goes to the relay.
pub(super) struct Writer<'a> {
    pub(super) sink: SplitSink<Socket, Message>,
    pub(super) outgoing: &'a mut mpsc::Receiver<Outgoing>,
    pub(super) current: watch::Receiver<Option<MeetingId>>,
    pub(super) ordered: watch::Receiver<Orders>,
    pub(super) tell: &'a mpsc::Sender<SeatEvent>,
    pub(super) timing: &'static Timing,
}

impl Writer<'_> {
    pub(super) async fn run(mut self) -> Ended {
        let first = Instant::now() + self.timing.ping;
        let mut pings = interval_at(first, self.timing.ping);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stop = Stop::NotAsked;
        loop {
            let message = tokio::select! {
                next = self.outgoing.recv() => match next {
                    Some(Outgoing { meeting, frame }) => {
                        if *self.current.borrow() != Some(meeting) {
                            continue;
                        }
                        Message::binary(frame)
                    }
                    None => return self.close().await,
                },
                () = given_up(&mut self.ordered, self.tell), if stop == Stop::NotAsked => {
                    // What was accepted is still received from a closed queue, then nothing.
                    stop = Stop::Asked;
                    self.outgoing.close();
                    continue;
                }
                _ = pings.tick() => Message::Ping(Vec::new().into()),
            };
            match timeout(self.timing.write, self.sink.send(message)).await {
                Ok(Ok(())) => {}
                Ok(Err(e)) => {
                    // A relay that closes says why; the reader is given the time to hear it.
                    sleep(self.timing.close).await;
                    return Ended::Down(DownReason::of_open(&e));
                }
                Err(_) => return Ended::Down(DownReason::Stuck),
            }
        }
    }

    async fn close(mut self) -> Ended {
        match timeout(self.timing.close, self.sink.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "relay went before it was left"),
            Err(_) => tracing::debug!("relay did not take leave in time"),
        }
        Ended::GivenUp
    }
}

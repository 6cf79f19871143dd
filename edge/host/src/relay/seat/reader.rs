//! Hears the relay: who is across, and what they say. Believes nothing beyond the rules of the wire.

use futures_util::StreamExt as _;
use futures_util::stream::SplitStream;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Message;
use vmux_proto::mailbox::{self, CloseReason, Control, Meeting};

use super::heard::Heard;
use super::{DownReason, MeetingId, SeatEvent, Socket};

/// What comes from the relay.
pub(super) struct Reader<'a> {
    pub(super) stream: SplitStream<Socket>,
    pub(super) connection: u64,
    pub(super) last: Option<Meeting>,
    pub(super) announce: &'a watch::Sender<Option<MeetingId>>,
    pub(super) tell: &'a mpsc::Sender<SeatEvent>,
    pub(super) heard: &'a Heard,
}

impl Reader<'_> {
    pub(super) async fn run(mut self) -> DownReason {
        permit(self.tell).await.send(SeatEvent::Seated);
        loop {
            // First a place for what may come, then the look whether something came.
            let permit = permit(self.tell).await;
            let message = match self.stream.next().await {
                Some(Ok(message)) => message,
                Some(Err(e)) => return DownReason::of_open(&e),
                None => return DownReason::Lost,
            };
            self.heard.note();
            match message {
                Message::Text(text) => match Control::parse(text.as_str()) {
                    Ok(Control::Meeting(meeting)) => {
                        drop(permit);
                        if let Err(reason) = self.meeting(meeting).await {
                            return reason;
                        }
                    }
                    Ok(Control::Left(meeting)) => {
                        if self.is_current(meeting) {
                            self.announce.send_replace(None);
                            permit.send(SeatEvent::Left);
                        }
                    }
                    Err(_) => return DownReason::BadWords,
                },
                Message::Binary(frame) => match mailbox::split(&frame) {
                    Ok((meeting, sealed)) => {
                        if self.is_current(meeting) {
                            permit.send(SeatEvent::Frame(sealed.to_vec()));
                        }
                    }
                    Err(_) => return DownReason::BadWords,
                },
                Message::Close(close) => {
                    let code = close.map(|close| u16::from(close.code));
                    let reason = code.and_then(CloseReason::from_code);
                    return reason.map_or(DownReason::Lost, DownReason::Closed);
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    async fn meeting(&mut self, meeting: Meeting) -> Result<(), DownReason> {
        if self.last.is_some_and(|last| meeting <= last) {
            return Err(DownReason::BadWords);
        }
        self.last = Some(meeting);
        if self.announce.send_replace(None).is_some() {
            permit(self.tell).await.send(SeatEvent::Left);
        }
        let permit = permit(self.tell).await;
        let id = MeetingId {
            connection: self.connection,
            meeting,
        };
        // Before it is told: whoever hears of the meeting can send in it.
        self.announce.send_replace(Some(id));
        permit.send(SeatEvent::Met(id));
        Ok(())
    }

    fn is_current(&self, meeting: Meeting) -> bool {
        *self.announce.borrow()
            == Some(MeetingId {
                connection: self.connection,
                meeting,
            })
    }
}

/// A place among the events. If nobody reads them any more there will never be one, and the
/// writer ends the connection once it has sent what it was given.
async fn permit(tell: &mpsc::Sender<SeatEvent>) -> mpsc::Permit<'_, SeatEvent> {
    match tell.reserve().await {
        Ok(permit) => permit,
        Err(_) => core::future::pending().await,
    }
}

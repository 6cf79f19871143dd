//! The connections to the relays, one for each paired phone.
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinHandle;
use tracing::{debug, info, warn};
use vmux_broker::LinkId;
use vmux_host::relay::{MeetingId, RelayAddress, SeatEvent, SeatHandle, Trust, occupy};
use vmux_proto::mailbox::{MailboxId, Seat, Side};

use crate::hub::Hub;

/// What happens on a link, in order.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// The relay is reached.
    Up,
    /// The phone is at the mailbox.
    Met(MeetingId),
    /// A frame from the phone.
    Frame(Vec<u8>),
    /// The phone left.
    Left,
    /// The relay is not reached.
    Down,
}

/// All links.
pub(crate) struct Links {
    hub: Hub,
    seats: BTreeMap<LinkId, Taken>,
}

struct Taken {
    handle: SeatHandle,
    meeting: Option<MeetingId>,
    task: JoinHandle<()>,
}

impl Links {
    pub(crate) const fn new(hub: Hub) -> Self {
        Self {
            hub,
            seats: BTreeMap::new(),
        }
    }

    /// Holds a seat at the phone's mailbox from now on.
    pub(crate) fn take(&mut self, link: LinkId, relay: &str, mailbox: [u8; 16]) {
        let address = match RelayAddress::parse(relay) {
            Ok(address) => address,
            Err(rejected) => {
                warn!(%link, %rejected, "the phone's relay has no usable address");
                return;
            }
        };
        let seat = Seat {
            mailbox: MailboxId::from_bytes(mailbox),
            side: Side::Agent,
        };
        let (handle, mut events, occupant) = occupy(address, seat, Trust::web());
        let hub = self.hub.clone();
        drop(tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                let event = match event {
                    SeatEvent::Seated => LinkEvent::Up,
                    SeatEvent::Met(meeting) => LinkEvent::Met(meeting),
                    SeatEvent::Frame(frame) => LinkEvent::Frame(frame),
                    SeatEvent::Left => LinkEvent::Left,
                    SeatEvent::Down { reason, retry_in } => {
                        info!(%link, %reason, retry_in_ms = retry_in.as_millis(), "no relay");
                        LinkEvent::Down
                    }
                };
                if hub.link(link, event).await.is_err() {
                    return;
                }
            }
        }));
        let task = tokio::spawn(occupant);
        self.seats.insert(
            link,
            Taken {
                handle,
                meeting: None,
                task,
            },
        );
    }

    /// Notes the meeting that frames belong to from now on.
    pub(crate) fn met(&mut self, link: LinkId, meeting: MeetingId) {
        if let Some(taken) = self.seats.get_mut(&link) {
            taken.meeting = Some(meeting);
        }
    }

    /// Sends a frame in the current meeting; one that ended meanwhile needs it no more.
    pub(crate) fn send(&self, link: LinkId, frame: &[u8]) {
        let Some(taken) = self.seats.get(&link) else {
            return;
        };
        let Some(meeting) = taken.meeting else { return };
        if let Err(not_sent) = taken.handle.send(meeting, frame) {
            debug!(%link, %not_sent, "a frame was not sent");
        }
    }

    /// Connects anew.
    pub(crate) fn reset(&self, link: LinkId) {
        if let Some(taken) = self.seats.get(&link) {
            taken.handle.reset();
        }
    }

    /// Gives up a seat; what was accepted is still sent.
    pub(crate) fn leave(&mut self, link: LinkId) {
        if let Some(taken) = self.seats.remove(&link) {
            taken.handle.stop();
        }
    }

    /// Gives up all seats and waits until what was accepted is sent, but not for long.
    pub(crate) async fn leave_all(&mut self) {
        let seats = std::mem::take(&mut self.seats);
        for taken in seats.values() {
            taken.handle.stop();
        }
        for taken in seats.into_values() {
            if tokio::time::timeout(FAREWELL, taken.task).await.is_err() {
                debug!("a relay did not take its farewell in time");
            }
        }
    }
}

/// How long a relay has to take what is still to be sent.
const FAREWELL: Duration = Duration::from_secs(1);

//! A seat at a relay, held in this process.

use tokio::sync::mpsc;
use vmux_host::relay::{MeetingId, NotSent, RelayAddress, SeatEvent, SeatHandle, Trust, occupy};
use vmux_proto::mailbox::{MailboxId, Seat, Side};

/// A seat at a relay that frames can be sent from.
#[derive(Debug)]
pub(crate) struct Seated {
    pub(crate) handle: SeatHandle,
    pub(crate) events: mpsc::Receiver<SeatEvent>,
    pub(crate) meeting: Option<MeetingId>,
}

impl Seated {
    /// Takes a seat; the task that holds it ends with the runtime.
    pub(crate) fn take(relay: &str, mailbox: [u8; 16], side: Side) -> Self {
        let address = RelayAddress::parse(relay).expect("the address of a relay");
        let seat = Seat {
            mailbox: MailboxId::from_bytes(mailbox),
            side,
        };
        let (handle, events, task) = occupy(address, seat, Trust::web());
        drop(tokio::runtime::Handle::current().spawn(task));
        Self {
            handle,
            events,
            meeting: None,
        }
    }

    /// What happens next; notes the meeting.
    pub(crate) async fn next(&mut self) -> SeatEvent {
        let event = self.events.recv().await.expect("a seat that is held");
        match event {
            SeatEvent::Met(meeting) => self.meeting = Some(meeting),
            SeatEvent::Left | SeatEvent::Down { .. } => self.meeting = None,
            SeatEvent::Seated | SeatEvent::Frame(_) => {}
        }
        event
    }

    /// Waits until somebody is across.
    pub(crate) async fn met(&mut self) {
        while self.meeting.is_none() {
            self.next().await;
        }
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        let Some(meeting) = self.meeting else { return };
        match self.handle.send(meeting, frame) {
            // The end of the meeting is on its way here as an event.
            Ok(()) | Err(NotSent::NotMet | NotSent::Stopped) => {}
            Err(refused @ (NotSent::Full | NotSent::Size(_))) => panic!("not sent: {refused}"),
        }
    }
}

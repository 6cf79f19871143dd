//! Two seats across from each other at a real relay.

use core::time::Duration;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use vmux_proto::mailbox::{CloseReason, MailboxId, Seat, Side};
use vmux_relay::{Limits, Relay};

use super::*;

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn run(listen: SocketAddr) -> Running {
    let relay = Relay::bind(listen, Limits::default(), None).await.unwrap();
    let address = relay.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(relay.serve(async { drop(stopped.await) }));
    Running {
        address,
        stop,
        task,
    }
}

struct End {
    handle: SeatHandle,
    events: mpsc::Receiver<SeatEvent>,
}

impl End {
    fn sit(address: SocketAddr, side: Side) -> Self {
        let relay = RelayAddress::parse(&format!("ws://{address}")).unwrap();
        let mailbox = MailboxId::from_bytes([3; 16]);
        let (handle, events, task) = occupy(relay, Seat { mailbox, side }, Trust::web());
        drop(tokio::spawn(task));
        Self { handle, events }
    }

    async fn next(&mut self) -> SeatEvent {
        let next = timeout(Duration::from_secs(30), self.events.recv());
        next.await.unwrap().unwrap()
    }

    async fn met(&mut self) -> MeetingId {
        match self.next().await {
            SeatEvent::Met(meeting) => meeting,
            other => panic!("expected a meeting, found {other:?}"),
        }
    }

    async fn down(&mut self) -> DownReason {
        match self.next().await {
            SeatEvent::Down { reason, .. } => reason,
            other => panic!("expected to be down, found {other:?}"),
        }
    }

    /// The next meeting, however often the relay is tried before.
    async fn met_in_the_end(&mut self) -> MeetingId {
        loop {
            match self.next().await {
                SeatEvent::Met(meeting) => return meeting,
                SeatEvent::Seated | SeatEvent::Down { .. } => {}
                other => panic!("expected a meeting, found {other:?}"),
            }
        }
    }
}

async fn talk(agent: &mut End, in_agents: MeetingId, signer: &mut End, in_signers: MeetingId) {
    agent.handle.send(in_agents, b"question").unwrap();
    let heard = signer.next().await;
    assert_eq!(heard, SeatEvent::Frame(b"question".to_vec()));
    signer.handle.send(in_signers, b"answer").unwrap();
    assert_eq!(agent.next().await, SeatEvent::Frame(b"answer".to_vec()));
}

fn anywhere() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

#[tokio::test]
async fn two_ends_meet_part_and_meet_again_at_a_real_relay() {
    let relay = run(anywhere()).await;
    let mut agent = End::sit(relay.address, Side::Agent);
    assert_eq!(agent.next().await, SeatEvent::Seated);
    let mut signer = End::sit(relay.address, Side::Signer);
    assert_eq!(signer.next().await, SeatEvent::Seated);
    let (in_agents, in_signers) = (agent.met().await, signer.met().await);
    talk(&mut agent, in_agents, &mut signer, in_signers).await;

    signer.handle.stop();
    assert_eq!(agent.next().await, SeatEvent::Left);
    let mut signer = End::sit(relay.address, Side::Signer);
    assert_eq!(signer.next().await, SeatEvent::Seated);
    let (in_agents, in_signers) = (agent.met().await, signer.met().await);
    talk(&mut agent, in_agents, &mut signer, in_signers).await;
}

#[tokio::test]
async fn the_one_who_is_replaced_learns_it_and_the_newer_one_stays() {
    let relay = run(anywhere()).await;
    let mut older = End::sit(relay.address, Side::Agent);
    assert_eq!(older.next().await, SeatEvent::Seated);
    let mut newer = End::sit(relay.address, Side::Agent);
    assert_eq!(newer.next().await, SeatEvent::Seated);
    let replaced = DownReason::Closed(CloseReason::Replaced);
    assert_eq!(older.down().await, replaced);
    older.handle.stop();
    let mut signer = End::sit(relay.address, Side::Signer);
    assert_eq!(signer.next().await, SeatEvent::Seated);
    let (in_newer, in_signers) = (newer.met().await, signer.met().await);
    talk(&mut newer, in_newer, &mut signer, in_signers).await;
}

#[tokio::test]
async fn both_ends_find_each_other_again_after_the_relay_was_restarted() {
    let relay = run(anywhere()).await;
    let address = relay.address;
    let mut agent = End::sit(address, Side::Agent);
    let mut signer = End::sit(address, Side::Signer);
    let before = agent.met_in_the_end().await;
    signer.met_in_the_end().await;

    relay.stop.send(()).unwrap();
    relay.task.await.unwrap();
    let shutdown = DownReason::Closed(CloseReason::Shutdown);
    for end in [&mut agent, &mut signer] {
        let mut next = end.next().await;
        // The other end may have been gone first.
        if next == SeatEvent::Left {
            next = end.next().await;
        }
        assert!(
            matches!(&next, SeatEvent::Down { reason, .. } if *reason == shutdown),
            "{next:?}"
        );
    }
    assert_eq!(agent.handle.send(before, b"x"), Err(NotSent::NotMet));

    let _relay = run(address).await;
    let in_agents = agent.met_in_the_end().await;
    let in_signers = signer.met_in_the_end().await;
    talk(&mut agent, in_agents, &mut signer, in_signers).await;
}

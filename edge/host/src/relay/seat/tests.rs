//! A seat against a relay whose every word is written here.

use super::*;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use futures_util::SinkExt as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};
use vmux_proto::mailbox::{CloseReason, Control, MAX_FRAME, MAX_SEALED, MailboxId, Side};

const SEAT: Seat = Seat {
    mailbox: MailboxId::from_bytes([7; 16]),
    side: Side::Signer,
};

/// Waits that a test can sit out.
const QUICK: Timing = Timing {
    dial: Duration::from_secs(2),
    ping: Duration::from_millis(100),
    silent: Duration::from_millis(1200),
    look: Duration::from_millis(20),
    write: Duration::from_millis(800),
    close: Duration::from_millis(200),
    first_wait: Duration::from_millis(20),
    longest_wait: Duration::from_millis(100),
    healthy: Duration::from_secs(10),
    between: Duration::from_millis(300),
};

/// Tries again so late that a test would notice.
const SLOW: Timing = Timing {
    first_wait: Duration::from_hours(1000),
    longest_wait: Duration::from_hours(1000),
    ..QUICK
};

/// And a connection is a success soon.
const SOON_HEALTHY: Timing = Timing {
    healthy: Duration::from_millis(100),
    ..SLOW
};

struct Taken {
    handle: SeatHandle,
    events: mpsc::Receiver<SeatEvent>,
    task: JoinHandle<()>,
}

fn take(address: &str, trust: Trust, timing: &'static Timing) -> Taken {
    let relay = RelayAddress::parse(address).unwrap();
    let (handle, events, task) = occupy_with(Dialer::new(relay, SEAT, trust), timing);
    Taken {
        handle,
        events,
        task: tokio::spawn(task),
    }
}

impl Taken {
    async fn next(&mut self) -> SeatEvent {
        in_time(self.events.recv()).await.unwrap()
    }

    async fn expect(&mut self, event: SeatEvent) {
        assert_eq!(self.next().await, event);
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
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(10), what).await.unwrap()
}

struct Relay {
    listener: TcpListener,
    address: String,
}

impl Relay {
    async fn open() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = format!("ws://{}", listener.local_addr().unwrap());
        Self { listener, address }
    }

    async fn tcp(&self) -> TcpStream {
        in_time(self.listener.accept()).await.unwrap().0
    }

    async fn accept(&self) -> WebSocketStream<TcpStream> {
        shake_hands(self.tcp().await).await
    }

    async fn is_left_alone_for(&self, time: Duration) -> bool {
        timeout(time, self.listener.accept()).await.is_err()
    }
}

async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> WebSocketStream<S> {
    let asked = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&asked);
    #[expect(
        clippy::result_large_err,
        reason = "the callback's signature is the library's"
    )]
    let look = move |request: &Request, response: Response| {
        *seen.lock().unwrap() = request.uri().to_string();
        Ok(response)
    };
    let socket = in_time(accept_hdr_async(stream, look)).await.unwrap();
    assert_eq!(*asked.lock().unwrap(), SEAT.path());
    socket
}

fn meeting(number: u32) -> Message {
    Message::text(Control::Meeting(Meeting::new(number).unwrap()).encode())
}

fn left(number: u32) -> Message {
    Message::text(Control::Left(Meeting::new(number).unwrap()).encode())
}

fn frame(number: u32, sealed: &[u8]) -> Message {
    Message::binary(mailbox::frame(Meeting::new(number).unwrap(), sealed).unwrap())
}

/// The next message that is not a ping.
async fn hear<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) -> Message {
    loop {
        match in_time(socket.next()).await.unwrap().unwrap() {
            Message::Ping(_) | Message::Pong(_) => {}
            other => return other,
        }
    }
}

#[tokio::test]
async fn what_both_ends_say_arrives_in_their_meeting() {
    let relay = Relay::open().await;
    let mut seat = take(&relay.address, Trust::web(), &QUICK);
    let mut socket = relay.accept().await;
    seat.expect(SeatEvent::Seated).await;

    socket.send(meeting(4)).await.unwrap();
    let id = seat.met().await;
    seat.handle.send(id, b"question").unwrap();
    assert_eq!(hear(&mut socket).await, frame(4, b"question"));
    socket.send(frame(4, b"answer")).await.unwrap();
    seat.expect(SeatEvent::Frame(b"answer".to_vec())).await;

    socket.send(left(4)).await.unwrap();
    seat.expect(SeatEvent::Left).await;
    assert_eq!(seat.handle.send(id, b"late"), Err(NotSent::NotMet));
}

#[tokio::test]
async fn a_new_meeting_ends_the_one_before_and_its_id_is_worth_nothing_then() {
    let relay = Relay::open().await;
    let mut seat = take(&relay.address, Trust::web(), &QUICK);
    let mut socket = relay.accept().await;
    seat.expect(SeatEvent::Seated).await;
    socket.send(meeting(1)).await.unwrap();
    let first = seat.met().await;
    socket.send(meeting(2)).await.unwrap();
    seat.expect(SeatEvent::Left).await;
    let second = seat.met().await;
    assert_ne!(first, second);
    assert_eq!(seat.handle.send(first, b"stale"), Err(NotSent::NotMet));
    seat.handle.send(second, b"fresh").unwrap();
    assert_eq!(hear(&mut socket).await, frame(2, b"fresh"));
    // The goodbye of the first is old news.
    socket.send(left(1)).await.unwrap();
    socket.send(frame(2, b"still here")).await.unwrap();
    seat.expect(SeatEvent::Frame(b"still here".to_vec())).await;
}

#[tokio::test]
async fn frames_of_another_meeting_or_of_none_are_dropped() {
    let relay = Relay::open().await;
    let mut seat = take(&relay.address, Trust::web(), &QUICK);
    let mut socket = relay.accept().await;
    seat.expect(SeatEvent::Seated).await;
    socket.send(frame(5, b"before")).await.unwrap();
    socket.send(meeting(5)).await.unwrap();
    seat.met().await;
    socket.send(frame(4, b"older")).await.unwrap();
    socket.send(frame(6, b"newer")).await.unwrap();
    socket.send(frame(5, b"this one")).await.unwrap();
    seat.expect(SeatEvent::Frame(b"this one".to_vec())).await;
    socket.send(left(5)).await.unwrap();
    socket.send(frame(5, b"after")).await.unwrap();
    socket.send(meeting(6)).await.unwrap();
    seat.expect(SeatEvent::Left).await;
    seat.met().await;
}

#[tokio::test]
async fn a_relay_that_forgot_its_numbers_cannot_bring_an_old_meeting_back() {
    let relay = Relay::open().await;
    let mut seat = take(&relay.address, Trust::web(), &QUICK);
    let mut socket = relay.accept().await;
    seat.expect(SeatEvent::Seated).await;
    socket.send(meeting(1)).await.unwrap();
    let before = seat.met().await;
    drop(socket);
    assert_eq!(seat.down().await, DownReason::Lost);
    assert_eq!(seat.handle.send(before, b"x"), Err(NotSent::NotMet));

    let mut socket = relay.accept().await;
    seat.expect(SeatEvent::Seated).await;
    socket.send(meeting(1)).await.unwrap();
    let after = seat.met().await;
    assert_ne!(before, after);
    assert_eq!(seat.handle.send(before, b"x"), Err(NotSent::NotMet));
    seat.handle.send(after, b"y").unwrap();
    assert_eq!(hear(&mut socket).await, frame(1, b"y"));
}

#[tokio::test]
async fn the_largest_frame_passes_both_ways_and_one_byte_more_does_not() {
    let relay = Relay::open().await;
    let mut seat = take(&relay.address, Trust::web(), &QUICK);
    let mut socket = relay.accept().await;
    seat.expect(SeatEvent::Seated).await;
    socket.send(meeting(1)).await.unwrap();
    let id = seat.met().await;
    let most = vec![9; MAX_SEALED];
    seat.handle.send(id, &most).unwrap();
    assert_eq!(hear(&mut socket).await, frame(1, &most));
    socket.send(frame(1, &most)).await.unwrap();
    seat.expect(SeatEvent::Frame(most)).await;

    let more = vec![9; MAX_SEALED + 1];
    let too_long = Err(NotSent::Size(FrameRejected::TooLong));
    assert_eq!(seat.handle.send(id, &more), too_long);
    let empty = Err(NotSent::Size(FrameRejected::TooShort));
    assert_eq!(seat.handle.send(id, b""), empty);
    socket
        .send(Message::binary(vec![0; MAX_FRAME + 1]))
        .await
        .unwrap();
    assert_eq!(seat.down().await, DownReason::BadWords);
}

#[tokio::test]
async fn a_relay_that_says_what_no_relay_says_is_left() {
    let relay = Relay::open().await;
    let mut seat = take(&relay.address, Trust::web(), &QUICK);
    let bad = [
        vec![Message::text("{\"meeting\": 1}")],
        vec![Message::text("")],
        vec![Message::binary(vec![0, 0, 0, 1])],
        vec![Message::binary(vec![0, 0, 0, 0, 1])],
        vec![meeting(2), meeting(2)],
        vec![meeting(2), left(2), meeting(1)],
    ];
    for messages in bad {
        let mut socket = relay.accept().await;
        seat.expect(SeatEvent::Seated).await;
        for message in messages.clone() {
            socket.send(message).await.unwrap();
        }
        let reason = loop {
            match seat.next().await {
                SeatEvent::Down { reason, .. } => break reason,
                SeatEvent::Met(_) | SeatEvent::Left => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(reason, DownReason::BadWords, "{messages:?}");
    }
    let mut socket = relay.accept().await;
    seat.expect(SeatEvent::Seated).await;
    socket.send(meeting(2)).await.unwrap();
    socket.send(left(2)).await.unwrap();
    socket.send(meeting(3)).await.unwrap();
    seat.met().await;
    seat.expect(SeatEvent::Left).await;
    seat.met().await;
}

#[tokio::test]
async fn why_a_relay_closes_is_told() {
    let relay = Relay::open().await;
    let mut seat = take(&relay.address, Trust::web(), &QUICK);
    for reason in CloseReason::ALL {
        let mut socket = relay.accept().await;
        seat.expect(SeatEvent::Seated).await;
        let close = CloseFrame {
            code: reason.code().into(),
            reason: reason.name().into(),
        };
        socket.close(Some(close)).await.unwrap();
        assert_eq!(seat.down().await, DownReason::Closed(reason));
    }
    let mut socket = relay.accept().await;
    seat.expect(SeatEvent::Seated).await;
    socket.close(None).await.unwrap();
    assert_eq!(seat.down().await, DownReason::Lost);
}

#[tokio::test]
async fn a_relay_that_goes_silent_is_left_and_one_that_answers_pings_is_not() {
    let relay = Relay::open().await;
    let mut seat = take(&relay.address, Trust::web(), &QUICK);
    let mut socket = relay.accept().await;
    seat.expect(SeatEvent::Seated).await;
    // Reading answers the pings.
    let pings = async {
        let mut pings = 0;
        while let Some(Ok(message)) = socket.next().await {
            pings += usize::from(message.is_ping());
        }
        pings
    };
    let listened = timeout(QUICK.silent * 3, pings).await;
    assert!(listened.is_err(), "the connection ended after {listened:?}");
    assert!(seat.events.try_recv().is_err());
    // And now it does nothing at all.
    assert_eq!(seat.down().await, DownReason::Silent);
}

#[tokio::test]
async fn a_relay_that_stops_reading_is_left() {
    const PATIENT: Timing = Timing {
        silent: Duration::from_hours(1),
        ping: Duration::from_hours(1),
        ..QUICK
    };
    let relay = Relay::open().await;
    let mut seat = take(&relay.address, Trust::web(), &PATIENT);
    let mut socket = relay.accept().await;
    seat.expect(SeatEvent::Seated).await;
    socket.send(meeting(1)).await.unwrap();
    let id = seat.met().await;
    let block = vec![1; MAX_SEALED];
    let mut refused = 0_u32;
    let reason = in_time(async {
        loop {
            if seat.handle.send(id, &block) == Err(NotSent::Full) {
                refused += 1;
            }
            match seat.events.try_recv() {
                Ok(SeatEvent::Down { reason, .. }) => break reason,
                Ok(other) => panic!("{other:?}"),
                Err(_) => sleep(Duration::from_millis(1)).await,
            }
        }
    })
    .await;
    assert_eq!(reason, DownReason::Stuck);
    assert!(refused > 0, "memory would have grown without a bound");
}

#[tokio::test]
async fn a_reader_that_falls_behind_gets_everything_in_order_and_is_no_silence() {
    let relay = Relay::open().await;
    let mut seat = take(&relay.address, Trust::web(), &QUICK);
    let mut socket = relay.accept().await;
    seat.expect(SeatEvent::Seated).await;
    socket.send(meeting(1)).await.unwrap();
    seat.met().await;
    let count = u32::try_from(MAX_EVENTS).unwrap() * 4;
    for number in 0..count {
        socket.send(frame(1, &number.to_be_bytes())).await.unwrap();
    }
    let serve = tokio::spawn(async move { while let Some(Ok(_)) = socket.next().await {} });
    sleep(QUICK.silent * 2).await;
    assert_eq!(seat.events.len(), MAX_EVENTS);
    for number in 0..count {
        seat.expect(SeatEvent::Frame(number.to_be_bytes().to_vec()))
            .await;
    }
    serve.abort();
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_time() {
    let relay = Relay::open().await;
    let mut seat = take(&relay.address, Trust::web(), &QUICK);
    let _held = relay.tcp().await;
    assert_eq!(seat.down().await, DownReason::TookTooLong);
}

#[tokio::test]
async fn a_server_that_is_no_relay_is_told_apart_from_one_that_refuses() {
    let relay = Relay::open().await;
    let mut seat = take(&relay.address, Trust::web(), &QUICK);
    for (answer, reason) in [
        ("HTTP/1.1 404 Not Found\r\n\r\n", DownReason::Status(404)),
        ("HTTP/1.1 503 Busy\r\n\r\n", DownReason::Status(503)),
        ("HTTP/1.1 200 OK\r\n\r\n", DownReason::Status(200)),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", DownReason::NotARelay),
    ] {
        let mut stream = relay.tcp().await;
        let mut request = vec![0; 4096];
        let _length = stream.read(&mut request).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        assert_eq!(seat.down().await, reason);
    }
}

#[tokio::test]
async fn while_nobody_listens_it_is_tried_again_and_then_reached() {
    let relay = Relay::open().await;
    let place: SocketAddr = relay.listener.local_addr().unwrap();
    let address = relay.address.clone();
    drop(relay);
    let mut seat = take(&address, Trust::web(), &QUICK);
    for _ in 0..5 {
        let SeatEvent::Down { reason, retry_in } = seat.next().await else {
            panic!("reached nobody")
        };
        assert!(matches!(reason, DownReason::Unreachable(_)), "{reason}");
        assert!(retry_in <= QUICK.longest_wait);
    }
    let listener = TcpListener::bind(place).await.unwrap();
    let relay = Relay { listener, address };
    let _socket = relay.accept().await;
    while seat.next().await != SeatEvent::Seated {}
}

#[tokio::test]
async fn a_reset_of_a_connection_that_lasted_connects_anew_at_once() {
    let relay = Relay::open().await;
    let mut seat = take(&relay.address, Trust::web(), &SOON_HEALTHY);
    let mut socket = relay.accept().await;
    seat.expect(SeatEvent::Seated).await;
    socket.send(meeting(1)).await.unwrap();
    seat.met().await;
    sleep(SOON_HEALTHY.healthy * 2).await;
    seat.handle.reset();
    let now = SeatEvent::Down {
        reason: DownReason::Reset,
        retry_in: Duration::ZERO,
    };
    seat.expect(now).await;
    let socket = relay.accept().await;
    seat.expect(SeatEvent::Seated).await;

    // Also out of the wait after such a connection was lost.
    sleep(SOON_HEALTHY.healthy * 2).await;
    drop(socket);
    assert_eq!(seat.down().await, DownReason::Lost);
    seat.handle.reset();
    let _socket = relay.accept().await;
    seat.expect(SeatEvent::Seated).await;
    // One reset, one new connection.
    sleep(Duration::from_millis(50)).await;
    assert!(seat.events.try_recv().is_err());
}

#[tokio::test]
async fn a_reset_of_a_young_connection_waits_and_no_other_reset_ends_the_wait() {
    let relay = Relay::open().await;
    let mut seat = take(&relay.address, Trust::web(), &SLOW);
    let mut socket = relay.accept().await;
    seat.expect(SeatEvent::Seated).await;
    socket.send(meeting(1)).await.unwrap();
    seat.met().await;
    seat.handle.reset();
    let SeatEvent::Down { reason, retry_in } = seat.next().await else {
        panic!("still there");
    };
    assert_eq!(reason, DownReason::Reset);
    assert!(retry_in > Duration::ZERO);
    for _ in 0..4 {
        seat.handle.reset();
        assert!(relay.is_left_alone_for(SLOW.between / 2).await);
    }
}

#[tokio::test]
async fn two_ends_that_never_finish_a_handshake_do_not_storm_the_relay() {
    const GROWING: Timing = Timing {
        longest_wait: Duration::from_hours(1000),
        ..QUICK
    };
    let relay = Relay::open().await;
    let mut seat = take(&relay.address, Trust::web(), &GROWING);
    let handle = seat.handle.clone();
    let despair = tokio::spawn(async move {
        while let Some(event) = seat.events.recv().await {
            if let SeatEvent::Met(_) | SeatEvent::Left | SeatEvent::Down { .. } = event {
                handle.reset();
            }
        }
    });
    // None is closed by the relay.
    let mut connections = Vec::new();
    let storm = async {
        loop {
            let mut socket = relay.accept().await;
            socket.send(meeting(1)).await.unwrap();
            connections.push(socket);
        }
    };
    let ended: Result<(), _> = timeout(Duration::from_millis(1500), storm).await;
    assert!(ended.is_err());
    let count = connections.len();
    assert!((2..30).contains(&count), "{count} connections");
    despair.abort();
}

#[tokio::test]
async fn a_reset_while_connecting_is_done_by_that_connection() {
    let relay = Relay::open().await;
    let mut seat = take(&relay.address, Trust::web(), &SLOW);
    let stream = relay.tcp().await;
    seat.handle.reset();
    let _socket = shake_hands(stream).await;
    seat.expect(SeatEvent::Seated).await;
    sleep(Duration::from_millis(50)).await;
    assert!(seat.events.try_recv().is_err());
}

/// A seat whose relay was not there when it was tried first, and is now.
async fn out_of_reach_once() -> (Relay, Taken) {
    let relay = Relay::open().await;
    let place: SocketAddr = relay.listener.local_addr().unwrap();
    let address = relay.address.clone();
    drop(relay);
    let mut seat = take(&address, Trust::web(), &SLOW);
    assert!(matches!(seat.down().await, DownReason::Unreachable(_)));
    let listener = TcpListener::bind(place).await.unwrap();
    (Relay { listener, address }, seat)
}

#[tokio::test]
async fn a_reset_ends_the_wait_for_a_relay_out_of_reach() {
    let (relay, mut seat) = out_of_reach_once().await;
    // Nobody asks, and then somebody does.
    assert!(relay.is_left_alone_for(SLOW.between * 2).await);
    seat.handle.reset();
    let _socket = relay.accept().await;
    seat.expect(SeatEvent::Seated).await;
}

#[tokio::test]
async fn a_reset_right_after_a_try_waits_a_little_until_the_next() {
    let (relay, mut seat) = out_of_reach_once().await;
    seat.handle.reset();
    assert!(relay.is_left_alone_for(SLOW.between / 2).await);
    let _socket = relay.accept().await;
    seat.expect(SeatEvent::Seated).await;
}

const AWAY: Timing = Timing {
    longest_wait: Duration::from_millis(600),
    ..QUICK
};

/// A seat that the relay has just closed for this reason.
async fn closed_for(reason: CloseReason) -> (Relay, Taken, Duration) {
    let relay = Relay::open().await;
    let mut seat = take(&relay.address, Trust::web(), &AWAY);
    let mut socket = relay.accept().await;
    seat.expect(SeatEvent::Seated).await;
    let close = CloseFrame {
        code: reason.code().into(),
        reason: reason.name().into(),
    };
    socket.close(Some(close)).await.unwrap();
    let SeatEvent::Down {
        reason: told,
        retry_in,
    } = seat.next().await
    else {
        panic!("still there");
    };
    assert_eq!(told, DownReason::Closed(reason));
    (relay, seat, retry_in)
}

#[tokio::test]
async fn whoever_was_replaced_leaves_the_seat_to_the_other_for_the_longest_wait() {
    let (relay, mut seat, retry_in) = closed_for(CloseReason::Replaced).await;
    assert!(retry_in >= AWAY.longest_wait);
    seat.handle.reset();
    assert!(relay.is_left_alone_for(AWAY.longest_wait / 2).await);
    let _socket = relay.accept().await;
    seat.expect(SeatEvent::Seated).await;
}

#[tokio::test]
async fn whoever_was_closed_by_a_relay_that_stops_is_back_before_that() {
    let (relay, _seat, retry_in) = closed_for(CloseReason::Shutdown).await;
    assert!(retry_in <= AWAY.first_wait);
    assert!(!relay.is_left_alone_for(AWAY.longest_wait / 2).await);
}

#[tokio::test]
async fn what_was_not_sent_in_its_meeting_is_not_sent_in_another() {
    let relay = Relay::open().await;
    let mut seat = take(&relay.address, Trust::web(), &QUICK);
    // Which of the frames and the reset is first is up to chance, so more than once.
    for _ in 0..16 {
        let mut socket = relay.accept().await;
        seat.expect(SeatEvent::Seated).await;
        socket.send(meeting(1)).await.unwrap();
        let id = seat.met().await;
        seat.handle.send(id, b"fresh").unwrap();
        assert_eq!(hear(&mut socket).await, frame(1, b"fresh"));
        for _ in 0..10 {
            seat.handle.send(id, b"of a meeting that ends").unwrap();
        }
        seat.handle.reset();
        assert_eq!(seat.down().await, DownReason::Reset);
    }
}

#[tokio::test]
async fn what_was_accepted_is_sent_before_the_seat_is_given_up() {
    for give_up in [SeatHandle::stop, |_: &SeatHandle| {}] {
        let relay = Relay::open().await;
        let mut seat = take(&relay.address, Trust::web(), &QUICK);
        let mut socket = relay.accept().await;
        seat.expect(SeatEvent::Seated).await;
        socket.send(meeting(1)).await.unwrap();
        let id = seat.met().await;
        for number in 0..10 {
            seat.handle.send(id, &[number]).unwrap();
        }
        give_up(&seat.handle);
        drop(seat.handle);
        for number in 0..10 {
            assert_eq!(hear(&mut socket).await, frame(1, &[number]));
        }
        assert!(matches!(hear(&mut socket).await, Message::Close(_)));
        let listen = tokio::spawn(async move { while let Some(Ok(_)) = socket.next().await {} });
        in_time(seat.task).await.unwrap();
        assert_eq!(in_time(seat.events.recv()).await, None);
        listen.abort();
    }
}

#[tokio::test]
async fn a_seat_is_given_up_wherever_it_stands() {
    // While connecting, while waiting, and because nobody listens any more.
    let relay = Relay::open().await;
    let seat = take(&relay.address, Trust::web(), &SLOW);
    let _held = relay.tcp().await;
    seat.handle.stop();
    in_time(seat.task).await.unwrap();

    let address = relay.address.clone();
    drop(relay);
    let mut seat = take(&address, Trust::web(), &SLOW);
    assert!(matches!(seat.down().await, DownReason::Unreachable(_)));
    seat.handle.stop();
    in_time(seat.task).await.unwrap();

    let relay = Relay::open().await;
    let mut seat = take(&relay.address, Trust::web(), &SLOW);
    let mut socket = relay.accept().await;
    seat.expect(SeatEvent::Seated).await;
    drop(seat.events);
    assert!(matches!(hear(&mut socket).await, Message::Close(_)));
    drop(socket);
    in_time(seat.task).await.unwrap();
}

const AUTHORITY: &[u8] = include_bytes!("../../../tests/tls/authority.pem");
const CERTIFICATE: &[u8] = include_bytes!("../../../tests/tls/localhost.pem");
const KEY: &[u8] = include_bytes!("../../../tests/tls/localhost.key.pem");

fn tls_server() -> tokio_rustls::TlsAcceptor {
    let provider = Arc::new(rustls_graviola::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()],
            PrivateKeyDer::from_pem_slice(KEY).unwrap(),
        )
        .unwrap();
    Arc::new(config).into()
}

#[tokio::test]
async fn a_relay_with_a_trusted_certificate_is_spoken_to_in_secret() {
    let relay = Relay::open().await;
    let port = relay.listener.local_addr().unwrap().port();
    let trust = Trust::web().with_authorities(AUTHORITY).unwrap();
    let mut seat = take(&format!("wss://localhost:{port}"), trust, &QUICK);
    let stream = in_time(tls_server().accept(relay.tcp().await))
        .await
        .unwrap();
    let mut socket = Box::pin(shake_hands(stream)).await;
    seat.expect(SeatEvent::Seated).await;
    socket.send(meeting(1)).await.unwrap();
    let id = seat.met().await;
    seat.handle.send(id, b"question").unwrap();
    assert_eq!(hear(&mut socket).await, frame(1, b"question"));
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_or_for_another_host_is_refused() {
    let relay = Relay::open().await;
    let port = relay.listener.local_addr().unwrap().port();
    let own = Trust::web().with_authorities(AUTHORITY).unwrap();
    for (host, trust) in [("localhost", Trust::web()), ("127.0.0.1", own)] {
        let mut seat = take(&format!("wss://{host}:{port}"), trust, &SLOW);
        let accepted = in_time(tls_server().accept(relay.tcp().await)).await;
        assert!(accepted.is_err());
        let reason = seat.down().await;
        assert!(matches!(reason, DownReason::Tls(_)), "{reason}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_not_spoken_to_in_the_clear() {
    let relay = Relay::open().await;
    let port = relay.listener.local_addr().unwrap().port();
    let mut seat = take(&format!("wss://localhost:{port}"), Trust::web(), &SLOW);
    let mut stream = relay.tcp().await;
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let reason = seat.down().await;
    assert!(matches!(reason, DownReason::Tls(_)), "{reason}");
    let mut first = [0; 1];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(first, [22], "not a TLS handshake record");
}

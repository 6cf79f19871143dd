//! A relay to test and ends to test it with.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use vmux_proto::mailbox::{self, CloseReason, Control, MailboxId, Meeting, Seat, Side};
use vmux_relay::{Addresses, Limits, Metrics, Relay};

/// A relay on a port of its own.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) metrics: Metrics,
    pub(crate) served: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

/// One end's connection.
pub(crate) struct End(pub(crate) WebSocketStream<TcpStream>);

/// What an end hears.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Met(u32),
    Left(u32),
    Frame(u32, Vec<u8>),
    Closed(CloseReason),
    /// The connection ended without a reason.
    Gone,
}

pub(crate) async fn start(limits: Limits) -> Running {
    start_with(limits, Addresses::Peer, None).await
}

pub(crate) async fn start_with(
    limits: Limits,
    addresses: Addresses,
    routes: Option<axum::Router>,
) -> Running {
    let relay = Relay::bind(([127, 0, 0, 1], 0).into(), limits, routes)
        .await
        .unwrap();
    let relay = relay.with_addresses(addresses);
    let (stop, stopped) = oneshot::channel();
    let (address, metrics) = (relay.address(), relay.metrics());
    let served = tokio::spawn(relay.serve(async move { drop(stopped.await) }));
    Running {
        address,
        metrics,
        served,
        stop,
    }
}

impl Running {
    pub(crate) async fn end(&self, mailbox: u8, side: Side) -> End {
        self.try_end(mailbox, side).await.unwrap()
    }

    pub(crate) async fn try_end(&self, mailbox: u8, side: Side) -> Result<End, Error> {
        let seat = Seat {
            mailbox: MailboxId::from_bytes([mailbox; 16]),
            side,
        };
        self.try_seat(seat).await
    }

    pub(crate) async fn try_seat(&self, seat: Seat) -> Result<End, Error> {
        let stream = TcpStream::connect(self.address).await?;
        let url = format!("ws://{}{}", self.address, seat.path());
        let (socket, _response) = tokio_tungstenite::client_async(url, stream).await?;
        Ok(End(socket))
    }

    /// An agent and a signer that have met for the first time.
    pub(crate) async fn pair(&self, mailbox: u8) -> (End, End) {
        let mut agent = self.end(mailbox, Side::Agent).await;
        let mut signer = self.end(mailbox, Side::Signer).await;
        assert_eq!(agent.hear().await, Heard::Met(1));
        assert_eq!(signer.hear().await, Heard::Met(1));
        (agent, signer)
    }

    /// Sends raw bytes and gives back everything that is answered until the relay closes, or
    /// resets because not everything was worth reading.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        drop(soon(stream.read_to_end(&mut answer)).await);
        String::from_utf8(answer).unwrap()
    }

    /// The answer to a plain GET.
    pub(crate) async fn get(&self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n");
        self.raw(request.as_bytes()).await
    }

    /// The value of one metric.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.metrics.render().unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
            .parse()
            .unwrap()
    }

    pub(crate) fn stop(self) -> JoinHandle<()> {
        self.stop.send(()).unwrap();
        self.served
    }
}

impl End {
    pub(crate) async fn send(&mut self, meeting: u32, sealed: &[u8]) {
        let meeting = Meeting::new(meeting).unwrap();
        let frame = mailbox::frame(meeting, sealed).unwrap();
        self.0.send(Message::binary(frame)).await.unwrap();
    }

    pub(crate) async fn send_raw(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    pub(crate) async fn hear(&mut self) -> Heard {
        soon(self.hear_whenever()).await
    }

    pub(crate) async fn hear_whenever(&mut self) -> Heard {
        loop {
            return match self.0.next().await {
                Some(Ok(Message::Text(text))) => match Control::parse(&text).unwrap() {
                    Control::Meeting(meeting) => Heard::Met(meeting.number()),
                    Control::Left(meeting) => Heard::Left(meeting.number()),
                },
                Some(Ok(Message::Binary(frame))) => {
                    let (meeting, sealed) = mailbox::split(&frame).unwrap();
                    Heard::Frame(meeting.number(), sealed.to_vec())
                }
                Some(Ok(Message::Close(Some(close)))) => {
                    let reason = CloseReason::from_code(close.code.into()).unwrap();
                    assert_eq!(close.reason.as_str(), reason.name());
                    Heard::Closed(reason)
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Close(None) | Message::Frame(_)) | Err(_)) | None => Heard::Gone,
            };
        }
    }

    /// Nothing comes for a while.
    pub(crate) async fn hears_nothing(&mut self) {
        let heard = tokio::time::timeout(A_WHILE, self.hear_whenever()).await;
        assert!(heard.is_err(), "heard {heard:?}");
    }
}

/// Waits, but not for ever.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future)
        .await
        .expect("nothing happened in time")
}

pub(crate) const A_WHILE: Duration = Duration::from_millis(150);
const SOON: Duration = Duration::from_secs(10);

//! Makes one connection: name, TCP, TLS, WebSocket. The caller bounds the time.

use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error as WebSocketError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};
use vmux_proto::mailbox::{MAX_FRAME, Seat};

use super::trust::Processor;
use super::{DownReason, RelayAddress, Trust};

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Where to connect to, and as whom.
#[derive(Debug)]
pub(super) struct Dialer {
    relay: RelayAddress,
    seat: Seat,
    trust: Trust,
    // Made at the first use, then kept: it holds every authority there is.
    tls: Option<Arc<ClientConfig>>,
}

impl Dialer {
    pub(super) const fn new(relay: RelayAddress, seat: Seat, trust: Trust) -> Self {
        Self {
            relay,
            seat,
            trust,
            tls: None,
        }
    }

    pub(super) async fn dial(&mut self) -> Result<Socket, DownReason> {
        let connector = if self.relay.is_encrypted() {
            Connector::Rustls(self.tls()?)
        } else {
            Connector::Plain
        };
        let unreachable = |e: io::Error| DownReason::Unreachable(e.to_string());
        let host = self.relay.host();
        let stream = connect(&host, self.relay.port())
            .await
            .map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let url = self.relay.seat_url(self.seat);
        let connected =
            client_async_tls_with_config(url, stream, Some(limits()), Some(connector)).await;
        match connected {
            Ok((socket, _response)) => Ok(socket),
            Err(WebSocketError::Io(e)) if is_tls(&e) => Err(DownReason::Tls(e.to_string())),
            Err(WebSocketError::Tls(e)) => Err(DownReason::Tls(e.to_string())),
            Err(e) => Err(DownReason::of_opening(&e)),
        }
    }

    fn tls(&mut self) -> Result<Arc<ClientConfig>, DownReason> {
        if let Some(tls) = &self.tls {
            return Ok(Arc::clone(tls));
        }
        let tls = self.trust.client(Processor::this())?;
        self.tls = Some(Arc::clone(&tls));
        Ok(tls)
    }
}

/// Tries every address of a host, each a moment after the one before, and takes the first that
/// answers: a host whose IPv6 leads nowhere is not slower for it (RFC 8305, without its sorting).
async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let found = tokio::net::lookup_host((host, port)).await?;
    let found: Vec<SocketAddr> = found.take(MAX_ADDRESSES).collect();
    let mut waiting = found.into_iter();
    let mut tries = FuturesUnordered::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    loop {
        match waiting.next() {
            Some(address) => tries.push(TcpStream::connect(address)),
            None if tries.is_empty() => return Err(last),
            None => {}
        }
        let more = !waiting.as_slice().is_empty();
        tokio::select! {
            Some(outcome) = tries.next() => match outcome {
                Ok(stream) => return Ok(stream),
                Err(e) => last = e,
            },
            () = tokio::time::sleep(NEXT_ADDRESS), if more => {}
        }
    }
}

fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * MAX_FRAME)
        .max_message_size(Some(MAX_FRAME))
        .max_frame_size(Some(MAX_FRAME))
}

/// Whether an I/O error is a failed TLS handshake rather than a broken wire.
fn is_tls(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(<dyn core::error::Error + Send + Sync>::is::<rustls::Error>)
}

/// Time an address has to itself, as RFC 8305 section 8 recommends.
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// More addresses than a sensible relay has; a name server may say anything.
const MAX_ADDRESSES: usize = 8;

/// Most frames are far below this; a larger one takes a few reads.
const BUFFER: usize = 16 * 1024;

//! One end's connection: moves messages between a WebSocket and the meetings.
//!
//! Reading and writing wait apart, so an end that does not read can still be heard and closed.

use std::convert::Infallible;
use std::future;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error as SocketFailed;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, WebSocketConfig};
use tracing::debug;
use vmux_proto::mailbox::{CloseReason, MAX_FRAME, Seat};

use crate::meetings::{EndId, Input, Output};
use crate::shared::Shared;

/// How messages are read: nothing larger than a frame, and little memory while idle.
pub(crate) fn socket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MAX_FRAME))
        .max_frame_size(Some(MAX_FRAME))
        .read_buffer_size(READ_BUFFER)
        // Write at once: what waits, waits in the bounded queue of the meetings.
        .write_buffer_size(0)
}

/// Seats the connection and serves it to its end.
pub(crate) async fn attend<S>(shared: Arc<Shared>, seat: Seat, socket: WebSocketStream<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (end, waker) = shared.arrive(seat);
    debug!(end = end.0, mailbox = ?seat.mailbox, side = seat.side.word(), "arrived");
    let (mut sink, mut stream) = socket.split();
    let reason = tokio::select! {
        PeerGone = read(&shared, end, &mut stream) => None,
        reason = write(&shared, end, &waker, &mut sink) => reason,
        never = tick(&shared, end) => match never {},
    };
    // The other end hears of it before this one has said good-bye.
    shared.leave(end);
    debug!(
        end = end.0,
        reason = reason.map_or("gone", CloseReason::name),
        "left"
    );
    if let Ok(socket) = sink.reunite(stream) {
        part(socket, reason, shared.limits.farewell_within).await;
    }
}

/// The other side closed the connection, or it broke.
struct PeerGone;

/// Takes in messages until the peer is gone.
async fn read<S>(
    shared: &Shared,
    end: EndId,
    stream: &mut SplitStream<WebSocketStream<S>>,
) -> PeerGone
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let input = match stream.next().await {
            Some(Ok(Message::Binary(frame))) => Input::Frame(end, frame),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Input::Alive(end),
            Some(Err(SocketFailed::Capacity(_))) => Input::Oversize(end),
            Some(Err(SocketFailed::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => {
                return PeerGone;
            }
            Some(
                Ok(Message::Text(_) | Message::Frame(_))
                | Err(SocketFailed::Protocol(_) | SocketFailed::Utf8(_)),
            ) => Input::Forbidden(end),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return PeerGone,
        };
        let fatal = matches!(input, Input::Oversize(_) | Input::Forbidden(_));
        shared.handle(input);
        if fatal {
            // The writer hears why and ends this connection.
            return future::pending().await;
        }
        // The end across writes what it got before more comes: a burst is not slowness.
        tokio::task::yield_now().await;
    }
}

/// Sends what is queued until told to close; `None` if the connection broke.
async fn write<S>(
    shared: &Shared,
    end: EndId,
    waker: &Notify,
    sink: &mut SplitSink<WebSocketStream<S>, Message>,
) -> Option<CloseReason>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let message = match shared.poll(end) {
            None => {
                waker.notified().await;
                continue;
            }
            Some(Output::Close(reason)) => return Some(reason),
            Some(Output::Control(control)) => Message::text(control.encode()),
            Some(Output::Frame(frame)) => Message::Binary(frame),
            Some(Output::Ping) => Message::Ping(Bytes::new()),
        };
        tokio::select! {
            biased;
            sent = sink.send(message) => {
                if sent.is_err() {
                    return None;
                }
            }
            reason = closed(shared, end, waker) => return Some(reason),
        }
    }
}

/// Waits, beside a message that does not go out, for the end to lose its seat.
async fn closed(shared: &Shared, end: EndId, waker: &Notify) -> CloseReason {
    loop {
        if let Some(reason) = shared.closed(end) {
            return reason;
        }
        waker.notified().await;
    }
}

/// Reports each deadline as it passes.
async fn tick(shared: &Shared, end: EndId) -> Infallible {
    loop {
        match shared.deadline(end) {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => future::pending().await,
        }
        shared.handle(Input::Tick(end));
    }
}

/// Says why, as far as the peer still listens, and closes.
async fn part<S>(mut socket: WebSocketStream<S>, reason: Option<CloseReason>, within: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let close = reason.map(|reason| CloseFrame {
        code: CloseCode::from(reason.code()),
        reason: reason.name().into(),
    });
    let farewell = async move {
        // Errors mean that nobody listens any more, which is what this waits for anyway.
        if socket.close(close).await.is_err() && socket.flush().await.is_err() {
            return;
        }
        let stream = socket.get_mut();
        if stream.shutdown().await.is_err() {
            return;
        }
        // What is unread when a connection is dropped makes the system reset it, and the peer
        // would lose the reason with it.
        let mut rest = vec![0; READ_BUFFER];
        while matches!(stream.read(&mut rest).await, Ok(1..)) {}
    };
    if tokio::time::timeout(within, farewell).await.is_err() {
        debug!("the peer did not close in time");
    }
}

/// Small, because most connections are idle; a larger message is read in several pieces.
const READ_BUFFER: usize = 2 * 1024;

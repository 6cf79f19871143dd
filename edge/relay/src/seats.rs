//! The relay's pages: a seat at a mailbox for each end, and a word for whoever looks in.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error as SocketFailed;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::Role;
use tracing::debug;
use vmux_proto::mailbox::{Seat, SeatRejected};

use crate::end::{attend, socket_config};
use crate::gate::TooMany;
use crate::server::Addresses;
use crate::shared::{Admission, Shared};

/// What a connection holds as long as it lives, first as HTTP and then as a seat.
#[derive(Debug)]
#[expect(dead_code, reason = "held only to be dropped when the connection ends")]
pub(crate) struct Visit {
    /// Absent behind a proxy, where one address brings everybody.
    pub(crate) admission: Option<Admission>,
    /// Its part of all connections the relay may have.
    pub(crate) place: OwnedSemaphorePermit,
}

#[derive(Clone, Debug)]
struct Context {
    shared: Arc<Shared>,
    addresses: Addresses,
}

/// The relay's pages, before everything of `routes`.
pub(crate) fn pages(shared: Arc<Shared>, addresses: Addresses, routes: Option<Router>) -> Router {
    let seats = Router::new()
        .route("/v1/mailbox/{*seat}", any(take_seat))
        .with_state(Context { shared, addresses });
    match routes {
        Some(routes) => seats.fallback_service(routes),
        None => seats.route("/", get(async || ABOUT)).fallback(nothing_here),
    }
}

/// Answers a connection that is turned away before it has asked anything.
pub(crate) const TURNED_AWAY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Retry-After: 5\r\n\
    Connection: close\r\n\
    Content-Length: 57\r\n\
    \r\n\
    too many connections from your address; try again later.\n";

async fn nothing_here() -> Response {
    refuse(StatusCode::NOT_FOUND, &SeatRejected::NotASeat.to_string())
}

async fn take_seat(
    State(context): State<Context>,
    Extension(visit): Extension<Arc<Visit>>,
    mut request: Request,
) -> Response {
    let seat = match Seat::parse(request.uri().path()) {
        Ok(seat) => seat,
        Err(SeatRejected::NotASeat) => return nothing_here().await,
        Err(rejected @ (SeatRejected::MailboxId | SeatRejected::Side)) => {
            return refuse(StatusCode::BAD_REQUEST, &rejected.to_string());
        }
    };
    let response = match create_response_with_body(&request, Body::empty) {
        Ok(response) => response,
        Err(SocketFailed::Protocol(ProtocolError::WrongHttpMethod)) => {
            return refuse(StatusCode::METHOD_NOT_ALLOWED, "a seat is taken with GET");
        }
        Err(_) => return refuse(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket address"),
    };
    let admission = match context.addresses {
        Addresses::Peer => None,
        Addresses::Forwarded => {
            let Some(address) = forwarded_for(&request) else {
                return refuse(
                    StatusCode::BAD_REQUEST,
                    "the proxy in front of this relay must set X-Forwarded-For",
                );
            };
            match context.shared.admit(address) {
                Ok(admission) => Some(admission),
                Err(TooMany) => {
                    return refuse(StatusCode::TOO_MANY_REQUESTS, "too many connections");
                }
            }
        }
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let shared = context.shared;
    shared.tasks.clone().spawn(async move {
        let Some(socket) = switch(upgrade).await else {
            return;
        };
        // A task of its own: most ends are idle for days, and the memory of this one's steps
        // would stay with them.
        shared.tasks.clone().spawn(async move {
            let _held = (visit, admission);
            attend(shared, seat, socket).await;
        });
    });
    response
}

/// The connection as a WebSocket, once the answer is on its way.
async fn switch(upgrade: OnUpgrade) -> Option<WebSocketStream<TcpStream>> {
    let parts = upgrade.await.ok()?.downcast::<TokioIo<TcpStream>>().ok()?;
    let (stream, read) = (parts.io.into_inner(), parts.read_buf.to_vec());
    let config = Some(socket_config());
    Some(WebSocketStream::from_partially_read(stream, read, Role::Server, config).await)
}

/// The address that the nearest proxy saw: the last one in the last header.
fn forwarded_for(request: &Request) -> Option<IpAddr> {
    let header = request
        .headers()
        .get_all("x-forwarded-for")
        .iter()
        .next_back()?;
    let last = header.to_str().ok()?.rsplit(',').next()?.trim();
    last.parse().ok()
}

fn refuse(status: StatusCode, words: &str) -> Response {
    debug!(status = status.as_u16(), words, "refused a request");
    let text = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    (status, text, format!("{words}\n")).into_response()
}

const ABOUT: &str = "This is a vmuxAgent relay. It joins an SSH agent with the phone that holds \
its keys\nand carries sealed bytes between them, which it cannot open.\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[&str]) -> Request {
        let mut builder = Request::builder();
        for value in headers {
            builder = builder.header("x-forwarded-for", *value);
        }
        builder.body(Body::empty()).unwrap()
    }

    #[test]
    fn the_nearest_proxy_is_believed_and_nobody_before_it() {
        let spoofed = request(&["203.0.113.9", "198.51.100.1, 192.0.2.7"]);
        assert_eq!(forwarded_for(&spoofed), Some([192, 0, 2, 7].into()));
        assert_eq!(
            forwarded_for(&request(&["2001:db8::1"])),
            "2001:db8::1".parse().ok()
        );
        assert_eq!(forwarded_for(&request(&["192.0.2.7, unknown"])), None);
        assert_eq!(forwarded_for(&request(&[])), None);
    }

    #[test]
    fn the_answer_to_who_is_turned_away_announces_its_own_length() {
        let text = str::from_utf8(TURNED_AWAY).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("Content-Length: {}", body.len())),
            "{}",
            body.len()
        );
    }
}

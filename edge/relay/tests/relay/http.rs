use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::Instant;
use vmux_proto::mailbox::Side;
use vmux_relay::{Addresses, Limits};

use crate::support::{Heard, soon, start, start_with};

#[tokio::test]
async fn whoever_looks_in_reads_what_this_is() {
    let relay = start(Limits::default()).await;
    let answer = relay.get("/").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("This is a vmuxAgent relay"), "{answer}");
}

#[tokio::test]
async fn a_seat_asked_for_without_a_websocket_says_so() {
    let relay = start(Limits::default()).await;
    let answer = relay.get("/v1/mailbox/AAAAAAAAAAAAAAAAAAAAAA/agent").await;
    assert!(answer.starts_with("HTTP/1.1 426"), "{answer}");
    assert!(
        answer.ends_with("this is a WebSocket address\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn paths_that_are_no_seat_are_refused_in_words() {
    let relay = start(Limits::default()).await;
    for (path, status, words) in [
        (
            "/v1/mailbox/AAAAAAAAAAAAAAAAAAAAAA/phone",
            400,
            "agent or signer",
        ),
        (
            "/v1/mailbox/AAAAAAAAAAAAAAAAAAAAA/agent",
            400,
            "22 characters",
        ),
        (
            "/v1/mailbox/AAAAAAAAAAAAAAAAAAAAAB/agent",
            400,
            "22 characters",
        ),
        (
            "/v1/mailbox/%41AAAAAAAAAAAAAAAAAAAAA/agent",
            400,
            "22 characters",
        ),
        (
            "/v1/mailbox/AAAAAAAAAAAAAAAAAAAAAA",
            404,
            "/v1/mailbox/ID/agent",
        ),
        ("/v1/mailbox/", 404, "/v1/mailbox/ID/agent"),
        (
            "/v1/mailbox/AAAAAAAAAAAAAAAAAAAAAA/agent/x",
            404,
            "/v1/mailbox/ID/agent",
        ),
        ("/favicon.ico", 404, "/v1/mailbox/ID/agent"),
    ] {
        let answer = relay.get(path).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{path}: {answer}"
        );
        assert!(answer.contains(words), "{path}: {answer}");
    }
}

#[tokio::test]
async fn bytes_that_are_not_http_are_answered_and_disturb_nobody() {
    let relay = start(Limits::default()).await;
    let (mut agent, mut signer) = relay.pair(1).await;
    let endless = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &[b'a'; 16 * 1024]].concat();
    for garbage in [
        b"\x16\x03\x01\x02\x00\x01".as_slice(),
        b"hello\r\n\r\n",
        b"\0\0\0\0\r\n",
    ] {
        let answer = relay.raw(garbage).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
            "{answer}"
        );
    }
    let answer = relay.raw(&endless).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
    agent.send(1, b"still here").await;
    assert_eq!(signer.hear().await, Heard::Frame(1, b"still here".to_vec()));
}

#[tokio::test]
async fn a_connection_that_asks_for_nothing_is_closed() {
    let limits = Limits {
        request_within: Duration::from_millis(200),
        ..Limits::default()
    };
    let relay = start(limits).await;
    let begin = Instant::now();
    let mut stream = TcpStream::connect(relay.address).await.unwrap();
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(150));
    // A seat that was taken has no such end.
    let mut agent = relay.end(1, Side::Agent).await;
    let still = tokio::time::timeout(Duration::from_millis(500), agent.hear_whenever()).await;
    assert!(still.is_err(), "{still:?}");
}

#[tokio::test]
async fn pages_of_the_embedding_program_are_served_beside_the_seats() {
    let routes = Router::new().route("/", get(async || "the phone's app"));
    let relay = start_with(Limits::default(), Addresses::Peer, Some(routes)).await;
    assert!(relay.get("/").await.ends_with("the phone's app"));
    assert!(
        relay
            .get("/v1/mailbox/x/agent")
            .await
            .starts_with("HTTP/1.1 400")
    );
    let (_agent, _signer) = relay.pair(1).await;
}

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use vmux_proto::mailbox::CloseReason;
use vmux_relay::{BindFailed, Limits, Relay};

use crate::support::{Heard, soon, start};

#[tokio::test]
async fn a_stopping_relay_tells_everyone_and_ends() {
    let relay = start(Limits::default()).await;
    let address = relay.address;
    let (mut agent, mut signer) = relay.pair(1).await;
    agent.send(1, b"last words").await;
    assert_eq!(signer.hear().await, Heard::Frame(1, b"last words".to_vec()));
    let served = relay.stop();
    assert_eq!(agent.hear().await, Heard::Closed(CloseReason::Shutdown));
    assert_eq!(signer.hear().await, Heard::Closed(CloseReason::Shutdown));
    drop((agent, signer));
    soon(served).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn ends_that_do_not_listen_hold_a_stopping_relay_up_only_so_long() {
    let limits = Limits {
        farewell_within: Duration::from_mins(1),
        shutdown_within: Duration::from_millis(300),
        ..Limits::default()
    };
    let relay = start(limits).await;
    let (_agent, _signer) = relay.pair(1).await;
    let _silent = TcpStream::connect(relay.address).await.unwrap();
    let begin = Instant::now();
    soon(relay.stop()).await.unwrap();
    assert!(
        begin.elapsed() >= Duration::from_millis(250),
        "{:?}",
        begin.elapsed()
    );
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test]
async fn connections_without_a_seat_do_not_hold_a_stopping_relay_up() {
    let relay = start(Limits::default()).await;
    let _silent = TcpStream::connect(relay.address).await.unwrap();
    let mut kept = TcpStream::connect(relay.address).await.unwrap();
    kept.write_all(b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n")
        .await
        .unwrap();
    let mut status = [0; 12];
    soon(kept.read_exact(&mut status)).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    let begin = Instant::now();
    soon(relay.stop()).await.unwrap();
    assert!(
        begin.elapsed() < Duration::from_secs(3),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test]
async fn a_taken_port_is_told_apart_from_other_failures() {
    let relay = start(Limits::default()).await;
    let taken = Relay::bind(relay.address, Limits::default(), None)
        .await
        .unwrap_err();
    assert!(
        matches!(taken, BindFailed::Taken(address) if address == relay.address),
        "{taken}"
    );
    // TEST-NET-1 belongs to nobody.
    let elsewhere = ([192, 0, 2, 1], 0).into();
    let nowhere = Relay::bind(elsewhere, Limits::default(), None)
        .await
        .unwrap_err();
    assert!(matches!(nowhere, BindFailed::NotHere(_)), "{nowhere}");
}

#[tokio::test]
async fn limits_that_let_no_frame_pass_are_refused() {
    let limits = Limits {
        bytes_burst: 100,
        ..Limits::default()
    };
    let refused = Relay::bind(([127, 0, 0, 1], 0).into(), limits, None)
        .await
        .unwrap_err();
    assert_eq!(refused.to_string(), "bytes-burst must be at least 65536");
}

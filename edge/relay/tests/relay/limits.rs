use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Error, Message};
use vmux_proto::mailbox::{CloseReason, MAX_SEALED, MailboxId, Seat, Side};
use vmux_relay::{Addresses, Limits};

use crate::support::{A_WHILE, Heard, soon, start, start_with};

#[tokio::test]
async fn one_address_opens_as_many_connections_as_allowed_and_is_told_about_one_more() {
    let relay = start(Limits {
        connections_per_address: 2,
        ..Limits::default()
    })
    .await;
    let (agent, _signer) = relay.pair(1).await;
    let refused = relay
        .try_end(2, Side::Agent)
        .await
        .err()
        .expect("one more was let in");
    let Error::Http(response) = refused else {
        panic!("{refused}")
    };
    assert_eq!(response.status(), 429);
    assert_eq!(relay.metric("vmux_relay_refused_total"), 1);

    drop(agent);
    let arrives = async { while relay.try_end(2, Side::Agent).await.is_err() {} };
    soon(arrives).await;
}

#[tokio::test]
async fn behind_a_proxy_the_reported_address_counts() {
    let limits = Limits {
        connections_per_address: 1,
        ..Limits::default()
    };
    let relay = start_with(limits, Addresses::Forwarded, None).await;
    let seat = |mailbox, from| {
        let path = Seat {
            mailbox: MailboxId::from_bytes([mailbox; 16]),
            side: Side::Agent,
        }
        .path();
        format!(
            "GET {path} HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{from}\r\n"
        )
    };
    let mut held = Vec::new();
    for (mailbox, from, expected) in [
        (1, "X-Forwarded-For: 192.0.2.1\r\n", "101"),
        (2, "X-Forwarded-For: 192.0.2.1\r\n", "429"),
        (2, "X-Forwarded-For: 192.0.2.1, 192.0.2.2\r\n", "101"),
        (3, "", "400"),
    ] {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::TcpStream::connect(relay.address).await.unwrap();
        stream
            .write_all(seat(mailbox, from).as_bytes())
            .await
            .unwrap();
        let mut status = [0; 12];
        soon(stream.read_exact(&mut status)).await.unwrap();
        assert_eq!(
            str::from_utf8(&status).unwrap(),
            format!("HTTP/1.1 {expected}")
        );
        held.push(stream);
    }
}

#[tokio::test]
async fn an_end_that_does_not_read_is_closed_while_others_are_served() {
    let limits = Limits {
        queue_bytes: 128 * 1024,
        messages_burst: 1_000_000,
        bytes_burst: 512 * 1024 * 1024,
        ..Limits::default()
    };
    let relay = start(limits).await;
    let (mut fast, mut stuck) = relay.pair(1).await;
    let (mut agent, mut signer) = relay.pair(2).await;
    let sealed = vec![7; MAX_SEALED];
    let flood = async {
        // More than all the buffers of the system hold, and the queue on top.
        for _ in 0..4096 {
            fast.send(1, &sealed).await;
            if relay.metric("vmux_relay_closes_total{reason=\"slow\"}") == 1 {
                return;
            }
        }
        panic!("the queue has no end");
    };
    let others = async {
        loop {
            agent.send(1, b"ping").await;
            assert_eq!(signer.hear().await, Heard::Frame(1, b"ping".to_vec()));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = soon(flood) => {}
        () = others => {}
    }
    assert_eq!(fast.hear().await, Heard::Left(1));
    // The relay lets go of it although it still takes nothing.
    let released = async {
        while relay.metric("vmux_relay_ends") > 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon(released).await;
    // Once it reads, it finds the reason behind what had already left the relay.
    loop {
        match stuck.hear().await {
            Heard::Frame(1, _) => {}
            heard => {
                assert_eq!(heard, Heard::Closed(CloseReason::Slow));
                break;
            }
        }
    }
}

#[tokio::test]
async fn an_end_that_stays_silent_is_closed_and_one_that_answers_pings_stays() {
    let limits = Limits {
        ping_after: Duration::from_millis(100),
        idle_after: Duration::from_millis(400),
        ..Limits::default()
    };
    let relay = start(limits).await;
    // The client answers pings only while it is asked for messages.
    let (mut agent, mut silent) = relay.pair(1).await;
    let begin = Instant::now();
    assert_eq!(agent.hear().await, Heard::Left(1));
    assert!(
        begin.elapsed() >= Duration::from_millis(300),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(silent.hear().await, Heard::Closed(CloseReason::Idle));
    let still = tokio::time::timeout(Duration::from_millis(600), agent.hear_whenever()).await;
    assert!(still.is_err(), "the answering end heard {still:?}");
}

#[tokio::test]
async fn more_messages_than_a_mailbox_may_carry_close_the_sender() {
    let limits = Limits {
        messages_burst: 10,
        messages_per_second: 1,
        ..Limits::default()
    };
    let relay = start(limits).await;
    let (mut agent, mut signer) = relay.pair(1).await;
    for number in 0..10_u8 {
        agent.send(1, &[number]).await;
    }
    for number in 0..10_u8 {
        assert_eq!(signer.hear().await, Heard::Frame(1, vec![number]));
    }
    agent.hears_nothing().await;
    agent.send(1, b"one more").await;
    assert_eq!(agent.hear().await, Heard::Closed(CloseReason::TooMany));
}

#[tokio::test]
async fn a_flood_of_pings_closes_its_sender() {
    let limits = Limits {
        messages_burst: 10,
        messages_per_second: 1,
        ..Limits::default()
    };
    let relay = start(limits).await;
    let mut agent = relay.end(1, Side::Agent).await;
    for _ in 0..11 {
        agent.send_raw(Message::Ping(Vec::new().into())).await;
    }
    assert_eq!(agent.hear().await, Heard::Closed(CloseReason::TooMany));
}

#[tokio::test]
async fn a_full_relay_says_so_and_lets_the_second_end_of_a_mailbox_in() {
    let relay = start(Limits {
        mailboxes: 1,
        ..Limits::default()
    })
    .await;
    let mut agent = relay.end(1, Side::Agent).await;
    let mut other = relay.end(2, Side::Agent).await;
    assert_eq!(other.hear().await, Heard::Closed(CloseReason::Full));
    let mut signer = relay.end(1, Side::Signer).await;
    assert_eq!(signer.hear().await, Heard::Met(1));
    assert_eq!(agent.hear().await, Heard::Met(1));
}

#[tokio::test]
async fn more_connections_than_the_relay_has_places_for_are_dropped() {
    let relay = start(Limits {
        connections: 2,
        ..Limits::default()
    })
    .await;
    let (agent, _signer) = relay.pair(1).await;
    assert!(relay.try_end(2, Side::Agent).await.is_err());
    drop(agent);
    soon(async { while relay.try_end(2, Side::Agent).await.is_err() {} }).await;
}

#[tokio::test]
async fn two_hundred_connections_talk_at_once() {
    let relay = start(Limits::default()).await;
    let pairs = join_all((0..100).map(|mailbox| relay.pair(mailbox))).await;
    assert_eq!(relay.metric("vmux_relay_ends"), 200);
    assert_eq!(relay.metric("vmux_relay_mailboxes"), 100);
    let talks = pairs
        .into_iter()
        .enumerate()
        .map(async |(number, (mut agent, mut signer))| {
            let name = number.to_string().into_bytes();
            for _ in 0..20 {
                agent.send(1, &name).await;
                assert_eq!(signer.hear().await, Heard::Frame(1, name.clone()));
                signer.send(1, &name).await;
                assert_eq!(agent.hear().await, Heard::Frame(1, name.clone()));
            }
        });
    join_all(talks).await;
    assert_eq!(relay.metric("vmux_relay_frames_total"), 4000);
    let gone = async {
        while relay.metric("vmux_relay_ends") > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon(gone).await;
    assert_eq!(relay.metric("vmux_relay_mailboxes"), 0);
    // A connection that breaks off did nothing wrong.
    assert_eq!(
        relay.metric("vmux_relay_closes_total{reason=\"bad-frame\"}"),
        0
    );
}

#[tokio::test]
async fn metrics_count_and_name_no_mailbox() {
    let relay = start(Limits::default()).await;
    let (mut agent, mut signer) = relay.pair(1).await;
    agent.send(1, b"12345").await;
    assert_eq!(signer.hear().await, Heard::Frame(1, b"12345".to_vec()));
    signer.send_raw(Message::text("no")).await;
    assert_eq!(signer.hear().await, Heard::Closed(CloseReason::BadFrame));
    assert_eq!(agent.hear().await, Heard::Left(1));
    agent.send(1, b"too late").await;
    tokio::time::sleep(A_WHILE).await;

    for (name, value) in [
        ("vmux_relay_arrivals_total", 2),
        ("vmux_relay_meetings_total", 1),
        ("vmux_relay_frames_total", 1),
        ("vmux_relay_frame_bytes_total", 9),
        ("vmux_relay_stale_frames_total", 1),
        ("vmux_relay_mailboxes", 1),
        ("vmux_relay_queued_bytes", 0),
        ("vmux_relay_closes_total{reason=\"bad-frame\"}", 1),
        ("vmux_relay_closes_total{reason=\"slow\"}", 0),
    ] {
        assert_eq!(relay.metric(name), value, "{name}");
    }
    let text = relay.metrics.render().unwrap();
    let mailbox = MailboxId::from_bytes([1; 16]).to_text();
    assert!(!text.contains(mailbox.get(..4).unwrap()), "{text}");
    assert!(text.ends_with("# EOF\n"));
}

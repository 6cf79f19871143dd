use futures_util::SinkExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::Message;
use vmux_proto::mailbox::{self, CloseReason, MAX_FRAME, MAX_SEALED, Meeting, Side};
use vmux_relay::Limits;

use crate::support::{Heard, start};

#[tokio::test]
async fn frames_pass_in_order_both_ways() {
    let relay = start(Limits::default()).await;
    let (mut agent, mut signer) = relay.pair(1).await;
    for number in 0..100_u8 {
        agent.send(1, &[number]).await;
        signer.send(1, &[number, number]).await;
    }
    for number in 0..100_u8 {
        assert_eq!(signer.hear().await, Heard::Frame(1, vec![number]));
        assert_eq!(agent.hear().await, Heard::Frame(1, vec![number, number]));
    }
}

#[tokio::test]
async fn mailboxes_are_apart() {
    let relay = start(Limits::default()).await;
    let (mut agent, mut signer) = relay.pair(1).await;
    let (_other_agent, mut other_signer) = relay.pair(2).await;
    agent.send(1, b"mine").await;
    assert_eq!(signer.hear().await, Heard::Frame(1, b"mine".to_vec()));
    other_signer.hears_nothing().await;
}

#[tokio::test]
async fn an_end_that_leaves_is_noticed_and_its_return_is_a_new_meeting() {
    let relay = start(Limits::default()).await;
    let (mut agent, signer) = relay.pair(1).await;
    drop(signer);
    assert_eq!(agent.hear().await, Heard::Left(1));
    let mut signer = relay.end(1, Side::Signer).await;
    assert_eq!(signer.hear().await, Heard::Met(2));
    assert_eq!(agent.hear().await, Heard::Met(2));
}

#[tokio::test]
async fn frames_of_an_earlier_meeting_do_not_reach_the_next_peer() {
    let relay = start(Limits::default()).await;
    let (mut agent, signer) = relay.pair(1).await;
    drop(signer);
    assert_eq!(agent.hear().await, Heard::Left(1));
    let mut signer = relay.end(1, Side::Signer).await;
    assert_eq!(signer.hear().await, Heard::Met(2));
    agent.send(1, b"for whoever was there").await;
    agent.send(2, b"for you").await;
    assert_eq!(signer.hear().await, Heard::Frame(2, b"for you".to_vec()));
}

#[tokio::test]
async fn a_newer_connection_replaces_the_older_one() {
    let relay = start(Limits::default()).await;
    let (mut agent, mut older) = relay.pair(1).await;
    let mut newer = relay.end(1, Side::Signer).await;
    assert_eq!(older.hear().await, Heard::Closed(CloseReason::Replaced));
    assert_eq!(agent.hear().await, Heard::Left(1));
    assert_eq!(agent.hear().await, Heard::Met(2));
    assert_eq!(newer.hear().await, Heard::Met(2));
    agent.send(2, b"hello").await;
    assert_eq!(newer.hear().await, Heard::Frame(2, b"hello".to_vec()));
}

#[tokio::test]
async fn a_text_message_closes_its_sender() {
    let relay = start(Limits::default()).await;
    let (mut agent, mut signer) = relay.pair(1).await;
    signer.send_raw(Message::text("{\"meeting\":1}")).await;
    assert_eq!(signer.hear().await, Heard::Closed(CloseReason::BadFrame));
    assert_eq!(agent.hear().await, Heard::Left(1));
}

#[tokio::test]
async fn a_largest_frame_passes() {
    let relay = start(Limits::default()).await;
    let (mut agent, mut signer) = relay.pair(1).await;
    let sealed = vec![7; MAX_SEALED];
    agent.send(1, &sealed).await;
    assert_eq!(signer.hear().await, Heard::Frame(1, sealed));
}

#[tokio::test]
async fn a_burst_reaches_an_end_that_reads() {
    let relay = start(Limits::default()).await;
    let (mut agent, mut signer) = relay.pair(1).await;
    // Far more messages than wait for one end, and all of them written at once.
    for _ in 0..1000 {
        let frame = mailbox::frame(Meeting::FIRST, b"one of many").unwrap();
        agent.0.feed(Message::binary(frame)).await.unwrap();
    }
    agent.0.flush().await.unwrap();
    for _ in 0..1000 {
        assert_eq!(
            signer.hear().await,
            Heard::Frame(1, b"one of many".to_vec())
        );
    }
}

#[tokio::test]
async fn a_frame_with_one_byte_more_closes_its_sender() {
    let relay = start(Limits::default()).await;
    let (mut agent, mut signer) = relay.pair(1).await;
    let mut frame = vec![0; MAX_FRAME + 1];
    frame[3] = 1;
    agent.send_raw(Message::binary(frame)).await;
    assert_eq!(agent.hear().await, Heard::Closed(CloseReason::TooBig));
    assert_eq!(signer.hear().await, Heard::Left(1));
}

#[tokio::test]
async fn a_length_too_long_closes_before_any_of_the_bytes_come() {
    let relay = start(Limits::default()).await;
    for length in [
        u64::try_from(MAX_FRAME).unwrap() + 1,
        1 << 30,
        (1 << 63) - 1,
    ] {
        let mut agent = relay.end(1, Side::Agent).await;
        // A binary message, masked with zeros, of which only the header is ever sent.
        let header = [&[0x82, 0xff], &length.to_be_bytes()[..], &[0; 4]].concat();
        agent.0.get_mut().write_all(&header).await.unwrap();
        assert_eq!(agent.hear().await, Heard::Closed(CloseReason::TooBig));
    }
}

#[tokio::test]
async fn a_frame_in_pieces_is_bounded_as_a_whole() {
    let relay = start(Limits::default()).await;
    let mut agent = relay.end(1, Side::Agent).await;
    // Two halves of a binary message, masked with zeros; each alone would be small enough.
    let half = u16::try_from(MAX_FRAME / 2 + 1).unwrap();
    for opcode in [0x02, 0x00] {
        let header = [&[opcode, 0xfe], &half.to_be_bytes()[..], &[0; 4]].concat();
        agent.0.get_mut().write_all(&header).await.unwrap();
        agent
            .0
            .get_mut()
            .write_all(&vec![0; half.into()])
            .await
            .unwrap();
    }
    assert_eq!(agent.hear().await, Heard::Closed(CloseReason::TooBig));
}

#[tokio::test]
async fn a_frame_without_anything_sealed_closes_its_sender() {
    let relay = start(Limits::default()).await;
    let (mut agent, _signer) = relay.pair(1).await;
    agent.send_raw(Message::binary(vec![0, 0, 0, 1])).await;
    assert_eq!(agent.hear().await, Heard::Closed(CloseReason::BadFrame));
}

#[tokio::test]
async fn an_end_that_says_good_bye_gets_an_answer() {
    let relay = start(Limits::default()).await;
    let (mut agent, mut signer) = relay.pair(1).await;
    signer.0.close(None).await.unwrap();
    assert_eq!(signer.hear().await, Heard::Gone);
    assert_eq!(agent.hear().await, Heard::Left(1));
}

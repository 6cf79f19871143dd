use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::support::{channels, one_bit_changed};
use crate::limits::{FRAME_CLASSES, TAG};
use crate::{Channel, ChannelEnded, MAX_MESSAGE};

#[test]
fn messages_arrive_in_both_directions() {
    let (mut signer, mut agent) = channels();
    for round in 0..3_u8 {
        let frame = signer.seal(&[b'a', round]).unwrap();
        assert_eq!(agent.open(&frame).unwrap(), [b'a', round]);
        let frame = agent.seal(&[b'b', round]).unwrap();
        assert_eq!(signer.open(&frame).unwrap(), [b'b', round]);
    }
}

#[test]
fn the_same_message_is_never_the_same_frame() {
    let (mut signer, mut agent) = channels();
    let first = signer.seal(b"same").unwrap();
    assert_ne!(first, signer.seal(b"same").unwrap());
    assert_ne!(first, agent.seal(b"same").unwrap());
}

#[test]
fn messages_fill_their_class_exactly_and_one_byte_more_takes_the_next() {
    let (mut signer, mut agent) = channels();
    let mut check = |length: usize, class: usize| {
        let message = vec![0xff; length];
        let frame = signer.seal(&message).unwrap();
        assert_eq!(frame.len(), class + TAG);
        assert_eq!(agent.open(&frame).unwrap(), message);
    };
    check(0, 256);
    for pair in FRAME_CLASSES.windows(2) {
        check(pair[0] - 4, pair[0]);
        check(pair[0] - 3, pair[1]);
    }
    check(MAX_MESSAGE, 61_440);
}

#[test]
fn a_message_over_the_largest_class_ends_the_channel() {
    let (mut signer, _) = channels();
    let message = vec![0; MAX_MESSAGE + 1];
    assert_eq!(signer.seal(&message), Err(ChannelEnded::MessageTooLong));
    assert_over(&mut signer, ChannelEnded::MessageTooLong);
}

#[test]
fn a_frame_with_one_bit_changed_ends_the_channel_at_every_position() {
    let (mut signer, mut agent) = channels();
    let frame = signer.seal(b"request").unwrap();
    assert_eq!(agent.open(&frame).unwrap(), b"request");
    for changed in one_bit_changed(&frame) {
        let (_, mut agent) = channels();
        assert_eq!(agent.open(&changed), Err(ChannelEnded::NotAuthentic));
        assert_eq!(agent.open(&frame), Err(ChannelEnded::NotAuthentic));
    }
}

#[test]
fn frames_one_byte_shorter_or_longer_end_the_channel() {
    let (mut signer, _) = channels();
    let frame = signer.seal(b"request").unwrap();
    let longer = [&frame[..], &[0]].concat();
    for wrong in [&frame[..frame.len() - 1], &longer, &frame[..TAG], &[]] {
        let (_, mut agent) = channels();
        assert_eq!(agent.open(wrong), Err(ChannelEnded::NotAuthentic));
        assert_over(&mut agent, ChannelEnded::NotAuthentic);
    }
}

#[test]
fn a_frame_far_too_long_ends_the_channel() {
    let (_, mut agent) = channels();
    let frame = vec![0; 1 << 20];
    assert_eq!(agent.open(&frame), Err(ChannelEnded::NotAuthentic));
}

#[test]
fn a_replayed_frame_ends_the_channel() {
    let (mut signer, mut agent) = channels();
    let frame = signer.seal(b"request").unwrap();
    assert_eq!(agent.open(&frame).unwrap(), b"request");
    assert_eq!(agent.open(&frame), Err(ChannelEnded::NotAuthentic));
    let next = signer.seal(b"next").unwrap();
    assert_eq!(agent.open(&next), Err(ChannelEnded::NotAuthentic));
    assert_over(&mut agent, ChannelEnded::NotAuthentic);
}

#[test]
fn frames_out_of_order_end_the_channel() {
    let (mut signer, mut agent) = channels();
    let first = signer.seal(b"first").unwrap();
    let second = signer.seal(b"second").unwrap();
    assert_eq!(agent.open(&second), Err(ChannelEnded::NotAuthentic));
    assert_eq!(agent.open(&first), Err(ChannelEnded::NotAuthentic));
    assert_over(&mut agent, ChannelEnded::NotAuthentic);
}

#[test]
fn a_frame_sent_back_to_its_sender_ends_the_channel() {
    let (mut signer, _) = channels();
    let frame = signer.seal(b"request").unwrap();
    assert_eq!(signer.open(&frame), Err(ChannelEnded::NotAuthentic));
}

fn assert_over(channel: &mut Channel, why: ChannelEnded) {
    assert_eq!(channel.seal(b"x"), Err(why));
    assert_eq!(channel.seal(&vec![0; MAX_MESSAGE + 1]), Err(why));
    assert_eq!(channel.open(&[0; 272]), Err(why));
    assert_eq!(channel.open(&[]), Err(why));
}

/// What a bad carrier does with one frame.
#[derive(Debug, Clone)]
enum Fate {
    Delivered,
    Dropped,
    Duplicated,
    Delayed,
    Damaged(usize),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Delivered),
        1 => Just(Fate::Dropped),
        1 => Just(Fate::Duplicated),
        1 => Just(Fate::Delayed),
        1 => (0..4096_usize).prop_map(Fate::Damaged),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_bad_carrier_yields_the_sent_messages_in_order_and_then_an_end(
        sent in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..600), fate()), 1..20)
    ) {
        let (mut signer, mut agent) = channels();
        let mut arriving: Vec<Vec<u8>> = Vec::new();
        let mut delayed = Vec::new();
        for (message, fate) in &sent {
            let mut frame = signer.seal(message).unwrap();
            match fate {
                Fate::Delivered => arriving.push(frame),
                Fate::Dropped => {}
                Fate::Duplicated => arriving.extend([frame.clone(), frame]),
                Fate::Delayed => {
                    delayed.push(frame);
                    continue;
                }
                Fate::Damaged(position) => {
                    let position = position.checked_rem(frame.len()).unwrap();
                    frame[position] ^= 1;
                    arriving.push(frame);
                }
            }
            arriving.append(&mut delayed);
        }
        let untouched = sent.iter().take_while(|(_, fate)| matches!(fate, Fate::Delivered)).count();
        let opened: Vec<_> = arriving.iter().map(|frame| agent.open(frame)).collect();
        let good = opened.iter().take_while(|result| result.is_ok()).count();

        prop_assert!(good >= untouched);
        for (result, (message, _)) in opened.iter().zip(&sent).take(good) {
            prop_assert_eq!(result.as_ref(), Ok(message));
        }
        for result in &opened[good..] {
            prop_assert_eq!(result, &Err(ChannelEnded::NotAuthentic));
        }
    }

    #[test]
    fn bytes_of_a_stranger_never_open(bytes in prop::collection::vec(any::<u8>(), 0..1100)) {
        let (_, mut agent) = channels();
        prop_assert_eq!(agent.open(&bytes), Err(ChannelEnded::NotAuthentic));
    }
}

use std::format;
use std::vec;

use super::support::{
    PLACE, agent, linked, one_bit_changed, psk, receive, receive_with, signer, start,
};
use crate::limits::{
    HANDSHAKE_CLASSES, MAX_HANDSHAKE_PAYLOAD, MESSAGE_1_OVERHEAD, MESSAGE_2_OVERHEAD,
};
use crate::{
    Entropy, HandshakeFailed, Initiator, Place, Psk, PublicKey, Purpose, Responder, StaticSecret,
};

#[test]
fn both_ends_learn_each_others_key_and_payload_and_the_same_hash() {
    let linked = linked();
    assert_eq!(linked.on_signer.peer, agent().public());
    assert_eq!(linked.on_signer.payload, b"welcome");
    assert_eq!(linked.on_agent.peer, signer().public());
    assert_eq!(linked.on_agent.payload, b"hello");
    assert_eq!(linked.on_signer.hash, linked.on_agent.hash);
}

#[test]
fn the_agent_knows_key_and_payload_before_it_answers() {
    let (_, message1) = start(b"hello");
    let (_, peer, payload) = receive(&message1).unwrap();
    assert_eq!(peer, signer().public());
    assert_eq!(payload, b"hello");
}

#[test]
fn other_entropy_gives_another_handshake() {
    let (_, message1) = start(b"hello");
    let hash = |entropy| {
        let entropy = Entropy::from_bytes([entropy; 32]);
        let (responder, _, _) =
            Responder::receive(&agent(), &psk(), &PLACE, entropy, &message1).unwrap();
        responder.answer(b"").unwrap().1.hash
    };
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2));
}

#[test]
fn a_wrong_psk_is_refused_with_the_first_message() {
    let (_, message1) = start(b"hello");
    let mut wrong = [0x44; 32];
    wrong[31] ^= 1;
    let wrong = Psk::from_bytes(wrong);
    let result = receive_with(&agent(), &wrong, &PLACE, &message1);
    assert_eq!(result.unwrap_err(), HandshakeFailed::NotAuthentic);
}

#[test]
fn an_initiator_with_a_wrong_agent_key_is_refused() {
    let other = StaticSecret::from_bytes([0x23; 32]);
    let (_, message1) = start(b"hello");
    let result = receive_with(&other, &psk(), &PLACE, &message1);
    assert_eq!(result.unwrap_err(), HandshakeFailed::NotAuthentic);
}

#[test]
fn an_answer_of_another_agent_is_refused() {
    let (initiator, _) = start(b"hello");
    let other = StaticSecret::from_bytes([0x23; 32]);
    let (_, for_other) = Initiator::start(
        &signer(),
        &other.public(),
        &psk(),
        &PLACE,
        Entropy::from_bytes([0x55; 32]),
        b"hello",
    )
    .unwrap();
    let (responder, _, _) = receive_with(&other, &psk(), &PLACE, &for_other).unwrap();
    let (_, _, message2) = responder.answer(b"welcome").unwrap();
    assert_eq!(
        initiator.finish(&message2).unwrap_err(),
        HandshakeFailed::NotAuthentic
    );
}

#[test]
fn a_message_for_another_mailbox_is_refused() {
    let (_, message1) = start(b"hello");
    let mut place = PLACE;
    place.mailbox[15] ^= 1;
    let result = receive_with(&agent(), &psk(), &place, &message1);
    assert_eq!(result.unwrap_err(), HandshakeFailed::NotAuthentic);
}

#[test]
fn a_message_for_another_purpose_is_refused() {
    let (_, message1) = start(b"hello");
    let place = Place {
        purpose: Purpose::Link,
        ..PLACE
    };
    let result = receive_with(&agent(), &psk(), &place, &message1);
    assert_eq!(result.unwrap_err(), HandshakeFailed::NotAuthentic);
}

#[test]
fn an_answer_to_another_first_message_is_refused() {
    let (_, message1) = start(b"hello");
    let (other, _) = start(b"other");
    let (responder, _, _) = receive(&message1).unwrap();
    let (_, _, message2) = responder.answer(b"welcome").unwrap();
    assert_eq!(
        other.finish(&message2).unwrap_err(),
        HandshakeFailed::NotAuthentic
    );
}

#[test]
fn a_first_message_with_one_bit_changed_is_refused_at_every_position() {
    let (_, message1) = start(b"hello");
    assert!(receive(&message1).is_ok());
    for changed in one_bit_changed(&message1) {
        assert_eq!(
            receive(&changed).unwrap_err(),
            HandshakeFailed::NotAuthentic
        );
    }
}

#[test]
fn the_ignored_top_bit_of_the_ephemeral_key_is_authenticated_too() {
    let (_, mut message1) = start(b"hello");
    message1[31] ^= 0x80;
    assert_eq!(
        receive(&message1).unwrap_err(),
        HandshakeFailed::NotAuthentic
    );
}

#[test]
fn an_answer_with_one_bit_changed_is_refused_at_every_position() {
    let (_, message1) = start(b"hello");
    let (responder, _, _) = receive(&message1).unwrap();
    let (_, _, message2) = responder.answer(b"welcome").unwrap();
    assert!(start(b"hello").0.finish(&message2).is_ok());
    for changed in one_bit_changed(&message2) {
        let (initiator, _) = start(b"hello");
        assert_eq!(
            initiator.finish(&changed).unwrap_err(),
            HandshakeFailed::NotAuthentic
        );
    }
}

#[test]
fn messages_one_byte_shorter_or_longer_are_refused() {
    let (initiator, message1) = start(b"hello");
    let (responder, _, _) = receive(&message1).unwrap();
    let (_, _, message2) = responder.answer(b"welcome").unwrap();
    assert!(initiator.finish(&message2).is_ok());

    let longer = [&message1[..], &[0]].concat();
    for wrong in [&message1[..message1.len() - 1], &longer, &[]] {
        assert_eq!(receive(wrong).unwrap_err(), HandshakeFailed::NotAuthentic);
    }
    let longer = [&message2[..], &[0]].concat();
    for wrong in [&message2[..message2.len() - 1], &longer, &[]] {
        let (initiator, _) = start(b"hello");
        assert_eq!(
            initiator.finish(wrong).unwrap_err(),
            HandshakeFailed::NotAuthentic
        );
    }
}

#[test]
fn payloads_fill_their_class_exactly_and_one_byte_more_takes_the_next() {
    for (length, class) in [(0, 256), (252, 256), (253, 1024), (1020, 1024)] {
        let payload = vec![7; length];
        let (initiator, message1) = start(&payload);
        assert_eq!(message1.len(), MESSAGE_1_OVERHEAD + class);
        let (responder, _, got) = receive(&message1).unwrap();
        assert_eq!(got, payload);
        let (_, _, message2) = responder.answer(&payload).unwrap();
        assert_eq!(message2.len(), MESSAGE_2_OVERHEAD + class);
        assert_eq!(initiator.finish(&message2).unwrap().1.payload, payload);
    }
    assert_eq!(HANDSHAKE_CLASSES, [256, 1024]);
}

#[test]
fn a_payload_over_the_largest_class_is_refused() {
    let payload = [7; MAX_HANDSHAKE_PAYLOAD + 1];
    let result = Initiator::start(
        &signer(),
        &agent().public(),
        &psk(),
        &PLACE,
        Entropy::from_bytes([0x55; 32]),
        &payload,
    );
    assert_eq!(result.unwrap_err(), HandshakeFailed::PayloadTooLong);

    let (_, message1) = start(b"hello");
    let (responder, _, _) = receive(&message1).unwrap();
    assert_eq!(
        responder.answer(&payload).unwrap_err(),
        HandshakeFailed::PayloadTooLong
    );
}

#[test]
fn a_first_message_far_too_long_is_refused() {
    let (_, mut message1) = start(b"hello");
    message1.resize(1 << 20, 0);
    assert_eq!(
        receive(&message1).unwrap_err(),
        HandshakeFailed::NotAuthentic
    );
}

#[test]
fn an_agent_key_of_low_order_is_refused_before_anything_is_sent() {
    let mut one = [0; 32];
    one[0] = 1;
    for low in [[0; 32], one] {
        let result = Initiator::start(
            &signer(),
            &PublicKey(low),
            &psk(),
            &PLACE,
            Entropy::from_bytes([0x55; 32]),
            b"hello",
        );
        assert_eq!(result.unwrap_err(), HandshakeFailed::UnusableKey);
    }
}

#[test]
fn an_ephemeral_key_of_low_order_is_refused() {
    let (_, mut message1) = start(b"hello");
    message1[..32].fill(0);
    assert_eq!(
        receive(&message1).unwrap_err(),
        HandshakeFailed::NotAuthentic
    );
}

#[test]
fn handshake_states_do_not_print_themselves() {
    let (initiator, message1) = start(b"hello");
    let (responder, _, _) = receive(&message1).unwrap();
    assert_eq!(
        format!("{initiator:?} {responder:?}"),
        "Initiator(..) Responder(..)"
    );
    assert_eq!(format!("{:?}", linked().on_agent.hash), "HandshakeHash(..)");
}

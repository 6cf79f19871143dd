//! The vectors of `docs/spec/vectors/link.json`.

use std::string::ToString as _;
use std::vec;
use std::vec::Vec;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    Bond, Channel, Entropy, HandshakeHash, Initiator, Offer, OfferRejected, Place, Psk, PublicKey,
    Purpose, Responder, StaticSecret, after_pairing, commitment, short_code,
};

#[test]
fn the_handshakes_of_the_specification_come_out_byte_for_byte() {
    let vectors = vectors();
    assert!(!list(&vectors["handshakes"]).is_empty());
    for vector in list(&vectors["handshakes"]) {
        let place = place(vector);
        let own = StaticSecret::from_bytes(array(&vector["signer_secret"]));
        let agent = StaticSecret::from_bytes(array(&vector["agent_secret"]));
        let psk = Psk::from_bytes(array(&vector["psk"]));
        assert_eq!(own.public().0, array(&vector["signer_public"]));
        assert_eq!(agent.public().0, array(&vector["agent_public"]));
        assert_eq!(place.prologue(), bytes(&vector["prologue"]));

        let (initiator, message1) = Initiator::start(
            &own,
            &agent.public(),
            &psk,
            &place,
            Entropy::from_bytes(array(&vector["signer_entropy"])),
            &bytes(&vector["payload1"]),
        )
        .unwrap();
        assert_eq!(message1, bytes(&vector["message1"]));
        let entropy = Entropy::from_bytes(array(&vector["agent_entropy"]));
        let (responder, peer, payload) =
            Responder::receive(&agent, &psk, &place, entropy, &message1).unwrap();
        assert_eq!(peer, own.public());
        assert_eq!(payload, bytes(&vector["payload1"]));
        let (mut agent, on_agent, message2) =
            responder.answer(&bytes(&vector["payload2"])).unwrap();
        assert_eq!(message2, bytes(&vector["message2"]));
        let (mut signer, on_signer) = initiator.finish(&message2).unwrap();
        assert_eq!(on_signer.payload, bytes(&vector["payload2"]));
        assert_eq!(on_signer.hash.0, array(&vector["hash"]));
        assert_eq!(on_agent.hash, on_signer.hash);

        assert!(!list(&vector["frames"]).is_empty());
        for frame in list(&vector["frames"]) {
            match text(&frame["from"]) {
                "signer" => carries(&mut signer, &mut agent, frame),
                "agent" => carries(&mut agent, &mut signer, frame),
                other => panic!("no such end: {other}"),
            }
        }
    }
}

#[test]
fn the_codes_of_the_specification_come_out_digit_for_digit() {
    let vectors = vectors();
    let [pairing, _] = list(&vectors["handshakes"]) else {
        panic!("one pairing and one link");
    };
    assert!(!list(&vectors["short_codes"]).is_empty());
    for vector in list(&vectors["short_codes"]).iter().chain([pairing]) {
        let hash = HandshakeHash(array(&vector["hash"]));
        let nonce = array(&vector["nonce"]);
        assert_eq!(commitment(&nonce), array(&vector["commitment"]));
        assert_eq!(
            short_code(&hash, &nonce).to_string(),
            text(&vector["short_code"])
        );
    }
}

#[test]
fn the_long_lived_values_are_the_ones_the_second_handshake_uses() {
    let vectors = vectors();
    let [pairing, link] = list(&vectors["handshakes"]) else {
        panic!("one pairing and one link");
    };
    let secret = Psk::from_bytes(array(&pairing["psk"]));
    let hash = HandshakeHash(array(&pairing["hash"]));
    let long_lived = after_pairing(&secret, &hash);
    assert_eq!(
        *long_lived.psk.expose(),
        array(&pairing["long_lived"]["psk"])
    );
    assert_eq!(long_lived.mailbox, array(&pairing["long_lived"]["mailbox"]));
    assert_eq!(*long_lived.psk.expose(), array(&link["psk"]));
    assert_eq!(long_lived.mailbox, array(&link["mailbox"]));
    let bond = Bond {
        own: StaticSecret::from_bytes(array(&pairing["signer_secret"])),
        peer: PublicKey(array(&pairing["agent_public"])),
        psk: long_lived.psk,
        mailbox: long_lived.mailbox,
    };
    assert_eq!(bond.id().to_string(), text(&pairing["long_lived"]["name"]));
}

#[test]
fn the_offers_of_the_specification_come_out_byte_for_byte() {
    let vectors = vectors();
    assert!(!list(&vectors["offers"]).is_empty());
    for vector in list(&vectors["offers"]) {
        let link = text(&vector["link"]);
        let offer = Offer::parse(link).unwrap();
        assert_eq!(offer.relay, text(&vector["relay"]));
        assert_eq!(offer.mailbox, array(&vector["mailbox"]));
        assert_eq!(offer.agent, PublicKey(array(&vector["agent"])));
        assert_eq!(*offer.secret.expose(), array(&vector["secret"]));
        assert_eq!(Some(offer.expires), vector["expires"].as_u64());
        assert_eq!(offer.encode().unwrap(), link);
    }
}

#[test]
fn the_bad_offers_of_the_specification_are_refused_for_their_reason() {
    let vectors = vectors();
    assert!(!list(&vectors["rejected_offers"]).is_empty());
    for vector in list(&vectors["rejected_offers"]) {
        let reason = match text(&vector["reason"]) {
            "malformed" => OfferRejected::Malformed,
            "unknown version" => OfferRejected::UnknownVersion,
            "bad relay" => OfferRejected::BadRelay,
            other => panic!("no such reason: {other}"),
        };
        let rejected = Offer::parse(text(&vector["link"])).unwrap_err();
        assert_eq!(rejected, reason, "{}", text(&vector["why"]));
    }
}

fn carries(from: &mut Channel, to: &mut Channel, vector: &Value) {
    let message = match vector["message_length"].as_u64() {
        Some(length) => {
            let [byte] = array(&vector["message_byte"]);
            vec![byte; usize::try_from(length).unwrap()]
        }
        None => bytes(&vector["message"]),
    };
    let frame = from.seal(&message).unwrap();
    match vector.get("frame_sha256") {
        Some(digest) => assert_eq!(Sha256::digest(&frame)[..], bytes(digest)),
        None => assert_eq!(frame, bytes(&vector["frame"])),
    }
    assert_eq!(to.open(&frame).unwrap(), message);
}

fn place(vector: &Value) -> Place {
    let purpose = match text(&vector["purpose"]) {
        "pairing" => Purpose::Pairing,
        "link" => Purpose::Link,
        other => panic!("no such purpose: {other}"),
    };
    Place {
        purpose,
        mailbox: array(&vector["mailbox"]),
    }
}

fn vectors() -> Value {
    let file = include_str!("../../../../docs/spec/vectors/link.json");
    serde_json::from_str(file).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    let (pairs, []) = text(value).as_bytes().as_chunks::<2>() else {
        panic!("half a byte");
    };
    let digit = |c: u8| char::from(c).to_digit(16).unwrap();
    pairs
        .iter()
        .map(|[high, low]| u8::try_from((digit(*high) << 4) | digit(*low)).unwrap())
        .collect()
}

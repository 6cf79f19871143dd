use std::format;
use std::string::ToString as _;
use std::vec;

use super::*;

fn offer(relay: &str) -> Offer {
    Offer {
        relay: relay.to_owned(),
        mailbox: [1; 16],
        agent: PublicKey([2; 32]),
        secret: Psk::from_bytes([3; 32]),
        expires: 1_800_000_000,
    }
}

/// The encoded bytes of a good offer, for tests to damage.
fn good() -> Vec<u8> {
    let link = offer("https://relay.example.org").encode().unwrap();
    let (_, fragment) = link.split_once('#').unwrap();
    Base64UrlUnpadded::decode_vec(fragment).unwrap()
}

fn rejected(bytes: &[u8]) -> OfferRejected {
    Offer::parse(&Base64UrlUnpadded::encode_string(bytes)).unwrap_err()
}

/// A good offer with another relay put in as it is; 89 bytes stand before its length.
fn with_relay(relay: &str) -> String {
    let mut bytes = good();
    bytes.truncate(89);
    bytes.push(u8::try_from(relay.len()).unwrap());
    bytes.extend(relay.as_bytes());
    Base64UrlUnpadded::encode_string(&bytes)
}

#[test]
fn a_link_brings_back_every_field() {
    let link = offer("https://relay.example.org:8443").encode().unwrap();
    assert!(link.starts_with("https://relay.example.org:8443/pair#"));
    let back = Offer::parse(&link).unwrap();
    assert_eq!(back.relay, "https://relay.example.org:8443");
    assert_eq!(back.mailbox, [1; 16]);
    assert_eq!(back.agent, PublicKey([2; 32]));
    assert_eq!(back.secret.expose(), &[3; 32]);
    assert_eq!(back.expires, 1_800_000_000);
}

#[test]
fn the_part_after_the_hash_sign_is_enough() {
    let link = offer("https://relay.example.org").encode().unwrap();
    let (_, fragment) = link.split_once('#').unwrap();
    assert_eq!(
        Offer::parse(fragment).unwrap().relay,
        "https://relay.example.org"
    );
}

#[test]
fn a_link_is_good_in_its_last_second() {
    assert_eq!(offer("http://localhost").check(1_800_000_000), Ok(()));
}

#[test]
fn a_link_is_expired_one_second_later() {
    assert_eq!(
        offer("http://localhost").check(1_800_000_001),
        Err(OfferRejected::Expired)
    );
}

#[test]
fn an_offer_cut_anywhere_is_refused() {
    let bytes = good();
    assert!(Offer::parse(&Base64UrlUnpadded::encode_string(&bytes)).is_ok());
    for length in 0..bytes.len() {
        assert_eq!(rejected(&bytes[..length]), OfferRejected::Malformed);
    }
}

#[test]
fn an_offer_with_one_byte_more_is_refused() {
    let mut bytes = good();
    bytes.push(b'x');
    assert_eq!(rejected(&bytes), OfferRejected::Malformed);
}

#[test]
fn every_other_version_is_refused_as_unknown() {
    let mut bytes = good();
    for version in (0..=u8::MAX).filter(|version| *version != VERSION) {
        bytes[0] = version;
        assert_eq!(rejected(&bytes), OfferRejected::UnknownVersion);
    }
}

#[test]
fn the_longest_relay_makes_a_link_within_the_limit() {
    let relay = format!("https://{}", "a".repeat(MAX_RELAY - 8));
    let link = offer(&relay).encode().unwrap();
    assert!(link.len() <= MAX_LINK, "{}", link.len());
    assert_eq!(Offer::parse(&link).unwrap().relay, relay);
}

#[test]
fn a_relay_one_byte_longer_is_refused() {
    let relay = format!("https://{}", "a".repeat(MAX_RELAY - 7));
    assert_eq!(offer(&relay).encode(), Err(OfferRejected::BadRelay));
    assert_eq!(
        Offer::parse(&with_relay(&relay)).unwrap_err(),
        OfferRejected::BadRelay
    );
}

#[test]
fn a_link_of_the_longest_length_is_read() {
    let link = offer("http://localhost").encode().unwrap();
    let padded = format!("{}{link}", "x".repeat(MAX_LINK - link.len()));
    assert!(Offer::parse(&padded).is_ok());
}

#[test]
fn a_link_one_byte_longer_is_refused() {
    let link = offer("http://localhost").encode().unwrap();
    let padded = format!("{}{link}", "x".repeat(MAX_LINK + 1 - link.len()));
    assert_eq!(Offer::parse(&padded).unwrap_err(), OfferRejected::Malformed);
}

#[test]
fn plain_origins_are_accepted() {
    for relay in [
        "http://localhost",
        "http://127.0.0.1:8440",
        "https://[::1]",
        "https://[2001:db8::1]:65535",
        "https://a-b.example.org:1",
    ] {
        assert_eq!(Offer::parse(&with_relay(relay)).unwrap().relay, relay);
        assert!(offer(relay).encode().is_ok(), "{relay}");
    }
}

#[test]
fn anything_but_a_plain_origin_is_refused() {
    for relay in [
        "",
        "relay.example.org",
        "wss://relay.example.org",
        "ftp://relay.example.org",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "HTTPS://relay.example.org",
        "https:/relay.example.org",
        "https://",
        "https://:443",
        "https://Relay.example.org",
        "https://relay.example.org/",
        "https://relay.example.org/path",
        "https://relay.example.org?query",
        "https://relay.example.org#fragment",
        "https://user@relay.example.org",
        "https://relay..example.org",
        "https://relay.example.org.",
        "https://-relay.example.org",
        "https://relay-.example.org",
        "https://relay example.org",
        "https://relay\u{202e}.example.org",
        "https://relay.example.org:",
        "https://relay.example.org:0",
        "https://relay.example.org:080",
        "https://relay.example.org:+80",
        "https://relay.example.org:65536",
        "https://relay.example.org:80:80",
        "https://::1",
        "https://[::1",
        "https://[]",
        "https://[relay.example.org]",
        "https://[::1]x",
        "https://[::1]x:80",
    ] {
        assert_eq!(
            Offer::parse(&with_relay(relay)).unwrap_err(),
            OfferRejected::BadRelay,
            "{relay}"
        );
        assert_eq!(
            offer(relay).encode(),
            Err(OfferRejected::BadRelay),
            "{relay}"
        );
    }
}

#[test]
fn a_relay_that_is_no_text_is_refused() {
    let mut bytes = good();
    *bytes.last_mut().unwrap() = 0xff;
    assert_eq!(rejected(&bytes), OfferRejected::Malformed);
}

#[test]
fn text_that_is_not_base64url_is_refused() {
    for text in ["", "#", "!", "AQ==", "AQ+/", "AQ AQ", "https://relay/pair"] {
        assert_eq!(Offer::parse(text).unwrap_err(), OfferRejected::Malformed);
    }
}

#[test]
fn base64url_with_bits_left_over_is_refused() {
    let bytes = vec![VERSION];
    assert_eq!(Base64UrlUnpadded::encode_string(&bytes), "AQ");
    assert_eq!(Offer::parse("AR").unwrap_err(), OfferRejected::Malformed);
    let mut link = offer("https://relay.example.org").encode().unwrap();
    assert!(Offer::parse(&link).is_ok());
    let last = link.pop().unwrap();
    link.push(char::from(u8::try_from(last).unwrap() + 1));
    assert_eq!(Offer::parse(&link).unwrap_err(), OfferRejected::Malformed);
}

#[test]
fn an_offer_does_not_print_its_secrets() {
    let text = format!("{:?}", offer("http://localhost"));
    assert_eq!(
        text,
        "Offer { relay: \"http://localhost\", expires: 1800000000, .. }"
    );
}

#[test]
fn every_rejection_has_a_next_step() {
    for rejected in [
        OfferRejected::Malformed,
        OfferRejected::UnknownVersion,
        OfferRejected::BadRelay,
        OfferRejected::Expired,
    ] {
        assert!(!rejected.hint().is_empty());
        assert!(!rejected.to_string().is_empty());
    }
}

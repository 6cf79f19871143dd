use std::string::ToString as _;

use super::support::{linked, one_bit_changed, psk};
use crate::{HandshakeHash, Psk, after_pairing, commitment, short_code};

const NONCE: [u8; 32] = [0x77; 32];

#[test]
fn both_ends_show_the_same_code_and_derive_the_same_link() {
    let linked = linked();
    assert_eq!(
        short_code(&linked.on_signer.hash, &NONCE),
        short_code(&linked.on_agent.hash, &NONCE)
    );
    let on_signer = after_pairing(&psk(), &linked.on_signer.hash);
    let on_agent = after_pairing(&psk(), &linked.on_agent.hash);
    assert_eq!(on_signer.psk.expose(), on_agent.psk.expose());
    assert_eq!(on_signer.mailbox, on_agent.mailbox);
}

#[test]
fn another_handshake_has_another_code_and_another_link() {
    let one = HandshakeHash([1; 32]);
    let two = HandshakeHash([2; 32]);
    assert_ne!(short_code(&one, &NONCE), short_code(&two, &NONCE));
    let secret = Psk::from_bytes([3; 32]);
    let (one, two) = (after_pairing(&secret, &one), after_pairing(&secret, &two));
    assert_ne!(one.psk.expose(), two.psk.expose());
    assert_ne!(one.mailbox, two.mailbox);
}

#[test]
fn another_nonce_has_another_code() {
    let hash = HandshakeHash([1; 32]);
    let mut other = NONCE;
    other[31] ^= 1;
    assert_ne!(short_code(&hash, &NONCE), short_code(&hash, &other));
}

#[test]
fn hash_and_nonce_do_not_stand_for_each_other() {
    let (one, two) = ([1; 32], [2; 32]);
    assert_ne!(
        short_code(&HandshakeHash(one), &two),
        short_code(&HandshakeHash(two), &one)
    );
}

#[test]
fn the_nonce_that_was_committed_to_fits() {
    let promised = commitment(&NONCE);
    let revealed = NONCE;
    assert_eq!(commitment(&revealed), promised);
}

#[test]
fn a_nonce_one_bit_away_from_the_commitment_does_not_fit() {
    let promised = commitment(&NONCE);
    for revealed in one_bit_changed(&NONCE) {
        let revealed = revealed.try_into().unwrap();
        assert_ne!(commitment(&revealed), promised);
    }
}

#[test]
fn another_secret_gives_another_link() {
    let hash = HandshakeHash([1; 32]);
    let one = after_pairing(&Psk::from_bytes([3; 32]), &hash);
    let two = after_pairing(&Psk::from_bytes([4; 32]), &hash);
    assert_ne!(one.psk.expose(), two.psk.expose());
    assert_ne!(one.mailbox, two.mailbox);
}

#[test]
fn a_code_is_two_groups_of_three_digits_for_every_nonce() {
    for byte in 0..=u8::MAX {
        let code = short_code(&HandshakeHash([1; 32]), &[byte; 32]).to_string();
        let (first, second) = code.split_once('-').unwrap();
        for group in [first, second] {
            assert_eq!(group.len(), 3);
            assert!(group.bytes().all(|digit| digit.is_ascii_digit()));
        }
    }
}

use std::string::ToString as _;

use super::support::{linked, psk};
use crate::{HandshakeHash, Psk, after_pairing, short_code};

#[test]
fn both_ends_show_the_same_code_and_derive_the_same_link() {
    let linked = linked();
    assert_eq!(
        short_code(&linked.on_signer.hash),
        short_code(&linked.on_agent.hash)
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
    assert_ne!(short_code(&one), short_code(&two));
    let secret = Psk::from_bytes([3; 32]);
    let (one, two) = (after_pairing(&secret, &one), after_pairing(&secret, &two));
    assert_ne!(one.psk.expose(), two.psk.expose());
    assert_ne!(one.mailbox, two.mailbox);
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
fn a_code_is_two_groups_of_three_digits_for_every_hash() {
    for byte in 0..=u8::MAX {
        let code = short_code(&HandshakeHash([byte; 32])).to_string();
        let (first, second) = code.split_once('-').unwrap();
        for group in [first, second] {
            assert_eq!(group.len(), 3);
            assert!(group.bytes().all(|digit| digit.is_ascii_digit()));
        }
    }
}

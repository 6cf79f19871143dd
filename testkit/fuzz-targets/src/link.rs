//! Offers, handshakes and channels.
use std::sync::OnceLock;

use vmux_link::{
    Bond, Channel, ChannelEnded, Entropy, Initiator, MAX_MESSAGE, Offer, Place, Psk, Purpose,
    Responder, StaticSecret,
};

use crate::choices::{Choices, flipped};

/// A pairing link.
pub fn offer(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let Ok(offer) = Offer::parse(text) else {
        return;
    };
    let written = offer.encode().expect("an offer that was taken");
    let fragment = text.split_once('#').map_or(text, |(_, after)| after);
    let (before, after) = written.split_once('#').expect("a link");
    assert_eq!(after, fragment, "an offer has one spelling");
    assert!(before.starts_with(&offer.relay));
    let again = Offer::parse(&written).expect("our own link");
    assert_eq!(
        (again.relay, again.mailbox, again.agent, again.expires),
        (
            offer.relay.clone(),
            offer.mailbox,
            offer.agent,
            offer.expires
        )
    );
    assert_eq!(again.secret.expose(), offer.secret.expose());
    assert!(offer.check(offer.expires).is_ok());
    assert!(offer.expires == u64::MAX || offer.check(offer.expires + 1).is_err());
    assert!(!format!("{offer:?}").contains(fragment));
}

/// Handshake messages of a stranger, or with a bit changed, lead nowhere.
pub fn handshake(data: &[u8]) {
    let mut choices = Choices::new(data);
    let (agent, signer) = (key(1), key(2));
    let psk = || Psk::from_bytes([3; 32]);
    let place = Place {
        purpose: Purpose::Link,
        mailbox: [4; 16],
    };
    let entropy = |byte| Entropy::from_bytes([byte; 32]);
    let payload = choices.piece();
    let Ok((initiator, message1)) = Initiator::start(
        &signer,
        &agent.public(),
        &psk(),
        &place,
        entropy(5),
        payload,
    ) else {
        return;
    };
    let sent = hostile(&message1, &mut choices);
    let received = Responder::receive(&agent, &psk(), &place, entropy(6), &sent);
    assert_eq!(received.is_ok(), sent == message1);
    let Ok((responder, peer, heard)) = received else {
        return;
    };
    assert_eq!((peer, heard.as_slice()), (signer.public(), payload));
    let answer = choices.piece();
    let Ok((mut here, _, message2)) = responder.answer(answer) else {
        return;
    };
    let sent = hostile(&message2, &mut choices);
    let finished = initiator.finish(&sent);
    assert_eq!(finished.is_ok(), sent == message2);
    let Ok((mut there, met)) = finished else {
        return;
    };
    assert_eq!((met.peer, met.payload.as_slice()), (agent.public(), answer));
    let frame = there.seal(b"hello").expect("a fresh channel");
    assert_eq!(here.open(&frame).as_deref(), Ok(&b"hello"[..]));
}

fn hostile(message: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
    match choices.below(4) {
        0 | 1 => message.to_vec(),
        2 => flipped(message, usize::from(choices.byte()) * 7),
        _ => choices.piece().to_vec(),
    }
}

/// Frames of a relay that may change, drop, repeat and invent.
pub fn channel(data: &[u8]) {
    let mut choices = Choices::new(data);
    let (mut signer, mut agent) = channels();
    let mut past: Vec<Vec<u8>> = Vec::new();
    let mut ended: Option<ChannelEnded> = None;
    while !choices.is_empty() {
        let op = choices.below(6);
        let message = choices.piece();
        let honest = signer.seal(message);
        if message.len() > MAX_MESSAGE {
            assert_eq!(honest.err(), Some(ChannelEnded::MessageTooLong));
            return;
        }
        let honest = honest.expect("the sender's channel is sound");
        let sent = match op {
            0..3 => honest.clone(),
            3 => flipped(&honest, usize::from(choices.byte()) * 3),
            4 => choices.piece().to_vec(),
            _ if past.is_empty() => honest.clone(),
            _ => choices.one(&past).clone(),
        };
        let opened = agent.open(&sent);
        if let Some(ended) = ended {
            assert_eq!(opened, Err(ended), "for good");
        } else if sent == honest {
            assert_eq!(opened.as_deref(), Ok(message));
        } else {
            assert_eq!(opened, Err(ChannelEnded::NotAuthentic));
            ended = Some(ChannelEnded::NotAuthentic);
            assert_eq!(agent.seal(message), Err(ChannelEnded::NotAuthentic));
        }
        past.push(honest);
    }
}

fn channels() -> (Channel, Channel) {
    let (agent, signer) = bonds(0);
    let entropy = |byte| Entropy::from_bytes([byte; 32]);
    let (caller, message1) = signer.call(entropy(5), b"").expect("message 1");
    let (here, _, message2) = agent.answer(entropy(6), &message1, b"").expect("message 2");
    let (there, _) = caller.finish(&message2).expect("a channel");
    (there, here)
}

/// The agent's and the signer's half of one of two pairings.
pub(crate) fn bonds(pairing: u8) -> (Bond, Bond) {
    static ALL: OnceLock<[[[u8; Bond::SIZE]; 2]; 2]> = OnceLock::new();
    let all = ALL.get_or_init(|| [0, 1].map(make_bonds));
    let [agent, signer] = &all[usize::from(pairing)];
    let read = |bytes| Bond::from_bytes(bytes).expect("a bond's bytes");
    (read(agent), read(signer))
}

fn make_bonds(pairing: u8) -> [[u8; Bond::SIZE]; 2] {
    let (agent, signer) = (key(0x10 + 2 * pairing), key(0x11 + 2 * pairing));
    let (agent_public, signer_public) = (agent.public(), signer.public());
    let bond = |own, peer| Bond {
        own,
        peer,
        psk: Psk::from_bytes([0x30 + pairing; 32]),
        mailbox: [0x40 + pairing; 16],
    };
    let both = [bond(agent, signer_public), bond(signer, agent_public)];
    both.map(|bond| *bond.to_bytes())
}

fn key(byte: u8) -> StaticSecret {
    StaticSecret::from_bytes([byte; 32])
}

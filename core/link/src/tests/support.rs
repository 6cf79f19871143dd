//! Two ends with fixed keys.

use std::vec::Vec;

use crate::{
    Channel, Entropy, Established, HandshakeFailed, Initiator, Place, Psk, PublicKey, Purpose,
    Responder, StaticSecret,
};

pub(crate) const PLACE: Place = Place {
    purpose: Purpose::Pairing,
    mailbox: [0x33; 16],
};

pub(crate) fn signer() -> StaticSecret {
    StaticSecret::from_bytes([0x11; 32])
}

pub(crate) fn agent() -> StaticSecret {
    StaticSecret::from_bytes([0x22; 32])
}

pub(crate) fn psk() -> Psk {
    Psk::from_bytes([0x44; 32])
}

pub(crate) fn start(payload: &[u8]) -> (Initiator, Vec<u8>) {
    let entropy = Entropy::from_bytes([0x55; 32]);
    Initiator::start(
        &signer(),
        &agent().public(),
        &psk(),
        &PLACE,
        entropy,
        payload,
    )
    .unwrap()
}

pub(crate) fn receive(message1: &[u8]) -> Result<(Responder, PublicKey, Vec<u8>), HandshakeFailed> {
    receive_with(&agent(), &psk(), &PLACE, message1)
}

pub(crate) fn receive_with(
    own: &StaticSecret,
    psk: &Psk,
    place: &Place,
    message1: &[u8],
) -> Result<(Responder, PublicKey, Vec<u8>), HandshakeFailed> {
    Responder::receive(own, psk, place, Entropy::from_bytes([0x66; 32]), message1)
}

pub(crate) struct Linked {
    pub(crate) signer: Channel,
    pub(crate) agent: Channel,
    pub(crate) on_signer: Established,
    pub(crate) on_agent: Established,
}

pub(crate) fn linked() -> Linked {
    let (initiator, message1) = start(b"hello");
    let (responder, _, _) = receive(&message1).unwrap();
    let (agent, on_agent, message2) = responder.answer(b"welcome").unwrap();
    let (signer, on_signer) = initiator.finish(&message2).unwrap();
    Linked {
        signer,
        agent,
        on_signer,
        on_agent,
    }
}

/// The signer's and the agent's channel of one handshake.
pub(crate) fn channels() -> (Channel, Channel) {
    let linked = linked();
    (linked.signer, linked.agent)
}

/// `bytes` with one bit changed, at each byte position in turn.
pub(crate) fn one_bit_changed(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..bytes.len()).map(|position| {
        let mut changed = bytes.to_vec();
        changed[position] ^= 1 << (position % 8);
        changed
    })
}

//! The handshake: the signer speaks first, the agent answers, both have a [`Channel`].
//!
//! The pre-shared key is mixed into message 1 already, so a wrong one is refused there (I15) and
//! not after both ends believe they are connected. Whoever records message 1 can send it again: what
//! [`Responder::receive`] gives is proof that the initiator wrote it once, not that it is there.
//! Only an opened channel frame proves that.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use snow::HandshakeState;
use zeroize::Zeroizing;

use crate::channel::Channel;
use crate::limits::{HANDSHAKE_CLASSES, MESSAGE_1_OVERHEAD, MESSAGE_2_OVERHEAD};
use crate::padding::{class_of, pad, unpad};
use crate::place::Place;
use crate::secret::{Entropy, Psk, PublicKey, StaticSecret};
use crate::suite::{NAME, PSK_POSITION, Suite};

/// Why a handshake came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeFailed {
    /// The payload to send is over [`crate::limits::MAX_HANDSHAKE_PAYLOAD`].
    #[error("the handshake payload is too long")]
    PayloadTooLong,
    /// The other end's public key is none that a secret could have made.
    #[error("the other end's public key is unusable")]
    UnusableKey,
    /// The message was not made for this handshake: another secret, key, mailbox or purpose, or it
    /// was changed on the way.
    #[error("the handshake message is not authentic")]
    NotAuthentic,
}

/// Names one finished handshake; both ends have the same, and no two handshakes do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HandshakeHash(pub [u8; 32]);

/// It leads to the short code, so it stays out of logs.
impl fmt::Debug for HandshakeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandshakeHash(..)")
    }
}

/// What a finished handshake established about the other end.
#[derive(Debug)]
pub struct Established {
    /// The other end's public key.
    pub peer: PublicKey,
    /// What the other end sent inside its handshake message.
    pub payload: Vec<u8>,
    /// The name of this handshake.
    pub hash: HandshakeHash,
}

/// The signer's side, waiting for message 2.
pub struct Initiator {
    noise: Box<HandshakeState>,
    peer: PublicKey,
}

impl Initiator {
    /// Begins a handshake with `peer` and makes message 1, which carries `payload`.
    pub fn start(
        own: &StaticSecret,
        peer: &PublicKey,
        psk: &Psk,
        place: &Place,
        entropy: Entropy,
        payload: &[u8],
    ) -> Result<(Self, Vec<u8>), HandshakeFailed> {
        let text = pad(payload, &HANDSHAKE_CLASSES).ok_or(HandshakeFailed::PayloadTooLong)?;
        // The secrets are ours and any 32 bytes make one, so only the peer's key can be at fault.
        let mut noise = prepare(own, Some(peer), psk, place, entropy)
            .map_err(|_| HandshakeFailed::UnusableKey)?;
        let message =
            write(&mut noise, &text, MESSAGE_1_OVERHEAD).ok_or(HandshakeFailed::UnusableKey)?;
        forget_psk(&mut noise);
        let peer = *peer;
        Ok((Self { noise, peer }, message))
    }

    /// Reads message 2.
    pub fn finish(mut self, message2: &[u8]) -> Result<(Channel, Established), HandshakeFailed> {
        let payload = read(&mut self.noise, message2, MESSAGE_2_OVERHEAD)
            .ok_or(HandshakeFailed::NotAuthentic)?;
        establish(self.noise, self.peer, payload)
    }
}

impl fmt::Debug for Initiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Initiator(..)")
    }
}

/// The agent's side, with message 1 read and message 2 to make.
pub struct Responder {
    noise: Box<HandshakeState>,
    peer: PublicKey,
    payload: Vec<u8>,
}

impl Responder {
    /// Reads message 1; gives the initiator's public key and payload to decide on before answering.
    ///
    /// Both may be a recording: do nothing lasting for them until the channel opened a frame.
    pub fn receive(
        own: &StaticSecret,
        psk: &Psk,
        place: &Place,
        entropy: Entropy,
        message1: &[u8],
    ) -> Result<(Self, PublicKey, Vec<u8>), HandshakeFailed> {
        let mut noise =
            prepare(own, None, psk, place, entropy).map_err(|_| HandshakeFailed::NotAuthentic)?;
        let payload =
            read(&mut noise, message1, MESSAGE_1_OVERHEAD).ok_or(HandshakeFailed::NotAuthentic)?;
        forget_psk(&mut noise);
        let peer = noise
            .get_remote_static()
            .and_then(|key| key.try_into().ok())
            .map(PublicKey)
            .ok_or(HandshakeFailed::NotAuthentic)?;
        let waiting = Self {
            noise,
            peer,
            payload: payload.clone(),
        };
        Ok((waiting, peer, payload))
    }

    /// Makes message 2, which carries `payload`.
    pub fn answer(
        mut self,
        payload: &[u8],
    ) -> Result<(Channel, Established, Vec<u8>), HandshakeFailed> {
        let text = pad(payload, &HANDSHAKE_CLASSES).ok_or(HandshakeFailed::PayloadTooLong)?;
        let message = write(&mut self.noise, &text, MESSAGE_2_OVERHEAD)
            .ok_or(HandshakeFailed::NotAuthentic)?;
        let (channel, established) = establish(self.noise, self.peer, self.payload)?;
        Ok((channel, established, message))
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Responder(..)")
    }
}

fn prepare(
    own: &StaticSecret,
    peer: Option<&PublicKey>,
    psk: &Psk,
    place: &Place,
    entropy: Entropy,
) -> Result<Box<HandshakeState>, snow::Error> {
    let prologue = place.prologue();
    let builder = snow::Builder::with_resolver(NAME.parse()?, Box::new(Suite::new(entropy)))
        .local_private_key(own.expose())?
        .psk(PSK_POSITION, psk.expose())?
        .prologue(&prologue)?;
    let state = match peer {
        Some(peer) => builder.remote_public_key(&peer.0)?.build_initiator()?,
        None => builder.build_responder()?,
    };
    Ok(Box::new(state))
}

fn write(noise: &mut HandshakeState, text: &[u8], overhead: usize) -> Option<Vec<u8>> {
    let length = text.len().checked_add(overhead)?;
    let mut message = vec![0; length];
    let written = noise.write_message(text, &mut message).ok()?;
    (written == length).then_some(message)
}

fn read(noise: &mut HandshakeState, message: &[u8], overhead: usize) -> Option<Vec<u8>> {
    let class = class_of(message.len(), overhead, &HANDSHAKE_CLASSES)?;
    let mut text = Zeroizing::new(vec![0; class]);
    let read = noise.read_message(message, &mut text).ok()?;
    unpad(text.get(..read)?, &HANDSHAKE_CLASSES)
}

/// Overwrites snow's copy of the pre-shared key, which only message 1 needs.
fn forget_psk(noise: &mut HandshakeState) {
    let result = noise.set_psk(usize::from(PSK_POSITION), &[0; 32]);
    debug_assert!(result.is_ok(), "psk1 is a position snow knows");
}

fn establish(
    noise: Box<HandshakeState>,
    peer: PublicKey,
    payload: Vec<u8>,
) -> Result<(Channel, Established), HandshakeFailed> {
    let hash = noise
        .get_handshake_hash()
        .try_into()
        .map(HandshakeHash)
        .map_err(|_| HandshakeFailed::NotAuthentic)?;
    let transport = noise
        .into_transport_mode()
        .map_err(|_| HandshakeFailed::NotAuthentic)?;
    let established = Established {
        peer,
        payload,
        hash,
    };
    Ok((Channel::new(transport), established))
}

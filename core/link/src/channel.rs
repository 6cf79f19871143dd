//! The transport state of a link: messages in, sealed frames out, and back.
//!
//! Frames are numbered by position, so the carrier must keep their order. A number is used once, and
//! the first frame that does not open ends the channel, as does any other failure (I14): there is
//! no way to go on past a gap, and an attacker gets one try. An ended channel has wiped its keys
//! and gives the same answer for ever.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use snow::TransportState;
use zeroize::Zeroizing;

use crate::limits::{FRAME_CLASSES, MAX_FRAMES, TAG};
use crate::padding::{class_of, pad, unpad};

/// Why a channel ended. It stays ended; a new handshake makes a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChannelEnded {
    /// A message over [`crate::MAX_MESSAGE`] was to be sent; the other end would miss it unknowingly.
    #[error("a message was too long for the channel")]
    MessageTooLong,
    /// A frame was not the next one of the other end: changed, repeated, lost, or out of order.
    #[error("a frame is not authentic")]
    NotAuthentic,
    /// One direction carried [`crate::limits::MAX_FRAMES`] frames, all its key is good for.
    #[error("the channel's keys are used up")]
    UsedUp,
}

/// One end of an established link.
pub struct Channel {
    state: State,
    sealed: u64,
    opened: u64,
}

enum State {
    Open(Box<TransportState>),
    Ended(ChannelEnded),
}

impl Channel {
    pub(crate) fn new(transport: TransportState) -> Self {
        Self {
            state: State::Open(Box::new(transport)),
            sealed: 0,
            opened: 0,
        }
    }

    /// Seals `message` into the next frame to send.
    pub fn seal(&mut self, message: &[u8]) -> Result<Vec<u8>, ChannelEnded> {
        let result = match &mut self.state {
            State::Open(transport) => {
                count(&mut self.sealed).and_then(|()| seal(transport, message))
            }
            State::Ended(why) => Err(*why),
        };
        self.end_on_failure(result)
    }

    /// Opens the next frame received.
    pub fn open(&mut self, frame: &[u8]) -> Result<Vec<u8>, ChannelEnded> {
        let result = match &mut self.state {
            State::Open(transport) => count(&mut self.opened).and_then(|()| open(transport, frame)),
            State::Ended(why) => Err(*why),
        };
        self.end_on_failure(result)
    }

    /// Drops the keys with the state that held them.
    fn end_on_failure(
        &mut self,
        result: Result<Vec<u8>, ChannelEnded>,
    ) -> Result<Vec<u8>, ChannelEnded> {
        if let Err(why) = result {
            self.state = State::Ended(why);
        }
        result
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Open(_) => "open",
            State::Ended(_) => "ended",
        };
        write!(f, "Channel({state})")
    }
}

fn count(frames: &mut u64) -> Result<(), ChannelEnded> {
    if *frames >= MAX_FRAMES {
        return Err(ChannelEnded::UsedUp);
    }
    *frames = frames.saturating_add(1);
    Ok(())
}

fn seal(transport: &mut TransportState, message: &[u8]) -> Result<Vec<u8>, ChannelEnded> {
    let text = pad(message, &FRAME_CLASSES).ok_or(ChannelEnded::MessageTooLong)?;
    let mut frame = vec![0; text.len().saturating_add(TAG)];
    // Both ways to fail mean that this key cannot seal another frame.
    let written = transport
        .write_message(&text, &mut frame)
        .map_err(|_| ChannelEnded::UsedUp)?;
    if written == frame.len() {
        Ok(frame)
    } else {
        Err(ChannelEnded::UsedUp)
    }
}

fn open(transport: &mut TransportState, frame: &[u8]) -> Result<Vec<u8>, ChannelEnded> {
    let class = class_of(frame.len(), TAG, &FRAME_CLASSES).ok_or(ChannelEnded::NotAuthentic)?;
    let mut text = Zeroizing::new(vec![0; class]);
    let read = transport
        .read_message(frame, &mut text)
        .map_err(|_| ChannelEnded::NotAuthentic)?;
    text.get(..read)
        .and_then(|text| unpad(text, &FRAME_CLASSES))
        .ok_or(ChannelEnded::NotAuthentic)
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;
    use crate::limits::MAX_MESSAGE;
    use crate::tests::support::channels;

    #[test]
    fn the_last_frame_of_a_key_is_sealed_and_opened() {
        let (mut signer, mut agent) = channels();
        signer.sealed = MAX_FRAMES - 1;
        agent.opened = MAX_FRAMES - 1;
        let frame = signer.seal(b"last").unwrap();
        assert_eq!(agent.open(&frame).unwrap(), b"last");
    }

    #[test]
    fn one_frame_more_is_not_sealed() {
        let (mut signer, _) = channels();
        signer.sealed = MAX_FRAMES;
        assert_eq!(signer.seal(b"more"), Err(ChannelEnded::UsedUp));
        assert_eq!(signer.open(&[0; 272]), Err(ChannelEnded::UsedUp));
    }

    #[test]
    fn one_frame_more_is_not_opened() {
        let (mut signer, mut agent) = channels();
        let frame = signer.seal(b"more").unwrap();
        agent.opened = MAX_FRAMES;
        assert_eq!(agent.open(&frame), Err(ChannelEnded::UsedUp));
        assert_eq!(agent.seal(b"answer"), Err(ChannelEnded::UsedUp));
    }

    #[test]
    fn each_direction_counts_for_itself() {
        let (mut signer, mut agent) = channels();
        signer.opened = MAX_FRAMES;
        let frame = signer.seal(b"still").unwrap();
        assert_eq!(agent.open(&frame).unwrap(), b"still");
    }

    #[test]
    fn a_sealed_text_with_padding_that_is_not_zero_ends_the_channel() {
        let (mut signer, mut agent) = channels();
        let mut text = pad(b"request", &FRAME_CLASSES).unwrap();
        *text.last_mut().unwrap() = 1;
        let frame = seal_raw(&mut signer, &text);
        assert_eq!(agent.open(&frame), Err(ChannelEnded::NotAuthentic));
        assert_eq!(agent.seal(b"answer"), Err(ChannelEnded::NotAuthentic));
    }

    #[test]
    fn a_sealed_text_with_padding_of_zeros_is_opened() {
        let (mut signer, mut agent) = channels();
        let text = pad(b"request", &FRAME_CLASSES).unwrap();
        let frame = seal_raw(&mut signer, &text);
        assert_eq!(agent.open(&frame).unwrap(), b"request");
    }

    #[test]
    fn a_sealed_text_longer_than_a_class_ends_the_channel() {
        let (mut signer, mut agent) = channels();
        let mut text = pad(b"request", &FRAME_CLASSES).unwrap();
        text.push(0);
        let frame = seal_raw(&mut signer, &text);
        assert_eq!(agent.open(&frame), Err(ChannelEnded::NotAuthentic));
    }

    #[test]
    fn a_sealed_length_beyond_the_text_ends_the_channel() {
        let (mut signer, mut agent) = channels();
        let mut text = pad(b"request", &FRAME_CLASSES).unwrap();
        text[..4].copy_from_slice(&253_u32.to_be_bytes());
        let frame = seal_raw(&mut signer, &text);
        assert_eq!(agent.open(&frame), Err(ChannelEnded::NotAuthentic));
    }

    #[test]
    fn the_state_holding_the_keys_goes_when_the_channel_ends() {
        let (mut signer, _) = channels();
        assert_eq!(format!("{signer:?}"), "Channel(open)");
        signer.seal(&vec![0; MAX_MESSAGE + 1]).unwrap_err();
        assert!(matches!(
            signer.state,
            State::Ended(ChannelEnded::MessageTooLong)
        ));
        assert_eq!(format!("{signer:?}"), "Channel(ended)");
    }

    /// Seals `text` as it is, as another implementation of the other end could.
    fn seal_raw(channel: &mut Channel, text: &[u8]) -> Vec<u8> {
        let State::Open(transport) = &mut channel.state else {
            panic!("the channel has ended");
        };
        let mut frame = vec![0; text.len().saturating_add(TAG)];
        transport.write_message(text, &mut frame).unwrap();
        frame
    }
}

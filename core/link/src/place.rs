//! What a handshake is for and where it happens.
//!
//! Both ends mix it into the transcript, so a message carried from one mailbox or purpose to
//! another does not open.

use alloc::vec::Vec;
use core::fmt;

use crate::label;

/// What a handshake is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To pair, with the secret of an offer.
    Pairing,
    /// To connect two ends that are paired, with their long-lived secret.
    Link,
}

/// What a handshake is for and in which mailbox it happens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// What the handshake is for.
    pub purpose: Purpose,
    /// The mailbox in which both ends meet.
    pub mailbox: [u8; 16],
}

impl Place {
    /// The Noise prologue: every field of variable length carries its length.
    pub(crate) fn prologue(&self) -> Vec<u8> {
        let (label, length) = match self.purpose {
            Purpose::Pairing => (label::PAIRING, PAIRING_LENGTH),
            Purpose::Link => (label::LINK, LINK_LENGTH),
        };
        [
            &[VERSION, length][..],
            label,
            &self.mailbox,
            &[INITIATOR_LENGTH],
            label::INITIATOR,
            &[RESPONDER_LENGTH],
            label::RESPONDER,
        ]
        .concat()
    }
}

/// A mailbox is a capability, so it stays out of logs.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

/// Version of the whole link protocol.
const VERSION: u8 = 1;

const PAIRING_LENGTH: u8 = 20;
const LINK_LENGTH: u8 = 17;
const INITIATOR_LENGTH: u8 = 6;
const RESPONDER_LENGTH: u8 = 5;

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn each_length_in_the_prologue_is_the_one_of_its_label() {
        assert_eq!(usize::from(PAIRING_LENGTH), label::PAIRING.len());
        assert_eq!(usize::from(LINK_LENGTH), label::LINK.len());
        assert_eq!(usize::from(INITIATOR_LENGTH), label::INITIATOR.len());
        assert_eq!(usize::from(RESPONDER_LENGTH), label::RESPONDER.len());
    }

    #[test]
    fn the_prologue_has_version_label_mailbox_and_roles() {
        let place = Place {
            purpose: Purpose::Link,
            mailbox: *b"0123456789abcdef",
        };
        assert_eq!(
            place.prologue(),
            b"\x01\x11vmux-link v1 link0123456789abcdef\x06signer\x05agent"
        );
    }

    #[test]
    fn a_place_does_not_print_its_mailbox() {
        let place = Place {
            purpose: Purpose::Pairing,
            mailbox: [0x41; 16],
        };
        assert_eq!(format!("{place:?}"), "Place { purpose: Pairing, .. }");
    }
}

//! What a pairing leaves behind on each end: all that later handshakes need.
use core::fmt;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::channel::Channel;
use crate::handshake::{Established, HandshakeFailed, Initiator, Responder};
use crate::label;
use crate::place::{Place, Purpose};
use crate::secret::{Entropy, Psk, PublicKey, StaticSecret};

/// Names a link on both of its ends and in what people read; not a secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkId([u8; 8]);

impl LinkId {
    /// Reads the sixteen hexadecimal digits that [`fmt::Display`] writes, in no other spelling.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |text: &str| text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() != 16 || !digits(text) {
            return None;
        }
        let value = u64::from_str_radix(text, 16).ok()?;
        Some(Self(value.to_be_bytes()))
    }
}

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The keys, secret and mailbox of one link.
#[derive(Debug)]
pub struct Bond {
    /// This end's key.
    pub own: StaticSecret,
    /// The other end's key.
    pub peer: PublicKey,
    /// The long-lived secret.
    pub psk: Psk,
    /// Where the ends meet.
    pub mailbox: [u8; 16],
}

impl Bond {
    /// Bytes of a stored bond.
    pub const SIZE: usize = 112;

    /// For the state file: own key, peer's key, secret, mailbox.
    pub fn to_bytes(&self) -> Zeroizing<[u8; Self::SIZE]> {
        let mut bytes = Zeroizing::new([0; Self::SIZE]);
        let parts = self
            .own
            .expose()
            .iter()
            .chain(&self.peer.0)
            .chain(self.psk.expose());
        for (place, byte) in bytes.iter_mut().zip(parts.chain(&self.mailbox)) {
            *place = *byte;
        }
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` if the length is another.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (own, rest) = bytes.split_first_chunk()?;
        let (peer, rest) = rest.split_first_chunk()?;
        let (psk, rest) = rest.split_first_chunk()?;
        let mailbox = rest.try_into().ok()?;
        Some(Self {
            own: StaticSecret::from_bytes(*own),
            peer: PublicKey(*peer),
            psk: Psk::from_bytes(*psk),
            mailbox,
        })
    }

    /// The link's name, the same on both ends.
    pub fn id(&self) -> LinkId {
        let digest = Sha256::new()
            .chain_update(label::LINK_ID)
            .chain_update(self.mailbox)
            .finalize();
        let mut name = [0; 8];
        for (place, byte) in name.iter_mut().zip(digest) {
            *place = byte;
        }
        LinkId(name)
    }

    const fn place(&self) -> Place {
        Place {
            purpose: Purpose::Link,
            mailbox: self.mailbox,
        }
    }

    /// Begins a handshake as the signer.
    pub fn call(
        &self,
        entropy: Entropy,
        payload: &[u8],
    ) -> Result<(Initiator, alloc::vec::Vec<u8>), HandshakeFailed> {
        Initiator::start(
            &self.own,
            &self.peer,
            &self.psk,
            &self.place(),
            entropy,
            payload,
        )
    }

    /// Answers a handshake as the agent; only the paired signer's key is taken.
    pub fn answer(
        &self,
        entropy: Entropy,
        message1: &[u8],
        payload: &[u8],
    ) -> Result<(Channel, Established, alloc::vec::Vec<u8>), HandshakeFailed> {
        let (responder, peer, _) =
            Responder::receive(&self.own, &self.psk, &self.place(), entropy, message1)?;
        if peer != self.peer {
            return Err(HandshakeFailed::NotAuthentic);
        }
        responder.answer(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString as _;

    fn ends() -> (Bond, Bond) {
        let (one, two) = (
            StaticSecret::from_bytes([1; 32]),
            StaticSecret::from_bytes([2; 32]),
        );
        let (first, second) = (one.public(), two.public());
        let psk = || Psk::from_bytes([3; 32]);
        (
            Bond {
                own: one,
                peer: second,
                psk: psk(),
                mailbox: [4; 16],
            },
            Bond {
                own: two,
                peer: first,
                psk: psk(),
                mailbox: [4; 16],
            },
        )
    }

    #[test]
    fn a_bond_comes_back_as_it_was_stored() {
        let (bond, _) = ends();
        let stored = bond.to_bytes();
        let read = Bond::from_bytes(&*stored).unwrap();
        assert_eq!(*read.to_bytes(), *stored);
        assert!(Bond::from_bytes(&stored[1..]).is_none());
        let mut longer = stored.to_vec();
        longer.push(0);
        assert!(Bond::from_bytes(&longer).is_none());
    }

    #[test]
    fn both_ends_give_a_link_the_same_name() {
        let (agent, signer) = ends();
        assert_eq!(agent.id(), signer.id());
        assert_eq!(LinkId::parse(&agent.id().to_string()), Some(agent.id()));
    }

    #[test]
    fn a_link_s_name_has_one_spelling() {
        let name = LinkId([0x00, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde]);
        assert_eq!(name.to_string(), "00123456789abcde");
        assert_eq!(LinkId::parse("00123456789abcde"), Some(name));
        for wrong in [
            "",
            "00123456789abcd",
            "00123456789abcde0",
            "00123456789ABCDE",
            "+0123456789abcde",
            "-0123456789abcde",
            " 0123456789abcde",
            "00123456789abcdg",
            "0x123456789abcde",
            "00123456789abcé",
        ] {
            assert_eq!(LinkId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_paired_signer_is_answered_and_another_with_the_same_secret_is_not() {
        let (agent, mut signer) = ends();
        let (caller, message1) = signer.call(Entropy::from_bytes([5; 32]), b"hi").unwrap();
        let (_, met, message2) = agent
            .answer(Entropy::from_bytes([6; 32]), &message1, b"ho")
            .unwrap();
        assert_eq!(met.payload, b"hi");
        assert_eq!(caller.finish(&message2).unwrap().1.payload, b"ho");

        signer.own = StaticSecret::from_bytes([7; 32]);
        let (_, message1) = signer.call(Entropy::from_bytes([8; 32]), b"hi").unwrap();
        assert!(
            agent
                .answer(Entropy::from_bytes([9; 32]), &message1, b"ho")
                .is_err()
        );
    }
}

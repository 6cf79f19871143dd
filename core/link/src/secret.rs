//! Keys and secrets of a link.
//!
//! Secrets are wiped on drop, print as their name only, cannot be cloned or compared, and are lent
//! by `expose` alone.

use core::fmt;

use x25519_dalek::x25519;
use zeroize::Zeroizing;

/// The private X25519 key by which one end of a link is known.
pub struct StaticSecret(Zeroizing<[u8; 32]>);

impl StaticSecret {
    /// Takes 32 bytes from a good random source, or from the state file.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The public half, which the other end pins.
    pub fn public(&self) -> PublicKey {
        PublicKey(x25519(*self.0, x25519_dalek::X25519_BASEPOINT_BYTES))
    }

    /// Lends the bytes, for the state file.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for StaticSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StaticSecret(..)")
    }
}

/// The public X25519 key of one end of a link.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// A secret both ends know before the handshake: the one of an offer, or the long-lived one.
pub struct Psk(Zeroizing<[u8; 32]>);

impl Psk {
    /// Takes 32 bytes from a good random source, an offer, or the state file.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Lends the bytes, for the state file.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Psk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Psk(..)")
    }
}

/// Fresh random bytes for the ephemeral key of one handshake, used up by it.
pub struct Entropy(Zeroizing<[u8; 32]>);

impl Entropy {
    /// Takes 32 bytes from a good random source, never used before and never again.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn into_bytes(self) -> Zeroizing<[u8; 32]> {
        self.0
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn secrets_do_not_print_themselves() {
        let text = format!(
            "{:?} {:?} {:?}",
            StaticSecret::from_bytes([0xa5; 32]),
            Psk::from_bytes([0xa5; 32]),
            Entropy::from_bytes([0xa5; 32]),
        );
        assert_eq!(text, "StaticSecret(..) Psk(..) Entropy(..)");
    }

    #[test]
    fn public_keys_print_as_hex() {
        let text = format!("{:?}", PublicKey([0x0f; 32]));
        assert_eq!(text, format!("PublicKey({})", "0f".repeat(32)));
    }

    // RFC 7748 section 6.1.
    #[test]
    fn the_public_half_is_the_one_of_the_rfc() {
        let secret = [
            0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1, 0x72, 0x51, 0xb2,
            0x66, 0x45, 0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0, 0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5,
            0x1d, 0xb9, 0x2c, 0x2a,
        ];
        let public = [
            0x85, 0x20, 0xf0, 0x09, 0x89, 0x30, 0xa7, 0x54, 0x74, 0x8b, 0x7d, 0xdc, 0xb4, 0x3e,
            0xf7, 0x5a, 0x0d, 0xbf, 0x3a, 0x0d, 0x26, 0x38, 0x1a, 0xf4, 0xeb, 0xa4, 0xa9, 0x8e,
            0xaa, 0x9b, 0x4e, 0x6a,
        ];
        assert_eq!(StaticSecret::from_bytes(secret).public(), PublicKey(public));
    }
}

//! What both ends derive from a finished pairing, without sending it: the code the person compares
//! before anything is stored (I15), and what later handshakes use.

use core::fmt;

use hkdf::Hkdf;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::handshake::HandshakeHash;
use crate::label;
use crate::secret::Psk;

/// The six digits that the person compares on both screens; shown as `123-456`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShortCode {
    first: u16,
    second: u16,
}

impl fmt::Display for ShortCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}-{:03}", self.first, self.second)
    }
}

/// The code of one pairing handshake and of the nonce that its initiator committed to in it.
///
/// Nobody can aim at a code: whoever chooses the hash does not know the nonce yet, and whoever
/// chose the nonce is bound to it by the [`commitment`] before the hash exists.
pub fn short_code(hash: &HandshakeHash, nonce: &[u8; 32]) -> ShortCode {
    let ikm = [hash.0, *nonce];
    let okm = expand(&Hkdf::new(None, ikm.as_flattened()), label::SHORT_CODE);
    let number = u64::from_be_bytes(*okm);
    ShortCode {
        first: three_digits(number / 1000),
        second: three_digits(number),
    }
}

/// What the initiator of a pairing sends in its first message in place of the nonce.
///
/// The nonce has 32 random bytes, so the commitment hides it; and no other nonce fits.
pub fn commitment(nonce: &[u8; 32]) -> [u8; 32] {
    Sha256::new()
        .chain_update(label::COMMITMENT)
        .chain_update(nonce)
        .finalize()
        .0
}

/// What a link uses from the pairing on.
#[derive(Debug)]
pub struct LongLived {
    /// The secret of every later handshake.
    pub psk: Psk,
    /// The mailbox of every later meeting.
    pub mailbox: [u8; 16],
}

/// What follows from an offer's `secret` and the pairing handshake it was used in.
///
/// It depends on both: whoever learns the secret later still lacks the handshake, and whoever breaks
/// the key exchange later still lacks the secret.
pub fn after_pairing(secret: &Psk, hash: &HandshakeHash) -> LongLived {
    let hkdf = Hkdf::new(Some(&hash.0), secret.expose());
    LongLived {
        psk: Psk::from_bytes(*expand(&hkdf, label::LONG_LIVED_PSK)),
        mailbox: *expand(&hkdf, label::LONG_LIVED_MAILBOX),
    }
}

fn expand<const N: usize>(hkdf: &Hkdf<Sha256>, label: &[u8]) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 255 * 32, "HKDF-SHA256 gives no more than this") };
    let mut okm = Zeroizing::new([0; N]);
    #[expect(
        clippy::expect_used,
        reason = "fails only for a length the line above refuses to compile; zeros must not pass for a key"
    )]
    hkdf.expand(label, &mut *okm)
        .expect("the length is within HKDF's limit");
    okm
}

/// The last three decimal digits.
fn three_digits(number: u64) -> u16 {
    u16::try_from(number % 1000).unwrap_or_default()
}

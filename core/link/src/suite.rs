//! The one Noise suite, `Noise_IKpsk1_25519_AESGCM_SHA256`, for `snow`.
//!
//! `snow` asks for primitives by name and gets exactly these. Its random source is the entropy
//! handed in, given out once: a second draw fails instead of repeating. A Diffie-Hellman result of
//! zero, which only a public key of low order gives, fails as well.

use alloc::boxed::Box;
use core::cell::Cell;

use aes_gcm::aead::{AeadInOut as _, KeyInit as _, inout::InOutBuf};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use sha2::{Digest as _, Sha256};
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher, Dh, Hash, Random};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::limits::TAG;
use crate::secret::Entropy;

/// Name of the suite, as the handshake hashes it.
pub(crate) const NAME: &str = "Noise_IKpsk1_25519_AESGCM_SHA256";

/// Where in the pattern the pre-shared key stands: psk1, at the end of message 1.
pub(crate) const PSK_POSITION: u8 = 1;

/// Gives `snow` the primitives of the suite, and the entropy once.
pub(crate) struct Suite {
    entropy: Cell<Option<Entropy>>,
}

impl Suite {
    pub(crate) fn new(entropy: Entropy) -> Self {
        Self {
            entropy: Cell::new(Some(entropy)),
        }
    }
}

impl CryptoResolver for Suite {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        let entropy = self.entropy.take()?;
        Some(Box::new(OneDraw(Some(entropy))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        match choice {
            DHChoice::Curve25519 => Some(Box::new(X25519::unset())),
            DHChoice::Curve448 => None,
        }
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        match choice {
            HashChoice::SHA256 => Some(Box::new(Sha256Hash(Sha256::new()))),
            HashChoice::SHA512 | HashChoice::Blake2s | HashChoice::Blake2b => None,
        }
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        match choice {
            CipherChoice::AESGCM => Some(Box::new(AesGcm(None))),
            CipherChoice::ChaChaPoly => None,
        }
    }
}

/// A random source with one draw of 32 bytes in it.
struct OneDraw(Option<Entropy>);

impl Random for OneDraw {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        let bytes = self.0.take().ok_or(snow::Error::Rng)?.into_bytes();
        if dest.len() != bytes.len() {
            return Err(snow::Error::Rng);
        }
        dest.copy_from_slice(&*bytes);
        Ok(())
    }
}

/// One X25519 key pair.
struct X25519 {
    secret: StaticSecret,
    public: PublicKey,
}

impl X25519 {
    /// A pair that stands for none; `snow` sets or generates before it uses it.
    fn unset() -> Self {
        Self {
            secret: StaticSecret::from([0; 32]),
            public: PublicKey::from([0; 32]),
        }
    }

    fn become_secret(&mut self, bytes: &[u8; 32]) {
        self.secret = StaticSecret::from(*bytes);
        self.public = PublicKey::from(&self.secret);
    }
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, privkey: &[u8]) {
        // Handshakes give 32 bytes from StaticSecret; anything else leaves the unset pair.
        if let Ok(bytes) = privkey.try_into() {
            self.become_secret(bytes);
        }
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), snow::Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.try_fill_bytes(&mut *bytes)?;
        self.become_secret(&bytes);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn privkey(&self) -> &[u8] {
        self.secret.as_bytes()
    }

    fn dh(&self, pubkey: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        // snow keeps keys of every curve in buffers of one size; ours is the first 32 bytes.
        let (theirs, _) = pubkey.split_first_chunk::<32>().ok_or(snow::Error::Dh)?;
        let (out, _) = out.split_first_chunk_mut::<32>().ok_or(snow::Error::Dh)?;
        let shared = self.secret.diffie_hellman(&PublicKey::from(*theirs));
        if !shared.was_contributory() {
            return Err(snow::Error::Dh);
        }
        out.copy_from_slice(shared.as_bytes());
        Ok(())
    }
}

/// SHA-256.
struct Sha256Hash(Sha256);

impl Hash for Sha256Hash {
    fn name(&self) -> &'static str {
        "SHA256"
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        32
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        if let Some((out, _)) = out.split_first_chunk_mut::<32>() {
            out.copy_from_slice(&self.0.finalize_reset());
        }
    }
}

/// AES-256-GCM, its key schedule made once per key.
struct AesGcm(Option<Aes256Gcm>);

impl AesGcm {
    fn seal(&self, nonce: u64, authtext: &[u8], plaintext: &[u8], out: &mut [u8]) -> Option<usize> {
        let sealed = plaintext.len().checked_add(TAG)?;
        let (text, tag) = out.get_mut(..sealed)?.split_at_mut(plaintext.len());
        let buffer = InOutBuf::new(plaintext, text).ok()?;
        let made = self
            .0
            .as_ref()?
            .encrypt_inout_detached(&nonce_bytes(nonce), authtext, buffer)
            .ok()?;
        tag.copy_from_slice(&made);
        Some(sealed)
    }

    fn open(&self, nonce: u64, authtext: &[u8], sealed: &[u8], out: &mut [u8]) -> Option<usize> {
        let (text, tag) = sealed.split_last_chunk::<TAG>()?;
        let buffer = InOutBuf::new(text, out.get_mut(..text.len())?).ok()?;
        self.0
            .as_ref()?
            .decrypt_inout_detached(&nonce_bytes(nonce), authtext, buffer, &Tag::from(*tag))
            .ok()?;
        Some(text.len())
    }
}

impl Cipher for AesGcm {
    fn name(&self) -> &'static str {
        "AESGCM"
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.0 = Some(Aes256Gcm::new(key.into()));
    }

    /// Says 0 if it could not seal; every caller in this crate compares with the length it expects.
    fn encrypt(&self, nonce: u64, authtext: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        self.seal(nonce, authtext, plaintext, out).unwrap_or(0)
    }

    fn decrypt(
        &self,
        nonce: u64,
        authtext: &[u8],
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, snow::Error> {
        self.open(nonce, authtext, ciphertext, out)
            .ok_or(snow::Error::Decrypt)
    }
}

/// Noise section 12.4: 32 zero bits, then the counter, big-endian.
fn nonce_bytes(counter: u64) -> Nonce<aes_gcm::aead::consts::U12> {
    let mut nonce = [0; 12];
    if let Some(tail) = nonce.last_chunk_mut() {
        *tail = counter.to_be_bytes();
    }
    nonce.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_is_given_out_once() {
        let mut source = OneDraw(Some(Entropy::from_bytes([7; 32])));
        let mut drawn = [0; 32];
        assert_eq!(source.try_fill_bytes(&mut drawn), Ok(()));
        assert_eq!(drawn, [7; 32]);
    }

    #[test]
    fn a_second_draw_fails() {
        let mut source = OneDraw(Some(Entropy::from_bytes([7; 32])));
        let mut drawn = [0; 32];
        source.try_fill_bytes(&mut drawn).unwrap();
        assert_eq!(source.try_fill_bytes(&mut drawn), Err(snow::Error::Rng));
    }

    #[test]
    fn a_draw_of_another_length_fails_and_spends_the_entropy() {
        let mut source = OneDraw(Some(Entropy::from_bytes([7; 32])));
        assert_eq!(source.try_fill_bytes(&mut [0; 31]), Err(snow::Error::Rng));
        assert_eq!(source.try_fill_bytes(&mut [0; 32]), Err(snow::Error::Rng));
    }

    #[test]
    fn the_suite_hands_out_one_source() {
        let suite = Suite::new(Entropy::from_bytes([7; 32]));
        assert!(suite.resolve_rng().is_some());
        assert!(suite.resolve_rng().is_none());
    }

    #[test]
    fn no_other_primitive_is_offered() {
        let suite = Suite::new(Entropy::from_bytes([7; 32]));
        assert!(suite.resolve_dh(&DHChoice::Curve448).is_none());
        assert!(suite.resolve_hash(&HashChoice::SHA512).is_none());
        assert!(suite.resolve_cipher(&CipherChoice::ChaChaPoly).is_none());
    }

    #[test]
    fn a_key_of_full_order_gives_a_shared_secret() {
        let mut ours = X25519::unset();
        ours.set(&[1; 32]);
        let mut theirs = X25519::unset();
        theirs.set(&[2; 32]);
        let mut a = [0; 56];
        let mut b = [0; 56];
        ours.dh(theirs.pubkey(), &mut a).unwrap();
        theirs.dh(ours.pubkey(), &mut b).unwrap();
        assert_eq!(a, b);
        assert_ne!(a, [0; 56]);
    }

    #[test]
    fn keys_of_low_order_give_none() {
        let mut ours = X25519::unset();
        ours.set(&[1; 32]);
        for low in LOW_ORDER {
            let mut out = [0; 56];
            assert_eq!(ours.dh(&low, &mut out), Err(snow::Error::Dh));
            assert_eq!(out, [0; 56]);
        }
    }

    #[test]
    fn sealing_into_too_small_a_buffer_seals_nothing() {
        let mut cipher = AesGcm(None);
        cipher.set(&[3; 32]);
        assert_eq!(cipher.encrypt(0, &[], b"four", &mut [0; 20]), 20);
        assert_eq!(cipher.encrypt(0, &[], b"four", &mut [0; 19]), 0);
    }

    #[test]
    fn sealing_without_a_key_seals_nothing() {
        assert_eq!(AesGcm(None).encrypt(0, &[], b"four", &mut [0; 20]), 0);
    }

    /// The points of order 1, 2, 4 and 8 of the curve and its twist, canonical and not
    /// (cr.yp.to/ecdh.html#validate).
    const LOW_ORDER: [[u8; 32]; 7] = {
        let mut order_4_minus = [0xff; 32];
        order_4_minus[0] = 0xec;
        order_4_minus[31] = 0x7f;
        let mut prime = order_4_minus;
        prime[0] = 0xed;
        let mut prime_plus_1 = order_4_minus;
        prime_plus_1[0] = 0xee;
        let mut one = [0; 32];
        one[0] = 1;
        [
            [0; 32],
            one,
            [
                0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f,
                0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16,
                0x5f, 0x49, 0xb8, 0x00,
            ],
            [
                0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83,
                0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd,
                0xd0, 0x9f, 0x11, 0x57,
            ],
            order_4_minus,
            prime,
            prime_plus_1,
        ]
    };
}

//! Signatures as SSH writes them, and the one place that says whether one is good
//! (RFC 4253 section 6.6, RFC 5656, RFC 8332, RFC 8709, OpenSSH PROTOCOL.u2f).
use crate::key::{Curve, KeyData, PublicKey};
use crate::limits::MAX_SIGNATURE;
use crate::wire::{Malformed, Reader, Writer};
use alloc::vec::Vec;
use sha2::{Digest as _, Sha256};

/// The arithmetic behind verification, supplied by whoever runs the core: pure Rust in
/// [`crate::crypto`], a native back end where speed matters.
pub trait Verifier {
    /// RFC 8032 Ed25519.
    fn ed25519(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool;
    /// ECDSA over the curve's own SHA-2; `r` and `s` are big-endian without sign byte.
    fn ecdsa(&self, curve: Curve, point: &[u8], message: &[u8], r: &[u8], s: &[u8]) -> bool;
    /// RSASSA-PKCS1-v1_5.
    fn rsa(&self, e: &[u8], n: &[u8], hash: RsaHash, message: &[u8], signature: &[u8]) -> bool;
}

/// Hash of an RSA signature (RFC 8332). SHA-1 is not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RsaHash {
    /// `rsa-sha2-256`
    Sha256,
    /// `rsa-sha2-512`
    Sha512,
}

/// A signature that does not prove what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

impl From<Malformed> for BadSignature {
    fn from(_: Malformed) -> Self {
        Self
    }
}

/// A signature blob that was checked against a key and the bytes it signs (I7).
#[derive(Clone, PartialEq, Eq)]
pub struct VerifiedSignature(Vec<u8>);

impl VerifiedSignature {
    /// Checks `candidate`; there is no other way to make one.
    pub fn check(
        verifier: &dyn Verifier,
        key: &PublicKey,
        message: &[u8],
        candidate: Vec<u8>,
    ) -> Result<Self, BadSignature> {
        verify(verifier, key, message, &candidate)?;
        Ok(Self(candidate))
    }

    /// The signature blob.
    pub fn blob(&self) -> &[u8] {
        &self.0
    }
}

impl core::fmt::Debug for VerifiedSignature {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("VerifiedSignature(..)")
    }
}

/// Checks the signature blob `signature` of `key` over `message`; a certificate's plain key counts.
pub fn verify(
    verifier: &dyn Verifier,
    key: &PublicKey,
    message: &[u8],
    signature: &[u8],
) -> Result<(), BadSignature> {
    if signature.len() > MAX_SIGNATURE {
        return Err(BadSignature);
    }
    let mut reader = Reader::new(signature);
    let name = reader.string()?;
    let good = match key.data() {
        KeyData::Ed25519(point) => {
            expect(name, key.algorithm().name())?;
            let value = ed25519_value(&mut reader)?;
            reader.finish()?;
            verifier.ed25519(point, message, &value)
        }
        KeyData::Ecdsa(curve, point) => {
            expect(name, key.algorithm().name())?;
            let (r, s) = ecdsa_value(reader.string()?)?;
            reader.finish()?;
            verifier.ecdsa(*curve, point, message, r, s)
        }
        KeyData::Rsa { e, n } => {
            let hash = match name {
                b"rsa-sha2-256" => RsaHash::Sha256,
                b"rsa-sha2-512" => RsaHash::Sha512,
                _ => return Err(BadSignature),
            };
            let value = reader.string()?;
            reader.finish()?;
            verifier.rsa(e, n, hash, message, value)
        }
        KeyData::SkEd25519(point, application) => {
            expect(name, key.algorithm().name())?;
            let value = ed25519_value(&mut reader)?;
            let signed = fido_message(application, message, &mut reader)?;
            reader.finish()?;
            verifier.ed25519(point, &signed, &value)
        }
        KeyData::SkEcdsaP256(point, application) => {
            expect(name, key.algorithm().name())?;
            let (r, s) = ecdsa_value(reader.string()?)?;
            let signed = fido_message(application, message, &mut reader)?;
            reader.finish()?;
            verifier.ecdsa(Curve::P256, point, &signed, r, s)
        }
    };
    if good { Ok(()) } else { Err(BadSignature) }
}

/// Encodes an Ed25519 signature.
pub fn encode_ed25519(signature: &[u8; 64]) -> Vec<u8> {
    Writer::new()
        .string("ssh-ed25519")
        .string(signature)
        .finish()
}

/// Encodes an ECDSA signature from its two big-endian numbers (RFC 5656 section 3.1.2).
pub fn encode_ecdsa_p256(r: &[u8; 32], s: &[u8; 32]) -> Vec<u8> {
    let pair = Writer::new().positive_mpint(r).positive_mpint(s).finish();
    Writer::new()
        .string("ecdsa-sha2-nistp256")
        .string(pair)
        .finish()
}

fn expect(name: &[u8], expected: &str) -> Result<(), BadSignature> {
    if name == expected.as_bytes() {
        Ok(())
    } else {
        Err(BadSignature)
    }
}

fn ed25519_value(reader: &mut Reader<'_>) -> Result<[u8; 64], BadSignature> {
    reader.string()?.try_into().map_err(|_| BadSignature)
}

fn ecdsa_value(pair: &[u8]) -> Result<(&[u8], &[u8]), BadSignature> {
    let mut reader = Reader::new(pair);
    let r = reader.positive_mpint()?;
    let s = reader.positive_mpint()?;
    reader.finish()?;
    Ok((r, s))
}

/// What a FIDO key signs: hash of the application, flags, counter, hash of the message. A signature
/// without user presence is not accepted.
fn fido_message(
    application: &[u8],
    message: &[u8],
    reader: &mut Reader<'_>,
) -> Result<Vec<u8>, BadSignature> {
    const USER_PRESENT: u8 = 1;
    let flags = reader.u8()?;
    let counter = reader.u32()?;
    if flags & USER_PRESENT == 0 {
        return Err(BadSignature);
    }
    Ok(Writer::new()
        .bytes(&Sha256::digest(application))
        .u8(flags)
        .u32(counter)
        .bytes(&Sha256::digest(message))
        .finish())
}

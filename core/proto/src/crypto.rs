//! Verification in pure Rust, for every target that the core builds for.
use crate::key::Curve;
use crate::signature::{RsaHash, Verifier};
use alloc::vec;
use alloc::vec::Vec;
use ed25519_dalek::VerifyingKey as EdwardsKey;
use p256::ecdsa::signature::Verifier as _;
use rsa::pkcs1v15;
use rsa::{BoxedUint, PublicKey as RsaKey};

/// The RustCrypto back end.
#[derive(Clone, Copy, Debug, Default)]
pub struct PureRust;

impl Verifier for PureRust {
    fn ed25519(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        EdwardsKey::from_bytes(key).is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }

    fn ecdsa(&self, curve: Curve, point: &[u8], message: &[u8], r: &[u8], s: &[u8]) -> bool {
        let Some(pair) = fixed_pair(curve, r, s) else {
            return false;
        };
        match curve {
            Curve::P256 => p256::ecdsa::VerifyingKey::from_sec1_bytes(point).is_ok_and(|key| {
                p256::ecdsa::Signature::from_slice(&pair)
                    .is_ok_and(|signature| key.verify(message, &signature).is_ok())
            }),
            Curve::P384 => p384::ecdsa::VerifyingKey::from_sec1_bytes(point).is_ok_and(|key| {
                p384::ecdsa::Signature::from_slice(&pair)
                    .is_ok_and(|signature| key.verify(message, &signature).is_ok())
            }),
            Curve::P521 => p521::ecdsa::VerifyingKey::from_sec1_bytes(point).is_ok_and(|key| {
                p521::ecdsa::Signature::from_slice(&pair)
                    .is_ok_and(|signature| key.verify(message, &signature).is_ok())
            }),
        }
    }

    fn rsa(&self, e: &[u8], n: &[u8], hash: RsaHash, message: &[u8], signature: &[u8]) -> bool {
        let Ok(key) = RsaKey::new(
            BoxedUint::from_be_slice_vartime(n),
            BoxedUint::from_be_slice_vartime(e),
        ) else {
            return false;
        };
        let Ok(signature) = pkcs1v15::Signature::try_from(signature) else {
            return false;
        };
        match hash {
            RsaHash::Sha256 => pkcs1v15::VerifyingKey::<sha2::Sha256>::new(key)
                .verify(message, &signature)
                .is_ok(),
            RsaHash::Sha512 => pkcs1v15::VerifyingKey::<sha2::Sha512>::new(key)
                .verify(message, &signature)
                .is_ok(),
        }
    }
}

/// `r` and `s` padded to the curve's size, side by side.
fn fixed_pair(curve: Curve, r: &[u8], s: &[u8]) -> Option<Vec<u8>> {
    let size = curve.field_size();
    let mut pair = vec![0; size.checked_mul(2)?];
    let (first, second) = pair.split_at_mut_checked(size)?;
    first
        .get_mut(size.checked_sub(r.len())?..)?
        .copy_from_slice(r);
    second
        .get_mut(size.checked_sub(s.len())?..)?
        .copy_from_slice(s);
    Some(pair)
}

//! Verification with the processor's own instructions, where it has them.
//!
//! Graviola checks Ed25519, ECDSA on P-256 and P-384, and RSA from 2048 bits on; what it lacks, and
//! every processor it does not support, goes to pure Rust. Both give the same verdicts: what one of
//! them would refuse is refused before either is asked.
use graviola::hashing::{Sha256, Sha384};
use graviola::signing::ecdsa::{self, P256, P384};
use graviola::signing::eddsa::Ed25519VerifyingKey;
use graviola::signing::rsa;
use vmux_proto::crypto::{PureRust, edwards_points_are_plain, fixed_pair, nist_point_is_plain};
use vmux_proto::key::Curve;
use vmux_proto::signature::{RsaHash, Verifier};

/// The fastest back end that runs on this processor.
pub fn verifier() -> &'static (dyn Verifier + Sync) {
    if graviola::util::is_cpu_supported() {
        &Native
    } else {
        &PureRust
    }
}

/// Graviola, and pure Rust for the rest.
struct Native;

impl Verifier for Native {
    fn ed25519(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        edwards_points_are_plain(key, signature)
            && Ed25519VerifyingKey::from_bytes(key)
                .is_ok_and(|key| key.verify(signature, message).is_ok())
    }

    fn ecdsa(&self, curve: Curve, point: &[u8], message: &[u8], r: &[u8], s: &[u8]) -> bool {
        let Some(pair) = fixed_pair(curve, r, s).filter(|_| nist_point_is_plain(point)) else {
            return false;
        };
        match curve {
            Curve::P256 => ecdsa::VerifyingKey::<P256>::from_x962_uncompressed(point)
                .is_ok_and(|key| key.verify::<Sha256>(&[message], &pair).is_ok()),
            Curve::P384 => ecdsa::VerifyingKey::<P384>::from_x962_uncompressed(point)
                .is_ok_and(|key| key.verify::<Sha384>(&[message], &pair).is_ok()),
            Curve::P521 => PureRust.ecdsa(curve, point, message, r, s),
        }
    }

    fn rsa(&self, e: &[u8], n: &[u8], hash: RsaHash, message: &[u8], signature: &[u8]) -> bool {
        let (e, n) = (significant(e), significant(n));
        if !MODULUS_BYTES.contains(&n.len()) || e.len() > EXPONENT_BYTES {
            return PureRust.rsa(e, n, hash, message, signature);
        }
        let Ok(key) = rsa::VerifyingKey::from_pkcs1_der(&pkcs1(e, n)) else {
            return false;
        };
        match hash {
            RsaHash::Sha256 => key.verify_pkcs1_sha256(signature, message),
            RsaHash::Sha512 => key.verify_pkcs1_sha512(signature, message),
        }
        .is_ok()
    }
}

/// A number without leading zeros.
fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// An RSA public key as PKCS #1 writes it, which is the one form that Graviola reads.
fn pkcs1(e: &[u8], n: &[u8]) -> Vec<u8> {
    const INTEGER: u8 = 0x02;
    const SEQUENCE: u8 = 0x30;
    let number = |bytes: &[u8]| {
        // A highest bit that is set would be a sign.
        let sign = bytes.first().is_none_or(|first| *first >= 0x80);
        let bytes = [if sign { &[0][..] } else { &[] }, bytes].concat();
        der(INTEGER, &bytes)
    };
    der(SEQUENCE, &[number(n), number(e)].concat())
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = significant(&length);
    let mut encoded = vec![tag];
    if let [short @ ..=0x7f] = length {
        encoded.push(*short);
    } else {
        encoded.extend((0x80..).nth(length.len()));
        encoded.extend_from_slice(length);
    }
    encoded.extend_from_slice(content);
    encoded
}

/// What Graviola takes: 2048 to 8192 bits.
const MODULUS_BYTES: core::ops::RangeInclusive<usize> = 256..=1024;

/// Graviola raises to exponents of 32 bits.
const EXPONENT_BYTES: usize = 4;

#[cfg(test)]
mod tests;

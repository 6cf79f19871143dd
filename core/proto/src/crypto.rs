//! Verification in pure Rust, for every target that the core builds for, and what every other back
//! end has in common with it: the encodings on which libraries differ are refused by all of them.
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
        if !edwards_points_are_plain(key, signature) {
            return false;
        }
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        EdwardsKey::from_bytes(key).is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }

    fn ecdsa(&self, curve: Curve, point: &[u8], message: &[u8], r: &[u8], s: &[u8]) -> bool {
        let Some(pair) = fixed_pair(curve, r, s) else {
            return false;
        };
        if !nist_point_is_plain(point) {
            return false;
        }
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

/// Whether key and commitment of an Ed25519 signature are written the one way that RFC 8032 has, and
/// neither is a point of small order. Verifiers differ on the others.
pub fn edwards_points_are_plain(key: &[u8; 32], signature: &[u8; 64]) -> bool {
    let commitment = signature.first_chunk::<32>();
    edwards_point_is_plain(key) && commitment.is_some_and(edwards_point_is_plain)
}

/// Whether a point is written with both coordinates, as SSH does.
pub fn nist_point_is_plain(point: &[u8]) -> bool {
    point.first() == Some(&4)
}

fn edwards_point_is_plain(point: &[u8; 32]) -> bool {
    let mut y = *point;
    // The highest bit is the sign of x.
    y[31] &= 0x7f;
    let is_reduced = y.iter().rev().lt(FIELD.iter().rev());
    is_reduced && !SMALL_ORDER.contains(&y)
}

/// `r` and `s` padded to the curve's size, side by side.
pub fn fixed_pair(curve: Curve, r: &[u8], s: &[u8]) -> Option<Vec<u8>> {
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

/// The prime 2^255 - 19, lowest byte first.
const FIELD: [u8; 32] = {
    let mut prime = [0xff; 32];
    prime[0] = 0xed;
    prime[31] = 0x7f;
    prime
};

/// The y of the eight points of small order; two points share each, or x is zero.
const SMALL_ORDER: [[u8; 32]; 5] = {
    let mut one = [0; 32];
    one[0] = 1;
    let mut minus_one = FIELD;
    minus_one[0] = 0xec;
    [
        [0; 32],
        one,
        minus_one,
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
            0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77,
            0x92, 0xac, 0x03, 0x7a,
        ],
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ],
    ]
};

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer as _, SigningKey};
    use proptest::collection::vec as any_length;
    use proptest::prelude::{any, proptest};

    #[test]
    fn an_edwards_signature_verifies_and_one_for_a_key_of_small_order_does_not() {
        let secret = SigningKey::from_bytes(&[7; 32]);
        let signature = secret.sign(b"message").to_bytes();
        assert!(PureRust.ed25519(secret.verifying_key().as_bytes(), b"message", &signature));
        // With the neutral point as the key, one signature is good for every message.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut universal = [0; 64];
        universal[0] = 1;
        let lax = EdwardsKey::from_bytes(&neutral).unwrap();
        let as_signature = ed25519_dalek::Signature::from_bytes(&universal);
        assert!(
            lax.verify(b"whatever", &as_signature).is_ok(),
            "the check below would be idle"
        );
        assert!(!PureRust.ed25519(&neutral, b"whatever", &universal));
    }

    #[test]
    fn points_of_small_order_are_not_plain_and_their_neighbours_are() {
        for y in SMALL_ORDER {
            for sign in [0, 0x80] {
                let mut point = y;
                point[31] |= sign;
                // With x zero there is no other sign; such an encoding is no point at all.
                if let Ok(key) = EdwardsKey::from_bytes(&point) {
                    assert!(key.is_weak(), "{point:x?}");
                }
                assert!(!edwards_point_is_plain(&point));
                point[0] ^= 4;
                assert!(edwards_point_is_plain(&point));
            }
        }
    }

    #[test]
    fn a_y_below_the_prime_is_plain_and_the_prime_and_beyond_are_not() {
        let with_lowest = |byte| {
            let mut y = FIELD;
            y[0] = byte;
            y
        };
        assert!(edwards_point_is_plain(&with_lowest(0xeb)));
        for byte in 0xed..=0xff {
            assert!(!edwards_point_is_plain(&with_lowest(byte)));
        }
    }

    #[test]
    fn a_point_with_one_coordinate_verifies_nothing() {
        use p256::ecdsa::signature::Signer as _;
        let secret = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
        let signature: p256::ecdsa::Signature = secret.sign(b"message");
        let (r, s) = signature.split_bytes();
        let ask = |compress| {
            let point = secret.verifying_key().to_sec1_point(compress);
            PureRust.ecdsa(Curve::P256, point.as_bytes(), b"message", &r, &s)
        };
        assert!(ask(false));
        assert!(!ask(true));
    }

    #[test]
    fn a_point_beside_its_curve_verifies_nothing() {
        for curve in [Curve::P256, Curve::P384, Curve::P521] {
            let mut point = vec![1; curve.field_size() * 2 + 1];
            point[0] = 4;
            assert!(!PureRust.ecdsa(curve, &point, b"message", &[1], &[1]));
        }
    }

    #[test]
    fn an_rsa_key_with_exponent_one_verifies_nothing() {
        // Raised to the first power, the padded hash would be its own signature.
        let mut padded = vec![0, 1];
        padded.resize(128 - 52, 0xff);
        padded.push(0);
        padded.extend_from_slice(&[
            0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
            0x01, 0x05, 0x00, 0x04, 0x20,
        ]);
        padded.extend_from_slice(&<sha2::Sha256 as sha2::Digest>::digest(b"message"));
        assert_eq!(padded.len(), 128);
        let n = vec![0xff; 128];
        let number = BoxedUint::from_be_slice_vartime;
        let lax = RsaKey::new_unchecked(number(&n), number(&[1]));
        let as_signature = pkcs1v15::Signature::try_from(&padded[..]).unwrap();
        let lax = pkcs1v15::VerifyingKey::<sha2::Sha256>::new(lax);
        assert!(
            lax.verify(b"message", &as_signature).is_ok(),
            "the check below would be idle"
        );
        assert!(!PureRust.rsa(&[1], &n, RsaHash::Sha256, b"message", &padded));
    }

    #[test]
    fn strange_rsa_numbers_are_refused_without_a_panic() {
        let odd = vec![0xff; 128];
        let even = vec![0xfe; 128];
        let power = [&[0x80][..], &[0; 127]].concat();
        for n in [&odd, &even, &power] {
            for e in [
                &[0][..],
                &[1],
                &[2],
                &[3],
                &[1, 0, 1],
                &[0xff; 8],
                &[0xff; 4],
            ] {
                for signature in [&[][..], &[0; 128], &[1; 128], &[0xff; 128], &[1; 129], &[1]] {
                    assert!(!PureRust.rsa(e, n, RsaHash::Sha512, b"message", signature));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_numbers_make_verification_panic(
            number in any_length(any::<u8>(), 0..140),
            other in any_length(any::<u8>(), 0..140),
            point in any_length(any::<u8>(), 0..140),
        ) {
            for curve in [Curve::P256, Curve::P384, Curve::P521] {
                assert!(!PureRust.ecdsa(curve, &point, b"message", &number, &other));
            }
            assert!(!PureRust.rsa(&other, &number, RsaHash::Sha256, b"message", &point));
        }
    }
}

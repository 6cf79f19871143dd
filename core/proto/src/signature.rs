//! Signatures as SSH writes them, and the one place that says whether one is good
//! (RFC 4253 section 6.6, RFC 5656, RFC 8332, RFC 8709, OpenSSH PROTOCOL.u2f).
use crate::key::{Certificate, Curve, KeyData, PublicKey};
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

/// Checks that the authority a certificate names signed it.
pub fn verify_certificate(
    verifier: &dyn Verifier,
    certificate: &Certificate,
) -> Result<(), BadSignature> {
    let authority = &certificate.body.authority;
    verify(
        verifier,
        authority,
        &certificate.to_be_signed,
        &certificate.signature,
    )
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::PureRust;
    use ed25519_dalek::Signer as _;
    use std::vec;

    const MESSAGE: &[u8] = b"what is signed";
    const APPLICATION: &[u8] = b"ssh:";
    const PRESENT: u8 = 1;
    const VERIFIED: u8 = 4;

    fn edwards() -> ed25519_dalek::SigningKey {
        ed25519_dalek::SigningKey::from_bytes(&[7; 32])
    }

    fn nist() -> p256::ecdsa::SigningKey {
        p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap()
    }

    fn nist_point() -> Vec<u8> {
        nist()
            .verifying_key()
            .to_sec1_point(false)
            .as_bytes()
            .to_vec()
    }

    /// `r` and `s` of a signature, as SSH writes them.
    fn pair(message: &[u8]) -> Vec<u8> {
        let signature: p256::ecdsa::Signature = nist().sign(message);
        let fixed = signature.to_bytes();
        let (r, s) = fixed.split_at(32);
        Writer::new().positive_mpint(r).positive_mpint(s).finish()
    }

    fn check(data: KeyData, blob: &[u8]) -> Result<(), BadSignature> {
        verify(&PureRust, &PublicKey::from_data(data)?, MESSAGE, blob)
    }

    /// What a FIDO authenticator signs (PROTOCOL.u2f), put together apart from [`fido_message`].
    fn authenticated(application: &[u8], flags: u8, counter: u32) -> Vec<u8> {
        let mut bytes = Sha256::digest(application).to_vec();
        bytes.push(flags);
        bytes.extend_from_slice(&counter.to_be_bytes());
        bytes.extend_from_slice(&Sha256::digest(MESSAGE));
        bytes
    }

    fn sk_ed25519(signed: u8, shown: u8, counter: u32) -> Result<(), BadSignature> {
        let value = edwards()
            .sign(&authenticated(APPLICATION, signed, 9))
            .to_bytes();
        let blob = Writer::new()
            .string("sk-ssh-ed25519@openssh.com")
            .string(value)
            .u8(shown)
            .u32(counter)
            .finish();
        check(
            KeyData::SkEd25519(edwards().verifying_key().to_bytes(), APPLICATION.to_vec()),
            &blob,
        )
    }

    fn sk_ecdsa(signed: u8, shown: u8, counter: u32) -> Result<(), BadSignature> {
        let blob = Writer::new()
            .string("sk-ecdsa-sha2-nistp256@openssh.com")
            .string(pair(&authenticated(APPLICATION, signed, 9)))
            .u8(shown)
            .u32(counter)
            .finish();
        check(
            KeyData::SkEcdsaP256(nist_point(), APPLICATION.to_vec()),
            &blob,
        )
    }

    #[test]
    fn fido_signatures_with_a_touch_are_accepted_and_without_are_refused() {
        for sign in [sk_ed25519, sk_ecdsa] {
            for flags in [PRESENT, PRESENT | VERIFIED] {
                assert_eq!(sign(flags, flags, 9), Ok(()));
            }
            for flags in [0, VERIFIED] {
                assert_eq!(sign(flags, flags, 9), Err(BadSignature));
            }
        }
    }

    #[test]
    fn fido_flags_and_counters_that_were_not_signed_are_refused() {
        for sign in [sk_ed25519, sk_ecdsa] {
            assert_eq!(sign(PRESENT, PRESENT | VERIFIED, 9), Err(BadSignature));
            assert_eq!(sign(0, PRESENT, 9), Err(BadSignature));
            assert_eq!(sign(PRESENT, PRESENT, 10), Err(BadSignature));
        }
    }

    #[test]
    fn a_fido_signature_for_another_application_is_refused() {
        let value = edwards()
            .sign(&authenticated(b"ssh:", PRESENT, 9))
            .to_bytes();
        let blob = Writer::new()
            .string("sk-ssh-ed25519@openssh.com")
            .string(value)
            .u8(PRESENT)
            .u32(9)
            .finish();
        let of =
            |name: &[u8]| KeyData::SkEd25519(edwards().verifying_key().to_bytes(), name.to_vec());
        assert_eq!(check(of(b"ssh:"), &blob), Ok(()));
        assert_eq!(check(of(b"ssh:x"), &blob), Err(BadSignature));
        assert_eq!(
            check(of(b"ssh:"), &[&blob[..], &[0]].concat()),
            Err(BadSignature)
        );
        assert_eq!(
            check(of(b"ssh:"), &blob[..blob.len() - 1]),
            Err(BadSignature)
        );
    }

    #[test]
    fn an_ordinary_signature_does_not_count_for_the_fido_key_of_the_same_point() {
        let point = edwards().verifying_key().to_bytes();
        let plain = encode_ed25519(&edwards().sign(MESSAGE).to_bytes());
        assert_eq!(check(KeyData::Ed25519(point), &plain), Ok(()));
        let fido = KeyData::SkEd25519(point, APPLICATION.to_vec());
        assert_eq!(check(fido, &plain), Err(BadSignature));
    }

    #[test]
    fn what_is_encoded_here_verifies_here() {
        let fixed = |message: &[u8]| -> [u8; 64] {
            let signature: p256::ecdsa::Signature = nist().sign(message);
            signature.to_bytes().into()
        };
        let encode = |message: &[u8]| {
            let fixed = fixed(message);
            let (r, s) = fixed.split_at(32);
            encode_ecdsa_p256(r.try_into().unwrap(), s.try_into().unwrap())
        };
        let key = || KeyData::Ecdsa(Curve::P256, nist_point());
        assert_eq!(check(key(), &encode(MESSAGE)), Ok(()));
        assert_eq!(check(key(), &encode(b"something else")), Err(BadSignature));
    }

    #[test]
    fn the_name_in_a_signature_is_the_name_of_its_key() {
        let named = |name: &str| {
            let value = edwards().sign(MESSAGE).to_bytes();
            let blob = Writer::new().string(name).string(value).finish();
            check(
                KeyData::Ed25519(edwards().verifying_key().to_bytes()),
                &blob,
            )
        };
        assert_eq!(named("ssh-ed25519"), Ok(()));
        for name in [
            "ssh-ed25519-cert-v01@openssh.com",
            "ssh-rsa",
            "ssh-ed25519\0",
            "",
        ] {
            assert_eq!(named(name), Err(BadSignature), "{name}");
        }
    }

    #[test]
    fn numbers_of_an_ecdsa_signature_are_positive_minimal_and_of_the_curves_size() {
        let signed = pair(MESSAGE);
        let check_pair = |pair: &[u8]| {
            let blob = Writer::new()
                .string("ecdsa-sha2-nistp256")
                .string(pair)
                .finish();
            check(KeyData::Ecdsa(Curve::P256, nist_point()), &blob)
        };
        let mut reader = Reader::new(&signed);
        let (r, s) = (
            reader.positive_mpint().unwrap(),
            reader.positive_mpint().unwrap(),
        );
        let write = |r: &[u8], s: &[u8]| Writer::new().string(r).string(s).finish();
        assert_eq!(check_pair(&signed), Ok(()));
        assert_eq!(check_pair(&[&signed[..], &[0]].concat()), Err(BadSignature));
        let padded = [&[0, 0][..], r].concat();
        for wrong in [
            write(&padded, s),
            write(&[], s),
            write(r, &[]),
            write(&[1], &[1]),
            write(&[1; 33], s),
            write(&[0x7f; 4000], s),
        ] {
            assert_eq!(check_pair(&wrong), Err(BadSignature));
        }
        let swapped = Writer::new().positive_mpint(s).positive_mpint(r).finish();
        assert_eq!(check_pair(&swapped), Err(BadSignature));
    }

    /// Says yes to every RSA signature, so that only names and lengths decide.
    struct Agreeable;

    impl Verifier for Agreeable {
        fn ed25519(&self, _: &[u8; 32], _: &[u8], _: &[u8; 64]) -> bool {
            false
        }
        fn ecdsa(&self, _: Curve, _: &[u8], _: &[u8], _: &[u8], _: &[u8]) -> bool {
            false
        }
        fn rsa(&self, _: &[u8], _: &[u8], _: RsaHash, _: &[u8], _: &[u8]) -> bool {
            true
        }
    }

    fn check_rsa(name: &str, length: usize) -> Result<(), BadSignature> {
        let (e, n) = (vec![1, 0, 1], vec![0xff; 256]);
        let key = PublicKey::from_data(KeyData::Rsa { e, n })?;
        let blob = Writer::new().string(name).string(vec![1; length]).finish();
        verify(&Agreeable, &key, MESSAGE, &blob)
    }

    #[test]
    fn rsa_signatures_are_made_with_sha2_or_not_at_all() {
        assert_eq!(check_rsa("rsa-sha2-256", 256), Ok(()));
        assert_eq!(check_rsa("rsa-sha2-512", 256), Ok(()));
        for name in [
            "ssh-rsa",
            "ssh-rsa-cert-v01@openssh.com",
            "rsa-sha2-384",
            "rsa-sha1",
            "",
        ] {
            assert_eq!(check_rsa(name, 256), Err(BadSignature), "{name}");
        }
    }

    #[test]
    fn a_signature_at_the_limit_is_read_and_one_byte_more_is_refused() {
        let around = Writer::new()
            .string("rsa-sha2-256")
            .string("")
            .finish()
            .len();
        assert_eq!(check_rsa("rsa-sha2-256", MAX_SIGNATURE - around), Ok(()));
        let longer = check_rsa("rsa-sha2-256", MAX_SIGNATURE - around + 1);
        assert_eq!(longer, Err(BadSignature));
    }

    #[test]
    fn a_verified_signature_shows_nothing_of_itself() {
        let key = KeyData::Ed25519(edwards().verifying_key().to_bytes());
        let key = PublicKey::from_data(key).unwrap();
        let blob = encode_ed25519(&edwards().sign(MESSAGE).to_bytes());
        let checked = VerifiedSignature::check(&PureRust, &key, MESSAGE, blob.clone()).unwrap();
        assert_eq!(checked.blob(), blob);
        assert_eq!(std::format!("{checked:?}"), "VerifiedSignature(..)");
        assert_eq!(
            VerifiedSignature::check(&PureRust, &key, b"other", blob),
            Err(BadSignature)
        );
    }
}

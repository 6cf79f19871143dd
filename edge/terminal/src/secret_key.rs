//! A private key in memory. It signs for an approval of the person and for nothing else (I3), and is
//! wiped when dropped.

use core::fmt;

use p256::ecdsa::signature::Signer as _;
use vmux_host::entropy::{self, NoEntropy};
use vmux_proto::key::PublicKey;
use vmux_proto::signature::{encode_ecdsa_p256, encode_ed25519};
use vmux_proto::wire::Writer;
use vmux_signer::SignJob;
use zeroize::Zeroizing;

/// The kinds of keys this signer holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum KeyType {
    /// `ecdsa-sha2-nistp256`: what most hardware has, too
    #[default]
    #[value(name = "ecdsa-p256")]
    EcdsaP256,
    /// `ssh-ed25519`
    Ed25519,
}

/// A private key with its public half.
pub(crate) struct SecretKey {
    public: PublicKey,
    secret: Secret,
}

enum Secret {
    EcdsaP256(Box<p256::ecdsa::SigningKey>),
    Ed25519(Box<ed25519_dalek::SigningKey>),
}

impl SecretKey {
    /// A new key.
    pub(crate) fn generate(key_type: KeyType) -> Result<Self, NoEntropy> {
        loop {
            let bytes = Zeroizing::new(entropy::fill()?);
            // Of the numbers of 32 bytes, one in four billion is no private key of P-256.
            if let Some(key) = Self::from_bytes(key_type, &bytes) {
                return Ok(key);
            }
        }
    }

    /// The key with these 32 bytes: the scalar of P-256, the seed of Ed25519.
    pub(crate) fn from_bytes(key_type: KeyType, bytes: &[u8; 32]) -> Option<Self> {
        let (blob, secret) = match key_type {
            KeyType::EcdsaP256 => {
                let key = Box::new(p256::ecdsa::SigningKey::from_slice(bytes).ok()?);
                let point = key.verifying_key().to_sec1_point(false);
                let blob = Writer::new()
                    .string("ecdsa-sha2-nistp256")
                    .string("nistp256");
                (
                    blob.string(point.as_bytes()).finish(),
                    Secret::EcdsaP256(key),
                )
            }
            KeyType::Ed25519 => {
                let key = Box::new(ed25519_dalek::SigningKey::from_bytes(bytes));
                let blob = Writer::new()
                    .string("ssh-ed25519")
                    .string(key.verifying_key());
                (blob.finish(), Secret::Ed25519(key))
            }
        };
        Some(Self {
            public: PublicKey::parse(&blob).ok()?,
            secret,
        })
    }

    /// The public half.
    pub(crate) const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Makes the signature that was approved; `None` if the approval is for another key.
    pub(crate) fn sign(&self, job: &SignJob) -> Option<Vec<u8>> {
        job.identity()
            .key
            .same_key(&self.public)
            .then(|| self.sign_bytes(job.bytes()))
    }

    /// Lends the 32 bytes, for the key file.
    pub(crate) fn expose(&self) -> (KeyType, Zeroizing<[u8; 32]>) {
        match &self.secret {
            Secret::EcdsaP256(key) => (KeyType::EcdsaP256, Zeroizing::new(key.to_bytes().into())),
            Secret::Ed25519(key) => (KeyType::Ed25519, Zeroizing::new(key.to_bytes())),
        }
    }

    fn sign_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        match &self.secret {
            Secret::EcdsaP256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(bytes);
                let (r, s) = signature.split_bytes();
                encode_ecdsa_p256(&r.into(), &s.into())
            }
            Secret::Ed25519(key) => encode_ed25519(&key.sign(bytes).to_bytes()),
        }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({:?}, ..)", self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmux_proto::crypto::PureRust;
    use vmux_proto::signature::verify;

    #[test]
    fn what_either_type_signs_verifies_and_other_bytes_do_not() {
        for key_type in [KeyType::EcdsaP256, KeyType::Ed25519] {
            let key = SecretKey::generate(key_type).unwrap();
            let signature = key.sign_bytes(b"this");
            verify(&PureRust, key.public(), b"this", &signature).unwrap();
            verify(&PureRust, key.public(), b"that", &signature).unwrap_err();
        }
    }

    #[test]
    fn a_key_comes_back_from_its_bytes_and_zero_is_no_key_of_p256() {
        for key_type in [KeyType::EcdsaP256, KeyType::Ed25519] {
            let key = SecretKey::generate(key_type).unwrap();
            let (same_type, bytes) = key.expose();
            assert_eq!(same_type, key_type);
            let again = SecretKey::from_bytes(key_type, &bytes).unwrap();
            assert_eq!(again.public(), key.public());
        }
        assert!(SecretKey::from_bytes(KeyType::EcdsaP256, &[0; 32]).is_none());
    }

    #[test]
    fn a_key_prints_its_public_half_only() {
        let key = SecretKey::from_bytes(KeyType::Ed25519, &[7; 32]).unwrap();
        let shown = format!("{key:?}");
        assert!(
            shown.starts_with("SecretKey(PublicKey(ssh-ed25519 SHA256:"),
            "{shown}"
        );
        assert!(
            !shown.contains("7, 7") && !shown.contains("0707"),
            "{shown}"
        );
    }
}

//! The agent's own keys, which live as long as the process at most.
//!
//! Nothing comes in: a key is made here from the system's randomness, and there is no way to make one
//! from bytes that somebody else knows. So no identity's private key can ever be held by this type
//! (I1).
use ed25519_dalek::Signer as _;
use graviola::signing::eddsa::Ed25519SigningKey as NativeKey;
use vmux_host::entropy::{self, NoEntropy};
use vmux_proto::ephemeral::EphemeralKey;
use vmux_proto::key::{KeyData, PublicKey};
use vmux_proto::signature::encode_ed25519;
use vmux_proto::wire::Malformed;
use zeroize::Zeroizing;

/// An Ed25519 key, on the fastest back end that runs on this processor.
pub struct Ed25519 {
    secret: Secret,
    public: PublicKey,
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub enum NotMade {
    /// The system gives no randomness.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// The back end gave a public key that is none.
    #[error("the new key is none: {0}")]
    Malformed(#[from] Malformed),
}

/// Both wipe themselves.
enum Secret {
    Native(NativeKey),
    PureRust(Box<ed25519_dalek::SigningKey>),
}

impl Ed25519 {
    /// A new one.
    pub fn generate() -> Result<Self, NotMade> {
        let seed = Zeroizing::new(entropy::fill::<32>()?);
        let native = if graviola::util::is_cpu_supported() {
            NativeKey::from_bytes(&*seed).ok()
        } else {
            None
        };
        let secret = native.map_or_else(
            || Secret::PureRust(Box::new(ed25519_dalek::SigningKey::from_bytes(&seed))),
            Secret::Native,
        );
        let point = match &secret {
            Secret::Native(key) => key.public_key().as_bytes(),
            Secret::PureRust(key) => key.verifying_key().to_bytes(),
        };
        let public = PublicKey::from_data(KeyData::Ed25519(point))?;
        Ok(Self { secret, public })
    }
}

impl EphemeralKey for Ed25519 {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        encode_ed25519(&match &self.secret {
            Secret::Native(key) => key.sign(message),
            Secret::PureRust(key) => key.sign(message).to_bytes(),
        })
    }
}

impl std::fmt::Debug for Ed25519 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ed25519(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmux_proto::crypto::PureRust;
    use vmux_proto::signature::verify;

    fn pure_rust(key: Ed25519) -> Ed25519 {
        let Secret::Native(native) = &key.secret else {
            return key;
        };
        let same = ed25519_dalek::SigningKey::from_bytes(&native.as_seed());
        Ed25519 {
            secret: Secret::PureRust(Box::new(same)),
            ..key
        }
    }

    #[test]
    fn what_a_key_signs_verifies_with_it_and_with_no_other() {
        let (key, other) = (Ed25519::generate().unwrap(), Ed25519::generate().unwrap());
        let signature = key.sign(b"message");
        assert_eq!(
            verify(&PureRust, key.public(), b"message", &signature),
            Ok(())
        );
        assert!(verify(&PureRust, other.public(), b"message", &signature).is_err());
        assert!(verify(&PureRust, key.public(), b"massage", &signature).is_err());
    }

    #[test]
    fn both_back_ends_make_the_same_signature() {
        let key = Ed25519::generate().unwrap();
        let native = key.sign(b"message");
        assert_eq!(pure_rust(key).sign(b"message"), native);
    }

    #[test]
    fn a_key_does_not_show_its_secret() {
        let key = Ed25519::generate().unwrap();
        assert_eq!(format!("{key:?}"), "Ed25519(..)");
    }
}

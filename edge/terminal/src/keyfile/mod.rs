//! OpenSSH private key files (openssh-key-v1), in and out. The only module that knows `ssh-key`.
//!
//! What is written is encrypted as `ssh-keygen` does it by default: bcrypt-pbkdf and aes256-ctr.
//! Refused are files in older formats, keys of other algorithms, and anything the passphrase does
//! not open.

use core::fmt;

use ssh_key::private::{EcdsaKeypair, Ed25519Keypair, KeypairData};
use ssh_key::{Cipher, EcdsaCurve, Kdf, LineEnding, PrivateKey};
use vmux_host::entropy::{self, NoEntropy};
use zeroize::Zeroizing;

use crate::passphrase::Passphrase;
use crate::secret_key::{KeyType, SecretKey};

/// Why a key file is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyFileRefused {
    /// Not a private key.
    #[error("this is not an OpenSSH private key file")]
    NotAKey,
    /// A public key.
    #[error("this is a public key; the private key is in the file without .pub")]
    Public,
    /// PEM as before OpenSSH 7.8, PKCS#8, or PuTTY's format.
    #[error("this private key is in another format than OpenSSH's own")]
    OtherFormat,
    /// An algorithm this signer does not sign with.
    #[error("this key is of type {0}; only ecdsa-sha2-nistp256 and ssh-ed25519 can be used")]
    Unsupported(String),
    /// The passphrase does not open it.
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// It contradicts itself.
    #[error("the key file is damaged")]
    Damaged,
}

impl KeyFileRefused {
    /// What the person can do about it.
    pub(crate) const fn hint(&self) -> &'static str {
        match self {
            Self::NotAKey | Self::Public => {
                "name a file that begins with BEGIN OPENSSH PRIVATE KEY"
            }
            Self::OtherFormat => {
                "make a copy of the file and convert that: `ssh-keygen -p -f COPY` writes OpenSSH's \
                 format; PuTTYgen exports it, too"
            }
            Self::Unsupported(_) => "make a new key with `vmux-signer key new`",
            Self::WrongPassphrase => "try again",
            Self::Damaged => "use a copy of the file",
        }
    }
}

/// Why a key was not encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotSealed {
    /// No random bytes.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// The encryption failed.
    #[error("the key cannot be encrypted")]
    Failed,
}

/// A private key file that was read.
pub(crate) enum KeyFile {
    /// Its key lies open.
    Open(SecretKey),
    /// Its key needs a passphrase.
    Locked(LockedKey),
}

/// A key that needs a passphrase.
pub(crate) struct LockedKey(Box<PrivateKey>);

impl KeyFile {
    /// Reads a private key file that anybody made.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, KeyFileRefused> {
        let pem = bytes.trim_ascii();
        if !pem.starts_with(OURS) {
            return Err(other_format(pem));
        }
        let key = PrivateKey::from_openssh(bytes).map_err(|_| KeyFileRefused::Damaged)?;
        // Said before anybody is asked for a passphrase in vain.
        match key.algorithm() {
            ssh_key::Algorithm::Ed25519
            | ssh_key::Algorithm::Ecdsa {
                curve: EcdsaCurve::NistP256,
            } => {}
            other => return Err(KeyFileRefused::Unsupported(other.as_str().to_owned())),
        }
        if key.is_encrypted() {
            Ok(Self::Locked(LockedKey(Box::new(key))))
        } else {
            open(&key).map(Self::Open)
        }
    }
}

impl LockedKey {
    /// Opens the key.
    pub(crate) fn unlock(&self, passphrase: &Passphrase) -> Result<SecretKey, KeyFileRefused> {
        let key = self
            .0
            .decrypt(passphrase.expose())
            .map_err(|error| match error {
                ssh_key::Error::Crypto => KeyFileRefused::WrongPassphrase,
                _ => KeyFileRefused::Damaged,
            })?;
        open(&key)
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open(_) => "KeyFile::Open(..)",
            Self::Locked(_) => "KeyFile::Locked(..)",
        })
    }
}

impl fmt::Debug for LockedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockedKey(..)")
    }
}

/// The key as an encrypted file; `comment` is in the encrypted part.
pub(crate) fn seal(
    key: &SecretKey,
    comment: &str,
    passphrase: &Passphrase,
) -> Result<Zeroizing<String>, NotSealed> {
    let kdf = Kdf::Bcrypt {
        salt: entropy::fill::<16>()?.to_vec(),
        rounds: ROUNDS,
    };
    let check = u32::from_be_bytes(entropy::fill()?);
    pair(key)
        .and_then(|pair| PrivateKey::new(pair, comment))
        .and_then(|open| open.encrypt_with(Cipher::Aes256Ctr, kdf, check, passphrase.expose()))
        .and_then(|sealed| sealed.to_openssh(LineEnding::LF))
        .map_err(|_| NotSealed::Failed)
}

fn pair(key: &SecretKey) -> ssh_key::Result<KeypairData> {
    let (key_type, bytes) = key.expose();
    Ok(match key_type {
        KeyType::Ed25519 => Ed25519Keypair::from_seed(&bytes).into(),
        KeyType::EcdsaP256 => {
            let private =
                p256::SecretKey::from_slice(&*bytes).map_err(|_| ssh_key::Error::Crypto)?;
            let public = private.public_key().into();
            EcdsaKeypair::NistP256 {
                public,
                private: private.into(),
            }
            .into()
        }
    })
}

fn open(key: &PrivateKey) -> Result<SecretKey, KeyFileRefused> {
    let (key_type, bytes) = match key.key_data() {
        KeypairData::Ed25519(pair) => (KeyType::Ed25519, Zeroizing::new(pair.private.to_bytes())),
        KeypairData::Ecdsa(EcdsaKeypair::NistP256 { private, .. }) => {
            let mut bytes = Zeroizing::new([0; 32]);
            bytes.copy_from_slice(private.as_slice());
            (KeyType::EcdsaP256, bytes)
        }
        _ => return Err(KeyFileRefused::Damaged),
    };
    let opened = SecretKey::from_bytes(key_type, &bytes).ok_or(KeyFileRefused::Damaged)?;
    // The file says which public key it has; it must be this private key's.
    let named = key
        .public_key()
        .to_bytes()
        .map_err(|_| KeyFileRefused::Damaged)?;
    if named == opened.public().blob() {
        Ok(opened)
    } else {
        Err(KeyFileRefused::Damaged)
    }
}

fn other_format(pem: &[u8]) -> KeyFileRefused {
    let line = pem.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let public = ["ssh-", "ecdsa-", "sk-"]
        .iter()
        .any(|start| line.starts_with(start));
    if line.starts_with("-----BEGIN") && line.contains("PRIVATE KEY") || line.starts_with("PuTTY") {
        KeyFileRefused::OtherFormat
    } else if public || line.contains("PUBLIC KEY") {
        KeyFileRefused::Public
    } else {
        KeyFileRefused::NotAKey
    }
}

/// Longer than any key file of the algorithms we read; an RSA key of 16,384 bits fits, too, and is
/// refused by name.
pub(crate) const MAX_KEY_FILE: usize = 32 * 1024;

const OURS: &[u8] = b"-----BEGIN OPENSSH PRIVATE KEY-----";

/// Rounds of bcrypt-pbkdf; what `ssh-keygen` takes by default.
const ROUNDS: u32 = 24;

#[cfg(test)]
mod tests;

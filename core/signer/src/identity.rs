//! The identities a signer holds: their public halves and what people call them.
use crate::record::{RecordDamaged, decode, encode};
use alloc::string::String;
use alloc::vec::Vec;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use vmux_proto::key::{Fingerprint, PublicKey};
use vmux_proto::limits::{MAX_IDENTITIES, MAX_IDENTITY_BLOB, MAX_NAME};
use vmux_proto::message;

/// A key the signer can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The public key, never a certificate.
    pub key: PublicKey,
    /// What its owner calls it.
    pub label: String,
    /// Whether agents see it.
    pub enabled: bool,
    /// When it was made or imported, in seconds since 1970.
    pub created: u64,
    /// What holds the private half.
    pub kind: IdentityKind,
}

/// What holds the private half of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum IdentityKind {
    /// An encrypted OpenSSH key file.
    #[n(0)]
    File,
}

impl IdentityKind {
    /// The honest words for it.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::File => "software key in an encrypted file",
        }
    }
}

/// All identities, in the order agents list them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identities(Vec<Identity>);

/// Why an identity was not added or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityRefused {
    /// The same key is there already.
    #[error("this key is already an identity")]
    Exists,
    /// The label is empty, too long, or has characters that cannot be shown.
    #[error("a label has 1 to 128 bytes of visible characters")]
    BadLabel,
    /// Another identity has this label.
    #[error("another identity has this label")]
    LabelTaken,
    /// The signer holds as many identities as it can.
    #[error("a signer holds at most 64 identities")]
    TooMany,
    /// The key is too large, or a certificate.
    #[error("the key cannot be an identity: a plain key of at most 768 bytes is needed")]
    Unsuitable,
    /// No identity has this label or fingerprint.
    #[error("no identity has this label or fingerprint")]
    NoSuch,
}

impl Identities {
    /// The identities, in order.
    pub fn all(&self) -> &[Identity] {
        &self.0
    }

    /// The enabled identity with this key; a certificate on it counts as the key.
    pub fn enabled(&self, key: &PublicKey) -> Option<&Identity> {
        self.0
            .iter()
            .find(|identity| identity.enabled && identity.key.same_key(key))
    }

    /// Adds one at the end of the list.
    pub fn add(&mut self, identity: Identity) -> Result<(), IdentityRefused> {
        if identity.key.certificate().is_some() || identity.key.blob().len() > MAX_IDENTITY_BLOB {
            return Err(IdentityRefused::Unsuitable);
        }
        if self.0.len() >= MAX_IDENTITIES {
            return Err(IdentityRefused::TooMany);
        }
        if self.0.iter().any(|known| known.key.same_key(&identity.key)) {
            return Err(IdentityRefused::Exists);
        }
        self.check_label(&identity.label)?;
        self.0.push(identity);
        Ok(())
    }

    /// Finds one by label, or by fingerprint as `ssh-keygen -l` prints it.
    pub fn find(&self, name: &str) -> Result<&Identity, IdentityRefused> {
        self.position(name)
            .and_then(|at| self.0.get(at))
            .ok_or(IdentityRefused::NoSuch)
    }

    /// Gives one another label.
    pub fn label(&mut self, name: &str, label: &str) -> Result<(), IdentityRefused> {
        let at = self.position(name).ok_or(IdentityRefused::NoSuch)?;
        if self
            .0
            .get(at)
            .is_some_and(|identity| identity.label != label)
        {
            self.check_label(label)?;
        }
        self.change(at, |identity| identity.label = label.into())
    }

    /// Shows one to agents.
    pub fn enable(&mut self, name: &str) -> Result<(), IdentityRefused> {
        let at = self.position(name).ok_or(IdentityRefused::NoSuch)?;
        self.change(at, |identity| identity.enabled = true)
    }

    /// Hides one from agents and refuses its use.
    pub fn disable(&mut self, name: &str) -> Result<(), IdentityRefused> {
        let at = self.position(name).ok_or(IdentityRefused::NoSuch)?;
        self.change(at, |identity| identity.enabled = false)
    }

    /// Takes one off the list.
    pub fn remove(&mut self, name: &str) -> Result<Identity, IdentityRefused> {
        let at = self.position(name).ok_or(IdentityRefused::NoSuch)?;
        Ok(self.0.remove(at))
    }

    fn change(
        &mut self,
        at: usize,
        change: impl FnOnce(&mut Identity),
    ) -> Result<(), IdentityRefused> {
        self.0
            .get_mut(at)
            .map(change)
            .ok_or(IdentityRefused::NoSuch)
    }

    fn position(&self, name: &str) -> Option<usize> {
        use alloc::string::ToString as _;
        self.0
            .iter()
            .position(|identity| identity.label == name)
            .or_else(|| {
                self.0
                    .iter()
                    .position(|identity| identity.key.fingerprint().to_string() == name)
            })
    }

    fn check_label(&self, label: &str) -> Result<(), IdentityRefused> {
        let visible = label.chars().all(vmux_proto::untrusted::is_visible);
        if label.trim().is_empty() || label.len() > MAX_NAME || !visible {
            return Err(IdentityRefused::BadLabel);
        }
        if self.0.iter().any(|known| known.label == label) {
            return Err(IdentityRefused::LabelTaken);
        }
        Ok(())
    }

    /// What agents are told.
    pub(crate) fn announced(&self) -> Vec<message::Identity> {
        self.0
            .iter()
            .filter(|identity| identity.enabled)
            .map(|identity| message::Identity {
                key: ByteVec::from(identity.key.blob().to_vec()),
                label: identity.label.clone(),
            })
            .collect()
    }

    /// For the state file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let stored: Vec<Stored> = self
            .0
            .iter()
            .map(|identity| Stored {
                key: ByteVec::from(identity.key.blob().to_vec()),
                label: identity.label.clone(),
                enabled: identity.enabled,
                created: identity.created,
                kind: identity.kind,
            })
            .collect();
        encode(&stored)
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordDamaged> {
        let stored: Vec<Stored> = decode(bytes)?;
        let mut identities = Self::default();
        for entry in stored {
            let key = PublicKey::parse(&entry.key).map_err(|_| RecordDamaged)?;
            let identity = Identity {
                key,
                label: entry.label,
                enabled: entry.enabled,
                created: entry.created,
                kind: entry.kind,
            };
            identities.add(identity).map_err(|_| RecordDamaged)?;
        }
        Ok(identities)
    }

    /// The identity with this fingerprint.
    pub fn by_fingerprint(&self, fingerprint: Fingerprint) -> Option<&Identity> {
        self.0
            .iter()
            .find(|identity| identity.key.fingerprint() == fingerprint)
    }
}

#[derive(Encode, Decode)]
struct Stored {
    #[n(0)]
    key: ByteVec,
    #[n(1)]
    label: String,
    #[n(2)]
    enabled: bool,
    #[n(3)]
    created: u64,
    #[n(4)]
    kind: IdentityKind,
}

//! The keys of all enabled identities, unlocked once per run and wiped when it ends.
//!
//! The passphrase is kept with them, in memory that is wiped: an identity that is added or enabled
//! while the signer runs is opened with it.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::thread;

use vmux_proto::key::Fingerprint;
use vmux_signer::{Identities, SignJob};

use crate::keyfile::{KeyFileRefused, LockedKey};
use crate::passphrase::Passphrase;
use crate::secret_key::SecretKey;
use crate::store::{Opened, StoreRefused};

/// The unlocked keys of a signer.
#[derive(Debug)]
pub(crate) struct Keys {
    passphrase: Passphrase,
    open: BTreeMap<Fingerprint, SecretKey>,
}

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotUnlocked {
    /// The passphrase opens none of them.
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// A file is not as it should be.
    #[error(transparent)]
    Store(#[from] StoreRefused),
}

impl Keys {
    /// Unlocks the keys of the enabled identities.
    pub(crate) fn unlock(
        opened: &Opened,
        identities: &Identities,
        passphrase: Passphrase,
    ) -> Result<Self, NotUnlocked> {
        let mut keys = Self {
            passphrase,
            open: BTreeMap::new(),
        };
        match keys.follow(opened, identities) {
            // One bad file among good ones is not a wrong passphrase.
            Err(StoreRefused::Key {
                cause: KeyFileRefused::WrongPassphrase,
                ..
            }) if keys.open.is_empty() => {
                return Err(NotUnlocked::WrongPassphrase);
            }
            other => other?,
        }
        if keys.open.is_empty() {
            check(opened, &keys.passphrase)?;
        }
        Ok(keys)
    }

    /// Unlocks what is enabled and not yet open; wipes what is gone or disabled.
    pub(crate) fn follow(
        &mut self,
        opened: &Opened,
        identities: &Identities,
    ) -> Result<(), StoreRefused> {
        let enabled = identities.all().iter().filter(|identity| identity.enabled);
        let wanted: Vec<_> = enabled.map(|identity| identity.key.fingerprint()).collect();
        self.open
            .retain(|fingerprint, _| wanted.contains(fingerprint));
        let mut locked = Vec::new();
        for fingerprint in wanted {
            if !self.open.contains_key(&fingerprint) {
                locked.push((fingerprint, opened.key(fingerprint)?));
            }
        }
        let mut failed = None;
        for (fingerprint, unlocked) in unlock_all(&locked, &self.passphrase) {
            match unlocked {
                Ok(key) if key.public().fingerprint() == fingerprint => {
                    self.open.insert(fingerprint, key);
                }
                Ok(_) => failed = Some((fingerprint, KeyFileRefused::Damaged)),
                Err(cause) => failed = Some((fingerprint, cause)),
            }
        }
        match failed {
            None => Ok(()),
            Some((of, cause)) => Err(StoreRefused::Key {
                file: opened.key_path(of),
                cause,
            }),
        }
    }

    /// Makes the signature that was approved; `None` if its key is not here.
    pub(crate) fn sign(&self, job: &SignJob) -> Option<Vec<u8>> {
        self.open.get(&job.identity().key.fingerprint())?.sign(job)
    }
}

/// Checks a passphrase where no identity can.
pub(crate) fn check(opened: &Opened, passphrase: &Passphrase) -> Result<(), NotUnlocked> {
    match opened.check()?.unlock(passphrase) {
        Ok(_) => Ok(()),
        Err(KeyFileRefused::WrongPassphrase) => Err(NotUnlocked::WrongPassphrase),
        Err(cause) => Err(StoreRefused::Key {
            file: opened.check_path(),
            cause,
        }
        .into()),
    }
}

type Unlocked = (Fingerprint, Result<SecretKey, KeyFileRefused>);

/// Opening a key takes a noticeable time on purpose, so all processors help.
fn unlock_all(locked: &[(Fingerprint, LockedKey)], passphrase: &Passphrase) -> Vec<Unlocked> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let share = locked.len().div_ceil(workers).max(1);
    thread::scope(|scope| {
        let workers: Vec<_> = locked
            .chunks(share)
            .map(|keys| {
                scope.spawn(|| {
                    let unlock = |(of, key): &(_, LockedKey)| (*of, key.unlock(passphrase));
                    keys.iter().map(unlock).collect::<Vec<_>>()
                })
            })
            .collect();
        workers
            .into_iter()
            .filter_map(|worker| worker.join().ok())
            .flatten()
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyfile::seal;
    use crate::secret_key::KeyType;
    use crate::store::Store;
    use vmux_signer::{Identity, IdentityKind};
    use zeroize::Zeroizing;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(Zeroizing::new(text.to_owned())).unwrap()
    }

    fn store(dir: &tempfile::TempDir, labels: &[&str]) -> (Opened, Identities) {
        let store = Store::at(&dir.path().join("state"));
        let seal = |key: &SecretKey| seal(key, "", &passphrase("right")).unwrap();
        let key = || SecretKey::generate(KeyType::Ed25519).unwrap();
        store.set_up("desk", &seal(&key())).unwrap();
        let opened = store.open().unwrap();
        let mut identities = Identities::default();
        for label in labels {
            let key = key();
            opened
                .save_key(key.public().fingerprint(), &seal(&key))
                .unwrap();
            let identity = Identity {
                key: key.public().clone(),
                label: (*label).to_owned(),
                enabled: true,
                created: 0,
                kind: IdentityKind::File,
            };
            identities.add(identity).unwrap();
        }
        (opened, identities)
    }

    #[test]
    fn the_passphrase_opens_all_keys_and_another_opens_none() {
        let dir = tempfile::tempdir().unwrap();
        let (opened, identities) = store(&dir, &["a", "b", "c"]);
        let keys = Keys::unlock(&opened, &identities, passphrase("right")).unwrap();
        assert_eq!(keys.open.len(), 3);
        let wrong = Keys::unlock(&opened, &identities, passphrase("wrong")).unwrap_err();
        assert!(matches!(wrong, NotUnlocked::WrongPassphrase), "{wrong}");
    }

    #[test]
    fn without_identities_the_passphrase_is_checked_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let (opened, none) = store(&dir, &[]);
        Keys::unlock(&opened, &none, passphrase("right")).unwrap();
        let wrong = Keys::unlock(&opened, &none, passphrase("wrong")).unwrap_err();
        assert!(matches!(wrong, NotUnlocked::WrongPassphrase), "{wrong}");
    }

    #[test]
    fn a_disabled_key_is_wiped_and_an_enabled_one_opened() {
        let dir = tempfile::tempdir().unwrap();
        let (opened, mut identities) = store(&dir, &["a", "b"]);
        identities.disable("a").unwrap();
        let mut keys = Keys::unlock(&opened, &identities, passphrase("right")).unwrap();
        let labels = |keys: &Keys, identities: &Identities| -> Vec<String> {
            let of = |fingerprint| {
                identities
                    .by_fingerprint(fingerprint)
                    .unwrap()
                    .label
                    .clone()
            };
            keys.open
                .keys()
                .map(|fingerprint| of(*fingerprint))
                .collect()
        };
        assert_eq!(labels(&keys, &identities), ["b"]);
        identities.enable("a").unwrap();
        identities.disable("b").unwrap();
        keys.follow(&opened, &identities).unwrap();
        assert_eq!(labels(&keys, &identities), ["a"]);
    }

    #[test]
    fn a_key_file_that_holds_another_key_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let (opened, identities) = store(&dir, &["a", "b"]);
        let of = |at: usize| identities.all()[at].key.fingerprint();
        let path = opened.key_path(of(0));
        let other = std::fs::read_to_string(opened.key_path(of(1))).unwrap();
        opened.save_key(of(0), &other).unwrap();
        let refused = Keys::unlock(&opened, &identities, passphrase("right")).unwrap_err();
        assert!(
            refused.to_string().starts_with(&path.display().to_string()),
            "{refused}"
        );
    }
}

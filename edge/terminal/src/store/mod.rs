//! What a signer keeps on disk.
//!
//! `identities`, `agents`, `pins`, `blocks` and `settings` in the state directory, one OpenSSH key file
//! for each identity in `keys/`, and the log in `log/`. Whoever reads or changes them holds the directory's lock for that
//! moment, so commands work while `run` runs; `run` itself holds the lock of `run/`, and whoever holds
//! that writes the log. A file that is missing after `init` is refused like a damaged one: an empty
//! list must not be taken for "all unpaired". `blocks` alone is made by the first block.

mod refused;

pub(crate) use refused::StoreRefused;

use core::time::Duration;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use vmux_host::clock;
use vmux_host::log::{AuditLog, Limits};
use vmux_host::state_dir::{FileKind, Holder, StateDir, StateRefused};
use vmux_proto::audit::Head;
use vmux_proto::key::Fingerprint;
use vmux_signer::{AgentRecord, Blocks, Identities, Pins, RecordDamaged};
use zeroize::Zeroizing;

use crate::keyfile::{KeyFile, KeyFileRefused, LockedKey, MAX_KEY_FILE};

/// Where a signer keeps its state.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    path: PathBuf,
    patience: Duration,
}

impl Store {
    /// The one in this directory.
    pub(crate) fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            patience: PATIENCE,
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes hold of the state of a signer that was set up; waits a moment for whoever has it.
    pub(crate) fn open(&self) -> Result<Opened, StoreRefused> {
        if !self.path.join(SETTINGS.word).exists() {
            // Asking must not make a directory. What is there is still looked at, and refused if it
            // is not fit.
            if self.path.symlink_metadata().is_ok() {
                drop(self.hold()?);
            }
            return Err(StoreRefused::NotSetUp {
                dir: self.path.clone(),
            });
        }
        Ok(Opened { dir: self.hold()? })
    }

    /// As [`Self::open`], without waiting.
    pub(crate) fn open_at_once(&self) -> Result<Opened, StoreRefused> {
        Self {
            patience: Duration::ZERO,
            ..self.clone()
        }
        .open()
    }

    /// The same, for whoever has other things to do than to wait.
    pub(crate) fn hurried(&self) -> Self {
        Self {
            patience: HURRIED,
            ..self.clone()
        }
    }

    /// Makes the state of a new signer. `check` is a key file that nobody uses: it only tells the
    /// right passphrase from a wrong one while there is no identity.
    pub(crate) fn set_up(&self, name: &str, check: &str) -> Result<(), StoreRefused> {
        let opened = Opened { dir: self.hold()? };
        if opened.dir.read(SETTINGS.word, MAX_SETTINGS)?.is_some() {
            return Err(StoreRefused::SetUpBefore {
                dir: self.path.clone(),
            });
        }
        opened.keys()?.replace(CHECK, check.as_bytes())?;
        opened.save_identities(&Identities::default())?;
        opened.save_agents(&[])?;
        opened.save_pins(&Pins::well_known())?;
        // Last, because it is what makes a signer.
        opened.dir.save(SETTINGS.word, &SETTINGS, name.as_bytes())?;
        Ok(())
    }

    /// Holds `run/`, so that there is one `vmux-signer run` for each state directory.
    pub(crate) fn hold_run(&self) -> Result<StateDir, StateRefused> {
        StateDir::open(&self.path.join("run"), &Holder::this("vmux-signer run"))
    }

    /// How the files stand; differs after each change.
    pub(crate) fn stamps(&self) -> Stamps {
        let stamp = |kind: &FileKind| {
            let metadata = self.path.join(kind.word).symlink_metadata().ok()?;
            Some((
                metadata.ino(),
                metadata.mtime(),
                metadata.mtime_nsec(),
                metadata.size(),
            ))
        };
        Stamps {
            identities: stamp(&IDENTITIES),
            agents: stamp(&AGENTS),
            pins: stamp(&PINS),
            blocks: stamp(&BLOCKS),
        }
    }

    fn hold(&self) -> Result<StateDir, StateRefused> {
        let until = clock::now()
            .uptime
            .saturating_add(milliseconds(self.patience));
        loop {
            match StateDir::open(&self.path, &Holder::this("vmux-signer")) {
                Err(StateRefused::Held { .. }) if clock::now().uptime < until => {
                    std::thread::sleep(BETWEEN_TRIES);
                }
                other => return other,
            }
        }
    }
}

/// How the files of a signer stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamps {
    /// The list of identities.
    pub(crate) identities: Stamp,
    /// The paired agents.
    pub(crate) agents: Stamp,
    /// The pins.
    pub(crate) pins: Stamp,
    /// The blocks.
    pub(crate) blocks: Stamp,
}

/// Number, time of change and size of a file.
pub(crate) type Stamp = Option<(u64, i64, i64, u64)>;

/// The state of a signer, held until dropped.
#[derive(Debug)]
pub(crate) struct Opened {
    dir: StateDir,
}

impl Opened {
    /// The name given to `init`.
    pub(crate) fn name(&self) -> Result<String, StoreRefused> {
        self.load(&SETTINGS, MAX_SETTINGS, |bytes| {
            core::str::from_utf8(bytes)
                .map(str::to_owned)
                .map_err(|_| RecordDamaged)
        })
    }

    /// The identities.
    pub(crate) fn identities(&self) -> Result<Identities, StoreRefused> {
        self.load(&IDENTITIES, MAX_IDENTITIES_FILE, Identities::from_bytes)
    }

    /// Stores the identities.
    pub(crate) fn save_identities(&self, identities: &Identities) -> Result<(), StoreRefused> {
        Ok(self
            .dir
            .save(IDENTITIES.word, &IDENTITIES, &identities.to_bytes())?)
    }

    /// The paired agents.
    pub(crate) fn agents(&self) -> Result<Vec<AgentRecord>, StoreRefused> {
        self.load(&AGENTS, MAX_AGENTS_FILE, AgentRecord::list_from_bytes)
    }

    /// Stores the paired agents.
    pub(crate) fn save_agents(&self, agents: &[AgentRecord]) -> Result<(), StoreRefused> {
        Ok(self
            .dir
            .save(AGENTS.word, &AGENTS, &AgentRecord::list_to_bytes(agents))?)
    }

    /// The pins.
    pub(crate) fn pins(&self) -> Result<Pins, StoreRefused> {
        self.load(&PINS, MAX_PINS_FILE, Pins::from_bytes)
    }

    /// Stores the pins.
    pub(crate) fn save_pins(&self, pins: &Pins) -> Result<(), StoreRefused> {
        Ok(self.dir.save(PINS.word, &PINS, &pins.to_bytes())?)
    }

    /// The blocks; none where nothing was ever blocked.
    pub(crate) fn blocks(&self) -> Result<Blocks, StoreRefused> {
        match self.load(&BLOCKS, MAX_BLOCKS_FILE, Blocks::from_bytes) {
            Err(StoreRefused::Missing { .. }) => Ok(Blocks::EMPTY),
            other => other,
        }
    }

    /// Stores the blocks.
    pub(crate) fn save_blocks(&self, blocks: &Blocks) -> Result<(), StoreRefused> {
        Ok(self.dir.save(BLOCKS.word, &BLOCKS, &blocks.to_bytes())?)
    }

    /// The log, to be written by whoever holds `run/`, and how far it goes.
    pub(crate) fn log(&self) -> Result<(AuditLog, Head), StoreRefused> {
        Ok(AuditLog::open(&self.dir, Limits::default())?)
    }

    /// The key file that only the passphrase matters of.
    pub(crate) fn check(&self) -> Result<LockedKey, StoreRefused> {
        self.read_key(CHECK)
    }

    /// Where that is.
    pub(crate) fn check_path(&self) -> PathBuf {
        self.dir.path().join(KEYS).join(CHECK)
    }

    /// The key file of an identity.
    pub(crate) fn key(&self, of: Fingerprint) -> Result<LockedKey, StoreRefused> {
        self.read_key(&key_name(of))
    }

    /// Where the key file of an identity is.
    pub(crate) fn key_path(&self, of: Fingerprint) -> PathBuf {
        self.dir.path().join(KEYS).join(key_name(of))
    }

    /// Stores the key file of an identity.
    pub(crate) fn save_key(&self, of: Fingerprint, pem: &str) -> Result<(), StoreRefused> {
        Ok(self.keys()?.replace(&key_name(of), pem.as_bytes())?)
    }

    /// Removes the key file of an identity.
    pub(crate) fn remove_key(&self, of: Fingerprint) -> Result<(), StoreRefused> {
        Ok(self.keys()?.remove(&key_name(of))?)
    }

    fn read_key(&self, name: &str) -> Result<LockedKey, StoreRefused> {
        let keys = self.keys()?;
        let file = || keys.path().join(name);
        let bytes: Zeroizing<Vec<u8>> =
            keys.read(name, MAX_KEY_FILE)?
                .ok_or_else(|| StoreRefused::Missing {
                    file: file(),
                    if_lost: "without it the key cannot be used",
                })?;
        match KeyFile::parse(&bytes) {
            Ok(KeyFile::Locked(key)) => Ok(key),
            // All files here are encrypted; one that is not was put there by somebody else.
            Ok(KeyFile::Open(_)) => Err(StoreRefused::Key {
                file: file(),
                cause: KeyFileRefused::Damaged,
            }),
            Err(cause) => Err(StoreRefused::Key {
                file: file(),
                cause,
            }),
        }
    }

    fn keys(&self) -> Result<StateDir, StateRefused> {
        // Only ever opened by whoever holds the directory above.
        StateDir::open(&self.dir.path().join(KEYS), &Holder::this("vmux-signer"))
    }

    fn load<T>(
        &self,
        kind: &FileKind,
        max: usize,
        read: impl FnOnce(&[u8]) -> Result<T, RecordDamaged>,
    ) -> Result<T, StoreRefused> {
        let file = || self.dir.path().join(kind.word);
        let stored = self
            .dir
            .load(kind.word, kind, max)?
            .ok_or_else(|| StoreRefused::Missing {
                file: file(),
                if_lost: kind.if_lost,
            })?;
        read(&stored.body).map_err(|RecordDamaged| {
            StateRefused::Damaged {
                file: file(),
                if_lost: kind.if_lost,
            }
            .into()
        })
    }
}

/// 128 bits of the key's fingerprint tell key files apart; that the right key is inside is looked at
/// when it is opened.
fn key_name(of: Fingerprint) -> String {
    let beginning =
        of.0.first_chunk()
            .map_or(0, |bytes| u128::from_be_bytes(*bytes));
    format!("{beginning:032x}.key")
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

const IDENTITIES: FileKind = FileKind {
    word: "identities",
    version: 1,
    if_lost: "the key files in keys/ stay, and `vmux-signer key import` takes them into a new signer",
};
const AGENTS: FileKind = FileKind {
    word: "agents",
    version: 1,
    if_lost: "every workstation must be paired again",
};
const PINS: FileKind = FileKind {
    word: "pins",
    version: 1,
    if_lost: "every host will be shown as new",
};
const BLOCKS: FileKind = FileKind {
    word: "blocks",
    version: 1,
    if_lost: "what was blocked for an hour may ask again",
};
const SETTINGS: FileKind = FileKind {
    word: "settings",
    version: 1,
    if_lost: "without it there is no signer here, and `vmux-signer init` makes a new one",
};
const KEYS: &str = "keys";
const CHECK: &str = "check.key";

/// 64 identities of the largest size.
const MAX_IDENTITIES_FILE: usize = 128 * 1024;
/// More agents than anybody pairs, at half a kilobyte each.
const MAX_AGENTS_FILE: usize = 256 * 1024;
/// 10,000 pins of the largest size.
const MAX_PINS_FILE: usize = 8 * 1024 * 1024;
/// More agents than anybody pairs, with all the blocks they can have.
const MAX_BLOCKS_FILE: usize = 8 * 1024 * 1024;
/// A name.
const MAX_SETTINGS: usize = 1024;

/// How long a command waits for another that holds the state.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a running signer waits: meanwhile it does nothing else.
const HURRIED: Duration = Duration::from_millis(200);
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests;

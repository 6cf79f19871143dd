//! What the machine's `known_hosts` files say about a host key. Read again only when they change.
use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tracing::debug;
use vmux_broker::known_hosts::{KnownHosts, Lookup, MAX_FILE, Name};
use vmux_host::clock;
use vmux_proto::crypto::PureRust;
use vmux_proto::key::PublicKey;

/// The files, and what was read from them.
#[derive(Debug)]
pub(crate) struct Hosts {
    files: Vec<PathBuf>,
    read: Mutex<Option<Known>>,
}

#[derive(Debug)]
struct Known {
    stamps: Vec<Option<Stamp>>,
    hosts: Arc<KnownHosts>,
}

/// Tells whether a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

impl Hosts {
    /// The files OpenSSH's client reads by default.
    pub(crate) fn of(home: &Path) -> Self {
        let own = ["known_hosts", "known_hosts2"].map(|name| home.join(".ssh").join(name));
        let all = ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"].map(PathBuf::from);
        Self {
            files: own.into_iter().chain(all).collect(),
            read: Mutex::new(None),
        }
    }

    /// Looks a key up. Reads files: call it where blocking is fine.
    pub(crate) fn lookup(&self, key: &PublicKey, candidates: &[Name]) -> Lookup {
        self.known()
            .lookup(key, candidates, &PureRust, clock::now())
    }

    fn known(&self) -> Arc<KnownHosts> {
        let stamps: Vec<_> = self.files.iter().map(|path| stamp(path)).collect();
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = read.as_ref().filter(|known| known.stamps == stamps) {
            return Arc::clone(&known.hosts);
        }
        let mut hosts = KnownHosts::default();
        for (path, stamp) in self.files.iter().zip(&stamps) {
            let name = path.display().to_string();
            // A missing or unreadable file is skipped, as OpenSSH does; so is what is no file, which
            // could be opened without end.
            if stamp.is_none() {
                continue;
            }
            let Some(contents) = contents(path) else {
                continue;
            };
            match hosts.read(&name, &contents) {
                Ok(reading) => debug!(file = name, skipped = reading.skipped, "known_hosts read"),
                Err(too_large) => debug!(file = name, %too_large, "known_hosts not read"),
            }
        }
        let hosts = Arc::new(hosts);
        *read = Some(Known {
            stamps,
            hosts: Arc::clone(&hosts),
        });
        hosts
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok().filter(Metadata::is_file)?;
    Some(Stamp {
        length: metadata.len(),
        modified: metadata.modified().ok(),
    })
}

fn contents(path: &Path) -> Option<Vec<u8>> {
    let file = File::open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let limit = u64::try_from(MAX_FILE).ok()?.checked_add(1)?;
    let mut contents = Vec::new();
    file.take(limit).read_to_end(&mut contents).ok()?;
    Some(contents)
}

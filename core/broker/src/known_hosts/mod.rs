//! Which names a proven host key has in the person's `known_hosts` files.
//!
//! A binding proves a key, people think in names; these files hold the person's own record of which
//! belongs to which (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). A hashed name cannot be read back, it
//! can only be compared with candidates, which come from the client's command line and are hints.
//! So the answer helps the person read a prompt; what counts are the signer's own pins.
//!
//! A line that OpenSSH would skip is skipped and counted. Files are passed in, nothing is opened.

mod line;
#[cfg(test)]
mod tests;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use vmux_proto::Now;
use vmux_proto::key::{CertificateBody, CertificateKind, PublicKey};
use vmux_proto::signature::{Verifier, verify};

use line::{Entry, Hosts, Marker, matches};

/// Largest file that is read; fifty thousand hosts fit.
pub const MAX_FILE: usize = 8 * 1024 * 1024;

/// Longest line that is read: the largest key, and a host field of fifty kilobytes.
pub const MAX_LINE: usize = 64 * 1024;

/// Names and places reported for one key; a prompt shows a few.
pub const MAX_HITS: usize = 16;

/// Longest name that is reported: the longest DNS name, with brackets and a port.
pub const MAX_HOST_NAME: usize = 262;

/// The lines of all `known_hosts` files that could be read.
#[derive(Debug, Clone, Default)]
pub struct KnownHosts {
    entries: Vec<Entry>,
}

/// How much of a file was of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Lines that name a host key.
    pub entries: u64,
    /// Lines that are neither that, nor empty, nor a comment.
    pub skipped: u64,
}

/// A file of more than [`MAX_FILE`] bytes, not read at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the file is larger than {MAX_FILE} bytes")]
pub struct FileTooLarge;

/// A name a host key could stand under, in the form OpenSSH writes: lower case, and `[host]:port`
/// unless the port is 22.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    entry: String,
    host: String,
}

/// What the files say about one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// All lines taken together.
    pub verdict: Verdict,
    /// The lines that name the key or its authority, the first [`MAX_HITS`].
    pub hits: Vec<Place>,
}

/// What the files say about one key; the worst first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The key, or the authority of its certificate, is on an `@revoked` line.
    Revoked,
    /// No line names the key.
    Unknown,
    /// Lines name the key, but their names are hashed and no candidate fits.
    HashedKnown,
    /// Lines name the key, and no candidate is among their names.
    Named {
        /// Names and patterns as the files have them, the first [`MAX_HITS`].
        names: Vec<String>,
    },
    /// A line names the key and fits a candidate.
    Confirmed {
        /// The first candidate that fits.
        name: Name,
    },
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file's name, as it was passed in.
    pub file: Arc<str>,
    /// The line's number, from 1.
    pub line: u64,
}

impl KnownHosts {
    /// Adds the lines of one file; `file` is what [`Place`] calls it.
    pub fn read(&mut self, file: &str, contents: &[u8]) -> Result<Reading, FileTooLarge> {
        if contents.len() > MAX_FILE {
            return Err(FileTooLarge);
        }
        let file = Arc::from(file);
        let mut reading = Reading {
            entries: 0,
            skipped: 0,
        };
        for (line, number) in contents.split(|byte| *byte == b'\n').zip(1..) {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let place = Place {
                file: Arc::clone(&file),
                line: number,
            };
            match Entry::parse(line, place) {
                Some(entry) => {
                    self.entries.push(entry);
                    reading.entries = reading.entries.saturating_add(1);
                }
                None => reading.skipped = reading.skipped.saturating_add(1),
            }
        }
        Ok(reading)
    }

    /// Finds the names of `key`. Candidates are tried in their order.
    ///
    /// A certificate speaks for its authority's lines only if the authority's signature, kind and
    /// time are right; whatever comes of that, its plain key is looked up as well, as in OpenSSH.
    pub fn lookup(
        &self,
        key: &PublicKey,
        candidates: &[Name],
        verifier: &dyn Verifier,
        now: Now,
    ) -> Lookup {
        let plain = key.plain_blob();
        let authority = key
            .certificate()
            .map(|certificate| certificate.body.authority.blob());
        let vouched = vouched(key, verifier, now);
        let mut found = Found::default();
        for entry in &self.entries {
            let names_key = entry.key == plain;
            let names_authority = Some(entry.key.as_slice()) == authority;
            match entry.marker {
                // Whatever its patterns say: a hint must not bring a revoked key back.
                Marker::Revoked if names_key || names_authority => found.revoked(entry),
                Marker::Authority if names_authority => {
                    if let Some(body) = vouched {
                        found.authority(entry, body, candidates);
                    }
                }
                Marker::None if names_key => found.key(entry, candidates),
                Marker::Revoked | Marker::Authority | Marker::None => {}
            }
        }
        found.finish(candidates)
    }
}

impl Name {
    /// A host with the port it is reached at; none stands for 22.
    pub fn host(host: &str, port: Option<u16>) -> Self {
        let host = host.to_ascii_lowercase();
        let entry = match port {
            None | Some(SSH_PORT) => host.clone(),
            Some(port) => format!("[{host}]:{port}"),
        };
        Self { entry, host }
    }

    /// A `HostKeyAlias`, which stands for itself whatever the port.
    pub fn alias(alias: &str) -> Self {
        Self::host(alias, None)
    }

    /// The name as a `known_hosts` line has it.
    pub fn as_str(&self) -> &str {
        &self.entry
    }
}

/// What was found so far.
#[derive(Default)]
struct Found {
    seen: Seen,
    /// Place in the list of the best candidate that fits.
    confirmed: Option<usize>,
    names: Vec<String>,
    hits: Vec<Place>,
}

impl Found {
    fn revoked(&mut self, entry: &Entry) {
        self.seen = Seen::Revoked;
        self.hit(entry);
    }

    fn key(&mut self, entry: &Entry, candidates: &[Name]) {
        self.hit(entry);
        self.confirm(candidates, |name| entry.hosts.fits(&name.entry));
        match &entry.hosts {
            Hosts::Hashed { .. } => self.seen = self.seen.max(Seen::Hashed),
            Hosts::Patterns(list) => {
                for name in list.split(',').filter(|name| !name.starts_with('!')) {
                    self.name(name);
                }
            }
        }
    }

    /// A certificate names its host itself, within what the line lets its authority name.
    fn authority(&mut self, entry: &Entry, body: &CertificateBody, candidates: &[Name]) {
        self.hit(entry);
        let principals = || {
            body.principals
                .iter()
                .filter_map(|name| str::from_utf8(name).ok())
        };
        self.confirm(candidates, |name| {
            entry.hosts.fits(&name.entry)
                && principals().any(|pattern| matches(&pattern.to_ascii_lowercase(), &name.host))
        });
        match &entry.hosts {
            Hosts::Hashed { .. } => self.seen = self.seen.max(Seen::Hashed),
            Hosts::Patterns(_) => {
                for name in principals().filter(|name| entry.hosts.fits(name)) {
                    self.name(name);
                }
            }
        }
    }

    fn confirm(&mut self, candidates: &[Name], fits: impl Fn(&Name) -> bool) {
        let place = candidates.iter().position(fits);
        self.confirmed = match (self.confirmed, place) {
            (Some(before), Some(place)) => Some(before.min(place)),
            (before, place) => before.or(place),
        };
    }

    fn name(&mut self, name: &str) {
        let name = name.to_ascii_lowercase();
        if self.names.len() < MAX_HITS && name.len() <= MAX_HOST_NAME && !self.names.contains(&name)
        {
            self.names.push(name);
        }
    }

    fn hit(&mut self, entry: &Entry) {
        if self.hits.len() < MAX_HITS {
            self.hits.push(entry.place.clone());
        }
    }

    fn finish(self, candidates: &[Name]) -> Lookup {
        let confirmed = self.confirmed.and_then(|place| candidates.get(place));
        let verdict = match (self.seen, confirmed) {
            (Seen::Revoked, _) => Verdict::Revoked,
            (_, Some(name)) => Verdict::Confirmed { name: name.clone() },
            _ if !self.names.is_empty() => Verdict::Named { names: self.names },
            (Seen::Hashed, None) => Verdict::HashedKnown,
            (Seen::Nothing, None) => Verdict::Unknown,
        };
        Lookup {
            verdict,
            hits: self.hits,
        }
    }
}

/// The gravest thing seen beside names.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    #[default]
    Nothing,
    Hashed,
    Revoked,
}

/// What the key's certificate says, if it is one that a client would believe.
fn vouched<'a>(
    key: &'a PublicKey,
    verifier: &dyn Verifier,
    now: Now,
) -> Option<&'a CertificateBody> {
    let certificate = key.certificate()?;
    let body = &certificate.body;
    let believable = body.kind == CertificateKind::Host
        && (body.valid_after..body.valid_before).contains(&now.wall)
        // There is no critical option for hosts, so any is one we do not understand.
        && body.critical.is_empty();
    if !believable {
        return None;
    }
    verify(
        verifier,
        &body.authority,
        &certificate.to_be_signed,
        &certificate.signature,
    )
    .ok()
    .map(|()| body)
}

const SSH_PORT: u16 = 22;

//! What the person sees before deciding.
//!
//! Built from bytes the signer parsed itself. What the workstation merely reports stands apart, in
//! [`Prompt::reported`], and must be shown apart.
use crate::pins::{Pin, Standing};
use alloc::string::String;
use alloc::vec::Vec;
use vmux_link::LinkId;
use vmux_proto::Untrusted;
use vmux_proto::destination::Level;
use vmux_proto::key::{Fingerprint, PublicKey};
use vmux_proto::message::{Number, Reported, RequestId};
use vmux_proto::source::Source;

/// One request, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Names the request.
    pub request: RequestId,
    /// The link it came over.
    pub link: LinkId,
    /// The workstation's name, as it was when paired.
    pub workstation: Untrusted,
    /// Label of the identity that would sign.
    pub identity: String,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// What the signature is for.
    pub subject: Subject,
    /// How well the destination is proven.
    pub level: Level,
    /// The destination's host, where there is one.
    pub host: Option<Host>,
    /// Hosts the request was forwarded through, first hop first; each proved itself.
    pub hops: Vec<Host>,
    /// The pin of another key that has the reported name already, when the host is new. Whoever asks
    /// may not suggest that name.
    pub namesake: Option<Pin>,
    /// Whom limits, pauses and a block hold for.
    pub source: Source,
    /// How many requests of the same burst waited when this one came, with it
    /// ([`Signer::together`](crate::Signer::together)).
    pub together: u8,
    /// The agent's log does not continue what this signer remembers of it: it was cut or rewritten.
    pub log_in_doubt: bool,
    /// The number that must be typed to approve; the workstation shows it to whoever asked.
    pub number: Option<Number>,
    /// When the request ends, in milliseconds of [`vmux_proto::Now::uptime`].
    pub deadline: u64,
    /// What the workstation says about the client. Never proof, every text untrusted.
    pub reported: Reported,
}

/// What a signature is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A login as this user of the destination.
    Login {
        /// The user name on the server.
        user: Untrusted,
    },
    /// A signature over content, of which only the hash is known.
    Signature {
        /// `git`, `file`, …
        namespace: Untrusted,
        /// Hash of the content, in hexadecimal.
        hash: String,
    },
}

/// A host as this signer knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Fingerprint of its key.
    pub fingerprint: Fingerprint,
    /// Algorithm of its key.
    pub algorithm: &'static str,
    /// How it stands with the pins.
    pub standing: Standing,
}

impl Host {
    pub(crate) fn new(key: &PublicKey, standing: Standing) -> Self {
        Self {
            fingerprint: key.fingerprint(),
            algorithm: key.algorithm().name(),
            standing,
        }
    }
}

impl Prompt {
    /// Whether nothing but denying is possible.
    pub fn is_blocked(&self) -> bool {
        self.host
            .iter()
            .chain(&self.hops)
            .any(|host| matches!(host.standing, Standing::Changed(_)))
    }
}

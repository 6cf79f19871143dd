//! One client's connection to the agent socket (RFC 9987).
//!
//! Exactly one reply a request, in order: the next frame is looked at only when the reply to the one
//! before it is out. Bindings are verified here, on the connection's own time, so that no client
//! waits for another's arithmetic (I19).
use crate::denial::Denial;
use crate::lock::Passphrase;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use vmux_proto::Untrusted;
use vmux_proto::agent_wire::{BadLength, Frames, NotServed, Reply, Request, SignFlags};
use vmux_proto::audit::Entry;
use vmux_proto::binding::{Chain, Use};
use vmux_proto::destination::Destination;
use vmux_proto::key::PublicKey;
use vmux_proto::payload::Payload;
use vmux_proto::signature::{VerifiedSignature, Verifier};
use vmux_proto::source::Source;

/// Names one connection for as long as the agent runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// One client's side of the protocol.
#[derive(Debug)]
pub struct Conversation {
    frames: Frames,
    chain: Chain,
    awaiting: bool,
}

/// What to do next for a client.
#[derive(Debug)]
pub enum Step {
    /// Read more bytes.
    Read,
    /// Write this.
    Write(Vec<u8>),
    /// Ask the broker, then call [`Conversation::answer`].
    Ask(Ask),
    /// Write this, and tell the broker why, and what was understood of the request
    /// ([`Input::Refused`](crate::Input::Refused)).
    Refuse(Vec<u8>, Denial, Box<Entry>),
    /// Write this, and tell the broker what was asked for that is not served.
    NotServed(Vec<u8>, NotServed),
}

/// What only the broker can answer.
#[derive(Debug)]
pub enum Ask {
    /// List the identities.
    Identities,
    /// Make a signature.
    Sign(Box<SignAsk>),
    /// Lock with this passphrase.
    Lock(Passphrase),
    /// Unlock with this passphrase.
    Unlock(Passphrase),
    /// Drop all session material.
    RemoveAll,
    /// Drop one identity.
    Remove,
}

/// A sign request that parsed and does not contradict itself.
#[derive(Debug)]
pub struct SignAsk {
    /// The key asked for.
    pub key: PublicKey,
    /// The bytes to be signed.
    pub bytes: Vec<u8>,
    /// The same, understood.
    pub payload: Payload,
    /// Flags of the request.
    pub flags: SignFlags,
    /// The bindings' bodies, for the phone to prove again.
    pub chain: Vec<Vec<u8>>,
    /// Where the signature goes.
    pub destination: Destination,
}

/// The broker's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Identities: key blob and comment.
    Identities(Vec<(Vec<u8>, Vec<u8>)>),
    /// A signature that verifies (I7).
    Signature(VerifiedSignature),
    /// Done.
    Success,
    /// Not done.
    Failure,
}

/// Bytes of whole frames a client may send ahead of our replies; reading stops there.
const MAX_AHEAD: usize = 64 * 1024;

impl Conversation {
    /// A fresh connection.
    pub const fn new() -> Self {
        Self {
            frames: Frames::new(),
            chain: Chain::new(),
            awaiting: false,
        }
    }

    /// Takes bytes from the socket.
    pub fn read(&mut self, bytes: &[u8]) {
        self.frames.push(bytes);
    }

    /// Whether a client that waits for an answer has sent so much that reading should pause.
    pub const fn is_ahead(&self) -> bool {
        self.awaiting && self.frames.len() > MAX_AHEAD
    }

    /// Whether bytes have come that are no whole frame; after [`Step::Read`].
    pub const fn has_begun_a_frame(&self) -> bool {
        !self.frames.is_empty()
    }

    /// The next step. An error means that the stream of frames is lost and must be closed.
    pub fn next(&mut self, verifier: &dyn Verifier) -> Result<Step, BadLength> {
        if self.awaiting {
            return Ok(Step::Read);
        }
        let Some(frame) = self.frames.next_frame()? else {
            return Ok(Step::Read);
        };
        let step = self.step(&frame, verifier);
        self.awaiting = matches!(step, Step::Ask(_));
        Ok(step)
    }

    /// The frame for the broker's answer to the last [`Step::Ask`].
    pub fn answer(&mut self, answer: Answer) -> Vec<u8> {
        self.awaiting = false;
        match answer {
            Answer::Identities(identities) => Reply::Identities(identities),
            Answer::Signature(signature) => Reply::Signature(signature.blob().to_vec()),
            Answer::Success => Reply::Success,
            Answer::Failure => Reply::Failure,
        }
        .encode()
    }

    fn step(&mut self, frame: &[u8], verifier: &dyn Verifier) -> Step {
        let request = match Request::parse(frame) {
            Ok(request) => request,
            Err(reason) => {
                return refuse(&Reply::Failure, Denial::NotUnderstood(reason));
            }
        };
        match request {
            Request::RequestIdentities => Step::Ask(Ask::Identities),
            Request::Sign {
                key,
                payload,
                flags,
            } => self.sign(key, payload, flags),
            Request::Lock(_) | Request::Unlock(_) if self.is_from_elsewhere() => {
                refuse(&Reply::Failure, Denial::NotFromHere)
            }
            Request::Lock(passphrase) => Step::Ask(Ask::Lock(Passphrase::new(passphrase))),
            Request::Unlock(passphrase) => Step::Ask(Ask::Unlock(Passphrase::new(passphrase))),
            Request::Remove(_) => Step::Ask(Ask::Remove),
            Request::RemoveAll => Step::Ask(Ask::RemoveAll),
            Request::Query => Step::Write(Reply::Extensions.encode()),
            Request::SessionBind(body) => match self.chain.bind(verifier, body) {
                Ok(()) => Step::Write(Reply::Success.encode()),
                Err(refused) => refuse(&Reply::ExtensionFailure, Denial::Binding(refused)),
            },
            Request::NotServed(what) => Step::NotServed(Reply::Failure.encode(), what),
        }
    }

    /// Whether the connection comes through a forwarded agent, or may: its host must not lock the
    /// agent with a passphrase of its own, nor guess the owner's (I12).
    fn is_from_elsewhere(&self) -> bool {
        self.chain.is_forwarded() || self.chain.is_poisoned()
    }

    fn sign(&self, key: &[u8], bytes: &[u8], flags: SignFlags) -> Step {
        match self.understand(key, bytes, flags) {
            Ok(ask) => Step::Ask(Ask::Sign(Box::new(ask))),
            Err(denial) => {
                let known = Box::new(self.known(key, bytes));
                Step::Refuse(Reply::Failure.encode(), denial, known)
            }
        }
    }

    /// What can be told of a request that is refused, for the log. None of it is proven.
    fn known(&self, key: &[u8], bytes: &[u8]) -> Entry {
        let key = PublicKey::parse(key).ok();
        let payload = key.as_ref().and_then(|key| Payload::parse(bytes, key).ok());
        let (what, user, namespace) = match &payload {
            Some(Payload::Userauth(login)) => (Some("login"), Some(login.user.to_string()), None),
            Some(Payload::SshSig(signature)) => {
                let namespace = Untrusted::new(&signature.namespace).to_string();
                (Some("signature"), None, Some(namespace))
            }
            Some(Payload::Certificate(_)) => (Some("certificate"), None, None),
            None => (None, None, None),
        };
        let bindings = self.chain.bindings().iter();
        let hops = bindings.filter(|binding| binding.usage() == Use::Forwarding);
        let hops: Vec<_> = hops.map(|hop| hop.host_key().fingerprint()).collect();
        Entry {
            key: key.map(|key| key.fingerprint().to_string()),
            what: what.map(Into::into),
            user,
            namespace,
            source: hops.last().map(|hop| Source::Host(*hop).to_string()),
            hops: hops.iter().map(ToString::to_string).collect(),
            ..Entry::default()
        }
    }

    fn understand(&self, key: &[u8], bytes: &[u8], flags: SignFlags) -> Result<SignAsk, Denial> {
        let key = PublicKey::parse(key).map_err(|_| Denial::NoSuchIdentity)?;
        let payload = Payload::parse(bytes, &key).map_err(Denial::NotUnderstood)?;
        if matches!(payload, Payload::Certificate(_)) {
            return Err(Denial::ForeignCertificate);
        }
        let destination =
            Destination::prove(&self.chain, &payload).map_err(Denial::Contradiction)?;
        let chain = self.chain.raw().to_vec();
        Ok(SignAsk {
            key,
            bytes: bytes.to_vec(),
            payload,
            flags,
            chain,
            destination,
        })
    }
}

/// Refuses something of which nothing is known.
fn refuse(reply: &Reply, denial: Denial) -> Step {
    Step::Refuse(reply.encode(), denial, Box::default())
}

impl Default for Conversation {
    fn default() -> Self {
        Self::new()
    }
}

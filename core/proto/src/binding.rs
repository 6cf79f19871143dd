//! Session bindings: which hosts a connection to the agent has proven (I11).
//!
//! OpenSSH's client sends `session-bind@openssh.com` (OpenSSH PROTOCOL.agent section 1) on every
//! connection it opens to an agent: the host key, the session id, and the host's signature over it.
//! A [`Chain`] keeps the proven ones in order. It is strict where a mistake could name a wrong host:
//! one failed or conflicting binding poisons the chain for good, which is not the same as having none.
use crate::key::PublicKey;
use crate::limits::{MAX_BINDINGS, MAX_CHAIN, MAX_SESSION_ID, MIN_SESSION_ID};
use crate::signature::{Verifier, verify, verify_certificate};
use crate::wire::{Malformed, Reader};
use alloc::borrow::ToOwned as _;
use alloc::vec::Vec;

/// Whether a binding was made for a login or to forward the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The client logs in to this host.
    Login,
    /// The agent is forwarded to this host.
    Forwarding,
}

/// A host key that signed a session id. Made by [`Chain::bind`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    host_key: PublicKey,
    session_id: Vec<u8>,
    usage: Use,
}

impl Binding {
    /// The key that proved itself, plain or host certificate.
    pub const fn host_key(&self) -> &PublicKey {
        &self.host_key
    }

    /// The SSH session it signed.
    pub fn session_id(&self) -> &[u8] {
        &self.session_id
    }

    /// For a login or for forwarding.
    pub const fn usage(&self) -> Use {
        self.usage
    }

    /// Checks one binding's body: what follows the extension name.
    fn check(verifier: &dyn Verifier, body: &[u8]) -> Result<Self, BindingRefused> {
        let mut reader = Reader::new(body);
        let host_key = PublicKey::parse(reader.string()?)?;
        let session_id = reader.string_within(MAX_SESSION_ID)?;
        let signature = reader.string()?;
        let usage = if reader.boolean()? {
            Use::Forwarding
        } else {
            Use::Login
        };
        reader.finish()?;
        if session_id.len() < MIN_SESSION_ID {
            return Err(BindingRefused::Malformed(Malformed::BadValue));
        }
        verify(verifier, &host_key, session_id, signature)
            .map_err(|_| BindingRefused::NotSignedByHost)?;
        // The host signs with the key alone: what stands around it is proven by its authority.
        if let Some(certificate) = host_key.certificate() {
            verify_certificate(verifier, certificate)
                .map_err(|_| BindingRefused::NotSignedByAuthority)?;
        }
        Ok(Self {
            host_key,
            session_id: session_id.to_owned(),
            usage,
        })
    }
}

/// Why a binding was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindingRefused {
    /// It is not what its format says.
    #[error("the binding is malformed: {0}")]
    Malformed(#[from] Malformed),
    /// The host's signature over the session id is not good.
    #[error("the host key did not sign this session")]
    NotSignedByHost,
    /// The host key is a certificate whose authority did not sign it.
    #[error("the host certificate is not signed by the authority it names")]
    NotSignedByAuthority,
    /// A binding for a login was the last word on this connection.
    #[error("the connection is already bound to a login")]
    AfterLogin,
    /// The session is bound to another host key.
    #[error("the session is already bound to another host key")]
    Conflict,
    /// More hops than [`MAX_BINDINGS`].
    #[error("too many hops")]
    TooMany,
    /// An earlier binding failed.
    #[error("an earlier binding on this connection failed")]
    Poisoned,
}

/// The proven bindings of one connection, first hop first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    bindings: Vec<Binding>,
    raw: Vec<Vec<u8>>,
    raw_length: usize,
    repeats: usize,
    poisoned: bool,
}

impl Chain {
    /// No bindings.
    pub const fn new() -> Self {
        Self {
            bindings: Vec::new(),
            raw: Vec::new(),
            raw_length: 0,
            repeats: 0,
            poisoned: false,
        }
    }

    /// Proves a whole chain again, as the signer does with what the agent sent.
    pub fn prove<'a>(
        verifier: &dyn Verifier,
        bodies: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, BindingRefused> {
        let mut chain = Self::new();
        for body in bodies {
            chain.bind(verifier, body)?;
        }
        Ok(chain)
    }

    /// Adds one binding, given what follows the extension name in its message.
    pub fn bind(&mut self, verifier: &dyn Verifier, body: &[u8]) -> Result<(), BindingRefused> {
        if self.poisoned {
            return Err(BindingRefused::Poisoned);
        }
        // Set before checking: a bind that fails must not look like a client that never tried.
        self.poisoned = true;
        let binding = Binding::check(verifier, body)?;
        let repeated = self.place(&binding)?;
        if repeated {
            // Each costs as much arithmetic as a new one, and no client sends any.
            self.repeats = self.repeats.saturating_add(1);
            if self.repeats > MAX_BINDINGS {
                return Err(BindingRefused::TooMany);
            }
        } else {
            let length = self.raw_length.saturating_add(body.len());
            if self.bindings.len() >= MAX_BINDINGS || length > MAX_CHAIN {
                return Err(BindingRefused::TooMany);
            }
            self.bindings.push(binding);
            self.raw.push(body.to_owned());
            self.raw_length = length;
        }
        self.poisoned = false;
        Ok(())
    }

    /// Whether the binding repeats an earlier one; an error if it must not come here.
    fn place(&self, binding: &Binding) -> Result<bool, BindingRefused> {
        if self
            .bindings
            .last()
            .is_some_and(|last| last.usage == Use::Login)
        {
            return Err(BindingRefused::AfterLogin);
        }
        match self
            .bindings
            .iter()
            .find(|earlier| earlier.session_id == binding.session_id)
        {
            None => Ok(false),
            Some(earlier) if !earlier.host_key.same_key(&binding.host_key) => {
                Err(BindingRefused::Conflict)
            }
            // A hop's own session can be bound again for forwarding; asking to log in to the hop
            // itself through its own session makes no sense.
            Some(_) if binding.usage == Use::Forwarding => Ok(true),
            Some(_) => Err(BindingRefused::Conflict),
        }
    }

    /// The proven bindings, first hop first.
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// The bodies as they came, for the signer to prove again.
    pub fn raw(&self) -> &[Vec<u8>] {
        &self.raw
    }

    /// Whether a binding failed on this connection.
    pub const fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// Whether the connection comes through a forwarded agent.
    pub fn is_forwarded(&self) -> bool {
        self.bindings
            .iter()
            .any(|binding| binding.usage == Use::Forwarding)
    }
}

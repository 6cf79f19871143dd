//! Where a signature goes, and how well that is proven (I11).
//!
//! One function, [`Destination::prove`], joins the chain of bindings with the parsed payload. The
//! agent runs it to refuse early, the signer runs it again on the raw bytes and believes nobody.
use crate::binding::{Chain, Use};
use crate::key::PublicKey;
use crate::payload::{Method, Payload, Userauth};
use alloc::vec::Vec;

/// Where a signature goes. Made by [`Destination::prove`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    level: Level,
    host_key: Option<PublicKey>,
    hops: Vec<PublicKey>,
}

/// How well the destination is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The host's key signed the very session that stands in the payload, with no hop between.
    Direct,
    /// The same, through forwarded hops that each proved themselves.
    Forwarded,
    /// No binding, but the payload names the host key; a server from OpenSSH 8.9 on accepts the
    /// signature only if that is its own key.
    Claimed,
    /// No binding and no host key: the client may be logging in anywhere.
    Unknown,
    /// Not a login and not forwarded: there is no host.
    Local,
    /// Not a login, asked for from a forwarded hop.
    ForwardedLocal,
}

/// A request whose parts contradict each other. Never signed, never asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// A binding on the connection failed.
    #[error("a session binding on this connection failed")]
    FailedBinding,
    /// The payload is for another session than the one bound.
    #[error("the login is for another session than the one the host proved")]
    OtherSession,
    /// The payload names another host key than the one bound.
    #[error("the login names another host key than the one that proved itself")]
    OtherHostKey,
    /// A host the agent is forwarded to asks for a login to itself.
    #[error("a host the agent is forwarded to asked for a signature in its own session")]
    OwnHop,
    /// A forwarded login without a proof of where it goes.
    #[error("a forwarded login does not prove where it goes")]
    ForwardedUnproven,
    /// A connection bound to a login asks for something that is not a login.
    #[error("a connection bound to a login asked for something else")]
    NotALogin,
}

impl Destination {
    /// Joins bindings and payload; there is no other way to make one.
    pub fn prove(chain: &Chain, payload: &Payload) -> Result<Self, Contradiction> {
        if chain.is_poisoned() {
            return Err(Contradiction::FailedBinding);
        }
        match payload {
            Payload::Userauth(userauth) => Self::of_login(chain, userauth),
            Payload::SshSig(_) | Payload::Certificate(_) => Self::of_other(chain),
        }
    }

    fn of_login(chain: &Chain, userauth: &Userauth) -> Result<Self, Contradiction> {
        let named = match &userauth.method {
            Method::Publickey => None,
            Method::Hostbound(host_key) => Some(host_key),
        };
        let Some((last, earlier)) = chain.bindings().split_last() else {
            return Ok(match named {
                None => Self {
                    level: Level::Unknown,
                    host_key: None,
                    hops: Vec::new(),
                },
                Some(host_key) => Self {
                    level: Level::Claimed,
                    host_key: Some(host_key.clone()),
                    hops: Vec::new(),
                },
            });
        };
        let own_hop = chain.bindings().iter().any(|binding| {
            binding.usage() == Use::Forwarding && binding.session_id() == userauth.session_id
        });
        if own_hop {
            return Err(Contradiction::OwnHop);
        }
        if last.usage() == Use::Forwarding {
            return Err(Contradiction::ForwardedUnproven);
        }
        if last.session_id() != userauth.session_id {
            return Err(Contradiction::OtherSession);
        }
        match named {
            Some(host_key) if !host_key.same_key(last.host_key()) => {
                return Err(Contradiction::OtherHostKey);
            }
            None if !earlier.is_empty() => return Err(Contradiction::ForwardedUnproven),
            Some(_) | None => {}
        }
        let hops: Vec<_> = earlier
            .iter()
            .map(|binding| binding.host_key().clone())
            .collect();
        let level = if hops.is_empty() {
            Level::Direct
        } else {
            Level::Forwarded
        };
        Ok(Self {
            level,
            host_key: Some(last.host_key().clone()),
            hops,
        })
    }

    fn of_other(chain: &Chain) -> Result<Self, Contradiction> {
        match chain.bindings().last().map(super::binding::Binding::usage) {
            None => Ok(Self {
                level: Level::Local,
                host_key: None,
                hops: Vec::new(),
            }),
            Some(Use::Login) => Err(Contradiction::NotALogin),
            Some(Use::Forwarding) => {
                let hops = chain
                    .bindings()
                    .iter()
                    .map(|hop| hop.host_key().clone())
                    .collect();
                Ok(Self {
                    level: Level::ForwardedLocal,
                    host_key: None,
                    hops,
                })
            }
        }
    }

    /// How well it is proven.
    pub const fn level(&self) -> Level {
        self.level
    }

    /// The host key, proven or claimed as [`Self::level`] says.
    pub const fn host_key(&self) -> Option<&PublicKey> {
        self.host_key.as_ref()
    }

    /// The hosts the agent is forwarded through, first hop first; each proved itself.
    pub fn hops(&self) -> &[PublicKey] {
        &self.hops
    }
}

impl Level {
    /// Whether the host's own signature proves the destination.
    pub const fn is_verified(self) -> bool {
        match self {
            Self::Direct | Self::Forwarded => true,
            Self::Claimed | Self::Unknown | Self::Local | Self::ForwardedLocal => false,
        }
    }

    /// Whether the request came through a forwarded agent, as far as the bindings show.
    pub const fn is_forwarded(self) -> bool {
        match self {
            Self::Forwarded | Self::ForwardedLocal => true,
            Self::Direct | Self::Claimed | Self::Unknown | Self::Local => false,
        }
    }

    /// The name in logs and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Forwarded => "forwarded",
            Self::Claimed => "claimed",
            Self::Unknown => "unknown",
            Self::Local => "local",
            Self::ForwardedLocal => "forwarded-local",
        }
    }
}

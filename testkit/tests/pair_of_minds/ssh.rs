//! Hosts and identities with real keys, and what OpenSSH's client would send.
use ed25519_dalek::{Signer as _, SigningKey};
use vmux_proto::agent_wire::SESSION_BIND;
use vmux_proto::binding::Use;
use vmux_proto::key::{KeyData, PublicKey};
use vmux_proto::signature::encode_ed25519;
use vmux_proto::wire::Writer;

/// The private half of a host key or an identity.
pub(crate) struct Secret(SigningKey);

impl Secret {
    pub(crate) fn new(seed: u8) -> Self {
        Self(SigningKey::from_bytes(&[seed; 32]))
    }

    pub(crate) fn public(&self) -> PublicKey {
        PublicKey::from_data(KeyData::Ed25519(self.0.verifying_key().to_bytes())).unwrap()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        encode_ed25519(&self.0.sign(message).to_bytes())
    }

    /// The body of a binding, signed by this host.
    pub(crate) fn binding(&self, session: &[u8], usage: Use) -> Vec<u8> {
        Writer::new()
            .string(self.public().blob())
            .string(session)
            .string(self.sign(session))
            .u8(u8::from(usage == Use::Forwarding))
            .finish()
    }
}

/// The bytes of a login; with a host key it is host-bound.
pub(crate) fn login(session: &[u8], key: &PublicKey, host: Option<&PublicKey>) -> Vec<u8> {
    let method = match host {
        None => "publickey",
        Some(_) => "publickey-hostbound-v00@openssh.com",
    };
    let login = Writer::new()
        .string(session)
        .u8(50)
        .string("deploy")
        .string("ssh-connection")
        .string(method)
        .u8(1)
        .string(key.blob_type())
        .string(key.blob());
    match host {
        None => login.finish(),
        Some(host) => login.string(host.blob()).finish(),
    }
}

/// What git lets the agent sign.
pub(crate) fn commit(hash: [u8; 32]) -> Vec<u8> {
    Writer::new()
        .bytes(b"SSHSIG")
        .string("git")
        .string("")
        .string("sha256")
        .string(hash)
        .finish()
}

pub(crate) fn bind_frame(body: &[u8]) -> Vec<u8> {
    frame(
        &Writer::new()
            .u8(27)
            .string(SESSION_BIND)
            .bytes(body)
            .finish(),
    )
}

pub(crate) fn sign_frame(key: &PublicKey, payload: &[u8]) -> Vec<u8> {
    frame(
        &Writer::new()
            .u8(13)
            .string(key.blob())
            .string(payload)
            .u32(0)
            .finish(),
    )
}

/// The frame that asks for the identities.
pub(crate) const LIST: &[u8] = &[0, 0, 0, 1, 11];

fn frame(body: &[u8]) -> Vec<u8> {
    Writer::new().string(body).finish()
}

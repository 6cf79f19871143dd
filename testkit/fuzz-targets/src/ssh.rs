//! What OpenSSH's client would send, made with real keys.
use std::sync::OnceLock;

use ed25519_dalek::{Signer as _, SigningKey};
use vmux_proto::binding::Use;
use vmux_proto::key::{KeyData, PublicKey};
use vmux_proto::signature::encode_ed25519;
use vmux_proto::wire::Writer;

use crate::choices::{Choices, flipped};

/// The private half of a host key or an identity.
#[derive(Debug)]
pub(crate) struct Secret {
    key: SigningKey,
    public: PublicKey,
}

impl Secret {
    pub(crate) fn new(seed: u8) -> Self {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let data = KeyData::Ed25519(key.verifying_key().to_bytes());
        let public = PublicKey::from_data(data).expect("a key");
        Self { key, public }
    }

    pub(crate) const fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        encode_ed25519(&self.key.sign(message).to_bytes())
    }

    /// The body of a binding, signed by this host.
    pub(crate) fn binding(&self, session: &[u8], usage: Use) -> Vec<u8> {
        Writer::new()
            .string(self.public.blob())
            .string(session)
            .string(self.sign(session))
            .u8(u8::from(usage == Use::Forwarding))
            .finish()
    }
}

/// Hosts and identities that do not change from run to run.
#[derive(Debug)]
pub(crate) struct People {
    pub(crate) hosts: [Secret; 3],
    /// Identities of the first phone or signer.
    pub(crate) ours: [Secret; 2],
    /// An identity that is disabled, or of another phone.
    pub(crate) other: Secret,
    /// An identity nobody holds.
    pub(crate) stranger: Secret,
}

impl People {
    /// Made once: that takes longer than most of what is done with them.
    pub(crate) fn all() -> &'static Self {
        static PEOPLE: OnceLock<People> = OnceLock::new();
        PEOPLE.get_or_init(|| Self {
            hosts: [0x41, 0x42, 0x43].map(Secret::new),
            ours: [0x51, 0x52].map(Secret::new),
            other: Secret::new(0x53),
            stranger: Secret::new(0x54),
        })
    }

    pub(crate) fn identity(&self, choices: &mut Choices<'_>) -> &Secret {
        match choices.below(8) {
            0..4 => &self.ours[0],
            4 | 5 => &self.ours[1],
            6 => &self.other,
            _ => &self.stranger,
        }
    }

    /// The identity with this key.
    pub(crate) fn holder(&self, key: &PublicKey) -> Option<&Secret> {
        let mut all = self.ours.iter().chain([&self.other, &self.stranger]);
        all.find(|secret| secret.public().same_key(key))
    }

    /// Bytes to be signed with `key`: mostly sound ones.
    pub(crate) fn payload(&self, choices: &mut Choices<'_>, key: &PublicKey) -> Vec<u8> {
        let kind = choices.below(10);
        let session = session(choices);
        let host = choices.one(&self.hosts).public();
        let hostbound = "publickey-hostbound-v00@openssh.com";
        match kind {
            0..4 => userauth(&session, &choices.text(), hostbound, key)
                .string(host.blob())
                .finish(),
            4 | 5 => userauth(&session, "root", "publickey", key).finish(),
            6 => sshsig(&choices.text()),
            7 => sshsig("git"),
            8 => {
                let whole = userauth(&session, "root", hostbound, key)
                    .string(host.blob())
                    .finish();
                flipped(&whole, usize::from(choices.byte()))
            }
            _ => choices.piece().to_vec(),
        }
    }

    /// The bodies of bindings: mostly sound ones.
    pub(crate) fn chain(&self, choices: &mut Choices<'_>) -> Vec<Vec<u8>> {
        (0..choices.below(4)).map(|_| self.bind(choices)).collect()
    }

    /// The body of one binding.
    pub(crate) fn bind(&self, choices: &mut Choices<'_>) -> Vec<u8> {
        let kind = choices.below(8);
        let session = session(choices);
        let host = choices.one(&self.hosts);
        match kind {
            0..4 => host.binding(&session, Use::Login),
            4 | 5 => host.binding(&session, Use::Forwarding),
            6 => flipped(
                &host.binding(&session, Use::Login),
                usize::from(choices.byte()),
            ),
            _ => choices.piece().to_vec(),
        }
    }
}

/// One of a few sessions.
fn session(choices: &mut Choices<'_>) -> [u8; 32] {
    [0x60 + choices.below(3); 32]
}

fn userauth(session: &[u8], user: &str, method: &str, key: &PublicKey) -> Writer {
    Writer::new()
        .string(session)
        .u8(50)
        .string(user)
        .string("ssh-connection")
        .string(method)
        .u8(1)
        .string(key.blob_type())
        .string(key.blob())
}

fn sshsig(namespace: &str) -> Vec<u8> {
    Writer::new()
        .bytes(b"SSHSIG")
        .string(namespace)
        .string("")
        .string("sha256")
        .string([0xab; 32])
        .finish()
}

//! What OpenSSH's client would send, made with real keys.
use ed25519_dalek::Signer as _;
use vmux_proto::binding::Use;
use vmux_proto::key::{Curve, KeyData, PublicKey};
use vmux_proto::signature::{encode_ecdsa_p256, encode_ed25519};
use vmux_proto::wire::Writer;

pub(crate) const SESSION: &[u8] = &[0x5e; 32];
pub(crate) const OTHER_SESSION: &[u8] = &[0x5f; 32];

/// The private half of a host key or an identity.
pub(crate) enum Secret {
    Ed25519(ed25519_dalek::SigningKey),
    P256(p256::ecdsa::SigningKey),
}

impl Secret {
    pub(crate) fn ed25519(seed: u8) -> Self {
        Self::Ed25519(ed25519_dalek::SigningKey::from_bytes(&[seed; 32]))
    }

    pub(crate) fn p256(seed: u8) -> Self {
        Self::P256(p256::ecdsa::SigningKey::from_slice(&[seed; 32]).unwrap())
    }

    pub(crate) fn public(&self) -> PublicKey {
        let data = match self {
            Self::Ed25519(key) => KeyData::Ed25519(key.verifying_key().to_bytes()),
            Self::P256(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                KeyData::Ecdsa(Curve::P256, point.as_bytes().to_vec())
            }
        };
        PublicKey::from_data(data).unwrap()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => encode_ed25519(&key.sign(message).to_bytes()),
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                let (r, s) = signature.split_bytes();
                encode_ecdsa_p256(&r.into(), &s.into())
            }
        }
    }

    /// The body of a binding, signed by this host.
    pub(crate) fn binding(&self, session: &[u8], usage: Use) -> Vec<u8> {
        binding(&self.public(), session, &self.sign(session), usage)
    }
}

/// The body of a binding with any signature.
pub(crate) fn binding(host: &PublicKey, session: &[u8], signature: &[u8], usage: Use) -> Vec<u8> {
    Writer::new()
        .string(host.blob())
        .string(session)
        .string(signature)
        .u8(u8::from(usage == Use::Forwarding))
        .finish()
}

/// A login by `publickey`, which says nothing of the host.
pub(crate) fn login(session: &[u8], user: &str, key: &PublicKey) -> Vec<u8> {
    userauth(session, user, "publickey", key).finish()
}

/// A login by `publickey-hostbound-v00@openssh.com`.
pub(crate) fn login_to(host: &PublicKey, session: &[u8], user: &str, key: &PublicKey) -> Vec<u8> {
    let method = "publickey-hostbound-v00@openssh.com";
    userauth(session, user, method, key)
        .string(host.blob())
        .finish()
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

/// What `ssh-keygen -Y sign` lets the agent sign.
pub(crate) fn sshsig(namespace: &str) -> Vec<u8> {
    Writer::new()
        .bytes(b"SSHSIG")
        .string(namespace)
        .string("")
        .string("sha256")
        .string([0xab; 32])
        .finish()
}

/// A user certificate on an Ed25519 key, without the signature of its authority.
pub(crate) fn unsigned_certificate(subject: &PublicKey, authority: &PublicKey) -> Vec<u8> {
    let KeyData::Ed25519(point) = subject.data() else {
        panic!("an Ed25519 key")
    };
    let principals = Writer::new().string("deploy").finish();
    Writer::new()
        .string("ssh-ed25519-cert-v01@openssh.com")
        .string([7; 32])
        .string(point)
        .u64(1)
        .u32(1)
        .string("an id")
        .string(principals)
        .u64(0)
        .u64(u64::MAX)
        .string("")
        .string("")
        .string("")
        .string(authority.blob())
        .finish()
}

/// The certificate, whole.
pub(crate) fn certificate(subject: &PublicKey, authority: &Secret) -> PublicKey {
    let unsigned = unsigned_certificate(subject, &authority.public());
    let signature = authority.sign(&unsigned);
    PublicKey::parse(&Writer::new().bytes(&unsigned).string(signature).finish()).unwrap()
}

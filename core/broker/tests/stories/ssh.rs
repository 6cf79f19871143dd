//! What OpenSSH's client would send, made with real keys.
use ed25519_dalek::{Signer as _, SigningKey};
use vmux_broker::{Ask, Conversation, Step};
use vmux_proto::agent_wire::SESSION_BIND;
use vmux_proto::binding::Use;
use vmux_proto::crypto::PureRust;
use vmux_proto::key::{KeyData, PublicKey};
use vmux_proto::signature::encode_ed25519;
use vmux_proto::wire::Writer;

pub(crate) const SESSION: &[u8] = &[0x5e; 32];
pub(crate) const OTHER_SESSION: &[u8] = &[0x5f; 32];

/// The reply that something failed.
pub(crate) const FAILURE: &[u8] = &[0, 0, 0, 1, 5];
/// The reply that something is done.
pub(crate) const SUCCESS: &[u8] = &[0, 0, 0, 1, 6];
/// The reply that a known extension failed.
pub(crate) const EXTENSION_FAILURE: &[u8] = &[0, 0, 0, 1, 28];
/// The frame that asks what extensions there are.
pub(crate) const QUERY: &[u8] = b"\0\0\0\x0a\x1b\0\0\0\x05query";
/// The reply to [`QUERY`].
pub(crate) const EXTENSIONS: &[u8] =
    b"\0\0\0\x26\x1d\0\0\0\x05query\0\0\0\x18session-bind@openssh.com";
/// The frame that asks for the identities.
pub(crate) const LIST: &[u8] = &[0, 0, 0, 1, 11];

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
pub(crate) fn login(session: &[u8], key: &PublicKey) -> Vec<u8> {
    userauth(session, "publickey", key).finish()
}

/// A login by `publickey-hostbound-v00@openssh.com`.
pub(crate) fn login_to(host: &PublicKey, session: &[u8], key: &PublicKey) -> Vec<u8> {
    let method = "publickey-hostbound-v00@openssh.com";
    userauth(session, method, key).string(host.blob()).finish()
}

fn userauth(session: &[u8], method: &str, key: &PublicKey) -> Writer {
    Writer::new()
        .string(session)
        .u8(50)
        .string("deploy")
        .string("ssh-connection")
        .string(method)
        .u8(1)
        .string(key.blob_type())
        .string(key.blob())
}

/// What git lets the agent sign.
pub(crate) fn commit() -> Vec<u8> {
    Writer::new()
        .bytes(b"SSHSIG")
        .string("git")
        .string("")
        .string("sha512")
        .string([0xab; 64])
        .finish()
}

/// A whole frame with this body.
pub(crate) fn frame(body: &[u8]) -> Vec<u8> {
    Writer::new().string(body).finish()
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

pub(crate) fn sign_frame(key: &[u8], payload: &[u8], flags: u32) -> Vec<u8> {
    frame(
        &Writer::new()
            .u8(13)
            .string(key)
            .string(payload)
            .u32(flags)
            .finish(),
    )
}

/// A frame of one type byte and one string.
pub(crate) fn string_frame(number: u8, value: &[u8]) -> Vec<u8> {
    frame(&Writer::new().u8(number).string(value).finish())
}

/// A login with `key` to a host reached directly, as a conversation asks the broker for it.
pub(crate) fn ask_for_login(key: &Secret, host: &Secret) -> Ask {
    ask_for_login_in(SESSION, key, host)
}

/// The same in another session.
pub(crate) fn ask_for_login_in(session: &[u8], key: &Secret, host: &Secret) -> Ask {
    let payload = login_to(&host.public(), session, &key.public());
    ask_after(
        &[host.binding(session, Use::Login)],
        &key.public(),
        &payload,
    )
}

/// A commit's signature, as a conversation asks the broker for it.
pub(crate) fn ask_for_commit(key: &PublicKey) -> Ask {
    ask_after(&[], key, &commit())
}

/// What a conversation asks the broker after these bindings.
pub(crate) fn ask_after(bindings: &[Vec<u8>], key: &PublicKey, payload: &[u8]) -> Ask {
    let mut conversation = Conversation::new();
    for body in bindings {
        conversation.read(&bind_frame(body));
        let step = conversation.next(&PureRust).unwrap();
        assert!(
            matches!(&step, Step::Write(reply) if reply == SUCCESS),
            "{step:?}"
        );
    }
    conversation.read(&sign_frame(key.blob(), payload, 0));
    match conversation.next(&PureRust).unwrap() {
        Step::Ask(ask) => ask,
        other => panic!("{other:?}"),
    }
}

//! What an ssh client sends to an agent, with a host of our own.

use ed25519_dalek::{Signer as _, SigningKey};
use vmux_proto::key::{KeyData, PublicKey};
use vmux_proto::signature::encode_ed25519;
use vmux_proto::wire::Writer;

/// One login: the session, and the host's proof of it.
#[derive(Debug)]
pub(crate) struct Login {
    session: [u8; 32],
    host: SigningKey,
}

impl Login {
    /// Another number is another session with the same host.
    pub(crate) fn new(number: u64) -> Self {
        let mut session = [0x5e; 32];
        session[..8].copy_from_slice(&number.to_be_bytes());
        Self {
            session,
            host: SigningKey::from_bytes(&[0x11; 32]),
        }
    }

    /// The frame that binds a connection to this session.
    pub(crate) fn binding(&self) -> Vec<u8> {
        let signature = encode_ed25519(&self.host.sign(&self.session).to_bytes());
        let body = Writer::new()
            .string(self.host_key().blob())
            .string(self.session)
            .string(signature)
            .u8(0)
            .finish();
        binding(&body)
    }

    /// The frame that asks for the signature of a login with this key.
    pub(crate) fn sign(&self, key: &PublicKey) -> Vec<u8> {
        let payload = Writer::new()
            .string(self.session)
            .u8(USERAUTH_REQUEST)
            .string("deploy")
            .string("ssh-connection")
            .string("publickey-hostbound-v00@openssh.com")
            .u8(1)
            .string(key.blob_type())
            .string(key.blob())
            .string(self.host_key().blob())
            .finish();
        let message = Writer::new()
            .u8(SIGN_REQUEST)
            .string(key.blob())
            .string(payload)
            .u32(0)
            .finish();
        frame(&message)
    }

    fn host_key(&self) -> PublicKey {
        PublicKey::from_data(KeyData::Ed25519(self.host.verifying_key().to_bytes()))
            .expect("an Ed25519 key")
    }
}

/// The frame of a binding with this body.
pub(crate) fn binding(body: &[u8]) -> Vec<u8> {
    let message = Writer::new()
        .u8(EXTENSION)
        .string("session-bind@openssh.com")
        .bytes(body)
        .finish();
    frame(&message)
}

/// The frame that asks for the identities.
pub(crate) fn list() -> Vec<u8> {
    frame(&[REQUEST_IDENTITIES])
}

/// The frame that gives an agent this key.
pub(crate) fn add(secret: &SigningKey, comment: &str) -> Vec<u8> {
    let public = secret.verifying_key().to_bytes();
    let message = Writer::new()
        .u8(ADD_IDENTITY)
        .string("ssh-ed25519")
        .string(public)
        .string([secret.to_bytes(), public].concat())
        .string(comment)
        .finish();
    frame(&message)
}

/// A message with its length.
pub(crate) fn frame(message: &[u8]) -> Vec<u8> {
    Writer::new().string(message).finish()
}

/// Checks that a reply is a signature.
pub(crate) fn expect_signature(reply: &[u8]) {
    assert_eq!(
        reply.first(),
        Some(&SIGN_RESPONSE),
        "no signature: the agent's log in the temporary directory says why"
    );
}

/// Checks that a reply lists so many identities.
pub(crate) fn expect_identities(reply: &[u8], count: u32) {
    let message = Writer::new().u8(IDENTITIES_ANSWER).u32(count).finish();
    assert!(reply.starts_with(&message), "not {count} identities");
}

/// Checks that a reply is a success.
pub(crate) fn expect_success(reply: &[u8]) {
    assert_eq!(reply, [SUCCESS], "the agent refused");
}

const SUCCESS: u8 = 6;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
const ADD_IDENTITY: u8 = 17;
const EXTENSION: u8 = 27;
const USERAUTH_REQUEST: u8 = 50;

//! Vectors as values, and hosts, keys and logins made up on the spot.

use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use vmux_proto::binding::Use;
use vmux_proto::crypto::PureRust;
use vmux_proto::key::{Curve, PublicKey};
use vmux_proto::signature::{RsaHash, Verifier, encode_ed25519};
use vmux_proto::wire::Writer;

pub(crate) struct Vectors(Value);

impl Vectors {
    pub(crate) fn keys() -> Self {
        Self::parse(include_str!("../../../../docs/spec/vectors/keys.json"))
    }

    pub(crate) fn bindings() -> Self {
        Self::parse(include_str!("../../../../docs/spec/vectors/bindings.json"))
    }

    pub(crate) fn payloads() -> Self {
        Self::parse(include_str!("../../../../docs/spec/vectors/payloads.json"))
    }

    pub(crate) fn destinations() -> Self {
        Self::parse(include_str!(
            "../../../../docs/spec/vectors/destinations.json"
        ))
    }

    pub(crate) fn messages() -> Self {
        Self::parse(include_str!("../../../../docs/spec/vectors/messages.json"))
    }

    pub(crate) fn audit() -> Self {
        Self::parse(include_str!("../../../../docs/spec/vectors/audit.json"))
    }

    fn parse(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap())
    }

    /// The vectors under `name`; an empty list would test nothing.
    pub(crate) fn list(&self, name: &str) -> &[Value] {
        let list = self.0[name].as_array().unwrap();
        assert!(!list.is_empty(), "{name}");
        list
    }

    pub(crate) fn named(&self, list: &str, name: &str) -> &Value {
        self.list(list)
            .iter()
            .find(|vector| vector["name"] == name)
            .unwrap_or_else(|| panic!("no vector {name}"))
    }
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

pub(crate) fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(text).collect()
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    unhex(text(value))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: &u8| u8::try_from(char::from(*byte).to_digit(16).unwrap()).unwrap();
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    assert!(rest.is_empty());
    pairs
        .iter()
        .map(|[high, low]| digit(high) << 4 | digit(low))
        .collect()
}

/// Verifies each question once: with most bytes changed, the same signature is asked about again.
#[derive(Default)]
pub(crate) struct Remembering(RefCell<BTreeMap<Vec<Vec<u8>>, bool>>);

impl Remembering {
    fn ask(&self, question: &[&[u8]], answer: impl FnOnce() -> bool) -> bool {
        let question = question.iter().map(|part| part.to_vec()).collect();
        *self.0.borrow_mut().entry(question).or_insert_with(answer)
    }
}

impl Verifier for Remembering {
    fn ed25519(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        let answer = || PureRust.ed25519(key, message, signature);
        self.ask(&[b"ed25519", key, message, signature], answer)
    }

    fn ecdsa(&self, curve: Curve, point: &[u8], message: &[u8], r: &[u8], s: &[u8]) -> bool {
        let name = format!("{curve:?}");
        let answer = || PureRust.ecdsa(curve, point, message, r, s);
        self.ask(&[name.as_bytes(), point, message, r, s], answer)
    }

    fn rsa(&self, e: &[u8], n: &[u8], hash: RsaHash, message: &[u8], signature: &[u8]) -> bool {
        let name = format!("{hash:?}");
        let answer = || PureRust.rsa(e, n, hash, message, signature);
        self.ask(&[name.as_bytes(), e, n, message, signature], answer)
    }
}

/// A host whose secret we know.
pub(crate) struct Host {
    secret: SigningKey,
    key: PublicKey,
}

impl Host {
    pub(crate) fn new(seed: u8) -> Self {
        let secret = SigningKey::from_bytes(&[seed; 32]);
        let blob = Writer::new()
            .string("ssh-ed25519")
            .string(secret.verifying_key().as_bytes())
            .finish();
        Self {
            secret,
            key: PublicKey::parse(&blob).unwrap(),
        }
    }

    pub(crate) fn key(&self) -> &PublicKey {
        &self.key
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        encode_ed25519(&self.secret.sign(message).to_bytes())
    }

    /// The same host, showing a certificate whose key id fills the blob up to `length` bytes.
    pub(crate) fn certified(&self, authority: &Self, length: usize) -> Self {
        let certificate = |key_id: &[u8]| {
            let body = Writer::new()
                .string("ssh-ed25519-cert-v01@openssh.com")
                .string([7; 32])
                .string(self.secret.verifying_key().as_bytes())
                .u64(1)
                .u32(2)
                .string(key_id)
                .string(Writer::new().string("host.example").finish())
                .u64(0)
                .u64(u64::MAX)
                .string("")
                .string("")
                .string("")
                .string(authority.key.blob())
                .finish();
            let signature = authority.sign(&body);
            Writer::new().bytes(&body).string(signature).finish()
        };
        let fill = length - certificate(b"").len();
        let key = PublicKey::parse(&certificate(&vec![b'x'; fill])).unwrap();
        Self {
            secret: self.secret.clone(),
            key,
        }
    }

    /// What this host proves about a session.
    pub(crate) fn bind(&self, session: &[u8], usage: Use) -> Vec<u8> {
        binding(self.key.blob(), session, &self.sign(session), usage)
    }
}

pub(crate) fn binding(key: &[u8], session: &[u8], signature: &[u8], usage: Use) -> Vec<u8> {
    let usage = match usage {
        Use::Login => 0,
        Use::Forwarding => 1,
    };
    Writer::new()
        .string(key)
        .string(session)
        .string(signature)
        .u8(usage)
        .finish()
}

/// The bytes of a login; with a host key it is host-bound.
pub(crate) fn login(key: &PublicKey, session: &[u8], host: Option<&PublicKey>) -> Vec<u8> {
    let method = match host {
        None => "publickey",
        Some(_) => "publickey-hostbound-v00@openssh.com",
    };
    let login = Writer::new()
        .string(session)
        .u8(50)
        .string("alice")
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

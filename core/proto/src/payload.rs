//! What is about to be signed (I2).
//!
//! Accepts the three shapes that ssh, git and ssh-keygen produce: a userauth request (RFC 4252
//! section 7 and OpenSSH PROTOCOL section 3.1), an SSHSIG blob (PROTOCOL.sshsig) and a certificate
//! to be signed (PROTOCOL.certkeys). Anything else is [`Malformed`]: nothing is signed that cannot
//! be shown. Each shape is parsed to its last byte, so no bytes can be two of them.
use crate::Untrusted;
use crate::key::{CertificateBody, Form, PublicKey, find};
use crate::limits::{MAX_PAYLOAD, MAX_SESSION_ID, MIN_SESSION_ID};
use crate::wire::{Malformed, Reader};
use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// The bytes to be signed, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A login.
    Userauth(Userauth),
    /// A signature over a file, a commit, a message.
    SshSig(SshSig),
    /// A certificate that asks for its authority's signature.
    Certificate(Box<CertificateBody>),
}

/// A login request (RFC 4252 section 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Userauth {
    /// The SSH session this login belongs to.
    pub session_id: Vec<u8>,
    /// The user name on the server.
    pub user: Untrusted,
    /// Whether the server's host key stands in the bytes.
    pub method: Method,
    /// The key that logs in, plain or certificate.
    pub key: PublicKey,
    /// The signature algorithm the client announced to the server.
    pub algorithm: String,
}

/// The authentication method of a login request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// `publickey`: says nothing of the host.
    Publickey,
    /// `publickey-hostbound-v00@openssh.com`: names the host key, and the server checks it.
    Hostbound(PublicKey),
}

/// A signature over data with a namespace (PROTOCOL.sshsig).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshSig {
    /// What the signature is for: `git`, `file`, …
    pub namespace: String,
    /// Hash of the content; the content itself is not here.
    pub hash: SshSigHash,
}

/// The content's hash in an SSHSIG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SshSigHash {
    /// SHA-256.
    Sha256([u8; 32]),
    /// SHA-512.
    Sha512([u8; 64]),
}

impl Payload {
    /// Parses the bytes a client wants signed with `key`; they must name the same key.
    pub fn parse(payload: &[u8], key: &PublicKey) -> Result<Self, Malformed> {
        if payload.len() > MAX_PAYLOAD {
            return Err(Malformed::TooLong);
        }
        if payload.starts_with(SSHSIG_MAGIC) {
            return parse_sshsig(payload).map(Self::SshSig);
        }
        match parse_userauth(payload, key) {
            Ok(userauth) => Ok(Self::Userauth(userauth)),
            Err(reason) => match parse_certificate(payload, key) {
                Ok(body) => Ok(Self::Certificate(Box::new(body))),
                Err(Malformed::Unknown) => Err(reason),
                Err(other) => Err(other),
            },
        }
    }
}

const SSHSIG_MAGIC: &[u8] = b"SSHSIG";
const USERAUTH_REQUEST: u8 = 50;

fn parse_sshsig(payload: &[u8]) -> Result<SshSig, Malformed> {
    let mut reader = Reader::new(payload);
    reader.bytes(SSHSIG_MAGIC.len())?;
    let namespace = reader.text()?.to_owned();
    reader.string()?; // reserved
    let algorithm = reader.string()?;
    let value = reader.string()?;
    reader.finish()?;
    if namespace.is_empty() {
        return Err(Malformed::BadValue);
    }
    let hash = match algorithm {
        b"sha256" => SshSigHash::Sha256(value.try_into().map_err(|_| Malformed::BadValue)?),
        b"sha512" => SshSigHash::Sha512(value.try_into().map_err(|_| Malformed::BadValue)?),
        _ => return Err(Malformed::Unknown),
    };
    Ok(SshSig { namespace, hash })
}

fn parse_userauth(payload: &[u8], asked: &PublicKey) -> Result<Userauth, Malformed> {
    let mut reader = Reader::new(payload);
    let session_id = reader.string_within(MAX_SESSION_ID)?;
    if session_id.len() < MIN_SESSION_ID {
        return Err(Malformed::BadValue);
    }
    if reader.u8()? != USERAUTH_REQUEST {
        return Err(Malformed::Unknown);
    }
    let user = reader.string()?;
    if reader.string()? != b"ssh-connection" {
        return Err(Malformed::Unknown);
    }
    let method = reader.string()?;
    if !reader.boolean()? {
        return Err(Malformed::BadValue);
    }
    let algorithm = reader.text()?;
    let key = PublicKey::parse(reader.string()?)?;
    let method = match method {
        b"publickey" => Method::Publickey,
        b"publickey-hostbound-v00@openssh.com" => {
            Method::Hostbound(PublicKey::parse(reader.string()?)?)
        }
        _ => return Err(Malformed::Unknown),
    };
    reader.finish()?;
    if !key.same_key(asked) || !algorithm_fits(algorithm, &key) {
        return Err(Malformed::BadValue);
    }
    Ok(Userauth {
        session_id: session_id.to_owned(),
        user: Untrusted::from_bytes(user),
        method,
        key,
        algorithm: algorithm.to_owned(),
    })
}

/// An RSA key is announced with its hash (RFC 8332), every other key by its own name.
fn algorithm_fits(algorithm: &str, key: &PublicKey) -> bool {
    match (key.blob_type(), algorithm) {
        ("ssh-rsa", name) => matches!(name, "rsa-sha2-256" | "rsa-sha2-512"),
        ("ssh-rsa-cert-v01@openssh.com", name) => matches!(
            name,
            "rsa-sha2-256-cert-v01@openssh.com" | "rsa-sha2-512-cert-v01@openssh.com"
        ),
        (expected, name) => expected == name,
    }
}

fn parse_certificate(payload: &[u8], asked: &PublicKey) -> Result<CertificateBody, Malformed> {
    let mut reader = Reader::new(payload);
    let (algorithm, Form::Certificate) = find(reader.string()?).map_err(|_| Malformed::Unknown)?
    else {
        return Err(Malformed::Unknown);
    };
    let (_, body) = CertificateBody::parse(algorithm, &mut reader)?;
    reader.finish()?;
    if !body.authority.same_key(asked) {
        return Err(Malformed::BadValue);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Writer;
    use proptest::collection::vec as any_length;
    use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
    use serde_json::Value;
    use std::sync::LazyLock;

    /// A recorded request: the key asked for and the bytes.
    struct Request {
        key: PublicKey,
        payload: Vec<u8>,
    }

    static REQUESTS: LazyLock<Vec<Request>> = LazyLock::new(|| {
        let text = include_str!("../../../docs/spec/vectors/payloads.json");
        let vectors: Value = serde_json::from_str(text).unwrap();
        let vectors = vectors["payloads"].as_array().unwrap();
        let request = |vector: &Value| Request {
            key: PublicKey::parse(&bytes(&vector["key"])).unwrap(),
            payload: bytes(&vector["payload"]),
        };
        vectors.iter().map(request).collect()
    });

    fn bytes(value: &Value) -> Vec<u8> {
        let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
        let (pairs, rest) = value.as_str().unwrap().as_bytes().as_chunks::<2>();
        assert!(rest.is_empty());
        pairs
            .iter()
            .map(|[high, low]| digit(*high) << 4 | digit(*low))
            .collect()
    }

    /// In how many classes the bytes can be read, whatever key is asked for.
    fn classes(payload: &[u8]) -> usize {
        let any_key = |parses: &dyn Fn(&PublicKey) -> bool| {
            usize::from(REQUESTS.iter().any(|request| parses(&request.key)))
        };
        usize::from(parse_sshsig(payload).is_ok())
            + any_key(&|key| parse_userauth(payload, key).is_ok())
            + any_key(&|key| parse_certificate(payload, key).is_ok())
    }

    #[test]
    fn recorded_payloads_are_of_one_class_and_random_bytes_of_none() {
        let found: Vec<_> = REQUESTS
            .iter()
            .map(|request| classes(&request.payload))
            .collect();
        assert!(found.iter().all(|count| *count <= 1));
        assert_eq!(
            found.iter().filter(|count| **count == 0).count(),
            1,
            "ssh-add -T"
        );
    }

    #[test]
    fn bytes_made_to_look_like_two_classes_are_at_most_one() {
        for request in REQUESTS.iter() {
            for magic in [
                &b"SSHSIG"[..],
                b"ssh-ed25519-cert-v01@openssh.com",
                b"\0\0\0\x20",
            ] {
                let framed = Writer::new().string(magic).finish();
                for start in [magic, &framed] {
                    let prefixed = [start, &request.payload].concat();
                    assert!(classes(&prefixed) <= 1);
                    let replaced = [
                        start,
                        request.payload.get(start.len()..).unwrap_or_default(),
                    ]
                    .concat();
                    assert!(classes(&replaced) <= 1);
                }
            }
        }
    }

    /// Recorded payloads with a part cut out and another written over it.
    fn mutated() -> impl Strategy<Value = Vec<u8>> {
        let other = prop_oneof![
            any_length(any::<u8>(), 0..40),
            Just(b"SSHSIG".to_vec()),
            Just(b"\0\0\0\x20ssh-ed25519-cert-v01@openssh.com".to_vec()),
            Just(alloc::vec![50]),
            (0..REQUESTS.len()).prop_map(|index| REQUESTS[index].payload.clone()),
        ];
        (0..REQUESTS.len(), any::<usize>(), 0..40_usize, other).prop_map(
            |(index, place, cut, other)| {
                let payload = &REQUESTS[index].payload;
                let start = place % (payload.len() + 1);
                let end = payload.len().min(start + cut);
                [&payload[..start], &other, &payload[end..]].concat()
            },
        )
    }

    fn is_read_in_one_way(payload: &[u8]) {
        assert!(classes(payload) <= 1);
        for request in REQUESTS.iter() {
            let parsed = Payload::parse(payload, &request.key);
            let as_one = match &parsed {
                Ok(Payload::Userauth(_)) => parse_userauth(payload, &request.key).is_ok(),
                Ok(Payload::SshSig(_)) => parse_sshsig(payload).is_ok(),
                Ok(Payload::Certificate(_)) => parse_certificate(payload, &request.key).is_ok(),
                Err(_) => {
                    parse_userauth(payload, &request.key).is_err()
                        && parse_certificate(payload, &request.key).is_err()
                }
            };
            assert!(as_one, "{parsed:?}");
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_parse_as_two_classes(payload in any_length(any::<u8>(), 0..400)) {
            is_read_in_one_way(&payload);
        }

        #[test]
        fn changed_payloads_never_parse_as_two_classes(payload in mutated()) {
            is_read_in_one_way(&payload);
        }
    }
}

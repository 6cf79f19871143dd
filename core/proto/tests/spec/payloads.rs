//! I2 and I7: what is signed was understood to its last byte, and signatures are checked.
use crate::support::{Host, Vectors, bytes, hex, login, number, text, texts};
use serde_json::Value;
use vmux_proto::Malformed;
use vmux_proto::crypto::PureRust;
use vmux_proto::key::{CertificateKind, PublicKey};
use vmux_proto::limits::{MAX_PAYLOAD, MAX_SESSION_ID, MIN_SESSION_ID};
use vmux_proto::payload::{Method, Payload, SshSigHash};
use vmux_proto::signature::VerifiedSignature;
use vmux_proto::wire::Writer;

fn asked(vector: &Value) -> PublicKey {
    PublicKey::parse(&bytes(&vector["key"])).unwrap()
}

fn parse(vector: &Value) -> Result<Payload, Malformed> {
    Payload::parse(&bytes(&vector["payload"]), &asked(vector))
}

/// Vectors of requests that are understood.
fn understood(vectors: &Vectors) -> impl Iterator<Item = &Value> {
    vectors
        .list("payloads")
        .iter()
        .filter(|vector| vector["class"] != "refused")
}

#[test]
fn requests_of_openssh_and_git_say_what_their_command_lines_said() {
    for vector in Vectors::payloads().list("payloads") {
        match (text(&vector["class"]), parse(vector)) {
            ("userauth", Ok(Payload::Userauth(login))) => {
                assert_eq!(hex(&login.session_id), text(&vector["session_id"]));
                assert_eq!(login.user.raw(), text(&vector["user"]));
                assert_eq!(login.algorithm, text(&vector["algorithm"]));
                assert_eq!(login.key.blob_type(), text(&vector["payload_key_type"]));
                let (method, host) = match &login.method {
                    Method::Publickey => ("publickey", None),
                    Method::Hostbound(host) => (
                        "publickey-hostbound-v00@openssh.com",
                        Some(hex(host.blob())),
                    ),
                };
                assert_eq!(method, text(&vector["method"]));
                assert_eq!(host.as_deref(), vector.get("host_key").map(text));
            }
            ("sshsig", Ok(Payload::SshSig(sshsig))) => {
                assert_eq!(sshsig.namespace, text(&vector["namespace"]));
                let (algorithm, hash) = match &sshsig.hash {
                    SshSigHash::Sha256(hash) => ("sha256", &hash[..]),
                    SshSigHash::Sha512(hash) => ("sha512", &hash[..]),
                };
                assert_eq!(algorithm, text(&vector["hash_algorithm"]));
                assert_eq!(hex(hash), text(&vector["hash"]));
            }
            ("certificate", Ok(Payload::Certificate(body))) => {
                let kind = match body.kind {
                    CertificateKind::User => "user",
                    CertificateKind::Host => "host",
                };
                assert_eq!(kind, text(&vector["kind"]));
                assert_eq!(body.serial, number(&vector["serial"]));
                assert_eq!(body.key_id, text(&vector["key_id"]).as_bytes());
                assert_eq!(body.valid_after, number(&vector["valid_after"]));
                assert_eq!(body.valid_before, number(&vector["valid_before"]));
                let principals = texts(&vector["principals"]);
                assert!(
                    body.principals
                        .iter()
                        .eq(principals.iter().map(|name| name.as_bytes()))
                );
            }
            ("refused", Err(_)) => {}
            (class, parsed) => panic!("{class} {}: {parsed:?}", vector["name"]),
        }
    }
}

#[test]
fn the_vectors_have_certificates_asked_for_with_either_blob() {
    // OpenSSH before 10.3 asks with the plain key for bytes that carry the certificate.
    let vectors = Vectors::payloads();
    let quirk = |plain: bool| {
        understood(&vectors).any(|vector| {
            vector["payload_key_type"]
                .as_str()
                .is_some_and(|name| name.contains("-cert-"))
                && asked(vector).certificate().is_none() == plain
        })
    };
    assert!(quirk(true) && quirk(false));
}

#[test]
fn a_certificate_and_its_plain_key_may_stand_for_each_other_and_another_key_may_not() {
    let keys = Vectors::keys();
    let key = |name: &str| {
        PublicKey::from_line(text(&keys.named("keys", name)["line"]))
            .unwrap()
            .0
    };
    let (plain, certificate) = (key("user ed25519"), key("user ed25519 certificate"));
    let (other, other_certificate) = (key("host ed25519"), key("host ed25519 certificate"));
    let session = [5; 32];
    for inside in [&plain, &certificate] {
        let payload = login(inside, &session, None);
        for asked in [&plain, &certificate] {
            assert!(matches!(
                Payload::parse(&payload, asked),
                Ok(Payload::Userauth(_))
            ));
        }
        for asked in [&other, &other_certificate] {
            assert_eq!(Payload::parse(&payload, asked), Err(Malformed::BadValue));
        }
    }
}

#[test]
fn signatures_of_openssh_verify_and_make_a_verified_signature() {
    for vector in Vectors::payloads().list("payloads") {
        let checked = VerifiedSignature::check(
            &PureRust,
            &asked(vector),
            &bytes(&vector["payload"]),
            bytes(&vector["signature"]),
        );
        // The one signature that is refused is good in itself, but made with SHA-1.
        let good = vector.get("signature_refused").is_none();
        assert_eq!(checked.is_ok(), good, "{}", vector["name"]);
    }
}

#[test]
fn signatures_with_any_byte_changed_or_over_other_bytes_do_not_verify() {
    let vectors = Vectors::payloads();
    for name in [
        "ed25519",
        "ecdsa-p256",
        "ecdsa-p384",
        "ecdsa-p521",
        "rsa-3072",
    ] {
        let vector = vectors.named("payloads", &format!("file signed with {name}"));
        let (key, payload) = (asked(vector), bytes(&vector["payload"]));
        let signature = bytes(&vector["signature"]);
        let check = |payload: &[u8], signature: Vec<u8>| {
            VerifiedSignature::check(&PureRust, &key, payload, signature)
        };
        for at in 0..signature.len() {
            let mut changed = signature.clone();
            changed[at] ^= 1 << (at % 8);
            assert!(check(&payload, changed).is_err(), "{name} {at}");
        }
        assert!(check(&payload, [&signature[..], &[0]].concat()).is_err());
        assert!(check(&payload[1..], signature.clone()).is_err());
        assert!(check(&payload, signature).is_ok());
    }
}

#[test]
fn payloads_cut_at_any_length_and_payloads_with_one_byte_more_are_refused() {
    for vector in understood(&Vectors::payloads()) {
        let (key, payload) = (asked(vector), bytes(&vector["payload"]));
        for length in 0..payload.len() {
            let cut = Payload::parse(&payload[..length], &key);
            assert!(cut.is_err(), "{} {length}", vector["name"]);
        }
        for more in [0, 1, 255] {
            let longer = [&payload[..], &[more]].concat();
            assert_eq!(Payload::parse(&longer, &key), Err(Malformed::Trailing));
        }
    }
}

#[test]
fn payloads_that_name_another_key_than_the_one_asked_for_are_refused() {
    let stranger = Host::new(1);
    for vector in understood(&Vectors::payloads()).filter(|vector| vector["class"] != "sshsig") {
        let parsed = Payload::parse(&bytes(&vector["payload"]), stranger.key());
        assert_eq!(parsed, Err(Malformed::BadValue), "{}", vector["name"]);
    }
}

/// A login with every field open to change.
struct Fields {
    session: Vec<u8>,
    number: u8,
    service: &'static str,
    method: &'static str,
    signed: u8,
    algorithm: &'static str,
}

impl Fields {
    fn good() -> Self {
        Self {
            session: vec![5; 32],
            number: 50,
            service: "ssh-connection",
            method: "publickey",
            signed: 1,
            algorithm: "ssh-ed25519",
        }
    }

    fn parse(&self) -> Result<Payload, Malformed> {
        let key = Host::new(1).key().clone();
        let payload = Writer::new()
            .string(&self.session)
            .u8(self.number)
            .string("alice")
            .string(self.service)
            .string(self.method)
            .u8(self.signed)
            .string(self.algorithm)
            .string(key.blob())
            .finish();
        Payload::parse(&payload, &key)
    }
}

#[test]
fn a_login_with_every_field_right_is_understood() {
    assert!(matches!(Fields::good().parse(), Ok(Payload::Userauth(_))));
}

#[test]
fn a_login_with_one_field_wrong_is_refused() {
    let wrong = [
        Fields {
            number: 51,
            ..Fields::good()
        },
        Fields {
            service: "ssh-userauth",
            ..Fields::good()
        },
        Fields {
            method: "password",
            ..Fields::good()
        },
        Fields {
            method: "hostbased",
            ..Fields::good()
        },
        Fields {
            method: "publickey-hostbound-v01@openssh.com",
            ..Fields::good()
        },
        // Bytes that announce no host key must carry none, and the other way round.
        Fields {
            method: "publickey-hostbound-v00@openssh.com",
            ..Fields::good()
        },
        Fields {
            signed: 0,
            ..Fields::good()
        },
        Fields {
            signed: 2,
            ..Fields::good()
        },
        Fields {
            algorithm: "ssh-rsa",
            ..Fields::good()
        },
        Fields {
            algorithm: "rsa-sha2-256",
            ..Fields::good()
        },
        Fields {
            algorithm: "ssh-ed25519-cert-v01@openssh.com",
            ..Fields::good()
        },
        Fields {
            algorithm: "",
            ..Fields::good()
        },
    ];
    for (index, fields) in wrong.iter().enumerate() {
        assert!(fields.parse().is_err(), "{index}");
    }
}

#[test]
fn sessions_at_the_limits_are_understood_and_one_byte_beyond_is_refused() {
    let parse = |length| {
        Fields {
            session: vec![5; length],
            ..Fields::good()
        }
        .parse()
    };
    assert!(parse(MIN_SESSION_ID).is_ok() && parse(MAX_SESSION_ID).is_ok());
    assert_eq!(parse(MIN_SESSION_ID - 1), Err(Malformed::BadValue));
    assert_eq!(parse(MAX_SESSION_ID + 1), Err(Malformed::TooLong));
}

#[test]
fn an_rsa_login_announces_sha2_and_never_sha1() {
    let vectors = Vectors::payloads();
    for (name, algorithm) in [
        ("login with rsa-3072", "rsa-sha2-512"),
        (
            "login with rsa-3072 certificate alone",
            "rsa-sha2-512-cert-v01@openssh.com",
        ),
    ] {
        let vector = vectors.named("payloads", name);
        assert_eq!(text(&vector["algorithm"]), algorithm);
        let (key, payload) = (asked(vector), bytes(&vector["payload"]));
        let announced = |name: &str| {
            let at = find(&payload, algorithm.as_bytes());
            let rest = &payload[at + algorithm.len()..];
            Writer::new()
                .bytes(&payload[..at - 4])
                .string(name)
                .bytes(rest)
                .finish()
        };
        let other = algorithm.replace("512", "256");
        assert!(Payload::parse(&announced(&other), &key).is_ok());
        let sha1 = algorithm.replace("rsa-sha2-512", "ssh-rsa");
        assert_eq!(
            Payload::parse(&announced(&sha1), &key),
            Err(Malformed::BadValue)
        );
    }
}

fn find(bytes: &[u8], part: &[u8]) -> usize {
    bytes
        .windows(part.len())
        .position(|window| window == part)
        .unwrap()
}

fn sshsig(namespace: &str, algorithm: &str, hash: &[u8]) -> Result<Payload, Malformed> {
    let payload = Writer::new()
        .bytes(b"SSHSIG")
        .string(namespace)
        .string("")
        .string(algorithm)
        .string(hash)
        .finish();
    Payload::parse(&payload, Host::new(1).key())
}

#[test]
fn an_sshsig_needs_a_namespace_and_a_hash_of_the_right_length() {
    assert!(sshsig("git", "sha256", &[1; 32]).is_ok());
    assert!(sshsig("git", "sha512", &[1; 64]).is_ok());
    assert_eq!(sshsig("", "sha512", &[1; 64]), Err(Malformed::BadValue));
    assert_eq!(sshsig("git", "sha256", &[1; 64]), Err(Malformed::BadValue));
    assert_eq!(sshsig("git", "sha512", &[1; 32]), Err(Malformed::BadValue));
    assert_eq!(sshsig("git", "sha512", &[1; 63]), Err(Malformed::BadValue));
    assert_eq!(sshsig("git", "sha1", &[1; 20]), Err(Malformed::Unknown));
}

#[test]
fn a_payload_at_the_limit_is_understood_and_one_byte_more_is_refused() {
    let around = 6 + 4 + 4 + 4 + 6 + 4 + 64;
    let fitting = "n".repeat(MAX_PAYLOAD - around);
    assert!(sshsig(&fitting, "sha512", &[1; 64]).is_ok());
    assert_eq!(
        sshsig(&format!("{fitting}n"), "sha512", &[1; 64]),
        Err(Malformed::TooLong)
    );
}

#[test]
fn a_session_id_that_reads_like_a_certificate_type_is_still_a_login() {
    // The names are 27 to 43 bytes long, which a session id may be.
    let session = b"ssh-ed25519-cert-v01@openssh.com".to_vec();
    let parsed = Fields {
        session,
        ..Fields::good()
    }
    .parse();
    assert!(matches!(parsed, Ok(Payload::Userauth(_))));
}

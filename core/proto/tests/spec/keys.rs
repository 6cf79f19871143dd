use crate::support::{Host, Vectors, number, text, texts};
use serde_json::Value;
use vmux_proto::Malformed;
use vmux_proto::crypto::PureRust;
use vmux_proto::key::{CertificateKind, PublicKey};
use vmux_proto::limits::MAX_KEY_BLOB;
use vmux_proto::signature::verify_certificate;

fn key(vector: &Value) -> PublicKey {
    PublicKey::from_line(text(&vector["line"])).unwrap().0
}

#[test]
fn keys_of_openssh_come_back_as_the_line_they_came_from() {
    let mut types = std::collections::BTreeSet::new();
    for vector in Vectors::keys().list("keys") {
        let line = text(&vector["line"]);
        let (key, comment) = PublicKey::from_line(line).unwrap();
        assert_eq!(format!("{} {comment}", key.to_line()), line);
        assert_eq!(PublicKey::from_line(&key.to_line()), Ok((key.clone(), "")));
        types.insert(key.blob_type());
    }
    assert_eq!(
        types.len(),
        14,
        "every plain and every certificate type: {types:?}"
    );
}

#[test]
fn fingerprints_are_what_ssh_keygen_prints() {
    for vector in Vectors::keys().list("keys") {
        assert_eq!(
            key(vector).fingerprint().to_string(),
            text(&vector["fingerprint"])
        );
    }
}

#[test]
fn keys_cut_at_any_length_and_keys_with_one_byte_more_are_refused() {
    for vector in Vectors::keys().list("keys") {
        let blob = key(vector).blob().to_vec();
        for length in 0..blob.len() {
            assert!(
                PublicKey::parse(&blob[..length]).is_err(),
                "{} {length}",
                vector["name"]
            );
        }
        let longer = [&blob[..], &[0]].concat();
        assert_eq!(
            PublicKey::parse(&longer),
            Err(Malformed::Trailing),
            "{}",
            vector["name"]
        );
    }
}

#[test]
fn a_line_under_the_name_of_another_type_is_refused() {
    let vectors = Vectors::keys();
    let line = text(&vectors.named("keys", "host ed25519")["line"]);
    assert!(PublicKey::from_line(line).is_ok());
    let renamed = line.replacen("ssh-ed25519", "ssh-ed25518", 1);
    assert_eq!(PublicKey::from_line(&renamed), Err(Malformed::BadValue));
}

#[test]
fn certificates_say_what_ssh_keygen_was_told() {
    let vectors = Vectors::keys();
    let said: Vec<_> = vectors
        .list("keys")
        .iter()
        .filter(|vector| vector.get("certificate").is_some())
        .collect();
    assert_eq!(said.len(), 13);
    for vector in said {
        let key = key(vector);
        let body = &key.certificate().unwrap().body;
        let expected = &vector["certificate"];
        let kind = match body.kind {
            CertificateKind::User => "user",
            CertificateKind::Host => "host",
        };
        assert_eq!(kind, text(&expected["kind"]));
        assert_eq!(body.serial, number(&expected["serial"]));
        assert_eq!(body.key_id, text(&expected["key_id"]).as_bytes());
        assert_eq!(body.valid_after, number(&expected["valid_after"]));
        assert_eq!(body.valid_before, number(&expected["valid_before"]));
        assert_eq!(
            body.authority.fingerprint().to_string(),
            text(&expected["authority"])
        );
        let principals: Vec<_> = texts(&expected["principals"]);
        assert!(
            body.principals
                .iter()
                .eq(principals.iter().map(|name| name.as_bytes()))
        );
        assert_eq!(
            named(&body.critical),
            pairs(&expected["critical"]),
            "{}",
            vector["name"]
        );
        assert_eq!(
            named(&body.extensions),
            pairs(&expected["extensions"]),
            "{}",
            vector["name"]
        );
    }
}

/// Options with the string inside their data, which is how all of OpenSSH's are written.
fn named(options: &[(Vec<u8>, Vec<u8>)]) -> Vec<(String, String)> {
    options
        .iter()
        .map(|(name, data)| {
            let value = if data.is_empty() { &[][..] } else { &data[4..] };
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            (text(name), text(value))
        })
        .collect()
}

fn pairs(value: &Value) -> Vec<(String, String)> {
    let pair = |pair: &Value| (text(&pair[0]).to_owned(), text(&pair[1]).to_owned());
    value.as_array().unwrap().iter().map(pair).collect()
}

#[test]
fn a_certificate_and_its_plain_key_are_the_same_key_and_two_keys_are_not() {
    let vectors = Vectors::keys();
    for algorithm in [
        "ed25519",
        "ecdsa-p256",
        "ecdsa-p384",
        "ecdsa-p521",
        "rsa-3072",
        "sk-ed25519",
    ] {
        let plain = key(vectors.named("keys", &format!("user {algorithm}")));
        let certificate = key(vectors.named("keys", &format!("user {algorithm} certificate")));
        assert!(plain.same_key(&certificate) && certificate.same_key(&plain));
        assert_ne!(plain, certificate);
        assert_eq!(certificate.plain(), plain);
        assert_eq!(certificate.plain_blob(), plain.blob());
    }
    let user = key(vectors.named("keys", "user ed25519"));
    assert!(!user.same_key(&key(vectors.named("keys", "host ed25519"))));
    // The same point under the FIDO name is another key: its signatures sign other bytes.
    assert!(!user.same_key(&key(vectors.named("keys", "user sk-ed25519"))));
}

#[test]
fn certificates_of_ssh_keygen_are_signed_by_the_authority_they_name() {
    for vector in Vectors::keys().list("keys") {
        if let Some(certificate) = key(vector).certificate() {
            assert!(
                verify_certificate(&PureRust, certificate).is_ok(),
                "{}",
                vector["name"]
            );
        }
    }
}

#[test]
fn a_certificate_with_any_byte_changed_is_not_signed_by_its_authority() {
    let vectors = Vectors::keys();
    // By an authority with RSA, and by one on the Edwards curve.
    for name in ["user ecdsa-p384 certificate", "user sk-ed25519 certificate"] {
        let blob = key(vectors.named("keys", name)).blob().to_vec();
        for at in 0..blob.len() {
            let mut changed = blob.clone();
            changed[at] ^= 1 << (at % 8);
            let signed = PublicKey::parse(&changed)
                .is_ok_and(|key| verify_certificate(&PureRust, key.certificate().unwrap()).is_ok());
            assert!(!signed, "{name} {at}");
        }
    }
}

#[test]
fn a_blob_at_the_limit_is_parsed_and_one_byte_more_is_refused() {
    let (host, authority) = (Host::new(1), Host::new(2));
    let largest = host.certified(&authority, MAX_KEY_BLOB);
    assert_eq!(largest.key().blob().len(), MAX_KEY_BLOB);
    let longer = [largest.key().blob(), &[0]].concat();
    assert_eq!(PublicKey::parse(&longer), Err(Malformed::TooLong));
}

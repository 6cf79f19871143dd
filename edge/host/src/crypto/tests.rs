//! Both back ends, side by side: never a different verdict.
use super::*;
use ed25519_dalek::Signer as _;
use proptest::collection::vec as any_length;
use proptest::prelude::{any, proptest};
use proptest::sample::Index;
use std::cell::RefCell;
use std::process::Command;
use vmux_proto::binding::Chain;
use vmux_proto::key::{KeyData, PublicKey};
use vmux_proto::wire::Reader;

/// What a verifier is asked.
#[derive(Clone, Debug)]
enum Question {
    Ed25519([u8; 32], Vec<u8>, [u8; 64]),
    Ecdsa(Curve, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>),
    Rsa(Vec<u8>, Vec<u8>, RsaHash, Vec<u8>, Vec<u8>),
}

impl Question {
    fn ask(&self, verifier: &dyn Verifier) -> bool {
        match self {
            Self::Ed25519(key, message, signature) => verifier.ed25519(key, message, signature),
            Self::Ecdsa(curve, point, message, r, s) => {
                verifier.ecdsa(*curve, point, message, r, s)
            }
            Self::Rsa(e, n, hash, message, signature) => {
                verifier.rsa(e, n, *hash, message, signature)
            }
        }
    }

    /// The one verdict.
    #[track_caller]
    fn verdict(&self) -> bool {
        let native = self.ask(&Native);
        assert_eq!(native, self.ask(&PureRust), "{self:x?}");
        native
    }

    fn parts(&mut self) -> Vec<&mut [u8]> {
        match self {
            Self::Ed25519(key, message, signature) => vec![key, message, signature],
            Self::Ecdsa(_, point, message, r, s) => vec![point, message, r, s],
            Self::Rsa(e, n, _, message, signature) => vec![e, n, message, signature],
        }
    }

    /// The same with one bit changed, once for each bit; of long numbers, for each of every eighth byte.
    fn with_each_bit_changed(&self) -> impl Iterator<Item = Self> {
        let lengths: Vec<_> = self.clone().parts().iter().map(|part| part.len()).collect();
        let bits = lengths
            .into_iter()
            .enumerate()
            .flat_map(|(part, length)| (0..length * 8).map(move |bit| (part, bit)));
        // What is long or slow to check is in its middle as at its ends.
        let thinned = match self {
            Self::Ed25519(..) | Self::Ecdsa(Curve::P256 | Curve::P521, ..) => [false; 4],
            Self::Ecdsa(Curve::P384, ..) => [true; 4],
            Self::Rsa(..) => [false, true, false, false],
        };
        let bits = bits.filter(move |(part, bit)| !thinned[*part] || bit % 64 < 8);
        bits.map(|(part, bit)| {
            let mut changed = self.clone();
            changed.parts()[part][bit / 8] ^= 1 << (bit % 8);
            changed
        })
    }
}

/// Keeps what it is asked.
#[derive(Default)]
struct Recorder(RefCell<Vec<Question>>);

impl Verifier for Recorder {
    fn ed25519(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        let question = Question::Ed25519(*key, message.to_vec(), *signature);
        self.0.borrow_mut().push(question);
        true
    }

    fn ecdsa(&self, curve: Curve, point: &[u8], message: &[u8], r: &[u8], s: &[u8]) -> bool {
        let [point, message, r, s] = [point, message, r, s].map(<[u8]>::to_vec);
        let question = Question::Ecdsa(curve, point, message, r, s);
        self.0.borrow_mut().push(question);
        true
    }

    fn rsa(&self, e: &[u8], n: &[u8], hash: RsaHash, message: &[u8], signature: &[u8]) -> bool {
        let [e, n, message, signature] = [e, n, message, signature].map(<[u8]>::to_vec);
        let question = Question::Rsa(e, n, hash, message, signature);
        self.0.borrow_mut().push(question);
        true
    }
}

/// Everything that OpenSSH's bindings of all kinds of host keys make a verifier check.
fn vectors() -> Vec<Question> {
    let text = include_str!("../../../../docs/spec/vectors/bindings.json");
    let file: serde_json::Value = serde_json::from_str(text).unwrap();
    let recorder = Recorder::default();
    for binding in file["bindings"].as_array().unwrap() {
        let body = unhex(binding["body"].as_str().unwrap());
        Chain::new().bind(&recorder, &body).unwrap();
    }
    recorder.0.into_inner()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

#[test]
fn what_openssh_signs_verifies() {
    let vectors = vectors();
    assert!(vectors.len() > 20);
    assert!(vectors.iter().all(Question::verdict));
}

/// The first vector of this kind verifies, and with any bit changed it does not.
fn holds_to_the_bit(is_it: impl Fn(&Question) -> bool) {
    let question = vectors().into_iter().find(is_it).unwrap();
    assert!(question.verdict());
    for changed in question.with_each_bit_changed() {
        assert!(!changed.verdict(), "{changed:x?}");
    }
}

#[test]
fn with_any_bit_changed_an_ed25519_signature_does_not_verify() {
    holds_to_the_bit(|question| matches!(question, Question::Ed25519(..)));
}

#[test]
fn with_any_bit_changed_a_p256_signature_does_not_verify() {
    holds_to_the_bit(|question| matches!(question, Question::Ecdsa(Curve::P256, ..)));
}

#[test]
fn with_any_bit_changed_a_p384_signature_does_not_verify() {
    holds_to_the_bit(|question| matches!(question, Question::Ecdsa(Curve::P384, ..)));
}

#[test]
fn with_any_bit_changed_an_rsa_signature_does_not_verify() {
    holds_to_the_bit(|question| matches!(question, Question::Rsa(..)));
}

/// The order of Ed25519's group, lowest byte first.
const ORDER: [u8; 32] = {
    let mut order = [0; 32];
    let low = 0x14de_f9de_a2f7_9cd6_5812_631a_5cf5_d3ed_u128.to_le_bytes();
    let mut at = 0;
    while at < 16 {
        order[at] = low[at];
        at += 1;
    }
    order[31] = 0x10;
    order
};

fn sum(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    a.iter()
        .zip(b)
        .map(|(a, b)| {
            let sum = u16::from(*a) + u16::from(*b) + carry;
            carry = sum >> 8;
            u8::try_from(sum & 0xff).unwrap()
        })
        .collect()
}

/// Points on which verifiers are known to differ: of small order, and of a y that is not reduced.
fn strange_points() -> Vec<[u8; 32]> {
    let from_hex = |text| <[u8; 32]>::try_from(unhex(text)).unwrap();
    let order_8 = [
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    ];
    let mut points: Vec<_> = order_8.map(from_hex).to_vec();
    for low in [0, 1] {
        let mut y = [0; 32];
        y[0] = low;
        points.push(y);
    }
    for low in 0xec..=0xff {
        let mut y = [0xff; 32];
        y[0] = low;
        y[31] = 0x7f;
        points.push(y);
    }
    let negative = points.clone().into_iter().map(|mut point| {
        point[31] |= 0x80;
        point
    });
    points.extend(negative.collect::<Vec<_>>());
    points
}

#[test]
fn no_strange_point_verifies_as_key_or_commitment() {
    let one = sum(&[1], &[0]);
    let scalars = [
        &[0][..],
        &one,
        &ORDER,
        &sum(&ORDER, &[&[1][..], &[0; 31]].concat()),
    ];
    let points = strange_points();
    let good = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let good_key = good.verifying_key().to_bytes();
    let good_signature = good.sign(b"message").to_bytes();
    for point in &points {
        for (key, commitment) in points
            .iter()
            .map(|other| (*point, *other))
            .chain([(good_key, *point), (*point, good_key)])
        {
            for scalar in scalars {
                let mut signature = [0; 64];
                signature[..32].copy_from_slice(&commitment);
                signature[32..32 + scalar.len()].copy_from_slice(scalar);
                let question = Question::Ed25519(key, b"message".to_vec(), signature);
                assert!(!question.verdict(), "{question:x?}");
            }
        }
        let question = Question::Ed25519(*point, b"message".to_vec(), good_signature);
        assert!(!question.verdict());
    }
}

#[test]
fn an_edwards_scalar_below_the_order_verifies_and_the_same_plus_the_order_does_not() {
    let secret = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let key = secret.verifying_key().to_bytes();
    let signature = secret.sign(b"message").to_bytes();
    let ask = |signature| Question::Ed25519(key, b"message".to_vec(), signature).verdict();
    assert!(ask(signature));
    let mut higher = signature;
    higher[32..].copy_from_slice(&sum(&signature[32..], &ORDER));
    assert!(!ask(higher));
}

/// The order of P-256's group.
const N256: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

fn p256_question(r: &[u8], s: &[u8]) -> Question {
    let secret = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let point = secret.verifying_key().to_sec1_point(false);
    Question::Ecdsa(
        Curve::P256,
        point.as_bytes().to_vec(),
        b"message".to_vec(),
        r.to_vec(),
        s.to_vec(),
    )
}

#[test]
fn both_signs_of_s_verify_and_numbers_outside_of_the_group_do_not() {
    let secret = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let signature: p256::ecdsa::Signature = secret.sign(b"message");
    let (r, s) = signature.split_bytes();
    let n = unhex(N256);
    // n - s = n + !s + 1 in two's complement, lowest byte first.
    let reversed = |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<_>>();
    let complement: Vec<_> = reversed(&s).iter().map(|byte| !byte).collect();
    let one = [&[1][..], &[0; 31]].concat();
    let other_s = reversed(&sum(&sum(&reversed(&n), &complement), &one));
    assert!(p256_question(&r, &s).verdict());
    assert!(p256_question(&r, &other_s).verdict());
    let n_plus_1 = reversed(&sum(&reversed(&n), &one));
    let long = [&[1][..], &r].concat();
    for outside in [&[][..], &[0], &[0; 32], &n, &n_plus_1, &[0xff; 32], &long] {
        assert!(!p256_question(outside, &s).verdict(), "{outside:x?}");
        assert!(!p256_question(&r, outside).verdict(), "{outside:x?}");
    }
}

#[test]
fn points_that_are_none_verify_nothing() {
    for curve in [Curve::P256, Curve::P384] {
        let size = curve.field_size();
        for first in [0, 2, 3, 4, 5, 6, 7] {
            for length in [0, 1, size, size + 1, 2 * size, 2 * size + 1, 2 * size + 2] {
                for fill in [0, 1, 0xff] {
                    let mut point = vec![fill; length];
                    if let Some(head) = point.first_mut() {
                        *head = first;
                    }
                    let question = Question::Ecdsa(curve, point, vec![1], vec![1], vec![1]);
                    assert!(!question.verdict());
                }
            }
        }
    }
}

/// A question that OpenSSH made with a new RSA key of this size.
fn rsa_question(bits: u32) -> Question {
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let ran = Command::new("ssh-keygen")
            .args(arguments)
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert!(ran.status.success(), "{ran:?}");
        ran.stdout
    };
    let bits = bits.to_string();
    run(&["-q", "-t", "rsa", "-b", &bits, "-N", "", "-f", "key"]);
    std::os::unix::fs::symlink("key.pub", dir.path().join("message")).unwrap();
    run(&["-q", "-Y", "sign", "-n", "file", "-f", "key", "message"]);
    let armoured = std::fs::read_to_string(dir.path().join("message.sig")).unwrap();
    let lines = armoured.lines().filter(|line| !line.starts_with('-'));
    let blob = base64(&lines.collect::<String>());
    let mut reader = Reader::new(&blob);
    assert_eq!(reader.bytes(6).unwrap(), b"SSHSIG");
    reader.u32().unwrap();
    let key = PublicKey::parse(reader.string().unwrap()).unwrap();
    let [namespace, reserved, hash] = [(); 3].map(|()| reader.string().unwrap());
    let signature = reader.string().unwrap();
    let digest =
        <sha2::Sha512 as sha2::Digest>::digest(std::fs::read(dir.path().join("message")).unwrap());
    let signed = vmux_proto::wire::Writer::new()
        .bytes(b"SSHSIG")
        .string(namespace)
        .string(reserved)
        .string(hash)
        .string(digest)
        .finish();
    let recorder = Recorder::default();
    vmux_proto::signature::verify(&recorder, &key, &signed, signature).unwrap();
    assert!(matches!(key.data(), KeyData::Rsa { .. }));
    recorder.0.into_inner().remove(0)
}

fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0);
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        let at = ALPHABET.iter().position(|known| *known == letter).unwrap();
        bits = bits << 6 | u32::try_from(at).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).unwrap());
        }
    }
    bytes
}

#[test]
fn rsa_keys_of_every_size_verify_and_with_numbers_changed_do_not() {
    // Below, at and above the least that the native back end takes; odd sizes; a large one.
    for bits in [1024, 2040, 2041, 2047, 2048, 2049, 3071, 4096] {
        let question = rsa_question(bits);
        assert!(question.verdict(), "{bits}");
        let Question::Rsa(e, n, hash, message, signature) = question else {
            panic!("an RSA key")
        };
        let ask = |e: &[u8], n: &[u8], signature: &[u8]| {
            let [e, n, signature] = [e, n, signature].map(<[u8]>::to_vec);
            Question::Rsa(e, n, hash, message.clone(), signature).verdict()
        };
        assert!(ask(&[&[0, 0][..], &e].concat(), &n, &signature));
        assert!(ask(&e, &[&[0][..], &n].concat(), &signature));
        for exponent in [
            &[][..],
            &[0],
            &[1],
            &[2],
            &[3],
            &[1, 0, 0],
            &[0xff; 4],
            &[0xff; 5],
        ] {
            assert!(!ask(exponent, &n, &signature), "{bits} {exponent:x?}");
        }
        let even = [&n[..n.len() - 1], &[n[n.len() - 1] ^ 1]].concat();
        assert!(!ask(&e, &even, &signature));
        assert!(!ask(&e, &n, &[&[0][..], &signature].concat()));
        assert!(!ask(&e, &n, &signature[1..]));
        assert!(!ask(&e, &n, &n));
        assert!(!ask(&e, &n, &vec![0; n.len()]));
        // The same number in other clothes: its signature plus the modulus.
        let reversed = |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<_>>();
        let higher = reversed(&sum(&reversed(&signature), &reversed(&n)));
        assert!(!ask(&e, &n, &higher));
    }
}

proptest! {
    #[test]
    fn whatever_is_changed_both_say_the_same(
        which in any::<Index>(),
        part in any::<Index>(),
        changes in any_length((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let vectors = vectors();
        let mut question = which.get(&vectors).clone();
        let mut parts = question.parts();
        let at = part.index(parts.len());
        for (place, byte) in changes {
            let part = &mut parts[at];
            part[place.index(part.len())] = byte;
        }
        question.verdict();
    }

    #[test]
    fn what_was_signed_verifies(
        seed in any::<[u8; 32]>(),
        message in any_length(any::<u8>(), 0..300),
    ) {
        let secret = ed25519_dalek::SigningKey::from_bytes(&seed);
        let key = secret.verifying_key().to_bytes();
        let signature = secret.sign(&message).to_bytes();
        assert!(Question::Ed25519(key, message.clone(), signature).verdict());
        if let Ok(secret) = p256::ecdsa::SigningKey::from_slice(&seed) {
            let signature: p256::ecdsa::Signature = secret.sign(&message);
            let (r, s) = signature.split_bytes();
            let point = secret.verifying_key().to_sec1_point(false);
            let [point, r, s] = [point.as_bytes(), &r, &s].map(<[u8]>::to_vec);
            assert!(Question::Ecdsa(Curve::P256, point, message, r, s).verdict());
        }
    }

    #[test]
    fn random_numbers_verify_nothing_and_panic_nowhere(
        a in any_length(any::<u8>(), 0..300),
        b in any_length(any::<u8>(), 0..300),
        c in any_length(any::<u8>(), 0..300),
    ) {
        for curve in [Curve::P256, Curve::P384, Curve::P521] {
            let question = Question::Ecdsa(curve, a.clone(), vec![1], b.clone(), c.clone());
            assert!(!question.verdict());
        }
        let question = Question::Rsa(a, b, RsaHash::Sha256, vec![1], c);
        assert!(!question.verdict());
    }
}

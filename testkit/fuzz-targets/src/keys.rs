//! Keys, certificates and signatures.
use vmux_proto::crypto::PureRust;
use vmux_proto::key::{Curve, PublicKey};
use vmux_proto::limits::MAX_KEY_BLOB;
use vmux_proto::signature::{RsaHash, VerifiedSignature, Verifier, verify, verify_certificate};
use vmux_proto::wire::{Reader, Writer};

use crate::choices::{Choices, flipped};

/// A key blob, plain or certificate.
pub fn key(data: &[u8]) {
    let Ok(key) = PublicKey::parse(data) else {
        return;
    };
    assert_eq!(key.blob(), data);
    assert!(data.len() <= MAX_KEY_BLOB);
    let line = key.to_line();
    let again = PublicKey::from_line(&line).expect("our own line");
    assert_eq!(again, (key.clone(), ""));
    let plain = key.plain();
    assert_eq!(
        PublicKey::parse(&key.plain_blob()).as_ref(),
        Ok(&plain),
        "the plain key is a key"
    );
    assert_eq!(
        PublicKey::from_data(key.data().clone()).as_ref(),
        Ok(&plain)
    );
    assert!(plain.same_key(&key) && plain.certificate().is_none());
    assert_eq!(plain.fingerprint(), key.fingerprint());
    let longer = [data, &[0]].concat();
    assert!(PublicKey::parse(&longer).is_err(), "nothing may follow");
    if let Some(certificate) = key.certificate() {
        assert!(certificate.body.authority.certificate().is_none());
        let written = Writer::new()
            .bytes(&certificate.to_be_signed)
            .string(&certificate.signature);
        assert_eq!(written.finish(), data);
    }
}

/// A line of a `.pub` file.
pub fn key_line(data: &[u8]) {
    let Ok(line) = str::from_utf8(data) else {
        return;
    };
    if let Ok((key, _comment)) = PublicKey::from_line(line) {
        assert!(line.contains(&key.to_line()), "base64 has one spelling");
        super::key(key.blob());
    }
}

/// A certificate with its signature: whoever changes a bit of what is signed is found out.
pub fn certificate(data: &[u8]) {
    let Ok(key) = PublicKey::parse(data) else {
        return;
    };
    let Some(certificate) = key.certificate() else {
        return;
    };
    if verify_certificate(&PureRust, certificate).is_err() {
        return;
    }
    let mut changed = certificate.clone();
    for at in (0..certificate.to_be_signed.len()).step_by(29) {
        changed.to_be_signed = flipped(&certificate.to_be_signed, at);
        assert!(verify_certificate(&PureRust, &changed).is_err());
    }
}

/// A key, a message and a signature over it.
pub fn signature(data: &[u8]) {
    let mut reader = Reader::new(data);
    let (Ok(key), Ok(message)) = (reader.string(), reader.string()) else {
        return;
    };
    let Ok(key) = PublicKey::parse(key) else {
        return;
    };
    let signature = reader.rest();
    let good = verify(&PureRust, &key, message, signature).is_ok();
    let fast = verify(vmux_host::crypto::verifier(), &key, message, signature);
    assert_eq!(good, fast.is_ok(), "one verdict");
    let kept = VerifiedSignature::check(&PureRust, &key, message, signature.to_vec());
    assert_eq!(good, kept.is_ok());
    let plain = verify(&PureRust, &key.plain(), message, signature);
    assert_eq!(good, plain.is_ok(), "a certificate's plain key counts");
    if good {
        let longer = [message, &[0]].concat();
        assert!(verify(&PureRust, &key, &longer, signature).is_err());
        let trailing = [signature, &[0]].concat();
        assert!(verify(&PureRust, &key, message, &trailing).is_err());
    }
}

/// The numbers of a key and of a signature, as pieces: both back ends come to the same verdict.
pub fn verifiers(data: &[u8]) {
    let mut choices = Choices::new(data);
    let kind = choices.below(6);
    let message = choices.piece();
    let (first, second, third) = (choices.piece(), choices.piece(), choices.piece());
    let ask = |verifier: &dyn Verifier| match kind {
        0 => {
            let (Ok(key), Ok(signature)) = (first.try_into(), second.try_into()) else {
                return false;
            };
            verifier.ed25519(key, message, signature)
        }
        1 => verifier.ecdsa(Curve::P256, first, message, second, third),
        2 => verifier.ecdsa(Curve::P384, first, message, second, third),
        3 => verifier.ecdsa(Curve::P521, first, message, second, third),
        4 => verifier.rsa(first, second, RsaHash::Sha256, message, third),
        _ => verifier.rsa(first, second, RsaHash::Sha512, message, third),
    };
    // What no key blob can hold is never asked.
    let numbers = [first, second, third].into_iter().map(<[u8]>::len);
    if numbers.sum::<usize>() <= MAX_KEY_BLOB {
        assert_eq!(ask(&PureRust), ask(vmux_host::crypto::verifier()));
    }
}

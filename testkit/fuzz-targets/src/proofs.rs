//! What is to be signed, and for whom.
use vmux_proto::binding::{BindingRefused, Chain, Use};
use vmux_proto::crypto::PureRust;
use vmux_proto::destination::{Contradiction, Destination, Level};
use vmux_proto::key::PublicKey;
use vmux_proto::limits::{MAX_BINDINGS, MAX_CHAIN};
use vmux_proto::payload::{Method, Payload, SshSigHash, Userauth};
use vmux_proto::wire::{Reader, Writer};

use crate::choices::Choices;
use crate::ssh::People;

/// A key blob as a string, then the bytes to be signed with it.
pub fn payload(data: &[u8]) {
    let mut reader = Reader::new(data);
    let Ok(key) = reader.string() else {
        return;
    };
    let Ok(key) = PublicKey::parse(key) else {
        return;
    };
    let bytes = reader.rest();
    let Ok(payload) = Payload::parse(bytes, &key) else {
        return;
    };
    let longer = [bytes, &[0]].concat();
    assert!(Payload::parse(&longer, &key).is_err(), "a byte more");
    let shorter = &bytes[..bytes.len() - 1];
    assert!(Payload::parse(shorter, &key).is_err(), "a byte less");
    assert!(
        PublicKey::parse(bytes).is_err(),
        "what asks for a signature does not have one"
    );
    match &payload {
        Payload::Userauth(userauth) => {
            assert!(userauth.key.same_key(&key));
            // What was not UTF-8 is replaced in the user's name and in nothing else.
            if !userauth.user.raw().contains('\u{fffd}') {
                assert_eq!(write_login(userauth), bytes);
            }
        }
        Payload::SshSig(signature) => {
            let (name, hash) = match &signature.hash {
                SshSigHash::Sha256(hash) => ("sha256", &hash[..]),
                SshSigHash::Sha512(hash) => ("sha512", &hash[..]),
            };
            let written = Writer::new()
                .bytes(b"SSHSIG")
                .string(&signature.namespace)
                .string("")
                .string(name)
                .string(hash)
                .finish();
            assert_eq!(Payload::parse(&written, &key).as_ref(), Ok(&payload));
            assert!(written.len() <= bytes.len());
        }
        Payload::Certificate(body) => assert!(body.authority.same_key(&key)),
    }
}

fn write_login(userauth: &Userauth) -> Vec<u8> {
    let (method, host_key) = match &userauth.method {
        Method::Publickey => ("publickey", None),
        Method::Hostbound(host_key) => ("publickey-hostbound-v00@openssh.com", Some(host_key)),
    };
    let login = Writer::new()
        .string(&userauth.session_id)
        .u8(50)
        .string(userauth.user.raw())
        .string("ssh-connection")
        .string(method)
        .u8(1)
        .string(&userauth.algorithm)
        .string(userauth.key.blob());
    match host_key {
        None => login,
        Some(host_key) => login.string(host_key.blob()),
    }
    .finish()
}

/// The body of one binding.
pub fn binding(data: &[u8]) {
    let mut chain = Chain::new();
    if chain.bind(&PureRust, data).is_err() {
        assert!(chain.is_poisoned() && chain.bindings().is_empty());
        assert_eq!(
            chain.bind(&PureRust, data),
            Err(BindingRefused::Poisoned),
            "for good"
        );
        return;
    }
    let [binding] = chain.bindings() else {
        panic!("one binding");
    };
    assert_eq!(chain.raw(), [data]);
    let start = Writer::new()
        .string(binding.host_key().blob())
        .string(binding.session_id())
        .finish();
    assert!(data.starts_with(&start));
    assert_eq!(data.last(), Some(&u8::from(chain.is_forwarded())));
    let longer = [data, &[0]].concat();
    assert!(Chain::new().bind(&PureRust, &longer).is_err());
}

/// Bindings of real hosts in any order, with a payload that may fit them.
pub fn destination(data: &[u8]) {
    let people = People::all();
    let mut choices = Choices::new(data);
    let mut chain = Chain::new();
    for _ in 0..choices.below(24) {
        let was_poisoned = chain.is_poisoned();
        let taken = chain.bind(&PureRust, &people.bind(&mut choices));
        assert!(!was_poisoned || taken == Err(BindingRefused::Poisoned));
        assert_eq!(taken.is_err(), chain.is_poisoned());
    }
    let lengths = chain.raw().iter().map(Vec::len);
    assert!(chain.raw().len() <= MAX_BINDINGS && lengths.sum::<usize>() <= MAX_CHAIN);
    if !chain.is_poisoned() {
        let raw = chain.raw().iter().map(Vec::as_slice);
        let again = Chain::prove(&PureRust, raw).expect("proven before");
        assert_eq!(again.bindings(), chain.bindings());
    }
    let key = people.identity(&mut choices).public();
    let bytes = people.payload(&mut choices, key);
    let Ok(payload) = Payload::parse(&bytes, key) else {
        return;
    };
    match Destination::prove(&chain, &payload) {
        Ok(destination) => is_as_proven(&chain, &payload, &destination),
        Err(contradiction) => {
            let failed = contradiction == Contradiction::FailedBinding;
            assert_eq!(failed, chain.is_poisoned());
            assert!(failed || !chain.bindings().is_empty());
        }
    }
}

/// I11, said another way than the code says it.
pub(crate) fn is_as_proven(chain: &Chain, payload: &Payload, destination: &Destination) {
    assert!(!chain.is_poisoned());
    let bindings = chain.bindings();
    match destination.level() {
        Level::Direct | Level::Forwarded => {
            let Payload::Userauth(login) = payload else {
                panic!("only a login has a destination");
            };
            let last = bindings.last().expect("proven by a binding");
            assert_eq!(last.session_id(), login.session_id);
            assert_eq!(last.usage(), Use::Login);
            assert_eq!(destination.host_key(), Some(last.host_key()));
            let hops = &bindings[..bindings.len() - 1];
            assert!(hops.iter().all(|hop| hop.usage() == Use::Forwarding));
            assert!(hops.iter().all(|hop| hop.session_id() != login.session_id));
            assert_eq!(destination.hops().len(), hops.len());
            assert_eq!(destination.level() == Level::Direct, hops.is_empty());
            if let Method::Hostbound(named) = &login.method {
                assert!(named.same_key(last.host_key()));
            }
        }
        Level::Claimed | Level::Unknown | Level::Local => assert!(bindings.is_empty()),
        Level::ForwardedLocal => {
            assert!(!matches!(payload, Payload::Userauth(_)) && chain.is_forwarded());
        }
    }
    let is_verified = matches!(destination.level(), Level::Direct | Level::Forwarded);
    assert_eq!(destination.level().is_verified(), is_verified);
}

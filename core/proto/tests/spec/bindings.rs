//! I11: a binding proves a host, or it poisons its connection.
use crate::support::{Host, Remembering, Vectors, binding, bytes, hex, text};
use vmux_proto::Malformed;
use vmux_proto::binding::{BindingRefused, Chain, Use};
use vmux_proto::crypto::PureRust;
use vmux_proto::limits::{MAX_BINDINGS, MAX_CHAIN, MAX_SESSION_ID, MIN_SESSION_ID};

const SESSION: [u8; 32] = [5; 32];
const OTHER_SESSION: [u8; 32] = [6; 32];

fn bind(body: &[u8]) -> Result<(), BindingRefused> {
    Chain::new().bind(&PureRust, body)
}

fn chain(bodies: &[Vec<u8>]) -> Result<Chain, BindingRefused> {
    Chain::prove(&PureRust, bodies.iter().map(Vec::as_slice))
}

/// A different session id for each number.
fn session(number: usize) -> Vec<u8> {
    vec![u8::try_from(number).unwrap(); 32]
}

#[test]
fn bindings_of_openssh_are_taken_and_say_what_they_prove() {
    for vector in Vectors::bindings().list("bindings") {
        let mut chain = Chain::new();
        assert_eq!(
            chain.bind(&PureRust, &bytes(&vector["body"])),
            Ok(()),
            "{}",
            vector["name"]
        );
        let [binding] = chain.bindings() else {
            panic!("one binding")
        };
        assert_eq!(
            binding.host_key().blob_type(),
            text(&vector["host_key_type"])
        );
        assert_eq!(
            binding.host_key().fingerprint().to_string(),
            text(&vector["fingerprint"])
        );
        assert_eq!(hex(binding.session_id()), text(&vector["session_id"]));
        let usage = match binding.usage() {
            Use::Login => "login",
            Use::Forwarding => "forwarding",
        };
        assert_eq!(usage, text(&vector["usage"]));
        assert_eq!(chain.is_forwarded(), usage == "forwarding");
        assert_eq!(chain.raw(), [bytes(&vector["body"])]);
    }
}

#[test]
fn the_vectors_have_every_host_key_type_and_every_length_of_session_id() {
    let vectors = Vectors::bindings();
    let distinct = |field: &str| {
        let mut found: Vec<_> = vectors
            .list("bindings")
            .iter()
            .map(|vector| text(&vector[field]))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    };
    assert_eq!(distinct("host_key_type").len(), 10);
    assert_eq!(distinct("signature_algorithm").len(), 6);
    let mut lengths: Vec<_> = distinct("session_id")
        .iter()
        .map(|id| id.len() / 2)
        .collect();
    lengths.sort_unstable();
    lengths.dedup();
    assert_eq!(lengths, [20, 32, 48, 64]);
}

#[test]
fn a_binding_with_any_byte_changed_is_refused() {
    for algorithm in [
        "ed25519",
        "ecdsa-p256",
        "ecdsa-p384",
        "ecdsa-p521",
        "rsa-3072",
    ] {
        any_byte_changed_is_refused(&format!("login to {algorithm}"));
    }
}

#[test]
fn a_binding_of_a_host_certificate_with_any_byte_changed_is_refused() {
    // By authorities on P-256, on P-384 and on the Edwards curve.
    for algorithm in ["ed25519", "ecdsa-p256", "rsa-3072"] {
        any_byte_changed_is_refused(&format!("login to {algorithm} certificate"));
    }
}

fn any_byte_changed_is_refused(name: &str) {
    let body = bytes(&Vectors::bindings().named("bindings", name)["body"]);
    let verifier = Remembering::default();
    assert_eq!(Chain::new().bind(&verifier, &body), Ok(()));
    for at in 0..body.len() {
        let mut changed = body.clone();
        // Never only the lowest bit of the last byte, which the next test is about.
        changed[at] ^= if at + 1 == body.len() {
            0x80
        } else {
            1 << (at % 8)
        };
        assert!(
            Chain::new().bind(&verifier, &changed).is_err(),
            "{name} {at}"
        );
    }
}

#[test]
fn what_a_binding_is_for_is_the_word_of_the_client_alone() {
    // The last byte is not under the host's signature. A client that lies with it gains nothing:
    // "login" ends the chain there, "forwarding" forbids signatures for this very session.
    for vector in Vectors::bindings().list("bindings") {
        let mut body = bytes(&vector["body"]);
        *body.last_mut().unwrap() ^= 1;
        assert_eq!(bind(&body), Ok(()), "{}", vector["name"]);
        *body.last_mut().unwrap() = 2;
        assert_eq!(
            bind(&body),
            Err(BindingRefused::Malformed(Malformed::BadValue))
        );
    }
}

#[test]
fn a_binding_cut_at_any_length_is_refused() {
    for vector in Vectors::bindings().list("bindings") {
        let body = bytes(&vector["body"]);
        for length in 0..body.len() {
            let refused = bind(&body[..length]);
            assert!(
                matches!(refused, Err(BindingRefused::Malformed(_))),
                "{length} {refused:?}"
            );
        }
    }
}

#[test]
fn a_binding_with_one_byte_more_is_refused() {
    for vector in Vectors::bindings().list("bindings") {
        let mut body = bytes(&vector["body"]);
        body.push(0);
        assert_eq!(
            bind(&body),
            Err(BindingRefused::Malformed(Malformed::Trailing))
        );
    }
}

#[test]
fn a_host_proves_the_session_it_signed_and_no_other() {
    let host = Host::new(1);
    assert_eq!(bind(&host.bind(&SESSION, Use::Login)), Ok(()));
    let for_other = host.sign(&OTHER_SESSION);
    assert_eq!(
        bind(&binding(
            host.key().blob(),
            &SESSION,
            &for_other,
            Use::Login
        )),
        Err(BindingRefused::NotSignedByHost)
    );
}

#[test]
fn a_session_signed_by_another_host_is_refused() {
    let (host, other) = (Host::new(1), Host::new(2));
    let by_other = other.sign(&SESSION);
    assert_eq!(
        bind(&binding(host.key().blob(), &SESSION, &by_other, Use::Login)),
        Err(BindingRefused::NotSignedByHost)
    );
}

#[test]
fn a_host_certificate_is_taken_only_if_its_authority_signed_it() {
    let (host, authority, stranger) = (Host::new(1), Host::new(2), Host::new(3));
    let certified = host.certified(&authority, 512);
    assert_eq!(bind(&certified.bind(&SESSION, Use::Login)), Ok(()));
    // The host's own key is good; the name of the authority around it is borrowed.
    let blob = certified.key().blob();
    let forged = [
        &blob[..blob.len() - 64],
        &stranger.sign(&blob[..blob.len() - 87])[19..],
    ]
    .concat();
    assert_eq!(forged.len(), blob.len());
    assert_eq!(
        bind(&binding(
            &forged,
            &SESSION,
            &host.sign(&SESSION),
            Use::Login
        )),
        Err(BindingRefused::NotSignedByAuthority)
    );
}

#[test]
fn session_ids_at_the_limits_are_taken_and_one_byte_beyond_is_refused() {
    let host = Host::new(1);
    for length in [MIN_SESSION_ID, MAX_SESSION_ID] {
        assert_eq!(bind(&host.bind(&vec![5; length], Use::Login)), Ok(()));
    }
    let refused = |length| bind(&host.bind(&vec![5; length], Use::Login));
    let (short, long) = (Malformed::BadValue, Malformed::TooLong);
    assert_eq!(
        refused(MIN_SESSION_ID - 1),
        Err(BindingRefused::Malformed(short))
    );
    assert_eq!(
        refused(MAX_SESSION_ID + 1),
        Err(BindingRefused::Malformed(long))
    );
}

#[test]
fn sixteen_bindings_are_taken_and_the_seventeenth_is_refused() {
    let mut chain = Chain::new();
    for number in 0..MAX_BINDINGS {
        let host = Host::new(u8::try_from(number + 1).unwrap());
        assert_eq!(
            chain.bind(&PureRust, &host.bind(&session(number), Use::Forwarding)),
            Ok(())
        );
    }
    assert_eq!(chain.bindings().len(), MAX_BINDINGS);
    // A repetition takes no place, so there is room for it.
    assert_eq!(
        chain.bind(&PureRust, &Host::new(1).bind(&session(0), Use::Forwarding)),
        Ok(())
    );
    let next = Host::new(99).bind(&session(99), Use::Login);
    assert_eq!(chain.bind(&PureRust, &next), Err(BindingRefused::TooMany));
    assert!(chain.is_poisoned());
}

#[test]
fn bindings_up_to_the_limit_in_bytes_are_taken_and_one_byte_more_is_refused() {
    let authority = Host::new(9);
    let around = Host::new(1).bind(&SESSION, Use::Login).len() - Host::new(1).key().blob().len();
    let body = |number: usize, length: usize| {
        let host = Host::new(u8::try_from(number + 1).unwrap());
        host.certified(&authority, length - around)
            .bind(&session(number), Use::Forwarding)
    };
    let whole = |last: usize| {
        let third = MAX_CHAIN / 3;
        chain(&[body(0, third), body(1, third), body(2, last)])
    };
    assert_eq!(MAX_CHAIN % 3, 0);
    let raw = whole(MAX_CHAIN / 3).unwrap().raw().concat();
    assert_eq!(raw.len(), MAX_CHAIN);
    assert_eq!(whole(MAX_CHAIN / 3 + 1), Err(BindingRefused::TooMany));
}

#[test]
fn a_forwarding_that_is_repeated_succeeds_and_is_kept_once() {
    let host = Host::new(1);
    let body = host.bind(&SESSION, Use::Forwarding);
    let once = chain(std::slice::from_ref(&body)).unwrap();
    assert_eq!(chain(&[body.clone(), body]).unwrap().raw(), once.raw());
    // With the host's certificate it is the same key still.
    let certified = host
        .certified(&Host::new(2), 400)
        .bind(&SESSION, Use::Forwarding);
    let both = chain(&[once.raw()[0].clone(), certified]).unwrap();
    assert_eq!(both.bindings(), once.bindings());
}

#[test]
fn sixteen_repeats_succeed_and_one_more_is_refused() {
    let body = Host::new(1).bind(&SESSION, Use::Forwarding);
    let repeated = |times: usize| chain(&vec![body.clone(); 1 + times]);
    assert!(repeated(16).is_ok());
    assert_eq!(repeated(17), Err(BindingRefused::TooMany));
}

#[test]
fn one_session_bound_to_two_hosts_poisons_the_connection() {
    let (host, other) = (Host::new(1), Host::new(2));
    let mut chain = chain(&[host.bind(&SESSION, Use::Forwarding)]).unwrap();
    for usage in [Use::Forwarding, Use::Login] {
        let mut chain = chain.clone();
        let conflict = other.bind(&SESSION, usage);
        assert_eq!(
            chain.bind(&PureRust, &conflict),
            Err(BindingRefused::Conflict)
        );
        assert!(chain.is_poisoned());
    }
    // The twin: another session of another host.
    assert_eq!(
        chain.bind(&PureRust, &other.bind(&OTHER_SESSION, Use::Login)),
        Ok(())
    );
}

#[test]
fn a_login_to_a_hop_through_its_own_session_is_a_conflict() {
    let host = Host::new(1);
    let hop = host.bind(&SESSION, Use::Forwarding);
    let same = host.bind(&SESSION, Use::Login);
    assert_eq!(chain(&[hop.clone(), same]), Err(BindingRefused::Conflict));
    let new_session = host.bind(&OTHER_SESSION, Use::Login);
    assert_eq!(chain(&[hop, new_session]).unwrap().bindings().len(), 2);
}

#[test]
fn after_a_login_nothing_can_be_bound_not_even_the_same_again() {
    let host = Host::new(1);
    let login = host.bind(&SESSION, Use::Login);
    for next in [
        login.clone(),
        host.bind(&SESSION, Use::Forwarding),
        Host::new(2).bind(&OTHER_SESSION, Use::Login),
        Host::new(2).bind(&OTHER_SESSION, Use::Forwarding),
    ] {
        assert_eq!(
            chain(&[login.clone(), next]),
            Err(BindingRefused::AfterLogin)
        );
    }
}

#[test]
fn a_failed_binding_poisons_the_connection_for_good() {
    let host = Host::new(1);
    let good = host.bind(&SESSION, Use::Login);
    let mut bad = good.clone();
    bad[60] ^= 1;
    for failing in [&bad[..], &good[..40], b"", &[&good[..], &[0]].concat()] {
        let mut chain = Chain::new();
        assert!(!chain.is_poisoned());
        assert!(chain.bind(&PureRust, failing).is_err());
        assert!(chain.is_poisoned());
        assert_eq!(chain.bind(&PureRust, &good), Err(BindingRefused::Poisoned));
        assert!(chain.is_poisoned());
        assert!(chain.bindings().is_empty());
    }
}

#[test]
fn a_chain_proven_again_from_its_bytes_is_the_same_chain() {
    for vector in Vectors::destinations().list("destinations") {
        let bodies: Vec<_> = vector["chain"]
            .as_array()
            .unwrap()
            .iter()
            .map(bytes)
            .collect();
        let proven = chain(&bodies).unwrap();
        assert_eq!(chain(proven.raw()), Ok(proven));
    }
    let missing_first = &Vectors::destinations();
    let bodies = missing_first.named("destinations", "login through one hop")["chain"].clone();
    let bodies: Vec<_> = bodies.as_array().unwrap().iter().map(bytes).collect();
    assert_ne!(chain(&bodies[1..]), chain(&bodies));
}

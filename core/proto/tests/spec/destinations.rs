//! I11: where a signature goes, from what hosts proved; contradictions are never signed.
use crate::support::{Host, Vectors, binding, bytes, login, text, texts};
use vmux_proto::binding::{Chain, Use};
use vmux_proto::crypto::PureRust;
use vmux_proto::destination::{Contradiction, Destination, Level};
use vmux_proto::key::PublicKey;
use vmux_proto::payload::Payload;
use vmux_proto::wire::Writer;

/// Sessions of the first, second and third host, and one that nobody bound.
const FIRST: [u8; 64] = [1; 64];
const SECOND: [u8; 32] = [2; 32];
const THIRD: [u8; 48] = [3; 48];
const NOBODY: [u8; 32] = [9; 32];

/// Three hosts, a user's key, and what they can put together.
struct World {
    first: Host,
    second: Host,
    third: Host,
    user: Host,
}

impl World {
    fn new() -> Self {
        Self {
            first: Host::new(1),
            second: Host::new(2),
            third: Host::new(3),
            user: Host::new(4),
        }
    }

    fn login(&self, session: &[u8], host: Option<&Host>) -> Payload {
        let host = host.map(Host::key);
        Payload::parse(&login(self.user.key(), session, host), self.user.key()).unwrap()
    }

    fn git(&self) -> Payload {
        let payload = Writer::new()
            .bytes(b"SSHSIG")
            .string("git")
            .string("")
            .string("sha512")
            .string([1; 64])
            .finish();
        Payload::parse(&payload, self.user.key()).unwrap()
    }

    fn certificate(&self) -> Payload {
        let certified = self.first.certified(&self.user, 400);
        let body = certified.key().certificate().unwrap().to_be_signed.clone();
        Payload::parse(&body, self.user.key()).unwrap()
    }
}

fn chain(hops: &[(&Host, &[u8], Use)]) -> Chain {
    let bodies: Vec<_> = hops
        .iter()
        .map(|(host, id, usage)| host.bind(id, *usage))
        .collect();
    Chain::prove(&PureRust, bodies.iter().map(Vec::as_slice)).unwrap()
}

fn level(chain: &Chain, payload: &Payload) -> Result<Level, Contradiction> {
    Destination::prove(chain, payload).map(|destination| destination.level())
}

fn refusal(name: &str) -> Contradiction {
    match name {
        "failed-binding" => Contradiction::FailedBinding,
        "other-session" => Contradiction::OtherSession,
        "other-host-key" => Contradiction::OtherHostKey,
        "own-hop" => Contradiction::OwnHop,
        "forwarded-unproven" => Contradiction::ForwardedUnproven,
        "not-a-login" => Contradiction::NotALogin,
        other => panic!("no such refusal: {other}"),
    }
}

#[test]
fn connections_of_openssh_prove_what_they_are() {
    for vector in Vectors::destinations().list("destinations") {
        let bodies: Vec<_> = vector["chain"]
            .as_array()
            .unwrap()
            .iter()
            .map(bytes)
            .collect();
        let chain = Chain::prove(&PureRust, bodies.iter().map(Vec::as_slice)).unwrap();
        let key = PublicKey::parse(&bytes(&vector["key"])).unwrap();
        let payload = Payload::parse(&bytes(&vector["payload"]), &key).unwrap();
        let proven = Destination::prove(&chain, &payload);
        if let Some(refused) = vector["refused"].as_str() {
            assert_eq!(proven, Err(refusal(refused)), "{}", vector["name"]);
            continue;
        }
        let proven = proven.unwrap();
        assert_eq!(
            proven.level().name(),
            text(&vector["level"]),
            "{}",
            vector["name"]
        );
        let host_key = proven.host_key().map(|key| key.fingerprint().to_string());
        assert_eq!(
            host_key.as_deref(),
            vector["host_key"].as_str(),
            "{}",
            vector["name"]
        );
        let hops: Vec<_> = proven
            .hops()
            .iter()
            .map(|hop| hop.fingerprint().to_string())
            .collect();
        assert_eq!(hops, texts(&vector["hops"]), "{}", vector["name"]);
    }
}

#[test]
fn a_login_is_direct_if_the_one_bound_host_signed_its_session() {
    let world = World::new();
    let chain = chain(&[(&world.first, &FIRST, Use::Login)]);
    for host in [Some(&world.first), None] {
        let proven = Destination::prove(&chain, &world.login(&FIRST, host)).unwrap();
        assert_eq!(proven.level(), Level::Direct);
        assert_eq!(proven.host_key(), Some(world.first.key()));
        assert!(proven.hops().is_empty() && proven.level().is_verified());
    }
}

#[test]
fn a_login_with_another_session_than_the_bound_one_is_refused() {
    let world = World::new();
    let chain = chain(&[(&world.first, &FIRST, Use::Login)]);
    for host in [Some(&world.first), Some(&world.second), None] {
        let payload = world.login(&NOBODY, host);
        assert_eq!(level(&chain, &payload), Err(Contradiction::OtherSession));
    }
}

#[test]
fn a_login_that_names_another_host_key_than_the_bound_one_is_refused() {
    let world = World::new();
    let chain = chain(&[(&world.first, &FIRST, Use::Login)]);
    let payload = world.login(&FIRST, Some(&world.second));
    assert_eq!(level(&chain, &payload), Err(Contradiction::OtherHostKey));
}

#[test]
fn a_host_certificate_and_its_plain_key_name_the_same_host() {
    let world = World::new();
    let certified = world.first.certified(&world.second, 400);
    for (bound, named) in [(&world.first, &certified), (&certified, &world.first)] {
        let chain = chain(&[(bound, &FIRST, Use::Login)]);
        let payload = world.login(&FIRST, Some(named));
        assert_eq!(level(&chain, &payload), Ok(Level::Direct));
        // The authority's key alone does not make it the same host.
        let payload = world.login(&FIRST, Some(&world.second));
        assert_eq!(level(&chain, &payload), Err(Contradiction::OtherHostKey));
    }
}

#[test]
fn a_forwarded_login_shows_every_hop() {
    let world = World::new();
    let hops = [
        (&world.first, &FIRST[..], Use::Forwarding),
        (&world.second, &SECOND[..], Use::Forwarding),
        (&world.third, &THIRD[..], Use::Login),
    ];
    let chain = chain(&hops);
    let proven = Destination::prove(&chain, &world.login(&THIRD, Some(&world.third))).unwrap();
    assert_eq!(proven.level(), Level::Forwarded);
    assert_eq!(proven.host_key(), Some(world.third.key()));
    assert_eq!(
        proven.hops(),
        [world.first.key().clone(), world.second.key().clone()]
    );
    assert!(proven.level().is_verified() && proven.level().is_forwarded());
}

#[test]
fn a_forwarded_login_has_to_name_the_host_that_proved_itself() {
    let world = World::new();
    let chain = chain(&[
        (&world.first, &FIRST, Use::Forwarding),
        (&world.second, &SECOND, Use::Login),
    ]);
    let of = |host| level(&chain, &world.login(&SECOND, host));
    assert_eq!(of(Some(&world.second)), Ok(Level::Forwarded));
    assert_eq!(of(Some(&world.third)), Err(Contradiction::OtherHostKey));
    // The middle host could open this session to the second host with any user's login.
    assert_eq!(of(None), Err(Contradiction::ForwardedUnproven));
    let other = world.login(&THIRD, Some(&world.third));
    assert_eq!(level(&chain, &other), Err(Contradiction::OtherSession));
}

#[test]
fn a_forwarded_login_to_a_host_that_proved_nothing_is_refused() {
    let world = World::new();
    let chain = chain(&[(&world.first, &FIRST, Use::Forwarding)]);
    for host in [Some(&world.second), Some(&world.first), None] {
        let payload = world.login(&SECOND, host);
        assert_eq!(
            level(&chain, &payload),
            Err(Contradiction::ForwardedUnproven)
        );
    }
}

#[test]
fn a_hop_gets_no_login_to_itself_in_its_own_session() {
    let world = World::new();
    let forwarded = chain(&[
        (&world.first, &FIRST, Use::Forwarding),
        (&world.second, &SECOND, Use::Forwarding),
    ]);
    let bound_on = chain(&[
        (&world.first, &FIRST, Use::Forwarding),
        (&world.second, &SECOND, Use::Forwarding),
        (&world.third, &THIRD, Use::Login),
    ]);
    for chain in [&forwarded, &bound_on] {
        for (session, host) in [(&FIRST[..], &world.first), (&SECOND[..], &world.second)] {
            for named in [Some(host), None, Some(&world.third)] {
                let payload = world.login(session, named);
                assert_eq!(level(chain, &payload), Err(Contradiction::OwnHop));
            }
        }
    }
}

#[test]
fn a_login_back_to_a_hop_in_a_new_session_is_an_ordinary_forwarded_login() {
    let world = World::new();
    let chain = chain(&[
        (&world.first, &FIRST, Use::Forwarding),
        (&world.first, &SECOND, Use::Login),
    ]);
    let payload = world.login(&SECOND, Some(&world.first));
    assert_eq!(level(&chain, &payload), Ok(Level::Forwarded));
}

#[test]
fn without_a_binding_the_host_is_claimed_or_unknown_and_never_verified() {
    let world = World::new();
    let none = Chain::new();
    let claimed = Destination::prove(&none, &world.login(&FIRST, Some(&world.first))).unwrap();
    assert_eq!(claimed.level(), Level::Claimed);
    assert_eq!(claimed.host_key(), Some(world.first.key()));
    let unknown = Destination::prove(&none, &world.login(&FIRST, None)).unwrap();
    assert_eq!(unknown.level(), Level::Unknown);
    assert_eq!(unknown.host_key(), None);
    assert!(!claimed.level().is_verified() && !unknown.level().is_verified());
}

#[test]
fn after_a_failed_binding_nothing_is_signed() {
    let world = World::new();
    let signature = world.second.sign(&FIRST);
    let forged = binding(world.first.key().blob(), &FIRST, &signature, Use::Login);
    for earlier in [
        Chain::new(),
        chain(&[(&world.third, &THIRD, Use::Forwarding)]),
    ] {
        let mut chain = earlier;
        assert!(chain.bind(&PureRust, &forged).is_err());
        for payload in [
            world.login(&FIRST, Some(&world.first)),
            world.login(&FIRST, None),
            world.login(&NOBODY, None),
            world.git(),
            world.certificate(),
        ] {
            assert_eq!(level(&chain, &payload), Err(Contradiction::FailedBinding));
        }
        // Not even what was good before, or a good binding afterwards, helps.
        let good = world.first.bind(&FIRST, Use::Login);
        assert!(chain.bind(&PureRust, &good).is_err());
        let payload = world.login(&FIRST, Some(&world.first));
        assert_eq!(level(&chain, &payload), Err(Contradiction::FailedBinding));
    }
}

#[test]
fn what_is_no_login_is_local_or_forwarded_and_refused_on_a_login_connection() {
    let world = World::new();
    let hop = (&world.first, &FIRST[..], Use::Forwarding);
    for payload in [world.git(), world.certificate()] {
        assert_eq!(level(&Chain::new(), &payload), Ok(Level::Local));
        let forwarded = Destination::prove(&chain(&[hop]), &payload).unwrap();
        assert_eq!(forwarded.level(), Level::ForwardedLocal);
        assert_eq!(forwarded.hops(), [world.first.key().clone()]);
        assert!(forwarded.level().is_forwarded() && !forwarded.level().is_verified());
        for login in [
            chain(&[(&world.second, &SECOND, Use::Login)]),
            chain(&[hop, (&world.second, &SECOND, Use::Login)]),
        ] {
            assert_eq!(level(&login, &payload), Err(Contradiction::NotALogin));
        }
    }
}

/// Every chain of up to three hops, every session, every named host, against the rules in words.
#[test]
fn every_combination_of_bindings_and_login_gets_the_level_of_the_table() {
    let world = World::new();
    let hosts = [
        (&world.first, &FIRST[..]),
        (&world.second, &SECOND[..]),
        (&world.third, &THIRD[..]),
    ];
    let mut met = std::collections::BTreeSet::new();
    for length in 0..=3 {
        for last in [Use::Login, Use::Forwarding] {
            let hops: Vec<_> = (0..length)
                .map(|at| {
                    let usage = if at + 1 == length {
                        last
                    } else {
                        Use::Forwarding
                    };
                    (hosts[at].0, hosts[at].1, usage)
                })
                .collect();
            let chain = chain(&hops);
            for (session_of, session) in [FIRST.as_slice(), &SECOND, &THIRD, &NOBODY]
                .into_iter()
                .enumerate()
            {
                for named in [None, Some(0), Some(1), Some(2)] {
                    let payload = world.login(session, named.map(|host: usize| hosts[host].0));
                    let expected = table(length, last, session_of, named);
                    assert_eq!(
                        level(&chain, &payload),
                        expected,
                        "{length} {last:?} {session_of} {named:?}"
                    );
                    met.insert(format!("{expected:?}"));
                }
            }
        }
    }
    assert_eq!(met.len(), 8, "{met:?}");
}

/// Hosts are numbered by their place in the chain; `session_of` and `named` are such numbers.
fn table(
    length: usize,
    last: Use,
    session_of: usize,
    named: Option<usize>,
) -> Result<Level, Contradiction> {
    let Some(target) = length.checked_sub(1) else {
        return Ok(if named.is_some() {
            Level::Claimed
        } else {
            Level::Unknown
        });
    };
    let hops = if last == Use::Forwarding {
        length
    } else {
        target
    };
    if session_of < hops {
        Err(Contradiction::OwnHop)
    } else if last == Use::Forwarding {
        Err(Contradiction::ForwardedUnproven)
    } else if session_of != target {
        Err(Contradiction::OtherSession)
    } else if named.is_some_and(|host| host != target) {
        Err(Contradiction::OtherHostKey)
    } else if length == 1 {
        Ok(Level::Direct)
    } else if named.is_none() {
        Err(Contradiction::ForwardedUnproven)
    } else {
        Ok(Level::Forwarded)
    }
}

/// What a client does on one connection, in the measured table of ssh-agent's replies.
enum Step<'a> {
    /// A binding, and whether ssh-agent takes it.
    Bind(Vec<u8>, Taken),
    /// A request for a key that may go to the first and, through it, to the second host.
    Sign(&'a Payload, Signed),
}

#[derive(Debug, PartialEq, Eq)]
enum Taken {
    Success,
    Failure,
}

#[derive(Debug, PartialEq, Eq)]
enum Signed {
    Signature,
    Failure,
}

#[test]
fn bindings_and_logins_are_answered_as_ssh_agent_answers_for_restricted_keys() {
    use Step::{Bind, Sign};
    let world = World::new();
    let direct = || world.first.bind(&FIRST, Use::Login);
    let forwarding = || world.first.bind(&FIRST, Use::Forwarding);
    let second = || world.second.bind(&FIRST.map(|byte| byte + 100), Use::Login);
    let bad = || {
        let signature = world.second.sign(&FIRST);
        binding(world.first.key().blob(), &FIRST, &signature, Use::Login)
    };
    let hostbound = world.login(&FIRST, Some(&world.first));
    let plain = world.login(&FIRST, None);
    let other = world.login(&FIRST, Some(&world.second));
    let git = world.git();
    let rows = [
        vec![
            Bind(direct(), Taken::Success),
            Sign(&hostbound, Signed::Signature),
        ],
        vec![
            Bind(direct(), Taken::Success),
            Sign(&plain, Signed::Signature),
        ],
        vec![
            Bind(direct(), Taken::Success),
            Sign(&other, Signed::Failure),
        ],
        vec![
            Bind(bad(), Taken::Failure),
            Sign(&hostbound, Signed::Failure),
        ],
        vec![
            Bind(direct(), Taken::Success),
            Bind(second(), Taken::Failure),
        ],
        vec![
            Bind(forwarding(), Taken::Success),
            Bind(second(), Taken::Success),
        ],
        vec![
            Bind(forwarding(), Taken::Success),
            Sign(&hostbound, Signed::Failure),
        ],
        vec![Bind(direct(), Taken::Success), Sign(&git, Signed::Failure)],
        vec![
            Bind(direct(), Taken::Success),
            Bind(direct(), Taken::Failure),
        ],
    ];
    for (index, row) in rows.iter().enumerate() {
        let mut chain = Chain::new();
        for step in row {
            match step {
                Bind(body, expected) => {
                    let taken = match chain.bind(&PureRust, body) {
                        Ok(()) => Taken::Success,
                        Err(_) => Taken::Failure,
                    };
                    assert_eq!(taken, *expected, "row {index}");
                }
                Sign(payload, expected) => {
                    let signed = match Destination::prove(&chain, payload) {
                        Ok(_) => Signed::Signature,
                        Err(_) => Signed::Failure,
                    };
                    assert_eq!(signed, *expected, "row {index}");
                }
            }
        }
    }
}

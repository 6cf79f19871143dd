//! One client's requests, one by one: what is answered at once, what is asked of the broker, what is
//! refused and why.
use crate::ssh::{
    EXTENSION_FAILURE, EXTENSIONS, FAILURE, LIST, OTHER_SESSION, QUERY, SESSION, SUCCESS, Secret,
    bind_frame, binding, commit, frame, login, login_to, sign_frame, string_frame,
};
use serde_json::Value;
use vmux_broker::{Answer, Ask, Conversation, Denial, SignAsk, Step};
use vmux_proto::Malformed;
use vmux_proto::agent_wire::NotServed;
use vmux_proto::binding::{BindingRefused, Use};
use vmux_proto::crypto::PureRust;
use vmux_proto::destination::{Contradiction, Level};
use vmux_proto::key::PublicKey;
use vmux_proto::wire::Writer;

/// The step that one frame on a fresh connection leads to.
fn step_for(frame: &[u8]) -> Step {
    next(&mut Conversation::new(), frame)
}

fn next(conversation: &mut Conversation, frame: &[u8]) -> Step {
    conversation.read(frame);
    conversation.next(&PureRust).unwrap()
}

fn write(conversation: &mut Conversation, frame: &[u8]) -> Vec<u8> {
    match next(conversation, frame) {
        Step::Write(reply) => reply,
        other => panic!("{other:?}"),
    }
}

fn refusal(conversation: &mut Conversation, frame: &[u8]) -> (Vec<u8>, Denial) {
    match next(conversation, frame) {
        Step::Refuse(reply, denial, _) => (reply, denial),
        other => panic!("{other:?}"),
    }
}

fn sign_ask(conversation: &mut Conversation, frame: &[u8]) -> SignAsk {
    match next(conversation, frame) {
        Step::Ask(Ask::Sign(ask)) => *ask,
        other => panic!("{other:?}"),
    }
}

fn bind(conversation: &mut Conversation, body: &[u8]) {
    assert_eq!(write(conversation, &bind_frame(body)), SUCCESS);
}

/// The connection goes on as if nothing had been.
fn is_alive(conversation: &mut Conversation) -> bool {
    write(conversation, QUERY) == EXTENSIONS
}

#[test]
fn the_query_is_answered_with_the_bytes_of_the_reference() {
    assert_eq!(write(&mut Conversation::new(), QUERY), EXTENSIONS);
}

#[test]
fn a_list_is_written_as_openssh_writes_it() {
    let mut conversation = Conversation::new();
    assert!(matches!(
        next(&mut conversation, LIST),
        Step::Ask(Ask::Identities)
    ));
    let key = Secret::new(1).public();
    let listed = vec![(key.blob().to_vec(), b"phone: Pixel 9".to_vec())];
    let reply = conversation.answer(Answer::Identities(listed));
    let head = b"\0\0\0\x4e\x0c\0\0\0\x01\0\0\0\x33\0\0\0\x0bssh-ed25519\0\0\0\x20";
    assert_eq!(reply[..head.len()], *head);
    assert_eq!(reply[reply.len() - 18..], *b"\0\0\0\x0ephone: Pixel 9");
    assert!(is_alive(&mut conversation));
}

#[test]
fn an_empty_list_is_a_list() {
    let mut conversation = Conversation::new();
    next(&mut conversation, LIST);
    assert_eq!(
        conversation.answer(Answer::Identities(vec![])),
        [0, 0, 0, 5, 12, 0, 0, 0, 0]
    );
}

#[test]
fn what_only_the_broker_knows_is_asked() {
    let key = Secret::new(1).public();
    assert!(matches!(step_for(LIST), Step::Ask(Ask::Identities)));
    assert!(matches!(
        step_for(&string_frame(22, b"pw")),
        Step::Ask(Ask::Lock(_))
    ));
    assert!(matches!(
        step_for(&string_frame(23, b"pw")),
        Step::Ask(Ask::Unlock(_))
    ));
    assert!(matches!(
        step_for(&string_frame(18, key.blob())),
        Step::Ask(Ask::Remove)
    ));
    assert!(matches!(step_for(&frame(&[19])), Step::Ask(Ask::RemoveAll)));
    let frame = sign_frame(key.blob(), &commit(), 0);
    assert!(matches!(step_for(&frame), Step::Ask(Ask::Sign(_))));
}

#[test]
fn passphrases_of_1_to_1024_bytes_are_usable_and_others_are_not() {
    for number in [22, 23] {
        for (length, usable) in [(0, false), (1, true), (1024, true), (1025, false)] {
            let passphrase = &vec![b'x'; length][..];
            let step = step_for(&string_frame(number, passphrase));
            let Step::Ask(Ask::Lock(asked) | Ask::Unlock(asked)) = step else {
                panic!("{step:?}")
            };
            assert_eq!(asked.is_usable(), usable);
        }
    }
}

#[test]
fn the_ssh1_way_to_remove_all_is_taken_and_other_old_numbers_are_not_served() {
    assert!(matches!(step_for(&frame(&[9])), Step::Ask(Ask::RemoveAll)));
    for number in [1, 2, 3, 4, 7, 8, 10, 15, 16, 24] {
        let mut conversation = Conversation::new();
        let step = next(&mut conversation, &frame(&[number, 0, 1, 2]));
        let Step::NotServed(reply, what) = step else {
            panic!("{step:?}")
        };
        assert_eq!(
            (reply.as_slice(), what),
            (FAILURE, NotServed::Unknown(number))
        );
        assert!(is_alive(&mut conversation));
    }
}

#[test]
fn what_this_agent_does_not_do_fails_and_is_named() {
    let unknown = [0, 5, 6, 12, 14, 28, 29, 30, 102, 240, 255];
    let mut cases: Vec<_> = unknown
        .map(|number| (vec![number], NotServed::Unknown(number)))
        .into();
    for number in [17, 25] {
        cases.push((vec![number, 0, 0, 0, 3, b'k'], NotServed::AddIdentity));
    }
    for number in [20, 21, 26] {
        cases.push((vec![number, 0, 0], NotServed::Smartcard));
    }
    let extension = Writer::new()
        .u8(27)
        .string("restrict@example.org")
        .string("x")
        .finish();
    cases.push((extension, NotServed::Extension));
    for (body, expected) in cases {
        let mut conversation = Conversation::new();
        let step = next(&mut conversation, &frame(&body));
        let Step::NotServed(reply, what) = step else {
            panic!("{step:?}")
        };
        assert_eq!((reply.as_slice(), what), (FAILURE, expected), "{body:?}");
        assert!(is_alive(&mut conversation));
    }
}

/// A good body of each request that has one, without its length.
fn bodies() -> Vec<Vec<u8>> {
    let host = Secret::new(9);
    let key = Secret::new(1).public();
    [
        LIST.to_vec(),
        QUERY.to_vec(),
        sign_frame(key.blob(), &commit(), 0),
        string_frame(18, key.blob()),
        frame(&[19]),
        string_frame(22, b"pw"),
        string_frame(23, b"pw"),
        bind_frame(&host.binding(SESSION, Use::Login)),
    ]
    .map(|frame| frame[4..].to_vec())
    .into()
}

/// How a malformed body of the same kind is answered.
fn failure_of(body: &[u8]) -> &'static [u8] {
    let is_bind = body.starts_with(b"\x1b\0\0\0\x18session-bind@openssh.com");
    if is_bind { EXTENSION_FAILURE } else { FAILURE }
}

#[test]
fn bodies_with_nothing_after_the_last_field_are_taken() {
    for body in bodies() {
        let step = step_for(&frame(&body));
        assert!(
            matches!(step, Step::Ask(_) | Step::Write(_)),
            "{body:?}: {step:?}"
        );
    }
}

#[test]
fn bodies_with_one_byte_more_fail_and_the_connection_lives() {
    for mut body in bodies() {
        body.push(0);
        let mut conversation = Conversation::new();
        let (reply, denial) = refusal(&mut conversation, &frame(&body));
        assert_eq!(reply, failure_of(&body));
        let trailing = Malformed::Trailing;
        let expected = [
            Denial::NotUnderstood(trailing),
            Denial::Binding(BindingRefused::Malformed(trailing)),
        ];
        assert!(expected.contains(&denial), "{denial:?}");
        assert!(is_alive(&mut conversation));
    }
}

#[test]
fn bodies_cut_anywhere_fail_and_the_connection_lives() {
    for body in bodies() {
        for length in 1..body.len() {
            let cut = &body[..length];
            let mut conversation = Conversation::new();
            let (reply, _) = refusal(&mut conversation, &frame(cut));
            assert_eq!(reply, failure_of(cut), "{cut:?}");
            assert!(is_alive(&mut conversation));
        }
    }
}

#[test]
fn flags_nobody_knows_fail_and_those_for_rsa_are_handed_on() {
    let key = Secret::new(1).public();
    for flags in [0, 2, 4, 6] {
        let ask = sign_ask(
            &mut Conversation::new(),
            &sign_frame(key.blob(), &commit(), flags),
        );
        assert_eq!(ask.flags.bits(), flags);
    }
    for flags in [1, 8, 0x8000_0000] {
        let frame = sign_frame(key.blob(), &commit(), flags);
        let (reply, denial) = refusal(&mut Conversation::new(), &frame);
        assert_eq!(reply, FAILURE);
        assert_eq!(denial, Denial::NotUnderstood(Malformed::Unknown));
    }
}

#[test]
fn bytes_that_are_no_login_and_no_signature_are_refused() {
    let key = Secret::new(1).public();
    // What `ssh-add -T` asks for.
    let random: Vec<u8> = (0..1024_u32)
        .map(|n| n.wrapping_mul(0x9e37_79b1).to_be_bytes()[0])
        .collect();
    for payload in [&random[..], b"", b"SSHSIG", &[0; 1024]] {
        let mut conversation = Conversation::new();
        let (reply, denial) = refusal(&mut conversation, &sign_frame(key.blob(), payload, 0));
        assert_eq!(reply, FAILURE);
        assert!(matches!(denial, Denial::NotUnderstood(_)), "{denial:?}");
        assert!(is_alive(&mut conversation));
    }
}

#[test]
fn a_certificate_to_be_signed_is_refused_as_such() {
    let authority = Secret::new(1).public();
    let certificate = Writer::new()
        .string("ssh-ed25519-cert-v01@openssh.com")
        .string([7; 32])
        .string([8; 32])
        .u64(1)
        .u32(1)
        .string("id")
        .string(Writer::new().string("deploy").finish())
        .u64(0)
        .u64(u64::MAX)
        .string("")
        .string("")
        .string("")
        .string(authority.blob())
        .finish();
    let frame = sign_frame(authority.blob(), &certificate, 0);
    let (reply, denial) = refusal(&mut Conversation::new(), &frame);
    assert_eq!(
        (reply.as_slice(), denial),
        (FAILURE, Denial::ForeignCertificate)
    );
}

#[test]
fn a_key_that_is_none_is_refused_and_one_that_the_bytes_do_not_name_too() {
    let (key, other, host) = (
        Secret::new(1).public(),
        Secret::new(2).public(),
        Secret::new(9),
    );
    let payload = login_to(&host.public(), SESSION, &key);
    let good = sign_ask(
        &mut Conversation::new(),
        &sign_frame(key.blob(), &payload, 0),
    );
    assert_eq!((good.key, good.bytes), (key.clone(), payload.clone()));
    let (_, denial) = refusal(&mut Conversation::new(), &sign_frame(b"key", &payload, 0));
    assert_eq!(denial, Denial::NoSuchIdentity);
    let (_, denial) = refusal(
        &mut Conversation::new(),
        &sign_frame(other.blob(), &payload, 0),
    );
    assert_eq!(denial, Denial::NotUnderstood(Malformed::BadValue));
}

#[test]
fn i11_a_login_to_the_host_that_proved_itself_is_verified() {
    let (key, host) = (Secret::new(1).public(), Secret::new(9));
    for payload in [
        login_to(&host.public(), SESSION, &key),
        login(SESSION, &key),
    ] {
        let mut conversation = Conversation::new();
        let body = host.binding(SESSION, Use::Login);
        bind(&mut conversation, &body);
        let ask = sign_ask(&mut conversation, &sign_frame(key.blob(), &payload, 0));
        assert_eq!(ask.destination.level(), Level::Direct);
        assert_eq!(ask.destination.host_key(), Some(&host.public()));
        assert_eq!(ask.chain, [body], "the phone proves the same again");
    }
}

#[test]
fn i11_a_forwarded_login_shows_every_hop() {
    let (key, first, second, web) = (
        Secret::new(1).public(),
        Secret::new(7),
        Secret::new(8),
        Secret::new(9),
    );
    let mut conversation = Conversation::new();
    let chain = [
        first.binding(&[1; 32], Use::Forwarding),
        second.binding(&[2; 32], Use::Forwarding),
        web.binding(SESSION, Use::Login),
    ];
    for body in &chain {
        bind(&mut conversation, body);
    }
    let payload = login_to(&web.public(), SESSION, &key);
    let ask = sign_ask(&mut conversation, &sign_frame(key.blob(), &payload, 0));
    assert_eq!(ask.destination.level(), Level::Forwarded);
    assert_eq!(ask.destination.hops(), [first.public(), second.public()]);
    assert_eq!(ask.chain, chain);
}

#[test]
fn i11_logins_that_contradict_the_bindings_are_refused_with_the_reason() {
    use Contradiction as C;
    let (key, host, other) = (Secret::new(1).public(), Secret::new(9), Secret::new(8));
    let to_host = host.binding(SESSION, Use::Login);
    let through_host = host.binding(SESSION, Use::Forwarding);
    let to_other = other.binding(OTHER_SESSION, Use::Login);
    let login_to_host = login_to(&host.public(), SESSION, &key);
    let cases = [
        (
            vec![&to_host],
            login_to(&host.public(), OTHER_SESSION, &key),
            C::OtherSession,
        ),
        (
            vec![&to_host],
            login_to(&other.public(), SESSION, &key),
            C::OtherHostKey,
        ),
        (vec![&through_host], login_to_host.clone(), C::OwnHop),
        (
            vec![&through_host],
            login_to(&other.public(), OTHER_SESSION, &key),
            C::ForwardedUnproven,
        ),
        (
            vec![&through_host, &to_other],
            login(OTHER_SESSION, &key),
            C::ForwardedUnproven,
        ),
        (vec![&through_host, &to_other], login_to_host, C::OwnHop),
        (vec![&to_host], commit(), C::NotALogin),
    ];
    for (bindings, payload, contradiction) in cases {
        let mut conversation = Conversation::new();
        for body in bindings {
            bind(&mut conversation, body);
        }
        let (reply, denial) = refusal(&mut conversation, &sign_frame(key.blob(), &payload, 0));
        assert_eq!(reply, FAILURE);
        assert_eq!(denial, Denial::Contradiction(contradiction));
        assert!(is_alive(&mut conversation));
    }
}

#[test]
fn i11_a_binding_the_host_did_not_sign_poisons_the_connection() {
    let (key, host) = (Secret::new(1).public(), Secret::new(9));
    let forged = binding(
        &host.public(),
        SESSION,
        &host.sign(OTHER_SESSION),
        Use::Login,
    );
    let mut conversation = Conversation::new();
    let (reply, denial) = refusal(&mut conversation, &bind_frame(&forged));
    assert_eq!(reply, EXTENSION_FAILURE);
    assert_eq!(denial, Denial::Binding(BindingRefused::NotSignedByHost));
    let good = bind_frame(&host.binding(SESSION, Use::Login));
    let (_, denial) = refusal(&mut conversation, &good);
    assert_eq!(denial, Denial::Binding(BindingRefused::Poisoned));
    for payload in [
        login_to(&host.public(), SESSION, &key),
        login(SESSION, &key),
        commit(),
    ] {
        let (_, denial) = refusal(&mut conversation, &sign_frame(key.blob(), &payload, 0));
        assert_eq!(denial, Denial::Contradiction(Contradiction::FailedBinding));
    }
    assert!(is_alive(&mut conversation));
}

#[test]
fn i11_a_binding_with_any_bit_changed_is_refused() {
    let host = Secret::new(9);
    let good = host.binding(SESSION, Use::Login);
    bind(&mut Conversation::new(), &good);
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 0x80;
        let (reply, denial) = refusal(&mut Conversation::new(), &bind_frame(&changed));
        assert_eq!(reply, EXTENSION_FAILURE, "byte {at}");
        assert!(
            matches!(denial, Denial::Binding(_)),
            "byte {at}: {denial:?}"
        );
    }
}

#[test]
fn i11_after_a_login_nothing_is_bound_and_forwarding_can_be_repeated() {
    let (host, other) = (Secret::new(9), Secret::new(8));
    let login = host.binding(SESSION, Use::Login);
    for late in [login.clone(), other.binding(OTHER_SESSION, Use::Login)] {
        let mut conversation = Conversation::new();
        bind(&mut conversation, &login);
        let (_, denial) = refusal(&mut conversation, &bind_frame(&late));
        assert_eq!(denial, Denial::Binding(BindingRefused::AfterLogin));
    }
    let mut conversation = Conversation::new();
    let forwarding = host.binding(SESSION, Use::Forwarding);
    bind(&mut conversation, &forwarding);
    bind(&mut conversation, &forwarding);
    let conflict = other.binding(SESSION, Use::Forwarding);
    let (_, denial) = refusal(&mut conversation, &bind_frame(&conflict));
    assert_eq!(denial, Denial::Binding(BindingRefused::Conflict));
}

#[test]
fn i12_a_host_the_agent_is_forwarded_to_can_neither_lock_nor_unlock_it() {
    let host = Secret::new(9);
    for number in [22, 23] {
        let mut here = Conversation::new();
        bind(&mut here, &host.binding(SESSION, Use::Login));
        here.read(&string_frame(number, b"x"));
        assert!(matches!(here.next(&PureRust), Ok(Step::Ask(_))));

        let mut forwarded = Conversation::new();
        bind(&mut forwarded, &host.binding(SESSION, Use::Forwarding));
        let (_, denial) = refusal(&mut forwarded, &string_frame(number, b"x"));
        assert_eq!(denial, Denial::NotFromHere);
    }
}

#[test]
fn bindings_of_one_connection_say_nothing_on_another() {
    let (key, host) = (Secret::new(1).public(), Secret::new(9));
    let payload = sign_frame(key.blob(), &login_to(&host.public(), SESSION, &key), 0);
    let (mut bound, mut fresh) = (Conversation::new(), Conversation::new());
    bind(&mut bound, &host.binding(SESSION, Use::Login));
    assert_eq!(
        sign_ask(&mut bound, &payload).destination.level(),
        Level::Direct
    );
    assert_eq!(
        sign_ask(&mut fresh, &payload).destination.level(),
        Level::Claimed
    );
}

#[test]
fn connections_recorded_from_openssh_are_understood_as_they_were_meant() {
    let text = include_str!("../../../../docs/spec/vectors/destinations.json");
    let vectors: Value = serde_json::from_str(text).unwrap();
    let vectors = vectors["destinations"].as_array().unwrap();
    assert!(vectors.len() > 20);
    for vector in vectors {
        let mut conversation = Conversation::new();
        for body in vector["chain"].as_array().unwrap() {
            bind(&mut conversation, &bytes(body));
        }
        let (key, payload) = (bytes(&vector["key"]), bytes(&vector["payload"]));
        let step = next(&mut conversation, &sign_frame(&key, &payload, 0));
        let name = &vector["name"];
        if name == "certificate" {
            assert!(
                matches!(step, Step::Refuse(_, Denial::ForeignCertificate, _)),
                "{name}"
            );
            continue;
        }
        match (vector["refused"].as_str(), step) {
            (None, Step::Ask(Ask::Sign(ask))) => {
                assert_eq!(ask.destination.level().name(), vector["level"], "{name}");
                let host = ask.destination.host_key().map(PublicKey::fingerprint);
                assert_eq!(
                    host.map(|host| host.to_string()).as_deref(),
                    vector["host_key"].as_str()
                );
                assert_eq!(ask.key.blob(), key);
                assert_eq!(ask.bytes, payload);
            }
            (Some(refused), Step::Refuse(reply, Denial::Contradiction(contradiction), _)) => {
                assert_eq!(reply, FAILURE, "{name}");
                assert_eq!(named(contradiction), refused, "{name}");
            }
            (expected, step) => panic!("{name}: {expected:?}, {step:?}"),
        }
        let awaiting = conversation.next(&PureRust).unwrap();
        assert!(matches!(awaiting, Step::Read));
    }
}

const fn named(contradiction: Contradiction) -> &'static str {
    match contradiction {
        Contradiction::FailedBinding => "failed-binding",
        Contradiction::OtherSession => "other-session",
        Contradiction::OtherHostKey => "other-host-key",
        Contradiction::OwnHop => "own-hop",
        Contradiction::ForwardedUnproven => "forwarded-unproven",
        Contradiction::NotALogin => "not-a-login",
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    let (pairs, rest) = value.as_str().unwrap().as_bytes().as_chunks::<2>();
    assert!(rest.is_empty());
    let byte = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.iter().map(byte).collect()
}

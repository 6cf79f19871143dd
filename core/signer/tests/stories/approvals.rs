//! From the person's decision to the signature: in time, once, and only a good one.
use crate::ssh::{Secret, sshsig};
use crate::world::{Event, Peer, WAIT, World, number, yes};
use vmux_proto::crypto::PureRust;
use vmux_proto::limits::MAX_LOGIN_MS;
use vmux_proto::message::{Refusal, RequestId, SignRequest, ToAgent, ToSigner};
use vmux_proto::signature::verify;
use vmux_signer::{After, Decision, Identities, Input, Withdrawn};

/// A world in which the laptop's request 1 is on the screen; approving it needs no number.
fn asked() -> (World, SignRequest) {
    let mut world = World::new();
    let request = world.request(1, sshsig("git"), vec![]);
    world.shown(Peer::Laptop, &request);
    (world, request)
}

/// What follows when the laptop's request is refused.
fn refused(request: &SignRequest, refusal: Refusal) -> [Event; 2] {
    [
        Event::Said(Peer::Laptop, ToAgent::Refused(request.id, refusal)),
        Event::Withdrawn(request.id, Withdrawn::Refused(refusal)),
    ]
}

#[test]
fn an_approved_request_is_signed_with_the_identity_asked_for() {
    let mut world = World::new();
    for (id, key) in [(1, world.ed25519.public()), (2, world.p256.public())] {
        let request = crate::world::request(id, &key, sshsig("git"), vec![]);
        let signature = world.signed(Peer::Laptop, &request);
        assert_eq!(
            verify(&PureRust, &key, &request.payload, &signature),
            Ok(())
        );
    }
}

#[test]
fn nothing_is_signed_without_a_decision() {
    let (mut world, request) = asked();
    let signature = world.ed25519.sign(&request.payload);
    assert_eq!(world.handle(Input::Signed(request.id, Some(signature))), []);
    assert_eq!(world.tick(u64::from(WAIT) - 1), []);
    world.approved(request.id, yes(None));
}

#[test]
fn a_denied_request_stays_denied() {
    let (mut world, request) = asked();
    assert_eq!(
        world.decide(request.id, Decision::Deny(After::Nothing)),
        refused(&request, Refusal::Denied)
    );
    assert_eq!(world.decide(request.id, yes(None)), []);
    assert_eq!(world.signer.deadline(), None);
}

#[test]
fn one_approval_makes_one_signature() {
    let (mut world, request) = asked();
    let job = world.approved(request.id, yes(None));
    assert_eq!(
        world.decide(request.id, yes(None)),
        [],
        "while the key signs"
    );
    assert_eq!(world.decide(request.id, Decision::Deny(After::Nothing)), []);
    let events = world.sign(&job);
    assert_eq!(events.len(), 2);
    assert_eq!(world.sign(&job), [], "twice");
    assert_eq!(world.decide(request.id, yes(None)), []);
}

#[test]
fn a_decision_on_a_request_that_nobody_made_is_ignored() {
    let (mut world, request) = asked();
    let other = RequestId([2; 16]);
    assert_eq!(world.decide(other, yes(None)), []);
    assert_eq!(world.decide(other, Decision::Deny(After::Nothing)), []);
    assert_eq!(world.handle(Input::Signed(other, None)), []);
    world.approved(request.id, yes(None));
}

#[test]
fn an_approval_in_the_last_millisecond_counts_and_one_at_the_deadline_is_late() {
    let (mut world, request) = asked();
    let deadline = world.signer.deadline().unwrap();
    assert_eq!(deadline, world.now.uptime + u64::from(WAIT));
    world.pass(u64::from(WAIT) - 1);
    world.approved(request.id, yes(None));

    let (mut world, request) = asked();
    world.pass(u64::from(WAIT));
    let late = refused(&request, Refusal::TimedOut);
    assert_eq!(
        world.decide(request.id, yes(None)),
        late,
        "without a tick before it"
    );
}

#[test]
fn a_signature_in_the_last_millisecond_is_sent_and_one_at_the_deadline_is_not() {
    let (mut world, request) = asked();
    let job = world.approved(request.id, yes(None));
    world.pass(u64::from(WAIT) - 1);
    let sent = world.sign(&job);
    assert!(
        matches!(&sent[0], Event::Said(Peer::Laptop, ToAgent::Signed(..))),
        "{sent:?}"
    );

    let (mut world, request) = asked();
    let job = world.approved(request.id, yes(None));
    world.pass(u64::from(WAIT));
    assert_eq!(world.sign(&job), refused(&request, Refusal::TimedOut));
}

#[test]
fn a_request_ends_at_its_deadline_and_not_before() {
    let (mut world, request) = asked();
    assert_eq!(world.tick(u64::from(WAIT) - 1), []);
    assert_eq!(world.tick(1), refused(&request, Refusal::TimedOut));
    assert_eq!(world.signer.deadline(), None);
    let (mut world, request) = asked();
    world.approved(request.id, yes(None));
    assert_eq!(
        world.tick(u64::from(WAIT)),
        refused(&request, Refusal::TimedOut)
    );
}

#[test]
fn a_wall_clock_set_back_prolongs_nothing() {
    let (mut world, request) = asked();
    world.pass(u64::from(WAIT));
    world.now.wall -= 86_400;
    let late = refused(&request, Refusal::TimedOut);
    assert_eq!(world.decide(request.id, yes(None)), late);
}

#[test]
fn nobody_waits_longer_than_a_server_does() {
    let mut world = World::new();
    let endless = SignRequest {
        wait_ms: u32::MAX,
        ..world.request(1, sshsig("git"), vec![])
    };
    let prompt = world.shown(Peer::Laptop, &endless);
    assert_eq!(prompt.deadline, world.now.uptime + MAX_LOGIN_MS);
}

#[test]
fn deadlines_are_those_of_each_request_and_the_first_is_told() {
    let mut world = World::new();
    let long = world.request(1, sshsig("git"), vec![]);
    let short = SignRequest {
        wait_ms: 1000,
        ..world.request(2, sshsig("git"), vec![])
    };
    world.shown(Peer::Laptop, &long);
    world.shown(Peer::Laptop, &short);
    assert_eq!(world.signer.deadline(), Some(world.now.uptime + 1000));
    assert_eq!(world.tick(1000), refused(&short, Refusal::TimedOut));
    assert_eq!(
        world.signer.deadline(),
        Some(world.now.uptime + u64::from(WAIT) - 1000)
    );
}

#[test]
fn a_signature_that_does_not_verify_is_never_sent() {
    let good = |world: &World, request: &SignRequest| world.ed25519.sign(&request.payload);
    let (world, request) = asked();
    let length = good(&world, &request).len();
    for position in 0..length {
        let (mut world, request) = asked();
        let mut signature = good(&world, &request);
        signature[position] ^= 1;
        world.approved(request.id, yes(None));
        let events = world.handle(Input::Signed(request.id, Some(signature)));
        assert_eq!(events, refused(&request, Refusal::KeyFailed), "{position}");
    }
    let (mut world, request) = asked();
    let job = world.approved(request.id, yes(None));
    assert!(matches!(
        &world.sign(&job)[0],
        Event::Said(_, ToAgent::Signed(..))
    ));
}

#[test]
fn a_signature_of_another_key_over_other_bytes_or_none_is_a_failed_key() {
    type Wrong = fn(&World, &SignRequest) -> Option<Vec<u8>>;
    let wrong: [Wrong; 5] = [
        |world, request| Some(world.p256.sign(&request.payload)),
        |world, request| Some(world.disabled.sign(&request.payload)),
        |world, _| Some(world.ed25519.sign(&sshsig("file"))),
        |_, _| Some(Vec::new()),
        |_, _| None,
    ];
    for wrong in wrong {
        let (mut world, request) = asked();
        world.approved(request.id, yes(None));
        let signature = wrong(&world, &request);
        let events = world.handle(Input::Signed(request.id, signature));
        assert_eq!(events, refused(&request, Refusal::KeyFailed));
        let late = world.ed25519.sign(&request.payload);
        assert_eq!(
            world.handle(Input::Signed(request.id, Some(late))),
            [],
            "one try"
        );
    }
}

#[test]
fn a_failed_key_pins_nothing() {
    let (mut world, web) = (World::new(), Secret::ed25519(0x41));
    let request = world.direct(1, &web);
    let prompt = world.shown(Peer::Laptop, &request);
    world.approved(request.id, yes(prompt.number));
    let events = world.handle(Input::Signed(request.id, None));
    assert_eq!(events, refused(&request, Refusal::KeyFailed));
    assert_eq!(world.pinned(), []);
}

#[test]
fn a_number_that_was_not_asked_for_does_no_harm() {
    let (mut world, request) = asked();
    world.approved(request.id, yes(number("17")));
}

#[test]
fn a_cancelled_request_leaves_the_screen_and_cannot_be_decided() {
    let (mut world, request) = asked();
    assert_eq!(
        world.say(Peer::Laptop, &ToSigner::Cancel(request.id)),
        [Event::Withdrawn(request.id, Withdrawn::Cancelled)]
    );
    assert_eq!(world.decide(request.id, yes(None)), []);
    assert_eq!(world.signer.deadline(), None);
}

#[test]
fn a_request_cancelled_while_the_key_signs_is_not_answered() {
    let (mut world, web) = (World::new(), Secret::ed25519(0x41));
    let request = world.direct(1, &web);
    let prompt = world.shown(Peer::Laptop, &request);
    let job = world.approved(request.id, yes(prompt.number));
    assert_eq!(
        world.say(Peer::Laptop, &ToSigner::Cancel(request.id)),
        [Event::Withdrawn(request.id, Withdrawn::Cancelled)]
    );
    assert_eq!(world.sign(&job), []);
    assert_eq!(world.pinned(), []);
}

#[test]
fn cancelling_what_nobody_asked_for_does_nothing() {
    let (mut world, request) = asked();
    assert_eq!(
        world.say(Peer::Laptop, &ToSigner::Cancel(RequestId([2; 16]))),
        []
    );
    world.approved(request.id, yes(None));
}

#[test]
fn an_identity_disabled_or_removed_while_a_request_waits_signs_nothing() {
    let changes: [fn(&mut Identities); 2] = [
        |identities| identities.disable("main").unwrap(),
        |identities| drop(identities.remove("main").unwrap()),
    ];
    for change in changes {
        for decided in [false, true] {
            let (mut world, request) = asked();
            if decided {
                world.approved(request.id, yes(None));
            }
            let mut identities = identities(&world);
            change(&mut identities);
            let events = world.handle(Input::Identities(identities));
            assert_eq!(events[..2], refused(&request, Refusal::NoSuchIdentity));
            let signature = world.ed25519.sign(&request.payload);
            assert_eq!(world.decide(request.id, yes(None)), []);
            assert_eq!(world.handle(Input::Signed(request.id, Some(signature))), []);
        }
    }
}

#[test]
fn another_identity_disabled_while_a_request_waits_is_none_of_its_business() {
    let (mut world, request) = asked();
    let mut identities = identities(&world);
    identities.disable("work").unwrap();
    identities.label("main", "mine").unwrap();
    let events = world.handle(Input::Identities(identities));
    let [
        Event::Said(Peer::Laptop, told),
        Event::Said(Peer::Server, also),
    ] = events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_eq!(told, also);
    let ToAgent::Identities(told) = told else {
        panic!("{told:?}")
    };
    let labels: Vec<_> = told
        .iter()
        .map(|identity| identity.label.as_str())
        .collect();
    assert_eq!(labels, ["mine"]);
    world.approved(request.id, yes(None));
}

#[test]
fn closing_refuses_what_waits() {
    let (mut world, request) = asked();
    assert_eq!(
        world.handle(Input::Close),
        refused(&request, Refusal::Closed)
    );
    assert_eq!(world.handle(Input::Close), []);
}

/// The identities that every world begins with.
fn identities(world: &World) -> Identities {
    let mut identities = Identities::default();
    identities
        .add(crate::world::identity("main", &world.ed25519))
        .unwrap();
    identities
        .add(crate::world::identity("work", &world.p256))
        .unwrap();
    identities
}

//! One id means one request for good: asked again it gets the same answer, and no second prompt.
use crate::ssh::{Secret, sshsig};
use crate::world::{Event, NUMBER, Peer, WAIT, World, number, yes};
use vmux_proto::binding::Use;
use vmux_proto::message::{Process, Refusal, SignRequest, ToAgent, ToSigner};
use vmux_signer::{After, Decision, Input, Withdrawn};

fn plain(world: &World, id: u8) -> SignRequest {
    world.request(id, sshsig("git"), vec![])
}

/// Every way to change one byte or field of a request and keep its id.
fn changed(world: &World, request: &SignRequest) -> Vec<SignRequest> {
    let mut payload = request.clone();
    *payload.payload.last_mut().unwrap() ^= 1;
    let mut chain = request.clone();
    let hop = Secret::ed25519(0x42).binding(&[1; 32], Use::Forwarding);
    chain.chain.push(hop.into());
    let mut reported = request.clone();
    reported.reported.host = Some("web".into());
    let mut process = request.clone();
    let (program, command) = ("ssh".into(), "ssh web".into());
    process.reported.processes.push(Process {
        pid: 1,
        program,
        command,
    });
    let key = world.p256.public().blob().to_vec().into();
    vec![
        payload,
        chain,
        reported,
        process,
        SignRequest {
            key,
            ..request.clone()
        },
        SignRequest {
            flags: 2,
            ..request.clone()
        },
    ]
}

fn replayed(request: &SignRequest) -> Vec<Event> {
    vec![
        Event::Refused(Peer::Laptop, Refusal::Replayed),
        Event::Said(
            Peer::Laptop,
            ToAgent::Refused(request.id, Refusal::Replayed),
        ),
    ]
}

#[test]
fn a_signed_request_asked_again_gets_the_same_signature_without_a_prompt() {
    let mut world = World::new();
    let request = plain(&world, 1);
    let signature = world.signed(Peer::Laptop, &request);
    // What is left of the wait does not make it another request.
    let again = SignRequest {
        wait_ms: 17,
        ..request.clone()
    };
    for again in [request, again] {
        let same = ToAgent::Signed(again.id, signature.clone().into());
        assert_eq!(
            world.ask(Peer::Laptop, &again),
            [Event::Said(Peer::Laptop, same)]
        );
    }
}

#[test]
fn a_refused_request_asked_again_gets_the_same_refusal_without_a_prompt() {
    let mut world = World::new();
    let request = plain(&world, 1);
    world.shown(Peer::Laptop, &request);
    world.decide(request.id, Decision::Deny(After::Nothing));
    let same = ToAgent::Refused(request.id, Refusal::Denied);
    assert_eq!(
        world.ask(Peer::Laptop, &request),
        [Event::Said(Peer::Laptop, same)]
    );
}

#[test]
fn an_id_with_anything_changed_is_a_replay_whatever_became_of_it() {
    let fates: [fn(&mut World, &SignRequest); 7] = [
        |_, _| (),
        |world, request| drop(world.approved(request.id, yes(None))),
        |world, request| {
            let job = world.approved(request.id, yes(None));
            world.sign(&job);
        },
        |world, request| drop(world.decide(request.id, Decision::Deny(After::Nothing))),
        |world, request| drop(world.say(Peer::Laptop, &ToSigner::Cancel(request.id))),
        |world, _| drop(world.tick(u64::from(WAIT))),
        |world, _| {
            world.disconnect(Peer::Laptop);
            world.connect(Peer::Laptop);
        },
    ];
    for (fate, bring) in fates.into_iter().enumerate() {
        let mut world = World::new();
        let request = plain(&world, 1);
        world.shown(Peer::Laptop, &request);
        bring(&mut world, &request);
        for changed in changed(&world, &request) {
            let events = world.ask(Peer::Laptop, &changed);
            assert_eq!(events, replayed(&request), "{fate}: {changed:?}");
        }
    }
}

#[test]
fn a_cancelled_request_asked_again_is_spent() {
    let mut world = World::new();
    let request = plain(&world, 1);
    world.shown(Peer::Laptop, &request);
    world.say(Peer::Laptop, &ToSigner::Cancel(request.id));
    assert_eq!(world.ask(Peer::Laptop, &request), replayed(&request));
}

#[test]
fn a_waiting_request_asked_again_is_received_again_without_a_second_prompt() {
    let (mut world, web) = (World::new(), Secret::ed25519(0x41));
    let request = world.direct(1, &web);
    world.shown(Peer::Laptop, &request);
    let deadline = world.signer.deadline();
    world.pass(1000);
    world.dice = [0; 4];
    assert_eq!(
        world.ask(Peer::Laptop, &request),
        [
            Event::Said(Peer::Laptop, ToAgent::Received(request.id)),
            Event::Said(
                Peer::Laptop,
                ToAgent::ShowNumber(request.id, number(NUMBER).unwrap())
            ),
        ]
    );
    assert_eq!(world.signer.deadline(), deadline);
    world.approved(request.id, yes(number(NUMBER)));
}

#[test]
fn an_undecided_request_asked_again_after_a_broken_connection_is_shown_again() {
    let (mut world, web) = (World::new(), Secret::ed25519(0x41));
    let request = world.direct(1, &web);
    world.shown(Peer::Laptop, &request);
    assert_eq!(
        world.disconnect(Peer::Laptop),
        [Event::Withdrawn(request.id, Withdrawn::Disconnected)]
    );
    assert_eq!(
        world.decide(request.id, yes(number(NUMBER))),
        [],
        "nobody to answer"
    );
    world.connect(Peer::Laptop);
    world.dice = [0, 0, 0, 7];
    let prompt = world.shown(Peer::Laptop, &request);
    assert_eq!(prompt.number, number("17"), "the number is a new one");
    let job = world.approved(request.id, yes(number("17")));
    world.sign(&job);
    let events = world.ask(Peer::Laptop, &request);
    assert!(
        matches!(&events[..], [Event::Said(_, ToAgent::Signed(..))]),
        "{events:?}"
    );
}

#[test]
fn a_request_signed_while_its_agent_was_away_is_answered_when_asked_again() {
    let mut world = World::new();
    let request = plain(&world, 1);
    world.shown(Peer::Laptop, &request);
    let job = world.approved(request.id, yes(None));
    assert_eq!(world.disconnect(Peer::Laptop), [], "what is decided stays");
    assert_eq!(
        world.sign(&job),
        [Event::Withdrawn(request.id, Withdrawn::Signed)]
    );
    world.connect(Peer::Laptop);
    let signature = world.ed25519.sign(&request.payload);
    let answer = ToAgent::Signed(request.id, signature.into());
    assert_eq!(
        world.ask(Peer::Laptop, &request),
        [Event::Said(Peer::Laptop, answer)]
    );
}

#[test]
fn a_request_asked_again_while_the_key_still_signs_gets_its_answer() {
    let mut world = World::new();
    let request = plain(&world, 1);
    world.shown(Peer::Laptop, &request);
    let job = world.approved(request.id, yes(None));
    world.disconnect(Peer::Laptop);
    world.connect(Peer::Laptop);
    assert_eq!(
        world.ask(Peer::Laptop, &request),
        [Event::Said(Peer::Laptop, ToAgent::Received(request.id))]
    );
    let events = world.sign(&job);
    assert!(
        matches!(&events[0], Event::Said(Peer::Laptop, ToAgent::Signed(..))),
        "{events:?}"
    );
}

#[test]
fn a_kept_signature_is_given_out_until_the_deadline_and_not_after() {
    for (passed, expected) in [(u64::from(WAIT) - 1, None), (u64::from(WAIT), Some(()))] {
        let mut world = World::new();
        let request = plain(&world, 1);
        let signature = world.signed(Peer::Laptop, &request);
        world.tick(passed);
        let answer = match expected {
            None => ToAgent::Signed(request.id, signature.into()),
            Some(()) => ToAgent::Refused(request.id, Refusal::TimedOut),
        };
        assert_eq!(
            world.ask(Peer::Laptop, &request),
            [Event::Said(Peer::Laptop, answer)]
        );
    }
}

#[test]
fn an_agent_that_floods_does_not_make_another_agents_answer_forgotten() {
    for flood in [cancel_at_once, fail_at_once] {
        let mut world = World::new();
        let request = plain(&world, 1);
        world.signed(Peer::Laptop, &request);
        for count in 0..600 {
            flood(&mut world, Peer::Server, count);
        }
        let events = world.ask(Peer::Laptop, &request);
        assert!(
            matches!(&events[..], [Event::Said(_, ToAgent::Signed(..))]),
            "{events:?}"
        );
    }
}

#[test]
fn the_last_256_answers_are_kept_and_an_older_one_is_asked_for_anew() {
    let mut world = World::new();
    let request = plain(&world, 1);
    world.signed(Peer::Laptop, &request);
    for count in 1..256 {
        fail_at_once(&mut world, Peer::Laptop, count);
    }
    let events = world.ask(Peer::Laptop, &request);
    assert!(
        matches!(&events[..], [Event::Said(_, ToAgent::Signed(..))]),
        "{events:?}"
    );
    fail_at_once(&mut world, Peer::Laptop, 256);
    world.shown(Peer::Laptop, &request);
}

#[test]
fn an_agent_cannot_make_its_own_withdrawn_prompt_forgotten_while_a_decision_may_be_on_its_way() {
    let mut world = World::new();
    let request = plain(&world, 1);
    world.shown(Peer::Laptop, &request);
    world.say(Peer::Laptop, &ToSigner::Cancel(request.id));
    for count in 0..1000 {
        cancel_at_once(&mut world, Peer::Laptop, count);
    }
    let other = world.request(1, sshsig("file"), vec![]);
    let events = world.ask(Peer::Laptop, &other);
    assert!(
        !events.iter().any(|event| matches!(event, Event::Shown(_))),
        "{events:?}"
    );
    assert_eq!(world.decide(request.id, yes(None)), []);
}

#[test]
fn an_agent_that_cancelled_much_can_ask_again_when_the_time_of_that_is_over() {
    let mut world = World::new();
    for count in 0..1000 {
        cancel_at_once(&mut world, Peer::Laptop, count);
    }
    let request = plain(&world, 1);
    assert_eq!(world.refused(Peer::Laptop, &request), Refusal::TooMany);
    world.signed(Peer::Server, &plain(&world, 2));
    world.tick(u64::from(WAIT));
    world.signed(Peer::Laptop, &request);
}

#[test]
fn many_answered_requests_stop_nobody() {
    let mut world = World::new();
    for count in 0..1000 {
        fail_at_once(&mut world, Peer::Laptop, count);
    }
    world.signed(Peer::Laptop, &plain(&world, 255));
}

#[test]
fn a_signer_that_was_unpaired_keeps_no_answer() {
    let mut world = World::new();
    let request = plain(&world, 1);
    world.signed(Peer::Laptop, &request);
    world.handle(Input::Unpair(world.link(Peer::Laptop)));
    let (agent, record) = crate::world::paired(0x10, "laptop");
    world.laptop = agent;
    world.handle(Input::Paired(Box::new(record)));
    world.connect(Peer::Laptop);
    world.shown(Peer::Laptop, &request);
}

fn cancel_at_once(world: &mut World, peer: Peer, count: u16) {
    let request = numbered(world, count);
    world.ask(peer, &request);
    world.say(peer, &ToSigner::Cancel(request.id));
}

fn fail_at_once(world: &mut World, peer: Peer, count: u16) {
    let request = numbered(world, count);
    world.shown(peer, &request);
    world.approved(request.id, yes(None));
    assert_eq!(world.handle(Input::Signed(request.id, None)).len(), 2);
}

/// A request with an id of its own.
fn numbered(world: &World, count: u16) -> SignRequest {
    let mut request = plain(world, 0xff);
    request.id.0[..2].copy_from_slice(&count.to_be_bytes());
    request
}

#[test]
fn an_id_on_the_screen_does_not_come_back_over_another_link_when_its_own_is_unpaired() {
    let mut world = World::new();
    let request = plain(&world, 1);
    world.shown(Peer::Laptop, &request);
    world.say(Peer::Laptop, &ToSigner::Unpaired);
    assert_eq!(world.refused(Peer::Server, &request), Refusal::Replayed);
    // The person's key press for the first one meets nothing.
    assert_eq!(world.decide(request.id, yes(None)), []);
    let other = plain(&world, 2);
    world.shown(Peer::Server, &other);
}

//! Several clients that want the same signature share one prompt.
use crate::ssh::ask_for_commit;
use crate::world::{Log, Out, PIXEL, World, cancel, denied, failed, is_signature};
use vmux_broker::{Answer, Ask, ClientId, Denial, Ended, Input};
use vmux_proto::audit::Event;
use vmux_proto::message::{Refusal, RequestId, SignRequest, ToSigner};

fn commit(world: &World) -> Ask {
    ask_for_commit(&world.work.public())
}

/// Two clients ask for the same.
fn two() -> (World, SignRequest) {
    let mut world = World::new();
    let ask = commit(&world);
    let outs = world.ask(7, ask);
    let [Out::Asked(7), Out::Say(PIXEL, ToSigner::Sign(request))] = &outs[..] else {
        panic!("{outs:?}")
    };
    let request = request.clone();
    let ask = commit(&world);
    assert_eq!(world.ask(8, ask), [Out::Asked(8)], "no second prompt");
    (world, request)
}

#[test]
fn the_same_question_is_asked_once_and_answered_to_everybody() {
    let (mut world, request) = two();
    let waiting = world.broker.status().waiting;
    assert_eq!((waiting.len(), waiting[0].askers), (1, 2));
    let answer = world.signed(&request);
    let outs = world.say(PIXEL, &answer);
    assert!(
        is_signature(&outs[..2], 7) && is_signature(&outs[2..], 8),
        "{outs:?}"
    );
    assert_eq!(world.told(), [Event::Asked, Event::Asked, Event::Approved]);
    assert_eq!(world.entries[0].request, world.entries[1].request);
    assert_eq!(world.entries[2].count, Some(2));
}

#[test]
fn a_no_is_everybodys_answer_too() {
    let (mut world, request) = two();
    let no = Denial::Phone(Refusal::Denied);
    let expected = [failed(7, no), failed(8, no)].concat();
    assert_eq!(world.say(PIXEL, &denied(request.id)), expected);
}

#[test]
fn another_question_has_a_prompt_of_its_own() {
    let (mut world, request) = two();
    let ask = world.login_of(9);
    let outs = world.ask(9, ask);
    let [Out::Asked(9), Out::Say(PIXEL, ToSigner::Sign(other))] = &outs[..] else {
        panic!("{outs:?}")
    };
    assert_ne!(other.id, request.id);
}

#[test]
fn the_prompt_goes_when_the_last_one_is_gone_and_not_before() {
    let (mut world, request) = two();
    let gone = world.handle(Input::Gone(ClientId(7)));
    assert_eq!(gone, failed(7, Denial::Cancelled));
    let mut expected = vec![cancel(PIXEL, request.id)];
    expected.extend(failed(8, Denial::Cancelled));
    assert_eq!(world.handle(Input::Gone(ClientId(8))), expected);
}

#[test]
fn who_stays_gets_the_signature() {
    let (mut world, request) = two();
    world.handle(Input::Gone(ClientId(7)));
    let answer = world.signed(&request);
    assert!(is_signature(&world.say(PIXEL, &answer), 8));
}

#[test]
fn each_one_has_an_end_of_its_own() {
    let mut world = World::new();
    let ask = commit(&world);
    world.ask(7, ask);
    let ask = commit(&world);
    let mut late = world.asked(8, ask);
    late.began = world.now.uptime - 70_000;
    world.handle(Input::Ask(late));
    assert_eq!(world.tick(29_999), []);
    assert_eq!(world.tick(1), failed(8, Denial::TimedOut));
    assert_eq!(world.broker.status().waiting[0].askers, 1);
    assert_eq!(world.tick(29_999), []);
    assert!(world.tick(1).ends_with(&failed(7, Denial::TimedOut)));
}

#[test]
fn who_comes_when_the_signature_is_here_is_asked_for_anew() {
    let mut world = World::new();
    let ask = commit(&world);
    let outs = world.ask(7, ask);
    let Some(Out::Say(PIXEL, ToSigner::Sign(request))) = outs.last() else {
        panic!("{outs:?}")
    };
    world.log = Log::Later;
    let answer = world.signed(request);
    world.say(PIXEL, &answer);
    let ask = commit(&world);
    world.ask(8, ask);
    let outs = world.recorded();
    let ids: Vec<RequestId> = world
        .broker
        .status()
        .waiting
        .iter()
        .map(|one| one.id)
        .collect();
    assert!(is_signature(&outs[..2], 7), "{outs:?}");
    assert!(ids.len() == 1 && ids[0] != request.id);
}

#[test]
fn who_cannot_be_recorded_gets_nothing_and_the_others_do() {
    let (mut world, request) = two();
    world.log = Log::Later;
    let ask = commit(&world);
    assert_eq!(world.ask(9, ask), [Out::Asked(9)]);
    assert_eq!(
        world.handle(Input::NotRecorded),
        failed(9, Denial::NotRecorded)
    );
    world.recorded();
    let answer = world.signed(&request);
    world.say(PIXEL, &answer);
    let outs = world.recorded();
    let answers = outs
        .iter()
        .filter(|out| matches!(out, Out::Answer(_, Answer::Signature(_))));
    assert_eq!(answers.count(), 2);
    assert!(!outs.contains(&Out::Ended(9, Ended::Signed)));
}

//! Limits, pauses and blocks of one source, and that they are no other's.
use crate::world::{Out, PIXEL, TABLET, World, denied, failed, is_signature, refused};
use vmux_broker::{Answer, ClientId, Denial, Input};
use vmux_proto::audit::Event;
use vmux_proto::limits::MAX_SHOWN_PER_SOURCE;
use vmux_proto::message::{Block, Refusal, SignRequest, ToAgent, ToSigner};
use vmux_proto::source::Source;

fn program(name: &str) -> Source {
    Source::Program(name.into())
}

/// A world where git asks.
fn git() -> World {
    let mut world = World::new();
    world.program("git");
    world
}

fn ask(world: &mut World, client: u64) -> Vec<Out> {
    let ask = world.login_of(client);
    world.ask(client, ask)
}

fn deny(world: &mut World, client: u64) {
    let request = world.asked_of_pixel(client);
    world.say(PIXEL, &denied(request.id));
}

#[test]
fn a_source_that_was_denied_waits_and_another_does_not() {
    let mut world = git();
    deny(&mut world, 1);
    assert_eq!(ask(&mut world, 2), refused(2, Denial::Paused(2000)));
    let until = world.now.uptime + 2000;
    assert_eq!(world.broker.status().paused, [(program("git"), until)]);
    world.program("make");
    world.asked_of_pixel(3);
    world.program("git");
    world.pass(1999);
    assert_eq!(ask(&mut world, 4), refused(4, Denial::Paused(1)));
    world.tick(1);
    assert!(world.broker.status().paused.is_empty());
    world.asked_of_pixel(5);
}

#[test]
fn the_pause_grows_and_an_approval_ends_it() {
    let mut world = git();
    deny(&mut world, 1);
    world.tick(2000);
    deny(&mut world, 2);
    assert_eq!(ask(&mut world, 3), refused(3, Denial::Paused(10_000)));
    world.tick(10_000);
    let request = world.asked_of_pixel(4);
    let answer = world.signed(&request);
    assert!(is_signature(&world.say(PIXEL, &answer), 4));
    deny(&mut world, 5);
    assert_eq!(ask(&mut world, 6), refused(6, Denial::Paused(2000)));
}

#[test]
fn who_was_shown_and_left_twice_waits_and_who_was_not_shown_does_not() {
    for (shown, pause) in [(true, Some(2000)), (false, None)] {
        let mut world = git();
        for client in [1, 2] {
            let request = world.asked_of_pixel(client);
            if shown {
                world.say(PIXEL, &ToAgent::Received(request.id));
            }
            world.tick(60_000);
            world.pass(1);
        }
        let paused = world.broker.status().paused;
        let pause = pause.map(|pause| (program("git"), world.now.uptime - 1 + pause));
        assert_eq!(paused, pause.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_pause_says_how_long_it_lasts() {
    let text = Denial::Paused(9_001).to_string();
    assert!(text.ends_with("for 10 s more"), "{text}");
}

#[test]
fn thirty_two_of_one_source_wait_and_one_more_is_refused_while_another_source_is_taken() {
    let mut world = git();
    for client in 0..32 {
        assert!(ask(&mut world, client).contains(&Out::Asked(client)));
    }
    assert_eq!(ask(&mut world, 32), refused(32, Denial::TooManyFromSource));
    world.program("make");
    assert!(ask(&mut world, 33).contains(&Out::Asked(33)));
}

#[test]
fn a_phone_gets_twelve_of_one_source_at_a_time_and_there_is_room_for_another() {
    let mut world = git();
    let mut requests: Vec<SignRequest> = Vec::new();
    for client in 0..12 {
        requests.push(world.asked_of_pixel(client));
    }
    assert_eq!(requests.len(), MAX_SHOWN_PER_SOURCE);
    world.asked_while_away(12);
    world.program("make");
    world.asked_of_pixel(13);
    let refusal = ToAgent::Refused(requests[0].id, Refusal::KeyFailed);
    let outs = world.say(PIXEL, &refusal);
    assert!(matches!(
        outs.last(),
        Some(Out::Say(PIXEL, ToSigner::Sign(_)))
    ));
}

fn block(left_ms: u32) -> ToAgent {
    ToAgent::Blocks(vec![Block {
        source: program("git"),
        left_ms,
    }])
}

#[test]
fn a_blocked_source_is_refused_until_its_time_is_over_and_no_other_is() {
    let mut world = git();
    world.say(PIXEL, &block(3_600_000));
    assert_eq!(ask(&mut world, 1), refused(1, Denial::Blocked));
    let (link, until) = (world.link(PIXEL), world.now.uptime + 3_600_000);
    assert_eq!(
        world.broker.status().blocked,
        [(link, program("git"), until)]
    );
    world.program("make");
    world.asked_of_pixel(2);
    world.handle(Input::Gone(ClientId(2)));
    world.program("git");
    // The phone is away, and the clock is set back.
    world.leave(PIXEL);
    world.pass(3_599_999);
    world.now.wall -= 1_000_000;
    assert_eq!(ask(&mut world, 3), refused(3, Denial::Blocked));
    world.tick(1);
    assert!(world.broker.status().blocked.is_empty());
    world.asked_while_away(4);
}

#[test]
fn a_block_that_is_lifted_is_over_and_both_are_on_record() {
    let mut world = git();
    world.say(PIXEL, &block(3_600_000));
    world.say(PIXEL, &block(3_500_000));
    world.say(PIXEL, &ToAgent::Blocks(Vec::new()));
    world.asked_of_pixel(1);
    let told = [Event::Blocked, Event::Unblocked, Event::Asked];
    assert_eq!(world.told(), told);
    assert_eq!(world.entries[0].source.as_deref(), Some("git"));
}

#[test]
fn a_block_of_one_phone_is_not_that_of_another() {
    let mut world = git();
    world.say(TABLET, &block(3_600_000));
    world.asked_of_pixel(1);
}

#[test]
fn what_waits_for_room_is_refused_when_its_source_is_blocked() {
    let mut world = git();
    for client in 0..12 {
        world.asked_of_pixel(client);
    }
    world.asked_while_away(12);
    assert_eq!(
        world.say(PIXEL, &block(3_600_000)),
        failed(12, Denial::Blocked)
    );
}

#[test]
fn i6_whatever_the_agent_is_told_of_sources_it_asks_less_and_answers_nothing_by_itself() {
    let told = [
        None,
        Some(block(3_600_000)),
        Some(ToAgent::Blocks(Vec::new())),
        Some(block(0)),
    ];
    for told in told {
        for denials in 0..3 {
            let mut world = git();
            if let Some(told) = &told {
                world.say(PIXEL, told);
            }
            for client in 0..denials {
                let outs = ask(&mut world, client);
                if let Some(Out::Say(PIXEL, ToSigner::Sign(request))) = outs.last() {
                    world.say(PIXEL, &denied(request.id));
                }
            }
            let outs = ask(&mut world, 9);
            let asked = matches!(outs.last(), Some(Out::Say(PIXEL, ToSigner::Sign(_))));
            let refused = outs.last() == Some(&Out::Answer(9, Answer::Failure));
            assert!(asked != refused, "{outs:?}");
            let blocked = world.broker.status().blocked.len() == 1;
            assert_eq!(refused, blocked || denials > 0, "{told:?} {denials}");
        }
    }
}

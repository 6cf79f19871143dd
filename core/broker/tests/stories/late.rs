//! Deadlines: how long a person has, how long a phone has, and what comes too late (I5, I17).
use crate::phone::hello;
use crate::ssh::ask_for_login;
use crate::world::{Out, PIXEL, TABLET, World, cancel, denied, failed, is_signature, refused};
use vmux_broker::{Asked, Denial, Input, Limits};
use vmux_proto::message::{SignRequest, ToSigner};

/// A request of a client whose login began this long ago.
fn asked_after(world: &mut World, age: u64) -> Vec<Out> {
    let ask = ask_for_login(&world.work, &world.web);
    let asked = world.asked(7, ask);
    let began = world.now.uptime - age;
    world.handle(Input::Ask(Asked { began, ..asked }))
}

fn request(outs: &[Out]) -> SignRequest {
    let [Out::Asked(7), Out::Say(PIXEL, ToSigner::Sign(request))] = outs else {
        panic!("{outs:?}")
    };
    request.clone()
}

#[test]
fn i5_a_person_has_a_minute() {
    let mut world = World::new();
    let request = world.asked_of_pixel(7);
    assert_eq!(world.broker.deadline(), Some(world.now.uptime + 60_000));
    assert_eq!(world.tick(59_999), []);
    let mut expected = vec![cancel(PIXEL, request.id)];
    expected.extend(failed(7, Denial::TimedOut));
    assert_eq!(world.tick(1), expected);
    assert_eq!(world.broker.deadline(), None);
}

#[test]
fn i5_an_answer_in_time_is_taken_and_one_at_the_deadline_is_not() {
    for (wait, in_time) in [(59_999, true), (60_000, false), (10_000_000, false)] {
        let mut world = World::new();
        let request = world.asked_of_pixel(7);
        let answer = world.signed(&request);
        // Nobody ticks: a laptop that slept gets the frame first.
        world.pass(wait);
        let outs = world.say(PIXEL, &answer);
        if in_time {
            assert!(is_signature(&outs, 7));
        } else {
            assert!(outs.contains(&cancel(PIXEL, request.id)));
            assert!(outs.ends_with(&failed(7, Denial::TimedOut)), "{outs:?}");
            assert_eq!(world.say(PIXEL, &answer), [], "it does not come back");
        }
    }
}

#[test]
fn the_wait_ends_a_hundred_seconds_after_the_login_began() {
    for (age, wait) in [(0, 60_000), (40_000, 60_000), (40_001, 59_999), (99_999, 1)] {
        let mut world = World::new();
        let outs = asked_after(&mut world, age);
        assert_eq!(u64::from(request(&outs).wait_ms), wait);
        assert_eq!(world.tick(wait - 1), []);
        assert!(world.tick(1).ends_with(&failed(7, Denial::TimedOut)));
    }
}

#[test]
fn a_client_whose_time_is_over_asks_no_phone() {
    for age in [100_000, 100_001, 900_000] {
        let mut world = World::new();
        assert_eq!(asked_after(&mut world, age), refused(7, Denial::TimedOut));
    }
}

#[test]
fn the_wait_is_the_configured_one_if_that_is_shorter() {
    let mut world = World::new();
    world.use_limits(Limits {
        wait_ms: 5000,
        ..Limits::default()
    });
    world.connect(PIXEL);
    let outs = asked_after(&mut world, 95_001);
    assert_eq!(request(&outs).wait_ms, 4999);
    let mut world = World::new();
    world.use_limits(Limits {
        wait_ms: 5000,
        ..Limits::default()
    });
    world.connect(PIXEL);
    assert_eq!(request(&asked_after(&mut world, 0)).wait_ms, 5000);
}

#[test]
fn a_phone_that_does_not_come_is_given_up_on_within_a_second_and_not_before() {
    let mut world = World::away();
    world.asked_while_away(7);
    assert_eq!(world.broker.deadline(), Some(world.now.uptime + 900));
    assert_eq!(world.tick(899), []);
    assert_eq!(world.tick(1), failed(7, Denial::Unreachable));
}

#[test]
fn a_phone_that_comes_within_that_second_is_asked() {
    let mut world = World::away();
    world.asked_while_away(7);
    world.pass(899);
    let outs = world.connect(PIXEL);
    let [
        Out::Shake(PIXEL),
        Out::Say(PIXEL, ToSigner::Sign(request)),
        Out::Connected(PIXEL),
        ..,
    ] = &outs[..]
    else {
        panic!("{outs:?}")
    };
    assert_eq!(request.wait_ms, 60_000 - 899);
    assert_eq!(
        world.tick(50_000),
        [],
        "from here on the person has the time"
    );
    let answer = world.signed(request);
    assert!(is_signature(&world.say(PIXEL, &answer), 7));
}

#[test]
fn a_phone_that_comes_later_finds_nothing() {
    let mut world = World::away();
    world.asked_while_away(7);
    world.pass(900);
    let (_, outs) = world.call(PIXEL, &hello("phone"));
    assert_eq!(outs, [Out::Shake(PIXEL)]);
    assert_eq!(world.broker.status().waiting.len(), 0);
}

#[test]
fn another_phone_that_comes_is_not_the_one_that_was_asked() {
    let mut world = World::away();
    world.asked_while_away(7);
    let outs = world.connect(TABLET);
    assert!(
        outs.iter().all(|out| !matches!(out, Out::Say(..))),
        "{outs:?}"
    );
    assert_eq!(world.tick(900), failed(7, Denial::Unreachable));
}

#[test]
fn a_broken_connection_leaves_a_second_to_come_back_and_the_same_request_goes_out_again() {
    let mut world = World::new();
    let first = world.asked_of_pixel(7);
    world.pass(20_000);
    assert_eq!(world.leave(PIXEL), [Out::Away(PIXEL)]);
    assert_eq!(world.tick(899), []);
    let outs = world.connect(PIXEL);
    let Out::Say(PIXEL, ToSigner::Sign(again)) = &outs[1] else {
        panic!("{outs:?}")
    };
    assert_eq!(
        *again,
        SignRequest {
            wait_ms: 60_000 - 20_899,
            ..first
        }
    );
    assert_eq!(world.tick(60_000 - 20_899 - 1), []);
    assert!(
        world.tick(1).ends_with(&failed(7, Denial::TimedOut)),
        "the end stays where it was"
    );
}

#[test]
fn a_broken_connection_that_stays_broken_ends_the_request() {
    let mut world = World::new();
    world.asked_of_pixel(7);
    world.leave(PIXEL);
    assert_eq!(world.tick(899), []);
    assert_eq!(world.tick(1), failed(7, Denial::Unreachable));
}

#[test]
fn leaving_again_and_again_does_not_move_the_end() {
    let mut world = World::new();
    world.asked_of_pixel(7);
    let flap = |world: &mut World| {
        world.handle(Input::RelayDown(world.link(PIXEL)));
        world.meet(PIXEL)
    };
    for _ in 0..8 {
        flap(&mut world);
        assert_eq!(world.tick(100), []);
    }
    flap(&mut world);
    assert_eq!(world.tick(100), failed(7, Denial::Unreachable));
}

#[test]
fn requests_end_one_by_one_each_in_its_time() {
    let mut world = World::new();
    let one = world.asked_of_pixel(1);
    world.pass(1000);
    let two = world.asked_of_pixel(2);
    assert!(world.tick(59_000).starts_with(&[cancel(PIXEL, one.id)]));
    let outs = world.say(PIXEL, &denied(two.id));
    assert!(outs.contains(&Out::Answer(2, vmux_broker::Answer::Failure)));
}

#[test]
fn i17_a_wall_clock_set_back_gives_nobody_more_time() {
    let mut world = World::new();
    world.asked_of_pixel(7);
    world.now.wall -= 1_000_000;
    assert_eq!(world.tick(59_999), []);
    assert!(world.tick(1).ends_with(&failed(7, Denial::TimedOut)));
}

//! How much one agent, and one source of it, may ask.
use crate::ssh::sshsig;
use crate::world::{Event, Peer, World, yes};
use vmux_proto::message::{Origin, Refusal, SignRequest, ToSigner};
use vmux_signer::{After, Decision, Withdrawn};

const PER_SOURCE: u8 = 12;

/// A request of a program of this name.
pub(crate) fn of(world: &World, id: u8, name: &str) -> SignRequest {
    let mut request = world.request(id, sshsig("git"), vec![]);
    request.reported.origin = Some(Origin {
        pid: 1,
        started: 1,
        name: name.into(),
    });
    request
}

/// Shown and denied.
fn denied(world: &mut World, id: u8, name: &str) {
    let request = of(world, id, name);
    world.shown(Peer::Laptop, &request);
    let events = world.decide(request.id, Decision::Deny(After::Nothing));
    let denied = Withdrawn::Refused(Refusal::Denied);
    assert_eq!(events.last(), Some(&Event::Withdrawn(request.id, denied)));
}

#[test]
fn one_source_leaves_room_for_another() {
    let mut world = World::new();
    for id in 1..=PER_SOURCE {
        world.shown(Peer::Laptop, &of(&world, id, "git"));
    }
    let more = of(&world, 13, "git");
    assert_eq!(world.refused(Peer::Laptop, &more), Refusal::TooMany);
    world.shown(Peer::Laptop, &of(&world, 14, "ssh"));
    world.shown(Peer::Server, &of(&world, 15, "git"));
}

#[test]
fn a_source_pauses_longer_after_each_denial_and_no_other_one_does() {
    let mut world = World::new();
    for (id, pause) in (1..).zip([2_000, 10_000, 60_000]) {
        denied(&mut world, id, "git");
        world.pass(pause - 1);
        let early = of(&world, 100 + id, "git");
        assert_eq!(world.refused(Peer::Laptop, &early), Refusal::Paused);
        world.approve_and_fail(Peer::Laptop, &of(&world, 150 + id, "ssh"));
        world.approve_and_fail(Peer::Server, &of(&world, 200 + id, "git"));
        world.pass(1);
    }
    world.shown(Peer::Laptop, &of(&world, 50, "git"));
}

#[test]
fn an_approval_ends_the_series() {
    let mut world = World::new();
    denied(&mut world, 1, "git");
    world.pass(2_000);
    world.signed(Peer::Laptop, &of(&world, 2, "git"));
    denied(&mut world, 3, "git");
    world.pass(2_000);
    world.shown(Peer::Laptop, &of(&world, 4, "git"));
}

#[test]
fn the_first_time_nobody_answers_costs_nothing_and_the_second_does() {
    let mut world = World::new();
    for (id, expected) in [(1, None), (2, Some(Refusal::Paused))] {
        world.shown(Peer::Laptop, &of(&world, id, "git"));
        world.tick(60_000);
        world.pass(1);
        let next = of(&world, 100 + id, "git");
        match expected {
            None => {
                world.shown(Peer::Laptop, &next);
                world.say(Peer::Laptop, &ToSigner::Cancel(next.id));
            }
            Some(refusal) => assert_eq!(world.refused(Peer::Laptop, &next), refusal),
        }
    }
}

#[test]
fn what_was_approved_and_then_late_does_not_count_as_unanswered() {
    let mut world = World::new();
    for id in 1..4 {
        world.shown(Peer::Laptop, &of(&world, id, "git"));
        world.approved(of(&world, id, "git").id, yes(None));
        world.tick(60_000);
    }
    world.shown(Peer::Laptop, &of(&world, 4, "git"));
}

#[test]
fn requests_that_wait_together_count_once() {
    let mut world = World::new();
    for id in 1..=4 {
        world.shown(Peer::Laptop, &of(&world, id, "git"));
    }
    world.pass(10);
    for id in 1..=4 {
        let request = of(&world, id, "git").id;
        world.decide(request, Decision::Deny(After::Nothing));
    }
    world.pass(2_000);
    world.shown(Peer::Laptop, &of(&world, 5, "git"));
}

#[test]
fn an_agent_that_gives_each_request_another_source_pauses_after_five_in_vain() {
    let mut world = World::new();
    for id in 1..=5 {
        world.pass(1);
        denied(&mut world, id, &format!("p{id}"));
        if id < 5 {
            let other = of(&world, 100 + id, "other");
            world.shown(Peer::Laptop, &other);
            world.say(Peer::Laptop, &ToSigner::Cancel(other.id));
        }
    }
    let next = of(&world, 6, "p6");
    assert_eq!(world.refused(Peer::Laptop, &next), Refusal::Paused);
    world.shown(Peer::Server, &of(&world, 7, "p7"));
    world.pass(2_000);
    denied(&mut world, 8, "p8");
    world.pass(9_999);
    let early = of(&world, 9, "p9");
    assert_eq!(world.refused(Peer::Laptop, &early), Refusal::Paused);
    world.pass(1);
    // An approval gives the link its patience back.
    world.signed(Peer::Laptop, &of(&world, 10, "p10"));
    denied(&mut world, 11, "p11");
    world.shown(Peer::Laptop, &of(&world, 12, "p12"));
}

#[test]
fn an_agent_that_leaves_no_time_to_decide_is_paused_like_any_other() {
    let mut world = World::new();
    let hurried = |world: &mut World, count: u16| {
        let mut request = SignRequest {
            wait_ms: 0,
            ..of(world, 1, &format!("p{count}"))
        };
        request.id.0[..2].copy_from_slice(&count.to_be_bytes());
        world.pass(1);
        let events = world.ask(Peer::Laptop, &request);
        !events.contains(&Event::Refused(Peer::Laptop, Refusal::Paused))
    };
    let taken = (0..1_000)
        .filter(|count| hurried(&mut world, *count))
        .count();
    assert_eq!(
        taken, 6,
        "the sixth, because the first time-out costs nothing"
    );
}

#[test]
fn an_agent_cannot_flash_prompts_faster_than_they_are_forgotten() {
    let mut world = World::new();
    let flash = |world: &mut World, count: u16| {
        let mut request = SignRequest {
            wait_ms: 1,
            ..of(world, 1, "git")
        };
        request.id.0[..2].copy_from_slice(&count.to_be_bytes());
        let events = world.ask(Peer::Laptop, &request);
        world.say(Peer::Laptop, &ToSigner::Cancel(request.id));
        matches!(events.last(), Some(Event::Shown(_)))
    };
    let shown = (0..1_000).filter(|count| flash(&mut world, *count)).count();
    assert_eq!(shown, 256);
    world.pass(59_999);
    assert!(!flash(&mut world, 2_000));
    world.pass(1);
    assert!(flash(&mut world, 2_001));
}

//! What the person does not want to be asked again: a source, or a whole workstation.
use crate::limits::of;
use crate::ssh::{Secret, sshsig};
use crate::world::{Event, Peer, World, yes};
use vmux_proto::audit;
use vmux_proto::binding::Use;
use vmux_proto::message::{Block, Refusal, SignRequest, ToAgent};
use vmux_proto::patience::BLOCK_MS;
use vmux_proto::source::Source;
use vmux_signer::{After, Blocks, Decision, Input, Withdrawn};

const BLOCK: Decision = Decision::Deny(After::Block);
const NOT_ME: Decision = Decision::Deny(After::NotMe);

fn program(name: &str) -> Source {
    Source::Program(name.into())
}

/// A world in which the laptop's `git` was blocked.
fn blocked() -> World {
    let mut world = World::new();
    let request = of(&world, 1, "git");
    world.shown(Peer::Laptop, &request);
    world.decide(request.id, BLOCK);
    world
}

fn refused(request: &SignRequest, refusal: Refusal) -> [Event; 2] {
    [
        Event::Said(Peer::Laptop, ToAgent::Refused(request.id, refusal)),
        Event::Withdrawn(request.id, Withdrawn::Refused(refusal)),
    ]
}

#[test]
fn a_block_ends_what_waits_of_its_source_and_nothing_else() {
    let mut world = World::new();
    let [one, two, other] =
        [(1, "git"), (2, "git"), (3, "ssh")].map(|(id, name)| of(&world, id, name));
    for request in [&one, &two, &other] {
        world.shown(Peer::Laptop, request);
    }
    let elsewhere = of(&world, 4, "git");
    world.shown(Peer::Server, &elsewhere);
    let told = Block {
        source: program("git"),
        left_ms: u32::try_from(BLOCK_MS).unwrap(),
    };
    let mut expected = refused(&one, Refusal::Blocked).to_vec();
    expected.extend(refused(&two, Refusal::Blocked));
    expected.push(Event::StoreBlocks);
    expected.push(Event::Said(Peer::Laptop, ToAgent::Blocks(vec![told])));
    assert_eq!(world.decide(one.id, BLOCK), expected);
    let next = of(&world, 5, "git");
    assert_eq!(world.refused(Peer::Laptop, &next), Refusal::Blocked);
    world.approved(other.id, yes(None));
    world.approved(elsewhere.id, yes(None));
    let ends = [
        "denied blocked",
        "blocked",
        "refused blocked",
        "refused blocked",
    ];
    assert_eq!(world.story()[4..], ends);
}

#[test]
fn a_block_ends_after_an_hour_and_not_a_millisecond_earlier() {
    let mut world = blocked();
    world.pass(BLOCK_MS - 1);
    // A clock that is set shortens nothing.
    world.now.wall += 1_000_000;
    let early = of(&world, 2, "git");
    assert_eq!(world.refused(Peer::Laptop, &early), Refusal::Blocked);
    assert_eq!(world.signer.deadline(), Some(world.now.uptime + 1));
    assert_eq!(world.tick(1), [Event::StoreBlocks]);
    world.shown(Peer::Laptop, &of(&world, 3, "git"));
}

#[test]
fn a_block_outlives_a_restart_until_the_wall_clock_says_that_it_is_over() {
    for (passed, expected) in [(3_599, Some(Refusal::Blocked)), (3_600, None)] {
        let mut world = blocked();
        world.restart();
        world.now.uptime = 1;
        world.now.wall += passed;
        world.connect(Peer::Laptop);
        let request = of(&world, 2, "git");
        match expected {
            Some(refusal) => assert_eq!(world.refused(Peer::Laptop, &request), refusal),
            None => drop(world.shown(Peer::Laptop, &request)),
        }
    }
}

#[test]
fn a_clock_set_back_makes_a_stored_block_no_longer_than_an_hour() {
    let mut world = blocked();
    world.restart();
    world.now.wall -= 1_000_000;
    world.connect(Peer::Laptop);
    world.tick(BLOCK_MS - 1);
    let early = of(&world, 2, "git");
    assert_eq!(world.refused(Peer::Laptop, &early), Refusal::Blocked);
    world.tick(1);
    world.shown(Peer::Laptop, &of(&world, 3, "git"));
}

#[test]
fn a_lifted_block_lets_through_and_another_one_stays() {
    let mut world = blocked();
    let link = world.link(Peer::Laptop);
    let ssh = of(&world, 2, "ssh");
    world.shown(Peer::Laptop, &ssh);
    world.decide(ssh.id, BLOCK);
    let events = world.handle(Input::Unblock(link, program("git")));
    assert_eq!(events[0], Event::StoreBlocks);
    let Event::Said(Peer::Laptop, ToAgent::Blocks(left)) = &events[1] else {
        panic!("{events:?}")
    };
    assert_eq!(left.len(), 1);
    assert_eq!(world.handle(Input::Unblock(link, program("git"))), []);
    world.pass(2_000);
    world.shown(Peer::Laptop, &of(&world, 3, "git"));
    let still = of(&world, 4, "ssh");
    assert_eq!(world.refused(Peer::Laptop, &still), Refusal::Blocked);
    assert!(world.story().contains(&"unblocked".to_owned()));
}

#[test]
fn an_agent_is_told_its_own_blocks_when_it_comes_back() {
    let mut world = blocked();
    for (peer, expected) in [(Peer::Laptop, 1), (Peer::Server, 0)] {
        world.disconnect(peer);
        world.connect(peer);
        let told = world.trace.iter().find_map(|event| match event {
            Event::Said(_, ToAgent::Blocks(blocks)) => Some(blocks.len()),
            _ => None,
        });
        assert_eq!(told, Some(expected));
    }
}

#[test]
fn a_blocked_host_stays_blocked_whatever_the_agent_reports() {
    let (mut world, bastion) = (World::new(), Secret::ed25519(0x42));
    let hop = bastion.binding(crate::ssh::SESSION, Use::Forwarding);
    let from_hop = |world: &World, id, name: &str| SignRequest {
        reported: of(world, id, name).reported,
        ..world.request(id, sshsig("git"), vec![hop.clone()])
    };
    let first = from_hop(&world, 1, "ssh");
    let prompt = world.shown(Peer::Laptop, &first);
    assert_eq!(prompt.source, Source::Host(bastion.public().fingerprint()));
    world.decide(first.id, BLOCK);
    let renamed = from_hop(&world, 2, "another");
    assert_eq!(world.refused(Peer::Laptop, &renamed), Refusal::Blocked);
    // A program has only its name: a block on it keeps no liar out.
    let mut world = blocked();
    world.shown(Peer::Laptop, &of(&world, 2, "another"));
}

#[test]
fn stored_blocks_come_back_and_a_byte_less_is_damage() {
    let bytes = blocked().signer.blocks().to_bytes();
    let read = Blocks::from_bytes(&bytes).unwrap();
    assert_eq!(read.iter().count(), 1);
    assert_eq!(read.to_bytes(), bytes);
    assert!(Blocks::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    let twice = [&[0x82][..], &bytes[1..], &bytes[1..]].concat();
    assert!(Blocks::from_bytes(&twice).is_err(), "one block twice");
}

#[test]
fn not_me_ends_all_that_waits_of_the_agent_even_what_is_approved() {
    let mut world = World::new();
    let [one, two, three] = [1, 2, 3].map(|id| of(&world, id, &format!("p{id}")));
    for request in [&one, &two, &three] {
        world.shown(Peer::Laptop, request);
    }
    let other = of(&world, 4, "p1");
    world.shown(Peer::Server, &other);
    let job = world.approved(two.id, yes(None));
    let mut expected = refused(&one, Refusal::NotMe).to_vec();
    expected.push(Event::StoreAgents);
    expected.extend(refused(&two, Refusal::NotMe));
    expected.extend(refused(&three, Refusal::NotMe));
    assert_eq!(world.decide(one.id, NOT_ME), expected);
    assert_eq!(world.sign(&job), [], "the signature comes too late");
    world.approved(other.id, yes(None));
    let next = of(&world, 5, "p5");
    assert_eq!(world.refused(Peer::Laptop, &next), Refusal::NotMe);
    let ends = [
        "denied not-me",
        "locked",
        "refused not-me",
        "refused not-me",
    ];
    assert_eq!(world.story()[4..8], ends);
}

#[test]
fn a_suspended_agent_asks_nobody_until_it_is_allowed_again_not_even_after_a_restart() {
    let mut world = World::new();
    let request = of(&world, 1, "git");
    world.shown(Peer::Laptop, &request);
    world.decide(request.id, NOT_ME);
    world.restart();
    world.connect(Peer::Laptop);
    world.connect(Peer::Server);
    let next = of(&world, 2, "git");
    assert_eq!(world.refused(Peer::Laptop, &next), Refusal::NotMe);
    let link = world.link(Peer::Laptop);
    assert_eq!(world.handle(Input::Resume(link)), [Event::StoreAgents]);
    assert_eq!(world.handle(Input::Resume(link)), [], "once");
    world.shown(Peer::Laptop, &of(&world, 3, "git"));
    world.restart();
    world.connect(Peer::Laptop);
    world.shown(Peer::Laptop, &of(&world, 4, "git"));
    let last = world.entries();
    let resumed = last
        .iter()
        .filter(|entry| entry.event == audit::Event::Unlocked);
    assert_eq!(resumed.count(), 1);
}

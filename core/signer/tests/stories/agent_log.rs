//! The agents' logs as the signer remembers them (I9).
use crate::limits::of;
use crate::world::{Event, Peer, World, yes};
use vmux_proto::Now;
use vmux_proto::audit::{self, Chain, Digest, Entry, Growth, Head, Storing};
use vmux_proto::message::{ToAgent, ToSigner};
use vmux_signer::{After, Decision};

/// The log of an agent: the digests of its lines.
#[derive(Clone)]
struct Log(Vec<Digest>);

impl Log {
    fn new(lines: usize) -> Self {
        let mut log = Self(Vec::new());
        log.grow(lines, "true");
        log
    }

    /// Writes more lines.
    fn grow(&mut self, lines: usize, reason: &str) {
        let now = Now {
            uptime: 1,
            wall: 1_800_000_000,
        };
        for _ in 0..lines {
            let entry = Entry {
                reason: Some(reason.into()),
                ..Entry::new(audit::Event::Asked)
            };
            let line = Chain::after(self.head(self.0.len())).append(entry, Storing::Written, now);
            self.0.push(line.digest);
        }
    }

    fn head(&self, lines: usize) -> Head {
        let known = self.0.iter().take(lines);
        known.fold(Head::EMPTY, Head::after)
    }

    /// What an honest agent says to a signer that knows this head: the rest, or where it is if the head
    /// is none of this log.
    fn growth(&self, known: Head) -> Growth {
        let lines = usize::try_from(known.lines).unwrap();
        if self.head(lines) == known {
            Growth::new(known, self.0.iter().skip(lines))
        } else {
            Growth::new(self.head(self.0.len()), [])
        }
    }
}

/// What the signer says, when both have met, that it remembers.
fn remembers(world: &mut World, peer: Peer) -> Head {
    world.disconnect(peer);
    world.connect(peer);
    let said = world.trace.iter().find_map(|event| match event {
        Event::Said(_, ToAgent::Remembers(head)) => Some(*head),
        _ => None,
    });
    said.unwrap()
}

/// The agent tells of its log and asks; says whether the person is warned.
fn warned(world: &mut World, log: &Log, id: u8) -> bool {
    let known = remembers(world, Peer::Laptop);
    world.say(Peer::Laptop, &ToSigner::Log(log.growth(known)));
    world
        .shown(Peer::Laptop, &of(world, id, "git"))
        .log_in_doubt
}

fn questioned(world: &World) -> usize {
    let entries = world.entries();
    let questioned = |entry: &&Entry| entry.event == audit::Event::Questioned;
    entries.iter().filter(questioned).count()
}

/// A signer that has signed for an agent with ten lines.
fn signed() -> (World, Log) {
    let (mut world, log) = (World::new(), Log::new(10));
    assert!(!warned(&mut world, &log, 1));
    let job = world.approved(of(&world, 1, "git").id, yes(None));
    world.sign(&job);
    (world, log)
}

#[test]
fn i9_a_log_that_only_grows_is_never_questioned_whoever_restarts() {
    let (mut world, mut log) = signed();
    assert_eq!(remembers(&mut world, Peer::Laptop), log.head(10));
    for id in 2..6 {
        log.grow(usize::from(id), "more");
        if id % 2 == 0 {
            world.restart();
        }
        assert!(!warned(&mut world, &log, id));
        assert_eq!(remembers(&mut world, Peer::Laptop), log.head(log.0.len()));
    }
    assert_eq!(questioned(&world), 0);
    assert_eq!(remembers(&mut world, Peer::Server), Head::EMPTY);
}

#[test]
fn i9_a_log_that_was_cut_shows_at_the_next_request() {
    for restarts in [false, true] {
        let (mut world, mut log) = signed();
        log.0.truncate(9);
        if restarts {
            world.restart();
        }
        assert!(warned(&mut world, &log, 2));
        assert_eq!(questioned(&world), 1);
    }
}

#[test]
fn i9_a_log_that_was_rewritten_shows_at_the_next_request_even_if_it_is_longer() {
    for restarts in [false, true] {
        let (mut world, mut log) = signed();
        log.0.truncate(9);
        log.grow(5, "false");
        if restarts {
            world.restart();
        }
        assert!(warned(&mut world, &log, 2));
        assert_eq!(questioned(&world), 1);
    }
}

#[test]
fn i9_a_log_that_is_gone_shows_at_the_next_request() {
    let (mut world, _) = signed();
    assert!(warned(&mut world, &Log::new(0), 2));
}

#[test]
fn i9_a_doubt_stays_until_the_person_has_decided_even_over_a_restart() {
    let decisions = [yes(None), Decision::Deny(After::Nothing)];
    for decision in decisions {
        let (mut world, mut log) = signed();
        log.0.truncate(5);
        assert!(warned(&mut world, &log, 2));
        world.restart();
        assert!(warned(&mut world, &log, 3), "nobody decided");
        log.grow(2, "more");
        assert!(warned(&mut world, &log, 4), "and nobody has yet");
        world.decide(of(&world, 4, "git").id, decision);
        world.pass(10_000);
        log.grow(2, "more");
        assert!(!warned(&mut world, &log, 5));
        let before = questioned(&world);
        world.restart();
        assert!(!warned(&mut world, &log, 6));
        assert_eq!(
            questioned(&world),
            before,
            "it goes on from what it was told"
        );
        log.0.truncate(8);
        assert!(warned(&mut world, &log, 7), "and sees the next cut");
    }
}

#[test]
fn a_decision_on_what_was_shown_before_the_doubt_does_not_end_it() {
    let (mut world, mut log) = signed();
    let earlier = of(&world, 2, "git");
    world.shown(Peer::Laptop, &earlier);
    log.0.truncate(9);
    world.say(Peer::Laptop, &ToSigner::Log(log.growth(log.head(3))));
    world.approved(earlier.id, yes(None));
    assert!(
        world
            .shown(Peer::Laptop, &of(&world, 3, "git"))
            .log_in_doubt
    );
    assert!(
        !world
            .shown(Peer::Server, &of(&world, 4, "git"))
            .log_in_doubt
    );
}

#[test]
fn an_agent_that_contradicts_itself_without_end_fills_no_log() {
    let (mut world, log) = signed();
    for _ in 0..100 {
        world.say(Peer::Laptop, &ToSigner::Log(log.growth(log.head(3))));
    }
    assert_eq!(questioned(&world), 1);
}

#[test]
fn the_head_of_the_agents_log_is_in_the_records_of_its_requests_but_for_a_doubt() {
    let (mut world, mut log) = signed();
    let written = |world: &World| world.entries().last().unwrap().other_log.clone();
    assert_eq!(written(&world), Some(log.head(10).to_string()));
    log.0.truncate(9);
    warned(&mut world, &log, 2);
    assert_eq!(written(&world), None);
    let job = world.approved(of(&world, 2, "git").id, yes(None));
    world.sign(&job);
    assert_eq!(written(&world), Some(log.head(9).to_string()));
}

#[test]
fn an_agent_is_told_where_the_signers_own_log_ends() {
    let (mut world, _) = signed();
    remembers(&mut world, Peer::Laptop);
    let end = world.log.last().unwrap().after;
    let told = Event::Said(Peer::Laptop, ToAgent::Log(end));
    assert!(world.trace.contains(&told));
}

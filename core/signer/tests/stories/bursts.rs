//! Many requests of one program, decided together, each checked on its own.
use crate::ssh::{SESSION, Secret, login_to, sshsig};
use crate::world::{Event, NUMBER, Peer, WRONG_NUMBER, World, number, yes, yes_and_call_it};
use vmux_proto::binding::Use;
use vmux_proto::message::{Origin, Refusal, RequestId, SignRequest, ToAgent};
use vmux_signer::{After, Decision, Input, Withdrawn};

fn origin(pid: u32) -> Origin {
    Origin {
        pid,
        started: 1,
        name: "git".into(),
    }
}

/// A commit of the program's run with this number.
fn commit(world: &World, id: u8, pid: u32) -> SignRequest {
    let mut request = world.request(id, sshsig("git"), vec![]);
    request.reported.origin = Some(origin(pid));
    request
}

/// A login to a new host.
fn fetch(world: &World, id: u8, host: &Secret, user: &str) -> SignRequest {
    let key = world.ed25519.public();
    let payload = login_to(&host.public(), SESSION, user, &key);
    let mut request = world.request(id, payload, vec![host.binding(SESSION, Use::Login)]);
    request.reported.origin = Some(origin(7));
    request
}

fn ids(numbers: &[u8]) -> Vec<RequestId> {
    numbers.iter().map(|id| RequestId([*id; 16])).collect()
}

fn together(world: &mut World, ids: &[RequestId], decision: Decision) -> Vec<Event> {
    world.handle(Input::DecidedTogether(ids.to_vec(), decision))
}

/// The requests for which a key is to sign.
fn jobs(events: &[Event]) -> Vec<RequestId> {
    let jobs = events.iter().filter_map(|event| match event {
        Event::Sign(job) => Some(job.request),
        _ => None,
    });
    jobs.collect()
}

#[test]
fn a_burst_of_one_run_is_together_and_nothing_else_is() {
    let mut world = World::new();
    let none = world.request(8, sshsig("git"), vec![]);
    let unknown = world.request(9, sshsig("git"), vec![]);
    let other_key = SignRequest {
        reported: commit(&world, 5, 7).reported,
        ..crate::world::request(5, &world.p256.public(), sshsig("git"), vec![])
    };
    let mut restarted = commit(&world, 6, 7);
    restarted.reported.origin.as_mut().unwrap().started = 2;
    let web = Secret::ed25519(0x41);
    let counts = [
        (commit(&world, 1, 7), 1),
        (commit(&world, 2, 7), 2),
        (commit(&world, 3, 7), 3),
        (commit(&world, 4, 8), 1),
        (other_key, 1),
        (restarted, 1),
        (fetch(&world, 7, &web, "git"), 1),
        (none, 1),
        (unknown, 1),
    ];
    for (request, count) in counts {
        let prompt = world.shown(Peer::Laptop, &request);
        assert_eq!(prompt.together, count, "{:?}", request.id);
    }
    world.shown(Peer::Server, &commit(&world, 10, 7));
    assert_eq!(world.signer.together(RequestId([2; 16])), ids(&[2, 1, 3]));
    assert_eq!(world.signer.together(RequestId([8; 16])), ids(&[8]));
    assert_eq!(world.signer.together(RequestId([99; 16])), []);
    world.approved(RequestId([1; 16]), yes(None));
    assert_eq!(world.signer.together(RequestId([1; 16])), []);
    assert_eq!(world.signer.together(RequestId([2; 16])), ids(&[2, 3]));
}

#[test]
fn one_decision_makes_one_signature_for_each_request_of_its_burst() {
    let mut world = World::new();
    for id in 1..=3 {
        world.shown(Peer::Laptop, &commit(&world, id, 7));
    }
    let events = together(&mut world, &ids(&[1, 2, 3]), yes(None));
    assert_eq!(jobs(&events), ids(&[1, 2, 3]));
    assert_eq!(
        jobs(&together(&mut world, &ids(&[1, 2, 3]), yes(None))),
        [],
        "once"
    );
    for event in events {
        let Event::Sign(job) = event else { continue };
        let sent = world.sign(&job);
        assert!(matches!(sent[0], Event::Said(_, ToAgent::Signed(id, _)) if id == job.request));
    }
}

#[test]
fn a_request_of_another_burst_is_not_decided_along_and_stays() {
    let mut world = World::new();
    world.shown(Peer::Laptop, &commit(&world, 1, 7));
    world.shown(Peer::Laptop, &commit(&world, 2, 8));
    world.shown(Peer::Server, &commit(&world, 3, 7));
    let events = together(&mut world, &ids(&[1, 2, 3]), yes(None));
    assert_eq!(jobs(&events), ids(&[1]));
    let deny = Decision::Deny(After::Nothing);
    // The first one that still waits leads.
    let events = together(&mut world, &ids(&[1, 2, 3]), deny);
    let denied = |id| Event::Withdrawn(RequestId([id; 16]), Withdrawn::Refused(Refusal::Denied));
    assert!(events.contains(&denied(2)) && !events.contains(&denied(3)));
    world.approved(RequestId([3; 16]), yes(None));
}

#[test]
fn a_decision_for_the_first_that_is_gone_is_one_for_the_rest() {
    let mut world = World::new();
    for id in 1..=3 {
        world.shown(Peer::Laptop, &commit(&world, id, 7));
    }
    world.decide(RequestId([1; 16]), Decision::Deny(After::Nothing));
    let events = together(&mut world, &ids(&[1, 2, 3]), yes(None));
    assert_eq!(jobs(&events), ids(&[2, 3]));
}

#[test]
fn a_denied_burst_is_denied_whole_and_pauses_once() {
    let mut world = World::new();
    for id in 1..=3 {
        world.shown(Peer::Laptop, &commit(&world, id, 7));
    }
    world.pass(10);
    let deny = Decision::Deny(After::Nothing);
    let events = together(&mut world, &ids(&[1, 2, 3]), deny);
    for id in ids(&[1, 2, 3]) {
        let denied = Withdrawn::Refused(Refusal::Denied);
        assert!(events.contains(&Event::Withdrawn(id, denied)));
    }
    world.pass(2_000);
    world.shown(Peer::Laptop, &commit(&world, 4, 7));
}

#[test]
fn a_burst_to_one_new_host_has_one_number_and_another_destination_or_user_its_own() {
    let (mut world, web, db) = (World::new(), Secret::ed25519(0x41), Secret::ed25519(0x42));
    let first = world.shown(Peer::Laptop, &fetch(&world, 1, &web, "git"));
    assert_eq!(first.number, number(NUMBER));
    world.dice = [0, 0, 0, 33];
    let second = world.shown(Peer::Laptop, &fetch(&world, 2, &web, "git"));
    assert_eq!((second.number, second.together), (first.number, 2));
    for other in [fetch(&world, 3, &db, "git"), fetch(&world, 4, &web, "root")] {
        let prompt = world.shown(Peer::Laptop, &other);
        assert_eq!((prompt.number, prompt.together), (number(WRONG_NUMBER), 1));
    }
    let decision = yes_and_call_it(first.number, "web");
    let events = together(&mut world, &ids(&[1, 2, 3, 4]), decision);
    assert_eq!(jobs(&events), ids(&[1, 2]));
    for event in events {
        if let Event::Sign(job) = event {
            world.sign(&job);
        }
    }
    assert_eq!(world.pinned(), [("web".into(), web.public().fingerprint())]);
}

#[test]
fn a_wrong_number_ends_all_that_share_it_and_no_other() {
    for decided in [ids(&[1, 2]), ids(&[1])] {
        let (mut world, web) = (World::new(), Secret::ed25519(0x41));
        for id in 1..=2 {
            world.shown(Peer::Laptop, &fetch(&world, id, &web, "git"));
        }
        world.shown(Peer::Laptop, &fetch(&world, 3, &web, "root"));
        let events = together(&mut world, &decided, yes(number(WRONG_NUMBER)));
        assert_eq!(jobs(&events), []);
        let gone = events.iter().filter(|event| {
            matches!(
                event,
                Event::Withdrawn(_, Withdrawn::Refused(Refusal::WrongNumber))
            )
        });
        assert_eq!(gone.count(), 2);
        world.approved(RequestId([3; 16]), yes(number(NUMBER)));
    }
}

#[test]
fn logins_to_who_knows_where_have_a_number_each() {
    let mut world = World::new();
    for (id, dice) in [(1, 32), (2, 33)] {
        world.dice = [0, 0, 0, dice];
        let payload = crate::ssh::login(SESSION, "git", &world.ed25519.public());
        let mut request = world.request(id, payload, vec![]);
        request.reported.origin = Some(origin(7));
        let prompt = world.shown(Peer::Laptop, &request);
        let expected = if id == 1 { NUMBER } else { WRONG_NUMBER };
        assert_eq!((prompt.number, prompt.together), (number(expected), 1));
    }
}

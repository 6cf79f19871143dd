//! How many requests wait, and that one agent's are no other's business.
use crate::ssh::{Secret, sshsig};
use crate::world::{Event, Peer, World, yes};
use vmux_proto::message::{Origin, Refusal, SignRequest, ToAgent, ToSigner};
use vmux_signer::{After, Decision, Withdrawn};

/// Requests of one agent that may wait.
const MAX_WAITING: u8 = 16;

/// A request of one of four programs: no one of them may fill the queue alone.
fn plain(world: &World, id: u8) -> SignRequest {
    let mut request = world.request(id, sshsig("git"), vec![]);
    request.reported.origin = Some(Origin {
        pid: id.into(),
        started: 1,
        name: format!("/usr/bin/{}", id % 4),
    });
    request
}

#[test]
fn sixteen_requests_wait_and_one_more_is_refused() {
    let mut world = World::new();
    for id in 1..=MAX_WAITING {
        world.shown(Peer::Laptop, &plain(&world, id));
    }
    let more = plain(&world, MAX_WAITING + 1);
    assert_eq!(world.refused(Peer::Laptop, &more), Refusal::TooMany);
    world.decide(plain(&world, 1).id, Decision::Deny(After::Nothing));
    world.pass(2_000);
    world.shown(Peer::Laptop, &more);
}

#[test]
fn a_full_queue_of_one_agent_is_not_that_of_another() {
    let mut world = World::new();
    for id in 1..=MAX_WAITING {
        world.shown(Peer::Laptop, &plain(&world, id));
    }
    world.signed(Peer::Server, &plain(&world, 100));
}

#[test]
fn an_approved_request_counts_until_it_is_signed() {
    let mut world = World::new();
    for id in 1..=MAX_WAITING {
        world.shown(Peer::Laptop, &plain(&world, id));
    }
    let job = world.approved(plain(&world, 1).id, yes(None));
    let more = plain(&world, MAX_WAITING + 1);
    assert_eq!(world.refused(Peer::Laptop, &more), Refusal::TooMany);
    world.sign(&job);
    world.shown(Peer::Laptop, &more);
}

#[test]
fn an_agent_cannot_cancel_anothers_request_and_can_cancel_its_own() {
    let mut world = World::new();
    let request = plain(&world, 1);
    world.shown(Peer::Laptop, &request);
    assert_eq!(world.say(Peer::Server, &ToSigner::Cancel(request.id)), []);
    assert_eq!(
        world.say(Peer::Laptop, &ToSigner::Cancel(request.id)),
        [Event::Withdrawn(request.id, Withdrawn::Cancelled)]
    );
}

#[test]
fn an_answer_goes_to_the_agent_that_asked() {
    let mut world = World::new();
    let (one, two) = (plain(&world, 1), plain(&world, 2));
    world.shown(Peer::Laptop, &one);
    world.shown(Peer::Server, &two);
    for (peer, request) in [(Peer::Laptop, one), (Peer::Server, two)] {
        let job = world.approved(request.id, yes(None));
        let signature = world.ed25519.sign(&request.payload).into();
        assert_eq!(
            world.sign(&job)[0],
            Event::Said(peer, ToAgent::Signed(request.id, signature))
        );
    }
}

#[test]
fn an_agent_that_reuses_anothers_id_learns_nothing_and_changes_nothing() {
    let mut world = World::new();
    let request = plain(&world, 1);
    // While it waits,
    world.shown(Peer::Laptop, &request);
    assert_eq!(world.refused(Peer::Server, &request), Refusal::Replayed);
    // while the key signs,
    let job = world.approved(request.id, yes(None));
    assert_eq!(world.refused(Peer::Server, &request), Refusal::Replayed);
    // and once it is answered: the very same bytes do not get the answer.
    let events = world.sign(&job);
    assert!(matches!(
        &events[0],
        Event::Said(Peer::Laptop, ToAgent::Signed(..))
    ));
    let stolen = world.ask(Peer::Server, &request);
    let replayed = ToAgent::Refused(request.id, Refusal::Replayed);
    assert_eq!(stolen.last(), Some(&Event::Said(Peer::Server, replayed)));
    // Its owner still does.
    assert_eq!(world.ask(Peer::Laptop, &request), events[..1]);
}

#[test]
fn an_agent_that_leaves_takes_only_its_own_requests_along() {
    let (mut world, web) = (World::new(), Secret::ed25519(0x41));
    let (one, two) = (plain(&world, 1), world.direct(2, &web));
    world.shown(Peer::Laptop, &one);
    let prompt = world.shown(Peer::Server, &two);
    assert_eq!(
        world.disconnect(Peer::Laptop),
        [Event::Withdrawn(one.id, Withdrawn::Disconnected)]
    );
    let job = world.approved(two.id, yes(prompt.number));
    assert_eq!(world.sign(&job).len(), 3);
}

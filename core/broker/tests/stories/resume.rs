//! "That was not me": nothing is signed until the person says on the workstation that it may go on.
use crate::world::{Out, PIXEL, TABLET, World, cancel, failed, refused};
use vmux_broker::{Answer, Ask, Denial, Input, Passphrase};
use vmux_proto::audit::Event;
use vmux_proto::message::{Refusal, ToAgent};

/// The person at the pixel said that a request was not theirs.
fn disowned() -> World {
    let mut world = World::new();
    let request = world.asked_of_pixel(7);
    world.say(PIXEL, &ToAgent::Refused(request.id, Refusal::NotMe));
    world
}

#[test]
fn everything_that_waits_is_refused_and_nothing_is_listed() {
    let mut world = World::new();
    let one = world.asked_of_pixel(7);
    world.program("make");
    let two = world.asked_of_pixel(8);
    let outs = world.say(PIXEL, &ToAgent::Refused(one.id, Refusal::NotMe));
    assert!(outs.contains(&Out::Store), "a restart does not help");
    assert!(outs.contains(&cancel(PIXEL, two.id)));
    for client in [7, 8] {
        let end = failed(client, Denial::NotMe);
        assert!(outs.windows(2).any(|outs| outs == end), "{outs:?}");
    }
    assert!(world.list().is_empty());
    assert!(world.broker.listed().is_empty());
    assert_eq!(world.ask_again(9), refused(9, Denial::NotMe));
    let status = world.broker.status();
    assert!(status.phones[PIXEL].suspended && !status.phones[TABLET].suspended);
}

#[test]
fn another_refusal_suspends_nothing() {
    let mut world = World::new();
    let request = world.asked_of_pixel(7);
    world.say(PIXEL, &ToAgent::Refused(request.id, Refusal::KeyFailed));
    assert_eq!(world.list().len(), 3);
    world.asked_of_pixel(8);
}

#[test]
fn it_survives_a_restart() {
    let mut world = disowned();
    world.restart_agent();
    world.connect(PIXEL);
    assert!(world.list().is_empty());
    assert_eq!(world.ask_again(8), refused(8, Denial::NotMe));
}

#[test]
fn i12_no_passphrase_ends_it_and_the_persons_word_on_the_workstation_does() {
    let mut world = disowned();
    let unlock = || Ask::Unlock(Passphrase::new(b"x"));
    let failure = [Out::Answer(8, Answer::Failure)];
    assert_eq!(world.ask(8, unlock()), failure);
    world.lock("x");
    assert_eq!(world.ask(8, unlock()), failure);
    assert_eq!(world.handle(Input::Resume), [Out::Store]);
    assert_eq!(world.ask_again(9), refused(9, Denial::Locked));
    world.ask(8, unlock());
    world.stretch();
    assert_eq!(world.list().len(), 3);
    world.asked_of_pixel(10);
}

#[test]
fn going_on_is_on_record_and_means_nothing_where_nothing_was_suspended() {
    let mut world = disowned();
    world.handle(Input::Resume);
    let told = [Event::Asked, Event::Locked, Event::Refused, Event::Unlocked];
    assert_eq!(world.told(), told);
    assert_eq!(world.handle(Input::Resume), []);
    assert_eq!(world.told(), told);
}

//! Locking and unlocking with a passphrase.
use crate::ssh::ask_for_login;
use crate::world::{Out, PIXEL, World, cancel, failed, is_signature, refused};
use vmux_broker::{Answer, Ask, ClientId, Denial, Input, Job, Locking, Passphrase};

fn lock(passphrase: &str) -> Ask {
    Ask::Lock(Passphrase::new(passphrase.as_bytes()))
}

fn unlock(passphrase: &str) -> Ask {
    Ask::Unlock(Passphrase::new(passphrase.as_bytes()))
}

fn failure(client: u64) -> [Out; 1] {
    [Out::Answer(client, Answer::Failure)]
}

fn wrong(client: u64) -> [Out; 2] {
    [
        Out::Locking(Locking::WrongPassphrase),
        Out::Answer(client, Answer::Failure),
    ]
}

const OPENED: Out = Out::Locking(Locking::Opened);

#[test]
fn a_locked_agent_lists_nothing_and_signs_nothing() {
    let mut world = World::new();
    world.lock("open sesame");
    assert!(world.broker.status().locked);
    assert!(world.list().is_empty());
    let ask = ask_for_login(&world.work, &world.web);
    assert_eq!(world.ask(7, ask), refused(7, Denial::Locked));
    assert_eq!(world.ask(7, Ask::Remove), failure(7));
    assert_eq!(
        world.ask(7, Ask::RemoveAll),
        [Out::Answer(7, Answer::Success)]
    );
}

#[test]
fn the_passphrase_unlocks_and_all_is_as_before() {
    let mut world = World::new();
    world.lock("open sesame");
    let outs = world.ask(7, unlock("open sesame"));
    assert!(
        matches!(outs[..], [Out::Stretch(7, Job::Unlock(_))]),
        "{outs:?}"
    );
    assert_eq!(world.stretch(), [OPENED, Out::Answer(7, Answer::Success)]);
    assert!(!world.broker.status().locked);
    assert_eq!(world.list().len(), 3);
    let request = world.asked_of_pixel(7);
    let answer = world.signed(&request);
    assert!(is_signature(&world.say(PIXEL, &answer), 7));
}

#[test]
fn another_passphrase_does_not_unlock() {
    let mut world = World::new();
    world.lock("open sesame");
    for guess in ["open sesam", "open sesame ", "Open sesame"] {
        world.ask(7, unlock(guess));
        assert_eq!(world.stretch(), wrong(7), "{guess:?}");
        assert!(world.broker.status().locked);
        world.tick(10_000);
    }
}

#[test]
fn an_empty_passphrase_unlocks_nothing_and_costs_nobody_a_pause() {
    let mut world = World::new();
    world.lock("open sesame");
    assert_eq!(world.ask(7, unlock("")), [Out::Answer(7, Answer::Failure)]);
    world.ask(8, unlock("open sesame"));
    world.stretch();
    assert!(!world.broker.status().locked);
}

#[test]
fn eight_attempts_wait_and_one_more_fails_at_once() {
    let mut world = World::new();
    world.lock("open sesame");
    // The first is under way, the others wait for it.
    for client in 0..9 {
        assert!(
            !world
                .ask(client, unlock("guess"))
                .contains(&Out::Answer(client, Answer::Failure))
        );
    }
    assert_eq!(
        world.ask(9, unlock("guess")),
        [Out::Answer(9, Answer::Failure)]
    );
    world.handle(Input::Gone(ClientId(5)));
    assert_eq!(world.ask(10, unlock("guess")), [], "a place is free again");
}

#[test]
fn locking_takes_what_waits_off_the_phones_screen() {
    let mut world = World::new();
    let request = world.asked_of_pixel(7);
    world.ask(8, lock("x"));
    let mut expected = vec![cancel(PIXEL, request.id)];
    expected.extend(failed(7, Denial::Locked));
    expected.extend([
        Out::Locking(Locking::Closed),
        Out::Answer(8, Answer::Success),
    ]);
    assert_eq!(world.stretch(), expected);
    let answer = world.signed(&request);
    assert_eq!(world.say(PIXEL, &answer), []);
}

#[test]
fn a_request_is_served_while_a_passphrase_is_stretched() {
    let mut world = World::new();
    let request = world.asked_of_pixel(7);
    world.ask(8, lock("x"));
    let answer = world.signed(&request);
    assert!(is_signature(&world.say(PIXEL, &answer), 7));
    assert_eq!(world.list().len(), 3);
}

#[test]
fn a_second_lock_fails_whether_it_comes_before_or_after_the_first_is_done() {
    let mut world = World::new();
    world.ask(1, lock("one"));
    assert_eq!(world.ask(2, lock("two")), [], "it waits for its turn");
    let outs = world.stretch();
    assert!(
        matches!(outs[2..], [Out::Stretch(2, Job::Lock(_))]),
        "{outs:?}"
    );
    assert_eq!(world.stretch(), failure(2));
    assert_eq!(world.ask(3, lock("three")), failure(3));
    world.ask(4, unlock("one"));
    assert_eq!(world.stretch(), [OPENED, Out::Answer(4, Answer::Success)]);
}

#[test]
fn an_empty_passphrase_locks_nothing() {
    let mut world = World::new();
    assert_eq!(world.ask(7, lock("")), failure(7));
    assert!(!world.broker.status().locked);
    assert!(matches!(world.ask(7, lock(" "))[..], [Out::Stretch(7, _)]));
}

#[test]
fn unlocking_what_is_not_locked_fails() {
    let mut world = World::new();
    assert_eq!(world.ask(7, unlock("x")), failure(7));
    world.lock("x");
    world.ask(7, unlock("x"));
    world.ask(8, unlock("x"));
    let outs = world.stretch();
    assert_eq!(
        outs,
        [&[OPENED, Out::Answer(7, Answer::Success)][..], &failure(8)].concat()
    );
}

#[test]
fn each_wrong_passphrase_makes_the_next_attempt_wait_a_tenth_of_a_second_longer() {
    let mut world = World::new();
    world.lock("x");
    for pause in [100, 200, 300] {
        assert!(matches!(
            world.ask(7, unlock("y"))[..],
            [Out::Stretch(7, _)]
        ));
        assert_eq!(world.stretch(), wrong(7));
        assert_eq!(world.ask(7, unlock("x")), [], "the next waits");
        assert_eq!(world.broker.deadline(), Some(world.now.uptime + pause));
        assert_eq!(world.tick(pause - 1), []);
        assert_eq!(world.handle(Input::Gone(ClientId(7))), []);
        assert_eq!(world.tick(1), []);
    }
    world.ask(7, unlock("x"));
    assert_eq!(world.stretch(), [OPENED, Out::Answer(7, Answer::Success)]);
}

#[test]
fn an_attempt_in_the_pause_is_made_at_its_end() {
    let mut world = World::new();
    world.lock("x");
    world.ask(7, unlock("y"));
    world.stretch();
    assert_eq!(world.ask(7, unlock("x")), []);
    assert_eq!(world.tick(99), []);
    assert!(matches!(
        world.tick(1)[..],
        [Out::Stretch(7, Job::Unlock(_))]
    ));
    assert_eq!(world.stretch(), [OPENED, Out::Answer(7, Answer::Success)]);
}

#[test]
fn many_attempts_at_once_are_made_one_after_another() {
    let mut world = World::new();
    world.lock("x");
    assert!(matches!(
        world.ask(0, unlock("y"))[..],
        [Out::Stretch(0, _)]
    ));
    for client in 1..5 {
        assert_eq!(world.ask(client, unlock("y")), [], "one at a time");
    }
    let mut elapsed = 0;
    for client in 0..5_u64 {
        assert_eq!(world.stretch(), wrong(client));
        let pause = (client + 1) * 100;
        assert_eq!(world.tick(pause - 1), []);
        let next = world.tick(1);
        assert_eq!(next.len(), usize::from(client < 4), "{next:?}");
        elapsed += pause;
    }
    assert_eq!(elapsed, 1500, "as long as if they had come one by one");
}

#[test]
fn nobody_else_waits_in_the_pause() {
    let mut world = World::new();
    world.lock("x");
    world.ask(7, unlock("y"));
    world.stretch();
    world.ask(7, unlock("y"));
    assert!(world.list().is_empty());
    assert_eq!(
        world.ask(8, Ask::RemoveAll),
        [Out::Answer(8, Answer::Success)]
    );
}

#[test]
fn a_client_that_hangs_up_before_its_turn_has_no_attempt() {
    let mut world = World::new();
    world.lock("x");
    world.ask(7, unlock("y"));
    world.ask(8, unlock("x"));
    world.handle(Input::Gone(ClientId(8)));
    world.stretch();
    assert_eq!(world.tick(20_000), []);
    assert!(world.broker.status().locked);
}

#[test]
fn a_passphrase_that_could_not_be_stretched_changes_nothing() {
    let mut world = World::new();
    world.ask(7, lock("x"));
    assert_eq!(world.fail_to_stretch(), failure(7));
    assert!(!world.broker.status().locked);
    world.lock("x");
    world.ask(7, unlock("x"));
    assert_eq!(world.fail_to_stretch(), failure(7));
    assert!(world.broker.status().locked, "it fails closed");
    world.ask(7, unlock("x"));
    assert!(world.stretch().contains(&OPENED));
}

#[test]
fn each_lock_has_a_salt_of_its_own() {
    let mut world = World::new();
    let mut salts = Vec::new();
    for _ in 0..2 {
        let outs = world.ask(7, lock("x"));
        let [Out::Stretch(7, Job::Lock(salt))] = &outs[..] else {
            panic!("{outs:?}")
        };
        salts.push(*salt);
        world.stretch();
        world.ask(7, unlock("x"));
        world.stretch();
    }
    assert_ne!(salts[0], salts[1]);
}

#[test]
fn phones_are_heard_while_the_agent_is_locked() {
    let mut world = World::new();
    world.lock("x");
    world.leave(PIXEL);
    let outs = world.connect(PIXEL);
    assert!(outs.contains(&Out::Identities(PIXEL, 2)));
    assert!(world.list().is_empty(), "and still nothing is shown");
}

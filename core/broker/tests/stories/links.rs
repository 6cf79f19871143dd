//! What a relay can do to a link, and how pairings end.
use crate::phone::{hello, paired};
use crate::world::{Out, PIXEL, TABLET, World, failed, is_signature};
use vmux_broker::{Denial, Input, Reach};
use vmux_link::{Psk, StaticSecret};
use vmux_proto::limits::MAX_HANDSHAKE_MS;
use vmux_proto::message::{Hello, Message as _, ToAgent, ToSigner, VERSION};

#[test]
fn a_phone_is_connected_once_a_frame_of_it_opens() {
    let mut world = World::offline();
    assert_eq!(world.reach(PIXEL), Reach::Away);
    assert_eq!(world.meet(PIXEL), []);
    let (_, outs) = world.call(PIXEL, &hello("phone"));
    assert_eq!(outs, [Out::Shake(PIXEL)]);
    assert_eq!(
        world.reach(PIXEL),
        Reach::Away,
        "its first message may be a recording"
    );
    world.pass(5000);
    let offered = world.offered(PIXEL);
    let outs = world.say(PIXEL, &offered);
    let expected = [
        Out::Connected(PIXEL),
        Out::Store,
        Out::Store,
        Out::Identities(PIXEL, 2),
    ];
    assert_eq!(outs, expected);
    assert_eq!(world.reach(PIXEL), Reach::Connected);
    assert_eq!(world.reach(TABLET), Reach::Away);
    assert_eq!(world.broker.status().phones[PIXEL].seen, world.now.wall);
}

#[test]
fn a_handshake_that_is_not_done_in_time_is_begun_again_and_one_that_is_stays() {
    let mut world = World::offline();
    world.meet(PIXEL);
    assert_eq!(
        world.broker.deadline(),
        Some(world.now.uptime + MAX_HANDSHAKE_MS)
    );
    assert_eq!(world.tick(MAX_HANDSHAKE_MS - 1), []);
    assert_eq!(world.tick(1), [Out::Restart(PIXEL)]);
    assert_eq!(world.broker.deadline(), None);
    assert_eq!(world.tick(MAX_HANDSHAKE_MS), [], "once");

    // Answered, and nothing that shows that the phone has it.
    world.call(PIXEL, &hello("phone"));
    assert_eq!(world.tick(MAX_HANDSHAKE_MS - 1), []);
    assert_eq!(world.tick(1), [Out::Restart(PIXEL)]);

    world.call(PIXEL, &hello("phone"));
    world.pass(MAX_HANDSHAKE_MS - 1);
    let offered = world.offered(PIXEL);
    world.say(PIXEL, &offered);
    assert_eq!(world.tick(MAX_HANDSHAKE_MS), []);
    assert_eq!(world.reach(PIXEL), Reach::Connected);
}

#[test]
fn i14_a_first_message_played_again_connects_nobody() {
    let mut world = World::offline();
    let (message, _) = world.call(PIXEL, &hello("phone"));
    let offered = world.offered(PIXEL);
    let recorded = world.phones[PIXEL].seal(&offered.to_bytes());
    world.frame(PIXEL, recorded.clone());
    assert_eq!(world.reach(PIXEL), Reach::Connected);
    world.leave(PIXEL);
    world.asked_while_away(7);
    world.meet(PIXEL);
    let outs = world.frame(PIXEL, message);
    assert_eq!(
        outs,
        [Out::Unheard(PIXEL), Out::Unheard(PIXEL)],
        "answered, and unreadable"
    );
    assert_eq!(world.reach(PIXEL), Reach::Away);
    assert_eq!(world.frame(PIXEL, recorded), [Out::Restart(PIXEL)]);
    assert_eq!(world.reach(PIXEL), Reach::Away);
    assert_eq!(
        world.tick(900),
        failed(7, Denial::Unreachable),
        "and buys no time"
    );
}

#[test]
fn a_first_message_played_again_buys_no_time() {
    let mut world = World::offline();
    let (message, _) = world.call(PIXEL, &hello("phone"));
    let offered = world.offered(PIXEL);
    world.say(PIXEL, &offered);
    world.leave(PIXEL);
    world.asked_while_away(7);
    world.pass(500);
    world.meet(PIXEL);
    world.frame(PIXEL, message);
    assert_eq!(world.tick(399), []);
    let outs = world.tick(1);
    assert!(outs.ends_with(&failed(7, Denial::Unreachable)), "{outs:?}");
}

#[test]
fn i14_a_frame_played_again_ends_the_channel() {
    let mut world = World::new();
    let request = world.asked_of_pixel(7);
    let received = world.phones[PIXEL].seal(&ToAgent::Received(request.id).to_bytes());
    assert_eq!(world.frame(PIXEL, received.clone()), [Out::Received(7)]);
    assert_eq!(
        world.frame(PIXEL, received.clone()),
        [Out::Away(PIXEL), Out::Restart(PIXEL)]
    );
    assert_eq!(
        world.frame(PIXEL, received),
        [],
        "what was still on its way"
    );
    assert_eq!(world.reach(PIXEL), Reach::Away);
}

#[test]
fn i14_after_a_frame_that_does_not_open_none_does() {
    let mut world = World::new();
    let request = world.asked_of_pixel(7);
    let answer = world.signed(&request);
    let good = world.phones[PIXEL].seal(&answer.to_bytes());
    let mut changed = good.clone();
    changed[5] ^= 1;
    assert_eq!(
        world.frame(PIXEL, changed),
        [Out::Away(PIXEL), Out::Restart(PIXEL)]
    );
    assert_eq!(world.frame(PIXEL, good), []);
    assert_eq!(world.tick(900), failed(7, Denial::Unreachable));
}

#[test]
fn garbage_of_any_length_restarts_the_connection_and_nothing_else() {
    for length in [0, 1, 15, 16, 32, 271, 272, 273, 368, 1024, 65_000] {
        let mut world = World::offline();
        assert_eq!(world.frame(PIXEL, vec![0x5a; length]), [], "away");
        world.meet(PIXEL);
        assert_eq!(
            world.frame(PIXEL, vec![0x5a; length]),
            [Out::Restart(PIXEL)],
            "met"
        );
        world.call(PIXEL, &hello("phone"));
        assert_eq!(
            world.frame(PIXEL, vec![0x5a; length]),
            [Out::Restart(PIXEL)],
            "unproven"
        );
        world.connect(PIXEL);
        let outs = world.frame(PIXEL, vec![0x5a; length]);
        assert_eq!(outs, [Out::Away(PIXEL), Out::Restart(PIXEL)], "open");
        assert_eq!(world.labels(), ["main", "work"]);
        world.connect(PIXEL);
        assert_eq!(world.reach(PIXEL), Reach::Connected, "and it can come back");
    }
}

#[test]
fn a_sealed_message_nobody_knows_restarts_the_connection() {
    let mut world = World::new();
    for strange in [&b""[..], b"\x82\x18\x63\x81\x00", &[0xff; 40]] {
        let frame = world.phones[PIXEL].seal(strange);
        assert_eq!(
            world.frame(PIXEL, frame),
            [Out::Away(PIXEL), Out::Restart(PIXEL)]
        );
        world.connect(PIXEL);
    }
}

#[test]
fn a_phone_that_meets_again_without_leaving_has_left() {
    let mut world = World::new();
    world.asked_of_pixel(7);
    assert_eq!(world.meet(PIXEL), [Out::Away(PIXEL)]);
    assert_eq!(world.reach(PIXEL), Reach::Away);
    assert_eq!(world.tick(900), failed(7, Denial::Unreachable));
}

#[test]
fn a_phone_with_another_key_or_secret_or_version_is_not_let_in() {
    let stranger =
        |world: &mut World| world.phones[PIXEL].bond().own = StaticSecret::from_bytes([0x77; 32]);
    let guess = |world: &mut World| world.phones[PIXEL].bond().psk = Psk::from_bytes([0x77; 32]);
    for change in [stranger, guess] {
        let mut world = World::offline();
        change(&mut world);
        let (_, outs) = world.call(PIXEL, &hello("phone"));
        assert_eq!(outs, [Out::Restart(PIXEL)]);
    }
    for version in [VERSION - 1, VERSION + 1] {
        let mut world = World::offline();
        let (_, outs) = world.call(
            PIXEL,
            &Hello {
                version,
                ..hello("phone")
            },
        );
        assert_eq!(outs, [Out::Restart(PIXEL)]);
    }
    let mut world = World::offline();
    assert_eq!(world.call(PIXEL, &hello("phone")).1, [Out::Shake(PIXEL)]);
}

#[test]
fn a_relay_that_is_down_is_told_apart_from_a_phone_that_is_away() {
    let mut world = World::new();
    let link = world.link(PIXEL);
    assert_eq!(world.handle(Input::RelayDown(link)), [Out::Away(PIXEL)]);
    assert_eq!(world.reach(PIXEL), Reach::NoRelay);
    assert_eq!(world.reach(TABLET), Reach::Connected);
    assert_eq!(world.handle(Input::RelayUp(link)), []);
    assert_eq!(world.reach(PIXEL), Reach::Away);
    world.handle(Input::RelayDown(link));
    world.connect(PIXEL);
    assert_eq!(world.reach(PIXEL), Reach::Connected);
}

#[test]
fn a_phone_unpaired_here_is_told_and_everything_of_it_ends() {
    let mut world = World::new();
    world.asked_of_pixel(7);
    let link = world.link(PIXEL);
    let mut expected = vec![Out::Store, Out::Say(PIXEL, ToSigner::Unpaired)];
    expected.extend(failed(7, Denial::Unpaired));
    expected.extend([Out::Disconnect(PIXEL), Out::Unpaired(PIXEL)]);
    assert_eq!(world.handle(Input::Unpair(link)), expected);
    ends_with_the_tablet_alone(&mut world);
}

#[test]
fn a_phone_that_unpairs_itself_is_forgotten_with_everything_of_it() {
    let mut world = World::new();
    world.asked_of_pixel(7);
    let mut expected = vec![Out::Store];
    expected.extend(failed(7, Denial::Unpaired));
    expected.extend([Out::Disconnect(PIXEL), Out::Unpaired(PIXEL)]);
    assert_eq!(world.say(PIXEL, &ToAgent::Unpaired), expected);
    ends_with_the_tablet_alone(&mut world);
}

fn ends_with_the_tablet_alone(world: &mut World) {
    let link = world.link(PIXEL);
    assert_eq!(world.labels(), ["copy", "spare"]);
    assert_eq!(world.broker.phones().count(), 1);
    let stored = world.broker.phones_to_bytes();
    let psk = [0x12; 32];
    assert!(
        !stored.windows(32).any(|window| window == psk),
        "the secret is gone"
    );
    for input in [
        Input::Met(link),
        Input::Left(link),
        Input::RelayDown(link),
        Input::Unpair(link),
    ] {
        assert_eq!(world.handle(input), []);
    }
    assert_eq!(world.frame(PIXEL, vec![0; 272]), []);
    world.restart_agent();
    assert_eq!(world.labels(), ["copy", "spare"]);
}

#[test]
fn a_phone_that_is_away_can_be_unpaired() {
    let mut world = World::away();
    let link = world.link(PIXEL);
    let expected = [Out::Store, Out::Disconnect(PIXEL), Out::Unpaired(PIXEL)];
    assert_eq!(world.handle(Input::Unpair(link)), expected);
}

#[test]
fn requests_of_another_phone_survive_an_unpairing() {
    let mut world = World::new();
    let request = world.asked_of_pixel(7);
    world.handle(Input::Unpair(world.link(TABLET)));
    let answer = world.signed(&request);
    assert!(is_signature(&world.say(PIXEL, &answer), 7));
}

#[test]
fn a_phone_that_was_paired_is_stored_before_it_is_connected_and_told_of() {
    let mut world = World::new();
    let (watch, record) = paired(0x30, "watch");
    world.phones.push(watch);
    let outs = world.handle(Input::Paired(Box::new(record)));
    assert_eq!(outs, [Out::Store, Out::Connect(2), Out::Paired(2)]);
    let outs = world.connect(2);
    assert!(outs.contains(&Out::Connected(2)), "{outs:?}");
    world.restart_agent();
    assert_eq!(world.broker.phones().count(), 3);
}

#[test]
fn an_agent_that_was_restarted_is_the_same_to_its_phones() {
    let mut world = World::new();
    world.asked_of_pixel(7);
    world.restart_agent();
    assert_eq!(world.broker.status().waiting.len(), 0);
    let outs = world.connect(PIXEL);
    assert!(outs.contains(&Out::Connected(PIXEL)));
    let request = world.asked_of_pixel(8);
    let answer = world.signed(&request);
    assert!(is_signature(&world.say(PIXEL, &answer), 8));
}

#[test]
fn a_frame_of_one_link_means_nothing_on_another() {
    let mut world = World::new();
    let request = world.asked_of_pixel(7);
    let answer = world.signed(&request);
    let frame = world.phones[PIXEL].seal(&answer.to_bytes());
    assert_eq!(
        world.frame(TABLET, frame),
        [Out::Away(TABLET), Out::Restart(TABLET)]
    );
    assert_eq!(world.broker.status().waiting.len(), 1);
}

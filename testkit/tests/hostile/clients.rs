//! Programs that send garbage, too much, too little, too slowly, or never read.
//!
//! More of them, one message at a time, are in `bad_input`.
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use vmux_testkit::{
    AgentClient, Decide, Place, Workstation, World, allow_many_files, base64_bytes, eventually,
    frame, string,
};

use crate::ssh::{LIST, bind_frame, commit};
use crate::{FAILURE, IDENTITIES, SIGNATURE, SUCCESS, client, lists_are_instant};

fn desk(config: &str) -> (Workstation, Place) {
    let place = Place::new();
    let mut workstation = Workstation::new(place.home("desk"), "workbench");
    workstation.configure(config);
    workstation.start();
    (workstation, place)
}

/// A sign request with the world's key.
fn sign(world: &World, what: u8) -> Vec<u8> {
    let key = base64_bytes(world.key.split(' ').nth(1).unwrap());
    frame(
        &[
            &[13][..],
            &string(&key),
            &string(&commit([what; 32])),
            &[0; 4],
        ]
        .concat(),
    )
}

#[test]
fn i13_garbage_of_every_kind_is_answered_with_failures_or_hung_up_on() {
    let (workstation, _place) = desk("");
    let mut bystander = client(&workstation);
    // Bytes of a generator that is the same each time (Knuth's), so that a failure can be repeated.
    let mut state = 1_u64;
    let mut byte = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56).to_le_bytes()[0]
    };
    for round in 0..60 {
        let mut client = client(&workstation);
        let length = usize::from(byte()) * 16 + 1;
        let garbage: Vec<u8> = (0..length).map(|_| byte()).collect();
        if round % 2 == 0 {
            // In frames: each gets its reply.
            let reply = client.ask(&garbage);
            assert!(
                matches!(reply[0], FAILURE | SUCCESS | IDENTITIES | 28),
                "{reply:?}"
            );
            assert_eq!(client.ask(&LIST[4..])[0], IDENTITIES);
        } else {
            // As it is: the length is a lie, and the agent may hang up while it is sent.
            let mut stream = UnixStream::connect(workstation.socket()).unwrap();
            drop(stream.write_all(&garbage));
            drop(stream.shutdown(Shutdown::Both));
        }
        assert_eq!(bystander.ask(&LIST[4..])[0], IDENTITIES);
    }
    lists_are_instant(&workstation);
}

#[test]
fn frames_begun_and_never_finished_give_their_places_back() {
    let (workstation, _place) = desk("max-clients = 8");
    let place = || {
        let mut client = client(&workstation);
        client.try_ask(&LIST[4..]).ok().map(|_| client)
    };
    // One that has said all it wants to say for the time being keeps its place.
    let mut idle = eventually("a place", Duration::from_secs(5), place);
    let halves: [&[u8]; 4] = [&[0], &[0, 0, 1, 0], &[0, 0, 1, 0, 13, 0, 0], &LIST[..4]];
    let mut held: Vec<AgentClient> = Vec::new();
    for half in halves.into_iter().cycle().take(6) {
        let mut client = eventually("a place", Duration::from_secs(5), place);
        client.send(half);
        held.push(client);
    }
    // A byte now and then is no progress.
    let mut slow = eventually("the last place", Duration::from_secs(5), place);
    slow.send(&[0, 0, 1, 0, 13]);
    client(&workstation).hung_up_on();
    let mut drips = 0;
    let mut free = eventually("a place again", Duration::from_secs(50), || {
        drips += 1;
        if drips % 100 == 0 {
            drop(slow.try_send(&[0]));
        }
        place()
    });
    assert_eq!(free.ask(&LIST[4..])[0], IDENTITIES);
    for client in held {
        client.hung_up_on();
    }
    slow.hung_up_on();
    assert_eq!(idle.ask(&LIST[4..])[0], IDENTITIES, "idle, and served");
    workstation.logs("did not finish its message");
}

#[test]
fn requests_that_come_byte_by_byte_are_served() {
    let world = World::new();
    let mut client = client(&world.workstation);
    for request in [LIST.to_vec(), sign(&world, 1), LIST.to_vec()] {
        for byte in &request {
            client.send(&[*byte]);
        }
        lists_are_instant(&world.workstation);
        assert!(matches!(client.reply()[0], IDENTITIES | SIGNATURE));
    }
}

#[test]
fn i19_a_thousand_clients_have_a_place_and_one_more_has_none() {
    allow_many_files();
    let (workstation, _place) = desk("");
    let place = || {
        let mut client = client(&workstation);
        client.try_ask(&LIST[4..]).ok().map(|_| client)
    };
    let mut all: Vec<_> = (0..1000)
        .map(|_| eventually("a place", Duration::from_secs(5), place))
        .collect();
    client(&workstation).hung_up_on();
    workstation.logs("too many clients (max-clients)");
    // Those who have one are served, and the command line has a door of its own.
    for client in &mut all {
        client.send(LIST);
    }
    for client in &mut all {
        assert_eq!(client.reply()[0], IDENTITIES);
    }
    assert_eq!(workstation.status()["locked"], false);
    all.truncate(900);
    eventually("a place", Duration::from_secs(5), place);
    lists_are_instant(&workstation);
}

#[test]
fn hundreds_of_requests_in_one_write_are_answered_in_order() {
    let (workstation, _place) = desk("");
    let bad_binding = bind_frame(b"no binding");
    let kinds: [(&[u8], u8); 5] = [
        (&[11], IDENTITIES),
        (&[200], FAILURE),
        (&[19], SUCCESS),
        (b"\x1b\0\0\0\x05query", 29),
        (&bad_binding[4..], 28),
    ];
    let mut client = client(&workstation);
    let many: Vec<_> = kinds.iter().cycle().take(500).collect();
    let bytes: Vec<u8> = many
        .iter()
        .flat_map(|(request, _)| frame(request))
        .collect();
    client.send(&bytes);
    for (_, expected) in many {
        assert_eq!(client.reply()[0], *expected);
    }
    lists_are_instant(&workstation);
}

#[test]
fn whoever_sends_ahead_without_end_is_hung_up_on_and_takes_its_request_along() {
    let world = World::new();
    world.decide(Decide::Wait);
    let mut client = client(&world.workstation);
    client.send(&sign(&world, 1));
    world.phone.next_prompt(0);
    // Behind a request that waits: what is read ahead has a bound.
    client.send_until_full(&frame(&vec![200; 60_000]));
    client.hung_up_on();
    world.workstation.comes_to("nothing waits", |status| {
        status["waiting"].as_array().unwrap().is_empty()
    });
    lists_are_instant(&world.workstation);
}

#[test]
fn tools_that_close_their_half_get_their_answers_to_the_end() {
    let (workstation, _place) = desk("");
    for count in [1, 3, 200] {
        let mut stream = UnixStream::connect(workstation.socket()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream.write_all(&LIST.repeat(count)).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answers = Vec::new();
        stream.read_to_end(&mut answers).unwrap();
        assert_eq!(answers, [0, 0, 0, 5, IDENTITIES, 0, 0, 0, 0].repeat(count));
    }
    // One that closes in the middle of a message gets what came before it, and the end.
    let mut stream = UnixStream::connect(workstation.socket()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream.write_all(&[LIST, &[0, 0, 1]].concat()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).unwrap();
    assert_eq!(answers, [0, 0, 0, 5, IDENTITIES, 0, 0, 0, 0]);
}

#[test]
fn many_that_never_read_delay_nobody() {
    let (workstation, _place) = desk("");
    let mut deaf: Vec<_> = (0..6).map(|_| client(&workstation)).collect();
    for client in &mut deaf {
        client.send_until_full(&LIST.repeat(100));
    }
    lists_are_instant(&workstation);
    lists_are_instant(&workstation);
}

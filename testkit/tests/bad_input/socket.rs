//! Bytes that no client of good will sends, and clients that do nothing.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use vmux_testkit::{
    AgentClient, Decide, KeyKind, Place, Workstation, World, find, frame, is_root, string,
};

const FAILURE: u8 = 5;
const SUCCESS: u8 = 6;
const IDENTITIES: u8 = 12;
const LIST: [u8; 1] = [11];

fn agent() -> (Workstation, Place) {
    agent_with("")
}

fn agent_with(config: &str) -> (Workstation, Place) {
    let place = Place::new();
    let mut workstation = Workstation::new(place.home("desk"), "workbench");
    workstation.configure(config);
    workstation.start();
    (workstation, place)
}

fn extension(name: &str, body: &[u8]) -> Vec<u8> {
    [&[27][..], &string(name.as_bytes()), body].concat()
}

#[test]
fn i13_a_length_that_cannot_be_is_hung_up_on_and_nobody_else() {
    let (workstation, _place) = agent();
    let mut other = AgentClient::connect(&workstation.socket());
    for length in [0, 256 * 1024 + 1, u32::MAX] {
        let mut client = AgentClient::connect(&workstation.socket());
        client.send(&length.to_be_bytes());
        client.hung_up_on();
        assert_eq!(other.ask(&LIST)[0], IDENTITIES);
    }
    // The longest message there may be is read to its end and answered.
    let mut client = AgentClient::connect(&workstation.socket());
    assert_eq!(client.ask(&vec![200; 256 * 1024]), [FAILURE]);
    assert_eq!(client.ask(&LIST)[0], IDENTITIES);
}

#[test]
fn half_a_message_waits_for_the_other_half() {
    let (workstation, _place) = agent();
    let mut client = AgentClient::connect(&workstation.socket());
    for byte in frame(&LIST) {
        client.send(&[byte]);
    }
    assert_eq!(client.reply(), [IDENTITIES, 0, 0, 0, 0]);
    // One that leaves in the middle of a message takes nothing with it.
    client.send(&[0, 0, 1, 0, 13, 7]);
    drop(client);
    let mut client = AgentClient::connect(&workstation.socket());
    assert_eq!(client.ask(&LIST)[0], IDENTITIES);
}

#[test]
fn messages_that_make_no_sense_are_failures_and_the_connection_lives() {
    let (workstation, _place) = agent();
    let mut client = AgentClient::connect(&workstation.socket());
    let trailing = [
        &[13][..],
        &string(b"key"),
        &string(b"data"),
        &[0; 4],
        b"more",
    ]
    .concat();
    let bad: [&[u8]; 12] = [
        &[13],
        &[13, 0, 0, 0, 9, 1],
        &[13, 255, 255, 255, 255],
        &trailing,
        &[17],
        &[18, 0, 0, 0, 1],
        &[22],
        &[22, 0, 0, 0, 5, b'p'],
        &[23, 1],
        &[25, 0, 0, 0, 0],
        &[27],
        &[27, 0, 0, 0, 200, b'q'],
    ];
    for message in bad {
        let reply = client.ask(message);
        assert!(
            reply == [FAILURE] || reply == [28],
            "{message:?}: {reply:?}"
        );
        assert_eq!(client.ask(&LIST)[0], IDENTITIES, "after {message:?}");
    }
    assert_eq!(workstation.status()["locked"], false);
}

#[test]
fn every_message_number_gets_exactly_one_reply() {
    let (workstation, _place) = agent();
    let mut client = AgentClient::connect(&workstation.socket());
    for number in 0..=255_u8 {
        let reply = client.ask(&[number]);
        let expected: &[u8] = match number {
            11 => &[IDENTITIES, 0, 0, 0, 0],
            // `ssh-add -D` sends both: all identities, and all of SSH's first version.
            9 | 19 => &[SUCCESS],
            _ => &[FAILURE],
        };
        assert_eq!(reply, expected, "message {number}");
    }
    assert_eq!(client.ask(&LIST)[0], IDENTITIES);
}

#[test]
fn the_query_extension_answers_in_the_bytes_of_the_rfc() {
    let (workstation, _place) = agent();
    let mut client = AgentClient::connect(&workstation.socket());
    client.send(b"\x00\x00\x00\x0a\x1b\x00\x00\x00\x05query");
    let mut expected = vec![0x1d];
    expected.extend(string(b"query"));
    expected.extend(string(b"session-bind@openssh.com"));
    assert_eq!(client.reply(), expected);
    // Exactly one reply: the next is that of the next request.
    assert_eq!(
        client.ask(&extension("made-up@example.org", b"")),
        [FAILURE]
    );
    assert_eq!(client.ask(&LIST)[0], IDENTITIES);
}

#[test]
fn i11_a_binding_that_fails_poisons_the_connection() {
    let world = World::new();
    let host_key = [string(b"ssh-ed25519"), string(&[7; 32])].concat();
    let signature = [string(b"ssh-ed25519"), string(&[9; 64])].concat();
    let body = [
        string(&host_key),
        string(&[1; 32]),
        string(&signature),
        vec![0],
    ]
    .concat();
    let bind = extension("session-bind@openssh.com", &body);
    let mut client = AgentClient::connect(&world.workstation.socket());
    assert_eq!(client.ask(&bind), [28]);

    let key = vmux_testkit::base64_bytes(world.key.split(' ').nth(1).unwrap());
    let login = [
        string(&[1; 32]),
        vec![50],
        string(b"somebody"),
        string(b"ssh-connection"),
        string(b"publickey"),
        vec![1],
        string(b"ecdsa-sha2-nistp256"),
        string(&key),
    ]
    .concat();
    let sign = |data: &[u8]| [&[13][..], &string(&key), &string(data), &[0; 4]].concat();
    assert_eq!(client.ask(&sign(&login)), [FAILURE]);
    assert_eq!(world.seen(), 0);
    // The same without the failed binding is asked about, as from a client that proves nothing.
    let mut client = AgentClient::connect(&world.workstation.socket());
    assert_eq!(client.ask(&sign(&login))[0], 14);
    assert_eq!(world.phone.one_prompt_since(0)["level"], "unknown");
    // One byte more after its last field and it is no login.
    let mut client = AgentClient::connect(&world.workstation.socket());
    assert_eq!(client.ask(&sign(&[&login[..], &[0]].concat())), [FAILURE]);
    assert_eq!(world.seen(), 1);
}

#[test]
fn requests_sent_at_once_are_answered_in_order() {
    let world = World::new();
    let key = vmux_testkit::base64_bytes(world.key.split(' ').nth(1).unwrap());
    let hash = [8; 64];
    let git = [
        b"SSHSIG".to_vec(),
        string(b"git"),
        string(b""),
        string(b"sha512"),
        string(&hash),
    ]
    .concat();
    let sign = [&[13][..], &string(&key), &string(&git), &[0; 4]].concat();
    let asked: [&[u8]; 6] = [&LIST, &sign, &extension("query", b""), &[200], &sign, &LIST];
    let mut client = AgentClient::connect(&world.workstation.socket());
    let all: Vec<u8> = asked.iter().flat_map(|message| frame(message)).collect();
    client.send(&all);
    let replies: Vec<u8> = asked.iter().map(|_| client.reply()[0]).collect();
    assert_eq!(replies, [IDENTITIES, 14, 29, FAILURE, 14, IDENTITIES]);

    // While the first waits for the person, another client is served.
    world.decide(Decide::Wait);
    let before = world.seen();
    client.send(&frame(&sign));
    client.send(&frame(&LIST));
    world.phone.next_prompt(before);
    let mut other = AgentClient::connect(&world.workstation.socket());
    assert_eq!(other.ask(&LIST)[0], IDENTITIES);
}

#[test]
fn i19_a_thousand_idle_clients_do_not_keep_another_waiting() {
    vmux_testkit::allow_many_files();
    let (workstation, _place) = agent_with("max-clients = 1100");
    let idle: Vec<_> = (0..1000)
        .map(|_| AgentClient::connect(&workstation.socket()))
        .collect();
    let listed = workstation.run("ssh-add", &["-l"]);
    assert!(listed.took < Duration::from_secs(1), "{listed}");
    listed.exited(1).says(&["The agent has no identities"]);
    // They are all still served.
    for mut client in idle.into_iter().step_by(100) {
        assert_eq!(client.ask(&LIST)[0], IDENTITIES);
    }
}

#[test]
fn a_client_over_the_limit_is_closed_with_a_line_in_the_log() {
    let (workstation, _place) = agent_with("max-clients = 3");
    // The harness has just knocked at the door itself; its places become free in a moment.
    let place = || {
        let mut client = AgentClient::connect(&workstation.socket());
        client.try_ask(&LIST).ok().map(|_| client)
    };
    let taken = || vmux_testkit::eventually("a free place", Duration::from_secs(5), place);
    let mut three = [taken(), taken(), taken()];
    for client in &mut three {
        assert_eq!(client.ask(&LIST)[0], IDENTITIES);
    }
    AgentClient::connect(&workstation.socket()).hung_up_on();
    workstation.logs("too many clients (max-clients)");
    // The command line has a door of its own.
    assert_eq!(workstation.status()["locked"], false);
    drop(three);
    taken();
}

#[test]
fn i18_a_client_of_another_user_is_hung_up_on() {
    if !is_root() {
        eprintln!("not run: only root can be another user");
        return;
    }
    let world = World::new();
    // As if the modes of directory and socket had failed.
    let socket = world.workstation.socket();
    let home = world.workstation.home().path();
    for (path, mode) in [(home, 0o711), (&home.join(".ssh"), 0o711), (&socket, 0o666)] {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    let stranger = world.place.home("stranger").belonging_to("nobody");
    let mut command = stranger.command(find("ssh-add"));
    let refused = stranger.run(command.env("SSH_AUTH_SOCK", &socket).arg("-L"));
    assert!(
        refused.code != Some(0) && refused.out.is_empty(),
        "{refused}"
    );
    // The same socket serves its owner.
    assert_eq!(
        world.workstation.run("ssh-add", &["-L"]).ok().out.trim(),
        world.key
    );
}

#[test]
fn a_client_that_never_reads_its_replies_delays_nobody() {
    let world = World::with_key(KeyKind::Ed25519);
    let mut deaf = AgentClient::connect(&world.workstation.socket());
    // More replies than the socket's buffers hold, none of them read.
    deaf.send_until_full(&frame(&LIST));
    let listed = world.workstation.run("ssh-add", &["-l"]).ok();
    assert!(listed.took < Duration::from_secs(1), "{listed}");
}

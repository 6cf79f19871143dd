//! I10: whoever carries the bytes learns mailboxes, sizes and times, and nothing else.

use std::collections::BTreeSet;

use vmux_testkit::{
    AgentTap, KeyKind, Message, Place, Recorded, RelayProgram, Tap, Workstation, World,
    base64_bytes, find, whoami,
};

/// Everything the relay saw, as it came and with the mask of WebSocket taken off.
struct Seen {
    streams: Vec<Vec<u8>>,
    to_relay: Vec<Message>,
    from_relay: Vec<Message>,
}

impl Seen {
    fn of(tap: &Tap) -> Self {
        let recorded = tap.recorded();
        let to_relay: Vec<_> = recorded
            .iter()
            .flat_map(Recorded::messages_to_relay)
            .collect();
        let from_relay: Vec<_> = recorded
            .iter()
            .flat_map(Recorded::messages_from_relay)
            .collect();
        let unmasked = to_relay
            .iter()
            .chain(&from_relay)
            .map(|message| message.payload.clone());
        let raw = recorded
            .iter()
            .flat_map(|one| [one.to_relay.clone(), one.from_relay.clone()]);
        Self {
            streams: raw.chain(unmasked).collect(),
            to_relay,
            from_relay,
        }
    }

    fn has(&self, needle: &[u8]) -> bool {
        assert!(needle.len() >= 4, "{needle:?} would be found by chance");
        self.streams
            .iter()
            .any(|stream| stream.windows(needle.len()).any(|at| at == needle))
    }
}

#[test]
fn i10_the_relay_sees_nothing_of_a_pairing_and_of_logins() {
    let place = Place::new();
    let relay = RelayProgram::start(place.home("relay"));
    let tap = Tap::start(relay.address());
    let workstation = Workstation::with_relay(place.home("desk"), "workbench", &tap.url());
    let world = World::of(place, workstation, KeyKind::Ecdsa);
    let server = world.server("inventory-host");
    world.logs_in("inventory-host");

    // The same once more past a second tap, on the agent's socket, to know the secrets of a request.
    let inside = AgentTap::start(
        &world.workstation.socket(),
        &world.place.path().join("tap.sock"),
    );
    let mut ssh = world.workstation.command("ssh");
    ssh.env("SSH_AUTH_SOCK", inside.socket())
        .args(["inventory-host", "true"]);
    world.workstation.home().run(&mut ssh).ok();
    let signing = inside.only_signature();
    let git = world
        .workstation
        .home()
        .write("signing.pub", format!("{}\n", world.key));
    let document = world
        .workstation
        .home()
        .write("document", "contents\n")
        .display()
        .to_string();
    let git = git.display().to_string();
    world
        .workstation
        .run(
            "ssh-keygen",
            &["-Y", "sign", "-n", "git", "-f", &git, &document],
        )
        .ok();

    let seen = Seen::of(&tap);
    let offer = &world.paired.link;
    assert!(
        seen.has(offer.mailbox_in_url().as_bytes()),
        "what must be there is found"
    );
    let session = &signing.data[4..36];
    let host_key = base64_bytes(server.known_hosts()[0].split(' ').nth(2).unwrap());
    let key = base64_bytes(world.key.split(' ').nth(1).unwrap());
    let (user, ssh) = (whoami(), find("ssh"));
    let secrets: [(&str, &[u8]); 18] = [
        ("the user", user.as_bytes()),
        ("the host's name", b"inventory-host"),
        ("the workstation's name", b"workbench"),
        ("the phone's name", b"pocket phone"),
        ("the key's label", b"phone key"),
        ("the key", &key[key.len() - 64..]),
        ("the key's type", b"ecdsa-sha2-nistp256"),
        ("the host key", &host_key[host_key.len() - 32..]),
        ("the host key's type", b"ssh-ed25519"),
        ("the session id", session),
        ("what is signed", &signing.data),
        (
            "the end of what is signed",
            &signing.data[signing.data.len() - 24..],
        ),
        (
            "the signature",
            &signing.signature[signing.signature.len() - 24..],
        ),
        ("the program", ssh.as_os_str().as_encoded_bytes()),
        ("the SSHSIG magic", b"SSHSIG"),
        ("the pairing's secret", &offer.secret()),
        ("the agent's public key", &offer.agent()),
        ("the pairing's code", world.paired.code.as_bytes()),
    ];
    for (what, secret) in secrets {
        assert!(!seen.has(secret), "the relay saw {what}");
    }
}

#[test]
fn i10_frames_have_the_lengths_of_the_padding_classes_alone() {
    let place = Place::new();
    let relay = RelayProgram::start(place.home("relay"));
    let tap = Tap::start(relay.address());
    let workstation = Workstation::with_relay(place.home("desk"), "workbench", &tap.url());
    let world = World::of(place, workstation, KeyKind::Ed25519);
    let server = world.server("web1");
    world.logs_in("web1");
    world.logs_in("web1");
    world
        .phone
        .run(&[
            "key",
            "label",
            "phone key",
            "a longer label than it was before",
        ])
        .ok();
    world.workstation.agent(&["unpair", "pocket phone"]).ok();

    // docs/spec/link.md: handshake messages, then frames of a class and a tag each.
    let allowed = BTreeSet::from([352, 1120, 304, 1072, 272, 1040, 4112, 16_400, 61_456]);
    let seen = Seen::of(&tap);
    let sealed: Vec<_> = seen
        .to_relay
        .iter()
        .filter(|message| message.kind == BINARY)
        .collect();
    assert!(sealed.len() > 12, "{} frames", sealed.len());
    for message in seen.to_relay.iter().chain(&seen.from_relay) {
        if message.kind == BINARY {
            let length = message.payload.len() - MEETING;
            assert!(allowed.contains(&length), "a frame of {length} bytes");
        }
    }
    assert!(
        seen.to_relay.iter().all(|message| message.kind != TEXT),
        "ends send no text"
    );
    let words = seen
        .from_relay
        .iter()
        .filter(|message| message.kind == TEXT);
    for text in words {
        let value: serde_json::Value = serde_json::from_slice(&text.payload).unwrap();
        let object = value.as_object().unwrap();
        let [(key, number)] = object.iter().collect::<Vec<_>>()[..] else {
            panic!("{value}")
        };
        assert!(
            ["meeting", "left"].contains(&key.as_str()) && number.is_u64(),
            "{value}"
        );
    }
    // The same sealed bytes never go twice: nothing is replayed or sealed with a used nonce.
    let all: BTreeSet<_> = sealed
        .iter()
        .map(|message| &message.payload[MEETING..])
        .collect();
    assert_eq!(all.len(), sealed.len());
    drop(server);
}

/// Opcodes of RFC 6455 section 5.2.
const TEXT: u8 = 1;
const BINARY: u8 = 2;

/// The meeting's number before the sealed bytes.
const MEETING: usize = 4;

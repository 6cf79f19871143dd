//! Handshakes, frames, and the end of a pairing.
use crate::ssh::{Secret, sshsig};
use crate::world::{Event, Peer, World, hello, paired, yes};
use vmux_link::{Entropy, Psk};
use vmux_proto::limits::{MAX_HANDSHAKE_MS, MAX_NAME};
use vmux_proto::message::{Hello, Message as _, SignRequest, ToAgent, ToSigner, VERSION};
use vmux_signer::{After, Decision, Identities, Input, Memory, Pins, Settings, Signer, Withdrawn};

fn plain(world: &World, id: u8) -> SignRequest {
    world.request(id, sshsig("git"), vec![])
}

/// Whether each agent is connected, the laptop first.
fn connected(world: &World) -> [bool; 2] {
    [Peer::Laptop, Peer::Server].map(|peer| {
        let link = world.link(peer);
        world
            .signer
            .agents()
            .any(|(record, open)| record.id() == link && open)
    })
}

#[test]
fn an_agent_that_connects_is_told_the_enabled_identities_and_no_other() {
    let mut world = World::offline();
    assert_eq!(connected(&world), [false, false]);
    let events = world.connect(Peer::Laptop);
    let [
        Event::Called(Peer::Laptop),
        Event::Opened(Peer::Laptop),
        Event::Said(to, told),
    ] = events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_eq!(*to, Peer::Laptop);
    let ToAgent::Identities(told) = told else {
        panic!("{told:?}")
    };
    let told: Vec<_> = told
        .iter()
        .map(|one| (one.label.as_str(), one.key.to_vec()))
        .collect();
    let blob = |secret: &Secret| secret.public().blob().to_vec();
    assert_eq!(
        told,
        [("main", blob(&world.ed25519)), ("work", blob(&world.p256))]
    );
    assert_eq!(connected(&world), [true, false]);
}

#[test]
fn an_answer_with_one_bit_changed_or_a_byte_less_opens_nothing() {
    let mut world = World::offline();
    world.call(Peer::Laptop);
    let length = world.answer(Peer::Laptop, &hello("agent")).len();
    for position in (0..length).step_by(7) {
        world.call(Peer::Laptop);
        let mut answer = world.answer(Peer::Laptop, &hello("agent"));
        answer[position] ^= 1;
        assert_eq!(
            world.frame(Peer::Laptop, &answer),
            [Event::Restart(Peer::Laptop)]
        );
        assert_eq!(connected(&world), [false, false]);
    }
    world.call(Peer::Laptop);
    let answer = world.answer(Peer::Laptop, &hello("agent"));
    let shorter = &answer[..length - 1];
    assert_eq!(
        world.frame(Peer::Laptop, shorter),
        [Event::Restart(Peer::Laptop)]
    );
    // The try is spent: the right answer comes too late.
    assert_eq!(
        world.frame(Peer::Laptop, &answer),
        [Event::Restart(Peer::Laptop)]
    );
    world.connect(Peer::Laptop);
    assert_eq!(connected(&world), [true, false]);
}

#[test]
fn a_call_that_is_not_answered_in_time_is_made_again_and_one_that_is_stays() {
    let mut world = World::offline();
    world.call(Peer::Laptop);
    assert_eq!(world.tick(MAX_HANDSHAKE_MS - 1), []);
    assert_eq!(world.tick(1), [Event::Restart(Peer::Laptop)]);
    assert_eq!(world.signer.deadline(), None);
    assert_eq!(world.tick(MAX_HANDSHAKE_MS), [], "once");

    world.call(Peer::Laptop);
    world.pass(MAX_HANDSHAKE_MS - 1);
    let answer = world.answer(Peer::Laptop, &hello("agent"));
    world.frame(Peer::Laptop, &answer);
    assert_eq!(world.tick(MAX_HANDSHAKE_MS), []);
    assert_eq!(connected(&world), [true, false]);
}

#[test]
fn an_answer_to_an_earlier_call_opens_nothing() {
    let mut world = World::offline();
    world.call(Peer::Laptop);
    let answer = world.answer(Peer::Laptop, &hello("agent"));
    world.call(Peer::Laptop);
    assert_eq!(
        world.frame(Peer::Laptop, &answer),
        [Event::Restart(Peer::Laptop)]
    );
    assert_eq!(connected(&world), [false, false]);
}

#[test]
fn an_answer_of_another_agent_opens_nothing() {
    let mut world = World::offline();
    world.call(Peer::Laptop);
    world.call(Peer::Server);
    let (one, two) = (
        world.answer(Peer::Laptop, &hello("agent")),
        world.answer(Peer::Server, &hello("agent")),
    );
    assert_eq!(
        world.frame(Peer::Laptop, &two),
        [Event::Restart(Peer::Laptop)]
    );
    assert_eq!(
        world.frame(Peer::Server, &one),
        [Event::Restart(Peer::Server)]
    );
    assert_eq!(connected(&world), [false, false]);
}

#[test]
fn only_the_paired_agent_can_answer() {
    let (mut impostor, _) = paired(0x60, "laptop");
    let mut world = World::offline();
    let events = world.call(Peer::Laptop);
    assert_eq!(events, [Event::Called(Peer::Laptop)]);
    // The impostor even knows mailbox and secret, and still cannot read the call.
    let (_, mut record) = paired(0x10, "laptop");
    record.bond.psk = Psk::from_bytes([0x12; 32]);
    let message = world.agent(Peer::Laptop).called();
    let bond = impostor.bond();
    bond.mailbox = record.bond.mailbox;
    bond.psk = record.bond.psk;
    bond.peer = record.bond.own.public();
    let entropy = Entropy::from_bytes([9; 32]);
    assert!(
        bond.answer(entropy, &message, &hello("agent").to_bytes())
            .is_err()
    );
}

#[test]
fn an_agent_of_another_version_or_without_a_hello_is_not_talked_to() {
    let refused = [
        Hello {
            version: VERSION + 1,
            ..hello("agent")
        },
        Hello {
            version: VERSION - 1,
            ..hello("agent")
        },
        Hello {
            name: "n".repeat(MAX_NAME + 1),
            ..hello("agent")
        },
    ];
    for refused in refused {
        let mut world = World::offline();
        world.call(Peer::Laptop);
        let answer = world.answer(Peer::Laptop, &refused);
        assert_eq!(
            world.frame(Peer::Laptop, &answer),
            [Event::Restart(Peer::Laptop)]
        );
        assert_eq!(connected(&world), [false, false]);
    }
    let mut world = World::offline();
    world.call(Peer::Laptop);
    let longest = Hello {
        name: "n".repeat(MAX_NAME),
        ..hello("agent")
    };
    let answer = world.answer(Peer::Laptop, &longest);
    assert_eq!(
        world.frame(Peer::Laptop, &answer)[0],
        Event::Opened(Peer::Laptop)
    );
}

#[test]
fn a_changed_shortened_lengthened_or_repeated_frame_ends_the_connection_and_nothing_else() {
    let spoil: [fn(Vec<u8>) -> Vec<u8>; 5] = [
        |mut frame| {
            frame[0] ^= 1;
            frame
        },
        |mut frame| {
            *frame.last_mut().unwrap() ^= 0x80;
            frame
        },
        |mut frame| {
            frame.pop();
            frame
        },
        |mut frame| {
            frame.push(0);
            frame
        },
        |_| Vec::new(),
    ];
    for spoil in spoil {
        let mut world = World::new();
        let (here, there) = (plain(&world, 1), plain(&world, 2));
        world.shown(Peer::Laptop, &here);
        world.shown(Peer::Server, &there);
        let message = ToSigner::Sign(plain(&world, 3)).to_bytes();
        let frame = spoil(world.agent(Peer::Laptop).seal(&message));
        assert_eq!(
            world.frame(Peer::Laptop, &frame),
            [
                Event::Withdrawn(here.id, Withdrawn::Disconnected),
                Event::Restart(Peer::Laptop)
            ]
        );
        assert_eq!(connected(&world), [false, true]);
        world.approved(there.id, yes(None));
    }
}

#[test]
fn a_frame_sent_twice_counts_once_and_ends_the_connection() {
    let mut world = World::new();
    let message = ToSigner::Sign(plain(&world, 1)).to_bytes();
    let frame = world.agent(Peer::Laptop).seal(&message);
    let events = world.frame(Peer::Laptop, &frame);
    assert!(matches!(events.last(), Some(Event::Shown(_))));
    let events = world.frame(Peer::Laptop, &frame);
    assert_eq!(events.last(), Some(&Event::Restart(Peer::Laptop)));
}

#[test]
fn frames_out_of_order_or_of_another_agent_end_the_connection() {
    let mut world = World::new();
    let message = ToSigner::Sign(plain(&world, 1)).to_bytes();
    world.agent(Peer::Laptop).seal(&message);
    let second = world.agent(Peer::Laptop).seal(&message);
    assert_eq!(
        world.frame(Peer::Laptop, &second),
        [Event::Restart(Peer::Laptop)]
    );
    let mut world = World::new();
    let frame = world.agent(Peer::Laptop).seal(&message);
    assert_eq!(
        world.frame(Peer::Server, &frame),
        [Event::Restart(Peer::Server)]
    );
    assert_eq!(connected(&world), [true, false]);
}

#[test]
fn a_sealed_message_that_is_none_ends_the_connection() {
    let good = ToSigner::Sign(plain(&World::offline(), 1)).to_bytes();
    let mut longer = good.clone();
    longer.push(0);
    for bad in [&good[..good.len() - 1], &longer, &[], &[0xff; 40]] {
        let mut world = World::new();
        let frame = world.agent(Peer::Laptop).seal(bad);
        assert_eq!(
            world.frame(Peer::Laptop, &frame),
            [Event::Restart(Peer::Laptop)]
        );
    }
    let mut world = World::new();
    let frame = world.agent(Peer::Laptop).seal(&good);
    assert!(matches!(
        world.frame(Peer::Laptop, &frame).last(),
        Some(Event::Shown(_))
    ));
}

#[test]
fn a_frame_before_any_meeting_is_refused_and_one_on_an_unknown_link_ignored() {
    let mut world = World::offline();
    assert_eq!(
        world.frame(Peer::Laptop, &[0; 272]),
        [Event::Restart(Peer::Laptop)]
    );
    let (stranger, _) = paired(0x60, "stranger");
    let link = stranger.id();
    assert_eq!(world.handle(Input::Frame(link, vec![0; 272], [0; 4])), []);
    assert_eq!(
        world.handle(Input::Met(link, Entropy::from_bytes([1; 32]))),
        []
    );
    assert_eq!(world.handle(Input::Left(link)), []);
    assert_eq!(world.handle(Input::Unpair(link)), []);
}

#[test]
fn a_second_meeting_ends_the_first() {
    let mut world = World::new();
    let request = plain(&world, 1);
    world.shown(Peer::Laptop, &request);
    let stale = world
        .agent(Peer::Laptop)
        .seal(&ToSigner::Cancel(request.id).to_bytes());
    let events = world.connect(Peer::Laptop);
    assert_eq!(
        events[0],
        Event::Withdrawn(request.id, Withdrawn::Disconnected)
    );
    assert_eq!(connected(&world), [true, true]);
    assert_eq!(
        world.frame(Peer::Laptop, &stale),
        [Event::Restart(Peer::Laptop)]
    );
}

#[test]
fn a_pairing_that_the_person_ends_is_told_to_the_agent_and_forgotten() {
    let mut world = World::new();
    let (request, other) = (plain(&world, 1), plain(&world, 2));
    world.shown(Peer::Laptop, &request);
    world.shown(Peer::Server, &other);
    assert_eq!(
        world.handle(Input::Unpair(world.link(Peer::Laptop))),
        [
            Event::Said(Peer::Laptop, ToAgent::Unpaired),
            Event::Withdrawn(request.id, Withdrawn::Disconnected),
            Event::Forget(Peer::Laptop),
        ]
    );
    assert_eq!(world.signer.agents().count(), 1);
    assert_eq!(world.decide(request.id, yes(None)), []);
    let frame = world
        .agent(Peer::Laptop)
        .seal(&ToSigner::Sign(request).to_bytes());
    assert_eq!(world.frame(Peer::Laptop, &frame), []);
    world.approved(other.id, yes(None));
}

#[test]
fn a_pairing_that_the_agent_ends_is_forgotten() {
    let mut world = World::new();
    let request = plain(&world, 1);
    world.shown(Peer::Laptop, &request);
    assert_eq!(
        world.say(Peer::Laptop, &ToSigner::Unpaired),
        [
            Event::Withdrawn(request.id, Withdrawn::Disconnected),
            Event::Forget(Peer::Laptop),
        ]
    );
    assert_eq!(world.call(Peer::Laptop), []);
}

#[test]
fn a_pairing_that_ends_while_its_agent_is_away_is_forgotten() {
    let mut world = World::offline();
    let events = world.handle(Input::Unpair(world.link(Peer::Laptop)));
    assert_eq!(events, [Event::Forget(Peer::Laptop)]);
}

#[test]
fn a_pairing_that_ends_while_the_key_signs_gets_no_signature_and_no_pin() {
    let (mut world, web) = (World::new(), Secret::ed25519(0x41));
    let request = world.direct(1, &web);
    let prompt = world.shown(Peer::Laptop, &request);
    let job = world.approved(request.id, yes(prompt.number));
    assert_eq!(
        world.handle(Input::Unpair(world.link(Peer::Laptop))),
        [
            Event::Said(Peer::Laptop, ToAgent::Unpaired),
            Event::Withdrawn(request.id, Withdrawn::Disconnected),
            Event::Forget(Peer::Laptop),
        ]
    );
    assert_eq!(world.sign(&job), []);
    assert_eq!(world.pinned(), []);
    assert_eq!(world.signer.deadline(), None);
}

#[test]
fn a_new_pairing_is_talked_to_at_once() {
    let mut world = World::new();
    world.handle(Input::Unpair(world.link(Peer::Laptop)));
    let (agent, record) = paired(0x30, "new laptop");
    world.laptop = agent;
    assert_eq!(world.handle(Input::Paired(Box::new(record))), []);
    world.connect(Peer::Laptop);
    let prompt = world.shown(Peer::Laptop, &plain(&world, 1));
    assert_eq!(prompt.workstation, "new laptop".into());
}

#[test]
fn a_pairing_does_not_take_the_place_of_one_with_the_same_name() {
    let impostor = || {
        let (_, mut record) = paired(0x60, "impostor");
        record.bond.mailbox = paired(0x10, "laptop").1.bond.mailbox;
        record
    };
    // While the signer runs,
    let mut world = World::new();
    let request = plain(&world, 1);
    world.shown(Peer::Laptop, &request);
    assert_eq!(impostor().id(), world.link(Peer::Laptop));
    assert_eq!(world.handle(Input::Paired(Box::new(impostor()))), []);
    assert_eq!(connected(&world), [true, true]);
    let events = world.decide(request.id, Decision::Deny(After::Nothing));
    assert!(
        matches!(&events[0], Event::Said(Peer::Laptop, _)),
        "{events:?}"
    );
    // and when it starts.
    let signer = Signer::new(
        hello("terminal"),
        Settings::default(),
        Identities::default(),
        Pins::default(),
        vec![paired(0x10, "laptop").1, impostor()],
        Memory::EMPTY,
    );
    let names: Vec<_> = signer
        .agents()
        .map(|(record, _)| record.name.raw())
        .collect();
    assert_eq!(names, ["laptop"]);
}

#[test]
fn identities_changed_while_an_agent_is_away_are_told_when_it_comes() {
    let mut world = World::offline();
    assert_eq!(world.handle(Input::Identities(Identities::default())), []);
    let events = world.connect(Peer::Laptop);
    assert_eq!(
        events.last(),
        Some(&Event::Said(Peer::Laptop, ToAgent::Identities(vec![])))
    );
}

//! Pairings, with the agent's end made of the link's own handshake and the shared agreement.
use crate::world::hello;
use vmux_link::{
    Bond, Channel, Entropy, HandshakeHash, LinkId, Offer, Place, Psk, PublicKey, Purpose,
    Responder, StaticSecret, after_pairing, commitment, short_code,
};
use vmux_proto::Now;
use vmux_proto::message::{Hello, Message as _, PairingStep, VERSION};
use vmux_proto::pairing::{Agreement, Event, PairingFailed, Then};
use vmux_signer::{AgentRecord, Pairing, PairingInput, PairingOutput};

const EXPIRES: u64 = 1_800_000_300;
const NONCE: [u8; 32] = [0x77; 32];
const RELAY: &str = "https://relay.example.org";

/// What came out of the signer's side, with frames opened by the agent once there is a channel.
#[derive(Debug)]
enum Out {
    Called(Vec<u8>),
    Told(PairingStep),
    Compare { code: String, name: String },
    Store(Box<AgentRecord>),
    Done,
    DoneHere,
    Failed(PairingFailed),
}

/// Both ends of a pairing, and the person's clock.
struct Room {
    signer: Pairing,
    offer: Offer,
    now: Now,
    channel: Option<Channel>,
    hash: Option<(HandshakeHash, PublicKey)>,
    agreement: Agreement,
}

fn agent_key() -> StaticSecret {
    StaticSecret::from_bytes([0x21; 32])
}

impl Room {
    fn new() -> Self {
        let offer = || Offer {
            relay: RELAY.into(),
            mailbox: [0x22; 16],
            agent: agent_key().public(),
            secret: Psk::from_bytes([0x23; 32]),
            expires: EXPIRES,
        };
        let scanned = Offer::parse(&offer().encode().unwrap()).unwrap();
        Self {
            signer: Pairing::new(scanned, hello("terminal")),
            offer: offer(),
            now: Now {
                uptime: 0,
                wall: EXPIRES - 100,
            },
            channel: None,
            hash: None,
            agreement: Agreement::new(),
        }
    }

    /// The same after both ends met, shook hands and showed the code.
    fn comparing() -> Self {
        let mut room = Self::new();
        room.connect();
        room
    }

    /// The same once both persons said yes; the signer was told to store.
    fn agreed() -> (Self, Box<AgentRecord>) {
        let mut room = Self::comparing();
        room.input(PairingInput::Confirm);
        let out = room.says(Event::YesHere);
        let [Out::Store(_)] = out.as_slice() else {
            panic!("{out:?}")
        };
        let Some(Out::Store(record)) = out.into_iter().next() else {
            panic!()
        };
        (room, record)
    }

    fn input(&mut self, input: PairingInput) -> Vec<Out> {
        self.signer.handle(input, self.now);
        let mut out = Vec::new();
        while let Some(output) = self.signer.poll() {
            out.push(match output {
                PairingOutput::Send(frame) => match &mut self.channel {
                    None => Out::Called(frame),
                    Some(channel) => {
                        let step = channel.open(&frame).unwrap();
                        Out::Told(PairingStep::from_bytes(&step).unwrap())
                    }
                },
                PairingOutput::Compare { code, name } => Out::Compare {
                    code: code.to_string(),
                    name: name.to_string(),
                },
                PairingOutput::Store(record) => Out::Store(record),
                PairingOutput::Done => Out::Done,
                PairingOutput::DoneHere => Out::DoneHere,
                PairingOutput::Failed(failed) => Out::Failed(failed),
            });
        }
        out
    }

    fn call(&mut self) -> Vec<Out> {
        self.input(PairingInput::Met {
            secret: [0x31; 32],
            entropy: Entropy::from_bytes([0x32; 32]),
            nonce: NONCE,
        })
    }

    fn called(&mut self) -> Vec<u8> {
        let out = self.call();
        let [Out::Called(message)] = out.as_slice() else {
            panic!("{out:?}")
        };
        message.clone()
    }

    /// The agent's answer to message 1, and the signer's hello in it.
    fn answer(&mut self, message: &[u8], hello: &Hello) -> (Vec<u8>, Hello) {
        let place = Place {
            purpose: Purpose::Pairing,
            mailbox: self.offer.mailbox,
        };
        let entropy = Entropy::from_bytes([0x41; 32]);
        let secret = &self.offer.secret;
        let (responder, peer, payload) =
            Responder::receive(&agent_key(), secret, &place, entropy, message).unwrap();
        let (channel, met, answer) = responder.answer(&hello.to_bytes()).unwrap();
        self.channel = Some(channel);
        self.hash = Some((met.hash, peer));
        (answer, Hello::from_bytes(&payload).unwrap())
    }

    fn connect(&mut self) -> Vec<Out> {
        let message = self.called();
        let (answer, _) = self.answer(&message, &hello("agent"));
        self.input(PairingInput::Frame(answer))
    }

    /// Something happens on the agent's side, and what it says about it is delivered.
    fn says(&mut self, event: Event) -> Vec<Out> {
        match self.agreement.handle(event).say {
            Some(step) => self.step(step),
            None => Vec::new(),
        }
    }

    fn step(&mut self, step: PairingStep) -> Vec<Out> {
        let frame = self.seal(&step.to_bytes());
        self.input(PairingInput::Frame(frame))
    }

    fn seal(&mut self, message: &[u8]) -> Vec<u8> {
        self.channel.as_mut().unwrap().seal(message).unwrap()
    }

    /// What the agent derives from the pairing.
    fn agent_bond(&self) -> Bond {
        let (hash, peer) = self.hash.as_ref().unwrap();
        let long_lived = after_pairing(&self.offer.secret, hash);
        Bond {
            own: agent_key(),
            peer: *peer,
            psk: long_lived.psk,
            mailbox: long_lived.mailbox,
        }
    }
}

fn failed(out: &[Out]) -> PairingFailed {
    let Some(Out::Failed(failed)) = out.last() else {
        panic!("{out:?}")
    };
    assert!(!out.iter().any(|out| matches!(out, Out::Store(_))));
    *failed
}

/// Whatever comes after a failure, nothing is said or stored.
fn assert_over(room: &mut Room) {
    let garbage = PairingInput::Frame(vec![0; 272]);
    for input in [
        PairingInput::Confirm,
        PairingInput::Stored,
        garbage,
        PairingInput::Left,
    ] {
        let out = room.input(input);
        assert!(out.is_empty(), "{out:?}");
    }
    let out = room.call();
    assert!(out.is_empty(), "{out:?}");
}

#[test]
fn it_meets_where_the_offer_says() {
    let room = Room::new();
    assert_eq!(room.signer.place(), (RELAY, [0x22; 16]));
}

#[test]
fn both_screens_show_the_same_code() {
    let mut room = Room::new();
    let message = room.called();
    let (answer, from_signer) = room.answer(&message, &hello("agent"));
    let promised = from_signer.commitment.unwrap();
    assert_eq!(*promised, commitment(&NONCE));
    let out = room.input(PairingInput::Frame(answer));
    let [
        Out::Told(PairingStep::Reveal(nonce)),
        Out::Compare { code, name },
    ] = out.as_slice()
    else {
        panic!("{out:?}")
    };
    assert_eq!(commitment(nonce), *promised);
    let (hash, _) = room.hash.as_ref().unwrap();
    assert_eq!(*code, short_code(hash, nonce).to_string());
    assert_eq!(name, "a name");
}

#[test]
fn a_pairing_is_stored_once_both_persons_said_yes_in_either_order() {
    let mut room = Room::comparing();
    let out = room.input(PairingInput::Confirm);
    assert!(
        matches!(&out[..], [Out::Told(PairingStep::Confirmed)]),
        "{out:?}"
    );
    let out = room.step(PairingStep::Confirmed);
    assert!(matches!(&out[..], [Out::Store(_)]), "{out:?}");

    let mut room = Room::comparing();
    let out = room.step(PairingStep::Confirmed);
    assert!(out.is_empty(), "{out:?}");
    let out = room.input(PairingInput::Confirm);
    assert!(
        matches!(&out[..], [Out::Told(PairingStep::Confirmed), Out::Store(_)]),
        "{out:?}"
    );
}

#[test]
fn success_is_claimed_once_both_ends_have_stored_in_either_order() {
    let (mut room, _) = Room::agreed();
    let out = room.input(PairingInput::Stored);
    assert!(
        matches!(&out[..], [Out::Told(PairingStep::Stored)]),
        "{out:?}"
    );
    let out = room.step(PairingStep::Stored);
    assert!(matches!(&out[..], [Out::Done]), "{out:?}");
    assert_over(&mut room);

    let (mut room, _) = Room::agreed();
    let out = room.step(PairingStep::Stored);
    assert!(out.is_empty(), "{out:?}");
    let out = room.input(PairingInput::Stored);
    assert!(
        matches!(&out[..], [Out::Told(PairingStep::Stored), Out::Done]),
        "{out:?}"
    );
}

#[test]
fn the_agents_own_steps_lead_to_the_same_end() {
    let mut room = Room::comparing();
    let steps = room.input(PairingInput::Confirm);
    let [Out::Told(step)] = steps.as_slice() else {
        panic!("{steps:?}")
    };
    assert_eq!(room.agreement.handle(Event::There(*step)).then, Then::Wait);
    assert!(matches!(&room.says(Event::YesHere)[..], [Out::Store(_)]));
    let steps = room.input(PairingInput::Stored);
    let [Out::Told(step)] = steps.as_slice() else {
        panic!("{steps:?}")
    };
    assert_eq!(room.agreement.handle(Event::There(*step)).then, Then::Wait);
    assert!(matches!(&room.says(Event::StoredHere)[..], [Out::Done]));
}

#[test]
fn what_is_stored_connects_both_ends_afterwards() {
    let (room, record) = Room::agreed();
    assert_eq!(record.name, "a name".into());
    assert_eq!(
        (record.relay.as_str(), record.paired),
        (RELAY, room.now.wall)
    );
    let agent = room.agent_bond();
    assert_eq!(record.id(), agent.id());
    let stored = AgentRecord::list_to_bytes([&*record]);
    let [read] = AgentRecord::list_from_bytes(&stored)
        .unwrap()
        .try_into()
        .unwrap();
    let (caller, message) = read.bond.call(Entropy::from_bytes([1; 32]), b"hi").unwrap();
    let (mut there, met, answer) = agent
        .answer(Entropy::from_bytes([2; 32]), &message, b"ho")
        .unwrap();
    assert_eq!(met.payload, b"hi");
    let (mut here, met) = caller.finish(&answer).unwrap();
    assert_eq!(met.payload, b"ho");
    assert_eq!(here.open(&there.seal(b"now").unwrap()).unwrap(), b"now");
}

#[test]
fn two_pairings_with_one_offer_make_two_links() {
    let ids: Vec<LinkId> = [1, 2]
        .map(|seed| {
            let mut room = Room::new();
            let out = room.input(PairingInput::Met {
                secret: [seed; 32],
                entropy: Entropy::from_bytes([seed + 10; 32]),
                nonce: NONCE,
            });
            let [Out::Called(message)] = out.as_slice() else {
                panic!("{out:?}")
            };
            let (answer, _) = room.answer(&message.clone(), &hello("agent"));
            room.input(PairingInput::Frame(answer));
            room.agent_bond().id()
        })
        .into();
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn a_no_here_is_told_and_ends_it() {
    for said_yes_there in [false, true] {
        let mut room = Room::comparing();
        if said_yes_there {
            room.step(PairingStep::Confirmed);
        }
        let out = room.input(PairingInput::Reject);
        assert!(matches!(
            &out[..],
            [Out::Told(PairingStep::Rejected), Out::Failed(_)]
        ));
        assert_eq!(failed(&out), PairingFailed::RejectedHere);
        assert_over(&mut room);
    }
}

#[test]
fn a_no_before_there_is_a_code_ends_it() {
    let mut room = Room::new();
    assert_eq!(
        failed(&room.input(PairingInput::Reject)),
        PairingFailed::RejectedHere
    );
    let mut room = Room::new();
    room.call();
    assert_eq!(
        failed(&room.input(PairingInput::Reject)),
        PairingFailed::RejectedHere
    );
    assert_over(&mut room);
}

#[test]
fn a_no_there_ends_it() {
    for said_yes_here in [false, true] {
        let mut room = Room::comparing();
        if said_yes_here {
            room.input(PairingInput::Confirm);
        }
        assert_eq!(
            failed(&room.step(PairingStep::Rejected)),
            PairingFailed::RejectedThere
        );
        assert_over(&mut room);
    }
}

#[test]
fn a_yes_on_one_side_alone_stores_nothing() {
    let mut room = Room::comparing();
    let out = room.input(PairingInput::Confirm);
    assert!(matches!(&out[..], [Out::Told(PairingStep::Confirmed)]));
    assert_eq!(
        failed(&room.input(PairingInput::Confirm)),
        PairingFailed::Confused
    );
    let mut room = Room::comparing();
    assert!(room.step(PairingStep::Confirmed).is_empty());
    assert_eq!(
        failed(&room.step(PairingStep::Confirmed)),
        PairingFailed::Confused
    );
}

#[test]
fn a_call_is_opened_with_the_offers_secret_and_no_other() {
    let mut room = Room::new();
    let message = room.called();
    let receive = |secret: [u8; 32], mailbox: [u8; 16], key: &StaticSecret| {
        let place = Place {
            purpose: Purpose::Pairing,
            mailbox,
        };
        let (secret, entropy) = (Psk::from_bytes(secret), Entropy::from_bytes([3; 32]));
        Responder::receive(key, &secret, &place, entropy, &message).is_ok()
    };
    let mut secret = [0x23; 32];
    assert!(receive(secret, [0x22; 16], &agent_key()));
    assert!(!receive(secret, [0x21; 16], &agent_key()));
    assert!(!receive(
        secret,
        [0x22; 16],
        &StaticSecret::from_bytes([0x20; 32])
    ));
    secret[31] ^= 1;
    assert!(!receive(secret, [0x22; 16], &agent_key()));
}

#[test]
fn an_answer_of_somebody_without_the_secret_proves_nothing() {
    let mut room = Room::new();
    let message = room.called();
    let (mut answer, _) = room.answer(&message, &hello("agent"));
    *answer.last_mut().unwrap() ^= 1;
    assert_eq!(
        failed(&room.input(PairingInput::Frame(answer))),
        PairingFailed::NotProven
    );
    assert_over(&mut room);

    let mut room = Room::new();
    room.call();
    let garbage = PairingInput::Frame(vec![0x5a; 304]);
    assert_eq!(failed(&room.input(garbage)), PairingFailed::NotProven);
}

#[test]
fn an_offer_is_good_until_its_last_second_for_calling() {
    let mut room = Room::new();
    room.now.wall = EXPIRES;
    assert!(matches!(&room.call()[..], [Out::Called(_)]));
    let mut room = Room::new();
    room.now.wall = EXPIRES + 1;
    let out = room.call();
    assert_eq!(out.len(), 1, "nothing is sent");
    assert_eq!(failed(&out), PairingFailed::Expired);
    assert_over(&mut room);
}

#[test]
fn an_offer_is_good_until_its_last_second_for_saying_yes() {
    for said_yes_there in [false, true] {
        let mut room = Room::comparing();
        if said_yes_there {
            room.step(PairingStep::Confirmed);
        }
        room.now.wall = EXPIRES + 1;
        assert_eq!(
            failed(&room.input(PairingInput::Confirm)),
            PairingFailed::Expired
        );
        assert_over(&mut room);
    }
    let mut room = Room::comparing();
    room.step(PairingStep::Confirmed);
    room.now.wall = EXPIRES;
    assert!(matches!(
        &room.input(PairingInput::Confirm)[..],
        [_, Out::Store(_)]
    ));
}

#[test]
fn an_agent_of_another_version_is_not_paired_with() {
    let others = [
        Hello {
            version: VERSION + 1,
            ..hello("agent")
        },
        Hello {
            version: VERSION - 1,
            ..hello("agent")
        },
    ];
    for other in others {
        let mut room = Room::new();
        let message = room.called();
        let (answer, _) = room.answer(&message, &other);
        assert_eq!(
            failed(&room.input(PairingInput::Frame(answer))),
            PairingFailed::Version
        );
        assert_over(&mut room);
    }
}

#[test]
fn frames_that_do_not_belong_here_end_it_before_both_agreed() {
    let spoilt: [fn(&mut Room) -> Vec<u8>; 6] = [
        |_| vec![0; 272],
        |_| Vec::new(),
        |room| room.seal(b""),
        |room| room.seal(b"\xff"),
        |room| room.seal(&PairingStep::Reveal([7; 32].into()).to_bytes()),
        |room| room.seal(&PairingStep::Stored.to_bytes()),
    ];
    let before: [fn(&mut Room); 3] = [
        |_| (),
        |room| drop(room.input(PairingInput::Confirm)),
        |room| drop(room.step(PairingStep::Confirmed)),
    ];
    for spoilt in spoilt {
        for before in before {
            let mut room = Room::comparing();
            before(&mut room);
            let frame = spoilt(&mut room);
            assert_eq!(
                failed(&room.input(PairingInput::Frame(frame))),
                PairingFailed::Confused
            );
            assert_over(&mut room);
        }
    }
    let mut room = Room::new();
    assert_eq!(
        failed(&room.input(PairingInput::Frame(vec![0; 304]))),
        PairingFailed::Confused
    );
}

#[test]
fn a_frame_sent_twice_does_not_count_twice() {
    let mut room = Room::comparing();
    let frame = room.seal(&PairingStep::Confirmed.to_bytes());
    assert!(room.input(PairingInput::Frame(frame.clone())).is_empty());
    assert_eq!(
        failed(&room.input(PairingInput::Frame(frame))),
        PairingFailed::Confused
    );
}

#[test]
fn an_agent_that_leaves_before_both_agreed_ends_it() {
    let mut room = Room::new();
    assert!(
        room.input(PairingInput::Left).is_empty(),
        "nobody was there"
    );
    room.call();
    assert_eq!(failed(&room.input(PairingInput::Left)), PairingFailed::Gone);
    assert_over(&mut room);
    let before: [fn(&mut Room); 3] = [
        |_| (),
        |room| drop(room.input(PairingInput::Confirm)),
        |room| drop(room.step(PairingStep::Confirmed)),
    ];
    for before in before {
        for leave in [Room::left, Room::met_again] {
            let mut room = Room::comparing();
            before(&mut room);
            assert_eq!(failed(&leave(&mut room)), PairingFailed::Gone);
            assert_over(&mut room);
        }
    }
}

impl Room {
    fn left(&mut self) -> Vec<Out> {
        self.input(PairingInput::Left)
    }

    fn met_again(&mut self) -> Vec<Out> {
        self.call()
    }

    fn garbage(&mut self) -> Vec<Out> {
        self.input(PairingInput::Frame(vec![0; 272]))
    }
}

#[test]
fn once_both_agreed_nothing_that_others_do_makes_a_stored_pairing_a_failed_one() {
    for disturb in [Room::left, Room::met_again, Room::garbage] {
        // While this end stores,
        let (mut room, _) = Room::agreed();
        let out = disturb(&mut room);
        assert!(out.is_empty(), "{out:?}");
        let out = room.input(PairingInput::Stored);
        assert!(matches!(&out[..], [Out::DoneHere]), "{out:?}");
        // after it has stored,
        let (mut room, _) = Room::agreed();
        room.input(PairingInput::Stored);
        let out = disturb(&mut room);
        assert!(matches!(&out[..], [Out::DoneHere]), "{out:?}");
        // and when the other end was done first.
        let (mut room, _) = Room::agreed();
        room.step(PairingStep::Stored);
        disturb(&mut room);
        let out = room.input(PairingInput::Stored);
        assert!(matches!(out.last(), Some(Out::Done)), "{out:?}");
    }
}

#[test]
fn once_both_agreed_a_second_answer_of_the_person_changes_nothing() {
    for input in [|| PairingInput::Confirm, || PairingInput::Reject] {
        let (mut room, _) = Room::agreed();
        room.now.wall = EXPIRES + 1;
        let out = room.input(input());
        assert!(out.is_empty(), "{out:?}");
        let out = room.input(PairingInput::Stored);
        assert!(
            matches!(&out[..], [Out::Told(PairingStep::Stored)]),
            "{out:?}"
        );
    }
}

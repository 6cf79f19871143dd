//! Both minds of a pairing against each other, with persons who compare codes (I15, I21).
use crate::dice::Dice;
use crate::phone::{RELAY, hello};
use crate::relay::Side;
use std::collections::VecDeque;
use vmux_broker::{Entropy, Fresh, Offer, PhoneRecord};
use vmux_link::Psk;
use vmux_proto::Now;
use vmux_proto::pairing::PairingFailed;
use vmux_signer::AgentRecord;

const STORIES: u64 = 300;
const STEPS: usize = 60;

/// What came of a pairing on one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    DoneHere,
    Failed(PairingFailed),
}

/// Where an end's record is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Record {
    #[default]
    None,
    /// Given out, and not on disk yet.
    GivenOut,
    OnDisk,
}

/// One end's screen, person, and disk.
#[derive(Default)]
struct Desk {
    code: Option<String>,
    said_yes: bool,
    record: Record,
    end: Option<End>,
    inbox: VecDeque<Vec<u8>>,
}

struct World {
    dice: Dice,
    now: Now,
    agent: vmux_broker::Pairing,
    phone: vmux_signer::Pairing,
    desks: [Desk; 2],
    agents_record: Option<PhoneRecord>,
    phones_record: Option<AgentRecord>,
    left: bool,
}

const AGENT: usize = 0;
const PHONE: usize = 1;

const fn desk(side: Side) -> usize {
    match side {
        Side::Agent => AGENT,
        Side::Signer => PHONE,
    }
}

/// The same offer again, as whoever sees the screen has it.
fn scanned(offer: &Offer) -> Offer {
    Offer::parse(&offer.encode().unwrap()).unwrap()
}

fn agent(dice: &mut Dice, now: Now) -> vmux_broker::Pairing {
    let fresh = Fresh {
        key: dice.bytes(),
        secret: dice.bytes(),
        mailbox: dice.bytes(),
    };
    vmux_broker::Pairing::new(RELAY, hello("workstation"), &fresh, now)
}

fn met(dice: &mut Dice) -> vmux_signer::PairingInput {
    vmux_signer::PairingInput::Met {
        secret: dice.bytes(),
        entropy: Entropy::from_bytes(dice.bytes()),
        nonce: dice.bytes(),
    }
}

impl World {
    /// The phone has scanned the offer and calls.
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let now = Now {
            uptime: 1_000_000,
            wall: 1_800_000_000,
        };
        let agent = agent(&mut dice, now);
        let phone = vmux_signer::Pairing::new(scanned(agent.offer()), hello("phone"));
        let mut world = Self {
            dice,
            now,
            agent,
            phone,
            desks: [Desk::default(), Desk::default()],
            agents_record: None,
            phones_record: None,
            left: false,
        };
        let met = met(&mut world.dice);
        world.phone(met);
        world
    }

    fn agent(&mut self, input: vmux_broker::PairingInput) {
        use vmux_broker::PairingOutput as Output;
        self.agent.handle(input, self.now);
        while let Some(output) = self.agent.poll() {
            match output {
                Output::Send(frame) => self.send(PHONE, frame),
                Output::Restart => self.leave(PHONE),
                Output::Compare { code, .. } => self.desks[AGENT].code = Some(code.to_string()),
                Output::Store(record) => {
                    self.agents_record = Some(*record);
                    self.desks[AGENT].record = Record::GivenOut;
                }
                Output::Done => self.end(AGENT, End::Done),
                Output::DoneHere => self.end(AGENT, End::DoneHere),
                Output::Failed(failed) => {
                    self.end(AGENT, End::Failed(failed));
                    self.leave(PHONE);
                }
            }
        }
    }

    fn phone(&mut self, input: vmux_signer::PairingInput) {
        use vmux_signer::PairingOutput as Output;
        self.phone.handle(input, self.now);
        while let Some(output) = self.phone.poll() {
            match output {
                Output::Send(frame) => self.send(AGENT, frame),
                Output::Compare { code, .. } => self.desks[PHONE].code = Some(code.to_string()),
                Output::Store(record) => {
                    self.phones_record = Some(*record);
                    self.desks[PHONE].record = Record::GivenOut;
                }
                Output::Done => self.end(PHONE, End::Done),
                Output::DoneHere => self.end(PHONE, End::DoneHere),
                Output::Failed(failed) => {
                    self.end(PHONE, End::Failed(failed));
                    self.leave(AGENT);
                }
            }
        }
    }

    fn send(&mut self, to: usize, frame: Vec<u8>) {
        if !self.left {
            self.desks[to].inbox.push_back(frame);
        }
    }

    fn end(&mut self, at: usize, end: End) {
        assert_eq!(self.desks[at].end, None, "a pairing ends once");
        self.desks[at].end = Some(end);
    }

    /// The meeting is over for this end.
    fn leave(&mut self, at: usize) {
        self.left = true;
        self.desks[at].inbox.clear();
        if at == AGENT {
            self.agent(vmux_broker::PairingInput::Left);
        } else {
            self.phone(vmux_signer::PairingInput::Left);
        }
    }

    fn deliver(&mut self, at: usize) {
        let Some(frame) = self.desks[at].inbox.pop_front() else {
            return;
        };
        if at == AGENT {
            let entropy = Entropy::from_bytes(self.dice.bytes());
            self.agent(vmux_broker::PairingInput::Frame(frame, entropy));
        } else {
            self.phone(vmux_signer::PairingInput::Frame(frame));
        }
    }

    /// The person looks at both screens, and says yes where the codes are there and the same.
    fn person(&mut self, at: usize) {
        if self.desks[at].code.is_none() || self.desks[at].said_yes || self.desks[at].end.is_some()
        {
            return;
        }
        let same = self.desks[AGENT].code == self.desks[PHONE].code;
        if same && self.dice.percent(90) {
            self.desks[at].said_yes = true;
            self.say(
                at,
                vmux_broker::PairingInput::Confirm,
                vmux_signer::PairingInput::Confirm,
            );
        } else if self.dice.percent(30) {
            self.say(
                at,
                vmux_broker::PairingInput::Reject,
                vmux_signer::PairingInput::Reject,
            );
        }
    }

    fn store(&mut self, at: usize) {
        if self.desks[at].record == Record::GivenOut {
            self.desks[at].record = Record::OnDisk;
            self.say(
                at,
                vmux_broker::PairingInput::Stored,
                vmux_signer::PairingInput::Stored,
            );
        }
    }

    fn say(
        &mut self,
        at: usize,
        agent: vmux_broker::PairingInput,
        phone: vmux_signer::PairingInput,
    ) {
        if at == AGENT {
            self.agent(agent);
        } else {
            self.phone(phone);
        }
    }

    fn meddle(&mut self, at: usize) {
        let Self { desks, dice, .. } = self;
        let inbox = &mut desks[at].inbox;
        match (dice.below(4), inbox.front().cloned()) {
            (0, _) => drop(inbox.pop_front()),
            (1, Some(frame)) => inbox.push_front(frame),
            (2, Some(mut frame)) => {
                let place = dice.below(frame.len());
                frame[place] ^= 1 << dice.below(8);
                inbox[0] = frame;
            }
            _ => inbox.push_front(vec![0x5a; *dice.pick(&[1, 272, 368]).unwrap()]),
        }
    }

    fn check(&self) {
        self.invariant_i15_nothing_is_stored_before_both_said_yes_to_one_code();
        self.invariant_i21_an_end_says_what_is_true();
    }

    fn invariant_i15_nothing_is_stored_before_both_said_yes_to_one_code(&self) {
        if self.agents_record.is_none() && self.phones_record.is_none() {
            return;
        }
        let [agent, phone] = &self.desks;
        assert!(agent.said_yes && phone.said_yes, "I15: stored without both");
        assert!(
            agent.code.is_some() && agent.code == phone.code,
            "I15: stored for other codes"
        );
        if let (Some(phone), Some(agent)) = (&self.agents_record, &self.phones_record) {
            assert_eq!(phone.id(), agent.id());
            assert_eq!(phone.bond.peer, agent.bond.own.public());
            assert_eq!(agent.bond.peer, phone.bond.own.public());
            assert_eq!(phone.bond.psk.expose(), agent.bond.psk.expose());
        }
    }

    fn invariant_i21_an_end_says_what_is_true(&self) {
        let on_disk = |desk: &Desk| desk.record == Record::OnDisk;
        for desk in &self.desks {
            match desk.end {
                None => {}
                Some(End::Done) => assert!(self.desks.iter().all(on_disk), "I21: not stored"),
                Some(End::DoneHere) => assert!(on_disk(desk), "I21: not stored"),
                Some(End::Failed(_)) => assert_eq!(desk.record, Record::None, "I21: stored"),
            }
        }
    }

    fn something_happens(&mut self) {
        let at = self.dice.below(2);
        match self.dice.below(100) {
            0..50 => self.deliver(at),
            50..75 => self.person(at),
            75..90 => self.store(at),
            90..92 => self.meddle(at),
            92 => {
                self.leave(AGENT);
                self.leave(PHONE);
            }
            93..97 => {
                let seconds = self.dice.between(1, 60);
                self.now.wall += seconds;
                self.now.uptime += seconds * 1000;
                self.agent(vmux_broker::PairingInput::Tick);
            }
            _ => self.agent(vmux_broker::PairingInput::Tick),
        }
    }

    /// Nothing is lost any more, and in the end both go their ways.
    fn all_ends(&mut self) {
        for _ in 0..20 {
            for side in Side::BOTH {
                self.deliver(desk(side));
                self.store(desk(side));
                self.check();
            }
        }
        self.now.wall += 1000;
        self.agent(vmux_broker::PairingInput::Tick);
        self.leave(AGENT);
        self.leave(PHONE);
        self.check();
        for (at, desk) in self.desks.iter().enumerate() {
            // An agent nobody ever called has nobody to leave it; its offer expires.
            assert!(desk.end.is_some(), "end {at} waits for ever");
        }
        if let (Some(phone), Some(agent)) = (&self.agents_record, &self.phones_record) {
            let entropy = |seed| Entropy::from_bytes([seed; 32]);
            let (caller, call) = agent.bond.call(entropy(1), b"hi").unwrap();
            let (_, met, answer) = phone.bond.answer(entropy(2), &call, b"ho").unwrap();
            assert_eq!(met.payload, b"hi");
            assert_eq!(caller.finish(&answer).unwrap().1.payload, b"ho");
        }
    }
}

#[test]
fn i15_whatever_happens_only_two_that_were_compared_are_paired() {
    let (mut done, mut failed, mut alone) = (0, 0, 0);
    for seed in 0..STORIES {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.something_happens();
            world.check();
        }
        world.all_ends();
        for desk in &world.desks {
            match desk.end.unwrap() {
                End::Done => done += 1,
                End::DoneHere => alone += 1,
                End::Failed(_) => failed += 1,
            }
        }
    }
    assert!(
        done > 100 && failed > 100 && alone > 3,
        "{done}, {failed}, {alone}"
    );
}

#[test]
fn i15_with_nobody_between_both_show_one_code_and_are_paired() {
    let mut world = World::new(1);
    for _ in 0..3 {
        world.deliver(AGENT);
        world.deliver(PHONE);
    }
    let [agent, phone] = &world.desks;
    assert!(agent.code.is_some() && agent.code == phone.code);
    world.agent(vmux_broker::PairingInput::Confirm);
    world.phone(vmux_signer::PairingInput::Confirm);
    for side in Side::BOTH {
        world.desks[desk(side)].said_yes = true;
    }
    world.all_ends();
    assert!(world.desks.iter().all(|desk| desk.end == Some(End::Done)));
}

#[test]
fn i15_somebody_who_saw_the_offer_and_is_quicker_shows_a_code_the_person_cannot_find() {
    let mut world = World::new(1);
    // The stranger's phone calls first; the person's own is late.
    let own_call = world.desks[AGENT].inbox.pop_front().unwrap();
    let offer = scanned(world.agent.offer());
    let mut stranger = vmux_signer::Pairing::new(offer, hello("phone"));
    let met = met(&mut world.dice);
    stranger.handle(met, world.now);
    let Some(vmux_signer::PairingOutput::Send(call)) = stranger.poll() else {
        panic!("it calls")
    };
    world.desks[AGENT].inbox.push_back(call);
    world.deliver(AGENT);
    let answer = world.desks[PHONE].inbox.pop_front().unwrap();
    stranger.handle(vmux_signer::PairingInput::Frame(answer), world.now);
    let Some(vmux_signer::PairingOutput::Send(reveal)) = stranger.poll() else {
        panic!("it goes on")
    };
    world.desks[AGENT].inbox.push_back(reveal);
    world.deliver(AGENT);
    assert!(world.desks[AGENT].code.is_some());
    assert_eq!(
        world.desks[PHONE].code, None,
        "nothing on the person's phone to compare with"
    );
    world.desks[AGENT].inbox.push_back(own_call);
    world.deliver(AGENT);
    assert_eq!(
        world.desks[AGENT].end,
        Some(End::Failed(PairingFailed::Confused))
    );
    assert!(world.agents_record.is_none());
    assert_eq!(
        world.desks[PHONE].end,
        Some(End::Failed(PairingFailed::Gone))
    );
}

#[test]
fn i15_whoever_plays_the_agent_without_its_key_gets_no_code_from_the_phone() {
    let mut world = World::new(1);
    let call = world.desks[AGENT].inbox.pop_front().unwrap();
    // The stranger knows the whole offer, but the key in it is the agent's.
    let mut stranger = agent(&mut Dice::new(2), world.now);
    let entropy = Entropy::from_bytes([1; 32]);
    stranger.handle(
        vmux_broker::PairingInput::Frame(call.clone(), entropy),
        world.now,
    );
    assert!(matches!(
        stranger.poll(),
        Some(vmux_broker::PairingOutput::Restart)
    ));
    let (own, secret) = ([9; 32], *world.agent.offer().secret.expose());
    let place = vmux_link::Place {
        purpose: vmux_link::Purpose::Pairing,
        mailbox: world.agent.offer().mailbox,
    };
    let received = vmux_link::Responder::receive(
        &vmux_link::StaticSecret::from_bytes(own),
        &Psk::from_bytes(secret),
        &place,
        Entropy::from_bytes([2; 32]),
        &call,
    );
    assert!(received.is_err(), "the call is sealed for the agent's key");
    world.phone(vmux_signer::PairingInput::Frame(vec![0x5a; 304]));
    assert_eq!(
        world.desks[PHONE].end,
        Some(End::Failed(PairingFailed::NotProven))
    );
    assert_eq!(world.desks[PHONE].code, None);
}

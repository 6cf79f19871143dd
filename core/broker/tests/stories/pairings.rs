//! Pairing, seen from the agent: each step with what belongs there and with what does not (I15).
use crate::phone::hello;
use minicbor::bytes::ByteArray;
use vmux_broker::{
    Entropy, Fresh, Pairing, PairingFailed, PairingInput, PairingOutput, PhoneRecord, ShortCode,
};
use vmux_link::{
    Bond, Channel, HandshakeHash, Initiator, Place, Psk, PublicKey, Purpose, StaticSecret,
    after_pairing, commitment, short_code,
};
use vmux_proto::Now;
use vmux_proto::message::{Hello, Message as _, PairingStep, VERSION};

const START: u64 = 1_800_000_000;
const NONCE: [u8; 32] = [7; 32];
const RELAY: &str = "https://relay.example";

/// What came out, with frames opened by the phone.
#[derive(Debug, PartialEq, Eq)]
enum Out {
    Say(PairingStep),
    Restart,
    Compare(ShortCode, String, String),
    Store,
    Done,
    DoneHere,
    Failed(PairingFailed),
}

/// An agent that offers to pair and the phone's end of the handshake.
struct Story {
    pairing: Pairing,
    now: Now,
    phone: StaticSecret,
    channel: Option<Channel>,
    hash: Option<HandshakeHash>,
    record: Option<PhoneRecord>,
}

impl Story {
    /// An offer was made.
    fn offered() -> Self {
        let fresh = Fresh {
            key: [1; 32],
            secret: [2; 32],
            mailbox: [3; 16],
        };
        let now = Now {
            uptime: 5000,
            wall: START,
        };
        Self {
            pairing: Pairing::new(RELAY, hello("workstation"), &fresh, now),
            now,
            phone: StaticSecret::from_bytes([4; 32]),
            channel: None,
            hash: None,
            record: None,
        }
    }

    /// A phone called and was answered.
    fn called() -> Self {
        let mut story = Self::offered();
        assert_eq!(story.call(&committed()), []);
        story
    }

    /// Both screens show the code.
    fn compared() -> Self {
        let mut story = Self::called();
        let outs = story.say(PairingStep::Reveal(NONCE.into()));
        let [Out::Compare(..)] = &outs[..] else {
            panic!("{outs:?}")
        };
        story
    }

    /// Both persons have said yes; the agent stores.
    fn storing() -> Self {
        let mut story = Self::compared();
        story.handle(PairingInput::Confirm);
        assert_eq!(story.say(PairingStep::Confirmed), [Out::Store]);
        story
    }

    /// The agent has stored.
    fn stored() -> Self {
        let mut story = Self::storing();
        assert_eq!(
            story.handle(PairingInput::Stored),
            [Out::Say(PairingStep::Stored)]
        );
        story
    }

    fn handle(&mut self, input: PairingInput) -> Vec<Out> {
        self.pairing.handle(input, self.now);
        let mut outs = Vec::new();
        while let Some(output) = self.pairing.poll() {
            outs.push(match output {
                PairingOutput::Send(frame) => {
                    let message = self.channel.as_mut().unwrap().open(&frame).unwrap();
                    Out::Say(PairingStep::from_bytes(&message).unwrap())
                }
                PairingOutput::Restart => Out::Restart,
                PairingOutput::Compare { code, name, kind } => {
                    Out::Compare(code, name.to_string(), kind.to_string())
                }
                PairingOutput::Store(record) => {
                    self.record = Some(*record);
                    Out::Store
                }
                PairingOutput::Done => Out::Done,
                PairingOutput::DoneHere => Out::DoneHere,
                PairingOutput::Failed(failed) => Out::Failed(failed),
            });
        }
        outs
    }

    fn frame(&mut self, frame: Vec<u8>) -> Vec<Out> {
        self.handle(PairingInput::Frame(frame, Entropy::from_bytes([5; 32])))
    }

    fn say(&mut self, step: PairingStep) -> Vec<Out> {
        let frame = self
            .channel
            .as_mut()
            .unwrap()
            .seal(&step.to_bytes())
            .unwrap();
        self.frame(frame)
    }

    /// The first message of a phone with this secret and these words.
    fn message(&self, secret: [u8; 32], payload: &[u8]) -> (Initiator, Vec<u8>) {
        let place = Place {
            purpose: Purpose::Pairing,
            mailbox: [3; 16],
        };
        let (agent, psk) = (self.pairing.offer().agent, Psk::from_bytes(secret));
        let entropy = Entropy::from_bytes([6; 32]);
        Initiator::start(&self.phone, &agent, &psk, &place, entropy, payload).unwrap()
    }

    /// The phone calls, and the agent's answer opens the channel; gives what else came out.
    fn call(&mut self, hello: &Hello) -> Vec<Out> {
        let (initiator, message) = self.message([2; 32], &hello.to_bytes());
        self.pairing.handle(
            PairingInput::Frame(message, Entropy::from_bytes([5; 32])),
            self.now,
        );
        let Some(PairingOutput::Send(answer)) = self.pairing.poll() else {
            panic!("the agent answers first")
        };
        let (channel, met) = initiator.finish(&answer).unwrap();
        assert_eq!(met.payload, crate::phone::hello("workstation").to_bytes());
        (self.channel, self.hash) = (Some(channel), Some(met.hash));
        self.handle(PairingInput::Tick)
    }

    const fn wait(&mut self, seconds: u64) {
        self.now.wall = START + seconds;
        self.now.uptime += seconds * 1000;
    }

    /// Whether nothing happens any more, whatever comes.
    fn is_over(&mut self) -> bool {
        let inputs = [
            PairingInput::Confirm,
            PairingInput::Stored,
            PairingInput::Tick,
            PairingInput::Left,
            PairingInput::Frame(self.message([2; 32], &committed().to_bytes()).1, entropy()),
        ];
        inputs
            .into_iter()
            .all(|input| self.handle(input).is_empty())
    }

    /// Nothing was or will be stored.
    fn is_over_without_a_record(&mut self) -> bool {
        self.is_over() && self.record.is_none()
    }
}

fn entropy() -> Entropy {
    Entropy::from_bytes([8; 32])
}

/// What an honest phone says first.
fn committed() -> Hello {
    Hello {
        commitment: Some(commitment(&NONCE).into()),
        ..hello("pixel")
    }
}

const fn failed(failed: PairingFailed) -> [Out; 1] {
    [Out::Failed(failed)]
}

/// Each state before the person here has said yes, by name.
fn undecided() -> [(&'static str, Story); 3] {
    [
        ("called", Story::called()),
        ("compared", Story::compared()),
        ("confirmed there", {
            let mut story = Story::compared();
            assert_eq!(story.say(PairingStep::Confirmed), []);
            story
        }),
    ]
}

#[test]
fn i15_a_pairing_goes_from_offer_to_done_and_its_record_connects() {
    let mut story = Story::called();
    let outs = story.say(PairingStep::Reveal(NONCE.into()));
    let code = short_code(story.hash.as_ref().unwrap(), &NONCE);
    assert_eq!(outs, [Out::Compare(code, "pixel".into(), "test".into())]);
    assert_eq!(
        story.handle(PairingInput::Confirm),
        [Out::Say(PairingStep::Confirmed)]
    );
    assert_eq!(story.say(PairingStep::Confirmed), [Out::Store]);
    assert_eq!(
        story.handle(PairingInput::Stored),
        [Out::Say(PairingStep::Stored)]
    );
    assert_eq!(story.say(PairingStep::Stored), [Out::Done]);
    assert!(story.is_over());

    let record = story.record.unwrap();
    assert_eq!((record.name.raw(), record.kind.raw()), ("pixel", "test"));
    assert_eq!((record.relay.as_str(), record.paired), (RELAY, START));
    assert!(record.identities.is_empty());
    let link = after_pairing(&Psk::from_bytes([2; 32]), story.hash.as_ref().unwrap());
    let agent = StaticSecret::from_bytes([1; 32]).public();
    let phone = Bond {
        own: story.phone,
        peer: agent,
        psk: link.psk,
        mailbox: link.mailbox,
    };
    assert_eq!(phone.id(), record.id());
    let (initiator, message) = phone.call(entropy(), b"hi").unwrap();
    let (_, _, answer) = record
        .bond
        .answer(Entropy::from_bytes([9; 32]), &message, b"ho")
        .unwrap();
    assert_eq!(initiator.finish(&answer).unwrap().1.payload, b"ho");
}

#[test]
fn i15_nothing_is_stored_before_both_have_said_yes_in_either_order() {
    for here_first in [true, false] {
        let mut story = Story::compared();
        let (first, second) = if here_first {
            (
                story.handle(PairingInput::Confirm),
                story.say(PairingStep::Confirmed),
            )
        } else {
            (
                story.say(PairingStep::Confirmed),
                story.handle(PairingInput::Confirm),
            )
        };
        let said = [Out::Say(PairingStep::Confirmed)];
        let (firsts, seconds): (&[Out], &[Out]) = if here_first {
            (&said, &[Out::Store])
        } else {
            (&[], &[Out::Say(PairingStep::Confirmed), Out::Store])
        };
        assert_eq!((&first[..], &second[..]), (firsts, seconds));
    }
}

#[test]
fn i15_a_no_on_either_side_stores_nothing() {
    for (name, mut story) in undecided() {
        let outs = story.handle(PairingInput::Reject);
        let said = outs.first() == Some(&Out::Say(PairingStep::Rejected));
        assert_eq!(
            said,
            name != "called",
            "{name}: the phone is told once it was asked"
        );
        assert_eq!(
            outs.last(),
            Some(&Out::Failed(PairingFailed::RejectedHere)),
            "{name}"
        );
        assert!(story.is_over_without_a_record(), "{name}");
    }
    let mut story = Story::offered();
    assert_eq!(
        story.handle(PairingInput::Reject),
        failed(PairingFailed::RejectedHere)
    );
    assert!(story.is_over_without_a_record());
    for confirmed in [false, true] {
        let mut story = Story::compared();
        if confirmed {
            story.handle(PairingInput::Confirm);
        }
        let outs = story.say(PairingStep::Rejected);
        assert_eq!(outs, failed(PairingFailed::RejectedThere));
        assert!(story.is_over_without_a_record());
    }
}

#[test]
fn i15_whoever_does_not_know_the_secret_is_not_answered_and_uses_nothing_up() {
    let mut story = Story::offered();
    for guess in 0..=255_u8 {
        if guess != 2 {
            let (_, message) = story.message([guess; 32], &committed().to_bytes());
            assert_eq!(story.frame(message), [Out::Restart]);
        }
        assert_eq!(story.handle(PairingInput::Left), []);
    }
    assert_eq!(story.call(&committed()), [], "the offer is still good");
}

#[test]
fn i15_a_first_message_with_any_byte_changed_is_not_answered() {
    let mut story = Story::offered();
    let (_, good) = story.message([2; 32], &committed().to_bytes());
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 1;
        assert_eq!(story.frame(changed), [Out::Restart], "byte {at}");
    }
    for length in [0, 1, 95, 96, 367, 369, 65_000] {
        assert_eq!(
            story.frame(vec![0x5a; length]),
            [Out::Restart],
            "{length} bytes"
        );
    }
    assert_eq!(story.call(&committed()), []);
}

#[test]
fn i15_an_offer_of_another_agent_or_place_is_not_taken() {
    let mut story = Story::offered();
    let payload = committed().to_bytes();
    let psk = Psk::from_bytes([2; 32]);
    let agent = story.pairing.offer().agent;
    let other = StaticSecret::from_bytes([0x44; 32]).public();
    let pairing = Place {
        purpose: Purpose::Pairing,
        mailbox: [3; 16],
    };
    let link = Place {
        purpose: Purpose::Link,
        mailbox: [3; 16],
    };
    let elsewhere = Place {
        purpose: Purpose::Pairing,
        mailbox: [4; 16],
    };
    for (agent, place) in [(&other, &pairing), (&agent, &link), (&agent, &elsewhere)] {
        let started = Initiator::start(&story.phone, agent, &psk, place, entropy(), &payload);
        assert_eq!(story.frame(started.unwrap().1), [Out::Restart]);
    }
    assert_eq!(story.call(&committed()), []);
}

#[test]
fn i15_an_offer_is_good_for_one_handshake() {
    let mut story = Story::called();
    let (_, second) = story.message([2; 32], &committed().to_bytes());
    assert_eq!(story.frame(second), failed(PairingFailed::Confused));
    assert!(story.is_over_without_a_record());
    let mut story = Story::called();
    assert_eq!(
        story.handle(PairingInput::Left),
        failed(PairingFailed::Gone)
    );
    assert!(story.is_over_without_a_record(), "nobody else gets a try");
}

#[test]
fn i15_a_phone_that_commits_to_nothing_is_refused() {
    let mut story = Story::offered();
    let outs = story.call(&hello("pixel"));
    assert_eq!(outs, failed(PairingFailed::Confused));
    assert!(story.is_over_without_a_record());
}

#[test]
fn i15_a_nonce_that_was_not_committed_to_shows_no_code() {
    for at in [0, 15, 31] {
        let mut nonce = NONCE;
        nonce[at] ^= 1;
        let mut story = Story::called();
        let outs = story.say(PairingStep::Reveal(nonce.into()));
        assert_eq!(outs, failed(PairingFailed::NotProven), "byte {at}");
        assert!(story.is_over_without_a_record());
    }
}

#[test]
fn i15_every_other_step_in_place_of_the_nonce_is_refused() {
    for step in [
        PairingStep::Confirmed,
        PairingStep::Rejected,
        PairingStep::Stored,
    ] {
        let mut story = Story::called();
        assert_eq!(story.say(step), failed(PairingFailed::Confused));
        assert!(story.is_over_without_a_record());
    }
}

#[test]
fn i15_steps_out_of_turn_store_nothing() {
    let reveal = PairingStep::Reveal(ByteArray::from(NONCE));
    for step in [PairingStep::Stored, reveal] {
        for (_, mut story) in undecided().into_iter().skip(1) {
            assert_eq!(story.say(step), failed(PairingFailed::Confused));
            assert!(story.is_over_without_a_record());
        }
    }
    let mut story = Story::compared();
    story.say(PairingStep::Confirmed);
    let twice = story.say(PairingStep::Confirmed);
    assert_eq!(twice, failed(PairingFailed::Confused));
    assert!(story.is_over_without_a_record());
}

#[test]
fn i15_a_yes_before_there_is_a_code_to_compare_stores_nothing() {
    for mut story in [Story::offered(), Story::called()] {
        assert_eq!(
            story.handle(PairingInput::Confirm),
            failed(PairingFailed::Confused)
        );
        assert!(story.is_over_without_a_record());
    }
}

#[test]
fn a_phone_of_another_version_is_answered_and_refused() {
    for version in [VERSION - 1, VERSION + 1] {
        let mut story = Story::offered();
        let outs = story.call(&Hello {
            version,
            ..committed()
        });
        assert_eq!(outs, failed(PairingFailed::Version));
        assert!(story.is_over_without_a_record());
    }
}

#[test]
fn a_phone_whose_words_are_not_understood_is_of_another_version() {
    for payload in [&b""[..], b"hello", &[0xff; 200]] {
        let mut story = Story::offered();
        let (_, message) = story.message([2; 32], payload);
        story
            .pairing
            .handle(PairingInput::Frame(message, entropy()), story.now);
        assert!(matches!(story.pairing.poll(), Some(PairingOutput::Send(_))));
        let failed = story.pairing.poll();
        assert!(matches!(
            failed,
            Some(PairingOutput::Failed(PairingFailed::Version))
        ));
        assert!(story.is_over_without_a_record());
    }
}

#[test]
fn an_offer_is_taken_in_its_last_second_and_not_after() {
    let mut story = Story::offered();
    assert_eq!(story.pairing.offer().expires, START + 300);
    story.wait(300);
    assert_eq!(story.handle(PairingInput::Tick), []);
    assert_eq!(story.call(&committed()), []);
    let mut story = Story::offered();
    let (_, message) = story.message([2; 32], &committed().to_bytes());
    story.wait(301);
    assert_eq!(story.frame(message), failed(PairingFailed::Expired));
    assert!(story.is_over_without_a_record());
}

#[test]
fn every_step_before_the_yes_expires_with_the_offer() {
    let stories = undecided()
        .into_iter()
        .chain([("offered", Story::offered())]);
    for (name, mut story) in stories {
        story.wait(300);
        assert_eq!(story.handle(PairingInput::Tick), [], "{name}");
        story.wait(301);
        assert_eq!(
            story.handle(PairingInput::Tick),
            failed(PairingFailed::Expired),
            "{name}"
        );
        assert!(story.is_over_without_a_record(), "{name}");
    }
}

#[test]
fn a_yes_in_the_last_second_counts_and_one_after_it_does_not() {
    let mut story = Story::compared();
    story.say(PairingStep::Confirmed);
    story.wait(300);
    assert!(story.handle(PairingInput::Confirm).contains(&Out::Store));
    let mut story = Story::compared();
    story.say(PairingStep::Confirmed);
    story.wait(301);
    assert_eq!(
        story.handle(PairingInput::Confirm),
        failed(PairingFailed::Expired)
    );
    assert!(story.is_over_without_a_record());
}

#[test]
fn what_is_being_stored_does_not_expire() {
    let mut story = Story::storing();
    story.wait(1000);
    assert_eq!(story.handle(PairingInput::Tick), []);
    assert_eq!(
        story.handle(PairingInput::Stored),
        [Out::Say(PairingStep::Stored)]
    );
    assert_eq!(story.say(PairingStep::Stored), [Out::Done]);
}

#[test]
fn a_phone_that_leaves_before_both_have_said_yes_stores_nothing() {
    for (name, mut story) in undecided() {
        assert_eq!(
            story.handle(PairingInput::Left),
            failed(PairingFailed::Gone),
            "{name}"
        );
        assert!(story.is_over_without_a_record(), "{name}");
    }
    let mut story = Story::compared();
    story.handle(PairingInput::Confirm);
    assert_eq!(
        story.handle(PairingInput::Left),
        failed(PairingFailed::Gone)
    );
    assert!(story.is_over_without_a_record());
}

#[test]
fn garbage_before_both_have_said_yes_stores_nothing() {
    for (name, mut story) in undecided() {
        assert_eq!(
            story.frame(vec![0x5a; 272]),
            failed(PairingFailed::Confused),
            "{name}"
        );
        assert!(story.is_over_without_a_record(), "{name}");
    }
    for (name, mut story) in undecided() {
        let frame = story.channel.as_mut().unwrap().seal(b"hello").unwrap();
        assert_eq!(
            story.frame(frame),
            failed(PairingFailed::Confused),
            "{name}"
        );
        assert!(story.is_over_without_a_record(), "{name}");
    }
}

#[test]
fn i21_what_is_stored_is_never_called_failed() {
    let garbage = || PairingInput::Frame(vec![0x5a; 272], entropy());
    for last in [|| PairingInput::Left, garbage] {
        let mut story = Story::stored();
        assert_eq!(story.handle(last()), [Out::DoneHere]);
        assert!(story.is_over());
        let mut story = Story::storing();
        assert_eq!(story.handle(last()), [], "it stores on");
        assert_eq!(story.handle(PairingInput::Stored), [Out::DoneHere]);
        assert!(story.is_over());
    }
}

#[test]
fn a_phone_that_has_stored_first_is_believed_whatever_comes_then() {
    let mut story = Story::storing();
    assert_eq!(story.say(PairingStep::Stored), []);
    assert_eq!(
        story.handle(PairingInput::Stored),
        [Out::Say(PairingStep::Stored), Out::Done]
    );
    let mut story = Story::storing();
    assert_eq!(story.say(PairingStep::Stored), []);
    assert_eq!(story.handle(PairingInput::Left), []);
    assert_eq!(story.handle(PairingInput::Stored), [Out::Done]);
    assert!(story.is_over());
}

#[test]
fn i15_codes_differ_where_somebody_stands_between() {
    let mut story = Story::compared();
    let own = short_code(story.hash.as_ref().unwrap(), &NONCE);
    let mut other = Story::offered();
    other.phone = StaticSecret::from_bytes([0x55; 32]);
    other.call(&committed());
    let outs = other.say(PairingStep::Reveal(NONCE.into()));
    let [Out::Compare(code, ..)] = &outs[..] else {
        panic!("{outs:?}")
    };
    assert_ne!(*code, own, "another key gives another code");
    assert_eq!(
        story.handle(PairingInput::Confirm),
        [Out::Say(PairingStep::Confirmed)]
    );
}

#[test]
fn the_offer_names_the_agent_by_the_key_that_its_record_keeps() {
    let story = Story::storing();
    let record = story.record.as_ref().unwrap();
    assert_eq!(record.bond.own.public(), story.pairing.offer().agent);
    assert_eq!(record.bond.peer, story.phone.public());
    assert_ne!(record.bond.mailbox, [3; 16], "later meetings are elsewhere");
    assert_ne!(
        record.bond.psk.expose(),
        &[2; 32],
        "and prove another secret"
    );
    let PublicKey(bytes) = story.pairing.offer().agent;
    assert_ne!(bytes, [1; 32]);
}

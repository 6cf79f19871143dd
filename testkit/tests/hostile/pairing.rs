//! A relay that closes, loses, repeats or changes something at each step of a pairing.
use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use vmux_testkit::{
    Finished, KeyKind, Phone, Place, RelayProgram, Running, Workstation, holds_within, offer, pair,
};

use crate::lists_are_instant;
use crate::middle::{Act, Middle, Passing};

/// Two that want to pair, and somebody between them.
struct Two {
    middle: Middle,
    workstation: Workstation,
    phone: Phone,
    _relay: RelayProgram,
    _place: Place,
}

/// How both commands ended.
struct Ended {
    agent: Finished,
    signer: Finished,
}

impl Two {
    fn new() -> Self {
        let place = Place::new();
        let relay = RelayProgram::start(place.home("relay"));
        let middle = Middle::start(relay.address());
        let mut workstation =
            Workstation::with_relay(place.home("desk"), "workbench", &middle.url());
        workstation.start();
        let phone = Phone::new(place.home("phone"), "pocket phone");
        Self {
            middle,
            workstation,
            phone,
            _relay: relay,
            _place: place,
        }
    }

    /// Pairs while the relay does this; both persons say yes to the same code, as people do.
    #[track_caller]
    fn pair_under(&self, script: impl FnMut(&Passing<'_>) -> Act + Send + 'static) -> Ended {
        let (mut agent, link) = offer(&self.workstation);
        self.middle.does(script);
        let mut signer = self
            .phone
            .home()
            .start(&mut self.phone.command(&["pair", &link]));
        let shown = holds_within(LONGEST_CODE, || {
            let codes = [code(&agent), code(&signer)];
            let over = !agent.is_alive() || !signer.is_alive();
            (over || codes.iter().all(Option::is_some)).then_some(codes)
        });
        if let Some([Some(at_agent), Some(at_signer)]) = shown {
            assert_eq!(at_agent, at_signer);
            agent.say_if_it_listens("yes");
            signer.say_if_it_listens("yes");
        } else {
            // Nobody says yes to a code that the other screen does not show.
            signer.say_if_it_listens("no");
            agent.say_if_it_listens("no");
        }
        lists_are_instant(&self.workstation);
        let signer = signer.finish_within(LONGEST_END);
        if code(&agent).is_none() && agent.is_alive() {
            // It waits for a phone as long as its link is good; the person has seen enough.
            holds_within(SOON, || (!agent.is_alive()).then_some(()));
            if agent.is_alive() {
                agent.signal(Signal::INT);
            }
        }
        let agent = agent.finish_within(LONGEST_END);
        Ended { agent, signer }
    }

    /// Who is paired according to each side.
    fn paired(&self) -> [BTreeSet<String>; 2] {
        let status = self.workstation.status();
        let ids = |values: &[Value], field: &str| {
            let id = |value: &Value| value[field].as_str().unwrap().to_owned();
            values.iter().map(id).collect()
        };
        let agents = self.phone.run(&["agents"]).ok().events();
        [
            ids(status["phones"].as_array().unwrap(), "id"),
            ids(&agents, "agent"),
        ]
    }

    /// Both are paired, or neither, or the one that is says that the other may not be.
    #[track_caller]
    fn nothing_is_half(&self, before: &[BTreeSet<String>; 2], ended: &Ended) {
        let [at_agent, at_phone] = self.paired();
        let new_at_agent = at_agent.len() - before[0].len();
        let new_at_phone = at_phone.len() - before[1].len();
        let Ended { agent, signer } = ended;
        assert_eq!(agent.code == Some(0), new_at_agent == 1, "{agent}{signer}");
        assert_eq!(signer.code == Some(0), new_at_phone == 1, "{agent}{signer}");
        let last = |finished: &Finished| finished.events().pop().unwrap();
        for (side, other, is_new, other_is_new) in [
            (agent, signer, new_at_agent, new_at_phone),
            (signer, agent, new_at_phone, new_at_agent),
        ] {
            if last(side)["event"] == "offer" {
                // The person stopped it while it waited for a phone.
                assert_eq!((is_new, other_is_new), (0, 0), "{side}{other}");
            } else if is_new == 0 {
                assert_eq!(last(side)["event"], "failed", "{side}");
                assert!(last(side)["reason"].is_string(), "{side}");
                assert!(last(side)["hint"].is_string(), "{side}");
            } else if other_is_new == 0 {
                assert!(last(side)["note"].is_string(), "{side}{other}");
            }
        }
    }
}

fn code(side: &Running) -> Option<Value> {
    let code = side
        .events()
        .into_iter()
        .find(|event| event["event"] == "code");
    code.map(|event| event["code"].clone())
}

/// The sealed frames of a pairing, in the order in which they are sent: call, answer, reveal, then
/// two times yes and two times stored.
const FRAMES: usize = 7;

/// Does this with one of them, as it leaves its sender.
fn at(
    step: usize,
    mut act: impl FnMut(&Passing<'_>) -> Act + Send,
) -> impl FnMut(&Passing<'_>) -> Act + Send {
    let mut frames = 0;
    move |passing| {
        frames += usize::from(passing.is_sent());
        if passing.is_sent() && frames == step {
            act(passing)
        } else {
            Act::Pass
        }
    }
}

#[test]
fn i15_closed_at_each_step_nothing_is_half_paired_and_the_next_pairing_works() {
    let two = Two::new();
    for step in 1..=FRAMES {
        let before = two.paired();
        let ended = two.pair_under(at(step, |_| Act::Close));
        two.middle.behaves();
        two.nothing_is_half(&before, &ended);
    }
    pair(&two.workstation, &two.phone);
}

#[test]
fn i15_closed_before_anything_is_said_a_pairing_goes_on_where_it_was() {
    let mut two = Two::new();
    let (mut agent, link) = offer(&two.workstation);
    two.middle.cut();
    let mut signer = two
        .phone
        .home()
        .start(&mut two.phone.command(&["pair", &link]));
    assert_eq!(signer.event("code")["code"], agent.event("code")["code"]);
    agent.say("yes");
    signer.say("yes");
    agent.finish().ok();
    signer.finish().ok();
    two.phone.new_key("phone key", KeyKind::Ecdsa);
    two.phone.start();
    two.workstation.sees_phones(1);
}

#[test]
fn i15_changed_at_each_step_nobody_is_paired_unawares() {
    let two = Two::new();
    for step in 1..=FRAMES {
        let before = two.paired();
        let ended = two.pair_under(at(step, |passing| {
            let mut frame = passing.frame.clone();
            *frame.payload.last_mut().unwrap() ^= 1;
            Act::Instead(vec![frame])
        }));
        two.middle.behaves();
        two.nothing_is_half(&before, &ended);
    }
    pair(&two.workstation, &two.phone);
}

#[test]
fn i15_repeated_at_each_step_nobody_is_paired_unawares() {
    let two = Two::new();
    for step in 1..=FRAMES {
        let before = two.paired();
        let ended = two.pair_under(at(step, |passing| {
            Act::Instead(vec![passing.frame.clone(), passing.frame.clone()])
        }));
        two.middle.behaves();
        two.nothing_is_half(&before, &ended);
    }
    pair(&two.workstation, &two.phone);
}

#[test]
fn i15_lost_answers_end_a_pairing_in_words_and_not_in_waiting() {
    let two = Two::new();
    for step in [2, 6, 7] {
        let before = two.paired();
        let ended = two.pair_under(at(step, |_| Act::Drop));
        two.middle.behaves();
        two.nothing_is_half(&before, &ended);
    }
    pair(&two.workstation, &two.phone);
}

/// The phone waits ten seconds for the first answer.
const LONGEST_CODE: Duration = Duration::from_secs(15);
/// For one to notice that the other has left.
const SOON: Duration = Duration::from_secs(2);
/// And as long for the last; the rest is for a busy machine.
const LONGEST_END: Duration = Duration::from_secs(25);

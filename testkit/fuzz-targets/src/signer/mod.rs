//! A whole signer before a workstation that lies, a relay that tampers and a person who clicks.
mod asks;
mod judge;

use std::collections::BTreeMap;

use vmux_link::{Bond, Channel};
use vmux_proto::Now;
use vmux_proto::audit::{Growth, Head};
use vmux_proto::message::{Message as _, Number, RequestId, SignRequest, ToSigner};
use vmux_signer::{
    After, Decision, Entropy, Input, LinkId, Memory, PinName, Pins, Settings, SignJob, Signer,
};

use crate::choices::{Choices, flipped};
use crate::link::bonds;
use crate::ssh::People;

pub(crate) use asks::hello;
use asks::{id, identities, record};

/// Nothing is signed that was not shown and approved, whatever comes in whatever order (I2 to I5).
pub fn signer(data: &[u8]) {
    story(data);
}

/// How many signatures agents got.
fn story(data: &[u8]) -> u32 {
    let mut world = World::new();
    let mut choices = Choices::new(data);
    while !choices.is_empty() {
        world.step(&mut choices);
        world.check();
    }
    world.signatures
}

struct World {
    people: &'static People,
    signer: Signer,
    now: Now,
    /// When the signer last looked at its clock.
    looked: u64,
    ends: [End; 2],
    /// What each prompt on the screen showed, and until when it may be answered.
    shown: BTreeMap<RequestId, Shown>,
    /// What each approved request may be signed with.
    approved: BTreeMap<RequestId, Shown>,
    jobs: Vec<SignJob>,
    signatures: u32,
    draws: u64,
    /// The end of the log, and the answers in it that have not left.
    log: Head,
    recorded: u32,
    /// Nothing can be written to the log.
    is_full: bool,
}

/// One workstation's end of a link.
struct End {
    bond: Bond,
    state: State,
    /// What it asked for last under each id.
    asked: BTreeMap<RequestId, SignRequest>,
}

enum State {
    Away,
    Called(Vec<u8>),
    Open(Channel),
}

#[derive(Clone)]
struct Shown {
    link: LinkId,
    request: SignRequest,
    deadline: u64,
    number: Option<Number>,
    blocked: bool,
}

/// What the input that is being handled permits.
#[derive(Clone, Copy, Default)]
struct Permitted {
    /// The person approved this, rightly.
    sign: Option<RequestId>,
    /// The key signed this, rightly.
    signed: Option<RequestId>,
}

impl World {
    fn new() -> Self {
        let people = People::all();
        let ends = [0, 1].map(|at| End {
            bond: bonds(at).0,
            state: State::Away,
            asked: BTreeMap::new(),
        });
        let records = vec![record(0), record(1)];
        let signer = Signer::new(
            hello("terminal"),
            Settings::default(),
            identities(people, 0),
            Pins::default(),
            records,
            Memory::EMPTY,
        );
        let now = Now {
            uptime: 1_000_000,
            wall: 1_800_000_000,
        };
        let mut world = Self {
            people,
            signer,
            now,
            looked: now.uptime,
            ends,
            shown: BTreeMap::new(),
            approved: BTreeMap::new(),
            jobs: Vec::new(),
            signatures: 0,
            draws: 0,
            log: Head::EMPTY,
            recorded: 0,
            is_full: false,
        };
        world.connect(0);
        world
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        let op = choices.below(21);
        let at = usize::from(choices.below(2));
        let link = self.ends[at].bond.id();
        match op {
            0..5 => {
                let request = self.request(choices);
                self.ends[at].asked.insert(request.id, request.clone());
                self.say(at, &ToSigner::Sign(request).to_bytes());
            }
            5 => {
                // The same again, or with one thing changed.
                let asked: Vec<_> = self.ends[at].asked.values().cloned().collect();
                if !asked.is_empty() {
                    let mut request = choices.one(&asked).clone();
                    let other = usize::from(choices.below(2));
                    self.change(&mut request, choices);
                    self.ends[other].asked.insert(request.id, request.clone());
                    self.say(other, &ToSigner::Sign(request).to_bytes());
                }
            }
            6..9 => self.decide(choices),
            9..11 => self.sign(choices),
            11 => self.say(at, &ToSigner::Cancel(id(choices)).to_bytes()),
            12 => {
                // Whatever it decodes to: a request in it is not one the world knows.
                let bytes = choices.piece().to_vec();
                if let Ok(ToSigner::Sign(request)) = ToSigner::from_bytes(&bytes) {
                    self.ends[at].asked.insert(request.id, request);
                }
                self.say(at, &bytes);
            }
            13 => {
                let frame = self.tampered(at, choices);
                self.take(Input::Frame(link, frame, [1; 4]));
            }
            14 => self.connect(at),
            15 => {
                self.ends[at].state = State::Away;
                self.take(Input::Left(link));
            }
            16 => self.pass(choices),
            17 => {
                let identities = identities(self.people, choices.byte());
                self.take(Input::Identities(identities));
            }
            18 => match choices.below(9) {
                0 => self.take(Input::Unpair(link)),
                1 => self.say(at, &ToSigner::Unpaired.to_bytes()),
                2 => self.take(Input::Pins(Pins::well_known())),
                3 => self.take(Input::Resume(link)),
                4 => self.is_full = !self.is_full,
                5 => {
                    let first = self.signer.blocks().iter().next().cloned();
                    if let Some(block) = first {
                        self.take(Input::Unblock(block.link, block.source));
                    }
                }
                6 => {
                    let all: Vec<_> = self.shown.keys().copied().collect();
                    self.take(Input::DecidedTogether(all, Decision::Deny(After::Nothing)));
                }
                7 => {
                    let head = Head::EMPTY.after(&self.draw());
                    let lines = [self.draw()];
                    let growth = Growth::new(head, &lines);
                    self.say(at, &ToSigner::Log(growth).to_bytes());
                }
                _ => self.take(Input::Close),
            },
            19 => self.take(Input::Paired(Box::new(record(u8::from(at == 1))))),
            _ => match choices.below(2) {
                0 => self.call(at),
                _ => self.reply(at),
            },
        }
    }

    /// Both ends meet and shake hands.
    fn connect(&mut self, at: usize) {
        self.call(at);
        self.reply(at);
    }

    /// Both ends meet; the signer has sent its first message.
    fn call(&mut self, at: usize) {
        self.ends[at].state = State::Away;
        let link = self.ends[at].bond.id();
        let entropy = Entropy::from_bytes(self.draw());
        self.take(Input::Met(link, entropy));
    }

    /// The workstation answers, if it was called.
    fn reply(&mut self, at: usize) {
        let link = self.ends[at].bond.id();
        let State::Called(message) = &self.ends[at].state else {
            return;
        };
        let message = message.clone();
        let entropy = Entropy::from_bytes(self.draw());
        let end = &mut self.ends[at];
        let hello = hello("agent").to_bytes();
        let (channel, _, answer) = end
            .bond
            .answer(entropy, &message, &hello)
            .expect("the signer's own message");
        end.state = State::Open(channel);
        self.take(Input::Frame(link, answer, [1; 4]));
    }

    fn say(&mut self, at: usize, message: &[u8]) {
        let link = self.ends[at].bond.id();
        let State::Open(channel) = &mut self.ends[at].state else {
            return;
        };
        let Ok(frame) = channel.seal(message) else {
            self.ends[at].state = State::Away;
            return;
        };
        let random = self.draw();
        let random = [random[0], random[5], random[6], random[7]];
        self.take(Input::Frame(link, frame, random));
    }

    fn tampered(&mut self, at: usize, choices: &mut Choices<'_>) -> Vec<u8> {
        let State::Open(channel) = &mut self.ends[at].state else {
            return choices.piece().to_vec();
        };
        match channel.seal(choices.piece()) {
            Ok(frame) => flipped(&frame, usize::from(choices.byte())),
            Err(_) => Vec::new(),
        }
    }

    fn decide(&mut self, choices: &mut Choices<'_>) {
        let known: Vec<_> = self.shown.keys().copied().collect();
        let request = match choices.below(8) {
            0 => id(choices),
            _ if known.is_empty() => id(choices),
            _ => *choices.one(&known),
        };
        let shown = self.shown.get(&request).cloned();
        let number = match choices.below(5) {
            0 => None,
            1 => Some(Number::pick([0, 0, 0, choices.byte()])),
            _ => shown.as_ref().and_then(|shown| shown.number),
        };
        let decision = match choices.below(6) {
            0 => Decision::Deny(match choices.below(8) {
                0 => After::NotMe,
                1 => After::Block,
                _ => After::Nothing,
            }),
            1 => Decision::Approve {
                number,
                name: PinName::parse(&choices.text()).ok(),
            },
            _ => Decision::Approve { number, name: None },
        };
        let mut permitted = Permitted::default();
        if let (Some(shown), Decision::Approve { number, .. }) = (&shown, &decision)
            && !self.approved.contains_key(&request)
            && !shown.blocked
            && shown.number.is_none_or(|needed| Some(needed) == *number)
            && self.now.uptime < shown.deadline
        {
            permitted.sign = Some(request);
            self.approved.insert(request, shown.clone());
        }
        self.perform(Input::Decided(request, decision), permitted);
    }

    /// The key answers: mostly rightly, sometimes for what nobody asked of it.
    fn sign(&mut self, choices: &mut Choices<'_>) {
        let at = usize::from(choices.byte());
        let kind = choices.below(6);
        if self.jobs.is_empty() {
            let signature = self.people.ours[0].sign(b"anything");
            return self.take(Input::Signed(id(choices), Some(signature)));
        }
        let job = self.jobs.swap_remove(at % self.jobs.len());
        let key = &job.identity().key;
        let secret = self.people.holder(key).expect("one of the people's");
        let good = secret.sign(job.bytes());
        let mut permitted = Permitted::default();
        let signature = match kind {
            0 => None,
            1 => Some(flipped(&good, at)),
            2 => Some(self.people.stranger.sign(job.bytes())),
            _ => {
                permitted.signed = Some(job.request());
                Some(good)
            }
        };
        self.perform(Input::Signed(job.request(), signature), permitted);
    }

    fn pass(&mut self, choices: &mut Choices<'_>) {
        let steps = [0, 1, 900, 5_000, 59_999, 60_000, 100_000, 1_000_000];
        self.now.uptime += *choices.one(&steps);
        // The wall clock may jump either way.
        self.now.wall = self.now.wall + u64::from(choices.byte()) - 100;
        // Nobody may have said yet that it passed.
        if choices.below(2) == 0 {
            self.take(Input::Tick);
        }
    }

    fn take(&mut self, input: Input) {
        self.perform(input, Permitted::default());
    }

    fn draw(&mut self) -> [u8; 32] {
        self.draws += 1;
        let mut bytes = [0xd0; 32];
        bytes[..8].copy_from_slice(&self.draws.to_be_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A login to a new host, reached directly.
    const ASK: [u8; 16] = [0, 0, 5, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    /// Yes, with the number that was shown; then the key signs.
    const APPROVE: [u8; 10] = [6, 0, 1, 0, 2, 2, 9, 0, 0, 3];

    #[test]
    fn a_story_with_an_approval_ends_with_a_signature() {
        assert_eq!(story(&[&ASK[..], &APPROVE].concat()), 1);
    }

    #[test]
    fn a_story_with_a_wrong_number_ends_without() {
        let mut approve = APPROVE;
        approve[4] = 0;
        assert_eq!(story(&[&ASK[..], &approve].concat()), 0);
    }

    #[test]
    fn asked_again_the_same_gets_the_same_signature_and_something_else_gets_none() {
        let again = [&ASK[..], &APPROVE, &ASK].concat();
        assert_eq!(story(&again), 2);
        let mut other = ASK;
        other[5] = 1;
        assert_eq!(story(&[&ASK[..], &APPROVE, &other].concat()), 1);
    }
}

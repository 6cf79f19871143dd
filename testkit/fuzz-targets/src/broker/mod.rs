//! A whole agent before clients that send garbage and phones that answer wrongly.
mod judge;
mod phones;

use std::collections::BTreeMap;

use vmux_broker::known_hosts::Verdict;
use vmux_broker::{
    Ask, Asked, Broker, ClientId, Conversation, Entropy, Input, Job, Limits, Passphrase,
    PhoneRecord, Step, stretch,
};
use vmux_link::{Bond, Channel, Initiator};
use vmux_proto::audit::Head;
use vmux_proto::crypto::PureRust;
use vmux_proto::key::PublicKey;
use vmux_proto::message::{
    Message as _, Number, Refusal, Reported, RequestId, SignRequest, ToAgent,
};
use vmux_proto::wire::Writer;
use vmux_proto::{Now, Untrusted};

use crate::choices::{Choices, flipped};
use crate::client::is_proven;
use crate::link::bonds;
use crate::signer::hello;
use crate::ssh::People;

/// Every question gets one answer, and a signature only if a phone made it just now (I4, I5, I7).
pub fn broker(data: &[u8]) {
    story(data);
}

/// How many signatures clients got.
fn story(data: &[u8]) -> u32 {
    let mut world = World::new();
    let mut choices = Choices::new(data);
    while !choices.is_empty() {
        world.step(&mut choices);
        world.check();
    }
    world.signatures
}

const LIMITS: Limits = Limits {
    wait_ms: 60_000,
    reach_ms: 900,
    pending: 2,
    per_source: 2,
};

/// Real work on a passphrase, which is slow, at most so often.
const MAX_STRETCHED: u8 = 2;

struct World {
    people: &'static People,
    broker: Broker,
    /// How far its log's file goes.
    log: Head,
    now: Now,
    clients: [Client; 3],
    phones: [Phone; 2],
    stretching: Vec<(ClientId, Passphrase, Job)>,
    stretched: u8,
    signatures: u32,
    draws: u64,
}

struct Client {
    id: ClientId,
    conversation: Conversation,
    waits: Option<Waits>,
}

/// What a client was promised an answer to.
enum Waits {
    Signature { key: PublicKey, bytes: Vec<u8> },
    Other,
}

struct Phone {
    bond: Bond,
    state: State,
    /// What it was asked to sign.
    asked: BTreeMap<RequestId, SignRequest>,
    /// Its first messages so far.
    calls: Vec<Vec<u8>>,
}

enum State {
    Away,
    Called(Initiator),
    Open(Channel),
}

impl World {
    fn new() -> Self {
        let phones = [0, 1].map(|at| Phone {
            bond: bonds(at).1,
            state: State::Away,
            asked: BTreeMap::new(),
            calls: Vec::new(),
        });
        let records = vec![record(0), record(1)];
        let clients = [0, 1, 2].map(|id| Client::new(ClientId(id)));
        let now = Now {
            uptime: 1_000_000,
            wall: 1_800_000_000,
        };
        let mut world = Self {
            people: People::all(),
            broker: Broker::new(hello("agent"), LIMITS, records, Head::EMPTY),
            log: Head::EMPTY,
            now,
            clients,
            phones,
            stretching: Vec::new(),
            stretched: 0,
            signatures: 0,
            draws: 2,
        };
        world.connect(0);
        world.announce(0, 0b111);
        world
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        let op = choices.below(21);
        let client = usize::from(choices.below(3));
        let phone = usize::from(choices.below(2));
        let link = self.phones[phone].bond.id();
        match op {
            0 => self.frame(client, &[11], choices),
            1 => {
                let body = self.people.bind(choices);
                let frame = Writer::new()
                    .u8(27)
                    .string("session-bind@openssh.com")
                    .bytes(&body);
                self.frame(client, &frame.finish(), choices);
            }
            2..6 => {
                let key = self.people.identity(choices).public().clone();
                let payload = self.people.payload(choices, &key);
                let frame = Writer::new().u8(13).string(key.blob()).string(payload);
                self.frame(client, &frame.u32(0).finish(), choices);
            }
            6 => {
                let number = 22 + choices.below(2);
                let word = *choices.one(&["one", "two", ""]);
                let frame = Writer::new().u8(number).string(word).finish();
                self.frame(client, &frame, choices);
            }
            7 => {
                let bytes = choices.piece();
                self.read(client, bytes, choices);
            }
            8 => {
                let gone = self.clients[client].id;
                self.draws += 1;
                self.clients[client] = Client::new(ClientId(self.draws));
                self.take(Input::Gone(gone));
            }
            9 => self.connect(phone),
            10 => self.announce(phone, choices.byte()),
            11..14 => self.sign(phone, choices),
            14 => {
                let id = self.id(phone, choices);
                let number = Number::pick([0, 0, 0, choices.byte()]);
                let message = match choices.below(5) {
                    0 => ToAgent::Received(id),
                    1 => ToAgent::ShowNumber(id, number),
                    2 => ToAgent::Refused(id, Refusal::Denied),
                    3 => ToAgent::Refused(id, Refusal::TimedOut),
                    _ => ToAgent::Unpaired,
                };
                let is_stranger = !self.phones[phone].asked.contains_key(&id);
                let before = self.waiting(id);
                self.say(phone, &message.to_bytes(), None);
                if is_stranger && message != ToAgent::Unpaired {
                    assert_eq!(self.waiting(id), before, "a phone speaks for its own");
                }
            }
            15 => self.say(phone, choices.piece(), None),
            16 => {
                let frame = match &mut self.phones[phone].state {
                    State::Open(channel) => channel
                        .seal(choices.piece())
                        .map(|frame| flipped(&frame, usize::from(choices.byte())))
                        .unwrap_or_default(),
                    State::Away | State::Called(_) => choices.piece().to_vec(),
                };
                let entropy = Entropy::from_bytes(self.draw());
                self.take(Input::Frame(link, frame, entropy));
            }
            17 => {
                let steps = [0, 1, 899, 900, 5_000, 59_999, 60_000, 1_000_000];
                self.now.uptime += *choices.one(&steps);
                self.take(Input::Tick);
            }
            18 => match choices.below(5) {
                0 => self.take(Input::RelayDown(link)),
                1 => self.take(Input::RelayUp(link)),
                2 => self.take(Input::Unpair(link)),
                3 => self.take(Input::Paired(Box::new(record(u8::from(phone == 1))))),
                _ => {
                    self.phones[phone].state = State::Away;
                    self.take(Input::Left(link));
                }
            },
            19 => self.stretch(choices),
            // A meeting where nobody calls, or where an old call is played again.
            _ => {
                self.phones[phone].state = State::Away;
                self.take(Input::Met(link));
                let calls = &self.phones[phone].calls;
                if !calls.is_empty() && choices.below(2) == 0 {
                    let call = choices.one(calls).clone();
                    let entropy = Entropy::from_bytes(self.draw());
                    self.take(Input::Frame(link, call, entropy));
                }
            }
        }
    }

    fn frame(&mut self, client: usize, body: &[u8], choices: &mut Choices<'_>) {
        let frame = Writer::new().string(body).finish();
        self.read(client, &frame, choices);
    }

    fn read(&mut self, client: usize, bytes: &[u8], choices: &mut Choices<'_>) {
        self.clients[client].conversation.read(bytes);
        self.converse(client, choices.byte());
    }

    /// Goes on with a client until it waits.
    fn converse(&mut self, client: usize, hint: u8) {
        loop {
            let Client {
                id,
                conversation,
                waits,
            } = &mut self.clients[client];
            let id = *id;
            match conversation.next(&PureRust) {
                Ok(Step::Read) => return,
                Ok(Step::Write(_) | Step::Refuse(..) | Step::NotServed(..)) => {}
                Err(_) => {
                    self.draws += 1;
                    self.clients[client] = Client::new(ClientId(self.draws));
                    self.take(Input::Gone(id));
                    return;
                }
                Ok(Step::Ask(ask)) => {
                    is_proven(&ask);
                    assert!(waits.is_none(), "one question at a time");
                    *waits = Some(Waits::of(&ask));
                    let random = self.draw();
                    let began = self.now.uptime - u64::from(hint) * 500;
                    let known_hosts = (hint % 16 == 15).then_some(Verdict::Revoked);
                    let asked = Asked {
                        client: id,
                        began,
                        ask,
                        random: random[..16].try_into().expect("sixteen bytes"),
                        reported: Reported::default(),
                        known_hosts,
                    };
                    self.take(Input::Ask(asked));
                }
            }
        }
    }

    fn stretch(&mut self, choices: &mut Choices<'_>) {
        if self.stretching.is_empty() {
            return;
        }
        let (client, passphrase, job) = self.stretching.remove(0);
        let real = choices.below(2) == 0 && self.stretched < MAX_STRETCHED;
        let tag = if real {
            self.stretched += 1;
            stretch(&passphrase, job.salt())
        } else {
            None
        };
        self.take(Input::Stretched(client, job, tag));
    }

    fn take(&mut self, input: Input) {
        self.perform(input, None);
    }

    fn draw(&mut self) -> [u8; 32] {
        self.draws += 1;
        let mut bytes = [0xd0; 32];
        bytes[..8].copy_from_slice(&self.draws.to_be_bytes());
        bytes
    }
}

impl Client {
    const fn new(id: ClientId) -> Self {
        Self {
            id,
            conversation: Conversation::new(),
            waits: None,
        }
    }
}

impl Waits {
    fn of(ask: &Ask) -> Self {
        match ask {
            Ask::Sign(ask) => Self::Signature {
                key: ask.key.clone(),
                bytes: ask.bytes.clone(),
            },
            _ => Self::Other,
        }
    }
}

fn record(pairing: u8) -> PhoneRecord {
    PhoneRecord {
        name: Untrusted::new("phone"),
        kind: Untrusted::new("terminal"),
        relay: "https://relay.example".into(),
        paired: 0,
        seen: 0,
        identities: Vec::new(),
        bond: bonds(pairing).0,
        suspended: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIND_AND_ASK: [u8; 17] = [1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    #[test]
    fn a_story_with_a_good_answer_ends_with_a_signature() {
        let answer = [11, 0, 0, 1, 0, 3];
        assert_eq!(story(&[&BIND_AND_ASK[..], &answer].concat()), 1);
    }

    #[test]
    fn a_story_with_a_wrong_answer_ends_without() {
        let answer = [11, 0, 0, 1, 0, 1];
        assert_eq!(story(&[&BIND_AND_ASK[..], &answer].concat()), 0);
    }
}

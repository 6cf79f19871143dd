//! A whole signer before a workstation that lies, a relay that tampers and a person who clicks.
use std::collections::BTreeMap;

use vmux_link::{Bond, Channel};
use vmux_proto::crypto::PureRust;
use vmux_proto::destination::Level;
use vmux_proto::key::PublicKey;
use vmux_proto::limits::{MAX_LOGIN_MS, MAX_SHOWN};
use vmux_proto::message::{
    Hello, Message as _, Number, Process, Reported, RequestId, SignRequest, ToAgent, ToSigner,
    VERSION,
};
use vmux_proto::payload::Payload;
use vmux_proto::signature::verify;
use vmux_proto::{Now, Untrusted};
use vmux_signer::{
    AgentRecord, Decision, Entropy, Identities, Identity, IdentityKind, Input, LinkId, Output,
    PinName, Pins, Prompt, Settings, SignJob, Signer, Subject,
};

use crate::choices::{Choices, flipped};
use crate::link::bonds;
use crate::ssh::{People, Secret};

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
    ends: [End; 2],
    /// What each prompt on the screen showed, and until when it may be answered.
    shown: BTreeMap<RequestId, Shown>,
    /// What each approved request may be signed with.
    approved: BTreeMap<RequestId, Shown>,
    jobs: Vec<SignJob>,
    signatures: u32,
    draws: u64,
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
        );
        let now = Now {
            uptime: 1_000_000,
            wall: 1_800_000_000,
        };
        let mut world = Self {
            people,
            signer,
            now,
            ends,
            shown: BTreeMap::new(),
            approved: BTreeMap::new(),
            jobs: Vec::new(),
            signatures: 0,
            draws: 0,
        };
        world.connect(0);
        world
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        let op = choices.below(20);
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
            18 => match choices.below(4) {
                0 => self.take(Input::Unpair(link)),
                1 => self.say(at, &ToSigner::Unpaired.to_bytes()),
                2 => self.take(Input::Pins(Pins::well_known())),
                _ => self.take(Input::Close),
            },
            _ => self.take(Input::Paired(Box::new(record(u8::from(at == 1))))),
        }
    }

    /// Both ends meet; the answer is mostly an honest one.
    fn connect(&mut self, at: usize) {
        self.ends[at].state = State::Away;
        let link = self.ends[at].bond.id();
        let entropy = Entropy::from_bytes(self.draw());
        self.take(Input::Met(link, entropy));
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
            0 => Decision::Deny,
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
        self.take(Input::Tick);
    }

    fn take(&mut self, input: Input) {
        self.perform(input, Permitted::default());
    }

    fn perform(&mut self, input: Input, permitted: Permitted) {
        self.signer.handle(input, &PureRust, self.now);
        while let Some(output) = self.signer.poll() {
            self.output(output, permitted);
        }
    }

    fn output(&mut self, output: Output, permitted: Permitted) {
        match output {
            Output::Send(link, frame) => self.sent(link, frame, permitted),
            Output::Show(prompt) => self.show(&prompt),
            Output::Withdraw(request, _) => {
                assert!(
                    self.shown.remove(&request).is_some(),
                    "it was on the screen"
                );
            }
            Output::Sign(job) => {
                let request = job.request();
                assert_eq!(permitted.sign, Some(request), "I3: nobody approved this");
                let shown = &self.approved[&request];
                assert_eq!(job.bytes(), shown.request.payload.as_slice());
                self.jobs.push(job);
            }
            Output::Restart(link) => {
                if let Some(end) = self.ends.iter_mut().find(|end| end.bond.id() == link) {
                    end.state = State::Away;
                }
            }
            // Who pairs anew begins anew.
            Output::Forget(link) => self.approved.retain(|_, shown| shown.link != link),
            _ => {}
        }
    }

    fn sent(&mut self, link: LinkId, frame: Vec<u8>, permitted: Permitted) {
        let (now, approved) = (self.now, &mut self.approved);
        let end = self
            .ends
            .iter_mut()
            .find(|end| end.bond.id() == link)
            .expect("a link there is");
        let State::Open(channel) = &mut end.state else {
            end.state = State::Called(frame);
            return;
        };
        let bytes = channel.open(&frame).expect("the next frame");
        let said = ToAgent::from_bytes(&bytes).expect("within its limits");
        if let ToAgent::Signed(request, signature) = said {
            let shown = approved.get(&request).expect("I3: nobody approved this");
            assert_eq!(shown.link, link, "another agent's signature");
            assert!(now.uptime < shown.deadline, "I5: too late");
            let key = PublicKey::parse(&shown.request.key).expect("a key");
            assert_eq!(
                verify(&PureRust, &key, &shown.request.payload, &signature),
                Ok(())
            );
            self.signatures += 1;
            let again = end.asked.get(&request);
            assert!(
                permitted.signed == Some(request)
                    || again.is_some_and(|again| is_same(again, &shown.request)),
                "an old answer is for the same question"
            );
        }
    }

    fn show(&mut self, prompt: &Prompt) {
        let id = prompt.request;
        let end = self
            .ends
            .iter()
            .find(|end| end.bond.id() == prompt.link)
            .expect("a link there is");
        let request = end.asked[&id].clone();
        let key = PublicKey::parse(&request.key).expect("a key");
        let payload = Payload::parse(&request.payload, &key).expect("I2: shown and not understood");
        match (&payload, &prompt.subject) {
            (Payload::Userauth(login), Subject::Login { user }) => assert_eq!(&login.user, user),
            (Payload::SshSig(sig), Subject::Signature { namespace, .. }) => {
                assert_eq!(&Untrusted::new(&sig.namespace), namespace);
                assert!(["git", "file"].contains(&sig.namespace.as_str()));
            }
            (payload, subject) => panic!("{payload:?} shown as {subject:?}"),
        }
        assert!(prompt.deadline > self.now.uptime || request.wait_ms == 0);
        assert!(prompt.deadline <= self.now.uptime + MAX_LOGIN_MS);
        if !matches!(prompt.level, Level::Direct | Level::Local) {
            assert!(prompt.number.is_some(), "one key is too easily pressed");
        }
        let shown = Shown {
            link: prompt.link,
            request,
            deadline: prompt.deadline,
            number: prompt.number,
            blocked: prompt.is_blocked(),
        };
        assert!(self.shown.insert(id, shown).is_none(), "shown twice");
        assert!(
            !self.approved.contains_key(&id),
            "I4: an id that was approved is shown again"
        );
    }

    fn check(&self) {
        for end in &self.ends {
            let link = end.bond.id();
            let shown = self.shown.values().filter(|shown| shown.link == link);
            assert!(shown.count() <= MAX_SHOWN);
        }
        let ends = self.shown.values().map(|shown| shown.deadline).min();
        assert_eq!(self.signer.deadline(), ends, "what is shown has an end");
        assert!(ends.is_none_or(|end| end > self.now.uptime));
    }

    fn request(&self, choices: &mut Choices<'_>) -> SignRequest {
        let id = id(choices);
        let key = self.people.identity(choices).public();
        let payload = self.people.payload(choices, key);
        let chain = self.people.chain(choices);
        let waits = [60_000, 60_000, 60_000, 1_000, 1, 0, u32::MAX];
        SignRequest {
            id,
            key: key.blob().to_vec().into(),
            payload: payload.into(),
            flags: [0, 0, 0, 2, 4, 6, 1, u32::MAX][usize::from(choices.below(8))],
            chain: chain.into_iter().map(Into::into).collect(),
            wait_ms: *choices.one(&waits),
            reported: reported(choices),
        }
    }

    fn change(&self, request: &mut SignRequest, choices: &mut Choices<'_>) {
        match choices.below(8) {
            0 => request.id = id(choices),
            1 => request.payload = flipped(&request.payload, usize::from(choices.byte())).into(),
            2 => {
                let key = self.people.identity(choices).public();
                request.key = key.blob().to_vec().into();
            }
            3 => request.flags ^= 1 << choices.below(32),
            4 => {
                let chain = self.people.chain(choices);
                request.chain = chain.into_iter().map(Into::into).collect();
            }
            5 => request.wait_ms = u32::from(choices.byte()),
            6 => request.reported = reported(choices),
            _ => {}
        }
    }

    fn draw(&mut self) -> [u8; 32] {
        self.draws += 1;
        let mut bytes = [0xd0; 32];
        bytes[..8].copy_from_slice(&self.draws.to_be_bytes());
        bytes
    }
}

/// Whether two requests differ in nothing but how long they wait.
fn is_same(one: &SignRequest, other: &SignRequest) -> bool {
    let one = SignRequest {
        wait_ms: other.wait_ms,
        ..one.clone()
    };
    one == *other
}

fn id(choices: &mut Choices<'_>) -> RequestId {
    RequestId([choices.below(12); 16])
}

fn reported(choices: &mut Choices<'_>) -> Reported {
    match choices.below(3) {
        0 => Reported::default(),
        1 => Reported {
            host: Some(choices.one(&["github.com", "web", "WEB."]).to_string()),
            ..Reported::default()
        },
        _ => Reported {
            host: Some(choices.text()),
            processes: vec![Process {
                pid: 1,
                program: choices.text(),
                command: choices.text(),
            }],
            ..Reported::default()
        },
    }
}

fn record(pairing: u8) -> AgentRecord {
    AgentRecord {
        name: Untrusted::new("workstation"),
        relay: "https://relay.example".into(),
        paired: 0,
        bond: bonds(pairing).1,
    }
}

/// Identities of which the bits of `enabled` hide some.
fn identities(people: &People, hidden: u8) -> Identities {
    let mut identities = Identities::default();
    let all: [(&str, &Secret); 3] = [
        ("one", &people.ours[0]),
        ("two", &people.ours[1]),
        ("off", &people.other),
    ];
    for (at, (label, secret)) in all.into_iter().enumerate() {
        let identity = Identity {
            key: secret.public().clone(),
            label: label.into(),
            enabled: label != "off" && hidden & (1 << at) == 0,
            created: 0,
            kind: IdentityKind::File,
        };
        identities.add(identity).expect("a new identity");
    }
    identities
}

pub(crate) fn hello(kind: &str) -> Hello {
    Hello {
        version: VERSION,
        name: "a name".into(),
        kind: kind.into(),
        software: "test".into(),
        commitment: None,
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

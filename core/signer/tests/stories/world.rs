//! A signer, two workstations paired with it, a person's keys and two clocks.
use crate::ssh::{SESSION, Secret, login_to};
use minicbor::bytes::ByteVec;
use std::collections::BTreeMap;
use vmux_link::{Bond, Channel, Entropy, LinkId, Psk, StaticSecret};
use vmux_proto::audit::{Checker, Entry, Head, Line};
use vmux_proto::binding::Use;
use vmux_proto::crypto::PureRust;
use vmux_proto::key::{Fingerprint, PublicKey};
use vmux_proto::message::{
    Hello, Message as _, Number, Refusal, Reported, RequestId, SignRequest, ToAgent, ToSigner,
    VERSION,
};
use vmux_proto::signature::verify;
use vmux_proto::{Now, Untrusted};
use vmux_signer::{
    AgentRecord, Blocks, Decision, Identities, Identity, IdentityKind, Input, Memory, Output,
    PinName, Pins, Prompt, Settings, SignJob, Signer, Withdrawn,
};

/// The number that [`World::new`]'s dice give, where one is needed.
pub(crate) const NUMBER: &str = "42";
/// Another number.
pub(crate) const WRONG_NUMBER: &str = "43";
/// How long requests wait, in milliseconds.
pub(crate) const WAIT: u32 = 60_000;

/// A paired workstation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    Laptop,
    Server,
}

/// What came out of the signer, with frames opened by the agent they were for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The first message of a handshake.
    Called(Peer),
    Said(Peer, ToAgent),
    Restart(Peer),
    Opened(Peer),
    Shown(Box<Prompt>),
    Withdrawn(RequestId, Withdrawn),
    Sign(Job),
    Refused(Peer, Refusal),
    StorePins,
    StoreBlocks,
    StoreAgents,
    Record(Line),
    Forget(Peer),
}

/// A [`SignJob`] that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) request: RequestId,
    pub(crate) key: PublicKey,
    pub(crate) bytes: Vec<u8>,
    pub(crate) flags: u32,
}

impl From<SignJob> for Job {
    fn from(job: SignJob) -> Self {
        Self {
            request: job.request(),
            key: job.identity().key.clone(),
            bytes: job.bytes().to_vec(),
            flags: job.flags().bits(),
        }
    }
}

/// The agent's end of a link.
pub(crate) struct Agent {
    bond: Bond,
    state: End,
}

enum End {
    Away,
    Called(Vec<u8>),
    Open(Channel),
}

impl Agent {
    pub(crate) fn seal(&mut self, message: &[u8]) -> Vec<u8> {
        let End::Open(channel) = &mut self.state else {
            panic!("the agent is away")
        };
        channel.seal(message).unwrap()
    }

    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.state, End::Open(_))
    }

    pub(crate) fn hang_up(&mut self) {
        self.state = End::Away;
    }

    pub(crate) fn id(&self) -> LinkId {
        self.bond.id()
    }

    /// What this agent knows, to be changed.
    pub(crate) const fn bond(&mut self) -> &mut Bond {
        &mut self.bond
    }

    /// The first message of a handshake that waits for an answer.
    pub(crate) fn called(&self) -> Vec<u8> {
        let End::Called(message) = &self.state else {
            panic!("nobody called")
        };
        message.clone()
    }
}

pub(crate) struct World {
    pub(crate) signer: Signer,
    pub(crate) now: Now,
    /// Where the numbers of requests come from.
    pub(crate) dice: [u8; 4],
    pub(crate) laptop: Agent,
    pub(crate) server: Agent,
    pub(crate) ed25519: Secret,
    pub(crate) p256: Secret,
    /// An identity that is there but disabled.
    pub(crate) disabled: Secret,
    /// All that came out of the last input.
    pub(crate) trace: Vec<Event>,
    pub(crate) file: File,
    /// The lines in the file.
    pub(crate) log: Vec<Line>,
    draws: u64,
}

/// How the file of the log takes lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum File {
    /// At once.
    Good,
    /// Not yet.
    Slow,
    /// Not at all.
    Full,
}

impl Event {
    fn is_aside(&self) -> bool {
        let is_said = |message: &ToAgent| match message {
            ToAgent::Approved(_) | ToAgent::Remembers(_) | ToAgent::Log(_) => true,
            ToAgent::Blocks(blocks) => blocks.is_empty(),
            _ => false,
        };
        match self {
            Self::Record(_) => true,
            Self::Said(_, message) => is_said(message),
            _ => false,
        }
    }
}

impl World {
    /// Three identities, no pins, both workstations connected.
    pub(crate) fn new() -> Self {
        let mut world = Self::offline();
        world.connect(Peer::Laptop);
        world.connect(Peer::Server);
        world
    }

    /// The same before anybody is connected.
    pub(crate) fn offline() -> Self {
        let (laptop, laptop_record) = paired(0x10, "laptop");
        let (server, server_record) = paired(0x20, "server");
        let (ed25519, p256) = (Secret::ed25519(1), Secret::p256(2));
        let disabled = Secret::ed25519(3);
        let mut identities = Identities::default();
        identities.add(identity("main", &ed25519)).unwrap();
        identities.add(identity("work", &p256)).unwrap();
        identities.add(identity("old", &disabled)).unwrap();
        identities.disable("old").unwrap();
        let signer = Signer::new(
            hello("terminal"),
            Settings::default(),
            identities,
            Pins::default(),
            vec![laptop_record, server_record],
            Memory::EMPTY,
        );
        let now = Now {
            uptime: 1_000_000,
            wall: 1_800_000_000,
        };
        let dice = [0, 0, 0, 32];
        Self {
            signer,
            now,
            dice,
            laptop,
            server,
            ed25519,
            p256,
            disabled,
            trace: Vec::new(),
            file: File::Good,
            log: Vec::new(),
            draws: 0,
        }
    }

    pub(crate) fn agent(&mut self, peer: Peer) -> &mut Agent {
        match peer {
            Peer::Laptop => &mut self.laptop,
            Peer::Server => &mut self.server,
        }
    }

    pub(crate) fn link(&self, peer: Peer) -> LinkId {
        match peer {
            Peer::Laptop => self.laptop.bond.id(),
            Peer::Server => self.server.bond.id(),
        }
    }

    /// Gives the signer one input; gives what comes out but for what goes into the log and what is said
    /// of it, which is in [`Self::trace`] besides.
    pub(crate) fn handle(&mut self, input: Input) -> Vec<Event> {
        self.signer.handle(input, &PureRust, self.now);
        self.trace.clear();
        while let Some(output) = self.signer.poll() {
            let event = self.event(output);
            if let Event::Record(line) = &event {
                let line = line.clone();
                self.record(line);
            }
            self.trace.push(event);
        }
        self.trace
            .iter()
            .filter(|event| !event.is_aside())
            .cloned()
            .collect()
    }

    /// The file takes a line, or does not.
    fn record(&mut self, line: Line) {
        let stored = match self.file {
            File::Slow => return,
            File::Full => Input::NotRecorded,
            File::Good => {
                let lines = line.after.lines;
                assert_eq!(
                    line.before,
                    self.log.last().map_or(Head::EMPTY, |last| last.after)
                );
                self.log.push(line);
                Input::Recorded(lines)
            }
        };
        self.signer.handle(stored, &PureRust, self.now);
    }

    /// The records in the file.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let mut checker = Checker::new();
        let lines = self.log.iter();
        lines
            .map(|line| checker.line(&line.bytes).unwrap())
            .collect()
    }

    /// The names of the records in the file that are about requests, and why.
    pub(crate) fn story(&self) -> Vec<String> {
        let told = |entry: Entry| match (entry.count, entry.reason) {
            (Some(count), _) => format!("{} {count}", entry.event.name()),
            (None, Some(reason)) => format!("{} {reason}", entry.event.name()),
            (None, None) => entry.event.name().to_owned(),
        };
        self.entries().into_iter().map(told).collect()
    }

    /// The program is started again with what is stored: the log, the blocks and the agents.
    pub(crate) fn restart(&mut self) {
        let agents = self.signer.agents().map(|(record, _)| record);
        let agents = AgentRecord::list_to_bytes(agents);
        let mut heads = BTreeMap::new();
        for entry in self.entries() {
            if let (Some(link), Some(head)) = (entry.link, entry.other_log) {
                heads.insert(LinkId::parse(&link).unwrap(), Head::parse(&head).unwrap());
            }
        }
        let memory = Memory {
            log: self.log.last().map_or(Head::EMPTY, |last| last.after),
            heads,
            blocks: Blocks::from_bytes(&self.signer.blocks().to_bytes()).unwrap(),
        };
        self.signer = Signer::new(
            hello("terminal"),
            Settings::default(),
            self.identities(),
            self.signer.pins().clone(),
            AgentRecord::list_from_bytes(&agents).unwrap(),
            memory,
        );
        self.laptop.hang_up();
        self.server.hang_up();
    }

    fn identities(&self) -> Identities {
        let mut identities = Identities::default();
        let [main, work, old] = [&self.ed25519, &self.p256, &self.disabled];
        identities.add(identity("main", main)).unwrap();
        identities.add(identity("work", work)).unwrap();
        identities.add(identity("old", old)).unwrap();
        identities.disable("old").unwrap();
        identities
    }

    fn event(&mut self, output: Output) -> Event {
        match output {
            Output::Send(link, frame) => {
                let peer = self.peer(link);
                let agent = self.agent(peer);
                if let End::Open(channel) = &mut agent.state {
                    let message = channel.open(&frame).unwrap();
                    Event::Said(peer, ToAgent::from_bytes(&message).unwrap())
                } else {
                    agent.state = End::Called(frame);
                    Event::Called(peer)
                }
            }
            Output::Restart(link) => Event::Restart(self.peer(link)),
            Output::Opened(link) => Event::Opened(self.peer(link)),
            Output::Show(prompt) => Event::Shown(prompt),
            Output::Withdraw(request, why) => Event::Withdrawn(request, why),
            Output::Sign(job) => Event::Sign(job.into()),
            Output::Refused(link, refusal) => Event::Refused(self.peer(link), refusal),
            Output::StorePins => Event::StorePins,
            Output::StoreBlocks => Event::StoreBlocks,
            Output::StoreAgents => Event::StoreAgents,
            Output::Record(line) => Event::Record(line),
            Output::Forget(link) => Event::Forget(self.peer(link)),
        }
    }

    fn peer(&self, link: LinkId) -> Peer {
        if link == self.link(Peer::Laptop) {
            Peer::Laptop
        } else {
            Peer::Server
        }
    }

    /// Bytes never drawn before.
    pub(crate) fn draw(&mut self) -> [u8; 32] {
        self.draws += 1;
        let mut bytes = [0xd0; 32];
        bytes[..8].copy_from_slice(&self.draws.to_be_bytes());
        bytes
    }

    /// Both ends meet and shake hands.
    pub(crate) fn connect(&mut self, peer: Peer) -> Vec<Event> {
        let mut events = self.call(peer);
        let answer = self.answer(peer, &hello("agent"));
        events.extend(self.frame(peer, &answer));
        events
    }

    /// Both ends meet; the signer has sent its first message.
    pub(crate) fn call(&mut self, peer: Peer) -> Vec<Event> {
        self.agent(peer).state = End::Away;
        let entropy = Entropy::from_bytes(self.draw());
        self.handle(Input::Met(self.link(peer), entropy))
    }

    /// The agent's answer to [`Self::call`].
    pub(crate) fn answer(&mut self, peer: Peer, hello: &Hello) -> Vec<u8> {
        let entropy = Entropy::from_bytes(self.draw());
        let agent = self.agent(peer);
        let message = agent.called();
        let (channel, _, answer) = agent
            .bond
            .answer(entropy, &message, &hello.to_bytes())
            .unwrap();
        agent.state = End::Open(channel);
        answer
    }

    pub(crate) fn disconnect(&mut self, peer: Peer) -> Vec<Event> {
        self.agent(peer).state = End::Away;
        self.handle(Input::Left(self.link(peer)))
    }

    pub(crate) fn frame(&mut self, peer: Peer, frame: &[u8]) -> Vec<Event> {
        self.handle(Input::Frame(self.link(peer), frame.to_vec(), self.dice))
    }

    pub(crate) fn say(&mut self, peer: Peer, message: &ToSigner) -> Vec<Event> {
        let frame = self.agent(peer).seal(&message.to_bytes());
        self.frame(peer, &frame)
    }

    pub(crate) fn ask(&mut self, peer: Peer, request: &SignRequest) -> Vec<Event> {
        self.say(peer, &ToSigner::Sign(request.clone()))
    }

    /// Asks, and expects that the person is shown the request.
    pub(crate) fn shown(&mut self, peer: Peer, request: &SignRequest) -> Prompt {
        let events = self.ask(peer, request);
        let Some(Event::Shown(prompt)) = events.last() else {
            panic!("{events:?}")
        };
        let mut expected = vec![Event::Said(peer, ToAgent::Received(request.id))];
        if let Some(number) = prompt.number {
            expected.push(Event::Said(peer, ToAgent::ShowNumber(request.id, number)));
        }
        expected.push(Event::Shown(prompt.clone()));
        assert_eq!(events, expected);
        assert_eq!((prompt.request, prompt.link), (request.id, self.link(peer)));
        (**prompt).clone()
    }

    /// Asks, and expects a refusal without a prompt.
    pub(crate) fn refused(&mut self, peer: Peer, request: &SignRequest) -> Refusal {
        let events = self.ask(peer, request);
        let [Event::Refused(_, refusal), _] = events.as_slice() else {
            panic!("{events:?}")
        };
        let said = Event::Said(peer, ToAgent::Refused(request.id, *refusal));
        assert_eq!(events, [Event::Refused(peer, *refusal), said]);
        *refusal
    }

    pub(crate) fn decide(&mut self, request: RequestId, decision: Decision) -> Vec<Event> {
        self.handle(Input::Decided(request, decision))
    }

    /// Decides, and expects that the key is asked for a signature.
    pub(crate) fn approved(&mut self, request: RequestId, decision: Decision) -> Job {
        let events = self.decide(request, decision);
        let [Event::Sign(job)] = events.as_slice() else {
            panic!("{events:?}")
        };
        assert_eq!(job.request, request);
        job.clone()
    }

    /// The key makes the signature.
    pub(crate) fn sign(&mut self, job: &Job) -> Vec<Event> {
        let signature = self.secret(&job.key).sign(&job.bytes);
        self.handle(Input::Signed(job.request, Some(signature)))
    }

    /// Asks and approves; the key fails.
    pub(crate) fn approve_and_fail(&mut self, peer: Peer, request: &SignRequest) {
        let prompt = self.shown(peer, request);
        self.approved(request.id, yes(prompt.number));
        self.handle(Input::Signed(request.id, None));
    }

    pub(crate) fn secret(&self, key: &PublicKey) -> &Secret {
        [&self.ed25519, &self.p256, &self.disabled]
            .into_iter()
            .find(|secret| secret.public().same_key(key))
            .unwrap()
    }

    /// Asks, approves as the prompt demands, signs; gives the signature the agent got.
    pub(crate) fn signed(&mut self, peer: Peer, request: &SignRequest) -> Vec<u8> {
        let prompt = self.shown(peer, request);
        let job = self.approved(request.id, yes(prompt.number));
        let events = self.sign(&job);
        let signature = events
            .iter()
            .find_map(|event| match event {
                Event::Said(to, ToAgent::Signed(id, signature)) => {
                    assert_eq!((*to, *id), (peer, request.id));
                    Some(signature.to_vec())
                }
                _ => None,
            })
            .unwrap();
        assert_eq!(
            verify(&PureRust, &job.key, &request.payload, &signature),
            Ok(())
        );
        signature
    }

    /// The person has logged in to `host` before and calls it `name`.
    pub(crate) fn knows(&mut self, host: &Secret, name: &str) {
        let request = self.direct(0xee, host);
        let request = SignRequest {
            id: RequestId(self.draw()[..16].try_into().unwrap()),
            ..request
        };
        let prompt = self.shown(Peer::Laptop, &request);
        let job = self.approved(request.id, yes_and_call_it(prompt.number, name));
        self.sign(&job);
    }

    /// Lets time pass on both clocks, and tells the signer.
    pub(crate) fn tick(&mut self, milliseconds: u64) -> Vec<Event> {
        self.pass(milliseconds);
        self.handle(Input::Tick)
    }

    /// Lets time pass on both clocks, unnoticed.
    pub(crate) const fn pass(&mut self, milliseconds: u64) {
        self.now.uptime += milliseconds;
        self.now.wall += milliseconds / 1000;
    }

    /// A request of the Ed25519 identity.
    pub(crate) fn request(&self, id: u8, payload: Vec<u8>, chain: Vec<Vec<u8>>) -> SignRequest {
        request(id, &self.ed25519.public(), payload, chain)
    }

    /// A login as `deploy` to a host reached directly, as OpenSSH asks for it.
    pub(crate) fn direct(&self, id: u8, host: &Secret) -> SignRequest {
        let payload = login_to(&host.public(), SESSION, "deploy", &self.ed25519.public());
        self.request(id, payload, vec![host.binding(SESSION, Use::Login)])
    }

    pub(crate) fn pinned(&self) -> Vec<(String, Fingerprint)> {
        let pins = self.signer.pins().all().iter();
        pins.map(|pin| (pin.name.as_str().to_owned(), pin.fingerprint))
            .collect()
    }
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

pub(crate) fn identity(label: &str, secret: &Secret) -> Identity {
    Identity {
        key: secret.public(),
        label: label.into(),
        enabled: true,
        created: 1_700_000_000,
        kind: IdentityKind::File,
    }
}

pub(crate) fn request(
    id: u8,
    key: &PublicKey,
    payload: Vec<u8>,
    chain: Vec<Vec<u8>>,
) -> SignRequest {
    SignRequest {
        id: RequestId([id; 16]),
        key: ByteVec::from(key.blob().to_vec()),
        payload: ByteVec::from(payload),
        flags: 0,
        chain: chain.into_iter().map(ByteVec::from).collect(),
        wait_ms: WAIT,
        reported: Reported::default(),
    }
}

/// Yes, with the number that a prompt demands.
pub(crate) const fn yes(number: Option<Number>) -> Decision {
    Decision::Approve { number, name: None }
}

pub(crate) fn yes_and_call_it(number: Option<Number>, name: &str) -> Decision {
    Decision::Approve {
        number,
        name: Some(PinName::parse(name).unwrap()),
    }
}

pub(crate) fn number(text: &str) -> Option<Number> {
    let number = Number::parse(text);
    assert!(number.is_some(), "{text}");
    number
}

/// Both ends of a pairing.
pub(crate) fn paired(seed: u8, name: &str) -> (Agent, AgentRecord) {
    let secret = |offset| StaticSecret::from_bytes([seed + offset; 32]);
    let bond = |own: StaticSecret, peer: StaticSecret| Bond {
        own,
        peer: peer.public(),
        psk: Psk::from_bytes([seed + 2; 32]),
        mailbox: [seed + 3; 16],
    };
    let agent = Agent {
        bond: bond(secret(0), secret(1)),
        state: End::Away,
    };
    let record = AgentRecord {
        name: Untrusted::new(name),
        relay: "http://127.0.0.1:7000".into(),
        paired: 1_700_000_000,
        bond: bond(secret(1), secret(0)),
        suspended: false,
    };
    (agent, record)
}

//! The simulated world: one agent, two phones, clients, a relay, and a clock.
use crate::client::Client;
use crate::dice::Dice;
use crate::file::File;
use crate::ledger::{Approval, Asked, Belief, Effects, Job, Ledger, Place, Released, Spoilt};
use crate::phone::{Phone, hello};
use crate::relay::{Arrival, Connection, Mailbox, Side};
use crate::ssh::Secret;
use std::collections::BTreeMap;
use vmux_broker::{
    Answer, Asked as Question, Broker, ClientId, Denial, Ended, Entropy, Event, Input, Limits,
    LinkId, Output, PhoneRecord, Reach, Step,
};
use vmux_proto::Now;
use vmux_proto::audit::{self, Checker, Head};
use vmux_proto::crypto::PureRust;
use vmux_proto::message::{Number, Origin, Reported, RequestId};
use vmux_signer::{After, Decision, PinName, SignJob, Withdrawn};

pub(crate) struct World {
    pub(crate) now: Now,
    pub(crate) dice: Dice,
    pub(crate) broker: Broker,
    /// The agent's log.
    pub(crate) file: File,
    disk: Vec<u8>,
    /// The agent's connections, one for each phone.
    pub(crate) connections: Vec<Connection>,
    pub(crate) phones: Vec<Phone>,
    pub(crate) mailboxes: Vec<Mailbox>,
    pub(crate) clients: BTreeMap<u64, Client>,
    pub(crate) hosts: Vec<Secret>,
    /// The numbers the workstation shows.
    numbers: BTreeMap<RequestId, Number>,
    pub(crate) ledger: Ledger,
    arrived: u64,
    ready: Vec<u64>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let keys = |seeds: [u8; 2]| seeds.map(Secret::new).into();
        let (first, first_record) = Phone::paired(0x10, keys([1, 2]));
        let (second, second_record) = Phone::paired(0x20, keys([1, 3]));
        let records = [first_record, second_record];
        let disk = PhoneRecord::list_to_bytes(&records).to_vec();
        Self {
            now: Now {
                uptime: 1_000_000,
                wall: 1_800_000_000,
            },
            dice: Dice::new(seed),
            broker: Broker::new(
                hello("workstation"),
                Limits::default(),
                records.into(),
                Head::EMPTY,
            ),
            file: File::new(),
            disk,
            connections: vec![Connection::default(), Connection::default()],
            phones: vec![first, second],
            mailboxes: vec![Mailbox::default(), Mailbox::default()],
            clients: BTreeMap::new(),
            hosts: [51, 52, 53].map(Secret::new).into(),
            numbers: BTreeMap::new(),
            ledger: Ledger::default(),
            arrived: 0,
            ready: Vec::new(),
        }
    }

    // What the world does.

    /// A program connects and says all it wants; gives its number.
    pub(crate) fn client_arrives(&mut self, key: &Secret) -> u64 {
        self.arrived += 1;
        let age = if self.dice.percent(20) {
            self.dice.between(0, 120_000)
        } else {
            0
        };
        let connected = self.now.uptime - age;
        let client = Client::new(&key.public(), &self.hosts, connected, &mut self.dice);
        self.clients.insert(self.arrived, client);
        self.ready.push(self.arrived);
        self.serve();
        self.arrived
    }

    pub(crate) fn client_leaves(&mut self, client: u64) {
        self.clients.remove(&client);
        self.agent(Input::Gone(ClientId(client)));
    }

    pub(crate) fn pass(&mut self, milliseconds: u64) {
        self.now.uptime += milliseconds;
        self.now.wall += milliseconds / 1000;
    }

    pub(crate) fn tick(&mut self) {
        self.agent(Input::Tick);
        for phone in 0..self.phones.len() {
            self.signer(phone, vmux_signer::Input::Tick);
        }
    }

    /// An end connects to its mailbox, if it knows of it and is not there.
    pub(crate) fn sit(&mut self, phone: usize, side: Side) {
        if self.knows(phone, side) && !self.mailboxes[phone].is_seated(side) {
            self.mailboxes[phone].sit(side);
        }
    }

    /// An end's connection breaks, and it notices.
    pub(crate) fn break_connection(&mut self, phone: usize, side: Side) {
        if !self.mailboxes[phone].is_seated(side) {
            return;
        }
        self.mailboxes[phone].leave(side);
        let link = self.phones[phone].link;
        match side {
            Side::Agent => {
                self.connections[phone].gone();
                let down = self.dice.percent(50);
                self.agent(if down {
                    Input::RelayDown(link)
                } else {
                    Input::Left(link)
                });
            }
            Side::Signer => {
                self.phones[phone].connection.gone();
                self.signer(phone, vmux_signer::Input::Left(link));
            }
        }
    }

    /// The next thing in an inbox arrives.
    pub(crate) fn deliver(&mut self, phone: usize, side: Side) {
        let Some(arrival) = self.mailboxes[phone].deliver(side) else {
            return;
        };
        match side {
            Side::Agent => self.deliver_to_agent(phone, arrival),
            Side::Signer => self.deliver_to_signer(phone, arrival),
        }
    }

    fn deliver_to_agent(&mut self, phone: usize, arrival: Arrival) {
        let link = self.phones[phone].link;
        let connection = &mut self.connections[phone];
        match arrival {
            Arrival::Met(meeting) => {
                connection.met(meeting);
                self.agent(Input::Met(link));
            }
            Arrival::Left => {
                connection.gone();
                self.agent(Input::Left(link));
            }
            Arrival::Frame(sealed) => {
                let over = connection.meeting.is_none();
                let first = connection.in_step == 0 && !connection.spoilt;
                let call = sealed.from == Side::Signer && sealed.index == 0 && sealed.genuine;
                let place = if connection.takes(Side::Agent, &sealed) {
                    Place::InStep
                } else if first && call && connection.meeting.is_some() {
                    // It is answered, on a channel that nobody shares.
                    connection.spoilt = true;
                    Place::RecordedCall
                } else if over {
                    Place::AfterTheEnd
                } else {
                    Place::Astray
                };
                let entropy = Entropy::from_bytes(self.dice.bytes());
                let effects = self.agent(Input::Frame(link, sealed.bytes, entropy));
                self.judge(place, effects);
            }
        }
    }

    fn deliver_to_signer(&mut self, phone: usize, arrival: Arrival) {
        use vmux_signer::Input;
        let link = self.phones[phone].link;
        let connection = &mut self.phones[phone].connection;
        match arrival {
            Arrival::Met(meeting) => {
                connection.met(meeting);
                let entropy = Entropy::from_bytes(self.dice.bytes());
                self.signer(phone, Input::Met(link, entropy));
            }
            Arrival::Left => {
                connection.gone();
                self.signer(phone, Input::Left(link));
            }
            Arrival::Frame(sealed) => {
                let in_step = connection.takes(Side::Signer, &sealed);
                let place = if in_step {
                    Place::InStep
                } else {
                    Place::Astray
                };
                let random = self.dice.bytes();
                let effects = self.signer(phone, Input::Frame(link, sealed.bytes, random));
                self.judge(place, effects);
            }
        }
    }

    fn judge(&mut self, place: Place, effects: Effects) {
        if place == Place::InStep {
            assert!(!effects.restarted, "a good frame was taken for a bad one");
        } else {
            self.ledger.spoilt.push(Spoilt { place, effects });
        }
    }

    /// The person looks at the screen and does something.
    pub(crate) fn person_acts(&mut self, phone: usize) {
        let screen: Vec<RequestId> = self.phones[phone].screen.keys().copied().collect();
        let Some(&request) = self.dice.pick(&screen) else {
            // A finger that comes too late.
            if let Some(&request) = self.dice.pick(&self.phones[phone].stale) {
                let decision = Decision::Approve {
                    number: self.number(request),
                    name: None,
                };
                self.signer(phone, vmux_signer::Input::Decided(request, decision));
            }
            return;
        };
        match self.dice.below(10) {
            0 | 1 => self.deny(phone, request),
            2 => {
                let number = Some(Number::pick(self.dice.bytes()));
                self.approve(phone, request, number);
            }
            _ => self.approve(phone, request, self.number(request)),
        }
    }

    /// The number that the workstation shows for a request.
    pub(crate) fn number(&self, request: RequestId) -> Option<Number> {
        self.numbers.get(&request).copied()
    }

    fn deny(&mut self, phone: usize, request: RequestId) {
        self.signer(
            phone,
            vmux_signer::Input::Decided(request, Decision::Deny(After::Nothing)),
        );
    }

    /// Yes to what is on the screen, sometimes with two taps; it stays one approval.
    pub(crate) fn approve(&mut self, phone: usize, request: RequestId, number: Option<Number>) {
        let prompt = self.phones[phone].screen.remove(&request).unwrap();
        self.phones[phone].stale.push(request);
        if prompt.number.is_none() || prompt.number == number {
            self.ledger.approvals.push(Approval {
                phone,
                prompt,
                at: self.now.uptime,
            });
        }
        let named = self.dice.percent(30);
        let name = named.then(|| PinName::parse(&format!("host-{}", self.dice.below(4))).unwrap());
        for _ in 0..=u8::from(self.dice.percent(20)) {
            let decision = Decision::Approve {
                number,
                name: name.clone(),
            };
            self.signer(phone, vmux_signer::Input::Decided(request, decision));
        }
    }

    /// A key makes the signature it was asked for, if it does not fail.
    pub(crate) fn key_signs(&mut self, phone: usize) {
        if self.phones[phone].jobs.is_empty() {
            return;
        }
        let job = self.phones[phone].jobs.remove(0);
        let signature = match self.dice.below(10) {
            0 => None,
            1 => Some(self.sign(phone, &job, b"other bytes")),
            _ => Some(self.sign(phone, &job, job.bytes())),
        };
        self.signer(phone, vmux_signer::Input::Signed(job.request(), signature));
    }

    /// All keys make the signatures they were asked for.
    pub(crate) fn keys_sign(&mut self, phone: usize) {
        for job in std::mem::take(&mut self.phones[phone].jobs) {
            let signature = self.sign(phone, &job, job.bytes());
            self.signer(
                phone,
                vmux_signer::Input::Signed(job.request(), Some(signature)),
            );
        }
    }

    fn sign(&self, phone: usize, job: &SignJob, bytes: &[u8]) -> Vec<u8> {
        let mut keys = self.phones[phone].keys.iter();
        let key = keys
            .find(|key| key.public().same_key(&job.identity().key))
            .unwrap();
        key.sign(bytes)
    }

    pub(crate) fn identities_change(&mut self, phone: usize) {
        let identities = self.phones[phone].toggle_last_key();
        self.signer(phone, vmux_signer::Input::Identities(identities));
    }

    pub(crate) fn unpair(&mut self, phone: usize, side: Side) {
        let link = self.phones[phone].link;
        match side {
            Side::Agent => drop(self.agent(Input::Unpair(link))),
            Side::Signer => drop(self.signer(phone, vmux_signer::Input::Unpair(link))),
        }
    }

    /// The agent is killed and started with what it had stored.
    pub(crate) fn restart_agent(&mut self) {
        let records = PhoneRecord::list_from_bytes(&self.disk).unwrap();
        self.broker = Broker::new(
            hello("workstation"),
            Limits::default(),
            records,
            self.file.restart(),
        );
        self.clients.clear();
        self.numbers.clear();
        for (mailbox, connection) in self.mailboxes.iter_mut().zip(&mut self.connections) {
            mailbox.leave(Side::Agent);
            connection.gone();
        }
    }

    pub(crate) fn restart_phone(&mut self, phone: usize) {
        self.mailboxes[phone].leave(Side::Signer);
        self.phones[phone].restart();
    }

    // What there is to see.

    /// Whether an end has a record of the link.
    pub(crate) fn knows(&self, phone: usize, side: Side) -> bool {
        let link = self.phones[phone].link;
        match side {
            Side::Agent => self.broker.phones().any(|record| record.id() == link),
            Side::Signer => self.phones[phone].is_paired(),
        }
    }

    pub(crate) fn is_connected(&self, phone: usize) -> bool {
        let link = self.phones[phone].link;
        let status = self.broker.status();
        status
            .phones
            .iter()
            .any(|phone| phone.id == link && phone.reach == Reach::Connected)
    }

    // How the minds are run.

    fn agent(&mut self, input: Input) -> Effects {
        let effects = self.agent_alone(input);
        // Most of the time the disk is quick.
        if self.dice.percent(85) {
            self.log_is_written();
        } else {
            self.file.wait();
        }
        self.serve();
        effects
    }

    /// The disk has taken all lines of the agent's log.
    pub(crate) fn log_is_written(&mut self) {
        while let Some(lines) = self.file.write() {
            self.agent_alone(Input::Recorded(lines));
        }
    }

    /// The disk takes some lines of the agent's log, and is full.
    pub(crate) fn log_fails(&mut self) {
        if let Some(lines) = self.file.write_half() {
            self.agent_alone(Input::Recorded(lines));
        }
        self.file.lose();
        self.agent_alone(Input::NotRecorded);
        self.serve();
    }

    fn agent_alone(&mut self, input: Input) -> Effects {
        self.broker.handle(input, &PureRust, self.now);
        let mut effects = Effects::default();
        while let Some(output) = self.broker.poll() {
            self.perform(output, &mut effects);
        }
        effects
    }

    fn perform(&mut self, output: Output, effects: &mut Effects) {
        match output {
            Output::Answer(client, answer) => self.answer(client, answer, effects),
            Output::Send(link, frame) => {
                let phone = self.phone(link);
                self.note_sealed(&frame);
                self.mailboxes[phone].send(Side::Agent, &self.connections[phone], frame);
            }
            Output::Restart(link) => {
                self.hang_up(link);
                effects.restarted = true;
            }
            Output::Disconnect(link) => self.hang_up(link),
            Output::Connect(link) => panic!("nobody paired {link}"),
            Output::Store => {
                self.disk = self.broker.phones_to_bytes().to_vec();
                effects.belief = Belief::Something;
            }
            Output::Stretch(..) => panic!("nobody locks"),
            Output::Record(line) => {
                if self.file.take(line) == audit::Event::Approved {
                    effects.belief = Belief::Something;
                }
            }
            Output::Prove(link, head) => {
                let proof = self.file.growth(head);
                self.broker
                    .handle(Input::Proof(link, proof), &PureRust, self.now);
            }
            Output::Event(event) => self.notice(event, effects),
        }
    }

    fn hang_up(&mut self, link: LinkId) {
        let phone = self.phone(link);
        self.mailboxes[phone].leave(Side::Agent);
        self.connections[phone].gone();
    }

    fn notice(&mut self, event: Event, effects: &mut Effects) {
        match event {
            Event::Asked(shown) => {
                let waiting = shown.waiting;
                let client = self.clients.get_mut(&shown.client.0).unwrap();
                client.waiting = Some(waiting.id);
                let until = (self.now.uptime + 60_000).min(client.connected + 100_000);
                let asked = Asked {
                    client: shown.client,
                    truth: client.truth.clone(),
                    level: waiting.level,
                    host: waiting.host_key,
                    hops: waiting.hops,
                    until,
                };
                let known = self.ledger.asked.insert(waiting.id, asked);
                assert!(known.is_none(), "an id was given twice");
            }
            Event::Number(shown, number) => {
                self.numbers.insert(shown.waiting.id, number);
                effects.belief = Belief::Something;
            }
            Event::Ended(_, ended) => {
                let own = Ended::Denied;
                // These the agent decides alone.
                let alone = [
                    own(Denial::TimedOut),
                    own(Denial::Unreachable),
                    own(Denial::Cancelled),
                ];
                if !alone.contains(&ended) {
                    effects.belief = Belief::Something;
                }
            }
            // It goes out as soon as there is a channel, whoever may be at its other end.
            Event::Refused(..) | Event::Away(..) | Event::Sent(_) => {}
            Event::Received(_)
            | Event::Connected(..)
            | Event::Paired(..)
            | Event::Unpaired(..)
            | Event::Identities(..)
            | Event::Locking(_)
            | Event::Approved(_)
            | Event::Questioned(..) => effects.belief = Belief::Something,
        }
    }

    fn answer(&mut self, id: ClientId, answer: Answer, effects: &mut Effects) {
        let Some(client) = self.clients.get_mut(&id.0) else {
            return;
        };
        if let Answer::Signature(signature) = &answer {
            self.ledger.released.push(Released {
                client: id,
                on_record: client.waiting.is_some_and(|id| self.file.has_approval(id)),
                request: client.waiting.take(),
                truth: client.truth.clone(),
                signature: signature.blob().to_vec(),
                at: self.now.uptime,
            });
            effects.belief = Belief::Something;
        }
        let reply = client.conversation.answer(answer);
        assert!(reply.len() > 4);
        client.replies += 1;
        self.ready.push(id.0);
    }

    /// Lets clients whose turn it is go on.
    fn serve(&mut self) {
        while let Some(id) = self.ready.pop() {
            let Some(client) = self.clients.get_mut(&id) else {
                continue;
            };
            let connected = client.connected;
            match client.conversation.next(&PureRust).unwrap() {
                Step::Read => {}
                Step::Write(_) | Step::Refuse(..) | Step::NotServed(..) => {
                    client.replies += 1;
                    self.ready.push(id);
                }
                Step::Ask(ask) => {
                    let random = self.dice.bytes();
                    self.agent_alone(Input::Ask(Question {
                        client: ClientId(id),
                        began: connected,
                        ask,
                        random,
                        reported: from_program(id),
                        known_hosts: None,
                    }));
                }
            }
        }
    }

    fn signer(&mut self, phone: usize, input: vmux_signer::Input) -> Effects {
        self.phones[phone].signer.handle(input, &PureRust, self.now);
        let mut effects = Effects::default();
        while let Some(output) = self.phones[phone].signer.poll() {
            self.perform_on_phone(phone, output, &mut effects);
        }
        effects
    }

    fn perform_on_phone(&mut self, at: usize, output: vmux_signer::Output, effects: &mut Effects) {
        use vmux_signer::Output;
        let phone = &mut self.phones[at];
        match output {
            Output::Send(_, frame) => {
                self.mailboxes[at].send(Side::Signer, &phone.connection, frame.clone());
                self.note_sealed(&frame);
                return;
            }
            Output::Restart(_) => {
                phone.connection.gone();
                self.mailboxes[at].leave(Side::Signer);
                effects.restarted = true;
                return;
            }
            Output::Withdraw(request, why) => {
                phone.screen.remove(&request);
                phone.stale.push(request);
                if matches!(why, Withdrawn::Disconnected | Withdrawn::Refused(_)) {
                    return;
                }
            }
            Output::Opened(_) | Output::Refused(..) => {}
            Output::Show(prompt) => {
                self.ledger.shown.push((at, (*prompt).clone()));
                phone.screen.insert(prompt.request, *prompt);
            }
            Output::Sign(job) => {
                self.ledger.jobs.push(Job {
                    phone: at,
                    request: job.request(),
                    key: job.identity().key.fingerprint(),
                    bytes: job.bytes().to_vec(),
                    at: self.now.uptime,
                });
                phone.jobs.push(job);
            }
            Output::StorePins => phone.store_pins(),
            Output::StoreAgents => phone.store_agents(),
            Output::StoreBlocks => panic!("nobody blocks"),
            Output::Record(line) => {
                phone.record(&line);
                let stored = vmux_signer::Input::Recorded(line.after.lines);
                phone.signer.handle(stored, &PureRust, self.now);
                let alone = [
                    audit::Event::TimedOut,
                    audit::Event::Cancelled,
                    audit::Event::Refused,
                ];
                let entry = Checker::after(line.before).line(&line.bytes).unwrap();
                if alone.contains(&entry.event) {
                    return;
                }
            }
            Output::Forget(_) => {
                phone.store_agents();
                phone.connection.gone();
                self.mailboxes[at].leave(Side::Signer);
            }
        }
        effects.belief = Belief::Something;
    }

    fn note_sealed(&mut self, frame: &[u8]) {
        if !self.ledger.sealed.insert(frame.to_vec()) {
            self.ledger.repeated += 1;
        }
    }

    fn phone(&self, link: LinkId) -> usize {
        self.phones
            .iter()
            .position(|phone| phone.link == link)
            .unwrap()
    }
}

/// Every fifth client works for the same program.
fn from_program(client: u64) -> Reported {
    let name = if client.is_multiple_of(5) {
        "make".into()
    } else {
        format!("program {client}")
    };
    Reported {
        origin: Some(Origin {
            pid: 1,
            started: 1,
            name,
        }),
        ..Reported::default()
    }
}

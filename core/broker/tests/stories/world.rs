//! A broker, two phones paired with it, clients, and a clock.
use crate::phone::{Heard, Phone, announced, hello, paired};
use crate::ssh::{SESSION, Secret, ask_for_login_in};
use std::collections::VecDeque;
use vmux_broker::{
    Answer, Ask, Asked, Broker, ClientId, Denial, Ended, Entropy, Event, Input, Job, Limits,
    LinkId, Locking, Output, Passphrase, PhoneRecord, Reach, stretch,
};
use vmux_proto::Now;
use vmux_proto::audit::{self, Checker, Entry, Head, Line, Storing};
use vmux_proto::crypto::PureRust;
use vmux_proto::message::{
    Hello, Message as _, Number, Origin, Refusal, Reported, RequestId, SignRequest, ToAgent,
    ToSigner,
};

/// The phone that offers `main` and `work`.
pub(crate) const PIXEL: usize = 0;
/// The phone that offers `main` and `spare`.
pub(crate) const TABLET: usize = 1;

/// What came out of the broker, with frames opened by the phone they were for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "compared and thrown away; boxes would hide what is said"
)]
pub(crate) enum Out {
    Answer(u64, Answer),
    /// The second message of a handshake.
    Shake(usize),
    Say(usize, ToSigner),
    /// A frame to a phone that is not there to open it.
    Unheard(usize),
    Restart(usize),
    Connect(usize),
    Disconnect(usize),
    Store,
    Stretch(u64, Job),
    Asked(u64),
    Received(u64),
    Number(u64, Number),
    Ended(u64, Ended),
    Refused(u64, Denial),
    Connected(usize),
    Away(usize),
    Paired(usize),
    Unpaired(usize),
    Identities(usize, usize),
    Locking(Locking),
    Approved(u64),
    Questioned(usize),
    Prove(usize, Head),
}

/// What becomes of the lines of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Log {
    /// They are safe at once.
    AtOnce,
    /// They are safe when a story says so.
    Later,
}

pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) now: Now,
    pub(crate) phones: Vec<Phone>,
    /// Both phones offer it.
    pub(crate) main: Secret,
    pub(crate) work: Secret,
    pub(crate) spare: Secret,
    pub(crate) web: Secret,
    pub(crate) reported: Reported,
    /// Clients whose requests were sent to a phone, in order.
    pub(crate) sent: Vec<u64>,
    /// What becomes of the lines of the log.
    pub(crate) log: Log,
    /// The log's file, checked as it is written.
    file: Checker,
    pub(crate) entries: Vec<Entry>,
    stretches: VecDeque<(ClientId, Passphrase, Job)>,
    draws: u64,
}

impl World {
    /// Both phones are paired and connected and have said what they offer.
    pub(crate) fn new() -> Self {
        let mut world = Self::offline();
        world.connect(PIXEL);
        world.connect(TABLET);
        world
    }

    /// Both phones are paired and were never connected.
    pub(crate) fn offline() -> Self {
        let (pixel, pixel_record) = paired(0x10, "pixel");
        let (tablet, tablet_record) = paired(0x20, "tablet");
        Self {
            broker: broker(Limits::default(), vec![pixel_record, tablet_record]),
            now: Now {
                uptime: 1_000_000,
                wall: 1_800_000_000,
            },
            phones: vec![pixel, tablet],
            main: Secret::new(1),
            work: Secret::new(2),
            spare: Secret::new(3),
            web: Secret::new(9),
            reported: Reported::default(),
            sent: Vec::new(),
            log: Log::AtOnce,
            file: Checker::after(Head::EMPTY),
            entries: Vec::new(),
            stretches: VecDeque::new(),
            draws: 0,
        }
    }

    /// Both phones said what they offer and left.
    pub(crate) fn away() -> Self {
        let mut world = Self::new();
        world.leave(PIXEL);
        world.leave(TABLET);
        world
    }

    /// The agent is stopped and started with what it stored.
    pub(crate) fn restart_agent(&mut self) {
        let stored = self.broker.phones_to_bytes();
        let records = PhoneRecord::list_from_bytes(&stored).unwrap();
        self.broker = broker(Limits::default(), records);
        self.new_file();
        self.phones.iter_mut().for_each(Phone::leave);
        self.stretches.clear();
    }

    fn new_file(&mut self) {
        self.file = Checker::after(Head::EMPTY);
        self.entries.clear();
    }

    pub(crate) fn link(&self, phone: usize) -> LinkId {
        self.phones[phone].id()
    }

    /// Gives the broker one input and collects all that comes out.
    pub(crate) fn handle(&mut self, input: Input) -> Vec<Out> {
        self.broker.handle(input, &PureRust, self.now);
        let mut outs = Vec::new();
        while let Some(output) = self.broker.poll() {
            outs.extend(self.out(output));
            if self.log == Log::AtOnce && self.broker.status().log.lines < self.lines() {
                let stored = Input::Recorded(self.lines());
                self.broker.handle(stored, &PureRust, self.now);
            }
        }
        outs
    }

    /// What is seen of an output; lines of the log and what was sent are kept beside.
    fn out(&mut self, output: Output) -> Option<Out> {
        Some(match output {
            Output::Answer(client, answer) => Out::Answer(client.0, answer),
            Output::Send(link, frame) => {
                let phone = self.phone(link);
                match self.phones[phone].hear(&frame) {
                    Heard::Shake => Out::Shake(phone),
                    Heard::Message(message) => Out::Say(phone, *message),
                    Heard::Unheard => Out::Unheard(phone),
                }
            }
            Output::Restart(link) => Out::Restart(self.phone(link)),
            Output::Connect(link) => Out::Connect(self.phone(link)),
            Output::Disconnect(link) => Out::Disconnect(self.phone(link)),
            Output::Store => Out::Store,
            Output::Stretch(client, passphrase, job) => {
                self.stretches.push_back((client, passphrase, job));
                Out::Stretch(client.0, job)
            }
            Output::Record(line) => {
                self.record(&line);
                return None;
            }
            Output::Event(Event::Sent(shown)) => {
                self.sent.push(shown.client.0);
                return None;
            }
            Output::Prove(link, head) => Out::Prove(self.phone(link), head),
            Output::Event(event) => self.event(event),
        })
    }

    fn event(&self, event: Event) -> Out {
        match event {
            Event::Asked(shown) => Out::Asked(shown.client.0),
            Event::Received(shown) => Out::Received(shown.client.0),
            Event::Number(shown, number) => Out::Number(shown.client.0, number),
            Event::Ended(shown, ended) => Out::Ended(shown.client.0, ended),
            Event::Refused(client, denial) => Out::Refused(client.0, denial),
            Event::Connected(link, _) => Out::Connected(self.phone(link)),
            Event::Away(link, _) => Out::Away(self.phone(link)),
            Event::Paired(link, _) => Out::Paired(self.phone(link)),
            Event::Unpaired(link, _) => Out::Unpaired(self.phone(link)),
            Event::Identities(link, count) => Out::Identities(self.phone(link), count),
            Event::Locking(locking) => Out::Locking(locking),
            Event::Sent(_) => panic!("kept beside"),
            Event::Approved(shown) => Out::Approved(shown.client.0),
            Event::Questioned(link, _) => Out::Questioned(self.phone(link)),
        }
    }

    /// Writes a line to the file.
    fn record(&mut self, line: &Line) {
        let head = self.file.head().unwrap();
        // After a failure: what stood there was cut off.
        if line.before != head {
            let kept = usize::try_from(line.before.lines).unwrap();
            self.entries.truncate(kept);
            self.file = Checker::after(line.before);
        }
        let entry = self.file.line(&line.bytes).unwrap();
        assert_eq!(self.file.head(), Some(line.after));
        let storing = if entry.event == audit::Event::Approved {
            Storing::Synced
        } else {
            Storing::Written
        };
        assert_eq!(
            line.storing, storing,
            "an approval is on disk, the rest is written"
        );
        self.entries.push(entry);
    }

    /// Lines in the file.
    pub(crate) fn lines(&self) -> u64 {
        self.file.head().unwrap().lines
    }

    /// The log is safe up to its last line, and whoever does this says so.
    pub(crate) fn recorded(&mut self) -> Vec<Out> {
        self.handle(Input::Recorded(self.lines()))
    }

    /// What the log says happened, in order.
    pub(crate) fn told(&self) -> Vec<audit::Event> {
        self.entries.iter().map(|entry| entry.event).collect()
    }

    fn phone(&self, link: LinkId) -> usize {
        self.phones
            .iter()
            .position(|phone| phone.id() == link)
            .unwrap()
    }

    /// Bytes never drawn before.
    pub(crate) fn draw<const N: usize>(&mut self) -> [u8; N] {
        self.draws += 1;
        let mut bytes = [0xd0; N];
        bytes[..8].copy_from_slice(&self.draws.to_be_bytes());
        bytes
    }

    /// A frame comes in from a phone's mailbox.
    pub(crate) fn frame(&mut self, phone: usize, frame: Vec<u8>) -> Vec<Out> {
        let entropy = Entropy::from_bytes(self.draw());
        self.handle(Input::Frame(self.link(phone), frame, entropy))
    }

    /// The phone is at the mailbox; what comes out is nothing but that its last meeting is over.
    pub(crate) fn meet(&mut self, phone: usize) -> Vec<Out> {
        self.handle(Input::Met(self.link(phone)))
    }

    /// The phone calls; gives the first message as the relay sees it, and what the agent does.
    pub(crate) fn call(&mut self, phone: usize, hello: &Hello) -> (Vec<u8>, Vec<Out>) {
        self.meet(phone);
        let entropy = self.draw();
        let message = self.phones[phone].call(hello, entropy);
        (message.clone(), self.frame(phone, message))
    }

    /// The phone meets the agent, shakes hands, and says what it offers.
    pub(crate) fn connect(&mut self, phone: usize) -> Vec<Out> {
        let (_, mut outs) = self.call(phone, &hello("phone"));
        let offered = self.offered(phone);
        outs.extend(self.say(phone, &offered));
        outs
    }

    pub(crate) fn offered(&self, phone: usize) -> ToAgent {
        match phone {
            PIXEL => announced(&[(&self.main, "main"), (&self.work, "work")]),
            _ => announced(&[(&self.main, "copy"), (&self.spare, "spare")]),
        }
    }

    pub(crate) fn leave(&mut self, phone: usize) -> Vec<Out> {
        self.phones[phone].leave();
        self.handle(Input::Left(self.link(phone)))
    }

    pub(crate) fn say(&mut self, phone: usize, message: &ToAgent) -> Vec<Out> {
        let frame = self.phones[phone].seal(&message.to_bytes());
        self.frame(phone, frame)
    }

    /// Lets time pass unnoticed.
    pub(crate) const fn pass(&mut self, milliseconds: u64) {
        self.now.uptime += milliseconds;
        self.now.wall += milliseconds / 1000;
    }

    /// Lets time pass and says so.
    pub(crate) fn tick(&mut self, milliseconds: u64) -> Vec<Out> {
        self.pass(milliseconds);
        self.handle(Input::Tick)
    }

    /// A client that has just connected asks.
    pub(crate) fn ask(&mut self, client: u64, ask: Ask) -> Vec<Out> {
        let asked = self.asked(client, ask);
        self.handle(Input::Ask(asked))
    }

    pub(crate) fn asked(&mut self, client: u64, ask: Ask) -> Asked {
        Asked {
            client: ClientId(client),
            began: self.now.uptime,
            ask,
            random: self.draw(),
            reported: self.reported.clone(),
            known_hosts: None,
        }
    }

    /// A client asks for a login with the key of `work`, and the pixel is asked at once.
    pub(crate) fn asked_of_pixel(&mut self, client: u64) -> SignRequest {
        let ask = self.login_of(client);
        let outs = self.ask(client, ask);
        let [Out::Asked(asker), Out::Say(PIXEL, ToSigner::Sign(request))] = &outs[..] else {
            panic!("{outs:?}")
        };
        assert_eq!(*asker, client);
        request.clone()
    }

    /// The same while the pixel is away.
    pub(crate) fn asked_while_away(&mut self, client: u64) {
        let ask = self.login_of(client);
        assert_eq!(self.ask(client, ask), [Out::Asked(client)]);
    }

    /// A login with the key of `work` in a session of this client's own.
    pub(crate) fn login_of(&self, client: u64) -> Ask {
        ask_for_login_in(&session(client), &self.work, &self.web)
    }

    /// A client asks for a login, whatever comes of it.
    pub(crate) fn ask_again(&mut self, client: u64) -> Vec<Out> {
        let ask = self.login_of(client);
        self.ask(client, ask)
    }

    /// The clients that follow work for this program.
    pub(crate) fn program(&mut self, name: &str) {
        self.reported.origin = Some(Origin {
            pid: 1,
            started: 1,
            name: name.into(),
        });
    }

    /// The pixel signs what it was asked with the key of `work`.
    pub(crate) fn signed(&self, request: &SignRequest) -> ToAgent {
        ToAgent::Signed(request.id, self.work.sign(&request.payload).into())
    }

    pub(crate) fn list(&mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let outs = self.ask(999, Ask::Identities);
        let [Out::Answer(999, Answer::Identities(identities))] = &outs[..] else {
            panic!("{outs:?}")
        };
        identities.clone()
    }

    pub(crate) fn labels(&mut self) -> Vec<String> {
        self.list()
            .into_iter()
            .map(|(_, label)| String::from_utf8(label).unwrap())
            .collect()
    }

    pub(crate) fn reach(&self, phone: usize) -> Reach {
        self.broker.status().phones[phone].reach
    }

    /// The oldest passphrase is stretched.
    pub(crate) fn stretch(&mut self) -> Vec<Out> {
        let (client, passphrase, job) = self.stretches.pop_front().unwrap();
        let tag = stretch(&passphrase, job.salt());
        assert!(tag.is_some());
        self.handle(Input::Stretched(client, job, tag))
    }

    /// The oldest passphrase could not be stretched.
    pub(crate) fn fail_to_stretch(&mut self) -> Vec<Out> {
        let (client, _, job) = self.stretches.pop_front().unwrap();
        self.handle(Input::Stretched(client, job, None))
    }

    /// The agent is locked with this passphrase.
    pub(crate) fn lock(&mut self, passphrase: &str) {
        self.ask(900, Ask::Lock(Passphrase::new(passphrase.as_bytes())));
        let outs = self.stretch();
        assert!(
            outs.contains(&Out::Answer(900, Answer::Success)),
            "{outs:?}"
        );
    }

    pub(crate) fn use_limits(&mut self, limits: Limits) {
        let stored = self.broker.phones_to_bytes();
        self.broker = broker(limits, PhoneRecord::list_from_bytes(&stored).unwrap());
        self.new_file();
        self.phones.iter_mut().for_each(Phone::leave);
    }
}

/// The session of a client's login.
pub(crate) fn session(client: u64) -> Vec<u8> {
    [SESSION, &client.to_be_bytes()].concat()
}

fn broker(limits: Limits, records: Vec<PhoneRecord>) -> Broker {
    Broker::new(hello("workstation"), limits, records, Head::EMPTY)
}

/// How a request ends without a signature.
pub(crate) fn failed(client: u64, denial: Denial) -> [Out; 2] {
    [
        Out::Ended(client, Ended::Denied(denial)),
        Out::Answer(client, Answer::Failure),
    ]
}

/// How a request is refused without asking a phone.
pub(crate) fn refused(client: u64, denial: Denial) -> [Out; 2] {
    [
        Out::Refused(client, denial),
        Out::Answer(client, Answer::Failure),
    ]
}

/// Whether the outputs are a signature for this client and nothing else.
pub(crate) fn is_signature(outs: &[Out], client: u64) -> bool {
    matches!(
        outs,
        [Out::Ended(ended, Ended::Signed), Out::Answer(answered, Answer::Signature(_))]
            if *ended == client && *answered == client
    )
}

/// The message by which a phone takes a request off its screen.
pub(crate) const fn cancel(phone: usize, request: RequestId) -> Out {
    Out::Say(phone, ToSigner::Cancel(request))
}

pub(crate) const fn denied(request: RequestId) -> ToAgent {
    ToAgent::Refused(request, Refusal::Denied)
}

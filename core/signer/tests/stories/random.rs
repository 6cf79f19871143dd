//! Stories told by dice: whatever happens in whatever order, after each step every invariant holds.
//!
//! The model believes nothing the signer says of itself. It keeps what was asked, decided and signed
//! as the story put it in, and checks each output against that.
use crate::destinations::forwarded;
use crate::ssh::{OTHER_SESSION, SESSION, Secret, login, login_to, sshsig, unsigned_certificate};
use crate::world::{Event, Job, Peer, World, identity, number, paired, request};
use std::collections::{BTreeMap, BTreeSet};
use vmux_proto::binding::Use;
use vmux_proto::crypto::PureRust;
use vmux_proto::key::{Fingerprint, PublicKey};
use vmux_proto::message::{Message as _, Refusal, RequestId, SignRequest, ToAgent, ToSigner};
use vmux_proto::signature::verify;
use vmux_signer::{After, Decision, Identities, Input, PinName, Pins, Prompt, Subject, Withdrawn};

const STORIES: u64 = 32;
const STEPS: u32 = 400;

#[test]
fn whatever_happens_the_invariants_hold() {
    let mut counts = BTreeMap::new();
    for seed in 0..STORIES {
        let mut story = Story::new(seed);
        for step in 0..STEPS {
            story.place = format!("story {seed}, step {step}");
            story.step();
        }
        for (what, count) in story.counts {
            *counts.entry(what).or_insert(0_u32) += count;
        }
    }
    // A story in which nothing happens proves nothing.
    for (what, least) in [
        ("shown", 500),
        ("sign", 200),
        ("signed", 100),
        ("answered again", 10),
        ("pinned", 30),
        ("restart", 50),
        ("forget", 5),
        ("Cancelled", 20),
        ("Disconnected", 50),
        ("Refused(Denied)", 20),
        ("Refused(WrongNumber)", 20),
        ("Refused(TimedOut)", 50),
        ("Refused(KeyFailed)", 20),
        ("Refused(HostKeyChanged)", 3),
        ("Refused(NoSuchIdentity)", 5),
        ("Refused(Closed)", 5),
        ("unasked Replayed", 20),
        ("unasked TooMany", 20),
        ("unasked Paused", 100),
        ("unasked Contradiction", 20),
        ("unasked NotUnderstood", 20),
        ("unasked NoSuchIdentity", 20),
        ("unasked NamespaceNotAllowed", 20),
        ("unasked ForeignCertificate", 20),
    ] {
        let count = counts.get(what).copied().unwrap_or(0);
        assert!(count >= least, "{what}: {count} of {least}, {counts:#?}");
    }
}

/// What the story does in one step.
#[derive(Clone, Debug)]
enum Deed {
    Connect(Peer),
    Disconnect(Peer),
    Ask(Peer, Box<SignRequest>),
    Cancel(Peer, RequestId),
    Decide(RequestId, Decision),
    Sign(RequestId, Option<Vec<u8>>),
    /// A frame that is none, or an old one.
    Spoil(Peer, Vec<u8>),
    Identities(Vec<&'static str>),
    ForgetPins,
    Unpair(Peer),
    AgentUnpairs(Peer),
    Close,
    Tick(u64),
}

/// A request on the screen, as it was asked.
struct Open {
    peer: Peer,
    request: SignRequest,
    prompt: Prompt,
    approved: bool,
}

struct Story {
    world: World,
    dice: Dice,
    place: String,
    hosts: [Secret; 3],
    /// Ids used lately, to be used again.
    recent: Vec<RequestId>,
    ids: u64,
    pairings: u8,
    /// The person is slow, so that requests pile up.
    is_slow: bool,
    sealed: BTreeMap<Peer, Vec<u8>>,
    open: BTreeMap<RequestId, Open>,
    /// Requests for which a signature was ordered, ever.
    ordered: BTreeSet<RequestId>,
    /// Signatures that were made, with who may have them.
    signed: BTreeMap<RequestId, (Peer, SignRequest, Vec<u8>)>,
    pinned: BTreeSet<Fingerprint>,
    counts: BTreeMap<String, u32>,
}

impl Story {
    fn new(seed: u64) -> Self {
        Self {
            world: World::new(),
            dice: Dice(seed),
            place: String::new(),
            hosts: [
                Secret::ed25519(0x41),
                Secret::ed25519(0x42),
                Secret::p256(0x43),
            ],
            recent: Vec::new(),
            ids: 0,
            pairings: 0,
            is_slow: seed.is_multiple_of(4),
            sealed: BTreeMap::new(),
            open: BTreeMap::new(),
            ordered: BTreeSet::new(),
            signed: BTreeMap::new(),
            pinned: BTreeSet::new(),
            counts: BTreeMap::new(),
        }
    }

    fn step(&mut self) {
        if self.dice.one_in(if self.is_slow { 20 } else { 3 }) {
            let milliseconds = self.dice.below(3000);
            self.world.pass(milliseconds);
        }
        let deed = self.choose();
        let events = self.perform(&deed);
        self.check(&deed, &events);
        if let Deed::Unpair(peer) | Deed::AgentUnpairs(peer) = deed {
            self.pair_again(peer);
        }
    }

    fn choose(&mut self) -> Deed {
        let peer = self.peer();
        if !self.world.agent(peer).is_open() && !self.dice.one_in(4) {
            return Deed::Connect(peer);
        }
        match self.dice.below(100) {
            0..88 if self.is_slow => Deed::Ask(peer, Box::new(self.request(peer))),
            0..40 => Deed::Ask(peer, Box::new(self.request(peer))),
            40..62 => {
                let id = self.open_id(|open| !open.approved);
                Deed::Decide(id, self.decision(id))
            }
            62..82 => {
                let id = self.open_id(|open| open.approved);
                Deed::Sign(id, self.signature(id))
            }
            82..86 => Deed::Cancel(peer, self.open_id(|open| !open.approved)),
            86..88 => Deed::Connect(peer),
            88..90 => Deed::Disconnect(peer),
            90..92 => Deed::Spoil(peer, self.spoilt(peer)),
            92..94 => {
                let mut labels = vec!["main", "work"];
                labels.retain(|_| !self.dice.one_in(8));
                Deed::Identities(labels)
            }
            94 => Deed::ForgetPins,
            95 if self.dice.one_in(4) => Deed::Unpair(peer),
            95 if self.dice.one_in(4) => Deed::AgentUnpairs(peer),
            95 if self.dice.one_in(2) => Deed::Close,
            _ => Deed::Tick(if self.dice.one_in(4) { 20_000 } else { 500 }),
        }
    }

    fn peer(&mut self) -> Peer {
        if self.dice.one_in(3) {
            Peer::Server
        } else {
            Peer::Laptop
        }
    }

    fn request(&mut self, peer: Peer) -> SignRequest {
        // The very same request once more,
        if self.dice.one_in(6)
            && let Some(id) = self.recent_id()
        {
            let open = self.open.get(&id).map(|open| open.request.clone());
            let earlier =
                open.or_else(|| self.signed.get(&id).map(|(_, request, _)| request.clone()));
            if let Some(request) = earlier {
                return SignRequest {
                    wait_ms: self.wait(),
                    ..request
                };
            }
        }
        // another one under a used id, or a new one.
        let mut made = self.made();
        made.id = match self.recent_id() {
            Some(id) if self.dice.one_in(8) => id,
            Some(_) | None => {
                self.ids += 1;
                let mut id = [0; 16];
                id[..8].copy_from_slice(&self.ids.to_be_bytes());
                id[8] = u8::from(peer == Peer::Server);
                RequestId(id)
            }
        };
        self.recent.push(made.id);
        if self.recent.len() > 12 {
            self.recent.remove(0);
        }
        made.wait_ms = self.wait();
        made.reported.host = match self.dice.below(4) {
            0 => Some("web".into()),
            1 => Some("db".into()),
            _ => None,
        };
        made
    }

    fn made(&mut self) -> SignRequest {
        let key = match self.dice.below(12) {
            0 => self.world.disabled.public(),
            1..5 => self.world.p256.public(),
            _ => self.world.ed25519.public(),
        };
        let [web, db, bastion] = &self.hosts;
        let host = if self.dice.one_in(2) { web } else { db };
        let bound = vec![host.binding(SESSION, Use::Login)];
        let (payload, chain) = match self.dice.below(16) {
            0 => (login(SESSION, "deploy", &key), vec![]),
            1 => (login_to(&host.public(), SESSION, "deploy", &key), vec![]),
            2 => (login(OTHER_SESSION, "deploy", &key), bound),
            3 => (sshsig("email"), vec![]),
            4 => (unsigned_certificate(&web.public(), &key), vec![]),
            5 => (vec![0x5a; 1024], vec![]),
            6..9 => (sshsig("git"), vec![]),
            9 => {
                let hop = bastion.binding(OTHER_SESSION, Use::Forwarding);
                (sshsig("git"), vec![hop])
            }
            10 => return forwarded(&self.world, 0, bastion, host),
            _ => (login_to(&host.public(), SESSION, "deploy", &key), bound),
        };
        request(0, &key, payload, chain)
    }

    fn wait(&mut self) -> u32 {
        [0, 1, 1000, 30_000, 60_000, 60_000, 60_000, u32::MAX][self.dice.index(8)]
    }

    fn recent_id(&mut self) -> Option<RequestId> {
        let at = self.dice.index(self.recent.len().max(1));
        self.recent.get(at).copied()
    }

    /// Mostly the id of such a request on the screen.
    fn open_id(&mut self, which: impl Fn(&Open) -> bool) -> RequestId {
        let open = self.open.values().filter(|open| which(open));
        let open: Vec<_> = open.map(|open| open.request.id).collect();
        let nobodys = self.recent_id().unwrap_or(RequestId([0xff; 16]));
        if open.is_empty() || self.dice.one_in(10) {
            return nobodys;
        }
        open[self.dice.index(open.len())]
    }

    fn decision(&mut self, id: RequestId) -> Decision {
        if self.dice.one_in(10) {
            return Decision::Deny(After::Nothing);
        }
        let demanded = self.open.get(&id).and_then(|open| open.prompt.number);
        let number = match self.dice.below(10) {
            0 => None,
            1 => number("99"),
            _ => demanded,
        };
        let names = ["web", "db"].map(|name| PinName::parse(name).unwrap());
        let name = self
            .dice
            .one_in(2)
            .then(|| names[self.dice.index(2)].clone());
        Decision::Approve { number, name }
    }

    fn signature(&mut self, id: RequestId) -> Option<Vec<u8>> {
        let open = self.open.get(&id)?;
        let right = PublicKey::parse(&open.request.key).unwrap();
        let right = self.world.secret(&right);
        match self.dice.below(12) {
            0 => None,
            1 => Some(right.sign(b"other bytes")),
            2 => Some(self.world.disabled.sign(&open.request.payload)),
            _ => Some(right.sign(&open.request.payload)),
        }
    }

    /// Garbage, an old frame, or a good one with something wrong about it.
    fn spoilt(&mut self, peer: Peer) -> Vec<u8> {
        let old = self.sealed.get(&peer).cloned();
        let agent = self.world.agent(peer);
        if !agent.is_open() {
            return vec![0; 272];
        }
        match self.dice.below(4) {
            0 => vec![0xa5; 272],
            1 => old.unwrap_or_default(),
            2 => agent.seal(b"no message"),
            _ => {
                let mut frame = agent.seal(&ToSigner::Unpaired.to_bytes());
                frame.pop();
                frame
            }
        }
    }

    fn perform(&mut self, deed: &Deed) -> Vec<Event> {
        let world = &mut self.world;
        let (peer, message) = match deed.clone() {
            Deed::Ask(peer, request) => (peer, ToSigner::Sign(*request)),
            Deed::Cancel(peer, id) => (peer, ToSigner::Cancel(id)),
            Deed::AgentUnpairs(peer) => (peer, ToSigner::Unpaired),
            Deed::Spoil(peer, frame) => return world.frame(peer, &frame),
            Deed::Connect(peer) => return world.connect(peer),
            Deed::Disconnect(peer) => return world.disconnect(peer),
            Deed::Decide(id, decision) => return world.decide(id, decision),
            Deed::Sign(id, signature) => return world.handle(Input::Signed(id, signature)),
            Deed::Identities(labels) => {
                let mut identities = Identities::default();
                for (label, secret) in [("main", &world.ed25519), ("work", &world.p256)] {
                    identities.add(identity(label, secret)).unwrap();
                    if !labels.contains(&label) {
                        identities.disable(label).unwrap();
                    }
                }
                return world.handle(Input::Identities(identities));
            }
            Deed::ForgetPins => {
                self.pinned.clear();
                return world.handle(Input::Pins(Pins::default()));
            }
            Deed::Unpair(peer) => return world.handle(Input::Unpair(world.link(peer))),
            Deed::Close => return world.handle(Input::Close),
            Deed::Tick(milliseconds) => return world.tick(milliseconds),
        };
        let agent = world.agent(peer);
        if !agent.is_open() {
            return world.handle(Input::Tick);
        }
        let frame = agent.seal(&message.to_bytes());
        self.sealed.insert(peer, frame.clone());
        world.frame(peer, &frame)
    }

    fn pair_again(&mut self, peer: Peer) {
        if self
            .world
            .signer
            .agents()
            .any(|(record, _)| record.id() == self.world.link(peer))
        {
            return; // An agent that is away cannot end a pairing.
        }
        self.pairings += 1;
        let (agent, record) = paired(0x30 + 4 * self.pairings, "again");
        *self.world.agent(peer) = agent;
        self.world.handle(Input::Paired(Box::new(record)));
        // Another pairing knows nothing of the ids of this one.
        self.recent.clear();
    }

    fn check(&mut self, deed: &Deed, events: &[Event]) {
        for (at, event) in events.iter().enumerate() {
            match event {
                Event::Shown(prompt) => self.check_shown(deed, prompt),
                Event::Sign(job) => self.check_order(deed, job),
                Event::Said(peer, message) => self.check_said(deed, *peer, message),
                Event::Withdrawn(id, why) => self.check_withdrawn(deed, *id, *why),
                Event::StorePins => self.check_pins_stored(deed, &events[at..]),
                Event::Refused(peer, refusal) => {
                    let asked = matches!(deed, Deed::Ask(asker, _) if asker == peer);
                    assert!(asked, "{}: {deed:?} {events:?}", self.place);
                    self.count(format!("unasked {refusal:?}"));
                }
                Event::Restart(peer) => {
                    self.world.agent(*peer).hang_up();
                    self.count("restart");
                }
                Event::Forget(peer) => {
                    let ends =
                        matches!(deed, Deed::Unpair(of) | Deed::AgentUnpairs(of) if of == peer);
                    assert!(ends, "{}: {deed:?}", self.place);
                    self.count("forget");
                }
                Event::Called(_)
                | Event::Opened(_)
                | Event::StoreAgents
                | Event::StoreBlocks
                | Event::Record(_) => {}
            }
        }
        self.check_what_waits();
    }

    /// What is shown is what was asked, by whoever asked it, once.
    fn check_shown(&mut self, deed: &Deed, prompt: &Prompt) {
        let place = &self.place;
        let Deed::Ask(peer, request) = deed else {
            panic!("{place}: {deed:?}")
        };
        assert_eq!(prompt.request, request.id, "{place}");
        assert_eq!(prompt.link, self.world.link(*peer), "{place}");
        let key = PublicKey::parse(&request.key).unwrap();
        assert_eq!(prompt.fingerprint, key.fingerprint(), "{place}");
        let shows_login = matches!(prompt.subject, Subject::Login { .. });
        assert_ne!(
            shows_login,
            request.payload.starts_with(b"SSHSIG"),
            "{place}"
        );
        let needless = prompt.number.is_none();
        let with_hops = request.chain.len() > 1;
        let bare = shows_login && request.chain.is_empty();
        assert!(!(needless && (with_hops || bare)), "{place}: {prompt:?}");
        assert!(
            prompt.deadline <= self.world.now.uptime + 100_000,
            "{place}"
        );
        let open = Open {
            peer: *peer,
            request: (**request).clone(),
            prompt: prompt.clone(),
            approved: false,
        };
        assert!(
            self.open.insert(request.id, open).is_none(),
            "{place}: shown twice"
        );
        assert!(
            !self.signed.contains_key(&request.id),
            "{place}: shown after it was signed"
        );
        self.count("shown");
    }

    /// A signature is ordered for one approval, right and in time, of what was shown.
    fn check_order(&mut self, deed: &Deed, job: &Job) {
        let place = &self.place;
        let Deed::Decide(id, Decision::Approve { number, .. }) = deed else {
            panic!("{place}: {deed:?}")
        };
        assert_eq!(job.request, *id, "{place}");
        let open = self.open.get_mut(id).unwrap();
        assert!(!open.approved, "{place}: approved twice");
        assert!(
            open.prompt.number.is_none() || open.prompt.number == *number,
            "{place}"
        );
        assert!(
            self.world.now.uptime < open.prompt.deadline,
            "{place}: late"
        );
        assert!(!open.prompt.is_blocked(), "{place}");
        assert_eq!(job.bytes, *open.request.payload, "{place}");
        assert_eq!(job.key.fingerprint(), open.prompt.fingerprint, "{place}");
        assert_eq!(job.flags, open.request.flags, "{place}");
        open.approved = true;
        assert!(self.ordered.insert(*id), "{place}: ordered twice");
        self.count("sign");
    }

    fn check_said(&mut self, deed: &Deed, peer: Peer, message: &ToAgent) {
        let place = self.place.clone();
        let asks = |id: &RequestId| matches!(deed, Deed::Ask(asker, request) if *asker == peer && request.id == *id);
        match message {
            ToAgent::Signed(id, signature) => self.check_signed(deed, peer, *id, signature),
            ToAgent::Received(id) | ToAgent::ShowNumber(id, _) => assert!(asks(id), "{place}"),
            ToAgent::Refused(id, refusal) => {
                let own = self.open.get(id).is_some_and(|open| open.peer == peer);
                assert!(own || asks(id), "{place}: {deed:?} {message:?}");
                if *refusal == Refusal::Denied && !asks(id) {
                    assert!(
                        matches!(deed, Deed::Decide(of, Decision::Deny(After::Nothing)) if of == id),
                        "{place}"
                    );
                }
            }
            ToAgent::Identities(_)
            | ToAgent::Unpaired
            | ToAgent::Approved(_)
            | ToAgent::Blocks(_)
            | ToAgent::Remembers(_)
            | ToAgent::Log(_) => {}
        }
    }

    /// A signature is good, for an approval, in time, and goes to the agent that asked.
    fn check_signed(&mut self, deed: &Deed, peer: Peer, id: RequestId, signature: &[u8]) {
        let place = &self.place;
        if let Deed::Ask(asker, request) = deed {
            let (owner, asked, made) = &self.signed[&id];
            assert_eq!(
                (owner, asker, made.as_slice()),
                (&peer, &peer, signature),
                "{place}"
            );
            let same = SignRequest {
                wait_ms: asked.wait_ms,
                ..(**request).clone()
            };
            assert_eq!(*asked, same, "{place}");
            self.count("answered again");
            return;
        }
        let open = &self.open[&id];
        assert_eq!(open.peer, peer, "{place}");
        self.check_good(deed, id);
        let Deed::Sign(_, Some(given)) = deed else {
            panic!("{place}: {deed:?}")
        };
        assert_eq!(given, signature, "{place}");
    }

    fn check_good(&self, deed: &Deed, id: RequestId) {
        let (open, place) = (&self.open[&id], &self.place);
        let Deed::Sign(of, Some(signature)) = deed else {
            panic!("{place}: {deed:?}")
        };
        assert_eq!(*of, id, "{place}");
        assert!(open.approved, "{place}");
        assert!(
            self.world.now.uptime < open.prompt.deadline,
            "{place}: late"
        );
        let key = PublicKey::parse(&open.request.key).unwrap();
        assert_eq!(
            verify(&PureRust, &key, &open.request.payload, signature),
            Ok(()),
            "{place}"
        );
    }

    fn check_withdrawn(&mut self, deed: &Deed, id: RequestId, why: Withdrawn) {
        let place = self.place.clone();
        match why {
            Withdrawn::Signed => {
                self.check_good(deed, id);
                let (open, Deed::Sign(_, Some(signature))) = (&self.open[&id], deed) else {
                    panic!("{place}")
                };
                let made = (open.peer, open.request.clone(), signature.clone());
                self.signed.insert(id, made);
                self.count("signed");
            }
            Withdrawn::Cancelled => {
                let peer = self.open[&id].peer;
                let own = matches!(deed, Deed::Cancel(by, of) if *by == peer && *of == id);
                assert!(own, "{place}: {deed:?}");
            }
            Withdrawn::Refused(Refusal::TimedOut) => {
                assert!(
                    self.world.now.uptime >= self.open[&id].prompt.deadline,
                    "{place}: early"
                );
            }
            Withdrawn::Refused(_) => {}
            Withdrawn::Disconnected => {
                let open = &self.open[&id];
                let forgets = matches!(deed, Deed::Unpair(_) | Deed::AgentUnpairs(_));
                assert!(!open.approved || forgets, "{place}: a decided request went");
            }
        }
        if why != Withdrawn::Signed {
            self.count(format!("{why:?}"));
        }
        assert!(self.open.remove(&id).is_some(), "{place}: withdrawn twice");
    }

    /// Pins are stored for a proven host, and before the signature leaves.
    fn check_pins_stored(&mut self, deed: &Deed, after: &[Event]) {
        let place = &self.place;
        let Deed::Sign(id, _) = deed else {
            panic!("{place}: {deed:?}")
        };
        self.check_good(deed, *id);
        let prompt = &self.open[id].prompt;
        assert!(prompt.level.is_verified(), "{place}");
        self.pinned
            .insert(prompt.host.as_ref().unwrap().fingerprint);
        let next = after.iter().skip(1).find(|event| {
            matches!(event, Event::Said(_, ToAgent::Signed(of, _)) if of == id)
                || **event == Event::Withdrawn(*id, Withdrawn::Signed)
        });
        assert!(next.is_some(), "{place}: {after:?}");
        self.count("pinned");
    }

    fn check_what_waits(&self) {
        let (place, now) = (&self.place, self.world.now.uptime);
        let deadlines = self.open.values().map(|open| open.prompt.deadline);
        assert_eq!(
            self.world.signer.deadline(),
            deadlines.clone().min(),
            "{place}"
        );
        assert!(
            deadlines.min().is_none_or(|first| first > now),
            "{place}: something is late"
        );
        for peer in [Peer::Laptop, Peer::Server] {
            let waiting = self.open.values().filter(|open| open.peer == peer).count();
            assert!(waiting <= 16, "{place}: {peer:?} has {waiting}");
        }
        let pins: BTreeSet<_> = self
            .world
            .pinned()
            .into_iter()
            .map(|(_, key)| key)
            .collect();
        assert_eq!(pins, self.pinned, "{place}");
    }

    fn count(&mut self, what: impl Into<String>) {
        *self.counts.entry(what.into()).or_insert(0) += 1;
    }
}

/// SplitMix64: the same story for the same seed, on every machine.
struct Dice(u64);

impl Dice {
    const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    const fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(u64::try_from(length).unwrap())).unwrap()
    }

    const fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

//! A signer with files, keys and a person, joined to an agent that runs in the test.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ed25519_dalek::Signer as _;
use vmux_host::entropy;
use vmux_proto::audit::Growth;
use vmux_proto::key::PublicKey;
use vmux_proto::message::{
    Message as _, Number, Origin, Process, Refusal, Reported, SignRequest, ToAgent, ToSigner,
};
use vmux_proto::signature::{encode_ed25519, verify};
use vmux_proto::wire::Writer;
use vmux_signer::{After, Decision, Entropy, Identities, PinName, Standing, Withdrawn};
use zeroize::Zeroizing;

use super::*;
use crate::commands::hello;
use crate::keyfile::seal;
use crate::passphrase::Passphrase;
use crate::secret_key::{KeyType, SecretKey};
use vmux_signer::{Identity, IdentityKind};

/// What was done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Done {
    Connect(LinkId),
    /// With the pins on disk at that moment.
    Send(LinkId, Vec<u8>, Vec<String>),
    Restart(LinkId),
    GiveUp(LinkId),
    Asked(Box<Prompt>),
    Withdrawn(Withdrawn),
    Agent(LinkId, AgentState),
    Unpaired(LinkId),
    Identities(Vec<String>),
    Refused(Refusal),
    Held(RequestId),
    Together(RequestId, Vec<RequestId>),
    Suspended(LinkId, bool),
    Blocked(Vec<String>),
    /// Whether it can be written.
    Log(bool),
    Unsaved(String),
}

#[derive(Clone, Default)]
struct Diary(Rc<RefCell<Vec<Done>>>);

impl Diary {
    fn note(&self, done: Done) {
        self.0.borrow_mut().push(done);
    }

    fn take(&self) -> Vec<Done> {
        self.0.take()
    }
}

/// With the state directory, and the lines of the log at each frame that was sent.
struct PaperWire(Diary, PathBuf, RefCell<Vec<usize>>);

impl Wire for PaperWire {
    fn connect(&mut self, record: &AgentRecord) -> Option<AgentState> {
        self.0.note(Done::Connect(record.id()));
        None
    }

    fn send(&mut self, link: LinkId, frame: &[u8]) {
        let log = std::fs::read_to_string(self.1.join("log/log.jsonl")).unwrap();
        self.2.borrow_mut().push(log.lines().count());
        let pins = std::fs::read(self.1.join("pins")).unwrap();
        let pins = String::from_utf8_lossy(&pins);
        let known = ["host.example", "other.example"].into_iter();
        let known = known
            .filter(|name| pins.contains(name))
            .map(str::to_owned)
            .collect();
        self.0.note(Done::Send(link, frame.to_vec(), known));
    }

    fn restart(&mut self, link: LinkId) {
        self.0.note(Done::Restart(link));
    }

    fn give_up(&mut self, link: LinkId) {
        self.0.note(Done::GiveUp(link));
    }
}

struct PaperFront(Diary);

impl Front for PaperFront {
    fn tell(&mut self, news: News<'_>) {
        self.0.note(match news {
            // Seen where the person reads them.
            News::Pins(_) => return,
            News::Together(request, others) => Done::Together(request, others.to_vec()),
            News::Suspended(link, _, suspended) => Done::Suspended(link, suspended),
            News::Blocks(blocks) => {
                Done::Blocked(blocks.iter().map(|one| one.source.to_string()).collect())
            }
            News::Log(failed) => Done::Log(failed.is_none()),
            News::Unsaved(refused) => Done::Unsaved(refused.to_string()),
            News::Identities(identities) => {
                let enabled = identities.all().iter().filter(|identity| identity.enabled);
                Done::Identities(enabled.map(|identity| identity.label.clone()).collect())
            }
            News::Agent(link, _, state) => Done::Agent(link, state.clone()),
            News::Unpaired(link, _) => Done::Unpaired(link),
            News::Asked(prompt) => Done::Asked(Box::new(prompt.clone())),
            News::Withdrawn(_, why) => Done::Withdrawn(why),
            News::Refused(_, refusal) => Done::Refused(refusal),
            News::Held(prompt, refused) => {
                assert!(refused.is_held(), "{refused}");
                Done::Held(prompt.request)
            }
        });
    }
}

enum Talk<'a> {
    Seal(&'a [u8]),
    Open(&'a [u8]),
}

/// The agent's end of a link, once it is open.
type Channel = Box<dyn FnMut(Talk<'_>) -> Vec<u8>>;

struct World {
    dir: tempfile::TempDir,
    store: Store,
    diary: Diary,
    desk: Desk<PaperWire, PaperFront>,
    agent: AgentRecord,
    channel: Option<Channel>,
    key: PublicKey,
    requests: u8,
}

const HOST: &str = "host.example";

fn passphrase() -> Passphrase {
    Passphrase::new(Zeroizing::new("pass".to_owned())).unwrap()
}

/// Stores a new key and gives its identity.
fn new_key(opened: &Opened, label: &str) -> Identity {
    let key = SecretKey::generate(KeyType::EcdsaP256).unwrap();
    let pem = seal(&key, label, &passphrase()).unwrap();
    opened.save_key(key.public().fingerprint(), &pem).unwrap();
    Identity {
        key: key.public().clone(),
        label: label.to_owned(),
        enabled: true,
        created: 0,
        kind: IdentityKind::File,
    }
}

/// A record with these 32 bytes as its own key, as it is stored.
fn record(own: u8, peer: [u8; 32], mailbox: u8) -> AgentRecord {
    let bond = [&[own; 32][..], &peer, &[9; 32], &[mailbox; 16]].concat();
    let relay = b"ws://127.0.0.1:1";
    let (name, length) = (b"laptop", u8::try_from(relay.len()).unwrap());
    // CBOR: a list of one list of text, text, number and 112 bytes.
    let head = [
        &[0x81, 0x84, 0x66][..],
        name,
        &[0x60 | length],
        relay,
        &[0x00, 0x58, 112],
    ];
    let bytes = [&head.concat()[..], &bond].concat();
    AgentRecord::list_from_bytes(&bytes).unwrap().remove(0)
}

/// Both ends of a link.
fn pair(mailbox: u8) -> (AgentRecord, AgentRecord) {
    let public = |own| record(own, [0; 32], mailbox).bond.own.public().0;
    (record(1, public(2), mailbox), record(2, public(1), mailbox))
}

impl World {
    /// A signer with one key, paired with one agent that is connected.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(&dir.path().join("state"));
        let check = SecretKey::generate(KeyType::Ed25519).unwrap();
        store
            .set_up("desk", &seal(&check, "", &passphrase()).unwrap())
            .unwrap();
        let opened = store.open().unwrap();
        let identity = new_key(&opened, "work");
        let mut identities = Identities::default();
        identities.add(identity.clone()).unwrap();
        opened.save_identities(&identities).unwrap();
        let (signer, agent) = pair(5);
        opened.save_agents(&[signer]).unwrap();

        let diary = Diary::default();
        let keys = Keys::unlock(&opened, &identities, passphrase()).unwrap();
        let wire = PaperWire(diary.clone(), store.path().to_owned(), RefCell::default());
        let front = PaperFront(diary.clone());
        let about = (hello("desk".to_owned()), Settings::default());
        let desk = Desk::start(&opened, &store, keys, about, (wire, front)).unwrap();
        drop(opened);
        let key = identity.key;
        let mut world = Self {
            dir,
            store,
            diary,
            desk,
            agent,
            channel: None,
            key,
            requests: 0,
        };
        world.connect();
        world
    }

    fn link(&self) -> LinkId {
        self.agent.id()
    }

    fn connect(&mut self) {
        self.diary.take();
        let entropy = || Entropy::from_bytes(entropy::fill().unwrap());
        self.desk.take(Input::Met(self.link(), entropy())).unwrap();
        let [Done::Send(_, message1, _)] = &self.diary.take()[..] else {
            panic!("no call")
        };
        let own = hello("laptop".to_owned()).to_bytes();
        let (mut channel, _, answer) = self.agent.bond.answer(entropy(), message1, &own).unwrap();
        self.channel = Some(Box::new(move |talk| match talk {
            Talk::Seal(message) => channel.seal(message).unwrap(),
            Talk::Open(frame) => channel.open(frame).unwrap(),
        }));
        self.desk
            .take(Input::Frame(self.link(), answer, [0; 4]))
            .unwrap();
        let done = self.done();
        assert_eq!(
            done[0],
            Said::Done(Done::Agent(self.link(), AgentState::Connected))
        );
        assert!(
            matches!(&done[1], Said::Told(ToAgent::Identities(_), _)),
            "{done:?}"
        );
    }

    /// What was done, with what was said to the agent opened; without what the two ends tell each
    /// other on the way.
    fn done(&mut self) -> Vec<Said> {
        let on_the_way = |one: &Said| {
            matches!(
                one,
                Said::Told(
                    ToAgent::Approved(_) | ToAgent::Log(_) | ToAgent::Remembers(_),
                    _
                )
            )
        };
        let mut done = self.all_done();
        done.retain(|one| !on_the_way(one));
        done
    }

    fn all_done(&mut self) -> Vec<Said> {
        let done = self.diary.take().into_iter();
        let channel = self.channel.as_mut().unwrap();
        done.map(|one| match one {
            Done::Send(_, frame, pins) => Said::Told(
                ToAgent::from_bytes(&channel(Talk::Open(&frame))).unwrap(),
                pins,
            ),
            other => Said::Done(other),
        })
        .collect()
    }

    fn say(&mut self, message: &ToSigner) -> Result<(), CommandFailed> {
        let frame = self.channel.as_mut().unwrap()(Talk::Seal(&message.to_bytes()));
        self.desk
            .take(Input::Frame(self.link(), frame, [0, 0, 0, 32]))
    }

    /// A login as `deploy` to a host, as OpenSSH asks for it, shown to the person.
    fn asked(&mut self) -> (SignRequest, Prompt) {
        let request = self.ask_only();
        let done = self.done();
        let asked = done.iter().find_map(|one| match one {
            Said::Done(Done::Asked(prompt)) => Some((**prompt).clone()),
            _ => None,
        });
        (request, asked.unwrap_or_else(|| panic!("{done:?}")))
    }

    fn ask_only(&mut self) -> SignRequest {
        let host = ed25519_dalek::SigningKey::from_bytes(&[3; 32]);
        let point = host.verifying_key().to_bytes();
        let host_key = Writer::new().string("ssh-ed25519").string(point).finish();
        let session = [8; 32];
        let signature = encode_ed25519(&host.sign(&session).to_bytes());
        let binding = Writer::new()
            .string(&host_key)
            .string(session)
            .string(signature)
            .u8(0);
        let payload = Writer::new()
            .string(session)
            .u8(50)
            .string("deploy")
            .string("ssh-connection")
            .string("publickey-hostbound-v00@openssh.com")
            .u8(1)
            .string(self.key.blob_type())
            .string(self.key.blob())
            .string(&host_key);
        self.requests += 1;
        let request = SignRequest {
            id: RequestId([self.requests; 16]),
            key: self.key.blob().to_vec().into(),
            payload: payload.finish().into(),
            flags: 0,
            chain: vec![binding.finish().into()],
            wait_ms: 60_000,
            reported: Reported {
                processes: vec![Process {
                    pid: 1,
                    program: "ssh".into(),
                    command: "ssh".into(),
                }],
                host: Some(HOST.to_owned()),
                origin: Some(Origin {
                    pid: 1,
                    started: 1,
                    name: "ansible".to_owned(),
                }),
                ..Reported::default()
            },
        };
        self.say(&ToSigner::Sign(request.clone())).unwrap();
        request
    }

    fn approve(&mut self, request: &SignRequest) -> Result<(), CommandFailed> {
        let decision = Decision::Approve {
            number: Number::parse("42"),
            name: PinName::parse(HOST).ok(),
        };
        self.desk.take(Input::Decided(request.id, decision))
    }

    fn pin_names(&self) -> Vec<String> {
        let pins = self.store.open().unwrap().pins().unwrap();
        pins.all()
            .iter()
            .map(|pin| pin.name.as_str().to_owned())
            .collect()
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Said {
    Told(ToAgent, Vec<String>),
    Done(Done),
}

#[test]
fn a_signature_is_sent_after_its_pin_is_on_disk() {
    let mut world = World::new();
    let (request, prompt) = world.asked();
    assert_eq!(prompt.host.unwrap().standing, Standing::New);
    world.approve(&request).unwrap();
    let done = world.done();
    let [Said::Told(ToAgent::Signed(id, signature), pins), last] = &done[..] else {
        panic!("{done:?}")
    };
    assert_eq!(*id, request.id);
    verify(&PureRust, &world.key, &request.payload, signature).unwrap();
    assert_eq!(pins, &[HOST], "not stored before it was sent");
    assert_eq!(last, &Said::Done(Done::Withdrawn(Withdrawn::Signed)));
}

#[test]
fn a_pin_that_cannot_be_stored_stops_the_signer_before_anything_is_sent() {
    let mut world = World::new();
    let (request, _) = world.asked();
    // A directory stands where the new file would be written.
    std::fs::create_dir(world.store.path().join(".pins.new")).unwrap();
    let failed = world.approve(&request).unwrap_err();
    assert!(failed.what.contains("pins"), "{failed}");
    assert_eq!(world.done(), []);
    assert!(!world.pin_names().contains(&HOST.to_owned()));
}

#[test]
fn while_another_process_holds_the_state_a_request_is_refused_and_the_signer_goes_on() {
    let mut world = World::new();
    let (request, _) = world.asked();
    let opened = world.store.open().unwrap();
    let before = clock::now().uptime;
    world.approve(&request).unwrap();
    let took = clock::now().uptime - before;
    assert!(took < 1500, "waited {took} ms");
    drop(opened);
    let refused = ToAgent::Refused(request.id, Refusal::KeyFailed);
    let withdrawn = Withdrawn::Refused(Refusal::KeyFailed);
    assert_eq!(
        world.done(),
        [
            Said::Done(Done::Held(request.id)),
            Said::Told(refused, vec![]),
            Said::Done(Done::Withdrawn(withdrawn)),
        ]
    );
    assert!(!world.pin_names().contains(&HOST.to_owned()));

    let (request, _) = world.asked();
    world.approve(&request).unwrap();
    let done = world.done();
    assert!(
        matches!(&done[0], Said::Told(ToAgent::Signed(..), pins) if pins == &[HOST]),
        "{done:?}"
    );
}

#[test]
fn an_agent_that_leaves_while_another_process_holds_the_state_is_forgotten_afterwards() {
    let mut world = World::new();
    let link = world.link();
    let opened = world.store.open().unwrap();
    world.say(&ToSigner::Unpaired).unwrap();
    let expected = [Done::GiveUp(link), Done::Unpaired(link)].map(Said::Done);
    assert_eq!(world.done(), expected);
    world.desk.look().unwrap();
    assert_eq!(opened.agents().unwrap().len(), 1);
    drop(opened);
    world.desk.look().unwrap();
    assert!(world.store.open().unwrap().agents().unwrap().is_empty());
    assert_eq!(world.done(), []);
}

#[test]
fn without_an_approval_nothing_is_signed() {
    let mut world = World::new();
    let (request, _) = world.asked();
    let wrong = Decision::Approve {
        number: Number::parse("43"),
        name: None,
    };
    world.desk.take(Input::Decided(request.id, wrong)).unwrap();
    let refused = ToAgent::Refused(request.id, Refusal::WrongNumber);
    assert_eq!(world.done()[0], Said::Told(refused, vec![]));
    let mut world = World::new();
    let (request, _) = world.asked();
    world
        .desk
        .take(Input::Decided(request.id, Decision::Deny(After::Nothing)))
        .unwrap();
    let refused = ToAgent::Refused(request.id, Refusal::Denied);
    assert_eq!(world.done()[0], Said::Told(refused, vec![]));
}

#[test]
fn a_change_of_the_pins_in_the_same_moment_is_not_lost() {
    let mut world = World::new();
    let (request, _) = world.asked();
    let opened = world.store.open().unwrap();
    let mut pins = opened.pins().unwrap();
    pins.rename("github.com", &PinName::parse("hub").unwrap());
    opened.save_pins(&pins).unwrap();
    drop(opened);
    world.approve(&request).unwrap();
    let names = world.pin_names();
    assert!(names.contains(&"hub".to_owned()), "{names:?}");
    assert!(names.contains(&HOST.to_owned()), "{names:?}");
}

#[test]
fn pins_changed_on_disk_count_from_the_next_look() {
    let mut world = World::new();
    let (request, _) = world.asked();
    world.approve(&request).unwrap();
    world.done();
    assert!(matches!(
        world.asked().1.host.unwrap().standing,
        Standing::Pinned(_)
    ));
    let opened = world.store.open().unwrap();
    let mut pins = opened.pins().unwrap();
    assert_eq!(pins.forget(HOST), 1);
    opened.save_pins(&pins).unwrap();
    drop(opened);
    world.desk.look().unwrap();
    assert_eq!(world.asked().1.host.unwrap().standing, Standing::New);
}

#[test]
fn a_key_added_on_disk_is_opened_and_announced_and_a_disabled_one_is_refused() {
    let mut world = World::new();
    let (request, _) = world.asked();
    let opened = world.store.open().unwrap();
    let mut identities = opened.identities().unwrap();
    identities.add(new_key(&opened, "second")).unwrap();
    identities.disable("work").unwrap();
    opened.save_identities(&identities).unwrap();
    drop(opened);
    world.desk.look().unwrap();
    let done = world.done();
    assert_eq!(
        done[0],
        Said::Done(Done::Identities(vec!["second".to_owned()]))
    );
    let refused = ToAgent::Refused(request.id, Refusal::NoSuchIdentity);
    assert_eq!(done[1], Said::Told(refused, vec![]));
    let Some(Said::Told(ToAgent::Identities(announced), _)) = done.last() else {
        panic!("{done:?}")
    };
    assert_eq!(
        announced
            .iter()
            .map(|one| one.label.as_str())
            .collect::<Vec<_>>(),
        ["second"]
    );
    world.desk.look().unwrap();
    assert_eq!(world.done(), [], "nothing has changed since");

    world.key = identities.find("second").unwrap().key.clone();
    let (request, _) = world.asked();
    world.approve(&request).unwrap();
    assert!(matches!(
        &world.done()[0],
        Said::Told(ToAgent::Signed(..), _)
    ));
}

#[test]
fn an_agent_paired_on_disk_is_connected_and_an_unpaired_one_is_told() {
    let mut world = World::new();
    let (other, _) = pair(6);
    let new = other.id();
    let opened = world.store.open().unwrap();
    let mut agents = opened.agents().unwrap();
    agents.push(other);
    opened.save_agents(&agents).unwrap();
    drop(opened);
    world.desk.look().unwrap();
    let connecting = Done::Agent(new, AgentState::Connecting);
    assert_eq!(
        world.done(),
        [Said::Done(Done::Connect(new)), Said::Done(connecting)]
    );

    let opened = world.store.open().unwrap();
    let mut agents = opened.agents().unwrap();
    agents.remove(0);
    opened.save_agents(&agents).unwrap();
    drop(opened);
    world.desk.look().unwrap();
    let link = world.link();
    assert_eq!(
        world.done(),
        [
            Said::Told(ToAgent::Unpaired, vec![]),
            Said::Done(Done::GiveUp(link)),
            Said::Done(Done::Unpaired(link)),
        ]
    );
    assert_eq!(world.store.open().unwrap().agents().unwrap().len(), 1);
}

#[test]
fn an_agent_that_ends_the_pairing_is_forgotten_on_disk() {
    let mut world = World::new();
    world.say(&ToSigner::Unpaired).unwrap();
    let link = world.link();
    let expected = [Done::GiveUp(link), Done::Unpaired(link)].map(Said::Done);
    assert_eq!(world.done(), expected);
    assert!(world.store.open().unwrap().agents().unwrap().is_empty());
    world.desk.look().unwrap();
    assert_eq!(world.done(), []);
}

#[test]
fn a_state_that_vanishes_stops_the_signer_and_unpairs_nobody() {
    let mut world = World::new();
    #[expect(clippy::disallowed_methods, reason = "what a person might do")]
    std::fs::rename(world.store.path(), world.dir.path().join("elsewhere")).unwrap();
    let failed = world.desk.look().unwrap_err();
    assert!(failed.what.contains("no signer"), "{failed}");
    assert_eq!(world.done(), []);
}

#[test]
fn a_command_that_holds_the_state_delays_a_look_and_stops_nothing() {
    let mut world = World::new();
    let opened = world.store.open().unwrap();
    opened.save_pins(&opened.pins().unwrap()).unwrap();
    world.desk.look().unwrap();
    drop(opened);
    world.desk.look().unwrap();
    assert_eq!(world.done(), []);
}

#[test]
fn whoever_waits_when_the_signer_closes_is_told_at_once() {
    let mut world = World::new();
    let (request, _) = world.asked();
    world.desk.take(Input::Close).unwrap();
    let refused = ToAgent::Refused(request.id, Refusal::Closed);
    assert_eq!(world.done()[0], Said::Told(refused, vec![]));
}

#[test]
fn bytes_of_somebody_else_restart_the_link() {
    let mut world = World::new();
    world
        .desk
        .take(Input::Frame(world.link(), vec![0; 272], [0; 4]))
        .unwrap();
    assert_eq!(world.done(), [Said::Done(Done::Restart(world.link()))]);
}

/// The events of the log on disk.
fn logged(world: &World) -> Vec<Event> {
    let lines = vmux_host::log::read(world.store.path()).unwrap();
    let mut checker = vmux_proto::audit::Checker::new();
    let events = lines.map(|line| checker.line(&line.unwrap().bytes).unwrap().event);
    events.collect()
}

/// Leaves a log file that is another one than was opened, and so cannot be added to.
fn take_log_away(world: &World) -> PathBuf {
    let file = world.store.path().join("log/log.jsonl");
    let mut opened = std::fs::OpenOptions::new()
        .append(true)
        .open(&file)
        .unwrap();
    std::io::Write::write_all(&mut opened, b"?").unwrap();
    file
}

fn give_log_back(file: &Path) {
    let opened = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    let length = opened.metadata().unwrap().len();
    opened.set_len(length - 1).unwrap();
}

#[test]
fn what_was_asked_and_approved_is_on_record_before_the_signature_is_sent() {
    let mut world = World::new();
    let (request, _) = world.asked();
    assert_eq!(logged(&world), [Event::Asked]);
    world.approve(&request).unwrap();
    let done = world.done();
    let signed = done.iter().find_map(|one| match one {
        Said::Told(ToAgent::Signed(..), _) => Some(()),
        _ => None,
    });
    assert_eq!(signed, Some(()), "{done:?}");
    assert_eq!(logged(&world), [Event::Asked, Event::Approved]);
    let sent = world.desk.wire.2.borrow();
    let lines = sent.last().copied();
    assert!(lines >= Some(2), "sent with {lines:?} lines on disk");
}

#[test]
fn a_log_that_cannot_be_written_refuses_and_the_next_request_works_when_it_can() {
    let mut world = World::new();
    let file = take_log_away(&world);
    let refused = world.ask_only();
    let done = world.done();
    assert_eq!(done[0], Said::Done(Done::Log(false)), "{done:?}");
    let answer = ToAgent::Refused(refused.id, Refusal::NotRecorded);
    assert!(done.contains(&Said::Told(answer, vec![])), "{done:?}");
    let asked = |one: &Said| matches!(one, Said::Done(Done::Asked(_)));
    assert!(!done.iter().any(asked), "{done:?}");

    give_log_back(&file);
    let request = world.ask_only();
    let done = world.done();
    assert!(done.contains(&Said::Done(Done::Log(true))), "{done:?}");
    assert!(done.iter().any(asked), "{done:?}");
    world.approve(&request).unwrap();
    assert_eq!(logged(&world), [Event::Lost, Event::Asked, Event::Approved]);
}

#[test]
fn an_approval_that_cannot_be_recorded_signs_nothing() {
    let mut world = World::new();
    let (request, _) = world.asked();
    take_log_away(&world);
    world.approve(&request).unwrap();
    let done = world.done();
    let answer = ToAgent::Refused(request.id, Refusal::NotRecorded);
    assert!(done.contains(&Said::Told(answer, vec![])), "{done:?}");
    let signed = |one: &Said| matches!(one, Said::Told(ToAgent::Signed(..), _));
    assert!(!done.iter().any(signed), "{done:?}");
}

#[test]
fn a_block_and_that_it_was_not_me_are_on_disk_and_ended_by_commands() {
    let mut world = World::new();
    let (request, _) = world.asked();
    let link = world.link();
    let block = Decision::Deny(After::Block);
    world.desk.take(Input::Decided(request.id, block)).unwrap();
    let opened = world.store.open().unwrap();
    assert_eq!(opened.blocks().unwrap().iter().count(), 1);
    let mut blocks = opened.blocks().unwrap();
    let source = blocks.iter().next().unwrap().source.clone();
    assert!(blocks.lift(link, &source));
    opened.save_blocks(&blocks).unwrap();
    drop(opened);
    world.desk.look().unwrap();
    let done = world.done();
    assert!(
        done.contains(&Said::Done(Done::Blocked(vec![]))),
        "{done:?}"
    );

    let mut world = World::new();
    let (request, _) = world.asked();
    let not_me = Decision::Deny(After::NotMe);
    world.desk.take(Input::Decided(request.id, not_me)).unwrap();
    let done = world.done();
    assert!(
        done.contains(&Said::Done(Done::Suspended(link, true))),
        "{done:?}"
    );
    let opened = world.store.open().unwrap();
    let mut agents = opened.agents().unwrap();
    assert!(agents[0].suspended);
    agents[0].suspended = false;
    opened.save_agents(&agents).unwrap();
    drop(opened);
    world.desk.look().unwrap();
    let done = world.done();
    assert!(
        done.contains(&Said::Done(Done::Suspended(link, false))),
        "{done:?}"
    );
    // Asked again, as far as the pause after a denial lets it.
    world.ask_only();
    let paused = Said::Done(Done::Refused(Refusal::Paused));
    assert_eq!(world.done()[0], paused);
}

#[test]
fn what_cannot_be_saved_while_a_command_holds_the_state_is_saved_afterwards() {
    let mut world = World::new();
    let (request, _) = world.asked();
    let opened = world.store.open().unwrap();
    let not_me = Decision::Deny(After::NotMe);
    world.desk.take(Input::Decided(request.id, not_me)).unwrap();
    assert!(!opened.agents().unwrap()[0].suspended);
    drop(opened);
    world.desk.look().unwrap();
    assert!(world.store.open().unwrap().agents().unwrap()[0].suspended);
}

#[test]
fn a_burst_is_told_and_answered_at_once_with_a_signature_each() {
    let mut world = World::new();
    let requests = [(); 3].map(|()| world.ask_only());
    let [first, second, third] = [0, 1, 2].map(|at: usize| requests[at].id);
    let told = world.done();
    for (one, others) in [
        (first, [second, third]),
        (second, [first, third]),
        (third, [first, second]),
    ] {
        let together = Said::Done(Done::Together(one, others.to_vec()));
        assert!(told.contains(&together), "{told:?}");
    }
    let yes = Decision::Approve {
        number: Number::parse("42"),
        name: PinName::parse(HOST).ok(),
    };
    // The third one was not seen.
    let decided = Input::DecidedTogether(vec![first, second], yes);
    world.desk.take(decided).unwrap();
    let done = world.done();
    for request in &requests[..2] {
        let signature = done.iter().find_map(|one| match one {
            Said::Told(ToAgent::Signed(id, signature), _) if *id == request.id => Some(signature),
            _ => None,
        });
        verify(&PureRust, &world.key, &request.payload, signature.unwrap()).unwrap();
    }
    let signed = |one: &&Said| matches!(one, Said::Told(ToAgent::Signed(..), _));
    assert_eq!(done.iter().filter(signed).count(), 2);
    let alone = Said::Done(Done::Together(third, vec![]));
    assert!(done.contains(&alone), "{done:?}");
    let approved = logged(&world)
        .into_iter()
        .filter(|event| *event == Event::Approved);
    assert_eq!(approved.count(), 2);
}

#[test]
fn a_log_that_was_cut_between_two_meetings_is_warned_of_in_the_prompt() {
    let mut world = World::new();
    let grown = |base: u8, lines: u8| {
        let base = Head {
            lines: u64::from(base),
            digest: [base; 32],
        };
        ToSigner::Log(Growth::new(base, &vec![[7; 32]; usize::from(lines)]))
    };
    world.say(&grown(1, 2)).unwrap();
    assert!(!world.asked().1.log_in_doubt);
    world.say(&grown(1, 1)).unwrap();
    assert!(world.asked().1.log_in_doubt);
    assert!(logged(&world).contains(&Event::Questioned));
}

#[test]
fn what_a_signer_knows_of_an_agents_log_survives_its_end() {
    let mut world = World::new();
    let base = Head {
        lines: 1,
        digest: [1; 32],
    };
    let growth = Growth::new(base, &[[7; 32]]);
    world.say(&ToSigner::Log(growth.clone())).unwrap();
    let (request, _) = world.asked();
    world.approve(&request).unwrap();
    let known = known_heads(&world.store).unwrap();
    assert_eq!(known.get(&world.link()), Some(&growth.end()));
}

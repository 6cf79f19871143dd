//! What stands in the log before what.
use crate::ssh::{Secret, sshsig};
use crate::world::{Event, File, Job, Peer, World, yes, yes_and_call_it};
use vmux_proto::audit::{self, Checker, Entry, Head, Storing};
use vmux_proto::message::{Process, Refusal, Reported, SignRequest, ToAgent, ToSigner};
use vmux_signer::{After, Decision, Input, Withdrawn};

fn git(world: &World, id: u8) -> SignRequest {
    world.request(id, sshsig("git"), vec![])
}

/// A world whose file is slow, with a request that is approved and a key that is about to sign.
fn approved() -> (World, SignRequest, Job) {
    let mut world = World::new();
    let request = git(&world, 1);
    world.shown(Peer::Laptop, &request);
    let job = world.approved(request.id, yes(None));
    world.file = File::Slow;
    (world, request, job)
}

/// The lines that came out of the last input.
fn lines(world: &World) -> Vec<audit::Line> {
    let trace = world.trace.iter();
    trace
        .filter_map(|event| match event {
            Event::Record(line) => Some(line.clone()),
            _ => None,
        })
        .collect()
}

/// What the lines of the last input say happened, how safe each must be.
fn events(world: &World) -> Vec<(audit::Event, Storing)> {
    lines(world)
        .iter()
        .map(|line| {
            let entry = Checker::after(line.before).line(&line.bytes).unwrap();
            (entry.event, line.storing)
        })
        .collect()
}

fn has_signature(events: &[Event]) -> bool {
    let is_signature = |event: &Event| matches!(event, Event::Said(_, ToAgent::Signed(..)));
    events.iter().any(is_signature)
}

#[test]
fn i8_a_signature_leaves_after_its_record_is_on_disk_and_not_before() {
    let (mut world, request, job) = approved();
    let events = world.sign(&job);
    assert_eq!(events, [], "neither the agent nor the screen hears of it");
    assert_eq!(
        self::events(&world),
        [(audit::Event::Approved, Storing::Synced)]
    );
    let line = lines(&world).remove(0);
    assert_eq!(world.tick(10_000), [], "however long it takes");
    // Everything before it is safe: that is not enough.
    assert_eq!(world.handle(Input::Recorded(line.before.lines)), []);
    let events = world.handle(Input::Recorded(line.after.lines));
    assert!(has_signature(&events));
    assert_eq!(
        events.last(),
        Some(&Event::Withdrawn(request.id, Withdrawn::Signed))
    );
    assert_eq!(
        world.trace.first(),
        Some(&Event::Said(Peer::Laptop, ToAgent::Log(line.after))),
        "with the end of the log before it"
    );
}

#[test]
fn i8_what_cannot_be_recorded_is_not_signed_and_the_next_one_is() {
    let (mut world, request, job) = approved();
    world.file = File::Full;
    let refused = Refusal::NotRecorded;
    assert_eq!(
        world.sign(&job),
        [
            Event::Said(Peer::Laptop, ToAgent::Refused(request.id, refused)),
            Event::Withdrawn(request.id, Withdrawn::Refused(refused)),
        ]
    );
    assert_eq!(world.pinned(), []);
    assert_eq!(world.sign(&job), [], "the signature is gone");
    world.file = File::Good;
    world.signed(Peer::Laptop, &git(&world, 2));
    // The answer and its refusal are missing, and the log says so.
    assert_eq!(world.story(), ["asked", "lost 2", "asked", "approved"]);
}

#[test]
fn a_question_that_cannot_be_recorded_is_not_asked() {
    let mut world = World::new();
    world.file = File::Full;
    let request = git(&world, 1);
    let refused = ToAgent::Refused(request.id, Refusal::NotRecorded);
    assert_eq!(
        world.ask(Peer::Laptop, &request),
        [Event::Said(Peer::Laptop, refused)]
    );
    assert_eq!(world.decide(request.id, yes(None)), []);
    world.file = File::Good;
    world.shown(Peer::Laptop, &git(&world, 2));
}

#[test]
fn a_question_is_shown_when_it_is_on_record_and_not_before() {
    let mut world = World::new();
    world.file = File::Slow;
    let request = git(&world, 1);
    assert_eq!(world.ask(Peer::Laptop, &request), []);
    assert_eq!(events(&world), [(audit::Event::Asked, Storing::Written)]);
    let line = lines(&world).remove(0);
    assert_eq!(world.ask(Peer::Laptop, &request), [], "asked once more");
    assert_eq!(world.decide(request.id, yes(None)), [], "nobody saw it");
    let events = world.handle(Input::Recorded(line.after.lines));
    assert_eq!(events.len(), 2);
    assert!(matches!(&events[1], Event::Shown(prompt) if prompt.request == request.id));
    world.approved(request.id, yes(None));
}

#[test]
fn i5_a_record_that_is_safe_too_late_releases_nothing() {
    for (early, released) in [(1, true), (0, false)] {
        let (mut world, request, job) = approved();
        let left = world.signer.deadline().unwrap() - world.now.uptime;
        world.sign(&job);
        let line = lines(&world).remove(0);
        world.pass(left - early);
        let events = world.handle(Input::Recorded(line.after.lines));
        assert_eq!(has_signature(&events), released);
        let late = Event::Said(
            Peer::Laptop,
            ToAgent::Refused(request.id, Refusal::TimedOut),
        );
        assert_eq!(events.contains(&late), !released);
    }
}

#[test]
fn a_request_cancelled_while_its_record_is_written_is_not_answered() {
    let (mut world, request, job) = approved();
    world.sign(&job);
    let line = lines(&world).remove(0);
    world.say(Peer::Laptop, &ToSigner::Cancel(request.id));
    let cancelled = lines(&world).remove(0);
    assert_eq!(world.handle(Input::Recorded(line.after.lines)), []);
    assert_eq!(world.handle(Input::Recorded(cancelled.after.lines)), []);
}

#[test]
fn a_record_of_an_earlier_question_shows_no_later_one_of_that_id() {
    let mut world = World::new();
    world.file = File::Slow;
    let request = git(&world, 1);
    world.ask(Peer::Laptop, &request);
    let first = lines(&world).remove(0);
    world.disconnect(Peer::Laptop);
    world.connect(Peer::Laptop);
    world.ask(Peer::Laptop, &request);
    let second = lines(&world).remove(0);
    assert_eq!(world.handle(Input::Recorded(first.after.lines)), []);
    let events = world.handle(Input::Recorded(second.after.lines));
    assert!(matches!(events.last(), Some(Event::Shown(_))));
}

#[test]
fn an_agent_hears_of_the_approval_before_the_key_signs_and_not_of_a_denial() {
    let mut world = World::new();
    let request = git(&world, 1);
    world.shown(Peer::Laptop, &request);
    world.approved(request.id, yes(None));
    assert_eq!(
        world.trace[0],
        Event::Said(Peer::Laptop, ToAgent::Approved(request.id))
    );
    assert!(matches!(world.trace[1], Event::Sign(_)));
    let request = git(&world, 2);
    world.shown(Peer::Laptop, &request);
    world.decide(request.id, Decision::Deny(After::Nothing));
    let approved = |event: &Event| matches!(event, Event::Said(_, ToAgent::Approved(_)));
    assert!(!world.trace.iter().any(approved));
}

#[test]
fn every_end_of_a_request_is_on_record_with_its_reason() {
    let mut world = World::new();
    world.signed(Peer::Laptop, &git(&world, 1));
    let ends: [(End, &str); 7] = [
        (deny, "denied denied"),
        (
            |world, request| {
                world.say(Peer::Laptop, &ToSigner::Cancel(request.id));
            },
            "cancelled",
        ),
        (
            |world, _| {
                world.disconnect(Peer::Laptop);
                world.connect(Peer::Laptop);
            },
            "cancelled disconnected",
        ),
        (
            |world, _| {
                world.tick(60_000);
            },
            "timed-out timed-out",
        ),
        (
            |world, request| {
                world.approved(request.id, yes(None));
                world.handle(Input::Signed(request.id, None));
            },
            "refused key-failed",
        ),
        (
            |world, _| {
                world.handle(Input::Close);
            },
            "refused closed",
        ),
        (
            |world, _| {
                world.handle(Input::Unpair(world.link(Peer::Laptop)));
            },
            "cancelled disconnected",
        ),
    ];
    let mut expected = vec!["asked".to_owned(), "approved".to_owned()];
    for (id, (end, record)) in (2..).zip(ends) {
        world.pass(3_600_000);
        let request = git(&world, id);
        world.shown(Peer::Laptop, &request);
        end(&mut world, &request);
        expected.extend(["asked".to_owned(), record.to_owned()]);
    }
    expected.push("unpaired".to_owned());
    assert_eq!(world.story(), expected);
    let entries = world.entries();
    let requests = entries.iter().filter_map(|entry| entry.request.clone());
    let digits: Vec<_> = requests.collect();
    assert_eq!(digits.len(), 16);
    assert!(
        digits.chunks(2).all(|pair| pair[0] == pair[1]),
        "{digits:?}"
    );
}

/// What ends a request.
type End = fn(&mut World, &SignRequest);

fn deny(world: &mut World, request: &SignRequest) {
    world.decide(request.id, Decision::Deny(After::Nothing));
}

#[test]
fn a_record_says_what_the_signer_checked_and_names_hosts_as_the_person_does() {
    let (mut world, web) = (World::new(), Secret::ed25519(0x41));
    let reported = Reported {
        host: Some("reported".into()),
        processes: vec![Process {
            pid: 7,
            program: "/usr/bin/\u{1b}ssh".into(),
            command: "ssh reported".into(),
        }],
        ..Reported::default()
    };
    let request = SignRequest {
        reported,
        ..world.direct(1, &web)
    };
    let prompt = world.shown(Peer::Laptop, &request);
    let job = world.approved(request.id, yes_and_call_it(prompt.number, "web"));
    world.pass(1_500);
    world.sign(&job);
    let [asked, approved] = &world.entries()[..] else {
        panic!("{:?}", world.entries())
    };
    assert_eq!((asked.host.as_deref(), asked.after_ms), (None, None));
    let link = world.link(Peer::Laptop).to_string();
    let text = |text: &str| Some(text.to_owned());
    let expected = Entry {
        line: 2,
        event: audit::Event::Approved,
        request: text(&"01".repeat(16)),
        link: Some(link),
        peer: text("laptop"),
        identity: text("main"),
        key: Some(world.ed25519.public().fingerprint().to_string()),
        what: text("login"),
        user: text("deploy"),
        level: text(prompt.level.name()),
        host_key: Some(web.public().fingerprint().to_string()),
        host: text("web"),
        source: text("an unknown program"),
        after_ms: Some(1_500),
        time: approved.time.clone(),
        prev: approved.prev.clone(),
        programs: asked.programs.clone(),
        ..Entry::default()
    };
    assert_eq!(*approved, expected);
    let written = String::from_utf8(world.log[1].bytes.clone()).unwrap();
    assert!(!written.contains('\u{1b}') && written.contains("ssh reported"));
}

#[test]
fn refusals_of_one_agent_fill_no_disk_and_are_counted() {
    let mut world = World::new();
    let ask = |world: &mut World, peer, count: u16| {
        let mut request = world.request(1, sshsig("email"), vec![]);
        request.id.0[..2].copy_from_slice(&count.to_be_bytes());
        assert_eq!(world.refused(peer, &request), Refusal::NamespaceNotAllowed);
    };
    for count in 0..500 {
        ask(&mut world, Peer::Laptop, count);
    }
    assert_eq!(world.log.len(), 20);
    ask(&mut world, Peer::Server, 1000);
    assert_eq!(world.log.len(), 21, "another agent has lines of its own");
    world.tick(59_999);
    assert_eq!(world.log.len(), 21);
    world.tick(1);
    assert_eq!(world.story()[21..], ["refused 480"]);
    ask(&mut world, Peer::Laptop, 1001);
    assert_eq!(world.story()[22..], ["refused namespace-not-allowed"]);
}

#[test]
fn what_happens_outside_is_written_as_it_is_told() {
    let mut world = World::new();
    world.handle(Input::Note(Box::new(Entry::new(audit::Event::Stopped))));
    let entries = world.entries();
    assert_eq!(entries[0].event, audit::Event::Stopped);
    assert_eq!(world.log[0].before, Head::EMPTY);
}

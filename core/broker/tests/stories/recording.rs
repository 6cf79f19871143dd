//! What goes on record, and what waits for it.
use crate::world::{Log, Out, PIXEL, World, cancel, denied, failed, is_signature, refused};
use vmux_broker::{ClientId, Denial, Input, Progress, Unasked};
use vmux_proto::audit::{Entry, Event};
use vmux_proto::limits::MAX_GROWTH;
use vmux_proto::message::{Reported, SignRequest, ToAgent, ToSigner};

/// A world whose log is safe only when a story says so.
fn slow() -> World {
    let mut world = World::new();
    world.log = Log::Later;
    world
}

/// A client whose question is on record and whose request is on the pixel.
fn asked(world: &mut World, client: u64) -> SignRequest {
    let ask = world.login_of(client);
    world.ask(client, ask);
    let outs = world.recorded();
    let Some(Out::Say(PIXEL, ToSigner::Sign(request))) = outs.last() else {
        panic!("{outs:?}")
    };
    request.clone()
}

fn stage(world: &World) -> Progress {
    world.broker.status().waiting[0].stage
}

#[test]
fn no_phone_is_asked_before_the_question_is_on_record() {
    let mut world = slow();
    let ask = world.login_of(7);
    assert_eq!(world.ask(7, ask), [Out::Asked(7)]);
    assert_eq!(stage(&world), Progress::Recording);
    assert_eq!(world.told(), [Event::Asked]);
    assert_eq!(world.tick(10), [], "time alone does not make it safe");
    let outs = world.recorded();
    assert!(matches!(outs[..], [Out::Say(PIXEL, ToSigner::Sign(_))]));
    assert_eq!((stage(&world), &world.sent[..]), (Progress::Sent, &[7][..]));
}

#[test]
fn i8_a_signature_never_leaves_before_it_is_recorded() {
    let mut world = slow();
    let request = asked(&mut world, 7);
    let answer = world.signed(&request);
    assert_eq!(world.say(PIXEL, &answer), [], "it is held");
    assert_eq!(world.told(), [Event::Asked, Event::Approved]);
    // Everything but its own line is safe.
    assert_eq!(world.handle(Input::Recorded(1)), []);
    assert_eq!(world.tick(1000), []);
    assert_eq!(stage(&world), Progress::Approved);
    assert!(is_signature(&world.recorded(), 7));
    assert_eq!(world.recorded(), [], "once");
}

#[test]
fn i8_what_is_not_recorded_is_a_failure() {
    let mut world = slow();
    let request = asked(&mut world, 7);
    let answer = world.signed(&request);
    world.say(PIXEL, &answer);
    assert_eq!(
        world.handle(Input::NotRecorded),
        failed(7, Denial::NotRecorded)
    );
    assert!(world.broker.status().log_failing);
    assert_eq!(world.recorded(), [], "it does not come back");
    assert!(!world.broker.status().log_failing);
    let told = world.told();
    assert_eq!(told, [Event::Asked, Event::Lost, Event::Refused]);
    assert_eq!(world.entries[2].reason.as_deref(), Some("not-recorded"));
    assert_eq!(world.say(PIXEL, &answer), [], "nor if it is sent again");
}

#[test]
fn a_question_that_cannot_be_recorded_asks_no_phone() {
    let mut world = slow();
    let ask = world.login_of(7);
    world.ask(7, ask);
    assert_eq!(
        world.handle(Input::NotRecorded),
        failed(7, Denial::NotRecorded)
    );
    assert!(world.sent.is_empty());
    // The next one is tried again by itself.
    world.recorded();
    asked(&mut world, 8);
}

#[test]
fn a_client_that_hangs_up_while_its_approval_is_recorded_gets_nothing() {
    let mut world = slow();
    let request = asked(&mut world, 7);
    let answer = world.signed(&request);
    world.say(PIXEL, &answer);
    assert_eq!(
        world.handle(Input::Gone(ClientId(7))),
        failed(7, Denial::Cancelled),
        "the phone has nothing left to take off its screen"
    );
    assert_eq!(world.recorded(), []);
    let told = [Event::Asked, Event::Approved, Event::Cancelled];
    assert_eq!(world.told(), told);
}

#[test]
fn i5_a_record_in_the_last_millisecond_is_in_time_and_one_at_the_deadline_is_not() {
    for (wait, in_time) in [(59_999, true), (60_000, false), (90_000_000, false)] {
        let mut world = slow();
        let request = asked(&mut world, 7);
        let answer = world.signed(&request);
        world.say(PIXEL, &answer);
        // A laptop that slept for hours, with its clock set back.
        world.pass(wait);
        world.now.wall -= 100_000;
        let outs = world.recorded();
        if in_time {
            assert!(is_signature(&outs, 7));
        } else {
            assert_eq!(outs, failed(7, Denial::TimedOut));
        }
    }
}

#[test]
fn a_record_says_who_asked_for_what_and_how_it_ended() {
    let mut world = World::new();
    world.program("/usr/bin/git");
    world.reported.host = Some("web\u{202e}".into());
    let request = world.asked_of_pixel(7);
    world.pass(1500);
    world.say(PIXEL, &denied(request.id));
    let [asked, ended] = &world.entries[..] else {
        panic!("{:?}", world.entries)
    };
    assert_eq!((asked.event, ended.event), (Event::Asked, Event::Denied));
    assert_eq!(asked.request, ended.request);
    assert_eq!(asked.source.as_deref(), Some("/usr/bin/git"));
    assert_eq!(asked.user.as_deref(), Some("deploy"));
    assert_eq!(asked.host.as_deref(), Some("web\\u{202e}"));
    assert_eq!(asked.peer.as_deref(), Some("pixel"));
    assert_eq!(asked.identity.as_deref(), Some("work"));
    let key = world.work.public().fingerprint().to_string();
    assert_eq!(asked.key, Some(key));
    assert_eq!((asked.after_ms, ended.after_ms), (None, Some(1500)));
    assert_eq!(ended.reason.as_deref(), Some("denied"));
}

#[test]
fn every_end_is_on_record_under_its_name() {
    let mut world = World::new();
    world.asked_of_pixel(1);
    world.handle(Input::Gone(ClientId(1)));
    let taken_back = world.asked_of_pixel(2).id;
    assert_eq!(
        world.handle(Input::Cancel(taken_back)),
        [
            &[cancel(PIXEL, taken_back)][..],
            &failed(2, Denial::CancelledHere)
        ]
        .concat()
    );
    world.asked_of_pixel(3);
    world.tick(60_000);
    world.asked_of_pixel(4);
    world.lock("x");
    let ends: Vec<_> = world
        .told()
        .into_iter()
        .filter(|event| *event != Event::Asked)
        .collect();
    let expected = [
        Event::Cancelled,
        Event::Cancelled,
        Event::TimedOut,
        Event::Refused,
        Event::Locked,
    ];
    assert_eq!(ends, expected);
}

fn refuse(world: &mut World) {
    let ask = world.login_of(7);
    assert_eq!(world.ask(7, ask), refused(7, Denial::Locked));
}

#[test]
fn refusals_beyond_twenty_a_minute_are_counted_in_one_line() {
    let mut world = World::new();
    world.lock("x");
    let before = world.entries.len();
    for _ in 0..20 {
        refuse(&mut world);
    }
    assert_eq!(world.entries.len() - before, 20);
    assert_eq!(world.broker.deadline(), None);
    for _ in 0..500 {
        refuse(&mut world);
    }
    assert_eq!(world.entries.len() - before, 20);
    // Another program's refusals are not swallowed with them.
    world.program("make");
    refuse(&mut world);
    assert_eq!(world.entries.len() - before, 21);
    assert_eq!(world.broker.deadline(), Some(world.now.uptime + 60_000));
    world.tick(59_999);
    assert_eq!(world.entries.len() - before, 21);
    world.tick(1);
    assert_eq!(world.entries.len() - before, 22);
    assert_eq!(world.entries.last().unwrap().count, Some(500));
}

#[test]
fn what_a_conversation_refuses_is_on_record_with_what_it_knows() {
    let mut world = World::new();
    let unasked = Unasked {
        client: ClientId(7),
        denial: Denial::ForeignCertificate,
        reported: Reported::default(),
        known: Box::new(Entry {
            user: Some("deploy".into()),
            ..Entry::default()
        }),
    };
    let outs = world.handle(Input::Refused(Box::new(unasked)));
    assert_eq!(outs, [Out::Refused(7, Denial::ForeignCertificate)]);
    let entry = &world.entries[0];
    assert_eq!(entry.event, Event::Refused);
    assert_eq!(entry.reason.as_deref(), Some("foreign-certificate"));
    assert_eq!(entry.user.as_deref(), Some("deploy"));
    assert_eq!(entry.source.as_deref(), Some("an unknown program"));
}

/// What the pixel was told of the log.
fn growths(outs: &[Out]) -> Vec<&vmux_proto::audit::Growth> {
    let mut growths = Vec::new();
    for out in outs {
        if let Out::Say(PIXEL, ToSigner::Log(growth)) = out {
            growths.push(growth);
        }
    }
    growths
}

#[test]
fn i9_a_phone_is_told_how_the_log_has_grown_before_it_is_asked() {
    let mut world = World::new();
    let known = world.broker.status().log;
    assert_eq!(world.say(PIXEL, &ToAgent::Remembers(known)), []);
    let ask = world.login_of(7);
    let outs = world.ask(7, ask);
    let [Out::Asked(7), told, Out::Say(PIXEL, ToSigner::Sign(_))] = &outs[..] else {
        panic!("{outs:?}")
    };
    let told = growths(std::slice::from_ref(told))[0].clone();
    assert_eq!((told.base, told.end()), (known, world.broker.status().log));
    assert_ne!(told.end(), known);
    // What it knows it is not told again.
    let ask = world.login_of(8);
    let outs = world.ask(8, ask);
    assert_eq!(growths(&outs)[0].base, told.end());
}

#[test]
fn i9_a_head_that_memory_does_not_reach_is_proven_from_the_files() {
    let mut world = World::new();
    let known = world.broker.status().log;
    for _ in 0..=MAX_GROWTH {
        world.handle(Input::Note(Box::new(Entry::new(Event::Started))));
    }
    let prove = [Out::Prove(PIXEL, known)];
    assert_eq!(world.say(PIXEL, &ToAgent::Remembers(known)), prove);
    // Nobody waits for the proof, and it is not asked for twice.
    let ask = world.login_of(7);
    assert!(matches!(
        world.ask(7, ask)[..],
        [Out::Asked(7), Out::Say(PIXEL, ToSigner::Sign(_))]
    ));
    let link = world.link(PIXEL);
    // The file does not hold that head: the phone is not spared that.
    let outs = world.handle(Input::Proof(link, Vec::new()));
    let head = world.broker.status().log;
    assert_eq!(
        (growths(&outs)[0].base, growths(&outs)[0].end()),
        (head, head)
    );
    assert_ne!(head, known);
    assert_eq!(world.handle(Input::Proof(link, Vec::new())), [], "once");
}

#[test]
fn i9_a_phone_whose_log_went_back_is_questioned_and_one_whose_log_grew_is_not() {
    let mut world = World::new();
    let shorter = world.broker.status().log;
    world.asked_of_pixel(7);
    let longer = world.broker.status().log;
    assert_eq!(world.say(PIXEL, &ToAgent::Log(shorter)), []);
    assert_eq!(world.say(PIXEL, &ToAgent::Log(longer)), []);
    assert_eq!(world.say(PIXEL, &ToAgent::Log(longer)), []);
    let outs = world.say(PIXEL, &ToAgent::Log(shorter));
    assert_eq!(outs, [Out::Questioned(PIXEL)]);
    assert_eq!(world.told().last(), Some(&Event::Questioned));
}

#[test]
fn i9_a_record_carries_the_end_of_the_phones_log() {
    let mut world = World::new();
    let request = world.asked_of_pixel(7);
    let head = world.broker.status().log;
    world.say(PIXEL, &ToAgent::Log(head));
    let answer = world.signed(&request);
    world.say(PIXEL, &answer);
    let logs: Vec<_> = world.entries.iter().map(|entry| &entry.other_log).collect();
    assert_eq!(logs, [&None, &Some(head.to_string())]);
}

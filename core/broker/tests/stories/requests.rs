//! A sign request's life: who is asked, who may answer, and what the client gets.
use crate::phone::announced;
use crate::ssh::{SESSION, Secret, ask_after, ask_for_commit, ask_for_login, login};
use crate::world::{
    Out, PIXEL, TABLET, World, cancel, denied, failed, is_signature, refused, session,
};
use vmux_broker::known_hosts::Verdict;
use vmux_broker::{Answer, Ask, ClientId, Denial, Ended, Input, Limits, SignAsk};
use vmux_proto::agent_wire::SignFlags;
use vmux_proto::binding::{Chain, Use};
use vmux_proto::crypto::PureRust;
use vmux_proto::destination::{Destination, Level};
use vmux_proto::key::PublicKey;
use vmux_proto::limits::{MAX_HINT, MAX_PROCESSES};
use vmux_proto::message::{
    Message as _, Number, Process, Refusal, Reported, RequestId, ToAgent, ToSigner,
};
use vmux_proto::payload::Payload;
use vmux_proto::signature::verify;
use vmux_proto::wire::Writer;

#[test]
fn a_request_goes_out_with_everything_the_phone_needs_to_prove_it_again() {
    let mut world = World::new();
    world.reported.host = Some("web".into());
    let request = world.asked_of_pixel(7);
    let (key, web) = (world.work.public(), world.web.public());
    assert_eq!(request.key.as_slice(), key.blob());
    assert_eq!(
        request.payload.to_vec(),
        crate::ssh::login_to(&web, &session(7), &key)
    );
    assert_eq!(
        request.chain,
        [world.web.binding(&session(7), Use::Login).into()]
    );
    assert_eq!((request.flags, request.wait_ms), (0, 60_000));
    assert_eq!(request.reported, world.reported);
    let status = world.broker.status();
    let [waiting] = &status.waiting[..] else {
        panic!("{status:?}")
    };
    assert_eq!((waiting.id, waiting.level), (request.id, Level::Direct));
    assert_eq!(waiting.host_key, Some(web));
    assert_eq!(
        (waiting.what.as_str(), waiting.phone.raw()),
        ("login as deploy", "pixel")
    );
    assert_eq!((waiting.identity.raw(), waiting.number), ("work", None));
}

#[test]
fn i7_a_signature_that_verifies_is_the_answer() {
    let mut world = World::new();
    let request = world.asked_of_pixel(7);
    let answer = world.signed(&request);
    let outs = world.say(PIXEL, &answer);
    assert!(is_signature(&outs, 7), "{outs:?}");
    let Out::Answer(_, Answer::Signature(signature)) = &outs[1] else {
        panic!("{outs:?}")
    };
    let good = verify(
        &PureRust,
        &world.work.public(),
        &request.payload,
        signature.blob(),
    );
    assert_eq!(good, Ok(()));
    assert!(world.broker.status().waiting.is_empty());
    assert_eq!(world.broker.deadline(), None);
}

#[test]
fn i7_a_signature_with_any_bit_flipped_is_a_failure() {
    let mut world = World::new();
    let length = world.work.sign(b"").len();
    for at in 0..length {
        let request = world.asked_of_pixel(7);
        let mut signature = world.work.sign(&request.payload);
        signature[at] ^= 1;
        let outs = world.say(PIXEL, &ToAgent::Signed(request.id, signature.into()));
        assert_eq!(outs, failed(7, Denial::BadAnswer), "byte {at}");
    }
}

#[test]
fn i7_a_signature_of_another_key_or_of_other_bytes_is_a_failure() {
    let mut world = World::new();
    let of_another_key = |world: &World, bytes: &[u8]| world.main.sign(bytes);
    let of_other_bytes = |world: &World, bytes: &[u8]| world.work.sign(&bytes[1..]);
    for wrong in [of_another_key, of_other_bytes] {
        let request = world.asked_of_pixel(7);
        let signature = wrong(&world, &request.payload);
        let outs = world.say(PIXEL, &ToAgent::Signed(request.id, signature.into()));
        assert_eq!(outs, failed(7, Denial::BadAnswer));
    }
}

#[test]
fn what_the_phone_says_meanwhile_is_told_and_ends_nothing() {
    let mut world = World::new();
    let request = world.asked_of_pixel(7);
    assert_eq!(
        world.say(PIXEL, &ToAgent::Received(request.id)),
        [Out::Received(7)]
    );
    let number = Number::parse("42").unwrap();
    let outs = world.say(PIXEL, &ToAgent::ShowNumber(request.id, number));
    assert_eq!(outs, [Out::Number(7, number)]);
    assert_eq!(world.broker.status().waiting[0].number, Some(number));
    let answer = world.signed(&request);
    assert!(is_signature(&world.say(PIXEL, &answer), 7));
}

#[test]
fn every_refusal_of_the_phone_is_a_failure_with_its_reason() {
    let mut world = World::new();
    for refusal in [
        Refusal::Denied,
        Refusal::WrongNumber,
        Refusal::HostKeyChanged,
        Refusal::Closed,
    ] {
        let request = world.asked_of_pixel(7);
        let outs = world.say(PIXEL, &ToAgent::Refused(request.id, refusal));
        assert_eq!(outs, failed(7, Denial::Phone(refusal)));
        world.tick(900_000);
    }
}

#[test]
fn i4_an_answered_request_is_answered_once() {
    let mut world = World::new();
    let request = world.asked_of_pixel(7);
    let answer = world.signed(&request);
    assert!(is_signature(&world.say(PIXEL, &answer), 7));
    for late in [
        answer,
        denied(request.id),
        ToAgent::Received(request.id),
        ToAgent::ShowNumber(request.id, Number::parse("42").unwrap()),
    ] {
        assert_eq!(world.say(PIXEL, &late), []);
    }
    let request = world.asked_of_pixel(8);
    world.say(PIXEL, &denied(request.id));
    let answer = world.signed(&request);
    assert_eq!(world.say(PIXEL, &answer), [], "a signature after a refusal");
}

#[test]
fn i4_each_request_has_an_id_of_its_own_and_gets_its_own_answer() {
    let mut world = World::new();
    let (one, two) = (world.asked_of_pixel(7), world.asked_of_pixel(8));
    assert_ne!(one.id, two.id);
    let answer = world.signed(&two);
    assert!(is_signature(&world.say(PIXEL, &answer), 8));
    assert_eq!(
        world.say(PIXEL, &denied(one.id)),
        failed(7, Denial::Phone(Refusal::Denied))
    );
}

#[test]
fn ids_nobody_gave_mean_nothing() {
    let mut world = World::new();
    let request = world.asked_of_pixel(7);
    let stranger = RequestId([0; 16]);
    let signature = world.work.sign(&request.payload);
    assert_eq!(
        world.say(PIXEL, &ToAgent::Signed(stranger, signature.into())),
        []
    );
    assert_eq!(world.say(PIXEL, &denied(stranger)), []);
    assert_eq!(world.broker.status().waiting.len(), 1);
}

#[test]
fn a_phone_speaks_for_its_own_requests_alone() {
    let mut world = World::new();
    let request = world.asked_of_pixel(7);
    let answer = world.signed(&request);
    for foreign in [
        denied(request.id),
        ToAgent::Received(request.id),
        ToAgent::ShowNumber(request.id, Number::parse("42").unwrap()),
        answer.clone(),
    ] {
        assert_eq!(world.say(TABLET, &foreign), []);
    }
    assert_eq!(world.broker.status().waiting[0].number, None);
    assert!(is_signature(&world.say(PIXEL, &answer), 7));
}

#[test]
fn a_key_of_two_phones_is_asked_of_the_one_that_is_connected() {
    for (connected, other) in [(PIXEL, TABLET), (TABLET, PIXEL)] {
        let mut world = World::new();
        world.leave(other);
        let ask = ask_for_login(&world.main, &world.web);
        let outs = world.ask(7, ask);
        let [Out::Asked(7), Out::Say(asked, ToSigner::Sign(request))] = &outs[..] else {
            panic!("{outs:?}")
        };
        assert_eq!(*asked, connected);
        let signature = world.main.sign(&request.payload);
        let outs = world.say(connected, &ToAgent::Signed(request.id, signature.into()));
        assert!(is_signature(&outs, 7));
    }
}

#[test]
fn a_key_no_phone_offers_is_refused_at_once() {
    let mut world = World::new();
    let ask = ask_for_login(&Secret::new(50), &world.web);
    assert_eq!(world.ask(7, ask), refused(7, Denial::NoSuchIdentity));
    world.say(PIXEL, &announced(&[(&world.main, "main")]));
    let ask = ask_for_login(&world.work, &world.web);
    assert_eq!(
        world.ask(7, ask),
        refused(7, Denial::NoSuchIdentity),
        "no longer offered"
    );
}

#[test]
fn a_certificate_on_a_key_counts_as_the_key() {
    let mut world = World::new();
    let certificate = certificate(&world.work);
    let ask = ask_after(&[], &certificate, &login(SESSION, &certificate));
    let outs = world.ask(7, ask);
    let [_, Out::Say(PIXEL, ToSigner::Sign(request))] = &outs[..] else {
        panic!("{outs:?}")
    };
    assert_eq!(request.key.as_slice(), certificate.blob());
    let answer = world.signed(request);
    assert!(is_signature(&world.say(PIXEL, &answer), 7));
}

/// A user certificate on `secret`, by an authority of no interest.
fn certificate(secret: &Secret) -> PublicKey {
    let authority = Secret::new(60);
    let vmux_proto::key::KeyData::Ed25519(point) = secret.public().data().clone() else {
        panic!("an Ed25519 key")
    };
    let body = Writer::new()
        .string("ssh-ed25519-cert-v01@openssh.com")
        .string([7; 32])
        .string(point)
        .u64(1)
        .u32(1)
        .string("id")
        .string(Writer::new().string("deploy").finish())
        .u64(0)
        .u64(u64::MAX)
        .string("")
        .string("")
        .string("")
        .string(authority.public().blob())
        .finish();
    let signature = authority.sign(&body);
    PublicKey::parse(&Writer::new().bytes(&body).string(signature).finish()).unwrap()
}

#[test]
fn a_revoked_host_is_refused_and_any_other_verdict_is_not() {
    let mut world = World::new();
    let mut ask = |verdict| {
        let ask = ask_for_login(&world.work, &world.web);
        let asked = vmux_broker::Asked {
            known_hosts: Some(verdict),
            ..world.asked(7, ask)
        };
        world.handle(Input::Ask(asked))
    };
    assert_eq!(ask(Verdict::Revoked), refused(7, Denial::HostKeyRevoked));
    assert!(ask(Verdict::Unknown).contains(&Out::Asked(7)));
    assert!(ask(Verdict::HashedKnown).contains(&Out::Asked(7)));
}

#[test]
fn a_client_that_hangs_up_takes_its_requests_off_the_screen() {
    let mut world = World::new();
    let (one, two) = (world.asked_of_pixel(7), world.asked_of_pixel(8));
    let mut expected = vec![cancel(PIXEL, one.id)];
    expected.extend(failed(7, Denial::Cancelled));
    assert_eq!(world.handle(Input::Gone(ClientId(7))), expected);
    assert_eq!(world.handle(Input::Gone(ClientId(7))), []);
    let answer = world.signed(&one);
    assert_eq!(world.say(PIXEL, &answer), [], "nobody is there to get it");
    let answer = world.signed(&two);
    assert!(is_signature(&world.say(PIXEL, &answer), 8));
}

#[test]
fn sixty_four_requests_wait_and_one_more_is_refused() {
    let mut world = World::new();
    let first = world.asked_of_pixel(0);
    for client in 1..16 {
        world.program(if client < 8 { "git" } else { "make" });
        world.asked_of_pixel(client);
    }
    for client in 16..64 {
        world.program(if client < 40 { "git" } else { "make" });
        world.asked_while_away(client);
    }
    let ask = ask_for_login(&world.work, &world.web);
    assert_eq!(world.ask(64, ask), refused(64, Denial::TooMany));
    assert_eq!(world.list().len(), 3, "what needs no phone is answered");
    world.say(PIXEL, &ToAgent::Refused(first.id, Refusal::KeyFailed));
    world.program("ansible");
    let ask = world.login_of(65);
    assert!(world.ask(65, ask).contains(&Out::Asked(65)));
}

#[test]
fn a_phone_gets_sixteen_requests_at_a_time_and_the_next_when_one_ends() {
    let mut world = World::new();
    let mut first = Vec::new();
    for client in 0..16 {
        world.program(if client < 8 { "git" } else { "make" });
        first.push(world.asked_of_pixel(client));
    }
    world.pass(10);
    world.asked_while_away(16);
    let outs = world.say(PIXEL, &denied(first[3].id));
    let is_sign = |out: &&Out| matches!(out, Out::Say(PIXEL, ToSigner::Sign(_)));
    assert_eq!(outs.iter().filter(is_sign).count(), 1, "{outs:?}");
    // A client that hangs up before its turn was never on the screen.
    world.asked_while_away(17);
    let outs = world.handle(Input::Gone(ClientId(17)));
    assert!(
        !outs.iter().any(|out| matches!(out, Out::Say(..))),
        "{outs:?}"
    );
}

#[test]
fn requests_whose_time_is_over_make_room_even_if_nobody_said_so() {
    let mut world = World::new();
    world.use_limits(Limits {
        pending: 1,
        ..Limits::default()
    });
    world.asked_while_away(1);
    let ask = ask_for_login(&world.work, &world.web);
    assert_eq!(world.ask(2, ask), refused(2, Denial::TooMany));
    world.pass(900);
    let ask = ask_for_login(&world.work, &world.web);
    let mut expected = failed(1, Denial::Unreachable).to_vec();
    expected.push(Out::Asked(2));
    assert_eq!(world.ask(2, ask), expected);
}

#[test]
fn a_signature_that_is_no_login_is_described_as_what_it_is() {
    let mut world = World::new();
    let outs = world.ask(7, ask_for_commit(&world.work.public()));
    assert!(matches!(
        outs[..],
        [Out::Asked(7), Out::Say(PIXEL, ToSigner::Sign(_))]
    ));
    let waiting = &world.broker.status().waiting[0];
    assert_eq!(
        (waiting.what.as_str(), waiting.level),
        ("git signature", Level::Local)
    );
}

#[test]
fn i20_names_in_what_people_read_are_escaped() {
    let mut world = World::new();
    let payload = Writer::new()
        .bytes(b"SSHSIG")
        .string("git\u{1b}]0;\u{7}")
        .string("")
        .string("sha256")
        .string([1; 32])
        .finish();
    world.ask(7, ask_after(&[], &world.work.public(), &payload));
    assert_eq!(
        world.broker.status().waiting[0].what,
        r"git\u{1b}]0;\u{7} signature"
    );
}

#[test]
fn the_largest_hints_a_phone_takes_are_sent_and_larger_ones_left_out() {
    for (length, kept) in [(MAX_HINT, true), (MAX_HINT + 1, false)] {
        let mut world = World::new();
        world.reported = hints(length);
        let request = world.asked_of_pixel(7);
        let expected = if kept {
            hints(length)
        } else {
            Reported::default()
        };
        assert_eq!(request.reported, expected);
        assert_eq!(
            world.broker.status().waiting[0].reported,
            hints(length),
            "here they stay"
        );
        let answer = world.signed(&request);
        assert!(is_signature(&world.say(PIXEL, &answer), 7));
    }
}

fn hints(length: usize) -> Reported {
    let process = |pid| Process {
        pid,
        program: "p".repeat(length),
        command: "c".repeat(length),
    };
    Reported {
        processes: (1..).take(MAX_PROCESSES).map(process).collect(),
        directory: Some("d".repeat(length)),
        ..Reported::default()
    }
}

/// A login with a chain of bindings that has this many bytes, unproven: what its length does is
/// looked at here.
fn ask_with_chain(world: &World, length: usize) -> Ask {
    let (key, bytes) = (world.work.public(), login(SESSION, &world.work.public()));
    let payload = Payload::parse(&bytes, &key).unwrap();
    let destination = Destination::prove(&Chain::new(), &payload).unwrap();
    let flags = SignFlags::default();
    let chain = vec![vec![0; length]];
    Ask::Sign(Box::new(SignAsk {
        key,
        bytes,
        payload,
        flags,
        chain,
        destination,
    }))
}

#[test]
fn a_request_the_phone_would_refuse_for_its_size_is_refused_here() {
    let mut world = World::new();
    let outs = world.ask(7, ask_with_chain(&world, 24 * 1024));
    assert!(
        matches!(
            outs[..],
            [Out::Asked(7), Out::Say(PIXEL, ToSigner::Sign(_))]
        ),
        "{outs:?}"
    );
    let outs = world.ask(7, ask_with_chain(&world, 24 * 1024 + 1));
    assert_eq!(outs, refused(7, Denial::TooLarge));
    let outs = world.ask(7, ask_with_chain(&world, 70_000));
    assert_eq!(
        outs,
        refused(7, Denial::TooLarge),
        "the link would not carry it"
    );
}

#[test]
fn the_largest_request_of_all_fits_one_message() {
    let mut world = World::new();
    world.reported = Reported {
        terminal: Some("t".repeat(MAX_HINT)),
        host: Some("h".repeat(MAX_HINT)),
        known_hosts: Some("k".repeat(MAX_HINT)),
        user: Some("u".repeat(MAX_HINT)),
        ..hints(MAX_HINT)
    };
    let key = world.work.public();
    let user = "u".repeat(16 * 1024 - 200);
    let bytes = Writer::new()
        .string(SESSION)
        .u8(50)
        .string(user)
        .string("ssh-connection")
        .string("publickey")
        .u8(1)
        .string(key.blob_type())
        .string(key.blob())
        .finish();
    let payload = Payload::parse(&bytes, &key).unwrap();
    let destination = Destination::prove(&Chain::new(), &payload).unwrap();
    let chain = vec![vec![0; 1536]; 16];
    let flags = SignFlags::default();
    let ask = SignAsk {
        key,
        bytes,
        payload,
        flags,
        chain,
        destination,
    };
    let outs = world.ask(7, Ask::Sign(Box::new(ask)));
    let [Out::Asked(7), Out::Say(PIXEL, message)] = &outs[..] else {
        panic!("{outs:?}")
    };
    let ToSigner::Sign(request) = message else {
        panic!("{message:?}")
    };
    assert_eq!(request.reported, world.reported, "with all its hints");
    assert!(message.within_limits());
}

#[test]
fn removing_one_identity_fails_and_removing_all_succeeds() {
    let mut world = World::new();
    assert_eq!(world.ask(7, Ask::Remove), [Out::Answer(7, Answer::Failure)]);
    assert_eq!(
        world.ask(7, Ask::RemoveAll),
        [Out::Answer(7, Answer::Success)]
    );
    assert_eq!(world.list().len(), 3, "what the phones hold stays");
}

#[test]
fn every_end_of_a_request_is_told_before_the_client_hears_of_it() {
    let mut world = World::new();
    let request = world.asked_of_pixel(7);
    let answer = world.signed(&request);
    let outs = world.say(PIXEL, &answer);
    assert!(matches!(
        outs[..],
        [Out::Ended(7, Ended::Signed), Out::Answer(7, _)]
    ));
    let ask = ask_for_login(&Secret::new(50), &world.web);
    assert!(matches!(
        world.ask(8, ask)[..],
        [Out::Refused(8, _), Out::Answer(8, _)]
    ));
}

#[test]
fn every_denial_of_a_request_has_a_name_a_reason_and_a_hint_of_its_own_kind() {
    let denials = [
        Denial::Locked,
        Denial::NoSuchIdentity,
        Denial::HostKeyRevoked,
        Denial::TooLarge,
        Denial::TooMany,
        Denial::TooManyFromSource,
        Denial::Paused(1),
        Denial::Blocked,
        Denial::NotMe,
        Denial::NotRecorded,
        Denial::Unreachable,
        Denial::TimedOut,
        Denial::BadAnswer,
        Denial::Unpaired,
        Denial::Cancelled,
        Denial::CancelledHere,
    ];
    for (at, denial) in denials.iter().enumerate() {
        assert!(!denial.hint().is_empty());
        for other in &denials[..at] {
            assert_ne!(denial.name(), other.name());
            assert_ne!(denial.reason(), other.reason());
        }
    }
}

//! Where a signature goes: what is shown, and what that demands of the person.
use crate::ssh::{OTHER_SESSION, SESSION, Secret, certificate, login, login_to, sshsig};
use crate::world::{Event, NUMBER, Peer, WRONG_NUMBER, World, number, yes, yes_and_call_it};
use vmux_proto::binding::Use;
use vmux_proto::destination::Level;
use vmux_proto::message::{Refusal, SignRequest, ToAgent};
use vmux_signer::{Input, PinName, Pins, Standing, Subject, Withdrawn};

const WEB: u8 = 0x41;
const BASTION: u8 = 0x42;

#[test]
fn a_direct_login_to_a_pinned_host_needs_no_number() {
    let (mut world, web) = (World::new(), Secret::ed25519(WEB));
    world.knows(&web, "web");
    let first = world.now.wall;
    world.pass(86_400_000);
    let request = world.direct(1, &web);
    let prompt = world.shown(Peer::Laptop, &request);
    assert_eq!((prompt.level, prompt.number), (Level::Direct, None));
    let host = prompt.host.unwrap();
    assert_eq!(host.fingerprint, web.public().fingerprint());
    assert!(matches!(&host.standing, Standing::Pinned(pin) if pin.name.as_str() == "web"));
    assert_eq!(
        prompt.subject,
        Subject::Login {
            user: "deploy".into()
        }
    );
    assert_eq!(prompt.workstation, "laptop".into());
    assert_eq!(prompt.identity, "main");
    let job = world.approved(request.id, yes(None));
    assert_eq!((&job.bytes, job.flags), (&request.payload.to_vec(), 0));
    world.sign(&job);
    let pin = world.signer.pins().all()[0].clone();
    assert_eq!((pin.first_seen, pin.last_used), (first, first + 86_400));
    assert_eq!((pin.last_used, pin.uses), (world.now.wall, 2));
}

#[test]
fn a_direct_login_to_a_new_host_needs_the_number_and_pins_the_host() {
    let (mut world, web) = (World::new(), Secret::p256(WEB));
    let request = world.direct(1, &web);
    let prompt = world.shown(Peer::Laptop, &request);
    assert_eq!(
        (prompt.level, prompt.number),
        (Level::Direct, number(NUMBER))
    );
    assert_eq!(prompt.host.unwrap().standing, Standing::New);
    let job = world.approved(request.id, yes_and_call_it(number(NUMBER), "web"));
    assert_eq!(
        world.pinned(),
        [],
        "nothing is pinned before the signature is there"
    );
    world.sign(&job);
    assert_eq!(world.pinned(), [("web".into(), web.public().fingerprint())]);
}

#[test]
fn pins_are_stored_before_the_signature_is_sent() {
    let (mut world, web) = (World::new(), Secret::ed25519(WEB));
    let request = world.direct(1, &web);
    world.shown(Peer::Laptop, &request);
    let job = world.approved(request.id, yes_and_call_it(number(NUMBER), "web"));
    let signature = world.ed25519.sign(&request.payload);
    assert_eq!(
        world.sign(&job),
        [
            Event::StorePins,
            Event::Said(Peer::Laptop, ToAgent::Signed(request.id, signature.into())),
            Event::Withdrawn(request.id, Withdrawn::Signed),
        ]
    );
}

#[test]
fn a_new_host_without_a_name_is_pinned_under_its_fingerprint() {
    let (mut world, web) = (World::new(), Secret::ed25519(WEB));
    world.signed(Peer::Laptop, &world.direct(1, &web));
    let fingerprint = web.public().fingerprint();
    assert_eq!(world.pinned(), [(fingerprint.to_string(), fingerprint)]);
}

#[test]
fn a_wrong_number_signs_and_pins_nothing_and_ends_the_request() {
    for wrong in [number(WRONG_NUMBER), None] {
        let (mut world, web) = (World::new(), Secret::ed25519(WEB));
        let request = world.direct(1, &web);
        world.shown(Peer::Laptop, &request);
        assert_eq!(
            world.decide(request.id, yes(wrong)),
            [
                Event::Said(
                    Peer::Laptop,
                    ToAgent::Refused(request.id, Refusal::WrongNumber)
                ),
                Event::Withdrawn(request.id, Withdrawn::Refused(Refusal::WrongNumber)),
            ]
        );
        assert_eq!(world.decide(request.id, yes(number(NUMBER))), [], "one try");
        assert_eq!(world.pinned(), []);
    }
}

#[test]
fn the_dice_decide_the_number() {
    let (mut world, web) = (World::new(), Secret::ed25519(WEB));
    world.dice = [0, 0, 0, 33];
    let prompt = world.shown(Peer::Laptop, &world.direct(1, &web));
    assert_eq!(prompt.number, number(WRONG_NUMBER));
}

#[test]
fn a_login_without_bindings_needs_the_number_and_is_never_pinned() {
    let web = Secret::ed25519(WEB);
    for known in [false, true] {
        let mut world = World::new();
        if known {
            world.knows(&web, "web");
        }
        let pins = world.pinned();
        let key = world.ed25519.public();
        let unknown = world.request(1, login(SESSION, "deploy", &key), vec![]);
        let claimed = login_to(&web.public(), SESSION, "deploy", &key);
        let claimed = world.request(2, claimed, vec![]);
        for (request, level) in [(unknown, Level::Unknown), (claimed, Level::Claimed)] {
            let prompt = world.shown(Peer::Laptop, &request);
            assert_eq!((prompt.level, prompt.number), (level, number(NUMBER)));
            let standings: Vec<_> = prompt.host.iter().map(|host| &host.standing).collect();
            match level {
                Level::Claimed => assert_eq!(standings, [&Standing::Unverified]),
                _ => assert!(standings.is_empty()),
            }
            let job = world.approved(request.id, yes_and_call_it(number(NUMBER), "evil"));
            let events = world.sign(&job);
            assert!(!events.contains(&Event::StorePins), "{events:?}");
        }
        assert_eq!(world.pinned(), pins);
        assert!(world.signer.pins().all().iter().all(|pin| pin.uses == 1));
    }
}

#[test]
fn a_forwarded_login_shows_its_hops_and_needs_the_number_even_for_known_hosts() {
    let (web, bastion) = (Secret::ed25519(WEB), Secret::p256(BASTION));
    let mut world = World::new();
    world.knows(&web, "web");
    world.knows(&bastion, "bastion");
    let request = forwarded(&world, 1, &bastion, &web);
    let prompt = world.shown(Peer::Laptop, &request);
    assert_eq!(
        (prompt.level, prompt.number),
        (Level::Forwarded, number(NUMBER))
    );
    assert_eq!(prompt.host.unwrap().fingerprint, web.public().fingerprint());
    let hops: Vec<_> = prompt.hops.iter().map(|hop| hop.fingerprint).collect();
    assert_eq!(hops, [bastion.public().fingerprint()]);
    assert!(matches!(&prompt.hops[0].standing, Standing::Pinned(_)));
    let events = world.decide(request.id, yes(None));
    assert_eq!(
        events.last(),
        Some(&Event::Withdrawn(
            request.id,
            Withdrawn::Refused(Refusal::WrongNumber)
        ))
    );
    world.pass(2_000);
    let again = forwarded(&world, 2, &bastion, &web);
    world.signed(Peer::Laptop, &again);
}

#[test]
fn a_forwarded_login_pins_its_destination_and_not_its_hops() {
    let (web, bastion) = (Secret::ed25519(WEB), Secret::p256(BASTION));
    let mut world = World::new();
    world.signed(Peer::Laptop, &forwarded(&world, 1, &bastion, &web));
    let pinned: Vec<_> = world.pinned().into_iter().map(|(_, key)| key).collect();
    assert_eq!(pinned, [web.public().fingerprint()]);
}

#[test]
fn a_signature_asked_for_on_the_workstation_needs_no_number_and_from_a_hop_it_does() {
    let (mut world, bastion) = (World::new(), Secret::ed25519(BASTION));
    let here = world.request(1, sshsig("git"), vec![]);
    let prompt = world.shown(Peer::Laptop, &here);
    assert_eq!(
        (prompt.level, prompt.number, prompt.host),
        (Level::Local, None, None)
    );
    assert_eq!(
        prompt.subject,
        Subject::Signature {
            namespace: "git".into(),
            hash: "ab".repeat(32)
        }
    );
    world.signed(Peer::Laptop, &world.request(2, sshsig("file"), vec![]));
    let hop = bastion.binding(OTHER_SESSION, Use::Forwarding);
    let there = world.request(3, sshsig("git"), vec![hop]);
    let prompt = world.shown(Peer::Laptop, &there);
    assert_eq!(
        (prompt.level, prompt.number),
        (Level::ForwardedLocal, number(NUMBER))
    );
    assert_eq!(prompt.hops.len(), 1);
    let job = world.approved(there.id, yes(prompt.number));
    world.sign(&job);
    assert_eq!(world.pinned(), []);
}

#[test]
fn a_changed_host_cannot_be_approved() {
    let (web, other) = (Secret::ed25519(WEB), Secret::ed25519(WEB + 1));
    let mut world = World::new();
    world.knows(&web, "web");
    let request = calling_it(world.direct(1, &other), "web");
    let prompt = world.shown(Peer::Laptop, &request);
    assert!(prompt.is_blocked());
    let host = prompt.host.unwrap();
    assert!(matches!(&host.standing, Standing::Changed(pin)
        if pin.fingerprint == web.public().fingerprint()));
    assert_eq!(
        world.decide(request.id, yes(prompt.number)),
        [
            Event::Said(
                Peer::Laptop,
                ToAgent::Refused(request.id, Refusal::HostKeyChanged)
            ),
            Event::Withdrawn(request.id, Withdrawn::Refused(Refusal::HostKeyChanged)),
        ]
    );
    assert_eq!(world.pinned().len(), 1);
}

#[test]
fn a_key_of_another_kind_or_under_another_name_is_new_and_not_changed() {
    let web = Secret::ed25519(WEB);
    let others = [
        (Secret::p256(WEB), "web"),
        (Secret::ed25519(WEB + 1), "web2"),
    ];
    for (other, reported) in others {
        let mut world = World::new();
        world.knows(&web, "web");
        let request = calling_it(world.direct(1, &other), reported);
        let prompt = world.shown(Peer::Laptop, &request);
        assert!(!prompt.is_blocked());
        assert_eq!(prompt.host.unwrap().standing, Standing::New);
        assert_eq!(prompt.number, number(NUMBER));
    }
}

#[test]
fn a_name_is_changed_in_any_spelling_that_leads_to_the_same_host() {
    let (web, other) = (Secret::ed25519(WEB), Secret::ed25519(WEB + 1));
    for (reported, blocked) in [
        ("Web.Example", true),
        ("web.example.", true),
        ("web.example2", false),
    ] {
        let mut world = World::new();
        world.knows(&web, "web.example");
        let request = calling_it(world.direct(1, &other), reported);
        let prompt = world.shown(Peer::Laptop, &request);
        assert_eq!(prompt.is_blocked(), blocked, "{reported}");
        assert_eq!(prompt.namesake, None);
    }
}

#[test]
fn a_new_host_under_a_name_of_a_key_of_another_kind_is_said_to_be_so() {
    let (web, other) = (Secret::ed25519(WEB), Secret::p256(WEB));
    for (reported, taken) in [("web", true), ("WEB.", true), ("web2", false)] {
        let mut world = World::new();
        world.knows(&web, "web");
        let request = calling_it(world.direct(1, &other), reported);
        let prompt = world.shown(Peer::Laptop, &request);
        assert_eq!(prompt.host.unwrap().standing, Standing::New);
        let namesake = prompt.namesake.map(|pin| pin.fingerprint);
        let expected = taken.then(|| web.public().fingerprint());
        assert_eq!(namesake, expected, "{reported}");
    }
}

#[test]
fn a_known_or_unproven_host_has_no_namesake() {
    let (web, other) = (Secret::ed25519(WEB), Secret::p256(WEB));
    let mut world = World::new();
    world.knows(&web, "web");
    world.knows(&other, "web");
    let known = calling_it(world.direct(1, &other), "web");
    assert_eq!(world.shown(Peer::Laptop, &known).namesake, None);
    let key = world.ed25519.public();
    let payload = login_to(&Secret::p256(WEB + 1).public(), SESSION, "deploy", &key);
    let claimed = calling_it(world.request(2, payload, vec![]), "web");
    assert_eq!(world.shown(Peer::Laptop, &claimed).namesake, None);
}

#[test]
fn a_new_host_does_not_get_the_name_of_another_key_of_its_kind() {
    let (web, other) = (Secret::ed25519(WEB), Secret::ed25519(WEB + 1));
    let fingerprint = other.public().fingerprint();
    for (name, given) in [
        ("Web", fingerprint.to_string()),
        ("web2", "web2".to_owned()),
    ] {
        let mut world = World::new();
        world.knows(&web, "web");
        let request = calling_it(world.direct(1, &other), "elsewhere");
        world.shown(Peer::Laptop, &request);
        let job = world.approved(request.id, yes_and_call_it(number(NUMBER), name));
        world.sign(&job);
        assert_eq!(world.pinned()[1], (given, fingerprint));
    }
}

#[test]
fn a_host_that_became_a_changed_one_while_its_prompt_waited_cannot_be_approved() {
    let (web, other) = (Secret::ed25519(WEB), Secret::ed25519(WEB + 1));
    let mut world = World::new();
    let first = calling_it(world.direct(1, &web), "web");
    let second = calling_it(world.direct(2, &other), "web");
    world.shown(Peer::Laptop, &first);
    world.shown(Peer::Laptop, &second);
    let job = world.approved(first.id, yes_and_call_it(number(NUMBER), "web"));
    world.sign(&job);
    let events = world.decide(second.id, yes_and_call_it(number(NUMBER), "web"));
    assert_eq!(
        events.last(),
        Some(&Event::Withdrawn(
            second.id,
            Withdrawn::Refused(Refusal::HostKeyChanged)
        ))
    );
}

#[test]
fn a_host_shown_as_changed_stays_so_although_the_pin_is_forgotten_meanwhile() {
    let (web, other) = (Secret::ed25519(WEB), Secret::ed25519(WEB + 1));
    let mut world = World::new();
    world.knows(&web, "web");
    let request = calling_it(world.direct(1, &other), "web");
    let prompt = world.shown(Peer::Laptop, &request);
    world.handle(Input::Pins(Pins::default()));
    let events = world.decide(request.id, yes(prompt.number));
    let refused = Withdrawn::Refused(Refusal::HostKeyChanged);
    assert_eq!(events.last(), Some(&Event::Withdrawn(request.id, refused)));
    let again = calling_it(world.direct(2, &other), "web");
    assert!(!world.shown(Peer::Laptop, &again).is_blocked());
}

#[test]
fn two_new_hosts_of_different_names_can_both_be_approved() {
    let (web, other) = (Secret::ed25519(WEB), Secret::ed25519(WEB + 1));
    let mut world = World::new();
    let first = calling_it(world.direct(1, &web), "web");
    let second = calling_it(world.direct(2, &other), "web2");
    world.shown(Peer::Laptop, &first);
    world.shown(Peer::Laptop, &second);
    for (request, name) in [(first, "web"), (second, "web2")] {
        let job = world.approved(request.id, yes_and_call_it(number(NUMBER), name));
        world.sign(&job);
    }
    assert_eq!(world.pinned().len(), 2);
}

#[test]
fn a_host_whose_pin_the_person_forgets_is_new_again() {
    let (mut world, web) = (World::new(), Secret::ed25519(WEB));
    world.knows(&web, "web");
    let mut pins = world.signer.pins().clone();
    assert_eq!(pins.forget("web"), 1);
    assert_eq!(world.handle(Input::Pins(pins)), []);
    let prompt = world.shown(Peer::Laptop, &world.direct(1, &web));
    assert_eq!(prompt.host.unwrap().standing, Standing::New);
}

#[test]
fn a_pin_under_a_new_name_is_shown_under_it() {
    let (mut world, web) = (World::new(), Secret::ed25519(WEB));
    world.knows(&web, "web");
    let mut pins = world.signer.pins().clone();
    assert_eq!(pins.rename("web", &PinName::parse("www").unwrap()), 1);
    assert_eq!(pins.rename("web", &PinName::parse("wwww").unwrap()), 0);
    world.handle(Input::Pins(pins));
    let prompt = world.shown(Peer::Laptop, &world.direct(1, &web));
    let Standing::Pinned(pin) = prompt.host.unwrap().standing else {
        panic!("it is pinned")
    };
    assert_eq!(pin.name.as_str(), "www");
}

#[test]
fn the_pins_of_large_forges_are_pins_like_others() {
    let mut world = World::new();
    world.handle(Input::Pins(Pins::well_known()));
    let impostor = Secret::ed25519(WEB);
    let request = calling_it(world.direct(1, &impostor), "github.com");
    assert!(world.shown(Peer::Laptop, &request).is_blocked());
}

#[test]
fn a_host_certificate_counts_as_its_key() {
    let (mut world, web) = (World::new(), Secret::ed25519(WEB));
    world.knows(&web, "web");
    let certified = certificate(&web.public(), &Secret::p256(BASTION));
    let payload = login_to(&certified, SESSION, "deploy", &world.ed25519.public());
    let binding = crate::ssh::binding(&certified, SESSION, &web.sign(SESSION), Use::Login);
    let prompt = world.shown(Peer::Laptop, &world.request(1, payload, vec![binding]));
    assert_eq!((prompt.level, prompt.number), (Level::Direct, None));
}

/// A login to `web` over `bastion`, to which the agent is forwarded.
pub(crate) fn forwarded(world: &World, id: u8, bastion: &Secret, web: &Secret) -> SignRequest {
    let payload = login_to(&web.public(), SESSION, "deploy", &world.ed25519.public());
    let hop = bastion.binding(OTHER_SESSION, Use::Forwarding);
    world.request(id, payload, vec![hop, web.binding(SESSION, Use::Login)])
}

fn calling_it(mut request: SignRequest, host: &str) -> SignRequest {
    request.reported.host = Some(host.into());
    request
}

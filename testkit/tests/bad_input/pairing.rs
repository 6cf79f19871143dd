//! Pairings that must not come to be.

use serde_json::json;
use vmux_testkit::{
    Decide, Finished, KeyKind, OfferLink, Pairing, Phone, Place, Workstation, offer, pair,
};

struct Two {
    workstation: Workstation,
    phone: Phone,
    place: Place,
}

impl Two {
    fn new() -> Self {
        let place = Place::new();
        let mut workstation = Workstation::new(place.home("desk"), "workbench");
        workstation.start();
        let phone = Phone::new(place.home("phone"), "pocket phone");
        Self {
            workstation,
            phone,
            place,
        }
    }

    #[track_caller]
    fn nothing_is_stored(&self) {
        assert_eq!(self.workstation.status()["phones"], json!([]));
        assert_eq!(self.phone.run(&["agents"]).ok().out, "");
        let stored = self.workstation.state_dir().join("phones");
        assert!(!stored.exists(), "{}", stored.display());
    }
}

#[track_caller]
fn failed(finished: Finished, exit: i32, words: &[&str]) {
    let finished = finished.exited(exit).says(words);
    let last = finished.events().pop();
    assert_eq!(
        last.map(|event| event["event"].clone()),
        Some("failed".into()),
        "{finished}"
    );
}

#[test]
fn links_that_are_none_are_refused_in_words() {
    let two = Two::new();
    let (_agent, link) = offer(&two.workstation);
    let newer = OfferLink::parse(&link).of_another_version().text();
    let cut = link.split_at(link.len() - 3).0;
    for bad in ["https://relay.example/pair#AAAA", "not a link", "", cut] {
        failed(two.phone.run(&["pair", bad]), 1, &["link"]);
    }
    failed(two.phone.run(&["pair", &newer]), 1, &["version"]);
    two.nothing_is_stored();
}

#[test]
fn i15_an_expired_link_is_refused_before_anything_is_sent() {
    let two = Two::new();
    let (mut agent, link) = offer(&two.workstation);
    let expired = OfferLink::parse(&link).expiring(1_700_000_000).text();
    failed(
        two.phone.run(&["pair", &expired]),
        1,
        &["expired", "vmux-agent pair"],
    );
    two.nothing_is_stored();
    assert!(agent.is_alive());
}

#[test]
fn i15_a_link_with_another_secret_pairs_nobody() {
    let two = Two::new();
    let (mut agent, link) = offer(&two.workstation);
    let other = OfferLink::parse(&link).with_another_secret().text();
    failed(two.phone.run(&["pair", &other]), 1, &[]);
    two.nothing_is_stored();
    // The agent's side never showed a code.
    assert!(
        !agent.events().iter().any(|event| event["event"] == "code"),
        "{}",
        agent.out()
    );
    if !agent.is_alive() {
        failed(agent.finish(), 1, &["link"]);
    }
}

#[test]
fn a_link_works_once() {
    let two = Two::new();
    let (mut agent, link) = offer(&two.workstation);
    let mut signer = two
        .phone
        .home()
        .start(&mut two.phone.command(&["pair", &link]));
    signer.event("code");
    agent.event("code");
    agent.say("yes");
    signer.say("yes");
    agent.finish().ok();
    signer.finish().ok();

    let second = Phone::new(two.place.home("tablet"), "tablet");
    failed(
        second.run(&["pair", &link]),
        1,
        &["used before", "vmux-agent pair"],
    );
    assert_eq!(second.run(&["agents"]).ok().out, "");
    assert_eq!(
        two.workstation.status()["phones"].as_array().map(Vec::len),
        Some(1)
    );
}

#[test]
fn i15_a_no_at_the_agent_pairs_nobody() {
    let two = Two::new();
    let mut pairing = Pairing::begin(&two.workstation, &two.phone);
    pairing.signer.say("yes");
    pairing.agent.say("no");
    failed(
        pairing.agent.finish(),
        4,
        &["you said that the codes differ", "nothing was stored"],
    );
    failed(
        pairing.signer.finish(),
        4,
        &["the other side said that the codes differ"],
    );
    two.nothing_is_stored();
}

#[test]
fn i15_a_no_at_the_signer_pairs_nobody() {
    let two = Two::new();
    let mut pairing = Pairing::begin(&two.workstation, &two.phone);
    pairing.agent.say("yes");
    pairing.signer.say("no");
    failed(
        pairing.signer.finish(),
        4,
        &["you said that the codes differ", "nothing was stored"],
    );
    failed(
        pairing.agent.finish(),
        4,
        &["the other side said that the codes differ"],
    );
    two.nothing_is_stored();
}

#[test]
fn i15_whoever_hangs_up_has_not_said_yes() {
    let two = Two::new();
    let mut pairing = Pairing::begin(&two.workstation, &two.phone);
    pairing.signer.say("yes");
    pairing.agent.hush();
    pairing.agent.finish().exited(4);
    pairing.signer.finish().exited(4);
    two.nothing_is_stored();

    // A signer that dies in the middle.
    let Pairing {
        mut agent, signer, ..
    } = Pairing::begin(&two.workstation, &two.phone);
    agent.say("yes");
    drop(signer);
    failed(agent.finish(), 1, &["left"]);
    two.nothing_is_stored();

    // And one that is told to stop.
    let Pairing {
        agent, mut signer, ..
    } = Pairing::begin(&two.workstation, &two.phone);
    signer.signal(rustix::process::Signal::INT);
    signer.ends_by_itself();
    failed(signer.finish(), 4, &["nothing is paired"]);
    let ended = agent.finish();
    assert_ne!(ended.code, Some(0), "{ended}");
    two.nothing_is_stored();
}

#[test]
fn a_relay_that_is_not_there_is_named() {
    let mut two = Two::new();
    let (_agent, link) = offer(&two.workstation);
    two.workstation.kill();
    let failed = two.phone.run(&["pair", &link]).exited(3);
    failed.says(&["check the network"]);
    assert_eq!(two.phone.run(&["agents"]).ok().out, "");
}

#[test]
fn the_same_phone_can_pair_again_after_a_failure() {
    let mut two = Two::new();
    let mut pairing = Pairing::begin(&two.workstation, &two.phone);
    pairing.agent.say("no");
    pairing.agent.finish().exited(4);
    pairing.signer.finish().exited(4);
    let key = two.phone.new_key("key", KeyKind::Ecdsa);
    pair(&two.workstation, &two.phone);
    two.phone.decide(Decide::Approve);
    two.phone.start();
    two.workstation.sees_phones(1);
    let listed = two.workstation.run("ssh-add", &["-L"]).ok();
    assert_eq!(listed.out.trim(), key);
}

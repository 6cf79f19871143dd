//! What changes while everything runs.

use std::time::Duration;

use vmux_testkit::{Decide, KeyKind, Place, RelayProgram, Workstation, World, eventually};

fn listed(world: &World) -> String {
    let listed = world.workstation.run("ssh-add", &["-L"]);
    if listed.code == Some(0) {
        listed.out.trim().to_owned()
    } else {
        String::new()
    }
}

#[track_caller]
fn comes_to_list(world: &World, what: &str, is_it: impl Fn(&str) -> bool) {
    eventually(what, Duration::from_secs(10), || {
        is_it(&listed(world)).then_some(())
    });
}

#[test]
fn keys_stay_listed_after_a_restart_with_the_phone_away() {
    let mut world = World::new();
    world.phone.stop();
    world.workstation.stop();
    world.workstation.start();
    assert_eq!(listed(&world), world.key);
    // Killed is no different.
    world.workstation.kill();
    world.workstation.start();
    assert_eq!(listed(&world), world.key);
    world.phone.start();
    world.workstation.sees_phones(1);
}

#[test]
fn the_list_follows_what_is_changed_on_the_phone() {
    let world = World::new();
    let server = world.server("web1");
    world.logs_in("web1");
    let words: Vec<_> = world.key.split(' ').take(2).collect();
    let renamed = format!("{} renamed", words.join(" "));

    world
        .phone
        .run(&["key", "label", "phone key", "renamed"])
        .ok();
    comes_to_list(&world, "the new label", |list| list == renamed);
    world.phone.run(&["key", "disable", "renamed"]).ok();
    comes_to_list(&world, "a disabled key is gone", str::is_empty);
    world.workstation.ssh(&["web1", "true"]).exited(255);
    world.phone.run(&["key", "enable", "renamed"]).ok();
    comes_to_list(&world, "the key is back", |list| list == renamed);
    world.logs_in("web1");
    world.phone.run(&["key", "remove", "renamed", "--yes"]).ok();
    comes_to_list(&world, "a removed key is gone", str::is_empty);
    assert_eq!(world.seen(), 2);
    drop(server);
}

#[test]
fn unpairing_on_the_workstation_ends_it_on_both_sides() {
    let world = World::new();
    let server = world.server("web1");
    let phones = world.workstation.agent(&["phones", "--json"]).ok().json();
    assert_eq!(
        (&phones["id"], &phones["name"]),
        (&world.paired.phone.as_str().into(), &"pocket phone".into())
    );
    world
        .workstation
        .agent(&["unpair", "pocket phone", "--json"])
        .ok();
    assert_eq!(world.workstation.status()["phones"], serde_json::json!([]));
    assert_eq!(listed(&world), "");
    eventually(
        "the phone forgets the workstation",
        Duration::from_secs(10),
        || {
            world
                .phone
                .run(&["agents"])
                .ok()
                .events()
                .is_empty()
                .then_some(())
        },
    );
    world.workstation.ssh(&["web1", "true"]).exited(255);
    world
        .workstation
        .agent(&["unpair", "pocket phone", "--json"])
        .exited(1);
    drop(server);
}

#[test]
fn unpairing_on_the_phone_ends_it_on_both_sides() {
    let world = World::new();
    world.phone.run(&["unpair", "workbench"]).ok();
    world.workstation.comes_to("no phones", |status| {
        status["phones"] == serde_json::json!([])
    });
    assert_eq!(listed(&world), "");
    assert_eq!(
        world.phone.run(&["agents"]).ok().events(),
        [serde_json::Value::Null; 0]
    );
}

#[test]
fn unpairing_with_the_signer_stopped_tells_the_workstation_as_well() {
    let mut world = World::new();
    world.phone.stop();
    let told = world
        .phone
        .run(&["unpair", &world.paired.agent])
        .ok()
        .json();
    assert_eq!(
        (&told["event"], &told["told"]),
        (&"unpaired".into(), &true.into())
    );
    world.workstation.comes_to("no phones", |status| {
        status["phones"] == serde_json::json!([])
    });
}

#[test]
fn everything_comes_back_by_itself_when_the_relay_does() {
    let place = Place::new();
    let mut relay = RelayProgram::start(place.home("relay"));
    let workstation = Workstation::with_relay(place.home("desk"), "workbench", &relay.url());
    let world = World::of(place, workstation, KeyKind::Ecdsa);
    let server = world.server("web1");
    world.logs_in("web1");

    relay.kill();
    world.workstation.comes_to("no relay", |status| {
        status["phones"][0]["state"] == "no-relay"
    });
    let refused = world.workstation.ssh(&["web1", "true"]).exited(255);
    assert!(refused.err.contains("agent refused operation"), "{refused}");
    assert_eq!(listed(&world), world.key);

    relay.restart();
    world.workstation.sees_phones(1);
    world.logs_in("web1");
    relay.stop();
    world.workstation.comes_to("no relay", |status| {
        status["phones"][0]["state"] == "no-relay"
    });
    drop(server);
}

#[test]
fn a_prompt_that_waits_ends_when_the_agent_is_stopped() {
    let mut world = World::new();
    let server = world.server("web1");
    world.decide(Decide::Wait);
    let ssh = world.workstation.start_ssh(&["web1", "true"]);
    let request = world.phone.next_prompt(0)["request"].clone();
    world.workstation.stop();
    world
        .phone
        .told("the prompt is withdrawn", Duration::from_secs(5), |event| {
            let over = matches!(event["event"].as_str(), Some("cancelled" | "disconnected"));
            over && event["request"] == request
        });
    ssh.finish().exited(255);
    drop(server);
}

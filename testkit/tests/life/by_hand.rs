//! What waits, and taking it back.

use std::time::Duration;

use vmux_testkit::{Decide, World};

use crate::{of, records};

#[test]
fn a_request_that_waits_is_listed_and_can_be_taken_back() {
    let world = World::new();
    let server = world.server("web1");
    world
        .workstation
        .agent(&["requests"])
        .ok()
        .says(&["nothing waits"]);
    world.decide(Decide::Wait);
    let ssh = world.workstation.start_ssh(&["web1", "true"]);
    let prompt = world.phone.next_prompt(0);
    let listed = world.workstation.agent(&["requests", "--json"]).ok().json();
    assert_eq!(listed["level"], "direct", "{listed:#}");
    assert!(
        listed["title"].as_str().unwrap().starts_with("life-"),
        "{listed:#}"
    );
    world
        .workstation
        .agent(&["requests", "--cancel", "zz"])
        .exited(1);

    let id = listed["request"].as_str().unwrap();
    world
        .workstation
        .agent(&["requests", "--cancel", &id[..8]])
        .ok()
        .says(&["taken back"]);
    let request = prompt["request"].clone();
    world
        .phone
        .told("the prompt is withdrawn", Duration::from_secs(1), |event| {
            event["event"] == "cancelled" && event["request"] == request
        });
    let ended = ssh.finish().exited(255);
    assert!(ended.err.contains("agent refused operation"), "{ended}");
    world
        .workstation
        .agent(&["requests"])
        .ok()
        .says(&["nothing waits"]);
    world
        .workstation
        .agent(&["why"])
        .ok()
        .says(&["taken back on the workstation"]);
    assert_eq!(of(&records(&world, &[]), "approved").len(), 0);
    drop(server);
}

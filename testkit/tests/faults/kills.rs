//! SIGKILL at any moment of a login.

use std::time::Duration;

use serde_json::Value;
use vmux_testkit::{Decide, eventually};

use crate::support::{Dice, Rig, rounds};

/// Longest time a login may take here, prompt and refusal included.
const BOUNDED: Duration = Duration::from_secs(15);

#[test]
fn agent_signer_and_relay_killed_at_any_moment_of_a_login_lose_nothing() {
    let mut rig = Rig::new();
    rig.is_sound();
    let (mut dice, mut through) = (Dice::new(20), 0);
    for round in 0..rounds(18) {
        let ssh = rig.world.workstation.start_ssh(&["web1", "echo", "here"]);
        // A login takes some 150 ms here: connecting, asking, two log writes, the signature.
        dice.pause(220);
        match round % 3 {
            0 => rig.world.workstation.kill(),
            1 => rig.world.phone.kill(),
            _ => rig.relay.kill(),
        }
        let ended = ssh.finish_within(BOUNDED);
        match ended.code {
            Some(0) => {
                assert_eq!(ended.out, "here\n", "{ended}");
                through += 1;
            }
            Some(255) => assert_eq!(ended.out, "", "{ended}"),
            _ => panic!("round {round}: {ended}"),
        }
        match round % 3 {
            0 => rig.world.workstation.start(),
            1 => rig.world.phone.start(),
            _ => rig.relay.restart(),
        }
        rig.is_sound();
    }
    eprintln!("{through} logins went through before the kill");
}

#[test]
fn a_prompt_of_an_agent_that_was_killed_signs_nothing() {
    let mut rig = Rig::new();
    rig.world.decide(Decide::Wait);
    let ssh = rig.world.workstation.start_ssh(&["web1", "true"]);
    let prompt = rig.world.phone.next_prompt(0);
    rig.world.workstation.kill();
    ssh.finish_within(BOUNDED).exited(255);
    rig.world
        .phone
        .told("the prompt is withdrawn", BOUNDED, |event| {
            event["event"] == "disconnected" && event["request"] == prompt["request"]
        });
    rig.world.workstation.start();
    rig.world.workstation.sees_phones(1);
    let lines = rig.world.phone.run(&["log"]).ok().events();
    let approved = |line: &Value| line["event"] == "approved";
    assert!(!lines.iter().any(approved), "{lines:#?}");
    rig.world.decide(Decide::Approve);
    rig.is_sound();
}

#[test]
fn a_prompt_of_a_signer_that_was_killed_is_asked_again_and_signs_once() {
    let mut rig = Rig::new();
    rig.world.decide(Decide::Wait);
    let ssh = rig.world.workstation.start_ssh(&["web1", "echo", "here"]);
    let first = rig.world.phone.next_prompt(0);
    rig.world.phone.kill();
    rig.world.decide(Decide::Approve);
    rig.world.phone.start();
    let ended = ssh.finish_within(Duration::from_secs(30)).ok();
    assert_eq!(ended.out, "here\n");
    let second = rig.world.phone.next_prompt(1);
    assert_eq!(first["request"], second["request"]);
    eventually("one approval on record", BOUNDED, || {
        let lines = rig.world.phone.run(&["log"]).ok().events();
        let approved = lines.iter().filter(|line| line["event"] == "approved");
        (approved.count() == 1).then_some(())
    });
    rig.is_sound();
}

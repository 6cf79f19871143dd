//! What is on record, and that a change to it shows.

use std::fs;

use serde_json::json;
use vmux_testkit::{Decide, World, whoami};

use crate::{of, records};

#[test]
fn a_login_is_on_record_with_its_proof_and_who_asked() {
    let mut world = World::new();
    let server = world.server("web1");
    world.logs_in("web1");
    let all = records(&world, &[]);
    assert_eq!(all[0]["event"], "started", "{all:#?}");
    assert_eq!(of(&all, "paired").len(), 1, "{all:#?}");
    let (asked, approved) = (of(&all, "asked"), of(&all, "approved"));
    assert_eq!((asked.len(), approved.len()), (1, 1), "{all:#?}");
    assert_eq!(asked[0]["request"], approved[0]["request"]);
    for record in [&asked[0], &approved[0]] {
        assert_eq!(record["what"], "login");
        assert_eq!(record["user"], whoami());
        assert_eq!(record["level"], "direct");
        assert_eq!(record["host_key"], server.fingerprint());
    }
    assert!(
        asked[0]["programs"][0]["command"]
            .as_str()
            .unwrap()
            .contains("web1")
    );
    assert!(
        asked[0]["source"].as_str().unwrap().starts_with('/'),
        "{asked:#?}"
    );

    assert_eq!(of(&records(&world, &["--host", "web*"]), "asked").len(), 1);
    assert!(records(&world, &["--host", "web2"]).is_empty());
    assert_eq!(records(&world, &["--since", "1h"]).len(), all.len());
    assert!(records(&world, &["--since", "2200-01-01"]).is_empty());

    world
        .workstation
        .agent(&["log", "--verify"])
        .ok()
        .says(&["as they were written"]);
    world.workstation.stop();
    let all = records(&world, &[]);
    assert_eq!(all.last().unwrap()["event"], "stopped");
    world.workstation.agent(&["log", "--verify"]).ok();
}

#[test]
fn why_explains_the_last_decision_and_one_by_its_id() {
    let world = World::new();
    let server = world.server("web1");
    world.logs_in("web1");
    world
        .workstation
        .agent(&["why"])
        .ok()
        .says(&["signed: approved on the phone", "signed this session"]);
    world.decide(Decide::Deny);
    world.workstation.ssh(&["web1", "true"]).exited(255);
    world
        .workstation
        .agent(&["why"])
        .ok()
        .says(&["not signed: denied on the phone", "by the person"]);
    let approved = of(&records(&world, &[]), "approved");
    let id = &approved[0]["request"].as_str().unwrap()[..12];
    let told = world.workstation.agent(&["why", id, "--json"]).ok().json();
    assert_eq!(told["decided"], "approved");
    assert_eq!(told["lines"].as_array().unwrap().len(), 2, "{told:#}");
    world.workstation.agent(&["why", "ffffffffffff"]).exited(1);
    drop(server);
}

#[test]
fn i9_a_log_that_was_changed_is_named_with_its_place_and_a_cut_one_with_the_agents_head() {
    let mut world = World::new();
    let server = world.server("web1");
    world.logs_in("web1");
    let file = world.workstation.state_dir().join("log/log.jsonl");
    let whole = fs::read_to_string(&file).unwrap();
    assert!(whole.contains("\"asked\""));
    // While the agent runs, a cut end shows against what it knows.
    let cut = whole.trim_end().rfind('\n').unwrap() + 1;
    fs::write(&file, &whole[..cut]).unwrap();
    world
        .workstation
        .agent(&["log", "--verify"])
        .exited(1)
        .says(&["cut off"]);
    fs::write(&file, &whole).unwrap();
    world.workstation.agent(&["log", "--verify"]).ok();
    world.workstation.kill();

    let changed = whole.replacen("\"level\":\"direct\"", "\"level\":\"claimed\"", 1);
    let line = 1 + whole
        .lines()
        .position(|line| line.contains("\"level\":\"direct\""))
        .unwrap();
    fs::write(&file, changed).unwrap();
    let told = world.workstation.agent(&["log", "--verify"]).exited(1);
    told.says(&[
        &format!("log.jsonl, line {line} of that file"),
        "was changed",
    ]);
    drop(server);
}

#[test]
fn every_hop_of_a_forwarded_login_is_on_record() {
    let world = World::new();
    let (first, second) = (world.server("first"), world.server("second"));
    let known = first
        .home()
        .write("known_hosts", second.known_hosts().join("\n") + "\n");
    let inner = format!(
        "ssh -F /dev/null -o UserKnownHostsFile={} -o GlobalKnownHostsFile=/dev/null \
         -o HostKeyAlias=second -o BatchMode=yes -p {} 127.0.0.1 echo here",
        known.display(),
        second.port()
    );
    let done = world.workstation.ssh(&["-A", "first", &inner]).ok();
    assert_eq!(done.out, "here\n", "{done}");
    let asked = of(&records(&world, &[]), "asked");
    assert_eq!(asked.len(), 2, "{asked:#?}");
    assert_eq!(asked[0].get("hops"), None);
    assert_eq!(asked[1]["level"], "forwarded");
    assert_eq!(asked[1]["hops"], json!([first.fingerprint()]));
    assert_eq!(asked[1]["host_key"], second.fingerprint());
    assert_eq!(
        records(&world, &["--host", &first.fingerprint()])
            .iter()
            .filter(|one| one["event"] == "asked")
            .count(),
        2
    );
}

#[test]
fn the_time_of_a_login_is_told_stage_by_stage_and_counted() {
    let world = World::new();
    let server = world.server("web1");
    world.logs_in("web1");
    let id = of(&records(&world, &[]), "approved")[0]["request"].clone();
    let traced = world.workstation.agent(&["trace", "--json"]).ok().json();
    assert_eq!(
        (&traced["request"], &traced["outcome"]),
        (&id, &json!("signed"))
    );
    let stages = traced["stages"].as_array().unwrap();
    let names: Vec<_> = stages.iter().map(|one| one["stage"].clone()).collect();
    let all = [
        "socket",
        "checks",
        "record",
        "relay",
        "person",
        "signature",
        "return",
    ];
    assert_eq!(names, all, "{traced:#}");
    // The person is a program here that takes its time to start.
    assert!(stages[4]["micros"].as_u64().unwrap() > 100, "{traced:#}");
    world
        .workstation
        .agent(&["trace"])
        .ok()
        .says(&["person", "together"]);
    world.workstation.agent(&["trace", "zz"]).exited(1);

    let metrics = world.workstation.agent(&["metrics"]).ok().out;
    for line in [
        "vmux_agent_requests_total{outcome=\"signed\"} 1",
        "vmux_agent_stage_seconds_count{stage=\"person\"} 1",
        "vmux_agent_waiting 0",
        "vmux_agent_phones_connected 1",
        "vmux_agent_log_failing 0",
    ] {
        assert!(
            metrics.lines().any(|one| one == line),
            "{line} in {metrics}"
        );
    }
    drop(server);
}

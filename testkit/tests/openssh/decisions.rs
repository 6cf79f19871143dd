//! No, nobody there, and never mind.

use std::time::Duration;

use rustix::process::Signal;
use vmux_testkit::{Decide, World, eventually};

#[test]
fn a_denied_login_fails_at_once_and_says_why() {
    let world = World::new();
    let server = world.server("web1");
    world.decide(Decide::Deny);
    let denied = world.workstation.ssh(&["web1", "true"]).exited(255);
    assert!(denied.err.contains("agent refused operation"), "{denied}");
    assert!(denied.took < Duration::from_secs(5), "{denied}");
    assert!(
        !server.log().contains("Accepted publickey"),
        "{}",
        server.log()
    );
    world.workstation.logs("not signed");
    // A denial makes what asked wait a moment, and is forgotten then.
    world.decide(Decide::Approve);
    let again = world.seen();
    let paused = world.workstation.ssh(&["web1", "true"]).exited(255);
    assert_eq!(world.seen(), again, "{paused}");
    world
        .workstation
        .agent(&["why"])
        .ok()
        .says(&["by the pause"]);
    world.workstation.comes_to("no pause", |status| {
        status["paused"].as_array().is_some_and(Vec::is_empty)
    });
    world.logs_in("web1");
    assert_eq!(world.phone.one_prompt_since(again)["standing"], "new");
}

#[test]
fn a_client_that_hangs_up_takes_its_prompt_with_it() {
    let world = World::new();
    world.server("web1");
    let server = world.server("web2");
    world.decide(Decide::Wait);
    let ssh = world.workstation.start_ssh(&["web2", "true"]);
    let prompt = world.phone.next_prompt(0);
    let status = world.workstation.status();
    let waiting = &status["waiting"][0];
    assert_eq!(waiting["level"], "direct", "{status:#}");
    assert_eq!(
        waiting["number"],
        prompt["number"].to_string(),
        "{status:#}"
    );

    ssh.signal(Signal::INT);
    let request = prompt["request"].clone();
    world
        .phone
        .told("the prompt is withdrawn", Duration::from_secs(1), |event| {
            event["event"] == "cancelled" && event["request"] == request
        });
    assert_eq!(world.workstation.status()["waiting"], serde_json::json!([]));
    drop((ssh, server));
}

#[test]
fn a_phone_that_is_away_is_reported_within_a_second_and_keys_stay_listed() {
    let mut world = World::new();
    world.server("web1");
    let server = world.server("web2");
    world.phone.stop();
    world
        .workstation
        .comes_to("a phone that is away", |status| {
            status["phones"][0]["state"] == "away"
        });
    let listed = world.workstation.run("ssh-add", &["-L"]).ok();
    assert_eq!(listed.out.trim(), world.key);
    assert!(listed.took < Duration::from_secs(1), "{listed}");

    let public = world
        .workstation
        .home()
        .write("phone.pub", format!("{}\n", world.key));
    let file = world
        .workstation
        .home()
        .write("document", "contents\n")
        .display()
        .to_string();
    let sign = || {
        let arguments = [
            "-Y",
            "sign",
            "-n",
            "git",
            "-f",
            &public.display().to_string(),
            &file,
        ];
        let refused = world.workstation.run("ssh-keygen", &arguments);
        assert_ne!(refused.code, Some(0), "{refused}");
        refused.took
    };
    // The fastest of three: a busy machine takes its time to start a program.
    let took = [sign(), sign(), sign()].into_iter().min();
    assert!(took < Some(Duration::from_millis(1100)), "{took:?}");
    let refused = world.workstation.ssh(&["web2", "true"]).exited(255);
    assert!(refused.err.contains("agent refused operation"), "{refused}");
    world.workstation.logs("reason=\"unreachable\"");

    // And everything works again when it is back.
    world.phone.start();
    world.workstation.sees_phones(1);
    world.logs_in("web2");
    drop(server);
}

#[test]
fn a_wait_that_is_over_refuses_on_both_sides() {
    let place = vmux_testkit::Place::new();
    let workstation = vmux_testkit::Workstation::new(place.home("desk"), "workbench");
    workstation.configure("wait = 5");
    let world = World::of(place, workstation, vmux_testkit::KeyKind::Ecdsa);
    let server = world.server("web1");
    world.decide(Decide::Wait);
    let refused = world.workstation.ssh(&["web1", "true"]).exited(255);
    assert!(refused.err.contains("agent refused operation"), "{refused}");
    assert!((4..15).contains(&refused.took.as_secs()), "{refused}");
    world.workstation.logs("reason=\"timed-out\"");
    eventually("the prompt is gone", Duration::from_secs(5), || {
        let gone = |event: &serde_json::Value| {
            matches!(event["event"].as_str(), Some("refused" | "cancelled"))
        };
        world.phone.events().iter().any(gone).then_some(())
    });
    drop(server);
}

#[test]
fn the_number_stands_in_the_terminal_that_asked() {
    let place = vmux_testkit::Place::new();
    let workstation = vmux_testkit::Workstation::new(place.home("desk"), "workbench");
    let world = World::of(place, workstation, vmux_testkit::KeyKind::Ecdsa);
    let server = world.server("web1");
    let mut world = world;
    world.workstation.stop();
    let config = "name = \"workbench\"\nterminal-notices = true\n";
    world
        .workstation
        .home()
        .write("config/vmux-agent/config.toml", config);
    world.workstation.start();
    world.workstation.sees_phones(1);
    world.decide(Decide::Wait);

    let mut command = world.workstation.command("script");
    command.args(["-qec", "ssh web1 true", "/dev/null"]);
    let terminal = world.workstation.home().start(&mut command);
    let number = world.phone.next_prompt(0)["number"].to_string();
    let words = format!("type {number} on pocket phone");
    eventually(
        "the number in the terminal",
        Duration::from_secs(10),
        || terminal.out().contains(&words).then_some(()),
    );
    drop((terminal, server));
}

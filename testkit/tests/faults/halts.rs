//! Programs that stand still, as they do while a machine sleeps, and a network that is cut.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use vmux_testkit::Decide;

use crate::support::Rig;

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[test]
fn an_agent_that_slept_past_the_deadline_gives_no_late_signature() {
    let rig = Rig::new();
    // The deadline is the configuration's shortest.
    let mut rig = rig;
    rig.world.workstation.stop();
    rig.world.workstation.configure("wait = 5");
    rig.world.workstation.start();
    rig.world.workstation.sees_phones(1);
    rig.world.decide(Decide::Wait);
    let ssh = rig.world.workstation.start_ssh(&["web1", "echo", "here"]);
    rig.world.phone.next_prompt(0);
    let pid = rig.world.workstation.pid();
    signal(pid, Signal::STOP);
    std::thread::sleep(Duration::from_secs(7));
    signal(pid, Signal::CONT);
    let ended = ssh.finish_within(Duration::from_secs(5)).exited(255);
    assert_eq!(ended.out, "", "{ended}");
    rig.world.decide(Decide::Approve);
    rig.is_sound();
}

#[test]
fn a_relay_that_stands_still_costs_a_refusal_and_works_again_afterwards() {
    let rig = Rig::new();
    signal(rig.relay.pid(), Signal::STOP);
    let socket = rig.world.workstation.run("ssh-add", &["-L"]).ok();
    assert_eq!(socket.out.trim(), rig.world.key);
    std::thread::sleep(Duration::from_secs(3));
    signal(rig.relay.pid(), Signal::CONT);
    rig.is_sound();
}

#[test]
fn everything_comes_back_after_the_relay_was_away_for_half_a_minute() {
    let mut rig = Rig::new();
    rig.relay.kill();
    rig.world.workstation.comes_to("no relay", |status| {
        status["phones"][0]["state"] == "no-relay"
    });
    std::thread::sleep(Duration::from_secs(30));
    rig.relay.restart();
    rig.is_sound();
}

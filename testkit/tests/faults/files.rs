//! No file descriptors left.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use vmux_testkit::eventually;

use crate::support::Rig;

#[test]
fn an_agent_without_file_descriptors_serves_again_when_some_are_free() {
    let rig = Rig::new();
    let pid = rig.world.workstation.pid();
    let agent = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let few = Rlimit {
        current: Some(96),
        maximum: Some(96),
    };
    prlimit(Some(agent), Resource::Nofile, few).unwrap();
    let socket = rig.world.workstation.socket();
    // More than there are descriptors; those not accepted wait in the queue of the socket.
    let crowd: Vec<_> = (0..110)
        .filter_map(|_| UnixStream::connect(&socket).ok())
        .collect();
    eventually(
        "the agent says that accepting fails",
        Duration::from_secs(10),
        || {
            rig.world
                .workstation
                .log()
                .contains("accept failed")
                .then_some(())
        },
    );
    drop(crowd);
    let listed = eventually("a list", Duration::from_secs(10), || {
        let listed = rig.world.workstation.run("ssh-add", &["-L"]);
        (listed.code == Some(0)).then_some(listed)
    });
    assert_eq!(listed.out.trim(), rig.world.key);
    rig.is_sound();
}

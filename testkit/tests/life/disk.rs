//! A disk without room signs nothing, and says so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use vmux_testkit::World;

use crate::{of, records};

/// A small file system of memory, taken away at the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this user may not mount one.
    fn at(path: &Path) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs"])
            .arg(path)
            .output();
        let mounted = mounted.expect("`mount` is there");
        mounted.status.success().then(|| Self(path.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).output());
    }
}

#[test]
fn i8_without_room_for_the_record_nothing_is_signed_and_with_room_again_it_is() {
    let mut world = World::new();
    let server = world.server("web1");
    world.workstation.stop();
    let state = world.workstation.state_dir();
    let kept = world.place.home("kept").path().join("state");
    let copied = Command::new("cp").arg("-a").arg(&state).arg(&kept).status();
    assert!(copied.unwrap().success());
    let Some(disk) = SmallDisk::at(&state) else {
        eprintln!("NOT TESTED: this user cannot mount a small disk");
        return;
    };
    let back = Command::new("cp")
        .arg("-a")
        .arg(kept.join("."))
        .arg(&state)
        .status();
    assert!(back.unwrap().success());
    world.workstation.start();
    world.workstation.sees_phones(1);
    world.logs_in("web1");

    let filler = state.join("filler");
    let full = Command::new("dd")
        .args(["if=/dev/zero", "bs=1k", &format!("of={}", filler.display())])
        .output();
    assert!(!full.unwrap().status.success(), "the disk is full");
    // What is left of the last page of the log takes a few more lines.
    let mut refused = None;
    for _ in 0..40 {
        let done = world.workstation.ssh(&["web1", "true"]);
        if done.code == Some(255) {
            refused = Some(done);
            break;
        }
    }
    let refused = refused.expect("a login is refused");
    assert!(refused.err.contains("agent refused operation"), "{refused}");
    let failing = world.workstation.status()["log"]["failing"].clone();
    assert!(
        failing.as_str().unwrap().contains("No space left"),
        "{failing}"
    );
    let said = [
        "the log cannot be written",
        "No space left",
        "free some disk space",
    ];
    world.workstation.agent(&["why"]).ok().says(&said);
    world.workstation.agent(&["status"]).ok().says(&said[1..]);
    world.workstation.agent(&["log", "--verify"]).ok();

    fs::remove_file(filler).unwrap();
    world.logs_in("web1");
    assert_eq!(world.workstation.status()["log"].get("failing"), None);
    let all = records(&world, &[]);
    assert!(!of(&all, "lost").is_empty(), "{all:#?}");
    world.workstation.agent(&["log", "--verify"]).ok();
    world.workstation.stop();
    drop((disk, server));
}

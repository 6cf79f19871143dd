//! Running programs, closed to everybody else: what other processes of the same user and of another
//! one cannot see or do (I18), and what the programs say about it.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails, fails the test that asked"
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use vmux_testkit::{
    Home, KeyKind, Place, Port, Running, Workstation, World, eventually, is_root, product,
};

/// Debian's own: one below a home directory is out of reach for other users.
const PYTHON: &str = "/usr/bin/python3";

/// What only a process that may debug another one can do with it. Prints what works.
const LOOK: &str = r#"
import ctypes, os, sys
pid = int(sys.argv[1])
def memory():
    with open(f"/proc/{pid}/maps") as maps:
        start = int(maps.readline().split("-")[0], 16)
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        memory.seek(start)
        assert memory.read(4)
def environment():
    open(f"/proc/{pid}/environ", "rb").read()
def program():
    os.readlink(f"/proc/{pid}/exe")
def files():
    os.listdir(f"/proc/{pid}/fd")
def trace():
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.ptrace(16, pid, None, None) == 0
    os.waitpid(pid, 0x40000000)
    libc.ptrace(17, pid, None, None)
for name, act in [("memory", memory), ("environment", environment), ("program", program), ("files", files), ("trace", trace)]:
    try:
        act()
        print(name)
    except (OSError, AssertionError):
        pass
"#;

/// What of another process of the same user works.
fn works(home: &Home, pid: u32) -> Vec<String> {
    let pid = pid.to_string();
    let mut command = home.command(PYTHON);
    let done = home.run(command.args(["-c", LOOK, &pid])).ok();
    done.out.lines().map(str::to_owned).collect()
}

/// A home of somebody without special rights.
fn home_of_nobody(place: &Place, name: &str) -> Home {
    let home = place.home(name);
    if is_root() {
        home.belonging_to("nobody")
    } else {
        home
    }
}

/// Some process of the same user that does nothing for its own protection.
fn open_process(home: &Home) -> Running {
    home.start(home.command("/bin/sleep").arg("600"))
}

/// Whether the system lets a user debug their own processes at all.
fn users_may_debug() -> bool {
    fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope")
        .map_or(true, |scope| scope.trim() == "0")
}

fn names_of_threads(pid: u32) -> Vec<PathBuf> {
    fs::read_dir(format!("/proc/{pid}/task"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

/// A line of `/proc/PID/status`.
fn field(process: &Path, name: &str) -> String {
    let status = fs::read_to_string(process.join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim().to_owned()
}

/// Every thread is restricted, not only the first.
#[track_caller]
fn is_restricted(pid: u32) {
    let threads = names_of_threads(pid);
    assert!(!threads.is_empty());
    for thread in threads {
        assert_eq!(field(&thread, "Seccomp:"), "2", "{}", thread.display());
        assert_eq!(field(&thread, "NoNewPrivs:"), "1", "{}", thread.display());
    }
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let mut words = core.unwrap().split_ascii_whitespace().skip(4);
    assert_eq!((words.next(), words.next()), (Some("0"), Some("0")));
}

#[test]
fn no_process_of_the_same_user_reads_or_traces_the_agent_and_an_open_one_it_does() {
    let place = Place::new();
    let home = home_of_nobody(&place, "desk");
    let mut workstation = Workstation::new(home, "workbench");
    workstation.start();
    let open = open_process(workstation.home());
    let mut all = vec!["memory", "environment", "program", "files"];
    if users_may_debug() {
        all.push("trace");
        assert_eq!(works(workstation.home(), open.id()), all);
    } else {
        let seen = works(workstation.home(), open.id());
        assert!(
            ["environment", "program", "files"]
                .iter()
                .all(|one| seen.contains(&(*one).to_owned()))
        );
    }
    assert_eq!(works(workstation.home(), workstation.pid()), [""; 0]);
    // It still works, and the process that looks at clients is closed, too.
    workstation.agent(&["status"]).ok();
    for child in children(workstation.pid()) {
        assert_eq!(works(workstation.home(), child), [""; 0]);
        is_restricted(child);
    }
}

/// The processes a process has started.
fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let told = fs::read_to_string(path).unwrap();
    told.split_ascii_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

fn state_of(status: &Value, what: &str) -> Value {
    let all = status["protections"].as_array().unwrap();
    all.iter().find(|one| one["what"] == what).unwrap()["state"].clone()
}

#[test]
fn status_says_what_is_on_and_every_thread_shows_it() {
    let place = Place::new();
    let mut workstation = Workstation::new(place.home("desk"), "workbench");
    workstation.start();
    let status = workstation.status();
    for what in ["core-dumps", "debuggers", "seccomp"] {
        assert_eq!(state_of(&status, what), "on", "{what}: {status}");
    }
    is_restricted(workstation.pid());
    let [landlock, swap] = ["landlock", "swap"].map(|what| state_of(&status, what));
    // The one that looks is there because Landlock is on.
    assert_eq!(
        children(workstation.pid()).len(),
        usize::from(landlock == "on")
    );
    let locked = field(
        &PathBuf::from(format!("/proc/{}", workstation.pid())),
        "VmLck:",
    );
    assert_eq!(locked != "0 kB", swap == "on", "{locked}");
    workstation
        .agent(&["status"])
        .ok()
        .says(&["closed to debuggers", "seccomp"]);
}

#[test]
fn what_the_system_refuses_is_said_with_the_reason() {
    let place = Place::new();
    let home = home_of_nobody(&place, "desk");
    let workstation = Workstation::new(home, "workbench");
    // A service of a user without rights under a low limit.
    let run = workstation.run_command();
    let mut limited = Command::new("prlimit");
    limited
        .args(["--memlock=65536:65536", "--"])
        .arg(run.get_program())
        .args(run.get_args());
    limited.env_clear();
    for (name, value) in run.get_envs() {
        limited.env(name, value.unwrap_or_default());
    }
    let _agent = workstation.home().start(&mut limited);
    eventually("an agent that answers", Duration::from_secs(20), || {
        (workstation.agent(&["status"]).code == Some(0)).then_some(())
    });
    let status = workstation.status();
    assert_eq!(state_of(&status, "swap"), "off");
    let said = workstation.agent(&["status"]).ok();
    said.says(&["memory not locked: the limit is 64 KiB"]);
}

#[test]
fn the_relay_is_restricted_and_says_so() {
    let place = Place::new();
    let (home, port) = (place.home("relay"), Port::reserve());
    let mut command = home.command(product("vmux-relay"));
    let listen = port.address().to_string();
    let mut relay = home.start(command.args(["run", "--json", "--listen", &listen]));
    relay.event("listening");
    is_restricted(relay.id());
    assert_eq!(children(relay.id()), [0; 0]);
    relay.stop().ok().says(&["closed to debuggers", "seccomp"]);
}

/// What the workstation's `known_hosts` says about the host of the last login.
fn known_as(world: &World, host: &str) -> Option<String> {
    let before = world.seen();
    world.logs_in(host);
    let prompt = world.phone.one_prompt_since(before);
    let known = prompt.pointer("/reported/known_hosts")?.as_str()?;
    known.split(' ').next().map(str::to_owned)
}

#[test]
fn the_agent_reads_known_hosts_wherever_it_was_and_no_file_that_was_out_of_reach() {
    let place = Place::new();
    let workstation = Workstation::new(place.home("desk"), "workbench");
    let own = workstation.home().path().join(".ssh/known_hosts");
    let elsewhere = workstation.home().write("managed/known_hosts", "");
    fs::remove_file(&own).unwrap();
    symlink(&elsewhere, &own).unwrap();
    let world = World::of(place, workstation, KeyKind::Ecdsa);
    let _server = world.server("web1");
    assert_eq!(known_as(&world, "web1").as_deref(), Some("web1"));

    // The same words in a file that nobody named when the agent started.
    let later = world.workstation.home().path().join("managed/later");
    fs::copy(&elsewhere, &later).unwrap();
    fs::remove_file(&own).unwrap();
    symlink(&later, &own).unwrap();
    let landlock = state_of(&world.workstation.status(), "landlock");
    let expected = (landlock != "on").then_some("web1");
    assert_eq!(known_as(&world, "web1").as_deref(), expected);

    // A file in the place of the link is within reach, as ssh makes it.
    fs::remove_file(&own).unwrap();
    fs::copy(&later, &own).unwrap();
    assert_eq!(known_as(&world, "web1").as_deref(), Some("web1"));
}

#[test]
fn i18_another_user_reaches_nothing_and_the_owner_does() {
    if !is_root() {
        eprintln!("not run: only root can try as another user");
        return;
    }
    let place = Place::new();
    let mut workstation = Workstation::new(place.home("desk").belonging_to("nobody"), "workbench");
    workstation.start();
    let other = place.home("other").belonging_to("daemon");
    // With the way to it open, so that nothing but its own mode stands in the way.
    let home = workstation.home().path().to_owned();
    for way in [home.clone(), home.join("state"), home.join(".ssh")] {
        open(&way);
    }
    let mut inside = vec![workstation.socket(), workstation.state_dir()];
    below(&workstation.state_dir(), &mut inside);
    assert!(inside.iter().any(|path| path.ends_with("control.sock")));
    for path in inside {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let wanted = if metadata.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(
            metadata.permissions().mode() & 0o7777,
            wanted,
            "{}",
            path.display()
        );
        let kind = if metadata.is_dir() {
            "directory"
        } else if metadata.file_type().is_socket() {
            "socket"
        } else {
            "file"
        };
        for (home, expected) in [(workstation.home(), "reached\n"), (&other, "refused\n")] {
            let mut command = home.command(PYTHON);
            let name = path.display().to_string();
            let tried = home.run(command.args(["-c", REACH, kind, &name])).ok();
            assert_eq!(tried.out, expected, "{kind} {name}");
        }
        if metadata.is_dir() {
            open(&path);
        }
    }
}

/// Lets others pass, not look.
fn open(dir: &Path) {
    fs::set_permissions(dir, Permissions::from_mode(0o711)).unwrap();
}

/// Everything below a directory, a directory before what is in it.
fn below(dir: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        all.push(path.clone());
        if path.is_dir() {
            below(&path, all);
        }
    }
}

const REACH: &str = r#"
import os, socket, sys
kind, path = sys.argv[1:]
try:
    if kind == "directory":
        os.listdir(path)
    elif kind == "socket":
        socket.socket(socket.AF_UNIX).connect(path)
    else:
        open(path, "rb").close()
    print("reached")
except PermissionError:
    print("refused")
"#;

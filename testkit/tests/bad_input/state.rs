//! State that is not fit to be used: named, with the way out, and untouched.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use vmux_testkit::{Finished, Phone, Place, Workstation, World, is_root, state_file};

/// Everything below a directory: contents, times and modes. Locks are no state.
fn snapshot(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime, u32)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.file_name().is_some_and(|name| name == "lock") {
            continue;
        }
        if path.is_dir() {
            all.extend(snapshot(&path));
            continue;
        }
        let metadata = fs::symlink_metadata(&path).unwrap();
        let contents = fs::read(&path).unwrap_or_default();
        let mode = metadata.permissions().mode();
        all.insert(path, (contents, metadata.modified().unwrap(), mode));
    }
    all
}

/// Something wrong with a file or directory, and what must be said about it.
struct Harm {
    what: &'static str,
    does: fn(&Path),
    says: &'static [&'static str],
}

const TO_FILES: [Harm; 5] = [
    Harm {
        what: "readable by others",
        does: open_to_others,
        says: &["mode 0644", "chmod 600"],
    },
    Harm {
        what: "a byte changed",
        does: damage,
        says: &["is damaged", "put back a copy"],
    },
    Harm {
        what: "cut off",
        does: cut,
        says: &["is damaged", "put back a copy"],
    },
    Harm {
        what: "written by a newer version",
        does: newer,
        says: &["has format 99", "use the newer version"],
    },
    Harm {
        what: "a symbolic link",
        does: link,
        says: &["is a symbolic link", "remove the link"],
    },
];

fn open_to_others(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
}

fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn cut(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes.truncate(bytes.len() / 2);
    fs::write(path, bytes).unwrap();
}

fn newer(path: &Path) {
    let contents = fs::read(path).unwrap();
    let word = path.file_name().unwrap().to_str().unwrap();
    let body = state_file::body(&contents);
    fs::write(path, state_file::contents(word, 99, &body)).unwrap();
}

fn link(path: &Path) {
    let elsewhere = path.with_extension("elsewhere");
    fs::rename(path, &elsewhere).unwrap();
    symlink(elsewhere, path).unwrap();
}

fn disown(path: &Path) {
    chown(path, Some(65_534), None).unwrap();
}

/// Harms `file`, checks that `command` refuses with words and changes nothing, and mends it.
fn is_refused(dir: &Path, file: &Path, harm: &Harm, command: impl Fn() -> Finished) {
    let whole = fs::read(file).ok();
    (harm.does)(file);
    let before = snapshot(dir);
    let refused = command();
    assert_eq!(refused.code, Some(1), "{}: {refused}", harm.what);
    let named = file.display().to_string();
    refused.says(harm.says).says(&[&named]);
    assert!(
        snapshot(dir) == before,
        "{} {}: something was changed",
        named,
        harm.what
    );
    if let Some(whole) = whole {
        fs::remove_file(file).unwrap();
        fs::write(file, whole).unwrap();
        fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn i18_an_agent_refuses_state_that_is_not_fit_and_touches_nothing() {
    let mut world = World::new();
    world.workstation.stop();
    let dir = world.workstation.state_dir();
    let run = || {
        world
            .workstation
            .home()
            .run(&mut world.workstation.run_command())
    };
    for harm in &TO_FILES {
        is_refused(&dir, &dir.join("phones"), harm, run);
    }
    if is_root() {
        let harm = Harm {
            what: "another's",
            does: disown,
            says: &["user 65534", "chown"],
        };
        is_refused(&dir, &dir.join("phones"), &harm, run);
    }

    fs::set_permissions(&dir, Permissions::from_mode(0o750)).unwrap();
    let named = dir.display().to_string();
    run().exited(1).says(&["mode 0750", "chmod 700", &named]);
    fs::set_permissions(&dir, Permissions::from_mode(0o700)).unwrap();
    if is_root() {
        chown(&dir, Some(65_534), None).unwrap();
        run().exited(1).says(&["belongs to user 65534", &named]);
        chown(&dir, Some(0), None).unwrap();
    }

    // What was refused is used as before once it is mended.
    world.workstation.start();
    world.workstation.sees_phones(1);
}

#[test]
fn i18_a_signer_refuses_state_that_is_not_fit_and_touches_nothing() {
    let mut world = World::new();
    world.phone.stop();
    let dir = world.phone.state_dir();
    let decider = world.phone.decider().as_os_str();
    let run = || {
        world
            .phone
            .run(&["run".as_ref(), "--decide-with".as_ref(), decider])
    };
    for name in ["identities", "agents", "pins", "settings"] {
        for harm in &TO_FILES {
            is_refused(&dir, &dir.join(name), harm, run);
        }
        if is_root() {
            let harm = Harm {
                what: "another's",
                does: disown,
                says: &["user 65534", "chown"],
            };
            is_refused(&dir, &dir.join(name), &harm, run);
        }
    }
    let remove = |path: &Path| fs::remove_file(path).unwrap();
    for name in ["identities", "agents", "pins"] {
        let harm = Harm {
            what: "gone",
            does: remove,
            says: &["is missing", "put back a copy"],
        };
        let path = dir.join(name);
        let whole = fs::read(&path).unwrap();
        (harm.does)(&path);
        run()
            .exited(1)
            .says(harm.says)
            .says(&[&path.display().to_string()]);
        fs::write(&path, whole).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
    world.phone.start();
    world.workstation.sees_phones(1);
}

#[test]
fn a_damaged_key_file_is_named_and_left_alone() {
    let mut world = World::new();
    world.phone.stop();
    let keys = world.phone.state_dir().join("keys");
    let key = fs::read_dir(&keys)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.extension().is_some_and(|end| end == "key") && !path.ends_with("check.key")
        })
        .unwrap();
    damage(&key);
    let before = snapshot(&keys);
    let decider = world.phone.decider().as_os_str();
    let refused = world
        .phone
        .run(&["run".as_ref(), "--decide-with".as_ref(), decider]);
    refused
        .exited(1)
        .says(&[&key.display().to_string(), "put back a copy"]);
    assert!(snapshot(&keys) == before);
}

#[test]
fn the_second_agent_on_a_state_directory_says_who_holds_it() {
    let world = World::new();
    let pid = world.workstation.pid().to_string();
    let refused = world
        .workstation
        .home()
        .run(&mut world.workstation.run_command());
    refused
        .exited(1)
        .says(&["is in use by", "vmux-agent", &pid, "--state-dir"]);

    // The same socket with another state directory.
    let other = world.place.path().join("other").display().to_string();
    let mut command = world.workstation.run_command();
    let refused = world
        .workstation
        .home()
        .run(command.args(["--state-dir", &other]));
    refused.exited(1).says(&["an agent answers on", &pid]);
    // The first one never noticed.
    world.workstation.run("ssh-add", &["-l"]).ok();
}

#[test]
fn the_second_signer_on_a_state_directory_says_who_holds_it() {
    let world = World::new();
    let decider = world.phone.decider().as_os_str();
    let refused = world
        .phone
        .run(&["run".as_ref(), "--decide-with".as_ref(), decider]);
    refused
        .exited(1)
        .says(&["is in use by", "vmux-signer", "--state-dir"]);
    world.workstation.sees_phones(1);
}

#[test]
fn a_signer_that_was_not_set_up_makes_nothing_and_says_what_to_do() {
    let place = Place::new();
    let phone = Phone::new(place.home("phone"), "phone");
    let nowhere = place.path().join("nowhere");
    let mut command = phone.home().command(vmux_testkit::product("vmux-signer"));
    command.args(["key", "list", "--state-dir"]).arg(&nowhere);
    let refused = phone.home().run(&mut command).exited(1);
    refused.says(&["there is no signer in", "vmux-signer init"]);
    assert!(!nowhere.exists());
    phone
        .run(&["init"])
        .exited(1)
        .says(&["there is a signer in", "already"]);
}

#[test]
fn a_wrong_passphrase_opens_nothing() {
    let place = Place::new();
    let phone = Phone::new(place.home("phone"), "phone");
    let wrong = phone
        .home()
        .write("wrong", "not the passphrase\n")
        .display()
        .to_string();
    let mut command = phone.home().command(vmux_testkit::product("vmux-signer"));
    command.arg("--state-dir").arg(phone.state_dir());
    command.args(["--passphrase-file", &wrong, "key", "new", "--label", "key"]);
    phone
        .home()
        .run(&mut command)
        .exited(1)
        .says(&["passphrase"]);
    assert_eq!(phone.run(&["key", "list"]).ok().out, "");
    // A file that others may read is not taken, either.
    fs::set_permissions(phone.passphrase_file(), Permissions::from_mode(0o644)).unwrap();
    phone
        .run(&["key", "new", "--label", "key"])
        .exited(1)
        .says(&["passphrase", "chmod"]);
}

#[test]
fn a_workstation_without_a_readable_configuration_does_not_start() {
    let place = Place::new();
    let workstation = Workstation::new(place.home("desk"), "workbench");
    let run = || workstation.home().run(&mut workstation.run_command());
    workstation.configure("\n[relay]\nlisten = \"127.0.0.1:1\"\nport = 7\n");
    let config = workstation
        .home()
        .path()
        .join("config/vmux-agent/config.toml");
    run()
        .exited(1)
        .says(&[&format!("{}:6: unknown key `port`", config.display())]);
    workstation.configure("wait = \"soon\"");
    run().exited(1).says(&[&format!("{}:3:", config.display())]);
    workstation.configure("wait = 3");
    run().exited(1).says(&["wait = 3", "5 to 100"]);
    workstation.configure("");
    fs::set_permissions(&config, Permissions::from_mode(0o666)).unwrap();
    run().exited(1).says(&["mode 0666", "chmod go-w"]);
    assert!(!workstation.state_dir().exists() && !workstation.socket().exists());
}

//! `ssh-add` against the agent: what is served, what is refused and what is said about it.

use std::time::Duration;

use vmux_testkit::{Finished, KeyKind, World, eventually};

fn ssh_add(world: &World, arguments: &[&str]) -> Finished {
    world.workstation.run("ssh-add", arguments)
}

/// `ssh-add` that reads a passphrase as if from a person.
fn ssh_add_with(world: &World, arguments: &[&str], passphrase: &str) -> Finished {
    let ask = world
        .workstation
        .home()
        .script("bin/ask", &format!("#!/bin/sh\necho '{passphrase}'\n"));
    let mut command = world.workstation.command("ssh-add");
    command
        .env("SSH_ASKPASS", ask)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .env("DISPLAY", ":0");
    world.workstation.home().run(command.args(arguments))
}

#[test]
fn ssh_add_lists_what_the_phone_offers() {
    let world = World::new();
    let second = world.phone.new_key("büro \u{1f511}", KeyKind::Ed25519);
    world.workstation.comes_to("both keys", |status| {
        status["phones"][0]["identities"]
            .as_array()
            .is_some_and(|all| all.len() == 2)
    });
    let lines = ssh_add(&world, &["-L"]).ok().out;
    let mut lines: Vec<_> = lines.lines().collect();
    lines.sort_unstable();
    let mut expected = [world.key.as_str(), second.as_str()];
    expected.sort_unstable();
    assert_eq!(lines, expected);
    let short = ssh_add(&world, &["-l"]).ok();
    assert!(short.out.contains("phone key (ECDSA)"), "{short}");
    assert_eq!(world.seen(), 0);
}

#[test]
fn a_locked_agent_lists_and_signs_nothing_until_it_is_unlocked() {
    let world = World::new();
    world.server("web1");
    let server = world.server("web2");
    ssh_add_with(&world, &["-x"], "open sesame").ok();
    assert_eq!(world.workstation.status()["locked"], true);
    ssh_add(&world, &["-l"])
        .exited(1)
        .says(&["The agent has no identities"]);
    world.workstation.ssh(&["web2", "true"]).exited(255);
    assert_eq!(world.seen(), 0);

    ssh_add_with(&world, &["-X"], "wrong").exited(1);
    world.workstation.logs("WrongPassphrase");
    // Locked once is locked: a second lock with another passphrase changes nothing.
    ssh_add_with(&world, &["-x"], "another").exited(1);
    ssh_add_with(&world, &["-X"], "another").exited(1);
    ssh_add_with(&world, &["-X"], "open sesame").ok();
    assert_eq!(world.workstation.status()["locked"], false);
    ssh_add(&world, &["-l"]).ok();
    world.logs_in("web2");
    drop(server);
}

#[test]
fn a_wrong_passphrase_delays_nobody_but_whoever_typed_it() {
    let world = World::new();
    ssh_add_with(&world, &["-x"], "open sesame").ok();
    for _ in 0..3 {
        ssh_add_with(&world, &["-X"], "wrong").exited(1);
    }
    let ask = world
        .workstation
        .home()
        .script("bin/ask", "#!/bin/sh\necho wrong\n");
    let mut slow = world.workstation.command("ssh-add");
    slow.env("SSH_ASKPASS", ask)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .env("DISPLAY", ":0");
    let mut slow = world.workstation.home().start(slow.arg("-X"));
    for _ in 0..5 {
        let listed = ssh_add(&world, &["-l"]).exited(1);
        assert!(listed.took < Duration::from_secs(2), "{listed}");
    }
    eventually("an end of the delay", Duration::from_secs(30), || {
        (!slow.is_alive()).then_some(())
    });
}

#[test]
fn keys_can_neither_be_added_nor_removed_and_nobody_is_told_otherwise() {
    let world = World::new();
    let home = world.workstation.home();
    let key = home.path().join("own").display().to_string();
    world
        .workstation
        .run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &key])
        .ok();
    let phone_key = home
        .write("phone.pub", format!("{}\n", world.key))
        .display()
        .to_string();

    let refusals: [&[&str]; 4] = [
        &[&key],
        &["-t", "600", &key],
        &["-c", &key],
        &["-d", &phone_key],
    ];
    for arguments in refusals {
        let refused = ssh_add(&world, arguments);
        assert_eq!(refused.code, Some(1), "{refused}");
    }
    ssh_add_with(&world, &["-s", "/usr/lib/some-pkcs11.so"], "1234").exited(1);
    ssh_add_with(&world, &["-e", "/usr/lib/some-pkcs11.so"], "1234").exited(1);
    let listed = ssh_add(&world, &["-L"]).ok();
    assert_eq!(listed.out.trim(), world.key);

    world
        .workstation
        .logs("keys are not added here: identities are managed on the phone");
    world
        .workstation
        .logs("identities are removed on the phone, not here");
    world
        .workstation
        .logs("smartcards and PKCS#11 are never loaded here");
    let note = world.workstation.status()["note"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(note.contains("on the phone"), "{note}");
}

#[test]
fn removing_all_drops_session_material_and_leaves_the_phone_alone() {
    let world = World::new();
    ssh_add(&world, &["-D"]).ok();
    assert_eq!(ssh_add(&world, &["-L"]).ok().out.trim(), world.key);
    // Even while it is locked.
    ssh_add_with(&world, &["-x"], "open sesame").ok();
    ssh_add(&world, &["-D"]).ok();
    assert_eq!(world.workstation.status()["locked"], true);
}

#[test]
fn random_bytes_are_not_signed() {
    let world = World::new();
    let key = world
        .workstation
        .home()
        .write("phone.pub", format!("{}\n", world.key));
    let refused = ssh_add(&world, &["-T", &key.display().to_string()]);
    assert_eq!(refused.code, Some(1), "{refused}");
    assert_eq!(world.seen(), 0);
    world.workstation.logs("not-understood");
}

#[test]
fn certificates_are_not_signed_on_a_clients_request() {
    let world = World::new();
    let home = world.workstation.home();
    let authority = home
        .write("phone.pub", format!("{}\n", world.key))
        .display()
        .to_string();
    let key = home.path().join("own").display().to_string();
    world
        .workstation
        .run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &key])
        .ok();
    let public = format!("{key}.pub");
    let arguments = [
        "-q", "-U", "-s", &authority, "-I", "id", "-n", "root", "-V", "+5m", &public,
    ];
    let refused = world.workstation.run("ssh-keygen", &arguments);
    assert_ne!(refused.code, Some(0), "{refused}");
    assert_eq!(world.seen(), 0);
    world.workstation.logs("foreign-certificate");
}

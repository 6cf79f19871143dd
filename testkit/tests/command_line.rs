//! The command lines: exit statuses, words and shapes that scripts rely on.

use std::fs;

use vmux_testkit::{Finished, KeyKind, Phone, Place, Workstation, World, find, product};

fn failed_in_json(finished: Finished, exit: i32, words: &[&str]) {
    let finished = finished.exited(exit).says(words);
    let event = finished.json();
    assert_eq!(event.get("event"), Some(&"failed".into()), "{finished}");
    let has = |key: &str| {
        event
            .get(key)
            .and_then(|text| text.as_str())
            .is_some_and(|text| text.len() > 3)
    };
    assert!(has("reason") && has("hint"), "{finished}");
}

#[test]
fn commands_without_a_running_agent_exit_with_3_and_say_what_to_start() {
    let place = Place::new();
    let workstation = Workstation::new(place.home("desk"), "workbench");
    for command in [
        &["status"][..],
        &["phones"],
        &["keys"],
        &["pair"],
        &["unpair", "phone"],
    ] {
        let told = workstation
            .agent(command)
            .exited(3)
            .says(&["vmux-agent up"]);
        assert_eq!(told.out, "", "complaints are not output");
        let json = [command, &["--json"]].concat();
        failed_in_json(
            workstation.agent(&json),
            3,
            &["no agent is running on", "vmux-agent up"],
        );
    }
    let file = workstation
        .home()
        .write("passphrase", "open sesame\n")
        .display()
        .to_string();
    workstation
        .agent(&["lock", "--passphrase-file", &file])
        .exited(3)
        .says(&["no agent answers"]);
}

#[test]
fn wrong_usage_exits_with_2() {
    let place = Place::new();
    let home = place.home("desk");
    let usages: [(&str, &[&str]); 8] = [
        ("vmux-agent", &["--no-such-option"]),
        ("vmux-agent", &["unpair"]),
        (
            "vmux-agent",
            &[
                "run",
                "--relay",
                "https://r.example",
                "--relay-listen",
                "127.0.0.1:1",
            ],
        ),
        ("vmux-agent", &["run", "--relay-listen", "somewhere"]),
        ("vmux-signer", &["key", "new"]),
        (
            "vmux-signer",
            &["key", "new", "--label", "a", "--type", "dsa"],
        ),
        ("vmux-relay", &["run", "--listen", "somewhere"]),
        ("vmux-relay", &["walk"]),
    ];
    for (program, arguments) in usages {
        let refused = home
            .run(home.command(product(program)).args(arguments))
            .exited(2);
        assert!(
            refused.err.contains("--help") && refused.out.is_empty(),
            "{refused}"
        );
    }
    for program in ["vmux-agent", "vmux-signer", "vmux-relay"] {
        home.run(home.command(product(program)).arg("--help")).ok();
        let version = home
            .run(home.command(product(program)).arg("--version"))
            .ok();
        assert!(version.out.starts_with(program), "{version}");
    }
}

#[test]
fn env_prints_what_shells_can_evaluate() {
    let place = Place::new();
    let workstation = Workstation::new(place.home("desk"), "workbench");
    let plain = workstation.agent(&["env", "--shell", "sh"]).ok();
    let socket = workstation.socket().display().to_string();
    assert_eq!(
        plain.out,
        format!("SSH_AUTH_SOCK={socket}; export SSH_AUTH_SOCK;\n")
    );
    let fish = workstation.agent(&["env", "--shell", "fish"]).ok();
    assert_eq!(fish.out, format!("set -gx SSH_AUTH_SOCK {socket};\n"));
    let json = workstation.agent(&["env", "--json"]).ok().json();
    assert_eq!(json, serde_json::json!({ "SSH_AUTH_SOCK": socket }));

    // A path that would do harm if it were not quoted.
    let odd = place
        .path()
        .join("it's $(touch harm) \"odd\"")
        .display()
        .to_string();
    let mut shell = workstation.home().command(find("sh"));
    let script = "eval \"$(\"$1\" env --shell sh --socket \"$2\")\"; printf %s \"$SSH_AUTH_SOCK\"";
    shell
        .args(["-c", script, "sh"])
        .arg(product("vmux-agent"))
        .arg(&odd);
    assert_eq!(workstation.home().run(&mut shell).ok().out, odd);
    assert!(!workstation.home().path().join("harm").exists());
}

#[test]
fn lock_and_unlock_are_what_ssh_add_does() {
    let place = Place::new();
    let mut workstation = Workstation::new(place.home("desk"), "workbench");
    workstation.start();
    let right = workstation
        .home()
        .write("right", "open sesame\n")
        .display()
        .to_string();
    let wrong = workstation
        .home()
        .write("wrong", "open barley\n")
        .display()
        .to_string();
    let agent = |word: &str, file: &str| workstation.agent(&[word, "--passphrase-file", file]);
    agent("unlock", &right)
        .exited(1)
        .says(&["was not unlocked"]);
    agent("lock", &right).ok();
    assert_eq!(workstation.status()["locked"], true);
    agent("lock", &wrong).exited(1).says(&["was not locked"]);
    agent("unlock", &wrong)
        .exited(1)
        .says(&["the passphrase is wrong"]);
    agent("unlock", &right).ok();
    assert_eq!(workstation.status()["locked"], false);
    // A passphrase that others can read is none.
    let mut chmod = workstation.home().command(find("chmod"));
    workstation.home().run(chmod.args(["644", &right])).ok();
    agent("lock", &right).exited(1).says(&["chmod"]);
    assert_eq!(workstation.status()["locked"], false);
}

#[test]
fn up_tells_where_the_agent_is_and_what_happens() {
    let world = World::new();
    let server = world.server("web1");
    let mut world = world;
    world.workstation.stop();
    let arguments = world.workstation.run_command();
    let mut up = world.workstation.agent_command(&["up", "--json"]);
    up.args(arguments.get_args().skip(1));
    let mut up = world.workstation.home().start(&mut up);
    let ready = up.event("ready");
    assert_eq!(
        ready["socket"],
        world.workstation.socket().display().to_string()
    );
    world.workstation.sees_phones(1);
    world.logs_in("web1");
    let events =
        vmux_testkit::eventually("the whole story", std::time::Duration::from_secs(5), || {
            let told: Vec<_> = up
                .events()
                .iter()
                .map(|event| event["told"]["event"].clone())
                .collect();
            told.contains(&"signed".into()).then_some(told)
        });
    let at = |word: &str| events.iter().position(|event| event == word);
    assert!(
        at("asked") < at("number") && at("number") < at("signed"),
        "{events:?}"
    );
    up.stop().ok();
    drop(server);
}

#[test]
fn colours_are_for_terminals_alone() {
    let world = World::new();
    let plain = world.workstation.agent(&["status"]).ok();
    assert!(
        !plain.out.contains('\u{1b}') && plain.out.contains("pocket phone"),
        "{plain}"
    );
    let on_terminal = |more: &[(&str, &str)]| {
        let mut command = world.workstation.command("script");
        command.env("TERM", "xterm").envs(more.iter().copied());
        let line = format!("{} status", product("vmux-agent").display());
        world
            .workstation
            .home()
            .run(command.args(["-qec", &line, "/dev/null"]))
            .ok()
            .out
    };
    assert!(on_terminal(&[]).contains("\u{1b}["));
    assert!(!on_terminal(&[("NO_COLOR", "1")]).contains('\u{1b}'));
    assert!(!on_terminal(&[("TERM", "dumb")]).contains('\u{1b}'));
}

#[test]
fn keys_prints_lines_for_authorized_keys() {
    let world = World::new();
    assert_eq!(
        world.workstation.agent(&["keys"]).ok().out.trim(),
        world.key
    );
    let json = world.workstation.agent(&["keys", "--json"]).ok().json();
    assert_eq!(json["label"], "phone key");
    let exported = world.phone.run(&["key", "export", "phone key"]).ok().json();
    assert_eq!(exported["public"], world.key);
    assert_eq!(exported["fingerprint"], json["fingerprint"]);
}

#[test]
fn an_imported_key_signs_and_its_file_opens_in_ssh_keygen() {
    let world = World::new();
    let home = world.phone.home();
    let file = home.path().join("old").display().to_string();
    let own = home.write("own", "old passphrase\n").display().to_string();
    let mut make = home.command(find("ssh-keygen"));
    make.args([
        "-q",
        "-t",
        "ed25519",
        "-N",
        "old passphrase",
        "-C",
        "old",
        "-f",
        &file,
    ]);
    home.run(&mut make).ok();
    let before = fs::read(&file).unwrap();
    let import = [
        "key",
        "import",
        &file,
        "--label",
        "imported",
        "--own-passphrase-file",
    ];
    world
        .phone
        .run(&[&import[..], &["/dev/null"]].concat())
        .exited(1);
    let imported = world
        .phone
        .run(&[&import[..], &[&own]].concat())
        .ok()
        .json();
    assert_eq!(
        fs::read(&file).unwrap(),
        before,
        "the file is left as it is"
    );
    let public = fs::read_to_string(format!("{file}.pub")).unwrap();
    let words: Vec<_> = public.split_whitespace().take(2).collect();
    assert_eq!(imported["public"], format!("{} imported", words.join(" ")));
    world.phone.run(&[&import[..], &[&own]].concat()).exited(1);

    // It logs in where only it may.
    let server = world.server("web1");
    server.home().write("authorized_keys", &public);
    world.workstation.comes_to("both keys", |status| {
        status["phones"][0]["identities"]
            .as_array()
            .is_some_and(|all| all.len() == 2)
    });
    world.logs_in("web1");
    assert_eq!(
        world.phone.one_prompt_since(0)["identity"]["label"],
        "imported"
    );

    // Every key file is one that ssh-keygen opens with the signer's passphrase, and with no other.
    let keys = world.phone.state_dir().join("keys");
    let files = fs::read_dir(keys)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.extension().is_some()).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    let passphrase = fs::read_to_string(world.phone.passphrase_file()).unwrap();
    for file in files {
        let open = |passphrase: &str| {
            let mut command = home.command(find("ssh-keygen"));
            home.run(command.args(["-y", "-P", passphrase, "-f"]).arg(&file))
        };
        open(passphrase.trim()).ok();
        assert_ne!(open("something else").code, Some(0));
        assert_ne!(open("").code, Some(0));
    }
}

#[test]
fn keys_are_named_once_and_found_by_name_or_fingerprint() {
    let place = Place::new();
    let phone = Phone::new(place.home("phone"), "phone");
    phone.new_key("first", KeyKind::Ecdsa);
    phone.new_key("second", KeyKind::Ed25519);
    phone
        .run(&["key", "new", "--label", "first"])
        .exited(1)
        .says(&["label"]);
    phone
        .run(&["key", "label", "second", "first"])
        .exited(1)
        .says(&["label"]);
    phone
        .run(&["key", "disable", "third"])
        .exited(1)
        .says(&["vmux-signer key list"]);
    let keys = phone.run(&["key", "list"]).ok().events();
    let labels: Vec<_> = keys.iter().map(|key| &key["label"]).collect();
    assert_eq!(labels, ["first", "second"]);
    let fingerprint = keys[0]["fingerprint"].as_str().unwrap();
    phone.run(&["key", "remove", fingerprint, "--yes"]).ok();
    assert_eq!(phone.run(&["key", "list"]).ok().json()["label"], "second");
}

#[test]
fn a_program_that_cannot_decide_is_refused_at_the_start_and_denies_later() {
    let mut world = World::new();
    let server = world.server("web1");
    let missing = ["run", "--decide-with", "/nowhere/decide"];
    world.phone.stop();
    world
        .phone
        .run(&missing)
        .exited(1)
        .says(&["/nowhere/decide", "--decide-with"]);
    world.phone.start();
    world.workstation.sees_phones(1);
    // Crashes, ends by a signal, is gone: all of that is a no.
    for text in [
        "#!/bin/sh\nkill -9 $$\n",
        "#!/bin/sh\nexit 77\n",
        "#!/nowhere/interpreter\n",
    ] {
        world.phone.home().script("bin/decide", text);
        let denied = world.workstation.ssh(&["web1", "true"]).exited(255);
        assert!(denied.err.contains("agent refused operation"), "{denied}");
    }
    fs::remove_file(world.phone.decider()).unwrap();
    world.workstation.ssh(&["web1", "true"]).exited(255);
    assert!(
        !server.log().contains("Accepted publickey"),
        "{}",
        server.log()
    );
}

#[test]
fn configuration_mistakes_are_named_with_their_line_by_every_program() {
    let place = Place::new();
    let home = place.home("desk");
    let config = home.write("config.toml", "# one\n\nnot_a_key = 1\n");
    let named = format!("{}:3", config.display());
    let commands: [(&str, &[&str]); 3] = [
        ("vmux-agent", &["status"]),
        ("vmux-signer", &["key", "list"]),
        ("vmux-relay", &["run"]),
    ];
    for (program, arguments) in commands {
        let mut command = home.command(product(program));
        let refused = home
            .run(command.args(arguments).arg("--config").arg(&config))
            .exited(1);
        assert!(refused.err.contains("not_a_key"), "{refused}");
        let line = refused.err.contains(&named) || refused.err.contains("line 3");
        assert!(
            line && refused.err.contains(&config.display().to_string()),
            "{refused}"
        );
        // A file that was named must be there.
        let mut command = home.command(product(program));
        let missing = home.run(command.args(arguments).args(["--config", "/nowhere.toml"]));
        missing.exited(1).says(&["/nowhere.toml"]);
    }
}

//! I20: text from outside is shown escaped wherever it is shown.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use vmux_testkit::{Decide, KeyKind, Phone, Place, Workstation, World};

/// Clears a line, reverses what follows, hides a letter, tags the rest.
const HOSTILE: &str = "a\u{1b}[2K\u{202e}b\u{200b}c\u{e0041}";

/// Nothing in a text that a terminal would act on or hide, besides line feeds.
#[track_caller]
fn is_harmless(text: &str) {
    for character in text.chars() {
        let bad = (character.is_control() && character != '\n')
            || "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{ad}".contains(character)
            || ('\u{202a}'..='\u{202e}').contains(&character)
            || ('\u{2066}'..='\u{2069}').contains(&character)
            || ('\u{e0000}'..='\u{e007f}').contains(&character);
        assert!(!bad, "{character:?} in {text:?}");
    }
}

/// Every text in a JSON value, and that there is something to look at.
#[track_caller]
fn has_harmless_texts(value: &serde_json::Value) {
    match value {
        serde_json::Value::String(text) => is_harmless(text),
        serde_json::Value::Array(all) => all.iter().for_each(has_harmless_texts),
        serde_json::Value::Object(all) => all.values().for_each(has_harmless_texts),
        _ => {}
    }
}

#[test]
fn i20_a_hostile_name_of_a_workstation_is_escaped_on_the_phone() {
    let place = Place::new();
    // Written as TOML escapes: the file itself is harmless.
    let name = "a\\u001b[2K\\u202eb\\u200bc\\U000e0041";
    let workstation = Workstation::new(place.home("desk"), name);
    let world = World::of(place, workstation, KeyKind::Ecdsa);
    let server = world.server("web1");
    world.logs_in("web1");
    let prompt = world.phone.one_prompt_since(0);
    has_harmless_texts(&prompt);
    let shown = prompt["workstation"]["name"].as_str().unwrap();
    assert!(
        shown.starts_with('a') && shown.contains('b') && shown.contains("1b"),
        "{shown}"
    );
    for agent in world.phone.run(&["agents"]).ok().events() {
        has_harmless_texts(&agent);
    }
    let mut human = world
        .phone
        .home()
        .command(vmux_testkit::product("vmux-signer"));
    human
        .arg("agents")
        .arg("--state-dir")
        .arg(world.phone.state_dir());
    is_harmless(&world.phone.home().run(&mut human).ok().out);
    world.phone.events().iter().for_each(has_harmless_texts);
    is_harmless(&world.phone.complaints());
    drop(server);
}

#[test]
fn a_signer_takes_no_hostile_name_or_label_for_itself() {
    let place = Place::new();
    let phone = Phone::new(place.home("phone"), "phone");
    for bad in [HOSTILE, "", "a\nb"] {
        let refused = phone.run(&["key", "new", "--label", bad]).exited(1);
        is_harmless(&refused.err);
        let other = place.path().join("other").display().to_string();
        let mut command = phone.home().command(vmux_testkit::product("vmux-signer"));
        command.args([
            "init",
            "--name",
            bad,
            "--state-dir",
            &other,
            "--passphrase-file",
        ]);
        let refused = phone
            .home()
            .run(command.arg(phone.passphrase_file()))
            .exited(1);
        is_harmless(&refused.err);
        assert!(!std::path::Path::new(&other).join("settings").exists());
    }
    let refused = phone.run(&["key", "disable", HOSTILE]).exited(1);
    is_harmless(&refused.err);
    has_harmless_texts(&refused.json());
}

#[test]
fn i20_a_hostile_host_alias_and_command_line_are_escaped_everywhere() {
    let world = World::new();
    let server = world.server("web1");
    world.decide(Decide::Wait);
    // OpenSSH itself refuses control characters in a host's name, but these it takes.
    let alias = "we\u{202e}b\u{200b}1";
    let mut ssh = world.workstation.command("ssh");
    ssh.arg("-o").arg(format!("HostKeyAlias={alias}"));
    ssh.args([
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "StrictHostKeyChecking=no",
        "web1",
    ]);
    // A command that no text can hold, with an escape sequence in it.
    ssh.arg(OsStr::from_bytes(b"true \xff\x1b[2K\xe2\x80\xae"));
    let ssh = world.workstation.home().start(&mut ssh);
    let prompt = world.phone.next_prompt(0);
    has_harmless_texts(&prompt);
    let host = prompt["reported"]["host"].as_str().unwrap();
    assert!(
        host.starts_with("we") && host.contains("202e"),
        "{prompt:#}"
    );
    let command = prompt["reported"]["processes"][0]["command"]
        .as_str()
        .unwrap();
    assert!(
        command.contains("1b") && command.contains("[2K"),
        "{command}"
    );

    let status = world.workstation.status();
    assert_eq!(status["waiting"].as_array().map(Vec::len), Some(1));
    has_harmless_texts(&status);
    is_harmless(&world.workstation.agent(&["status"]).ok().out);
    drop(ssh);
    is_harmless(&world.workstation.log());
    world.phone.events().iter().for_each(has_harmless_texts);
    drop(server);
}

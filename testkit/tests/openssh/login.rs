//! Logins, and what the person sees of them.

use vmux_testkit::{HostKey, KeyKind, Server, World, whoami};

#[test]
fn a_real_ssh_logs_in_with_a_key_that_the_phone_holds() {
    let world = World::new();
    let server = world.server("web1");
    world.logs_in("web1");

    let prompt = world.phone.one_prompt_since(0);
    assert_eq!(prompt["version"], 1);
    assert_eq!(prompt["workstation"]["name"], "workbench");
    assert_eq!(prompt["kind"], "login");
    assert_eq!(prompt["user"], whoami());
    assert_eq!(prompt["level"], "direct");
    assert_eq!(prompt["standing"], "new");
    assert_eq!(prompt["host"]["fingerprint"], server.fingerprint());
    assert_eq!(prompt["host"]["algorithm"], "ssh-ed25519");
    assert_eq!(prompt["identity"]["label"], "phone key");
    assert_eq!(prompt["hops"].as_array().map(Vec::len), Some(0));
    assert!(
        (10..=99).contains(&prompt["number"].as_u64().unwrap()),
        "{prompt:#}"
    );
    let reported = &prompt["reported"];
    assert_eq!(reported["host"], "web1");
    let client = reported["processes"][0]["command"].as_str().unwrap();
    assert!(
        client.contains("ssh") && client.ends_with("web1 echo here"),
        "{client}"
    );
    assert!(
        server.log().contains("Accepted publickey"),
        "{}",
        server.log()
    );
    world.workstation.logs("signed");
}

#[test]
fn a_host_is_new_once_and_known_by_its_name_afterwards() {
    let world = World::new();
    let server = world.server("web1");
    world.logs_in("web1");
    let first = world.phone.one_prompt_since(0);
    assert_eq!(
        (&first["standing"], first["number"].is_u64()),
        (&"new".into(), true)
    );

    world.logs_in("web1");
    let second = world.phone.one_prompt_since(1);
    assert_eq!(second["standing"], "pinned");
    assert!(second["number"].is_null(), "{second:#}");
    let pin = &second["host"]["pin"];
    assert_eq!((&pin["name"], &pin["uses"]), (&"web1".into(), &1.into()));

    let pins = world.phone.run(&["pins", "list"]).ok().events();
    let pin = pins.iter().find(|pin| pin["name"] == "web1").unwrap();
    assert_eq!(
        (&pin["fingerprint"], &pin["uses"]),
        (&server.fingerprint().into(), &2.into())
    );
}

#[test]
fn another_key_under_a_known_name_is_shown_as_changed_and_cannot_be_approved() {
    let mut world = World::new();
    let first = world.server("web1");
    world.logs_in("web1");
    // A running signer notices within half a second; one that starts knows at once.
    world.phone.stop();
    world.phone.run(&["pins", "rename", "web1", "gate"]).ok();
    world.phone.start();
    world.workstation.sees_phones(1);
    drop(first);

    // Another machine, which the workstation calls by the pinned name.
    let other = Server::start(&world.place, "gate");
    other.allow(&world.key);
    world.workstation.knows(&other);
    let before = world.seen();
    let refused = world.workstation.ssh(&["gate", "true"]).exited(255);
    assert!(refused.err.contains("agent refused operation"), "{refused}");
    let prompt = world.phone.one_prompt_since(before);
    assert_eq!(
        (&prompt["standing"], &prompt["blocked"]),
        (&"changed".into(), &true.into())
    );
    assert_eq!(prompt["host"]["pin"]["name"], "gate");
    world.workstation.logs("host-key-changed");
    assert!(
        !other.log().contains("Accepted publickey"),
        "{}",
        other.log()
    );
}

#[test]
fn an_ed25519_key_logs_in_to_hosts_with_every_kind_of_key() {
    let world = World::with_key(KeyKind::Ed25519);
    let kinds = [
        (HostKey::Ed25519, "ssh-ed25519"),
        (HostKey::Ecdsa256, "ecdsa-sha2-nistp256"),
        (HostKey::Ecdsa384, "ecdsa-sha2-nistp384"),
        (HostKey::Ecdsa521, "ecdsa-sha2-nistp521"),
        (HostKey::Rsa, "ssh-rsa"),
    ];
    for (index, (kind, algorithm)) in kinds.into_iter().enumerate() {
        let name = format!("host{index}");
        let server = world.server_with(&name, kind);
        world.logs_in(&name);
        let prompt = world.phone.one_prompt_since(index);
        assert_eq!(prompt["level"], "direct", "{algorithm}");
        assert_eq!(prompt["host"]["algorithm"], algorithm);
        assert_eq!(prompt["host"]["fingerprint"], server.fingerprint());
    }
}

#[test]
fn a_host_certificate_proves_the_host_as_its_key_does() {
    let world = World::new();
    for (index, kind) in [HostKey::Ed25519, HostKey::Rsa].into_iter().enumerate() {
        let name = format!("certified{index}");
        let authority = world.place.home(&format!("authority{index}"));
        let key = authority.path().join("ca");
        let mut make = authority.command(vmux_testkit::find("ssh-keygen"));
        authority
            .run(make.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key))
            .ok();
        let server = Server::start_certified(&world.place, &name, kind, &key);
        server.allow(&world.key);
        world.workstation.finds(&server);
        let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
        world.workstation.append(
            ".ssh/known_hosts",
            &format!("@cert-authority {name} {public}"),
        );

        world.logs_in(&name);
        let prompt = world.phone.one_prompt_since(index);
        assert_eq!(prompt["level"], "direct", "{prompt:#}");
        assert_eq!(prompt["host"]["fingerprint"], server.fingerprint());
        let known = prompt["reported"]["known_hosts"]
            .as_str()
            .unwrap_or_default();
        assert!(known.contains(&name), "{prompt:#}");
    }
}

#[test]
fn a_host_key_that_known_hosts_revokes_is_refused_without_asking() {
    let world = World::new();
    let server = world.server("web1");
    let line = server.known_hosts().remove(0).replacen("web1", "*", 1);
    // OpenSSH itself reads another file here, so it is the agent that refuses.
    let config = world.workstation.home().path().join("elsewhere");
    std::fs::copy(
        world.workstation.home().path().join(".ssh/known_hosts"),
        &config,
    )
    .unwrap();
    world
        .workstation
        .append(".ssh/known_hosts", &format!("@revoked {line}"));
    let option = format!("UserKnownHostsFile={}", config.display());
    let refused = world
        .workstation
        .ssh(&["-o", &option, "web1", "true"])
        .exited(255);
    assert!(refused.err.contains("agent refused operation"), "{refused}");
    assert_eq!(world.seen(), 0);
    world.workstation.logs("host-key-revoked");

    world
        .workstation
        .ssh(&["-o", &option, "-o", "IdentityAgent=none", "web1", "true"])
        .exited(255);
}

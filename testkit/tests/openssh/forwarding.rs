//! Jump hosts and forwarded agents.

use vmux_testkit::{Server, World};

#[test]
fn a_jump_host_and_the_host_behind_it_are_asked_for_one_by_one() {
    let world = World::new();
    let (gate, inner) = (world.server("gate"), world.server("inner"));
    let done = world
        .workstation
        .ssh(&["-J", "gate", "inner", "echo", "here"])
        .ok();
    assert_eq!(done.out, "here\n");

    let prompts = world.phone.prompts();
    assert_eq!(prompts.len(), 2, "{prompts:#?}");
    for (prompt, server) in prompts.iter().zip([&gate, &inner]) {
        assert_eq!(prompt["level"], "direct");
        assert_eq!(prompt["hops"], serde_json::json!([]));
        assert_eq!(prompt["host"]["fingerprint"], server.fingerprint());
    }
}

/// An `ssh` on `at` with its own list of known hosts, which uses whatever agent was forwarded.
fn ssh_there(at: &Server, known: &[&Server]) -> String {
    let lines: Vec<_> = known
        .iter()
        .flat_map(|server| server.known_hosts())
        .collect();
    let hosts = at.home().write("known_hosts", lines.join("\n") + "\n");
    let blocks: Vec<_> = known
        .iter()
        .map(|server| {
            let (name, port) = (server.name(), server.port());
            format!("Host {name}\n HostName 127.0.0.1\n Port {port}\n HostKeyAlias {name}\n")
        })
        .collect();
    let text = format!(
        "{}Host *\n UserKnownHostsFile {}\n GlobalKnownHostsFile /dev/null\n IdentityFile none\n \
         BatchMode yes\n",
        blocks.concat(),
        hosts.display()
    );
    let config = at.home().write("client_config", text);
    format!("ssh -F {}", config.display())
}

#[test]
fn a_login_through_a_forwarded_agent_shows_every_hop() {
    let world = World::new();
    let (first, second, third) = (
        world.server("first"),
        world.server("second"),
        world.server("third"),
    );
    let (from_first, from_second) = (ssh_there(&first, &[&second]), ssh_there(&second, &[&third]));
    let inner = format!("{from_first} -A second {from_second} third echo here");
    let done = world.workstation.ssh(&["-A", "first", &inner]).ok();
    assert_eq!(done.out, "here\n");

    let prompts = world.phone.prompts();
    assert_eq!(prompts.len(), 3, "{prompts:#?}");
    let hosts = [&first, &second, &third].map(Server::fingerprint);
    let levels = ["direct", "forwarded", "forwarded"];
    for (index, prompt) in prompts.iter().enumerate() {
        assert_eq!(prompt["level"], levels[index], "{prompt:#}");
        assert_eq!(prompt["host"]["fingerprint"], hosts[index]);
        let hops: Vec<_> = prompt["hops"].as_array().unwrap().iter().collect();
        let hops: Vec<_> = hops
            .iter()
            .map(|hop| hop["fingerprint"].as_str().unwrap())
            .collect();
        assert_eq!(hops, hosts[..index], "{prompt:#}");
        assert!(prompt["number"].is_u64(), "{prompt:#}");
    }
}

#[test]
fn a_forwarded_login_needs_the_number_even_to_a_host_that_is_known() {
    let world = World::new();
    let (first, second) = (world.server("first"), world.server("second"));
    world.logs_in("first");
    world.logs_in("second");
    let before = world.seen();
    let inner = format!("{} second true", ssh_there(&first, &[&second]));
    world.workstation.ssh(&["-A", "first", &inner]).ok();

    let prompts = world.phone.prompts_since(before);
    let [direct, forwarded] = prompts.as_slice() else {
        panic!("{prompts:#?}")
    };
    assert_eq!(
        (&direct["standing"], direct["number"].is_null()),
        (&"pinned".into(), true)
    );
    assert_eq!(
        (&forwarded["standing"], &forwarded["level"]),
        (&"pinned".into(), &"forwarded".into())
    );
    assert!(forwarded["number"].is_u64(), "{forwarded:#}");
}

#[test]
fn an_agent_that_is_forwarded_can_be_listed_but_not_managed() {
    let world = World::new();
    let server = world.server("first");
    let listed = world
        .workstation
        .ssh(&["-A", "first", "ssh-add", "-L"])
        .ok();
    assert_eq!(listed.out.trim(), world.key);
    // What manages the agent is not on its socket, and its directory is not forwarded.
    let refused = world
        .workstation
        .ssh(&["-A", "first", "ssh-add", "-d", "/dev/stdin"]);
    assert_ne!(refused.code, Some(0), "{refused}");
    drop(server);
}

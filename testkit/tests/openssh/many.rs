//! Many at once: logins, phones, workstations.

use vmux_testkit::{KeyKind, Phone, Workstation, World, pair};

#[test]
fn thirty_two_logins_at_once_all_succeed() {
    let world = World::new();
    let server = world.server("busy");
    let ssh: Vec<_> = (0..32)
        .map(|_| world.workstation.start_ssh(&["busy", "echo", "here"]))
        .collect();
    for ssh in ssh {
        assert_eq!(ssh.finish().ok().out, "here\n");
    }
    assert_eq!(world.seen(), 32);
    assert_eq!(server.log().matches("Accepted publickey").count(), 32);
}

#[test]
fn an_agent_asks_the_phone_that_holds_the_key() {
    let world = World::new();
    let mut second = Phone::new(world.place.home("tablet"), "tablet");
    let key = second.new_key("tablet key", KeyKind::Ed25519);
    second.start();
    pair(&world.workstation, &second);
    world.workstation.sees_phones(2);
    let listed = world.workstation.run("ssh-add", &["-L"]).ok();
    assert_eq!(listed.out.lines().count(), 2, "{listed}");

    // A host that lets only the tablet's key in, and one that lets only the phone's.
    let (at_tablet, at_phone) = (world.server("one"), world.server("two"));
    at_tablet
        .home()
        .write("authorized_keys", format!("{key}\n"));
    world.logs_in("one");
    assert_eq!((world.seen(), second.prompts().len()), (0, 1));
    world.logs_in("two");
    assert_eq!((world.seen(), second.prompts().len()), (1, 1));

    // One of them goes; the other stays.
    second.stop();
    world.workstation.comes_to("one phone away", |status| {
        let mut states: Vec<_> = status["phones"]
            .as_array()
            .unwrap()
            .iter()
            .map(|phone| &phone["state"])
            .collect();
        states.sort_by_key(ToString::to_string);
        states == ["away", "connected"]
    });
    world.logs_in("two");
    drop((at_tablet, at_phone));
}

#[test]
fn a_phone_serves_several_workstations_and_tells_them_apart() {
    let world = World::new();
    let mut other = Workstation::new(world.place.home("laptop"), "laptop");
    other.start();
    pair(&other, &world.phone);
    other.sees_phones(1);
    let server = world.server("web1");
    other.knows(&server);

    world.logs_in("web1");
    other.ssh(&["web1", "true"]).ok();
    let prompts = world.phone.prompts();
    let names: Vec<_> = prompts
        .iter()
        .map(|prompt| &prompt["workstation"]["name"])
        .collect();
    assert_eq!(names, ["workbench", "laptop"]);
    // The pin is the person's, not the workstation's.
    assert_eq!(prompts[1]["standing"], "pinned");
    let agents = world.phone.run(&["agents"]).ok().events();
    assert_eq!(agents.len(), 2, "{agents:?}");
}

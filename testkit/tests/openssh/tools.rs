//! The programs that use ssh.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use vmux_testkit::{World, whoami};

#[test]
fn scp_sftp_and_rsync_copy_there_and_back() {
    let world = World::new();
    let server = world.server("files");
    let home = world.workstation.home().path();
    let config = home.join(".ssh/config").display().to_string();
    let text = "a line\n".repeat(20_000);
    let original = world
        .workstation
        .home()
        .write("original", &text)
        .display()
        .to_string();
    let there = |name: &str| server.home().path().join(name);
    let back = |name: &str| home.join(name).display().to_string();
    let same = |path: &Path| assert_eq!(fs::read_to_string(path).unwrap(), text, "{path:?}");

    let (remote, local) = (there("scp"), back("scp-back"));
    let place = format!("files:{}", remote.display());
    world
        .workstation
        .run("scp", &["-q", "-F", &config, &original, &place])
        .ok();
    same(&remote);
    world
        .workstation
        .run("scp", &["-q", "-F", &config, &place, &local])
        .ok();
    same(Path::new(&local));

    let (remote, local) = (there("sftp"), back("sftp-back"));
    let batch = format!("put {original} {0}\nget {0} {local}\n", remote.display());
    let batch = world
        .workstation
        .home()
        .write("batch", batch)
        .display()
        .to_string();
    world
        .workstation
        .run("sftp", &["-q", "-F", &config, "-b", &batch, "files"])
        .ok();
    same(&remote);
    same(Path::new(&local));

    let (remote, local) = (there("rsync"), back("rsync-back"));
    let place = format!("files:{}", remote.display());
    world
        .workstation
        .run("rsync", &["-a", "-e", "ssh", &original, &place])
        .ok();
    same(&remote);
    world
        .workstation
        .run("rsync", &["-a", "-e", "ssh", &place, &local])
        .ok();
    same(Path::new(&local));

    let prompts = world.phone.prompts();
    assert_eq!(prompts.len(), 5, "{prompts:#?}");
    for prompt in prompts {
        assert_eq!(
            (&prompt["level"], &prompt["reported"]["host"]),
            (&"direct".into(), &"files".into())
        );
    }
}

#[test]
fn ssh_copy_id_installs_the_key_that_the_phone_holds() {
    let mut world = World::new();
    let server = world.server("fresh");
    // A second key, which the host does not know yet.
    let second = world
        .phone
        .new_key("second key", vmux_testkit::KeyKind::Ed25519);
    world.workstation.comes_to("both keys", |status| {
        status["phones"][0]["identities"]
            .as_array()
            .is_some_and(|all| all.len() == 2)
    });
    let public = world
        .workstation
        .home()
        .write("second.pub", format!("{second}\n"));
    let public = public.display().to_string();
    world
        .workstation
        .run("ssh-copy-id", &["-f", "-i", &public, "fresh"])
        .ok();
    let installed = fs::read_to_string(server.home().path().join(".ssh/authorized_keys")).unwrap();
    assert_eq!(installed.trim(), second);
    world.phone.stop();
}

#[test]
fn mosh_starts_its_server_with_one_approval() {
    let world = World::new();
    let server = world.server("roam");
    let started = world.workstation.ssh(&[
        "roam",
        "MOSH_SERVER_NETWORK_TMOUT=5 mosh-server new -s -i 127.0.0.1 -l LANG=C.UTF-8 -- true",
    ]);
    let started = started.ok().says(&["MOSH CONNECT"]);
    // It waits in the background for somebody who will not come.
    let (_, pid) = started.err.split_once("detached, pid = ").unwrap();
    let pid = pid.split(']').next().unwrap().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    assert_eq!(world.seen(), 1, "{started}");

    // The whole of it: mosh wants a terminal here. There it needs none, and an sshd that is not
    // root's could not make one.
    let mark = server.home().path().join("mark").display().to_string();
    let mosh = format!("stty rows 24 cols 80; mosh --no-ssh-pty roam -- touch {mark}");
    let mut command = world.workstation.command("script");
    command
        .env("TERM", "xterm")
        .args(["-qec", &mosh, "/dev/null"]);
    let done = world.workstation.home().run(&mut command);
    assert!(Path::new(&mark).exists(), "{done}");
    let prompt = world.phone.one_prompt_since(1);
    assert_eq!(
        (&prompt["standing"], &prompt["level"]),
        (&"pinned".into(), &"direct".into())
    );
}

#[test]
fn a_shared_connection_asks_once_for_many_sessions() {
    let world = World::new();
    let server = world.server("busy");
    let control = world
        .workstation
        .home()
        .path()
        .join("tmp/c")
        .display()
        .to_string();
    let path = format!("ControlPath={control}");
    let mut command = world.workstation.command("ssh");
    // In the foreground, so that it ends with the test.
    let master = world.workstation.home().start(command.args([
        "-o",
        &path,
        "-o",
        "ControlMaster=yes",
        "-N",
        "busy",
    ]));
    vmux_testkit::eventually(
        "a shared connection",
        std::time::Duration::from_secs(20),
        || Path::new(&control).exists().then_some(()),
    );
    for _ in 0..5 {
        let done = world
            .workstation
            .ssh(&["-o", &path, "busy", "echo", "here"])
            .ok();
        assert_eq!(done.out, "here\n");
    }
    assert_eq!(world.seen(), 1);
    assert_eq!(server.log().matches("Accepted publickey").count(), 1);
    drop(master);
}

#[test]
fn a_client_from_another_family_logs_in_through_the_same_socket() {
    // Dropbear's client keeps its list of hosts where the system says the home directory is, so it is
    // told to accept what it sees and to write nothing.
    let world = World::new();
    let server = world.server_with("drop", vmux_testkit::HostKey::Ecdsa256);
    let port = server.port().to_string();
    let place = format!("{}@127.0.0.1", whoami());
    let mut command = world.workstation.command("dbclient");
    command.args(["-y", "-y", "-T", "-p", &port, &place, "echo here"]);
    let done = world.workstation.home().run(&mut command).ok();
    assert_eq!(done.out, "here\n");
    let prompt = world.phone.one_prompt_since(0);
    assert_eq!(
        (&prompt["level"], &prompt["standing"]),
        (&"unknown".into(), &"unverified".into())
    );
    assert!(prompt["number"].is_u64(), "{prompt:#}");
}

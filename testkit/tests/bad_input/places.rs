//! Sockets, directories and ports that cannot be used.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use vmux_testkit::{Finished, Place, Port, Workstation, make_dir};

fn run_at(workstation: &Workstation, socket: &str) -> Finished {
    let mut command = workstation.run_command();
    workstation.home().run(command.args(["--socket", socket]))
}

fn workstation(place: &Place) -> Workstation {
    Workstation::new(place.home("desk"), "workbench")
}

#[test]
fn a_socket_path_that_is_too_long_is_said_to_be() {
    let place = Place::new();
    let workstation = workstation(&place);
    let long = place.path().join("s".repeat(100)).display().to_string();
    run_at(&workstation, &long)
        .exited(1)
        .says(&["too long", "--socket", &long]);
    // The longest that the system takes works.
    let room = 107 - place.path().as_os_str().len() - 1;
    let fits = place.path().join("s".repeat(room));
    let mut command = workstation.run_command();
    let agent = workstation.home().start(command.arg("--socket").arg(&fits));
    vmux_testkit::eventually("a socket", std::time::Duration::from_secs(20), || {
        fits.exists().then_some(())
    });
    agent.stop().ok();
}

#[test]
fn a_missing_directory_is_named_with_the_command_that_makes_it() {
    let place = Place::new();
    let workstation = workstation(&place);
    let missing = place.path().join("missing");
    let socket = missing.join("socket").display().to_string();
    let words = format!("mkdir -m 700 {}", missing.display());
    run_at(&workstation, &socket)
        .exited(1)
        .says(&["does not exist", &words]);
    assert!(!missing.exists());
}

#[test]
fn i18_a_directory_that_others_may_write_to_is_refused() {
    let place = Place::new();
    let workstation = workstation(&place);
    let open = place.path().join("open");
    make_dir(&open, 0o777);
    let socket = open.join("socket").display().to_string();
    let words = format!("chmod go-w {}", open.display());
    run_at(&workstation, &socket)
        .exited(1)
        .says(&["others may write", "mode 0777", &words]);
    assert_eq!(fs::read_dir(&open).unwrap().count(), 0);
}

#[test]
fn what_stands_in_the_place_of_the_socket_is_left_alone() {
    let place = Place::new();
    let workstation = workstation(&place);
    let file = workstation.home().write("something", "of value\n");
    let path = file.display().to_string();
    run_at(&workstation, &path)
        .exited(1)
        .says(&["is there and is a file", &path]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "of value\n");
}

#[test]
fn a_taken_relay_port_names_the_option_that_changes_it() {
    let place = Place::new();
    let workstation = workstation(&place);
    let port = Port::reserve();
    let holder = TcpListener::bind(port.address()).unwrap();
    let mut command = workstation.agent_command(&["run", "--relay-listen"]);
    let address = port.address().to_string();
    let refused = workstation.home().run(command.arg(&address)).exited(1);
    refused.says(&[&address, "--relay-listen"]);
    // Nothing is left behind that would stop the next one.
    assert!(!workstation.socket().exists());
    drop(holder);
    let mut workstation = workstation;
    workstation.start();
}

#[test]
fn i18_the_socket_is_its_owners_alone() {
    let place = Place::new();
    let mut workstation = workstation(&place);
    // Whatever the person's umask is.
    workstation.start();
    for socket in [
        workstation.socket(),
        workstation.state_dir().join("control.sock"),
    ] {
        let mode = fs::metadata(&socket).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{socket:?}");
    }
    let state = fs::metadata(workstation.state_dir())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(state & 0o777, 0o700);
    workstation.stop();
    assert!(
        !workstation.socket().exists(),
        "a socket that nobody serves was left behind"
    );
}

#[test]
fn a_dead_agents_socket_is_replaced_and_a_living_ones_never() {
    let place = Place::new();
    let mut workstation = workstation(&place);
    workstation.start();
    workstation.kill();
    assert!(workstation.socket().exists());
    workstation.start();

    // Somebody else's agent on the path: a real one.
    let other = place.path().join("ssh-agent").display().to_string();
    let mut command = workstation.home().command(vmux_testkit::find("ssh-agent"));
    let agent = workstation.home().start(command.args(["-D", "-a", &other]));
    vmux_testkit::eventually("ssh-agent", std::time::Duration::from_secs(10), || {
        fs::exists(&other).unwrap().then_some(())
    });
    let second = Workstation::new(place.home("second"), "second");
    let pid = agent.id().to_string();
    run_at(&second, &other)
        .exited(1)
        .says(&["an agent answers on", &pid]);
    let mut listed = workstation.command("ssh-add");
    let listed = workstation
        .home()
        .run(listed.env("SSH_AUTH_SOCK", &other).arg("-l"));
    listed.exited(1).says(&["The agent has no identities"]);
}

#[test]
fn i12_a_control_socket_in_a_directory_that_became_open_is_refused() {
    let place = Place::new();
    let workstation = workstation(&place);
    let state = place.path().join("state");
    make_dir(&state, 0o700);
    fs::set_permissions(&state, Permissions::from_mode(0o770)).unwrap();
    let mut command = workstation.run_command();
    let refused = workstation
        .home()
        .run(command.arg("--state-dir").arg(&state))
        .exited(1);
    refused.says(&["mode 0770", "chmod 700", &state.display().to_string()]);
    assert_eq!(fs::read_dir(&state).unwrap().count(), 0);
}

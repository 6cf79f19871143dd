//! Clients that prove nothing about where they go.

use vmux_testkit::{World, python, whoami};

const PARAMIKO: &str = r#"
import sys, paramiko
host, port, user = sys.argv[1], int(sys.argv[2]), sys.argv[3]
client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
client.connect(host, port, user, allow_agent=True, look_for_keys=False, timeout=20)
_, out, _ = client.exec_command("echo here")
sys.stdout.write(out.read().decode())
client.close()
"#;

#[test]
fn paramiko_logs_in_as_an_unverified_destination_with_a_number_every_time() {
    let world = World::new();
    let server = world.server("web1");
    world.logs_in("web1");
    let script = world.workstation.home().write("login.py", PARAMIKO);
    for turn in 1..=2 {
        let mut command = world.workstation.home().command(python());
        command
            .env("SSH_AUTH_SOCK", world.workstation.socket())
            .arg(&script);
        command.args(["127.0.0.1", &server.port().to_string(), &whoami()]);
        let done = world.workstation.home().run(&mut command).ok();
        assert_eq!(done.out, "here\n", "{done}");

        let prompt = world.phone.one_prompt_since(turn);
        assert_eq!(prompt["user"], whoami());
        assert_eq!(prompt["level"], "unknown", "{prompt:#}");
        assert_eq!(prompt["standing"], "unverified");
        assert!(
            prompt["host"].is_null() && prompt["number"].is_u64(),
            "{prompt:#}"
        );
    }
    let pins = world.phone.run(&["pins", "list"]).ok().events();
    let pin = pins.iter().find(|pin| pin["name"] == "web1").unwrap();
    assert_eq!(pin["uses"], 1, "what proves nothing counts for nothing");
}

//! The program `vmux-relay`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A running program, killed if the test forgets it.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vmux-relay"));
    command
        .arg("run")
        .env_remove("VMUX_LOG")
        .stdin(Stdio::null());
    command
}

fn fails(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command.output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn it_says_where_it_listens_serves_metrics_and_stops_when_told() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut command = command();
        command.args([
            "--listen",
            "127.0.0.1:0",
            "--metrics-listen",
            "127.0.0.1:0",
            "--json",
        ]);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map(Program)
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.0.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let event: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(event["event"], "listening");

        let get = |address: &serde_json::Value, path: &str| {
            let address: SocketAddr = address.as_str().unwrap().parse().unwrap();
            let mut stream = TcpStream::connect(address).unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        assert!(get(&event["address"], "/").contains("This is a vmuxAgent relay"));
        let metrics = get(&event["metrics"], "/metrics");
        assert!(metrics.contains("vmux_relay_ends 0"), "{metrics}");
        // The numbers are not for everybody.
        assert!(get(&event["address"], "/metrics").starts_with("HTTP/1.1 404"));

        kill_process(Pid::from_child(&child.0), signal).unwrap();
        assert!(child.0.wait().unwrap().success());
    }
}

#[test]
fn a_taken_port_names_the_option_that_changes_it() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let (code, words) = fails(command().args(["--listen", &taken]));
    assert_eq!(code, Some(1));
    let expected = format!("{taken} is in use by another program; choose another address with ");
    assert!(words.contains(&format!("{expected}--listen\n")), "{words}");

    let metrics = ["--listen", "127.0.0.1:0", "--metrics-listen", &taken];
    let (code, words) = fails(command().args(metrics));
    assert_eq!(code, Some(1));
    assert!(
        words.contains(&format!("{expected}--metrics-listen\n")),
        "{words}"
    );
}

#[test]
fn a_configuration_with_an_unknown_key_is_refused_by_name_and_line() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("relay.toml");
    let mut writer = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&file)
        .unwrap();
    writer
        .write_all(b"listen = \"127.0.0.1:0\"\nlisten-on = 1\n")
        .unwrap();
    let (code, words) = fails(command().arg("--config").arg(&file));
    assert_eq!(code, Some(1));
    assert!(words.contains("relay.toml"), "{words}");
    assert!(
        words.contains("listen-on") && words.contains("line 2"),
        "{words}"
    );
}

#[test]
fn a_missing_configuration_is_named() {
    let (code, words) = fails(command().args(["--config", "/nonexistent/relay.toml"]));
    assert_eq!(code, Some(1));
    assert!(
        words.contains("cannot read /nonexistent/relay.toml"),
        "{words}"
    );
}

#[test]
fn wrong_usage_and_useless_limits_are_refused() {
    let (code, _words) = fails(command().arg("--listen"));
    assert_eq!(code, Some(2));
    let (code, words) = fails(command().args(["--listen", "127.0.0.1:0", "--max-mailboxes", "0"]));
    assert_eq!(code, Some(1));
    assert!(words.contains("mailboxes must be at least 1"), "{words}");
}

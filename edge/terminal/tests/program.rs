//! The program as people and scripts use it.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails, fails the test that asked"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::Value;
use vmux_host::state_dir::{FileKind, Holder, StateDir};
use vmux_signer::AgentRecord;

/// A home with a passphrase file and nothing else.
struct Home(tempfile::TempDir);

impl Home {
    fn empty() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        home.put("passphrase", "open sesame\n");
        home
    }

    fn set_up() -> Self {
        let home = Self::empty();
        home.done(&["init", "--name", "desk"]);
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "a file of the person's own")]
    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vmux-signer"));
        command
            .env_clear()
            .env("HOME", self.0.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .arg("--passphrase-file")
            .arg(self.path("passphrase"))
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs, and expects success; gives what was printed.
    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            words(&output.stderr)
        );
        words(&output.stdout)
    }

    /// Runs, and expects this exit status; gives the complaint.
    fn failed(&self, arguments: &[&str], status: i32) -> String {
        let output = self.run(arguments);
        let complaint = words(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(status),
            "{arguments:?}: {complaint}"
        );
        complaint
    }

    fn keys(&self) -> Vec<Value> {
        let printed = self.done(&["key", "list", "--json"]);
        printed
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The key file of the only key.
    fn key_file(&self) -> PathBuf {
        let keys = self.path(".local/state/vmux-signer/keys");
        let mut files = std::fs::read_dir(keys)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let key = |path: &PathBuf| {
            path.extension().is_some_and(|end| end == "key") && !path.ends_with("check.key")
        };
        files.find(key).unwrap()
    }
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn ssh_keygen(arguments: &[&str], file: &Path) -> Output {
    Command::new("ssh-keygen")
        .args(arguments)
        .arg("-f")
        .arg(file)
        .output()
        .unwrap()
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap().to_owned()
}

#[test]
fn ssh_keygen_opens_the_key_file_of_a_new_key() {
    for key_type in ["ecdsa-p256", "ed25519"] {
        let home = Home::set_up();
        home.done(&["key", "new", "--label", "work", "--type", key_type]);
        let file = home.key_file();
        assert_eq!(
            file.metadata().unwrap().permissions().mode() & 0o7777,
            0o600
        );
        let line = home.done(&["key", "export", "work"]);
        let read = ssh_keygen(&["-y", "-P", "open sesame"], &file);
        assert_eq!(words(&read.stdout), line);
        assert!(line.ends_with(" work\n"), "{line}");
        assert!(
            !ssh_keygen(&["-y", "-P", "open barley"], &file)
                .status
                .success()
        );
    }
}

#[test]
fn keys_of_ssh_keygen_are_imported_and_encrypted_anew() {
    for (key_type, secret) in [
        ("ed25519", ""),
        ("ecdsa", ""),
        ("ed25519", "theirs"),
        ("ecdsa", "theirs"),
    ] {
        let home = Home::set_up();
        let theirs = home.path("theirs");
        ssh_keygen(&["-q", "-t", key_type, "-N", secret, "-C", ""], &theirs);
        let own = home.put("own", "theirs\n");
        let (theirs, own) = (theirs.to_str().unwrap(), own.to_str().unwrap());
        let import = [
            "key",
            "import",
            theirs,
            "--label",
            "old",
            "--own-passphrase-file",
            own,
        ];
        home.done(&import);
        let public = std::fs::read_to_string(home.path("theirs.pub")).unwrap();
        let line = home.done(&["key", "export", "old"]);
        assert_eq!(line.trim_end(), format!("{} old", public.trim_end()));
        assert!(
            ssh_keygen(&["-y", "-P", "open sesame"], &home.key_file())
                .status
                .success()
        );
        assert!(
            !ssh_keygen(&["-y", "-P", secret], &home.key_file())
                .status
                .success()
        );
        let again = home.failed(
            &[
                "key",
                "import",
                theirs,
                "--label",
                "b",
                "--own-passphrase-file",
                own,
            ],
            1,
        );
        assert!(again.contains("already an identity"), "{again}");
    }
}

#[test]
fn what_cannot_be_imported_is_refused_with_its_reason() {
    let home = Home::set_up();
    let rsa = home.path("rsa");
    ssh_keygen(&["-q", "-t", "rsa", "-b", "2048", "-N", ""], &rsa);
    let locked = home.path("locked");
    ssh_keygen(&["-q", "-t", "ed25519", "-N", "theirs"], &locked);
    let own = home.put("own", "not theirs\n");
    let notes = home.put("notes", "remember the milk\n");
    for (file, reason) in [
        (&rsa, "ssh-rsa"),
        (&locked, "wrong passphrase"),
        (&notes, "not an OpenSSH private key"),
        (&home.path("rsa.pub"), "public key"),
        (&home.path("missing"), "No such file"),
    ] {
        let (file, own) = (file.to_str().unwrap(), own.to_str().unwrap());
        let import = [
            "key",
            "import",
            file,
            "--label",
            "x",
            "--own-passphrase-file",
            own,
        ];
        let complaint = home.failed(&import, 1);
        assert!(complaint.contains(reason), "{complaint}");
        assert!(complaint.contains(file), "{complaint}");
        assert!(!complaint.contains("not theirs"), "{complaint}");
    }
    assert!(home.keys().is_empty());
}

#[test]
fn keys_are_listed_labelled_disabled_enabled_and_removed() {
    let home = Home::set_up();
    home.done(&["key", "new", "--label", "a"]);
    home.done(&["key", "new", "--label", "b", "--type", "ed25519"]);
    let keys = home.keys();
    assert_eq!(keys.len(), 2);
    assert_eq!(text(&keys[0], "algorithm"), "ecdsa-sha2-nistp256");
    home.done(&["key", "label", "a", "c"]);
    home.done(&["key", "disable", &text(&keys[1], "fingerprint")]);
    let changed = home.keys();
    assert_eq!(
        (text(&changed[0], "label"), &changed[0]["enabled"]),
        ("c".to_owned(), &true.into())
    );
    assert_eq!(changed[1]["enabled"], false);
    home.done(&["key", "enable", "b"]);
    home.done(&["key", "remove", "c"]);
    assert_eq!(home.keys().len(), 1);
    let file = home.key_file();
    home.done(&["key", "remove", "b"]);
    assert!(!file.exists());
    for missing in [["key", "export", "b"], ["key", "disable", "c"]] {
        let complaint = home.failed(&missing, 1);
        assert!(complaint.contains("vmux-signer key list"), "{complaint}");
    }
    let complaint = home.failed(&["key", "new", "--label", "a\u{202e}b"], 1);
    assert!(complaint.contains("visible characters"), "{complaint}");
}

#[test]
fn a_wrong_passphrase_changes_nothing() {
    let home = Home::set_up();
    home.put("passphrase", "open barley\n");
    for command in [
        &["key", "new", "--label", "a"][..],
        &["run", "--decide-with", "true"],
    ] {
        let complaint = home.failed(command, 1);
        assert!(complaint.contains("wrong passphrase"), "{complaint}");
        assert!(!complaint.contains("barley"), "{complaint}");
    }
    assert!(home.keys().is_empty());
    home.put("passphrase", "open sesame\n");
    home.done(&["key", "new", "--label", "a"]);
}

#[test]
fn without_a_signer_every_command_says_how_to_make_one_and_makes_nothing() {
    let home = Home::empty();
    for command in [
        &["key", "list"][..],
        &["key", "new", "--label", "a"],
        &["pins", "list"],
        &["agents"],
        &["unpair", "laptop"],
        &["run", "--decide-with", "true"],
    ] {
        let complaint = home.failed(command, 1);
        assert!(complaint.contains("vmux-signer init"), "{complaint}");
    }
    assert!(!home.path(".local").exists());
    home.done(&["init"]);
    assert!(home.failed(&["init"], 1).contains("already"));
}

#[test]
fn exit_statuses_tell_usage_from_failure() {
    let home = Home::set_up();
    for usage in [
        &["nonsense"][..],
        &["key", "new"],
        &["run", "--nonsense"],
        &[],
    ] {
        home.failed(usage, 2);
    }
    home.done(&["--help"]);
    home.done(&["--version"]);
    let complaint = home.failed(&["run"], 1);
    assert!(
        complaint.contains("no terminal") && complaint.contains("--decide-with"),
        "{complaint}"
    );
    let complaint = home.failed(&["run", "--decide-with", "/no/such"], 1);
    assert!(complaint.contains("/no/such"), "{complaint}");
    let config = home.put("config.toml", "name = \"a\"\nnames = \"b\"\n");
    let complaint = home.failed(&["key", "list", "--config", config.to_str().unwrap()], 1);
    assert!(
        complaint.contains("config.toml:2: unknown key `names`"),
        "{complaint}"
    );
}

#[test]
fn pins_are_listed_renamed_and_forgotten() {
    let home = Home::set_up();
    let pins = home.done(&["pins", "list", "--json"]);
    assert_eq!(
        pins.lines()
            .filter(|line| line.contains("github.com"))
            .count(),
        2
    );
    home.done(&["pins", "rename", "github.com", "hub"]);
    home.done(&["pins", "forget", "gitlab.com"]);
    let pins = home.done(&["pins", "list", "--json"]);
    assert_eq!(pins.lines().count(), 2);
    assert!(pins.lines().all(|line| line.contains("\"hub\"")), "{pins}");
    home.failed(&["pins", "forget", "github.com"], 1);
    home.failed(&["pins", "rename", "hub", "two words"], 1);
}

#[test]
fn links_that_are_none_or_lead_nowhere_pair_nothing() {
    let home = Home::set_up();
    let expired = link(1_000_000_000);
    let soon = home.0.path().metadata().unwrap().modified().unwrap();
    let soon = soon
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
        + 300;
    for (link, status, reason) in [
        ("hello", 1, "bad-link"),
        ("http://127.0.0.1:1/pair#AAAA", 1, "bad-link"),
        (expired.as_str(), 1, "expired"),
        (link(soon).as_str(), 3, "unreachable"),
    ] {
        let output = home.run(&["pair", link, "--json"]);
        let complaint = words(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{complaint}");
        let event: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (text(&event, "event"), text(&event, "reason")),
            ("failed".to_owned(), reason.to_owned())
        );
        assert!(complaint.contains(&text(&event, "hint")), "{complaint}");
    }
    assert_eq!(home.done(&["agents", "--json"]), "");
}

/// A link to a relay where nobody listens, as docs/spec/link.md says.
fn link(expires: u64) -> String {
    let relay = b"http://127.0.0.1:1";
    let length = u8::try_from(relay.len()).unwrap();
    let fields = [
        &[1][..],
        &expires.to_be_bytes(),
        &[2; 16],
        &[3; 32],
        &[4; 32],
        &[length],
        relay,
    ]
    .concat();
    let fragment = Base64UrlUnpadded::encode_string(&fields);
    format!("http://127.0.0.1:1/pair#{fragment}")
}

/// A signer that runs, and the events it prints.
struct Running {
    child: Child,
    events: BufReader<std::process::ChildStdout>,
}

impl Running {
    fn start(home: &Home) -> Self {
        let mut child = home
            .command(&["run", "--json", "--decide-with", "true"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let events = BufReader::new(child.stdout.take().unwrap());
        Self { child, events }
    }

    /// Starts one, and waits until that is on record.
    fn begin(home: &Home) -> Self {
        let started = |home: &Home| {
            home.log(&[])
                .iter()
                .filter(|line| line["event"] == "started")
                .count()
        };
        let before = started(home);
        let running = Self::start(home);
        while started(home) == before {
            std::thread::sleep(Duration::from_millis(20));
        }
        running
    }

    fn event(&mut self) -> Value {
        let mut line = String::new();
        self.events.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn stop(self) -> Output {
        let id = self.child.id().to_string();
        Command::new("kill").arg(id).status().unwrap();
        self.child.wait_with_output().unwrap()
    }
}

#[test]
fn a_signer_that_runs_takes_up_what_commands_change_and_is_the_only_one() {
    let home = Home::set_up();
    home.done(&["key", "new", "--label", "a"]);
    let mut running = Running::start(&home);
    assert_eq!(text(&running.event(), "event"), "ready");
    assert_eq!(running.event()["enabled"], 1);
    home.done(&["key", "new", "--label", "b", "--type", "ed25519"]);
    let changed = running.event();
    assert_eq!(
        (text(&changed, "event"), &changed["enabled"]),
        ("identities".to_owned(), &2.into())
    );

    let complaint = home.failed(&["run", "--decide-with", "true"], 1);
    let holder = format!("vmux-signer run (process {})", running.child.id());
    assert!(complaint.contains(&holder), "{complaint}");

    let output = running.stop();
    assert_eq!(output.status.code(), Some(0), "{}", words(&output.stderr));
    let mut again = Running::start(&home);
    assert_eq!(text(&again.event(), "event"), "ready");
    again.stop();
}

#[test]
fn damage_done_while_it_runs_stops_the_signer_by_name() {
    let home = Home::set_up();
    let mut running = Running::start(&home);
    running.event();
    let file = home.path(".local/state/vmux-signer/agents");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[3] ^= 1;
    let mut opened = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    opened.write_all(&bytes).unwrap();
    drop(opened);
    let mut waited = Duration::ZERO;
    while running.child.try_wait().unwrap().is_none() && waited < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(50));
        waited += Duration::from_millis(50);
    }
    let output = running.child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let complaint = words(&output.stderr);
    assert!(complaint.contains("agents is damaged"), "{complaint}");
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
}

#[test]
#[cfg(target_os = "linux")]
fn a_signer_that_runs_can_leave_no_core_dump() {
    let home = Home::set_up();
    let mut running = Running::start(&home);
    running.event();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", running.child.id())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    running.stop();
}

impl Home {
    fn state(&self) -> PathBuf {
        self.path(".local/state/vmux-signer")
    }

    fn log_file(&self) -> PathBuf {
        self.state().join("log/log.jsonl")
    }

    fn log(&self, more: &[&str]) -> Vec<Value> {
        let printed = self.done(&[&["log", "--json"], more].concat());
        printed
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Puts a state file there, as the program would.
    fn save(&self, word: &'static str, body: &[u8]) {
        let dir = StateDir::open(&self.state(), &Holder::this("test")).unwrap();
        let kind = FileKind {
            word,
            version: 1,
            if_lost: "",
        };
        dir.save(word, &kind, body).unwrap();
    }

    /// A workstation that is locked out, and two blocks of it.
    fn with_a_workstation_locked_out(&self) -> String {
        // CBOR: a list of one list of text, text, number, 112 bytes and true.
        let (name, relay) = (b"laptop", b"ws://127.0.0.1:1");
        let bond = [&[1; 32][..], &[2; 32], &[9; 32], &[5; 16]].concat();
        let head = [
            &[0x81, 0x85, 0x66][..],
            name,
            &[0x70],
            relay,
            &[0x00, 0x58, 112],
        ]
        .concat();
        let bytes = [&head[..], &bond, &[0xf5]].concat();
        let agents = AgentRecord::list_from_bytes(&bytes).unwrap();
        let link = agents.first().unwrap().id().to_string();
        self.save("agents", &AgentRecord::list_to_bytes(&agents));
        let block = |name: &str| {
            let source = [
                &[0x82, 0x01, 0x81, 0x60 | u8::try_from(name.len()).unwrap()],
                name.as_bytes(),
            ];
            let ends = [&[0x1b][..], &u64::to_be_bytes(4_000_000_000)].concat();
            [&[0x83, 0x70], link.as_bytes(), &source.concat(), &ends].concat()
        };
        self.save(
            "blocks",
            &[&[0x82][..], &block("/bin/a"), &block("/bin/b")].concat(),
        );
        link
    }
}

fn events(lines: &[Value]) -> Vec<String> {
    lines.iter().map(|line| text(line, "event")).collect()
}

#[test]
fn the_log_is_shown_and_checked_and_a_change_is_found_with_its_place() {
    let home = Home::set_up();
    assert!(home.log(&[]).is_empty());
    for _ in 0..2 {
        Running::begin(&home).stop();
    }
    let expected = ["started", "stopped", "started", "stopped"];
    assert_eq!(events(&home.log(&[])), expected);
    assert_eq!(home.log(&["--since", "1h"]).len(), 4);
    assert_eq!(home.log(&["--since", "2026-01-31"]).len(), 4);
    assert!(home.log(&["--since", "2999-01-01"]).is_empty());
    assert!(home.log(&["--host", "web-1.example"]).is_empty());
    home.failed(&["log", "--since", "yesterday"], 2);
    let file = home.log_file();
    assert_eq!(
        file.metadata().unwrap().permissions().mode() & 0o7777,
        0o600
    );

    let said = home.done(&["log", "--verify"]);
    let head = said.trim_end().rsplit(' ').next().unwrap().to_owned();
    assert!(said.starts_with("chain whole, 4 lines, head 4:"), "{said}");
    home.done(&["log", "--head", &head]);
    home.failed(&["log", "--head", "4:xyz"], 2);

    let whole = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    home.put(
        ".local/state/vmux-signer/log/log.jsonl",
        &format!("{}\n", lines[..3].join("\n")),
    );
    home.done(&["log", "--verify"]);
    let cut = home.failed(&["log", "--head", &head], 1);
    assert!(cut.contains("its end was cut off"), "{cut}");
    let changed = whole.replacen("stopped", "started", 1);
    home.put(".local/state/vmux-signer/log/log.jsonl", &changed);
    let broken = home.failed(&["log", "--verify"], 1);
    assert!(broken.contains("log.jsonl, line 2 "), "{broken}");
    home.put(
        ".local/state/vmux-signer/log/log.jsonl",
        &format!("{whole}?\n"),
    );
    let strange = home.failed(&["log"], 1);
    assert!(
        strange.contains("no records, and are not shown: 1\n"),
        "{strange}"
    );
    let output = home.run(&["log", "--verify", "--json"]);
    let event: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (text(&event, "event"), text(&event, "reason")),
        ("failed".into(), "broken".into())
    );
}

#[test]
fn following_the_log_shows_what_is_added() {
    let home = Home::set_up();
    let mut follower = home
        .command(&["log", "--json", "--follow"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut shown = BufReader::new(follower.stdout.take().unwrap());
    let mut running = Running::start(&home);
    running.event();
    let mut line = String::new();
    shown.read_line(&mut line).unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(text(&line, "event"), "started");
    running.stop();
    follower.kill().unwrap();
    follower.wait().unwrap();
}

#[test]
fn blocks_are_listed_and_lifted_and_that_is_on_record() {
    let home = Home::set_up();
    assert_eq!(home.done(&["blocks"]), "nothing is blocked\n");
    home.with_a_workstation_locked_out();
    let listed = home.done(&["blocks"]);
    assert_eq!(listed.lines().count(), 2);
    assert!(listed.starts_with("1  /bin/a of laptop, for "), "{listed}");
    home.failed(&["blocks", "--lift", "3"], 1);
    for nonsense in ["0", "-1", "none"] {
        home.failed(&["blocks", "--lift", nonsense], 2);
    }
    home.done(&["blocks", "--lift", "1"]);
    let left = home.done(&["blocks", "--json"]);
    let left: Value = serde_json::from_str(&left).unwrap();
    assert_eq!(text(&left["source"], "name"), "/bin/b");
    home.done(&["blocks", "--lift", "all"]);
    assert_eq!(home.done(&["blocks", "--json"]), "");
    let log = home.log(&[]);
    assert_eq!(events(&log), ["unblocked", "unblocked"]);
    assert_eq!(text(&log[0], "source"), "/bin/a");
    home.done(&["log", "--verify"]);
}

#[test]
fn a_workstation_locked_out_is_said_to_be_and_may_ask_again_once_resumed() {
    let home = Home::set_up();
    let link = home.with_a_workstation_locked_out();
    let suspended = |home: &Home| {
        let listed = home.done(&["agents", "--json"]);
        let agent: Value = serde_json::from_str(&listed).unwrap();
        agent["suspended"].as_bool().unwrap()
    };
    assert!(suspended(&home));
    assert!(
        home.done(&["agents"])
            .contains("locked out: `vmux-signer resume laptop`")
    );
    home.failed(&["resume", "tower"], 1);
    home.done(&["resume", "laptop"]);
    assert!(!suspended(&home));
    assert!(!home.done(&["agents"]).contains("locked out"));
    let again = home.failed(&["resume", &link], 1);
    assert!(again.contains("not locked out"), "{again}");
    assert_eq!(text(&home.log(&[])[0], "event"), "unlocked");
}

#[test]
fn a_signer_that_runs_takes_up_what_is_lifted_and_resumed() {
    let home = Home::set_up();
    home.with_a_workstation_locked_out();
    let mut running = Running::start(&home);
    let mut until = |wanted: &str| loop {
        let event = running.event();
        if text(&event, "event") == wanted {
            return event;
        }
    };
    until("suspended");
    assert_eq!(until("blocks")["blocks"].as_array().unwrap().len(), 2);
    home.done(&["resume", "laptop"]);
    assert_eq!(text(&until("resumed"), "name"), "laptop");
    home.done(&["blocks", "--lift", "1"]);
    assert_eq!(until("blocks")["blocks"].as_array().unwrap().len(), 1);
    running.stop();
    let log = events(&home.log(&[]));
    assert!(log.contains(&"unblocked".to_owned()), "{log:?}");
    assert_eq!(home.done(&["blocks"]).lines().count(), 1);
}

#[test]
fn a_signer_whose_log_is_not_its_own_does_not_start() {
    let home = Home::set_up();
    Running::begin(&home).stop();
    std::fs::set_permissions(home.log_file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let complaint = home.failed(&["run", "--decide-with", "true"], 1);
    assert!(complaint.contains("log.jsonl has mode 0644"), "{complaint}");
}

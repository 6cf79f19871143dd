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

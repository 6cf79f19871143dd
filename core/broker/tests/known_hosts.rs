//! The same question put to `ssh-keygen -F` and to the parser.
#![expect(clippy::unwrap_used, reason = "helpers of a test")]
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use vmux_broker::known_hosts::{KnownHosts, Name, Verdict};
use vmux_proto::Now;
use vmux_proto::crypto::PureRust;
use vmux_proto::key::PublicKey;

const HOSTS: [(&str, Option<u16>); 6] = [
    ("web.example", None),
    ("Mixed.Example", None),
    ("web.example", Some(2222)),
    ("10.1.2.3", None),
    ("2001:db8::1", None),
    ("2001:db8::1", Some(99)),
];

#[test]
fn names_hashed_by_openssh_are_found_as_openssh_finds_them() {
    let dir = tempfile::tempdir().unwrap();
    let keys: Vec<_> = (0..HOSTS.len())
        .map(|n| make_key(dir.path(), &n.to_string()))
        .collect();
    let lines: String = HOSTS
        .iter()
        .zip(&keys)
        .map(|(host, key)| line(&name(*host), key))
        .collect();
    let file = dir.path().join("known_hosts");
    write(&file, &lines);
    keygen(&["-q", "-H", "-f", path(&file)]);
    let hashed = fs::read_to_string(&file).unwrap();
    assert_eq!(
        hashed
            .lines()
            .filter(|line| line.starts_with("|1|"))
            .count(),
        HOSTS.len()
    );

    for (host, key) in HOSTS.iter().zip(&keys) {
        for asked in HOSTS {
            let asked = name(asked);
            let known_to_openssh = finds(&file, &asked, key);
            let expected = if known_to_openssh {
                Verdict::Confirmed {
                    name: asked.clone(),
                }
            } else {
                Verdict::HashedKnown
            };
            assert_eq!(
                verdict(&hashed, key, std::slice::from_ref(&asked)),
                expected,
                "{host:?} {asked:?}"
            );
            assert_eq!(known_to_openssh, asked == name(*host), "{host:?} {asked:?}");
        }
    }
}

#[test]
fn patterns_mean_what_they_mean_to_openssh() {
    let dir = tempfile::tempdir().unwrap();
    let key = make_key(dir.path(), "key");
    let file = dir.path().join("known_hosts");
    let asked = ["web.example", "a.web.example", "web", "*", "x"].map(|host| (host, None));
    let asked = asked
        .into_iter()
        .chain([("web.example", Some(2222)), ("web", Some(22))]);
    let asked: Vec<_> = asked.map(name).collect();
    for list in [
        "web.example",
        "WEB.example,x",
        "*.example",
        "*.example,!a.*",
        "!web.example,*",
        "?",
        "w?b",
        "[web.example]:2222",
        "[*]:2222",
        "[wx]eb",
        "*",
        "!*",
        ",web",
    ] {
        let line = line_of(list, &key);
        write(&file, &line);
        for asked in &asked {
            let confirmed = matches!(
                verdict(&line, &key, std::slice::from_ref(asked)),
                Verdict::Confirmed { .. }
            );
            assert_eq!(confirmed, finds(&file, asked, &key), "{list} {asked:?}");
        }
    }
}

#[test]
fn every_kind_of_host_key_is_looked_up() {
    let dir = tempfile::tempdir().unwrap();
    for (kind, bits) in [
        ("ed25519", "256"),
        ("ecdsa", "256"),
        ("ecdsa", "384"),
        ("ecdsa", "521"),
        ("rsa", "2048"),
    ] {
        let file = dir.path().join(format!("{kind}{bits}"));
        keygen(&[
            "-q",
            "-t",
            kind,
            "-b",
            bits,
            "-N",
            "",
            "-C",
            "",
            "-f",
            path(&file),
        ]);
        let key = fs::read_to_string(file.with_added_extension("pub")).unwrap();
        let host = name(HOSTS[0]);
        let expected = Verdict::Confirmed { name: host.clone() };
        assert_eq!(verdict(&line(&host, &key), &key, &[host]), expected);
    }
}

#[test]
fn certificates_count_while_openssh_would_believe_them() {
    let dir = tempfile::tempdir().unwrap();
    let authority = make_key(dir.path(), "ca");
    let lines = format!("@cert-authority *.example {authority}");
    let host = name(HOSTS[0]);
    let confirmed = Verdict::Confirmed { name: host.clone() };
    let always = "20200101000000Z:20990101000000Z";
    for (case, options, expected) in [
        (
            "good",
            ["-h", "-n", "web.example", "-V", always],
            &confirmed,
        ),
        (
            "user",
            ["-q", "-n", "web.example", "-V", always],
            &Verdict::Unknown,
        ),
        (
            "old",
            ["-h", "-n", "web.example", "-V", "20200101:20200102"],
            &Verdict::Unknown,
        ),
        (
            "other",
            ["-h", "-n", "web.other", "-V", always],
            &Verdict::Unknown,
        ),
    ] {
        make_key(dir.path(), case);
        let (ca, public) = (
            dir.path().join("ca"),
            dir.path().join(format!("{case}.pub")),
        );
        let mut arguments = vec!["-q", "-s", path(&ca), "-I", case];
        arguments.extend(options);
        arguments.push(path(&public));
        keygen(&arguments);
        let certificate = fs::read_to_string(dir.path().join(format!("{case}-cert.pub"))).unwrap();
        assert_eq!(
            &verdict(&lines, &certificate, std::slice::from_ref(&host)),
            expected,
            "{case}"
        );
    }
}

fn verdict(lines: &str, key: &str, candidates: &[Name]) -> Verdict {
    let mut known = KnownHosts::default();
    let reading = known.read("known_hosts", lines.as_bytes()).unwrap();
    assert_eq!(reading.skipped, 0, "{lines}");
    let now = Now {
        uptime: 0,
        wall: 1_767_225_600,
    };
    let (key, _comment) = PublicKey::from_line(key).unwrap();
    known.lookup(&key, candidates, &PureRust, now).verdict
}

/// Whether OpenSSH finds this key under this name.
fn finds(file: &Path, name: &Name, key: &str) -> bool {
    let output = run(&["-F", name.as_str(), "-f", path(file)]);
    let printed = String::from_utf8(output.stdout).unwrap();
    let encoded = key.split(' ').nth(1).unwrap().trim();
    output.status.success() && printed.contains(encoded)
}

fn name((host, port): (&str, Option<u16>)) -> Name {
    Name::host(host, port)
}

fn line(name: &Name, key: &str) -> String {
    line_of(name.as_str(), key)
}

fn line_of(hosts: &str, key: &str) -> String {
    format!("{hosts} {}\n", key.trim())
}

/// Makes a key and gives the line of its public half.
fn make_key(dir: &Path, name: &str) -> String {
    let file = dir.join(name);
    keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path(&file)]);
    fs::read_to_string(dir.join(format!("{name}.pub"))).unwrap()
}

fn keygen(arguments: &[&str]) {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

fn run(arguments: &[&str]) -> Output {
    Command::new("ssh-keygen").args(arguments).output().unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a file of a test, in a folder of its own"
)]
fn write(file: &Path, contents: &str) {
    fs::write(file, contents).unwrap();
}

fn path(file: &Path) -> &str {
    file.to_str().unwrap()
}

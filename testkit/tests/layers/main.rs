//! The shape of the workspace, held by tests.
//!
//! Who may import whom and what the trusted part may be built from; the reasons are in
//! `docs/decisions/0001-layout.md`. The tables of the documents are held in [`documents`].

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper that cannot read the tree fails the test that asked"
)]

mod documents;
mod tree;

use std::collections::BTreeSet;

use tree::{Import, Kind, assert_none, closure, files, read, root, workspace};

/// Crate, what it may import of ours, what its own tests may import besides.
///
/// The test kit sees everything, and nothing sees the test kit.
const TABLE: &[(&str, &[&str], &[&str])] = &[
    ("vmux-proto", &[], &[]),
    ("vmux-link", &[], &[]),
    ("vmux-broker", &["vmux-link", "vmux-proto"], &[]),
    ("vmux-signer", &["vmux-link", "vmux-proto"], &[]),
    ("vmux-harden", &[], &[]),
    // A relay to hold a seat at.
    ("vmux-host", &["vmux-proto"], &["vmux-relay"]),
    (
        "vmux-agent",
        &[
            "vmux-broker",
            "vmux-harden",
            "vmux-host",
            "vmux-link",
            "vmux-proto",
            "vmux-relay",
        ],
        // A signer to talk to.
        &["vmux-signer"],
    ),
    // Never vmux-link: what cannot be imported cannot decrypt.
    ("vmux-relay", &["vmux-harden", "vmux-proto"], &[]),
    (
        "vmux-terminal",
        &["vmux-harden", "vmux-host", "vmux-proto", "vmux-signer"],
        &[],
    ),
    ("vmux-launch", &[], &[]),
    // A phone of its own, to measure the agent without a person.
    (
        "vmux-bench",
        &[
            "vmux-agent",
            "vmux-broker",
            "vmux-host",
            "vmux-proto",
            "vmux-signer",
        ],
        &[],
    ),
    (
        "vmux-testkit",
        &[
            "vmux-agent",
            "vmux-broker",
            "vmux-host",
            "vmux-link",
            "vmux-proto",
            "vmux-relay",
            "vmux-signer",
            "vmux-terminal",
        ],
        &[],
    ),
    (
        "vmux-fuzz-targets",
        &[
            "vmux-agent",
            "vmux-broker",
            "vmux-host",
            "vmux-link",
            "vmux-proto",
            "vmux-signer",
            "vmux-terminal",
        ],
        &[],
    ),
];

const CORE: [&str; 4] = ["vmux-broker", "vmux-link", "vmux-proto", "vmux-signer"];

/// What the agent's program is built from, of ours.
const AGENT: [&str; 7] = [
    "core/proto",
    "core/link",
    "core/broker",
    "edge/harden",
    "edge/host",
    "edge/relay",
    "edge/agent",
];

/// The types that hold private keys in the libraries there are.
const PRIVATE_KEYS: [&str; 5] = [
    "SigningKey",
    "SecretKey",
    "PrivateKey",
    "KeypairData",
    "NonZeroScalar",
];

/// The agent's own keys. Nothing but randomness becomes one, so no identity's key can.
const OWN_KEYS: &str = "edge/agent/src/ephemeral.rs";

/// What a crate without clock, files, sockets and randomness cannot need.
const WORLDLY: &[&str] = &[
    "async-std",
    "axum",
    "chrono",
    "getrandom",
    "hyper",
    "mio",
    "rustix",
    "rustls",
    "socket2",
    "time",
    "tokio",
    "tokio-rustls",
    "tokio-tungstenite",
    "tungstenite",
];

/// Libraries in C that would come back through somebody's default features.
const BANNED: &[&str] = &["aws-lc-sys", "native-tls", "openssl", "openssl-sys"];

#[test]
fn crates_import_only_what_their_row_allows() {
    let mut crates = workspace();
    let mut faults = Vec::new();
    for (name, allowed, in_tests) in TABLE {
        let Some(imports) = crates.remove(*name) else {
            faults.push(format!("{name} has a row and does not exist"));
            continue;
        };
        let forbidden = imports
            .iter()
            .filter(|import| !is_allowed(import, allowed, in_tests));
        faults.extend(forbidden.map(
            |Import {
                 name: import, kind, ..
             }| {
                format!("{name} imports {import} ({kind:?}), which its row does not allow")
            },
        ));
    }
    assert_none(&faults);
}

#[test]
fn an_import_outside_the_row_is_noticed() {
    let import = |kind| Import {
        name: "vmux-link".to_owned(),
        kind,
        ours: true,
    };
    assert!(is_allowed(&import(Kind::Normal), &["vmux-link"], &[]));
    assert!(!is_allowed(
        &import(Kind::Normal),
        &["vmux-proto"],
        &["vmux-link"]
    ));
    assert!(is_allowed(
        &import(Kind::Test),
        &["vmux-proto"],
        &["vmux-link"]
    ));
    assert!(!is_allowed(
        &import(Kind::Build),
        &["vmux-link"],
        &["vmux-link"]
    ));
}

#[test]
fn crates_without_a_row_are_refused() {
    let rows: BTreeSet<_> = TABLE.iter().map(|(name, ..)| (*name).to_owned()).collect();
    let crates: BTreeSet<_> = workspace().into_keys().collect();
    assert_eq!(
        crates, rows,
        "give the new crate a row here and a reason in 0001-layout.md"
    );
}

#[test]
fn i10_the_relay_cannot_reach_the_code_that_decrypts() {
    assert!(!closure("vmux-relay").contains("vmux-link"));
}

#[test]
fn the_agent_does_reach_the_code_that_decrypts() {
    assert!(closure("vmux-agent").contains("vmux-link"));
}

#[test]
fn i1_the_agent_has_no_type_that_could_hold_an_identitys_private_key() {
    let closure = closure("vmux-agent");
    let mut faults: Vec<_> = ["vmux-signer", "ssh-key"]
        .iter()
        .filter(|keeper| closure.contains(**keeper))
        .map(|keeper| format!("vmux-agent is built from {keeper}"))
        .collect();
    for folder in AGENT {
        let sources = files(&root().join(folder).join("src"), "rs");
        let own_keys = root().join(OWN_KEYS);
        let sources = sources.into_iter().filter(|file| *file != own_keys);
        for file in sources.filter(|file| !is_of_tests(file)) {
            let named = names_private_key(&read(&file));
            faults.extend(named.map(|word| format!("{} names {word}", file.display())));
        }
    }
    assert_none(&faults);
}

#[test]
fn the_agents_own_keys_are_made_from_randomness_and_never_given_to_it() {
    let source = read(&root().join(OWN_KEYS));
    assert!(
        names_private_key(&source).is_some(),
        "it needs no exception any more"
    );
    assert_eq!(
        functions_for_others(&source),
        ["pub fn generate() -> Result<Self, NotMade> {"]
    );
    assert_eq!(
        functions_for_others("    pub const fn of(bytes: &[u8]) -> Self {\n"),
        ["pub const fn of(bytes: &[u8]) -> Self {"]
    );
}

#[test]
fn a_private_key_outside_of_tests_is_noticed() {
    assert_eq!(
        names_private_key("use p256::ecdsa::SigningKey;"),
        Some("SigningKey")
    );
    assert_eq!(
        names_private_key("fn f() {}\n#[cfg(test)]\nmod tests { SigningKey }"),
        None
    );
    let signer = read(&root().join("edge/terminal/src/secret_key.rs"));
    assert!(
        names_private_key(&signer).is_some(),
        "the signer does hold keys"
    );
}

#[test]
fn the_core_is_built_from_nothing_that_touches_the_world() {
    let mut faults = Vec::new();
    for name in CORE {
        let closure = closure(name);
        let worldly = WORLDLY.iter().filter(|worldly| closure.contains(**worldly));
        faults.extend(worldly.map(|worldly| format!("{name} is built from {worldly}")));
    }
    assert_none(&faults);
}

#[test]
fn the_edge_is_built_from_things_that_touch_the_world() {
    let closure = closure("vmux-agent");
    assert!(WORLDLY.iter().any(|worldly| closure.contains(*worldly)));
}

#[test]
fn the_core_does_without_the_standard_library() {
    let mut faults = Vec::new();
    for name in CORE {
        let source = root()
            .join("core")
            .join(name.trim_start_matches("vmux-"))
            .join("src");
        if !begins_without_std(&read(&source.join("lib.rs"))) {
            faults.push(format!("{name} does not begin with #![no_std]"));
        }
        for file in files(&source, "rs") {
            let lines = links_std(&read(&file));
            faults.extend(
                lines
                    .iter()
                    .map(|line| format!("{}:{line}", file.display())),
            );
        }
    }
    assert_none(&faults);
}

#[test]
fn a_core_that_links_std_outside_its_tests_is_noticed() {
    assert!(begins_without_std(
        "//! Words.\n\n#![no_std]\nextern crate alloc;\n"
    ));
    assert!(!begins_without_std(
        "//! Words.\nextern crate alloc;\n#![no_std]\n"
    ));
    assert!(!begins_without_std("#![cfg_attr(not(test), no_std)]\n"));
    assert_eq!(links_std("extern crate alloc;\nextern crate std;\n"), [2]);
    assert!(links_std("#[cfg(test)]\nextern crate std;\n").is_empty());
}

#[test]
fn no_c_library_for_tls_is_anywhere_in_the_graph() {
    let lock = read(&root().join("Cargo.lock"));
    let is_locked = |name: &str| {
        lock.lines()
            .any(|line| line == format!("name = \"{name}\""))
    };
    let found: Vec<_> = BANNED.iter().filter(|banned| is_locked(banned)).collect();
    assert!(found.is_empty(), "{found:?}");
    assert!(
        is_locked("rustls"),
        "the lock file does not read as it should"
    );
}

fn is_allowed(import: &Import, allowed: &[&str], in_tests: &[&str]) -> bool {
    let name = import.name.as_str();
    !import.ours
        || match import.kind {
            Kind::Normal => allowed.contains(&name),
            Kind::Build => false,
            Kind::Test => allowed.contains(&name) || in_tests.contains(&name),
        }
}

/// A type for private keys that a file names outside of its tests, which stand at its end.
fn names_private_key(source: &str) -> Option<&'static str> {
    let code = source.split("#[cfg(test)]\nmod ").next().unwrap_or(source);
    PRIVATE_KEYS.into_iter().find(|name| code.contains(name))
}

/// The functions of a file that others can call.
fn functions_for_others(source: &str) -> Vec<&str> {
    let lines = source.lines().map(str::trim);
    lines
        .filter(|line| line.starts_with("pub") && line.contains("fn "))
        .collect()
}

fn is_of_tests(file: &std::path::Path) -> bool {
    file.components()
        .any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
}

fn begins_without_std(lib: &str) -> bool {
    let lines = lib.lines().map(str::trim);
    let code = lines.filter(|line| !line.is_empty() && !line.starts_with("//"));
    code.take_while(|line| line.starts_with("#!["))
        .any(|line| line == "#![no_std]")
}

/// Numbers of the lines that link the standard library into more than the tests.
fn links_std(source: &str) -> Vec<usize> {
    let mut linked = Vec::new();
    let mut before = "";
    for (number, line) in (1..).zip(source.lines().map(str::trim)) {
        if line.contains("extern crate std") && before != "#[cfg(test)]" {
            linked.push(number);
        }
        before = line;
    }
    linked
}

//! Runs one test again in a process of its own: what is taken from a process never comes back.

use std::process::{Command, Stdio};

/// Whether this process is the one that tries. In the other one, runs it and passes on its failure.
pub(crate) fn in_child(name: &str) -> bool {
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let done = Command::new(std::env::current_exe().expect("a test knows its own program"))
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .stdin(Stdio::null())
        .output()
        .expect("a test runs again");
    let said = [done.stdout, done.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    let [out, err] = &said;
    assert!(done.status.success(), "{out}{err}");
    assert!(out.contains("1 passed"), "no such test: {name}: {out}");
    false
}

const CHILD: &str = "VMUX_HARDEN_TEST_CHILD";

//! Runs one test again in a process of its own, for what only a second process can show.

use std::process::{Command, Stdio};

/// A run of the test `name` as a child, with more of its surroundings set.
pub(crate) fn child(name: &str, surroundings: &[(&str, &std::path::Path)]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a test knows its own program"));
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    command.env(CHILD, "1").envs(surroundings.iter().copied());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Whether this process is such a child.
pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

const CHILD: &str = "VMUX_HOST_TEST_CHILD";

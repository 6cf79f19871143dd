//! `cargo run --release -- up`: builds the programs, then becomes `vmux-agent`.
//!
//! `cargo run` builds the one program it starts, while a first try needs three: the agent, the
//! terminal signer it may hand over to, and the relay. Cargo itself says where it put them, so an
//! older program in the same folder is never started by mistake. An installed agent does not come
//! through here.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use serde_json::Value;

fn main() -> ExitCode {
    let failed = match build() {
        Ok(agent) => start(&agent),
        Err(failed) => failed,
    };
    // With standard error closed, the exit code is all that is left to say.
    drop(writeln!(
        io::stderr(),
        "vmux: {failed}\n  {}",
        failed.hint()
    ));
    ExitCode::FAILURE
}

/// Builds the programs with the profile this one was built with; returns where the agent is.
fn build() -> Result<PathBuf, LaunchFailed> {
    let profile = own_profile()?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let built = Command::new(cargo)
        .args([
            "build",
            "--bins",
            "--message-format",
            "json-render-diagnostics",
        ])
        .args(["--profile", &profile, "--manifest-path", MANIFEST])
        .args(PACKAGES.iter().flat_map(|package| ["--package", package]))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(LaunchFailed::NoCargo)?;
    if !built.status.success() {
        return Err(LaunchFailed::Build);
    }
    agent_in(&String::from_utf8_lossy(&built.stdout)).ok_or(LaunchFailed::NoAgent)
}

/// The profile is the name of the folder cargo put this program in.
fn own_profile() -> Result<String, LaunchFailed> {
    let program = env::current_exe().map_err(LaunchFailed::Lost)?;
    let folder = program
        .parent()
        .and_then(Path::file_name)
        .unwrap_or_default();
    Ok(profile_of(&folder.to_string_lossy()))
}

fn profile_of(folder: &str) -> String {
    // The one profile whose folder has another name.
    if folder == "debug" {
        "dev".to_owned()
    } else {
        folder.to_owned()
    }
}

/// Finds the agent among cargo's messages, one JSON object a line.
fn agent_in(messages: &str) -> Option<PathBuf> {
    messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let name = message.pointer("/target/name")?.as_str()?;
        let program = message.get("executable")?.as_str()?;
        (name == AGENT).then(|| PathBuf::from(program))
    })
}

/// Becomes the agent; returns only if that did not work.
fn start(agent: &Path) -> LaunchFailed {
    LaunchFailed::Start(Command::new(agent).args(env::args_os().skip(1)).exec())
}

/// Why the agent did not start.
#[derive(Debug)]
enum LaunchFailed {
    /// The path of this program is not known.
    Lost(io::Error),
    /// Cargo did not start.
    NoCargo(io::Error),
    /// Cargo ran and the build failed; its messages are on the terminal.
    Build,
    /// Cargo succeeded and named no agent.
    NoAgent,
    /// The agent was built and did not start.
    Start(io::Error),
}

impl LaunchFailed {
    const fn hint(&self) -> &'static str {
        match self {
            Self::Lost(_) => "start it with `cargo run --release -- up`",
            Self::NoCargo(_) => "install Rust from https://rustup.rs, then run it again",
            Self::Build => "the compiler's messages are above; `./test` shows what is missing",
            Self::NoAgent => "build it with `cargo build --release -p vmux-agent`",
            Self::Start(_) => "see whether the file may be executed on this file system",
        }
    }
}

impl fmt::Display for LaunchFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(error) => write!(f, "cannot find out where this program is: {error}"),
            Self::NoCargo(error) => write!(f, "cannot run cargo: {error}"),
            Self::Build => f.write_str("the programs could not be built"),
            Self::NoAgent => f.write_str("cargo built no program called vmux-agent"),
            Self::Start(error) => write!(f, "cannot start vmux-agent: {error}"),
        }
    }
}

const AGENT: &str = "vmux-agent";
const PACKAGES: [&str; 3] = ["vmux-agent", "vmux-terminal", "vmux-relay"];
const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_is_found_among_other_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"vmux_agent"},"executable":null}"#,
            "\nnot json\n",
            r#"{"reason":"compiler-artifact","target":{"name":"vmux-relay"},"executable":"/t/vmux-relay"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"vmux-agent"},"executable":"/t/a \"b\"/vmux-agent"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(
            agent_in(messages),
            Some(PathBuf::from("/t/a \"b\"/vmux-agent"))
        );
    }

    #[test]
    fn a_library_of_the_same_name_is_not_the_agent() {
        let messages =
            r#"{"reason":"compiler-artifact","target":{"name":"vmux-agent"},"executable":null}"#;
        assert_eq!(agent_in(messages), None);
    }

    #[test]
    fn the_folder_debug_belongs_to_the_profile_dev() {
        assert_eq!(profile_of("debug"), "dev");
        assert_eq!(profile_of("release"), "release");
        assert_eq!(profile_of("profiling"), "profiling");
    }
}

//! `vmux-agent env`: what `ssh-agent` prints, for this agent.
use std::path::Path;

use clap::{Args, ValueEnum};
use vmux_host::output::Output;

use super::Failure;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Whose syntax [default: by $SHELL]
    #[arg(long, value_enum)]
    shell: Option<Shell>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    /// sh, bash, zsh, dash, ksh
    Sh,
    /// fish
    Fish,
}

/// Prints one line to be evaluated.
pub(super) fn env(socket: &Path, options: &Options, output: &Output) -> Result<(), Failure> {
    let Some(path) = socket.to_str() else {
        let what = format!("the socket's path is not UTF-8: {}", socket.display());
        return Err(Failure::new(what, "choose another path with --socket"));
    };
    let shell = options.shell.unwrap_or_else(by_variable);
    let told = serde_json::json!({ "SSH_AUTH_SOCK": path });
    Ok(output.tell(&told, |_| line(shell, path))?)
}

/// The line that a person pastes into the shell they use.
pub(super) fn export_line(socket: &Path) -> String {
    line(by_variable(), &socket.to_string_lossy())
}

fn by_variable() -> Shell {
    let shell = std::env::var_os("SHELL").unwrap_or_default();
    let fish = Path::new(&shell)
        .file_name()
        .is_some_and(|name| name == "fish");
    if fish { Shell::Fish } else { Shell::Sh }
}

fn line(shell: Shell, path: &str) -> String {
    match shell {
        // As ssh-agent prints it, so that what parses one parses the other.
        Shell::Sh => format!("SSH_AUTH_SOCK={}; export SSH_AUTH_SOCK;", quoted_sh(path)),
        Shell::Fish => format!("set -gx SSH_AUTH_SOCK {};", quoted_fish(path)),
    }
}

fn quoted_sh(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

fn quoted_fish(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_stand_as_they_are() {
        assert_eq!(
            line(Shell::Sh, "/home/me/.ssh/vmux-agent.sock"),
            "SSH_AUTH_SOCK=/home/me/.ssh/vmux-agent.sock; export SSH_AUTH_SOCK;"
        );
    }

    #[test]
    fn quotes_in_paths_cannot_end_the_quoting() {
        assert_eq!(quoted_sh("/a b'; rm"), r"'/a b'\''; rm'");
        assert_eq!(quoted_fish(r"/a\'b"), r"'/a\\\'b'");
    }
}

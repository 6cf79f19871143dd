//! One line that tells a person which of their doings made a client ask.

use vmux_proto::Untrusted;

use super::{Process, cut};

/// What was run, and what it was run from: `git push ← zsh`, `ssh web ← bash`.
pub(super) fn title(chain: &[Process]) -> String {
    let Some(client) = chain.first() else {
        return String::new();
    };
    // What stands between the client and what the person did: other ssh programs, `sh -c`.
    let helpers = chain
        .iter()
        .take_while(|process| role(process) == Role::Helper)
        .count();
    let (helpers, rest) = chain.split_at_checked(helpers).unwrap_or((chain, &[]));
    let (doer, above) = match rest {
        [program, above @ ..] if role(program) == Role::Program => (program, above),
        // The person's shell, or nobody known: they ran the outermost of the ssh programs.
        above => {
            let outermost = helpers
                .iter()
                .rfind(|process| HELPERS.contains(&name(process)));
            (outermost.unwrap_or(client), above)
        }
    };
    let from = above
        .iter()
        .find(|process| role(process) != Role::Helper)
        .map(name);
    let mut title = summary(doer);
    if let Some(from) = from.filter(|from| !from.is_empty()) {
        title.push_str(" \u{2190} ");
        title.push_str(cut(from, MAX_WORD));
    }
    title
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Acts for another program: ssh and its tools, or a shell that runs one line.
    Helper,
    /// A shell that a person types into.
    Shell,
    Program,
}

fn role(process: &Process) -> Role {
    let name = name(process);
    if HELPERS.contains(&name) {
        return Role::Helper;
    }
    if !SHELLS.contains(&name) {
        return Role::Program;
    }
    match process.words.get(1).map(Untrusted::raw) {
        // A script has its name as first word; `-c` has a line.
        Some(word) if !word.starts_with('-') => Role::Program,
        Some(word) if !word.starts_with("--") && word.contains('c') => Role::Helper,
        Some(_) | None => Role::Shell,
    }
}

/// The program and its first word, unless that is an option.
fn summary(process: &Process) -> String {
    let mut summary = cut(name(process), MAX_WORD).to_owned();
    if let Some(word) = process.words.get(1).map(Untrusted::raw)
        && !word.starts_with('-')
        && !word.is_empty()
    {
        summary.push(' ');
        summary.push_str(cut(word, MAX_WORD));
    }
    summary
}

/// The last part of the executable's path; of what the process calls itself, if that is unknown.
fn name(process: &Process) -> &str {
    let path = match &process.program {
        // What Linux appends once the file is gone, after an update for example.
        Some(program) => program.raw().trim_end_matches(" (deleted)"),
        // A login shell calls itself `-zsh`.
        None => process
            .words
            .first()
            .map_or("", Untrusted::raw)
            .trim_start_matches('-'),
    };
    path.rsplit('/').next().unwrap_or(path)
}

/// Longest part of a title, in bytes.
const MAX_WORD: usize = 64;
const HELPERS: [&str; 6] = ["ssh", "ssh-add", "ssh-keygen", "scp", "sftp", "autossh"];
const SHELLS: [&str; 10] = [
    "sh", "bash", "dash", "zsh", "fish", "ksh", "tcsh", "csh", "nu", "busybox",
];

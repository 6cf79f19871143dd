//! One line that tells a person which of their doings made a client ask.

use std::path::{Path, PathBuf};

use vmux_proto::Untrusted;
use vmux_proto::limits::MAX_HINT;
use vmux_proto::message::Origin;

use super::{Process, cut};

/// What was run, and what it was run from: `git push ← zsh`, `ssh web ← bash`.
pub(super) fn title(chain: &[Process]) -> String {
    let Some((doer, above)) = doer(chain) else {
        return String::new();
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

/// What limits and blocks hold for: the program that the person ran, by its path; by that of the
/// script if an interpreter runs one; none if it has no name.
pub(super) fn origin(chain: &[Process]) -> Option<Origin> {
    let (doer, _) = doer(chain)?;
    let name = script(doer)
        .or_else(|| doer.program.as_ref().map(|path| path.raw().to_owned()))
        .or_else(|| doer.words.first().map(|word| word.raw().to_owned()))?;
    let name = name.trim_end_matches(DELETED);
    (!name.is_empty()).then(|| Origin {
        pid: doer.pid,
        started: doer.started.unwrap_or_default(),
        name: cut(name, MAX_HINT).to_owned(),
    })
}

/// What the person did, and what it was run from.
fn doer(chain: &[Process]) -> Option<(&Process, &[Process])> {
    let client = chain.first()?;
    // What stands between the client and what the person did: other ssh programs, `sh -c`.
    let helpers = chain
        .iter()
        .take_while(|process| role(process) == Role::Helper)
        .count();
    let (helpers, rest) = chain.split_at_checked(helpers).unwrap_or((chain, &[]));
    Some(match rest {
        [program, above @ ..] if role(program) == Role::Program => (program, above),
        // The person's shell, or nobody known: they ran the outermost of the ssh programs.
        above => {
            let outermost = helpers
                .iter()
                .rfind(|process| HELPERS.contains(&name(process)));
            (outermost.unwrap_or(client), above)
        }
    })
}

/// The script that an interpreter runs, as a full path where its directory is known.
fn script(process: &Process) -> Option<String> {
    let name = name(process).trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    if !SHELLS.contains(&name) && !INTERPRETERS.contains(&name) {
        return None;
    }
    let mut words = process.words.iter().skip(1).map(Untrusted::raw);
    let script = loop {
        match words.next()? {
            "--" => break words.next()?,
            // The next word is a program's text or a module, or the program is typed.
            "-" | "-c" | "-e" | "-E" | "-m" | "-p" => return None,
            "-I" | "-W" | "-X" | "-r" | "--import" | "--require" | "-o" => drop(words.next()),
            option if option.starts_with('-') => {}
            script => break script,
        }
    };
    let directory = process.directory.as_ref().map(Untrusted::raw);
    let path = directory.map_or_else(
        || script.into(),
        |directory| Path::new(directory).join(script),
    );
    // `./deploy.py` and `deploy.py` are one script.
    let path: PathBuf = path.components().collect();
    Some(path.to_string_lossy().into_owned())
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
        Some(program) => program.raw().trim_end_matches(DELETED),
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
/// What Linux appends to the path of an executable that is gone, after an update for example.
const DELETED: &str = " (deleted)";
const INTERPRETERS: [&str; 9] = [
    "python", "pypy", "perl", "ruby", "node", "nodejs", "php", "lua", "bun",
];
const HELPERS: [&str; 6] = ["ssh", "ssh-add", "ssh-keygen", "scp", "sftp", "autossh"];
const SHELLS: [&str; 10] = [
    "sh", "bash", "dash", "zsh", "fish", "ksh", "tcsh", "csh", "nu", "busybox",
];

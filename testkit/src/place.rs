//! The directory of one test, and the home directories in it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use crate::process::{Finished, Running};
use crate::programs::search_path;

/// One test's directory. Its path is short, because sockets lie in it.
#[derive(Debug)]
pub struct Place {
    dir: TempDir,
    logs: Logs,
}

/// Where the output of programs is kept.
#[derive(Clone, Debug)]
pub struct Logs {
    dir: PathBuf,
    next: Arc<AtomicUsize>,
}

/// A home directory of a user who does not exist outside of the test.
#[derive(Clone, Debug)]
pub struct Home {
    dir: PathBuf,
    logs: Logs,
    owner: Option<(u32, u32)>,
}

impl Place {
    /// An empty one.
    #[expect(
        clippy::new_without_default,
        reason = "a directory on disk is no default"
    )]
    pub fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("vx")
            .tempdir_in("/tmp")
            .expect("a directory");
        let logs = Logs {
            dir: dir.path().join("logs"),
            next: Arc::default(),
        };
        make_dir(&logs.dir, 0o700);
        Self { dir, logs }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where output is kept.
    pub const fn logs(&self) -> &Logs {
        &self.logs
    }

    /// A new home directory.
    pub fn home(&self, name: &str) -> Home {
        let dir = self.path().join(name);
        make_dir(&dir, 0o700);
        make_dir(&dir.join(".ssh"), 0o700);
        make_dir(&dir.join("bin"), 0o755);
        make_dir(&dir.join("tmp"), 0o700);
        Home {
            dir,
            logs: self.logs.clone(),
            owner: None,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.logs.print();
        }
    }
}

impl Logs {
    /// Files for the output and the complaints of the next program.
    pub(crate) fn next(&self, what: &str) -> (PathBuf, PathBuf) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let file = |end| self.dir.join(format!("{number:04}.{end}"));
        fs::write(file("what"), what).expect("a note of a command");
        (file("out"), file("err"))
    }

    fn print(&self) {
        for number in 0..self.next.load(Ordering::Relaxed) {
            let read = |end: &str| {
                let bytes = fs::read(self.dir.join(format!("{number:04}.{end}")));
                let text = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
                // A loop that went wrong must not bury the rest.
                let from = text.floor_char_boundary(text.len().saturating_sub(MOST_PRINTED));
                text.split_at(from).1.to_owned()
            };
            eprintln!("--- {}\n{}{}", read("what"), read("out"), read("err"));
        }
    }
}

impl Home {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Gives the directory to another user; commands run as that user from now on. Needs root.
    pub fn belonging_to(mut self, user: &str) -> Self {
        self.owner = Some((id_of(user, "-u"), id_of(user, "-g")));
        // The way to it is open, what is in it is not.
        let above = self.dir.parent().expect("a home lies in a place");
        fs::set_permissions(above, Permissions::from_mode(0o711)).expect("a way for another user");
        for path in [
            &self.dir,
            &self.dir.join(".ssh"),
            &self.dir.join("bin"),
            &self.dir.join("tmp"),
        ] {
            self.give(path);
        }
        self
    }

    /// Whether it was given to another user.
    pub(crate) const fn is_given_away(&self) -> bool {
        self.owner.is_some()
    }

    /// A program that sees this home directory and nothing of the person who runs the tests.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = match self.owner {
            None => Command::new(program.as_ref()),
            Some((user, group)) => {
                let mut command = Command::new(crate::find("setpriv"));
                command.args(["--reuid", &user.to_string(), "--regid", &group.to_string()]);
                command.args(["--clear-groups", "--"]).arg(program.as_ref());
                command
            }
        };
        command
            .env_clear()
            .current_dir(&self.dir)
            .envs(self.environment());
        command
    }

    /// What every program of this home directory has in its environment.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let dir = |name: &str| self.dir.join(name).display().to_string();
        let path: Vec<_> = std::iter::once(self.dir.join("bin"))
            .chain(search_path())
            .collect();
        let path = std::env::join_paths(path).expect("directories without colons");
        vec![
            ("HOME", self.dir.display().to_string()),
            ("PATH", path.to_string_lossy().into_owned()),
            ("TMPDIR", dir("tmp")),
            ("XDG_STATE_HOME", dir("state")),
            ("XDG_CONFIG_HOME", dir("config")),
            ("XDG_CACHE_HOME", dir("cache")),
            ("XDG_RUNTIME_DIR", dir("tmp")),
            ("LANG", "C.UTF-8".to_owned()),
            ("SHELL", "/bin/sh".to_owned()),
            ("TERM", "dumb".to_owned()),
            ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
        ]
    }

    /// Runs a command to its end.
    #[track_caller]
    pub fn run(&self, command: &mut Command) -> Finished {
        Running::start(command, &self.logs).finish()
    }

    /// Starts a command.
    #[track_caller]
    pub fn start(&self, command: &mut Command) -> Running {
        Running::start(command, &self.logs)
    }

    /// Writes a file below this directory, and the directories on the way.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.join(name);
        if let Some(above) = path.parent() {
            fs::create_dir_all(above).expect("directories on the way");
            self.give(above);
        }
        fs::write(&path, contents).expect("a file of a test");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("a mode");
        self.give(&path);
        path
    }

    fn give(&self, path: &Path) {
        if let Some((user, group)) = self.owner {
            chown(path, Some(user), Some(group)).expect("root can give files away");
        }
    }

    /// Writes a script that can be run.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.write(name, text);
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("a mode");
        path
    }
}

fn id_of(user: &str, what: &str) -> u32 {
    let told = Command::new("id")
        .args([what, user])
        .output()
        .expect("`id` runs");
    String::from_utf8_lossy(&told.stdout)
        .trim()
        .parse()
        .expect("the user exists")
}

/// Makes a directory with exactly this mode.
pub fn make_dir(path: &Path, mode: u32) {
    fs::create_dir_all(path).expect("a directory of a test");
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
}

/// Of each program, the end of what it wrote.
const MOST_PRINTED: usize = 16 * 1024;

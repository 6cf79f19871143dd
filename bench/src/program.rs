//! Programs that run for a measurement, and what the system says about them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A program that was started; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
}

impl Program {
    /// Starts it; what it complains goes to `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Self {
        let log = fs::File::create(log).expect("a file for what a program complains");
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child }
    }

    /// What it writes.
    pub(crate) const fn out(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Writes to its standard input.
    pub(crate) fn say(&mut self, line: &str) {
        use std::io::Write as _;
        let stdin = self.child.stdin.as_mut().expect("its input is open");
        writeln!(stdin, "{line}").expect("a program that reads");
    }

    /// Waits for its end, which must be a good one.
    pub(crate) fn finish(mut self) {
        let status = self.child.wait().expect("a child can be waited for");
        assert!(status.success(), "a program failed: {status}");
    }

    /// Resident memory.
    pub(crate) fn resident(&self) -> Option<u64> {
        self.status("VmRSS:")
    }

    /// Resident memory that is its own: no file on disk has the same bytes.
    pub(crate) fn anonymous(&self) -> Option<u64> {
        self.status("RssAnon:")
    }

    fn status(&self, field: &str) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib * 1024)
    }

    /// Processor time used so far, by the program and by the system for it.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // The name may hold spaces; it ends at the last parenthesis.
        let (_, fields) = stat.rsplit_once(") ")?;
        let mut fields = fields.split(' ').skip(11);
        let user: u64 = fields.next()?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some(Duration::from_millis((user + system) * MS_PER_TICK))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // One that has ended already needs no killing.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Builds the product's programs as this one was built, and says where they are.
pub(crate) fn build() -> PathBuf {
    let own = std::env::current_exe().expect("a program knows its path");
    let dir = own.parent().expect("a program is in a directory");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let profile = match dir.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--bins", "--profile", profile])
        .args(["--manifest-path", MANIFEST])
        .args(["--package", "vmux-agent", "--package", "vmux-relay"])
        .status()
        .expect("cargo runs; without it use --bin-dir");
    assert!(built.success(), "the programs were not built");
    dir.to_owned()
}

/// Lets this process and those it starts open as many files as the system grants, and says how many.
pub(crate) fn allow_files(wanted: u64) -> u64 {
    let now = getrlimit(Resource::Nofile);
    let current = now.current.unwrap_or(u64::MAX);
    let hard = now.maximum.unwrap_or(u64::MAX);
    // Raising the hard limit is for the administrator; everybody may go up to it.
    for maximum in [hard.max(wanted), hard] {
        let limit = Rlimit {
            current: Some(wanted.min(maximum)),
            maximum: Some(maximum),
        };
        if current < wanted && setrlimit(Resource::Nofile, limit).is_ok() {
            return wanted.min(maximum);
        }
    }
    current
}

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");

/// Linux counts processor time in hundredths of a second for programs that ask.
const MS_PER_TICK: u64 = 10;

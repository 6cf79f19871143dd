//! Programs that run, and programs that have ended.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

use crate::place::Logs;
use crate::wait::{eventually, holds_within};

/// A program that was started; killed with all it started when this is dropped.
#[derive(Debug)]
pub struct Running {
    what: String,
    child: Child,
    out: PathBuf,
    err: PathBuf,
    since: Instant,
}

/// A program that has ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The command line.
    pub what: String,
    /// Its exit status; none if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote.
    pub out: String,
    /// What it complained.
    pub err: String,
    /// How long it took.
    pub took: Duration,
}

impl Running {
    /// Starts `command` in a process group of its own; what it writes is kept with the logs.
    #[track_caller]
    pub fn start(command: &mut Command, logs: &Logs) -> Self {
        let what = describe(command);
        let (out, err) = logs.next(&what);
        let open = |path| File::create(path).expect("a file for the output of a program");
        std::os::unix::process::CommandExt::process_group(command, 0);
        let since = Instant::now();
        let child = command
            .stdin(Stdio::piped())
            .stdout(open(&out))
            .stderr(open(&err))
            .spawn()
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        Self {
            what,
            child,
            out,
            err,
            since,
        }
    }

    /// Writes a line to its standard input.
    #[track_caller]
    pub fn say(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("its input is open");
        writeln!(stdin, "{line}").unwrap_or_else(|error| panic!("{}: {error}", self.what));
    }

    /// Writes a line to its standard input, unless it has closed that or ended.
    pub fn say_if_it_listens(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("its input is open");
        // A program that ends takes no answer.
        drop(writeln!(stdin, "{line}"));
    }

    /// Closes its standard input.
    pub fn hush(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    pub fn out(&self) -> String {
        text(&self.out)
    }

    /// What it has complained so far.
    pub fn err(&self) -> String {
        text(&self.err)
    }

    /// The JSON objects it has written so far, one a line.
    pub fn events(&self) -> Vec<Value> {
        json_lines(&self.out())
    }

    /// Waits for an event of this name.
    #[track_caller]
    pub fn event(&mut self, name: &str) -> Value {
        let limit = LONGEST_COMMAND;
        let found = holds_within(limit, || {
            let ended = !self.is_alive();
            let event = self
                .events()
                .into_iter()
                .find(|event| event["event"] == name);
            match event {
                Some(event) => Some(Ok(event)),
                None if ended => Some(Err(())),
                None => None,
            }
        });
        match found {
            Some(Ok(event)) => event,
            _ => panic!(
                "{}: no event {name:?}: {} {}",
                self.what,
                self.out(),
                self.err()
            ),
        }
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("a child can be waited for")
            .is_none()
    }

    /// Sends it a signal, and only it.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a child can be signalled");
    }

    /// Waits until it ends.
    #[track_caller]
    pub fn finish(self) -> Finished {
        self.finish_within(LONGEST_COMMAND)
    }

    /// Waits until it ends, with its standard input open.
    #[track_caller]
    pub fn ends_by_itself(&mut self) {
        let what = format!("end of {}", self.what);
        eventually(&what, LONGEST_COMMAND, || (!self.is_alive()).then_some(()));
    }

    /// Waits until it ends, not longer than `limit`.
    #[track_caller]
    pub fn finish_within(mut self, limit: Duration) -> Finished {
        self.hush();
        let status = eventually(&format!("end of {}", self.what), limit, || {
            self.child.try_wait().expect("a child can be waited for")
        });
        self.finished(status)
    }

    /// Asks it to end and waits.
    #[track_caller]
    pub fn stop(self) -> Finished {
        self.signal(Signal::TERM);
        self.finish()
    }

    fn finished(&self, status: ExitStatus) -> Finished {
        Finished {
            what: self.what.clone(),
            code: status.code(),
            out: self.out(),
            err: self.err(),
            took: self.since.elapsed(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The number of a program that was waited for may be another's by now.
        if self.is_alive() {
            let killed = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            assert!(
                killed.is_ok() || std::thread::panicking(),
                "{}: not killed",
                self.what
            );
            drop(self.child.wait());
        }
    }
}

impl Finished {
    /// Checks that it succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exited(0)
    }

    /// Checks its exit status.
    #[track_caller]
    pub fn exited(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Checks that it wrote or complained all of these.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        let all = format!("{}{}", self.out, self.err);
        for word in words {
            assert!(all.contains(word), "{word:?} is missing in\n{self}");
        }
        self
    }

    /// The JSON objects it wrote, one a line.
    pub fn events(&self) -> Vec<Value> {
        json_lines(&self.out)
    }

    /// The only JSON object it wrote.
    #[track_caller]
    pub fn json(&self) -> Value {
        let [one] = <[Value; 1]>::try_from(self.events())
            .unwrap_or_else(|all| panic!("{} objects: {self}", all.len()));
        one
    }
}

impl core::fmt::Display for Finished {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self {
            what,
            code,
            out,
            err,
            took,
        } = self;
        write!(f, "{what}\nended with {code:?} after {took:?}\n{out}{err}")
    }
}

fn json_lines(text: &str) -> Vec<Value> {
    // The last line may not be written to its end yet.
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn text(path: &std::path::Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

/// No command of a test takes this long on a busy machine.
const LONGEST_COMMAND: Duration = Duration::from_mins(1);

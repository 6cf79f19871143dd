//! A phone: `vmux-signer` with a program that decides in the person's place.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::place::Home;
use crate::process::{Finished, Running};
use crate::programs::product;
use crate::wait::eventually;

/// A signer with its own home directory, keys and person.
#[derive(Debug)]
pub struct Phone {
    home: Home,
    program: PathBuf,
    passphrase: PathBuf,
    decider: PathBuf,
    running: Option<Running>,
}

/// What the person does with every request from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decide {
    /// Says yes at once.
    Approve,
    /// Says no at once.
    Deny,
    /// Looks at it and does nothing.
    Wait,
}

/// What kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256.
    Ecdsa,
    /// Ed25519.
    Ed25519,
}

impl Phone {
    /// Sets one up in a new home directory; it approves everything, once it runs.
    pub fn new(home: Home, name: &str) -> Self {
        let program = if home.is_given_away() {
            // The build's directory need not be open to others.
            let copy = home.script("bin/vmux-signer", "");
            fs::copy(product("vmux-signer"), &copy).expect("a copy of the signer");
            copy
        } else {
            product("vmux-signer")
        };
        let passphrase = home.write("passphrase", "correct horse battery\n");
        let mode = home.write("decide/mode", "");
        let dir = mode.parent().expect("it was just made").display();
        let decider = home.script("bin/decide", &DECIDER.replace("DIR", &dir.to_string()));
        let phone = Self {
            home,
            program,
            passphrase,
            decider,
            running: None,
        };
        phone.decide(Decide::Approve);
        phone.run(&["init", "--name", name]).ok();
        phone
    }

    /// Makes a key and returns its public line.
    pub fn new_key(&self, label: &str, kind: KeyKind) -> String {
        let kind = match kind {
            KeyKind::Ecdsa => "ecdsa-p256",
            KeyKind::Ed25519 => "ed25519",
        };
        let made = self
            .run(&["key", "new", "--label", label, "--type", kind])
            .ok();
        made.json()["public"]
            .as_str()
            .expect("a public line")
            .to_owned()
    }

    /// Its home directory.
    pub const fn home(&self) -> &Home {
        &self.home
    }

    /// Where it keeps its state.
    pub fn state_dir(&self) -> PathBuf {
        self.home.path().join("signer")
    }

    /// The file with its passphrase.
    pub fn passphrase_file(&self) -> &Path {
        &self.passphrase
    }

    /// The program that decides.
    pub fn decider(&self) -> &Path {
        &self.decider
    }

    /// A `vmux-signer` command that prints JSON.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = self.home.command(&self.program);
        command
            .args(arguments)
            .arg("--state-dir")
            .arg(self.state_dir());
        command
            .arg("--passphrase-file")
            .arg(&self.passphrase)
            .arg("--json");
        command
    }

    /// Runs a `vmux-signer` command.
    #[track_caller]
    pub fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Finished {
        self.home.run(&mut self.command(arguments))
    }

    /// Starts waiting for requests.
    #[track_caller]
    pub fn start(&mut self) {
        let run = [
            OsStr::new("run"),
            OsStr::new("--decide-with"),
            self.decider.as_os_str(),
        ];
        let mut command = self.command(&run);
        command.env("VMUX_LOG", "info");
        let mut running = self.home.start(&mut command);
        running.event("ready");
        self.running = Some(running);
    }

    /// Ends it, as Ctrl-C would.
    #[track_caller]
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().ok();
        }
    }

    /// Ends it without a chance to say anything.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// From now on the person decides like this.
    pub fn decide(&self, how: Decide) {
        let word = match how {
            Decide::Approve => "approve",
            Decide::Deny => "deny",
            Decide::Wait => "wait",
        };
        self.home.write("decide/mode", word);
    }

    /// The prompts that the person has seen so far, as the deciding program got them, in order.
    pub fn prompts(&self) -> Vec<Value> {
        let dir = self.home.path().join("decide");
        let mut files: Vec<_> = fs::read_dir(dir)
            .expect("the prompts")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .collect();
        files.sort();
        let read = |path: &PathBuf| {
            let text = fs::read_to_string(path).expect("a prompt");
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
        };
        files.iter().map(read).collect()
    }

    /// The prompts seen since `before` of them had been.
    pub fn prompts_since(&self, before: usize) -> Vec<Value> {
        self.prompts().split_off(before)
    }

    /// The only prompt that the person has seen since `before` of them.
    #[track_caller]
    pub fn one_prompt_since(&self, before: usize) -> Value {
        let new = self.prompts_since(before);
        assert_eq!(new.len(), 1, "{new:#?}");
        new[0].clone()
    }

    /// Waits until the person looks at a prompt, after `before` others.
    #[track_caller]
    pub fn next_prompt(&self, before: usize) -> Value {
        let limit = Duration::from_secs(20);
        eventually("a prompt", limit, || {
            self.prompts_since(before).first().cloned()
        })
    }

    /// What the running signer has told so far.
    pub fn events(&self) -> Vec<Value> {
        self.running
            .as_ref()
            .map(Running::events)
            .unwrap_or_default()
    }

    /// Waits for the running signer to tell something.
    #[track_caller]
    pub fn told(
        &self,
        what: &str,
        limit: Duration,
        mut is_it: impl FnMut(&Value) -> bool,
    ) -> Value {
        eventually(what, limit, || self.events().into_iter().find(&mut is_it))
    }

    /// What the running signer has complained.
    pub fn complaints(&self) -> String {
        self.running.as_ref().map(Running::err).unwrap_or_default()
    }
}

/// Keeps what it is asked, then does what the file `mode` says.
const DECIDER: &str = "#!/bin/sh
umask 077
cat > DIR/$$.part
mv DIR/$$.part DIR/$(date +%s%N)-$$.json
case $(cat DIR/mode) in
approve) exit 0 ;;
wait) exec sleep 1000 ;;
*) exit 1 ;;
esac
";

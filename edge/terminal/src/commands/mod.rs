//! What each command does.

mod agents;
mod blocks;
mod init;
mod key;
mod lines;
mod log;
mod pair;
mod pins;
mod run;

use std::path::PathBuf;

use vmux_host::clock;
use vmux_host::output::Output;
use vmux_host::paths::{Places, Program};
use vmux_host::state_dir::StateRefused;
use vmux_proto::audit::{Chain, Entry, Storing};
use vmux_proto::message::{Hello, VERSION};

pub(crate) use pins::history;

use crate::cli::{Command, CommandLine};
use crate::config::Config;
use crate::failure::CommandFailed;
use crate::store::{Opened, Store, StoreRefused};

/// What every command works with.
#[derive(Debug)]
pub(crate) struct Desktop<'a> {
    pub(crate) store: Store,
    pub(crate) config: Config,
    pub(crate) passphrase_file: Option<PathBuf>,
    pub(crate) output: &'a Output,
}

/// Does what the command line says.
pub(crate) fn run(line: CommandLine, output: &Output) -> Result<(), CommandFailed> {
    let state_dir = match line.global.state_dir {
        Some(dir) => dir,
        None => Places::of_this_user()?.state_dir(Program::Signer),
    };
    let desktop = Desktop {
        store: Store::at(&state_dir),
        config: Config::load(line.global.config.as_deref())?,
        passphrase_file: line.global.passphrase_file,
        output,
    };
    match line.command {
        Command::Init(init) => init::init(&desktop, &init),
        Command::Key(key) => key::key(&desktop, key),
        Command::Pins(pins) => pins::pins(&desktop, pins),
        Command::Pair(pair) => pair::pair(&desktop, pair),
        Command::Agents => agents::list(&desktop),
        Command::Resume(resume) => agents::resume(&desktop, &resume),
        Command::Blocks(blocks) => blocks::blocks(&desktop, &blocks),
        Command::Log(log) => log::log(&desktop, &log),
        Command::Unpair(unpair) => agents::unpair(&desktop, &unpair),
        Command::Run(run) => run::run(&desktop, &run),
    }
}

impl Desktop<'_> {
    /// What this signer calls itself.
    pub(crate) fn name(&self, opened: &Opened) -> Result<String, StoreRefused> {
        self.config.name.clone().map_or_else(|| opened.name(), Ok)
    }

    /// Puts on record what a command has changed. A running signer does so itself when it takes the
    /// change over.
    pub(crate) fn record(
        &self,
        opened: &Opened,
        entries: impl IntoIterator<Item = Entry>,
    ) -> Result<(), CommandFailed> {
        let _only_one = match self.store.hold_run() {
            Err(StateRefused::Held { .. }) => return Ok(()),
            held => held?,
        };
        let (mut log, head) = opened.log()?;
        let mut chain = Chain::after(head);
        let now = clock::now();
        let lines = entries.into_iter();
        let lines: Vec<_> = lines
            .map(|entry| chain.append(entry, Storing::Synced, now))
            .collect();
        log.append(&lines)?;
        Ok(())
    }
}

/// What this signer says of itself when it meets an agent.
pub(crate) fn hello(name: String) -> Hello {
    Hello {
        version: VERSION,
        name,
        kind: "terminal".to_owned(),
        software: concat!("vmux-signer ", env!("CARGO_PKG_VERSION")).to_owned(),
        commitment: None,
    }
}

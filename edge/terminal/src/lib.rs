//! The signer in a terminal.
//!
//! The trusted decisions are made by the crate `vmux-signer`; here are the files, the relay
//! connections, the screen and the keys. A key signs for a `SignJob` of the trusted part and for
//! nothing else.

mod cli;
mod commands;
mod config;
mod date;
mod desk;
mod failure;
mod front;
pub mod fuzzing;
mod keyfile;
mod keys;
mod links;
mod passphrase;
mod secret_key;
mod store;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use vmux_harden::{harden, lock_memory};
use vmux_host::output::{Format, Output};

use crate::cli::CommandLine;
use crate::failure::{CommandFailed, Exit};

/// Runs the program.
pub fn main() -> ExitCode {
    if let Err(failed) = harden() {
        return complain(&failed.into());
    }
    // A signer works without; the log says so.
    drop(lock_memory());
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => {
            // Help and version come this way, too; nobody is left to tell if printing fails.
            drop(error.print());
            return if error.use_stderr() {
                Exit::Usage.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let format = if line.global.json {
        Format::Json
    } else {
        Format::Human
    };
    let output = Output::stdout(format);
    match commands::run(line, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            let event = serde_json::json!({
                "event": "failed",
                "reason": failed.reason,
                "message": failed.what,
                "hint": failed.hint,
            });
            if format == Format::Json {
                drop(output.tell(&event, |_| String::new()));
            }
            complain(&failed)
        }
    }
}

fn complain(failed: &CommandFailed) -> ExitCode {
    // Nobody is left to tell if standard error is gone.
    drop(writeln!(
        io::stderr(),
        "vmux-signer: {failed}\n  {}",
        failed.hint
    ));
    failed.exit.into()
}

/// Log lines on standard error, unless a screen is drawn on the same terminal.
fn start_log() {
    let filter = EnvFilter::builder()
        .with_env_var("VMUX_LOG")
        .with_default_directive(LevelFilter::WARN.into())
        .from_env_lossy();
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal() && !refused)
        .with_writer(io::stderr)
        .try_init();
    // A second start is a mistake that costs no more than the second set of options.
    drop(started);
    // Once more, which changes nothing, for the answer.
    tracing::info!("{}", lock_memory());
}

//! The program `vmux-agent`.
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use tracing_appender::non_blocking::NonBlockingBuilder;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use vmux_agent::command::{self, CommandLine};
use vmux_harden::harden;

fn main() -> ExitCode {
    let line = CommandLine::parse();
    let hardened = harden();
    let prepared = match command::prepare(line) {
        Ok(prepared) => prepared,
        Err(over) => return over,
    };
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .with_env_var("VMUX_LOG")
        .from_env_lossy();
    // From a thread of its own and lossy: a terminal that stands still must not stall the agent.
    let (writer, _flush_at_the_end) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(LOG_LINES)
        .finish(std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .init();
    if let Err(not_hardened) = hardened {
        tracing::warn!(%not_hardened, "the process is not closed to debuggers");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(command::run(prepared));
            // A read of the terminal cannot be cancelled; it must not keep the program alive.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            drop(writeln!(
                std::io::stderr(),
                "vmux-agent: the runtime does not start: {error}"
            ));
            ExitCode::FAILURE
        }
    }
}

/// One person's agent is idle nearly always, and each thread costs memory.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(MOST_WORKERS))
}

const MOST_WORKERS: usize = 4;

/// Lines that wait for the terminal. Room for each is taken at the start, whether used or not.
const LOG_LINES: usize = 1024;

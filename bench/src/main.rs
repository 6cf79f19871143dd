//! Measures the product beside OpenSSH's ssh-agent, in one run on one machine.
//!
//! Nothing here passes or fails: it prints what it measured and whether that meets the bars of
//! docs/performance.md. Everything lies in temporary directories and on loopback.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_in_result,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a measurement that cannot be made ends the program, and its clock is the bare one"
)]

mod agent;
mod arithmetic;
mod bind;
mod client;
mod figures;
mod list;
mod login;
mod phone;
mod program;
mod relay;
mod remote;
mod seat;
mod sign;
mod world;

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::figures::{Row, as_json, table};
use crate::world::{Effort, Setting};

/// Measures vmux-agent and vmux-relay beside OpenSSH's ssh-agent.
#[derive(Debug, Parser)]
#[command(name = "vmux-bench", version)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
struct Arguments {
    /// What to measure; several may be named
    #[arg(required = true)]
    parts: Vec<Part>,
    /// A few samples of everything: shows that it works, and no figure worth keeping
    #[arg(long)]
    quick: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Where the programs are; without this they are built as this one was
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Everything below
    All,
    /// Verifying and signing, both back ends, without anything around it
    Arithmetic,
    /// Listing identities: 1, 8, 64 and 200 clients
    List,
    /// Proving a host, each kind of host key
    Bind,
    /// Signing with a key in the process
    Sign,
    /// Signing on the phone, through a relay on loopback
    Remote,
    /// Listing while a phone does not answer
    Stalled,
    /// Memory of the agent
    Memory,
    /// Time until the agent answers
    Start,
    /// Idle phones at the relay
    RelayIdle,
    /// Frames through the relay
    RelayFrames,
}

fn main() {
    let arguments = Arguments::parse();
    let setting = Setting {
        programs: arguments.bin_dir.clone().unwrap_or_else(program::build),
        effort: if arguments.quick {
            Effort::Quick
        } else {
            Effort::Full
        },
    };
    program::allow_files(FILES);
    let all = arguments.parts.contains(&Part::All);
    let mut rows = Vec::new();
    for part in Part::value_variants() {
        if *part != Part::All && (all || arguments.parts.contains(part)) {
            eprintln!("{part:?} …");
            rows.extend(part.measure(&setting));
        }
    }
    if arguments.json {
        println!("{:#}", as_json(&rows));
    } else {
        print!("{}", table(&rows));
    }
}

impl Part {
    fn measure(self, setting: &Setting) -> Vec<Row> {
        match self {
            Self::All => Vec::new(),
            Self::Arithmetic => arithmetic::measure(setting),
            Self::List => list::measure(setting),
            Self::Bind => bind::measure(setting),
            Self::Sign => sign::measure(setting),
            Self::Remote => remote::measure(setting),
            Self::Stalled => remote::stalled(setting),
            Self::Memory => agent::memory(setting),
            Self::Start => agent::start(setting),
            Self::RelayIdle => relay::idle(setting),
            Self::RelayFrames => relay::frames(setting),
        }
    }
}

/// Hundreds of clients, on both sides.
const FILES: u64 = 4096;

//! The program `vmux-relay`.

mod config;

use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use vmux_harden::{Ports, Reach, Work, in_words, protect_process, restrict_calls, restrict_reach};
use vmux_relay::{BindFailed, Relay};

use crate::config::{ClientAddress, Config, ConfigRejected};

/// Joins SSH agents with the phones that hold their keys.
#[derive(Debug, Parser)]
#[command(name = "vmux-relay", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until stopped by SIGTERM or SIGINT.
    ///
    /// Exit status: 0 stopped as asked, 1 failed (and said why), 2 wrong usage.
    /// Set VMUX_LOG=debug to see each connection.
    Run(Run),
}

#[derive(Debug, clap::Args)]
struct Run {
    /// Where ends connect [default: 127.0.0.1:7420]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Where Prometheus reads /metrics; not served without this
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics_listen: Option<SocketAddr>,
    /// A TOML file with the same settings and all limits
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Whose address the limits by address count: the peer's, or the one a reverse proxy reports
    #[arg(long, value_enum)]
    client_address: Option<ClientAddress>,
    /// Open connections in all
    #[arg(long, value_name = "N")]
    max_connections: Option<u32>,
    /// Open connections of one address
    #[arg(long, value_name = "N")]
    max_connections_per_address: Option<u32>,
    /// Mailboxes with at least one end
    #[arg(long, value_name = "N")]
    max_mailboxes: Option<u32>,
    /// Print what it listens on as a line of JSON
    #[arg(long)]
    json: bool,
}

/// Why the program stops before it was asked to.
#[derive(Debug, thiserror::Error)]
enum RunFailed {
    #[error(transparent)]
    Config(#[from] ConfigRejected),
    #[error("{0}; choose another address with {1}")]
    Bind(BindFailed, &'static str),
    #[error(
        "{0}; change it in the [limits] of the file given with --config, or on the command line"
    )]
    Limits(BindFailed),
    #[error("{0}")]
    System(#[from] io::Error),
}

fn main() -> ExitCode {
    let Arguments {
        command: Command::Run(arguments),
    } = Arguments::parse();
    start_log();
    let done = read_config(arguments.config.as_deref())
        .map_err(RunFailed::from)
        .and_then(|file| {
            let config = arguments.merged_into(file);
            // Before there are other threads: they would keep what they have.
            close(&config);
            run(&arguments, config)
        });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            // Nobody is left to tell if standard error is gone.
            drop(writeln!(io::stderr(), "vmux-relay: {failed}"));
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(arguments: &Run, config: Config) -> Result<(), RunFailed> {
    allow_files_for(config.limits.connections);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let relay = match Relay::bind(config.listen, config.limits, None).await {
        Ok(relay) => relay.with_addresses(config.client_address.into()),
        Err(failed @ BindFailed::Limits(_)) => return Err(RunFailed::Limits(failed)),
        Err(failed) => return Err(RunFailed::Bind(failed, "--listen")),
    };
    let metrics = match config.metrics_listen {
        None => None,
        Some(address) => {
            let failed =
                |cause| RunFailed::Bind(BindFailed::new(address, cause), "--metrics-listen");
            let listener = TcpListener::bind(address).await.map_err(failed)?;
            Some((listener.local_addr().map_err(failed)?, listener))
        }
    };
    announce(
        arguments,
        relay.address(),
        metrics.as_ref().map(|(address, _)| *address),
    )?;
    if let Some((_, listener)) = metrics {
        let serving = axum::serve(listener, relay.metrics().routes());
        drop(tokio::spawn(async move { serving.await }));
    }
    relay
        .serve(async move {
            tokio::select! {
                _ = terminate.recv() => info!("SIGTERM"),
                _ = interrupt.recv() => info!("SIGINT"),
            }
        })
        .await;
    Ok(())
}

impl Run {
    /// What the command line says wins over the file.
    fn merged_into(&self, mut config: Config) -> Config {
        config.listen = self.listen.unwrap_or(config.listen);
        config.metrics_listen = self.metrics_listen.or(config.metrics_listen);
        config.client_address = self.client_address.unwrap_or(config.client_address);
        let limits = &mut config.limits;
        limits.connections = self.max_connections.unwrap_or(limits.connections);
        limits.connections_per_address = self
            .max_connections_per_address
            .unwrap_or(limits.connections_per_address);
        limits.mailboxes = self.max_mailboxes.unwrap_or(limits.mailboxes);
        config
    }
}

fn read_config(path: Option<&Path>) -> Result<Config, ConfigRejected> {
    path.map_or_else(|| Ok(Config::default()), Config::read)
}

/// Takes from this process what a relay does not need: all files, all ports but its own, and the
/// system calls that nobody who serves makes.
fn close(config: &Config) {
    let [core_dumps, debuggers] = protect_process();
    let ports = [Some(config.listen), config.metrics_listen];
    let ports = ports.into_iter().flatten().map(|address| address.port());
    let landlock = restrict_reach(&Reach {
        binds: Ports::These(ports.collect()),
        ..Reach::default()
    });
    let all = [core_dumps, debuggers, landlock, restrict_calls(Work::Serve)];
    let (on, off) = in_words(&all);
    if off.is_empty() {
        info!(on, "protected");
    } else {
        warn!(on, off, "protected in part");
    }
}

/// Says on standard output where it listens, for programs that start it.
fn announce(
    arguments: &Run,
    listen: SocketAddr,
    metrics: Option<SocketAddr>,
) -> Result<(), RunFailed> {
    let mut out = io::stdout();
    if arguments.json {
        let event = serde_json::json!({
            "event": "listening",
            "address": listen.to_string(),
            "metrics": metrics.map(|address| address.to_string()),
        });
        writeln!(out, "{event}")?;
    } else {
        writeln!(out, "listening on {listen}")?;
        if let Some(metrics) = metrics {
            writeln!(out, "metrics on http://{metrics}/metrics")?;
        }
    }
    Ok(out.flush()?)
}

/// Each connection is an open file; systems allow far fewer by default than a relay serves.
fn allow_files_for(connections: u32) {
    let wanted = u64::from(connections).saturating_add(FILES_BESIDE_CONNECTIONS);
    let allowed = getrlimit(Resource::Nofile);
    let Some(current) = allowed.current.filter(|current| *current < wanted) else {
        return;
    };
    let raised = allowed
        .maximum
        .map_or(wanted, |maximum| maximum.min(wanted));
    let limit = Rlimit {
        current: Some(raised),
        maximum: allowed.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        warn!(%error, open_files = current, "cannot raise the number of open files");
    } else if raised < wanted {
        warn!(
            open_files = raised,
            connections, "the system allows fewer files than connections"
        );
    }
}

fn start_log() {
    let filter = EnvFilter::builder()
        .with_env_var("VMUX_LOG")
        .with_default_directive(LevelFilter::INFO.into())
        .from_env_lossy();
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colours = io::stderr().is_terminal() && !refused;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(io::stderr)
        .init();
}

const FILES_BESIDE_CONNECTIONS: u64 = 64;

//! The command line of `vmux-agent`.
mod ask;
mod env;
mod lock;
mod log;
mod pair;
mod requests;
mod run;
mod show;
mod trace;
mod up;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use vmux_host::config::{ConfigRefused, load, load_or_default};
use vmux_host::output::{Format, Output};
use vmux_host::paths::{NoHome, Places, Program};

use crate::config::{Config, ValueRefused};
use crate::daemon::{Setting, StartFailed};
use crate::socket::IfMissing;

/// An SSH agent whose keys live on your phone.
#[derive(Debug, Parser)]
#[command(
    name = "vmux-agent",
    version,
    after_help = "Exit status: 0 done, 1 failed (and said why), 2 wrong usage, \
                  3 the agent is not running, 4 refused by a person. \
                  Set VMUX_LOG=info to see requests in the log on standard error."
)]
pub struct CommandLine {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    asked: Asked,
}

/// Options of every command.
#[derive(Debug, Args)]
struct Common {
    /// Where state is kept [default: ~/.local/state/vmux-agent]
    #[arg(long, global = true, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The agent socket [default: ~/.ssh/vmux-agent.sock]
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The configuration [default: ~/.config/vmux-agent/config.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long, global = true)]
    json: bool,
}

/// What is asked for: something that starts restricted, or anything else.
#[derive(Debug, Subcommand)]
enum Asked {
    #[command(flatten)]
    Verb(Verb),
    /// Run the agent in the foreground, for a service manager
    Run(Daemon),
    /// Look at processes for the daemon that started this
    #[cfg(target_os = "linux")]
    #[command(name = crate::sandbox::LOOK, hide = true)]
    Look,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the agent here, pair a phone if there is none, and show requests as they come
    Up(Daemon),
    /// Pair a phone: prints a QR code and a link, then a code to compare
    Pair,
    /// List the paired phones
    Phones,
    /// End the pairing with a phone
    Unpair {
        /// Its id or name
        phone: String,
    },
    /// List the identities that the phones offer
    Keys,
    /// Show phones, identities and waiting requests
    Status,
    /// Lock the agent with a passphrase
    Lock(lock::Options),
    /// Unlock it, and go on after a request was marked as not yours on a phone
    Unlock(lock::Options),
    /// Show what happened: who asked for what, and what became of it
    Log(log::Options),
    /// List the requests that wait, or take one back
    Requests(requests::Options),
    /// Show where the time of a request went
    Trace {
        /// The beginning of the request's id [default: the last request]
        id: Option<String>,
    },
    /// Print the running agent's numbers as Prometheus reads them
    Metrics,
    /// Explain a decision: what was checked, what decided, what to do next
    Why {
        /// The beginning of the request's id [default: the last decision]
        id: Option<String>,
    },
    /// Print shell lines that set SSH_AUTH_SOCK
    Env(env::Options),
}

/// Options of the daemon.
#[derive(Debug, Args)]
struct Daemon {
    /// Where the agent's own relay listens [default: 127.0.0.1:7420]
    #[arg(long, value_name = "ADDRESS:PORT")]
    relay_listen: Option<std::net::SocketAddr>,
    /// Use a relay elsewhere instead of the agent's own
    #[arg(long, value_name = "URL", conflicts_with = "relay_listen")]
    relay: Option<String>,
}

/// What went wrong, with the next step and the exit status.
#[derive(Debug)]
struct Failure {
    what: String,
    hint: String,
    status: u8,
}

/// The exit statuses besides 0 and clap's 2.
mod status {
    pub(super) const FAILED: u8 = 1;
    pub(super) const NOT_RUNNING: u8 = 3;
    pub(super) const REFUSED: u8 = 4;
}

impl Failure {
    fn new(what: impl std::fmt::Display, hint: impl std::fmt::Display) -> Self {
        Self {
            what: what.to_string(),
            hint: hint.to_string(),
            status: status::FAILED,
        }
    }

    fn with_status(self, status: u8) -> Self {
        Self { status, ..self }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error, "see the message above")
    }
}

impl From<NoHome> for Failure {
    fn from(no_home: NoHome) -> Self {
        Self::new(no_home, no_home.hint())
    }
}

impl From<ConfigRefused> for Failure {
    fn from(refused: ConfigRefused) -> Self {
        let hint = refused.hint();
        Self::new(refused, hint)
    }
}

impl From<StartFailed> for Failure {
    fn from(failed: StartFailed) -> Self {
        let hint = failed.hint();
        Self::new(failed, hint)
    }
}

impl From<ValueRefused> for Failure {
    fn from(refused: ValueRefused) -> Self {
        Self::new(refused, "change the value, or leave it out")
    }
}

/// A command that is ready for threads.
#[derive(Debug)]
pub struct Prepared {
    task: Task,
    format: Format,
}

#[derive(Debug)]
enum Task {
    /// The daemon, restricted.
    Daemon(Box<run::Closed>),
    /// Anything else.
    Other(Common, Verb),
}

/// Does what has to be done before there is a second thread: what is taken from a thread is taken
/// from those it starts, and not from those that are there. An error is how the program ends.
pub fn prepare(line: CommandLine) -> Result<Prepared, ExitCode> {
    let CommandLine { common, asked } = line;
    let format = if common.json {
        Format::Json
    } else {
        Format::Human
    };
    let task = match asked {
        #[cfg(target_os = "linux")]
        Asked::Look => {
            crate::sandbox::look();
            return Err(ExitCode::SUCCESS);
        }
        Asked::Run(daemon) => Place::of(&common)
            .and_then(|place| place.configured(daemon))
            .and_then(|(setting, config)| run::Closed::new(setting, config))
            .map(|closed| Task::Daemon(Box::new(closed)))
            .map_err(|failure| tell_failure(&failure, format))?,
        Asked::Verb(verb) => Task::Other(common, verb),
    };
    Ok(Prepared { task, format })
}

/// Runs the command and says how it went.
pub async fn run(prepared: Prepared) -> ExitCode {
    let Prepared { task, format } = prepared;
    let output = Output::stdout(format);
    let done = match task {
        Task::Daemon(closed) => closed.run().await,
        Task::Other(common, verb) => dispatch(&common, verb, &output).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => tell_failure(&failure, format),
    }
}

async fn dispatch(common: &Common, verb: Verb, output: &Output) -> Result<(), Failure> {
    let place = Place::of(common)?;
    match verb {
        Verb::Up(daemon) => {
            let (setting, config) = place.configured(daemon)?;
            up::up(&setting, &config, output).await
        }
        Verb::Pair => pair::pair(&place.setting, output).await,
        Verb::Phones => show::phones(&place.setting, output).await,
        Verb::Unpair { phone } => show::unpair(&place.setting, phone, output).await,
        Verb::Keys => show::keys(&place.setting, output).await,
        Verb::Status => show::status(&place.setting, output).await,
        Verb::Lock(options) => lock::lock(&place.setting.socket.0, &options, output).await,
        Verb::Unlock(options) => lock::unlock(&place.setting, &options, output).await,
        Verb::Log(options) => log::log(&place.setting.state_dir, &options, output).await,
        Verb::Requests(options) => {
            requests::requests(&place.setting.state_dir, options, output).await
        }
        Verb::Trace { id } => trace::trace(&place.setting.state_dir, id.as_deref(), output).await,
        Verb::Metrics => trace::metrics(&place.setting.state_dir, output).await,
        Verb::Why { id } => why::why(&place.setting.state_dir, id.as_deref(), output).await,
        Verb::Env(options) => env::env(&place.setting.socket.0, &options, output),
    }
}

/// The paths and settings a command works with.
struct Place {
    setting: Setting,
    config: Config,
}

impl Place {
    fn of(common: &Common) -> Result<Self, Failure> {
        let places = Places::of_this_user()?;
        let config: Config = match &common.config {
            Some(file) => load(file)?,
            None => load_or_default(&places.config_file(Program::Agent))?,
        };
        config.check()?;
        let state_dir = common
            .state_dir
            .clone()
            .unwrap_or_else(|| places.state_dir(Program::Agent));
        let socket = match common.socket.clone().or_else(|| config.socket.clone()) {
            Some(path) => (path, IfMissing::Refuse),
            None => (places.agent_socket(), IfMissing::Make),
        };
        let setting = Setting {
            state_dir: absolute(state_dir)?,
            socket: (absolute(socket.0)?, socket.1),
            home: places.home().to_owned(),
        };
        Ok(Self { setting, config })
    }

    /// The configuration with the command line's options over it.
    fn configured(self, daemon: Daemon) -> Result<(Setting, Config), Failure> {
        let Self {
            setting,
            mut config,
        } = self;
        // One of the two on the command line replaces whichever the file has.
        if daemon.relay.is_some() || daemon.relay_listen.is_some() {
            config.relay = crate::config::Relay {
                url: daemon.relay,
                listen: daemon.relay_listen,
            };
        }
        config.check()?;
        Ok((setting, config))
    }
}

/// A path that stays the same whatever directory the daemon is in.
fn absolute(path: PathBuf) -> Result<PathBuf, Failure> {
    Ok(std::path::absolute(path)?)
}

/// Says why it failed, and with which status.
fn tell_failure(failure: &Failure, format: Format) -> ExitCode {
    use std::io::Write as _;
    let text = match format {
        Format::Json => {
            let object = serde_json::json!({
                "event": "failed", "reason": failure.what, "hint": failure.hint,
            });
            // Programs read one stream; what went wrong belongs to it.
            let mut stdout = std::io::stdout();
            drop(writeln!(stdout, "{object}"));
            return ExitCode::from(failure.status);
        }
        Format::Human => format!("vmux-agent: {}\n  {}", failure.what, failure.hint),
    };
    drop(writeln!(std::io::stderr(), "{text}"));
    ExitCode::from(failure.status)
}

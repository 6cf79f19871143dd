//! `vmux-agent up`: the whole product in one terminal.
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Stdin};
use tokio::process::Command;
use vmux_host::output::{Format, Output};

use super::env::export_line;
use super::{Failure, ask, pair, run, status};
use crate::config::Config;
use crate::control::{Reply, Report, Request, Sameness};
use crate::daemon::{Daemon, Setting};
use crate::reserved::Reserved;
use crate::sandbox;

/// Runs the agent, offers to pair, shows requests.
pub(super) async fn up(setting: &Setting, config: &Config, output: &Output) -> Result<(), Failure> {
    let stopped = run::stop_signal()?;
    let mut reserved = Reserved::take(setting)?;
    sandbox::close_for_programs(&mut reserved);
    let daemon = Daemon::start(reserved, setting, config).await?;
    let outcome = tokio::select! {
        outcome = live(setting, &daemon, output) => outcome,
        () = stopped => Ok(()),
    };
    daemon.stop().await;
    outcome
}

async fn live(setting: &Setting, daemon: &Daemon, output: &Output) -> Result<(), Failure> {
    let ready = serde_json::json!({
        "event": "ready", "socket": daemon.socket(), "control": daemon.control(),
        "relay": daemon.relay(),
    });
    output.tell(&ready, |paint| {
        format!(
            "The agent is running. In the terminals where you use ssh, paste:\n\n    {}\n",
            paint.bold(export_line(daemon.socket()))
        )
    })?;
    let report = ask::report(&setting.state_dir).await?;
    let asks = std::io::stdin().is_terminal() && output.format() == Format::Human;
    if report.phones.is_empty() && asks {
        return first_phone(setting, output).await;
    }
    if report.phones.is_empty() {
        output.say(|paint| paint.yellow("No phone is paired: run `vmux-agent pair`."))?;
    }
    if asks
        && let Ok(program) = signer_program()
        && is_paired_here(&program, &report).await
        && !connects(setting).await?
    {
        output
            .say(|_| "The signer of this computer holds your keys; it starts here.".to_owned())?;
        return run_signer(&program, output).await;
    }
    show(setting, output).await
}

/// Whether the only phone is this user's own signer on this computer.
async fn is_paired_here(program: &Path, report: &Report) -> bool {
    let [phone] = report.phones.as_slice() else {
        return false;
    };
    let listed = Command::new(program)
        .args(["agents", "--json"])
        .stderr(Stdio::null())
        .output()
        .await;
    // No signer program, no signer here.
    let Ok(listed) = listed else { return false };
    listed.stdout.split(|byte| *byte == b'\n').any(|line| {
        serde_json::from_slice::<serde_json::Value>(line)
            .is_ok_and(|agent| agent.get("agent").and_then(|id| id.as_str()) == Some(&phone.id))
    })
}

/// Whether a phone that already runs connects within the time that takes.
async fn connects(setting: &Setting) -> Result<bool, Failure> {
    for _ in 0..CONNECT_TRIES {
        let report = ask::report(&setting.state_dir).await?;
        if report.phones.iter().any(|phone| phone.state == "connected") {
            return Ok(true);
        }
        tokio::time::sleep(CONNECT_PAUSE).await;
    }
    Ok(false)
}

/// A signer that runs comes back to its mailbox within one or two seconds.
const CONNECT_TRIES: u32 = 12;
const CONNECT_PAUSE: Duration = Duration::from_millis(250);

async fn run_signer(program: &Path, output: &Output) -> Result<(), Failure> {
    output.say(|paint| paint.dim("`q` leaves the signer and stops the agent."))?;
    interactive(program, &["run"]).await
}

/// Shows what happens until the agent ends.
async fn show(setting: &Setting, output: &Output) -> Result<(), Failure> {
    output.say(|paint| paint.dim("Requests appear here. Ctrl-C stops the agent."))?;
    let mut wire = ask::ask(&setting.state_dir, &Request::Watch).await?;
    loop {
        let reply = ask::reply(&mut wire).await?;
        output.tell(&reply, |paint| match &reply {
            Reply::Told { told } => told.line(paint),
            Reply::Status(_)
            | Reply::Offer { .. }
            | Reply::Code { .. }
            | Reply::Done { .. }
            | Reply::Cancelled { .. }
            | Reply::Resumed { .. }
            | Reply::Traces { .. }
            | Reply::Metrics { .. }
            | Reply::Failed { .. } => String::new(),
        })?;
    }
}

async fn first_phone(setting: &Setting, output: &Output) -> Result<(), Failure> {
    output.say(|_| {
        "No phone is paired yet. What shall hold your keys?\n\n  \
         1  another device: shows a QR code and a link\n  \
         2  this terminal: a signer here, to try it out\n  \
         3  nothing for now\n\n\
         Type a number, then Enter:"
            .to_owned()
    })?;
    let mut input = BufReader::new(tokio::io::stdin());
    match choice(&mut input).await? {
        Choice::OtherDevice => {
            let offered = |link: &str, expires| pair::show_offer(link, expires, output);
            let paired = pair::with_offer(&setting.state_dir, output, &mut input, offered).await;
            if let Err(failure) = paired {
                // The agent goes on; the person can try again from another terminal.
                output.say(|paint| paint.red(format!("{}\n  {}", failure.what, failure.hint)))?;
            }
            show(setting, output).await
        }
        Choice::Here => {
            drop(input);
            signer_here(setting, output).await
        }
        Choice::Nothing => show(setting, output).await,
    }
}

enum Choice {
    OtherDevice,
    Here,
    Nothing,
}

async fn choice(input: &mut BufReader<Stdin>) -> Result<Choice, Failure> {
    loop {
        let mut line = String::new();
        let read = input.read_line(&mut line).await?;
        match line.trim() {
            "1" => return Ok(Choice::OtherDevice),
            "2" => return Ok(Choice::Here),
            "3" => return Ok(Choice::Nothing),
            _ if read == 0 => return Ok(Choice::Nothing),
            _ => {}
        }
    }
}

/// Becomes the signer, too: a process of its own, which shares nothing with the agent but the relay
/// and this terminal.
async fn signer_here(setting: &Setting, output: &Output) -> Result<(), Failure> {
    let program = signer_program()?;
    let known = Command::new(&program)
        .args(["key", "list"])
        .output()
        .await?;
    if !known.status.success() {
        output.say(|_| {
            "\nThe signer keeps your keys in files encrypted with a passphrase. Choose one."
                .to_owned()
        })?;
        interactive(&program, &["init", "--first-key", "first key"]).await?;
    }
    pair_here(setting, &program, output).await?;
    run_signer(&program, output).await
}

/// Pairs the two processes in this terminal; the person compares both codes in one place.
async fn pair_here(setting: &Setting, program: &Path, output: &Output) -> Result<(), Failure> {
    let mut wire = ask::ask(&setting.state_dir, &Request::Pair).await?;
    let Reply::Offer { link, .. } = ask::reply(&mut wire).await? else {
        return Err(Failure::new("the agent made no offer", "see its log"));
    };
    let mut signer = Command::new(program)
        // The link is a secret, and arguments can be read by others.
        .args(["pair", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(mut to_signer), Some(from_signer)) = (signer.stdin.take(), signer.stdout.take())
    else {
        return Err(Failure::new("the signer cannot be spoken to", "try again"));
    };
    to_signer.write_all(format!("{link}\n").as_bytes()).await?;
    let mut lines = BufReader::new(from_signer).lines();
    let there = next_event(&mut lines).await?;
    let Reply::Code { code, .. } = ask::reply(&mut wire).await? else {
        return Err(Failure::new("the agent showed no code", "see its log"));
    };
    let theirs = there
        .get("code")
        .and_then(serde_json::Value::as_str)
        .unwrap_or("no code");
    output.say(|paint| {
        format!(
            "\nThe agent shows   {}\nThe signer shows  {}\n\nAre they the same? Type yes or no, then Enter:",
            paint.bold(&code),
            paint.bold(vmux_proto::Untrusted::new(theirs))
        )
    })?;
    pair::forget_typed_ahead();
    let mut input = BufReader::new(tokio::io::stdin());
    let same = pair::answer(&mut input).await?;
    let word = match same {
        Sameness::Same => "yes\n",
        Sameness::Different => "no\n",
    };
    to_signer.write_all(word.as_bytes()).await?;
    wire.send(&Request::Answer { same })
        .await
        .map_err(ask::broken)?;
    let paired = ask::reply(&mut wire).await;
    let signer = signer.wait().await?;
    match (same, paired, signer.success()) {
        (Sameness::Same, Ok(_), true) => Ok(output.say(|paint| paint.green("Paired."))?),
        (Sameness::Same, Err(failure), _) => Err(failure),
        (Sameness::Same, Ok(_), false) => Err(Failure::new(
            "the signer did not pair",
            "see its message above",
        )),
        (Sameness::Different, _, _) => Err(Failure::new(
            "you said that the codes differ",
            "nothing was stored",
        )
        .with_status(status::REFUSED)),
    }
}

async fn next_event<R: tokio::io::AsyncBufRead + Unpin>(
    lines: &mut tokio::io::Lines<R>,
) -> Result<serde_json::Value, Failure> {
    let line = lines.next_line().await?.unwrap_or_default();
    serde_json::from_str(&line).map_err(|_| {
        Failure::new(
            "the signer ended too early",
            "run `vmux-signer agents` to see why",
        )
    })
}

/// Runs a command of the signer with this terminal.
async fn interactive(program: &Path, arguments: &[&str]) -> Result<(), Failure> {
    let ended = Command::new(program).args(arguments).status().await?;
    if ended.success() {
        return Ok(());
    }
    let what = format!("`vmux-signer {}` ended with {ended}", arguments.join(" "));
    Err(Failure::new(what, "see its message above"))
}

/// The signer beside this program, else the one on the PATH.
fn signer_program() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe()?;
    let beside = own.with_file_name("vmux-signer");
    if beside.is_file() {
        Ok(beside)
    } else {
        Ok(PathBuf::from("vmux-signer"))
    }
}

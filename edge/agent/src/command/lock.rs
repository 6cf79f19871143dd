//! `lock` and `unlock`: the same messages that `ssh-add -x` and `-X` send (RFC 9987 section 5.7).
use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use vmux_host::output::Output;
use vmux_host::private_file;
use vmux_proto::wire::Writer;
use zeroize::Zeroizing;

use super::{Failure, ask as control, status};
use crate::control::{Reply, Request, Wanted};
use crate::daemon::Setting;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Read the passphrase from the first line of this file
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

const LOCK: u8 = 22;
const UNLOCK: u8 = 23;
const SUCCESS: u8 = 6;

/// The longest pause after a wrong passphrase, with room to spare.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

pub(super) async fn lock(socket: &Path, options: &Options, output: &Output) -> Result<(), Failure> {
    let passphrase = passphrase(options, "Passphrase to lock the agent: ")?;
    if options.passphrase_file.is_none() && std::io::stdin().is_terminal() {
        let again = ask("The same again: ")?;
        if *again != *passphrase {
            return Err(Failure::new("the two passphrases differ", "try again"));
        }
    }
    if send(socket, LOCK, &passphrase).await? {
        let told = serde_json::json!({ "event": "locked" });
        return Ok(output.tell(&told, |_| "the agent is locked".to_owned())?);
    }
    Err(Failure::new(
        "the agent was not locked",
        "it is locked already, or the passphrase is empty; see `vmux-agent status`",
    ))
}

/// What a phone stopped goes on by the control socket, which only the owner of the state reaches;
/// what a passphrase locked needs the passphrase, too.
pub(super) async fn unlock(
    setting: &Setting,
    options: &Options,
    output: &Output,
) -> Result<(), Failure> {
    let socket = &setting.socket.0;
    if let Some((phones, passphrase)) = resume(setting).await?
        && !phones.is_empty()
    {
        let told = serde_json::json!({ "event": "resumed", "phones": phones });
        let names = phones.join(", ");
        output.tell(&told, |_| format!("requests go to {names} again"))?;
        if passphrase == Wanted::No {
            return Ok(());
        }
    }
    let passphrase = passphrase(options, "Passphrase to unlock the agent: ")?;
    if send(socket, UNLOCK, &passphrase).await? {
        let told = serde_json::json!({ "event": "unlocked" });
        return Ok(output.tell(&told, |_| "the agent is unlocked".to_owned())?);
    }
    Err(Failure::new(
        "the agent was not unlocked",
        "the passphrase is wrong, or the agent is not locked; see `vmux-agent status`",
    ))
}

/// The phones that had stopped the agent; none if the control socket has no agent.
async fn resume(setting: &Setting) -> Result<Option<(Vec<String>, Wanted)>, Failure> {
    let Ok(mut wire) = control::ask(&setting.state_dir, &Request::Resume).await else {
        return Ok(None);
    };
    Ok(match control::reply(&mut wire).await? {
        Reply::Resumed { phones, passphrase } => Some((phones, passphrase)),
        Reply::Status(_)
        | Reply::Told { .. }
        | Reply::Offer { .. }
        | Reply::Code { .. }
        | Reply::Done { .. }
        | Reply::Cancelled { .. }
        | Reply::Traces { .. }
        | Reply::Metrics { .. }
        | Reply::Failed { .. } => None,
    })
}

fn passphrase(options: &Options, question: &str) -> Result<Zeroizing<String>, Failure> {
    if let Some(file) = &options.passphrase_file {
        return private_file::first_line(file).map_err(|refused| {
            let hint = refused.hint();
            Failure::new(refused, hint)
        });
    }
    if std::io::stdin().is_terminal() {
        return ask(question);
    }
    let mut line = Zeroizing::new(String::new());
    std::io::stdin().lock().read_line(&mut line)?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}

fn ask(question: &str) -> Result<Zeroizing<String>, Failure> {
    let typed = rpassword::prompt_password(question)?;
    Ok(Zeroizing::new(typed))
}

async fn send(socket: &Path, number: u8, passphrase: &str) -> Result<bool, Failure> {
    let exchange = async {
        let mut stream = UnixStream::connect(socket).await?;
        let body = Zeroizing::new(Writer::new().u8(number).string(passphrase).finish());
        let frame = Zeroizing::new(Writer::new().string(&*body).finish());
        stream.write_all(&frame).await?;
        let mut reply = [0; 5];
        stream.read_exact(&mut reply).await?;
        Ok::<_, std::io::Error>(reply == [0, 0, 0, 1, SUCCESS])
    };
    match tokio::time::timeout(ANSWER_WITHIN, exchange).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => {
            let what = format!("no agent answers on {}: {error}", socket.display());
            Err(Failure::new(what, "start it with `vmux-agent up`")
                .with_status(status::NOT_RUNNING))
        }
        Err(_) => Err(Failure::new("the agent does not answer", "see its log")
            .with_status(status::NOT_RUNNING)),
    }
}

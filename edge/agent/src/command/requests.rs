//! `vmux-agent requests`: what waits, as it changes, and taking one back.
use std::path::Path;
use std::time::Duration;

use clap::Args;
use vmux_host::output::{Output, Paint};

use super::Failure;
use super::ask;
use super::show::waiting;
use crate::control::{Reply, Request, Waiting};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Show the list again whenever it changes
    #[arg(long)]
    watch: bool,
    /// Take back the request whose id begins so
    #[arg(long, value_name = "ID", conflicts_with = "watch")]
    cancel: Option<String>,
}

pub(super) async fn requests(
    state_dir: &Path,
    options: Options,
    output: &Output,
) -> Result<(), Failure> {
    if let Some(request) = options.cancel {
        return cancel(state_dir, request, output).await;
    }
    let mut shown: Option<Vec<Waiting>> = None;
    loop {
        let report = ask::report(state_dir).await?;
        if shown
            .as_ref()
            .is_none_or(|shown| differ(shown, &report.waiting))
        {
            show(&report.waiting, output)?;
            shown = Some(report.waiting);
        }
        if !options.watch {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn show(all: &[Waiting], output: &Output) -> Result<(), Failure> {
    if all.is_empty() {
        output.say(|_| "nothing waits".to_owned())?;
    }
    for one in all {
        output.tell(one, |paint| human(one, paint))?;
    }
    Ok(())
}

fn human(one: &Waiting, paint: Paint) -> String {
    format!("{}  {}", waiting(one, paint), paint.dim(&one.stage))
}

/// Apart from the time that passes.
fn differ(before: &[Waiting], now: &[Waiting]) -> bool {
    let still = |one: &Waiting| Waiting {
        seconds_left: 0,
        ..one.clone()
    };
    !before.iter().map(still).eq(now.iter().map(still))
}

async fn cancel(state_dir: &Path, request: String, output: &Output) -> Result<(), Failure> {
    let mut wire = ask::ask(state_dir, &Request::Cancel { request }).await?;
    let reply = ask::reply(&mut wire).await?;
    Ok(output.tell(&reply, |_| match &reply {
        Reply::Cancelled { request, what } => format!("taken back: {request}  {what}"),
        Reply::Status(_)
        | Reply::Told { .. }
        | Reply::Offer { .. }
        | Reply::Code { .. }
        | Reply::Done { .. }
        | Reply::Resumed { .. }
        | Reply::Traces { .. }
        | Reply::Metrics { .. }
        | Reply::Failed { .. } => "done".to_owned(),
    })?)
}

/// How often the list is looked at.
const PAUSE: Duration = Duration::from_millis(250);

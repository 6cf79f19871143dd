//! `vmux-agent pair`: shows an offer, then a code to compare.
use std::io::IsTerminal as _;
use std::path::Path;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use rustix::termios::{QueueSelector, tcflush};
use tokio::io::{AsyncBufReadExt as _, BufReader, Stdin};
use vmux_host::clock;
use vmux_host::output::{Format, Output};

use super::{Failure, ask, status};
use crate::control::{Reply, Request, Sameness};
use crate::daemon::Setting;

/// Pairs one phone.
pub(super) async fn pair(setting: &Setting, output: &Output) -> Result<(), Failure> {
    let mut input = BufReader::new(tokio::io::stdin());
    with_offer(&setting.state_dir, output, &mut input, |link, expires| {
        show_offer(link, expires, output)
    })
    .await
}

/// Gets an offer, hands it on, compares the codes and reports how it ended.
pub(super) async fn with_offer(
    state_dir: &Path,
    output: &Output,
    input: &mut BufReader<Stdin>,
    offered: impl FnOnce(&str, u64) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut wire = ask::ask(state_dir, &Request::Pair).await?;
    let offer = ask::reply(&mut wire).await?;
    if output.format() == Format::Json {
        output.tell(&offer, |_| String::new())?;
    }
    if let Reply::Offer { link, expires } = &offer {
        offered(link, *expires)?;
    }
    let code = ask::reply(&mut wire).await?;
    output.tell(&code, |paint| match &code {
        Reply::Code { code, phone } => format!(
            "\n{} ({}) wants to pair. Both screens must show the same code:\n\n    {}\n",
            phone.name,
            phone.kind,
            paint.bold(code)
        ),
        Reply::Status(_)
        | Reply::Told { .. }
        | Reply::Offer { .. }
        | Reply::Done { .. }
        | Reply::Cancelled { .. }
        | Reply::Resumed { .. }
        | Reply::Traces { .. }
        | Reply::Metrics { .. }
        | Reply::Failed { .. } => String::new(),
    })?;
    forget_typed_ahead();
    output.say(|_| "Does the phone show the same code? Type yes or no, then Enter:".to_owned())?;
    // The pairing can end while the person still looks: then there is no question any more.
    let last = tokio::select! {
        biased;
        ended = ask::reply(&mut wire) => ended?,
        said = answer(input) => {
            let same = said?;
            // The pairing may have just ended on the other side; then its last words are there to
            // be read, and the answer has nobody to go to.
            let sent = wire.send(&Request::Answer { same }).await.is_ok();
            tracing::debug!(sent, "answered");
            match same {
                Sameness::Same => ask::reply(&mut wire).await?,
                Sameness::Different => {
                    // The daemon's own words about it add nothing.
                    drop(ask::reply(&mut wire).await);
                    return Err(Failure::new("you said that the codes differ", NOTHING_STORED)
                        .with_status(status::REFUSED));
                }
            }
        }
    };
    output.tell(&last, |paint| match &last {
        Reply::Done { name, note, .. } => {
            let note = note
                .as_ref()
                .map(|note| format!("\n{note}"))
                .unwrap_or_default();
            format!("{}{note}", paint.green(format!("{name} is paired.")))
        }
        Reply::Status(_)
        | Reply::Told { .. }
        | Reply::Offer { .. }
        | Reply::Code { .. }
        | Reply::Cancelled { .. }
        | Reply::Resumed { .. }
        | Reply::Traces { .. }
        | Reply::Metrics { .. }
        | Reply::Failed { .. } => String::new(),
    })?;
    Ok(())
}

/// Lines typed before the code was there do not answer the question about it.
pub(super) fn forget_typed_ahead() {
    let stdin = std::io::stdin();
    if stdin.is_terminal()
        && let Err(error) = tcflush(&stdin, QueueSelector::IFlush)
    {
        tracing::debug!(%error, "what was typed before stays");
    }
}

const NOTHING_STORED: &str =
    "nothing was stored; if they really differed, somebody may stand between the two";

pub(super) async fn answer(input: &mut BufReader<Stdin>) -> Result<Sameness, Failure> {
    loop {
        let mut line = String::new();
        let read = input.read_line(&mut line).await?;
        match line.trim() {
            "yes" => return Ok(Sameness::Same),
            "no" => return Ok(Sameness::Different),
            // Whoever closes the input has not said yes.
            _ if read == 0 => return Ok(Sameness::Different),
            _ => {}
        }
    }
}

pub(super) fn show_offer(link: &str, expires: u64, output: &Output) -> Result<(), Failure> {
    let minutes = expires.saturating_sub(clock::now().wall).div_ceil(60);
    output.say(|paint| {
        let code = match QrCode::new(link) {
            // Dark on light, whatever the terminal's colours: phones read no other.
            Ok(code) => code
                .render::<Dense1x2>()
                .dark_color(Dense1x2::Dark)
                .light_color(Dense1x2::Light)
                .build(),
            Err(too_long) => format!("(no QR code: {too_long})"),
        };
        format!(
            "{code}\n\nScan it with the phone, or run `vmux-signer pair -` on the other device and paste:\n\n    {}\n\n{}",
            paint.bold(link),
            paint.dim(format!(
                "The link works once and for {minutes} minutes. Whoever has it can try to pair: show it to nobody."
            )),
        )
    })?;
    Ok(())
}

//! `status`, `phones`, `keys`, `unpair`.
use vmux_host::output::{Output, Paint};

use super::{Failure, ask};
use crate::control::{Phone, Reply, Report, Request, Waiting};
use crate::daemon::Setting;

/// Shows the agent at a glance.
pub(super) async fn status(setting: &Setting, output: &Output) -> Result<(), Failure> {
    let report = ask::report(&setting.state_dir).await?;
    Ok(output.tell(&report, |paint| whole(&report, paint))?)
}

/// Lists the paired phones.
pub(super) async fn phones(setting: &Setting, output: &Output) -> Result<(), Failure> {
    let report = ask::report(&setting.state_dir).await?;
    if report.phones.is_empty() {
        output.say(|_| NO_PHONE.to_owned())?;
    }
    for one in &report.phones {
        output.tell(one, |paint| phone(one, paint))?;
    }
    Ok(())
}

/// Lists the identities, as lines for `authorized_keys`.
pub(super) async fn keys(setting: &Setting, output: &Output) -> Result<(), Failure> {
    let report = ask::report(&setting.state_dir).await?;
    for one in report.phones.iter().flat_map(|phone| &phone.identities) {
        output.tell(one, |_| format!("{} {}", one.public, one.label))?;
    }
    if report
        .phones
        .iter()
        .all(|phone| phone.identities.is_empty())
    {
        let text = if report.phones.is_empty() {
            NO_PHONE
        } else {
            "no identities: make one on the phone, with `vmux-signer key new --label NAME`"
        };
        output.say(|_| text.to_owned())?;
    }
    Ok(())
}

/// Ends a pairing.
pub(super) async fn unpair(
    setting: &Setting,
    phone: String,
    output: &Output,
) -> Result<(), Failure> {
    let mut wire = ask::ask(&setting.state_dir, &Request::Unpair { phone }).await?;
    let reply = ask::reply(&mut wire).await?;
    output.tell(&reply, |paint| match &reply {
        Reply::Done { name, note, .. } => {
            let note = note
                .as_ref()
                .map(|note| format!("\n{note}"))
                .unwrap_or_default();
            format!(
                "{}{note}",
                paint.green(format!("{name} is not paired any more"))
            )
        }
        Reply::Status(_)
        | Reply::Told { .. }
        | Reply::Offer { .. }
        | Reply::Code { .. }
        | Reply::Cancelled { .. }
        | Reply::Resumed { .. }
        | Reply::Traces { .. }
        | Reply::Metrics { .. }
        | Reply::Failed { .. } => "done".to_owned(),
    })?;
    Ok(())
}

const NO_PHONE: &str = "no phone is paired: run `vmux-agent pair`";

fn whole(report: &Report, paint: Paint) -> String {
    let mut lines = vec![
        format!(
            "agent    {} (pid {}), version {}",
            report.socket, report.pid, report.version
        ),
        format!("relay    {}", report.relay),
    ];
    if report.locked {
        lines.push(paint.yellow("locked   unlock with `vmux-agent unlock` or `ssh-add -X`"));
    }
    if report.phones.is_empty() {
        lines.push(paint.yellow(format!("phones   {NO_PHONE}")));
    }
    for one in &report.phones {
        lines.push(format!("phone    {}", phone(one, paint)));
        for identity in &one.identities {
            lines.push(format!(
                "  key    {}  {}",
                identity.label,
                paint.dim(&identity.fingerprint)
            ));
        }
    }
    for one in &report.waiting {
        lines.push(format!("waiting  {}", waiting(one, paint)));
    }
    for one in &report.paused {
        let (source, left) = (&one.source, one.seconds_left);
        lines.push(paint.yellow(format!(
            "paused   {source}: denied or left unanswered, {left} s left"
        )));
    }
    for one in &report.blocked {
        let (source, minutes) = (&one.source, one.seconds_left.div_ceil(60));
        lines.push(paint.yellow(format!(
            "blocked  {source}: on the phone, {minutes} min left"
        )));
    }
    if let Some(reason) = &report.log.failing {
        let hint = report.log.hint.as_deref().unwrap_or_default();
        lines.push(paint.red(format!(
            "log      cannot be written, so nothing is signed: {reason}; {hint}"
        )));
    } else {
        lines.push(format!("log      {} lines", report.log.lines));
    }
    let (on, off) = vmux_harden::in_words(&report.protections);
    if !on.is_empty() {
        lines.push(paint.dim(format!("guarded  {on}")));
    }
    if !off.is_empty() {
        lines.push(paint.yellow(format!("open     {off}")));
    }
    lines.push(paint.dim(format!("note     {}", report.note)));
    lines.join("\n")
}

fn phone(phone: &Phone, paint: Paint) -> String {
    let state = match phone.state.as_str() {
        _ if phone.suspended => {
            paint.red("stopped: a request was marked as not yours; go on with `vmux-agent unlock`")
        }
        "connected" => paint.green("connected"),
        "away" => paint.yellow("away: open the signer"),
        _ => paint.red(format!("the relay {} is not reached", phone.relay)),
    };
    let count = phone.identities.len();
    format!(
        "{}  {} ({})  {state}  {count} identities",
        phone.id, phone.name, phone.kind
    )
}

pub(super) fn waiting(waiting: &Waiting, paint: Paint) -> String {
    let number = waiting.number.as_ref().map_or_else(String::new, |number| {
        format!(
            "  {}",
            paint.bold(format!("type {number} on {}", waiting.phone))
        )
    });
    let left = waiting.seconds_left;
    let others = match waiting.askers {
        0 | 1 => String::new(),
        many => format!(" ({many} clients wait)"),
    };
    format!(
        "{}  {}{others}  {left} s left{number}",
        waiting.request, waiting.what
    )
}

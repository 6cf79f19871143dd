//! `vmux-agent why`: one decision, explained from the log.
use std::path::Path;

use serde::Serialize;
use vmux_broker::Denial;
use vmux_host::output::{Output, Paint};
use vmux_proto::Malformed;
use vmux_proto::audit::{Entry, Event};
use vmux_proto::binding::BindingRefused;
use vmux_proto::destination::Contradiction;
use vmux_proto::message::Refusal;

use super::log::{entries, human, seconds, what};
use super::{Failure, ask};

/// What is told of a decision.
#[derive(Debug, Serialize)]
struct Told<'a> {
    event: &'static str,
    decided: &'a str,
    reason: &'a str,
    by: &'a str,
    checked: Vec<String>,
    hint: &'a str,
    lines: Vec<&'a Entry>,
}

/// Explains the decision about the request whose id begins so, or the last one.
pub(super) async fn why(
    state_dir: &Path,
    id: Option<&str>,
    output: &Output,
) -> Result<(), Failure> {
    // Where the log cannot be written, the last decision in it is not the last one.
    if id.is_none()
        && let Ok(report) = ask::report(state_dir).await
        && let Some(reason) = &report.log.failing
    {
        return unwritten(
            reason,
            report.log.hint.as_deref().unwrap_or_default(),
            output,
        );
    }
    let entries = entries(state_dir)?;
    let wanted = |entry: &&Entry| id.is_none_or(|id| entry.is_about(&id.to_lowercase()));
    let Some(last) = entries
        .iter()
        .rev()
        .filter(wanted)
        .find(|entry| decides(entry))
    else {
        return Err(not_decided(id, entries.iter().find(wanted)));
    };
    let lines: Vec<_> = match &last.request {
        Some(request) => entries
            .iter()
            .filter(|entry| entry.is_about(request))
            .collect(),
        None => vec![last],
    };
    let (reason, by, hint) = decision(last);
    let told = Told {
        event: "why",
        decided: last.event.name(),
        reason: &reason,
        by,
        checked: checked(last),
        hint,
        lines,
    };
    Ok(output.tell(&told, |paint| page(last, &told, paint))?)
}

fn unwritten(reason: &str, hint: &str, output: &Output) -> Result<(), Failure> {
    let not_recorded = Denial::NotRecorded;
    let told = serde_json::json!({
        "event": "why", "decided": Event::Refused.name(),
        "reason": format!("{not_recorded}: {reason}"), "by": rule(Some(not_recorded)),
        "checked": [], "hint": hint, "lines": [],
    });
    Ok(output.tell(&told, |paint| {
        let (not, by) = (paint.red("not signed"), rule(Some(not_recorded)));
        format!("{not}: {not_recorded}\nlog      {reason}\ndecided  {by}\nnext     {hint}")
    })?)
}

const fn decides(entry: &Entry) -> bool {
    matches!(
        entry.event,
        Event::Approved | Event::Denied | Event::TimedOut | Event::Cancelled | Event::Refused
    )
}

fn not_decided(id: Option<&str>, known: Option<&Entry>) -> Failure {
    match (id, known) {
        (Some(_), Some(_)) => Failure::new(
            "this request is not decided yet",
            "see `vmux-agent requests`",
        ),
        (Some(_), None) => Failure::new(
            "the log has no request whose id begins so",
            "see `vmux-agent log` for ids",
        ),
        (None, _) => Failure::new("the log has no decision yet", "see `vmux-agent log`"),
    }
}

fn page(entry: &Entry, told: &Told<'_>, paint: Paint) -> String {
    let decided = match entry.event {
        Event::Approved => paint.green("signed"),
        Event::Denied
        | Event::TimedOut
        | Event::Cancelled
        | Event::Refused
        | Event::Started
        | Event::Stopped
        | Event::Asked
        | Event::Paired
        | Event::Unpaired
        | Event::Locked
        | Event::Unlocked
        | Event::WrongPassphrase
        | Event::Blocked
        | Event::Unblocked
        | Event::Continued
        | Event::Lost
        | Event::Questioned => paint.red("not signed"),
    };
    let mut lines = vec![format!("{decided}: {}", told.reason)];
    if entry.what.is_some() {
        lines.push(format!("what     {}", what(entry)));
    }
    lines.push(format!("decided  {}", told.by));
    lines.extend(told.checked.iter().map(|check| format!("checked  {check}")));
    for program in &entry.programs {
        let text = if program.command.is_empty() {
            &program.path
        } else {
            &program.command
        };
        lines.push(format!("program  {text} (pid {})", program.pid));
    }
    lines.extend(
        told.lines
            .iter()
            .map(|entry| paint.dim(format!("log      {}", human(entry, Paint::Plain)))),
    );
    if !told.hint.is_empty() {
        lines.push(format!("next     {}", told.hint));
    }
    lines.join("\n")
}

/// What was found out before anybody was asked.
fn checked(entry: &Entry) -> Vec<String> {
    let mut checked = Vec::new();
    let host = entry.host_key.as_deref().unwrap_or("the host");
    checked.extend(entry.level.as_deref().map(|level| match level {
        "direct" => format!("{host} signed this session: the signature is good there alone"),
        "forwarded" => format!("{host} and every host on the way signed their sessions"),
        "claimed" => format!("nothing proves {host}: the client only names it"),
        "unknown" => "nothing proves or names where the login goes".to_owned(),
        "forwarded-local" => "a signature of data, asked for by a host on the way".to_owned(),
        _ => "a signature of data, asked for on this machine".to_owned(),
    }));
    checked.extend(entry.hops.iter().map(|hop| format!("on the way: {hop}")));
    checked.extend(
        entry
            .known_hosts
            .as_ref()
            .map(|text| format!("known_hosts: {text}")),
    );
    checked.extend(
        entry
            .source
            .as_ref()
            .map(|text| format!("counted for limits: {text}")),
    );
    checked
}

/// Why, who or what decided, and what to do next.
fn decision(entry: &Entry) -> (String, &'static str, &'static str) {
    let denial = entry.reason.as_deref().and_then(denial);
    let reason = denial.map_or_else(
        || {
            entry
                .reason
                .clone()
                .unwrap_or_else(|| entry.event.name().to_owned())
        },
        |denial| denial.reason().to_owned(),
    );
    let hint = denial.map_or("", Denial::hint);
    let after = entry.after_ms.map(seconds).unwrap_or_default();
    match entry.event {
        Event::Approved => (
            format!("approved on the phone {after}")
                .trim_end()
                .to_owned(),
            "by the person, on the phone",
            "",
        ),
        Event::Denied => (reason, "by the person, on the phone", hint),
        Event::TimedOut => (reason, "by the limit of time", hint),
        Event::Cancelled => (
            reason,
            "by whoever asked, who is gone or took it back",
            hint,
        ),
        Event::Refused
        | Event::Started
        | Event::Stopped
        | Event::Asked
        | Event::Paired
        | Event::Unpaired
        | Event::Locked
        | Event::Unlocked
        | Event::WrongPassphrase
        | Event::Blocked
        | Event::Unblocked
        | Event::Continued
        | Event::Lost
        | Event::Questioned => (reason, rule(denial), hint),
    }
}

fn rule(denial: Option<Denial>) -> &'static str {
    match denial {
        Some(Denial::Phone(_)) => "by the phone's own rules",
        Some(Denial::TooMany | Denial::TooManyFromSource) => "by the limit of waiting requests",
        Some(Denial::Paused(_)) => "by the pause after what was denied or left unanswered",
        Some(Denial::Blocked | Denial::NotMe) => "by what the person said on the phone before",
        Some(Denial::NotRecorded) => "by the rule that nothing is signed without a record",
        Some(Denial::Binding(_) | Denial::Contradiction(_)) => {
            "by the proof of the destination, which failed"
        }
        Some(_) | None => "by the agent's own rules, without asking",
    }
}

/// The denial of this name; those that share a name share reason and next step where the log cannot
/// tell them apart.
fn denial(name: &str) -> Option<Denial> {
    let own = [
        Denial::Locked,
        Denial::NotFromHere,
        Denial::NoSuchIdentity,
        Denial::NotUnderstood(Malformed::Truncated),
        Denial::ForeignCertificate,
        Denial::Binding(BindingRefused::NotSignedByHost),
        Denial::Contradiction(Contradiction::FailedBinding),
        Denial::HostKeyRevoked,
        Denial::TooLarge,
        Denial::TooMany,
        Denial::Unreachable,
        Denial::TimedOut,
        Denial::BadAnswer,
        Denial::Unpaired,
        Denial::Cancelled,
        Denial::CancelledHere,
        Denial::TooManyFromSource,
        Denial::Paused(0),
        Denial::Blocked,
        Denial::NotMe,
        Denial::NotRecorded,
    ];
    let phones = [
        Refusal::Denied,
        Refusal::WrongNumber,
        Refusal::TimedOut,
        Refusal::Replayed,
        Refusal::NoSuchIdentity,
        Refusal::NotUnderstood,
        Refusal::Contradiction,
        Refusal::NamespaceNotAllowed,
        Refusal::ForeignCertificate,
        Refusal::HostKeyChanged,
        Refusal::TooMany,
        Refusal::KeyFailed,
        Refusal::Closed,
        Refusal::Blocked,
        Refusal::Paused,
        Refusal::NotMe,
        Refusal::NotRecorded,
    ];
    let all = own.into_iter().chain(phones.map(Denial::Phone));
    all.into_iter().find(|denial| denial.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(reason: &str) -> Entry {
        Entry {
            reason: Some(reason.to_owned()),
            ..Entry::new(Event::Refused)
        }
    }

    #[test]
    fn every_reason_that_is_logged_has_words_a_rule_and_a_next_step() {
        for name in [
            "locked",
            "paused",
            "not-recorded",
            "too-many",
            "contradiction",
            "host-key-changed",
        ] {
            let (reason, by, hint) = decision(&refused(name));
            assert!(
                reason.contains(' ') && by.starts_with("by ") && !hint.is_empty(),
                "{name}"
            );
        }
        // A newer agent's reason is shown as it stands.
        assert_eq!(decision(&refused("new-rule")).0, "new-rule");
    }

    #[test]
    fn a_level_that_proves_nothing_is_not_told_as_proof() {
        let at = |level: &str| {
            checked(&Entry {
                level: Some(level.to_owned()),
                ..Entry::new(Event::Approved)
            })
            .concat()
        };
        assert!(at("direct").contains("signed this session"));
        assert!(at("claimed").contains("nothing proves"));
        assert!(at("unknown").contains("nothing proves"));
    }
}

//! `vmux-signer log`

use std::io::ErrorKind;
use std::thread;
use std::time::Duration;

use serde_json::json;
use vmux_host::log::{NotVerified, read, verify};
use vmux_host::output::Paint;
use vmux_host::{clock, state_dir::StateRefused};
use vmux_proto::audit::{Checker, Entry, Event, Head};

use super::Desktop;
use crate::cli::Log;
use crate::date::{moment, spaced};
use crate::failure::{CommandFailed, Exit};

/// Shows the log, or checks it. Needs no lock: lines are only ever added.
pub(super) fn log(desktop: &Desktop<'_>, log: &Log) -> Result<(), CommandFailed> {
    // A mistyped directory is none without entries.
    drop(desktop.store.open()?);
    if log.verify || log.head.is_some() {
        return check(desktop, log.head.as_deref());
    }
    let since = log.since.as_deref().map(begin).transpose()?;
    let wanted = |entry: &Entry| {
        since.as_ref().is_none_or(|since| entry.time >= *since)
            && log.host.as_deref().is_none_or(|host| goes_to(entry, host))
    };
    let mut lines = read(desktop.store.path()).map_err(StateRefused::from)?;
    let (mut begun, mut strange) = (false, 0_u64);
    loop {
        for line in &mut lines {
            begun = true;
            let line = line.map_err(StateRefused::from)?;
            match Checker::new().line(&line.bytes) {
                Ok(entry) if wanted(&entry) => {
                    match desktop.output.tell(&entry, |paint| words(&entry, paint)) {
                        // Whoever reads has seen enough.
                        Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
                        told => told?,
                    }
                }
                Ok(_) => {}
                Err(_) => strange = strange.saturating_add(1),
            }
        }
        if !log.follow {
            return all_are_records(strange);
        }
        thread::sleep(BETWEEN_LOOKS);
        if !begun {
            // The folder is made with the first line.
            lines = read(desktop.store.path()).map_err(StateRefused::from)?;
        }
    }
}

fn all_are_records(strange: u64) -> Result<(), CommandFailed> {
    if strange == 0 {
        return Ok(());
    }
    let what = format!("lines of the log that are no records, and are not shown: {strange}");
    let hint = "run `vmux-signer log --verify` to see where";
    Err(CommandFailed::new(what, hint).with_exit(Exit::Failed, "broken"))
}

fn check(desktop: &Desktop<'_>, known: Option<&str>) -> Result<(), CommandFailed> {
    let parsed = known.map(|text| {
        Head::parse(text).ok_or_else(|| {
            CommandFailed::new(
                "--head takes LINES:DIGEST",
                "such as `log --verify` prints it",
            )
            .with_exit(Exit::Usage, "usage")
        })
    });
    let verified = verify(desktop.store.path(), parsed.transpose()?)?;
    let event = json!({
        "event": "verified",
        "lines": verified.lines,
        "first": verified.first,
        "files": verified.files,
        "head": verified.head.to_string(),
        "unfinished": verified.unfinished,
    });
    Ok(desktop.output.tell(&event, |paint| {
        let (whole, lines, head) = (paint.green("chain whole"), verified.lines, verified.head);
        let torn = match verified.unfinished {
            0 => "",
            _ => "\nafter them stands a line that is not written to its end",
        };
        format!("{whole}, {lines} lines, head {head}{torn}")
    })?)
}

impl From<NotVerified> for CommandFailed {
    fn from(not: NotVerified) -> Self {
        let reason = match &not {
            NotVerified::Refused(refused) => return Self::new(&not, refused.hint()),
            NotVerified::Found(_) => "broken",
            NotVerified::Cut { .. } => "cut",
            NotVerified::Rewritten { .. } => "rewritten",
        };
        let hint = "something else than vmux-signer changed the log: compare it with a copy, and \
                    with the log of the workstation";
        Self::new(&not, hint).with_exit(Exit::Failed, reason)
    }
}

/// One line for a person.
fn words(entry: &Entry, paint: Paint) -> String {
    let event = match entry.event {
        Event::Approved => paint.green(entry.event.name()),
        Event::Denied
        | Event::TimedOut
        | Event::Refused
        | Event::Lost
        | Event::Blocked
        | Event::Questioned => paint.red(entry.event.name()),
        _ => entry.event.name().to_owned(),
    };
    let parts = [
        entry.reason.as_ref().map(|reason| format!("({reason})")),
        what(entry),
        entry.peer.as_ref().map(|peer| match &entry.request {
            Some(_) => format!("asked by {peer}"),
            None => peer.clone(),
        }),
        entry.identity.as_ref().map(|label| format!("with {label}")),
        entry.source.as_ref().map(|source| format!("from {source}")),
        entry.count.map(|count| format!("count {count}")),
        entry
            .request
            .as_ref()
            .map(|id| paint.dim(id.get(..8).unwrap_or(id))),
    ];
    let facts: Vec<_> = parts.into_iter().flatten().collect();
    format!("{}  {event}  {}", spaced(&entry.time), facts.join(", "))
        .trim_end()
        .to_owned()
}

/// What was asked for and where it went.
fn what(entry: &Entry) -> Option<String> {
    let what = match (&entry.user, &entry.namespace) {
        (Some(user), _) => format!("login as {user}"),
        (None, Some(namespace)) => format!("signature for {namespace}"),
        (None, None) => entry.what.clone()?,
    };
    let host = entry.host.as_ref().or(entry.host_key.as_ref());
    let level = entry.level.as_deref().unwrap_or_default();
    let place = host.map(|host| format!(" at {host} ({level})"));
    Some(format!("{what}{}", place.unwrap_or_default()))
}

/// Whether the destination or a host on the way has this name or fingerprint.
fn goes_to(entry: &Entry, host: &str) -> bool {
    let named = entry.host.iter().chain(&entry.known_hosts);
    let keys = entry.host_key.iter().chain(&entry.hops);
    named.chain(keys).any(|one| one.eq_ignore_ascii_case(host))
}

/// The first time that counts, as the log writes times, which sort as they follow each other.
fn begin(since: &str) -> Result<String, CommandFailed> {
    let ago = since.strip_suffix(['s', 'm', 'h', 'd']).and_then(|count| {
        let unit = match since.as_bytes().last() {
            Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 3_600,
            _ => 86_400,
        };
        count.parse::<u64>().ok()?.checked_mul(unit)
    });
    if let Some(seconds) = ago {
        return Ok(moment(clock::now().wall.saturating_sub(seconds)));
    }
    let shape = |text: &str| -> String {
        let digit = |c: char| if c.is_ascii_digit() { '0' } else { c };
        text.chars().map(digit).collect()
    };
    match shape(since).as_str() {
        "0000-00-00" | "0000-00-00T00:00:00Z" => Ok(since.to_owned()),
        _ => Err(CommandFailed::new(
            "--since takes a time such as 2026-01-31, 2026-01-31T08:00:00Z, 30m, 12h or 7d",
            "times are UTC",
        )
        .with_exit(Exit::Usage, "usage")),
    }
}

/// How late a line may be shown.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_begin_at_are_taken_and_nonsense_is_refused() {
        for (since, begins) in [
            ("2026-01-31", "2026-01-31"),
            ("2026-01-31T08:00:00Z", "2026-01-31T08:00:00Z"),
        ] {
            assert_eq!(begin(since).unwrap(), begins);
        }
        let (day, hours) = (begin("1d").unwrap(), begin("24h").unwrap());
        assert_eq!(day.len(), "2026-01-31T08:00:00Z".len());
        assert!(hours >= day);
        assert!(begin("1s").unwrap() > day);
        for nonsense in ["", "d", "yesterday", "1w", "-1d", "2026-1-31", "31.01.2026"] {
            assert!(begin(nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn a_line_says_when_what_where_and_who() {
        let approved = Entry {
            time: "2026-01-31T08:00:00Z".into(),
            request: Some("a1".repeat(16)),
            peer: Some("laptop".into()),
            identity: Some("work".into()),
            user: Some("deploy".into()),
            host: Some("web-1.example".into()),
            level: Some("direct".into()),
            source: Some("/usr/bin/git".into()),
            ..Entry::new(Event::Approved)
        };
        assert_eq!(
            words(&approved, Paint::Plain),
            "2026-01-31 08:00:00Z  approved  login as deploy at web-1.example (direct), \
             asked by laptop, with work, from /usr/bin/git, a1a1a1a1"
        );
        let paired = Entry {
            time: "2026-01-31T08:00:00Z".into(),
            peer: Some("laptop".into()),
            ..Entry::new(Event::Paired)
        };
        let line = "2026-01-31 08:00:00Z  paired  laptop";
        assert_eq!(words(&paired, Paint::Plain), line);
        assert_eq!(words(&Entry::default(), Paint::Plain), "  started");
    }

    #[test]
    fn a_host_is_found_by_name_key_and_as_a_hop() {
        let entry = Entry {
            host: Some("web-1.example".into()),
            host_key: Some("SHA256:aaa".into()),
            hops: vec!["SHA256:bbb".into()],
            ..Entry::new(Event::Approved)
        };
        for host in ["web-1.example", "Web-1.Example", "SHA256:aaa", "SHA256:bbb"] {
            assert!(goes_to(&entry, host), "{host}");
        }
        for host in ["web-1", "example", "", "SHA256:ccc"] {
            assert!(!goes_to(&entry, host), "{host}");
        }
    }
}

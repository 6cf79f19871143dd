//! `vmux-agent log`: what happened, from the files of the log. No daemon is needed, and none is
//! disturbed.
use std::path::Path;
use std::time::Duration;

use clap::Args;
use vmux_host::clock;
use vmux_host::files::FileRefused;
use vmux_host::log::{NotVerified, read, verify};
use vmux_host::output::{Output, Paint};
use vmux_proto::audit::{Checker, Entry, Event, Head};

use super::{Failure, ask, status};
use crate::provenance::title_of_programs;

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the options of a command line"
)]
pub(super) struct Options {
    /// Only what happened in this time (`90s`, `30m`, `2h`, `7d`) or from this day on (`2026-11-24`,
    /// `2026-11-24T18:00`, in UTC)
    #[arg(long, value_name = "TIME", value_parser = Since::parse)]
    since: Option<Since>,
    /// Only what goes to hosts of this name or key, or over them; `*` and `?` stand for anything
    #[arg(long, value_name = "PATTERN")]
    host: Option<String>,
    /// Go on with what happens from now on
    #[arg(long)]
    follow: bool,
    /// Check that nothing was changed, removed or rewritten, and say where if something was
    #[arg(long, conflicts_with_all = ["since", "host", "follow"])]
    verify: bool,
}

/// A time to begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Since {
    /// So many seconds ago.
    Ago(u64),
    /// The beginning of a time as the log writes it.
    At(String),
}

impl Since {
    fn parse(text: &str) -> Result<Self, String> {
        let unit = |unit| match unit {
            's' => Some(1),
            'm' => Some(60),
            'h' => Some(60 * 60),
            'd' => Some(24 * 60 * 60),
            _ => None,
        };
        let ago = text.char_indices().last().and_then(|(at, last)| {
            let count: u64 = text.get(..at)?.parse().ok()?;
            count.checked_mul(unit(last)?)
        });
        if let Some(seconds) = ago {
            return Ok(Self::Ago(seconds));
        }
        let day = text
            .get(..10)
            .and_then(|day| day.parse::<jiff::civil::Date>().ok());
        let time = text.get(10..).unwrap_or_default();
        let is_time = time.is_empty()
            || time.starts_with('T')
                && time
                    .chars()
                    .all(|c| "T:Z".contains(c) || c.is_ascii_digit());
        if day.is_some() && is_time {
            return Ok(Self::At(text.to_owned()));
        }
        Err("not a time: use 90s, 30m, 2h, 7d, 2026-11-24 or 2026-11-24T18:00".to_owned())
    }

    /// The earliest time that is meant, as the log writes times: they sort like texts.
    fn earliest(&self, wall: u64) -> String {
        match self {
            Self::Ago(seconds) => {
                let then = i64::try_from(wall.saturating_sub(*seconds)).unwrap_or_default();
                jiff::Timestamp::from_second(then)
                    .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
                    .to_string()
            }
            Self::At(text) => text.clone(),
        }
    }
}

pub(super) async fn log(
    state_dir: &Path,
    options: &Options,
    output: &Output,
) -> Result<(), Failure> {
    if options.verify {
        return check(state_dir, output).await;
    }
    let earliest = options.since.as_ref();
    let earliest = earliest.map(|since| since.earliest(clock::now().wall));
    let mut lines = read(state_dir).map_err(refused)?;
    loop {
        for line in lines.by_ref() {
            let line = line.map_err(refused)?;
            let Ok(entry) = Checker::new().line(&line.bytes) else {
                let (file, number) = (&line.file, line.number);
                output.say(|paint| {
                    paint.red(format!(
                        "{file}, line {number}: not a record (see --verify)"
                    ))
                })?;
                continue;
            };
            let wanted = earliest
                .as_ref()
                .is_none_or(|earliest| entry.time >= *earliest)
                && options
                    .host
                    .as_ref()
                    .is_none_or(|host| concerns(&entry, host));
            if wanted {
                output.tell(&entry, |paint| human(&entry, paint))?;
            }
        }
        if !options.follow {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Against what a running daemon knows, as far as one runs.
async fn check(state_dir: &Path, output: &Output) -> Result<(), Failure> {
    let report = ask::report(state_dir).await.ok();
    let known = report.and_then(|report| Head::parse(&report.log.head));
    let verified = verify(state_dir, known).map_err(|broken| {
        let hint = match &broken {
            NotVerified::Refused(refused) => refused.hint(),
            NotVerified::Found(_) | NotVerified::Cut { .. } | NotVerified::Rewritten { .. } => {
                "what stands before that place is as it was written; find out who had access".into()
            }
        };
        Failure::new(broken, hint).with_status(status::FAILED)
    })?;
    let against = if known.is_some() { "agent" } else { "files" };
    let told = serde_json::json!({
        "event": "verified", "lines": verified.lines, "files": verified.files,
        "first": verified.first, "head": verified.head.to_string(), "against": against,
        "unfinished": verified.unfinished,
    });
    Ok(output.tell(&told, |paint| {
        let mut text = paint.green(format!(
            "{} lines in {} files are as they were written",
            verified.lines, verified.files
        ));
        if verified.first > 1 {
            let before = verified.first.saturating_sub(1).to_string();
            text.extend(["\nlines 1 to ", &before, " are not here any more"]);
        }
        if known.is_none() {
            text.push_str(
                "\nno agent runs here, so a log whose end was cut off looks the same; \
                 the phone notices that when the agent connects",
            );
        }
        text.push_str(&paint.dim(format!("\nhead {}", verified.head)));
        text
    })?)
}

pub(super) fn refused(refused: FileRefused) -> Failure {
    let hint = refused.hint();
    Failure::new(refused, hint)
}

fn concerns(entry: &Entry, pattern: &str) -> bool {
    let names = [&entry.host, &entry.known_hosts, &entry.host_key];
    let mut names = names.into_iter().flatten().chain(&entry.hops);
    // What `known_hosts` says ends with where it was found.
    names.any(|name| {
        let name = name.strip_suffix(" (in known_hosts)").unwrap_or(name);
        name.split(", ").any(|name| matches(pattern, name))
    })
}

/// Whether a name has this form, upper and lower case being the same.
fn matches(pattern: &str, name: &str) -> bool {
    let lower = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    let (pattern, name) = (lower(pattern), lower(name));
    let (mut at, mut of) = (0_usize, 0_usize);
    let mut star: Option<(usize, usize)> = None;
    while let Some(c) = name.get(of) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, of));
                at = at.saturating_add(1);
            }
            Some(p) if *p == '?' || p == c => {
                at = at.saturating_add(1);
                of = of.saturating_add(1);
            }
            Some(_) | None => {
                // The last star takes one more.
                let Some((star_at, taken)) = star else {
                    return false;
                };
                of = taken.saturating_add(1);
                at = star_at.saturating_add(1);
                star = Some((star_at, of));
            }
        }
    }
    pattern
        .get(at..)
        .is_some_and(|rest| rest.iter().all(|c| *c == '*'))
}

/// One line for a terminal; every text in a record is escaped already.
pub(super) fn human(entry: &Entry, paint: Paint) -> String {
    let time = entry.time.trim_end_matches('Z').replace('T', " ");
    let name = format!("{:<11}", entry.event.name());
    let name = match entry.event {
        Event::Approved | Event::Paired | Event::Unlocked => paint.green(name),
        Event::Denied
        | Event::Refused
        | Event::TimedOut
        | Event::Lost
        | Event::WrongPassphrase
        | Event::Questioned => paint.red(name),
        Event::Blocked | Event::Unpaired | Event::Locked | Event::Cancelled => paint.yellow(name),
        Event::Started | Event::Stopped | Event::Asked | Event::Unblocked | Event::Continued => {
            name
        }
    };
    let mut parts = Vec::new();
    if entry.what.is_some() {
        parts.push(what(entry));
    }
    parts.extend(entry.peer.clone());
    let title = title_of_programs(&entry.programs);
    if !title.raw().is_empty() {
        parts.push(format!("{title}"));
    }
    if entry.programs.is_empty() && entry.what.is_none() {
        parts.extend(entry.source.clone());
    }
    parts.extend(entry.reason.clone());
    parts.extend(entry.count.map(|count| format!("{count} times")));
    parts.extend(entry.after_ms.map(seconds));
    let request = entry.request.as_deref().and_then(|id| id.get(..8));
    let request = request
        .map(|id| format!("  {}", paint.dim(id)))
        .unwrap_or_default();
    format!("{}  {name} {}{request}", paint.dim(time), parts.join(", "))
}

/// `login as root at web1 over 1 host (direct)`.
pub(super) fn what(entry: &Entry) -> String {
    let mut text = entry.what.clone().unwrap_or_default();
    if let Some(user) = &entry.user {
        text.extend([" as ", user]);
    }
    if let Some(namespace) = &entry.namespace {
        text.extend([" in ", namespace]);
    }
    if let Some(host) = entry.host.as_ref().or(entry.host_key.as_ref()) {
        text.extend([" at ", host]);
    }
    match entry.hops.len() {
        0 => {}
        1 => text.push_str(" over 1 host"),
        more => text.extend([" over ", &more.to_string(), " hosts"]),
    }
    if let Some(level) = &entry.level {
        text.extend([" (", level, ")"]);
    }
    text
}

pub(super) fn seconds(milliseconds: u64) -> String {
    let (whole, rest) = (milliseconds / 1000, milliseconds % 1000);
    format!("after {whole}.{:01} s", rest / 100)
}

/// How often a followed log is looked at.
const PAUSE: Duration = Duration::from_millis(200);

/// Every record of the log.
pub(super) fn entries(state_dir: &Path) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::new();
    for line in read(state_dir).map_err(refused)? {
        entries.extend(Checker::new().line(&line.map_err(refused)?.bytes));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_ago_and_days_are_understood_and_others_are_refused() {
        assert_eq!(Since::parse("2h"), Ok(Since::Ago(7200)));
        assert_eq!(Since::parse("7d"), Ok(Since::Ago(604_800)));
        for day in ["2026-11-24", "2026-11-24T18:00"] {
            assert_eq!(Since::parse(day), Ok(Since::At(day.to_owned())));
        }
        for bad in [
            "",
            "h",
            "2",
            "2w",
            "-2h",
            "2026-13-01",
            "2026-11-24 18:00",
            "99999999999999999999d",
        ] {
            assert!(Since::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(
            Since::Ago(60).earliest(1_800_000_000),
            "2027-01-15T07:59:00Z"
        );
    }

    #[test]
    fn patterns_match_whole_names_in_either_case() {
        for (pattern, name, good) in [
            ("web1", "web1", true),
            ("web1", "web11", false),
            ("WEB?", "web1", true),
            ("*.example", "a.b.example", true),
            ("*.example", "example", false),
            ("w*b*1", "webb21", true),
            ("*", "", true),
            ("?", "", false),
        ] {
            assert_eq!(matches(pattern, name), good, "{pattern} {name}");
        }
    }

    #[test]
    fn names_keys_and_hops_are_looked_at() {
        let entry = Entry {
            known_hosts: Some("web1, 10.0.0.1 (in known_hosts)".to_owned()),
            hops: vec!["SHA256:hop".to_owned()],
            ..Entry::new(Event::Asked)
        };
        for (pattern, good) in [
            ("web1", true),
            ("10.*", true),
            ("SHA256:hop", true),
            ("db", false),
        ] {
            assert_eq!(concerns(&entry, pattern), good, "{pattern}");
        }
    }
}

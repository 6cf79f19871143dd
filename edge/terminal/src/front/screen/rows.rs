//! The lines of a request: what was checked here, and what is merely reported.

use ratatui::layout::Size;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use vmux_proto::Untrusted;
use vmux_signer::{Host, Pin, PinName, Prompt, Subject};

use super::keys::Screen;
use super::model::Model;
use super::text::{fit, path};
use super::theme::{BOLD, Theme};
use crate::commands::history;
use crate::front::words::{Goes, hop, quoted, summary};

/// What was checked here, most important first: what, and where to, never give way.
pub(super) fn checked(
    prompt: &Prompt,
    screen: &Screen,
    model: &Model,
    theme: Theme,
    columns: usize,
) -> Vec<Line<'static>> {
    match &screen.all(model)[..] {
        [] | [_] => one(prompt, screen, theme, columns),
        all => several(all, one(prompt, screen, theme, columns), theme, columns),
    }
}

/// Several requests that are answered together. What differs between them is said of each.
fn several(
    all: &[&Prompt],
    first: Vec<Line<'static>>,
    theme: Theme,
    columns: usize,
) -> Vec<Line<'static>> {
    let count = all.len();
    let [prompt, others @ ..] = all else {
        return first;
    };
    if others.iter().all(|other| is_alike(prompt, other)) {
        let title = format!("{count} requests at once, each of them:");
        return [vec![Line::styled(title, BOLD)], first].concat();
    }
    let mut kinds: Vec<(&Prompt, usize)> = Vec::new();
    for one in all {
        match kinds.iter_mut().find(|(kind, _)| is_alike(kind, one)) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => kinds.push((one, 1)),
        }
    }
    let mut rows = vec![Line::styled(format!("{count} requests at once:"), BOLD)];
    rows.extend(doubt(prompt, theme, columns));
    rows.extend(kinds.into_iter().map(|(kind, count)| {
        let text = format!("{count} × {}", summary(kind));
        Line::styled(fit(&text, columns), theme.standing(Goes::of(kind)))
    }));
    let room = columns.saturating_sub(LABEL);
    rows.push(row("with", &with(prompt, room), room));
    rows
}

/// Whether two requests differ in nothing that a person can compare; of two signatures nobody
/// compares the hashes.
fn is_alike(one: &Prompt, other: &Prompt) -> bool {
    let subject = match (&one.subject, &other.subject) {
        (
            Subject::Signature { namespace, .. },
            Subject::Signature {
                namespace: same, ..
            },
        ) => namespace == same,
        (one, other) => one == other,
    };
    subject && (one.level, &one.host, &one.hops) == (other.level, &other.host, &other.hops)
}

fn one(prompt: &Prompt, screen: &Screen, theme: Theme, columns: usize) -> Vec<Line<'static>> {
    let goes = Goes::of(prompt);
    let room = columns.saturating_sub(LABEL);
    let mut rows = vec![subject(prompt, columns), destination(goes, theme, columns)];
    rows.extend(doubt(prompt, theme, columns));
    if let Some(host) = &prompt.host {
        rows.push(row("key", &key(host, room), room));
    }
    match goes {
        Goes::Changed(pin) => {
            rows.push(row("was", &pin.fingerprint.to_string(), room));
            let way_out = format!("vmux-signer pins forget {}", pin.name.as_str());
            rows.push(row("fix", &way_out, room));
        }
        Goes::New => {
            rows.push(row("call", &name(prompt, screen.name()), room));
            rows.extend(prompt.namesake.as_ref().map(|pin| note(pin, room)));
        }
        Goes::Pinned(_)
        | Goes::Claimed
        | Goes::Unknown
        | Goes::Nowhere
        | Goes::NowhereForwarded => {}
    }
    rows.extend(way(prompt, goes, room));
    rows.push(row("with", &with(prompt, room), room));
    match (goes, &prompt.subject) {
        (Goes::Pinned(pin), _) => rows.push(row("known", &history(pin), room)),
        (_, Subject::Signature { hash, .. }) => {
            rows.push(row("hash", hash, room));
        }
        (_, Subject::Login { .. }) => {}
    }
    rows
}

/// How many lines of what was checked a window of this size leaves out. Nobody approves what they
/// cannot see.
pub(super) fn left_out(prompt: &Prompt, screen: &Screen, model: &Model, size: Size) -> usize {
    let all = checked(prompt, screen, model, Theme::Plain, inside(size.width)).len();
    all.saturating_sub(visible(all, room_for_boxes(size.height)))
}

/// As many of the lines as fit, and how many do not.
pub(super) fn fitting(mut lines: Vec<Line<'static>>, boxes: u16) -> Vec<Line<'static>> {
    let all = lines.len();
    let visible = visible(all, boxes);
    if visible < all {
        lines.truncate(visible);
        let more = all.saturating_sub(visible);
        lines.push(Line::styled(format!("+{more} lines"), BOLD));
    }
    lines
}

/// How many of so many lines are shown where the boxes have these rows.
fn visible(all: usize, boxes: u16) -> usize {
    let room = usize::from(boxes.saturating_sub(LEAST_REPORTED).saturating_sub(BORDERS));
    if all <= room {
        all
    } else {
        // One is for the mark that says so.
        room.saturating_sub(1)
    }
}

/// Columns in a box of a window this wide.
pub(super) fn inside(width: u16) -> usize {
    usize::from(width).saturating_sub(FRAME)
}

/// Rows for both boxes in a window this high: without the header, the question and the keys.
pub(super) const fn room_for_boxes(height: u16) -> u16 {
    height.saturating_sub(3)
}

/// What the workstation says about the client, most telling first.
pub(super) fn reported(prompt: &Prompt, columns: usize) -> Vec<Line<'static>> {
    let room = columns.saturating_sub(LABEL);
    let reported = &prompt.reported;
    let shown = |text: &str| Untrusted::new(text).to_string();
    let mut rows = Vec::new();
    if let Some(client) = reported.processes.first() {
        rows.push(row("ran", &shown(&client.command), room));
    }
    if let Some(host) = &reported.host {
        rows.push(row("host", &shown(host), room));
    }
    if !reported.processes.is_empty() {
        let programs: Vec<_> = reported
            .processes
            .iter()
            // Of another user's process the workstation learns no program.
            .filter(|process| !process.program.is_empty())
            .map(|process| shown(base(&process.program)))
            .collect();
        rows.push(row("by", &programs.join(" ← "), room));
    }
    rows.push(row("from", &prompt.source.to_string(), room));
    for (label, text) in [
        ("dir", &reported.directory),
        ("tty", &reported.terminal),
        ("known", &reported.known_hosts),
        ("user", &reported.user),
    ] {
        if let Some(text) = text {
            rows.push(row(label, &shown(text), room));
        }
    }
    rows
}

/// That the workstation's log was cut or rewritten, which this signer found out by itself.
fn doubt(prompt: &Prompt, theme: Theme, columns: usize) -> Option<Line<'static>> {
    let style = theme.bad().add_modifier(Modifier::BOLD);
    let words = "WARNING: its log was cut or rewritten";
    let line = || Line::styled(fit(words, columns), style);
    prompt.log_in_doubt.then(line)
}

fn subject(prompt: &Prompt, columns: usize) -> Line<'static> {
    let (what, whom) = match &prompt.subject {
        Subject::Login { user } => ("Login as ", quoted(user)),
        Subject::Signature { namespace, .. } => ("Signature for ", quoted(namespace)),
    };
    let whom = fit(&whom, columns.saturating_sub(what.len()));
    Line::from(vec![Span::styled(what, BOLD), Span::styled(whom, BOLD)])
}

fn destination(goes: Goes<'_>, theme: Theme, columns: usize) -> Line<'static> {
    let style = theme.standing(goes).add_modifier(Modifier::BOLD);
    let (tag, words) = match goes {
        Goes::Pinned(pin) => (" PINNED ", pin.name.as_str().to_owned()),
        Goes::New => (" NEW ", "a host you have not approved before".to_owned()),
        Goes::Changed(pin) => (
            " CHANGED ",
            format!("{} has another key now: STOP", pin.name.as_str()),
        ),
        Goes::Claimed => (
            " UNVERIFIED ",
            "the client names this key without proof".to_owned(),
        ),
        Goes::Unknown => (" UNVERIFIED ", "this login could go anywhere".to_owned()),
        Goes::Nowhere => (" NO HOST ", "not a login".to_owned()),
        Goes::NowhereForwarded => (" FORWARDED ", "asked for by another host".to_owned()),
    };
    let room = columns.saturating_sub(tag.len()).saturating_sub(2);
    Line::from(vec![
        Span::styled(tag, style.add_modifier(Modifier::REVERSED)),
        Span::raw("  "),
        Span::styled(fit(&words, room), style),
    ])
}

/// The hosts on the way, then the destination.
fn way(prompt: &Prompt, goes: Goes<'_>, room: usize) -> Vec<Line<'static>> {
    if prompt.hops.is_empty() {
        return Vec::new();
    }
    let mut parts: Vec<_> = prompt.hops.iter().map(hop).collect();
    match (goes, &prompt.host) {
        (Goes::NowhereForwarded, _) | (_, None) => parts.push("this signature".to_owned()),
        (Goes::New, _) => parts.push("the new host".to_owned()),
        (_, Some(host)) => parts.push(hop(host)),
    }
    let lines = path(&parts, room).into_iter().enumerate();
    lines
        .map(|(at, line)| row(if at == 0 { "path" } else { "" }, &line, room))
        .collect()
}

fn key(host: &Host, room: usize) -> String {
    let whole = format!("{} {}", host.fingerprint, host.algorithm);
    // Of the two, the algorithm can be missed.
    if super::text::width(&whole) <= room {
        whole
    } else {
        host.fingerprint.to_string()
    }
}

fn with(prompt: &Prompt, room: usize) -> String {
    let whole = format!("{} {}", prompt.identity, prompt.fingerprint);
    if super::text::width(&whole) <= room {
        whole
    } else {
        prompt.identity.clone()
    }
}

/// What the host will be called. A name that the workstation reports is said to be that: it stands in
/// the checked group because the person's approval makes it theirs.
fn name(prompt: &Prompt, name: Option<&PinName>) -> String {
    match name {
        None => "it has no name yet (n gives it one)".to_owned(),
        // In front of the name, so that no name can push it off the row.
        Some(name) if prompt.reported.host.as_deref() == Some(name.as_str()) => {
            format!("reported name {} (n changes it)", name.as_str())
        }
        Some(name) => format!("it {} (n changes it)", name.as_str()),
    }
}

/// That the reported name belongs to another key; a long name gives way to what is said of it.
fn note(pin: &Pin, room: usize) -> Line<'static> {
    let (name, says) = (pin.name.as_str(), " names another key");
    let whole = format!("{name}{says} ({})", pin.algorithm);
    if super::text::width(&whole) <= room {
        return row("note", &whole, room);
    }
    let name = fit(name, room.saturating_sub(says.len()));
    row("note", &format!("{name}{says}"), room)
}

fn row(label: &'static str, text: &str, room: usize) -> Line<'static> {
    Line::from(vec![
        Span::raw(format!("{label:LABEL$}")),
        Span::raw(fit(text, room)),
    ])
}

/// The last part of a path.
fn base(program: &str) -> &str {
    program
        .rsplit('/')
        .find(|part| !part.is_empty())
        .unwrap_or(program)
}

/// Two borders, two columns of padding.
const FRAME: usize = 4;

/// Rows of a box's frame.
pub(super) const BORDERS: u16 = 2;

/// What is reported has a line at least.
pub(super) const LEAST_REPORTED: u16 = 1 + BORDERS;

/// Columns of a label and the space after it.
const LABEL: usize = 6;

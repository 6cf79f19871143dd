//! Puts a request on the screen: two boxes that cannot be mistaken for one another. What was checked
//! here stands in a thick frame in the colour of its standing; what is reported, dim and dashed.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Padding, Paragraph};
use vmux_proto::Now;
use vmux_signer::{After, Prompt};

use super::idle;
use super::keys::{Mode, Next, Screen};
use super::model::Model;
use super::rows;
use super::text::{fit, width};
use super::theme::{BOLD, Theme};
use crate::front::words::{Goes, summary};

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, screen: &Screen, theme: Theme, now: Now) {
    let area = frame.area();
    let [top, rest] = split(area, 1);
    match screen.shown(model) {
        None => {
            header(frame, top, model.name(), "");
            idle::draw(frame, rest, model, theme, now.wall);
        }
        Some(prompt) => {
            let at = model
                .prompts()
                .iter()
                .position(|one| one.request == prompt.request);
            let (at, all) = (
                at.map_or(1, |at| at.saturating_add(1)),
                model.prompts().len(),
            );
            header(frame, top, model.name(), &format!("request {at} of {all}"));
            request(frame, rest, (model, prompt), screen, theme, now.uptime);
        }
    }
}

/// One line at the top: who this is, and how many wait.
pub(super) fn header(frame: &mut Frame<'_>, area: Rect, name: &str, right: &str) {
    let columns = usize::from(area.width);
    let room = columns.saturating_sub(width(right)).saturating_sub(2);
    let left = fit(&format!(" vmux-signer · {name}"), room);
    frame.render_widget(Line::styled(left, BOLD), area);
    frame.render_widget(Line::raw(format!("{right} ")).right_aligned(), area);
}

fn request(
    frame: &mut Frame<'_>,
    area: Rect,
    (model, prompt): (&Model, &Prompt),
    screen: &Screen,
    theme: Theme,
    now: u64,
) {
    let inside = rows::inside(area.width);
    let checked = rows::checked(prompt, screen, model, theme, inside);
    let reported = rows::reported(prompt, inside);
    let [boxes, bottom] = split(area, area.height.saturating_sub(2));

    // Air around the destination, if nothing is lost by it.
    let wanted = height(checked.len()).saturating_add(height(reported.len()));
    let is_one = screen.all(model).len() < 2;
    let checked = if is_one && wanted.saturating_add(2) <= boxes.height {
        airy(checked)
    } else {
        checked
    };
    let checked = rows::fitting(checked, boxes.height);
    let most = boxes.height.saturating_sub(rows::LEAST_REPORTED);
    let [top, rest] = split(boxes, height(checked.len()).min(most));
    let [middle, below] = split(rest, height(reported.len()));

    let style = theme.standing(Goes::of(prompt));
    let left = prompt.deadline.saturating_sub(now).div_ceil(1000);
    let clock = if left <= SOON {
        theme.bad().add_modifier(Modifier::BOLD)
    } else {
        BOLD
    };
    let block = Block::bordered()
        .border_type(BorderType::Thick)
        .border_style(style)
        .padding(Padding::horizontal(1))
        .title(Span::styled(
            " CHECKED HERE ",
            style.add_modifier(Modifier::BOLD),
        ))
        .title(Line::styled(format!(" {left} s left "), clock).right_aligned());
    frame.render_widget(Paragraph::new(checked).block(block), top);

    let title = format!(" REPORTED BY {}", prompt.workstation);
    let title = fit(
        &title,
        usize::from(area.width).saturating_sub(NOT_CHECKED.len()),
    );
    let block = Block::bordered()
        .border_type(BorderType::LightDoubleDashed)
        .padding(Padding::horizontal(1))
        .title(Span::raw(format!("{title}{NOT_CHECKED}")));
    frame.render_widget(
        Paragraph::new(reported).block(block).style(theme.dim()),
        middle,
    );

    others(frame, below, model, (prompt, screen));
    let [question, keys] = split(bottom, 1);
    let enlarge = screen.enlarge(prompt, model, frame.area().as_size());
    let help = help((prompt, model), screen, enlarge.as_deref(), keys.width);
    ask(
        frame,
        question,
        (prompt, model, enlarge),
        screen,
        theme,
        now,
    );
    frame.render_widget(Line::raw(help), keys);
}

/// The other requests, as many as fit.
fn others(frame: &mut Frame<'_>, area: Rect, model: &Model, (prompt, screen): (&Prompt, &Screen)) {
    let above = screen.all(model);
    let is_above = |one: &&Prompt| {
        one.request == prompt.request || above.iter().any(|other| other.request == one.request)
    };
    let mut waiting = model.prompts().iter().filter(|one| !is_above(one));
    let count = waiting.clone().count();
    if count == 0 || area.height < 2 {
        return;
    }
    let columns = usize::from(area.width);
    let mut lines = vec![Line::styled(format!(" {count} more waiting:"), BOLD)];
    let room = usize::from(area.height).saturating_sub(1);
    while lines.len() <= room
        && let Some(one) = waiting.next()
    {
        let line = format!("   {}, asked by {}", summary(one), one.workstation);
        lines.push(Line::raw(fit(&line, columns)));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

/// The line above the keys: what is typed, or what the person is asked for.
fn ask(
    frame: &mut Frame<'_>,
    area: Rect,
    (prompt, model, enlarge): (&Prompt, &Model, Option<String>),
    screen: &Screen,
    theme: Theme,
    now: u64,
) {
    let columns = usize::from(area.width);
    let line = match (screen.note.as_deref(), &screen.mode) {
        (Some(note), _) => Line::styled(fit(&format!(" {note}"), columns), theme.bad()),
        (None, Mode::Number(typed)) => {
            // The digits stand first, so that no name can push them off the line.
            let question = format!("{typed}_  the number that {} shows", prompt.workstation);
            Line::styled(fit(&format!(" Number: {question}"), columns), BOLD)
        }
        (None, Mode::Name(typed, _)) => {
            let room = columns.saturating_sub(" Name of this host: _".len());
            let typed = end(typed, room);
            Line::styled(format!(" Name of this host: {typed}_"), BOLD)
        }
        (None, Mode::Confirm(after)) => {
            let question = consequence(prompt, *after);
            Line::styled(fit(&format!(" {question}"), columns), BOLD)
        }
        (None, Mode::Decided) => Line::raw(" …"),
        (None, Mode::Looking) if screen.is_guarded(now) => Line::styled(" …", theme.dim()),
        (None, Mode::Looking) => {
            let advice = advice(prompt, model, screen, enlarge);
            Line::raw(fit(&format!(" {advice}"), columns))
        }
    };
    frame.render_widget(line, area);
}

fn advice(prompt: &Prompt, model: &Model, screen: &Screen, enlarge: Option<String>) -> String {
    let together = model.together(prompt.request).len().saturating_add(1);
    if prompt.is_blocked() {
        "This cannot be approved, only denied.".to_owned()
    } else if let Some(enlarge) = enlarge {
        enlarge
    } else if together > 1 && screen.all(model).is_empty() {
        format!("{together} wait together: t shows them, to answer all at once.")
    } else if prompt.number.is_some() {
        format!(
            "Approving needs the number that {} shows.",
            prompt.workstation
        )
    } else {
        "Did you ask for this just now?".to_owned()
    }
}

/// What a denial brings with it; the names last, so that nothing is pushed off the line.
fn consequence(prompt: &Prompt, after: After) -> String {
    match after {
        After::Nothing => "Deny?".to_owned(),
        After::Block => format!("Deny and block for an hour: {}?", prompt.source),
        After::NotMe => format!(
            "Not you? Deny all and lock out, until resumed: {}?",
            prompt.workstation
        ),
    }
}

/// The keys that do something, as many as fit; the most important first.
fn help(
    (prompt, model): (&Prompt, &Model),
    screen: &Screen,
    enlarge: Option<&str>,
    columns: u16,
) -> String {
    let can_approve = !prompt.is_blocked() && enlarge.is_none();
    let is_new = Goes::of(prompt) == Goes::New;
    let together = model.together(prompt.request).len().saturating_add(1);
    let all = screen.all(model).len();
    let when = |is_so: bool, key: &str| is_so.then(|| key.to_owned());
    let keys = match &screen.mode {
        Mode::Looking if all > 1 => vec![
            can_approve.then(|| format!("a approve all {all}")),
            Some(format!("d deny all {all}")),
            when(is_new, "n name"),
            when(true, "Esc back"),
        ],
        Mode::Looking => vec![
            when(can_approve, "a approve"),
            when(true, "d deny"),
            (together > 1).then(|| format!("t all {together}")),
            when(is_new, "n name"),
            when(true, "b block"),
            when(true, "x not me"),
            when(model.prompts().len() > 1, "Tab next"),
            when(true, "q quit"),
        ],
        Mode::Number(typed) => vec![
            when(enlarge.is_none() && typed.len() == 2, "Enter approve"),
            when(enlarge.is_none() && typed.len() != 2, "type two digits"),
            when(true, "Esc back"),
            when(is_new, "n name"),
        ],
        Mode::Name(_, Next::Looking | Next::Number) => {
            vec![when(true, "Enter keep"), when(true, "Esc back")]
        }
        Mode::Confirm(_) => vec![when(true, "y yes"), when(true, "Esc back")],
        Mode::Decided => vec![],
    };
    let mut line = String::new();
    for key in keys.into_iter().flatten() {
        let longer = match line.as_str() {
            "" => format!(" {key}"),
            line => format!("{line}   {key}"),
        };
        if width(&longer) > usize::from(columns) {
            break;
        }
        line = longer;
    }
    line
}

/// The end of what is typed, where the cursor is.
fn end(typed: &str, columns: usize) -> String {
    let mut rest = typed;
    while width(rest) > columns {
        let mut characters = rest.chars();
        characters.next();
        rest = characters.as_str();
    }
    rest.to_owned()
}

fn airy(rows: Vec<Line<'static>>) -> Vec<Line<'static>> {
    let mut rows = rows.into_iter();
    let (subject, destination) = (rows.next(), rows.next());
    let air = || Some(Line::raw(""));
    [subject, air(), destination, air()]
        .into_iter()
        .flatten()
        .chain(rows)
        .collect()
}

/// Rows of a box with this many lines.
fn height(lines: usize) -> u16 {
    u16::try_from(lines)
        .unwrap_or(u16::MAX)
        .saturating_add(rows::BORDERS)
}

/// The first rows of an area, and the others.
pub(super) fn split(area: Rect, rows: u16) -> [Rect; 2] {
    let rows = rows.min(area.height);
    let rest = area.height.saturating_sub(rows);
    [
        Rect {
            height: rows,
            ..area
        },
        Rect {
            y: area.y.saturating_add(rows),
            height: rest,
            ..area
        },
    ]
}

const NOT_CHECKED: &str = " — not checked ";

/// Seconds from which on the time left is pressing.
const SOON: u64 = 10;

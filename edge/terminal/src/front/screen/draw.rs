//! Puts a request on the screen: two boxes that cannot be mistaken for one another. What was checked
//! here stands in a thick frame in the colour of its standing; what is reported, dim and dashed.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Padding, Paragraph};
use vmux_signer::Prompt;

use super::idle;
use super::keys::{After, Mode, Screen};
use super::model::Model;
use super::rows;
use super::text::{fit, width};
use super::theme::{BOLD, Theme};
use crate::front::words::{Goes, summary};

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, screen: &Screen, theme: Theme, now: u64) {
    let area = frame.area();
    let [top, rest] = split(area, 1);
    match screen.shown(model) {
        None => {
            header(frame, top, model.name(), "");
            idle::draw(frame, rest, model, theme);
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
            request(frame, rest, (model, prompt), screen, theme, now);
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
    let checked = rows::checked(prompt, screen, theme, inside);
    let reported = rows::reported(prompt, inside);
    let [boxes, bottom] = split(area, area.height.saturating_sub(2));

    // Air around the destination, if nothing is lost by it.
    let wanted = height(checked.len()).saturating_add(height(reported.len()));
    let checked = if wanted.saturating_add(2) <= boxes.height {
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

    others(frame, below, model, prompt);
    let [question, keys] = split(bottom, 1);
    let enlarge = screen.enlarge(prompt, frame.area().as_size());
    let help = help(prompt, screen, enlarge.as_deref(), model.prompts().len());
    ask(frame, question, (prompt, enlarge), screen, theme, now);
    frame.render_widget(Line::raw(help), keys);
}

/// The other requests, as many as fit.
fn others(frame: &mut Frame<'_>, area: Rect, model: &Model, prompt: &Prompt) {
    let mut waiting = model
        .prompts()
        .iter()
        .filter(|one| one.request != prompt.request);
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
    (prompt, enlarge): (&Prompt, Option<String>),
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
        (None, Mode::Decided) => Line::raw(" …"),
        (None, Mode::Looking) if screen.is_guarded(now) => Line::styled(" …", theme.dim()),
        (None, Mode::Looking) => Line::raw(fit(&format!(" {}", advice(prompt, enlarge)), columns)),
    };
    frame.render_widget(line, area);
}

fn advice(prompt: &Prompt, enlarge: Option<String>) -> String {
    if prompt.is_blocked() {
        "This cannot be approved, only denied.".to_owned()
    } else if let Some(enlarge) = enlarge {
        enlarge
    } else if prompt.number.is_some() {
        format!(
            "Approving needs the number that {} shows.",
            prompt.workstation
        )
    } else {
        "Did you ask for this just now?".to_owned()
    }
}

fn help(prompt: &Prompt, screen: &Screen, enlarge: Option<&str>, waiting: usize) -> String {
    let mut keys = match &screen.mode {
        Mode::Number(_) if enlarge.is_some() => vec!["Esc back"],
        Mode::Number(typed) if typed.len() == 2 => vec!["Enter approve", "Esc back"],
        Mode::Number(_) => vec!["type two digits", "Esc back"],
        Mode::Name(_, After::Looking | After::Number) => vec!["Enter keep", "Esc back"],
        Mode::Decided => vec![],
        Mode::Looking if prompt.is_blocked() || enlarge.is_some() => vec!["d deny"],
        Mode::Looking => vec!["a approve", "d deny"],
    };
    let naming = match screen.mode {
        Mode::Looking | Mode::Number(_) => Goes::of(prompt) == Goes::New,
        Mode::Name(..) | Mode::Decided => false,
    };
    if naming {
        keys.push("n name");
    }
    if screen.mode == Mode::Looking {
        if waiting > 1 {
            keys.push("Tab next");
        }
        keys.push("q quit");
    }
    format!(" {}", keys.join("   "))
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

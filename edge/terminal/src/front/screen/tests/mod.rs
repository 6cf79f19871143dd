//! The screen as a person sees it, and what the keys do.

mod keys;
mod pictures;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Size;
use vmux_proto::Now;
use vmux_signer::Prompt;

use super::draw;
use super::keys::{GUARD_MS, Screen};
use super::model::Model;
use super::theme::Theme;
use crate::front::{News, sample};

/// 42 seconds before the requests end.
const NOW: u64 = sample::DEADLINE - 42_000;

/// The same, on 2026-01-02.
const BOTH: Now = Now {
    uptime: NOW,
    wall: 1_767_312_000,
};

const SMALL: Size = Size::new(60, 15);
const USUAL: Size = Size::new(80, 24);
const LARGE: Size = Size::new(120, 40);

/// A screen with these requests, the first of which has been on it for a moment.
fn world(prompts: &[Prompt]) -> (Screen, Model) {
    let mut model = Model::new("desk");
    for prompt in prompts {
        model.take(News::Asked(prompt));
    }
    let mut screen = Screen::default();
    screen.follow(&model);
    screen.seen(NOW - GUARD_MS);
    (screen, model)
}

fn drawn(screen: &Screen, model: &Model, size: Size, theme: Theme) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(size.width, size.height)).unwrap();
    terminal
        .draw(|frame| draw::draw(frame, model, screen, theme, BOTH))
        .unwrap();
    terminal.backend().buffer().clone()
}

/// What is on the screen, a line each, without the spaces at the ends.
fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let mut text = String::new();
    for row in buffer.content.chunks(width) {
        let line: String = cells(row);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The symbols of a row; a wide one takes the place of two.
fn cells(row: &[ratatui::buffer::Cell]) -> String {
    let mut line = String::new();
    let mut columns = row.iter();
    while let Some(cell) = columns.next() {
        line.push_str(cell.symbol());
        for _ in 1..super::text::width(cell.symbol()) {
            columns.next();
        }
    }
    line
}

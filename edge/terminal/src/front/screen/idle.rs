//! The screen while nobody asks for anything.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::draw::split;
use super::model::{AgentRow, Ending, IdentityRow, Model};
use super::text::{fit, width};
use super::theme::{BOLD, Theme};
use crate::front::AgentState;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme, wall: u64) {
    let columns = usize::from(area.width);
    let mut lines = vec![Line::raw(""), Line::styled(" Waiting for requests.", BOLD)];
    if let Some(failure) = model.log_failure() {
        let text = " Nothing is signed: the log cannot be written.";
        lines.push(Line::styled(fit(text, columns), theme.bad()));
        let text = format!("   {failure}");
        lines.push(Line::styled(fit(&text, columns), theme.bad()));
    }
    lines.push(heading("Workstations"));
    if model.agents().is_empty() {
        lines.push(hint(
            "none yet: run `vmux-agent pair` on one, then",
            columns,
            theme,
        ));
        lines.push(hint(
            "`vmux-signer pair LINK` in another terminal here",
            columns,
            theme,
        ));
    }
    lines.extend(
        model
            .agents()
            .iter()
            .map(|agent| agent_line(agent, columns, theme)),
    );
    lines.push(heading("Keys"));
    if model.identities().is_empty() {
        let how = "none yet: `vmux-signer key new --label NAME` in another terminal";
        lines.push(hint(how, columns, theme));
    }
    lines.extend(
        model
            .identities()
            .iter()
            .map(|one| identity_line(one, columns, theme)),
    );
    lines.extend(blocks(model, columns, wall));
    let mut recent = model.recent().peekable();
    if recent.peek().is_some() {
        lines.push(heading("Recent"));
    }
    lines.extend(recent.map(|one| {
        let style = match one.ending {
            Ending::Good => theme.good(),
            Ending::Bad => theme.bad(),
            Ending::Neither => theme.dim(),
        };
        Line::styled(fit(&format!("   {}", one.text), columns), style)
    }));
    let [above, keys] = split(area, area.height.saturating_sub(1));
    frame.render_widget(Paragraph::new(lines), above);
    frame.render_widget(Line::raw(" q quit"), keys);
}

fn heading(text: &'static str) -> Line<'static> {
    Line::styled(format!(" {text}"), BOLD)
}

fn hint(text: &str, columns: usize, theme: Theme) -> Line<'static> {
    Line::styled(fit(&format!("   {text}"), columns), theme.dim())
}

/// What is blocked, and for how long still.
fn blocks(model: &Model, columns: usize, wall: u64) -> Vec<Line<'static>> {
    let waiting = model.blocks().iter().filter(|block| wall < block.ends);
    let rows: Vec<_> = waiting
        .map(|block| {
            let minutes = block.ends.saturating_sub(wall).div_ceil(60);
            let (source, name) = (&block.source, model.name_of(block.link));
            // In front, so that no name can push it off the line.
            let text = format!("   {minutes} min: {source} on {name}");
            Line::raw(fit(&text, columns))
        })
        .collect();
    let heading = (!rows.is_empty()).then(|| heading("Blocked"));
    heading.into_iter().chain(rows).collect()
}

fn agent_line(agent: &AgentRow, columns: usize, theme: Theme) -> Line<'static> {
    if agent.suspended {
        let words = format!("locked out; `vmux-signer resume {}`", agent.name);
        return two(&agent.name, &words, theme.bad(), columns);
    }
    let (words, style) = match &agent.state {
        AgentState::Connecting => ("connecting".to_owned(), theme.dim()),
        AgentState::Connected => ("connected".to_owned(), theme.good()),
        AgentState::Away => ("away: its agent is not running".to_owned(), theme.dim()),
        AgentState::Unreachable(reason) => (reason.clone(), theme.bad()),
    };
    two(&agent.name, &words, style, columns)
}

fn identity_line(identity: &IdentityRow, columns: usize, theme: Theme) -> Line<'static> {
    if identity.enabled {
        two(
            &identity.label,
            &identity.fingerprint,
            Style::new(),
            columns,
        )
    } else {
        two(&identity.label, "disabled", theme.dim(), columns)
    }
}

/// A name, and after it what there is to say; the name gets what it needs, up to half of the line.
fn two(name: &str, words: &str, style: Style, columns: usize) -> Line<'static> {
    let name = fit(&format!("   {name}"), columns / 2);
    let room = columns.saturating_sub(width(&name)).saturating_sub(2);
    Line::from(vec![
        Span::raw(name),
        Span::raw("  "),
        Span::styled(fit(words, room), style),
    ])
}

//! Colours, and what stands in for them where there are none. No meaning rests on colour alone.

use ratatui::style::{Color, Modifier, Style};

use crate::front::words::Goes;

/// Whether there are colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Theme {
    /// There are.
    Colours,
    /// There are none (`NO_COLOR`).
    Plain,
}

impl Theme {
    pub(super) fn of_environment() -> Self {
        match std::env::var_os("NO_COLOR") {
            Some(value) if !value.is_empty() => Self::Plain,
            _ => Self::Colours,
        }
    }

    fn coloured(self, colour: Color) -> Style {
        match self {
            Self::Colours => Style::new().fg(colour),
            Self::Plain => Style::new(),
        }
    }

    /// For what the signer knows about a destination.
    pub(super) fn standing(self, goes: Goes<'_>) -> Style {
        match goes {
            Goes::Pinned(_) => self.good(),
            Goes::New => self.coloured(Color::Yellow),
            Goes::Changed(_) => self.bad(),
            Goes::Claimed | Goes::Unknown | Goes::NowhereForwarded => self.coloured(Color::Magenta),
            Goes::Nowhere => self.coloured(Color::Cyan),
        }
    }

    pub(super) fn good(self) -> Style {
        self.coloured(Color::Green)
    }

    pub(super) fn bad(self) -> Style {
        self.coloured(Color::Red)
    }

    pub(super) fn dim(self) -> Style {
        match self {
            // More terminals show grey than the attribute.
            Self::Colours => Style::new().fg(Color::DarkGray),
            Self::Plain => Style::new().add_modifier(Modifier::DIM),
        }
    }
}

/// What matters most.
pub(super) const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);

//! The field in which a new host gets its name.

use ratatui::crossterm::event::KeyCode;
use vmux_proto::untrusted::is_visible;
use vmux_signer::{PinName, Pins, Prompt};

use super::keys::{MAX_TYPED, Mode, Next, Screen};
use crate::front::words::Goes;

impl Screen {
    pub(super) fn begin_naming(&mut self, prompt: &Prompt, next: Next) {
        if Goes::of(prompt) == Goes::New {
            let name = self.name.as_ref().map_or("", PinName::as_str);
            self.mode = Mode::Name(name.to_owned(), next);
        }
    }

    pub(super) fn naming(
        &mut self,
        key: KeyCode,
        mut text: String,
        next: Next,
        (prompt, pins): (&Prompt, &Pins),
    ) {
        match key {
            KeyCode::Char(typed) if is_visible(typed) && text.chars().count() < MAX_TYPED => {
                text.push(typed);
            }
            KeyCode::Backspace => drop(text.pop()),
            KeyCode::Enter => match PinName::parse(&text) {
                Ok(name) if is_taken(&name, prompt, pins) => {
                    self.note = Some("That is the name of another key; choose another.".into());
                }
                Ok(name) => {
                    self.name = Some(name);
                    self.mode = next.into();
                    return;
                }
                Err(_) => {
                    self.note = Some("A name has 1 to 128 visible characters, no spaces.".into());
                }
            },
            KeyCode::Esc => {
                self.mode = next.into();
                return;
            }
            _ => {}
        }
        self.mode = Mode::Name(text, next);
    }
}

/// Whether a name belongs to another key than the one of the request's host.
fn is_taken(name: &PinName, prompt: &Prompt, pins: &Pins) -> bool {
    let host = prompt.host.as_ref();
    host.is_some_and(|host| {
        let mut namesakes = pins.namesakes(host.fingerprint, name.as_str());
        namesakes.next().is_some()
    })
}

//! What the person's keys mean. A request is decided by keys pressed while it was on the screen for
//! a moment, and by nothing that was on its way when it appeared.

use std::borrow::Cow;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Size;
use vmux_proto::message::{Number, RequestId};
use vmux_proto::untrusted::is_visible;
use vmux_signer::{After, Decision, PinName, Prompt};

use super::model::Model;
use super::rows::left_out;
use crate::front::Act;
use crate::front::words::{Goes, suggested_name};

/// What the keys have done so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Screen {
    shown: Option<RequestId>,
    /// The requests answered together with it; none while it is answered alone.
    all: Vec<RequestId>,
    /// Since when no key was ignored; nothing while the request has not been drawn.
    quiet_since: Option<u64>,
    pub(super) mode: Mode,
    /// What a new host will be called.
    pub(super) name: Option<PinName>,
    pub(super) note: Option<Cow<'static, str>>,
}

/// What is being typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nothing.
    #[default]
    Looking,
    /// The number.
    Number(String),
    /// The name of a new host, and where to go on after it.
    Name(String, Next),
    /// A denial with consequences, to be confirmed.
    Confirm(After),
    /// Nothing any more: the decision is on its way.
    Decided,
}

/// Where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Looking,
    Number,
}

impl Screen {
    /// The request on the screen.
    pub(super) fn shown<'a>(&self, model: &'a Model) -> Option<&'a Prompt> {
        let shown = self.shown?;
        model
            .prompts()
            .iter()
            .find(|prompt| prompt.request == shown)
    }

    /// What a new host will be called.
    pub(super) const fn name(&self) -> Option<&PinName> {
        self.name.as_ref()
    }

    /// Whether keys are still ignored.
    pub(super) fn is_guarded(&self, now: u64) -> bool {
        self.quiet_since
            .is_none_or(|since| now < since.saturating_add(GUARD_MS))
    }

    /// The requests answered together, the one on the screen first; none while that is answered
    /// alone.
    pub(super) fn all<'a>(&self, model: &'a Model) -> Vec<&'a Prompt> {
        let prompt = |id: &RequestId| model.prompts().iter().find(|one| one.request == *id);
        self.all.iter().filter_map(prompt).collect()
    }

    /// What stands in the way of approving in a window of this size.
    pub(super) fn enlarge(&self, prompt: &Prompt, model: &Model, size: Size) -> Option<String> {
        if size.width < MIN_SIZE.width || size.height < MIN_SIZE.height {
            let Size { width, height } = MIN_SIZE;
            return Some(format!(
                "Enlarge the window to {width}x{height} to approve."
            ));
        }
        match left_out(prompt, self, model, size) {
            0 => None,
            more => Some(format!(
                "Enlarge the window to approve: {more} lines do not fit."
            )),
        }
    }

    /// Keeps to the request on the screen; takes the oldest one when it is gone.
    pub(super) fn follow(&mut self, model: &Model) {
        if self.shown(model).is_none() {
            self.show(model.prompts().first());
        }
        let waits = |id: &RequestId| model.prompts().iter().any(|one| one.request == *id);
        self.all.retain(waits);
    }

    /// Whether the request was chosen and not drawn yet.
    pub(super) const fn is_unseen(&self) -> bool {
        self.quiet_since.is_none()
    }

    /// The request has been drawn.
    pub(super) fn seen(&mut self, now: u64) {
        self.quiet_since.get_or_insert(now);
    }

    /// What a key does.
    pub(super) fn key(
        &mut self,
        key: KeyEvent,
        model: &Model,
        size: Size,
        now: u64,
    ) -> Option<Act> {
        if is_interrupt(key) {
            return Some(Act::Quit);
        }
        if !key.modifiers.difference(KeyModifiers::SHIFT).is_empty() {
            return None;
        }
        let Some(prompt) = self.shown(model) else {
            return (key.code == KeyCode::Char('q')).then_some(Act::Quit);
        };
        if self.is_guarded(now) {
            // A key that is held down since before never becomes one that counts.
            self.quiet_since = self.quiet_since.map(|_| now);
            return None;
        }
        self.note = None;
        match core::mem::take(&mut self.mode) {
            Mode::Looking if self.all.is_empty() => self.looking(key.code, prompt, model, size),
            Mode::Looking => self.looking_at_all(key.code, prompt, model, size),
            Mode::Number(text) => self.number(key.code, text, (prompt, model), size),
            Mode::Confirm(after) => self.confirming(key.code, prompt, after),
            Mode::Name(text, next) => {
                self.naming(key.code, text, next, (prompt, model.pins()));
                None
            }
            Mode::Decided => {
                self.mode = Mode::Decided;
                None
            }
        }
    }

    /// What pasted text does: nothing, except in the field for a name.
    pub(super) fn paste(&mut self, pasted: &str, now: u64) {
        if self.is_guarded(now) {
            return;
        }
        if let Mode::Name(text, _) = &mut self.mode {
            text.extend(pasted.chars().filter(|c| is_visible(*c)).take(MAX_TYPED));
        }
    }

    fn looking(&mut self, key: KeyCode, prompt: &Prompt, model: &Model, size: Size) -> Option<Act> {
        match key {
            KeyCode::Char('d') => return Some(self.decide(prompt, Decision::Deny(After::Nothing))),
            KeyCode::Char('b') => self.mode = Mode::Confirm(After::Block),
            KeyCode::Char('x') => self.mode = Mode::Confirm(After::NotMe),
            KeyCode::Char('a') => return self.begin_approving(prompt, model, size),
            KeyCode::Char('t') => self.gather(prompt, model),
            KeyCode::Char('n') => self.begin_naming(prompt, Next::Looking),
            KeyCode::Tab => self.show(neighbour(model.prompts(), prompt)),
            KeyCode::BackTab => self.show(neighbour(model.prompts().iter().rev(), prompt)),
            KeyCode::Char('q') => return Some(Act::Quit),
            _ => {}
        }
        None
    }

    fn looking_at_all(
        &mut self,
        key: KeyCode,
        prompt: &Prompt,
        model: &Model,
        size: Size,
    ) -> Option<Act> {
        match key {
            KeyCode::Char('a') => return self.begin_approving(prompt, model, size),
            KeyCode::Char('d') => return Some(self.decide(prompt, Decision::Deny(After::Nothing))),
            KeyCode::Char('n') => self.begin_naming(prompt, Next::Looking),
            // The screen changes, so it must be seen anew.
            KeyCode::Esc => {
                self.all.clear();
                self.quiet_since = None;
            }
            _ => {}
        }
        None
    }

    /// Puts all that wait together with this request on the screen. They stay these, whatever else
    /// comes: only what was seen is approved.
    fn gather(&mut self, prompt: &Prompt, model: &Model) {
        let others = model.together(prompt.request);
        if !others.is_empty() {
            self.all = [&[prompt.request], others].concat();
            self.quiet_since = None;
        }
    }

    fn begin_approving(&mut self, prompt: &Prompt, model: &Model, size: Size) -> Option<Act> {
        if prompt.is_blocked() {
            self.note = Some("A changed host key cannot be approved.".into());
            return None;
        }
        if prompt.number.is_none() {
            return self.approve((prompt, model), None, size);
        }
        self.note = self.enlarge(prompt, model, size).map(Cow::Owned);
        if self.note.is_none() {
            self.mode = Mode::Number(String::new());
        }
        None
    }

    /// The second key of two, another than the first: one that is held down confirms nothing.
    fn confirming(&mut self, key: KeyCode, prompt: &Prompt, after: After) -> Option<Act> {
        match key {
            KeyCode::Char('y') => return Some(self.decide(prompt, Decision::Deny(after))),
            KeyCode::Esc => {}
            _ => self.mode = Mode::Confirm(after),
        }
        None
    }

    fn number(
        &mut self,
        key: KeyCode,
        mut text: String,
        (prompt, model): (&Prompt, &Model),
        size: Size,
    ) -> Option<Act> {
        match key {
            KeyCode::Char(digit) if digit.is_ascii_digit() && text.len() < 2 => text.push(digit),
            KeyCode::Backspace => drop(text.pop()),
            KeyCode::Esc => return None,
            KeyCode::Char('n') if Goes::of(prompt) == Goes::New => {
                self.begin_naming(prompt, Next::Number);
                return None;
            }
            KeyCode::Enter if text.len() == 2 => {
                if let Some(number) = Number::parse(&text) {
                    let act = self.approve((prompt, model), Some(number), size);
                    if act.is_none() {
                        self.mode = Mode::Number(text);
                    }
                    return act;
                }
                self.note = Some("The number is from 10 to 99.".into());
                text.clear();
            }
            _ => {}
        }
        self.mode = Mode::Number(text);
        None
    }

    /// Approves, if everything that was checked can be seen.
    fn approve(
        &mut self,
        (prompt, model): (&Prompt, &Model),
        number: Option<Number>,
        size: Size,
    ) -> Option<Act> {
        self.note = self.enlarge(prompt, model, size).map(Cow::Owned);
        if self.note.is_some() {
            return None;
        }
        let name = self.name.clone();
        Some(self.decide(prompt, Decision::Approve { number, name }))
    }

    fn decide(&mut self, prompt: &Prompt, decision: Decision) -> Act {
        self.mode = Mode::Decided;
        match self.all.len() {
            0 | 1 => Act::Decide(prompt.request, decision),
            _ => Act::DecideTogether(core::mem::take(&mut self.all), decision),
        }
    }

    /// Puts another request on the screen, with nothing typed yet.
    fn show(&mut self, prompt: Option<&Prompt>) {
        let request = prompt.map(|prompt| prompt.request);
        if self.shown != request {
            *self = Self {
                shown: request,
                all: Vec::new(),
                quiet_since: None,
                mode: Mode::Looking,
                name: prompt.and_then(suggested_name),
                note: None,
            };
        }
    }
}

impl From<Next> for Mode {
    fn from(next: Next) -> Self {
        match next {
            Next::Looking => Self::Looking,
            Next::Number => Self::Number(String::new()),
        }
    }
}

/// Control-C, which always counts.
pub(super) fn is_interrupt(key: KeyEvent) -> bool {
    key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c')
}

/// The one after `prompt`, or the first.
fn neighbour<'a>(
    prompts: impl IntoIterator<Item = &'a Prompt> + Clone,
    prompt: &Prompt,
) -> Option<&'a Prompt> {
    let mut after = prompts
        .clone()
        .into_iter()
        .skip_while(|one| one.request != prompt.request);
    after.nth(1).or_else(|| prompts.into_iter().next())
}

/// Keys pressed within this time after a request was drawn do nothing.
pub(super) const GUARD_MS: u64 = 500;

/// In a smaller window not everything can be seen, so nothing can be approved.
pub(super) const MIN_SIZE: Size = Size::new(60, 15);

/// As many characters as a name can have.
pub(super) const MAX_TYPED: usize = 128;

//! The full-screen prompt: the screen is drawn and keys are read on a thread of its own, so that a
//! terminal that stands still holds up nothing but itself.

mod draw;
mod idle;
mod keys;
mod model;
mod naming;
mod rows;
#[cfg(test)]
mod tests;
mod text;
mod theme;

use core::time::Duration;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{
    self, DisableBracketedPaste, EnableBracketedPaste, Event, KeyEventKind,
};
use ratatui::crossterm::execute;
use tokio::sync::mpsc;
use vmux_host::clock;

use super::{Act, Front, News};
use keys::{Screen, is_interrupt};
use model::Model;
use theme::Theme;

/// The screen, as the desk sees it.
#[derive(Debug)]
pub(crate) struct ScreenFront {
    model: Arc<Mutex<Model>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl ScreenFront {
    /// Takes over the terminal; what the person does arrives at `acts`.
    pub(crate) fn start(name: &str, acts: mpsc::Sender<Act>) -> io::Result<Self> {
        let model = Arc::new(Mutex::new(Model::new(name)));
        let stop = Arc::new(AtomicBool::new(false));
        let terminal = Taken::take()?;
        let (shown, stopped) = (Arc::clone(&model), Arc::clone(&stop));
        let thread = thread::Builder::new()
            .name("screen".to_owned())
            .spawn(move || {
                let done = show(terminal, &shown, &stopped, &acts);
                // Without a screen nobody can be asked. The desk may have stopped before.
                drop(acts.blocking_send(Act::Quit));
                done
            })?;
        Ok(Self {
            model,
            stop,
            thread: Some(thread),
        })
    }

    /// Gives the terminal back.
    pub(crate) fn close(mut self) -> io::Result<()> {
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        // Reading keys never ends on a terminal that was closed; the process must.
        for _ in 0..PATIENCE {
            if thread.is_finished() {
                return thread
                    .join()
                    .unwrap_or_else(|_| Err(io::Error::other("the screen failed")));
            }
            thread::sleep(BETWEEN_LOOKS);
        }
        Err(io::Error::other("the terminal is gone"))
    }
}

impl Front for ScreenFront {
    fn tell(&mut self, news: News<'_>) {
        locked(&self.model).take(news);
    }
}

impl Drop for ScreenFront {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::debug!(%error, "the screen ended badly");
        }
    }
}

/// The terminal in full-screen mode; given back when dropped, and by ratatui's hook in a panic.
struct Taken(DefaultTerminal);

impl Taken {
    fn take() -> io::Result<Self> {
        let taken = Self(ratatui::try_init()?);
        // So that pasted text does not arrive as keys, of which one might be `a`.
        execute!(io::stdout(), EnableBracketedPaste)?;
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that went away.
        drop(execute!(io::stdout(), DisableBracketedPaste));
        drop(ratatui::try_restore());
    }
}

fn show(
    mut taken: Taken,
    model: &Mutex<Model>,
    stop: &AtomicBool,
    acts: &mpsc::Sender<Act>,
) -> io::Result<()> {
    let theme = Theme::of_environment();
    let mut screen = Screen::default();
    let mut drawn: Option<(u64, u64)> = None;
    let mut snapshot = locked(model).clone();
    let mut size = taken.0.size()?;
    while !stop.load(Ordering::Relaxed) {
        let mut stale = false;
        let mut wait = BETWEEN_LOOKS;
        while event::poll(wait)? {
            wait = Duration::ZERO;
            stale = true;
            let now = clock::now().uptime;
            let act = match event::read()? {
                // What counts is what was drawn, not how large the window became since.
                Event::Key(key) if key.kind == KeyEventKind::Press => {
                    screen.key(key, &snapshot, size, now)
                }
                Event::Paste(text) => {
                    screen.paste(&text, now);
                    None
                }
                _ => None,
            };
            if let Some(act) = act
                && acts.blocking_send(act).is_err()
            {
                return Ok(());
            }
        }
        let now = clock::now();
        if locked(model).changes() != snapshot.changes() {
            snapshot = locked(model).clone();
        }
        // The countdown changes ten times as often as needed; drawing the same costs nothing.
        let version = (
            snapshot.changes(),
            if snapshot.prompts().is_empty() {
                now.wall / 60
            } else {
                now.uptime / 250
            },
        );
        if stale || drawn != Some(version) {
            screen.follow(&snapshot);
            size = taken
                .0
                .draw(|frame| draw::draw(frame, &snapshot, &screen, theme, now))?
                .area
                .as_size();
            drawn = Some(version);
            if screen.is_unseen() {
                if let Some(Act::Quit) = discard(waiting)? {
                    return Ok(());
                }
                screen.seen(clock::now().uptime);
                // What was thrown away may have been a change of the window's size.
                drawn = None;
            }
        }
    }
    Ok(())
}

/// The next event, if there is one already.
fn waiting() -> io::Result<Option<Event>> {
    if event::poll(Duration::ZERO)? {
        event::read().map(Some)
    } else {
        Ok(None)
    }
}

/// Throws away what was typed before a request was drawn, however long drawing took. Only Control-C
/// still counts.
fn discard(mut waiting: impl FnMut() -> io::Result<Option<Event>>) -> io::Result<Option<Act>> {
    let mut act = None;
    while let Some(event) = waiting()? {
        if let Event::Key(key) = event
            && is_interrupt(key)
        {
            act = Some(Act::Quit);
        }
    }
    Ok(act)
}

fn locked(model: &Mutex<Model>) -> MutexGuard<'_, Model> {
    model.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many times the screen's thread is looked at before it is left behind.
const PATIENCE: u32 = 10;

/// How late a key or a change may be noticed.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

//! What a program tells the person, or the program that started it, on its standard output.
//!
//! Either lines for people or one JSON object a line, never a mixture. Colours only where a terminal
//! shows them and the person has not turned them off (`NO_COLOR`). Text from outside is the caller's
//! to escape; JSON escapes by itself.

use core::fmt;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// Who reads the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A person.
    Human,
    /// A program: one JSON object a line.
    Json,
}

/// Where a program's output goes. Every line is written and flushed as a whole.
pub struct Output {
    format: Format,
    paint: Paint,
    to: Mutex<Box<dyn Write + Send>>,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl Output {
    /// The standard output.
    pub fn stdout(format: Format) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let paint = if io::stdout().is_terminal() && !refused && !dumb {
            Paint::Coloured
        } else {
            Paint::Plain
        };
        Self::new(format, paint, Box::new(io::stdout()))
    }

    /// Any other place.
    pub fn new(format: Format, paint: Paint, to: Box<dyn Write + Send>) -> Self {
        Self {
            format,
            paint,
            to: Mutex::new(to),
        }
    }

    /// Who reads it.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Tells `event` to a program, or what `human` makes of it to a person.
    pub fn tell(
        &self,
        event: &impl Serialize,
        human: impl FnOnce(Paint) -> String,
    ) -> io::Result<()> {
        let line = match self.format {
            Format::Json => serde_json::to_string(event)?,
            Format::Human => human(self.paint),
        };
        self.line(&line)
    }

    /// Tells a person something that is no news to a program.
    pub fn say(&self, human: impl FnOnce(Paint) -> String) -> io::Result<()> {
        match self.format {
            Format::Json => Ok(()),
            Format::Human => self.line(&human(self.paint)),
        }
    }

    fn line(&self, line: &str) -> io::Result<()> {
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        // In one piece, so that a reader of a pipe never sees half a line.
        to.write_all(format!("{line}\n").as_bytes())?;
        to.flush()
    }
}

/// Whether text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// It is not.
    Plain,
    /// It is, with the sequences every terminal knows.
    Coloured,
}

impl Paint {
    /// What matters most.
    pub fn bold(self, text: impl fmt::Display) -> String {
        self.with("1", text)
    }

    /// What matters least.
    pub fn dim(self, text: impl fmt::Display) -> String {
        self.with("2", text)
    }

    /// What went well.
    pub fn green(self, text: impl fmt::Display) -> String {
        self.with("32", text)
    }

    /// What needs a look.
    pub fn yellow(self, text: impl fmt::Display) -> String {
        self.with("33", text)
    }

    /// What failed.
    pub fn red(self, text: impl fmt::Display) -> String {
        self.with("31", text)
    }

    fn with(self, code: &str, text: impl fmt::Display) -> String {
        match self {
            Self::Plain => text.to_string(),
            Self::Coloured => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .lock()
                .map_err(|_| io::ErrorKind::Other)?
                .write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        fn read(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    #[derive(Serialize)]
    struct Event {
        event: &'static str,
        name: &'static str,
    }

    const EVENT: Event = Event {
        event: "done",
        name: "a\n\u{1b}b",
    };

    fn told(format: Format, paint: Paint) -> String {
        let paper = Paper::default();
        let output = Output::new(format, paint, Box::new(paper.clone()));
        output
            .say(|paint| format!("scan {}", paint.bold("this")))
            .unwrap();
        output.tell(&EVENT, |paint| paint.green("done")).unwrap();
        paper.read()
    }

    #[test]
    fn a_program_gets_one_object_a_line_and_nothing_else() {
        let lines = told(Format::Json, Paint::Coloured);
        assert_eq!(lines, "{\"event\":\"done\",\"name\":\"a\\n\\u001bb\"}\n");
    }

    #[test]
    fn a_person_gets_the_words_with_colours_or_without() {
        assert_eq!(told(Format::Human, Paint::Plain), "scan this\ndone\n");
        let coloured = "scan \u{1b}[1mthis\u{1b}[0m\n\u{1b}[32mdone\u{1b}[0m\n";
        assert_eq!(told(Format::Human, Paint::Coloured), coloured);
    }

    #[test]
    fn what_is_not_a_terminal_gets_no_colours() {
        if crate::rerun::is_child() {
            Output::stdout(Format::Human)
                .say(|paint| paint.red("failed"))
                .unwrap();
            return;
        }
        let name = "output::tests::what_is_not_a_terminal_gets_no_colours";
        let child = crate::rerun::child(name, &[])
            .env("TERM", "xterm")
            .output()
            .unwrap();
        let text = String::from_utf8(child.stdout).unwrap();
        assert!(
            text.contains("failed\n") && !text.contains('\u{1b}'),
            "{text:?}"
        );
    }

    #[test]
    fn a_reader_that_went_away_is_an_error_and_no_panic() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let output = Output::new(Format::Json, Paint::Plain, Box::new(Closed));
        let error = output.tell(&EVENT, |_| String::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}

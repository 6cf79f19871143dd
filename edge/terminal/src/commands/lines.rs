//! The standard input, line by line.

use std::io::{self, BufRead, BufReader, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rustix::termios::{QueueSelector, tcflush};
use tokio::sync::mpsc;

/// Lines of the standard input, read by a thread that nobody waits for at the end.
#[derive(Debug, Default)]
pub(super) struct Lines {
    read: Option<mpsc::Receiver<Line>>,
    /// How often what was typed before has been forgotten.
    turn: Arc<AtomicU64>,
}

/// A line, and the turn in which it was read.
type Line = (u64, String);

impl Lines {
    /// The next line; an empty one at the end.
    pub(super) async fn next(&mut self) -> String {
        loop {
            match self.receiver().recv().await {
                Some((turn, _)) if self.is_forgotten(turn) => {}
                line => return line.map(|(_, line)| line).unwrap_or_default(),
            }
        }
    }

    /// The same outside the runtime.
    pub(super) fn next_blocking(&mut self) -> String {
        let line = self.receiver().blocking_recv();
        line.map(|(_, line)| line).unwrap_or_default()
    }

    /// What a person typed so far answers no question asked from here on. A program that writes its
    /// answers in advance knows what it does.
    pub(super) fn forget_typed(&self) {
        let input = io::stdin();
        if input.is_terminal() {
            if let Err(error) = tcflush(&input, QueueSelector::IFlush) {
                tracing::debug!(%error, "what was typed before stays");
            }
            self.forget_read();
        }
    }

    /// Lines that were read already, and wait here.
    fn forget_read(&self) {
        self.turn.fetch_add(1, Ordering::SeqCst);
    }

    fn is_forgotten(&self, turn: u64) -> bool {
        turn != self.turn.load(Ordering::SeqCst)
    }

    fn receiver(&mut self) -> &mut mpsc::Receiver<Line> {
        let turn = &self.turn;
        self.read
            .get_or_insert_with(|| read(BufReader::new(io::stdin()), Arc::clone(turn)))
    }
}

/// Reads on a thread of its own.
fn read(input: impl BufRead + Send + 'static, turn: Arc<AtomicU64>) -> mpsc::Receiver<Line> {
    let (tell, lines) = mpsc::channel(1);
    drop(thread::spawn(move || {
        let mut input = input.lines();
        while let Some(Ok(line)) = input.next() {
            let line = (turn.load(Ordering::SeqCst), line);
            if tell.blocking_send(line).is_err() {
                return;
            }
        }
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{PipeWriter, Write as _};

    /// Lines of a pipe, the first of which have been read or wait to be.
    fn typed(text: &str) -> (Lines, PipeWriter) {
        let (from, mut to) = io::pipe().unwrap();
        to.write_all(text.as_bytes()).unwrap();
        let mut lines = Lines::default();
        let turn = Arc::clone(&lines.turn);
        lines.read = Some(read(BufReader::new(from), turn));
        while lines.read.as_ref().unwrap().is_empty() {
            thread::yield_now();
        }
        (lines, to)
    }

    #[tokio::test]
    async fn a_line_typed_before_the_question_does_not_answer_it() {
        let (mut lines, mut to) = typed("yes\n");
        lines.forget_read();
        to.write_all(b"no\n").unwrap();
        assert_eq!(lines.next().await, "no");
        drop(to);
        assert_eq!(lines.next().await, "", "the end");
    }

    #[tokio::test]
    async fn what_was_not_forgotten_stays() {
        let (mut lines, _to) = typed("yes\nno\n");
        assert_eq!(lines.next().await, "yes");
        assert_eq!(lines.next().await, "no");
    }
}

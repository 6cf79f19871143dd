//! The standard input, line by line.

use std::io::{self, BufRead as _};
use std::thread;

use tokio::sync::mpsc;

/// Lines of the standard input, read by a thread that nobody waits for at the end.
#[derive(Debug, Default)]
pub(super) struct Lines(Option<mpsc::Receiver<String>>);

impl Lines {
    /// The next line; an empty one at the end.
    pub(super) async fn next(&mut self) -> String {
        self.receiver().recv().await.unwrap_or_default()
    }

    /// The same outside the runtime.
    pub(super) fn next_blocking(&mut self) -> String {
        self.receiver().blocking_recv().unwrap_or_default()
    }

    fn receiver(&mut self) -> &mut mpsc::Receiver<String> {
        self.0.get_or_insert_with(|| {
            let (tell, lines) = mpsc::channel(1);
            drop(thread::spawn(move || {
                let mut input = io::stdin().lock().lines();
                while let Some(Ok(line)) = input.next() {
                    if tell.blocking_send(line).is_err() {
                        return;
                    }
                }
            }));
            lines
        })
    }
}

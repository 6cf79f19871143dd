//! Waiting for a condition, with a deadline.

use std::time::{Duration, Instant};

/// Asks until there is an answer; fails the test after `limit`.
#[track_caller]
pub fn eventually<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    holds_within(limit, &mut ask)
        .unwrap_or_else(|| panic!("not within {} s: {what}", limit.as_secs_f32()))
}

/// Asks until there is an answer, or gives up after `limit`.
pub fn holds_within<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if start.elapsed() >= limit {
            return None;
        }
        std::thread::sleep(BETWEEN);
    }
}

const BETWEEN: Duration = Duration::from_millis(10);

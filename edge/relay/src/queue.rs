//! What waits for one end, bounded in messages and in bytes.

use std::collections::VecDeque;

use axum::body::Bytes;
use vmux_proto::mailbox::{CloseReason, Control};

/// What an end's connection does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Sends a text message.
    Control(Control),
    /// Sends a binary message, as it came.
    Frame(Bytes),
    /// Sends a WebSocket ping.
    Ping,
    /// Closes; nothing follows.
    Close(CloseReason),
}

/// No room for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueFull;

/// Messages in the order they were pushed.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    messages: VecDeque<Output>,
    bytes: u64,
}

impl Queue {
    /// Appends a message if both bounds allow it.
    pub(crate) fn push(
        &mut self,
        message: Output,
        most_messages: u32,
        most_bytes: u32,
    ) -> Result<(), QueueFull> {
        let bytes = self.bytes.saturating_add(message.bytes());
        let count = u64::try_from(self.messages.len()).unwrap_or(u64::MAX);
        if count >= most_messages.into() || bytes > most_bytes.into() {
            return Err(QueueFull);
        }
        self.bytes = bytes;
        self.messages.push_back(message);
        Ok(())
    }

    /// Appends the close, which always has room because nothing comes after it.
    pub(crate) fn push_close(&mut self, reason: CloseReason) {
        self.messages.push_back(Output::Close(reason));
    }

    /// Takes the oldest message.
    pub(crate) fn pop(&mut self) -> Option<Output> {
        let message = self.messages.pop_front()?;
        self.bytes = self.bytes.saturating_sub(message.bytes());
        if self.messages.is_empty() {
            // An idle end keeps no memory from a busy time.
            self.messages = VecDeque::new();
        }
        Some(message)
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Bytes of all waiting frames.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Output {
    fn bytes(&self) -> u64 {
        match self {
            Self::Frame(frame) => u64::try_from(frame.len()).unwrap_or(u64::MAX),
            Self::Control(_) | Self::Ping | Self::Close(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(len: usize) -> Output {
        Output::Frame(vec![0; len].into())
    }

    #[test]
    fn bytes_up_to_the_bound_wait_and_one_more_does_not() {
        let mut queue = Queue::default();
        assert_eq!(queue.push(frame(6), 10, 10), Ok(()));
        assert_eq!(queue.push(frame(5), 10, 10), Err(QueueFull));
        assert_eq!(queue.push(frame(4), 10, 10), Ok(()));
        assert_eq!(queue.bytes(), 10);
        assert_eq!(queue.pop(), Some(frame(6)));
        assert_eq!(queue.bytes(), 4);
    }

    #[test]
    fn messages_up_to_the_bound_wait_and_one_more_does_not() {
        let mut queue = Queue::default();
        assert_eq!(queue.push(Output::Ping, 2, 10), Ok(()));
        assert_eq!(queue.push(frame(1), 2, 10), Ok(()));
        assert_eq!(queue.push(Output::Ping, 2, 10), Err(QueueFull));
        queue.push_close(CloseReason::Shutdown);
        assert_eq!(queue.pop(), Some(Output::Ping));
        assert_eq!(queue.pop(), Some(frame(1)));
        assert_eq!(queue.pop(), Some(Output::Close(CloseReason::Shutdown)));
        assert_eq!(queue.pop(), None);
    }
}

//! How much a relay carries, and for how long it waits.
//!
//! Every number bounds what strangers can make a relay hold. The defaults suit one small server;
//! nobody who uses them as meant comes near.

use std::time::Duration;

use serde::Deserialize;
use vmux_proto::mailbox::MAX_FRAME;

/// Bounds of one relay. In a configuration file each field is a key with dashes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Open connections in all.
    pub connections: u32,
    /// Open connections of one IPv4 address or IPv6 /64 network.
    pub connections_per_address: u32,
    /// New connections a second of one address, in the long run.
    pub arrivals_per_second: u32,
    /// New connections of one address at once.
    pub arrivals_burst: u32,
    /// Mailboxes with at least one end.
    pub mailboxes: u32,
    /// Messages waiting for one end.
    pub queue_messages: u32,
    /// Bytes waiting for one end.
    pub queue_bytes: u32,
    /// Bytes waiting in all queues together.
    pub queues_bytes: u32,
    /// Messages a second through one mailbox, in the long run.
    pub messages_per_second: u32,
    /// Messages through one mailbox at once.
    pub messages_burst: u32,
    /// Bytes a second through one mailbox, in the long run.
    pub bytes_per_second: u32,
    /// Bytes through one mailbox at once.
    pub bytes_burst: u32,
    /// An end that was silent this long is pinged.
    #[serde(rename = "ping-after-seconds", with = "seconds")]
    pub ping_after: Duration,
    /// An end that was silent this long is closed.
    #[serde(rename = "idle-after-seconds", with = "seconds")]
    pub idle_after: Duration,
    /// An end that did not take a message for this long is closed.
    #[serde(rename = "stall-after-seconds", with = "seconds")]
    pub stall_after: Duration,
    /// A connection that has not sent a whole request by then is closed.
    #[serde(rename = "request-within-seconds", with = "seconds")]
    pub request_within: Duration,
    /// How long a closed connection may take to hear of it.
    #[serde(rename = "farewell-within-seconds", with = "seconds")]
    pub farewell_within: Duration,
    /// How long a stopping relay waits for its connections.
    #[serde(rename = "shutdown-within-seconds", with = "seconds")]
    pub shutdown_within: Duration,
}

/// A limit under which a relay could not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} must be at least {least}")]
pub struct LimitTooSmall {
    name: &'static str,
    least: u32,
}

impl Limits {
    /// Refuses limits under which no frame could pass or no connection live.
    pub fn check(&self) -> Result<(), LimitTooSmall> {
        for (name, value, least) in [
            ("connections", self.connections, 2),
            ("connections-per-address", self.connections_per_address, 1),
            ("arrivals-per-second", self.arrivals_per_second, 1),
            ("arrivals-burst", self.arrivals_burst, 1),
            ("mailboxes", self.mailboxes, 1),
            ("queue-messages", self.queue_messages, 4),
            ("queue-bytes", self.queue_bytes, FRAME_BYTES),
            ("queues-bytes", self.queues_bytes, FRAME_BYTES),
            ("messages-per-second", self.messages_per_second, 1),
            ("messages-burst", self.messages_burst, 1),
            ("bytes-per-second", self.bytes_per_second, 1),
            ("bytes-burst", self.bytes_burst, FRAME_BYTES),
        ] {
            if value < least {
                return Err(LimitTooSmall { name, least });
            }
        }
        for (name, value) in [
            ("ping-after-seconds", self.ping_after),
            ("idle-after-seconds", self.idle_after),
            ("stall-after-seconds", self.stall_after),
            ("request-within-seconds", self.request_within),
        ] {
            if value.is_zero() {
                return Err(LimitTooSmall { name, least: 1 });
            }
        }
        Ok(())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 65_536,
            // Many phones share one address behind a carrier's translation.
            connections_per_address: 1024,
            arrivals_per_second: 64,
            arrivals_burst: 512,
            mailboxes: 65_536,
            queue_messages: 256,
            queue_bytes: 8 * FRAME_BYTES,
            queues_bytes: 1024 * FRAME_BYTES,
            messages_per_second: 500,
            messages_burst: 2000,
            bytes_per_second: 64 * FRAME_BYTES,
            bytes_burst: 256 * FRAME_BYTES,
            ping_after: Duration::from_secs(20),
            idle_after: Duration::from_mins(1),
            stall_after: Duration::from_secs(30),
            request_within: Duration::from_secs(10),
            farewell_within: Duration::from_secs(2),
            shutdown_within: Duration::from_secs(5),
        }
    }
}

/// Times in a file are whole seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u32::deserialize(from).map(|seconds| Duration::from_secs(seconds.into()))
    }
}

/// One frame of the largest size.
const FRAME_BYTES: u32 = 64 * 1024;
const _: () = assert!(
    MAX_FRAME == 64 * 1024,
    "the limits above count in largest frames"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_usable() {
        assert_eq!(Limits::default().check(), Ok(()));
    }

    #[test]
    fn a_queue_that_holds_one_largest_frame_is_accepted_and_a_smaller_one_refused() {
        let exact = Limits {
            queue_bytes: FRAME_BYTES,
            ..Limits::default()
        };
        assert_eq!(exact.check(), Ok(()));
        let small = Limits {
            queue_bytes: FRAME_BYTES - 1,
            ..Limits::default()
        };
        let refused = small.check().unwrap_err();
        assert_eq!(refused.to_string(), "queue-bytes must be at least 65536");
    }

    #[test]
    fn a_time_of_zero_is_refused() {
        let never = Limits {
            idle_after: Duration::ZERO,
            ..Limits::default()
        };
        assert!(
            never
                .check()
                .unwrap_err()
                .to_string()
                .starts_with("idle-after-seconds")
        );
    }
}

//! Every length this crate accepts, with its reason. All are checked before memory is taken (I13).

/// The four bytes that say how long the message inside a padded text is.
pub(crate) const LENGTH_PREFIX: usize = 4;

/// What sealing adds: the AES-GCM tag.
pub const TAG: usize = 16;

/// Sizes of a padded message in a channel frame: an answer or keepalive, a usual request, one with
/// a long chain of bindings, a certificate bundle, and the largest.
///
/// The largest, with tag and the relay's four-byte meeting number, fits the 64 KiB a relay forwards.
pub const FRAME_CLASSES: [usize; 5] = [256, 1024, 4096, 16_384, 61_440];

/// Sizes of a padded handshake payload: names and versions, and those with a small first request.
///
/// Kept small because the first message is read from anybody who knows the mailbox.
pub const HANDSHAKE_CLASSES: [usize; 2] = [256, 1024];

/// Largest message a channel carries: the largest class less the length prefix.
pub const MAX_MESSAGE: usize = 61_440 - LENGTH_PREFIX;

/// Largest handshake payload: the largest class less the length prefix.
pub const MAX_HANDSHAKE_PAYLOAD: usize = 1024 - LENGTH_PREFIX;

/// What message 1 has beside its padded payload: ephemeral key, sealed static key, tag.
pub const MESSAGE_1_OVERHEAD: usize = 32 + (32 + TAG) + TAG;

/// What message 2 has beside its padded payload: ephemeral key, tag.
pub const MESSAGE_2_OVERHEAD: usize = 32 + TAG;

/// Frames in one direction of a channel; then it ends and a new handshake brings new keys.
///
/// RFC 8446 section 5.5 allows AES-GCM 2^24.5 full records of 2^10 blocks under one key. Our
/// largest frame has under 2^12 blocks, so 2^22 of them stay below that.
pub const MAX_FRAMES: u64 = 1 << 22;

/// Longest pairing link: one QR code that a phone reads from a terminal without trouble.
pub const MAX_LINK: usize = 512;

/// Longest relay origin: with it the whole link is just within [`MAX_LINK`].
pub const MAX_RELAY: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_message_fills_the_largest_class() {
        assert_eq!(Some(&(MAX_MESSAGE + LENGTH_PREFIX)), FRAME_CLASSES.last());
        assert_eq!(
            Some(&(MAX_HANDSHAKE_PAYLOAD + LENGTH_PREFIX)),
            HANDSHAKE_CLASSES.last()
        );
    }

    #[test]
    fn the_largest_frame_fits_what_a_relay_forwards() {
        let meeting_number = 4;
        assert!(MAX_MESSAGE + LENGTH_PREFIX + TAG + meeting_number <= 64 * 1024);
    }
}

//! Every label of this crate.
//!
//! Two uses of a key never share one, so a value made for one purpose means nothing for another.

/// Opens the prologue of a pairing handshake.
pub const PAIRING: &[u8] = b"vmux-link v1 pairing";

/// Opens the prologue of every handshake after pairing.
pub const LINK: &[u8] = b"vmux-link v1 link";

/// The role that sends the first message, as the prologue names it.
pub const INITIATOR: &[u8] = b"signer";

/// The role that answers, as the prologue names it.
pub const RESPONDER: &[u8] = b"agent";

/// Derives the code that the person compares.
pub const SHORT_CODE: &[u8] = b"vmux-link v1 short code";

/// Hides the nonce that the code depends on, until the handshake is over.
pub const COMMITMENT: &[u8] = b"vmux-link v1 commitment";

/// Derives the secret of all handshakes after pairing.
pub const LONG_LIVED_PSK: &[u8] = b"vmux-link v1 long-lived psk";

/// Derives the mailbox in which both ends meet after pairing.
pub const LONG_LIVED_MAILBOX: &[u8] = b"vmux-link v1 long-lived mailbox";

/// Names a link by its mailbox, for people.
pub const LINK_ID: &[u8] = b"vmux-link v1 name";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_begins_with_another() {
        let all = [
            PAIRING,
            LINK,
            INITIATOR,
            RESPONDER,
            SHORT_CODE,
            COMMITMENT,
            LONG_LIVED_PSK,
            LONG_LIVED_MAILBOX,
            LINK_ID,
        ];
        for (i, a) in all.iter().enumerate() {
            for (j, b) in all.iter().enumerate() {
                assert!(i == j || !a.starts_with(b), "labels {i} and {j}");
            }
        }
    }
}

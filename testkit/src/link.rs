//! Pairing links, taken apart and put together with other contents.

/// What a pairing link says (docs/spec/link.md).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferLink {
    before: String,
    bytes: Vec<u8>,
}

impl OfferLink {
    /// Takes a link apart.
    #[track_caller]
    pub fn parse(link: &str) -> Self {
        let (before, after) = link.split_once('#').expect("a link has a `#`");
        Self {
            before: before.to_owned(),
            bytes: base64_bytes(after),
        }
    }

    /// The mailbox as it stands in the address of a WebSocket.
    pub fn mailbox_in_url(&self) -> String {
        base64_text(&self.bytes[MAILBOX])
    }

    /// The agent's public key.
    pub fn agent(&self) -> Vec<u8> {
        self.bytes[AGENT].to_vec()
    }

    /// The secret.
    pub fn secret(&self) -> Vec<u8> {
        self.bytes[SECRET].to_vec()
    }

    /// The same link with another last second.
    pub fn expiring(mut self, at: u64) -> Self {
        self.bytes[EXPIRES].copy_from_slice(&at.to_be_bytes());
        self
    }

    /// The same link with another secret.
    pub fn with_another_secret(mut self) -> Self {
        self.bytes[SECRET].iter_mut().for_each(|byte| *byte ^= 0x55);
        self
    }

    /// The same link for another version.
    pub fn of_another_version(mut self) -> Self {
        self.bytes[0] = 2;
        self
    }

    /// The link as text.
    pub fn text(&self) -> String {
        format!("{}#{}", self.before, base64_text(&self.bytes))
    }
}

/// The bytes of base64 text: either alphabet, with padding or without.
pub fn base64_bytes(text: &str) -> Vec<u8> {
    let mut bits = 0_u32;
    let mut held = 0;
    let mut bytes = Vec::new();
    for letter in text.bytes().filter(|byte| *byte != b'=') {
        let letter = match letter {
            b'+' => b'-',
            b'/' => b'_',
            other => other,
        };
        let value = LETTERS
            .iter()
            .position(|one| *one == letter)
            .expect("base64");
        bits = (bits << 6) | u32::try_from(value).expect("six bits");
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).expect("eight bits"));
        }
    }
    bytes
}

fn base64_text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let [a, b, c] = [0, 1, 2].map(|at| u32::from(three.get(at).copied().unwrap_or(0)));
        let bits = (a << 16) | (b << 8) | c;
        for at in 0..=three.len() {
            let value = (bits >> (18 - 6 * at)) & 0x3f;
            text.push(char::from(
                LETTERS[usize::try_from(value).expect("six bits")],
            ));
        }
    }
    text
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const EXPIRES: std::ops::Range<usize> = 1..9;
const MAILBOX: std::ops::Range<usize> = 9..25;
const AGENT: std::ops::Range<usize> = 25..57;
const SECRET: std::ops::Range<usize> = 57..89;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_every_length_comes_back() {
        for length in 0..10_u8 {
            let bytes: Vec<_> = (0..length).map(|byte| byte.wrapping_mul(77)).collect();
            assert_eq!(base64_bytes(&base64_text(&bytes)), bytes);
        }
        assert_eq!(base64_bytes("_-8="), base64_bytes("/+8"));
        assert_eq!(base64_text(b"any carnal pleas"), "YW55IGNhcm5hbCBwbGVhcw");
    }
}

//! Text from outside, escaped whenever it is shown (I20).
//!
//! Host names, user names, comments, process names and labels come from people we do not know. Shown
//! raw, a control or bidi character could move the cursor, reverse a line or hide part of it, and so
//! fake a prompt. [`Untrusted`] shows every such character as `\u{…}`, in the terminal and on the
//! phone alike.
use alloc::borrow::ToOwned as _;
use alloc::string::String;
use core::fmt::{self, Write as _};

/// Text from outside; [`fmt::Display`] escapes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Untrusted(String);

impl Untrusted {
    /// Keeps `text` as it came.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Keeps bytes that should be UTF-8; what is not becomes U+FFFD.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(String::from_utf8_lossy(bytes).into_owned())
    }

    /// The text as it came, for comparing; never for showing.
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Untrusted {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if is_visible(character) {
                f.write_char(character)?;
            } else {
                write!(f, "{}", character.escape_unicode())?;
            }
        }
        Ok(())
    }
}

/// Whether a character shows as itself and nothing else, wherever it stands.
pub fn is_visible(character: char) -> bool {
    if character.is_control() || (character.is_whitespace() && character != ' ') {
        return false;
    }
    !matches!(u32::from(character),
        // Arabic number and end marks, Syriac abbreviation, blank Braille
        0x600..=0x605 | 0x6dd | 0x70f | 0x890 | 0x891 | 0x8e2 | 0x2800
        // soft hyphen, combining grapheme joiner, Arabic letter mark, Hangul fillers, Khmer vowels
        | 0xad | 0x34f | 0x61c | 0x115f | 0x1160 | 0x17b4 | 0x17b5
        // Mongolian selectors, zero width and directional marks, separators, embeddings
        | 0x180b..=0x180f | 0x200b..=0x200f | 0x2028..=0x202e
        // word joiner, invisible operators, isolates, deprecated format characters
        | 0x2060..=0x206f
        // Hangul filler, variation selectors, byte order mark, half-width filler
        | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0
        // interlinear annotations, noncharacters of the basic plane
        | 0xfff0..=0xfffb | 0xfffe | 0xffff
        // shorthand and musical format controls
        | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a
        // tags, more variation selectors, and the rest of the ignorable plane
        | 0xe0000..=0xe0fff
        // private use: a font decides what it looks like
        | 0xe000..=0xf8ff | 0xf0000..=0x0010_ffff)
        // stacked accents can cover the line above
        && !matches!(u32::from(character), 0x300..=0x36f | 0x483..=0x489 | 0x1ab0..=0x1aff
            | 0x1dc0..=0x1dff | 0x20d0..=0x20ff | 0xfe20..=0xfe2f)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString as _;

    #[test]
    fn plain_names_show_as_they_are() {
        for name in ["deploy@web-1.example", "Zoës Händy", "日本", "a b"] {
            assert_eq!(Untrusted::new(name).to_string(), name);
        }
    }

    #[test]
    fn characters_that_move_hide_or_reverse_are_escaped() {
        for hostile in [
            '\u{1b}',
            '\r',
            '\n',
            '\t',
            '\u{7f}',
            '\u{85}',
            '\u{202e}',
            '\u{2066}',
            '\u{200b}',
            '\u{feff}',
            '\u{e0041}',
            '\u{3164}',
            '\u{2028}',
            '\u{a0}',
            '\u{301}',
            '\u{fe0f}',
        ] {
            let shown = Untrusted::new(&std::format!("a{hostile}b")).to_string();
            assert_eq!(shown, std::format!("a{}b", hostile.escape_unicode()));
            assert!(shown.chars().all(is_visible));
        }
    }

    #[test]
    fn bytes_that_are_not_text_are_shown_as_such() {
        assert_eq!(Untrusted::from_bytes(b"a\xffb").to_string(), "a\u{fffd}b");
    }
}

//! Reading and writing SSH's data types (RFC 4251 section 5).
//!
//! A [`Reader`] gets exactly its message and must be finished: leftover bytes are an error. It
//! borrows, so no length in a message causes an allocation (I13).
use alloc::vec::Vec;

/// A message that is not what its format says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The message ends inside a field.
    #[error("the message ends inside a field")]
    Truncated,
    /// Bytes follow the last field.
    #[error("bytes follow the last field")]
    Trailing,
    /// A field is longer than its limit.
    #[error("a field is longer than its limit")]
    TooLong,
    /// A field holds a value its format does not allow.
    #[error("a field holds a value its format does not allow")]
    BadValue,
    /// A kind, algorithm or version nobody here knows.
    #[error("an unknown kind, algorithm or version")]
    Unknown,
}

/// Takes fields off the front of one message.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `message`.
    pub const fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self
            .rest
            .split_at_checked(count)
            .ok_or(Malformed::Truncated)?;
        self.rest = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, tail) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(Malformed::Truncated)?;
        self.rest = tail;
        Ok(*head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// `uint32`.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// `uint64`.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// `boolean`; RFC 4251 lets any non-zero byte mean true, we accept 0 and 1 alone.
    pub fn boolean(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed::BadValue),
        }
    }

    /// `string`, borrowed.
    pub fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.u32()?).map_err(|_| Malformed::TooLong)?;
        self.bytes(length)
    }

    /// `string` of at most `limit` bytes.
    pub fn string_within(&mut self, limit: usize) -> Result<&'a [u8], Malformed> {
        let value = self.string()?;
        if value.len() > limit {
            Err(Malformed::TooLong)
        } else {
            Ok(value)
        }
    }

    /// `string` that must be UTF-8.
    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        core::str::from_utf8(self.string()?).map_err(|_| Malformed::BadValue)
    }

    /// `mpint` that is positive, without its sign byte. Non-minimal encodings are refused.
    pub fn positive_mpint(&mut self) -> Result<&'a [u8], Malformed> {
        match self.string()? {
            [0, rest @ ..] => match rest {
                [first, ..] if *first >= 0x80 => Ok(rest),
                _ => Err(Malformed::BadValue),
            },
            value @ [first, ..] if *first < 0x80 => Ok(value),
            _ => Err(Malformed::BadValue),
        }
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left, taken whole.
    pub const fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Ends the message; leftover bytes are an error.
    pub const fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed::Trailing)
        }
    }
}

/// Builds one message field by field.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty message.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Raw bytes, without a length.
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// One byte.
    pub fn u8(mut self, byte: u8) -> Self {
        self.bytes.push(byte);
        self
    }

    /// `uint32`.
    pub fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    /// `uint64`.
    pub fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    /// `string`. Nothing we write reaches 4 GiB; a longer value saturates and fails to parse.
    pub fn string(self, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        self.u32(u32::try_from(value.len()).unwrap_or(u32::MAX))
            .bytes(value)
    }

    /// `mpint` of a positive big-endian number.
    pub fn positive_mpint(self, number: &[u8]) -> Self {
        let start = number
            .iter()
            .position(|byte| *byte != 0)
            .unwrap_or(number.len());
        let digits = number.get(start..).unwrap_or_default();
        let mut value = Vec::with_capacity(digits.len().saturating_add(1));
        if digits.first().is_some_and(|byte| *byte >= 0x80) {
            value.push(0);
        }
        value.extend_from_slice(digits);
        self.string(value)
    }

    /// The finished message.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_that_fits_exactly_is_read() {
        let mut reader = Reader::new(&[0, 0, 0, 2, 7, 8]);
        assert_eq!(reader.string(), Ok(&[7u8, 8][..]));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn a_string_one_byte_short_is_refused() {
        assert_eq!(
            Reader::new(&[0, 0, 0, 3, 7, 8]).string(),
            Err(Malformed::Truncated)
        );
    }

    #[test]
    fn a_byte_after_the_last_field_is_refused() {
        let mut reader = Reader::new(&[0, 0, 0, 1, 7, 8]);
        reader.string().unwrap();
        assert_eq!(reader.finish(), Err(Malformed::Trailing));
    }

    #[test]
    fn a_length_of_four_gigabytes_allocates_nothing() {
        assert_eq!(
            Reader::new(&[255, 255, 255, 255]).string(),
            Err(Malformed::Truncated)
        );
    }

    #[test]
    fn a_boolean_is_zero_or_one() {
        assert_eq!(Reader::new(&[0]).boolean(), Ok(false));
        assert_eq!(Reader::new(&[1]).boolean(), Ok(true));
        assert_eq!(Reader::new(&[2]).boolean(), Err(Malformed::BadValue));
    }

    #[test]
    fn positive_mpints_are_minimal() {
        for (bytes, expected) in [
            (&[0, 0, 0, 1, 0x7f][..], Ok(&[0x7f][..])),
            (&[0, 0, 0, 2, 0, 0x80], Ok(&[0x80])),
            (&[0, 0, 0, 2, 0, 0x7f], Err(Malformed::BadValue)),
            (&[0, 0, 0, 1, 0x80], Err(Malformed::BadValue)),
            (&[0, 0, 0, 0], Err(Malformed::BadValue)),
        ] {
            assert_eq!(Reader::new(bytes).positive_mpint(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn written_mpints_read_back() {
        for number in [&[1u8][..], &[0x80], &[0, 0, 0x80, 1], &[0x7f, 0xff]] {
            let written = Writer::new().positive_mpint(number).finish();
            let start = number.iter().position(|byte| *byte != 0).unwrap();
            assert_eq!(Reader::new(&written).positive_mpint(), Ok(&number[start..]));
        }
    }
}

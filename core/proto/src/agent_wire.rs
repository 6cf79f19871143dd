//! The agent protocol (RFC 9987): frames, requests, replies.
//!
//! A request is parsed from exactly its frame; trailing bytes are refused. What we do not serve still
//! has a name here, so that the answer and the log can say what was asked.
use crate::limits::MAX_AGENT_MESSAGE;
use crate::wire::{Malformed, Reader, Writer};
use alloc::vec::Vec;

/// A frame length of zero or over [`MAX_AGENT_MESSAGE`]; nothing after it can be trusted, so the
/// connection must end (RFC 9987 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an agent message of {0} bytes; 1 to 262144 are allowed")]
pub struct BadLength(pub u32);

/// Puts frames together from the pieces a socket gives.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: Vec<u8>,
    /// Where the next frame begins; what is before it was handed out.
    start: usize,
}

impl Frames {
    /// Nothing read yet.
    pub const fn new() -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
        }
    }

    /// Takes what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        // Once a read and not once a frame, so that many small frames stay cheap.
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes waiting, whole frames or not.
    pub const fn len(&self) -> usize {
        self.buffer.len().saturating_sub(self.start)
    }

    /// Whether no bytes wait.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next whole frame without its length, if it is there.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, BadLength> {
        let waiting = self.buffer.get(self.start..).unwrap_or_default();
        let Some((head, rest)) = waiting.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let announced = u32::from_be_bytes(*head);
        let length = match usize::try_from(announced) {
            Ok(length) if (1..=MAX_AGENT_MESSAGE).contains(&length) => length,
            Ok(_) | Err(_) => return Err(BadLength(announced)),
        };
        let Some(frame) = rest.get(..length).map(<[u8]>::to_vec) else {
            return Ok(None);
        };
        self.start = self.start.saturating_add(head.len()).saturating_add(length);
        Ok(Some(frame))
    }
}

/// A request of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// List the identities.
    #[expect(clippy::enum_variant_names, reason = "the protocol's own name for it")]
    RequestIdentities,
    /// Sign bytes with a key.
    Sign {
        /// The key blob, plain or certificate.
        key: &'a [u8],
        /// The bytes to be signed.
        payload: &'a [u8],
        /// How, for RSA keys.
        flags: SignFlags,
    },
    /// Lock the agent with a passphrase.
    Lock(&'a [u8]),
    /// Unlock it.
    Unlock(&'a [u8]),
    /// Remove one identity.
    Remove(&'a [u8]),
    /// Remove all identities.
    RemoveAll,
    /// The extension `query`.
    Query,
    /// The extension `session-bind@openssh.com`; its body.
    SessionBind(&'a [u8]),
    /// Something this agent does not do.
    NotServed(NotServed),
}

/// What a client asked for that this agent does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotServed {
    /// Adding a key, with or without constraints: keys live on the phone.
    AddIdentity,
    /// Smartcards and PKCS#11 providers: no code is ever loaded on request.
    Smartcard,
    /// An extension of another name.
    Extension,
    /// An SSH-1 message, a reply number, or a number nobody knows.
    Unknown(u8),
}

/// Flags of a sign request (RFC 9987 section 5.5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignFlags(u32);

impl SignFlags {
    const RSA_SHA2_256: u32 = 2;
    const RSA_SHA2_512: u32 = 4;

    /// Refuses flags nobody here knows, as RFC 9987 demands.
    pub const fn from_bits(bits: u32) -> Result<Self, Malformed> {
        if bits & !(Self::RSA_SHA2_256 | Self::RSA_SHA2_512) == 0 {
            Ok(Self(bits))
        } else {
            Err(Malformed::Unknown)
        }
    }

    /// The bits as they came.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl<'a> Request<'a> {
    /// Parses one frame.
    pub fn parse(frame: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(frame);
        let number = reader.u8()?;
        let request = match number {
            number::REQUEST_IDENTITIES => Self::RequestIdentities,
            number::SIGN_REQUEST => Self::Sign {
                key: reader.string()?,
                payload: reader.string()?,
                flags: SignFlags::from_bits(reader.u32()?)?,
            },
            number::LOCK => Self::Lock(reader.string()?),
            number::UNLOCK => Self::Unlock(reader.string()?),
            number::REMOVE_IDENTITY => Self::Remove(reader.string()?),
            // `ssh-add -D` sends the SSH-1 number after the current one and expects success.
            number::REMOVE_ALL_IDENTITIES | number::SSH1_REMOVE_ALL => Self::RemoveAll,
            number::ADD_IDENTITY | number::ADD_ID_CONSTRAINED => {
                return Ok(Self::NotServed(NotServed::AddIdentity));
            }
            number::ADD_SMARTCARD_KEY
            | number::REMOVE_SMARTCARD_KEY
            | number::ADD_SMARTCARD_KEY_CONSTRAINED => {
                return Ok(Self::NotServed(NotServed::Smartcard));
            }
            number::EXTENSION => match reader.string()? {
                b"query" => Self::Query,
                SESSION_BIND => return Ok(Self::SessionBind(reader.rest())),
                _ => return Ok(Self::NotServed(NotServed::Extension)),
            },
            other => return Ok(Self::NotServed(NotServed::Unknown(other))),
        };
        reader.finish()?;
        Ok(request)
    }
}

/// A reply to a client; [`Reply::encode`] gives the whole frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The request failed, or is not served.
    Failure,
    /// The request is done.
    Success,
    /// A known extension failed.
    ExtensionFailure,
    /// The identities: key blob and comment of each.
    Identities(Vec<(Vec<u8>, Vec<u8>)>),
    /// A signature blob.
    Signature(Vec<u8>),
    /// The names of the extensions served.
    Extensions,
}

/// The name of the binding extension (OpenSSH PROTOCOL.agent section 1).
pub const SESSION_BIND: &[u8] = b"session-bind@openssh.com";

impl Reply {
    /// The frame, length included.
    pub fn encode(&self) -> Vec<u8> {
        let body = match self {
            Self::Failure => Writer::new().u8(number::FAILURE),
            Self::Success => Writer::new().u8(number::SUCCESS),
            Self::ExtensionFailure => Writer::new().u8(number::EXTENSION_FAILURE),
            Self::Identities(identities) => {
                let count = u32::try_from(identities.len()).unwrap_or(u32::MAX);
                identities.iter().fold(
                    Writer::new().u8(number::IDENTITIES_ANSWER).u32(count),
                    |writer, entry| writer.string(&entry.0).string(&entry.1),
                )
            }
            Self::Signature(blob) => Writer::new().u8(number::SIGN_RESPONSE).string(blob),
            Self::Extensions => Writer::new()
                .u8(number::EXTENSION_RESPONSE)
                .string("query")
                .string(SESSION_BIND),
        };
        Writer::new().string(body.finish()).finish()
    }
}

/// Message numbers (RFC 9987 section 6.1).
mod number {
    pub(super) const FAILURE: u8 = 5;
    pub(super) const SUCCESS: u8 = 6;
    pub(super) const SSH1_REMOVE_ALL: u8 = 9;
    pub(super) const REQUEST_IDENTITIES: u8 = 11;
    pub(super) const IDENTITIES_ANSWER: u8 = 12;
    pub(super) const SIGN_REQUEST: u8 = 13;
    pub(super) const SIGN_RESPONSE: u8 = 14;
    pub(super) const ADD_IDENTITY: u8 = 17;
    pub(super) const REMOVE_IDENTITY: u8 = 18;
    pub(super) const REMOVE_ALL_IDENTITIES: u8 = 19;
    pub(super) const ADD_SMARTCARD_KEY: u8 = 20;
    pub(super) const REMOVE_SMARTCARD_KEY: u8 = 21;
    pub(super) const LOCK: u8 = 22;
    pub(super) const UNLOCK: u8 = 23;
    pub(super) const ADD_ID_CONSTRAINED: u8 = 25;
    pub(super) const ADD_SMARTCARD_KEY_CONSTRAINED: u8 = 26;
    pub(super) const EXTENSION: u8 = 27;
    pub(super) const EXTENSION_FAILURE: u8 = 28;
    pub(super) const EXTENSION_RESPONSE: u8 = 29;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn a_frame_in_single_bytes_comes_out_whole() {
        let mut frames = Frames::new();
        for byte in [0, 0, 0, 1] {
            frames.push(&[byte]);
            assert_eq!(frames.next_frame(), Ok(None));
        }
        frames.push(&[11, 0, 0]);
        assert_eq!(frames.next_frame(), Ok(Some(vec![11])));
        assert_eq!(frames.next_frame(), Ok(None));
        assert_eq!(frames.len(), 2);
    }

    #[test]
    fn lengths_at_the_limit_are_waited_for_and_one_more_is_refused() {
        let mut frames = Frames::new();
        frames.push(&0x0004_0000u32.to_be_bytes());
        assert_eq!(frames.next_frame(), Ok(None));
        let mut frames = Frames::new();
        frames.push(&0x0004_0001u32.to_be_bytes());
        assert_eq!(frames.next_frame(), Err(BadLength(0x0004_0001)));
        let mut frames = Frames::new();
        frames.push(&[0, 0, 0, 0]);
        assert_eq!(frames.next_frame(), Err(BadLength(0)));
    }

    #[test]
    fn the_query_example_of_the_reference_reads_and_answers() {
        let frame = b"\x1b\x00\x00\x00\x05query";
        assert_eq!(Request::parse(frame), Ok(Request::Query));
        assert_eq!(
            Reply::Extensions.encode(),
            b"\x00\x00\x00\x26\x1d\x00\x00\x00\x05query\x00\x00\x00\x18session-bind@openssh.com"
        );
    }

    #[test]
    fn a_list_with_a_byte_more_is_refused() {
        assert_eq!(Request::parse(&[11]), Ok(Request::RequestIdentities));
        assert_eq!(Request::parse(&[11, 0]), Err(Malformed::Trailing));
    }

    #[test]
    fn sign_flags_nobody_knows_are_refused() {
        let request = |flags: u32| {
            Writer::new()
                .u8(13)
                .string("key")
                .string("data")
                .u32(flags)
                .finish()
        };
        assert!(matches!(
            Request::parse(&request(6)),
            Ok(Request::Sign { .. })
        ));
        assert_eq!(Request::parse(&request(1)), Err(Malformed::Unknown));
        assert_eq!(Request::parse(&request(8)), Err(Malformed::Unknown));
    }

    #[test]
    fn ssh1_and_unknown_numbers_are_named_not_refused() {
        for number in [1, 2, 3, 4, 7, 8, 10, 15, 16, 24, 0, 5, 14, 30, 240, 255] {
            assert_eq!(
                Request::parse(&[number, 1, 2, 3]),
                Ok(Request::NotServed(NotServed::Unknown(number)))
            );
        }
        assert_eq!(Request::parse(&[9]), Ok(Request::RemoveAll));
    }
}

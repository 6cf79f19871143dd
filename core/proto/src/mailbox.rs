//! The relay's words: where two ends meet and what the relay tells them.
//!
//! A mailbox is a meeting point on a relay for one agent and one signer. Its 128-bit id is a
//! capability: whoever knows it may take a seat, so its `Debug` shows the beginning only. What the
//! ends say to each other is sealed; nothing in this module can open it. Text is parsed strictly:
//! one spelling of each message, everything else is refused. The rules are in
//! `docs/spec/relay.md`, examples in `docs/spec/vectors/relay.json`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU32;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use thiserror::Error;

/// Largest binary frame, meeting number included: the largest sealed message with room to grow.
pub const MAX_FRAME: usize = 64 * 1024;

/// Bytes before the sealed part of a frame: the number of the meeting it belongs to.
pub const FRAME_PREFIX: usize = 4;

/// Largest sealed part of a frame.
pub const MAX_SEALED: usize = MAX_FRAME - FRAME_PREFIX;

/// Longest text message of a relay: `{"meeting":4294967295}`.
pub const MAX_CONTROL: usize = 22;

/// A meeting point: 16 random bytes that only the two ends and their relay know.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxId([u8; 16]);

/// Who sits at a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The workstation's end.
    Agent,
    /// The phone's end.
    Signer,
}

/// One end's place: a mailbox and a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seat {
    /// Where.
    pub mailbox: MailboxId,
    /// As whom.
    pub side: Side,
}

/// The number of one meeting of two ends; means something only on the connections it was
/// announced on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Meeting(NonZeroU32);

/// What a relay tells an end, as a text message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Both ends are here; frames with this number reach the other end.
    Meeting(Meeting),
    /// The other end of this meeting is gone.
    Left(Meeting),
}

/// Why a relay closed a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CloseReason {
    /// A newer connection took the same seat.
    Replaced,
    /// Nothing was heard from this end for too long.
    Idle,
    /// A frame was larger than [`MAX_FRAME`].
    TooBig,
    /// More messages or bytes a second than a mailbox may carry.
    TooMany,
    /// This end did not read what was sent to it.
    Slow,
    /// A message that no end may send.
    BadFrame,
    /// The relay is stopping.
    Shutdown,
    /// The relay has no room.
    Full,
}

/// Why a path does not name a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SeatRejected {
    /// Not of the form `/v1/mailbox/ID/SIDE`.
    #[error("no such page; ends meet at /v1/mailbox/ID/agent and /v1/mailbox/ID/signer")]
    NotASeat,
    /// The id is not 16 bytes in base64url without padding.
    #[error("not a mailbox id: expected 22 characters of base64url without padding")]
    MailboxId,
    /// The side is neither of the two.
    #[error("not a side: expected agent or signer")]
    Side,
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameRejected {
    /// Nothing after the meeting number.
    #[error("frame is too short")]
    TooShort,
    /// More than [`MAX_FRAME`] bytes.
    #[error("frame is too long")]
    TooLong,
    /// Zero, which no meeting has.
    #[error("frame has no meeting number")]
    NoMeeting,
}

/// A text message that is not exactly one of a relay's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a relay's message")]
pub struct ControlRejected;

impl MailboxId {
    /// The mailbox with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The id as bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads the text form; each id has exactly one.
    pub fn parse(text: &str) -> Result<Self, SeatRejected> {
        let mut bytes = [0; 16];
        match Base64UrlUnpadded::decode(text, &mut bytes) {
            Ok(decoded) if decoded.len() == 16 => Ok(Self(bytes)),
            Ok(_) | Err(_) => Err(SeatRejected::MailboxId),
        }
    }

    /// The text form: 22 characters of base64url.
    pub fn to_text(self) -> String {
        Base64UrlUnpadded::encode_string(&self.0)
    }
}

/// The id is a capability, so only its first four characters are shown.
impl fmt::Debug for MailboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_text();
        write!(f, "{}..", text.get(..4).unwrap_or_default())
    }
}

impl Side {
    /// The word in a path.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Signer => "signer",
        }
    }

    /// The side across.
    pub const fn other(self) -> Self {
        match self {
            Self::Agent => Self::Signer,
            Self::Signer => Self::Agent,
        }
    }

    /// Reads the word in a path.
    pub fn parse(word: &str) -> Result<Self, SeatRejected> {
        match word {
            "agent" => Ok(Self::Agent),
            "signer" => Ok(Self::Signer),
            _ => Err(SeatRejected::Side),
        }
    }
}

impl Seat {
    /// The path of this seat on a relay.
    pub fn path(self) -> String {
        format!("{PATH}{}/{}", self.mailbox.to_text(), self.side.word())
    }

    /// Reads a request's path, without query.
    pub fn parse(path: &str) -> Result<Self, SeatRejected> {
        let rest = path.strip_prefix(PATH).ok_or(SeatRejected::NotASeat)?;
        let (mailbox, side) = rest.split_once('/').ok_or(SeatRejected::NotASeat)?;
        if side.contains('/') {
            return Err(SeatRejected::NotASeat);
        }
        Ok(Self {
            mailbox: MailboxId::parse(mailbox)?,
            side: Side::parse(side)?,
        })
    }
}

impl Meeting {
    /// The first in a mailbox.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The one with this number; there is no meeting 0.
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0.get()
    }

    /// The one after, unless the numbers are used up.
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
}

impl Control {
    /// The text message.
    pub fn encode(self) -> String {
        match self {
            Self::Meeting(meeting) => format!("{MEETING}{}}}", meeting.number()),
            Self::Left(meeting) => format!("{LEFT}{}}}", meeting.number()),
        }
    }

    /// Reads a text message; only what [`Control::encode`] writes is accepted.
    pub fn parse(text: &str) -> Result<Self, ControlRejected> {
        if text.len() > MAX_CONTROL {
            return Err(ControlRejected);
        }
        let body = text.strip_suffix('}').ok_or(ControlRejected)?;
        if let Some(number) = body.strip_prefix(MEETING) {
            parse_number(number).map(Self::Meeting)
        } else if let Some(number) = body.strip_prefix(LEFT) {
            parse_number(number).map(Self::Left)
        } else {
            Err(ControlRejected)
        }
    }
}

impl CloseReason {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Replaced,
        Self::Idle,
        Self::TooBig,
        Self::TooMany,
        Self::Slow,
        Self::BadFrame,
        Self::Shutdown,
        Self::Full,
    ];

    /// The WebSocket close code.
    pub const fn code(self) -> u16 {
        match self {
            Self::Replaced => 4000,
            Self::Idle => 4001,
            Self::TooBig => 4002,
            Self::TooMany => 4003,
            Self::Slow => 4004,
            Self::BadFrame => 4005,
            Self::Shutdown => 4006,
            Self::Full => 4007,
        }
    }

    /// The WebSocket close reason.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::Idle => "idle",
            Self::TooBig => "too-big",
            Self::TooMany => "too-many",
            Self::Slow => "slow",
            Self::BadFrame => "bad-frame",
            Self::Shutdown => "shutdown",
            Self::Full => "full",
        }
    }

    /// What a person can do about it.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Replaced => {
                "another program connected in this one's place; keep only one running"
            }
            Self::Idle => "the connection went silent; it is made again when the network is back",
            Self::TooBig | Self::BadFrame => "both ends and the relay need matching versions",
            Self::TooMany => "wait a moment, then try again; the relay limits how much passes",
            Self::Slow => "this end reads too slowly; check its network",
            Self::Shutdown => "the relay is restarting; the connection is made again by itself",
            Self::Full => "the relay has no room; try later or use another relay",
        }
    }

    /// The reason with this close code, if it is a relay's.
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

/// Puts the meeting number before sealed bytes.
pub fn frame(meeting: Meeting, sealed: &[u8]) -> Result<Vec<u8>, FrameRejected> {
    if sealed.is_empty() {
        return Err(FrameRejected::TooShort);
    }
    if sealed.len() > MAX_SEALED {
        return Err(FrameRejected::TooLong);
    }
    Ok([&meeting.number().to_be_bytes(), sealed].concat())
}

/// Takes a frame apart: the meeting it belongs to and the sealed bytes.
pub fn split(frame: &[u8]) -> Result<(Meeting, &[u8]), FrameRejected> {
    if frame.len() > MAX_FRAME {
        return Err(FrameRejected::TooLong);
    }
    let (prefix, sealed) = frame
        .split_first_chunk::<FRAME_PREFIX>()
        .ok_or(FrameRejected::TooShort)?;
    if sealed.is_empty() {
        return Err(FrameRejected::TooShort);
    }
    let meeting = Meeting::new(u32::from_be_bytes(*prefix)).ok_or(FrameRejected::NoMeeting)?;
    Ok((meeting, sealed))
}

/// A number in its one spelling: no sign, no leading zero.
fn parse_number(text: &str) -> Result<Meeting, ControlRejected> {
    if !text.starts_with(|first: char| matches!(first, '1'..='9')) {
        return Err(ControlRejected);
    }
    text.parse()
        .ok()
        .and_then(Meeting::new)
        .ok_or(ControlRejected)
}

const PATH: &str = "/v1/mailbox/";
const MEETING: &str = "{\"meeting\":";
const LEFT: &str = "{\"left\":";

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;
    use alloc::vec;

    const ID: MailboxId = MailboxId::from_bytes([0xfb; 16]);

    #[test]
    fn seats_survive_the_way_through_a_path() {
        for side in [Side::Agent, Side::Signer] {
            let seat = Seat { mailbox: ID, side };
            assert_eq!(Seat::parse(&seat.path()), Ok(seat));
        }
        let path = Seat {
            mailbox: ID,
            side: Side::Agent,
        }
        .path();
        assert_eq!(path, "/v1/mailbox/-_v7-_v7-_v7-_v7-_v7-w/agent");
    }

    #[test]
    fn paths_that_differ_in_one_character_are_refused() {
        let refused = [
            (
                "/v1/mailbox/-_v7-_v7-_v7-_v7-_v7-w/agents",
                SeatRejected::Side,
            ),
            (
                "/v1/mailbox/-_v7-_v7-_v7-_v7-_v7-w/Agent",
                SeatRejected::Side,
            ),
            ("/v1/mailbox/-_v7-_v7-_v7-_v7-_v7-w/", SeatRejected::Side),
            (
                "/v1/mailbox/-_v7-_v7-_v7-_v7-_v7-w/agent/",
                SeatRejected::NotASeat,
            ),
            ("/v1/mailbox/-_v7-_v7-_v7-_v7-_v7-w", SeatRejected::NotASeat),
            (
                "/v2/mailbox/-_v7-_v7-_v7-_v7-_v7-w/agent",
                SeatRejected::NotASeat,
            ),
            (
                "/v1/mailbox/-_v7-_v7-_v7-_v7-_v7-/agent",
                SeatRejected::MailboxId,
            ),
            (
                "/v1/mailbox/-_v7-_v7-_v7-_v7-_v7-wA/agent",
                SeatRejected::MailboxId,
            ),
            (
                "/v1/mailbox/-_v7-_v7-_v7-_v7-_v7-w==/agent",
                SeatRejected::MailboxId,
            ),
            (
                "/v1/mailbox/+_v7-_v7-_v7-_v7-_v7-w/agent",
                SeatRejected::MailboxId,
            ),
            ("/v1/mailbox//agent", SeatRejected::MailboxId),
        ];
        for (path, expected) in refused {
            assert_eq!(Seat::parse(path), Err(expected), "{path}");
        }
    }

    #[test]
    fn a_second_spelling_of_an_id_is_refused() {
        // The last character carries four bits that must be zero: `w` is 110000, `x` 110001.
        assert_eq!(MailboxId::parse("-_v7-_v7-_v7-_v7-_v7-w"), Ok(ID));
        assert_eq!(
            MailboxId::parse("-_v7-_v7-_v7-_v7-_v7-x"),
            Err(SeatRejected::MailboxId)
        );
    }

    #[test]
    fn an_id_in_a_log_line_is_cut_after_four_characters() {
        assert_eq!(format!("{ID:?}"), "-_v7..");
    }

    #[test]
    fn control_messages_are_read_back() {
        for number in [1, 9, 10, u32::MAX] {
            let meeting = Meeting::new(number).unwrap();
            for control in [Control::Meeting(meeting), Control::Left(meeting)] {
                assert_eq!(Control::parse(&control.encode()), Ok(control));
            }
        }
        assert_eq!(Control::Meeting(Meeting::FIRST).encode(), "{\"meeting\":1}");
        let longest = Control::Meeting(Meeting::new(u32::MAX).unwrap()).encode();
        assert_eq!(longest.len(), MAX_CONTROL);
    }

    #[test]
    fn control_messages_with_another_spelling_are_refused() {
        for text in [
            "",
            "{}",
            "{\"meeting\":0}",
            "{\"meeting\":01}",
            "{\"meeting\":+1}",
            "{\"meeting\":-1}",
            "{\"meeting\":1.0}",
            "{\"meeting\":}",
            "{\"meeting\":4294967296}",
            "{\"meeting\":99999999999}",
            "{\"meeting\": 1}",
            "{\"meeting\":1} ",
            "{\"meeting\":1}}",
            "{\"meeting\":1",
            "{\"Meeting\":1}",
            "{\"met\":1}",
            "{\"left\":1,\"meeting\":2}",
        ] {
            assert_eq!(Control::parse(text), Err(ControlRejected), "{text}");
        }
    }

    #[test]
    fn the_largest_frame_is_accepted_and_one_byte_more_is_refused() {
        let whole = frame(Meeting::FIRST, &vec![7; MAX_SEALED]).unwrap();
        assert_eq!(whole.len(), MAX_FRAME);
        assert_eq!(split(&whole).unwrap().1.len(), MAX_SEALED);

        let sealed = vec![7; MAX_SEALED + 1];
        assert_eq!(frame(Meeting::FIRST, &sealed), Err(FrameRejected::TooLong));
        assert_eq!(split(&vec![7; MAX_FRAME + 1]), Err(FrameRejected::TooLong));
    }

    #[test]
    fn a_frame_needs_a_meeting_and_a_sealed_byte() {
        assert_eq!(split(&[0, 0, 0, 1, 9]), Ok((Meeting::FIRST, &[9][..])));
        assert_eq!(split(&[0, 0, 0, 0, 9]), Err(FrameRejected::NoMeeting));
        assert_eq!(split(&[0, 0, 0, 1]), Err(FrameRejected::TooShort));
        assert_eq!(split(&[0, 0, 1]), Err(FrameRejected::TooShort));
        assert_eq!(frame(Meeting::FIRST, &[]), Err(FrameRejected::TooShort));
    }

    #[test]
    fn close_reasons_are_told_apart_by_code_and_by_name() {
        for reason in CloseReason::ALL {
            assert_eq!(CloseReason::from_code(reason.code()), Some(reason));
            let same = CloseReason::ALL
                .into_iter()
                .filter(|it| it.name() == reason.name());
            assert_eq!(same.count(), 1);
            assert!(!reason.hint().is_empty());
        }
        assert_eq!(CloseReason::from_code(1000), None);
        assert_eq!(CloseReason::from_code(4008), None);
    }

    #[test]
    fn meeting_numbers_end_instead_of_starting_over() {
        assert_eq!(Meeting::FIRST.next(), Meeting::new(2));
        assert_eq!(Meeting::new(u32::MAX).unwrap().next(), None);
        assert_eq!(Meeting::new(0), None);
    }

    #[test]
    fn refusals_say_what_was_expected() {
        assert!(SeatRejected::NotASeat.to_string().contains("/v1/mailbox/"));
        assert!(
            SeatRejected::MailboxId
                .to_string()
                .contains("22 characters")
        );
        assert!(SeatRejected::Side.to_string().contains("agent or signer"));
    }
}

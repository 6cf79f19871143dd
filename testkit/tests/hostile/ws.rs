//! WebSocket frames as they are on the wire (RFC 6455 section 5.2).
use std::io::{self, Read, Write};

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Whether it is the last of its message.
    pub(crate) last: bool,
    /// What it is.
    pub(crate) opcode: u8,
    /// What it carries, unmasked.
    pub(crate) payload: Vec<u8>,
}

/// Who sends: whoever connected masks what it sends, and a server must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    Client,
    Server,
}

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

impl Frame {
    /// A whole message in one frame.
    pub(crate) fn whole(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            last: true,
            opcode,
            payload: payload.into(),
        }
    }

    /// The same message in frames of at most this many bytes.
    pub(crate) fn in_pieces_of(&self, size: usize) -> Vec<Self> {
        let mut pieces: Vec<Self> = self
            .payload
            .chunks(size)
            .map(|piece| Self {
                last: false,
                opcode: CONTINUATION,
                payload: piece.to_vec(),
            })
            .collect();
        pieces[0].opcode = self.opcode;
        pieces.last_mut().unwrap().last = true;
        pieces
    }

    /// The bytes that `sender` sends.
    pub(crate) fn bytes(&self, sender: Sender) -> Vec<u8> {
        let mut bytes = head(self.opcode, self.payload.len(), sender);
        if !self.last {
            bytes[0] ^= LAST;
        }
        match sender {
            Sender::Client => {
                bytes.extend(MASK);
                let masked = self.payload.iter().zip(MASK.iter().cycle());
                bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
            }
            Sender::Server => bytes.extend(&self.payload),
        }
        bytes
    }

    /// Reads the next one.
    pub(crate) fn read(from: &mut impl Read) -> io::Result<Self> {
        let [first, second] = read_array(from)?;
        let length = match second & !MASKED {
            126 => u64::from(u16::from_be_bytes(read_array(from)?)),
            127 => u64::from_be_bytes(read_array(from)?),
            short => u64::from(short),
        };
        let mask = if second & MASKED == 0 {
            [0; 4]
        } else {
            read_array(from)?
        };
        let mut payload = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        from.read_exact(&mut payload)?;
        for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
        Ok(Self {
            last: first & LAST != 0,
            opcode: first & 0x0f,
            payload,
        })
    }

    /// Sends it.
    pub(crate) fn write(&self, to: &mut impl Write, sender: Sender) -> io::Result<()> {
        to.write_all(&self.bytes(sender))
    }
}

/// What stands before the payload of a whole message; the length need not be true.
pub(crate) fn head(opcode: u8, length: usize, sender: Sender) -> Vec<u8> {
    let masked = if sender == Sender::Client { MASKED } else { 0 };
    let mut head = vec![LAST | opcode];
    if let Ok(short @ ..126) = u8::try_from(length) {
        head.push(masked + short);
    } else if let Ok(middle) = u16::try_from(length) {
        head.push(masked + 126);
        head.extend(middle.to_be_bytes());
    } else {
        head.push(masked + 127);
        head.extend(u64::try_from(length).unwrap().to_be_bytes());
    }
    head
}

/// Reads the lines of a request or an answer, up to the empty one.
pub(crate) fn read_lines(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    while !lines.ends_with(b"\r\n\r\n") {
        lines.extend(read_array::<1>(from)?);
    }
    Ok(lines)
}

fn read_array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

const LAST: u8 = 0x80;
const MASKED: u8 = 0x80;
/// Any will do: it hides nothing from anybody here.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

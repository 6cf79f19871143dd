//! A seat at a relay, taken by a test: it sends what it is told and tells what it hears.
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use vmux_proto::mailbox::{self, Control, MailboxId, Meeting, Seat, Side};

use crate::ws::{BINARY, Frame, PING, PONG, Sender, TEXT, read_lines};

/// A connection to a mailbox.
pub(crate) struct Chair {
    stream: TcpStream,
    meeting: Option<Meeting>,
}

/// What a relay says.
#[derive(Debug)]
pub(crate) enum Said {
    /// Somebody is across.
    Met,
    /// Nobody is across any more.
    Left,
    /// What whoever is across has sent.
    Frame(Vec<u8>),
}

impl Chair {
    /// Takes the seat.
    #[track_caller]
    pub(crate) fn take(relay: &str, mailbox: [u8; 16], side: Side) -> Self {
        let host = relay.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LONGEST_SILENCE)).unwrap();
        let mailbox = MailboxId::from_bytes(mailbox);
        let path = Seat { mailbox, side }.path();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let answer = read_lines(&mut stream).unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        Self {
            stream,
            meeting: None,
        }
    }

    /// Sends a frame in the meeting that goes on.
    #[track_caller]
    pub(crate) fn send(&mut self, sealed: &[u8]) {
        let meeting = self.meeting.expect("somebody is across");
        let frame = mailbox::frame(meeting, sealed).unwrap();
        self.write(&Frame::whole(BINARY, frame));
    }

    /// What happens next.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Said {
        loop {
            let frame = Frame::read(&mut self.stream).expect("the relay says something");
            match frame.opcode {
                TEXT => {
                    let text = String::from_utf8(frame.payload).unwrap();
                    match Control::parse(&text).unwrap() {
                        Control::Meeting(meeting) => {
                            self.meeting = Some(meeting);
                            return Said::Met;
                        }
                        Control::Left(_) => {
                            self.meeting = None;
                            return Said::Left;
                        }
                    }
                }
                BINARY => {
                    let (_, sealed) = mailbox::split(&frame.payload).unwrap();
                    return Said::Frame(sealed.to_vec());
                }
                PING => self.write(&Frame::whole(PONG, frame.payload)),
                PONG => {}
                other => panic!("the relay sent a frame of kind {other}"),
            }
        }
    }

    /// Waits until somebody is across; what is said before does not count.
    #[track_caller]
    pub(crate) fn meet(&mut self) {
        while !matches!(self.next(), Said::Met) {}
    }

    /// The next frame of whoever is across, in a meeting that goes on.
    #[track_caller]
    pub(crate) fn frame(&mut self) -> Vec<u8> {
        match self.next() {
            Said::Frame(frame) => frame,
            other @ (Said::Met | Said::Left) => panic!("{other:?} and no frame"),
        }
    }

    fn write(&mut self, frame: &Frame) {
        frame.write(&mut self.stream, Sender::Client).unwrap();
    }
}

/// Fresh bytes.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let mut source = std::fs::File::open("/dev/urandom").unwrap();
    source.read_exact(&mut bytes).unwrap();
    bytes
}

/// Longer than any wait that a test expects.
const LONGEST_SILENCE: Duration = Duration::from_secs(40);

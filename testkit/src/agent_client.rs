//! A client of the agent socket that says exactly what it is told to say.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A connection to an agent socket.
#[derive(Debug)]
pub struct AgentClient {
    stream: UnixStream,
}

impl AgentClient {
    /// Connects.
    #[track_caller]
    pub fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("the agent takes connections");
        stream
            .set_read_timeout(Some(LONGEST_REPLY))
            .expect("a timeout");
        stream
            .set_write_timeout(Some(LONGEST_REPLY))
            .expect("a timeout");
        Self { stream }
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the agent reads");
    }

    /// Sends bytes as they are, or says why it cannot.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends these bytes again and again until the agent takes no more for a while.
    #[track_caller]
    pub fn send_until_full(&mut self, bytes: &[u8]) {
        self.stream
            .set_write_timeout(Some(FULL_AFTER))
            .expect("a timeout");
        for _ in 0..MOST_TIMES {
            if self.stream.write_all(bytes).is_err() {
                return;
            }
        }
        panic!("the agent reads without end although nobody takes its replies");
    }

    /// Sends a message and waits for the reply.
    #[track_caller]
    pub fn ask(&mut self, message: &[u8]) -> Vec<u8> {
        self.send(&frame(message));
        self.reply()
    }

    /// The next reply, without its length.
    #[track_caller]
    pub fn reply(&mut self) -> Vec<u8> {
        self.try_reply().expect("the agent replies")
    }

    /// The next reply, or why there is none.
    pub fn try_reply(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
        let mut reply = vec![0; length];
        self.stream.read_exact(&mut reply)?;
        Ok(reply)
    }

    /// Sends a message and waits for the reply, or says why there is none.
    pub fn try_ask(&mut self, message: &[u8]) -> io::Result<Vec<u8>> {
        self.stream.write_all(&frame(message))?;
        self.try_reply()
    }

    /// Checks that the agent hangs up without another word.
    #[track_caller]
    pub fn hung_up_on(mut self) {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => assert_eq!(rest, [0; 0], "words before hanging up"),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}"),
        }
    }
}

/// A message as it is sent: with its length.
pub fn frame(message: &[u8]) -> Vec<u8> {
    string(message)
}

/// A string of RFC 4251: length and bytes.
pub fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("a short string");
    [&length.to_be_bytes(), bytes].concat()
}

const LONGEST_REPLY: Duration = Duration::from_secs(20);
const FULL_AFTER: Duration = Duration::from_millis(300);
/// Far more than any buffer holds.
const MOST_TIMES: usize = 10_000_000;

/// Lets this process open as many files as the system allows.
pub fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).expect("more open files");
}

//! Clients of an agent socket: one at a time, or many at once.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use crate::figures::Samples;

/// One connection that sends and waits.
#[derive(Debug)]
pub(crate) struct Client {
    stream: UnixStream,
}

impl Client {
    pub(crate) fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("an agent that takes connections");
        stream
            .set_read_timeout(Some(LONGEST_REPLY))
            .expect("a timeout");
        Self { stream }
    }

    /// Sends a frame and waits for the reply: how long that took, and the reply without its length.
    pub(crate) fn ask(&mut self, frame: &[u8]) -> (Duration, Vec<u8>) {
        let since = Instant::now();
        self.stream.write_all(frame).expect("an agent that reads");
        let reply = self.reply();
        (since.elapsed(), reply)
    }

    /// Sends a frame and waits for nothing.
    pub(crate) fn send(&mut self, frame: &[u8]) {
        self.stream.write_all(frame).expect("an agent that reads");
    }

    fn reply(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; BUFFER];
        let mut filled = 0;
        loop {
            let free = buffer.get_mut(filled..).expect("a reply that fits");
            let count = self.stream.read(free).expect("an agent that replies");
            assert!(count > 0, "the agent hung up");
            filled += count;
            if let Some(length) = whole(&buffer, filled) {
                assert_eq!(length, filled, "more than one reply");
                buffer.truncate(filled);
                return buffer.split_off(4);
            }
        }
    }
}

/// What many clients saw together.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The time of each reply, as its client saw it.
    pub(crate) samples: Samples,
    /// Replies a second.
    pub(crate) rate: u64,
}

/// Many connections that each send the same frame again as soon as the reply is there, driven by one
/// thread, so that it is the agent that is measured and not the scheduler.
#[derive(Debug)]
pub(crate) struct Crowd {
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    stream: UnixStream,
    since: Instant,
    buffer: Vec<u8>,
    filled: usize,
}

impl Crowd {
    /// So many connections; `greet` is sent on each once, and answered, before anything is measured.
    pub(crate) fn connect(socket: &Path, count: usize, greet: &[&[u8]]) -> Self {
        let member = |_| {
            let mut client = Client::connect(socket);
            for frame in greet {
                client.ask(frame);
            }
            client.stream.set_nonblocking(true).expect("a socket");
            Member {
                stream: client.stream,
                since: Instant::now(),
                buffer: vec![0; BUFFER],
                filled: 0,
            }
        };
        Self {
            members: (0..count).map(member).collect(),
        }
    }

    /// Asks until so many replies have come.
    pub(crate) fn ask(&mut self, frame: &[u8], replies: usize) -> Seen {
        let mut samples = Samples::default();
        let began = Instant::now();
        for member in &mut self.members {
            member.send(frame);
        }
        let (mut asked, mut answered) = (self.members.len(), 0);
        while answered < asked {
            for at in self.ready() {
                let member = self.members.get_mut(at).expect("it was ready");
                if let Some(took) = member.take() {
                    samples.add(took);
                    answered += 1;
                    if asked < replies {
                        member.send(frame);
                        asked += 1;
                    }
                }
            }
        }
        let rate = rate(answered, began.elapsed());
        Seen { samples, rate }
    }

    fn ready(&self) -> Vec<usize> {
        let mut polled: Vec<_> = self
            .members
            .iter()
            .map(|member| PollFd::new(&member.stream, PollFlags::IN))
            .collect();
        let patience = LONGEST_REPLY.try_into().expect("a short time");
        let ready = poll(&mut polled, Some(&patience)).expect("sockets to poll");
        assert!(ready > 0, "the agent does not reply");
        let is_ready = |(at, fd): (usize, &PollFd<'_>)| (!fd.revents().is_empty()).then_some(at);
        polled.iter().enumerate().filter_map(is_ready).collect()
    }
}

impl Member {
    fn send(&mut self, frame: &[u8]) {
        self.filled = 0;
        self.since = Instant::now();
        self.stream
            .write_all(frame)
            .expect("a frame fits a socket's buffer");
    }

    /// How long the reply took, once it is whole.
    fn take(&mut self) -> Option<Duration> {
        let free = self
            .buffer
            .get_mut(self.filled..)
            .expect("a reply that fits");
        let count = self.stream.read(free).expect("it was ready");
        assert!(count > 0, "the agent hung up");
        self.filled += count;
        whole(&self.buffer, self.filled).map(|_| self.since.elapsed())
    }
}

/// So many in this time, a second.
pub(crate) fn rate(count: usize, took: Duration) -> u64 {
    let count = u128::try_from(count).unwrap_or(u128::MAX);
    let per_second = count * 1_000_000_000 / took.as_nanos().max(1);
    u64::try_from(per_second).unwrap_or(u64::MAX)
}

/// The length of the frame at the beginning, if all of it is there.
fn whole(buffer: &[u8], filled: usize) -> Option<usize> {
    let length = buffer.first_chunk().filter(|_| filled >= 4)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()? + 4;
    (filled >= length).then_some(length)
}

/// More than any reply measured here.
const BUFFER: usize = 16 * 1024;

const LONGEST_REPLY: Duration = Duration::from_secs(30);

//! A wire tap between both ends and the relay: it passes everything on and keeps every byte.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::port::Port;

/// A TCP proxy that records. Its threads end with the test's process.
#[derive(Debug)]
pub struct Tap {
    port: u16,
    _reserved: Port,
    connections: Arc<Mutex<Vec<Arc<Wires>>>>,
}

/// What went over one connection.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// From the end to the relay.
    pub to_relay: Vec<u8>,
    /// From the relay to the end.
    pub from_relay: Vec<u8>,
}

#[derive(Debug, Default)]
struct Wires {
    to_relay: Mutex<Vec<u8>>,
    from_relay: Mutex<Vec<u8>>,
}

impl Tap {
    /// Listens, and passes on to `relay`.
    pub fn start(relay: SocketAddr) -> Self {
        let reserved = Port::reserve();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, reserved.number()))
            .expect("a reserved port is free");
        let connections = Arc::<Mutex<Vec<Arc<Wires>>>>::default();
        let all = Arc::clone(&connections);
        drop(thread::spawn(move || {
            for end in listener.incoming().flatten() {
                let Ok(onward) = TcpStream::connect(relay) else {
                    continue;
                };
                let wires = Arc::new(Wires::default());
                lock(&all).push(Arc::clone(&wires));
                join(&end, &onward, wires);
            }
        }));
        Self {
            port: reserved.number(),
            _reserved: reserved,
            connections,
        }
    }

    /// What ends take it for.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Everything so far, a connection each.
    pub fn recorded(&self) -> Vec<Recorded> {
        let copy = |wires: &Arc<Wires>| Recorded {
            to_relay: lock(&wires.to_relay).clone(),
            from_relay: lock(&wires.from_relay).clone(),
        };
        lock(&self.connections).iter().map(copy).collect()
    }
}

impl Recorded {
    /// The messages that the end sent: text or binary, unmasked and put together, after the request.
    pub fn messages_to_relay(&self) -> Vec<Message> {
        messages(&self.to_relay)
    }

    /// The messages that the relay sent, after its answer to the request.
    pub fn messages_from_relay(&self) -> Vec<Message> {
        messages(&self.from_relay)
    }
}

/// One WebSocket message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The opcode of its first frame: 1 text, 2 binary, 8 close, 9 ping, 10 pong.
    pub kind: u8,
    /// Its contents.
    pub payload: Vec<u8>,
}

fn join(end: &TcpStream, onward: &TcpStream, wires: Arc<Wires>) {
    let clone = |stream: &TcpStream| stream.try_clone().expect("another handle");
    let (from_end, to_end) = (clone(end), clone(end));
    let (from_relay, to_relay) = (clone(onward), clone(onward));
    let other = Arc::clone(&wires);
    drop(thread::spawn(move || {
        copy(from_end, to_relay, &wires.to_relay);
    }));
    drop(thread::spawn(move || {
        copy(from_relay, to_end, &other.from_relay);
    }));
}

fn copy(mut from: TcpStream, mut to: TcpStream, record: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        // Kept before it is passed on: what an answer shows has been recorded.
        lock(record).extend_from_slice(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // The other side may be gone already.
    drop(to.shutdown(Shutdown::Both));
    drop(from.shutdown(Shutdown::Both));
}

/// RFC 6455 section 5.2. What is not complete yet is left out.
fn messages(stream: &[u8]) -> Vec<Message> {
    let head = stream.windows(4).position(|four| four == b"\r\n\r\n");
    let mut rest = head.map_or(&[][..], |at| &stream[at + 4..]);
    let mut all: Vec<Message> = Vec::new();
    while let Some((kind, payload, after)) = websocket_frame(rest) {
        match (kind, all.last_mut()) {
            (0, Some(last)) => last.payload.extend(payload),
            _ => all.push(Message { kind, payload }),
        }
        rest = after;
    }
    all
}

fn websocket_frame(bytes: &[u8]) -> Option<(u8, Vec<u8>, &[u8])> {
    let (&[first, second], rest) = bytes.split_first_chunk()?;
    let (length, rest) = match second & 0x7f {
        126 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (u64::from(u16::from_be_bytes(*length)), rest)
        }
        127 => {
            let (length, rest) = rest.split_first_chunk::<8>()?;
            (u64::from_be_bytes(*length), rest)
        }
        short => (u64::from(short), rest),
    };
    let (mask, rest) = if second & 0x80 == 0 {
        ([0; 4], rest)
    } else {
        let (mask, rest) = rest.split_first_chunk::<4>()?;
        (*mask, rest)
    };
    let (payload, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    let clear = payload
        .iter()
        .zip(mask.iter().cycle())
        .map(|(byte, mask)| byte ^ mask)
        .collect();
    Some((first & 0x0f, clear, rest))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

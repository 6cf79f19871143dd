//! A relay that does what a test tells it: an honest one, and somebody between it and the ends.
use std::io::Write as _;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use vmux_proto::mailbox::Side;
use vmux_testkit::Port;

use crate::ws::{BINARY, Frame, Sender, read_lines};

/// Stands between both ends and the relay. Its threads end with the test's process.
pub(crate) struct Middle {
    port: Port,
    shared: Arc<Shared>,
}

struct Shared {
    script: Mutex<Script>,
    wires: Mutex<Vec<TcpStream>>,
}

type Script = Box<dyn FnMut(&Passing<'_>) -> Act + Send>;

/// A frame on its way.
#[derive(Debug)]
pub(crate) struct Passing<'a> {
    /// Whose connection it is on.
    pub(crate) whose: Side,
    /// Which way it goes on that connection.
    pub(crate) towards: Towards,
    /// The frame.
    pub(crate) frame: &'a Frame,
}

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Towards {
    End,
    Relay,
}

/// What becomes of a frame.
#[derive(Debug)]
pub(crate) enum Act {
    /// It is passed on.
    Pass,
    /// It is lost.
    Drop,
    /// It is passed on after this time, and all that follow it no sooner.
    Delay(Duration),
    /// It is passed on after the one that follows it.
    AfterNext,
    /// It is passed on byte by byte.
    Dribble,
    /// These take its place.
    Instead(Vec<Frame>),
    /// It is passed on, and bytes that are no frame after it.
    AndThen(Vec<u8>),
    /// All connections end; the frame is lost.
    Close,
}

impl Passing<'_> {
    /// Whether it is a sealed frame that this end is about to get.
    pub(crate) fn reaches(&self, end: Side) -> bool {
        self.towards == Towards::End && self.whose == end && self.is_sealed()
    }

    /// Whether it is a sealed frame that an end has just sent.
    pub(crate) fn is_sent(&self) -> bool {
        self.towards == Towards::Relay && self.is_sealed()
    }

    fn is_sealed(&self) -> bool {
        self.frame.opcode == BINARY
    }
}

impl Middle {
    /// Listens, and passes on to `relay`. It behaves until it is told otherwise.
    pub(crate) fn start(relay: SocketAddr) -> Self {
        let port = Port::reserve();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.number())).unwrap();
        let shared = Arc::new(Shared {
            script: Mutex::new(Box::new(|_| Act::Pass)),
            wires: Mutex::default(),
        });
        let own = Arc::clone(&shared);
        drop(thread::spawn(move || {
            for end in listener.incoming().flatten() {
                let shared = Arc::clone(&own);
                drop(thread::spawn(move || join(end, relay, &shared)));
            }
        }));
        Self { port, shared }
    }

    /// What ends take it for.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// From now on it does this with every frame, of both ends and both directions.
    pub(crate) fn does(&self, script: impl FnMut(&Passing<'_>) -> Act + Send + 'static) {
        *lock(&self.shared.script) = Box::new(script);
    }

    /// From now on it passes everything on.
    pub(crate) fn behaves(&self) {
        self.does(|_| Act::Pass);
    }

    /// Ends all connections.
    pub(crate) fn cut(&self) {
        self.shared.cut();
    }
}

impl Shared {
    fn cut(&self) {
        for wire in lock(&self.wires).drain(..) {
            // It may have ended already.
            drop(wire.shutdown(Shutdown::Both));
        }
    }
}

/// Serves one end's connection.
fn join(mut end: TcpStream, relay: SocketAddr, shared: &Arc<Shared>) {
    let (Ok(request), Ok(mut onward)) = (read_lines(&mut end), TcpStream::connect(relay)) else {
        return;
    };
    let text = String::from_utf8_lossy(&request).into_owned();
    let whose = if text.lines().next().unwrap().contains("/agent") {
        Side::Agent
    } else {
        Side::Signer
    };
    for wire in [&end, &onward] {
        wire.set_nodelay(true).unwrap();
        lock(&shared.wires).push(wire.try_clone().unwrap());
    }
    if onward.write_all(&request).is_err() {
        return;
    }
    let (from, to) = (end.try_clone().unwrap(), onward.try_clone().unwrap());
    let own = Arc::clone(shared);
    drop(thread::spawn(move || {
        pass(from, to, whose, Towards::Relay, &own);
    }));
    if let Ok(answer) = read_lines(&mut onward)
        && end.write_all(&answer).is_ok()
    {
        pass(onward, end, whose, Towards::End, shared);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, whose: Side, towards: Towards, shared: &Shared) {
    let sender = match towards {
        Towards::End => Sender::Server,
        Towards::Relay => Sender::Client,
    };
    let mut held: Option<Vec<u8>> = None;
    while let Ok(frame) = Frame::read(&mut from) {
        let passing = Passing {
            whose,
            towards,
            frame: &frame,
        };
        let act = lock(&shared.script)(&passing);
        let bytes = frame.bytes(sender);
        let written = match act {
            Act::Pass => to.write_all(&bytes),
            Act::Drop => Ok(()),
            Act::Delay(time) => {
                thread::sleep(time);
                to.write_all(&bytes)
            }
            Act::AfterNext => {
                held = Some(bytes);
                continue;
            }
            Act::Dribble => bytes.chunks(1).try_for_each(|byte| to.write_all(byte)),
            Act::Instead(frames) => frames
                .iter()
                .try_for_each(|frame| frame.write(&mut to, sender)),
            Act::AndThen(more) => to.write_all(&[bytes, more].concat()),
            Act::Close => {
                shared.cut();
                return;
            }
        };
        let after = held.take().map_or(Ok(()), |held| to.write_all(&held));
        if written.and(after).is_err() {
            break;
        }
    }
    // The other side may be gone already.
    drop(to.shutdown(Shutdown::Both));
    drop(from.shutdown(Shutdown::Both));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! A tap on the agent's socket: it shows what a client asked and was answered.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// A proxy of an agent socket that records. Its threads end with the test's process.
#[derive(Debug)]
pub struct AgentTap {
    socket: PathBuf,
    asked: Arc<Mutex<Vec<u8>>>,
    answered: Arc<Mutex<Vec<u8>>>,
}

/// One signature that a client got.
#[derive(Clone, Debug)]
pub struct Signing {
    /// The bytes that were signed.
    pub data: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
}

impl AgentTap {
    /// Listens at `socket`, and passes on to `agent`.
    pub fn start(agent: &Path, socket: &Path) -> Self {
        let listener = UnixListener::bind(socket).expect("a socket for the tap");
        let (asked, answered) = <(Arc<Mutex<Vec<u8>>>, Arc<Mutex<Vec<u8>>>)>::default();
        let tap = Self {
            socket: socket.to_owned(),
            asked,
            answered,
        };
        let (agent, asked, answered) = (
            agent.to_owned(),
            Arc::clone(&tap.asked),
            Arc::clone(&tap.answered),
        );
        drop(thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(onward) = UnixStream::connect(&agent) else {
                    continue;
                };
                let other = |stream: &UnixStream| stream.try_clone().expect("another handle");
                let (from, to, record) = (other(&client), other(&onward), Arc::clone(&asked));
                drop(thread::spawn(move || copy(from, to, &record)));
                let record = Arc::clone(&answered);
                drop(thread::spawn(move || copy(onward, client, &record)));
            }
        }));
        tap
    }

    /// Where clients connect.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The only signature that was made.
    #[track_caller]
    pub fn only_signature(&self) -> Signing {
        let requests = messages(&self.asked, SIGN_REQUEST);
        let replies = messages(&self.answered, SIGN_RESPONSE);
        let ([request], [reply]) = (&requests[..], &replies[..]) else {
            panic!("{} requests, {} replies", requests.len(), replies.len())
        };
        let (_key, rest) = string(request);
        Signing {
            data: string(rest).0.to_vec(),
            signature: string(reply).0.to_vec(),
        }
    }
}

/// The bodies of all messages of this number.
fn messages(record: &Mutex<Vec<u8>>, number: u8) -> Vec<Vec<u8>> {
    let stream = record
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let mut rest = &stream[..];
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (message, after) = string(rest);
        if message.first() == Some(&number) {
            all.push(message[1..].to_vec());
        }
        rest = after;
    }
    all
}

fn string(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = bytes.split_first_chunk::<4>().expect("a length");
    rest.split_at(usize::try_from(u32::from_be_bytes(*length)).expect("32 bits fit"))
}

fn copy(mut from: UnixStream, mut to: UnixStream, record: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        record
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // The other side may be gone already.
    drop(to.shutdown(Shutdown::Both));
}

const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

//! A signature with a key that is in the process, which is the way of session certificates.
//!
//! The agent does not sign by itself yet. What is measured is everything such a signature goes
//! through: the frame is taken apart, the payload understood, its destination proven from the
//! bindings, the key looked up, the signature made, verified (I7) and framed. Once in this process
//! without a socket, and once at a socket of this process, read and written as the agent does.

use std::hint::black_box;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::{Builder, Runtime};
use vmux_agent::ephemeral::Ed25519;
use vmux_broker::{Answer, Ask, Conversation, Step};
use vmux_host::crypto;
use vmux_proto::ephemeral::EphemeralKey;
use vmux_proto::key::PublicKey;
use vmux_proto::signature::VerifiedSignature;

use crate::client::{Client, Crowd};
use crate::figures::{Bar, Figure, Row, Samples, Spread};
use crate::login::{self, Login};
use crate::phone;
use crate::world::{OpenSsh, Place, Setting};

/// One signature after the other, and many clients at once.
pub(crate) fn measure(setting: &Setting) -> Vec<Row> {
    let place = Place::new();
    let openssh = OpenSsh::start(&place);
    let key = Arc::new(Ed25519::generate().expect("a new key"));
    let socket = place.path("sign.sock");
    let runtime = serve(&socket, Arc::clone(&key));
    let ends = [
        (socket.as_path(), key.public().clone()),
        (openssh.socket.as_path(), phone::identity()),
    ];
    let [ours, theirs] = alone(setting, &ends);
    let mut rows = vec![
        Row::new(
            "sign in process, Ed25519, no socket",
            inside(setting, &*key),
        )
        .beside(theirs),
        Row::new("sign in process, Ed25519, 1 client", ours)
            .beside(theirs)
            .bar(Bar::RatioAtMost(250)),
    ];
    for count in [8, 64, 200] {
        rows.push(together(setting, count, &ends));
    }
    runtime.shutdown_background();
    rows
}

fn inside(setting: &Setting, key: &(dyn EphemeralKey + Sync)) -> Spread {
    let login = Login::new(1);
    let mut desk = Desk::new(key);
    desk.take(&login.binding());
    let frame = login.sign(key.public());
    let mut samples = Samples::default();
    for _ in 0..setting.samples(10, 20_000) {
        let since = Instant::now();
        let reply = desk.take(black_box(&frame));
        samples.add(since.elapsed());
        login::expect_signature(reply.get(4..).unwrap_or_default());
    }
    samples.spread()
}

fn alone(setting: &Setting, ends: &[(&Path, PublicKey); 2]) -> [Spread; 2] {
    let login = Login::new(2);
    let mut samples = [Samples::default(), Samples::default()];
    let mut clients = ends.clone().map(|(socket, _)| {
        let mut client = Client::connect(socket);
        client.ask(&login.binding());
        client
    });
    for _ in 0..ROUNDS {
        let each = clients.iter_mut().zip(ends).zip(&mut samples);
        for ((client, (_, key)), samples) in each {
            for _ in 0..setting.samples(5, 1000) {
                let (took, reply) = client.ask(&login.sign(key));
                login::expect_signature(&reply);
                samples.add(took);
            }
        }
    }
    samples.map(Samples::spread)
}

fn together(setting: &Setting, count: usize, ends: &[(&Path, PublicKey); 2]) -> Row {
    let login = Login::new(3);
    let binding = login.binding();
    let mut rates = [0; 2];
    for _ in 0..ROUNDS {
        for ((socket, key), rate) in ends.iter().zip(&mut rates) {
            let mut crowd = Crowd::connect(socket, count, &[&binding]);
            let seen = crowd.ask(&login.sign(key), setting.samples(count, 2000));
            *rate += seen.rate / ROUNDS;
        }
    }
    let [ours, theirs] = rates.map(Figure::Rate);
    let row = Row::new(format!("signatures a second, {count} clients"), ours).beside(theirs);
    match count {
        64 => row.bar(Bar::RatioAtLeast(5000)),
        _ => row,
    }
}

/// One connection, and the key that answers on it.
struct Desk<'a> {
    conversation: Conversation,
    key: &'a (dyn EphemeralKey + Sync),
}

impl<'a> Desk<'a> {
    const fn new(key: &'a (dyn EphemeralKey + Sync)) -> Self {
        Self {
            conversation: Conversation::new(),
            key,
        }
    }

    /// The replies to whole frames.
    fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.conversation.read(bytes);
        let mut replies = Vec::new();
        loop {
            let step = self.conversation.next(crypto::verifier());
            match step.expect("frames of a possible length") {
                Step::Read => return replies,
                Step::Write(reply) | Step::Refuse(reply, ..) | Step::NotServed(reply, _) => {
                    replies.extend(reply);
                }
                Step::Ask(ask) => {
                    let answer = self.answer(&ask);
                    replies.extend(self.conversation.answer(answer));
                }
            }
        }
    }

    fn answer(&self, ask: &Ask) -> Answer {
        match ask {
            Ask::Sign(sign) if sign.key.same_key(self.key.public()) => {
                let candidate = self.key.sign(&sign.bytes);
                let public = self.key.public();
                VerifiedSignature::check(crypto::verifier(), public, &sign.bytes, candidate)
                    .map_or(Answer::Failure, Answer::Signature)
            }
            Ask::Sign(_)
            | Ask::Identities
            | Ask::Lock(_)
            | Ask::Unlock(_)
            | Ask::RemoveAll
            | Ask::Remove => Answer::Failure,
        }
    }
}

/// Serves at this socket until the runtime ends.
fn serve(socket: &Path, key: Arc<Ed25519>) -> Runtime {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let listener = {
        let _inside = runtime.enter();
        UnixListener::bind(socket).expect("a socket")
    };
    drop(runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let key = Arc::clone(&key);
            // A client that is gone ends its own task.
            drop(
                tokio::runtime::Handle::current()
                    .spawn(async move { converse(stream, &key).await }),
            );
        }
    }));
    runtime
}

async fn converse(mut stream: UnixStream, key: &Ed25519) -> io::Result<()> {
    let mut desk = Desk::new(key);
    loop {
        stream.readable().await?;
        let mut buffer = [0; 4096];
        match stream.try_read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                let reply = desk.take(buffer.get(..count).unwrap_or_default());
                stream.write_all(&reply).await?;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

const ROUNDS: u64 = 5;

//! A signature by the phone, approved at once: what it costs beyond the way through the relay.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use vmux_host::relay::SeatEvent;
use vmux_proto::mailbox::Side;

use crate::client::{Client, Crowd};
use crate::figures::{Bar, Figure, Row, Samples, Spread};
use crate::login::{self, Login};
use crate::phone::{self, Sizes};
use crate::seat::Seated;
use crate::world::{Agent, OpenSsh, Place, Relay, Setting};

/// The signature, the bare way through the relay, their difference, and a write to disk.
pub(crate) fn measure(setting: &Setting) -> Vec<Row> {
    let place = Place::new();
    let relay = Relay::start(setting, &place, MUCH_TRAFFIC, 2);
    let agent = Agent::start(setting, &place, &relay.url());
    let phone = agent.pair(&place);
    let mut client = Client::connect(&agent.socket);
    let mut raw = Raw::start(&relay.url());
    let (mut signed, mut carried) = (Samples::default(), Samples::default());
    for number in 0..setting.samples(3, 1000) {
        let login = Login::new(u64::try_from(number).expect("a small number"));
        client = reconnect(client, &agent, &login);
        let (took, reply) = client.ask(&login.sign(&phone::identity()));
        login::expect_signature(&reply);
        signed.add(took);
        carried.add(raw.round_trip(phone.sizes()));
        // As logins come: one after the other, with time in between.
        std::thread::sleep(BETWEEN);
    }
    let (signed, carried) = (signed.spread(), carried.spread());
    vec![
        Row::new("sign on the phone, approved at once", signed),
        Row::new("the same sizes through the relay and back", carried),
        Row::new("added by agent and signer", added(signed, carried))
            .bar(Bar::BothAtMost(Figure::ms(3), Figure::ms(10))),
        Row::new("append 600 bytes and fdatasync", disk(setting, &place)),
    ]
}

/// Lists with 200 clients while the person looks at four requests and does nothing.
pub(crate) fn stalled(setting: &Setting) -> Vec<Row> {
    const WAITING: u64 = 4;
    let place = Place::new();
    let relay = Relay::start(setting, &place, MUCH_TRAFFIC, 2);
    let agent = Agent::start(setting, &place, &relay.url());
    let phone = agent.pair(&place);
    phone.stall();
    let waiting: Vec<_> = (0..WAITING).map(|number| ask(&agent, number)).collect();
    crate::world::until("the requests are on the phone", || phone.shown() == WAITING);
    let openssh = OpenSsh::start(&place);
    let list = login::list();
    let [ours, openssh] = [&agent.socket, &openssh.socket].map(|socket| {
        let mut crowd = Crowd::connect(socket, 200, &[&list]);
        let seen = crowd.ask(&list, setting.samples(400, 50_000));
        seen.samples.spread()
    });
    drop(waiting);
    vec![
        Row::new("list, 200 clients without pause, phone stalled", ours)
            .beside(openssh)
            .bar(Bar::TailAtMost(Figure::ms(5))),
    ]
}

/// A client that asked for a signature and waits.
fn ask(agent: &Agent, number: u64) -> Client {
    let login = Login::new(number);
    let mut client = Client::connect(&agent.socket);
    client.ask(&login::list());
    client.ask(&login.binding());
    client.send(&login.sign(&phone::identity()));
    client
}

/// A fresh connection, as every ssh makes one, bound to this login.
fn reconnect(before: Client, agent: &Agent, login: &Login) -> Client {
    drop(before);
    let mut client = Client::connect(&agent.socket);
    client.ask(&login::list());
    let (_, reply) = client.ask(&login.binding());
    login::expect_success(&reply);
    client
}

/// What the signature takes beyond the usual way there and back. The tail is counted from the median
/// of the way, so that a slow moment of the way is not taken off.
fn added(signed: Spread, carried: Spread) -> Spread {
    Spread {
        median: signed.median.above(carried.median),
        tail: signed.tail.map(|tail| tail.above(carried.median)),
    }
}

/// What a record costs that must be on disk before the signature leaves.
fn disk(setting: &Setting, place: &Place) -> Spread {
    let mut file = OpenOptions::new()
        .append(true)
        .open(place.write("record", ""))
        .expect("a file to append to");
    let mut samples = Samples::default();
    for _ in 0..setting.samples(3, 500) {
        let since = Instant::now();
        file.write_all(&[b'r'; 600]).expect("a write");
        rustix::fs::fdatasync(&file).expect("a disk");
        samples.add(since.elapsed());
    }
    samples.spread()
}

/// Two seats across from each other: one asks, one answers, in threads of their own.
struct Raw {
    runtime: Runtime,
    seat: Seated,
    stop: Option<oneshot::Sender<()>>,
    across: Option<JoinHandle<()>>,
}

impl Raw {
    fn start(relay: &str) -> Self {
        let url = relay.to_owned();
        let (stop, mut stopped) = oneshot::channel();
        let across = std::thread::spawn(move || {
            runtime().block_on(async {
                let mut seat = Seated::take(&url, MAILBOX, Side::Signer);
                loop {
                    tokio::select! {
                        event = seat.next() => if let SeatEvent::Frame(frame) = event {
                            seat.send(&answer(&frame));
                        },
                        _ = &mut stopped => return,
                    }
                }
            });
        });
        let runtime = runtime();
        let seat = runtime.block_on(async {
            let mut seat = Seated::take(relay, MAILBOX, Side::Agent);
            seat.met().await;
            seat
        });
        Self {
            runtime,
            seat,
            stop: Some(stop),
            across: Some(across),
        }
    }

    fn round_trip(&mut self, sizes: Sizes) -> Duration {
        // The first two bytes say how long the answer has to be.
        let mut frame = vec![0; sizes.asked];
        let answered = u16::try_from(sizes.answered).expect("a short answer");
        frame
            .first_chunk_mut()
            .map(|head| *head = answered.to_be_bytes())
            .expect("a frame with two bytes");
        let since = Instant::now();
        self.runtime.block_on(async {
            self.seat.send(&frame);
            while !matches!(self.seat.next().await, SeatEvent::Frame(_)) {}
        });
        since.elapsed()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Nobody to stop if it has ended by itself.
            let _ended = stop.send(());
        }
        if let Some(across) = self.across.take() {
            drop(across.join());
        }
    }
}

fn answer(frame: &[u8]) -> Vec<u8> {
    let length = frame
        .first_chunk()
        .map_or(1, |head| u16::from_be_bytes(*head));
    vec![0; length.into()]
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// A mailbox that nobody else uses.
const MAILBOX: [u8; 16] = [0xb7; 16];

const BETWEEN: Duration = Duration::from_millis(2);

/// The relay's limits keep strangers away, and are not what is measured.
const MUCH_TRAFFIC: &str = "messages-per-second = 1000000\nmessages-burst = 1000000\n\
    arrivals-per-second = 1000000\narrivals-burst = 1000000\n";

//! The relay on one worker thread: how many idle phones it holds, and how many frames it passes.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::task::JoinSet;
use vmux_host::relay::SeatEvent;
use vmux_proto::mailbox::Side;

use crate::client::rate;
use crate::figures::{Bar, Figure, Row};
use crate::program::allow_files;
use crate::seat::Seated;
use crate::world::{Effort, Place, Relay, Setting};

/// Idle phones: bytes each, how many in how much memory, and what they cost the processor.
pub(crate) fn idle(setting: &Setting) -> Vec<Row> {
    let wanted = setting.samples(200, 21_000);
    let files = allow_files(u64::try_from(wanted + SPARE).expect("a small number"));
    let count = usize::try_from(files).map_or(wanted, |files| wanted.min(files - SPARE));
    let place = Place::new();
    let relay = Relay::start(setting, &place, &limits(wanted), 1);
    let empty = relay.program.resident().unwrap_or_default();
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let phones = runtime.block_on(seat_all(relay.address, count));
    let (busy, since) = (relay.program.processor_time(), Instant::now());
    let watched = match setting.effort {
        Effort::Quick => Duration::from_millis(500),
        // Longer than the silence after which the relay asks whether anybody is there.
        Effort::Full => Duration::from_secs(25),
    };
    std::thread::sleep(watched);
    let used = relay.program.processor_time().zip(busy);
    let used = used
        .map(|(now, before)| now.saturating_sub(before))
        .unwrap_or_default();
    let per_second = used * 1000 / u32::try_from(since.elapsed().as_millis()).unwrap_or(u32::MAX);
    let full = relay.program.resident().unwrap_or_default();
    drop(phones);
    let held = u64::try_from(count).expect("a small number");
    let each = full.saturating_sub(empty).div_ceil(held).max(1);
    let fitting = |mib: u64| Figure::Count((mib * 1024 * 1024).saturating_sub(empty) / each);
    vec![
        Row::new("relay: resident, nobody there", Figure::Bytes(empty)),
        Row::new(
            format!("relay: resident, {count} idle phones"),
            Figure::Bytes(full),
        ),
        Row::new("relay: each idle phone", Figure::Bytes(each)),
        Row::new("relay: idle phones in 400 MiB, reckoned", fitting(400))
            .bar(Bar::AtLeast(Figure::Count(20_000))),
        Row::new("relay: idle phones in 1 GiB, reckoned", fitting(1024)),
        Row::new(
            "relay: processor time a second for them",
            Figure::from(per_second),
        ),
    ]
}

async fn seat_all(relay: SocketAddr, count: usize) -> JoinSet<io::Result<()>> {
    let mut phones = JoinSet::new();
    for number in 0..count {
        let stream = seat(relay, number).await.expect("a relay with room");
        phones.spawn(answer_pings(stream));
    }
    phones
}

/// Takes a seat by hand: a library's buffers would cost this process more than the relay.
async fn seat(relay: SocketAddr, number: usize) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(relay).await?;
    // 22 characters of base64url; the unused bits of the last one are zero.
    let request = format!(
        "GET /v1/mailbox/{number:021}A/signer HTTP/1.1\r\nHost: {relay}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    if answer.starts_with(b"HTTP/1.1 101") {
        Ok(stream)
    } else {
        Err(io::Error::other(
            String::from_utf8_lossy(&answer).into_owned(),
        ))
    }
}

/// A phone that is idle, but there.
async fn answer_pings(mut stream: TcpStream) -> io::Result<()> {
    const PING: u8 = 0x89;
    const PONG: u8 = 0x8a;
    const MASKED: u8 = 0x80;
    loop {
        let mut head = [0; 2];
        stream.read_exact(&mut head).await?;
        let [kind, length] = head;
        let mut payload = vec![0; length.into()];
        stream.read_exact(&mut payload).await?;
        if kind == PING {
            // A mask of zeros leaves the payload as it is.
            let pong = [&[PONG, MASKED | length, 0, 0, 0, 0][..], &payload].concat();
            stream.write_all(&pong).await?;
        }
    }
}

/// Frames between pairs of ends that answer each other at once.
pub(crate) fn frames(setting: &Setting) -> Vec<Row> {
    let place = Place::new();
    let relay = Relay::start(setting, &place, &limits(64), 1);
    let runtime = Builder::new_current_thread().enable_all().build();
    let (rounds, url) = (setting.samples(10, 4000), relay.url());
    let (frames, took, used) = runtime.expect("a runtime").block_on(async {
        let mut ends = Vec::new();
        for number in 0..PAIRS {
            let mut one = Seated::take(&url, [number; 16], Side::Agent);
            let mut other = Seated::take(&url, [number; 16], Side::Signer);
            one.met().await;
            other.met().await;
            ends.extend([(one, true), (other, false)]);
        }
        let before = relay.program.processor_time();
        let (since, mut playing) = (Instant::now(), JoinSet::new());
        for (seat, begins) in ends {
            playing.spawn_on(
                play(seat, begins.then_some(IN_FLIGHT), rounds),
                &Handle::current(),
            );
        }
        let played = playing.join_all().await;
        let used = relay.program.processor_time().zip(before);
        let used = used.map(|(now, before)| now.saturating_sub(before));
        (played.into_iter().sum::<usize>(), since.elapsed(), used)
    });
    let mut rows = vec![Row::new(
        "relay: frames of 512 bytes a second, ends on the other core",
        Figure::Rate(rate(frames, took)),
    )];
    rows.extend(used.filter(|used| !used.is_zero()).map(|used| {
        Row::new(
            "relay: frames for each second of its processor time",
            Figure::Rate(rate(frames, used)),
        )
    }));
    rows.extend(
        relay
            .program
            .resident()
            .map(|bytes| Row::new("relay: resident after that", Figure::Bytes(bytes))),
    );
    rows
}

/// Sends each frame back, until so many have come; gives how many that were.
async fn play(mut seat: Seated, begins: Option<u8>, rounds: usize) -> usize {
    for _ in 0..begins.unwrap_or(0) {
        seat.send(&[0; 512]);
    }
    let mut heard = 0;
    while heard < rounds {
        match seat.next().await {
            SeatEvent::Frame(frame) => {
                heard += 1;
                seat.send(&frame);
            }
            // The other one has had its frames.
            SeatEvent::Left | SeatEvent::Down { .. } => break,
            SeatEvent::Seated | SeatEvent::Met(_) => {}
        }
    }
    heard
}

fn limits(phones: usize) -> String {
    let phones = phones + SPARE;
    format!(
        "connections = {phones}\nconnections-per-address = {phones}\nmailboxes = {phones}\n\
         arrivals-per-second = 1000000\narrivals-burst = 1000000\n\
         messages-per-second = 10000000\nmessages-burst = 10000000\n\
         bytes-per-second = 4000000000\nbytes-burst = 4000000000\n"
    )
}

/// Files beside the connections.
const SPARE: usize = 256;

const PAIRS: u8 = 8;

/// Frames on their way between two ends at any time.
const IN_FLIGHT: u8 = 4;

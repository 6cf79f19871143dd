//! Listing the identities: one client, and many at once.

use std::path::Path;

use crate::client::{Client, Crowd};
use crate::figures::{Bar, Figure, Row, Samples};
use crate::login;
use crate::world::{Agent, OpenSsh, Place, Relay, Setting};

/// One client, then crowds.
pub(crate) fn measure(setting: &Setting) -> Vec<Row> {
    let place = Place::new();
    let relay = Relay::start(setting, &place, "", 2);
    let agent = Agent::start(setting, &place, &relay.url());
    let _phone = agent.pair(&place);
    let openssh = OpenSsh::start(&place);
    let mut rows = vec![alone(setting, &agent.socket, &openssh.socket)];
    for count in [1, 8, 64, 200] {
        rows.extend(together(setting, count, &agent.socket, &openssh.socket));
    }
    rows
}

fn alone(setting: &Setting, ours: &Path, openssh: &Path) -> Row {
    let mut clients = [ours, openssh].map(Client::connect);
    let mut samples = [Samples::default(), Samples::default()];
    // In turn, so that whatever else the machine does hits both alike.
    for _ in 0..ROUNDS {
        for (client, samples) in clients.iter_mut().zip(&mut samples) {
            for _ in 0..setting.samples(10, 4000) {
                let (took, reply) = client.ask(&login::list());
                login::expect_identities(&reply, 1);
                samples.add(took);
            }
        }
    }
    let [ours, openssh] = samples.map(Samples::spread);
    Row::new("list, 1 client", ours)
        .beside(openssh)
        .bar(Bar::RatioAtMost(1000))
}

fn together(setting: &Setting, count: usize, ours: &Path, openssh: &Path) -> [Row; 2] {
    let list = login::list();
    let mut crowds = [ours, openssh].map(|socket| Crowd::connect(socket, count, &[&list]));
    let mut all = [Samples::default(), Samples::default()];
    let mut rates = [0; 2];
    for _ in 0..ROUNDS {
        for ((crowd, all), rate) in crowds.iter_mut().zip(&mut all).zip(&mut rates) {
            let seen = crowd.ask(&list, setting.samples(count, 10_000));
            all.extend(seen.samples);
            *rate += seen.rate / ROUNDS;
        }
    }
    let [ours, openssh] = all.map(Samples::spread);
    let [our_rate, their_rate] = rates.map(Figure::Rate);
    let clients = if count == 1 { "client" } else { "clients" };
    [
        Row::new(format!("list, {count} {clients} without pause"), ours).beside(openssh),
        Row::new(format!("lists a second, {count} {clients}"), our_rate).beside(their_rate),
    ]
}

const ROUNDS: u64 = 5;

//! Bindings: what it costs to prove a host, with OpenSSH's own bindings of every kind of host key.

use std::path::Path;

use serde_json::Value;

use crate::client::Client;
use crate::figures::{Row, Samples};
use crate::login;
use crate::world::{Agent, OpenSsh, Place, Relay, Setting};

/// One row for each kind of host key.
pub(crate) fn measure(setting: &Setting) -> Vec<Row> {
    let place = Place::new();
    let relay = Relay::start(setting, &place, "", 2);
    let agent = Agent::start(setting, &place, &relay.url());
    let openssh = OpenSsh::start(&place);
    let kinds = KINDS.iter();
    kinds
        .map(|kind| one(setting, kind, &agent.socket, &openssh.socket))
        .collect()
}

fn one(setting: &Setting, kind: &str, ours: &Path, openssh: &Path) -> Row {
    let binding = login::binding(&vector(&format!("login to {kind}")));
    let mut samples = [Samples::default(), Samples::default()];
    for _ in 0..setting.samples(2, 1000) {
        for (socket, samples) in [ours, openssh].into_iter().zip(&mut samples) {
            // A connection takes one login, so each binding has its own; a list shows that it stands.
            let mut client = Client::connect(socket);
            client.ask(&login::list());
            let (took, reply) = client.ask(&binding);
            login::expect_success(&reply);
            samples.add(took);
        }
    }
    let [ours, openssh] = samples.map(Samples::spread);
    Row::new(format!("binding, {kind} host key"), ours).beside(openssh)
}

/// The body of a binding that OpenSSH made.
pub(crate) fn vector(name: &str) -> Vec<u8> {
    let file: Value = serde_json::from_str(VECTORS).expect("vectors in JSON");
    let bindings = file["bindings"].as_array().expect("a list of bindings");
    let named = bindings.iter().find(|binding| binding["name"] == name);
    let hex = named.and_then(|binding| binding["body"].as_str());
    let pairs = hex.expect("a body").as_bytes().chunks(2);
    pairs
        .map(|pair| {
            let text = std::str::from_utf8(pair).expect("hexadecimal digits");
            u8::from_str_radix(text, 16).expect("hexadecimal digits")
        })
        .collect()
}

/// Kinds of host keys, as the vectors name them.
pub(crate) const KINDS: [&str; 6] = [
    "ed25519",
    "ecdsa-p256",
    "ecdsa-p384",
    "ecdsa-p521",
    "rsa-3072",
    "ed25519 certificate",
];

const VECTORS: &str = include_str!("../../docs/spec/vectors/bindings.json");

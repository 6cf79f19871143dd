//! Both back ends alone: what the rest of the figures is made of.

use std::hint::black_box;
use std::time::Instant;

use vmux_agent::ephemeral::Ed25519;
use vmux_host::crypto;
use vmux_proto::binding::Chain;
use vmux_proto::crypto::PureRust;
use vmux_proto::ephemeral::EphemeralKey as _;
use vmux_proto::signature::Verifier;

use crate::bind::{KINDS, vector};
use crate::figures::{Row, Samples, Spread};
use crate::world::Setting;

/// Bindings of each kind of host key with either back end, and one signature.
pub(crate) fn measure(setting: &Setting) -> Vec<Row> {
    let mut rows = Vec::new();
    let back_ends: [(&str, &dyn Verifier); 2] =
        [("native", crypto::verifier()), ("pure Rust", &PureRust)];
    for kind in KINDS {
        for (name, verifier) in back_ends {
            let body = vector(&format!("login to {kind}"));
            let took = timed(setting, || {
                let bound = Chain::new().bind(verifier, black_box(&body));
                bound.expect("a binding that OpenSSH made");
            });
            rows.push(Row::new(format!("verify a binding, {kind}, {name}"), took));
        }
    }
    let key = Ed25519::generate().expect("a new key");
    let took = timed(setting, || drop(key.sign(black_box(&[7; 300]))));
    rows.push(Row::new("sign 300 bytes, ed25519", took));
    rows
}

fn timed(setting: &Setting, mut what: impl FnMut()) -> Spread {
    let mut samples = Samples::default();
    for _ in 0..setting.samples(5, 2000) {
        let since = Instant::now();
        what();
        samples.add(since.elapsed());
    }
    samples.spread()
}

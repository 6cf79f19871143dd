//! What workstations ask for, and what a signer has stored.
use vmux_proto::Untrusted;
use vmux_proto::message::{Hello, Process, Reported, RequestId, SignRequest, VERSION};
use vmux_signer::{AgentRecord, Identities, Identity, IdentityKind};

use super::World;
use crate::choices::{Choices, flipped};
use crate::link::bonds;
use crate::ssh::{People, Secret};

impl World {
    pub(super) fn request(&self, choices: &mut Choices<'_>) -> SignRequest {
        let id = id(choices);
        let key = self.people.identity(choices).public();
        let payload = self.people.payload(choices, key);
        let chain = self.people.chain(choices);
        let waits = [60_000, 60_000, 60_000, 1_000, 1, 0, u32::MAX];
        SignRequest {
            id,
            key: key.blob().to_vec().into(),
            payload: payload.into(),
            flags: [0, 0, 0, 2, 4, 6, 1, u32::MAX][usize::from(choices.below(8))],
            chain: chain.into_iter().map(Into::into).collect(),
            wait_ms: *choices.one(&waits),
            reported: reported(choices),
        }
    }

    pub(super) fn change(&self, request: &mut SignRequest, choices: &mut Choices<'_>) {
        match choices.below(8) {
            0 => request.id = id(choices),
            1 => request.payload = flipped(&request.payload, usize::from(choices.byte())).into(),
            2 => {
                let key = self.people.identity(choices).public();
                request.key = key.blob().to_vec().into();
            }
            3 => request.flags ^= 1 << choices.below(32),
            4 => {
                let chain = self.people.chain(choices);
                request.chain = chain.into_iter().map(Into::into).collect();
            }
            5 => request.wait_ms = u32::from(choices.byte()),
            6 => request.reported = reported(choices),
            _ => {}
        }
    }
}

/// Whether two requests differ in nothing but how long they wait.
pub(super) fn is_same(one: &SignRequest, other: &SignRequest) -> bool {
    let one = SignRequest {
        wait_ms: other.wait_ms,
        ..one.clone()
    };
    one == *other
}

pub(super) fn id(choices: &mut Choices<'_>) -> RequestId {
    RequestId([choices.below(12); 16])
}

fn reported(choices: &mut Choices<'_>) -> Reported {
    match choices.below(3) {
        0 => Reported::default(),
        1 => Reported {
            host: Some(choices.one(&["github.com", "web", "WEB."]).to_string()),
            ..Reported::default()
        },
        _ => Reported {
            host: Some(choices.text()),
            processes: vec![Process {
                pid: 1,
                program: choices.text(),
                command: choices.text(),
            }],
            ..Reported::default()
        },
    }
}

pub(super) fn record(pairing: u8) -> AgentRecord {
    AgentRecord {
        name: Untrusted::new("workstation"),
        relay: "https://relay.example".into(),
        paired: 0,
        bond: bonds(pairing).1,
        suspended: false,
    }
}

/// Identities of which the bits of `enabled` hide some.
pub(super) fn identities(people: &People, hidden: u8) -> Identities {
    let mut identities = Identities::default();
    let all: [(&str, &Secret); 3] = [
        ("one", &people.ours[0]),
        ("two", &people.ours[1]),
        ("off", &people.other),
    ];
    for (at, (label, secret)) in all.into_iter().enumerate() {
        let identity = Identity {
            key: secret.public().clone(),
            label: label.into(),
            enabled: label != "off" && hidden & (1 << at) == 0,
            created: 0,
            kind: IdentityKind::File,
        };
        identities.add(identity).expect("a new identity");
    }
    identities
}

pub(crate) fn hello(kind: &str) -> Hello {
    Hello {
        version: VERSION,
        name: "a name".into(),
        kind: kind.into(),
        software: "test".into(),
        commitment: None,
    }
}

//! A phone: the signer's mind, a store, keys, and a person.
use crate::relay::Connection;
use crate::ssh::Secret;
use std::collections::BTreeMap;
use vmux_broker::PhoneRecord;
use vmux_link::{Bond, LinkId, Psk, StaticSecret};
use vmux_proto::Untrusted;
use vmux_proto::audit::{Checker, Event, Head, Line};
use vmux_proto::message::{Hello, RequestId, VERSION};
use vmux_signer::{
    AgentRecord, Identities, Identity, IdentityKind, Memory, Pins, Prompt, Settings, SignJob,
    Signer,
};

pub(crate) struct Phone {
    pub(crate) signer: Signer,
    pub(crate) link: LinkId,
    pub(crate) connection: Connection,
    pub(crate) keys: Vec<Secret>,
    /// What the person sees.
    pub(crate) screen: BTreeMap<RequestId, Prompt>,
    /// Requests that left the screen; a finger may still be on its way to them.
    pub(crate) stale: Vec<RequestId>,
    /// Signatures the keys are about to make.
    pub(crate) jobs: Vec<SignJob>,
    pub(crate) disk: Disk,
}

/// What survives a crash.
pub(crate) struct Disk {
    agents: Vec<u8>,
    pins: Vec<u8>,
    identities: Vec<u8>,
    memory: Memory,
}

impl Phone {
    /// A phone that holds these keys, and the agent's record of it.
    pub(crate) fn paired(seed: u8, keys: Vec<Secret>) -> (Self, PhoneRecord) {
        let (bond, agents_bond) = bonds(seed);
        let agent = AgentRecord {
            name: Untrusted::new("workstation"),
            relay: RELAY.into(),
            paired: 1_700_000_000,
            bond,
            suspended: false,
        };
        let record = PhoneRecord {
            name: Untrusted::new("phone"),
            kind: Untrusted::new("test"),
            relay: RELAY.into(),
            paired: 1_700_000_000,
            seen: 1_700_000_000,
            identities: Vec::new(),
            bond: agents_bond,
            suspended: false,
        };
        let mut identities = Identities::default();
        for (number, key) in keys.iter().enumerate() {
            identities.add(identity(number, key)).unwrap();
        }
        let disk = Disk {
            agents: AgentRecord::list_to_bytes([&agent]).to_vec(),
            pins: Pins::default().to_bytes(),
            identities: identities.to_bytes(),
            memory: Memory::EMPTY,
        };
        let phone = Self {
            signer: disk.signer(),
            link: agent.id(),
            connection: Connection::default(),
            keys,
            screen: BTreeMap::new(),
            stale: Vec::new(),
            jobs: Vec::new(),
            disk,
        };
        (phone, record)
    }

    /// The program is killed and started with what it had stored.
    pub(crate) fn restart(&mut self) {
        self.signer = self.disk.signer();
        self.stale.extend(self.screen.keys());
        self.screen.clear();
        self.jobs.clear();
        self.connection.gone();
    }

    /// Writes a line of its log, which says how far it knows the agent's.
    pub(crate) fn record(&mut self, line: &Line) {
        let memory = &mut self.disk.memory;
        assert_eq!(
            line.before, memory.log,
            "a line that does not follow the file"
        );
        let entry = Checker::after(line.before).line(&line.bytes).unwrap();
        assert!(
            entry.event != Event::Questioned,
            "I9: an honest log was questioned"
        );
        memory.log = line.after;
        if let Some(head) = entry.other_log {
            let head = Head::parse(&head).unwrap();
            memory.heads.insert(self.link, head);
        }
    }

    pub(crate) fn store_pins(&mut self) {
        self.disk.pins = self.signer.pins().to_bytes();
    }

    pub(crate) fn store_agents(&mut self) {
        let agents = self.signer.agents().map(|(record, _)| record);
        self.disk.agents = AgentRecord::list_to_bytes(agents).to_vec();
    }

    /// Shows or hides its last key; gives what the signer is told.
    pub(crate) fn toggle_last_key(&mut self) -> Identities {
        let mut identities = Identities::from_bytes(&self.disk.identities).unwrap();
        let last = identities.all().last().unwrap().clone();
        if last.enabled {
            identities.disable(&last.label).unwrap();
        } else {
            identities.enable(&last.label).unwrap();
        }
        self.disk.identities = identities.to_bytes();
        identities
    }

    pub(crate) fn is_paired(&self) -> bool {
        self.signer.agents().next().is_some()
    }

    pub(crate) fn believes_to_be_connected(&self) -> bool {
        self.signer.agents().any(|(_, connected)| connected)
    }
}

impl Disk {
    fn signer(&self) -> Signer {
        Signer::new(
            hello("phone"),
            Settings::default(),
            Identities::from_bytes(&self.identities).unwrap(),
            Pins::from_bytes(&self.pins).unwrap(),
            AgentRecord::list_from_bytes(&self.agents).unwrap(),
            self.memory.clone(),
        )
    }
}

pub(crate) const RELAY: &str = "https://relay.example";

/// Both ends of a link: the phone's and the agent's.
pub(crate) fn bonds(seed: u8) -> (Bond, Bond) {
    let secret = |offset| StaticSecret::from_bytes([seed + offset; 32]);
    let bond = |own: StaticSecret, peer: &StaticSecret| Bond {
        own,
        peer: peer.public(),
        psk: Psk::from_bytes([seed + 2; 32]),
        mailbox: [seed + 3; 16],
    };
    (bond(secret(0), &secret(1)), bond(secret(1), &secret(0)))
}

pub(crate) fn identity(number: usize, key: &Secret) -> Identity {
    Identity {
        key: key.public(),
        label: format!("key {number}"),
        enabled: true,
        created: 1_700_000_000,
        kind: IdentityKind::File,
    }
}

pub(crate) fn hello(name: &str) -> Hello {
    Hello {
        version: VERSION,
        name: name.into(),
        kind: "test".into(),
        software: "test".into(),
        commitment: None,
    }
}

//! A phone's end of a link: real keys, real frames, and no mind.
use crate::ssh::Secret;
use vmux_broker::{Entropy, LinkId, PhoneRecord};
use vmux_link::{Bond, Channel, Initiator, Psk, StaticSecret};
use vmux_proto::Untrusted;
use vmux_proto::message::{Hello, Identity, Message as _, ToAgent, ToSigner, VERSION};

/// The address in every record.
pub(crate) const RELAY: &str = "https://relay.example";

pub(crate) struct Phone {
    bond: Bond,
    state: State,
}

enum State {
    Away,
    Called(Initiator),
    Open(Channel),
}

/// What a frame from the agent turned out to be.
pub(crate) enum Heard {
    /// The second message of the handshake.
    Shake,
    Message(Box<ToSigner>),
    /// Nobody is there to open it.
    Unheard,
}

impl Phone {
    pub(crate) fn id(&self) -> LinkId {
        self.bond.id()
    }

    pub(crate) fn leave(&mut self) {
        self.state = State::Away;
    }

    /// The first message of a handshake.
    pub(crate) fn call(&mut self, hello: &Hello, entropy: [u8; 32]) -> Vec<u8> {
        let entropy = Entropy::from_bytes(entropy);
        let (initiator, message) = self.bond.call(entropy, &hello.to_bytes()).unwrap();
        self.state = State::Called(initiator);
        message
    }

    pub(crate) fn hear(&mut self, frame: &[u8]) -> Heard {
        match std::mem::replace(&mut self.state, State::Away) {
            State::Away => Heard::Unheard,
            State::Called(initiator) => {
                let (channel, met) = initiator.finish(frame).unwrap();
                assert_eq!(
                    Hello::from_bytes(&met.payload).unwrap(),
                    hello("workstation")
                );
                self.state = State::Open(channel);
                Heard::Shake
            }
            State::Open(mut channel) => {
                let message = channel.open(frame).unwrap();
                self.state = State::Open(channel);
                Heard::Message(Box::new(ToSigner::from_bytes(&message).unwrap()))
            }
        }
    }

    pub(crate) fn seal(&mut self, message: &[u8]) -> Vec<u8> {
        let State::Open(channel) = &mut self.state else {
            panic!("the phone is away")
        };
        channel.seal(message).unwrap()
    }

    /// Whom this phone takes for its agent; to be changed.
    pub(crate) const fn bond(&mut self) -> &mut Bond {
        &mut self.bond
    }
}

pub(crate) fn hello(name: &str) -> Hello {
    Hello {
        version: VERSION,
        name: name.into(),
        kind: "test".into(),
        software: "test 1".into(),
        commitment: None,
    }
}

/// Both ends of a pairing.
pub(crate) fn paired(seed: u8, name: &str) -> (Phone, PhoneRecord) {
    let secret = |offset| StaticSecret::from_bytes([seed + offset; 32]);
    let bond = |own: StaticSecret, peer: &StaticSecret| Bond {
        own,
        peer: peer.public(),
        psk: Psk::from_bytes([seed + 2; 32]),
        mailbox: [seed + 3; 16],
    };
    let phone = Phone {
        bond: bond(secret(0), &secret(1)),
        state: State::Away,
    };
    let record = PhoneRecord {
        name: Untrusted::new(name),
        kind: Untrusted::new("terminal"),
        relay: RELAY.into(),
        paired: 1_700_000_000,
        seen: 1_700_000_000,
        identities: Vec::new(),
        bond: bond(secret(1), &secret(0)),
        suspended: false,
    };
    (phone, record)
}

/// What a phone says of its identities.
pub(crate) fn announced(identities: &[(&Secret, &str)]) -> ToAgent {
    let identities = identities.iter().map(|(secret, label)| Identity {
        key: secret.public().blob().to_vec().into(),
        label: (*label).into(),
    });
    ToAgent::Identities(identities.collect())
}

//! A phone that was paired by the book and says what a test tells it.
use minicbor::bytes::ByteVec;
use vmux_link::{Bond, Channel};
use vmux_proto::Now;
use vmux_proto::mailbox::Side;
use vmux_proto::message::{
    Hello, Identity, Message as _, RequestId, SignRequest, ToAgent, ToSigner, VERSION,
};
use vmux_signer::{Entropy, Offer, Pairing, PairingInput, PairingOutput};
use vmux_testkit::{Workstation, offer};

use crate::chair::{Chair, Said, random};
use crate::ssh::Secret;

/// The phone's end of a link, its seat and its keys.
pub(crate) struct FalseSigner {
    bond: Bond,
    chair: Chair,
    channel: Channel,
    /// Its keys, all of which it offers.
    pub(crate) keys: Vec<Secret>,
}

impl FalseSigner {
    /// Pairs, connects and offers these keys.
    #[track_caller]
    pub(crate) fn pair(workstation: &Workstation, keys: Vec<Secret>) -> Self {
        let (bond, relay) = pair_by_the_book(workstation);
        let mut chair = Chair::take(&relay, bond.mailbox, Side::Signer);
        let channel = call(&bond, &mut chair, VERSION);
        let mut signer = Self {
            bond,
            chair,
            channel,
            keys,
        };
        signer.offer_keys();
        let id = signer.bond.id().to_string();
        workstation.comes_to("the false phone is connected", |status| {
            let phones = status["phones"].as_array().unwrap();
            let there =
                |phone: &serde_json::Value| phone["id"] == id && phone["state"] == "connected";
            phones.iter().any(there)
        });
        signer
    }

    /// Says what an honest phone says first.
    #[track_caller]
    pub(crate) fn offer_keys(&mut self) {
        let identities = self
            .keys
            .iter()
            .map(|key| identity(key.public().blob(), "key"));
        let identities = ToAgent::Identities(identities.collect());
        self.say(&identities);
    }

    /// Waits until the agent is across again, and greets it.
    #[track_caller]
    pub(crate) fn meet_again(&mut self) {
        self.channel = call(&self.bond, &mut self.chair, VERSION);
        self.offer_keys();
    }

    /// Sends a message.
    #[track_caller]
    pub(crate) fn say(&mut self, message: &ToAgent) {
        self.say_bytes(&message.to_bytes());
    }

    /// Sends what may be no message.
    #[track_caller]
    pub(crate) fn say_bytes(&mut self, bytes: &[u8]) {
        let frame = self.channel.seal(bytes).unwrap();
        self.chair.send(&frame);
    }

    /// Sends what may be no frame.
    #[track_caller]
    pub(crate) fn send(&mut self, frame: &[u8]) {
        self.chair.send(frame);
    }

    /// Waits for a request to sign; what else the agent says meanwhile does not count.
    #[track_caller]
    pub(crate) fn request(&mut self) -> SignRequest {
        loop {
            if let ToSigner::Sign(request) = self.hear() {
                return request;
            }
        }
    }

    /// Waits until a request is cancelled.
    #[track_caller]
    pub(crate) fn cancelled(&mut self) -> RequestId {
        loop {
            if let ToSigner::Cancel(request) = self.hear() {
                return request;
            }
        }
    }

    /// The signature of the first key over what is asked for.
    pub(crate) fn signature(&self, request: &SignRequest) -> Vec<u8> {
        self.keys[0].sign(&request.payload)
    }

    /// Answers as an honest phone would.
    #[track_caller]
    pub(crate) fn sign(&mut self, request: &SignRequest) {
        let signature = self.signature(request);
        self.say(&signed(request.id, signature));
    }

    fn hear(&mut self) -> ToSigner {
        let bytes = self.channel.open(&self.chair.frame()).unwrap();
        ToSigner::from_bytes(&bytes).unwrap()
    }
}

/// One key as a phone offers it.
pub(crate) fn identity(key: &[u8], label: &str) -> Identity {
    Identity {
        key: ByteVec::from(key.to_vec()),
        label: label.to_owned(),
    }
}

/// An answer with this for a signature.
pub(crate) fn signed(request: RequestId, signature: Vec<u8>) -> ToAgent {
    ToAgent::Signed(request, ByteVec::from(signature))
}

/// Who an end says it is.
pub(crate) fn hello(name: &str, version: u16) -> Hello {
    Hello {
        version,
        name: name.to_owned(),
        kind: "test".to_owned(),
        software: "test".to_owned(),
        commitment: None,
    }
}

fn begin(bond: &Bond, version: u16) -> (vmux_link::Initiator, Vec<u8>) {
    let hello = hello("false phone", version).to_bytes();
    bond.call(Entropy::from_bytes(random()), &hello).unwrap()
}

#[track_caller]
fn call(bond: &Bond, chair: &mut Chair, version: u16) -> Channel {
    chair.meet();
    let (initiator, message) = begin(bond, version);
    chair.send(&message);
    initiator.finish(&chair.frame()).unwrap().0
}

/// Both persons say yes; gives what the phone stores and where they meet.
#[track_caller]
fn pair_by_the_book(workstation: &Workstation) -> (Bond, String) {
    let (mut command, link) = offer(workstation);
    let offer = Offer::parse(&link).unwrap();
    let now = Now {
        uptime: 0,
        wall: offer.expires,
    };
    let relay = offer.relay.clone();
    let mut chair = Chair::take(&relay, offer.mailbox, Side::Signer);
    let mut pairing = Pairing::new(offer, hello("false phone", VERSION));
    let mut record = None;
    loop {
        while let Some(output) = pairing.poll() {
            match output {
                PairingOutput::Send(frame) => chair.send(&frame),
                PairingOutput::Compare { .. } => {
                    command.event("code");
                    command.say("yes");
                    pairing.handle(PairingInput::Confirm, now);
                }
                PairingOutput::Store(stored) => {
                    record = Some(stored);
                    pairing.handle(PairingInput::Stored, now);
                }
                PairingOutput::Done => {
                    command.finish().ok();
                    return (record.unwrap().bond, relay);
                }
                PairingOutput::DoneHere | PairingOutput::Failed(_) => panic!("{output:?}"),
            }
        }
        let input = match chair.next() {
            Said::Met => PairingInput::Met {
                secret: random(),
                entropy: Entropy::from_bytes(random()),
                nonce: random(),
            },
            Said::Frame(frame) => PairingInput::Frame(frame),
            Said::Left => PairingInput::Left,
        };
        pairing.handle(input, now);
    }
}

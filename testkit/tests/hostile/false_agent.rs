//! A workstation that was paired by the book and asks what a test tells it.
use minicbor::bytes::ByteVec;
use vmux_broker::{Fresh, Pairing, PairingInput, PairingOutput};
use vmux_link::{Bond, Channel, Entropy};
use vmux_proto::Now;
use vmux_proto::mailbox::Side;
use vmux_proto::message::{
    Message as _, Refusal, Reported, RequestId, SignRequest, ToAgent, ToSigner, VERSION,
};
use vmux_testkit::Phone;

use crate::chair::{Chair, Said, random};
use crate::false_signer::hello;

/// The agent's end of a link and its seat.
pub(crate) struct FalseAgent {
    bond: Bond,
    chair: Chair,
    channel: Option<Channel>,
}

/// How a phone answered a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// With a signature.
    Signed(Vec<u8>),
    /// With a refusal.
    Refused(Refusal),
}

impl FalseAgent {
    /// Pairs; both persons say yes. The phone does not run yet.
    #[track_caller]
    pub(crate) fn pair(relay: &str, phone: &Phone) -> Self {
        let bond = pair_by_the_book(relay, phone);
        let chair = Chair::take(relay, bond.mailbox, Side::Agent);
        Self {
            bond,
            chair,
            channel: None,
        }
    }

    /// Waits for the phone's call and answers it.
    #[track_caller]
    pub(crate) fn meet(&mut self) {
        self.meet_as_version(VERSION);
        while !matches!(self.hear(), ToAgent::Identities(_)) {}
    }

    /// The same with another version.
    #[track_caller]
    pub(crate) fn meet_as_version(&mut self, version: u16) {
        self.chair.meet();
        let hello = hello("false desk", version).to_bytes();
        let entropy = Entropy::from_bytes(random());
        let call = self.chair.frame();
        let (channel, _, answer) = self.bond.answer(entropy, &call, &hello).unwrap();
        self.chair.send(&answer);
        self.channel = Some(channel);
    }

    /// Sends a message.
    #[track_caller]
    pub(crate) fn say(&mut self, message: &ToSigner) {
        self.say_bytes(&message.to_bytes());
    }

    /// Sends what may be no message.
    #[track_caller]
    pub(crate) fn say_bytes(&mut self, bytes: &[u8]) {
        let frame = self.channel.as_mut().unwrap().seal(bytes).unwrap();
        self.chair.send(&frame);
    }

    /// Sends a request under a fresh id and waits for the answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: &SignRequest) -> Answered {
        let request = SignRequest {
            id: RequestId(random()),
            ..request.clone()
        };
        self.ask_again(&request)
    }

    /// Sends a request as it is and waits for the answer.
    #[track_caller]
    pub(crate) fn ask_again(&mut self, request: &SignRequest) -> Answered {
        self.say(&ToSigner::Sign(request.clone()));
        loop {
            let said = self.hear();
            if let ToAgent::Signed(id, signature) = &said
                && *id == request.id
            {
                return Answered::Signed(signature.to_vec());
            }
            if let ToAgent::Refused(id, refusal) = said
                && id == request.id
            {
                return Answered::Refused(refusal);
            }
        }
    }

    /// What the phone says next.
    #[track_caller]
    pub(crate) fn hear(&mut self) -> ToAgent {
        let frame = self.chair.frame();
        let bytes = self.channel.as_mut().unwrap().open(&frame).unwrap();
        ToAgent::from_bytes(&bytes).unwrap()
    }
}

/// A request with these bytes and proofs, and nothing reported.
pub(crate) fn request(key: &[u8], payload: Vec<u8>, chain: Vec<Vec<u8>>) -> SignRequest {
    SignRequest {
        id: RequestId([0; 16]),
        key: ByteVec::from(key.to_vec()),
        payload: payload.into(),
        flags: 0,
        chain: chain.into_iter().map(ByteVec::from).collect(),
        wait_ms: 60_000,
        reported: Reported::default(),
    }
}

/// Both persons say yes; gives what the agent stores.
#[track_caller]
fn pair_by_the_book(relay: &str, phone: &Phone) -> Bond {
    let fresh = Fresh {
        key: random(),
        secret: random(),
        mailbox: random(),
    };
    let mut pairing = Pairing::new(relay, hello("false desk", VERSION), &fresh, NOW);
    let offer = pairing.offer();
    let mut chair = Chair::take(relay, offer.mailbox, Side::Agent);
    let link = offer.encode().unwrap();
    let mut command = phone.home().start(&mut phone.command(&["pair", &link]));
    let mut record = None;
    loop {
        while let Some(output) = pairing.poll() {
            match output {
                PairingOutput::Send(frame) => chair.send(&frame),
                PairingOutput::Compare { .. } => {
                    command.event("code");
                    command.say("yes");
                    pairing.handle(PairingInput::Confirm, NOW);
                }
                PairingOutput::Store(stored) => {
                    record = Some(stored);
                    pairing.handle(PairingInput::Stored, NOW);
                }
                PairingOutput::Done => {
                    command.finish().ok();
                    return record.unwrap().bond;
                }
                PairingOutput::Restart | PairingOutput::DoneHere | PairingOutput::Failed(_) => {
                    panic!("{output:?}")
                }
            }
        }
        let input = match chair.next() {
            Said::Met => continue,
            Said::Frame(frame) => PairingInput::Frame(frame, Entropy::from_bytes(random())),
            Said::Left => PairingInput::Left,
        };
        pairing.handle(input, NOW);
    }
}

/// The offer's end is in the future, wherever the real clock is.
const NOW: Now = Now {
    uptime: 0,
    wall: 4_000_000_000,
};

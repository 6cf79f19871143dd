//! What an agent may do, said another way than the agent says it.
use vmux_broker::{Answer, Input, LinkId, Output, PhoneRecord};
use vmux_proto::audit::{Checker, Line};
use vmux_proto::binding::Chain;
use vmux_proto::crypto::PureRust;
use vmux_proto::destination::Destination;
use vmux_proto::key::PublicKey;
use vmux_proto::message::{Message as _, Number, RequestId, SignRequest, ToSigner};
use vmux_proto::payload::Payload;
use vmux_proto::signature::verify;

use super::{LIMITS, State, Waits, World};
use crate::proofs::is_as_proven;

impl World {
    pub(super) fn perform(&mut self, input: Input, signed: Option<RequestId>) {
        self.broker.handle(input, &PureRust, self.now);
        let mut answered = Vec::new();
        while let Some(output) = self.broker.poll() {
            match output {
                Output::Answer(client, answer) => {
                    if let Some(at) = self.clients.iter().position(|one| one.id == client) {
                        self.answer(at, answer, signed);
                        answered.push(at);
                    }
                }
                Output::Send(link, frame) => self.sent(link, &frame),
                Output::Stretch(client, passphrase, job) => {
                    assert!(passphrase.is_usable());
                    self.stretching.push((client, passphrase, job));
                }
                Output::Restart(link) => {
                    if let Some(phone) = self.phones.iter_mut().find(|one| one.bond.id() == link) {
                        phone.state = State::Away;
                    }
                }
                Output::Record(line) => self.record(&line),
                Output::Prove(link, _) => {
                    let proof = Input::Proof(link, Vec::new());
                    self.broker.handle(proof, &PureRust, self.now);
                }
                _ => {}
            }
        }
        for client in answered {
            self.converse(client, 0);
        }
    }

    /// The disk takes a line at once.
    fn record(&mut self, line: &Line) {
        assert_eq!(line.before, self.log, "a line that follows the file");
        Checker::after(line.before)
            .line(&line.bytes)
            .expect("a record");
        self.log = line.after;
        let stored = Input::Recorded(line.after.lines);
        self.broker.handle(stored, &PureRust, self.now);
    }

    fn answer(&mut self, at: usize, answer: Answer, signed: Option<RequestId>) {
        let locked = self.broker.status().locked;
        let client = &mut self.clients[at];
        let waits = client.waits.take().expect("one answer a question");
        match (&answer, waits) {
            (Answer::Signature(signature), Waits::Signature { key, bytes }) => {
                assert_eq!(verify(&PureRust, &key, &bytes, signature.blob()), Ok(()));
                let id = signed.expect("I7: no phone signed this");
                let asked = self.phones.iter().find_map(|phone| phone.asked.get(&id));
                let asked = asked.expect("the phone was asked");
                assert_eq!(asked.payload.as_slice(), bytes);
                self.signatures += 1;
            }
            (Answer::Signature(_), Waits::Other) => panic!("nobody asked for a signature"),
            (Answer::Identities(listed), _) => assert!(!locked || listed.is_empty()),
            (Answer::Success | Answer::Failure, _) => {}
        }
        client.conversation.answer(answer);
    }

    fn sent(&mut self, link: LinkId, frame: &[u8]) {
        let phone = self
            .phones
            .iter_mut()
            .find(|phone| phone.bond.id() == link)
            .expect("a link there is");
        match std::mem::replace(&mut phone.state, State::Away) {
            State::Away => {}
            State::Called(initiator) => {
                let (channel, _) = initiator.finish(frame).expect("the agent's own answer");
                phone.state = State::Open(channel);
            }
            State::Open(mut channel) => {
                let bytes = channel.open(frame).expect("the next frame");
                let message = ToSigner::from_bytes(&bytes).expect("within its limits");
                phone.state = State::Open(channel);
                if let ToSigner::Sign(request) = message {
                    assert!(u64::from(request.wait_ms) <= LIMITS.wait_ms && request.wait_ms > 0);
                    proves_again(&request);
                    phone.asked.insert(request.id, request);
                }
            }
        }
    }

    /// Whether a request waits, and with what number.
    pub(super) fn waiting(&self, id: RequestId) -> Option<(RequestId, Option<Number>)> {
        let waiting = self.broker.status().waiting;
        let one = waiting.into_iter().find(|waiting| waiting.id == id);
        one.map(|waiting| (id, waiting.number))
    }

    pub(super) fn check(&self) {
        let status = self.broker.status();
        assert!(
            status
                .waiting
                .iter()
                .all(|waiting| waiting.deadline > self.now.uptime)
        );
        let waiting = self
            .clients
            .iter()
            .filter(|client| matches!(client.waits, Some(Waits::Signature { .. })));
        let askers: usize = status.waiting.iter().map(|one| one.askers).sum();
        assert_eq!(waiting.count(), askers, "nobody is forgotten");
        assert!(askers <= LIMITS.pending);
        assert!(
            status.waiting.is_empty() || self.broker.deadline().is_some(),
            "what waits has an end"
        );
        let stored = self.broker.phones_to_bytes();
        let read = PhoneRecord::list_from_bytes(&stored).expect("our own bytes");
        assert_eq!(read.len(), status.phones.len());
    }
}

/// What the agent sends is what the signer will come to by itself.
fn proves_again(request: &SignRequest) {
    let key = PublicKey::parse(&request.key).expect("a key");
    let payload = Payload::parse(&request.payload, &key).expect("a payload");
    let bodies = request.chain.iter().map(|body| body.as_slice());
    let chain = Chain::prove(&PureRust, bodies).expect("a chain");
    let destination = Destination::prove(&chain, &payload).expect("no contradiction");
    is_as_proven(&chain, &payload, &destination);
}

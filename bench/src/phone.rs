//! A phone in this process: the signer's own state machine at a real relay, and a person who says
//! yes at once, or nothing at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use ed25519_dalek::{Signer as _, SigningKey};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use vmux_host::relay::SeatEvent;
use vmux_host::{clock, crypto, entropy};
use vmux_proto::key::{KeyData, PublicKey};
use vmux_proto::mailbox::Side;
use vmux_proto::message::{Hello, VERSION};
use vmux_proto::signature::encode_ed25519;
use vmux_signer::{
    AgentRecord, Decision, Entropy, Identities, Identity, IdentityKind, Input, LinkId, Memory,
    Offer, Output, Pairing, PairingInput, PairingOutput, PinName, Pins, Prompt, Settings, Signer,
    Standing,
};

use crate::seat::Seated;

/// A phone that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Phone {
    person: Arc<Person>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the person does, and what happened.
#[derive(Debug, Default)]
struct Person {
    stalled: AtomicBool,
    shown: AtomicU64,
    asked: AtomicUsize,
    answered: AtomicUsize,
}

/// Lengths of the sealed frames of one request, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// The request.
    pub(crate) asked: usize,
    /// The signature.
    pub(crate) answered: usize,
}

/// The identity's public key.
pub(crate) fn identity() -> PublicKey {
    PublicKey::from_data(KeyData::Ed25519(secret().verifying_key().to_bytes()))
        .expect("an Ed25519 key")
}

/// The identity's secret, for OpenSSH's agent to hold the same.
pub(crate) fn secret() -> SigningKey {
    SigningKey::from_bytes(&[0x77; 32])
}

impl Phone {
    /// Pairs by this link and starts. `confirm` tells the agent's side that the codes are the same.
    pub(crate) fn start(link: &str, confirm: impl FnOnce()) -> Self {
        let offer = Offer::parse(link).expect("a link of the agent");
        // The seat is held by another thread than the one that waits for the agent's word.
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        let record = runtime.expect("a runtime").block_on(pair(offer, confirm));
        let person = Arc::new(Person::default());
        let (stop, stopped) = oneshot::channel();
        let own = Arc::clone(&person);
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                tokio::select! {
                    () = Desk::new(record, own).run() => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            person,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// From now on the person looks at requests and does nothing.
    pub(crate) fn stall(&self) {
        self.person.stalled.store(true, Ordering::Relaxed);
    }

    /// How many requests the person has seen.
    pub(crate) fn shown(&self) -> u64 {
        self.person.shown.load(Ordering::Relaxed)
    }

    /// How long the frames of the last request were.
    pub(crate) fn sizes(&self) -> Sizes {
        Sizes {
            asked: self.person.asked.load(Ordering::Relaxed),
            answered: self.person.answered.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Nobody to stop if it has ended by itself.
            let _ended = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn pair(offer: Offer, confirm: impl FnOnce()) -> AgentRecord {
    let mut pairing = Pairing::new(offer, hello());
    let (relay, mailbox) = pairing.place();
    let mut seat = Seated::take(relay, mailbox, Side::Signer);
    let (mut confirm, mut stored) = (Some(confirm), None);
    loop {
        let input = match seat.next().await {
            SeatEvent::Met(_) => PairingInput::Met {
                secret: random(),
                entropy: Entropy::from_bytes(random()),
                nonce: random(),
            },
            SeatEvent::Frame(frame) => PairingInput::Frame(frame),
            SeatEvent::Left => PairingInput::Left,
            SeatEvent::Seated | SeatEvent::Down { .. } => continue,
        };
        pairing.handle(input, clock::now());
        while let Some(output) = pairing.poll() {
            match output {
                PairingOutput::Send(frame) => seat.send(&frame),
                PairingOutput::Compare { .. } => {
                    if let Some(confirm) = confirm.take() {
                        confirm();
                    }
                    pairing.handle(PairingInput::Confirm, clock::now());
                }
                PairingOutput::Store(record) => {
                    stored = Some(*record);
                    pairing.handle(PairingInput::Stored, clock::now());
                }
                PairingOutput::Done | PairingOutput::DoneHere => {
                    return stored.expect("it is stored before it is done");
                }
                PairingOutput::Failed(failed) => panic!("not paired: {failed}"),
            }
        }
    }
}

/// The signer, its one link and its person.
struct Desk {
    signer: Signer,
    link: LinkId,
    seat: Seated,
    key: SigningKey,
    person: Arc<Person>,
}

impl Desk {
    fn new(record: AgentRecord, person: Arc<Person>) -> Self {
        let seat = Seated::take(&record.relay, record.bond.mailbox, Side::Signer);
        let mut identities = Identities::default();
        let identity = Identity {
            key: identity(),
            label: LABEL.to_owned(),
            enabled: true,
            created: clock::now().wall,
            kind: IdentityKind::File,
        };
        identities.add(identity).expect("the only identity");
        let link = record.id();
        let settings = Settings::default();
        Self {
            signer: Signer::new(
                hello(),
                settings,
                identities,
                Pins::default(),
                vec![record],
                Memory::EMPTY,
            ),
            link,
            seat,
            key: secret(),
            person,
        }
    }

    async fn run(mut self) {
        loop {
            let input = match self.seat.next().await {
                SeatEvent::Met(_) => Input::Met(self.link, Entropy::from_bytes(random())),
                SeatEvent::Frame(frame) => {
                    self.person.asked.store(frame.len(), Ordering::Relaxed);
                    Input::Frame(self.link, frame, random())
                }
                SeatEvent::Left | SeatEvent::Down { .. } => Input::Left(self.link),
                SeatEvent::Seated => continue,
            };
            self.handle(input);
        }
    }

    fn handle(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            self.signer.handle(input, crypto::verifier(), clock::now());
            while let Some(output) = self.signer.poll() {
                inputs.extend(self.perform(output));
            }
        }
    }

    fn perform(&self, output: Output) -> Option<Input> {
        match output {
            Output::Send(_, frame) => {
                self.person.answered.store(frame.len(), Ordering::Relaxed);
                self.seat.send(&frame);
            }
            Output::Restart(_) => self.seat.handle.reset(),
            Output::Show(prompt) => {
                self.person.shown.fetch_add(1, Ordering::Relaxed);
                if !self.person.stalled.load(Ordering::Relaxed) {
                    return Some(Input::Decided(prompt.request, yes(&prompt)));
                }
            }
            Output::Sign(job) => {
                let signature = self.key.sign(job.bytes()).to_bytes();
                return Some(Input::Signed(
                    job.request(),
                    Some(encode_ed25519(&signature)),
                ));
            }
            Output::Refused(_, refusal) => panic!("the phone refused: {}", refusal.reason()),
            // This phone has no disk: what is measured is the agent's.
            Output::Record(line) => return Some(Input::Recorded(line.after.lines)),
            Output::Opened(_)
            | Output::Withdraw(..)
            | Output::StorePins
            | Output::StoreAgents
            | Output::StoreBlocks
            | Output::Forget(_) => {}
        }
        None
    }
}

/// Yes, with whatever the prompt demands; a new host gets a name.
fn yes(prompt: &Prompt) -> Decision {
    let is_new = |host: &vmux_signer::Host| matches!(host.standing, Standing::New);
    let name = prompt.host.as_ref().filter(|host| is_new(host));
    Decision::Approve {
        number: prompt.number,
        name: name.and_then(|_| PinName::parse(HOST).ok()),
    }
}

fn hello() -> Hello {
    Hello {
        version: VERSION,
        name: "measured phone".to_owned(),
        kind: "bench".to_owned(),
        software: "vmux-bench".to_owned(),
        commitment: None,
    }
}

fn random<const N: usize>() -> [u8; N] {
    entropy::fill().expect("the system's randomness")
}

/// The identity's label; OpenSSH's agent gets the same comment, so that replies have one length.
pub(crate) const LABEL: &str = "measured key";

const HOST: &str = "measured-host";

//! How a signer pairs with an agent, from the offer to a stored link (I15).
use crate::record::AgentRecord;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use vmux_link::{
    Bond, Channel, Entropy, HandshakeHash, Initiator, Offer, Place, PublicKey, Purpose, ShortCode,
    StaticSecret, after_pairing, short_code,
};
use vmux_proto::message::{Hello, Message as _, PairingStep, VERSION};
use vmux_proto::pairing::{Agreement, Event, PairingFailed, Then};
use vmux_proto::{Now, Untrusted};

/// A pairing under way.
#[derive(Debug)]
pub struct Pairing {
    offer: Offer,
    hello: Hello,
    state: State,
    outputs: VecDeque<PairingOutput>,
}

/// What happens to a pairing.
#[derive(Debug)]
pub enum PairingInput {
    /// The agent is at the mailbox.
    Met {
        /// Fresh bytes; they become this end's key.
        secret: [u8; 32],
        /// Fresh bytes for the handshake.
        entropy: Entropy,
    },
    /// A frame from the agent.
    Frame(Vec<u8>),
    /// The agent left the mailbox.
    Left,
    /// The person says the codes are the same.
    Confirm,
    /// The person says they are not, or gives up.
    Reject,
    /// The record given out as [`PairingOutput::Store`] is on disk.
    Stored,
}

/// What a pairing wants done.
#[derive(Debug)]
pub enum PairingOutput {
    /// Send this frame to the agent.
    Send(Vec<u8>),
    /// Show this code and name, and ask whether the workstation shows the same code.
    Compare {
        /// The code.
        code: ShortCode,
        /// What the workstation calls itself.
        name: Untrusted,
    },
    /// Store this, then say [`PairingInput::Stored`].
    Store(Box<AgentRecord>),
    /// Both ends have stored the pairing.
    Done,
    /// This end has stored the pairing; the agent left before it said that it has, too.
    DoneHere,
    /// Nothing was stored.
    Failed(PairingFailed),
}

#[derive(Debug)]
enum State {
    AwaitingAgent,
    AwaitingAnswer { initiator: Initiator, own: StaticSecret },
    Agreeing { channel: Channel, agreement: Agreement, met: Option<Met> },
    Ended,
}

/// What the record is made of; taken when it is stored.
#[derive(Debug)]
struct Met {
    own: StaticSecret,
    peer: PublicKey,
    hash: HandshakeHash,
    name: Untrusted,
}

impl Pairing {
    /// Starts from an offer; `hello` says who this signer is.
    pub const fn new(offer: Offer, hello: Hello) -> Self {
        Self { offer, hello, state: State::AwaitingAgent, outputs: VecDeque::new() }
    }

    /// Where to meet: the relay's address and the mailbox.
    pub fn place(&self) -> (&str, [u8; 16]) {
        (&self.offer.relay, self.offer.mailbox)
    }

    /// Takes one input.
    pub fn handle(&mut self, input: PairingInput, now: Now) {
        let state = core::mem::replace(&mut self.state, State::Ended);
        match self.step(state, input, now) {
            Ok(state) => self.state = state,
            Err(failed) => self.outputs.push_back(PairingOutput::Failed(failed)),
        }
    }

    /// Gives the next output until there is none.
    pub fn poll(&mut self) -> Option<PairingOutput> {
        self.outputs.pop_front()
    }

    fn step(
        &mut self,
        state: State,
        input: PairingInput,
        now: Now,
    ) -> Result<State, PairingFailed> {
        match (state, input) {
            (State::AwaitingAgent, PairingInput::Met { secret, entropy }) => {
                self.call(secret, entropy, now)
            }
            (State::AwaitingAgent, PairingInput::Left) => Ok(State::AwaitingAgent),
            (State::AwaitingAgent | State::AwaitingAnswer { .. }, PairingInput::Reject) => {
                Err(PairingFailed::RejectedHere)
            }
            (State::AwaitingAnswer { initiator, own }, PairingInput::Frame(frame)) => {
                self.compare(initiator, own, &frame)
            }
            (State::AwaitingAnswer { .. }, PairingInput::Left) => Err(PairingFailed::Gone),
            (State::AwaitingAgent | State::AwaitingAnswer { .. }, _) => {
                Err(PairingFailed::Confused)
            }
            (State::Agreeing { mut channel, agreement, met }, input) => {
                let event = event(&mut channel, input)?;
                if event == Event::YesHere {
                    self.offer.check(now.wall).map_err(|_| PairingFailed::Expired)?;
                }
                self.agree(channel, agreement, met, event, now)
            }
            (State::Ended, _) => Ok(State::Ended),
        }
    }

    fn call(
        &mut self,
        secret: [u8; 32],
        entropy: Entropy,
        now: Now,
    ) -> Result<State, PairingFailed> {
        self.offer.check(now.wall).map_err(|_| PairingFailed::Expired)?;
        let own = StaticSecret::from_bytes(secret);
        let place = Place { purpose: Purpose::Pairing, mailbox: self.offer.mailbox };
        let hello = self.hello.to_bytes();
        let (initiator, message) =
            Initiator::start(&own, &self.offer.agent, &self.offer.secret, &place, entropy, &hello)
                .map_err(|_| PairingFailed::NotProven)?;
        self.outputs.push_back(PairingOutput::Send(message));
        Ok(State::AwaitingAnswer { initiator, own })
    }

    fn compare(
        &mut self,
        initiator: Initiator,
        own: StaticSecret,
        frame: &[u8],
    ) -> Result<State, PairingFailed> {
        let (channel, met) = initiator.finish(frame).map_err(|_| PairingFailed::NotProven)?;
        let hello = Hello::from_bytes(&met.payload).map_err(|_| PairingFailed::Version)?;
        if hello.version != VERSION {
            return Err(PairingFailed::Version);
        }
        let name = Untrusted::new(&hello.name);
        let code = short_code(&met.hash);
        self.outputs.push_back(PairingOutput::Compare { code, name: name.clone() });
        let met = Some(Met { own, peer: met.peer, hash: met.hash, name });
        Ok(State::Agreeing { channel, agreement: Agreement::new(), met })
    }

    fn agree(
        &mut self,
        mut channel: Channel,
        mut agreement: Agreement,
        mut met: Option<Met>,
        event: Event,
        now: Now,
    ) -> Result<State, PairingFailed> {
        let turn = agreement.handle(event);
        if let Some(step) = turn.say {
            let frame = channel.seal(&step.to_bytes()).map_err(|_| PairingFailed::Confused)?;
            self.outputs.push_back(PairingOutput::Send(frame));
        }
        match turn.then {
            Then::Wait => {}
            Then::Store => {
                let record = self.record(met.take().ok_or(PairingFailed::Confused)?, now);
                self.outputs.push_back(PairingOutput::Store(Box::new(record)));
            }
            Then::Done => self.outputs.push_back(PairingOutput::Done),
            Then::DoneHere => self.outputs.push_back(PairingOutput::DoneHere),
            Then::Failed(failed) => return Err(failed),
        }
        Ok(State::Agreeing { channel, agreement, met })
    }

    fn record(&self, met: Met, now: Now) -> AgentRecord {
        let Met { own, peer, hash, name } = met;
        let long_lived = after_pairing(&self.offer.secret, &hash);
        AgentRecord {
            name,
            relay: self.offer.relay.clone(),
            paired: now.wall,
            bond: Bond { own, peer, psk: long_lived.psk, mailbox: long_lived.mailbox },
        }
    }
}

fn event(channel: &mut Channel, input: PairingInput) -> Result<Event, PairingFailed> {
    Ok(match input {
        PairingInput::Confirm => Event::YesHere,
        PairingInput::Reject => Event::NoHere,
        PairingInput::Stored => Event::StoredHere,
        // The mailbox is for two; a second meeting is not the one whose code was compared.
        PairingInput::Left | PairingInput::Met { .. } => Event::Left,
        PairingInput::Frame(frame) => {
            let bytes = channel.open(&frame).map_err(|_| PairingFailed::Confused)?;
            let step = PairingStep::from_bytes(&bytes).map_err(|_| PairingFailed::Confused)?;
            Event::There(step)
        }
    })
}

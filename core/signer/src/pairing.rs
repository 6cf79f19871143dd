//! How a signer pairs with an agent, from the offer to a stored link (I15).
//!
//! The first message commits to a nonce, the first frame reveals it: the agent's side of the
//! handshake is chosen before it knows on what code it will come out (docs/spec/link.md).
use crate::record::AgentRecord;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use vmux_link::{
    Bond, Channel, Entropy, HandshakeHash, Initiator, Offer, Place, PublicKey, Purpose, ShortCode,
    StaticSecret, after_pairing, commitment, short_code,
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
        /// Fresh bytes that the short code depends on; secret until the agent has answered.
        nonce: [u8; 32],
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
    AwaitingAnswer {
        initiator: Initiator,
        own: StaticSecret,
        nonce: [u8; 32],
    },
    Agreeing {
        channel: Channel,
        agreement: Agreement,
        met: Met,
    },
    /// Both persons said yes. Without a channel once the agent is gone: nothing that it or a relay
    /// does makes a stored pairing a failed one.
    Storing {
        channel: Option<Channel>,
        agreement: Agreement,
    },
    Ended,
}

/// What the record is made of.
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
        Self {
            offer,
            hello,
            state: State::AwaitingAgent,
            outputs: VecDeque::new(),
        }
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
            (
                State::AwaitingAgent,
                PairingInput::Met {
                    secret,
                    entropy,
                    nonce,
                },
            ) => self.call(secret, entropy, nonce, now),
            (State::AwaitingAgent, PairingInput::Left) => Ok(State::AwaitingAgent),
            (State::AwaitingAgent | State::AwaitingAnswer { .. }, PairingInput::Reject) => {
                Err(PairingFailed::RejectedHere)
            }
            (
                State::AwaitingAnswer {
                    initiator,
                    own,
                    nonce,
                },
                PairingInput::Frame(frame),
            ) => self.compare(initiator, own, nonce, &frame),
            (State::AwaitingAnswer { .. }, PairingInput::Left) => Err(PairingFailed::Gone),
            (State::AwaitingAgent | State::AwaitingAnswer { .. }, _) => {
                Err(PairingFailed::Confused)
            }
            (
                State::Agreeing {
                    mut channel,
                    agreement,
                    met,
                },
                input,
            ) => {
                let event = event(Some(&mut channel), input)?;
                if event == Event::YesHere {
                    self.offer
                        .check(now.wall)
                        .map_err(|_| PairingFailed::Expired)?;
                }
                self.agree(channel, agreement, met, event, now)
            }
            (State::Storing { channel, agreement }, input) => {
                Ok(self.store(channel, agreement, input))
            }
            (State::Ended, _) => Ok(State::Ended),
        }
    }

    fn call(
        &mut self,
        secret: [u8; 32],
        entropy: Entropy,
        nonce: [u8; 32],
        now: Now,
    ) -> Result<State, PairingFailed> {
        self.offer
            .check(now.wall)
            .map_err(|_| PairingFailed::Expired)?;
        let own = StaticSecret::from_bytes(secret);
        let place = Place {
            purpose: Purpose::Pairing,
            mailbox: self.offer.mailbox,
        };
        let promised = Some(commitment(&nonce).into());
        let hello = Hello {
            commitment: promised,
            ..self.hello.clone()
        }
        .to_bytes();
        let (initiator, message) = Initiator::start(
            &own,
            &self.offer.agent,
            &self.offer.secret,
            &place,
            entropy,
            &hello,
        )
        .map_err(|_| PairingFailed::NotProven)?;
        self.outputs.push_back(PairingOutput::Send(message));
        Ok(State::AwaitingAnswer {
            initiator,
            own,
            nonce,
        })
    }

    fn compare(
        &mut self,
        initiator: Initiator,
        own: StaticSecret,
        nonce: [u8; 32],
        frame: &[u8],
    ) -> Result<State, PairingFailed> {
        let (mut channel, met) = initiator
            .finish(frame)
            .map_err(|_| PairingFailed::NotProven)?;
        let hello = Hello::from_bytes(&met.payload).map_err(|_| PairingFailed::Version)?;
        if hello.version != VERSION {
            return Err(PairingFailed::Version);
        }
        // The hash is fixed; from here on the nonce is no use for choosing it.
        let reveal = PairingStep::Reveal(nonce.into()).to_bytes();
        let frame = channel.seal(&reveal).map_err(|_| PairingFailed::Confused)?;
        self.outputs.push_back(PairingOutput::Send(frame));
        let name = Untrusted::new(&hello.name);
        let code = short_code(&met.hash, &nonce);
        self.outputs.push_back(PairingOutput::Compare {
            code,
            name: name.clone(),
        });
        let met = Met {
            own,
            peer: met.peer,
            hash: met.hash,
            name,
        };
        Ok(State::Agreeing {
            channel,
            agreement: Agreement::new(),
            met,
        })
    }

    fn agree(
        &mut self,
        mut channel: Channel,
        mut agreement: Agreement,
        met: Met,
        event: Event,
        now: Now,
    ) -> Result<State, PairingFailed> {
        let turn = agreement.handle(event);
        if let Some(step) = turn.say {
            let frame = channel
                .seal(&step.to_bytes())
                .map_err(|_| PairingFailed::Confused)?;
            self.outputs.push_back(PairingOutput::Send(frame));
        }
        match turn.then {
            Then::Wait => Ok(State::Agreeing {
                channel,
                agreement,
                met,
            }),
            Then::Store => {
                let record = self.record(met, now);
                self.outputs
                    .push_back(PairingOutput::Store(Box::new(record)));
                Ok(State::Storing {
                    channel: Some(channel),
                    agreement,
                })
            }
            Then::Failed(failed) => Err(failed),
            // Nobody is done who has not stored.
            Then::Done | Then::DoneHere => Err(PairingFailed::Confused),
        }
    }

    fn store(
        &mut self,
        mut channel: Option<Channel>,
        mut agreement: Agreement,
        input: PairingInput,
    ) -> State {
        let event = event(channel.as_mut(), input).unwrap_or(Event::Left);
        if event == Event::Left {
            channel = None;
        }
        // The agreement forgets who leaves while this end stores, so it is told again afterwards.
        let gone = channel.is_none().then_some(Event::Left);
        for event in [Some(event), gone].into_iter().flatten() {
            let turn = agreement.handle(event);
            if let (Some(step), Some(channel)) = (turn.say, &mut channel)
                && let Ok(frame) = channel.seal(&step.to_bytes())
            {
                self.outputs.push_back(PairingOutput::Send(frame));
            }
            let end = match turn.then {
                Then::Done => PairingOutput::Done,
                Then::DoneHere => PairingOutput::DoneHere,
                Then::Wait | Then::Store | Then::Failed(_) => continue,
            };
            self.outputs.push_back(end);
            return State::Ended;
        }
        State::Storing { channel, agreement }
    }

    fn record(&self, met: Met, now: Now) -> AgentRecord {
        let Met {
            own,
            peer,
            hash,
            name,
        } = met;
        let long_lived = after_pairing(&self.offer.secret, &hash);
        AgentRecord {
            name,
            relay: self.offer.relay.clone(),
            suspended: false,
            paired: now.wall,
            bond: Bond {
                own,
                peer,
                psk: long_lived.psk,
                mailbox: long_lived.mailbox,
            },
        }
    }
}

fn event(channel: Option<&mut Channel>, input: PairingInput) -> Result<Event, PairingFailed> {
    Ok(match input {
        PairingInput::Confirm => Event::YesHere,
        PairingInput::Reject => Event::NoHere,
        PairingInput::Stored => Event::StoredHere,
        // The mailbox is for two; a second meeting is not the one whose code was compared.
        PairingInput::Left | PairingInput::Met { .. } => Event::Left,
        PairingInput::Frame(frame) => {
            let opened = channel.and_then(|channel| channel.open(&frame).ok());
            let bytes = opened.ok_or(PairingFailed::Confused)?;
            let step = PairingStep::from_bytes(&bytes).map_err(|_| PairingFailed::Confused)?;
            Event::There(step)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;
    use vmux_link::{Psk, Responder};

    const NONCE: [u8; 32] = [7; 32];
    const NOW: Now = Now {
        uptime: 0,
        wall: 1000,
    };

    fn hello(name: &str, version: u16) -> Hello {
        let (name, kind, software) = (name.into(), "terminal".into(), "test".into());
        Hello {
            version,
            name,
            kind,
            software,
            commitment: None,
        }
    }

    fn agent_key() -> StaticSecret {
        StaticSecret::from_bytes([2; 32])
    }

    /// A pairing that has met the agent, and its message 1.
    fn called() -> (Pairing, Vec<u8>) {
        let offer = Offer {
            relay: "https://relay.example".into(),
            mailbox: [3; 16],
            agent: agent_key().public(),
            secret: Psk::from_bytes([4; 32]),
            expires: NOW.wall + 300,
        };
        let mut pairing = Pairing::new(offer, hello("phone", VERSION));
        let entropy = Entropy::from_bytes([5; 32]);
        pairing.handle(
            PairingInput::Met {
                secret: [1; 32],
                entropy,
                nonce: NONCE,
            },
            NOW,
        );
        let Some(PairingOutput::Send(message1)) = pairing.poll() else {
            panic!("message 1 comes first");
        };
        assert!(pairing.poll().is_none());
        (pairing, message1)
    }

    /// What the agent makes of message 1: its channel, what it learnt, and message 2.
    fn answered(message1: &[u8], version: u16) -> (Channel, vmux_link::Established, Vec<u8>) {
        let place = Place {
            purpose: Purpose::Pairing,
            mailbox: [3; 16],
        };
        let (entropy, psk) = (Entropy::from_bytes([6; 32]), Psk::from_bytes([4; 32]));
        let (responder, _, _) =
            Responder::receive(&agent_key(), &psk, &place, entropy, message1).unwrap();
        responder
            .answer(&hello("workstation", version).to_bytes())
            .unwrap()
    }

    #[test]
    fn i15_message_1_commits_to_the_nonce_and_does_not_contain_it() {
        let (_, message1) = called();
        let (_, met, _) = answered(&message1, VERSION);
        let said = Hello::from_bytes(&met.payload).unwrap();
        let promised = Some(commitment(&NONCE).into());
        assert_eq!(
            said,
            Hello {
                commitment: promised,
                ..hello("phone", VERSION)
            }
        );
        assert!(
            !met.payload
                .windows(NONCE.len())
                .any(|window| window == NONCE)
        );
    }

    #[test]
    fn i15_the_nonce_is_revealed_before_the_code_is_shown() {
        let (mut pairing, message1) = called();
        let (mut channel, met, message2) = answered(&message1, VERSION);
        pairing.handle(PairingInput::Frame(message2), NOW);
        let Some(PairingOutput::Send(frame)) = pairing.poll() else {
            panic!("the nonce comes first");
        };
        let step = PairingStep::from_bytes(&channel.open(&frame).unwrap()).unwrap();
        assert_eq!(step, PairingStep::Reveal(NONCE.into()));
        let Some(PairingOutput::Compare { code, name }) = pairing.poll() else {
            panic!("then the code");
        };
        assert_eq!(code, short_code(&met.hash, &NONCE));
        assert_eq!(name.to_string(), "workstation");
        assert!(pairing.poll().is_none());
    }

    #[test]
    fn i15_an_answer_that_is_not_the_agent_s_gets_no_nonce() {
        let (mut pairing, message1) = called();
        let (_, _, mut message2) = answered(&message1, VERSION);
        message2[40] ^= 1;
        pairing.handle(PairingInput::Frame(message2), NOW);
        let failed = pairing.poll();
        assert!(matches!(
            failed,
            Some(PairingOutput::Failed(PairingFailed::NotProven))
        ));
        assert!(pairing.poll().is_none());
    }

    #[test]
    fn an_answer_of_another_version_gets_no_nonce() {
        let (mut pairing, message1) = called();
        let (_, _, message2) = answered(&message1, VERSION + 1);
        pairing.handle(PairingInput::Frame(message2), NOW);
        let failed = pairing.poll();
        assert!(matches!(
            failed,
            Some(PairingOutput::Failed(PairingFailed::Version))
        ));
        assert!(pairing.poll().is_none());
    }

    #[test]
    fn i15_a_scan_is_good_for_one_try_however_often_an_agent_comes() {
        let (mut pairing, message1) = called();
        let (_, _, message2) = answered(&message1, VERSION);
        pairing.handle(PairingInput::Left, NOW);
        let failed = pairing.poll();
        assert!(matches!(
            failed,
            Some(PairingOutput::Failed(PairingFailed::Gone))
        ));
        let entropy = Entropy::from_bytes([8; 32]);
        pairing.handle(
            PairingInput::Met {
                secret: [1; 32],
                entropy,
                nonce: [9; 32],
            },
            NOW,
        );
        pairing.handle(PairingInput::Frame(message2), NOW);
        assert!(pairing.poll().is_none());
    }
}

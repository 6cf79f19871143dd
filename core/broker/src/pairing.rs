//! How an agent pairs with a phone, from the offer to a stored link (I15).
//!
//! The offer is good for one handshake. Whoever does not know its secret is not answered and cannot
//! use it up.
use crate::phone::PhoneRecord;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use vmux_link::{
    Bond, Channel, Entropy, HandshakeHash, Offer, Place, Psk, PublicKey, Purpose, Responder,
    ShortCode, StaticSecret, after_pairing, commitment, short_code,
};
use vmux_proto::message::{Hello, Message as _, PairingStep, VERSION};
use vmux_proto::pairing::{Agreement, Event, PairingFailed, Then};
use vmux_proto::{Now, Untrusted};

/// How long an offer is good for, in seconds.
const OFFER_LIFE: u64 = 300;

/// A pairing under way.
#[derive(Debug)]
pub struct Pairing {
    offer: Offer,
    own: Option<StaticSecret>,
    hello: Hello,
    state: State,
    /// The phone left while this end stored.
    gone: bool,
    outputs: VecDeque<PairingOutput>,
}

/// Random bytes for one pairing, never used before.
pub struct Fresh {
    /// Becomes this end's key.
    pub key: [u8; 32],
    /// Becomes the offer's secret.
    pub secret: [u8; 32],
    /// Where to meet.
    pub mailbox: [u8; 16],
}

impl core::fmt::Debug for Fresh {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Fresh(..)")
    }
}

/// What happens to a pairing.
#[derive(Debug)]
pub enum PairingInput {
    /// A frame from the other end; fresh bytes for the handshake.
    Frame(Vec<u8>, Entropy),
    /// The other end left the mailbox.
    Left,
    /// The person says the codes are the same.
    Confirm,
    /// The person says they are not, or gives up.
    Reject,
    /// The record given out as [`PairingOutput::Store`] is on disk.
    Stored,
    /// Time passed.
    Tick,
}

/// What a pairing wants done.
#[derive(Debug)]
pub enum PairingOutput {
    /// Send this frame to the phone.
    Send(Vec<u8>),
    /// Somebody without the secret tried; close the connection and wait on.
    Restart,
    /// Show this code and the phone's name, and ask whether the phone shows the same code.
    Compare {
        /// The code.
        code: ShortCode,
        /// What the phone calls itself.
        name: Untrusted,
        /// What kind of signer it is.
        kind: Untrusted,
    },
    /// Store this, then say [`PairingInput::Stored`].
    Store(Box<PhoneRecord>),
    /// Both ends have stored the pairing.
    Done,
    /// This end has stored the pairing; the phone left before it said that it has, too.
    DoneHere,
    /// Nothing was stored.
    Failed(PairingFailed),
}

#[derive(Debug)]
enum State {
    AwaitingCall,
    AwaitingReveal {
        channel: Channel,
        commitment: [u8; 32],
        met: Met,
    },
    Agreeing {
        channel: Channel,
        agreement: Agreement,
        met: Option<Met>,
    },
    Ended,
}

/// What the record is made of; taken when it is stored.
#[derive(Debug)]
struct Met {
    own: StaticSecret,
    peer: PublicKey,
    hash: HandshakeHash,
    name: Untrusted,
    kind: Untrusted,
}

impl Pairing {
    /// Makes an offer to meet on `relay`; `hello` says who this agent is.
    pub fn new(relay: &str, hello: Hello, fresh: &Fresh, now: Now) -> Self {
        let own = StaticSecret::from_bytes(fresh.key);
        let offer = Offer {
            relay: String::from(relay),
            mailbox: fresh.mailbox,
            agent: own.public(),
            secret: Psk::from_bytes(fresh.secret),
            expires: now.wall.saturating_add(OFFER_LIFE),
        };
        Self {
            offer,
            own: Some(own),
            hello,
            state: State::AwaitingCall,
            gone: false,
            outputs: VecDeque::new(),
        }
    }

    /// The offer, to be shown to the phone.
    pub const fn offer(&self) -> &Offer {
        &self.offer
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
            (State::AwaitingCall, PairingInput::Frame(frame, entropy)) => {
                self.expire(now)?;
                self.answer(&frame, entropy)
            }
            (State::AwaitingCall, PairingInput::Left) => Ok(State::AwaitingCall),
            (State::AwaitingCall, PairingInput::Reject) => Err(PairingFailed::RejectedHere),
            (State::AwaitingCall, PairingInput::Tick) => {
                self.expire(now)?;
                Ok(State::AwaitingCall)
            }
            (
                State::AwaitingReveal {
                    channel,
                    commitment,
                    met,
                },
                PairingInput::Frame(frame, _),
            ) => self.compare(channel, commitment, met, &frame),
            (State::AwaitingReveal { .. }, PairingInput::Left) => Err(PairingFailed::Gone),
            (State::AwaitingReveal { .. }, PairingInput::Reject) => {
                Err(PairingFailed::RejectedHere)
            }
            (
                State::AwaitingReveal {
                    channel,
                    commitment,
                    met,
                },
                PairingInput::Tick,
            ) => {
                self.expire(now)?;
                Ok(State::AwaitingReveal {
                    channel,
                    commitment,
                    met,
                })
            }
            (State::AwaitingCall | State::AwaitingReveal { .. }, _) => Err(PairingFailed::Confused),
            (State::Agreeing { met: Some(_), .. }, PairingInput::Tick)
                if self.expire(now).is_err() =>
            {
                Err(PairingFailed::Expired)
            }
            (
                State::Agreeing {
                    mut channel,
                    agreement,
                    met,
                },
                input,
            ) => {
                let event = match event(&mut channel, input) {
                    Ok(event) => event,
                    // What is being stored stays; the phone is as good as gone.
                    Err(_) if met.is_none() => Some(Event::Left),
                    Err(failed) => return Err(failed),
                };
                let Some(event) = event else {
                    return Ok(State::Agreeing {
                        channel,
                        agreement,
                        met,
                    });
                };
                if event == Event::YesHere && met.is_some() {
                    self.expire(now)?;
                }
                self.gone |= event == Event::Left;
                match self.agree(channel, agreement, met, event, now)? {
                    State::Agreeing {
                        channel,
                        agreement,
                        met,
                    } if self.gone && event == Event::StoredHere => {
                        self.agree(channel, agreement, met, Event::Left, now)
                    }
                    state => Ok(state),
                }
            }
            (State::Ended, _) => Ok(State::Ended),
        }
    }

    fn expire(&self, now: Now) -> Result<(), PairingFailed> {
        self.offer
            .check(now.wall)
            .map_err(|_| PairingFailed::Expired)
    }

    fn answer(&mut self, frame: &[u8], entropy: Entropy) -> Result<State, PairingFailed> {
        let place = Place {
            purpose: Purpose::Pairing,
            mailbox: self.offer.mailbox,
        };
        let own = self.own.as_ref().ok_or(PairingFailed::Confused)?;
        let received = Responder::receive(own, &self.offer.secret, &place, entropy, frame);
        let Ok((responder, peer, payload)) = received else {
            self.outputs.push_back(PairingOutput::Restart);
            return Ok(State::AwaitingCall);
        };
        // From here on the offer is used up, whatever comes.
        let own = self.own.take().ok_or(PairingFailed::Confused)?;
        let (channel, met, message) = responder
            .answer(&self.hello.to_bytes())
            .map_err(|_| PairingFailed::NotProven)?;
        self.outputs.push_back(PairingOutput::Send(message));
        let hello = Hello::from_bytes(&payload).map_err(|_| PairingFailed::Version)?;
        if hello.version != VERSION {
            return Err(PairingFailed::Version);
        }
        let commitment = hello.commitment.ok_or(PairingFailed::Confused)?;
        let (name, kind) = (Untrusted::new(&hello.name), Untrusted::new(&hello.kind));
        let met = Met {
            own,
            peer,
            hash: met.hash,
            name,
            kind,
        };
        Ok(State::AwaitingReveal {
            channel,
            commitment: *commitment,
            met,
        })
    }

    fn compare(
        &mut self,
        mut channel: Channel,
        committed: [u8; 32],
        met: Met,
        frame: &[u8],
    ) -> Result<State, PairingFailed> {
        let PairingStep::Reveal(nonce) = open(&mut channel, frame)? else {
            return Err(PairingFailed::Confused);
        };
        if commitment(&nonce) != committed {
            return Err(PairingFailed::NotProven);
        }
        self.outputs.push_back(PairingOutput::Compare {
            code: short_code(&met.hash, &nonce),
            name: met.name.clone(),
            kind: met.kind.clone(),
        });
        Ok(State::Agreeing {
            channel,
            agreement: Agreement::new(),
            met: Some(met),
        })
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
        if let Some(step) = turn.say
            && !self.gone
        {
            let frame = channel
                .seal(&step.to_bytes())
                .map_err(|_| PairingFailed::Confused)?;
            self.outputs.push_back(PairingOutput::Send(frame));
        }
        match turn.then {
            Then::Wait => {}
            Then::Store => {
                let record = self.record(met.take().ok_or(PairingFailed::Confused)?, now);
                self.outputs
                    .push_back(PairingOutput::Store(Box::new(record)));
            }
            Then::Done => self.outputs.push_back(PairingOutput::Done),
            Then::DoneHere => self.outputs.push_back(PairingOutput::DoneHere),
            Then::Failed(failed) => return Err(failed),
        }
        Ok(State::Agreeing {
            channel,
            agreement,
            met,
        })
    }

    fn record(&self, met: Met, now: Now) -> PhoneRecord {
        let Met {
            own,
            peer,
            hash,
            name,
            kind,
        } = met;
        let long_lived = after_pairing(&self.offer.secret, &hash);
        PhoneRecord {
            name,
            kind,
            relay: self.offer.relay.clone(),
            paired: now.wall,
            seen: now.wall,
            identities: Vec::new(),
            bond: Bond {
                own,
                peer,
                psk: long_lived.psk,
                mailbox: long_lived.mailbox,
            },
            suspended: false,
        }
    }
}

fn event(channel: &mut Channel, input: PairingInput) -> Result<Option<Event>, PairingFailed> {
    Ok(Some(match input {
        PairingInput::Confirm => Event::YesHere,
        PairingInput::Reject => Event::NoHere,
        PairingInput::Stored => Event::StoredHere,
        PairingInput::Left => Event::Left,
        PairingInput::Frame(frame, _) => Event::There(open(channel, &frame)?),
        PairingInput::Tick => return Ok(None),
    }))
}

fn open(channel: &mut Channel, frame: &[u8]) -> Result<PairingStep, PairingFailed> {
    let bytes = channel.open(frame).map_err(|_| PairingFailed::Confused)?;
    PairingStep::from_bytes(&bytes).map_err(|_| PairingFailed::Confused)
}

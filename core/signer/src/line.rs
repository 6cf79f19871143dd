//! One link to one agent: handshake, channel, and what is true in between.
use crate::record::AgentRecord;
use alloc::vec::Vec;
use vmux_link::{Channel, Entropy, Initiator};
use vmux_proto::Now;
use vmux_proto::limits::MAX_HANDSHAKE_MS;
use vmux_proto::message::{Hello, Message as _, ToAgent, ToSigner, VERSION};

/// A link and its state.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) record: AgentRecord,
    state: State,
}

#[derive(Debug)]
enum State {
    Away,
    /// The agent's answer is due until this uptime.
    AwaitingAnswer(Initiator, u64),
    Open(Channel),
}

/// What a frame turned out to be.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "taken apart at once, never kept")]
pub(crate) enum Heard {
    /// The handshake is done.
    Opened,
    /// A message.
    Message(ToSigner),
}

/// The meeting is spoilt; the connection must begin anew.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spoilt;

impl Line {
    pub(crate) const fn new(record: AgentRecord) -> Self {
        Self {
            record,
            state: State::Away,
        }
    }

    /// Begins the handshake; gives message 1.
    pub(crate) fn call(
        &mut self,
        hello: &Hello,
        entropy: Entropy,
        now: Now,
    ) -> Result<Vec<u8>, Spoilt> {
        self.state = State::Away;
        let (initiator, message) = self
            .record
            .bond
            .call(entropy, &hello.to_bytes())
            .map_err(|_| Spoilt)?;
        self.state = State::AwaitingAnswer(initiator, now.uptime.saturating_add(MAX_HANDSHAKE_MS));
        Ok(message)
    }

    /// Takes a frame. After an error the line is away.
    pub(crate) fn hear(&mut self, frame: &[u8]) -> Result<Heard, Spoilt> {
        match core::mem::replace(&mut self.state, State::Away) {
            State::Away => Err(Spoilt),
            State::AwaitingAnswer(initiator, _) => {
                let (channel, met) = initiator.finish(frame).map_err(|_| Spoilt)?;
                let hello = Hello::from_bytes(&met.payload).map_err(|_| Spoilt)?;
                if hello.version != VERSION {
                    return Err(Spoilt);
                }
                self.state = State::Open(channel);
                Ok(Heard::Opened)
            }
            State::Open(mut channel) => {
                let bytes = channel.open(frame).map_err(|_| Spoilt)?;
                let message = ToSigner::from_bytes(&bytes).map_err(|_| Spoilt)?;
                self.state = State::Open(channel);
                Ok(Heard::Message(message))
            }
        }
    }

    /// Seals a message, if there is a channel.
    pub(crate) fn say(&mut self, message: &ToAgent) -> Option<Vec<u8>> {
        match &mut self.state {
            State::Open(channel) => channel.seal(&message.to_bytes()).ok(),
            State::Away | State::AwaitingAnswer(..) => None,
        }
    }

    /// Until when a handshake that has begun must be done, in milliseconds of uptime.
    pub(crate) const fn handshake_ends(&self) -> Option<u64> {
        match self.state {
            State::AwaitingAnswer(_, until) => Some(until),
            State::Away | State::Open(_) => None,
        }
    }

    pub(crate) fn hang_up(&mut self) {
        self.state = State::Away;
    }

    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }
}

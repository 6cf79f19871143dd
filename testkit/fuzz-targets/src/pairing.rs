//! Two pairings, with somebody in the middle and persons who click.
use std::collections::VecDeque;

use vmux_broker::{Fresh, Pairing, PairingInput, PairingOutput};
use vmux_link::{Bond, Entropy, Offer, ShortCode};
use vmux_proto::Now;
use vmux_signer::{
    Pairing as SignerPairing, PairingInput as SignerInput, PairingOutput as SignerOutput,
};

use crate::choices::{Choices, flipped};
use crate::signer::hello;

/// Nothing is stored before both persons said yes, and both ends then hold the same link (I15).
pub fn pairing(data: &[u8]) {
    story(data);
}

/// The two ends, at the end.
fn story(data: &[u8]) -> [Side; 2] {
    let mut world = World::new();
    let mut choices = Choices::new(data);
    while !choices.is_empty() {
        world.step(&mut choices);
        world.check();
    }
    [world.at_agent, world.at_signer]
}

struct World {
    now: Now,
    agent: Pairing,
    signer: SignerPairing,
    to_agent: VecDeque<Vec<u8>>,
    to_signer: VecDeque<Vec<u8>>,
    at_agent: Side,
    at_signer: Side,
    draws: u8,
}

/// What one end has come to.
#[derive(Default)]
struct Side {
    code: Option<ShortCode>,
    yes: Option<Said>,
    bond: Option<Bond>,
    stored: Option<Said>,
    ended: Option<End>,
}

/// Something that this end was told.
#[derive(Clone, Copy)]
struct Said;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    DoneHere,
    Failed,
}

impl World {
    fn new() -> Self {
        let now = Now {
            uptime: 0,
            wall: 1_800_000_000,
        };
        let fresh = Fresh {
            key: [1; 32],
            secret: [2; 32],
            mailbox: [3; 16],
        };
        let agent = Pairing::new("https://relay.example", hello("agent"), &fresh, now);
        let link = agent.offer().encode().expect("an offer");
        let offer = Offer::parse(&link).expect("our own link");
        Self {
            now,
            agent,
            signer: SignerPairing::new(offer, hello("terminal")),
            to_agent: VecDeque::new(),
            to_signer: VecDeque::new(),
            at_agent: Side::default(),
            at_signer: Side::default(),
            draws: 3,
        }
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.below(18) {
            0..4 => {
                if let Some(frame) = self.to_agent.pop_front() {
                    self.agent_takes(frame);
                }
            }
            4..8 => {
                if let Some(frame) = self.to_signer.pop_front() {
                    self.signer(SignerInput::Frame(frame));
                }
            }
            8 => {
                let met = SignerInput::Met {
                    secret: self.draw(),
                    entropy: Entropy::from_bytes(self.draw()),
                    nonce: self.draw(),
                };
                self.signer(met);
            }
            9 => {
                self.at_agent.yes = Some(Said);
                self.agent(PairingInput::Confirm);
            }
            10 => {
                self.at_signer.yes = Some(Said);
                self.signer(SignerInput::Confirm);
            }
            11 => {
                if self.at_agent.bond.is_some() {
                    self.at_agent.stored = Some(Said);
                    self.agent(PairingInput::Stored);
                }
            }
            12 => {
                if self.at_signer.bond.is_some() {
                    self.at_signer.stored = Some(Said);
                    self.signer(SignerInput::Stored);
                }
            }
            13 => match choices.below(4) {
                0 => self.agent(PairingInput::Left),
                1 => self.signer(SignerInput::Left),
                2 => self.agent(PairingInput::Reject),
                _ => self.signer(SignerInput::Reject),
            },
            14 => {
                self.now.wall += u64::from(choices.byte()) * 4;
                self.agent(PairingInput::Tick);
            }
            15 => match choices.below(2) {
                0 => self.agent_takes(choices.piece().to_vec()),
                _ => self.signer(SignerInput::Frame(choices.piece().to_vec())),
            },
            _ => self.tamper(choices),
        }
    }

    /// The relay changes, drops, repeats or swaps what is on its way.
    fn tamper(&mut self, choices: &mut Choices<'_>) {
        let queue = match choices.below(2) {
            0 => &mut self.to_agent,
            _ => &mut self.to_signer,
        };
        let Some(frame) = queue.pop_front() else {
            return;
        };
        match choices.below(3) {
            0 => queue.push_front(flipped(&frame, usize::from(choices.byte()) * 5)),
            1 => queue.extend([frame.clone(), frame]),
            _ => {}
        }
    }

    fn agent_takes(&mut self, frame: Vec<u8>) {
        let entropy = Entropy::from_bytes(self.draw());
        self.agent(PairingInput::Frame(frame, entropy));
    }

    fn agent(&mut self, input: PairingInput) {
        self.agent.handle(input, self.now);
        let side = &mut self.at_agent;
        while let Some(output) = self.agent.poll() {
            match output {
                PairingOutput::Send(frame) => self.to_signer.push_back(frame),
                PairingOutput::Compare { code, .. } => side.compare(code),
                PairingOutput::Store(record) => side.store(record.bond),
                PairingOutput::Done => side.end(End::Done),
                PairingOutput::DoneHere => side.end(End::DoneHere),
                PairingOutput::Failed(_) => side.end(End::Failed),
                PairingOutput::Restart => assert!(side.code.is_none()),
            }
        }
    }

    fn signer(&mut self, input: SignerInput) {
        self.signer.handle(input, self.now);
        let side = &mut self.at_signer;
        while let Some(output) = self.signer.poll() {
            match output {
                SignerOutput::Send(frame) => self.to_agent.push_back(frame),
                SignerOutput::Compare { code, .. } => side.compare(code),
                SignerOutput::Store(record) => side.store(record.bond),
                SignerOutput::Done => side.end(End::Done),
                SignerOutput::DoneHere => side.end(End::DoneHere),
                SignerOutput::Failed(_) => side.end(End::Failed),
            }
        }
    }

    fn check(&self) {
        let (agent, signer) = (&self.at_agent, &self.at_signer);
        if let (Some(here), Some(there)) = (&agent.code, &signer.code) {
            assert_eq!(here.to_string(), there.to_string(), "nobody is between");
        }
        for side in [agent, signer] {
            if side.bond.is_some() {
                assert!(
                    agent.yes.is_some() && signer.yes.is_some(),
                    "both persons said yes"
                );
                assert!(side.ended != Some(End::Failed), "stored and yet failed");
            }
            if side.ended == Some(End::Done) {
                assert!(
                    agent.stored.is_some() && signer.stored.is_some(),
                    "both have stored"
                );
            }
        }
        if let (Some(here), Some(there)) = (&agent.bond, &signer.bond) {
            assert_eq!(here.id(), there.id());
            assert_eq!(here.psk.expose(), there.psk.expose());
            assert_eq!(here.peer, there.own.public());
            assert_eq!(there.peer, here.own.public());
        }
    }

    fn draw(&mut self) -> [u8; 32] {
        self.draws = self.draws.wrapping_add(1);
        [self.draws; 32]
    }
}

impl Side {
    fn compare(&mut self, code: ShortCode) {
        assert!(self.code.is_none() && self.ended.is_none());
        self.code = Some(code);
    }

    fn store(&mut self, bond: Bond) {
        assert!(self.code.is_some(), "a code was compared");
        assert!(self.yes.is_some() && self.bond.is_none() && self.ended.is_none());
        self.bond = Some(bond);
    }

    fn end(&mut self, end: End) {
        assert!(self.ended.is_none(), "one end");
        self.ended = Some(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNTIL_THE_CODES: [u8; 6] = [8, 0, 4, 0, 4, 0];

    #[test]
    fn a_story_with_two_yeses_ends_with_a_pairing() {
        let rest = [9, 10, 0, 4, 11, 12, 0, 4];
        let ends = story(&[&UNTIL_THE_CODES[..], &rest].concat());
        assert_eq!(ends.map(|side| side.ended), [Some(End::Done); 2]);
    }

    #[test]
    fn a_story_with_one_yes_stores_nothing() {
        let rest = [9, 0, 4, 11, 12, 0, 4];
        let ends = story(&[&UNTIL_THE_CODES[..], &rest].concat());
        assert!(
            ends.iter()
                .all(|side| side.code.is_some() && side.bond.is_none())
        );
    }
}

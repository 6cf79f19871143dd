//! Phones that answer rightly and wrongly.
use vmux_broker::{Entropy, Input};
use vmux_proto::key::PublicKey;
use vmux_proto::message::{Identity, Message as _, RequestId, ToAgent};

use super::{State, World};
use crate::choices::{Choices, flipped};
use crate::signer::hello;
use crate::ssh::People;

impl World {
    pub(super) fn connect(&mut self, phone: usize) {
        let link = self.phones[phone].bond.id();
        self.phones[phone].state = State::Away;
        self.take(Input::Met(link));
        let entropy = Entropy::from_bytes(self.draw());
        let (initiator, message) = self.phones[phone]
            .bond
            .call(entropy, &hello("terminal").to_bytes())
            .expect("message 1");
        self.phones[phone].state = State::Called(initiator);
        self.phones[phone].calls.push(message.clone());
        let entropy = Entropy::from_bytes(self.draw());
        self.take(Input::Frame(link, message, entropy));
    }

    pub(super) fn announce(&mut self, phone: usize, which: u8) {
        let People { ours, other, .. } = self.people;
        let all = [&ours[0], &ours[1], other];
        let chosen = (0..).zip(all).filter(|(at, _)| which & (1 << at) != 0);
        let identities = chosen.map(|(at, secret)| Identity {
            key: secret.public().blob().to_vec().into(),
            label: format!("identity {at}"),
        });
        let message = ToAgent::Identities(identities.collect());
        self.say(phone, &message.to_bytes(), None);
    }

    pub(super) fn say(&mut self, phone: usize, message: &[u8], signed: Option<RequestId>) {
        let link = self.phones[phone].bond.id();
        let State::Open(channel) = &mut self.phones[phone].state else {
            return;
        };
        let Ok(frame) = channel.seal(message) else {
            return;
        };
        let entropy = Entropy::from_bytes(self.draw());
        self.perform(Input::Frame(link, frame, entropy), signed);
    }

    /// The phone answers with a signature: mostly a good one.
    pub(super) fn sign(&mut self, phone: usize, choices: &mut Choices<'_>) {
        let id = self.id(phone, choices);
        let Some(request) = self.phones[phone].asked.get(&id) else {
            return;
        };
        let key = PublicKey::parse(&request.key).expect("the agent's own words");
        let secret = self.people.holder(&key).expect("one of the people's");
        let good = secret.sign(&request.payload);
        let (signature, signed) = match choices.below(5) {
            0 => (flipped(&good, usize::from(choices.byte())), None),
            1 => (secret.sign(b"anything else"), None),
            2 => (self.people.stranger.sign(&request.payload), None),
            _ => (good, Some(id)),
        };
        let signed = signed.filter(|_| !key.same_key(self.people.stranger.public()));
        let message = ToAgent::Signed(id, signature.into());
        self.say(phone, &message.to_bytes(), signed);
    }

    pub(super) fn id(&self, phone: usize, choices: &mut Choices<'_>) -> RequestId {
        // Also what the other phone was asked.
        let phone = if choices.below(8) == 0 {
            1 - phone
        } else {
            phone
        };
        let known: Vec<_> = self.phones[phone].asked.keys().collect();
        if known.is_empty() {
            RequestId([choices.byte(); 16])
        } else {
            **choices.one(&known)
        }
    }
}

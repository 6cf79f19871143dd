//! What a signer may do, said another way than the signer says it.
use vmux_proto::Untrusted;
use vmux_proto::audit::Storing;
use vmux_proto::binding::Chain;
use vmux_proto::crypto::PureRust;
use vmux_proto::destination::{Destination, Level};
use vmux_proto::key::PublicKey;
use vmux_proto::limits::{MAX_LOGIN_MS, MAX_SHOWN};
use vmux_proto::message::{Message as _, ToAgent};
use vmux_proto::payload::Payload;
use vmux_proto::signature::verify;
use vmux_signer::{Input, LinkId, Output, Prompt, Subject};

use super::asks::is_same;
use super::{Permitted, Shown, State, World};
use crate::proofs::is_as_proven;

impl World {
    pub(super) fn perform(&mut self, input: Input, permitted: Permitted) {
        self.signer.handle(input, &PureRust, self.now);
        self.looked = self.now.uptime;
        while let Some(output) = self.signer.poll() {
            self.output(output, permitted);
        }
    }

    fn output(&mut self, output: Output, permitted: Permitted) {
        match output {
            Output::Send(link, frame) => self.sent(link, frame, permitted),
            Output::Show(prompt) => self.show(&prompt),
            Output::Withdraw(request, _) => {
                assert!(
                    self.shown.remove(&request).is_some(),
                    "it was on the screen"
                );
            }
            Output::Sign(job) => {
                let request = job.request();
                assert_eq!(permitted.sign, Some(request), "I3: nobody approved this");
                let shown = &self.approved[&request];
                assert_eq!(job.bytes(), shown.request.payload.as_slice());
                self.jobs.push(job);
            }
            Output::Restart(link) => {
                if let Some(end) = self.ends.iter_mut().find(|end| end.bond.id() == link) {
                    end.state = State::Away;
                }
            }
            Output::Record(line) => {
                let stored = if self.is_full {
                    Input::NotRecorded
                } else {
                    assert_eq!(
                        line.before, self.log,
                        "a line that does not follow the file"
                    );
                    self.log = line.after;
                    if line.storing == Storing::Synced {
                        self.recorded += 1;
                    }
                    Input::Recorded(line.after.lines)
                };
                self.signer.handle(stored, &PureRust, self.now);
            }
            // Who pairs anew begins anew.
            Output::Forget(link) => self.approved.retain(|_, shown| shown.link != link),
            _ => {}
        }
    }

    fn sent(&mut self, link: LinkId, frame: Vec<u8>, permitted: Permitted) {
        let (now, approved) = (self.now, &mut self.approved);
        let end = self
            .ends
            .iter_mut()
            .find(|end| end.bond.id() == link)
            .expect("a link there is");
        let State::Open(channel) = &mut end.state else {
            end.state = State::Called(frame);
            return;
        };
        let bytes = channel.open(&frame).expect("the next frame");
        let said = ToAgent::from_bytes(&bytes).expect("within its limits");
        if let ToAgent::Received(request) = said
            && let Some(shown) = self.shown.get(&request)
        {
            assert_eq!(shown.link, link, "I4: another agent's id");
            assert!(
                is_same(&end.asked[&request], &shown.request),
                "I4: received is what is shown"
            );
        }
        if let ToAgent::Signed(request, signature) = said {
            let shown = approved.get(&request).expect("I3: nobody approved this");
            assert_eq!(shown.link, link, "another agent's signature");
            assert!(now.uptime < shown.deadline, "I5: too late");
            let key = PublicKey::parse(&shown.request.key).expect("a key");
            assert_eq!(
                verify(&PureRust, &key, &shown.request.payload, &signature),
                Ok(())
            );
            if permitted.signed == Some(request) {
                assert!(self.recorded > 0, "I8: no record is on disk");
                self.recorded = 0;
            }
            self.signatures += 1;
            let again = end.asked.get(&request);
            assert!(
                permitted.signed == Some(request)
                    || again.is_some_and(|again| is_same(again, &shown.request)),
                "an old answer is for the same question"
            );
        }
    }

    fn show(&mut self, prompt: &Prompt) {
        let id = prompt.request;
        let end = self
            .ends
            .iter()
            .find(|end| end.bond.id() == prompt.link)
            .expect("a link there is");
        let request = end.asked[&id].clone();
        let key = PublicKey::parse(&request.key).expect("a key");
        let payload = Payload::parse(&request.payload, &key).expect("I2: shown and not understood");
        match (&payload, &prompt.subject) {
            (Payload::Userauth(login), Subject::Login { user }) => assert_eq!(&login.user, user),
            (Payload::SshSig(sig), Subject::Signature { namespace, .. }) => {
                assert_eq!(&Untrusted::new(&sig.namespace), namespace);
                assert!(["git", "file"].contains(&sig.namespace.as_str()));
            }
            (payload, subject) => panic!("{payload:?} shown as {subject:?}"),
        }
        let bodies = request.chain.iter().map(|body| body.as_slice());
        let chain = Chain::prove(&PureRust, bodies).expect("I11: shown without a proof");
        let destination = Destination::prove(&chain, &payload).expect("I11: a contradiction");
        is_as_proven(&chain, &payload, &destination);
        assert_eq!(destination.level(), prompt.level);
        assert!(prompt.deadline > self.now.uptime || request.wait_ms == 0);
        assert!(prompt.deadline <= self.now.uptime + MAX_LOGIN_MS);
        if !matches!(prompt.level, Level::Direct | Level::Local) {
            assert!(prompt.number.is_some(), "one key is too easily pressed");
        }
        let shown = Shown {
            link: prompt.link,
            request,
            deadline: prompt.deadline,
            number: prompt.number,
            blocked: prompt.is_blocked(),
        };
        assert!(self.shown.insert(id, shown).is_none(), "shown twice");
        assert!(
            !self.approved.contains_key(&id),
            "I4: an id that was approved is shown again"
        );
    }

    pub(super) fn check(&self) {
        for end in &self.ends {
            let link = end.bond.id();
            let shown = self.shown.values().filter(|shown| shown.link == link);
            assert!(shown.count() <= MAX_SHOWN);
        }
        let ends = self.shown.values().map(|shown| shown.deadline).min();
        // A handshake under way has an end, too, which may come first.
        let due = self.signer.deadline();
        assert!(
            ends.is_none_or(|end| due.is_some_and(|due| due <= end)),
            "what is shown has an end"
        );
        assert!(ends.is_none_or(|end| end > self.looked));
    }
}

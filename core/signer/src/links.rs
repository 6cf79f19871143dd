//! Agents that come and go, and what each is told and says.
use crate::exchange::{Output, Withdrawn};
use crate::heads::InDoubt;
use crate::identity::Identities;
use crate::line::{Heard, Line, Spoilt};
use crate::past::Fate;
use crate::record::AgentRecord;
use crate::signer::Signer;
use crate::waiting::Waiting;
use alloc::vec::Vec;
use vmux_link::{Entropy, LinkId};
use vmux_proto::Now;
use vmux_proto::audit::{Event, Growth};
use vmux_proto::message::{Number, Refusal, RequestId, ToAgent, ToSigner};
use vmux_proto::signature::Verifier;

impl Signer {
    pub(crate) fn paired(&mut self, record: AgentRecord, now: Now) {
        let link = record.id();
        if self.add_line(record) {
            let entry = self.entry_of(link, Event::Paired);
            self.journal.note(entry, now);
        }
    }

    /// A link that is there stays: an agent that makes one of the same name must not get its answers.
    pub(crate) fn add_line(&mut self, record: AgentRecord) -> bool {
        let link = record.id();
        let is_new = !self.lines.contains_key(&link);
        if is_new {
            self.lines.insert(link, Line::new(record));
        }
        is_new
    }

    pub(crate) fn met(&mut self, id: LinkId, entropy: Entropy, now: Now) {
        self.left(id, now);
        let Some(line) = self.lines.get_mut(&id) else {
            return;
        };
        let output = match line.call(&self.hello, entropy, now) {
            Ok(message) => Output::Send(id, message),
            Err(Spoilt) => Output::Restart(id),
        };
        self.outputs.push_back(output);
    }

    pub(crate) fn frame(
        &mut self,
        id: LinkId,
        frame: &[u8],
        random: [u8; 4],
        verifier: &dyn Verifier,
        now: Now,
    ) {
        let Some(line) = self.lines.get_mut(&id) else {
            return;
        };
        match line.hear(frame) {
            Err(Spoilt) => {
                self.left(id, now);
                self.outputs.push_back(Output::Restart(id));
            }
            Ok(Heard::Opened) => self.opened(id, now),
            Ok(Heard::Message(ToSigner::Sign(request))) => {
                self.asked(id, &request, Number::pick(random), verifier, now);
            }
            Ok(Heard::Message(ToSigner::Cancel(request))) => self.cancel(id, request, now),
            Ok(Heard::Message(ToSigner::Unpaired)) => self.forget(id, now),
            Ok(Heard::Message(ToSigner::Log(growth))) => self.log_has_grown(id, &growth, now),
        }
    }

    /// What every agent is told first.
    fn opened(&mut self, link: LinkId, now: Now) {
        self.outputs.push_back(Output::Opened(link));
        self.say(link, &ToAgent::Identities(self.identities.announced()));
        self.say(link, &ToAgent::Blocks(self.blocks.announced(link, now)));
        self.say(link, &ToAgent::Remembers(self.heads.told(link)));
        self.say(link, &ToAgent::Log(self.journal.head()));
    }

    fn log_has_grown(&mut self, link: LinkId, growth: &Growth, now: Now) {
        if self.heads.heard(link, growth) == Err(InDoubt) {
            let entry = self.entry_of(link, Event::Questioned);
            self.journal.note(entry, now);
        }
    }

    fn cancel(&mut self, link: LinkId, request: RequestId, now: Now) {
        let waiting = self.waiting.get(&request);
        if waiting.is_some_and(|waiting| waiting.link == link) {
            self.note_end(request, Event::Cancelled, None, now);
            self.settle(request, Fate::Cancelled, Withdrawn::Cancelled, now);
        }
    }

    pub(crate) fn replace_identities(&mut self, identities: Identities, now: Now) {
        self.identities = identities;
        let is_gone = |waiting: &Waiting| {
            let key = &waiting.asked.identity().key;
            self.identities.enabled(key).is_none()
        };
        for request in self.requests(is_gone) {
            self.refuse(request, Refusal::NoSuchIdentity, now);
        }
        let announced = ToAgent::Identities(self.identities.announced());
        let links: Vec<_> = self.lines.keys().copied().collect();
        for link in links {
            self.say(link, &announced);
        }
    }

    pub(crate) fn unpair(&mut self, link: LinkId, now: Now) {
        self.say(link, &ToAgent::Unpaired);
        self.forget(link, now);
    }

    fn forget(&mut self, link: LinkId, now: Now) {
        if !self.lines.contains_key(&link) {
            return;
        }
        self.withdraw(|waiting| waiting.link == link, now);
        let entry = self.entry_of(link, Event::Unpaired);
        self.journal.note(entry, now);
        self.past.forget(link);
        self.limits.forget(link);
        self.heads.forget(link);
        if self.blocks.forget(link) {
            self.outputs.push_back(Output::StoreBlocks);
        }
        self.lines.remove(&link);
        self.outputs.push_back(Output::Forget(link));
    }

    pub(crate) fn left(&mut self, link: LinkId, now: Now) {
        if let Some(line) = self.lines.get_mut(&link) {
            line.hang_up();
        }
        // What is decided stays: the agent gets the answer when it asks again.
        let undecided = |waiting: &Waiting| waiting.link == link && waiting.is_undecided();
        self.withdraw(undecided, now);
    }

    fn withdraw(&mut self, which: impl Fn(&Waiting) -> bool, now: Now) {
        for request in self.requests(which) {
            self.note_end(request, Event::Cancelled, Some("disconnected"), now);
            self.settle(request, Fate::Disconnected, Withdrawn::Disconnected, now);
        }
    }

    /// Gives up handshakes that are not done in time: a relay lost a part of them.
    pub(crate) fn hurry(&mut self, now: Now) {
        let late = |line: &Line| line.handshake_ends().is_some_and(|end| now.uptime >= end);
        let late = self.lines.iter().filter(|(_, line)| late(line));
        let late: Vec<_> = late.map(|(id, _)| *id).collect();
        for id in late {
            self.left(id, now);
            self.outputs.push_back(Output::Restart(id));
        }
    }
}

//! The person's no, and what it means for what comes next.
use crate::exchange::{After, Output};
use crate::signer::Signer;
use crate::waiting::Waiting;
use alloc::string::ToString as _;
use vmux_link::LinkId;
use vmux_proto::Now;
use vmux_proto::audit::{Entry, Event};
use vmux_proto::message::{Refusal, RequestId, ToAgent};
use vmux_proto::patience::Vain;
use vmux_proto::source::Source;

impl Signer {
    pub(crate) fn denied(&mut self, request: RequestId, after: After, now: Now) {
        let Some(waiting) = self.waiting.get(&request) else {
            return;
        };
        let (link, since) = (waiting.link, waiting.since);
        let source = waiting.asked.source().clone();
        if waiting.prompt.log_in_doubt {
            self.heads.acknowledged(link);
        }
        self.limits
            .failed(link, &source, Vain::Denied, since, now.uptime);
        let refusal = match after {
            After::Nothing => Refusal::Denied,
            After::Block => Refusal::Blocked,
            After::NotMe => Refusal::NotMe,
        };
        self.refuse_as(request, Event::Denied, refusal, now);
        match after {
            After::Nothing => {}
            After::Block => self.block(link, source, now),
            After::NotMe => self.suspend(link, now),
        }
    }

    /// Blocks a source of an agent, and refuses what waits of it undecided.
    fn block(&mut self, link: LinkId, source: Source, now: Now) {
        self.note_source(link, Event::Blocked, &source, now);
        let of_source = |waiting: &Waiting| {
            waiting.link == link && waiting.is_undecided() && *waiting.asked.source() == source
        };
        for request in self.requests(of_source) {
            self.refuse(request, Refusal::Blocked, now);
        }
        self.blocks.add(link, source, now);
        self.outputs.push_back(Output::StoreBlocks);
        self.tell_blocks(link, now);
    }

    pub(crate) fn unblock(&mut self, link: LinkId, source: &Source, now: Now) {
        if !self.blocks.lift(link, source) {
            return;
        }
        self.note_source(link, Event::Unblocked, source, now);
        self.outputs.push_back(Output::StoreBlocks);
        self.tell_blocks(link, now);
    }

    /// Nothing of this agent is signed any more, not even what is approved already.
    fn suspend(&mut self, link: LinkId, now: Now) {
        if let Some(line) = self.lines.get_mut(&link) {
            line.record.suspended = true;
            self.outputs.push_back(Output::StoreAgents);
            let entry = self.entry_of(link, Event::Locked);
            self.journal.note(entry, now);
        }
        for request in self.requests(|waiting| waiting.link == link) {
            self.refuse(request, Refusal::NotMe, now);
        }
    }

    pub(crate) fn resume(&mut self, link: LinkId, now: Now) {
        if let Some(line) = self.lines.get_mut(&link)
            && line.record.suspended
        {
            line.record.suspended = false;
            self.outputs.push_back(Output::StoreAgents);
            let entry = self.entry_of(link, Event::Unlocked);
            self.journal.note(entry, now);
        }
    }

    fn tell_blocks(&mut self, link: LinkId, now: Now) {
        let blocks = self.blocks.announced(link, now);
        self.say(link, &ToAgent::Blocks(blocks));
    }

    fn note_source(&mut self, link: LinkId, event: Event, source: &Source, now: Now) {
        let entry = Entry {
            source: Some(source.to_string()),
            ..self.entry_of(link, event)
        };
        self.journal.note(entry, now);
    }
}

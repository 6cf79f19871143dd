//! What phones do: they come, speak, leave, and are paired and unpaired.
use crate::broker::Broker;
use crate::denial::Denial;
use crate::exchange::{Event, Output};
use crate::pending::{Pending, Stage};
use crate::phone::{Heard, Phone, PhoneRecord, Spoilt, understood};
use alloc::vec::Vec;
use vmux_link::{Entropy, LinkId};
use vmux_proto::Now;
use vmux_proto::audit::{self, Growth, Head};
use vmux_proto::message::{Block, Identity, Refusal, ToAgent, ToSigner};
use vmux_proto::signature::Verifier;

impl Broker {
    pub(crate) fn frame(
        &mut self,
        link: LinkId,
        frame: &[u8],
        entropy: Entropy,
        verifier: &dyn Verifier,
        now: Now,
    ) {
        let Some(phone) = self.phones.get_mut(link) else {
            return;
        };
        let was_open = phone.is_open();
        match phone.hear(frame, &self.hello, entropy, now) {
            Err(Spoilt) => {
                if was_open {
                    self.parted(link, now);
                }
                self.left(link, now);
                self.outputs.push_back(Output::Restart(link));
            }
            Ok(Heard::Stray) => {}
            Ok(Heard::Answered(message)) => {
                self.outputs.push_back(Output::Send(link, message));
                let pending = self.pending.values_mut().filter(|one| one.link == link);
                for pending in pending.filter(|one| one.is_on_phone()) {
                    pending.stage = Stage::Queued;
                }
            }
            Ok(Heard::Message(message)) => {
                if !was_open {
                    self.opened(link, now);
                }
                self.said(link, message, verifier, now);
            }
        }
    }

    /// The phone has shown that it is there.
    fn opened(&mut self, link: LinkId, now: Now) {
        self.phones
            .change(link, |phone| phone.record.seen = now.wall);
        for pending in self.pending.values_mut().filter(|one| one.link == link) {
            pending.give_up = None;
        }
        let name = self.phones.name(link);
        self.outputs
            .push_back(Output::Event(Event::Connected(link, name)));
        self.outputs.push_back(Output::Store);
    }

    fn said(&mut self, link: LinkId, message: ToAgent, verifier: &dyn Verifier, now: Now) {
        match message {
            ToAgent::Identities(identities) => self.offers(link, identities),
            ToAgent::Refused(_, Refusal::NotMe) => self.disowned(link, now),
            ToAgent::Received(id)
            | ToAgent::ShowNumber(id, _)
            | ToAgent::Approved(id)
            | ToAgent::Signed(id, _)
            | ToAgent::Refused(id, _) => self.said_of(link, id, message, verifier, now),
            ToAgent::Unpaired => self.forget(link, None, now),
            ToAgent::Blocks(blocks) => self.blocks_changed(link, blocks, now),
            ToAgent::Remembers(head) => {
                self.phones.change(link, |phone| phone.knows = Some(head));
                self.tell_log(link);
            }
            ToAgent::Log(head) => self.other_log(link, head, now),
        }
    }

    fn offers(&mut self, link: LinkId, identities: Vec<Identity>) {
        let identities = understood(identities);
        let count = identities.len();
        let known = self.phones.get(link).map(|phone| &phone.record.identities);
        if known != Some(&identities) {
            self.phones
                .change(link, |phone| phone.record.identities = identities);
            self.outputs.push_back(Output::Store);
        }
        self.outputs
            .push_back(Output::Event(Event::Identities(link, count)));
    }

    /// The person says on a phone that a request was not theirs: something on this machine asks in
    /// their name, so nothing is signed until they say here that it may go on.
    fn disowned(&mut self, link: LinkId, now: Now) {
        self.phones
            .change(link, |phone| phone.record.suspended = true);
        self.outputs.push_back(Output::Store);
        let reason = Denial::NotMe.name();
        self.record_link(audit::Event::Locked, link, Some(reason), now);
        for id in self.pending_where(|_| true) {
            self.cancel(id, Denial::NotMe, now);
        }
    }

    /// The person lets the agent go on.
    pub(crate) fn resume(&mut self, now: Now) {
        let suspended = self.phones.iter().filter(|phone| phone.record.suspended);
        let suspended: Vec<_> = suspended.map(|phone| phone.record.id()).collect();
        for link in suspended {
            self.phones
                .change(link, |phone| phone.record.suspended = false);
            let reason = Denial::NotMe.name();
            self.record_link(audit::Event::Unlocked, link, Some(reason), now);
            self.outputs.push_back(Output::Store);
        }
    }

    fn blocks_changed(&mut self, link: LinkId, blocks: Vec<Block>, now: Now) {
        let name = self.phones.name(link);
        for entry in self.blocks.replace(link, &name, blocks, now) {
            self.journal.note(entry, now);
        }
        let blocks = &self.blocks;
        let blocked =
            |one: &Pending| one.link == link && blocks.holds(link, &one.shown.source, now);
        for id in self.pending_where(|one| !one.is_on_phone() && blocked(one)) {
            // Signed already: the person approved it.
            let signed = |one: &Pending| matches!(one.stage, Stage::Signed(_));
            if !self.pending.get(&id).is_some_and(signed) {
                self.end(id, Denial::Blocked, now);
            }
        }
    }

    /// The end of the phone's own log. It only grows, so a step back shows that it was cut (I9).
    fn other_log(&mut self, link: LinkId, head: Head, now: Now) {
        let known = self.phones.get(link).and_then(|phone| phone.log);
        let cut = known.is_some_and(|known| {
            head.lines < known.lines || (head.lines == known.lines && head != known)
        });
        if cut {
            self.record_link(audit::Event::Questioned, link, None, now);
            let name = self.phones.name(link);
            self.outputs
                .push_back(Output::Event(Event::Questioned(link, name)));
        }
        self.phones.change(link, |phone| phone.log = Some(head));
    }

    /// Tells the phone by what lines this log has grown (I9).
    pub(crate) fn tell_log(&mut self, link: LinkId) {
        let Some(phone) = self.phones.get_mut(link) else {
            return;
        };
        let Some(known) = phone.knows.filter(|_| !phone.proving) else {
            return;
        };
        match self.journal.growth(known) {
            Some(growth) if growth.end() == known => {}
            Some(growth) => self.say_log(link, growth),
            None => {
                phone.proving = true;
                self.outputs.push_back(Output::Prove(link, known));
            }
        }
    }

    /// What the files show of the log after the head that the phone knows.
    pub(crate) fn proof(&mut self, link: LinkId, proof: Vec<Growth>) {
        let Some(phone) = self.phones.get_mut(link).filter(|phone| phone.proving) else {
            return;
        };
        phone.proving = false;
        if proof.is_empty() {
            // The files do not hold it: the phone will see that this does not continue what it knows.
            self.say_log(link, Growth::new(self.journal.head(), []));
        }
        for growth in proof {
            self.say_log(link, growth);
        }
    }

    fn say_log(&mut self, link: LinkId, growth: Growth) {
        let Some(phone) = self.phones.get_mut(link) else {
            return;
        };
        phone.knows = Some(growth.end());
        if let Some(frame) = phone.say(&ToSigner::Log(growth)) {
            self.outputs.push_back(Output::Send(link, frame));
        }
    }

    pub(crate) fn left(&mut self, link: LinkId, now: Now) {
        if self.phones.get(link).is_some_and(Phone::is_open) {
            self.parted(link, now);
        }
        self.phones.change(link, Phone::left);
        let give_up = now.uptime.saturating_add(self.limits.reach_ms);
        for pending in self.pending.values_mut().filter(|one| one.link == link) {
            pending.give_up = pending.give_up.or(Some(give_up));
        }
    }

    /// Gives up handshakes that are not done in time: a relay lost a part of them.
    pub(crate) fn hurry(&mut self, now: Now) {
        let late = |phone: &&Phone| phone.handshake_ends().is_some_and(|end| now.uptime >= end);
        let late = self.phones.iter().filter(late);
        let late: Vec<_> = late.map(|phone| phone.record.id()).collect();
        for link in late {
            self.left(link, now);
            self.outputs.push_back(Output::Restart(link));
        }
    }

    /// A phone that was there is no more.
    fn parted(&mut self, link: LinkId, now: Now) {
        self.phones
            .change(link, |phone| phone.record.seen = now.wall);
        let name = self.phones.name(link);
        self.outputs
            .push_back(Output::Event(Event::Away(link, name)));
    }

    pub(crate) fn paired(&mut self, record: PhoneRecord, now: Now) {
        let (link, name) = (record.id(), record.name.clone());
        self.phones.add(record);
        self.record_link(audit::Event::Paired, link, None, now);
        self.outputs.push_back(Output::Store);
        self.outputs.push_back(Output::Connect(link));
        self.outputs
            .push_back(Output::Event(Event::Paired(link, name)));
    }

    pub(crate) fn unpair(&mut self, link: LinkId, now: Now) {
        let phone = self.phones.get_mut(link);
        let said = phone.and_then(|phone| phone.say(&ToSigner::Unpaired));
        self.forget(link, said, now);
    }

    /// Ends a pairing; `farewell` is sent once that is stored.
    fn forget(&mut self, link: LinkId, farewell: Option<Vec<u8>>, now: Now) {
        if self.phones.get(link).is_none() {
            return;
        }
        let name = self.phones.name(link);
        self.record_link(audit::Event::Unpaired, link, None, now);
        self.phones.remove(link);
        self.blocks.forget(link);
        self.outputs.push_back(Output::Store);
        if let Some(frame) = farewell {
            self.outputs.push_back(Output::Send(link, frame));
        }
        for id in self.pending_where(|pending| pending.link == link) {
            self.end(id, Denial::Unpaired, now);
        }
        self.outputs.push_back(Output::Disconnect(link));
        self.outputs
            .push_back(Output::Event(Event::Unpaired(link, name)));
    }
}

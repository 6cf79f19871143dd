//! From a request to the screen, and from the person's yes to the signature.
use crate::check::Asked;
use crate::exchange::{Decision, Output};
use crate::line::Line;
use crate::past::Recalled;
use crate::signer::Signer;
use crate::waiting::{Stage, Waiting, digest};
use alloc::boxed::Box;
use alloc::vec::Vec;
use vmux_link::LinkId;
use vmux_proto::Now;
use vmux_proto::audit::Event;
use vmux_proto::limits::{MAX_LOGIN_MS, MAX_SHOWN, MAX_SHOWN_PER_SOURCE};
use vmux_proto::message::{Number, Refusal, RequestId, SignRequest, ToAgent};
use vmux_proto::patience::Vain;
use vmux_proto::signature::{VerifiedSignature, Verifier};

impl Signer {
    pub(crate) fn asked(
        &mut self,
        link: LinkId,
        request: &SignRequest,
        number: Number,
        verifier: &dyn Verifier,
        now: Now,
    ) {
        let digest = digest(link, request);
        let checked = match self.waiting.get(&request.id) {
            Some(waiting) if waiting.digest == digest => {
                self.received(request.id);
                return;
            }
            Some(_) => Err((Refusal::Replayed, None)),
            None => match self.past.recall(request.id, digest, now.uptime) {
                Recalled::Answer(answer) => {
                    self.say(link, &answer);
                    return;
                }
                Recalled::Replayed => Err((Refusal::Replayed, None)),
                Recalled::Unanswered => self.check(link, request, verifier, now),
            },
        };
        match checked {
            Ok(asked) => self.take(link, request, (*asked, digest), number, now),
            Err((refusal, asked)) => {
                self.note_refusal((link, request), asked.as_deref(), refusal, now);
                self.outputs.push_back(Output::Refused(link, refusal));
                self.say(link, &ToAgent::Refused(request.id, refusal));
            }
        }
    }

    /// Every check of a new request. With a refusal comes what is known of the request, if it could be
    /// read at all.
    fn check(
        &self,
        link: LinkId,
        request: &SignRequest,
        verifier: &dyn Verifier,
        now: Now,
    ) -> Result<Box<Asked>, (Refusal, Option<Box<Asked>>)> {
        let agent = self.lines.get(&link).map(|line| &line.record);
        if agent.is_some_and(|agent| agent.suspended) {
            return Err((Refusal::NotMe, None));
        }
        let waiting_here = || self.waiting.values().filter(|other| other.link == link);
        if waiting_here().count() >= MAX_SHOWN || self.past.is_full(link, now.uptime) {
            return Err((Refusal::TooMany, None));
        }
        self.limits
            .check(link, None, now.uptime)
            .map_err(|refusal| (refusal, None))?;
        let asked = Asked::check(request, &self.identities, &self.settings, verifier)
            .map(Box::new)
            .map_err(|refusal| (refusal, None))?;
        let source = asked.source();
        let of_source = waiting_here().filter(|other| other.asked.source() == source);
        let refusal = if self.blocks.holds(link, source) {
            Refusal::Blocked
        } else if let Err(refusal) = self.limits.check(link, Some(source), now.uptime) {
            refusal
        } else if of_source.count() >= MAX_SHOWN_PER_SOURCE {
            Refusal::TooMany
        } else {
            return Ok(asked);
        };
        Err((refusal, Some(asked)))
    }

    /// Puts a request that passed every check on record; it is shown when it is there.
    fn take(
        &mut self,
        link: LinkId,
        request: &SignRequest,
        (asked, digest): (Asked, [u8; 32]),
        number: Number,
        now: Now,
    ) {
        let Some(Line { record, .. }) = self.lines.get(&link) else {
            return;
        };
        let wait = u64::from(request.wait_ms).min(MAX_LOGIN_MS);
        let deadline = now.uptime.saturating_add(wait);
        let origin = (link, &record.name);
        let prompt = asked.prompt(request, origin, &self.pins, number, deadline);
        self.serial = self.serial.saturating_add(1);
        let mut waiting = Waiting {
            link,
            serial: self.serial,
            since: now.uptime,
            digest,
            asked,
            prompt,
            stage: Stage::Arriving,
        };
        if waiting.prompt.number.is_some()
            && let Some(shared) = self.shared_number(&waiting)
        {
            waiting.prompt.number = Some(shared);
        }
        self.record_question(&waiting, now);
        self.waiting.insert(request.id, waiting);
        self.past.make_room(link, now.uptime);
    }

    /// The question is on record: tells the agent, and asks the person.
    pub(crate) fn show(&mut self, request: RequestId) {
        let Some(waiting) = self.waiting.get_mut(&request) else {
            return;
        };
        waiting.stage = Stage::Shown;
        waiting.prompt.log_in_doubt = self.heads.is_in_doubt(waiting.link);
        let together = self.together(request).len();
        let Some(waiting) = self.waiting.get_mut(&request) else {
            return;
        };
        waiting.prompt.together = u8::try_from(together).unwrap_or(u8::MAX);
        let prompt = waiting.prompt.clone();
        self.received(request);
        self.outputs.push_back(Output::Show(prompt.into()));
    }

    /// Tells the agent that its request waits, and with what number; it hears of one that is not on
    /// record yet when it is.
    fn received(&mut self, request: RequestId) {
        let Some(waiting) = self.waiting.get(&request) else {
            return;
        };
        if matches!(waiting.stage, Stage::Arriving) {
            return;
        }
        let (link, undecided) = (waiting.link, waiting.is_undecided());
        let number = waiting.prompt.number.filter(|_| undecided);
        self.say(link, &ToAgent::Received(request));
        if let Some(number) = number {
            self.say(link, &ToAgent::ShowNumber(request, number));
        }
    }

    pub(crate) fn decided(&mut self, request: RequestId, decision: Decision, now: Now) {
        let Some(waiting) = self.waiting.get_mut(&request) else {
            return;
        };
        if !waiting.is_on_screen() {
            return;
        }
        let (link, since) = (waiting.link, waiting.since);
        let source = waiting.asked.source().clone();
        let (number, name) = match decision {
            Decision::Approve { number, name } => (number, name),
            Decision::Deny(after) => return self.denied(request, after, now),
        };
        let knew_of_doubt = waiting.prompt.log_in_doubt;
        match waiting.approve(number, name, &self.pins, now) {
            Ok(job) => {
                if knew_of_doubt {
                    self.heads.acknowledged(link);
                }
                self.limits.approved(link, &source);
                self.say(link, &ToAgent::Approved(request));
                self.outputs.push_back(Output::Sign(job));
            }
            Err(Refusal::TimedOut) => self.late(request, now),
            Err(Refusal::WrongNumber) => {
                self.limits
                    .failed(link, &source, Vain::Denied, since, now.uptime);
                // A number that several share can be tried once, not once for each.
                for one in self.sharing_number(request) {
                    self.refuse_as(one, Event::Denied, Refusal::WrongNumber, now);
                }
            }
            Err(refusal) => self.refuse(request, refusal, now),
        }
    }

    pub(crate) fn decided_together(
        &mut self,
        requests: &[RequestId],
        decision: &Decision,
        now: Now,
    ) {
        let first = requests
            .iter()
            .find(|request| !self.together(**request).is_empty());
        let belong = first.map_or(Vec::new(), |first| self.together(*first));
        // What does not belong with the first is not decided, and stays on the screen.
        for request in requests.iter().filter(|request| belong.contains(request)) {
            self.decided(*request, decision.clone(), now);
        }
    }

    pub(crate) fn signed(
        &mut self,
        request: RequestId,
        signature: Option<Vec<u8>>,
        verifier: &dyn Verifier,
        now: Now,
    ) {
        let Some(waiting) = self.waiting.get(&request) else {
            return;
        };
        let Stage::Approved { name } = &waiting.stage else {
            return;
        };
        if now.uptime >= waiting.prompt.deadline {
            return self.late(request, now);
        }
        let (asked, name) = (&waiting.asked, name.clone());
        let good = signature.and_then(|candidate| {
            VerifiedSignature::check(verifier, &asked.identity().key, asked.bytes(), candidate).ok()
        });
        match good {
            Some(signature) => self.record_answer(request, name, signature, now),
            None => self.refuse(request, Refusal::KeyFailed, now),
        }
    }

    /// The time of a request is over. That nobody decided counts against who asked, and if there was no
    /// time to show it at all, no less.
    pub(crate) fn late(&mut self, request: RequestId, now: Now) {
        if let Some(waiting) = self.waiting.get(&request)
            && waiting.is_undecided()
        {
            let (link, since) = (waiting.link, waiting.since);
            let source = waiting.asked.source();
            self.limits
                .failed(link, source, Vain::TimedOut, since, now.uptime);
        }
        self.refuse_as(request, Event::TimedOut, Refusal::TimedOut, now);
    }
}

//! How much one agent may ask, whatever it reports.
//!
//! Sources keep programs and hosts apart, so that one of them does not use up the patience for all.
//! An agent that lies gives each request a source of its own: what holds then counts the link alone.
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use vmux_link::LinkId;
use vmux_proto::message::Refusal;
use vmux_proto::patience::{Patience, Vain};
use vmux_proto::source::Source;

/// Requests in vain in a row, whatever their sources, before the whole link has to pause.
const LINK_PATIENCE: u32 = 5;

/// After so long without a request in vain a link starts anew, in milliseconds.
const FORGIVEN_AFTER: u64 = 3_600_000;

/// Refusals nobody was asked for that each link has written one by one in a minute; the rest of the
/// minute becomes one line.
const REFUSALS_A_MINUTE: u64 = 20;
const MINUTE_MS: u64 = 60_000;

/// What is held against each link.
#[derive(Debug, Default)]
pub(crate) struct Limits(BTreeMap<LinkId, Limit>);

#[derive(Debug, Default)]
struct Limit {
    sources: Patience,
    /// All sources as one, from the fifth request in vain on.
    whole: Patience,
    in_vain: u32,
    last: u64,
    refusals: Refusals,
}

/// Refusals nobody was asked for, in the minute that began then.
#[derive(Debug, Default)]
struct Refusals {
    since: u64,
    count: u64,
}

/// The source under which a whole link is counted.
const WHOLE: Source = Source::Unknown;

impl Limits {
    /// Whether the link as a whole, or this source of it, must wait.
    pub(crate) fn check(
        &self,
        link: LinkId,
        source: Option<&Source>,
        uptime: u64,
    ) -> Result<(), Refusal> {
        let paused = self.0.get(&link).and_then(|limit| match source {
            Some(source) => limit.sources.paused_until(source, uptime),
            None => limit.whole.paused_until(&WHOLE, uptime),
        });
        paused.map_or(Ok(()), |_| Err(Refusal::Paused))
    }

    /// Notes a request in vain that was asked then.
    pub(crate) fn failed(
        &mut self,
        link: LinkId,
        source: &Source,
        why: Vain,
        asked: u64,
        uptime: u64,
    ) {
        let limit = self.0.entry(link).or_default();
        limit.sources.failed(source, why, asked, uptime);
        if uptime.saturating_sub(limit.last) >= FORGIVEN_AFTER {
            limit.in_vain = 0;
        }
        // What waited together counts once.
        if limit.in_vain > 0 && asked <= limit.last {
            return;
        }
        limit.in_vain = limit.in_vain.saturating_add(1);
        limit.last = uptime;
        if limit.in_vain >= LINK_PATIENCE {
            limit.whole.failed(&WHOLE, why, asked, uptime);
        }
    }

    /// Notes an approval: the person wants what this source asks for.
    pub(crate) fn approved(&mut self, link: LinkId, source: &Source) {
        if let Some(limit) = self.0.get_mut(&link) {
            limit.sources.approved(source);
            limit.whole.approved(&WHOLE);
            limit.in_vain = 0;
        }
    }

    /// Counts a refusal nobody was asked for; says whether it gets a line of its own.
    pub(crate) fn has_line(&mut self, link: LinkId, uptime: u64) -> bool {
        let refusals = &mut self.0.entry(link).or_default().refusals;
        if refusals.count == 0 {
            refusals.since = uptime;
        }
        refusals.count = refusals.count.saturating_add(1);
        refusals.count <= REFUSALS_A_MINUTE
    }

    /// Ends the minutes that are over, or all of them: links, and how many refusals got no line.
    pub(crate) fn unwritten(&mut self, uptime: Option<u64>) -> Vec<(LinkId, u64)> {
        let mut unwritten = Vec::new();
        for (link, limit) in &mut self.0 {
            let refusals = &mut limit.refusals;
            let end = refusals.since.saturating_add(MINUTE_MS);
            if uptime.is_none_or(|uptime| uptime >= end) {
                let rest = refusals.count.saturating_sub(REFUSALS_A_MINUTE);
                refusals.count = 0;
                unwritten.extend((rest > 0).then_some((*link, rest)));
            }
        }
        unwritten
    }

    /// Forgets a link that is no more.
    pub(crate) fn forget(&mut self, link: LinkId) {
        self.0.remove(&link);
    }
}

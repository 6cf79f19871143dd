//! The sources that a person has blocked on a phone, as the phones say. They are refused here
//! without troubling the phone, which refuses them by itself, too (I6).
use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;
use vmux_link::LinkId;
use vmux_proto::audit::{Entry, Event};
use vmux_proto::message::Block;
use vmux_proto::source::Source;
use vmux_proto::{Now, Untrusted};

/// Blocked sources of all phones.
#[derive(Debug, Default)]
pub(crate) struct Blocks(Vec<(LinkId, Source, u64)>);

impl Blocks {
    /// Whether requests of this source are blocked on this phone.
    pub(crate) fn holds(&self, link: LinkId, source: &Source, now: Now) -> bool {
        self.live(now)
            .any(|(on, blocked, _)| *on == link && blocked == source)
    }

    /// The blocks that have not ended: phone, source, and the uptime at which each ends.
    pub(crate) fn live(&self, now: Now) -> impl Iterator<Item = &(LinkId, Source, u64)> {
        self.0
            .iter()
            .filter(move |(_, _, until)| now.uptime < *until)
    }

    /// Takes what a phone says, all at once; gives the records of what changed.
    pub(crate) fn replace(
        &mut self,
        link: LinkId,
        name: &Untrusted,
        blocks: Vec<Block>,
        now: Now,
    ) -> Vec<Entry> {
        let record = |event, source: &Source| Entry {
            link: Some(link.to_string()),
            peer: Some(format!("{name}")),
            source: Some(source.to_string()),
            ..Entry::new(event)
        };
        let mut entries = Vec::new();
        for block in &blocks {
            if !self.holds(link, &block.source, now) {
                entries.push(record(Event::Blocked, &block.source));
            }
        }
        for (on, source, _) in self.live(now) {
            if *on == link && !blocks.iter().any(|block| block.source == *source) {
                entries.push(record(Event::Unblocked, source));
            }
        }
        self.forget(link);
        self.0.extend(blocks.into_iter().map(|block| {
            let until = now.uptime.saturating_add(block.left_ms.into());
            (link, block.source, until)
        }));
        entries
    }

    /// Forgets a phone.
    pub(crate) fn forget(&mut self, link: LinkId) {
        self.0.retain(|(on, ..)| *on != link);
    }
}

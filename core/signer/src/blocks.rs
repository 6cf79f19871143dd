//! Sources the person does not want to be asked for.
//!
//! A block on a host holds: it proves its key before anything goes through it. A block on a program
//! keeps an honest workstation quiet and proves nothing: an agent that lies gives a program another
//! name. What holds whatever the agent says are the limits of its link.
use crate::record::{RecordDamaged, decode, encode};
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use minicbor::{Decode, Encode};
use vmux_link::LinkId;
use vmux_proto::Now;
use vmux_proto::limits::MAX_BLOCKS;
use vmux_proto::message::Block;
use vmux_proto::patience::BLOCK_MS;
use vmux_proto::source::Source;

/// All blocks, the one that ends first at the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocks(Vec<Blocked>);

/// A source that is blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Whose requests are refused: of which agent.
    pub link: LinkId,
    /// And of which source there.
    pub source: Source,
    /// When the block ends, in seconds since 1970: what counts after a restart.
    pub ends: u64,
    /// When it ends, in milliseconds of uptime, which no clock that is set can change; none for a
    /// block that was read and not looked at since.
    pub until: Option<u64>,
}

impl Blocks {
    /// None.
    pub const EMPTY: Self = Self(Vec::new());

    /// The blocks, the one that ends first at the beginning.
    pub fn iter(&self) -> impl Iterator<Item = &Blocked> {
        self.0.iter()
    }

    /// Lifts a block; says whether there was one.
    pub fn lift(&mut self, link: LinkId, source: &Source) -> bool {
        let before = self.0.len();
        self.0
            .retain(|block| block.link != link || block.source != *source);
        self.0.len() != before
    }

    /// Whether this source is blocked.
    pub(crate) fn holds(&self, link: LinkId, source: &Source) -> bool {
        self.of(link).any(|block| block.source == *source)
    }

    /// Blocks a source from now on; where there are too many, the one that ends first makes room.
    pub(crate) fn add(&mut self, link: LinkId, source: Source, now: Now) {
        self.lift(link, &source);
        if self.of(link).count() >= MAX_BLOCKS
            && let Some(at) = self.0.iter().position(|block| block.link == link)
        {
            self.0.remove(at);
        }
        self.0.push(Blocked {
            link,
            source,
            ends: now.wall.saturating_add(BLOCK_MS.div_ceil(1000)),
            until: Some(now.uptime.saturating_add(BLOCK_MS)),
        });
    }

    /// Gives blocks that were read their end, and takes off those that are over; says whether there
    /// were any.
    pub(crate) fn pass(&mut self, now: Now) -> bool {
        for block in &mut self.0 {
            // A clock that was set back meanwhile makes no block longer than a new one.
            let left = block.ends.saturating_sub(now.wall).saturating_mul(1000);
            let until = now.uptime.saturating_add(left.min(BLOCK_MS));
            block.until.get_or_insert(until);
        }
        let before = self.0.len();
        self.0
            .retain(|block| block.until.is_some_and(|until| now.uptime < until));
        self.0.len() != before
    }

    /// When the first one ends, in milliseconds of uptime.
    pub(crate) fn next_end(&self) -> Option<u64> {
        self.0.iter().filter_map(|block| block.until).min()
    }

    /// Takes off what holds for a link that is no more; says whether there was anything.
    pub(crate) fn forget(&mut self, link: LinkId) -> bool {
        let before = self.0.len();
        self.0.retain(|block| block.link != link);
        self.0.len() != before
    }

    /// What the agent of a link is told.
    pub(crate) fn announced(&self, link: LinkId, now: Now) -> Vec<Block> {
        let left = |block: &Blocked| block.until.unwrap_or(0).saturating_sub(now.uptime);
        self.of(link)
            .map(|block| Block {
                source: block.source.clone(),
                left_ms: u32::try_from(left(block)).unwrap_or(u32::MAX),
            })
            .collect()
    }

    fn of(&self, link: LinkId) -> impl Iterator<Item = &Blocked> {
        self.0.iter().filter(move |block| block.link == link)
    }

    /// For the state file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let stored = self.0.iter().map(|block| Stored {
            link: block.link.to_string(),
            source: block.source.clone(),
            ends: block.ends,
        });
        encode(&stored.collect::<Vec<_>>())
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordDamaged> {
        let stored: Vec<Stored> = decode(bytes)?;
        let mut blocks = Self::default();
        for entry in stored {
            let link = LinkId::parse(&entry.link).ok_or(RecordDamaged)?;
            let is_full = blocks.of(link).count() >= MAX_BLOCKS;
            if is_full || !entry.source.within_limits() || blocks.holds(link, &entry.source) {
                return Err(RecordDamaged);
            }
            blocks.0.push(Blocked {
                link,
                source: entry.source,
                ends: entry.ends,
                until: None,
            });
        }
        Ok(blocks)
    }
}

#[derive(Encode, Decode)]
struct Stored {
    #[n(0)]
    link: String,
    #[n(1)]
    source: Source,
    #[n(2)]
    ends: u64,
}

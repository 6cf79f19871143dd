//! What a signer remembers besides identities, pins and agents.
use crate::blocks::Blocks;
use alloc::collections::BTreeMap;
use vmux_link::LinkId;
use vmux_proto::audit::Head;

/// What a signer remembers of its own log, of the agents' logs, and of what the person blocked.
#[derive(Clone, Debug)]
pub struct Memory {
    /// The end of its own log.
    pub log: Head,
    /// How far it knows each agent's log: the last `other_log` of each link in its own.
    pub heads: BTreeMap<LinkId, Head>,
    /// What is blocked.
    pub blocks: Blocks,
}

impl Memory {
    /// That of a signer whose log has no line yet.
    pub const EMPTY: Self = Self {
        log: Head::EMPTY,
        heads: BTreeMap::new(),
        blocks: Blocks::EMPTY,
    };
}

//! How far a signer knows the logs of its agents (I9).
use alloc::collections::BTreeMap;
use vmux_link::LinkId;
use vmux_proto::audit::{Growth, Head};

/// The agents' logs, as far as they are known.
#[derive(Debug)]
pub(crate) struct Heads(BTreeMap<LinkId, Known>);

#[derive(Clone, Copy, Debug)]
struct Known {
    head: Head,
    /// It does not continue what was known before, and the person has not decided since.
    in_doubt: bool,
}

/// The log does not continue what was known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InDoubt;

impl Heads {
    pub(crate) fn new(heads: BTreeMap<LinkId, Head>) -> Self {
        let known = |head| Known {
            head,
            in_doubt: false,
        };
        Self(
            heads
                .into_iter()
                .map(|(link, head)| (link, known(head)))
                .collect(),
        )
    }

    /// What the agent is told; nothing known is the beginning.
    pub(crate) fn told(&self, link: LinkId) -> Head {
        self.0.get(&link).map_or(Head::EMPTY, |known| known.head)
    }

    /// What goes on record. While in doubt that is nothing: the last head on record stays the one that
    /// was believed, so that the doubt outlives a restart.
    pub(crate) fn believed(&self, link: LinkId) -> Option<Head> {
        let known = self.0.get(&link)?;
        (!known.in_doubt).then_some(known.head)
    }

    /// Whether the person has yet to hear that the log is not what it was.
    pub(crate) fn is_in_doubt(&self, link: LinkId) -> bool {
        self.0.get(&link).is_some_and(|known| known.in_doubt)
    }

    /// Takes what an agent says of its log. The first word of an agent is taken as it is; a doubt is
    /// reported once.
    pub(crate) fn heard(&mut self, link: LinkId, growth: &Growth) -> Result<(), InDoubt> {
        let before = self.0.get(&link).copied();
        let continues = before.is_none_or(|known| known.head == growth.base);
        let was_in_doubt = before.is_some_and(|known| known.in_doubt);
        let known = Known {
            head: growth.end(),
            in_doubt: was_in_doubt || !continues,
        };
        self.0.insert(link, known);
        if known.in_doubt && !was_in_doubt {
            Err(InDoubt)
        } else {
            Ok(())
        }
    }

    /// The person has decided, knowing of the doubt.
    pub(crate) fn acknowledged(&mut self, link: LinkId) {
        if let Some(known) = self.0.get_mut(&link) {
            known.in_doubt = false;
        }
    }

    /// Forgets a link that is no more.
    pub(crate) fn forget(&mut self, link: LinkId) {
        self.0.remove(&link);
    }
}

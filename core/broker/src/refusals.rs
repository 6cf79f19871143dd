//! How often a refusal goes on record: a client that is refused again and again must not fill the
//! disk.
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use vmux_proto::Now;
use vmux_proto::audit::Entry;

/// The refusals of the last minute, by reason and source.
#[derive(Debug, Default)]
pub(crate) struct Refusals(BTreeMap<(String, String), Minute>);

#[derive(Debug)]
struct Minute {
    ends: u64,
    lines: u32,
    /// Refusals without a line of their own, and the last of them.
    more: u64,
    last: Option<Entry>,
}

/// Lines a minute for each reason and source; further ones are counted in one line at its end.
const LINES: u32 = 20;
const MINUTE_MS: u64 = 60_000;

/// Reasons and sources told apart at a time; the rest is counted together.
const MAX_KINDS: usize = 64;

impl Refusals {
    /// Takes a refusal; gives it back if it gets a line of its own.
    pub(crate) fn take(&mut self, entry: Entry, now: Now) -> Option<Entry> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let mut kind = (text(&entry.reason), text(&entry.source));
        if !self.0.contains_key(&kind) && self.0.len() >= MAX_KINDS {
            kind = (String::new(), String::new());
        }
        let minute = self.0.entry(kind).or_insert(Minute {
            ends: now.uptime.saturating_add(MINUTE_MS),
            lines: 0,
            more: 0,
            last: None,
        });
        if minute.lines < LINES {
            minute.lines = minute.lines.saturating_add(1);
            return Some(entry);
        }
        minute.more = minute.more.saturating_add(1);
        minute.last = Some(entry);
        None
    }

    /// The lines for those that were only counted, of minutes that are over.
    pub(crate) fn counted(&mut self, now: Now) -> Vec<Entry> {
        let over = self.0.extract_if(.., |_, minute| now.uptime >= minute.ends);
        over.filter_map(|(_, minute)| {
            Some(Entry {
                count: Some(minute.more),
                ..minute.last?
            })
        })
        .collect()
    }

    /// When the next such line is due, in milliseconds of uptime.
    pub(crate) fn due(&self) -> Option<u64> {
        let counting = self.0.values().filter(|minute| minute.more > 0);
        counting.map(|minute| minute.ends).min()
    }
}

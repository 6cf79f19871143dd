use super::*;
use crate::audit::{Broken, Checker};
use std::vec;

const NOW: Now = Now {
    uptime: 5,
    wall: 1_795_000_000,
};

/// A journal and the lines of the file it writes to.
struct Log {
    journal: Journal<&'static str>,
    file: Vec<Line>,
}

impl Log {
    fn new() -> Self {
        Self {
            journal: Journal::after(Head::EMPTY),
            file: Vec::new(),
        }
    }

    fn wait(&mut self, waiter: &'static str) {
        let entry = Entry::new(Event::Asked);
        self.journal.wait_for(entry, Storing::Synced, waiter, NOW);
    }

    /// Writes everything that is on its way; gives how many lines the file has.
    fn write(&mut self) -> u64 {
        while let Some(line) = self.journal.poll() {
            assert_eq!(line.before, self.end());
            self.file.push(line);
        }
        self.end().lines
    }

    fn end(&self) -> Head {
        self.file.last().map_or(Head::EMPTY, |line| line.after)
    }

    fn check(&self) -> Vec<Entry> {
        let mut checker = Checker::new();
        let entries = self
            .file
            .iter()
            .map(|line| checker.line(&line.bytes).unwrap());
        let entries = entries.collect();
        assert_eq!(checker.head().unwrap_or(Head::EMPTY), self.journal.head());
        entries
    }
}

#[test]
fn who_waits_for_a_line_comes_back_with_it_and_not_a_line_earlier() {
    let mut log = Log::new();
    log.journal.note(Entry::new(Event::Started), NOW);
    log.wait("first");
    log.wait("second");
    assert_eq!(log.write(), 3);
    assert!(log.journal.stored(1).is_empty());
    assert_eq!(log.journal.stored(2), ["first"]);
    assert_eq!(log.journal.head(), log.file[1].after);
    assert_eq!(log.journal.stored(2), Vec::<&str>::new());
    assert_eq!(log.journal.stored(3), ["second"]);
    assert_eq!(log.journal.end(), log.journal.head());
    assert_eq!(log.check().len(), 3);
}

#[test]
fn after_a_failure_the_next_line_says_how_many_are_missing() {
    let mut log = Log::new();
    log.wait("kept");
    log.write();
    log.journal.stored(1);
    log.wait("lost");
    log.wait("lost, too");
    while log.journal.poll().is_some() {}
    assert_eq!(log.journal.failed(), ["lost", "lost, too"]);
    log.wait("after");
    assert_eq!(log.write(), 3);
    assert_eq!(log.journal.stored(3), ["after"]);
    let entries = log.check();
    assert_eq!(entries[1].event, Event::Lost);
    assert_eq!(entries[1].count, Some(2));
    assert_eq!(entries[2].line, 3);
    log.wait("and no more");
    log.write();
    log.journal.stored(4);
    assert_eq!(log.check()[3].event, Event::Asked);
}

#[test]
fn the_line_that_tells_of_a_loss_is_not_counted_when_it_is_lost_itself() {
    let mut log = Log::new();
    log.wait("one");
    log.journal.failed();
    for _ in 0..3 {
        log.wait("again");
        assert_eq!(log.journal.failed(), ["again"]);
    }
    log.wait("at last");
    log.write();
    log.journal.stored(2);
    assert_eq!(log.check()[0].count, Some(4));
}

#[test]
fn lines_that_wait_to_be_written_vanish_with_a_failure() {
    let mut log = Log::new();
    log.wait("one");
    assert_eq!(log.journal.failed(), ["one"]);
    assert!(log.journal.poll().is_none());
    assert_eq!(log.journal.end(), Head::EMPTY);
}

#[test]
fn growth_leads_from_every_head_to_the_last_stored_one_and_from_no_other() {
    let mut log = Log::new();
    for _ in 0..5 {
        log.wait("line");
    }
    log.write();
    log.journal.stored(4);
    let end = log.journal.head();
    assert_eq!(end.lines, 4);
    let mut heads = vec![Head::EMPTY];
    heads.extend(log.file.iter().map(|line| line.after));
    for base in &heads[..5] {
        let growth = log.journal.growth(*base).unwrap();
        assert_eq!(growth.base, *base);
        assert_eq!(growth.end(), end);
    }
    assert_eq!(log.journal.growth(heads[5]), None, "not stored yet");
    let mut other = heads[2];
    other.digest[31] ^= 1;
    assert_eq!(log.journal.growth(other), None);
}

#[test]
fn growth_reaches_as_far_back_as_one_message_tells_and_no_further() {
    let mut log = Log::new();
    let lines = MAX_GROWTH + 1;
    for _ in 0..lines {
        log.journal.note(Entry::new(Event::Refused), NOW);
    }
    let count = log.write();
    log.journal.stored(count);
    assert_eq!(log.journal.growth(Head::EMPTY), None);
    let second = log.file[0].after;
    let growth = log.journal.growth(second).unwrap();
    assert_eq!(growth.end(), log.journal.head());
    assert_eq!(growth.digests.len(), MAX_GROWTH * 32);
}

#[test]
fn a_line_changed_removed_or_swapped_breaks_the_chain_where_it_stood() {
    let mut log = Log::new();
    for _ in 0..4 {
        log.wait("line");
    }
    log.write();
    log.journal.stored(4);
    let lines: Vec<_> = log.file.iter().map(|line| line.bytes.clone()).collect();
    let check = |lines: &[Vec<u8>]| {
        let mut checker = Checker::new();
        lines
            .iter()
            .try_for_each(|line| checker.line(line).map(drop))
    };
    assert_eq!(check(&lines), Ok(()));
    assert_eq!(check(&lines[2..]), Ok(()), "older files may be gone");

    let mut changed = lines.clone();
    let at = changed[1]
        .windows(5)
        .position(|word| word == b"asked")
        .unwrap();
    changed[1].splice(at..at + 5, *b"started");
    assert_eq!(check(&changed), Err(Broken::Changed { line: 2 }));

    let mut removed = lines.clone();
    removed.remove(1);
    let missing = Broken::Missing {
        expected: 2,
        found: 3,
    };
    assert_eq!(check(&removed), Err(missing));

    let mut swapped = lines.clone();
    swapped.swap(1, 2);
    assert!(check(&swapped).is_err());

    let mut longer = lines.clone();
    longer[3].push(b'x');
    assert_eq!(check(&longer), Err(Broken::NotARecord { line: 4 }));

    let mut first = lines;
    let text = std::string::String::from_utf8(first[0].clone()).unwrap();
    first[0] = text.replace(&"0".repeat(64), &"1".repeat(64)).into();
    assert_eq!(check(&first[..1]), Err(Broken::Changed { line: 1 }));
}

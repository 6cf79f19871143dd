//! A log that somebody else may have written, cut or changed.
use vmux_proto::Now;
use vmux_proto::audit::{Chain, Checker, Entry, Event, Growth, Head, Storing};

use crate::choices::{Choices, flipped};

/// Lines of a log as they stand in its file.
pub fn audit(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data)
        && let Some(head) = Head::parse(text)
    {
        assert_eq!(Head::parse(&head.to_string()), Some(head));
    }
    let mut checker = Checker::new();
    let mut taken = Vec::new();
    for line in data.split(|byte| *byte == b'\n') {
        let before = checker.head();
        let Ok(entry) = checker.line(line) else {
            assert_eq!(checker.head(), before, "what is refused changes nothing");
            break;
        };
        let written = serde_json::to_vec(&entry).expect("our own type");
        let again: Entry = serde_json::from_slice(&written).expect("our own line");
        assert_eq!(again, entry);
        taken.push(line);
    }
    let Some(head) = checker.head() else {
        return;
    };
    // What is written after it is taken, here and by who knows the head alone.
    let mut chain = Chain::after(head);
    let line = chain.append(Entry::new(Event::Stopped), Storing::Synced, NOW);
    assert_eq!((line.before, line.after), (head, chain.head()));
    let growth = Growth::new(head, [&line.digest]);
    assert_eq!(growth.end(), chain.head());
    if head.lines < u64::MAX - 1 {
        assert!(checker.line(&line.bytes).is_ok());
        assert_eq!(checker.head(), Some(chain.head()));
    }
}

/// Lines that were written rightly and then dropped, swapped, repeated or changed (I9).
pub fn audit_tampered(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut chain = Chain::after(Head::EMPTY);
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for _ in 0..=choices.below(5) {
        let entry = Entry {
            user: Some(choices.text()),
            count: Some(u64::from(choices.byte())),
            ..Entry::new(Event::Asked)
        };
        let line = chain.append(entry, Storing::Written, NOW);
        assert_eq!(line.after, line.before.after(&line.digest));
        lines.push(line.bytes);
    }
    let before = lines.clone();
    let one = usize::from(choices.byte()) % lines.len();
    let other = usize::from(choices.byte()) % lines.len();
    match choices.below(5) {
        0 => {}
        1 => drop(lines.remove(one)),
        2 => lines.swap(one, other),
        3 => lines.insert(other, before[one].clone()),
        _ => lines[one] = flipped(&lines[one], usize::from(choices.byte()) * 3),
    }
    let mut checker = Checker::after(Head::EMPTY);
    let sound = lines.iter().all(|line| checker.line(line).is_ok());
    let is_whole = sound && checker.head() == Some(chain.head());
    assert_eq!(is_whole, lines == before, "I9");
    // A change at the end shows by the head alone, any other by the lines themselves.
    let (_, earlier) = lines.split_last().unwrap_or((&before[0], &[]));
    assert!(!sound || before.starts_with(earlier), "I9");
}

const NOW: Now = Now {
    uptime: 5,
    wall: 1_800_000_000,
};

//! The lines of a log against those that another implementation made.
use crate::support::{Vectors, bytes, text};
use vmux_proto::Now;
use vmux_proto::audit::{Broken, Chain, Checker, Growth, Head, Storing};

#[test]
fn the_lines_of_the_specification_are_read_and_written_byte_for_byte() {
    let vectors = Vectors::audit();
    let (mut checker, mut chain) = (Checker::new(), Chain::after(Head::EMPTY));
    for vector in vectors.list("lines") {
        let line = text(&vector["line"]);
        let head = Head::parse(text(&vector["head"])).unwrap();
        let entry = checker.line(line.as_bytes()).unwrap();
        assert_eq!(checker.head(), Some(head), "{line}");
        let time: jiff::Timestamp = entry.time.parse().unwrap();
        let now = Now {
            uptime: 0,
            wall: u64::try_from(time.as_second()).unwrap(),
        };
        let written = chain.append(entry, Storing::Synced, now);
        assert_eq!(written.bytes, line.as_bytes());
        assert_eq!(written.digest.to_vec(), bytes(&vector["digest"]));
        assert_eq!(written.after, head);
        assert_eq!(head.to_string(), text(&vector["head"]));
    }
}

#[test]
fn a_line_with_any_bit_changed_shows_at_the_line_after_it() {
    let vectors = Vectors::audit();
    let lines: Vec<_> = vectors
        .list("lines")
        .iter()
        .map(|it| text(&it["line"]))
        .collect();
    for at in 0..lines[1].len() {
        for bit in 0..8 {
            let mut changed = lines[1].as_bytes().to_vec();
            changed[at] ^= 1 << bit;
            let mut checker = Checker::new();
            let first = checker.line(lines[0].as_bytes());
            let rest = first.and_then(|_| {
                checker.line(&changed)?;
                checker.line(lines[2].as_bytes())
            });
            assert!(rest.is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn the_digests_of_the_specification_lead_from_head_to_head() {
    let vectors = Vectors::audit();
    let lines = vectors.list("lines");
    let head = |at: usize| Head::parse(text(&lines[at]["head"])).unwrap();
    let digests: Vec<[u8; 32]> = lines
        .iter()
        .map(|line| bytes(&line["digest"]).try_into().unwrap())
        .collect();
    assert_eq!(Growth::new(Head::EMPTY, &digests).end(), head(3));
    assert_eq!(Growth::new(head(1), &digests[2..]).end(), head(3));
    assert_ne!(Growth::new(head(0), &digests[2..]).end(), head(3));
}

#[test]
fn a_line_of_a_later_version_is_read_without_what_is_new_and_half_a_line_is_not() {
    let vectors = Vectors::audit();
    let line = text(&vectors.list("lines")[0]["line"]);
    let later = line.replace("\"event\"", "\"colour\":\"red\",\"event\"");
    let entry = Checker::new().line(later.as_bytes()).unwrap();
    assert_eq!(entry.line, 1);
    for end in 0..line.len() {
        let cut = Checker::new().line(&line.as_bytes()[..end]);
        assert_eq!(cut, Err(Broken::NotARecord { line: 1 }), "{end}");
    }
}

#[test]
fn heads_are_read_as_they_are_written_and_nothing_else_is() {
    let text = Head::EMPTY.to_string();
    assert_eq!(Head::parse(&text), Some(Head::EMPTY));
    for wrong in [
        "",
        &text.replace("0:", "+0:"),
        &text.replace("0:", "00:"),
        "0",
        "0:",
        ":00",
        "0:0g",
        text.strip_suffix('0').unwrap(),
        &format!("{text}0"),
        &text.replace(':', ": "),
    ] {
        assert_eq!(Head::parse(wrong), None, "{wrong}");
    }
    assert_eq!(
        Head::parse(&text.replace("0:", "1:").replace('0', "A")),
        None
    );
}

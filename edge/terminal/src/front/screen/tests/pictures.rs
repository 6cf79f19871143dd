use super::*;
use crate::front::AgentState;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Position;
use ratatui::style::{Color, Modifier};
use std::path::Path;
use vmux_host::files::FileRefused;
use vmux_host::log::LogFailed;
use vmux_proto::Untrusted;
use vmux_proto::message::Refusal;
use vmux_proto::untrusted::is_visible;
use vmux_signer::{Identities, LinkId, Withdrawn};

/// Every standing a request can have.
fn all() -> Vec<(&'static str, Prompt)> {
    vec![
        ("pinned", sample::pinned()),
        ("new", sample::new()),
        ("changed", sample::changed()),
        ("claimed", sample::claimed()),
        ("unknown", sample::unknown()),
        ("forwarded", sample::forwarded()),
        ("git", sample::git()),
        ("hostile", sample::hostile()),
        ("namesake", sample::namesake()),
        ("two-hops", sample::hops(2)),
        ("seven-hops", sample::hops(7)),
        ("in-doubt", sample::in_doubt()),
    ]
}

/// Compares with the picture kept as a file; `VMUX_REDRAW=1` draws it anew, to be looked at.
fn compare(name: &str, size: Size, picture: &str) {
    let file = format!("{name}-{}x{}.txt", size.width, size.height);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/front/screen/tests/snapshots");
    let path = folder.join(&file);
    if std::env::var_os("VMUX_REDRAW").is_some() {
        #[expect(clippy::disallowed_methods, reason = "asked for, and not a secret")]
        std::fs::write(&path, picture).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        picture == kept,
        "{file} should be\n{kept}\nand is\n{picture}"
    );
}

#[test]
fn every_standing_looks_as_drawn_in_every_size() {
    for (name, prompt) in all() {
        for size in [SMALL, USUAL, LARGE] {
            let others = [
                sample::again(&sample::git(), 7),
                sample::again(&sample::new(), 8),
            ];
            let (screen, model) = world(&[std::slice::from_ref(&prompt), &others].concat());
            compare(
                name,
                size,
                &text(&drawn(&screen, &model, size, Theme::Colours)),
            );
        }
    }
}

#[test]
fn a_burst_looks_as_drawn() {
    let alike: Vec<_> = (1..=3)
        .map(|id| sample::again(&sample::new(), id))
        .collect();
    let hosts: Vec<_> = [1, 2, 2, 3]
        .into_iter()
        .zip(1..)
        .map(|(host, id)| sample::again(&sample::at_host(host), id))
        .collect();
    for (name, burst) in [("burst-alike", alike), ("burst-hosts", hosts)] {
        let (mut screen, mut model) = world(&burst);
        let others: Vec<_> = burst[1..].iter().map(|one| one.request).collect();
        model.take(News::Together(burst[0].request, &others));
        let before = text(&drawn(&screen, &model, SMALL, Theme::Colours));
        compare(&format!("{name}-one"), SMALL, &before);
        let t = KeyEvent::new(KeyCode::Char('t'), KeyModifiers::NONE);
        assert_eq!(screen.key(t, &model, USUAL, NOW), None);
        screen.seen(NOW - GUARD_MS);
        for size in [SMALL, USUAL] {
            let after = text(&drawn(&screen, &model, size, Theme::Colours));
            compare(&format!("{name}-all"), size, &after);
        }
    }
}

#[test]
fn a_line_that_does_not_fit_is_counted_and_its_request_cannot_be_approved() {
    let shown = |hops, size| {
        let (screen, model) = world(&[sample::hops(hops)]);
        text(&drawn(&screen, &model, size, Theme::Colours))
    };
    let two = shown(2, SMALL);
    for wanted in ["rack-1 ", "rack-2 ", "┃ with  work", " a approve "] {
        assert!(two.contains(wanted), "{two}");
    }
    assert!(!two.contains("lines"), "{two}");
    let seven = shown(7, SMALL);
    let advice = "Enlarge the window to approve: 2 lines do not fit.";
    for wanted in ["┃ +2 lines ", advice] {
        assert!(seven.contains(wanted), "{seven}");
    }
    assert!(!seven.contains("a approve"), "{seven}");
    let seven = shown(7, USUAL);
    for wanted in ["rack-1 ", "rack-7 ", "┃ with  work", " a approve "] {
        assert!(seven.contains(wanted), "{seven}");
    }
}

#[test]
fn no_name_pushes_off_the_row_that_it_is_reported() {
    let mut prompt = sample::new();
    prompt.reported.host = Some("w".repeat(128));
    let (screen, model) = world(&[prompt]);
    let shown = text(&drawn(&screen, &model, SMALL, Theme::Colours));
    assert!(shown.contains("call  reported name www"), "{shown}");
}

#[test]
fn the_smallest_window_shows_what_where_and_the_keys() {
    for (name, prompt) in all() {
        let (screen, model) = world(std::slice::from_ref(&prompt));
        let shown = text(&drawn(&screen, &model, SMALL, Theme::Colours));
        let subject = match name {
            "git" => "Signature for git",
            "hostile" => "Login as “root",
            _ => "Login as deploy",
        };
        for wanted in [
            subject,
            "CHECKED HERE",
            "REPORTED BY",
            "42 s left",
            " d deny ",
        ] {
            assert!(shown.contains(wanted), "{name}: no {wanted:?} in\n{shown}");
        }
        let possible = !["changed", "seven-hops"].contains(&name);
        assert_eq!(shown.contains(" a approve "), possible, "{shown}");
        if let Some(host) = &prompt.host {
            assert!(
                shown.contains(&host.fingerprint.to_string()),
                "{name}\n{shown}"
            );
        }
    }
}

#[test]
fn what_is_hostile_stays_in_its_place_and_is_escaped() {
    for size in [SMALL, USUAL, LARGE] {
        let (screen, model) = world(&[sample::hostile()]);
        let shown = text(&drawn(&screen, &model, size, Theme::Colours));
        let (plain, plain_model) = world(&[sample::new()]);
        let usual = text(&drawn(&plain, &plain_model, size, Theme::Colours));
        // Frames and their contents are on the same lines as for a harmless request.
        let frame = |text: &str| -> Vec<Option<char>> {
            let first = text.lines().map(|line| line.chars().next());
            first.collect()
        };
        assert_eq!(frame(&shown), frame(&usual), "{shown}");
        assert!(shown.chars().all(|c| c == '\n' || is_visible(c)), "{shown}");
        assert!(shown.contains("\\u{1b}[2J"), "{shown}");
        for line in shown.lines().filter(|line| line.starts_with('┃')) {
            assert!(line.ends_with('┃'), "{line}");
        }
    }
}

#[test]
fn the_colour_of_a_standing_is_its_own() {
    for (prompt, colour) in [
        (sample::pinned(), Color::Green),
        (sample::new(), Color::Yellow),
        (sample::changed(), Color::Red),
        (sample::claimed(), Color::Magenta),
        (sample::unknown(), Color::Magenta),
        (sample::git(), Color::Cyan),
    ] {
        let (screen, model) = world(&[prompt]);
        let buffer = drawn(&screen, &model, SMALL, Theme::Colours);
        let (corner, tag) = (Position::new(0, 1), Position::new(3, 3));
        assert_eq!(buffer[corner].fg, colour);
        assert_eq!(buffer[tag].fg, colour);
        assert!(
            buffer[tag]
                .modifier
                .contains(Modifier::REVERSED | Modifier::BOLD)
        );
    }
}

#[test]
fn what_is_reported_is_dim_and_what_is_checked_is_not() {
    let (screen, model) = world(&[sample::pinned()]);
    let buffer = drawn(&screen, &model, SMALL, Theme::Colours);
    let mut seen = 0;
    for row in buffer.content.chunks(60) {
        let dim = |cell: &ratatui::buffer::Cell| cell.fg == Color::DarkGray;
        match row[0].symbol() {
            "┃" | "┏" | "┗" => assert!(!row.iter().any(dim), "{}", cells(row)),
            "╎" | "┌" | "└" => assert!(row.iter().all(dim), "{}", cells(row)),
            _ => continue,
        }
        seen += 1;
    }
    assert_eq!(seen, 12);
}

#[test]
fn without_colours_there_are_none_and_the_words_stay() {
    for (_, prompt) in all() {
        let (screen, model) = world(&[prompt]);
        let plain = drawn(&screen, &model, USUAL, Theme::Plain);
        let coloured = drawn(&screen, &model, USUAL, Theme::Colours);
        assert!(
            plain
                .content
                .iter()
                .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
        );
        assert_eq!(text(&plain), text(&coloured));
    }
}

#[test]
fn no_window_is_too_small_to_draw_in() {
    for (_, prompt) in all() {
        let (screen, model) = world(&[prompt]);
        for (width, height) in [
            (1, 1),
            (2, 3),
            (10, 2),
            (20, 5),
            (59, 14),
            (300, 3),
            (3, 100),
        ] {
            drawn(&screen, &model, Size::new(width, height), Theme::Colours);
        }
    }
}

#[test]
fn the_number_is_asked_for_and_never_shown() {
    for prompt in [
        sample::new(),
        sample::claimed(),
        sample::unknown(),
        sample::forwarded(),
    ] {
        assert!(prompt.number.is_some());
        for size in [SMALL, USUAL, LARGE] {
            let (screen, model) = world(&[Prompt {
                deadline: NOW + 7000,
                ..prompt.clone()
            }]);
            let shown = text(&drawn(&screen, &model, size, Theme::Colours));
            assert!(
                shown.contains("needs the number that laptop shows"),
                "{shown}"
            );
            assert!(!shown.contains(sample::NUMBER), "{shown}");
        }
    }
}

#[test]
fn while_nobody_asks_the_screen_shows_what_there_is_and_what_was() {
    let mut model = Model::new("desk");
    let screen = Screen::default();
    compare(
        "empty",
        USUAL,
        &text(&drawn(&screen, &model, USUAL, Theme::Colours)),
    );

    let link = |text| LinkId::parse(text).unwrap();
    let (laptop, tower) = (Untrusted::new("laptop"), Untrusted::new("to\u{202e}wer"));
    let unreachable = AgentState::Unreachable("the relay does not answer".to_owned());
    model.take(News::Identities(&Identities::default()));
    model.take(News::Agent(
        link("0123456789abcdef"),
        &laptop,
        &AgentState::Connecting,
    ));
    model.take(News::Agent(
        link("0123456789abcdef"),
        &laptop,
        &AgentState::Connected,
    ));
    model.take(News::Agent(link("fedcba9876543210"), &tower, &unreachable));
    model.take(News::Asked(&sample::pinned()));
    model.take(News::Withdrawn(&sample::pinned(), Withdrawn::Signed));
    model.take(News::Withdrawn(
        &sample::hostile(),
        Withdrawn::Refused(Refusal::Denied),
    ));
    model.take(News::Refused(&tower, Refusal::Contradiction));
    let full = failed_log();
    model.take(News::Log(Some(&full)));
    let in_42_minutes = BOTH.wall + 42 * 60;
    let blocks = sample::blocks("x\u{1b}[2Jy", in_42_minutes);
    model.take(News::Blocks(&blocks));
    model.take(News::Suspended(link("fedcba9876543210"), &tower, true));
    for size in [SMALL, USUAL] {
        compare(
            "idle",
            size,
            &text(&drawn(&screen, &model, size, Theme::Colours)),
        );
    }
}

/// What a full disk gives.
fn failed_log() -> LogFailed {
    let file = "/home/alice/.local/state/vmux-signer/log/log.jsonl".into();
    LogFailed::System(FileRefused::Failed {
        file,
        doing: "write it",
        cause: std::io::Error::from_raw_os_error(28),
    })
}

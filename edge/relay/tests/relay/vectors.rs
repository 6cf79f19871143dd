//! `docs/spec/vectors/relay.json`: what every implementation of the relay's words agrees on.

use serde::Deserialize;
use vmux_proto::mailbox::{self, CloseReason, Control, MAX_FRAME, MailboxId, Meeting, Seat, Side};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    #[serde(rename = "about")]
    _about: String,
    max_frame: usize,
    seats: Vec<SeatVector>,
    seats_refused: Vec<String>,
    controls: Vec<ControlVector>,
    controls_refused: Vec<String>,
    frames: Vec<FrameVector>,
    frames_refused: Vec<String>,
    closes: Vec<CloseVector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeatVector {
    mailbox: String,
    side: String,
    path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ControlVector {
    text: String,
    kind: String,
    meeting: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FrameVector {
    frame: String,
    meeting: u32,
    sealed: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CloseVector {
    code: u16,
    name: String,
}

fn vectors() -> Vectors {
    let text = include_str!("../../../../docs/spec/vectors/relay.json");
    serde_json::from_str(text).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    assert_eq!(text.len() % 2, 0);
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn seats_have_the_paths_of_the_vectors() {
    for vector in vectors().seats {
        let mailbox = MailboxId::from_bytes(hex(&vector.mailbox).try_into().unwrap());
        let seat = Seat {
            mailbox,
            side: Side::parse(&vector.side).unwrap(),
        };
        assert_eq!(seat.path(), vector.path);
        assert_eq!(Seat::parse(&vector.path), Ok(seat));
    }
}

#[test]
fn paths_the_vectors_refuse_are_refused() {
    for path in vectors().seats_refused {
        assert!(Seat::parse(&path).is_err(), "{path}");
    }
}

#[test]
fn control_messages_are_spelled_as_in_the_vectors() {
    for vector in vectors().controls {
        let meeting = Meeting::new(vector.meeting).unwrap();
        let control = match vector.kind.as_str() {
            "meeting" => Control::Meeting(meeting),
            "left" => Control::Left(meeting),
            other => panic!("{other}"),
        };
        assert_eq!(control.encode(), vector.text);
        assert_eq!(Control::parse(&vector.text), Ok(control));
    }
}

#[test]
fn control_messages_the_vectors_refuse_are_refused() {
    for text in vectors().controls_refused {
        assert!(Control::parse(&text).is_err(), "{text}");
    }
}

#[test]
fn frames_are_put_together_and_apart_as_in_the_vectors() {
    assert_eq!(vectors().max_frame, MAX_FRAME);
    for vector in vectors().frames {
        let (frame, sealed) = (hex(&vector.frame), hex(&vector.sealed));
        let meeting = Meeting::new(vector.meeting).unwrap();
        assert_eq!(mailbox::frame(meeting, &sealed), Ok(frame.clone()));
        assert_eq!(mailbox::split(&frame), Ok((meeting, sealed.as_slice())));
    }
}

#[test]
fn frames_the_vectors_refuse_are_refused() {
    for frame in vectors().frames_refused {
        assert!(mailbox::split(&hex(&frame)).is_err(), "{frame}");
    }
}

#[test]
fn close_reasons_are_those_of_the_vectors() {
    let ours = CloseReason::ALL.map(|reason| (reason.code(), reason.name().to_owned()));
    let theirs: Vec<_> = vectors()
        .closes
        .into_iter()
        .map(|it| (it.code, it.name))
        .collect();
    assert_eq!(theirs, ours);
}

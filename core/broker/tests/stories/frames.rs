//! Frames, however they come: one reply for each request, in order, and the stream stays in step.
use crate::ssh::{
    EXTENSIONS, FAILURE, LIST, QUERY, SESSION, SUCCESS, Secret, bind_frame, commit, frame,
    sign_frame, string_frame,
};
use proptest::collection::vec as any_length;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use vmux_broker::{Answer, Conversation, Step};
use vmux_proto::agent_wire::BadLength;
use vmux_proto::binding::Use;
use vmux_proto::crypto::PureRust;

/// All replies to what is read, where the broker does nothing but fail.
fn replies(conversation: &mut Conversation, bytes: &[u8]) -> Result<Vec<Vec<u8>>, BadLength> {
    conversation.read(bytes);
    let mut replies = Vec::new();
    loop {
        match conversation.next(&PureRust)? {
            Step::Read => return Ok(replies),
            Step::Write(reply) | Step::Refuse(reply, ..) | Step::NotServed(reply, _) => {
                replies.push(reply);
            }
            Step::Ask(_) => replies.push(conversation.answer(Answer::Failure)),
        }
    }
}

/// A login's usual requests and one that fails, with the replies they get here.
fn usual() -> (Vec<u8>, Vec<Vec<u8>>) {
    let (key, host) = (Secret::new(1).public(), Secret::new(9));
    let frames = [
        bind_frame(&host.binding(SESSION, Use::Login)),
        LIST.to_vec(),
        string_frame(20, b"provider"),
        QUERY.to_vec(),
        sign_frame(key.blob(), &commit(), 0),
        QUERY.to_vec(),
    ];
    let replies = [SUCCESS, FAILURE, FAILURE, EXTENSIONS, FAILURE, EXTENSIONS];
    (frames.concat(), replies.map(<[u8]>::to_vec).into())
}

#[test]
fn requests_read_at_once_are_answered_one_by_one_in_order() {
    let (bytes, expected) = usual();
    assert_eq!(replies(&mut Conversation::new(), &bytes), Ok(expected));
}

#[test]
fn requests_read_byte_by_byte_are_answered_the_same() {
    let (bytes, expected) = usual();
    let mut conversation = Conversation::new();
    let replies: Vec<_> = bytes
        .iter()
        .flat_map(|byte| replies(&mut conversation, &[*byte]).unwrap())
        .collect();
    assert_eq!(replies, expected);
}

#[test]
fn a_request_behind_one_that_waits_is_not_looked_at() {
    let mut conversation = Conversation::new();
    conversation.read(&[LIST, QUERY, LIST, QUERY].concat());
    for _ in 0..2 {
        assert!(matches!(conversation.next(&PureRust), Ok(Step::Ask(_))));
        for _ in 0..3 {
            assert!(matches!(conversation.next(&PureRust), Ok(Step::Read)));
        }
        assert_eq!(conversation.answer(Answer::Success), SUCCESS);
        let step = conversation.next(&PureRust).unwrap();
        assert!(matches!(step, Step::Write(reply) if reply == EXTENSIONS));
    }
    assert!(matches!(conversation.next(&PureRust), Ok(Step::Read)));
}

#[test]
fn a_length_nobody_sends_ends_the_connection_after_what_came_before() {
    for (length, expected) in [(0, BadLength(0)), (262_145, BadLength(262_145))] {
        let mut conversation = Conversation::new();
        let bytes = [QUERY, &u32::to_be_bytes(length), QUERY].concat();
        conversation.read(&bytes);
        let step = conversation.next(&PureRust).unwrap();
        assert!(matches!(step, Step::Write(reply) if reply == EXTENSIONS));
        for _ in 0..2 {
            assert_eq!(
                conversation.next(&PureRust).unwrap_err(),
                expected,
                "it stays lost"
            );
        }
    }
}

#[test]
fn the_longest_message_is_read_and_answered() {
    let mut body = vec![0; 262_144];
    body[0] = 11;
    let mut conversation = Conversation::new();
    let bytes = [&frame(&body)[..], QUERY].concat();
    assert_eq!(
        replies(&mut conversation, &bytes).unwrap(),
        [FAILURE, EXTENSIONS]
    );
}

#[test]
fn a_client_is_ahead_when_it_waits_and_sends_more_than_64_kib() {
    let mut conversation = Conversation::new();
    conversation.read(LIST);
    assert!(matches!(conversation.next(&PureRust), Ok(Step::Ask(_))));
    conversation.read(&[0, 0, 0, 1, 11].repeat(13_107));
    assert!(!conversation.is_ahead());
    conversation.read(&[0]);
    assert!(!conversation.is_ahead(), "65,536 bytes are not ahead");
    conversation.read(&[0]);
    assert!(conversation.is_ahead(), "one more is");
    conversation.answer(Answer::Failure);
    assert!(!conversation.is_ahead(), "nobody waits");
}

#[test]
fn a_client_that_does_not_wait_may_send_its_longest_message() {
    let mut conversation = Conversation::new();
    conversation.read(&0x0004_0000_u32.to_be_bytes());
    conversation.read(&vec![11; 0x0003_ffff]);
    assert!(matches!(conversation.next(&PureRust), Ok(Step::Read)));
    assert!(!conversation.is_ahead());
}

/// How many whole frames there are before the stream is lost, and whether it gets lost.
fn frames_in(mut bytes: &[u8]) -> (usize, Option<BadLength>) {
    let mut count = 0;
    while let Some((head, rest)) = bytes.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*head);
        if length == 0 || length > 262_144 {
            return (count, Some(BadLength(length)));
        }
        let Some(after) = rest.get(usize::try_from(length).unwrap()..) else {
            break;
        };
        count += 1;
        bytes = after;
    }
    (count, None)
}

/// A reply is one frame, of a number that only replies have.
fn is_reply(reply: &[u8]) -> bool {
    frames_in(reply) == (1, None) && [5, 6, 12, 14, 28, 29].contains(&reply[4])
}

/// Cuts bytes into pieces of the given lengths, over and over.
fn pieces<'a>(mut bytes: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for length in lengths.iter().cycle() {
        if bytes.is_empty() {
            break;
        }
        let (piece, rest) = bytes.split_at((*length).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

/// Bodies of requests, good, changed, or of any bytes.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let (key, host) = (Secret::new(1).public(), Secret::new(9));
    let good = [
        LIST.to_vec(),
        QUERY.to_vec(),
        sign_frame(key.blob(), &commit(), 0),
        bind_frame(&host.binding(SESSION, Use::Login)),
        string_frame(22, b"pw"),
        string_frame(18, key.blob()),
    ]
    .map(|frame| frame[4..].to_vec());
    let changed = (0..good.len(), any::<(usize, u8)>());
    let of_good = good.clone();
    prop_oneof![
        (0..good.len()).prop_map(move |at| good[at].clone()),
        changed.prop_map(move |(at, (place, value))| {
            let mut body = of_good[at].clone();
            let place = place % body.len();
            body[place] = value;
            body
        }),
        any_length(any::<u8>(), 1..200),
        Just(vec![13, 0xff, 0xff, 0xff, 0xff]),
    ]
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_get_one_reply_a_frame(
        bytes in any_length(prop_oneof![Just(0), Just(1), any::<u8>()], 0..400),
        lengths in any_length(1_usize..40, 1..8),
    ) {
        let (count, lost) = frames_in(&bytes);
        let mut conversation = Conversation::new();
        let mut answered = 0;
        let mut end = None;
        for piece in pieces(&bytes, &lengths) {
            match replies(&mut conversation, piece) {
                Ok(replies) => {
                    assert!(replies.iter().all(|reply| is_reply(reply)));
                    answered += replies.len();
                }
                Err(bad) => {
                    end = Some(bad);
                    break;
                }
            }
        }
        assert_eq!(end, lost);
        assert!(answered <= count);
        assert!(lost.is_some() || answered == count);
    }

    #[test]
    fn whatever_the_bodies_the_stream_stays_in_step(
        bodies in any_length(bodies(), 0..12),
        lengths in any_length(1_usize..300, 1..8),
    ) {
        let mut bytes: Vec<u8> = bodies.iter().flat_map(|body| frame(body)).collect();
        bytes.extend_from_slice(QUERY);
        let mut conversation = Conversation::new();
        let answered: Vec<_> = pieces(&bytes, &lengths)
            .into_iter()
            .flat_map(|piece| replies(&mut conversation, piece).unwrap())
            .collect();
        assert_eq!(answered.len(), bodies.len() + 1);
        assert!(answered.iter().all(|reply| is_reply(reply)));
        assert_eq!(answered.last().unwrap(), EXTENSIONS);
    }
}

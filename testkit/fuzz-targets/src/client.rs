//! What a client sends to the agent socket.
use vmux_broker::{Answer, Ask, Conversation, Step};
use vmux_proto::agent_wire::{Frames, Request};
use vmux_proto::binding::Chain;
use vmux_proto::crypto::PureRust;
use vmux_proto::destination::Destination;
use vmux_proto::payload::Payload;
use vmux_proto::wire::Writer;

/// One frame: a request that is taken is written back to the same bytes.
pub fn request(data: &[u8]) {
    let Ok(request) = Request::parse(data) else {
        return;
    };
    let number = data[0];
    let start = Writer::new().u8(number);
    let written = match request {
        Request::RequestIdentities | Request::RemoveAll => start,
        Request::Sign {
            key,
            payload,
            flags,
        } => start.string(key).string(payload).u32(flags.bits()),
        Request::Lock(body) | Request::Unlock(body) | Request::Remove(body) => start.string(body),
        Request::Query => start.string("query"),
        Request::SessionBind(body) => start.string("session-bind@openssh.com").bytes(body),
        Request::NotServed(_) => return,
    };
    assert_eq!(written.finish(), data);
}

/// A whole stream: the replies do not depend on the pieces it comes in, and what the agent lets
/// through to the phone proves again from its bytes alone.
pub fn conversation(data: &[u8]) {
    let whole = replies(data, data.len().max(1));
    let in_pieces = replies(data, 7);
    assert_eq!(whole, in_pieces);

    let mut frames = Frames::new();
    frames.push(data);
    let mut count = 0;
    while let Ok(Some(frame)) = frames.next_frame() {
        assert!(frame.len() < data.len());
        count += 1;
    }
    assert_eq!(whole.len(), count, "one reply a frame");
}

fn replies(data: &[u8], size: usize) -> Vec<Vec<u8>> {
    let mut conversation = Conversation::new();
    let mut replies = Vec::new();
    for piece in data.chunks(size) {
        conversation.read(piece);
        loop {
            match conversation.next(&PureRust) {
                Ok(Step::Read) => break,
                Ok(Step::Write(reply) | Step::Refuse(reply, ..) | Step::NotServed(reply, _)) => {
                    replies.push(reply);
                }
                Ok(Step::Ask(ask)) => {
                    is_proven(&ask);
                    assert!(
                        matches!(conversation.next(&PureRust), Ok(Step::Read)),
                        "the next frame waits for the answer"
                    );
                    replies.push(conversation.answer(Answer::Failure));
                }
                Err(_) => return replies,
            }
        }
    }
    replies
}

/// The phone will come to the same result as the agent.
pub(crate) fn is_proven(ask: &Ask) {
    let Ask::Sign(ask) = ask else {
        return;
    };
    let payload = Payload::parse(&ask.bytes, &ask.key).expect("parsed before");
    assert_eq!(payload, ask.payload);
    let bodies = ask.chain.iter().map(Vec::as_slice);
    let chain = Chain::prove(&PureRust, bodies).expect("proven before");
    assert_eq!(
        Destination::prove(&chain, &payload).as_ref(),
        Ok(&ask.destination)
    );
}

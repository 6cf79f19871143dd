use super::*;
use proptest::prelude::*;
use vmux_proto::mailbox::Side;

const BOX: MailboxId = MailboxId::from_bytes([1; 16]);
const OTHER_BOX: MailboxId = MailboxId::from_bytes([2; 16]);
const AGENT: EndId = EndId(1);
const SIGNER: EndId = EndId(2);
const T0: Millis = Millis(0);

fn seat(side: Side) -> Seat {
    Seat { mailbox: BOX, side }
}

fn meeting(number: u32) -> Meeting {
    Meeting::new(number).unwrap()
}

fn frame(number: u32, sealed: &[u8]) -> Bytes {
    mailbox::frame(meeting(number), sealed).unwrap().into()
}

fn met(number: u32) -> Output {
    Output::Control(Control::Meeting(meeting(number)))
}

fn left(number: u32) -> Output {
    Output::Control(Control::Left(meeting(number)))
}

fn drain(meetings: &mut Meetings, end: EndId) -> Vec<Output> {
    std::iter::from_fn(|| meetings.poll(end, T0)).collect()
}

/// An agent and a signer who have heard that they met.
fn pair(limits: Limits) -> Meetings {
    let mut meetings = Meetings::new(limits);
    meetings.handle(Input::Arrived(AGENT, seat(Side::Agent)), T0);
    meetings.handle(Input::Arrived(SIGNER, seat(Side::Signer)), T0);
    assert_eq!(drain(&mut meetings, AGENT), [met(1)]);
    assert_eq!(drain(&mut meetings, SIGNER), [met(1)]);
    while meetings.woken().is_some() {}
    meetings
}

fn closes(meetings: &Meetings, reason: CloseReason) -> u64 {
    meetings
        .counts()
        .closes
        .get(&reason)
        .copied()
        .unwrap_or_default()
}

#[test]
fn an_end_alone_hears_nothing_until_the_other_comes() {
    let mut meetings = Meetings::new(Limits::default());
    meetings.handle(Input::Arrived(AGENT, seat(Side::Agent)), T0);
    assert_eq!(drain(&mut meetings, AGENT), []);
    let elsewhere = Seat {
        mailbox: OTHER_BOX,
        side: Side::Signer,
    };
    meetings.handle(Input::Arrived(EndId(9), elsewhere), T0);
    assert_eq!(drain(&mut meetings, AGENT), []);
    meetings.handle(Input::Arrived(SIGNER, seat(Side::Signer)), T0);
    assert_eq!(drain(&mut meetings, AGENT), [met(1)]);
    assert_eq!(drain(&mut meetings, EndId(9)), []);
}

#[test]
fn frames_of_the_meeting_reach_the_other_end_in_order() {
    let mut meetings = pair(Limits::default());
    meetings.handle(Input::Frame(AGENT, frame(1, b"one")), T0);
    meetings.handle(Input::Frame(AGENT, frame(1, b"two")), T0);
    meetings.handle(Input::Frame(SIGNER, frame(1, b"back")), T0);
    let woken: Vec<_> = std::iter::from_fn(|| meetings.woken()).collect();
    assert_eq!(woken, [SIGNER, SIGNER, AGENT]);
    let to_signer = drain(&mut meetings, SIGNER);
    assert_eq!(
        to_signer,
        [
            Output::Frame(frame(1, b"one")),
            Output::Frame(frame(1, b"two"))
        ]
    );
    assert_eq!(
        drain(&mut meetings, AGENT),
        [Output::Frame(frame(1, b"back"))]
    );
    assert_eq!(meetings.counts().frames, 3);
    assert_eq!(meetings.counts().bytes, 7 + 7 + 8);
}

#[test]
fn frames_of_an_earlier_meeting_are_dropped() {
    let mut meetings = pair(Limits::default());
    meetings.handle(Input::Arrived(EndId(3), seat(Side::Signer)), T0);
    // The agent has not read yet that its partner changed.
    meetings.handle(Input::Frame(AGENT, frame(1, b"for the first signer")), T0);
    meetings.handle(Input::Frame(AGENT, frame(2, b"for the second")), T0);
    let to_newer = drain(&mut meetings, EndId(3));
    assert_eq!(
        to_newer,
        [met(2), Output::Frame(frame(2, b"for the second"))]
    );
    assert_eq!(drain(&mut meetings, AGENT), [left(1), met(2)]);
    assert_eq!(meetings.counts().stale_frames, 1);
}

#[test]
fn frames_sent_while_alone_are_dropped() {
    let mut meetings = pair(Limits::default());
    meetings.handle(Input::Gone(SIGNER), T0);
    meetings.handle(Input::Frame(AGENT, frame(1, b"late")), T0);
    meetings.handle(Input::Arrived(EndId(3), seat(Side::Signer)), T0);
    assert_eq!(drain(&mut meetings, EndId(3)), [met(2)]);
    assert_eq!(drain(&mut meetings, AGENT), [left(1), met(2)]);
}

#[test]
fn a_frame_of_a_meeting_that_never_was_closes_its_sender() {
    let mut meetings = pair(Limits::default());
    meetings.handle(Input::Frame(AGENT, frame(2, b"guess")), T0);
    assert_eq!(
        drain(&mut meetings, AGENT),
        [Output::Close(CloseReason::BadFrame)]
    );
    assert_eq!(drain(&mut meetings, SIGNER), [left(1)]);

    let mut alone = Meetings::new(Limits::default());
    alone.handle(Input::Arrived(AGENT, seat(Side::Agent)), T0);
    alone.handle(Input::Frame(AGENT, frame(1, b"to nobody")), T0);
    assert_eq!(
        drain(&mut alone, AGENT),
        [Output::Close(CloseReason::BadFrame)]
    );
}

#[test]
fn a_newer_connection_takes_the_seat_and_the_older_is_told() {
    let mut meetings = pair(Limits::default());
    meetings.handle(Input::Frame(AGENT, frame(1, b"unread")), T0);
    meetings.handle(Input::Arrived(EndId(3), seat(Side::Signer)), T0);
    assert_eq!(
        drain(&mut meetings, SIGNER),
        [Output::Close(CloseReason::Replaced)]
    );
    assert_eq!(meetings.closed(SIGNER), Some(CloseReason::Replaced));
    // What the replaced end still sends goes nowhere, and its going disturbs nobody.
    meetings.handle(Input::Frame(SIGNER, frame(2, b"from the past")), T0);
    meetings.handle(Input::Gone(SIGNER), T0);
    assert_eq!(drain(&mut meetings, AGENT), [left(1), met(2)]);
    assert_eq!(drain(&mut meetings, EndId(3)), [met(2)]);
    assert_eq!(closes(&meetings, CloseReason::Replaced), 1);
}

#[test]
fn an_empty_mailbox_is_forgotten() {
    let mut meetings = pair(Limits::default());
    meetings.handle(Input::Gone(AGENT), T0);
    assert_eq!(meetings.counts().mailboxes, 1);
    meetings.handle(Input::Gone(SIGNER), T0);
    assert_eq!(meetings.counts().mailboxes, 0);
    assert_eq!(meetings.counts().ends, 0);
}

#[test]
fn as_many_mailboxes_as_allowed_open_and_one_more_is_full() {
    let mut meetings = Meetings::new(Limits {
        mailboxes: 1,
        ..Limits::default()
    });
    meetings.handle(Input::Arrived(AGENT, seat(Side::Agent)), T0);
    let elsewhere = Seat {
        mailbox: OTHER_BOX,
        side: Side::Agent,
    };
    meetings.handle(Input::Arrived(EndId(8), elsewhere), T0);
    assert_eq!(
        drain(&mut meetings, EndId(8)),
        [Output::Close(CloseReason::Full)]
    );
    // The mailbox that is open still takes its second end.
    meetings.handle(Input::Arrived(SIGNER, seat(Side::Signer)), T0);
    assert_eq!(drain(&mut meetings, SIGNER), [met(1)]);
}

#[test]
fn an_end_that_does_not_read_is_closed_when_its_queue_is_full() {
    let mut meetings = pair(Limits {
        queue_bytes: 20,
        ..Limits::default()
    });
    meetings.handle(Input::Frame(AGENT, frame(1, &[7; 16])), T0);
    assert_eq!(meetings.closed(SIGNER), None);
    meetings.handle(Input::Frame(AGENT, frame(1, &[7; 1])), T0);
    assert_eq!(
        drain(&mut meetings, SIGNER),
        [Output::Close(CloseReason::Slow)]
    );
    assert_eq!(drain(&mut meetings, AGENT), [left(1)]);
    assert_eq!(meetings.counts().queued_bytes, 0);
}

#[test]
fn an_end_that_cannot_be_told_of_a_meeting_is_closed_and_the_newer_end_hears_it_left() {
    let mut meetings = pair(Limits {
        queue_messages: 1,
        ..Limits::default()
    });
    meetings.handle(Input::Gone(SIGNER), T0);
    meetings.handle(Input::Arrived(EndId(3), seat(Side::Signer)), T0);
    assert_eq!(
        drain(&mut meetings, AGENT),
        [Output::Close(CloseReason::Slow)]
    );
    // One message fits into this tiny queue, so the newer end is slow as well.
    assert_eq!(meetings.closed(EndId(3)), Some(CloseReason::Slow));
    assert_eq!(meetings.counts().mailboxes, 0);
}

#[test]
fn all_queues_together_have_a_bound() {
    let mut meetings = pair(Limits {
        queues_bytes: 12,
        ..Limits::default()
    });
    meetings.handle(Input::Frame(AGENT, frame(1, &[7; 8])), T0);
    assert_eq!(meetings.counts().queued_bytes, 12);
    meetings.handle(Input::Frame(SIGNER, frame(1, &[7; 8])), T0);
    assert_eq!(
        drain(&mut meetings, AGENT),
        [Output::Close(CloseReason::Full)]
    );
    assert_eq!(
        drain(&mut meetings, SIGNER),
        [Output::Frame(frame(1, &[7; 8])), left(1)]
    );
    assert_eq!(meetings.counts().queued_bytes, 0);
}

#[test]
fn more_messages_than_the_burst_close_the_sender() {
    let limits = Limits {
        messages_burst: 2,
        messages_per_second: 1,
        ..Limits::default()
    };
    let mut meetings = pair(limits);
    meetings.handle(Input::Frame(AGENT, frame(1, b"1")), T0);
    meetings.handle(Input::Alive(AGENT), T0);
    assert_eq!(meetings.closed(AGENT), None);
    meetings.handle(Input::Frame(AGENT, frame(1, b"3")), Millis(999));
    assert_eq!(meetings.closed(AGENT), Some(CloseReason::TooMany));
}

#[test]
fn pings_count_as_messages() {
    let limits = Limits {
        messages_burst: 2,
        messages_per_second: 1,
        ..Limits::default()
    };
    let mut meetings = pair(limits);
    for _ in 0..3 {
        meetings.handle(Input::Alive(SIGNER), T0);
    }
    assert_eq!(meetings.closed(SIGNER), Some(CloseReason::TooMany));
}

#[test]
fn more_bytes_than_the_burst_close_the_sender() {
    let limits = Limits {
        bytes_burst: 10,
        bytes_per_second: 1,
        ..Limits::default()
    };
    let mut meetings = pair(limits);
    meetings.handle(Input::Frame(AGENT, frame(1, b"123456")), T0);
    assert_eq!(meetings.closed(AGENT), None);
    meetings.handle(Input::Frame(AGENT, frame(1, b"1")), T0);
    assert_eq!(meetings.closed(AGENT), Some(CloseReason::TooMany));
}

#[test]
fn taking_the_seat_again_does_not_refill_the_rates() {
    let limits = Limits {
        messages_burst: 2,
        messages_per_second: 1,
        ..Limits::default()
    };
    let mut meetings = pair(limits);
    meetings.handle(Input::Frame(AGENT, frame(1, b"1")), T0);
    meetings.handle(Input::Arrived(EndId(3), seat(Side::Agent)), T0);
    meetings.handle(Input::Frame(EndId(3), frame(2, b"2")), T0);
    assert_eq!(meetings.closed(EndId(3)), None);
    meetings.handle(Input::Frame(EndId(3), frame(2, b"3")), T0);
    assert_eq!(meetings.closed(EndId(3)), Some(CloseReason::TooMany));
}

#[test]
fn a_largest_frame_passes_and_one_byte_more_closes() {
    let mut meetings = pair(Limits::default());
    let mut bytes = vec![0; MAX_FRAME];
    bytes[3] = 1;
    meetings.handle(Input::Frame(AGENT, bytes.clone().into()), T0);
    assert_eq!(
        drain(&mut meetings, SIGNER),
        [Output::Frame(bytes.clone().into())]
    );
    bytes.push(0);
    meetings.handle(Input::Frame(AGENT, bytes.into()), T0);
    assert_eq!(meetings.closed(AGENT), Some(CloseReason::TooBig));
}

#[test]
fn messages_no_end_may_send_close_it() {
    for (input, reason) in [
        (Input::Forbidden(AGENT), CloseReason::BadFrame),
        (Input::Oversize(AGENT), CloseReason::TooBig),
        (
            Input::Frame(AGENT, vec![0, 0, 0, 1].into()),
            CloseReason::BadFrame,
        ),
        (
            Input::Frame(AGENT, vec![0, 0, 0, 0, 1].into()),
            CloseReason::BadFrame,
        ),
    ] {
        let mut meetings = pair(Limits::default());
        meetings.handle(input, T0);
        assert_eq!(drain(&mut meetings, AGENT), [Output::Close(reason)]);
        assert_eq!(drain(&mut meetings, SIGNER), [left(1)]);
    }
}

#[test]
fn a_silent_end_is_pinged_and_then_closed_and_an_answering_one_stays() {
    let mut meetings = pair(Limits::default());
    assert_eq!(meetings.deadline(AGENT), Some(Millis(20_000)));
    meetings.handle(Input::Tick(AGENT), Millis(19_999));
    assert_eq!(meetings.poll(AGENT, T0), None);
    for now in [20_000, 40_000] {
        meetings.handle(Input::Tick(AGENT), Millis(now));
        assert_eq!(meetings.poll(AGENT, Millis(now)), Some(Output::Ping));
        assert_eq!(meetings.poll(AGENT, Millis(now)), None);
    }
    meetings.handle(Input::Alive(SIGNER), Millis(59_000));
    assert_eq!(meetings.deadline(AGENT), Some(Millis(60_000)));
    meetings.handle(Input::Tick(AGENT), Millis(60_000));
    meetings.handle(Input::Tick(SIGNER), Millis(60_000));
    assert_eq!(meetings.closed(AGENT), Some(CloseReason::Idle));
    assert_eq!(meetings.closed(SIGNER), None);
}

#[test]
fn an_end_that_takes_one_message_for_ever_is_slow_even_if_it_talks() {
    let mut meetings = pair(Limits::default());
    meetings.handle(Input::Frame(AGENT, frame(1, b"x")), T0);
    assert!(meetings.poll(SIGNER, Millis(1000)).is_some());
    meetings.handle(Input::Alive(SIGNER), Millis(30_999));
    meetings.handle(Input::Tick(SIGNER), Millis(30_999));
    assert_eq!(meetings.closed(SIGNER), None);
    meetings.handle(Input::Tick(SIGNER), Millis(31_000));
    assert_eq!(meetings.closed(SIGNER), Some(CloseReason::Slow));
}

#[test]
fn stopping_sends_what_is_queued_and_then_closes_everyone() {
    let mut meetings = pair(Limits::default());
    meetings.handle(Input::Frame(AGENT, frame(1, b"last words")), T0);
    meetings.handle(Input::Stop, T0);
    let shutdown = Output::Close(CloseReason::Shutdown);
    assert_eq!(
        meetings.poll(SIGNER, T0),
        Some(Output::Frame(frame(1, b"last words")))
    );
    meetings.handle(Input::Arrived(EndId(3), seat(Side::Agent)), T0);
    for end in [SIGNER, AGENT, EndId(3)] {
        assert_eq!(drain(&mut meetings, end), std::slice::from_ref(&shutdown));
    }
    assert_eq!(closes(&meetings, CloseReason::Shutdown), 3);
}

#[test]
fn used_up_meeting_numbers_close_both_ends_instead_of_starting_over() {
    let mut meetings = pair(Limits::default());
    meetings.mailboxes.get_mut(&BOX).unwrap().last = Meeting::new(u32::MAX);
    meetings.handle(Input::Arrived(EndId(3), seat(Side::Signer)), T0);
    assert_eq!(meetings.closed(AGENT), Some(CloseReason::Full));
    assert_eq!(meetings.closed(EndId(3)), Some(CloseReason::Full));
    assert_eq!(meetings.counts().mailboxes, 0);
}

/// One step of a random history.
#[derive(Clone, Debug)]
enum Step {
    Arrive(u8, Side),
    /// Which living end, by position, and how far its meeting number lies behind the newest it
    /// was told of.
    Send(usize, u32),
    /// A number nobody announced.
    Guess(usize, u32),
    Read(usize, usize),
    Leave(usize),
    Forbid(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let side = prop_oneof![Just(Side::Agent), Just(Side::Signer)];
    let step = prop_oneof![
        4 => (0..2_u8, side).prop_map(|(mailbox, side)| Step::Arrive(mailbox, side)),
        8 => (0..8_usize, 0..3_u32).prop_map(|(end, behind)| Step::Send(end, behind)),
        1 => (0..8_usize, 1..6_u32).prop_map(|(end, number)| Step::Guess(end, number)),
        6 => (0..8_usize, 1..6_usize).prop_map(|(end, count)| Step::Read(end, count)),
        2 => (0..8_usize).prop_map(Step::Leave),
        1 => (0..8_usize).prop_map(Step::Forbid),
    ];
    proptest::collection::vec(step, 1..120)
}

/// A frame's sealed part in the random histories: who sent it, and its place in the order.
fn label(sender: EndId, sequence: u64) -> Vec<u8> {
    [sender.0.to_be_bytes(), sequence.to_be_bytes()].concat()
}

#[derive(Debug)]
struct Witness {
    end: EndId,
    seat: Seat,
    told: Vec<Meeting>,
    over: Vec<Meeting>,
    /// Highest sequence number received from each sender.
    received: BTreeMap<u64, u64>,
}

/// The world as the ends see it, checked after each message.
#[derive(Default)]
struct World {
    ends: Vec<Witness>,
    /// Where each frame was sent from, and in which meeting, by its sealed part.
    sent: BTreeMap<Vec<u8>, (Seat, Meeting)>,
    next: u64,
}

impl World {
    fn read(&mut self, meetings: &mut Meetings, at: usize, count: usize) {
        for _ in 0..count {
            let Some(output) = meetings.poll(self.ends[at].end, T0) else {
                return;
            };
            let witness = &mut self.ends[at];
            match output {
                Output::Control(Control::Meeting(meeting)) => {
                    assert!(witness.told.last().is_none_or(|last| *last < meeting));
                    assert_eq!(
                        witness.told.len(),
                        witness.over.len(),
                        "two meetings at once"
                    );
                    witness.told.push(meeting);
                }
                Output::Control(Control::Left(meeting)) => {
                    assert_eq!(witness.told.last(), Some(&meeting));
                    witness.over.push(meeting);
                }
                Output::Frame(bytes) => {
                    let (meeting, sealed) = mailbox::split(&bytes).unwrap();
                    assert_eq!(witness.told.last(), Some(&meeting), "not in this meeting");
                    assert_eq!(
                        witness.told.len(),
                        witness.over.len() + 1,
                        "meeting is over"
                    );
                    let (from, sent_in) = self.sent[sealed];
                    assert_eq!(sent_in, meeting);
                    assert_eq!(from.mailbox, witness.seat.mailbox);
                    assert_eq!(from.side, witness.seat.side.other());
                    let sender = u64::from_be_bytes(sealed[..8].try_into().unwrap());
                    let sequence = u64::from_be_bytes(sealed[8..].try_into().unwrap());
                    let before = witness.received.insert(sender, sequence);
                    assert!(
                        before.is_none_or(|before| before < sequence),
                        "out of order"
                    );
                    // Nothing from a sender who was replaced, once its successor has spoken.
                    assert!(witness.received.keys().all(|it| *it <= sender));
                }
                Output::Ping => {}
                Output::Close(_) => {
                    assert_eq!(
                        meetings.poll(witness.end, T0),
                        None,
                        "something after a close"
                    );
                    let end = self.ends.remove(at).end;
                    meetings.handle(Input::Gone(end), T0);
                    return;
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn no_history_delivers_a_frame_to_an_end_outside_its_meeting(history in steps()) {
        let limits = Limits { queue_messages: 6, ..Limits::default() };
        let mut meetings = Meetings::new(limits);
        let mut world = World::default();
        for step in history {
            let count = world.ends.len();
            let pick = |at: usize| (count > 0).then(|| at % count);
            match step {
                Step::Arrive(mailbox, side) => {
                    world.next += 1;
                    let end = EndId(world.next);
                    let seat = Seat { mailbox: MailboxId::from_bytes([mailbox; 16]), side };
                    meetings.handle(Input::Arrived(end, seat), T0);
                    let (told, over, received) = (vec![], vec![], BTreeMap::new());
                    world.ends.push(Witness { end, seat, told, over, received });
                }
                Step::Send(at, behind) => {
                    let Some(at) = pick(at) else { continue };
                    let witness = &world.ends[at];
                    let Some(newest) = witness.told.last() else { continue };
                    let Some(number) = Meeting::new(newest.number().saturating_sub(behind))
                        else { continue };
                    world.next += 1;
                    let sealed = label(witness.end, world.next);
                    world.sent.insert(sealed.clone(), (witness.seat, number));
                    let bytes = mailbox::frame(number, &sealed).unwrap();
                    meetings.handle(Input::Frame(witness.end, bytes.into()), T0);
                }
                Step::Guess(at, number) => {
                    let Some(at) = pick(at) else { continue };
                    let witness = &world.ends[at];
                    world.next += 1;
                    let sealed = label(witness.end, world.next);
                    world.sent.insert(sealed.clone(), (witness.seat, meeting(number)));
                    let bytes = mailbox::frame(meeting(number), &sealed).unwrap();
                    meetings.handle(Input::Frame(witness.end, bytes.into()), T0);
                }
                Step::Read(at, messages) => {
                    let Some(at) = pick(at) else { continue };
                    world.read(&mut meetings, at, messages);
                }
                Step::Leave(at) => {
                    let Some(at) = pick(at) else { continue };
                    let end = world.ends.remove(at).end;
                    meetings.handle(Input::Gone(end), T0);
                }
                Step::Forbid(at) => {
                    let Some(at) = pick(at) else { continue };
                    meetings.handle(Input::Forbidden(world.ends[at].end), T0);
                }
            }
            invariant_seats_are_living_ends(&meetings);
        }
        // Everyone leaves, and nothing is left behind.
        for witness in &world.ends {
            meetings.handle(Input::Gone(witness.end), T0);
        }
        let counts = meetings.counts();
        prop_assert_eq!((counts.ends, counts.mailboxes, counts.queued_bytes), (0, 0, 0));
    }
}

fn invariant_seats_are_living_ends(meetings: &Meetings) {
    for (id, mailbox) in &meetings.mailboxes {
        assert!(
            mailbox.agent.is_some() || mailbox.signer.is_some(),
            "empty mailbox"
        );
        for side in [Side::Agent, Side::Signer] {
            if let Some(end) = mailbox.at(side) {
                let it = &meetings.ends[&end];
                assert_eq!(it.seat, Seat { mailbox: *id, side });
                assert_eq!(it.closed, None);
            }
        }
        if mailbox.current().is_some() {
            assert!(mailbox.agent.is_some() && mailbox.signer.is_some());
        }
    }
    let queued: u64 = meetings.ends.values().map(|it| it.queue.bytes()).sum();
    assert_eq!(queued, meetings.queued_bytes);
}

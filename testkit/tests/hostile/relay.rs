//! A relay that drops, delays, reorders, replays, tampers, floods, splits and closes under requests.
use std::time::Duration;

use vmux_proto::mailbox::Side;
use vmux_testkit::{
    Finished, KeyKind, Place, RelayProgram, Server, Workstation, World, eventually,
};

use crate::lists_are_instant;
use crate::middle::{Act, Middle, Passing};
use crate::ws::{BINARY, Frame, PING, PONG, Sender, TEXT, head};

/// A workstation and a phone that meet at a relay with somebody before it, and a host.
struct Hostile {
    middle: Middle,
    server: Server,
    world: World,
    _relay: RelayProgram,
}

impl Hostile {
    fn new() -> Self {
        let place = Place::new();
        let relay = RelayProgram::start(place.home("relay"));
        let middle = Middle::start(relay.address());
        let workstation = Workstation::with_relay(place.home("desk"), "workbench", &middle.url());
        // What a relay keeps to itself is over soon.
        workstation.configure("wait = 5");
        let world = World::of(place, workstation, KeyKind::Ecdsa);
        let server = world.server("web1");
        Self {
            middle,
            server,
            world,
            _relay: relay,
        }
    }

    /// Logs in while the relay does this; another client's lists stay instant meanwhile. A login
    /// that the server accepts has a true signature.
    #[track_caller]
    fn login_under(&self, script: impl FnMut(&Passing<'_>) -> Act + Send + 'static) -> Finished {
        self.middle.does(script);
        let desk = &self.world.workstation;
        let login = desk.start_ssh(&["web1", "echo", "here"]);
        lists_are_instant(desk);
        lists_are_instant(desk);
        let finished = login.finish_within(LONGEST_LOGIN);
        if finished.code == Some(0) {
            assert_eq!(finished.out, "here\n");
        } else {
            let refused = finished.clone().exited(255);
            refused.says(&["agent refused operation"]);
            assert!(finished.out.is_empty(), "{finished}");
        }
        finished
    }

    /// Once the relay behaves, logins work by themselves.
    #[track_caller]
    fn recovers(&self) {
        self.middle.behaves();
        let accepted = self.accepted();
        eventually("a login", Duration::from_secs(45), || {
            let login = self.world.workstation.ssh(&["web1", "echo", "here"]);
            (login.code == Some(0)).then_some(())
        });
        assert_eq!(self.accepted(), accepted + 1);
    }

    fn accepted(&self) -> usize {
        self.server.log().matches("Accepted publickey").count()
    }
}

/// Does `act` with every nth sealed frame that reaches one of the ends, counted over both.
fn every(
    nth: usize,
    mut act: impl FnMut(&Frame) -> Act + Send,
) -> impl FnMut(&Passing<'_>) -> Act + Send {
    let mut count = 0;
    move |passing| {
        if !passing.reaches(Side::Agent) && !passing.reaches(Side::Signer) {
            return Act::Pass;
        }
        count += 1;
        if count % nth == 0 {
            act(passing.frame)
        } else {
            Act::Pass
        }
    }
}

/// Tells a story for each case, in a world each and at the same time: they mostly wait.
fn each<T: Send + Sync + Copy, const N: usize>(cases: [T; N], story: impl Fn(&Hostile, T) + Sync) {
    // One after another: a program that is being started holds the ports that are being reserved.
    let worlds = cases.map(|case| (Hostile::new(), case));
    std::thread::scope(|scope| {
        for (hostile, case) in &worlds {
            let story = &story;
            drop(scope.spawn(move || story(hostile, *case)));
        }
    });
}

fn changed(frame: &Frame, at: usize) -> Act {
    let mut frame = frame.clone();
    let at = at % frame.payload.len();
    frame.payload[at] ^= 1;
    Act::Instead(vec![frame])
}

#[test]
fn messages_in_many_small_pieces_with_pings_between_them_arrive() {
    let hostile = Hostile::new();
    let login = hostile.login_under(|passing| {
        if passing.frame.opcode != BINARY {
            return Act::Pass;
        }
        let mut frames = Vec::new();
        for piece in passing.frame.in_pieces_of(100) {
            frames.extend([piece, Frame::whole(PING, "between")]);
        }
        Act::Instead(frames)
    });
    login.ok();
    hostile.login_under(|_| Act::Dribble).ok();
    hostile.recovers();
}

#[test]
fn frames_that_come_late_make_a_login_slower_and_nothing_else() {
    let hostile = Hostile::new();
    let late = Duration::from_millis(150);
    hostile
        .login_under(every(1, move |_| Act::Delay(late)))
        .ok();
    hostile.recovers();
}

#[test]
fn frames_lost_or_in_another_order_cost_logins_and_no_more() {
    let lose: fn(&Frame) -> Act = |_| Act::Drop;
    let turn: fn(&Frame) -> Act = |_| Act::AfterNext;
    each(
        [(1, lose), (2, lose), (3, lose), (2, turn)],
        |hostile, (nth, act)| {
            hostile.login_under(every(nth, act));
            hostile.recovers();
        },
    );
}

#[test]
fn i4_frames_that_come_twice_sign_nothing_twice() {
    let hostile = Hostile::new();
    let login = hostile.login_under(every(1, |frame| {
        Act::Instead(vec![frame.clone(), frame.clone()])
    }));
    assert_eq!(hostile.accepted(), usize::from(login.code == Some(0)));
    hostile.recovers();
}

#[test]
fn i4_frames_kept_from_an_earlier_login_sign_nothing() {
    let hostile = Hostile::new();
    let (keep, kept) = std::sync::mpsc::channel();
    hostile
        .login_under(move |passing| {
            if passing.reaches(Side::Signer) {
                keep.send(passing.frame.clone()).unwrap();
            }
            Act::Pass
        })
        .ok();
    hostile.middle.behaves();
    let old: Vec<_> = kept.try_iter().collect();
    assert!(!old.is_empty());
    let (accepted, seen) = (hostile.accepted(), hostile.world.seen());
    // In the place of the next frame, all of those.
    let mut old = Some(old);
    let login = hostile.login_under(every(1, move |_| {
        old.take().map_or(Act::Pass, Act::Instead)
    }));
    // Connected anew, the request may still be served: once, and nothing else is shown.
    let logins = usize::from(login.code == Some(0));
    assert_eq!(hostile.accepted(), accepted + logins);
    assert!(
        hostile.world.seen() <= seen + logins,
        "an old request was shown"
    );
    hostile.recovers();
}

#[test]
fn i14_frames_with_a_bit_changed_sign_nothing() {
    each([4, 20, 271], |hostile, at| {
        let login = hostile.login_under(every(1, move |frame| changed(frame, at)));
        assert_ne!(login.code, Some(0), "{login}");
        assert_eq!(hostile.accepted(), 0);
        hostile.recovers();
    });
}

#[test]
fn a_flood_of_frames_and_pings_is_outlived() {
    let hostile = Hostile::new();
    let seen = hostile.world.seen();
    let mut flooded = false;
    hostile.login_under(every(1, move |frame| {
        if std::mem::replace(&mut flooded, true) {
            return Act::Pass;
        }
        // Of this meeting and of one long ago, and what every end must answer.
        let mut garbage = frame.clone();
        garbage.payload.truncate(4);
        garbage.payload.extend([0x5a; 272]);
        let mut old = garbage.clone();
        old.payload[..4].copy_from_slice(&u32::MAX.to_be_bytes());
        let three = [
            Frame::whole(PING, vec![7; 125]),
            old,
            Frame::whole(PONG, ""),
        ];
        let mut flood: Vec<_> = three.into_iter().cycle().take(6000).collect();
        flood.push(frame.clone());
        flood.extend(vec![garbage; 2000]);
        Act::Instead(flood)
    }));
    assert!(hostile.world.seen() <= seen + 2);
    hostile.recovers();
}

#[test]
fn i13_words_and_lengths_that_are_none_of_a_relays_cost_the_connection_and_no_memory() {
    each([0, 1, 2], |hostile, case| {
        let agent = hostile.world.workstation.pid();
        let before = memory_of(agent);
        hostile.login_under(every(1, move |frame| match case {
            0 => Act::AndThen(head(BINARY, 1 << 40, Sender::Server)),
            1 => Act::Instead(vec![Frame::whole(TEXT, "{\"meeting\":0}"), frame.clone()]),
            _ => Act::Instead(vec![Frame::whole(TEXT, "\u{1b}[2J"), frame.clone()]),
        }));
        let grown = memory_of(agent).saturating_sub(before);
        assert!(grown < 64 * 1024, "{grown} KiB more");
        // Whoever breaks the rules of the wire is tried again later than others.
        if case == 0 {
            hostile.recovers();
        }
    });
}

#[test]
fn closed_at_each_step_of_a_request_either_all_is_done_or_nothing() {
    let hostile = Hostile::new();
    // Request, receipt, number, signature: and once more than there are.
    for step in 0..5 {
        let (accepted, seen) = (hostile.accepted(), hostile.world.seen());
        let mut frames = 0;
        let login = hostile.login_under(move |passing| {
            frames += usize::from(passing.is_sent());
            if passing.is_sent() && frames == step + 1 {
                Act::Close
            } else {
                Act::Pass
            }
        });
        let logins = usize::from(login.code == Some(0));
        assert_eq!(hostile.accepted(), accepted + logins, "step {step}");
        assert!(hostile.world.seen() <= seen + 2, "step {step}");
        hostile.middle.behaves();
        hostile.world.workstation.sees_phones(1);
    }
    hostile.recovers();
}

#[test]
fn closed_again_and_again_the_link_comes_back_each_time() {
    let hostile = Hostile::new();
    for _ in 0..3 {
        hostile.middle.cut();
        lists_are_instant(&hostile.world.workstation);
        hostile.world.workstation.sees_phones(1);
    }
    hostile.recovers();
}

#[test]
fn a_handshake_of_which_a_message_is_lost_is_begun_again() {
    let parts = [(Side::Agent, 1), (Side::Signer, 1), (Side::Agent, 2)];
    each(parts, |hostile, (to, number)| {
        let mut frames = 0;
        hostile.middle.does(move |passing| {
            frames += usize::from(passing.reaches(to));
            if passing.reaches(to) && frames == number {
                Act::Drop
            } else {
                Act::Pass
            }
        });
        hostile.middle.cut();
        hostile.recovers();
    });
}

/// What a process holds in memory, in KiB; nothing where the system does not tell.
fn memory_of(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let figure = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    figure.unwrap_or(0)
}

/// Five seconds to decide, and a busy machine.
const LONGEST_LOGIN: Duration = Duration::from_secs(20);

//! Stories told from seeds.
use crate::dice::Dice;
use crate::invariants::{Checked, check};
use crate::ledger::Place;
use crate::relay::{Mailbox, Side};
use crate::ssh::Secret;
use crate::world::World;
use std::panic::{AssertUnwindSafe, catch_unwind};

const STORIES: u64 = 130;
const STEPS: usize = 300;

/// What happened in a story, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    asked: usize,
    shown: usize,
    jobs: usize,
    released: usize,
    spoilt: usize,
    recorded_calls: usize,
    frames: usize,
    late_lines: usize,
    lost_lines: usize,
}

impl Sum {
    fn of(world: &World) -> Self {
        let ledger = &world.ledger;
        Self {
            asked: ledger.asked.len(),
            shown: ledger.shown.len(),
            jobs: ledger.jobs.len(),
            released: ledger.released.len(),
            spoilt: ledger.spoilt.len(),
            recorded_calls: ledger
                .spoilt
                .iter()
                .filter(|one| one.place == Place::RecordedCall)
                .count(),
            frames: ledger.sealed.len(),
            late_lines: world.file.late,
            lost_lines: world.file.lost,
        }
    }

    const fn and(self, other: Self) -> Self {
        Self {
            asked: self.asked + other.asked,
            shown: self.shown + other.shown,
            jobs: self.jobs + other.jobs,
            released: self.released + other.released,
            spoilt: self.spoilt + other.spoilt,
            recorded_calls: self.recorded_calls + other.recorded_calls,
            frames: self.frames + other.frames,
            late_lines: self.late_lines + other.late_lines,
            lost_lines: self.lost_lines + other.lost_lines,
        }
    }
}

#[test]
fn whatever_happens_all_invariants_hold_after_every_step() {
    let mut sum = Sum::default();
    for seed in 0..STORIES {
        sum = sum.and(tell(seed));
    }
    // Without these the invariants would have had nothing to look at.
    assert!(sum.asked > 700 && sum.shown > 600, "{sum:?}");
    assert!(sum.jobs > 200 && sum.released > 80, "{sum:?}");
    assert!(sum.spoilt > 200 && sum.recorded_calls > 10, "{sum:?}");
    assert!(sum.frames > 3000, "{sum:?}");
    assert!(sum.late_lines > 300 && sum.lost_lines > 50, "{sum:?}");
}

#[test]
fn the_same_seed_tells_the_same_story() {
    assert_eq!(tell(1001), tell(1001));
    assert_ne!(tell(1001), tell(1002));
}

#[test]
fn with_an_honest_relay_and_a_willing_person_everybody_gets_a_signature() {
    let mut world = World::new(7);
    let mut checked = Checked::default();
    settle(&mut world, &mut checked);
    for phone in 0..2 {
        log_in(&mut world, phone, &mut checked);
    }
}

/// Tells one story and says where it was if it ends badly.
fn tell(seed: u64) -> Sum {
    let mut world = World::new(seed);
    let mut checked = Checked::default();
    let mut at = 0;
    let mut sum = Sum::default();
    let told = catch_unwind(AssertUnwindSafe(|| {
        for step in 0..STEPS {
            at = step;
            something_happens(&mut world);
            check(&world, &mut checked);
        }
        at = STEPS;
        sum = Sum::of(&world);
        all_ends_well(&mut world, &mut checked);
    }));
    if let Err(cause) = told {
        let said = cause.downcast_ref::<String>().cloned().unwrap_or_default();
        let words = cause.downcast_ref::<&str>().copied().unwrap_or(&said);
        panic!("seed {seed}, step {at}: {words}");
    }
    sum
}

fn something_happens(world: &mut World) {
    let mut dice = world.dice.clone();
    let kind = dice.below(100);
    let phone = dice.below(2);
    let side = *dice.pick(&Side::BOTH).unwrap();
    world.dice = Dice::new(dice.roll());
    match kind {
        0..8 if world.clients.len() < 20 => {
            // Held by both phones, by one, by the other, by none.
            let key = *dice.pick(&[1, 1, 2, 2, 3, 3, 4]).unwrap();
            world.client_arrives(&Secret::new(key));
        }
        8..10 => {
            let clients: Vec<_> = world.clients.keys().copied().collect();
            if let Some(client) = dice.pick(&clients) {
                world.client_leaves(*client);
            }
        }
        10..20 => {
            for side in Side::BOTH {
                world.sit(phone, side);
            }
            if dice.percent(20) {
                let World {
                    mailboxes, dice, ..
                } = world;
                mailboxes[phone].replay_call(side, dice);
            }
        }
        20..62 => {
            // What is sent arrives more often than not, or no story would get anywhere.
            for _ in 0..=dice.below(6) {
                world.deliver(phone, side);
                world.deliver(phone, side.other());
            }
        }
        62..66 => {
            let World {
                mailboxes, dice, ..
            } = world;
            mailboxes[phone].meddle(side, dice);
        }
        66..68 => world.break_connection(phone, side),
        68..80 => world.person_acts(phone),
        80..90 => world.key_signs(phone),
        90..96 => {
            let longest = *dice
                .pick(&[100, 100, 1000, 1000, 1000, 20_000, 20_000_000])
                .unwrap();
            world.pass(dice.between(1, longest));
            if dice.percent(10) {
                // Somebody sets the clock back.
                world.now.wall -= dice.between(1, 10_000);
            }
            // Whoever slept hears of the time later.
            if dice.percent(60) {
                world.tick();
            }
        }
        96 if dice.percent(40) => world.log_fails(),
        96 => world.identities_change(phone),
        97 if dice.percent(30) => world.restart_agent(),
        98 if dice.percent(50) => world.restart_phone(phone),
        99 if dice.percent(5) => world.unpair(phone, side),
        _ => {}
    }
}

/// An honest relay takes over, time goes by, nobody is left without an answer, and all works again.
fn all_ends_well(world: &mut World, checked: &mut Checked) {
    for phone in 0..2 {
        for side in Side::BOTH {
            world.break_connection(phone, side);
        }
    }
    settle(world, checked);
    for _ in 0..3 {
        world.pass(100_000);
        world.tick();
        settle(world, checked);
    }
    for client in world.clients.values() {
        assert_eq!(
            client.replies, client.sent,
            "somebody was left without an answer"
        );
    }
    assert!(world.broker.status().waiting.is_empty());
    assert_eq!(world.broker.deadline(), None);
    for phone in 0..2 {
        if Side::BOTH.iter().all(|side| world.knows(phone, *side)) {
            log_in(world, phone, checked);
        }
    }
}

/// Everything on its way arrives, and whoever can be connected is.
fn settle(world: &mut World, checked: &mut Checked) {
    for _ in 0..100 {
        world.log_is_written();
        for phone in 0..2 {
            for side in Side::BOTH {
                world.sit(phone, side);
                world.deliver(phone, side);
                check(world, checked);
            }
        }
        let quiet = world.mailboxes.iter().all(Mailbox::is_quiet);
        let connected = (0..2).all(|phone| {
            let paired = Side::BOTH.iter().all(|side| world.knows(phone, *side));
            !paired || world.is_connected(phone)
        });
        if quiet && connected {
            return;
        }
    }
    panic!("two ends that want to meet do not");
}

/// A login that the person approves; the key is the phone's first.
fn log_in(world: &mut World, phone: usize, checked: &mut Checked) {
    let before = world.ledger.released.len();
    // Both hold the first key; only the phone that was asked shows it.
    let key = Secret::new(1);
    for _ in 0..20 {
        world.client_arrives(&key);
        settle(world, checked);
        for asked in [phone, 1 - phone] {
            let screen: Vec<_> = world.phones[asked].screen.keys().copied().collect();
            for request in screen {
                let number = world.number(request);
                world.approve(asked, request, number);
            }
            world.keys_sign(asked);
        }
        settle(world, checked);
        if world.ledger.released.len() > before {
            return;
        }
    }
    panic!("nobody can log in any more");
}

//! SIGKILL at any moment of a pairing.

use std::time::Duration;

use vmux_testkit::{
    Phone, Place, RelayProgram, Workstation, eventually, holds_within, offer, pair,
};

use crate::support::{Dice, rounds};

/// A person whose programs are killed gives up after this.
const PATIENCE: Duration = Duration::from_secs(4);

#[test]
fn a_pairing_killed_at_any_moment_is_whole_or_not_there_and_the_next_one_works() {
    let place = Place::new();
    let mut relay = RelayProgram::start(place.home("relay"));
    let mut workstation = Workstation::with_relay(place.home("desk"), "workbench", &relay.url());
    let phone = Phone::new(place.home("phone"), "pocket phone");
    workstation.start();
    let mut dice = Dice::new(7);
    for round in 0..rounds(12) {
        let (mut agent, link) = offer(&workstation);
        let mut signer = phone.home().start(&mut phone.command(&["pair", &link]));
        let begun = holds_within(PATIENCE, || {
            let code = |running: &vmux_testkit::Running| {
                running
                    .events()
                    .iter()
                    .any(|event| event["event"] == "code")
            };
            (code(&agent) && code(&signer)).then_some(())
        });
        if round % 4 != 3 {
            assert!(begun.is_some(), "round {round}");
            agent.say("yes");
            signer.say("yes");
        }
        dice.pause(60);
        match round % 3 {
            0 => workstation.kill(),
            1 => drop(signer),
            _ => relay.kill(),
        }
        drop(agent);
        match round % 3 {
            0 => workstation.start(),
            1 => {}
            _ => relay.restart(),
        }
        // Whatever is stored can be read, and is at most this one pairing on each side.
        let phones = workstation.status()["phones"].as_array().unwrap().len();
        let agents = phone.run(&["agents"]).ok().events().len();
        assert!(phones <= 1 && agents <= 1, "round {round}");
        forget(&workstation, &phone);
    }
    pair(&workstation, &phone);
}

/// Ends every pairing on both sides, as a person would whose pairing went wrong.
#[track_caller]
fn forget(workstation: &Workstation, phone: &Phone) {
    for one in workstation.status()["phones"].as_array().unwrap() {
        let id = one["id"].as_str().unwrap();
        workstation.agent(&["unpair", id, "--json"]).ok();
    }
    for one in phone.run(&["agents"]).ok().events() {
        let id = one["agent"].as_str().or(one["id"].as_str()).unwrap();
        drop(phone.run(&["unpair", id]));
    }
    eventually("no pairing on either side", Duration::from_secs(10), || {
        let none = phone.run(&["agents"]).ok().events().is_empty();
        (none
            && workstation.status()["phones"]
                .as_array()
                .unwrap()
                .is_empty())
        .then_some(())
    });
}

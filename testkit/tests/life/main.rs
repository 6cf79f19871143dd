//! The life of a request as the person sees it: what waits, what was decided and why, and the log
//! that remembers it.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::string_slice,
    reason = "tests damage files, and what goes wrong here fails the test"
)]

mod by_hand;
mod disk;
mod record;

use serde_json::Value;
use vmux_testkit::World;

/// The records of the workstation's log, oldest first.
fn records(world: &World, more: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["log", "--json"];
    arguments.extend(more);
    world.workstation.agent(&arguments).ok().events()
}

/// Those of this event.
fn of(records: &[Value], event: &str) -> Vec<Value> {
    let those = records.iter().filter(|record| record["event"] == event);
    those.cloned().collect()
}

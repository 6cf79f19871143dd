//! No core dumps, no other process of the same user reading along (on Linux), and files that nobody
//! else can open.
//!
//! macOS has no switch for the second that is reachable without unsafe code; there it is left to
//! the system's own protection of signed programs.

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, setrlimit, umask};

use crate::{Protection, What};

/// The system refused to protect this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotHardened {
    /// Core dumps could not be turned off.
    #[error("core dumps cannot be turned off: {0}")]
    CoreDumps(Errno),
    /// Other processes of the same user can read this one's memory.
    #[error("this process cannot be closed to debuggers: {0}")]
    Debuggers(Errno),
}

/// Protects this process, or says what cannot be. Call it first in `main`, before any secret is read
/// or any thread started.
pub fn harden() -> Result<(), NotHardened> {
    umask(Mode::RWXG | Mode::RWXO);
    dump_nothing().map_err(NotHardened::CoreDumps)?;
    match close_to_debuggers() {
        Some(Err(errno)) => Err(NotHardened::Debuggers(errno)),
        Some(Ok(())) | None => Ok(()),
    }
}

/// The same for a program that goes on without.
pub fn protect_process() -> [Protection; 2] {
    umask(Mode::RWXG | Mode::RWXO);
    let core_dumps = match dump_nothing() {
        Ok(()) => Protection::on(What::CoreDumps),
        Err(errno) => Protection::off(What::CoreDumps, errno),
    };
    let debuggers = match close_to_debuggers() {
        Some(Ok(())) => Protection::on(What::Debuggers),
        Some(Err(errno)) => Protection::off(What::Debuggers, errno),
        None => Protection::off(What::Debuggers, NO_SWITCH),
    };
    [core_dumps, debuggers]
}

fn dump_nothing() -> Result<(), Errno> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none)
}

/// None where there is no such switch.
#[cfg(target_os = "linux")]
#[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
fn close_to_debuggers() -> Option<Result<(), Errno>> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Some(set_dumpable_behavior(DumpableBehavior::NotDumpable))
}

#[cfg(not(target_os = "linux"))]
const fn close_to_debuggers() -> Option<Result<(), Errno>> {
    None
}

const NO_SWITCH: &str = "this system has no switch for it";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rerun::in_child;

    #[test]
    fn a_hardened_process_dumps_nothing_and_hides_its_files() {
        // In a process of its own, because what it changes holds for the whole process.
        let name = "process::tests::a_hardened_process_dumps_nothing_and_hides_its_files";
        if in_child(name) {
            harden().unwrap();
            assert_eq!(rustix::process::getrlimit(Resource::Core).maximum, Some(0));
            assert_eq!(umask(Mode::empty()), Mode::RWXG | Mode::RWXO);
            #[cfg(target_os = "linux")]
            assert_eq!(
                rustix::process::dumpable_behavior().unwrap(),
                rustix::process::DumpableBehavior::NotDumpable
            );
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_on_is_said_to_be_on() {
        if in_child("process::tests::what_is_on_is_said_to_be_on") {
            let expected = [What::CoreDumps, What::Debuggers].map(Protection::on);
            assert_eq!(protect_process(), expected);
        }
    }
}

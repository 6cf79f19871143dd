//! Keeps what is in memory there: no core dumps, no other process of the same user reading along
//! (on Linux), and files that nobody else can open.
//!
//! macOS has no switch for the second that is reachable without unsafe code; there it is left to
//! the system's own protection of signed programs.

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, setrlimit, umask};

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

/// Protects this process. Call it first in `main`, before any secret is read or any thread started.
pub fn harden() -> Result<(), NotHardened> {
    umask(Mode::RWXG | Mode::RWXO);
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none).map_err(NotHardened::CoreDumps)?;
    close_to_debuggers()
}

#[cfg(target_os = "linux")]
fn close_to_debuggers() -> Result<(), NotHardened> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(NotHardened::Debuggers)
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Linux")]
fn close_to_debuggers() -> Result<(), NotHardened> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rerun;

    #[test]
    fn a_hardened_process_dumps_nothing_and_hides_its_files() {
        if rerun::is_child() {
            harden().unwrap();
            assert_eq!(rustix::process::getrlimit(Resource::Core).maximum, Some(0));
            assert_eq!(umask(Mode::empty()), Mode::RWXG | Mode::RWXO);
            #[cfg(target_os = "linux")]
            assert_eq!(
                rustix::process::dumpable_behavior().unwrap(),
                rustix::process::DumpableBehavior::NotDumpable
            );
            return;
        }
        // In a process of its own, because what it changes holds for the whole process.
        let name = "harden::tests::a_hardened_process_dumps_nothing_and_hides_its_files";
        let done = rerun::child(name, &[]).output().unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stdout)
        );
    }
}

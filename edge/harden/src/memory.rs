//! Keeps memory out of swap.
//!
//! All of it or nothing: secrets live in ordinary heap, and locking single pages of it needs unsafe
//! code. Locking everything that will be mapped counts what is mapped, not what is used. A process
//! with a low limit that locks all the same cannot start threads later, which is worse than swap; so
//! it is not tried under a limit that could be reached.

use crate::{Protection, What};

/// Locks what is mapped and what will be, page by page as it is touched.
#[cfg(target_os = "linux")]
pub fn lock_memory() -> Protection {
    use rustix::mm::{MlockAllFlags, mlockall};

    if let Some(limit) = limit() {
        return Protection::off(What::Swap, format!("the limit is {} KiB", limit / 1024));
    }
    let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    match mlockall(all) {
        Ok(()) => Protection::on(What::Swap),
        Err(errno) => Protection::off(What::Swap, errno),
    }
}

/// Rust reaches no call of macOS that locks all memory.
#[cfg(not(target_os = "linux"))]
pub fn lock_memory() -> Protection {
    Protection::off(What::Swap, "this system has no call for it")
}

/// The limit that stands in the way, if one does.
#[cfg(target_os = "linux")]
fn limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    if is_above_limits() {
        return None;
    }
    let found = getrlimit(Resource::Memlock);
    let raised = Rlimit {
        current: found.maximum,
        maximum: found.maximum,
    };
    let limit = match setrlimit(Resource::Memlock, raised) {
        Ok(()) => found.maximum,
        Err(_) => found.current,
    };
    limit.filter(|limit| *limit < ENOUGH)
}

/// Whether the kernel asks no limit of this process. In a container it does, whatever capabilities
/// the process has there.
#[cfg(target_os = "linux")]
fn is_above_limits() -> bool {
    use rustix::thread::{CapabilitySet, capabilities};

    let whole = std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| {
        let words: Vec<_> = map.split_ascii_whitespace().collect();
        words == ["0", "0", "4294967295"]
    });
    whole && capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK))
}

/// More address space than the programs ever map: the stacks of 600 threads and the heaps that the C
/// library reserves for them are about 2 GiB.
#[cfg(target_os = "linux")]
const ENOUGH: u64 = 8 * 1024 * 1024 * 1024;

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use rustix::process::{Resource, Rlimit, setrlimit};
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

    use super::*;
    use crate::rerun::in_child;

    /// Lives under a limit as a service of no special rights does. None if it may not be raised.
    fn limited_to(bytes: Option<u64>) -> Option<()> {
        let limit = Rlimit {
            current: bytes,
            maximum: bytes,
        };
        setrlimit(Resource::Memlock, limit).ok()?;
        let mut sets = capabilities(None).unwrap();
        sets.effective.remove(CapabilitySet::IPC_LOCK);
        set_capabilities(None, sets).ok()
    }

    fn locked_kib() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmLck:"))
            .unwrap();
        line.split_ascii_whitespace()
            .nth(1)
            .unwrap()
            .parse()
            .unwrap()
    }

    #[test]
    fn without_a_limit_memory_is_locked() {
        if in_child("memory::tests::without_a_limit_memory_is_locked") {
            if limited_to(None).is_none() {
                return;
            }
            assert_eq!(locked_kib(), 0);
            assert_eq!(lock_memory(), Protection::on(What::Swap));
            assert!(locked_kib() > 0);
            std::thread::spawn(|| ()).join().unwrap();
        }
    }

    #[test]
    fn under_a_limit_memory_is_left_alone_and_threads_start() {
        if in_child("memory::tests::under_a_limit_memory_is_left_alone_and_threads_start") {
            limited_to(Some(64 * 1024)).unwrap();
            let expected = Protection::off(What::Swap, "the limit is 64 KiB");
            assert_eq!(lock_memory(), expected);
            assert_eq!(locked_kib(), 0);
            std::thread::spawn(|| ()).join().unwrap();
        }
    }
}

//! The system calls that are left (seccomp, Linux 3.17 and later).
//!
//! A list of what is refused, not of what is allowed, and a refusal is an error, not the end: a new C
//! library or kernel makes calls that no list of ours knows, and they have to work. Refused is what
//! the programs never do after their start and what somebody who took one over would do first: run
//! programs, look into other processes, change the user, the root or the namespaces, load code into
//! the kernel, and the calls that go around a filter.

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod calls;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod filter;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;

use crate::{Protection, What};

/// What a process does, and so what it cannot be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Serves others: sockets and files.
    Serve,
    /// Reads files, and nothing else: it opens no socket and changes no file.
    Read,
}

/// Takes the calls from all threads of this process, and from all it starts.
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
pub fn restrict_calls(work: Work) -> Protection {
    match filter::restrict(work) {
        Ok(()) => Protection::on(What::Seccomp),
        Err(error) => Protection::off(What::Seccomp, error),
    }
}

/// No list for this system or processor.
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
pub fn restrict_calls(_: Work) -> Protection {
    Protection::off(What::Seccomp, "only Linux on x86-64 and AArch64 has it")
}

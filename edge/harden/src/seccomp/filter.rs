//! The refusals as programs for the kernel.

use std::collections::BTreeMap;

use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::{Eq, MaskedEq, Ne};
use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp,
    SeccompCondition, SeccompFilter, SeccompRule, TargetArch, apply_filter_all_threads,
    sock_filter,
};

use super::Work;
use super::calls::{
    CHANGES, CONSOLE, FAMILIES, HOW_TO_CHANGE, NEVER, PUSH_INPUT, SET_DUMPABLE, SET_PTRACER, THREAD,
};

pub(super) fn restrict(work: Work) -> Result<(), Error> {
    let main = refused(work)?;
    apply_filter_all_threads(&unknown())?;
    apply_filter_all_threads(&main)
}

/// Answers "not permitted".
fn refused(work: Work) -> Result<BpfProgram, BackendError> {
    let more: &[i64] = match work {
        Work::Serve => &[],
        Work::Read => CHANGES,
    };
    let calls = NEVER.iter().chain(more);
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        calls.map(|call| (*call, Vec::new())).collect();
    // A call with rules is refused if one of them fits; all conditions of a rule have to.
    for (call, conditions) in [
        // Only threads.
        (libc::SYS_clone, vec![(0, Qword, MaskedEq(THREAD), 0)]),
        (
            libc::SYS_socket,
            FAMILIES.map(|family| (0, Dword, Ne, family)).to_vec(),
        ),
        (libc::SYS_prctl, vec![(0, Dword, Eq, SET_DUMPABLE)]),
        (libc::SYS_prctl, vec![(0, Dword, Eq, SET_PTRACER)]),
        (libc::SYS_ioctl, vec![(1, Dword, Eq, PUSH_INPUT)]),
        (libc::SYS_ioctl, vec![(1, Dword, Eq, CONSOLE)]),
    ] {
        rules.entry(call).or_default().push(rule(conditions)?);
    }
    if work == Work::Read {
        for how in HOW_TO_CHANGE {
            let conditions = vec![(2, Dword, MaskedEq(how), how)];
            rules
                .entry(libc::SYS_openat)
                .or_default()
                .push(rule(conditions)?);
        }
        // No socket of whatever family: a call without rules is always refused.
        rules.insert(libc::SYS_socket, Vec::new());
    }
    let refuse = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, ARCH)?.try_into()
}

type Condition = (u8, SeccompCmpArgLen, SeccompCmpOp, u64);

fn rule(conditions: Vec<Condition>) -> Result<SeccompRule, BackendError> {
    let conditions = conditions
        .into_iter()
        .map(|(argument, length, how, value)| SeccompCondition::new(argument, length, how, value))
        .collect::<Result<_, _>>()?;
    SeccompRule::new(conditions)
}

/// Answers "no such call" to `clone3`, whose arguments a filter cannot see, so that the C library
/// takes `clone`; and on x86-64 to the calls of the x32 ABI, which go under other numbers.
fn unknown() -> BpfProgram {
    let instruction = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let answer = RETURN_ERRNO | libc::ENOSYS.cast_unsigned();
    vec![
        instruction(LOAD, 0, 0, OFFSET_OF_NUMBER),
        instruction(JUMP_IF_EQUAL, 1, 0, CLONE3),
        instruction(JUMP_IF_GREATER_OR_EQUAL, 0, 1, X32),
        instruction(RETURN, 0, 0, answer),
        instruction(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

/// The same on all processors (asm-generic/unistd.h).
const CLONE3: u32 = 435;
/// The bit of x32 calls. Elsewhere no number is that large.
const X32: u32 = 0x4000_0000;
/// Where the number stands in `struct seccomp_data`.
const OFFSET_OF_NUMBER: u32 = 0;

/// Instructions (linux/bpf_common.h) and the answer (linux/seccomp.h).
const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_GREATER_OR_EQUAL: u16 = 0x35;
const RETURN: u16 = 0x06;
const RETURN_ERRNO: u32 = 0x0005_0000;

#[cfg(target_arch = "x86_64")]
const ARCH: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCH: TargetArch = TargetArch::aarch64;

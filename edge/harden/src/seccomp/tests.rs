//! What a restricted process cannot call any more, and that it could before.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, socket};
use rustix::process::{
    DumpableBehavior, PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open,
    set_dumpable_behavior, test_kill_process,
};

use super::*;
use crate::rerun::in_child;

fn runs_a_program() -> io::Result<()> {
    Command::new("true").status().map(|_| ())
}

fn makes_a_file_in_memory() -> Result<(), Errno> {
    rustix::fs::memfd_create("x", MemfdFlags::CLOEXEC).map(drop)
}

fn takes_a_file_of_a_process() -> Result<(), Errno> {
    let process = pidfd_open(getpid(), PidfdFlags::empty())?;
    pidfd_getfd(process.as_fd(), 0, PidfdGetfdFlags::empty()).map(drop)
}

fn signals_a_process() -> Result<(), Errno> {
    test_kill_process(getpid())
}

fn opens_itself() -> Result<(), Errno> {
    set_dumpable_behavior(DumpableBehavior::Dumpable)
}

fn opens_a_kernel_crypto_socket() -> Result<(), Errno> {
    socket(AddressFamily::from_raw(ALG), SocketType::SEQPACKET, None).map(drop)
}

/// `AF_ALG`
const ALG: u16 = 38;

fn calls() -> [(&'static str, Result<(), Errno>); 5] {
    [
        ("memfd_create", makes_a_file_in_memory()),
        ("pidfd_getfd", takes_a_file_of_a_process()),
        ("kill", signals_a_process()),
        ("prctl", opens_itself()),
        ("socket", opens_a_kernel_crypto_socket()),
    ]
}

#[test]
fn calls_the_programs_never_make_are_refused_and_before_they_are_not() {
    let name = "seccomp::tests::calls_the_programs_never_make_are_refused_and_before_they_are_not";
    if in_child(name) {
        runs_a_program().unwrap();
        for (call, before) in calls() {
            // A kernel without sockets for its own crypto says so.
            assert!(
                matches!(before, Ok(()) | Err(Errno::AFNOSUPPORT)),
                "{call}: {before:?}"
            );
        }
        assert_eq!(restrict_calls(Work::Serve), Protection::on(What::Seccomp));
        let refused = runs_a_program().unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(1), "{refused}");
        for (call, after) in calls() {
            assert_eq!(after, Err(Errno::PERM), "{call}");
        }
    }
}

#[test]
fn what_the_programs_do_goes_on() {
    if in_child("seccomp::tests::what_the_programs_do_goes_on") {
        assert_eq!(restrict_calls(Work::Serve), Protection::on(What::Seccomp));
        std::thread::spawn(|| ()).join().unwrap();
        for family in [
            AddressFamily::UNIX,
            AddressFamily::INET,
            AddressFamily::INET6,
        ] {
            socket(family, SocketType::STREAM, None).unwrap();
        }
        pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
        assert!(fs::read("/proc/self/status").is_ok());
        // Twice is fine: a program that is started by a restricted one does it again.
        assert_eq!(restrict_calls(Work::Serve), Protection::on(What::Seccomp));
    }
}

#[test]
fn a_process_that_reads_changes_nothing_and_opens_no_socket() {
    let name = "seccomp::tests::a_process_that_reads_changes_nothing_and_opens_no_socket";
    if in_child(name) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        drop(File::create_new(&file).unwrap());
        let changes = || {
            [
                OpenOptions::new().append(true).open(&file).map(drop),
                OpenOptions::new()
                    .read(true)
                    .write(true)
                    .open(&file)
                    .map(drop),
                File::create_new(dir.path().join("new")).map(drop),
                fs::set_permissions(&file, Permissions::from_mode(0o600)),
                UnixStream::pair().and_then(|_| UnixListener::bind(dir.path().join("s")).map(drop)),
                fs::remove_file(dir.path().join("new")),
            ]
        };
        for (at, change) in changes().iter().enumerate() {
            assert!(change.is_ok(), "{at}: {change:?}");
        }
        assert_eq!(restrict_calls(Work::Read), Protection::on(What::Seccomp));
        for (at, change) in changes().iter().enumerate() {
            let code = change.as_ref().map_err(io::Error::raw_os_error);
            assert_eq!(code, Err(Some(1)), "{at}");
        }
        assert_eq!(fs::read(&file).unwrap(), b"");
    }
}

#[test]
fn threads_that_were_there_before_are_restricted_too() {
    if in_child("seccomp::tests::threads_that_were_there_before_are_restricted_too") {
        let (go, gone) = std::sync::mpsc::channel();
        let earlier = std::thread::spawn(move || {
            gone.recv().unwrap();
            makes_a_file_in_memory()
        });
        assert_eq!(restrict_calls(Work::Serve), Protection::on(What::Seccomp));
        go.send(()).unwrap();
        assert_eq!(earlier.join().unwrap(), Err(Errno::PERM));
    }
}

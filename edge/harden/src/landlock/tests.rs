//! What a restricted thread cannot do any more, and beside it what it still can.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use landlock::ABI;
use rustix::process::{Pid, test_kill_process};
use tempfile::TempDir;

use super::*;
use crate::rerun::in_child;

fn is_refused<T>(done: io::Result<T>) -> bool {
    done.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

fn restricted(reach: &Reach) {
    let protection = restrict_reach(reach);
    assert!(protection.is_on(), "{protection}");
}

/// A directory with a file `old` and an empty directory.
fn place() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    File::create_new(dir.path().join("old")).unwrap();
    dir
}

fn read(dir: &Path) -> io::Result<Vec<u8>> {
    fs::read(dir.join("old"))
}

fn change(dir: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).open(dir.join("old"))
}

fn make(dir: &Path) -> io::Result<File> {
    File::create_new(dir.join("new"))
}

fn listen(dir: &Path) -> io::Result<UnixListener> {
    UnixListener::bind(dir.join("socket"))
}

/// Tests say nothing on a kernel that restricts nothing; the one below says whether it does.
fn can_be_tried(name: &str) -> bool {
    restricts_reach() && in_child(name)
}

#[test]
fn a_file_outside_is_refused_and_the_one_inside_is_not() {
    if can_be_tried("landlock::tests::a_file_outside_is_refused_and_the_one_inside_is_not") {
        let [inside, readable, outside] = [place(), place(), place()];
        let [inside, readable, outside] = [&inside, &readable, &outside].map(TempDir::path);
        // Nothing but the rules stands in the way.
        for dir in [inside, readable, outside] {
            read(dir).unwrap();
            change(dir).unwrap();
        }
        restricted(&Reach {
            keeps: vec![inside.to_owned()],
            reads: vec![readable.to_owned()],
            ..Reach::default()
        });
        assert!(read(inside).is_ok() && change(inside).is_ok() && make(inside).is_ok());
        assert!(listen(inside).is_ok());
        DirBuilder::new().create(inside.join("log")).unwrap();
        assert!(read(readable).is_ok());
        assert!(is_refused(change(readable)) && is_refused(make(readable)));
        assert!(is_refused(fs::remove_file(readable.join("old"))));
        assert!(is_refused(read(outside)) && is_refused(change(outside)));
        assert!(is_refused(make(outside)) && is_refused(fs::read_dir(outside)));
    }
}

#[test]
fn where_a_socket_may_be_made_no_file_may() {
    if can_be_tried("landlock::tests::where_a_socket_may_be_made_no_file_may") {
        let dir = place();
        let dir = dir.path();
        restricted(&Reach {
            listens_in: vec![dir.to_owned()],
            ..Reach::default()
        });
        drop(listen(dir).unwrap());
        fs::remove_file(dir.join("socket")).unwrap();
        assert!(is_refused(make(dir)) && is_refused(change(dir)) && is_refused(read(dir)));
    }
}

#[test]
fn a_program_is_refused_whatever_may_be_read() {
    if can_be_tried("landlock::tests::a_program_is_refused_whatever_may_be_read") {
        let start = || Command::new("/bin/sh").args(["-c", "true"]).status();
        assert!(start().unwrap().success());
        restricted(&Reach {
            reads: vec!["/".into()],
            ..Reach::default()
        });
        assert!(fs::read("/bin/sh").is_ok());
        assert!(is_refused(start()));
    }
}

#[test]
fn ports_that_were_not_given_are_refused() {
    if can_be_tried("landlock::tests::ports_that_were_not_given_are_refused") {
        let [given, other] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [given, other] = [given, other].map(|listener| {
            let port = listener.local_addr().unwrap().port();
            (listener, port)
        });
        let connect = |port| TcpStream::connect(("127.0.0.1", port));
        assert!(connect(other.1).is_ok());
        restricted(&Reach {
            connects: Ports::These(vec![given.1]),
            binds: Ports::These(vec![0]),
            ..Reach::default()
        });
        assert!(connect(given.1).is_ok());
        assert!(is_refused(connect(other.1)));
        assert!(TcpListener::bind("127.0.0.1:0").is_ok());
        drop(given.0);
        assert!(is_refused(TcpListener::bind(("127.0.0.1", given.1))));
    }
}

#[test]
fn processes_and_nameless_sockets_outside_are_refused_and_sockets_with_a_path_are_not() {
    let name = "landlock::tests::processes_and_nameless_sockets_outside_are_refused_and_sockets_with_a_path_are_not";
    if can_be_tried(name) {
        // Ends with this process, whatever happens.
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let line = |child: &Child| fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
        while line(&child) != b"cat\0" {
            std::thread::yield_now();
        }
        let signal = |child: &Child| test_kill_process(Pid::from_child(child));
        let program = |child: &Child| fs::read_link(format!("/proc/{}/exe", child.id()));
        let nameless = SocketAddr::from_abstract_name(format!("vmux-{}", child.id())).unwrap();
        let listener = UnixListener::bind_addr(&nameless).unwrap();
        let dir = place();
        let _named = listen(dir.path()).unwrap();
        assert!(signal(&child).is_ok() && program(&child).is_ok());
        assert!(UnixStream::connect_addr(&nameless).is_ok());
        // From a thread, so that this one can still end the child.
        let (nameless, child_of_thread) = (&nameless, &child);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                restricted(&Reach {
                    reads: vec!["/proc".into()],
                    ..Reach::default()
                });
                assert_eq!(signal(child_of_thread), Err(rustix::io::Errno::PERM));
                // Why the agent has another process look at its clients.
                assert!(is_refused(program(child_of_thread)));
                assert_eq!(line(child_of_thread), b"cat\0");
                assert!(is_refused(UnixStream::connect_addr(nameless)));
                assert!(UnixStream::connect(dir.path().join("socket")).is_ok());
            });
        });
        drop(listener);
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}

#[test]
fn what_an_older_kernel_lacks_is_said() {
    assert_eq!(linux::note(ABI::V7), "ABI 7");
    assert_eq!(linux::note(ABI::V6), "ABI 6");
    assert_eq!(
        linux::note(ABI::V5),
        "ABI 5, without signals and abstract sockets"
    );
    assert_eq!(
        linux::note(ABI::V1),
        "ABI 1, without shortening files, TCP ports, controls of devices, \
         signals and abstract sockets"
    );
}

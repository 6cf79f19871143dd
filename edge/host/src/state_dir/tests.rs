//! Each refusal beside the case a step away that is accepted.

use super::*;
use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::process::Command;
use std::time::Duration;

use crate::rerun;

const KIND: FileKind = FileKind {
    word: "things",
    version: 2,
    if_lost: "things are lost",
};

fn me() -> Holder {
    Holder::this("tests")
}

fn open(path: &Path) -> Result<StateDir, StateRefused> {
    StateDir::open(path, &me())
}

fn fresh() -> (tempfile::TempDir, StateDir) {
    let parent = tempfile::tempdir().unwrap();
    let dir = open(&parent.path().join("state")).unwrap();
    (parent, dir)
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn refusal<T>(result: Result<T, StateRefused>) -> FileRefused {
    match result.err() {
        Some(StateRefused::File(refused)) => refused,
        other => panic!("expected a refused file, found {other:?}"),
    }
}

fn touch(path: &Path) {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .unwrap();
}

/// Only root can give a file away; everybody else has root's files to look at.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_missing_directory_is_made_with_everything_above_it_for_the_owner_alone() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("a/b/state");
    let dir = open(&path).unwrap();
    assert_eq!(dir.path(), path);
    for made in ["a", "a/b", "a/b/state"] {
        assert_eq!(mode(&parent.path().join(made)), 0o700, "{made}");
    }
    assert_eq!(mode(&path.join("lock")), 0o600);
}

#[test]
fn a_directory_with_mode_0700_is_opened() {
    let parent = tempfile::tempdir().unwrap();
    chmod(parent.path(), 0o700);
    open(parent.path()).unwrap();
}

#[test]
fn a_directory_with_any_other_mode_is_refused_and_left_alone() {
    let parent = tempfile::tempdir().unwrap();
    for bits in [
        0o701, 0o710, 0o750, 0o704, 0o720, 0o755, 0o777, 0o500, 0o300,
    ] {
        chmod(parent.path(), bits);
        let refused = refusal(open(parent.path()));
        assert!(matches!(refused, FileRefused::WrongMode { mode, .. } if mode == bits));
        assert_eq!(
            refused.hint(),
            format!("chmod 700 {}", parent.path().display())
        );
        assert_eq!(mode(parent.path()), bits);
        chmod(parent.path(), 0o700);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_directory_of_another_user_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    chmod(parent.path(), 0o700);
    let theirs = if is_root() {
        std::os::unix::fs::chown(parent.path(), Some(12345), None).unwrap();
        parent.path()
    } else {
        Path::new("/usr")
    };
    let refused = refusal(open(theirs));
    assert!(
        matches!(refused, FileRefused::WrongOwner { .. }),
        "{refused}"
    );
}

#[test]
fn a_symbolic_link_to_a_good_directory_is_refused_even_with_a_slash_behind_it() {
    let parent = tempfile::tempdir().unwrap();
    let real = parent.path().join("real");
    drop(open(&real).unwrap());
    let link = parent.path().join("link");
    symlink(&real, &link).unwrap();
    for path in [link.clone(), link.join("")] {
        let refused = refusal(open(&path));
        assert!(matches!(refused, FileRefused::Symlink { .. }), "{refused}");
    }
}

#[test]
fn a_file_in_the_place_of_the_directory_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let refused = refusal(open(file.path()));
    assert!(
        matches!(
            refused,
            FileRefused::WrongType {
                wanted: "directory",
                ..
            }
        ),
        "{refused}"
    );
}

#[test]
fn a_second_process_is_refused_and_told_who_is_there_and_let_in_afterwards() {
    if rerun::is_child() {
        let path = std::env::var_os("DIR").unwrap();
        let _dir = StateDir::open(Path::new(&path), &Holder::this("the child")).unwrap();
        println!("open");
        // Holds it until the parent goes on.
        io::stdin().read_to_end(&mut Vec::new()).unwrap();
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("state");
    let name = concat!(
        "state_dir::tests::a_second_process_is_refused_and_told_who_is_there",
        "_and_let_in_afterwards"
    );
    let mut child = rerun::child(name, &[("DIR", &path)]).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(
        lines
            .map_while(Result::ok)
            .any(|line| line.contains("open"))
    );

    let refused = open(&path).unwrap_err();
    let StateRefused::Held {
        holder: Some(holder),
        ..
    } = &refused
    else {
        panic!("{refused}")
    };
    assert_eq!(
        (holder.pid, holder.program.as_str()),
        (child.id(), "the child")
    );
    assert!(
        refused
            .to_string()
            .contains(&format!("the child (process {})", child.id()))
    );
    assert!(refused.hint().contains(&child.id().to_string()));

    // Killed, not asked: the lock must not outlive its holder.
    child.kill().unwrap();
    child.wait().unwrap();
    open(&path).unwrap();
}

#[test]
fn a_second_opening_in_the_same_process_is_refused_too() {
    let (_parent, dir) = fresh();
    assert!(matches!(open(dir.path()), Err(StateRefused::Held { .. })));
    let path = dir.path().to_owned();
    drop(dir);
    open(&path).unwrap();
}

#[test]
fn a_holder_that_does_not_say_who_it_is_still_holds() {
    let (_parent, dir) = fresh();
    for said in [&b""[..], b"x\n", b"12", b"\xff 1\n", &[b'1'; 400]] {
        fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(dir.path().join("lock"))
            .unwrap()
            .write_all(said)
            .unwrap();
        let refused = open(dir.path()).unwrap_err();
        assert!(
            matches!(refused, StateRefused::Held { holder: None, .. }),
            "{refused}"
        );
    }
}

#[test]
fn a_lock_file_that_is_a_link_is_refused_and_what_it_points_to_is_left_alone() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("state");
    DirBuilder::new().mode(0o700).create(&path).unwrap();
    let target = parent.path().join("target");
    symlink(&target, path.join("lock")).unwrap();
    let refused = refusal(open(&path));
    assert!(matches!(refused, FileRefused::Symlink { .. }), "{refused}");
    assert!(!target.exists());
}

#[test]
fn a_file_comes_back_as_it_was_replaced_and_is_its_owners_alone() {
    let (_parent, dir) = fresh();
    assert!(dir.read("thing", 10).unwrap().is_none());
    for contents in [&b"first"[..], b"", b"second"] {
        dir.replace("thing", contents).unwrap();
        assert_eq!(dir.read("thing", 10).unwrap().unwrap().as_slice(), contents);
        assert_eq!(mode(&dir.path().join("thing")), 0o600);
    }
    dir.remove("thing").unwrap();
    assert!(dir.read("thing", 10).unwrap().is_none());
    dir.remove("thing").unwrap();
}

#[test]
fn a_file_of_exactly_the_most_is_read_and_one_byte_more_is_refused() {
    let (_parent, dir) = fresh();
    dir.replace("thing", b"12345678").unwrap();
    assert_eq!(dir.read("thing", 8).unwrap().unwrap().len(), 8);
    let refused = refusal(dir.read("thing", 7));
    assert!(
        matches!(refused, FileRefused::TooLarge { max: 7, .. }),
        "{refused}"
    );
}

#[test]
fn a_file_with_any_other_mode_than_0600_is_refused_and_left_alone() {
    let (_parent, dir) = fresh();
    dir.replace("thing", b"x").unwrap();
    let file = dir.path().join("thing");
    for bits in [
        0o601, 0o604, 0o610, 0o640, 0o660, 0o644, 0o700, 0o400, 0o200, 0o4600,
    ] {
        chmod(&file, bits);
        let refused = refusal(dir.read("thing", 10));
        assert!(matches!(refused, FileRefused::WrongMode { mode, .. } if mode == bits));
        assert_eq!(refused.hint(), format!("chmod 600 {}", file.display()));
        assert_eq!(mode(&file), bits);
        assert!(matches!(
            refusal(dir.append("thing")),
            FileRefused::WrongMode { .. }
        ));
    }
    chmod(&file, 0o600);
    dir.read("thing", 10).unwrap();
}

#[test]
fn a_file_of_another_user_is_refused() {
    if !is_root() {
        // A directory of one's own with a file of somebody else's takes root to make.
        let metadata = fs::metadata("/etc/passwd").unwrap();
        assert!(owned_by(&metadata, Path::new("/etc/passwd"), Owner::Me).is_err());
        return;
    }
    let (_parent, dir) = fresh();
    dir.replace("thing", b"x").unwrap();
    let file = dir.path().join("thing");
    dir.read("thing", 10).unwrap();
    std::os::unix::fs::chown(&file, Some(12345), None).unwrap();
    let refused = refusal(dir.read("thing", 10));
    assert!(
        matches!(refused, FileRefused::WrongOwner { owner: 12345, .. }),
        "{refused}"
    );
}

#[test]
fn what_is_not_a_plain_file_is_refused() {
    let (parent, dir) = fresh();
    let target = parent.path().join("target");
    dir.replace("real", b"x").unwrap();
    fs::copy(dir.path().join("real"), &target).unwrap();
    symlink(&target, dir.path().join("link")).unwrap();
    fs::create_dir(dir.path().join("directory")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    let pipe = dir.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .args(["-m", "600"])
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );

    assert!(matches!(
        refusal(dir.read("link", 10)),
        FileRefused::Symlink { .. }
    ));
    assert!(matches!(
        refusal(dir.append("link")),
        FileRefused::Symlink { .. }
    ));
    for name in ["directory", "socket", "pipe"] {
        let refused = refusal(dir.read(name, 10));
        assert!(
            matches!(refused, FileRefused::WrongType { .. }),
            "{name}: {refused}"
        );
    }
    dir.read("real", 10).unwrap();
}

#[test]
fn replacing_a_link_puts_a_file_there_and_does_not_write_through_it() {
    let (parent, dir) = fresh();
    let target = parent.path().join("target");
    touch(&target);
    symlink(&target, dir.path().join("thing")).unwrap();
    dir.replace("thing", b"secret").unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"");
    assert_eq!(
        dir.read("thing", 10).unwrap().unwrap().as_slice(),
        b"secret"
    );
}

#[test]
fn what_a_killed_writer_left_behind_is_not_in_the_way() {
    let (parent, dir) = fresh();
    let target = parent.path().join("target");
    touch(&target);
    symlink(&target, dir.path().join(".thing.new")).unwrap();
    dir.replace("thing", b"new").unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"");
    assert_eq!(dir.read("thing", 10).unwrap().unwrap().as_slice(), b"new");
    assert!(!dir.path().join(".thing.new").exists());
}

#[test]
fn a_replacement_that_fails_leaves_the_old_contents_and_no_rest() {
    let (_parent, dir) = fresh();
    // A directory cannot be replaced by a file, so the rename at the end fails.
    fs::create_dir(dir.path().join("thing")).unwrap();
    fs::create_dir(dir.path().join("thing/old")).unwrap();
    assert!(matches!(
        refusal(dir.replace("thing", b"new")),
        FileRefused::Failed { .. }
    ));
    assert!(dir.path().join("thing/old").exists());
    assert!(!dir.path().join(".thing.new").exists());
}

#[test]
fn names_that_lead_elsewhere_or_are_taken_are_refused() {
    let (_parent, dir) = fresh();
    let longest = "n".repeat(MAX_NAME);
    for good in ["a", "pairings", "audit-00001.log", &longest] {
        dir.replace(good, b"x").unwrap();
    }
    let too_long = "n".repeat(MAX_NAME + 1);
    for bad in [
        "", ".", "..", ".hidden", "a/b", "../a", "/a", "A", "a b", "a\0", "lock", &too_long,
    ] {
        assert!(
            matches!(dir.replace(bad, b"x"), Err(StateRefused::BadName { .. })),
            "{bad:?}"
        );
        assert!(
            matches!(dir.read(bad, 1), Err(StateRefused::BadName { .. })),
            "{bad:?}"
        );
        assert!(
            matches!(dir.remove(bad), Err(StateRefused::BadName { .. })),
            "{bad:?}"
        );
        assert!(
            matches!(dir.append(bad), Err(StateRefused::BadName { .. })),
            "{bad:?}"
        );
    }
}

#[test]
fn what_is_appended_stands_behind_what_was_there() {
    let (_parent, dir) = fresh();
    for line in ["one\n", "two\n"] {
        let mut file = dir.append("log").unwrap();
        file.write_all(line.as_bytes()).unwrap();
        file.sync_data().unwrap();
    }
    assert_eq!(
        dir.read("log", 100).unwrap().unwrap().as_slice(),
        b"one\ntwo\n"
    );
    assert_eq!(mode(&dir.path().join("log")), 0o600);
}

#[test]
fn a_saved_body_is_loaded_with_its_version() {
    let (_parent, dir) = fresh();
    assert!(dir.load("thing", &KIND, 4).unwrap().is_none());
    dir.save("thing", &KIND, b"body").unwrap();
    let stored = dir.load("thing", &KIND, 4).unwrap().unwrap();
    assert_eq!((stored.version, stored.body.as_slice()), (2, &b"body"[..]));
    let refused = refusal(dir.load("thing", &KIND, 3));
    assert!(
        matches!(refused, FileRefused::TooLarge { max: 3, .. }),
        "{refused}"
    );
}

#[test]
fn a_newer_or_damaged_file_is_named_and_left_as_it_is() {
    let (_parent, dir) = fresh();
    let file = dir.path().join("thing");
    dir.save("thing", &FileKind { version: 3, ..KIND }, b"body")
        .unwrap();
    let before = fs::read(&file).unwrap();
    let refused = dir.load("thing", &KIND, 100).unwrap_err();
    assert!(
        matches!(&refused, StateRefused::NewerVersion { file: named, found: 3, known: 2 }
            if *named == file),
        "{refused}"
    );
    assert_eq!(fs::read(&file).unwrap(), before);

    let mut bytes = before;
    bytes[7] ^= 1;
    dir.replace("thing", &bytes).unwrap();
    let refused = dir.load("thing", &KIND, 100).unwrap_err();
    assert!(
        matches!(&refused, StateRefused::Damaged { file: named, .. } if *named == file),
        "{refused}"
    );
    assert!(
        refused.hint().contains("things are lost"),
        "{}",
        refused.hint()
    );
    assert_eq!(fs::read(&file).unwrap(), bytes);
}

#[test]
fn a_writer_killed_at_any_moment_leaves_one_of_the_two_contents() {
    let contents = |with: u8| vec![with; 200_000];
    if rerun::is_child() {
        let path = std::env::var_os("DIR").unwrap();
        let dir = StateDir::open(Path::new(&path), &me()).unwrap();
        println!("writing");
        for with in [b'a', b'b'].into_iter().cycle() {
            dir.replace("thing", &contents(with)).unwrap();
        }
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("state");
    open(&path)
        .unwrap()
        .replace("thing", &contents(b'a'))
        .unwrap();
    let name = "state_dir::tests::a_writer_killed_at_any_moment_leaves_one_of_the_two_contents";
    for round in 0..15_u32 {
        let mut child = rerun::child(name, &[("DIR", &path)]).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(
            lines
                .map_while(Result::ok)
                .any(|line| line.contains("writing"))
        );
        // Different moments of a write that takes a millisecond or so.
        std::thread::sleep(Duration::from_micros(u64::from(round) * 770));
        child.kill().unwrap();
        child.wait().unwrap();
        let dir = open(&path).unwrap();
        let found = dir.read("thing", 300_000).unwrap().unwrap();
        assert!(
            *found == contents(b'a') || *found == contents(b'b'),
            "round {round}: {} bytes",
            found.len()
        );
        dir.replace("thing", &contents(b'b')).unwrap();
    }
}

#[test]
fn two_threads_that_replace_one_file_never_mix_their_contents() {
    let (_parent, dir) = fresh();
    let contents = |with: u8| vec![with; 50_000];
    std::thread::scope(|scope| {
        for with in [b'a', b'b'] {
            let dir = &dir;
            scope.spawn(move || {
                for _ in 0..20 {
                    dir.replace("thing", &contents(with)).unwrap();
                }
            });
        }
    });
    let found = dir.read("thing", 100_000).unwrap().unwrap();
    assert!(*found == contents(b'a') || *found == contents(b'b'));
}

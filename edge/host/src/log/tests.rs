//! Each break beside the log it was made from.

use super::*;
use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use vmux_proto::audit::{Broken, Chain, Entry, Event, Head, Line, Storing};
use vmux_proto::now::Now;

use crate::files::FileRefused;
use crate::rerun;
use crate::state_dir::{Holder, StateDir};

const NOW: Now = Now {
    wall: 1_800_000_000,
    uptime: 5,
};
const SMALL: Limits = Limits { max_file: 600 };
const LARGE: Limits = Limits {
    max_file: 1024 * 1024,
};

fn state(parent: &Path) -> StateDir {
    StateDir::open(&parent.join("state"), &Holder::this("tests")).unwrap()
}

fn line(chain: &mut Chain, storing: Storing) -> Line {
    let entry = Entry {
        user: Some("root".to_owned()),
        ..Entry::new(Event::Asked)
    };
    chain.append(entry, storing, NOW)
}

/// A log of some lines, each added by itself.
fn filled(limits: Limits, lines: u32) -> (tempfile::TempDir, PathBuf, Head) {
    let parent = tempfile::tempdir().unwrap();
    let state = state(parent.path());
    let (mut log, head) = AuditLog::open(&state, limits).unwrap();
    let mut chain = Chain::after(head);
    for _ in 0..lines {
        let line = line(&mut chain, Storing::Written);
        log.append(&[line]).unwrap();
    }
    (parent, state.path().to_owned(), log.head())
}

fn current(state: &Path) -> PathBuf {
    state.join("log/log.jsonl")
}

fn put(path: &Path, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(path)
        .unwrap();
    file.write_all(bytes).unwrap();
}

fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> rustix::io::Result<()> {
    rustix::fs::rename(from.as_ref(), to.as_ref())
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn found(result: Result<Verified, NotVerified>) -> Found {
    match result {
        Err(NotVerified::Found(found)) => found,
        other => panic!("expected a break, found {other:?}"),
    }
}

/// The lines of one file, with their newlines.
fn lines_of(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).unwrap();
    bytes
        .split_inclusive(|b| *b == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

#[test]
fn a_log_goes_on_where_it_ended_and_is_its_owners_alone() {
    let (parent, path, head) = filled(LARGE, 3);
    assert_eq!(head.lines, 3);
    assert_eq!(mode(&path.join("log")), 0o700);
    assert_eq!(mode(&current(&path)), 0o600);
    let state = state(parent.path());
    let (mut log, found) = AuditLog::open(&state, LARGE).unwrap();
    assert_eq!(found, head);
    let next = line(&mut Chain::after(found), Storing::Synced);
    assert_eq!(log.append(&[next]).unwrap(), 4);
    let verified = verify(&path, Some(head)).unwrap();
    assert_eq!((verified.lines, verified.files, verified.first), (4, 1, 1));
    assert_eq!(verified.head, log.head());
}

#[test]
fn lines_that_do_not_follow_the_end_are_left_out() {
    let (parent, path, head) = filled(LARGE, 2);
    let state = state(parent.path());
    let (mut log, _) = AuditLog::open(&state, LARGE).unwrap();
    let mut chain = Chain::after(head);
    let (one, two) = (
        line(&mut chain, Storing::Written),
        line(&mut chain, Storing::Written),
    );
    assert_eq!(log.append(std::slice::from_ref(&two)).unwrap(), 2);
    assert_eq!(log.append(&[one.clone(), one, two]).unwrap(), 4);
    assert_eq!(verify(&path, None).unwrap().lines, 4);
}

#[test]
fn a_last_line_torn_at_any_byte_is_cut_off_and_kept() {
    let (parent, path, _) = filled(LARGE, 3);
    let whole = fs::read(current(&path)).unwrap();
    let lines = lines_of(&current(&path));
    let start = lines[0].len() + lines[1].len();
    for end in start..whole.len() {
        put(&current(&path), &whole[..end]);
        let state = state(parent.path());
        let (mut log, head) = AuditLog::open(&state, LARGE).unwrap();
        assert_eq!(head.lines, 2, "{end}");
        assert_eq!(fs::read(current(&path)).unwrap(), whole[..start]);
        let torn = path.join("log/torn-1");
        assert_eq!(torn.exists(), end > start);
        if torn.exists() {
            assert_eq!(fs::read(&torn).unwrap(), whole[start..end]);
            fs::remove_file(torn).unwrap();
        }
        let next = line(&mut Chain::after(head), Storing::Written);
        assert_eq!(log.append(&[next]).unwrap(), 3);
        assert_eq!(verify(&path, Some(head)).unwrap().lines, 3);
    }
}

#[test]
fn rotation_keeps_the_chain_and_a_start_finds_its_end() {
    let (parent, path, head) = filled(SMALL, 30);
    let verified = verify(&path, Some(head)).unwrap();
    assert!(verified.files > 5, "{verified:?}");
    assert_eq!((verified.lines, verified.head), (30, head));
    // Killed between setting a file aside and beginning the next.
    let current = current(&path);
    let rest = fs::read(&current).unwrap();
    let first = 31 - u64::try_from(lines_of(&current).len()).unwrap();
    rename(&current, path.join(format!("log/log-{first:012}.jsonl"))).unwrap();
    assert!(!rest.is_empty());
    let state = state(parent.path());
    let (mut log, found) = AuditLog::open(&state, SMALL).unwrap();
    assert_eq!(found, head);
    log.append(&[line(&mut Chain::after(found), Storing::Written)])
        .unwrap();
    assert_eq!(verify(&path, Some(head)).unwrap().lines, 31);
}

#[test]
fn a_reader_sees_lines_that_come_later_across_files() {
    let parent = tempfile::tempdir().unwrap();
    let state = state(parent.path());
    let (mut log, head) = AuditLog::open(&state, SMALL).unwrap();
    let mut reader = read(state.path()).unwrap();
    assert!(reader.next().is_none());
    let mut chain = Chain::after(head);
    let mut seen = Vec::new();
    for round in 1..40_u32 {
        for _ in 0..round % 9 {
            let line = line(&mut chain, Storing::Written);
            log.append(std::slice::from_ref(&line)).unwrap();
            seen.push(line.bytes);
        }
        let read: Vec<_> = reader.by_ref().map(|line| line.unwrap().bytes).collect();
        assert_eq!(read, seen, "{round}");
        seen.clear();
    }
}

#[test]
fn i9_a_changed_byte_is_named_with_its_file_and_line() {
    let (_parent, path, head) = filled(SMALL, 12);
    let file = path.join("log/log-000000000001.jsonl");
    let whole = fs::read(&file).unwrap();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        put(&file, &changed);
        let found = found(verify(&path, Some(head)));
        assert_eq!(found.file, "log-000000000001.jsonl", "{at}: {found}");
        let before = whole[..at].split(|byte| *byte == b'\n').count();
        let line = u64::try_from(before).unwrap();
        // A newline that is none joins two lines; a changed number shows where it is not the next.
        assert!(found.line.abs_diff(line) <= 1, "{at}: {found}");
    }
    put(&file, &whole);
    verify(&path, Some(head)).unwrap();
}

#[test]
fn i9_removed_and_swapped_lines_are_named_with_their_file_and_line() {
    let (_parent, path, head) = filled(LARGE, 9);
    let file = current(&path);
    let lines = lines_of(&file);
    for gone in 1..8 {
        let mut rest = lines.clone();
        rest.remove(gone);
        put(&file, &rest.concat());
        let found = found(verify(&path, None));
        let place = u64::try_from(gone).unwrap() + 1;
        assert_eq!((found.file.as_str(), found.line), ("log.jsonl", place));
        assert!(matches!(found.broken, Broken::Missing { expected, .. } if expected == place));
        let mut swapped = lines.clone();
        swapped.swap(gone, gone + 1);
        put(&file, &swapped.concat());
        assert_eq!(self::found(verify(&path, None)).line, place);
    }
    put(&file, &lines.concat());
    verify(&path, Some(head)).unwrap();
}

#[test]
fn i9_a_cut_end_and_a_rewritten_one_show_against_a_head_that_is_known() {
    let (_parent, path, head) = filled(SMALL, 9);
    let file = current(&path);
    let mut lines = lines_of(&file);
    lines.pop();
    put(&file, &lines.concat());
    // By itself nothing shows.
    assert_eq!(verify(&path, None).unwrap().lines, 8);
    let cut = verify(&path, Some(head)).unwrap_err();
    assert!(
        matches!(cut, NotVerified::Cut { known, found } if known == head && found.lines == 8),
        "{cut}"
    );
    assert!(growth(&path, head).unwrap().is_none());
    // Another ninth line.
    let mut chain = Chain::after(verify(&path, None).unwrap().head);
    let other = chain.append(Entry::new(Event::Stopped), Storing::Written, NOW);
    let mut bytes = lines.concat();
    bytes.extend([other.bytes, b"\n".to_vec()].concat());
    put(&file, &bytes);
    let rewritten = verify(&path, Some(head)).unwrap_err();
    assert!(matches!(rewritten, NotVerified::Rewritten { known } if known == head));
}

#[test]
fn a_log_whose_oldest_file_was_removed_says_with_which_line_it_begins() {
    let (_parent, path, head) = filled(SMALL, 12);
    let second = lines_of(&path.join("log/log-000000000001.jsonl")).len() + 1;
    fs::remove_file(path.join("log/log-000000000001.jsonl")).unwrap();
    let verified = verify(&path, Some(head)).unwrap();
    assert_eq!(verified.first, u64::try_from(second).unwrap());
}

#[test]
fn growth_from_any_head_folds_to_the_end_and_another_head_has_none() {
    let (_parent, path, head) = filled(SMALL, 12);
    let mut at = Head::EMPTY;
    for line in read(&path).unwrap() {
        let pieces = growth(&path, at).unwrap().unwrap();
        assert_eq!((pieces[0].base, pieces[0].end()), (at, head));
        let digest = sha2::Digest::finalize(<sha2::Sha256 as sha2::Digest>::new_with_prefix(
            line.unwrap().bytes,
        ));
        at = at.after(&digest.into());
    }
    assert_eq!(growth(&path, head).unwrap().unwrap()[0].end(), head);
    let other = Head {
        digest: [7; 32],
        ..head
    };
    assert!(growth(&path, other).unwrap().is_none());
}

#[test]
fn long_growth_comes_in_pieces_that_fit_a_message() {
    let (_parent, path, head) = filled(LARGE, 2050);
    let pieces = growth(&path, Head::EMPTY).unwrap().unwrap();
    assert_eq!(pieces.len(), 3);
    let mut at = Head::EMPTY;
    for piece in pieces {
        assert_eq!(piece.base, at);
        at = piece.end();
    }
    assert_eq!(at, head);
}

#[test]
fn heads_of_other_ends_are_the_latest_of_each_link() {
    let parent = tempfile::tempdir().unwrap();
    let state = state(parent.path());
    let (mut log, head) = AuditLog::open(&state, LARGE).unwrap();
    let mut chain = Chain::after(head);
    let other = |lines| Head {
        lines,
        digest: [3; 32],
    };
    for (link, lines) in [("a", 1), ("b", 2), ("a", 5)] {
        let entry = Entry {
            link: Some(link.to_owned()),
            other_log: Some(other(lines).to_string()),
            ..Entry::new(Event::Approved)
        };
        log.append(&[chain.append(entry, Storing::Written, NOW)])
            .unwrap();
    }
    let heads = heads(state.path()).unwrap();
    assert_eq!(heads.get("a"), Some(&other(5)));
    assert_eq!(heads.get("b"), Some(&other(2)));
}

#[test]
fn links_and_files_of_others_or_with_other_modes_are_refused() {
    let (parent, path, _) = filled(LARGE, 1);
    let state = state(parent.path());
    let open = || AuditLog::open(&state, LARGE).map(|_| ());
    let look = || read(&path).map(|_| ());
    for (place, bits, good) in [
        (path.join("log"), 0o750, 0o700),
        (current(&path), 0o640, 0o600),
    ] {
        fs::set_permissions(&place, Permissions::from_mode(bits)).unwrap();
        assert!(matches!(
            open(),
            Err(LogRefused(FileRefused::WrongMode { .. }))
        ));
        assert!(matches!(look(), Err(FileRefused::WrongMode { .. })));
        fs::set_permissions(&place, Permissions::from_mode(good)).unwrap();
        open().unwrap();
        look().unwrap();
    }
    // Only root can give a file away; the owner's check is the state directory's own.
    if rustix::process::geteuid().is_root() {
        for place in [current(&path), path.join("log")] {
            std::os::unix::fs::chown(&place, Some(12345), None).unwrap();
            assert!(matches!(
                open(),
                Err(LogRefused(FileRefused::WrongOwner { .. }))
            ));
            assert!(matches!(look(), Err(FileRefused::WrongOwner { .. })));
            std::os::unix::fs::chown(&place, Some(0), None).unwrap();
        }
    }
    for place in [current(&path), path.join("log")] {
        let away = parent.path().join("away");
        rename(&place, &away).unwrap();
        symlink(&away, &place).unwrap();
        assert!(matches!(
            open(),
            Err(LogRefused(FileRefused::Symlink { .. }))
        ));
        assert!(matches!(look(), Err(FileRefused::Symlink { .. })));
        fs::remove_file(&place).unwrap();
        rename(&away, &place).unwrap();
        open().unwrap();
    }
}

#[test]
fn a_file_that_something_else_changed_or_removed_takes_no_lines() {
    for remove in [true, false] {
        let (parent, path, head) = filled(LARGE, 2);
        let state = state(parent.path());
        let (mut log, _) = AuditLog::open(&state, LARGE).unwrap();
        let next = [line(&mut Chain::after(head), Storing::Written)];
        if remove {
            fs::remove_file(current(&path)).unwrap();
        } else {
            put(&current(&path), b"");
        }
        let failed = log.append(&next).unwrap_err();
        assert!(matches!(failed, LogFailed::Touched { .. }), "{failed}");
        assert_eq!(log.head(), head);
    }
}

/// The system stops the child at 1,024 bytes; a full disk answers in the same way, with a part of
/// what was written.
#[test]
fn a_file_that_cannot_grow_takes_whole_lines_alone_and_goes_on_with_room() {
    if rerun::is_child() {
        let parent = std::env::var_os("DIR").unwrap();
        let state = state(Path::new(&parent));
        let (mut log, mut head) = AuditLog::open(&state, LARGE).unwrap();
        loop {
            let mut chain = Chain::after(head);
            match log.append(&[line(&mut chain, Storing::Synced)]) {
                Ok(lines) => assert_eq!(lines, chain.head().lines),
                Err(failed) => {
                    println!("refused: {failed} ({})", failed.hint());
                    assert_eq!(log.head(), head);
                    assert!(
                        log.append(&[line(&mut Chain::after(head), Storing::Written)])
                            .is_err()
                    );
                    return;
                }
            }
            head = log.head();
        }
    }
    let parent = tempfile::tempdir().unwrap();
    drop(state(parent.path()));
    let name = "log::tests::a_file_that_cannot_grow_takes_whole_lines_alone_and_goes_on_with_room";
    let inner = rerun::child(name, &[]);
    let done = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 2; exec \"$@\"", "sh"])
        .arg(inner.get_program())
        .args(inner.get_args())
        .envs(
            inner
                .get_envs()
                .filter_map(|(key, value)| Some((key, value?))),
        )
        .env("DIR", parent.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}{done:?}");
    assert!(
        said.contains("refused: ") && said.contains("File too large"),
        "{said}"
    );
    let path = parent.path().join("state");
    let before = verify(&path, None).unwrap();
    assert!(before.lines > 1 && before.unfinished == 0, "{before:?}");
    let state = state(parent.path());
    let (mut log, head) = AuditLog::open(&state, LARGE).unwrap();
    assert_eq!(head, before.head);
    log.append(&[line(&mut Chain::after(head), Storing::Synced)])
        .unwrap();
    assert_eq!(verify(&path, Some(head)).unwrap().lines, before.lines + 1);
}

/// Whatever the writer said is written is there, and nothing half written counts.
#[test]
fn i8_a_writer_killed_at_any_moment_loses_nothing_it_reported() {
    if rerun::is_child() {
        let parent = std::env::var_os("DIR").unwrap();
        let state = state(Path::new(&parent));
        let (mut log, head) = AuditLog::open(&state, Limits { max_file: 4096 }).unwrap();
        let mut chain = Chain::after(head);
        println!("writing");
        loop {
            let batch = [(); 3].map(|()| line(&mut chain, Storing::Written));
            let lines = log.append(&batch).unwrap();
            println!("reported {lines}");
        }
    }
    let parent = tempfile::tempdir().unwrap();
    drop(state(parent.path()));
    let path = parent.path().join("state");
    let name = "log::tests::i8_a_writer_killed_at_any_moment_loses_nothing_it_reported";
    let mut known = Head::EMPTY;
    for round in 0..KILLS {
        let surroundings = [("DIR", parent.path())];
        let mut child = rerun::child(name, &surroundings).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(
            lines
                .by_ref()
                .map_while(Result::ok)
                .any(|line| line.contains("writing"))
        );
        std::thread::sleep(Duration::from_micros(u64::from(round) * 37 % 3000));
        child.kill().unwrap();
        child.wait().unwrap();
        let reported = lines
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("reported ")?.parse::<u64>().ok())
            .last()
            .unwrap_or(known.lines);
        // Half a line shows as unfinished before the next start, and not after it.
        let before = verify(&path, Some(known)).unwrap();
        let (_, head) = AuditLog::open(&state(parent.path()), LARGE).unwrap();
        assert_eq!(head, before.head, "round {round}");
        assert!(
            head.lines >= reported,
            "round {round}: {head} of {reported}"
        );
        assert_eq!(verify(&path, Some(head)).unwrap().unfinished, 0);
        known = head;
    }
    assert!(known.lines > u64::from(KILLS), "{known}");
}

/// Each takes a few milliseconds.
const KILLS: u32 = 200;

//! What is read back from disk.
use std::io::{Seek as _, Write as _};
use std::sync::{Mutex, OnceLock, PoisonError};

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use vmux_broker::PhoneRecord;
use vmux_host::state_dir::{FileKind, Holder, StateDir, StateRefused};
use vmux_link::Bond;
use vmux_signer::{AgentRecord, Identities, Pins};

/// The bodies of state files; the first byte says of which.
pub fn record(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else {
        return;
    };
    match kind % 5 {
        0 => {
            let read = |bytes: &[u8]| {
                let records = PhoneRecord::list_from_bytes(bytes).ok()?;
                Some(PhoneRecord::list_to_bytes(&records).to_vec())
            };
            settles(bytes, read);
        }
        1 => {
            let read = |bytes: &[u8]| {
                let records = AgentRecord::list_from_bytes(bytes).ok()?;
                Some(AgentRecord::list_to_bytes(&records).to_vec())
            };
            settles(bytes, read);
        }
        2 => settles(bytes, |bytes| {
            let identities = Identities::from_bytes(bytes).ok()?;
            let keys = identities.all().iter().map(|identity| &identity.key);
            assert!(keys.into_iter().all(|key| key.certificate().is_none()));
            Some(identities.to_bytes())
        }),
        3 => settles(bytes, |bytes| {
            Some(Pins::from_bytes(bytes).ok()?.to_bytes())
        }),
        _ => {
            if let Some(bond) = Bond::from_bytes(bytes) {
                assert_eq!(&bond.to_bytes()[..], bytes);
                assert!(!format!("{bond:?}").is_empty());
            }
        }
    }
}

/// What is read and written once is read and written the same ever after.
fn settles(bytes: &[u8], rewrite: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    let Some(written) = rewrite(bytes) else {
        return;
    };
    assert_eq!(rewrite(&written).as_ref(), Some(&written));
    let longer = [&written[..], &[0]].concat();
    assert_eq!(rewrite(&longer), None, "nothing may follow");
}

/// A state file, with or without the sum that belongs to it.
pub fn state_file(data: &[u8]) {
    const KIND: FileKind = FileKind {
        word: "pairings",
        version: 2,
        if_lost: "pair again",
    };
    const MAX: usize = 4096;
    static STATE: OnceLock<Mutex<(TempDir, StateDir)>> = OnceLock::new();
    let Some((form, contents)) = data.split_first() else {
        return;
    };
    let mut bytes = contents.to_vec();
    if form % 3 != 1 {
        bytes.extend(sum(contents));
    }
    if form % 3 == 2 {
        let at = bytes.len() - 2 - usize::from(*form) % 64;
        bytes[at] ^= 1;
    }
    let state = STATE.get_or_init(|| Mutex::new(state_dir()));
    let (_, dir) = &*state.lock().unwrap_or_else(PoisonError::into_inner);
    // Not replaced, which waits for the disk each time.
    let mut file = dir.append("file").expect("a file");
    file.set_len(0).expect("emptied");
    file.rewind().expect("rewound");
    file.write_all(&bytes).expect("written");
    match dir.load("file", &KIND, MAX) {
        Ok(stored) => {
            let stored = stored.expect("the file is there");
            assert!(stored.version <= KIND.version && stored.body.len() <= MAX);
            assert!(bytes.starts_with(b"VMUX pairings "));
            let (contents, end) = bytes.split_at(bytes.len() - 66);
            assert!(contents.ends_with(&stored.body));
            assert_eq!(end, sum(contents));
        }
        Err(StateRefused::NewerVersion { found, .. }) => assert!(found > KIND.version),
        Err(StateRefused::Damaged { .. } | StateRefused::File(_)) => {}
        Err(other) => panic!("{other}"),
    }
}

/// The end of a state file with these contents.
fn sum(contents: &[u8]) -> Vec<u8> {
    let digits = Sha256::digest(contents);
    let digits = digits
        .iter()
        .flat_map(|byte| format!("{byte:02x}").into_bytes());
    [b'\n'].into_iter().chain(digits).chain([b'\n']).collect()
}

fn state_dir() -> (TempDir, StateDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = StateDir::open(&folder.path().join("state"), &Holder::this("fuzzing"));
    (folder, dir.expect("a state directory"))
}

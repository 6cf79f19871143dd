//! What the programs read that no other end made: configurations, command sockets, key files.
use std::fmt::Debug;
use std::io::{Seek as _, Write as _};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::NamedTempFile;
use vmux_agent::control::{Reply, Request};

/// The text of a configuration file, of the agent and of the signer.
pub fn config(data: &[u8]) {
    static FILE: OnceLock<Mutex<NamedTempFile>> = OnceLock::new();
    let file = FILE.get_or_init(|| Mutex::new(NamedTempFile::new().expect("a file")));
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    file.as_file().set_len(0).expect("emptied");
    file.rewind().expect("rewound");
    file.write_all(data).expect("written");
    let agents = vmux_agent::fuzzing::takes_config(file.path());
    let signers = vmux_terminal::fuzzing::takes_config(file.path());
    assert!(str::from_utf8(data).is_ok() || !(agents || signers));
}

/// A private key file, as a person imports it.
pub fn key_file(data: &[u8]) {
    if let Some([public, again]) = vmux_terminal::fuzzing::key_file(data) {
        assert_eq!(public, again, "what is stored is the key that was read");
        assert!(public.certificate().is_none());
    }
}

/// One line of the control socket, either way.
pub fn control(data: &[u8]) {
    let Ok(line) = str::from_utf8(data) else {
        return;
    };
    comes_back::<Request>(line);
    comes_back::<Reply>(line);
}

fn comes_back<M: DeserializeOwned + Serialize + PartialEq + Debug>(line: &str) {
    let Ok(message) = serde_json::from_str::<M>(line) else {
        return;
    };
    let written = serde_json::to_string(&message).expect("our own type");
    assert!(!written.contains('\n'), "a message is a line");
    let again: M = serde_json::from_str(&written).expect("our own line");
    assert_eq!(again, message);
}

//! State files as other programs and other versions would write them.
//!
//! `VMUX <word> <version>`, a line feed, the body, a line feed, the SHA-256 of all that in
//! hexadecimal, a line feed.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// A whole and undamaged state file.
pub fn contents(word: &str, version: u32, body: &[u8]) -> Vec<u8> {
    let mut contents = [format!("VMUX {word} {version}\n").as_bytes(), body].concat();
    let sum = sha256(&contents);
    contents.extend_from_slice(format!("\n{sum}\n").as_bytes());
    contents
}

/// The body of a state file.
pub fn body(contents: &[u8]) -> Vec<u8> {
    let start = contents
        .iter()
        .position(|byte| *byte == b'\n')
        .expect("a first line")
        + 1;
    contents[start..contents.len() - TRAILER].to_vec()
}

/// By the system's own program, so that it is not our code that agrees with our code.
fn sha256(bytes: &[u8]) -> String {
    let mut child = Command::new("sha256sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sha256sum runs");
    child
        .stdin
        .take()
        .expect("its input")
        .write_all(bytes)
        .expect("sha256sum reads");
    let told = child.wait_with_output().expect("sha256sum ends");
    String::from_utf8_lossy(&told.stdout)
        .chars()
        .take(64)
        .collect()
}

/// Two line feeds and 64 digits.
const TRAILER: usize = 66;

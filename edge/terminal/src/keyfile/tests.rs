//! Both ways against the real `ssh-keygen`.

use super::*;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SECRET: &str = "open sesame";

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(Zeroizing::new(text.to_owned())).unwrap()
}

fn ssh_keygen(arguments: &[&str], file: &Path) -> Output {
    Command::new("ssh-keygen")
        .args(arguments)
        .arg("-f")
        .arg(file)
        .output()
        .unwrap()
}

/// A key made by `ssh-keygen`, with more arguments for it.
fn made(dir: &Path, arguments: &[&str]) -> PathBuf {
    let file = dir.join("made");
    let done = ssh_keygen(&[&["-q", "-C", "theirs"], arguments].concat(), &file);
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    file
}

fn unlock(file: &KeyFile, with: &str) -> Result<SecretKey, KeyFileRefused> {
    match file {
        KeyFile::Locked(key) => key.unlock(&passphrase(with)),
        KeyFile::Open(_) => panic!("the key lies open"),
    }
}

#[test]
fn ssh_keygen_opens_what_we_write_and_not_with_another_passphrase() {
    let dir = tempfile::tempdir().unwrap();
    for key_type in [KeyType::EcdsaP256, KeyType::Ed25519] {
        let key = SecretKey::generate(key_type).unwrap();
        let file = dir.path().join(format!("{key_type:?}"));
        let sealed = seal(&key, "ours", &passphrase(SECRET)).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a file for ssh-keygen to read")]
        std::fs::write(&file, sealed.as_bytes()).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();

        let read = ssh_keygen(&["-y", "-P", SECRET], &file);
        let line = format!("{} ours\n", key.public().to_line());
        assert_eq!(String::from_utf8(read.stdout).unwrap(), line);
        let wrong = ssh_keygen(&["-y", "-P", "open barley"], &file);
        assert!(!wrong.status.success());
    }
}

#[test]
fn we_open_what_ssh_keygen_writes() {
    for arguments in [&["-t", "ed25519"][..], &["-t", "ecdsa", "-b", "256"]] {
        let dir = tempfile::tempdir().unwrap();
        let file = made(dir.path(), &[arguments, &["-N", ""]].concat());
        let KeyFile::Open(key) = KeyFile::parse(&std::fs::read(&file).unwrap()).unwrap() else {
            panic!("not encrypted, yet locked")
        };
        let public = std::fs::read_to_string(file.with_extension("pub")).unwrap();
        assert_eq!(format!("{} theirs\n", key.public().to_line()), public);
    }
}

#[test]
fn we_open_what_ssh_keygen_encrypts_with_the_right_passphrase_only() {
    for cipher in [
        &[][..],
        &["-Z", "aes256-cbc"],
        &["-Z", "aes256-gcm@openssh.com"],
    ] {
        for arguments in [&["-t", "ed25519"][..], &["-t", "ecdsa", "-b", "256"]] {
            let dir = tempfile::tempdir().unwrap();
            let file = made(dir.path(), &[arguments, &["-N", SECRET], cipher].concat());
            let read = KeyFile::parse(&std::fs::read(&file).unwrap()).unwrap();
            let key = unlock(&read, SECRET).unwrap();
            let public = std::fs::read_to_string(file.with_extension("pub")).unwrap();
            assert!(public.starts_with(&key.public().to_line()));
            let wrong = unlock(&read, "open barley").unwrap_err();
            assert_eq!(wrong, KeyFileRefused::WrongPassphrase, "{cipher:?}");
        }
    }
}

#[test]
fn keys_of_other_types_are_refused_by_name_before_a_passphrase_is_asked_for() {
    for (arguments, name) in [
        (&["-t", "rsa", "-b", "2048"][..], "ssh-rsa"),
        (&["-t", "ecdsa", "-b", "384"], "ecdsa-sha2-nistp384"),
        (&["-t", "ecdsa", "-b", "521"], "ecdsa-sha2-nistp521"),
    ] {
        for secret in ["", SECRET] {
            let dir = tempfile::tempdir().unwrap();
            let file = made(dir.path(), &[arguments, &["-N", secret]].concat());
            let refused = KeyFile::parse(&std::fs::read(&file).unwrap()).unwrap_err();
            assert_eq!(refused, KeyFileRefused::Unsupported(name.to_owned()));
        }
    }
}

#[test]
fn what_is_no_key_in_openssh_format_is_refused_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let old = made(dir.path(), &["-t", "ecdsa", "-m", "PEM", "-N", ""]);
    let old = std::fs::read(&old).unwrap();
    let public = std::fs::read(dir.path().join("made.pub")).unwrap();
    for (bytes, why) in [
        (&old[..], KeyFileRefused::OtherFormat),
        (
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
            KeyFileRefused::OtherFormat,
        ),
        (
            b"PuTTY-User-Key-File-3: ssh-ed25519\n",
            KeyFileRefused::OtherFormat,
        ),
        (&public, KeyFileRefused::Public),
        (b"-----BEGIN PUBLIC KEY-----\n", KeyFileRefused::Public),
        (b"", KeyFileRefused::NotAKey),
        (b"\xff\xfe", KeyFileRefused::NotAKey),
        (
            b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n",
            KeyFileRefused::Damaged,
        ),
    ] {
        assert_eq!(KeyFile::parse(bytes).unwrap_err(), why);
    }
}

#[test]
fn a_file_that_names_the_public_key_of_another_is_refused() {
    let key = |bytes| SecretKey::from_bytes(KeyType::Ed25519, &[bytes; 32]).unwrap();
    let sealed = |key: &SecretKey| seal(key, "", &passphrase(SECRET)).unwrap();
    let decode = |pem: &str| PrivateKey::from_openssh(pem).unwrap().to_bytes().unwrap();
    let mut bytes = decode(&sealed(&key(1))).to_vec();
    let (own, other) = (key(1), key(2));
    let (own, other) = (own.public().blob(), other.public().blob());
    let at = bytes
        .windows(own.len())
        .position(|window| window == own)
        .unwrap();
    let unlock = |bytes: &[u8]| LockedKey(Box::new(PrivateKey::from_bytes(bytes).unwrap()));
    unlock(&bytes).unlock(&passphrase(SECRET)).unwrap();
    bytes[at..at + other.len()].copy_from_slice(other);
    let refused = unlock(&bytes).unlock(&passphrase(SECRET)).unwrap_err();
    assert_eq!(refused, KeyFileRefused::Damaged);
}

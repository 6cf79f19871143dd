//! Entries for the fuzz targets into what is private. No program calls them.
use std::path::Path;

use vmux_proto::key::PublicKey;

use crate::config::Config;
use crate::keyfile::KeyFile;
use crate::secret_key::SecretKey;

/// Whether a file is a configuration that can be used.
pub fn takes_config(file: &Path) -> bool {
    Config::load(Some(file)).is_ok()
}

/// Reads a private key file: the public half as the file's key makes it, and as the bytes lent for
/// storing make it. None if the file is refused or needs a passphrase.
pub fn key_file(bytes: &[u8]) -> Option<[PublicKey; 2]> {
    let Ok(KeyFile::Open(key)) = KeyFile::parse(bytes) else {
        return None;
    };
    let (key_type, secret) = key.expose();
    let again = SecretKey::from_bytes(key_type, &secret)?;
    Some([key.public().clone(), again.public().clone()])
}

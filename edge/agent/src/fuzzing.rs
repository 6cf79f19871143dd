//! Entries for the fuzz targets into what is private. No program calls them.
use std::path::Path;

use crate::config::Config;

/// Whether a file is a configuration that can be used.
pub fn takes_config(file: &Path) -> bool {
    vmux_host::config::load::<Config>(file).is_ok_and(|config| config.check().is_ok())
}

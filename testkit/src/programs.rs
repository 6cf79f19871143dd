//! Where programs are.

use std::env;
use std::path::{Path, PathBuf};

/// A program of the product: in `VMUX_BIN_DIR`, else beside the tests in the target directory.
pub fn product(name: &str) -> PathBuf {
    let dir = env::var_os("VMUX_BIN_DIR").map_or_else(target_dir, PathBuf::from);
    let path = dir.join(name);
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build --workspace`, or set VMUX_BIN_DIR",
        path.display()
    );
    path
}

/// A program of the system, also from where only root's PATH leads.
pub fn find(name: &str) -> PathBuf {
    search_path()
        .iter()
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed: `./test` installs what it needs"))
}

/// The Python that has paramiko: `VMUX_TEST_PYTHON`, else what `./test` has made.
pub fn python() -> PathBuf {
    let made_here = || target_dir().join("../python/bin/python");
    let path = env::var_os("VMUX_TEST_PYTHON").map_or_else(made_here, PathBuf::from);
    assert!(
        path.is_file(),
        "{} is missing: `./test` makes it, or set VMUX_TEST_PYTHON to one with paramiko",
        path.display()
    );
    path
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Where programs are looked for.
pub(crate) fn search_path() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(more).collect()
}

/// `target/debug`: the test itself is in `target/debug/deps`.
fn target_dir() -> PathBuf {
    let own = env::current_exe().expect("a test knows its own program");
    own.parent()
        .and_then(Path::parent)
        .expect("tests are built two levels down")
        .to_owned()
}

//! What cargo and the file system say about the workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// One dependency, as a manifest names it.
pub(crate) struct Import {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) ours: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Normal,
    Build,
    Test,
}

/// The workspace's crates and what each names in its manifest.
pub(crate) fn workspace() -> BTreeMap<String, Vec<Import>> {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| (text(&package["name"]), imports(package)))
        .collect()
}

/// Everything a crate is built from, itself included, on this machine.
pub(crate) fn closure(name: &str) -> BTreeSet<String> {
    let kinds = [
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ];
    let tree = cargo(&[&["tree", "--package", name][..], &kinds[..]].concat());
    let first_words = tree.lines().filter_map(|line| line.split(' ').next());
    let names: BTreeSet<_> = first_words.map(str::to_owned).collect();
    assert!(names.contains(name), "cargo tree says nothing about {name}");
    names
}

/// All files below a folder with this extension.
pub(crate) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    found
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

pub(crate) fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

fn imports(package: &Value) -> Vec<Import> {
    let dependencies = package["dependencies"].as_array().unwrap();
    dependencies
        .iter()
        .map(|dependency| Import {
            name: text(&dependency["name"]),
            kind: match dependency["kind"].as_str() {
                None => Kind::Normal,
                Some("build") => Kind::Build,
                Some("dev") => Kind::Test,
                Some(other) => panic!("cargo names a kind of dependency without a rule: {other}"),
            },
            ours: dependency["path"].is_string(),
        })
        .collect()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .arg("--offline")
        .current_dir(root())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

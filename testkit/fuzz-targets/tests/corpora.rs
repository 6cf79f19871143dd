//! Every target over its committed corpus, in every ordinary test run.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that cannot read the tree fails the test that asked"
)]
use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use vmux_fuzz_targets::{TARGETS, Target};

#[test]
fn every_property_holds_over_every_file_of_every_corpus() {
    let mut failed = Vec::new();
    for Target { name, run } in TARGETS {
        for file in files(&fuzz().join("corpus").join(name)) {
            let data = fs::read(&file).unwrap();
            if catch_unwind(|| run(&data)).is_err() {
                failed.push(file);
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn every_property_holds_over_files_that_were_cut_or_changed() {
    let mut failed = Vec::new();
    for Target { name, run } in TARGETS {
        for file in files(&fuzz().join("corpus").join(name)) {
            let data = fs::read(&file).unwrap();
            for at in (0..data.len()).step_by(1 + data.len() / 4) {
                let (cut, mut changed) = (data.split_at(at).0.to_vec(), data.clone());
                changed.splice(at..=at, [data.len().to_be_bytes()[7] ^ 0x5a]);
                for hostile in [cut, changed] {
                    if catch_unwind(|| run(&hostile)).is_err() {
                        failed.push((file.clone(), at));
                    }
                }
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn every_target_has_a_corpus_and_a_bin_and_nothing_else_has() {
    let targets: BTreeSet<_> = TARGETS.iter().map(|one| one.name.to_owned()).collect();
    assert_eq!(targets.len(), TARGETS.len(), "each name once");
    let corpora = names(&fuzz().join("corpus"), "");
    assert_eq!(corpora, targets);
    let bins = names(&fuzz().join("fuzz_targets"), ".rs");
    assert_eq!(bins, targets);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let table = fs::read_to_string(fuzz().join("../docs/fuzzing.md")).unwrap();
    for name in &targets {
        let bin = format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"");
        assert!(manifest.contains(&bin), "{name} in fuzz/Cargo.toml");
        assert!(
            table.contains(&format!("| `{name}` |")),
            "{name} in the table"
        );
    }
}

#[test]
fn the_corpora_stay_small() {
    let all: Vec<_> = TARGETS
        .iter()
        .flat_map(|target| files(&fuzz().join("corpus").join(target.name)))
        .collect();
    let bytes: u64 = all.iter().map(|file| file.metadata().unwrap().len()).sum();
    assert!(
        all.len() < 300 && bytes < 400 * 1024,
        "{} {bytes}",
        all.len()
    );
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// The files of a corpus; one without any is a mistake.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = entries(folder).collect();
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    files
}

fn names(folder: &Path, ending: &str) -> BTreeSet<String> {
    let names =
        entries(folder).map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
    names
        .map(|name| name.strip_suffix(ending).unwrap().to_owned())
        .collect()
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path())
}

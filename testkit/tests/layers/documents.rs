//! The tables and links of the documents name what exists.

use std::collections::BTreeSet;
use std::fs;
use std::mem;
use std::path::PathBuf;

use crate::tree::{assert_none, files, read, root, workspace};

#[test]
fn every_dependency_has_a_reason_and_every_reason_a_dependency() {
    let document = read(&root().join("docs/decisions/0002-dependencies.md"));
    let reasons: BTreeSet<_> = rows(&document)
        .iter()
        .flat_map(|row| quoted(&row[0]))
        .collect();
    let imports = workspace()
        .into_values()
        .flatten()
        .filter(|import| !import.ours);
    let needed: BTreeSet<_> = imports.map(|import| import.name).collect();
    let missing: Vec<_> = needed.difference(&reasons).collect();
    let idle: Vec<_> = reasons.difference(&needed).collect();
    assert!(
        missing.is_empty() && idle.is_empty(),
        "no reason: {missing:?}, not used: {idle:?}"
    );
}

#[test]
fn the_table_of_invariants_names_what_exists() {
    let document = read(&root().join("ARCHITECTURE.md"));
    let rows: Vec<_> = rows(&document)
        .into_iter()
        .filter(|row| is_invariant(&row[0]))
        .collect();
    let ids: Vec<_> = rows.iter().map(|row| row[0].clone()).collect();
    let expected: Vec<_> = (1..=INVARIANTS)
        .map(|number| format!("I{number}"))
        .collect();
    assert_eq!(ids, expected);

    let tests = tests_in_tree();
    let mut faults = Vec::new();
    for row in rows {
        let [id, _, held, shown] = &row[..] else {
            panic!("four columns, please: {row:?}")
        };
        faults.extend(
            missing_files(held)
                .iter()
                .map(|file| format!("{id}: no file {file}")),
        );
        faults.extend(
            silent_files(held, id)
                .iter()
                .map(|file| format!("{id}: not mentioned in {file}")),
        );
        faults.extend(
            missing_tests(shown, &tests)
                .iter()
                .map(|test| format!("{id}: no {test}")),
        );
    }
    assert_none(&faults);
}

#[test]
fn the_table_of_lessons_names_tests_that_exist() {
    let document = read(&root().join("docs/lessons.md"));
    let tests = tests_in_tree();
    let rows = rows(&document);
    let shown = rows.iter().filter_map(|row| row.last());
    let faults: Vec<_> = shown.flat_map(|cell| missing_tests(cell, &tests)).collect();
    assert!(!rows.is_empty());
    assert_none(&faults);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut faults = Vec::new();
    for file in documents() {
        let folder = file.parent().unwrap();
        let targets = links(&read(&file)).into_iter();
        let broken = targets.filter(|target| !folder.join(target).exists());
        faults.extend(broken.map(|target| format!("{}: {target}", file.display())));
    }
    assert_none(&faults);
}

#[test]
fn a_made_up_file_test_or_link_is_noticed() {
    let tests = BTreeSet::from(["a_real_test".to_owned()]);
    assert_eq!(
        missing_files("`Cargo.toml`, `core/no/such.rs`"),
        ["core/no/such.rs"]
    );
    assert!(mentions("//! Escaped (I20).", "I20"));
    assert!(!mentions("//! Escaped (I20).", "I2"));
    assert_eq!(
        missing_tests("`a_real_test`, `a_made_up_test`", &tests),
        ["a_made_up_test"]
    );
    assert_eq!(missing_tests("", &tests).len(), 1);
    assert!(missing_tests("not yet", &tests).is_empty());
    assert_eq!(
        links("[a](b.md#c), [d](https://example.org), [e](#f)"),
        ["b.md"]
    );
    assert_eq!(rows("| a | b |\n|---|---|\n| c | d |\n"), [["c", "d"]]);
    assert_eq!(
        tests_in("#[test]\nfn a() {}\nfn b() {}\n#[tokio::test]\nasync fn c() {}"),
        ["a", "c"]
    );
}

/// Cells of the rows of every table in a document, without heads and rules.
fn rows(document: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for line in document
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with('|'))
    {
        if line.chars().all(|c| "|-: ".contains(c)) {
            // The line before was a head.
            rows.pop();
        } else {
            rows.push(
                line.trim_matches('|')
                    .split('|')
                    .map(|cell| cell.trim().to_owned())
                    .collect(),
            );
        }
    }
    rows
}

fn is_invariant(cell: &str) -> bool {
    cell.strip_prefix('I')
        .is_some_and(|number| number.parse::<u8>().is_ok())
}

/// Files a cell names that are not there.
fn missing_files(cell: &str) -> Vec<String> {
    named(cell)
        .into_iter()
        .filter(|file| !root().join(file).is_file())
        .collect()
}

/// Files a cell names that do not mention the invariant, so that `grep` would not find them.
fn silent_files(cell: &str, id: &str) -> Vec<String> {
    let files = quoted(cell)
        .into_iter()
        .filter(|file| root().join(file).is_file());
    files
        .filter(|file| !mentions(&read(&root().join(file)), id))
        .collect()
}

fn mentions(source: &str, id: &str) -> bool {
    source
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| word == id)
}

/// Tests a cell names that no crate has.
fn missing_tests(cell: &str, tests: &BTreeSet<String>) -> Vec<String> {
    named(cell)
        .into_iter()
        .filter(|test| !tests.contains(test))
        .collect()
}

/// What a cell names; a cell that names nothing has to say so.
fn named(cell: &str) -> Vec<String> {
    let names = quoted(cell);
    if names.is_empty() && !cell.contains("not yet") {
        return vec![format!("name in {cell:?}, write \"not yet\"")];
    }
    names
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// Names of all test functions of the workspace.
fn tests_in_tree() -> BTreeSet<String> {
    let folders = ["core", "edge", "launch", "testkit"];
    let sources = folders
        .iter()
        .flat_map(|folder| files(&root().join(folder), "rs"));
    sources.flat_map(|file| tests_in(&read(&file))).collect()
}

fn tests_in(source: &str) -> Vec<String> {
    let mut tests = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some((_, function)) = line.split_once("fn ")
            && mem::take(&mut is_test)
        {
            tests.extend(function.split(['(', '<']).next().map(str::to_owned));
        }
    }
    tests
}

fn documents() -> Vec<PathBuf> {
    let top = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let top = top.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    top.chain(files(&root().join("docs"), "md")).collect()
}

/// Targets of a document's links that are files of ours.
fn links(document: &str) -> Vec<String> {
    let targets = document
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let ours = targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
    let paths = ours.filter_map(|target| target.split('#').next());
    paths
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
        .collect()
}

const INVARIANTS: u8 = 21;

//! The load tool stays alive: every part runs, with a few samples. Nothing here looks at a time.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[test]
fn every_part_measures_something() {
    let program = Path::new(env!("CARGO_BIN_EXE_vmux-bench"));
    let programs = program.parent().unwrap();
    assert!(
        programs.join("vmux-agent").is_file() && programs.join("vmux-relay").is_file(),
        "the programs are missing: run `cargo build --workspace`"
    );
    let ran = Command::new(program)
        .args(["all", "--quick", "--json", "--bin-dir"])
        .arg(programs)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    let rows: Vec<Value> = serde_json::from_slice(&ran.stdout).unwrap();
    for part in [
        "list, 200 clients",
        "binding, rsa-3072",
        "sign in process",
        "sign on the phone",
        "phone stalled",
        "idle clients",
        "first answer",
        "each idle phone",
        "frames of 512 bytes",
    ] {
        let measured = |row: &&Value| row["what"].as_str().unwrap().contains(part);
        let row = rows.iter().find(measured);
        let row = row.unwrap_or_else(|| panic!("nothing of {part:?}: {said}"));
        assert!(row["ours"]["p50"].as_u64().unwrap() > 0, "{row}");
    }
}

#[test]
fn an_unknown_part_is_refused() {
    let ran = Command::new(env!("CARGO_BIN_EXE_vmux-bench"))
        .arg("everything")
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(2));
}

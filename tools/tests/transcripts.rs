//! Recorded runs of the field's tools, replayed with ours: as many as ever must pass.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

/// Data, tool and how many of its transcripts must pass. Raise a number when more do; never lower it.
const FLOORS: &[(&str, &str, u64)] = &[
    ("pacemaker-cli", "crm_mon", 65),
    ("pacemaker-cli", "crm_simulate", 10),
    ("pacemaker-views", "crm_mon", 515),
    ("pacemaker-views", "crm_simulate", 265),
];

#[test]
fn as_many_recorded_runs_pass_as_ever() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let script = shared.join("conformance/cli");
    if !script.is_file() {
        eprintln!("skipped: there is no {}", script.display());
        return;
    }
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: python3, which replays the transcripts, is not installed");
        return;
    }
    let mut low = Vec::new();
    for (data, tool, floor) in FLOORS {
        let passed = passed(&script, &shared.join(data), tool);
        eprintln!("{data}: {tool} passes {passed}, floor {floor}");
        if passed < *floor {
            low.push(format!("{data}: {tool} passes {passed}, floor {floor}"));
        }
    }
    assert!(low.is_empty(), "{low:#?}");
}

fn passed(script: &Path, data: &Path, tool: &str) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let links = links(dir.path(), tool);
    // Every run has a deadline of its own in the script.
    let output = Command::new(script)
        .arg(&links)
        .arg("--data")
        .arg(data)
        .args(["--tool", tool])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().rev().find(|l| l.contains(" passed, "));
    let number = last.and_then(|l| l.split(' ').next()?.parse().ok());
    number.unwrap_or_else(|| panic!("{}: {output:?}", script.display()))
}

/// A directory with the executable under the name of a tool.
fn links(dir: &Path, tool: &str) -> PathBuf {
    let links = dir.join("bin");
    fs::create_dir(&links).unwrap();
    symlink(env!("CARGO_BIN_EXE_systole"), links.join(tool)).unwrap();
    links
}

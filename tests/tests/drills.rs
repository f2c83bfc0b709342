//! Every drill once against one lab, and the proof that their audit can fail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // nothing here but tests

use std::{fs, process::Command, time::Duration};
use tests::{CommandLab, Ended, executable, run};

fn last_report(text: &str) -> &str {
    text.split("Report:").last().unwrap_or_default()
}

#[test]
fn every_drill_finds_what_it_expects() {
    let Some(program) = executable("drills") else {
        return;
    };
    let lab = CommandLab::up(&program, &[]);
    for drill in [
        "planned-move",
        "resource-crash",
        "daemon-crash",
        "node-crash",
        "node-silent",
        "partition",
        "full-restart",
    ] {
        let ended = lab.drill(drill, &[]);
        as_expected(drill, &ended);
    }
}

/// Those that need another lab than the usual one make it themselves.
#[test]
fn drills_make_the_lab_they_need() {
    let Some(program) = executable("drills with a lab of their own") else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    for drill in ["double-crash", "link-loss", "disk-full"] {
        let mut command = Command::new(&program);
        command
            .env("XDG_RUNTIME_DIR", place.path())
            .args(["drill", drill]);
        as_expected(drill, &run(&mut command, Duration::from_secs(240)));
        let left: Vec<_> = fs::read_dir(place.path()).unwrap().collect();
        assert!(left.is_empty(), "{drill} left behind {left:?}");
    }
}

fn as_expected(drill: &str, ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{drill}:\n{}", ended.text);
    let expected = ended.text.find("Expected:").unwrap_or(usize::MAX);
    let happened = ended.text.find("Run 1").unwrap_or(0);
    assert!(
        expected < happened,
        "{drill} must say first what it expects:\n{}",
        ended.text
    );
    assert!(
        last_report(&ended.text).contains("every expectation held"),
        "{drill}:\n{}",
        ended.text
    );
}

#[test]
fn a_double_start_on_purpose_fails_the_drill() {
    let Some(program) = executable("a double start") else {
        return;
    };
    let lab = CommandLab::up(&program, &[]);
    let audit = lab.audit();
    assert_eq!(audit.code, Some(0), "{}", audit.text);
    let line = audit
        .text
        .lines()
        .find(|l| l.starts_with("web is active on "))
        .unwrap_or_default();
    let home = line.rsplit(' ').next().unwrap_or_default().to_owned();
    let other = ["alpha", "beta", "gamma"]
        .into_iter()
        .find(|n| *n != home)
        .unwrap();
    assert_eq!(lab.agent(other, "web", "start").code, Some(0));
    let ended = lab.drill("planned-move", &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.text);
    assert!(ended.text.contains("ACTIVE TWICE"), "{}", ended.text);
    assert!(
        ended.text.contains(&format!("web started on {other}")),
        "{}",
        ended.text
    );
}

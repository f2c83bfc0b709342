//! The demo, as a stranger sees it: as root and as an ordinary user, with nothing left behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // nothing here but tests

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tests::{executable, is_root, leftovers, run};

const LIMIT: Duration = Duration::from_secs(180);
/// An unprivileged user that every Linux has.
const NOBODY: &str = "65534";

fn check(json: &Path, text: &str) {
    let report: serde_json::Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    for key in ["detection_ms", "fencing_ms", "start_ms", "failover_ms"] {
        let value = report[key]
            .as_f64()
            .unwrap_or_else(|| panic!("{key} is missing in {report}"));
        assert!((0.0..30_000.0).contains(&value), "{key} is {value}");
    }
    let sum: f64 = ["detection_ms", "fencing_ms", "start_ms"]
        .iter()
        .filter_map(|k| report[k].as_f64())
        .sum();
    let failover = report["failover_ms"].as_f64().unwrap();
    assert!(
        (sum - failover).abs() < 1.0,
        "the parts make {sum}, the whole is {failover}"
    );
    assert_eq!(report["double_active"], 0);
    assert_eq!(report["ok"], true);
    assert_eq!(report["label"], "kernel survives");
    for line in [
        "is to be fenced",
        "is off: nothing of it is left running",
        "runs here",
        "boots: life 2",
    ] {
        assert!(text.contains(line), "'{line}' is missing in:\n{text}");
    }
    assert!(
        !text.contains('\u{1b}'),
        "colour belongs on a terminal only"
    );
}

#[test]
fn as_we_are() {
    let Some(program) = executable("demo") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("run");
    fs::create_dir(&place).unwrap();
    let json = dir.path().join("demo.json");
    let mut demo = Command::new(program);
    demo.env("XDG_RUNTIME_DIR", &place)
        .args(["demo", "--json"])
        .arg(&json);
    let ended = run(&mut demo, LIMIT);
    assert_eq!(ended.code, Some(0), "{}", ended.text);
    check(&json, &ended.text);
    assert_eq!(
        leftovers(&place.display().to_string(), &place),
        Vec::<String>::new()
    );
}

#[test]
fn copied_out_as_an_ordinary_user() {
    let Some(program) = executable("demo as an ordinary user") else {
        return;
    };
    if !is_root() {
        println!("skipped: demo as an ordinary user: only root can become one; we are one already");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let copy = dir.path().join("systole");
    fs::copy(program, &copy).unwrap();
    let place = dir.path().join("run");
    fs::create_dir(&place).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o777)).unwrap();
    let json = dir.path().join("demo.json");
    let mut demo = Command::new("setpriv");
    demo.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"])
        .arg(&copy)
        .args(["demo", "--json"])
        .arg(&json);
    let ended = run(demo.env("XDG_RUNTIME_DIR", &place).current_dir("/"), LIMIT);
    assert_eq!(ended.code, Some(0), "{}", ended.text);
    check(&json, &ended.text);
    assert_eq!(
        leftovers(&place.display().to_string(), &place),
        Vec::<String>::new()
    );
}

/// Interrupts the demo with a signal once it has said `words`; what is left behind.
fn interrupted(signal: &str, words: &str) -> Option<Vec<String>> {
    let program = executable("an interrupted demo")?;
    let dir = tempfile::tempdir().unwrap();
    let mut demo = Command::new(program);
    let demo = demo
        .env("XDG_RUNTIME_DIR", dir.path())
        .arg("demo")
        .stdout(Stdio::piped());
    let mut demo = demo.stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let said = lines.any(|line| line.unwrap().contains(words));
    assert!(said, "the demo ended before it said '{words}'");
    Command::new("kill")
        .args(["-s", signal, &demo.id().to_string()])
        .status()
        .unwrap();
    // Whoever still holds the other end may go on writing.
    for _ in lines {}
    let code = demo.wait().unwrap().code();
    assert_ne!(code, Some(0));
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let left = leftovers(&dir.path().display().to_string(), dir.path());
        if left.is_empty() || Instant::now() > deadline {
            return Some(left);
        }
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    for words in ["nodes boot", "joins", "Expected:"] {
        let Some(left) = interrupted("INT", words) else {
            return;
        };
        assert_eq!(left, Vec::<String>::new(), "after '{words}'");
    }
}

#[test]
fn even_sigkill_leaves_nothing_behind() {
    let Some(left) = interrupted("KILL", "resources start") else {
        return;
    };
    assert_eq!(left, Vec::<String>::new());
}

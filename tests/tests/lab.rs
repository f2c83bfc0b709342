//! The lab itself: nodes, links, power, audit. No cluster is needed for these.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // nothing here but tests

use std::{fs, time::Duration};
use tests::{CommandLab, executable, leftovers, run};

fn bare(test: &str, more: &[&str]) -> Option<CommandLab> {
    let program = executable(test)?;
    let args: Vec<&str> = std::iter::once("--bare")
        .chain(more.iter().copied())
        .collect();
    Some(CommandLab::up(&program, &args))
}

/// Exit code 1 of bash: refused at once. 124 of timeout: silence, for longer than the kernel takes to ask for
/// a neighbour's hardware address a second and a third time.
fn reaches(lab: &CommandLab, from: &str, address: &str) -> Option<i32> {
    lab.sh(
        from,
        &format!("timeout 3 bash -c 'exec 3<>/dev/tcp/{address}/9' 2>/dev/null"),
    )
    .code
}

const REFUSED: Option<i32> = Some(1);
const SILENT: Option<i32> = Some(124);

#[test]
fn nodes_are_apart_and_reach_one_another() {
    let Some(lab) = bare("nodes are apart", &["--links", "2"]) else {
        return;
    };
    let told = lab.sh(
        "beta",
        "hostname; ls /tmp | wc -l; cat /proc/1/cmdline | tr '\\0' ' '; ls /run",
    );
    assert!(
        told.text
            .starts_with("beta\n0\n/run/lab/bin/systole lab init"),
        "{}",
        told.text
    );
    assert_eq!(reaches(&lab, "alpha", "192.0.2.2"), REFUSED);
    assert_eq!(reaches(&lab, "alpha", "198.51.100.3"), REFUSED);
    assert_eq!(
        lab.lab("exec", &["alpha", "sh", "-c", "exit 7"]).code,
        Some(7)
    );
    let unknown = lab.lab("exec", &["omega", "true"]);
    assert!(
        unknown.text.contains("alpha, beta, gamma"),
        "{}",
        unknown.text
    );
}

#[test]
fn a_killed_node_refuses_for_a_moment_and_then_is_silent() {
    let Some(lab) = bare("a killed node", &[]) else {
        return;
    };
    lab.sh("alpha", "sleep 1000 & disown");
    assert_eq!(lab.lab("kill", &["alpha"]).code, Some(0));
    assert_eq!(
        reaches(&lab, "beta", "192.0.2.1"),
        REFUSED,
        "its kernel still answers"
    );
    assert!(lab.lab("status", &[]).text.contains("alpha    crashed"));
    std::thread::sleep(Duration::from_millis(1300));
    assert_eq!(
        reaches(&lab, "beta", "192.0.2.1"),
        SILENT,
        "its addresses are gone"
    );
    assert_eq!(lab.lab("on", &["alpha"]).code, Some(0));
    assert!(lab.lab("status", &[]).text.contains("running  life 2"));
    assert_eq!(reaches(&lab, "beta", "192.0.2.1"), REFUSED);
    let processes = lab.sh("alpha", "ps -A -o args= | grep -c 'sleep 100[0]'");
    assert_eq!(
        processes.text.trim(),
        "0",
        "a new life has no old processes"
    );
}

#[test]
fn links_are_cut_one_way_or_both_and_heal() {
    let Some(lab) = bare("cut links", &["--links", "2"]) else {
        return;
    };
    assert_eq!(lab.lab("cut", &["alpha", "beta"]).code, Some(0));
    assert_eq!(reaches(&lab, "alpha", "192.0.2.2"), SILENT);
    assert_eq!(reaches(&lab, "beta", "198.51.100.1"), SILENT);
    assert_eq!(reaches(&lab, "gamma", "192.0.2.1"), REFUSED);
    assert_eq!(lab.lab("heal", &[]).code, Some(0));
    assert_eq!(reaches(&lab, "alpha", "192.0.2.2"), REFUSED);
    assert_eq!(
        lab.lab("cut", &["alpha", "beta", "--one-way", "--link", "1"])
            .code,
        Some(0)
    );
    assert_eq!(
        reaches(&lab, "alpha", "192.0.2.2"),
        REFUSED,
        "the other link is whole"
    );
    assert_eq!(reaches(&lab, "alpha", "198.51.100.2"), SILENT);
    let shown = lab.lab("status", &[]).text;
    assert!(
        shown.contains("cut: alpha -> beta (link 1)") && !shown.contains("beta -> alpha"),
        "{shown}"
    );
}

#[test]
fn fencing_ends_everything_and_is_written_down() {
    let Some(lab) = bare("the fencing socket", &[]) else {
        return;
    };
    assert_eq!(lab.agent("gamma", "web", "start").code, Some(0));
    let listed = lab.fence("beta", r#"{"op":"list"}"#);
    assert_eq!(
        listed.trim(),
        r#"{"ok":true,"nodes":["alpha","beta","gamma"]}"#
    );
    let off = lab.fence("beta", r#"{"op":"off","node":"gamma"}"#);
    assert_eq!(off.trim(), r#"{"ok":true,"power":"off"}"#);
    assert_eq!(lab.agent("alpha", "web", "start").code, Some(0));
    assert_eq!(
        lab.audit().code,
        Some(0),
        "the lock was free: nothing of gamma was left"
    );
    assert_eq!(
        lab.fence("beta", r#"{"op":"status","node":"gamma"}"#)
            .trim(),
        r#"{"ok":true,"power":"off"}"#
    );
    assert_eq!(
        lab.fence("beta", r#"{"op":"on","node":"gamma"}"#).trim(),
        r#"{"ok":true,"power":"on"}"#
    );
    let down = lab.fence("beta", r#"{"op":"down"}"#);
    assert!(
        down.contains(r#""ok":false"#),
        "a node may not end the lab: {down}"
    );
    let nonsense = lab.fence("beta", "nonsense");
    assert!(nonsense.contains(r#""ok":false"#), "{nonsense}");
    let events = fs::read_to_string(lab.dir().join("events.jsonl")).unwrap();
    let of = |event: &str| events.lines().filter(|l| l.contains(event)).count();
    assert_eq!(
        (of("fence-request"), of("fence-done"), of("by beta")),
        (1, 1, 2),
        "{events}"
    );
}

#[test]
fn a_node_that_is_kept_off_stays_off() {
    let Some(lab) = bare("keep off", &[]) else {
        return;
    };
    assert_eq!(lab.lab("off", &["gamma", "--keep"]).code, Some(0));
    let on = lab.fence("beta", r#"{"op":"on","node":"gamma"}"#);
    assert!(on.contains("kept off"), "{on}");
    assert_eq!(lab.lab("on", &["gamma"]).code, Some(0));
    assert!(
        lab.lab("status", &[])
            .text
            .contains("gamma    running  life 2")
    );
}

#[test]
fn the_audit_sees_a_service_that_runs_twice() {
    let Some(lab) = bare("the audit", &[]) else {
        return;
    };
    assert_eq!(lab.agent("alpha", "web", "monitor").code, Some(7));
    assert_eq!(lab.agent("alpha", "web", "start").code, Some(0));
    assert_eq!(lab.agent("alpha", "web", "monitor").code, Some(0));
    assert_eq!(
        lab.agent("alpha", "web", "start").code,
        Some(0),
        "it runs already"
    );
    assert_eq!(lab.agent("alpha", "web", "stop").code, Some(0));
    assert_eq!(
        lab.agent("alpha", "web", "stop").code,
        Some(0),
        "it is stopped already"
    );
    assert_eq!(lab.agent("beta", "web", "start").code, Some(0));
    assert_eq!(lab.audit().code, Some(0), "one after another is right");
    assert_eq!(lab.agent("gamma", "web", "start").code, Some(0));
    let audit = lab.audit();
    assert_eq!(audit.code, Some(1), "{}", audit.text);
    assert!(
        audit.text.contains("DOUBLE: web started on gamma"),
        "{}",
        audit.text
    );
    assert!(
        audit.text.contains("while active on beta"),
        "{}",
        audit.text
    );
}

#[test]
fn a_dead_service_is_noticed() {
    let Some(lab) = bare("a dead service", &[]) else {
        return;
    };
    assert_eq!(lab.agent("alpha", "web", "start").code, Some(0));
    lab.sh(
        "alpha",
        "kill -KILL $(cat /run/resource-agents/Audited-web.pid)",
    );
    assert_eq!(lab.agent("alpha", "web", "monitor").code, Some(7));
    let events = fs::read_to_string(lab.dir().join("shared/audit/events")).unwrap();
    assert!(
        events.contains(r#""event":"monitor-failed","node":"alpha""#),
        "{events}"
    );
}

#[test]
fn nothing_of_a_lab_is_left_behind() {
    let Some(program) = executable("nothing is left") else {
        return;
    };
    let lab = CommandLab::up(&program, &["--bare"]);
    lab.sh("beta", "setsid sleep 1000 & disown");
    let dir = lab.dir();
    let word = dir.display().to_string();
    assert_eq!(lab.lab("down", &[]).code, Some(0));
    let parent = dir.parent().unwrap();
    assert_eq!(leftovers(&word, parent), Vec::<String>::new());
    let again = lab.lab("down", &[]);
    assert!(again.text.contains("there is no lab"), "{}", again.text);
}

#[test]
fn a_lab_does_not_grow_over_another() {
    let Some(lab) = bare("a second lab in the same place", &[]) else {
        return;
    };
    let second = lab.lab("up", &["--bare"]);
    assert_eq!(second.code, Some(1));
    assert!(second.text.contains("is not empty"), "{}", second.text);
    let mut command = std::process::Command::new(executable("limits").unwrap());
    let many = run(
        command.args(["lab", "up", "--nodes", "99"]),
        Duration::from_secs(10),
    );
    assert!(many.text.contains("1 to 12 nodes"), "{}", many.text);
}

use super::*;
use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Instant};

const LIMITS: Limits = Limits {
    parallel: 4,
    parallel_per_alert: 2,
    queue_per_alert: 3,
};

fn agent(dir: &Path, name: &str, body: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn call(alert: &str, path: &str, timeout_ms: u64) -> Call {
    Call {
        alert: alert.to_owned(),
        path: path.to_owned(),
        timeout_ms,
        timestamp_format: "%s".to_owned(),
        environment: [("CRM_alert_kind".to_owned(), "node".to_owned())].into(),
    }
}

async fn all_ended(alerts: &Alerts) {
    timeout(Duration::from_secs(20), alerts.all_ended())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_hung_agent_is_ended_at_its_time_and_the_others_run() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let hangs = agent(dir.path(), "hangs", "trap '' TERM; sleep 600 & sleep 600");
    let works = agent(
        dir.path(),
        "works",
        &format!("echo $CRM_alert_kind >> {}", out.display()),
    );
    let alerts = Alerts::new(LIMITS, "", &out.display().to_string(), false);
    let started = Instant::now();
    alerts.tell(vec![
        call("hangs", &hangs, 300),
        call("hangs", &hangs, 300),
        call("works", &works, 10_000),
    ]);
    assert!(
        started.elapsed() < Duration::from_millis(250),
        "nobody waits"
    );
    all_ended(&alerts).await;
    assert_eq!(fs::read_to_string(out).unwrap(), "node\n");
    let counts = alerts.counts();
    assert_eq!(counts["hangs"].timed_out, 2);
    assert_eq!(counts["works"].called, 1);
    assert_eq!(counts["works"].failed, 0);
}

#[tokio::test]
async fn what_cannot_run_or_fails_is_counted_and_too_much_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let fails = agent(dir.path(), "fails", "exit 3");
    let waits = agent(dir.path(), "waits", "sleep 0.2");
    let alerts = Alerts::new(LIMITS, "", &dir.path().display().to_string(), false);
    alerts.tell(vec![
        call("missing", "/nowhere/at-all", 1_000),
        call("fails", &fails, 10_000),
    ]);
    all_ended(&alerts).await;
    assert_eq!(alerts.counts()["missing"].failed, 1);
    assert_eq!(alerts.counts()["fails"].failed, 1);
    alerts.tell((0..20).map(|_| call("waits", &waits, 10_000)).collect());
    all_ended(&alerts).await;
    let count = alerts.counts()["waits"];
    assert_eq!(count.called + count.dropped, 20);
    assert!((3..=5).contains(&count.called), "{count:?}");
}

#[tokio::test]
async fn the_end_of_the_daemon_ends_them() {
    let dir = tempfile::tempdir().unwrap();
    let hangs = agent(dir.path(), "hangs", "sleep 600");
    let alerts = Alerts::new(LIMITS, "", &dir.path().display().to_string(), false);
    alerts.tell((0..4).map(|_| call("hangs", &hangs, 600_000)).collect());
    let started = Instant::now();
    alerts.finish(Duration::from_millis(300)).await;
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(alerts.state().queue.is_idle());
}

#[tokio::test]
async fn agents_of_an_earlier_run_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let life = dir.path().display().to_string();
    let program = Program::new("/bin/sleep").arg("600");
    let running = program.mark(format!("{life}/alert")).spawn().unwrap();
    assert!(Alerts::new(LIMITS, "", &life, false).leftovers().is_empty());
    let alerts = Alerts::new(LIMITS, "", &life, true);
    let found = alerts.leftovers();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].pgid, running.group().pgid);
    running.canceller().cancel();
    running.wait().await.unwrap();
}

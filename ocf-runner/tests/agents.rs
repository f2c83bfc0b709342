//! Real agents: ours, and Debian's unchanged.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use ocf_runner::{Action, Config, Outcome, Runner, SHIPPED, Status};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tempfile::TempDir;

struct Bench {
    dir: TempDir,
    runner: Runner,
}

impl Bench {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let agents = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agents/ocf");
        let runner = Runner::new(Config {
            extra_dirs: vec![agents, dir.path().join("more")],
            scratch_dir: Some(dir.path().to_owned()),
            kill_grace_ms: 100,
            ..Config::default()
        });
        Self { dir, runner }
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn action(&self, provider: &str, kind: &str, operation: &str) -> Action {
        Action {
            resource: "r1".to_owned(),
            class: "ocf".to_owned(),
            provider: Some(provider.to_owned()),
            kind: kind.to_owned(),
            operation: operation.to_owned(),
            timeout_ms: 20_000,
            parameters: BTreeMap::from([("state".to_owned(), self.state().display().to_string())]),
            ..Action::default()
        }
    }

    async fn run(&self, action: &Action) -> Outcome {
        self.runner.run(action, |_, _| {}).await
    }

    async fn rc(&self, kind: &str, operation: &str) -> i32 {
        let outcome = self.run(&self.action("systole", kind, operation)).await;
        assert_eq!(outcome.status, Status::Done, "{outcome:?}");
        outcome.rc
    }

    /// An agent of the test's own.
    fn write_agent(&self, kind: &str, script: &str) {
        let dir = self.dir.path().join("more/test");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(kind), script).unwrap();
        fs::set_permissions(dir.join(kind), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[tokio::test]
async fn dummy_starts_is_watched_and_stops() {
    let b = Bench::new();
    for (operation, rc) in [
        ("monitor", 7),
        ("validate-all", 0),
        ("start", 0),
        ("start", 0),
        ("monitor", 0),
        ("reload-agent", 0),
        ("stop", 0),
        ("stop", 0),
        ("monitor", 7),
        ("nonsense", 3),
    ] {
        assert_eq!(b.rc("Dummy", operation).await, rc, "{operation}");
    }
}

#[tokio::test]
async fn stateful_is_promoted_and_demoted() {
    let b = Bench::new();
    for (operation, rc) in [
        ("monitor", 7),
        ("promote", 7),
        ("start", 0),
        ("monitor", 0),
        ("promote", 0),
        ("monitor", 8),
        ("notify", 0),
        ("start", 1),
        ("demote", 0),
        ("monitor", 0),
        ("stop", 0),
        ("demote", 7),
        ("monitor", 7),
    ] {
        assert_eq!(b.rc("Stateful", operation).await, rc, "{operation}");
    }
    fs::write(b.state(), "half a wo").unwrap();
    assert_eq!(b.rc("Stateful", "monitor").await, 1);
}

#[tokio::test]
async fn the_reason_of_a_failure_comes_through() {
    let b = Bench::new();
    let mut action = b.action("systole", "Dummy", "monitor");
    action.interval_ms = 10_000;
    let outcome = b.run(&action).await;
    assert_eq!(outcome.rc, 7);
    assert!(outcome.reason.ends_with("is gone"), "{outcome:?}");

    let mut wrong = b.action("systole", "Dummy", "start");
    wrong.parameters.insert("state".into(), "relative".into());
    let outcome = b.run(&wrong).await;
    assert_eq!(outcome.rc, 6);
    assert!(outcome.reason.contains("absolute path"), "{outcome:?}");
}

#[tokio::test]
async fn a_start_fails_where_it_is_asked_to() {
    let b = Bench::new();
    let mut action = b.action("systole", "Dummy", "start");
    for (name, value) in [("fail_start_on", "n2"), ("CRM_meta_on_node", "n2")] {
        action.parameters.insert(name.into(), value.into());
    }
    assert_eq!(b.run(&action).await.rc, 1);
    action
        .parameters
        .insert("CRM_meta_on_node".into(), "n1".into());
    assert_eq!(b.run(&action).await.rc, 0);
}

#[tokio::test]
async fn our_metadata_can_be_read() {
    let b = Bench::new();
    for kind in ["Dummy", "Stateful"] {
        let (_, metadata) = b.runner.metadata("systole", kind).await.unwrap();
        assert_eq!(metadata.name, kind);
        assert!(metadata.parameters.iter().any(|p| p.name == "state"));
        for name in ["start", "stop", "monitor", "meta-data", "validate-all"] {
            let action = metadata.actions.iter().find(|a| a.name == name);
            assert!(action.unwrap().timeout_ms.is_some(), "{kind} {name}");
        }
    }
}

#[tokio::test]
async fn our_agents_are_quick() {
    let b = Bench::new();
    for kind in ["Dummy", "Stateful"] {
        assert_eq!(b.rc(kind, "start").await, 0);
        let mut times = Vec::new();
        for _ in 0..20 {
            let before = Instant::now();
            b.rc(kind, "monitor").await;
            times.push(before.elapsed());
        }
        times.sort();
        println!(
            "{kind} monitor: median {:?}, worst {:?}",
            times[10], times[19]
        );
        assert!(times[10] < Duration::from_millis(100), "{times:?}");
        b.rc(kind, "stop").await;
    }
}

#[tokio::test]
async fn a_deadline_is_a_time_out_with_its_cause() {
    let b = Bench::new();
    b.write_agent(
        "Slow",
        "#!/bin/sh\necho waiting for the disk >&2\nsleep 30\n",
    );
    let mut action = b.action("test", "Slow", "start");
    action.timeout_ms = 200;
    let mut spawned = None;
    let outcome = b
        .runner
        .run(&action, |group, _| spawned = Some(group.clone()))
        .await;
    assert_eq!((outcome.status, outcome.rc), (Status::TimedOut, 1));
    assert!(outcome.reason.contains("200 ms"), "{outcome:?}");
    assert!(
        outcome.reason.contains("waiting for the disk"),
        "{outcome:?}"
    );
    assert!(process::leftover::members(&spawned.unwrap()).is_empty());
}

#[tokio::test]
async fn what_is_not_there_is_not_installed() {
    let b = Bench::new();
    let outcome = b.run(&b.action("systole", "Nothing", "start")).await;
    assert_eq!((outcome.status, outcome.rc), (Status::NotInstalled, 5));
    b.write_agent("NoShell", "#!/nonexistent/shell\n");
    let outcome = b.run(&b.action("test", "NoShell", "start")).await;
    assert_eq!((outcome.status, outcome.rc), (Status::NotInstalled, 5));
    let mut action = b.action("systole", "Dummy", "start");
    action.class = "upstart".into();
    assert_eq!(b.run(&action).await.status, Status::NotInstalled);
}

#[tokio::test]
async fn a_signal_and_a_cancellation_are_told_apart() {
    let b = Bench::new();
    b.write_agent("Dies", "#!/bin/sh\nkill -9 $$\n");
    let outcome = b.run(&b.action("test", "Dies", "start")).await;
    assert_eq!(outcome.status, Status::Error);
    b.write_agent("Waits", "#!/bin/sh\nsleep 30\n");
    let outcome = b
        .runner
        .run(&b.action("test", "Waits", "start"), |_, c| c.cancel())
        .await;
    assert_eq!(outcome.status, Status::Cancelled);
}

#[tokio::test]
async fn init_scripts_are_translated() {
    let dir = TempDir::new().unwrap();
    let script = dir.path().join("svc");
    fs::write(
        &script,
        "#!/bin/sh\n[ \"$1\" = status ] && exit 3\nexit 0\n",
    )
    .unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let runner = Runner::new(Config {
        init_dir: dir.path().to_owned(),
        ..Config::default()
    });
    let run = async |operation: &str| {
        let action = Action {
            class: "lsb".to_owned(),
            kind: "svc".to_owned(),
            operation: operation.to_owned(),
            ..Action::default()
        };
        runner.run(&action, |_, _| {}).await
    };
    assert_eq!(run("monitor").await.rc, 7);
    assert_eq!(run("start").await.rc, 0);
    assert_eq!(run("promote").await.status, Status::NotSupported);
}

#[tokio::test]
async fn shipped_agents_are_the_files() {
    for (path, text) in SHIPPED {
        assert!(text.starts_with("#!/bin/sh"), "{path}");
    }
}

/// Debian's package, if it is here.
fn debian_agents() -> bool {
    let there = Path::new("/usr/lib/ocf/resource.d/heartbeat/Dummy").exists();
    if !there {
        println!("skipped: the package resource-agents is not installed");
    }
    there
}

#[tokio::test]
async fn debians_dummy_unchanged() {
    if !debian_agents() {
        return;
    }
    let b = Bench::new();
    for (operation, rc) in [
        ("monitor", 7),
        ("validate-all", 0),
        ("start", 0),
        ("monitor", 0),
        ("stop", 0),
        ("monitor", 7),
        ("bogus", 3),
    ] {
        let outcome = b.run(&b.action("heartbeat", "Dummy", operation)).await;
        assert_eq!(outcome.rc, rc, "{operation}: {outcome:?}");
    }
    let mut action = b.action("heartbeat", "Dummy", "monitor");
    action.interval_ms = 10_000;
    let outcome = b.run(&action).await;
    assert_eq!(outcome.reason, "No process state file found");
}

#[tokio::test]
async fn debians_metadata_can_be_read() {
    if !debian_agents() {
        return;
    }
    let b = Bench::new();
    let (_, metadata) = b.runner.metadata("heartbeat", "IPaddr2").await.unwrap();
    let ip = metadata.parameters.iter().find(|p| p.name == "ip").unwrap();
    assert!(ip.required && ip.longdesc.contains("IPv4"));
    let monitor = metadata.actions.iter().find(|a| a.name == "monitor");
    assert_eq!(monitor.unwrap().interval_ms, Some(10_000));
    assert!(
        b.runner
            .agents("heartbeat")
            .contains(&"Filesystem".to_owned())
    );
    assert!(b.runner.providers().contains(&"systole".to_owned()));
}

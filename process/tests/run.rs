//! Real programs, run and ended.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use process::{End, Group, Program, leftover};
use std::time::{Duration, Instant};

fn sh(script: &str) -> Program {
    Program::new("/bin/sh").arg("-c").arg(script)
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn exit_code_and_both_streams() {
    let done = sh("echo out; echo err >&2; exit 7").run().await.unwrap();
    assert_eq!(done.end, End::Exited(7));
    assert_eq!(done.stdout.text(), "out\n");
    assert_eq!(done.stderr.text(), "err\n");
}

#[tokio::test]
async fn input_is_given_and_closed() {
    let input = "x".repeat(300_000);
    let done = Program::new("/bin/cat")
        .stdin(input.clone())
        .capture_bytes(1_000_000)
        .run()
        .await
        .unwrap();
    assert_eq!(done.stdout.text(), input);
}

#[tokio::test]
async fn a_foreign_signal_is_named() {
    let done = sh("kill -9 $$").run().await.unwrap();
    assert_eq!(done.end, End::Signalled(9));
}

#[tokio::test]
async fn a_missing_program_is_not_installed() {
    let error = Program::new("/nonexistent/agent").run().await.unwrap_err();
    assert!(error.is_not_installed());
    assert!(error.to_string().contains("/nonexistent/agent"));
}

#[tokio::test]
async fn grandchildren_with_the_pipe_are_not_waited_for() {
    let before = Instant::now();
    let done = sh("sleep 5 & echo $!").run().await.unwrap();
    assert_eq!(done.end, End::Exited(0));
    assert!(before.elapsed() < SECOND);
    // The group is left alone after a normal end: agents start services.
    let sleeper: i32 = done.stdout.text().trim().parse().unwrap();
    assert!(process::start_time(sleeper).is_some());
    end(sleeper);
}

#[tokio::test]
async fn output_is_bounded() {
    let done = sh("yes | head -c 3000000; echo the end")
        .capture_bytes(2000)
        .run()
        .await
        .unwrap();
    let text = done.stdout.text();
    assert!(text.len() < 2100, "{}", text.len());
    assert!(text.starts_with("y\n") && text.ends_with("the end\n"));
    assert_eq!(done.stdout.cut_bytes(), 3_000_008 - 2000);
}

#[tokio::test]
async fn the_deadline_ends_the_whole_group() {
    let before = Instant::now();
    let running = sh("sleep 30 & sleep 30")
        .deadline(Duration::from_millis(100))
        .spawn()
        .unwrap();
    let group = running.group().clone();
    assert!(!leftover::members(&group).is_empty());
    let done = running.wait().await.unwrap();
    assert_eq!(done.end, End::TimedOut);
    assert!(done.survivors.is_empty());
    assert!(before.elapsed() < SECOND);
    assert!(leftover::members(&group).is_empty());
}

#[tokio::test]
async fn who_ignores_sigterm_is_killed() {
    let running = sh("trap '' TERM; (trap '' TERM; sleep 30) & sleep 30; sleep 30")
        .deadline(Duration::from_millis(100))
        .grace(Duration::from_millis(100))
        .spawn()
        .unwrap();
    let group = running.group().clone();
    let before = Instant::now();
    let done = running.wait().await.unwrap();
    assert_eq!(done.end, End::TimedOut);
    assert!(before.elapsed() < SECOND);
    assert!(leftover::members(&group).is_empty());
}

#[tokio::test]
async fn cancelling_ends_it() {
    let running = sh("sleep 30").spawn().unwrap();
    running.canceller().cancel();
    assert_eq!(running.wait().await.unwrap().end, End::Cancelled);
}

#[tokio::test]
async fn the_deadline_holds_after_the_handle_is_dropped() {
    let running = sh("sleep 30")
        .deadline(Duration::from_millis(50))
        .spawn()
        .unwrap();
    let group = running.group().clone();
    drop(running);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(leftover::members(&group).is_empty());
}

#[tokio::test]
async fn a_leftover_group_is_ended() {
    let mark = format!("test-leftover-{}", std::process::id());
    let running = sh("sleep 30").mark(&mark).spawn().unwrap();
    let group = running.group().clone();
    let found = leftover::find(&mark);
    assert_eq!(found, vec![group.clone()]);
    let fate = leftover::settle(&group, Duration::from_millis(10), SECOND).await;
    assert_eq!(fate, leftover::Fate::Ended);
    assert!(leftover::members(&group).is_empty());
}

/// A program that becomes another one has no environment for a moment, and is found all the same.
#[tokio::test]
async fn a_group_is_found_while_it_becomes_another_program() {
    let mark = format!("test-exec-{}", std::process::id());
    for _ in 0..200 {
        let running = sh("exec /bin/sh -c 'exec sleep 30'")
            .mark(&mark)
            .spawn()
            .unwrap();
        let group = running.group().clone();
        assert_eq!(leftover::find(&mark), vec![group.clone()]);
        leftover::settle(&group, Duration::ZERO, SECOND).await;
    }
}

#[tokio::test]
async fn a_leftover_group_without_its_leader_is_known_by_its_mark() {
    let done = sh("sleep 30 >/dev/null 2>&1 & echo $$")
        .mark("test-orphans")
        .run()
        .await
        .unwrap();
    let pgid: i32 = done.stdout.text().trim().parse().unwrap();
    let named = |mark: &str| Group {
        pgid,
        start_time: 1,
        mark: mark.to_owned(),
    };
    assert!(leftover::members(&named("another mark")).is_empty());
    assert_eq!(leftover::members(&named("test-orphans")).len(), 1);
    let fate = leftover::settle(&named("test-orphans"), Duration::ZERO, SECOND).await;
    assert_eq!(fate, leftover::Fate::Ended);
}

#[tokio::test]
async fn another_process_with_the_same_id_is_left_alone() {
    let running = sh("sleep 0.2").spawn().unwrap();
    let mut group = running.group().clone();
    group.start_time += 1;
    let fate = leftover::settle(&group, Duration::ZERO, SECOND).await;
    assert_eq!(fate, leftover::Fate::Gone);
    assert_eq!(running.wait().await.unwrap().end, End::Exited(0));
}

#[tokio::test]
async fn spawning_is_fast() {
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..50 {
        let before = Instant::now();
        Program::new("/bin/true").run().await.unwrap();
        times.push(before.elapsed());
    }
    times.sort();
    println!("/bin/true: median {:?}, worst {:?}", times[25], times[49]);
    assert!(times[25] < Duration::from_millis(100), "{:?}", times[25]);
}

fn end(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

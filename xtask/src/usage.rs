//! What one run of a program takes: processor time, time, memory.
//!
//! The kernel adds up the children of a process, so that each run gets a process of its own (this executable, called
//! with `measure`) whose only child it is. No shell stands between.

use nix::{
    sys::{
        resource::{UsageWho, getrusage},
        signal::{Signal, kill},
        time::TimeVal,
    },
    unistd::Pid,
};
use serde_json::{Value, json};
use std::{
    ffi::OsString,
    io,
    path::Path,
    process::{Command, ExitCode, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// What a run took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Processor time of user and kernel, in seconds.
    pub(crate) cpu_s: f64,
    /// Time, in seconds.
    pub(crate) wall_s: f64,
    /// Most memory at once, in MiB.
    pub(crate) peak_mib: f64,
    /// It ended by itself, with code 0.
    pub(crate) ended: bool,
}

/// Runs a program to its end, or until `limit_s` seconds are over.
pub(crate) fn of(program: &Path, args: &[OsString], limit_s: u64) -> Option<Usage> {
    let told = Command::new(std::env::current_exe().ok()?)
        .args(["measure", "--limit-s", &limit_s.to_string(), "--"])
        .arg(program)
        .args(args)
        .stderr(Stdio::inherit())
        .output()
        .ok()?;
    let told: Value = serde_json::from_slice(&told.stdout).ok()?;
    let number = |name: &str| told.get(name).and_then(Value::as_f64);
    Some(Usage {
        cpu_s: number("cpu_s")?,
        wall_s: number("wall_s")?,
        peak_mib: number("peak_mib")?,
        ended: told.get("ended")?.as_bool()?,
    })
}

/// The process whose only child the program is: prints what that took.
pub(crate) fn measure(limit_s: u64, words: &[OsString]) -> ExitCode {
    match measured(limit_s, words) {
        Ok(told) => {
            println!("{told}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("measure: {words:?}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measured(limit_s: u64, words: &[OsString]) -> io::Result<Value> {
    let (program, args) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let began = Instant::now();
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let (done, waits) = mpsc::channel::<()>();
    let watch = thread::spawn(move || {
        let late = waits.recv_timeout(Duration::from_secs(limit_s));
        if late == Err(mpsc::RecvTimeoutError::Timeout) {
            // It may have ended by itself just now.
            let _ = kill(pid, Signal::SIGKILL);
        }
    });
    let status = child.wait()?;
    let wall_s = began.elapsed().as_secs_f64();
    drop(done);
    let _ = watch.join();
    let used = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    Ok(json!({
        "cpu_s": seconds(used.user_time()) + seconds(used.system_time()),
        "wall_s": wall_s,
        // The kernel counts in KiB.
        "peak_mib": used.max_rss() as f64 / 1024.0,
        "ended": status.success(),
    }))
}

fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

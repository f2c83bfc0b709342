//! `bench`: measurements as tables, for docs/results.

use crate::{
    checks::{BUILD, executable},
    conformance,
    run::{self, Show, cargo},
};
use std::{
    fs,
    path::Path,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

fn build() -> bool {
    run::run(
        &mut cargo(&["build", "--release", "--locked"]),
        Show::OnlyFailure,
        BUILD,
    )
    .ok
}

/// Every drill `runs` times against a lab of its own; median and worst of each measure.
pub(crate) fn cluster(runs: u32) -> ExitCode {
    if !build() {
        return ExitCode::FAILURE;
    }
    let mut ok = true;
    println!("| drill | measure | runs | median | worst |\n|---|---|---|---|---|");
    for drill in [
        "node-crash",
        "planned-move",
        "resource-crash",
        "daemon-crash",
    ] {
        match drill_report(drill, runs) {
            Some(report) => ok &= print_report(drill, &report),
            None => {
                println!("| {drill} | failed | | | |");
                ok = false;
            }
        }
    }
    if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn drill_report(drill: &str, runs: u32) -> Option<serde_json::Value> {
    let file = run::target().join(format!("bench-{drill}.json"));
    let _ = fs::remove_file(&file);
    let mut command = Command::new(executable("release"));
    command
        .args(["drill", drill, "--runs", &runs.to_string(), "--json"])
        .arg(&file);
    let status = command.stdout(Stdio::null()).status().ok()?;
    let report = serde_json::from_slice(&fs::read(&file).ok()?).ok()?;
    status.success().then_some(report)
}

/// One row for each measured span (`…_ms`) of the runs.
fn print_report(drill: &str, report: &serde_json::Value) -> bool {
    let Some(runs) = report.get("runs").and_then(|r| r.as_array()) else {
        return false;
    };
    let first = runs.first().and_then(|r| r.as_object());
    for key in first
        .into_iter()
        .flat_map(|r| r.keys())
        .filter(|k| k.ends_with("_ms"))
    {
        let mut values: Vec<f64> = runs.iter().filter_map(|r| r.get(key)?.as_f64()).collect();
        values.sort_by(f64::total_cmp);
        let median = values.get(values.len() / 2).copied().unwrap_or_default();
        let worst = values.last().copied().unwrap_or_default();
        println!(
            "| {drill} | {key} | {} | {median:.1} | {worst:.1} |",
            values.len()
        );
    }
    true
}

/// The scheduler on recorded configurations: how long a run takes, by size of the document.
pub(crate) fn scheduler(runs: u32) -> ExitCode {
    if !build() {
        return ExitCode::FAILURE;
    }
    let cases = run::root().join("../shared/pacemaker-scheduler/xml");
    let Ok(simulate) = conformance::called(&executable("release"), "crm_simulate") else {
        return ExitCode::FAILURE;
    };
    let Ok(listing) = fs::read_dir(&cases) else {
        println!("skipped: no configurations at {}", cases.display());
        return ExitCode::SUCCESS;
    };
    let mut files: Vec<_> = listing
        .flatten()
        .filter_map(|f| Some((f.metadata().ok()?.len(), f.path())))
        .collect();
    files.sort();
    println!(
        "| configuration | bytes | runs | median ms (with start of the program) |\n|---|---|---|---|"
    );
    let quantiles = [
        0,
        files.len() / 2,
        files.len() * 9 / 10,
        files.len().saturating_sub(1),
    ];
    for (bytes, file) in quantiles.iter().filter_map(|i| files.get(*i)) {
        let mut times: Vec<Duration> = (0..runs).filter_map(|_| timed(&simulate, file)).collect();
        times.sort();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let median = times
            .get(times.len() / 2)
            .map(|t| format!("{:.1}", t.as_secs_f64() * 1000.0));
        println!(
            "| {name} | {bytes} | {} | {} |",
            times.len(),
            median.unwrap_or_else(|| "failed".into())
        );
    }
    ExitCode::SUCCESS
}

fn timed(program: &Path, file: &Path) -> Option<Duration> {
    let started = Instant::now();
    let status = Command::new(program)
        .arg("-x")
        .arg(file)
        .arg("-S")
        .stdout(Stdio::null())
        .status()
        .ok()?;
    status.success().then(|| started.elapsed())
}

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

/// Builds what is measured.
pub(crate) fn build() -> bool {
    run::run(
        &mut cargo(&["build", "--release", "--locked"]),
        Show::OnlyFailure,
        BUILD,
    )
    .ok
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

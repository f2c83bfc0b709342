//! Measures the scheduler against recorded decisions of Pacemaker, where that data is at hand.

pub(crate) mod cli;

use crate::{
    run::{self, Show},
    tally::Tally,
};
use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Recorded cases that must pass, of a hundred. Raised when the scheduler learns, never lowered.
const FLOOR_PERCENT: u64 = 96;
/// Random changes of such cases that must pass, of a hundred. Raised when the scheduler learns, never lowered.
const MUTANTS_FLOOR_PERCENT: u64 = 96;
const DEADLINE: Duration = Duration::from_secs(10 * 60);

/// Runs every recorded case and compares with the floor.
pub(crate) fn scheduler(tally: &mut Tally, executable: &Path) {
    let script = run::root().join("../shared/conformance/scheduler");
    if !script.is_file() {
        tally.skip("scheduler conformance: no ../shared/conformance beside the workspace");
        return;
    }
    let simulate = match called(executable, "crm_simulate") {
        Ok(path) => path,
        Err(e) => return tally.check(&format!("scheduler conformance: {e}"), false),
    };
    let mut recorded = Command::new(&script);
    compare(
        tally,
        "recorded cases",
        recorded.arg(&simulate),
        FLOOR_PERCENT,
    );
    let mutants = run::root().join("../shared/pacemaker-mutants");
    if !mutants.is_dir() {
        tally.skip("scheduler conformance: no ../shared/pacemaker-mutants beside the workspace");
        return;
    }
    let mut changed = Command::new(&script);
    let changed = changed.arg(&simulate).arg("--cases").arg(mutants);
    compare(tally, "changed cases", changed, MUTANTS_FLOOR_PERCENT);
}

fn compare(tally: &mut Tally, cases: &str, command: &mut Command, floor_percent: u64) {
    let measured = run::run(command, Show::Nothing, DEADLINE);
    let (passed, failed) = last_line(&measured.output).unwrap_or((0, 1));
    let percent = passed * 100 / (passed + failed).max(1);
    let name = format!(
        "scheduler conformance: {passed} of {} {cases} ({percent} %), floor {floor_percent} %",
        passed + failed
    );
    tally.check(&name, percent >= floor_percent);
}

/// The executable under another of its names.
pub(crate) fn called(executable: &Path, name: &str) -> io::Result<PathBuf> {
    let dir = run::target().join("by-name");
    fs::create_dir_all(&dir)?;
    let link = dir.join(name);
    match fs::remove_file(&link) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => symlink(executable, &link)?,
    }
    Ok(link)
}

fn last_line(output: &str) -> Option<(u64, u64)> {
    let line = output.lines().rev().find(|l| l.contains(" passed, "))?;
    let mut numbers = line
        .split(|c: char| !c.is_ascii_digit())
        .filter(|w| !w.is_empty());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #[test]
    fn reads_the_last_count() {
        assert_eq!(
            super::last_line("x\n 12 passed, 34 failed\n"),
            Some((12, 34))
        );
        assert_eq!(super::last_line("crash"), None);
    }
}

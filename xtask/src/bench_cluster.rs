//! `bench cluster`: every drill, and what a cluster does in a second and needs at rest, as tables.

use crate::{
    bench::build,
    checks::executable,
    run::{self, Show},
};
use serde_json::Value;
use std::{
    fs,
    process::{Command, ExitCode},
    time::Duration,
};

/// In the order of the table.
pub(crate) const DRILLS: [&str; 10] = [
    "node-crash",
    "node-silent",
    "partition",
    "double-crash",
    "link-loss",
    "full-restart",
    "disk-full",
    "planned-move",
    "resource-crash",
    "daemon-crash",
];
/// For one drill however often, or one bench.
const DEADLINE: Duration = Duration::from_secs(20 * 60);

/// A figure of `systole bench`, what it should be, and what Pacemaker's was.
struct Wanted {
    bench: &'static [&'static str],
    figure: &'static str,
    wanted: &'static str,
    holds: fn(f64) -> bool,
    pacemaker: &'static str,
}

const FIGURES: [Wanted; 5] = [
    Wanted {
        bench: &["shell"],
        figure: "writes_per_s",
        wanted: "> 60",
        holds: |value| value > 60.0,
        pacemaker: "27, not by consensus",
    },
    Wanted {
        bench: &["writes", "--connections", "64"],
        figure: "writes_per_s",
        wanted: "> 1000",
        holds: |value| value > 1000.0,
        pacemaker: "",
    },
    Wanted {
        bench: &["rest"],
        figure: "most_pss_mib",
        wanted: "< 40",
        holds: |value| value < 40.0,
        pacemaker: "128 to 146",
    },
    Wanted {
        bench: &["rest"],
        figure: "most_cpu_percent",
        wanted: "< 0.5",
        holds: |value| value < 0.5,
        pacemaker: "0.75",
    },
    Wanted {
        bench: &["rest"],
        figure: "monitoring_most_cpu_percent",
        wanted: "with a monitor every second",
        holds: |_| true,
        pacemaker: "",
    },
];

/// Every drill `runs` times in a lab of its own, then the figures.
pub(crate) fn cluster(runs: u32) -> ExitCode {
    if !build() {
        return ExitCode::FAILURE;
    }
    let mut ok = true;
    println!("| drill | measure | runs | median | worst |\n|---|---|---|---|---|");
    for drill in DRILLS {
        match measured(&["drill", drill, "--runs", &runs.to_string()]) {
            Some((report, well)) => {
                ok &= well & print_report(drill, &report);
                if !well {
                    println!("| {drill} | **an expectation did not hold** | | | |");
                }
            }
            None => {
                println!("| {drill} | failed | | | |");
                ok = false;
            }
        }
    }
    println!("\n| bench | figure | measured | wanted | Pacemaker 2.1.5 |\n|---|---|---|---|---|");
    for wanted in FIGURES {
        ok &= print_figure(&wanted);
    }
    if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs a command of the executable that writes a report; whether it went well.
fn measured(words: &[&str]) -> Option<(Value, bool)> {
    let file = run::target().join("bench.json");
    let _ = fs::remove_file(&file);
    let mut command = Command::new(executable("release"));
    command.args(words).arg("--json").arg(&file);
    let outcome = run::run(&mut command, Show::OnlyFailure, DEADLINE);
    let report = serde_json::from_slice(&fs::read(&file).ok()?).ok()?;
    Some((report, outcome.ok))
}

/// One row for each measured span (`…_ms`) of the runs.
fn print_report(drill: &str, report: &Value) -> bool {
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
        if values.is_empty() {
            continue;
        }
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

fn print_figure(wanted: &Wanted) -> bool {
    let name = wanted.bench.join(" ");
    let words: Vec<&str> = ["bench"].iter().chain(wanted.bench).copied().collect();
    let found = measured(&words).and_then(|(report, well)| {
        Some((report.get("figures")?.get(wanted.figure)?.as_f64()?, well))
    });
    let (
        Wanted {
            figure, pacemaker, ..
        },
        should,
    ) = (wanted, wanted.wanted);
    let Some((value, well)) = found else {
        println!("| {name} | {figure} | failed | {should} | {pacemaker} |");
        return false;
    };
    let holds = well && (wanted.holds)(value);
    let mark = if holds { "" } else { " **missed**" };
    println!("| {name} | {figure} | {value:.2}{mark} | {should} | {pacemaker} |");
    holds
}

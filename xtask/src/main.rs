//! The project's few commands: `cargo xtask verify|test|fix|sim|sim-shell|differential|fuzz|soak|bench|dist`.
//!
//! It starts other programs, counts what they found and says it in one last line. It must never decide
//! that something passed which did not run: what cannot run here is listed as skipped, with the reason.

mod bench;
mod bench_cluster;
mod bench_scheduler;
mod checks;
mod conformance;
mod differential;
mod dist;
mod fuzz;
mod run;
mod simulate;
mod tally;
mod usage;

use clap::{Parser, Subcommand, ValueEnum};
use std::{path::PathBuf, process::ExitCode};
use tally::Tally;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's few commands")]
struct Args {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Read-only: format, lints, boundaries between crates, unit tests.
    Verify,
    /// Verify and everything that runs daemons; what CI runs.
    Test,
    /// Mend what can be mended: format and lints.
    Fix,
    /// Simulated clusters under seeded faults.
    Sim(simulate::SimArgs),
    /// Clusters of the real shells, openraft and redb on a simulated network, clock and disk.
    SimShell(simulate::ShellArgs),
    /// Random configurations, decided by us and by Debian's Pacemaker: where do the two differ?
    Differential(differential::DifferentialArgs),
    /// libFuzzer on the parser and on the whole decision.
    Fuzz(fuzz::FuzzArgs),
    /// Crashes under writers, load, fuzzing, then simulated clusters and drills in turn, until the time is over.
    Soak {
        /// How long.
        #[arg(long, default_value_t = 60)]
        minutes: u64,
    },
    /// Print measurements as tables.
    Bench {
        /// What to measure.
        what: Benchmark,
        /// How many times.
        #[arg(long, default_value_t = 10)]
        runs: u32,
        #[command(flatten)]
        peer: bench_scheduler::Peer,
    },
    /// Says what one run of a program takes.
    #[command(hide = true)]
    Measure {
        /// End it after so many seconds.
        #[arg(long)]
        limit_s: u64,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        words: Vec<std::ffi::OsString>,
    },
    /// Lay out an installation.
    Dist {
        /// Root of the installation; made if missing.
        dir: PathBuf,
        /// Cargo profile of the executable: `release` (built fast) or `dist` (what packages are made with).
        #[arg(long, default_value = "release")]
        profile: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Benchmark {
    /// Each drill against a lab, writes per second, needs at rest.
    Cluster,
    /// The scheduler on small and large clusters, beside the field's own program if that is installed.
    Scheduler,
}

fn main() -> ExitCode {
    if let Err(e) = std::env::set_current_dir(run::root()) {
        eprintln!("xtask: {}: {e}", run::root().display());
        return ExitCode::FAILURE;
    }
    match Args::parse().command {
        Task::Verify => finish(checks::verify(Tally::default())),
        Task::Test => finish(checks::test(Tally::default())),
        Task::Fix => checks::fix(),
        Task::Sim(args) => finish(simulate::sim(&args, Tally::default())),
        Task::SimShell(args) => finish(simulate::sim_shell(&args, Tally::default())),
        Task::Differential(args) => {
            let mut tally = Tally::default();
            differential::seeds(&args, &mut tally);
            finish(tally)
        }
        Task::Fuzz(args) => {
            let mut tally = Tally::default();
            fuzz::fuzz(&args, &mut tally);
            finish(tally)
        }
        Task::Soak { minutes } => finish(simulate::soak(minutes, Tally::default())),
        Task::Bench {
            what: Benchmark::Cluster,
            runs,
            ..
        } => bench_cluster::cluster(runs),
        Task::Bench {
            what: Benchmark::Scheduler,
            runs,
            peer,
        } => bench_scheduler::scheduler(runs, peer),
        Task::Measure { limit_s, words } => usage::measure(limit_s, &words),
        Task::Dist { dir, profile } => dist::dist(&dir, &profile),
    }
}

fn finish(tally: Tally) -> ExitCode {
    tally.print();
    if tally.failed() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

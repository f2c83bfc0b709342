//! `sim`, `sim-shell` and `soak`: simulated clusters, and the proof that each checker can fail.

use crate::{
    bench_cluster::DRILLS,
    checks::{BUILD, executable},
    differential,
    fuzz::{self, FuzzArgs},
    run::{self, Show, cargo},
    tally::Tally,
};
use clap::Args;
use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

/// What to simulate.
#[derive(Args, Default)]
pub(crate) struct SimArgs {
    /// How many seeds.
    #[arg(long)]
    pub(crate) runs: Option<u64>,
    /// First seed, or with no `--runs` the only one: replays a failure.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Nodes of each cluster; three and five in turn if not given.
    #[arg(long)]
    pub(crate) nodes: Option<u32>,
    /// Break the product on purpose, one rule after another, and expect the rule's checker to notice.
    #[arg(long)]
    pub(crate) mutations: bool,
}

/// Runs until a mutation must have been noticed.
const MUTATION_RUNS: &str = "300";

/// Features of sim-shell that break what only the shells show.
const SHELL_MUTATIONS: [&str; 1] = ["break-unproven-off"];

/// Runs of the shells until a mutation must have been noticed.
const SHELL_MUTATION_RUNS: &str = "16";

/// Runs simulated clusters, or the mutations.
pub(crate) fn sim(args: &SimArgs, mut tally: Tally) -> Tally {
    if args.mutations {
        for feature in mutations() {
            let checker = feature.trim_start_matches("break-").to_owned();
            tally.check(
                &format!("checker {checker} fails on broken code"),
                mutation(&feature, &checker),
            );
        }
        for feature in SHELL_MUTATIONS {
            tally.check(
                &format!("shells with {feature} are noticed"),
                shell_mutation(feature),
            );
        }
        return tally;
    }
    let mut command = cargo(&["run", "--release", "--locked", "--quiet", "-p", "sim", "--"]);
    for (option, value) in [
        ("--runs", args.runs),
        ("--seed", args.seed),
        ("--nodes", args.nodes.map(u64::from)),
    ] {
        if let Some(value) = value {
            command.args([option, &value.to_string()]);
        }
    }
    let outcome = run::run(&mut command, Show::Everything, 4 * BUILD);
    tally.check("simulated clusters keep every promise", outcome.ok);
    tally
}

/// Which shells to simulate.
#[derive(Args)]
pub(crate) struct ShellArgs {
    /// How many seeds.
    #[arg(long, default_value_t = 1)]
    pub(crate) runs: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Each seed twice: both runs must have said the same.
    #[arg(long)]
    pub(crate) twice: bool,
    /// One seed with the daemons' logs.
    #[arg(long)]
    pub(crate) show: bool,
    /// Break the disks' promise on purpose, and expect that it is noticed.
    #[arg(long)]
    pub(crate) lying_disks: bool,
    /// Have power switches say "off" before they have acted, and expect that it is noticed.
    #[arg(long, conflicts_with = "lying_disks")]
    pub(crate) lying_switches: bool,
}

impl Default for ShellArgs {
    fn default() -> Self {
        Self {
            runs: 1,
            seed: 1,
            twice: false,
            show: false,
            lying_disks: false,
            lying_switches: false,
        }
    }
}

/// Runs clusters of real shells.
pub(crate) fn sim_shell(args: &ShellArgs, mut tally: Tally) -> Tally {
    let mut command = cargo(&["run", "--release", "--locked", "--quiet", "-p", "sim-shell"]);
    command
        .args(["--", "--runs", &args.runs.to_string()])
        .args(["--seed", &args.seed.to_string()]);
    for (option, wanted) in [
        ("--twice", args.twice),
        ("--show", args.show),
        ("--lying-disks", args.lying_disks),
        ("--lying-switches", args.lying_switches),
    ] {
        if wanted {
            command.arg(option);
        }
    }
    let outcome = run::run(&mut command, Show::Everything, 4 * BUILD);
    let what = match (args.lying_disks, args.lying_switches) {
        (true, _) => "disks that lose what was synced are noticed",
        (_, true) => "switches that say \"off\" too early are noticed",
        _ => "clusters of real shells keep every promise",
    };
    tally.check(what, outcome.ok);
    tally
}

fn mutation(feature: &str, checker: &str) -> bool {
    let feature = format!("crmd-core/{feature}");
    let mut command = cargo(&[
        "run",
        "--release",
        "--locked",
        "--quiet",
        "-p",
        "sim",
        "--features",
        &feature,
        "--",
    ]);
    command.args(["--runs", MUTATION_RUNS, "--expect-violation", checker]);
    run::run(&mut command, Show::OnlyFailure, BUILD).ok
}

fn shell_mutation(feature: &str) -> bool {
    let mut command = cargo(&["run", "--release", "--locked", "--quiet"]);
    command
        .args(["-p", "sim-shell", "--features", feature, "--"])
        .args(["--runs", SHELL_MUTATION_RUNS, "--expect-violation"]);
    run::run(&mut command, Show::OnlyFailure, BUILD).ok
}

/// The `break-…` features of crmd-core.
fn mutations() -> Vec<String> {
    let manifest = fs::read_to_string(run::root().join("crmd-core/Cargo.toml")).unwrap_or_default();
    let names = manifest
        .lines()
        .filter_map(|l| l.split('=').next())
        .map(str::trim);
    names
        .filter(|n| n.starts_with("break-"))
        .map(str::to_owned)
        .collect()
}

/// What a cluster must bear for minutes on end.
const ENDURANCE: [&[&str]; 2] = [
    &["bench", "crashes", "--minutes", "5"],
    &["bench", "busy", "--minutes", "10"],
];

/// What takes minutes once, then seeds nobody tried yet and drills in a lab, in turn, until the time is over
/// or something fails.
pub(crate) fn soak(minutes: u64, mut tally: Tally) -> Tally {
    let end = Instant::now() + Duration::from_secs(minutes * 60);
    let built = cargo(&["build", "--release", "--locked", "-p", "tools", "-p", "sim"]).status();
    tally.check("release build", built.is_ok_and(|s| s.success()));
    for words in ENDURANCE {
        let mut command = Command::new(executable("release"));
        let outcome = run::run(command.args(words), Show::Everything, BUILD);
        tally.check(&words.join(" "), outcome.ok);
    }
    differential::many(&mut tally);
    fuzz::fuzz(&FuzzArgs::default(), &mut tally);
    let mut seed = 1_000_000;
    while Instant::now() < end && tally.failed() == 0 {
        let round = SimArgs {
            runs: Some(5000),
            seed: Some(seed),
            ..SimArgs::default()
        };
        tally = sim(&round, tally);
        seed += 5000;
        for drill in DRILLS {
            let mut command = Command::new(executable("release"));
            let outcome = run::run(
                command.args(["drill", drill, "--runs", "5"]),
                Show::OnlyFailure,
                BUILD,
            );
            tally.check(&format!("drill {drill}"), outcome.ok);
        }
    }
    tally
}

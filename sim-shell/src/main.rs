//! `sim-shell --runs N --seed S`: that many seeds, each in a process of its own, so that nothing of one
//! run is left for the next. A failing seed is printed with what repeats it.

use clap::Parser;
use sim_shell::{
    determinism,
    harness::{Failure, Harness, Outcome},
    trace,
};
use std::{
    io::Read,
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Longest a run may take of real time, on a machine that has much else to do.
const REAL_LIMIT: Duration = Duration::from_secs(600);

/// Between two looks whether a run has ended.
const LOOK: Duration = Duration::from_millis(20);

/// Real shells, openraft and redb under seeded faults.
#[derive(Debug, Parser)]
#[command(name = "sim-shell")]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Nodes of each cluster; three, and five in every fifth seed, if not given.
    #[arg(long)]
    nodes: Option<usize>,
    /// Simulated seconds in which things go wrong.
    #[arg(long, default_value_t = 40)]
    faults_s: u64,
    /// Runs at once.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Each seed twice, and both runs must have said the same.
    #[arg(long)]
    twice: bool,
    /// Disks lose what was synced, too: succeeds when that is noticed in one of the runs.
    #[arg(long)]
    lying_disks: bool,
    /// Power switches say "off" before they have acted: succeeds when that is noticed in one of the runs.
    #[arg(long, conflicts_with = "lying_disks")]
    lying_switches: bool,
    /// The product is broken on purpose (a feature): succeeds when that is noticed in one of the runs.
    #[arg(long)]
    expect_violation: bool,
    /// This one seed in this process, with its log on stderr.
    #[arg(long)]
    show: bool,
    /// This one seed in this process.
    #[arg(long, hide = true)]
    child: bool,
}

impl Arguments {
    /// What is broken on purpose.
    fn broken(&self) -> Option<&'static str> {
        match (self.lying_disks, self.lying_switches) {
            (true, _) => Some("--lying-disks"),
            (_, true) => Some("--lying-switches"),
            _ => None,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.child || arguments.show {
        return one(&arguments);
    }
    all(&arguments)
}

fn one(arguments: &Arguments) -> ExitCode {
    match simulate(arguments) {
        Ok(outcome) => report(arguments.seed, &outcome),
        Err(error) => {
            println!("seed {}: cannot be simulated: {error}", arguments.seed);
            ExitCode::FAILURE
        }
    }
}

fn simulate(arguments: &Arguments) -> Result<Outcome, Failure> {
    // In memory where there is such a place: what lies there besides the log is not part of a fault.
    let memory = std::path::Path::new("/dev/shm");
    let place = match memory.is_dir() {
        true => tempfile::tempdir_in(memory)?,
        false => tempfile::tempdir()?,
    };
    // The daemons name their files in their logs: relative names are the same in every run.
    std::env::set_current_dir(place.path())?;
    trace::begin(arguments.show);
    let panics = catch_panics();
    // A thread that has drawn nothing from the operating system yet.
    let run = || in_its_universe(arguments);
    let ran = thread::scope(|scope| scope.spawn(run).join());
    let mut outcome = ran.unwrap_or_else(|_| Ok(Outcome::default()))?;
    let panics = std::mem::take(&mut *panics.lock().unwrap_or_else(PoisonError::into_inner));
    outcome.violations.extend(panics);
    Ok(outcome)
}

/// A failure as text, which passes from thread to thread.
fn in_its_universe(arguments: &Arguments) -> Result<Outcome, String> {
    let five = arguments.seed.is_multiple_of(5);
    let count = arguments.nodes.unwrap_or(if five { 5 } else { 3 });
    determinism::enter(arguments.seed);
    let text = |e: Failure| e.to_string();
    let harness = Harness::new(arguments.seed, count, std::path::Path::new(".")).map_err(text)?;
    if arguments.lying_disks {
        harness.let_disks_lie();
    }
    if arguments.lying_switches {
        harness.world().let_switches_lie();
    }
    let faults_for = Duration::from_secs(arguments.faults_s);
    harness.run(faults_for).map_err(text)
}

/// A task's panic would otherwise end only the task.
fn catch_panics() -> &'static Mutex<Vec<String>> {
    static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        let mut panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
        panics.push(format!("panic: {panic}").replace('\n', " "));
    }));
    &PANICS
}

fn report(seed: u64, outcome: &Outcome) -> ExitCode {
    let (hash, lines) = trace::hash();
    let healed = outcome.healed_after.map_or_else(
        || "not well again".to_owned(),
        |took| format!("well {:.1} s after the last fault", took.as_secs_f64()),
    );
    let counts: Vec<String> = outcome
        .statistics
        .iter()
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    for violation in &outcome.violations {
        println!("seed {seed}: VIOLATED: {violation}");
    }
    println!(
        "seed {seed}: {:.0} s simulated, {healed}; {}; trace {hash:016x} of {lines} lines",
        outcome.simulated.as_secs_f64(),
        counts.join(", ")
    );
    match outcome.violations.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn all(arguments: &Arguments) -> ExitCode {
    let begin = Instant::now();
    let next = AtomicU64::new(arguments.seed);
    let end = arguments.seed.saturating_add(arguments.runs);
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    if !runs_well(arguments, seed) {
                        let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                        failed.push(seed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{} seeds in {:.0} s, {} failed",
        arguments.runs,
        begin.elapsed().as_secs_f64(),
        failed.len()
    );
    let broken = arguments.broken();
    for seed in &failed {
        let broken = broken.map(|b| format!(" {b}")).unwrap_or_default();
        println!("repeat: cargo xtask sim-shell --seed {seed} --show{broken}");
    }
    let expected = broken.is_some() || arguments.expect_violation;
    match failed.is_empty() != expected {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Runs one seed in a process of its own, or two if both shall have said the same.
fn runs_well(arguments: &Arguments, seed: u64) -> bool {
    let first = child(arguments, seed);
    print!("{}", first.said);
    if !arguments.twice {
        return first.well;
    }
    let second = child(arguments, seed);
    let same = first.said == second.said;
    if !same {
        println!("seed {seed}: VIOLATED: two runs of it differ; the second:");
        print!("{}", second.said);
    }
    first.well && same
}

struct Ran {
    well: bool,
    said: String,
}

fn child(arguments: &Arguments, seed: u64) -> Ran {
    match start(arguments, seed).and_then(|child| wait(child, seed)) {
        Ok(ran) => ran,
        Err(error) => Ran {
            well: false,
            said: format!("seed {seed}: cannot be run: {error}\n"),
        },
    }
}

fn start(arguments: &Arguments, seed: u64) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--child", "--seed", &seed.to_string()])
        .args(["--faults-s", &arguments.faults_s.to_string()]);
    command.args(arguments.broken());
    if let Some(nodes) = arguments.nodes {
        command.args(["--nodes", &nodes.to_string()]);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
}

fn wait(mut child: Child, seed: u64) -> std::io::Result<Ran> {
    // Read meanwhile: a full pipe would hold the child up.
    let out = child.stdout.take();
    let reader = thread::spawn(move || {
        let mut said = String::new();
        let read = out.map(|mut out| out.read_to_string(&mut said));
        read.transpose().map(|_| said)
    });
    let end = Instant::now() + REAL_LIMIT;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > end {
            child.kill()?;
            child.wait()?;
            let said =
                format!("seed {seed}: VIOLATED: no end within {REAL_LIMIT:?} of real time\n");
            return Ok(Ran { well: false, said });
        }
        thread::sleep(LOOK);
    };
    let read = reader.join();
    let mut said = read.unwrap_or_else(|_| Ok(String::new()))?;
    if !status.success() && !said.contains("trace ") {
        said = format!("seed {seed}: the simulation ended early ({status}) {said}\n");
    }
    Ok(Ran {
        well: status.success(),
        said,
    })
}

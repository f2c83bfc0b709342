//! Random configurations, decided by our `crm_simulate` and by Debian's: where do the two differ?
//!
//! What differs is made as small as it can be while it still differs, so that it can be understood. Differences that
//! come from known changes between the two versions are recognised by precise patterns ([`known`]), each with a name;
//! it must never call something the same that it did not compare.

mod compare;
mod earlier;
mod known;
mod memory;
mod reduce;
mod signature;

#[path = "../../scheduler/tests/generator/mod.rs"]
mod generator;

use crate::{checks::executable, conformance::called, run, tally::Tally};
use clap::Args;
use compare::{Part, Programs};
use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

/// Where Debian installs it.
const PEER: &str = "/usr/sbin/crm_simulate";
/// The version the list of known changes was made for.
const PEER_VERSION: &str = "Pacemaker 2.1.5";
/// Seeds of `cargo xtask test`.
const FEW: u64 = 300;
/// Seeds of `cargo xtask soak`.
pub(crate) const MANY: u64 = 10_000;
/// Of a thousand seeds, how many must agree or differ by a known change. Raised when the scheduler learns.
const FLOOR_PERMILLE: u64 = 960;

/// What to compare.
#[derive(Args)]
pub(crate) struct DifferentialArgs {
    /// How many seeds.
    #[arg(long, default_value_t = 1000)]
    pub(crate) seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    pub(crate) from: u64,
    /// Just these seeds.
    #[arg(long, value_delimiter = ',', conflicts_with_all = ["from", "seeds"])]
    pub(crate) only: Vec<u64>,
    /// Print each difference, reduced.
    #[arg(long)]
    pub(crate) show: bool,
    /// Name every seed that differs, not just the first of each signature.
    #[arg(long)]
    pub(crate) list: bool,
    /// Reduce at most so many differences of a signature.
    #[arg(long, default_value_t = 2)]
    pub(crate) examples: u64,
    /// Our program, if not that of the release build.
    #[arg(long)]
    pub(crate) ours: Option<PathBuf>,
    /// Put reduced documents there, as PART-SEED.xml.
    #[arg(long)]
    pub(crate) keep: Option<PathBuf>,
    /// Do not ask the other program again what it said to a document before.
    #[arg(long)]
    pub(crate) remember: bool,
    /// Compare these documents instead of generated ones.
    #[arg(long, value_name = "FILE", conflicts_with = "remember")]
    pub(crate) document: Vec<PathBuf>,
    /// How many seeds at a time.
    #[arg(long, default_value_t = 2)]
    pub(crate) jobs: usize,
}

impl Default for DifferentialArgs {
    fn default() -> Self {
        Self {
            seeds: FEW,
            from: 0,
            only: Vec::new(),
            show: false,
            list: false,
            examples: 0,
            ours: None,
            keep: None,
            remember: false,
            document: Vec::new(),
            jobs: 2,
        }
    }
}

/// What came of all seeds.
#[derive(Default)]
struct Sum {
    agreed: u64,
    /// Agreed but for known changes.
    explained: u64,
    /// The same is done, with other scores on the way.
    only_scores: u64,
    differed: BTreeMap<Part, u64>,
    changes: BTreeMap<&'static str, u64>,
    /// Signature of what differs: how often, first seeds.
    classes: BTreeMap<String, (u64, Vec<u64>)>,
}

/// The few seeds of `cargo xtask test`.
pub(crate) fn few(tally: &mut Tally) {
    seeds(&DifferentialArgs::default(), tally);
}

/// The 10,000 seeds of `cargo xtask soak`.
pub(crate) fn many(tally: &mut Tally) {
    let args = DifferentialArgs {
        seeds: MANY,
        ..DifferentialArgs::default()
    };
    seeds(&args, tally);
}

/// Compares, prints what differs, and checks the floor.
pub(crate) fn seeds(args: &DifferentialArgs, tally: &mut Tally) {
    let programs = match programs(args) {
        Ok(Some(programs)) => programs,
        Ok(None) => {
            return tally.skip(&format!("differential: no {PEER} of {PEER_VERSION} here"));
        }
        Err(e) => return tally.check(&format!("differential: {e}"), false),
    };
    let began = Instant::now();
    let documents = match documents(&args.document) {
        Ok(documents) => documents,
        Err(e) => return tally.check(&format!("differential: {e}"), false),
    };
    let sum = Mutex::new(Sum::default());
    let numbers: Vec<u64> = match (documents.len() as u64, &args.only) {
        (0, only) if only.is_empty() => (args.from..args.from + args.seeds).collect(),
        (0, only) => only.clone(),
        (given, _) => (0..given).collect(),
    };
    let (from, count) = (numbers.first().copied(), numbers.len() as u64);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(seed) = numbers.get(at).copied() else {
                        return;
                    };
                    let given = documents.get(seed as usize).cloned();
                    let document = given.unwrap_or_else(|| generator::document(seed));
                    one(args, &programs, seed, &document, &sum);
                }
            });
        }
    });
    let sum = sum.into_inner().unwrap_or_default();
    print(&sum, count, args.list);
    let good = sum.agreed + sum.explained;
    let name = format!(
        "differential: {good} of {count} seeds from {} alike ({} of them but for known changes), {} more but for \
         scores, {} not, in {:.0} s; floor {FLOOR_PERMILLE} of 1000",
        from.unwrap_or_default(),
        sum.explained,
        sum.only_scores,
        count - good - sum.only_scores,
        began.elapsed().as_secs_f64(),
    );
    tally.check(&name, good * 1000 >= count * FLOOR_PERMILLE);
}

/// Documents as both programs understand them: the older one knows options of fencing by their former names.
fn documents(files: &[PathBuf]) -> io::Result<Vec<String>> {
    let read = |file: &PathBuf| {
        let text = fs::read_to_string(file);
        text.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", file.display())))
    };
    let spelt = |text: String| text.replace("name=\"fencing-", "name=\"stonith-");
    files.iter().map(|file| read(file).map(spelt)).collect()
}

/// Both programs; nothing if the other is not the one the list of known changes was made for.
fn programs(args: &DifferentialArgs) -> io::Result<Option<Programs>> {
    let version = std::process::Command::new(PEER).arg("--version").output();
    let known = version.is_ok_and(|o| String::from_utf8_lossy(&o.stdout).contains(PEER_VERSION));
    if !known {
        return Ok(None);
    }
    let ours = match &args.ours {
        Some(path) => path.clone(),
        None => called(&executable("release"), "crm_simulate")?,
    };
    let work = run::target().join("differential");
    fs::create_dir_all(&work)?;
    if let Some(keep) = &args.keep {
        fs::create_dir_all(keep)?;
    }
    let folder = work.join("remembered");
    if args.remember {
        fs::create_dir_all(&folder)?;
    }
    let remembered = args.remember.then_some(memory::Memory { folder });
    Ok(Some(Programs {
        ours,
        peer: PathBuf::from(PEER),
        work,
        remembered,
    }))
}

fn one(args: &DifferentialArgs, programs: &Programs, seed: u64, document: &str, sum: &Mutex<Sum>) {
    let found = compare::all(programs, document, seed);
    let mut explained = found.changes.clone();
    explained.sort_unstable();
    explained.dedup();
    let differing: Vec<Part> = found.differences.keys().copied().collect();
    {
        let Ok(mut sum) = sum.lock() else { return };
        for change in &explained {
            *sum.changes.entry(change).or_default() += 1;
        }
        if differing.is_empty() {
            match explained.is_empty() {
                true => sum.agreed += 1,
                false => sum.explained += 1,
            }
            return;
        }
        if differing == [Part::Scores] {
            sum.only_scores += 1;
        }
        for part in &differing {
            *sum.differed.entry(*part).or_default() += 1;
        }
    }
    // The part that says most about why.
    let Some(part) = differing.first().copied() else {
        return;
    };
    let rough = signature::of_difference(part, &found.differences[&part]);
    let reduce = {
        let Ok(mut sum) = sum.lock() else { return };
        let class = sum.classes.entry(rough.clone()).or_default();
        class.0 += 1;
        if args.list || class.1.len() < 8 {
            class.1.push(seed);
        }
        class.0 <= args.examples
    };
    if reduce {
        let small = reduce::smallest(programs, document, part, seed);
        let again = compare::all(programs, &small, seed | 1);
        let lines = again.differences.get(&part).cloned().unwrap_or_default();
        report(args, seed, part, &small, &lines);
    }
}

fn report(args: &DifferentialArgs, seed: u64, part: Part, small: &str, lines: &[String]) {
    if let Some(keep) = &args.keep {
        let file = keep.join(format!("{}-{seed}.xml", part.name()));
        if let Err(e) = fs::write(&file, small) {
            eprintln!("cannot write {}: {e}", file.display());
        }
    }
    if !args.show {
        return;
    }
    let mut text = format!(
        "== seed {seed}, {}: {}\n",
        part.name(),
        signature::of_document(small)
    );
    for line in lines.iter().take(20) {
        text.push_str("    ");
        text.extend(line.chars().take(240));
        text.push('\n');
    }
    print!("{text}");
}

fn print(sum: &Sum, of: u64, list: bool) {
    for (part, count) in &sum.differed {
        println!("{:8} {count}/{of} differ", part.name());
    }
    for (change, count) in &sum.changes {
        println!("known change in {count} seeds: {change}");
    }
    let mut classes: Vec<_> = sum.classes.iter().collect();
    classes.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    let shown = if list { classes.len() } else { 40 };
    for (class, (count, seeds)) in classes.iter().take(shown) {
        println!("{count:5}  {class}  seeds {seeds:?}");
    }
}

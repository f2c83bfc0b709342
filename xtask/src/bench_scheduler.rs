//! `bench scheduler`: large clusters, beside the field's own `crm_simulate` where that is installed.

use crate::{
    bench::build,
    checks::{self, executable},
    conformance,
    run::{self, Show},
    usage::{self, Usage},
};
use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

/// The field's program.
const PEER: &str = "/usr/sbin/crm_simulate";
/// For one run of ours, in seconds.
const LIMIT_S: u64 = 600;
const SEED: &str = "1";

/// What of the slow program is wanted.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Peer {
    /// Leave the field's program out.
    #[arg(long)]
    no_peer: bool,
    /// End a run of the field's program after so many seconds.
    #[arg(long, default_value_t = 60)]
    peer_limit_s: u64,
    /// Also what takes it minutes: 32 nodes with 2000 resources and more, a whole start.
    #[arg(long)]
    full: bool,
}

/// A cluster of the benches, and what is wanted there.
struct Size {
    nodes: u32,
    resources: u32,
    /// Times as fast as the field's program (processor time).
    times: Option<f64>,
    /// The same in seconds, by what that program was measured to take once.
    cpu_s: Option<f64>,
    /// The field's program is done within a minute.
    quick: bool,
}

const SIZES: [Size; 5] = [
    size(3, 100, None, None, true),
    size(8, 500, None, None, true),
    size(16, 1000, Some(100.0), Some(0.047), true),
    size(32, 2000, Some(600.0), Some(0.34), false),
    size(32, 5000, None, None, false),
];

const fn size(
    nodes: u32,
    resources: u32,
    times: Option<f64>,
    cpu_s: Option<f64>,
    quick: bool,
) -> Size {
    Size {
        nodes,
        resources,
        times,
        cpu_s,
        quick,
    }
}

struct Bench {
    simulate: PathBuf,
    /// Decides on a document in memory again and again.
    again: PathBuf,
    generator: PathBuf,
    folder: PathBuf,
    peer: Option<Peer>,
    runs: u32,
    ok: bool,
}

/// Everything in one run.
pub(crate) fn scheduler(runs: u32, peer: Peer) -> ExitCode {
    let generator = run::root().join("../shared/conformance/gen-cib");
    if !generator.is_file() {
        println!("skipped: no ../shared/conformance/gen-cib beside the workspace");
        return ExitCode::SUCCESS;
    }
    if !build() || !build_again() {
        return ExitCode::FAILURE;
    }
    let folder = run::target().join("bench-scheduler");
    let simulate = conformance::called(&executable("release"), "crm_simulate");
    let (Ok(simulate), Ok(())) = (simulate, fs::create_dir_all(&folder)) else {
        println!("{} cannot be made", folder.display());
        return ExitCode::FAILURE;
    };
    let installed = Path::new(PEER).is_file();
    if !installed {
        println!("{PEER} is not installed: its columns are skipped");
    }
    let mut bench = Bench {
        simulate,
        again: run::target().join("release/examples/again"),
        generator,
        folder,
        peer: Some(peer).filter(|p| installed && !p.no_peer),
        runs,
        ok: true,
    };
    bench.stopped();
    bench.growth();
    bench.steady();
    bench.start();
    if bench.ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Builds what decides again and again.
fn build_again() -> bool {
    let arguments = [
        "build",
        "--release",
        "--locked",
        "-p",
        "scheduler",
        "--example",
        "again",
    ];
    run::run(
        &mut run::cargo(&arguments),
        Show::OnlyFailure,
        checks::BUILD,
    )
    .ok
}

impl Bench {
    /// Clusters in which everything has yet to be started.
    fn stopped(&mut self) {
        println!("\nAll stopped (`-x FILE -R`), medians by processor time:\n");
        println!(
            "| nodes × resources | KiB of XML | CPU s | time s | peak MiB | Pacemaker CPU s | time s | peak MiB \
             | times as fast | wanted |\n|---|---|---|---|---|---|---|---|---|---|"
        );
        for size in &SIZES {
            let Some(file) = self.generated(size.nodes, size.resources) else {
                continue;
            };
            let args = arguments(&file, "-R");
            let Some(own) = self.median(&args, size.resources) else {
                continue;
            };
            let field = self.peer_run(&args, size.quick);
            let times = field
                .filter(|f| f.ended)
                .map(|f| f.cpu_s / own.cpu_s.max(1e-9));
            let fast = match (times, size.times, size.cpu_s) {
                (Some(times), Some(wanted), _) => times >= wanted,
                (None, _, Some(wanted)) => own.cpu_s <= wanted,
                _ => true,
            };
            let small = field.is_none_or(|f| own.peak_mib < f.peak_mib);
            let wanted = match (size.times, size.cpu_s) {
                (Some(times), Some(cpu_s)) => format!("{times:.0} times, {cpu_s} s; less memory"),
                _ => "less memory".to_owned(),
            };
            println!(
                "| {} × {} | {} | {} | {} | {} | {wanted}{} |",
                size.nodes,
                size.resources,
                kib(&file),
                figures(own),
                self.peer_figures(field),
                times.map_or("–".to_owned(), |t| format!("{t:.0}")),
                self.mark(fast && small),
            );
        }
    }

    /// Whether time grows as clusters grow.
    fn growth(&mut self) {
        println!("\nGrowth, all stopped:\n");
        println!(
            "| nodes × resources | CPU s | time s | peak MiB | µs for a node and resource | wanted |"
        );
        println!("|---|---|---|---|---|---|");
        let mut small = None;
        for (nodes, resources) in [(8, 500), (64, 20_000)] {
            let Some(file) = self.generated(nodes, resources) else {
                continue;
            };
            let Some(own) = self.median(&arguments(&file, "-R"), resources) else {
                continue;
            };
            let each_us = own.cpu_s * 1e6 / f64::from(nodes * resources);
            let fine = small.is_none_or(|small| each_us <= 2.0 * small);
            let wanted = small.map_or(String::new(), |s| format!("at most {:.2}", 2.0 * s));
            println!(
                "| {nodes} × {resources} | {} | {each_us:.2} | {wanted}{} |",
                figures(own),
                self.mark(fine)
            );
            small = small.or(Some(each_us));
        }
    }

    /// Clusters at rest: everything runs, with its history.
    fn steady(&mut self) {
        println!("\nAt rest, everything started and nothing to do:\n");
        println!(
            "| nodes × resources | KiB of XML | CPU s with reading | time s | peak MiB | Pacemaker CPU s | time s | peak MiB \
             | s without reading, first | each following | wanted |\n|---|---|---|---|---|---|---|---|---|---|---|"
        );
        for (nodes, resources, wanted) in [(32, 2000, None), (32, 5000, Some((0.8, 0.05)))] {
            let Some(file) = self.started(nodes, resources) else {
                continue;
            };
            let args = arguments(&file, "-R");
            let Some(own) = self.median(&args, resources) else {
                continue;
            };
            let decided = self.without_reading(&file);
            let field = self.peer_run(&args, true);
            // What somebody waits for; a large document is read on all processors.
            let fine = wanted.is_none_or(|(read_s, decide_s)| {
                own.wall_s < read_s && decided.is_some_and(|d| d.following_s < decide_s)
            });
            println!(
                "| {nodes} × {resources} | {} | {} | {} | {} | {}{} |",
                kib(&file),
                figures(own),
                self.peer_figures(field),
                decided.map_or("failed | failed".to_owned(), |d| format!(
                    "{:.3} | {:.3}",
                    d.first_s, d.following_s
                )),
                wanted.map_or(String::new(), |(read_s, decide_s)| format!(
                    "{read_s} s on the clock with, {decide_s} s each following"
                )),
                self.mark(fine)
            );
        }
    }

    /// The whole start of a cluster on paper.
    fn start(&mut self) {
        println!("\nSimulating the whole start (`-x FILE -S`) of 8 × 500:\n");
        println!(
            "| CPU s | time s | peak MiB | Pacemaker CPU s | time s | peak MiB | wanted |\n|---|---|---|---|---|---|---|"
        );
        let Some(file) = self.generated(8, 500) else {
            return;
        };
        let args = arguments(&file, "-S");
        let Some(own) = self.median(&args, 500) else {
            return;
        };
        let field = self.peer_run(&args, false);
        println!(
            "| {} | {} | 1 s{} |",
            figures(own),
            self.peer_figures(field),
            self.mark(own.cpu_s < 1.0)
        );
    }

    /// Remembers what was missed.
    fn mark(&mut self, holds: bool) -> &'static str {
        self.ok &= holds;
        if holds { "" } else { " **missed**" }
    }

    fn failed(&mut self, what: &str) {
        println!("| {what} | failed |");
        self.ok = false;
    }

    /// The document of a cluster that is all stopped.
    fn generated(&mut self, nodes: u32, resources: u32) -> Option<PathBuf> {
        let file = self.folder.join(format!("{nodes}x{resources}.xml"));
        let made = File::create(&file).ok().and_then(|out| {
            Command::new(&self.generator)
                .args([&nodes.to_string(), &resources.to_string(), SEED])
                .stdout(Stdio::from(out))
                .status()
                .ok()
        });
        if made.is_some_and(|status| status.success()) {
            return Some(file);
        }
        self.failed(&format!("gen-cib {nodes} {resources}"));
        None
    }

    /// The document of the same cluster when it has been started.
    fn started(&mut self, nodes: u32, resources: u32) -> Option<PathBuf> {
        let stopped = self.generated(nodes, resources)?;
        let file = self.folder.join(format!("{nodes}x{resources}-started.xml"));
        let mut args = arguments(&stopped, "-S");
        args.extend(["-O".into(), file.clone().into()]);
        if usage::of(&self.simulate, &args, LIMIT_S).is_some_and(|u| u.ended) {
            return Some(file);
        }
        self.failed(&format!("the start of {nodes} × {resources}"));
        None
    }

    /// Of several runs, fewer of what takes long, the middle one.
    fn median(&mut self, args: &[OsString], resources: u32) -> Option<Usage> {
        let runs = match resources {
            0..=1000 => self.runs,
            1001..=5000 => self.runs.min(5),
            _ => self.runs.min(3),
        };
        let run = |_| usage::of(&self.simulate, args, LIMIT_S).filter(|u| u.ended);
        let mut all: Vec<Usage> = (0..runs).filter_map(run).collect();
        all.sort_by(|a, b| a.cpu_s.total_cmp(&b.cpu_s));
        let found = all.get(all.len() / 2).copied();
        if found.is_none() {
            self.failed(&format!("{args:?}"));
        }
        found
    }

    fn peer_run(&self, args: &[OsString], quick: bool) -> Option<Usage> {
        let peer = self.peer?;
        if !(quick || peer.full) {
            return None;
        }
        let limit_s = if peer.full {
            peer.peer_limit_s.max(300)
        } else {
            peer.peer_limit_s
        };
        usage::of(Path::new(PEER), args, limit_s)
    }

    fn peer_figures(&self, field: Option<Usage>) -> String {
        match (field, self.peer) {
            (Some(used), _) if used.ended => figures(used),
            (Some(used), _) => format!(
                "ended at {:.0} | {:.0} | {:.0}",
                used.cpu_s, used.wall_s, used.peak_mib
            ),
            (None, Some(_)) => "only with --full | | ".to_owned(),
            (None, None) => "skipped | | ".to_owned(),
        }
    }

    /// What decisions take once the document is in memory.
    fn without_reading(&self, file: &Path) -> Option<InMemory> {
        const TIMES: u32 = 21;
        let mut command = Command::new(&self.again);
        command.arg(file).arg(TIMES.to_string());
        let told = run::run(
            &mut command,
            Show::OnlyFailure,
            Duration::from_secs(LIMIT_S),
        );
        let figure = |name: &str| {
            let figures = told.output.split_whitespace();
            let mut found = figures.filter_map(|f| f.strip_prefix(name)?.strip_prefix('='));
            found.next()?.parse::<f64>().ok()
        };
        Some(InMemory {
            first_s: figure("first_s")?,
            following_s: figure("following_s")?,
        })
    }
}

/// Seconds that decisions on a document in memory take.
#[derive(Clone, Copy)]
struct InMemory {
    /// One alone.
    first_s: f64,
    /// Each that follows, after one entry of a history was updated, with what was kept from the one before; the
    /// middle of many.
    following_s: f64,
}

fn arguments(file: &Path, how: &str) -> Vec<OsString> {
    vec!["-x".into(), file.into(), how.into()]
}

fn figures(used: Usage) -> String {
    format!(
        "{:.3} | {:.3} | {:.0}",
        used.cpu_s, used.wall_s, used.peak_mib
    )
}

fn kib(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |m| m.len() / 1024)
}

//! What the daemons of a node need while nothing happens: at first with nothing to look after (the cluster is in
//! maintenance), then with the example's resources, each with a monitor every second.

use super::{Figures, remove};
use crate::{cluster::Cluster, error::LabError, layout::Layout};
use clap::Args;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

#[derive(Args)]
pub(super) struct Options {
    /// How long to look.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

/// After the last change, until everything has calmed down.
const CALM: Duration = Duration::from_secs(5);
/// What a node's daemons are called as.
const DAEMONS: [&str; 3] = ["supervise", "crmd", "stonithd"];

/// A daemon's process at a moment.
struct Process {
    node: String,
    /// Processor time so far, in nanoseconds.
    cpu_ns: u64,
    /// Its share of memory, in KiB.
    pss_kib: u64,
}

const SET: &str = "bench-rest";
const LIMIT: Duration = Duration::from_secs(20);

pub(super) fn measure(cluster: &Cluster<'_>, options: &Options) -> Result<Figures, LabError> {
    cluster.settle()?;
    let mut figures = Figures::default();
    let pause = format!(
        r#"<cluster_property_set id="{SET}"><nvpair id="{SET}-1" name="maintenance-mode" value="true"/></cluster_property_set>"#
    );
    cluster.coordinator()?.modify("crm_config", &pause, LIMIT)?;
    look_for_a_while(cluster, options, "", &mut figures)?;
    remove(cluster, SET)?;
    look_for_a_while(cluster, options, "monitoring_", &mut figures)?;
    Ok(figures)
}

/// What the daemons needed in a while, as figures of names that begin so.
fn look_for_a_while(
    cluster: &Cluster<'_>,
    options: &Options,
    prefix: &str,
    figures: &mut Figures,
) -> Result<(), LabError> {
    cluster.settle()?;
    sleep(CALM);
    let nodes = &cluster.lab.spec().nodes;
    let (began, before) = (Instant::now(), processes(cluster.lab.layout(), nodes));
    sleep(Duration::from_secs(options.seconds));
    let after = processes(cluster.lab.layout(), nodes);
    let elapsed_ns = began.elapsed().as_nanos() as f64;
    let (mut most_cpu, mut most_pss) = (0.0_f64, 0.0_f64);
    for node in nodes {
        let of_node = || after.iter().filter(|(_, p)| p.node == *node);
        let used = of_node().map(|(path, p)| {
            let then = before.get(path).map_or(p.cpu_ns, |b| b.cpu_ns);
            p.cpu_ns - then.min(p.cpu_ns)
        });
        let cpu = used.sum::<u64>() as f64 / elapsed_ns * 100.0;
        let pss = of_node().map(|(_, p)| p.pss_kib).sum::<u64>() as f64 / 1024.0;
        figures.set(&format!("{prefix}{node}_cpu_percent"), cpu);
        figures.set(&format!("{prefix}{node}_pss_mib"), pss);
        most_cpu = most_cpu.max(cpu);
        most_pss = most_pss.max(pss);
        figures.expect(of_node().count() >= DAEMONS.len(), || {
            format!("{node} does not run all its daemons, or they may not be looked at")
        });
    }
    figures.set(&format!("{prefix}most_cpu_percent"), most_cpu);
    figures.set(&format!("{prefix}most_pss_mib"), most_pss);
    Ok(())
}

/// Our daemons in the lab's nodes.
fn processes(layout: &Layout, nodes: &[String]) -> BTreeMap<PathBuf, Process> {
    let Ok(listing) = fs::read_dir("/proc") else {
        return BTreeMap::new();
    };
    let paths = listing.flatten().map(|entry| entry.path());
    paths
        .filter_map(|path| Some((path.clone(), look(&path, layout, nodes)?)))
        .collect()
}

fn look(process: &Path, layout: &Layout, nodes: &[String]) -> Option<Process> {
    let words = fs::read(process.join("cmdline")).ok()?;
    let words = String::from_utf8_lossy(&words).into_owned();
    let mut words = words.split('\0').map(|w| w.rsplit('/').next().unwrap_or(w));
    let ours = words.by_ref().take(2).any(|w| DAEMONS.contains(&w));
    let mounts = fs::read_to_string(process.join("mountinfo")).ok()?;
    if !ours || !mounts.contains(&*layout.dir().to_string_lossy()) {
        return None;
    }
    let environment = fs::read(process.join("environ")).ok()?;
    let environment = String::from_utf8_lossy(&environment).into_owned();
    let mut variables = environment.split('\0');
    let node = variables.find_map(|v| v.strip_prefix("SYSTOLE_LAB_NODE="))?;
    let node = nodes.iter().find(|n| *n == node)?.clone();
    let tasks = fs::read_dir(process.join("task")).ok()?.flatten();
    let used = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    let cpu_ns = used.sum();
    let memory = fs::read_to_string(process.join("smaps_rollup")).ok()?;
    let mut lines = memory.lines();
    let pss = lines.find_map(|l| l.strip_prefix("Pss:"))?;
    let pss_kib = pss.split_whitespace().next()?.parse().ok()?;
    Some(Process {
        node,
        cpu_ns,
        pss_kib,
    })
}

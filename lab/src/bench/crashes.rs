//! Writers at every node while a random node is killed again and again. Afterwards every change that was
//! acknowledged must be there, on every node.

use super::{Figures, option};
use crate::{cluster::Cluster, error::LabError};
use clap::Args;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, sleep},
    time::{Duration, Instant},
};

#[derive(Args)]
pub(super) struct Options {
    /// How long.
    #[arg(long, default_value_t = 5)]
    minutes: u64,
    /// From one crash to the next.
    #[arg(long, default_value_t = 10)]
    every_s: u64,
    /// Between two changes of a writer.
    #[arg(long, default_value_t = 50)]
    pause_ms: u64,
    /// Which nodes are met, in which order [default: another order each time, said at the beginning].
    #[arg(long)]
    seed: Option<u64>,
}

/// A writer gives up on a change after this; then nobody knows whether it took effect.
const CHANGE_LIMIT: Duration = Duration::from_secs(10);
const ASK_LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(100);

/// What one writer did.
#[derive(Default)]
struct Written {
    acknowledged: Vec<u64>,
    unknown: usize,
    worst: Duration,
}

pub(super) fn measure(cluster: &Cluster<'_>, options: &Options) -> Result<Figures, LabError> {
    cluster.settle()?;
    let seed = options.seed.unwrap_or_else(|| rand::rng().random());
    println!(
        "writers at every node for {} min, a crash every {} s, seed {seed}",
        options.minutes, options.every_s
    );
    let nodes = &cluster.lab.spec().nodes;
    let stop = AtomicBool::new(false);
    let (written, crashes) = thread::scope(|scope| {
        let stop = &stop;
        let writers: Vec<_> = nodes
            .iter()
            .map(|node| scope.spawn(move || write(cluster, node, options, stop)))
            .collect();
        let crashes = crash(cluster, options, seed);
        stop.store(true, Ordering::Relaxed);
        let written: Result<Vec<Written>, LabError> = writers
            .into_iter()
            .map(|w| {
                w.join()
                    .unwrap_or_else(|_| Err(LabError::Said("a writer fell".into())))
            })
            .collect();
        (written, crashes)
    });
    let (written, crashes) = (written?, crashes?);
    cluster.settle()?;
    let mut figures = Figures::default();
    let acknowledged: usize = written.iter().map(|w| w.acknowledged.len()).sum();
    let unknown: usize = written.iter().map(|w| w.unknown).sum();
    let worst = written.iter().map(|w| w.worst).max().unwrap_or_default();
    figures.set("crashes", f64::from(crashes));
    figures.set("acknowledged", acknowledged as f64);
    figures.set("without_an_answer", unknown as f64);
    figures.set("longest_write_ms", worst.as_secs_f64() * 1000.0);
    let digests = cluster.same_digest();
    figures.expect(digests.is_ok(), || {
        digests.err().map(|e| e.to_string()).unwrap_or_default()
    });
    for node in nodes {
        let lost = lost(cluster, node, nodes, &written)?;
        figures.expect(lost.is_empty(), || {
            format!("acknowledged and not there on {node}: {}", lost.join(" "))
        });
    }
    let verdict = cluster.lab.audit()?;
    figures.expect(verdict.doubles.is_empty(), || {
        format!("active twice: {:?}", verdict.doubles)
    });
    for node in nodes {
        super::remove(cluster, &set(node))?;
    }
    Ok(figures)
}

fn set(node: &str) -> String {
    format!("bench-crashes-{node}")
}

fn write(
    cluster: &Cluster<'_>,
    node: &str,
    options: &Options,
    stop: &AtomicBool,
) -> Result<Written, LabError> {
    let client = cluster.client(node)?;
    let mut written = Written::default();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let asked = Instant::now();
        let xml = option(&set(node), number, &number.to_string());
        match client.modify("crm_config", &xml, CHANGE_LIMIT) {
            Ok(()) => {
                written.acknowledged.push(number);
                written.worst = written.worst.max(asked.elapsed());
            }
            Err(_) => written.unknown += 1,
        }
        sleep(Duration::from_millis(options.pause_ms));
    }
    Ok(written)
}

/// Kills a random node again and again; how often.
fn crash(cluster: &Cluster<'_>, options: &Options, seed: u64) -> Result<u32, LabError> {
    let mut random = StdRng::seed_from_u64(seed);
    let nodes = &cluster.lab.spec().nodes;
    let end = Instant::now() + Duration::from_secs(options.minutes * 60);
    let mut crashes = 0;
    let mut next = Instant::now() + Duration::from_secs(options.every_s);
    while next < end {
        sleep(next.saturating_duration_since(Instant::now()));
        next += Duration::from_secs(options.every_s);
        let victim = &nodes[random.random_range(0..nodes.len())];
        crashes += 1;
        println!("  crash {crashes}: {victim}");
        cluster
            .lab
            .kill(victim)
            .map_err(|e| LabError::Said(format!("kill {victim}: {e}")))?;
    }
    sleep(end.saturating_duration_since(Instant::now()));
    Ok(crashes)
}

/// What was acknowledged to anybody and is not in this node's configuration.
fn lost(
    cluster: &Cluster<'_>,
    node: &str,
    nodes: &[String],
    written: &[Written],
) -> Result<Vec<String>, LabError> {
    let client = cluster.client(node)?;
    let cib = crate::wait::wait_for(
        &format!("the configuration of {node}"),
        ASK_LIMIT,
        POLL,
        || client.cib(ASK_LIMIT).map(Some),
    )?;
    let there: BTreeSet<&str> = cib.descendants().filter_map(|e| e.id()).collect();
    let all = nodes.iter().zip(written);
    let ids = all.flat_map(|(writer, w)| {
        let set = set(writer);
        w.acknowledged.iter().map(move |n| format!("{set}-{n}"))
    });
    Ok(ids.filter(|id| !there.contains(id.as_str())).collect())
}

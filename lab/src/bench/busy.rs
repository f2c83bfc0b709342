//! All processors kept busy by other work, of the same priority as the daemons: no member may be lost
//! for that.

use super::Figures;
use crate::{cluster::Cluster, error::LabError};
use clap::Args;
use std::{
    collections::BTreeMap,
    hint::spin_loop,
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, sleep},
    time::{Duration, Instant},
};

#[derive(Args)]
pub(super) struct Options {
    /// How long.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Busy threads [default: one for each processor].
    #[arg(long)]
    threads: Option<usize>,
}

/// Between two looks at the members.
const LOOK: Duration = Duration::from_secs(1);
/// A lost one is said so long after.
const AFTER: Duration = Duration::from_secs(5);

pub(super) fn measure(cluster: &Cluster<'_>, options: &Options) -> Result<Figures, LabError> {
    cluster.settle()?;
    let processors = thread::available_parallelism().map_or(2, usize::from);
    let threads = options.threads.unwrap_or(processors);
    let (before, term) = lives(cluster)?;
    let (power, audit) = (
        cluster.lab.events()?.len(),
        cluster.lab.audit_events()?.len(),
    );
    println!("{threads} threads busy for {} min", options.minutes);
    let stop = AtomicBool::new(false);
    let mut longest_ms = 0_u64;
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    spin_loop();
                }
            });
        }
        let end = Instant::now() + Duration::from_secs(options.minutes * 60);
        while Instant::now() < end {
            sleep(LOOK);
            if let Ok(view) = cluster.view() {
                let silent = view.members.iter().map(|m| m.silent_ms).max();
                longest_ms = longest_ms.max(silent.unwrap_or_default());
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    sleep(AFTER);
    let (after, term_after) = lives(cluster)?;
    let mut figures = Figures::default();
    figures.set("minutes", options.minutes as f64);
    figures.set("busy_threads", threads as f64);
    figures.set("longest_silence_seen_ms", longest_ms as f64);
    figures.set(
        "changes_of_coordinator",
        term_after.saturating_sub(term) as f64,
    );
    figures.expect(after == before, || {
        format!("members' lives and runs were {before:?} and are {after:?}")
    });
    let fenced = cluster.lab.events()?.split_off(power);
    figures.expect(fenced.is_empty(), || format!("the lab did: {fenced:?}"));
    let touched = cluster.lab.audit_events()?.split_off(audit);
    figures.expect(touched.is_empty(), || format!("agents did: {touched:?}"));
    Ok(figures)
}

/// A member's life, its daemon's run, and its state.
type Run = (u64, u64, String);

/// Every member's run, and the term.
fn lives(cluster: &Cluster<'_>) -> Result<(BTreeMap<String, Run>, u64), LabError> {
    let view = cluster.view()?;
    let members = view.members.iter();
    let lives = members.map(|m| {
        let run = (m.life, m.incarnation, m.state.clone());
        (m.node.to_string(), run)
    });
    Ok((lives.collect(), view.term))
}

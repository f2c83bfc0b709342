//! Changes by `cibadmin`, one after another, as a script makes them.

use super::{Figures, remove};
use crate::{
    cluster::Cluster,
    error::{LabError, said},
};
use clap::Args;
use std::time::{Duration, Instant};

#[derive(Args)]
pub(super) struct Options {
    /// How many.
    #[arg(long, default_value_t = 300)]
    changes: u32,
    /// At this node [default: one that does not coordinate].
    #[arg(long)]
    node: Option<String>,
}

const SET: &str = "bench-shell";
/// For each change.
const LIMIT: Duration = Duration::from_secs(2);

pub(super) fn measure(cluster: &Cluster<'_>, options: &Options) -> Result<Figures, LabError> {
    let coordinator = cluster.view()?.node;
    let mut others = cluster.lab.spec().nodes.iter();
    let other = others.find(|n| **n != coordinator).cloned();
    let node = options.node.clone().or(other).unwrap_or(coordinator);
    let create = format!(r#"<cluster_property_set id="{SET}"/>"#);
    cluster.change("create", "crm_config", &create)?;
    let script = format!(
        "set -e; i=0; while [ $i -lt {} ]; do i=$((i+1)); cibadmin --modify --scope crm_config --allow-create \
         --xml-text \"<cluster_property_set id='{SET}'><nvpair id='{SET}-1' name='{SET}' value='$i'/></cluster_property_set>\"; done",
        options.changes
    );
    let began = Instant::now();
    let told = cluster
        .lab
        .exec(&node, &["sh", "-c", &script], LIMIT * options.changes)?;
    let seconds = began.elapsed().as_secs_f64();
    if told.code != 0 {
        return said(format!("cibadmin on {node} said: {}", told.text.trim()));
    }
    remove(cluster, SET)?;
    let mut figures = Figures::default();
    figures.set("changes", f64::from(options.changes));
    figures.set("writes_per_s", f64::from(options.changes) / seconds);
    Ok(figures)
}

//! Decides where every resource runs: a pure function from a CIB and a time to a transition graph.
//!
//! No clock, no I/O. It decides as Pacemaker decides. [`schedule`] is the way in; [`run`] also keeps what reports
//! and simulations need.

mod actions;
mod assign;
mod bundle;
mod changes;
mod colocation;
mod constraints;
mod create;
mod dates;
mod deep;
pub mod digest;
mod earlier;
pub mod explain;
mod failures;
mod fencing;
pub mod graph;
pub mod history;
mod history_ops;
mod instances;
mod lint;
mod memory;
mod merge;
mod migration;
mod model;
mod names;
mod nodes;
mod notify;
mod nvpairs;
mod options;
mod order_constraints;
mod ordering;
mod pattern;
mod probes;
mod produce;
mod promotion;
mod recurring;
mod remote;
mod report;
mod resources;
mod rules;
mod run;
mod score;
mod simulate;
mod status;
mod unfencing;
mod utilization;
pub mod view;

pub use dates::parse_moment;
pub use earlier::Earlier;
pub use lint::lint;
pub use memory::Memory;
pub use report::Planned;
pub use run::{Asked, Reading, Run, run, run_with};
pub use simulate::{Executed, Failing, Step, count_failure, simulate, simulate_with, updated};

use cib::Element;
use graph::Graph;
use std::collections::BTreeMap;

/// What one run decided, and why.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// What to do, in which order.
    pub graph: Graph,
    /// Seconds since the epoch at which time alone would change the decision (a rule, a failure-timeout).
    pub recheck_at_s: Option<i64>,
    /// Things in the configuration that were ignored or mended, with ids, for people.
    pub problems: Vec<String>,
    /// What happens to each resource and why, one line each, as in a transition summary.
    pub report: Vec<String>,
}

/// A moment as people read it.
#[must_use]
pub fn show_moment(at_s: i64) -> String {
    dates::show(at_s)
}

/// The name-value pairs in all blocks called `kind` under `parent` that apply at the moment `now_s` (seconds
/// since the epoch), for what belongs to no node and no resource. `id-ref` is looked up in `document`.
#[must_use]
pub fn named_values(
    document: &Element,
    parent: &Element,
    kind: &str,
    now_s: i64,
) -> BTreeMap<String, String> {
    let context = rules::Context {
        now_s,
        ..rules::Context::default()
    };
    let mut values = BTreeMap::new();
    nvpairs::unpack(
        &nvpairs::Ids::new(document),
        parent,
        kind,
        None,
        &context,
        &mut rules::Recheck::default(),
        &mut values,
    );
    values
}

/// Runs the scheduler for the moment `now_s` (seconds since the epoch).
#[must_use]
pub fn schedule(cib: &Element, now_s: i64) -> Decision {
    decision(run(cib, now_s, false))
}

/// As [`schedule`], with what was kept from the run before: what has not changed since is not read again. For daemons,
/// which decide again and again on documents that share most of their memory.
#[must_use]
pub fn schedule_again(cib: &Element, now_s: i64, memory: &mut Memory) -> Decision {
    decision(run::run_again(cib, now_s, memory))
}

fn decision(run: Run) -> Decision {
    Decision {
        recheck_at_s: run.graph.recheck_at_s,
        graph: run.graph,
        problems: run.problems,
        report: run.transition_summary,
    }
}

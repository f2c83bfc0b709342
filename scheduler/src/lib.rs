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
pub mod digest;
mod failures;
mod fencing;
pub mod graph;
pub mod history;
mod history_ops;
mod instances;
mod lint;
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
mod text;
mod unfencing;
mod utilization;
pub mod view;

pub use dates::parse_moment;
pub use lint::lint;
pub use run::{Run, run};
pub use simulate::{Executed, simulate};

use cib::Element;
use graph::Graph;

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

/// Nodes and resources as status tools print them, for the moment `now_s`.
#[must_use]
pub fn state(cib: &Element, now_s: i64) -> Vec<String> {
    text::status(&mut run::read(cib, now_s), false)
}

/// A moment as people read it.
#[must_use]
pub fn show_moment(at_s: i64) -> String {
    dates::show(at_s)
}

/// Runs the scheduler for the moment `now_s` (seconds since the epoch).
#[must_use]
pub fn schedule(cib: &Element, now_s: i64) -> Decision {
    let run = run(cib, now_s, false);
    Decision {
        recheck_at_s: run.graph.recheck_at_s,
        graph: run.graph,
        problems: run.problems,
        report: run.transition_summary,
    }
}

//! Decides where every resource runs: a pure function from a CIB and a time to a transition graph.
//!
//! No clock, no I/O. It decides as Pacemaker decides.

pub mod graph;

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
}

/// Runs the scheduler for the moment `now_s` (seconds since the epoch).
pub fn schedule(_cib: &Element, _now_s: i64) -> Decision {
    Decision::default()
}

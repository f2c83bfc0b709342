//! What a node's core counts, and what it shows of itself in numbers when it is asked.
//!
//! Counting costs an addition; everything else is reckoned at the moment somebody asks.

use crate::{
    entry::Entry,
    history,
    ids::{NodeName, Now},
    node::Node,
    view::NodeView,
};
use cib::Element;
use std::collections::BTreeMap;

/// Executions of one kind of operation with one result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Executions {
    /// How many.
    pub count: u64,
    /// How long they took together, in milliseconds.
    pub total_ms: u64,
}

/// Executions by operation and result (`ok`, `failed`, `timed-out`, `cancelled`).
pub type Operations = BTreeMap<(String, &'static str), Executions>;

/// What was counted since the daemon began.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counters {
    fencing: BTreeMap<(String, &'static str), u64>,
    pub(crate) transitions: u64,
    pub(crate) steps: u64,
    pub(crate) losses: u64,
    pub(crate) storage_troubles: u64,
}

/// A node in numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// State of the node and its members.
    pub view: NodeView,
    /// Whether it is the coordinator.
    pub coordinates: bool,
    /// The disk under its log takes nothing at present.
    pub storage_failing: bool,
    /// Resources by node and state (`started`, `promoted`, `stopped`, `pending`), as their histories say.
    pub resources: BTreeMap<(NodeName, &'static str), u64>,
    /// Failures by node and resource; 1,000,000 is INFINITY.
    pub fail_counts: BTreeMap<(NodeName, String), u64>,
    /// Executions on this node since its daemon began.
    pub operations: Operations,
    /// Fencing operations of the cluster that ended since this daemon began, by action and result
    /// (`confirmed`, `unconfirmed`, `failed`).
    pub fencing: BTreeMap<(String, &'static str), u64>,
    /// Fencing under way.
    pub fencing_pending: usize,
    /// Transitions with something to do that this node began as the coordinator.
    pub transitions: u64,
    /// Steps in them.
    pub steps: u64,
    /// How often a member was lost, as this node saw it.
    pub losses: u64,
    /// How often the disk under the log got into trouble.
    pub storage_troubles: u64,
}

/// What fail counts call INFINITY.
const INFINITY: u64 = 1_000_000;

impl Counters {
    /// Fencing has ended.
    pub(crate) fn fenced(&mut self, action: &str, entry: &Entry) {
        let Entry::FenceResult { result, .. } = entry else {
            return;
        };
        let result = match result {
            Ok(grade) if grade.frees_resources() => "confirmed",
            Ok(_) => "unconfirmed",
            Err(_) => "failed",
        };
        let key = (action.to_owned(), result);
        *self.fencing.entry(key).or_default() += 1;
    }
}

impl Node {
    /// The node in numbers, reckoned now.
    #[must_use]
    pub fn figures(&self, now: Now) -> Figures {
        let counters = &self.counters;
        Figures {
            view: self.view(now),
            coordinates: self.coordinates(),
            storage_failing: self.storage_trouble.is_some(),
            resources: self.resources_by_state(),
            fail_counts: self.all_fail_counts(),
            operations: self.executor.operations().clone(),
            fencing: counters.fencing.clone(),
            fencing_pending: self.state.intents.len(),
            transitions: counters.transitions,
            steps: counters.steps,
            losses: counters.losses,
            storage_troubles: counters.storage_troubles,
        }
    }

    fn resources_by_state(&self) -> BTreeMap<(NodeName, &'static str), u64> {
        let mut counts = BTreeMap::new();
        for name in self.state.members.keys() {
            let resources = self.known(name).map(|k| k.resources.values());
            for history in resources.into_iter().flatten() {
                *counts.entry((name.clone(), state_of(history))).or_default() += 1;
            }
        }
        counts
    }

    fn all_fail_counts(&self) -> BTreeMap<(NodeName, String), u64> {
        let mut counts = BTreeMap::new();
        for name in self.state.members.keys() {
            let attributes = self.known(name).map(|k| k.attributes.iter());
            for (attribute, value) in attributes.into_iter().flatten() {
                let Some(rest) = attribute.strip_prefix("fail-count-") else {
                    continue;
                };
                let resource = rest.split('#').next().unwrap_or(rest).to_owned();
                let count: &mut u64 = counts.entry((name.clone(), resource)).or_default();
                let more = value.parse().unwrap_or(INFINITY);
                *count = count.saturating_add(more).min(INFINITY);
            }
        }
        counts
    }
}

/// What a history says of its resource.
fn state_of(history: &Element) -> &'static str {
    if history::is_pending(history) {
        return "pending";
    }
    if !history::is_active(history) {
        return "stopped";
    }
    let number = |e: &Element, name: &str| e.attr(name).and_then(|v| v.parse::<i64>().ok());
    let role = |e: &Element| match (e.attr("operation"), number(e, "rc-code")) {
        (Some("promote"), Some(0)) | (Some("monitor"), Some(8)) => Some("promoted"),
        (Some("demote" | "start" | "monitor"), Some(0)) => Some("started"),
        _ => None,
    };
    let entries = history.children_named("lrm_rsc_op");
    let told = entries.filter_map(|e| Some((number(e, "call-id")?, role(e)?)));
    told.max_by_key(|(call, _)| *call)
        .map_or("started", |(_, role)| role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_operation_says_what_a_resource_does() {
        let cases = [
            (&[("start", 0, 0)][..], "started"),
            (&[("start", 0, 0), ("promote", 0, 0)], "promoted"),
            (&[("promote", 0, 0), ("demote", 0, 0)], "started"),
            (&[("monitor", 8, 0)], "promoted"),
            (&[("monitor", 7, 0)], "stopped"),
            (&[("start", 0, 0), ("stop", 0, 0)], "stopped"),
            (&[("start", 193, -1)], "pending"),
        ];
        for (operations, expected) in cases {
            let mut history = Element::new("lrm_resource");
            for (call, (operation, rc, status)) in operations.iter().enumerate() {
                history.push(
                    Element::new("lrm_rsc_op")
                        .with_attr("operation", operation)
                        .with_attr("call-id", call.to_string())
                        .with_attr("rc-code", rc.to_string())
                        .with_attr("op-status", status.to_string()),
                );
            }
            assert_eq!(state_of(&history), expected, "{operations:?}");
        }
    }
}

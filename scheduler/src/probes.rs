//! Probes: finding out what runs on nodes whose history does not say.

use crate::{
    actions, colocation,
    model::{ActIx, Cluster, Discover, Kind, NodeIx, Role, RscIx, Task, ar},
    ordering::{Acts, find_actions, order_action_task, order_actions, order_tasks},
    recurring::target_rc,
};

/// Makes all probes.
pub(crate) fn schedule(c: &mut Cluster) {
    // Only probing puts instances back into the order of their numbers; otherwise that of their places stays.
    let probed = c.options.probes && c.nodes.iter().any(|n| n.online && !n.unclean && n.probes);
    for clone in 0..c.rscs.len() {
        if probed && c.rscs[clone].kind == Kind::Clone {
            crate::instances::sort_by_number(c, clone);
        }
    }
    let open: Vec<RscIx> = c
        .top
        .iter()
        .copied()
        .filter(|rsc| !known_everywhere(c, *rsc))
        .collect();
    for at in 0..c.node_order.len() {
        let node = c.node_order[at];
        let n = &c.nodes[node];
        if !n.online {
            if crate::remote::connection_is_lost(c, node) {
                crate::fencing::fence_node(c, node, "the connection is unrecoverable", false);
            }
            continue;
        }
        if n.unclean || !n.probes {
            continue;
        }
        for rsc in open.iter().copied() {
            probe(c, rsc, node);
        }
    }
}

/// Whether histories say of each node what a resource does there.
fn known_everywhere(c: &Cluster, rsc: RscIx) -> bool {
    let r = &c.rscs[rsc];
    match r.kind {
        Kind::Primitive => r.known_on.len() >= c.nodes.len(),
        Kind::Group => r.children.iter().all(|member| known_everywhere(c, *member)),
        Kind::Clone | Kind::Bundle => false,
    }
}

/// Makes the probes a resource needs on a node. Whether there is any.
pub(crate) fn probe(c: &mut Cluster, rsc: RscIx, node: NodeIx) -> bool {
    match c.rscs[rsc].kind {
        Kind::Primitive => primitive(c, rsc, node),
        Kind::Clone if !c.rscs[rsc].unique => anonymous(c, rsc, node),
        Kind::Bundle => crate::bundle::probe(c, rsc, node),
        _ => {
            let mut any = false;
            for at in 0..c.rscs[rsc].children.len() {
                any |= probe(c, c.rscs[rsc].children[at], node);
            }
            any
        }
    }
}

fn anonymous(c: &mut Cluster, clone: RscIx, node: NodeIx) -> bool {
    let excluded = c.rscs[clone].exclusive_probes
        && c.rscs[clone]
            .allowed
            .get(node)
            .is_none_or(|e| e.discover != Discover::Exclusive);
    if excluded {
        return false;
    }
    // Best is an instance of which something is known there, then the one that is to be there.
    let is_known = |r: &&RscIx| c.rscs[**r].known_on.contains(node);
    let is_placed = |r: &&RscIx| !c.rscs[**r].removed && colocation::location(c, **r) == Some(node);
    let children = &c.rscs[clone].children;
    let here = children.iter().find(is_known);
    let here = here.or_else(|| children.iter().find(is_placed));
    let Some(child) = here.or_else(|| children.first()).copied() else {
        return false;
    };
    probe(c, child, node)
}

fn primitive(c: &mut Cluster, rsc: RscIx, node: NodeIx) -> bool {
    if !c.options.probes || !wanted(c, rsc, node) {
        return false;
    }
    if guest_settles_it(c, rsc, node) {
        return false;
    }
    let act = actions::action(c, rsc, Task::Monitor, 0, Some(node), false);
    c.acts[act].optional = false;
    crate::unfencing::order(c, rsc, node, act, ar::ORDERED);
    if !c.rscs[rsc].running_on.contains(&node) {
        target_rc(c, act, "7");
    } else if c.rscs[rsc].role == Role::Promoted {
        target_rc(c, act, "8");
    }
    let top = probe_top(c, rsc);
    let mut flags = ar::ORDERED;
    if !c.acts[act].runnable && c.active_nodes(top).is_empty() {
        flags |= ar::UNRUNNABLE_FIRST_BLOCKS;
    }
    order_action_task(c, act, top, Task::Start, flags);
    order_action_task(c, act, top, Task::ReloadAgent, ar::ORDERED);
    true
}

/// What a probe has to come before: the start of the resource, or of the whole anonymous clone.
fn probe_top(c: &Cluster, rsc: RscIx) -> RscIx {
    let top = c.uber_parent(rsc, false);
    if c.rscs[top].kind == Kind::Clone {
        top
    } else {
        rsc
    }
}

fn wanted(c: &Cluster, rsc: RscIx, node: NodeIx) -> bool {
    let r = &c.rscs[rsc];
    if c.is_remote_node(node) {
        if r.is_fence_device || !r.allow_remote || r.is_remote {
            return false;
        }
        if c.is_guest(node) && (r.is_remote || !r.fillers.is_empty()) {
            return false;
        }
    }
    let top = c.uber_parent(rsc, false);
    let entry = r.allowed.get(node);
    if r.exclusive_probes || c.rscs[top].exclusive_probes {
        match entry {
            Some(e) if e.discover == Discover::Exclusive => {}
            _ => return false,
        }
    }
    if entry.is_some_and(|e| e.discover == Discover::Never) {
        return false;
    }
    if c.nodes[node].bundle && !entry.is_some_and(|e| e.discover == Discover::Exclusive) {
        return false;
    }
    if r.container.is_some() && !r.is_remote || r.removed {
        return false;
    }
    !known(c, rsc, node)
}

fn known(c: &Cluster, rsc: RscIx, node: NodeIx) -> bool {
    if c.rscs[rsc].known_on.contains(node) {
        return true;
    }
    if !c.is_anonymous_instance(rsc) {
        return false;
    }
    // What is known of one instance is known of the clone.
    let base = crate::history_ops::base_name(&c.rscs[rsc].id);
    let top = c.uber_parent(rsc, false);
    c.rscs[top].children.iter().any(|i| {
        let is_it = |p: &RscIx| {
            let p = &c.rscs[*p];
            p.known_on.contains(node) && crate::history_ops::base_name(&p.id) == base
        };
        match c.rscs[*i].kind {
            Kind::Primitive => is_it(i),
            _ => c.primitives(*i).iter().any(is_it),
        }
    })
}

/// A guest that is down or going down has nothing running; one whose container restarts is waited for.
fn guest_settles_it(c: &mut Cluster, rsc: RscIx, node: NodeIx) -> bool {
    let Some(container) = c.nodes[node].connection.and_then(|r| c.rscs[r].container) else {
        return false;
    };
    let top = probe_top(c, rsc);
    let r = &c.rscs[container];
    if r.role == Role::Stopped {
        if r.assigned.is_some_and(|n| !r.known_on.contains(n)) {
            order_tasks(c, container, Task::Monitor, top, Task::Start, ar::ORDERED);
        }
        return true;
    }
    let moves = r.assigned.is_some_and(|n| !r.running_on.contains(&n));
    let n = &c.nodes[node];
    if n.remote_requires_reset || n.unclean || r.failed || r.next_role == Role::Stopped || moves {
        // It may restart: then what was in it comes after.
        order_tasks(c, container, Task::Stop, top, Task::Start, ar::ORDERED);
        return true;
    }
    false
}

/// Orders probes against everything that has to know their results.
pub(crate) fn order(c: &mut Cluster) {
    for at in 0..c.top.len() {
        restarts(c, c.top[at]);
    }
    before_stops(c);
}

/// What waits for the stop of a resource also waits until it is known whether it runs.
fn before_stops(c: &mut Cluster) {
    for at in 0..c.orderings.len() {
        let o = &c.orderings[at];
        let Some(first) = o.first.rsc.filter(|r| o.then.rsc != Some(*r)) else {
            continue;
        };
        let task = match o.first.act {
            Some(act) => c.acts[act].task,
            None => o.first.task,
        };
        if task != Task::Stop || o.flags == 0 {
            continue;
        }
        let then_task = o.then.act.map_or(o.then.task, |a| c.acts[a].task);
        if let Some(then_rsc) = o.then.rsc
            && c.rscs[first].container == Some(then_rsc)
            && then_task == Task::Stop
        {
            // The probe might come after the container has started again.
            continue;
        }
        let probes = probes_of(c, first);
        if probes.is_empty() {
            continue;
        }
        let o = c.orderings[at].clone();
        let flags = match o.flags {
            ar::IF_REQUIRED_ON_SAME_NODE | ar::IF_ON_SAME_NODE_OR_TARGET => o.flags,
            flags => ar::ORDERED | flags & (ar::IF_FIRST_UNMIGRATABLE | ar::IF_ON_SAME_NODE),
        };
        let thens = match (o.then.act, o.then.rsc) {
            (Some(act), _) => smallvec::smallvec![act],
            (None, Some(rsc)) => find_actions(c, rsc, o.then.task, o.then.interval_ms),
            _ => continue,
        };
        for probe in probes {
            for then in &thens {
                order_actions(c, probe, *then, flags);
            }
        }
    }
}

fn probes_of(c: &Cluster, rsc: RscIx) -> Acts {
    find_actions(c, rsc, Task::Monitor, 0)
}

fn restarts(c: &mut Cluster, rsc: RscIx) {
    for at in 0..c.rscs[rsc].children.len() {
        restarts(c, c.rscs[rsc].children[at]);
    }
    if let Some(bundle) = &c.rscs[rsc].bundle {
        for part in bundle
            .replicas
            .iter()
            .flat_map(|r| [r.ip, Some(r.container), r.remote])
            .flatten()
            .collect::<Vec<_>>()
        {
            restarts(c, part);
        }
    }
    if c.rscs[rsc].kind != Kind::Primitive {
        return;
    }
    let mut chains: Vec<(ActIx, Vec<ActIx>)> = Vec::new();
    for probe in probes_of(c, rsc) {
        let after: Vec<(ActIx, u32)> = c.acts[probe]
            .after
            .iter()
            .map(|l| (l.other, l.flags))
            .collect();
        for (then, flags) in after {
            starts_of_clone(c, probe, then, flags);
            let at = match chains.iter().position(|(from, _)| *from == then) {
                Some(at) => at,
                None => {
                    chains.push((then, restart_chain(c, rsc, then)));
                    chains.len() - 1
                }
            };
            for stop in &chains[at].1 {
                order_actions(c, probe, *stop, ar::ORDERED);
            }
        }
    }
}

/// No instance of a clone starts while a probe of it cannot run.
fn starts_of_clone(c: &mut Cluster, probe: ActIx, after: ActIx, flags: u32) {
    let (Some(clone), Some(probed)) = (c.acts[after].rsc, c.acts[probe].rsc) else {
        return;
    };
    if c.rscs[clone].kind <= Kind::Group
        || c.acts[after].task != Task::Start
        || c.acts[probe].runnable
        || flags & ar::UNRUNNABLE_FIRST_BLOCKS != 0
        || c.uber_parent(probed, false) != clone
    {
        return;
    }
    let nexts: Vec<ActIx> = c.acts[after].after.iter().map(|l| l.other).collect();
    for next in nexts {
        let Some(rsc) = c.acts[next].rsc else {
            continue;
        };
        let inside = c.uber_parent(rsc, false) == clone;
        if c.active_nodes(rsc).is_empty() && inside && c.acts[next].task == Task::Start {
            order_actions(c, probe, next, ar::ORDERED | ar::UNRUNNABLE_FIRST_BLOCKS);
        }
    }
}

/// What restarts because of something a probe comes before stops only after the probe: the stops, which are the same
/// for the probes of a resource on all nodes.
fn restart_chain(c: &mut Cluster, probed: RscIx, from: ActIx) -> Vec<ActIx> {
    let mut stops = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let mut todo = vec![from];
    while let Some(after) = todo.pop() {
        if !seen.insert(after) {
            continue;
        }
        let rsc = c.acts[after].rsc;
        let restarted = matches!(c.acts[after].task, Task::Start | Task::Promote);
        if let Some(rsc) = rsc.filter(|r| c.rscs[*r].kind == Kind::Primitive && *r != probed)
            && restarted
        {
            for stop in find_actions(c, rsc, Task::Stop, 0) {
                // What fencing implies has nothing to wait for.
                if !c.acts[stop].pseudo {
                    stops.push(stop);
                }
            }
        }
        // Of an interleaved clone only the instance beside the probed resource matters.
        let collective = rsc.filter(|r| c.rscs[*r].kind > Kind::Group);
        let interleave = collective.filter(|r| {
            crate::score::is_true(c.rscs[*r].meta.get("interleave").map(String::as_str))
        });
        let beside = interleave
            .and_then(|clone| crate::instances::compatible(c, probed, clone, Role::Unknown, false));
        let links: Vec<(ActIx, u32)> = c.acts[after]
            .after
            .iter()
            .map(|l| (l.other, l.flags))
            .collect();
        for (next, flags) in links {
            if flags & ar::FIRST_IMPLIES_THEN == 0 {
                let (Some(rsc), Some(part)) = (rsc, c.acts[next].rsc) else {
                    continue;
                };
                let to_part = c.rscs[rsc].kind >= Kind::Group
                    && c.rscs[probed].parent != Some(rsc)
                    && c.rscs[part].kind <= Kind::Group
                    && c.rscs[part].parent == Some(rsc);
                if !to_part || interleave.is_some() && beside != Some(part) {
                    continue;
                }
            }
            todo.push(next);
        }
    }
    stops
}

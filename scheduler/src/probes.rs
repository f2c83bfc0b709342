//! Probes: finding out what runs on nodes whose history does not say.

use crate::{
    actions, colocation,
    model::{ActIx, Cluster, Discover, Kind, NodeIx, Role, RscIx, Task, ar},
    ordering::{find_actions, order_action_task, order_actions, order_tasks},
    recurring::target_rc,
};

/// Makes all probes.
pub(crate) fn schedule(c: &mut Cluster) {
    for clone in 0..c.rscs.len() {
        if c.rscs[clone].kind == Kind::Clone {
            crate::instances::sort_by_number(c, clone);
        }
    }
    for at in 0..c.node_order.len() {
        let node = c.node_order[at];
        let n = &c.nodes[node];
        if !n.online || n.pending || n.unclean || !n.probes {
            continue;
        }
        for at in 0..c.top.len() {
            probe(c, c.top[at], node);
        }
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
            for child in c.rscs[rsc].children.clone() {
                any |= probe(c, child, node);
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
    let here = c.rscs[clone]
        .children
        .iter()
        .copied()
        .find(|child| !c.rscs[*child].removed && colocation::location(c, *child) == Some(node));
    let Some(child) = here.or_else(|| c.rscs[clone].children.first().copied()) else {
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
    if c.rscs[rsc].known_on.contains(&node) {
        return true;
    }
    if !c.is_anonymous_instance(rsc) {
        return false;
    }
    // What is known of one instance is known of the clone.
    let base = crate::history_ops::base_name(&c.rscs[rsc].id);
    let top = c.uber_parent(rsc, false);
    c.rscs[top].children.iter().any(|i| {
        c.primitives(*i).iter().any(|p| {
            crate::history_ops::base_name(&c.rscs[*p].id) == base
                && c.rscs[*p].known_on.contains(&node)
        })
    })
}

/// A guest that is down or going down has nothing running; one whose container restarts is waited for.
fn guest_settles_it(c: &mut Cluster, rsc: RscIx, node: NodeIx) -> bool {
    let Some(container) = c.nodes[node].connection.and_then(|r| c.rscs[r].container) else {
        return false;
    };
    let r = &c.rscs[container];
    if r.role == Role::Stopped {
        return true;
    }
    let moves = r.assigned.is_some_and(|n| !r.running_on.contains(&n));
    let n = &c.nodes[node];
    if n.remote_requires_reset || n.unclean || r.failed || r.next_role == Role::Stopped || moves {
        order_tasks(c, container, Task::Stop, rsc, Task::Start, ar::ORDERED);
        return true;
    }
    false
}

/// Orders probes against everything that has to know their results.
pub(crate) fn order(c: &mut Cluster) {
    before_stops(c);
    for at in 0..c.top.len() {
        restarts(c, c.top[at]);
    }
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
            continue;
        }
        let probes: Vec<ActIx> = required_probes(c, first);
        if probes.is_empty() {
            continue;
        }
        let o = c.orderings[at].clone();
        let mut flags = ar::ORDERED;
        flags |= o.flags & (ar::IF_FIRST_UNMIGRATABLE | ar::IF_ON_SAME_NODE | ar::SERIALIZE);
        if o.flags & ar::IF_REQUIRED_ON_SAME_NODE != 0 {
            flags |= ar::IF_ON_SAME_NODE;
        }
        let thens = match (o.then.act, o.then.rsc) {
            (Some(act), _) => vec![act],
            (None, Some(rsc)) => find_actions(c, rsc, o.then.task, o.then.interval_ms),
            _ => continue,
        };
        for probe in probes {
            for then in &thens {
                let apart =
                    c.acts[probe].node != c.acts[*then].node && c.acts[*then].node.is_some();
                if flags & ar::IF_ON_SAME_NODE != 0 && apart {
                    continue;
                }
                order_actions(c, probe, *then, flags);
            }
        }
    }
}

fn required_probes(c: &Cluster, rsc: RscIx) -> Vec<ActIx> {
    let r = &c.rscs[rsc];
    r.actions
        .iter()
        .copied()
        .filter(|ix| {
            let a = &c.acts[*ix];
            a.task == Task::Monitor && a.interval_ms == 0 && !a.optional
        })
        .collect()
}

fn restarts(c: &mut Cluster, rsc: RscIx) {
    for at in 0..c.rscs[rsc].children.len() {
        restarts(c, c.rscs[rsc].children[at]);
    }
    if c.rscs[rsc].kind != Kind::Primitive {
        return;
    }
    for probe in required_probes(c, rsc) {
        let after: Vec<ActIx> = c.acts[probe].after.iter().map(|l| l.other).collect();
        for then in after {
            starts_of_clone(c, probe, then);
            let mut seen = Vec::new();
            restart_chain(c, probe, then, &mut seen, 0);
        }
    }
}

/// No instance of a clone starts while a probe of it cannot run.
fn starts_of_clone(c: &mut Cluster, probe: ActIx, after: ActIx) {
    let Some(clone) = c.acts[after].rsc else {
        return;
    };
    if c.rscs[clone].kind <= Kind::Group
        || c.acts[after].task != Task::Start
        || c.acts[probe].runnable
    {
        return;
    }
    let nexts: Vec<ActIx> = c.acts[after].after.iter().map(|l| l.other).collect();
    for next in nexts {
        let Some(rsc) = c.acts[next].rsc else {
            continue;
        };
        let inside = c.uber_parent(rsc, false) == clone;
        if c.active_nodes(rsc).is_empty()
            && inside
            && c.acts[next].task == Task::Start
            && rsc != clone
        {
            order_actions(c, probe, next, ar::UNRUNNABLE_FIRST_BLOCKS);
        }
    }
}

/// What restarts because of something a probe comes before stops only after the probe.
fn restart_chain(c: &mut Cluster, probe: ActIx, after: ActIx, seen: &mut Vec<ActIx>, depth: usize) {
    if seen.contains(&after) || depth > 200 {
        return;
    }
    seen.push(after);
    let Some(probed) = c.acts[probe].rsc else {
        return;
    };
    let after_rsc = c.acts[after].rsc;
    if let Some(rsc) = after_rsc.filter(|r| c.rscs[*r].kind == Kind::Primitive && *r != probed)
        && c.acts[after].task != Task::Stop
    {
        for stop in find_actions(c, rsc, Task::Stop, 0) {
            if !c.acts[stop].optional {
                order_actions(c, probe, stop, ar::ORDERED);
            }
        }
    }
    let interleave = after_rsc.is_some_and(|r| {
        c.rscs[r].kind > Kind::Group
            && crate::score::is_true(c.rscs[r].meta.get("interleave").map(String::as_str))
    });
    let nexts: Vec<(ActIx, u32)> = c.acts[after]
        .after
        .iter()
        .map(|l| (l.other, l.flags))
        .collect();
    for (next, flags) in nexts {
        if flags & ar::FIRST_IMPLIES_THEN == 0 {
            continue;
        }
        let chained = c.acts[next].rsc;
        if interleave && let (Some(chained), Some(rsc)) = (chained, after_rsc) {
            let foreign = c.uber_parent(chained, true) != c.uber_parent(rsc, true);
            let instance_of_other =
                foreign && c.rscs[chained].kind == Kind::Primitive && c.clone_of(chained).is_some();
            if instance_of_other {
                continue;
            }
        }
        restart_chain(c, probe, next, seen, depth + 1);
    }
}

//! Recurring operations: which monitors run where, and which are cancelled.

use crate::{
    actions,
    model::{ActIx, Cluster, NodeIx, OpDef, Role, RscIx, Task, ar},
    ordering::{order_action_task, order_actions, order_task_action},
};

/// Makes the recurring operations of a resource.
pub(crate) fn create(c: &mut Cluster, rsc: RscIx) {
    if c.rscs[rsc].blocked || c.rscs[rsc].maintenance {
        return;
    }
    let node = c.rscs[rsc].assigned;
    let held = node.is_some_and(|n| c.nodes[n].maintenance);
    if held && !c.earlier.held_where_active {
        return;
    }
    let starts = c.rscs[rsc].next_role != Role::Stopped || !c.rscs[rsc].managed;
    // Whatever there is to monitor: a start that was asked for before learns its place.
    let start = node
        .filter(|_| starts && !held)
        .map(|node| actions::start(c, rsc, Some(node), true));
    let ops = c.rscs[rsc].ops.clone();
    for op in ops.iter() {
        // Two operations of one name and interval cannot be told apart: neither runs.
        let twins = ops
            .iter()
            .filter(|o| o.name == op.name && o.interval_ms == op.interval_ms)
            .count();
        if !op.enabled || op.interval_ms == 0 || twins > 1 {
            continue;
        }
        if matches!(
            op.name.as_str(),
            "start" | "stop" | "promote" | "demote" | "cancel" | "delete"
        ) {
            continue;
        }
        if op.role == Some(Role::Stopped) {
            inactive(c, rsc, node, op);
            continue;
        }
        if let (Some(node), Some(start)) = (node, start) {
            active(c, rsc, start, node, op);
        }
    }
}

fn existing(c: &Cluster, rsc: RscIx, op: &OpDef, node: NodeIx) -> Option<ActIx> {
    c.rscs[rsc].actions.iter().copied().find(|ix| {
        let a = &c.acts[*ix];
        a.task == Task::parse(&op.name)
            && a.interval_ms == op.interval_ms
            && a.node == Some(node)
            && a.key.is_none()
    })
}

fn active(c: &mut Cluster, rsc: RscIx, start: ActIx, node: NodeIx, op: &OpDef) {
    let next = c.rscs[rsc].next_role;
    let found = existing(c, rsc, op, node);
    let optional = found.is_some_and(|ix| !c.acts[ix].reschedule) && c.acts[start].optional;
    let fits = match op.role {
        None => next != Role::Promoted,
        Some(role) => role == next,
    };
    if !fits {
        if optional {
            cancel_for_role(c, rsc, op, node, next);
        }
        return;
    }
    let mon = actions::action(
        c,
        rsc,
        Task::parse(&op.name),
        op.interval_ms,
        Some(node),
        optional,
    );
    if !optional {
        c.acts[mon].optional = false;
    }
    if !c.acts[start].runnable || !c.nodes[node].online || c.nodes[node].unclean {
        c.acts[mon].runnable = false;
    }
    if next == Role::Promoted {
        target_rc(c, mon, "8");
    }
    if !c.rscs[rsc].managed {
        return;
    }
    let implied = ar::FIRST_IMPLIES_THEN | ar::UNRUNNABLE_FIRST_BLOCKS;
    order_task_action(c, rsc, Task::Start, mon, implied);
    order_task_action(c, rsc, Task::ReloadAgent, mon, implied);
    let after = ar::ORDERED | ar::UNRUNNABLE_FIRST_BLOCKS;
    if next == Role::Promoted {
        order_task_action(c, rsc, Task::Promote, mon, after);
    } else if c.rscs[rsc].role == Role::Promoted {
        order_task_action(c, rsc, Task::Demote, mon, after);
    }
}

/// Says what result an action expects.
pub(crate) fn target_rc(c: &mut Cluster, act: ActIx, rc: &str) {
    let extra = &mut c.acts[act].extra;
    extra.retain(|(name, _)| *name != "op_target_rc");
    extra.push(("op_target_rc", rc.to_owned()));
}

fn cancel_for_role(c: &mut Cluster, rsc: RscIx, op: &OpDef, node: NodeIx, next: Role) {
    let cancel = cancel(c, rsc, &op.name, op.interval_ms, node);
    let after = match (c.rscs[rsc].role, next) {
        (Role::Started | Role::Unpromoted, Role::Promoted) => Task::Promote,
        (Role::Started | Role::Unpromoted, Role::Stopped) => Task::Stop,
        (Role::Promoted, _) => Task::Demote,
        _ => return,
    };
    order_action_task(c, cancel, rsc, after, ar::UNRUNNABLE_FIRST_BLOCKS);
}

/// Makes the cancellation of a recurring operation.
pub(crate) fn cancel(
    c: &mut Cluster,
    rsc: RscIx,
    name: &str,
    interval_ms: u32,
    node: NodeIx,
) -> ActIx {
    let key = format!("{}_{name}_{interval_ms}", c.rscs[rsc].id);
    let ix = actions::keyed_action(c, rsc, Task::Cancel, key, Some(node), false);
    let op = actions::op_meta(c, rsc, Task::parse(name), interval_ms);
    let a = &mut c.acts[ix];
    a.optional = false;
    a.interval_ms = interval_ms;
    a.op = Some(op);
    if !a.extra.iter().any(|(n, _)| *n == "operation") {
        a.extra.push(("operation", name.to_owned()));
        a.extra.push(("interval", interval_ms.to_string()));
    }
    ix
}

fn inactive(c: &mut Cluster, rsc: RscIx, node: Option<NodeIx>, op: &OpDef) {
    if c.is_anonymous_instance(rsc) {
        return;
    }
    if let Some(node) = node
        && existing(c, rsc, op, node).is_some()
    {
        let cancel = cancel(c, rsc, &op.name, op.interval_ms, node);
        if matches!(c.rscs[rsc].next_role, Role::Started | Role::Unpromoted) {
            order_action_task(c, cancel, rsc, Task::Start, ar::UNRUNNABLE_FIRST_BLOCKS);
        }
    }
    for other in 0..c.nodes.len() {
        if node == Some(other) {
            continue;
        }
        let optional = existing(c, rsc, op, other).is_some();
        let mon = actions::action(c, rsc, Task::Monitor, op.interval_ms, Some(other), optional);
        target_rc(c, mon, "7");
        if c.rscs[rsc].managed {
            for probe in crate::ordering::find_actions(c, rsc, Task::Monitor, 0) {
                if c.acts[probe].node == Some(other) {
                    order_actions(c, probe, mon, ar::UNRUNNABLE_FIRST_BLOCKS);
                }
            }
        }
        for stop in crate::ordering::find_actions(c, rsc, Task::Stop, 0) {
            if c.acts[stop].node != Some(other) {
                continue;
            }
            if !c.acts[mon].optional && !c.acts[stop].runnable {
                c.acts[mon].runnable = false;
            }
            if c.rscs[rsc].managed {
                let implied = ar::FIRST_IMPLIES_THEN | ar::UNRUNNABLE_FIRST_BLOCKS;
                order_actions(c, stop, mon, implied);
            }
        }
        if !c.nodes[other].online || c.nodes[other].unclean {
            c.acts[mon].runnable = false;
        }
    }
}

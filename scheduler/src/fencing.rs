//! Which nodes are to be fenced or shut down, and what has to wait for it.

use crate::{
    actions,
    model::{ActIx, Cluster, NodeIx, NodeKind, OnFail, Requires, RscIx, Task, ar},
    options::NoQuorum,
    ordering,
};

/// Whether the cluster has the means and the right to fence a node.
pub(crate) fn can_fence(c: &Cluster, node: NodeIx) -> bool {
    if c.is_guest(node) {
        // A guest is fenced by stopping its container, which needs the container's nodes to be clean or fenceable.
        let container = c.nodes[node].connection.and_then(|r| c.rscs[r].container);
        let Some(container) = container else {
            return false;
        };
        return c.rscs[container]
            .running_on
            .iter()
            .all(|host| !c.nodes[*host].unclean || can_fence(c, *host));
    }
    if !c.options.fencing {
        return false;
    }
    if !c.have_fence_device && !watchdog_fencing(c) {
        return false;
    }
    c.quorate
        || c.options.no_quorum == NoQuorum::Ignore
        || c.nodes[node].unclean && may_fence_without_quorum(c, node)
}

fn may_fence_without_quorum(c: &Cluster, node: NodeIx) -> bool {
    // A partition that lost quorum may shoot itself if the policy says so.
    c.options.no_quorum == NoQuorum::Fence && c.nodes[node].online
}

fn watchdog_fencing(c: &Cluster) -> bool {
    c.options.have_watchdog && c.options.watchdog_timeout_ms != 0
}

/// Marks a node as one that must be fenced.
pub(crate) fn fence_node(c: &mut Cluster, node: NodeIx, reason: &str, lost_contact: bool) {
    if c.is_guest(node) {
        fence_guest(c, node);
        return;
    }
    let removed_guest = c.nodes[node].kind == NodeKind::Remote
        && c.nodes[node]
            .connection
            .is_some_and(|r| c.rscs[r].removed_filler);
    if removed_guest {
        c.nodes[node].remote_requires_reset = true;
        return;
    }
    if c.nodes[node].kind == NodeKind::Remote {
        if c.nodes[node].connection.is_none_or(|r| c.rscs[r].managed) {
            c.nodes[node].remote_requires_reset = true;
        }
        c.nodes[node].unclean = true;
        fence_op(c, node, None, true, Some(reason), false);
        return;
    }
    if !c.nodes[node].unclean {
        c.nodes[node].unclean = true;
        fence_op(c, node, None, true, Some(reason), lost_contact);
    }
}

fn fence_guest(c: &mut Cluster, node: NodeIx) {
    let container = c.nodes[node].connection.and_then(|r| c.rscs[r].container);
    if let Some(container) = container
        && !c.rscs[container].failed
        && c.rscs[container].managed
    {
        c.nodes[node].remote_requires_reset = true;
        c.rscs[container].failed = true;
        c.rscs[container].stop_if_failed = true;
    }
}

/// Finds or makes the fencing of a node. `op`: `on` for unfencing, else the cluster's action.
pub(crate) fn fence_op(
    c: &mut Cluster,
    node: NodeIx,
    op: Option<&str>,
    optional: bool,
    reason: Option<&str>,
    lost_contact: bool,
) -> ActIx {
    let op = op.unwrap_or(&c.options.fencing_action).to_owned();
    let key = format!("stonith-{}-{op}", c.nodes[node].name);
    let full = format!("{key}@{}", c.nodes[node].id);
    let known = c.singletons.get(&full).copied();
    let ix = actions::singleton(c, &key, Task::Fence, Some(node), true);
    if known.is_none() {
        c.acts[ix].extra.push(("stonith_action", op.clone()));
        if c.is_guest(node) {
            c.acts[ix].runnable = true;
        }
        if op == "on" {
            c.acts[ix].needs = Requires::Quorum;
        } else {
            c.nodes[node].fence_action = Some(ix);
        }
    }
    if c.options.priority_fencing_delay_ms > 0 && lost_contact && op != "on" {
        let has = c.acts[ix]
            .extra
            .iter()
            .any(|(name, _)| *name == "priority_fencing_delay");
        if !has {
            c.nodes[node].lost_contact = true;
        }
    }
    let no_reason_yet = c.acts[ix].reason.is_none();
    if !optional && (op == "on" || can_fence(c, node)) {
        c.acts[ix].optional = false;
    }
    if let Some(reason) = reason.filter(|_| no_reason_yet) {
        c.acts[ix].reason = Some(reason.into());
    }
    ix
}

/// The fencing and the shutdowns of this transition.
pub(crate) fn schedule(c: &mut Cluster) {
    add_priority_delays(c);
    let mut need_stonith = true;
    let mut integrity_lost = false;
    let mut dc_down: Option<ActIx> = None;
    let mut dc_fence: Option<ActIx> = None;
    let mut fencings: Vec<ActIx> = Vec::new();
    if !c.have_fence_device && !watchdog_fencing(c) || !c.options.fencing {
        need_stonith = false;
    }
    let mut shutdowns = Vec::new();
    for at in 0..c.nodes.len() {
        let node = c.node_order[at];
        if c.is_guest(node) {
            if c.nodes[node].remote_requires_reset && can_fence(c, node) {
                fence_guest_order(c, node);
            }
            continue;
        }
        if need_stonith && c.nodes[node].unclean && can_fence(c, node) {
            let op = fence_op(c, node, None, false, Some("node is unclean"), false);
            order_fencing(c, node, op);
            if c.nodes[node].is_dc {
                dc_fence = Some(op);
            } else {
                fencings.push(op);
            }
        } else if c.nodes[node].online && c.nodes[node].shutdown && !c.is_remote_node(node) {
            let down = shutdown_op(c, node);
            if c.nodes[node].is_dc {
                dc_down = Some(down);
            } else {
                shutdowns.push(down);
            }
        }
        if c.nodes[node].unclean {
            integrity_lost = true;
        }
    }
    let _ = integrity_lost;
    if !c.options.concurrent_fencing {
        for pair in fencings.windows(2) {
            ordering::order_actions(c, pair[0], pair[1], ar::ORDERED);
        }
    }
    if let Some(down) = dc_down {
        for other in shutdowns {
            ordering::order_actions(c, other, down, ar::ORDERED);
        }
    } else if let Some(fence) = dc_fence {
        // The coordinator goes last, after everything that it has to see through.
        if c.options.concurrent_fencing {
            for other in fencings {
                ordering::order_actions(c, other, fence, ar::ORDERED);
            }
        } else if let Some(last) = fencings.last() {
            ordering::order_actions(c, *last, fence, ar::ORDERED);
        }
        for other in shutdowns {
            ordering::order_actions(c, other, fence, ar::ORDERED);
        }
    }
}

fn add_priority_delays(c: &mut Cluster) {
    if c.options.priority_fencing_delay_ms <= 0 {
        return;
    }
    let members: Vec<NodeIx> = (0..c.nodes.len())
        .filter(|n| !c.is_remote_node(*n))
        .collect();
    let online = members
        .iter()
        .filter(|n| c.nodes[**n].online && !c.nodes[**n].unclean)
        .count();
    let _ = online;
    let top = members
        .iter()
        .map(|n| c.nodes[*n].priority)
        .max()
        .unwrap_or(0);
    let lowest = members
        .iter()
        .map(|n| c.nodes[*n].priority)
        .min()
        .unwrap_or(0);
    for node in members {
        let Some(ix) = c.nodes[node]
            .fence_action
            .filter(|_| c.nodes[node].lost_contact)
        else {
            continue;
        };
        let delay_ms = if lowest == top || c.nodes[node].priority < top {
            0
        } else {
            c.options.priority_fencing_delay_ms
        };
        c.acts[ix]
            .extra
            .push(("priority_fencing_delay", (delay_ms / 1000).to_string()));
    }
}

fn shutdown_op(c: &mut Cluster, node: NodeIx) -> ActIx {
    let key = format!("do_shutdown-{}", c.nodes[node].name);
    let ix = actions::singleton(c, &key, Task::Shutdown, Some(node), false);
    c.acts[ix].extra.push(("op_no_wait", "true".to_owned()));
    order_shutdown(c, node, ix);
    ix
}

/// Stops there come before the node's shutdown.
fn order_shutdown(c: &mut Cluster, node: NodeIx, shutdown: ActIx) {
    for ix in 0..c.acts.len() {
        let a = &c.acts[ix];
        let (Some(at), Some(rsc)) = (a.node, a.rsc) else {
            continue;
        };
        let lives_there = at == node || router(c, at) == Some(node);
        if a.task != Task::Stop || !lives_there {
            continue;
        }
        if c.rscs[rsc].maintenance || !c.rscs[rsc].managed && !c.rscs[rsc].blocked {
            continue;
        }
        ordering::order_actions(c, ix, shutdown, ar::UNRUNNABLE_FIRST_BLOCKS | ar::ORDERED);
    }
}

/// The member whose executor relays to a remote node.
pub(crate) fn router(c: &Cluster, node: NodeIx) -> Option<NodeIx> {
    let connection = c.nodes[node].connection?;
    c.rscs[connection].running_on.first().copied()
}

/// What waits for the fencing of a node.
pub(crate) fn order_fencing(c: &mut Cluster, node: NodeIx, fence: ActIx) {
    for rsc in 0..c.rscs.len() {
        if c.rscs[rsc].kind == crate::model::Kind::Primitive {
            order_starts(c, rsc, fence);
            order_stops(c, rsc, node, fence);
        }
    }
}

fn order_starts(c: &mut Cluster, rsc: RscIx, fence: ActIx) {
    let target = c.acts[fence].node;
    for at in 0..c.rscs[rsc].actions.len() {
        let ix = c.rscs[rsc].actions[at];
        match c.acts[ix].needs {
            Requires::Fencing | Requires::Unfencing => {
                ordering::order_actions(c, fence, ix, ar::UNRUNNABLE_FIRST_BLOCKS | ar::ORDERED);
            }
            Requires::Quorum => {
                let a = &c.acts[ix];
                let fits = a.task == Task::Start
                    && target.is_some_and(|t| c.rscs[rsc].allowed.get(t).is_some())
                    && !target.is_some_and(|t| c.rscs[rsc].known_on.contains(&t));
                // Its state on that node is not known until the node is fenced.
                if fits {
                    ordering::order_actions(
                        c,
                        fence,
                        ix,
                        ar::ORDERED | ar::UNRUNNABLE_FIRST_BLOCKS,
                    );
                }
            }
            Requires::Nothing => {}
        }
    }
}

fn order_stops(c: &mut Cluster, rsc: RscIx, node: NodeIx, fence: ActIx) {
    let implied_by = ar::FIRST_IMPLIES_THEN | ar::ORDERED;
    let top = c.uber_parent(rsc, false);
    for at in 0..c.rscs[rsc].actions.len() {
        let ix = c.rscs[rsc].actions[at];
        let a = &c.acts[ix];
        if a.node != Some(node) || !matches!(a.task, Task::Stop | Task::Demote) {
            continue;
        }
        let healthy = c.nodes[node].online && !c.nodes[node].unclean;
        if healthy && c.rscs[rsc].failed {
            continue;
        }
        let guest_inside = c.rscs[rsc].container.is_some_and(|outer| top == outer);
        if guest_inside {
            continue;
        }
        // Fencing does the work; what remains is the place in the order.
        c.acts[ix].pseudo = true;
        c.acts[ix].runnable = true;
        if matches!(
            c.rscs[rsc].requires,
            Requires::Fencing | Requires::Unfencing
        ) {
            ordering::order_actions(c, fence, ix, implied_by);
            let whole = ordering::first_action(c, top, Task::Stop, None)
                .filter(|_| top != rsc && c.acts[ix].task == Task::Stop);
            if let Some(whole) = whole {
                ordering::order_actions(c, fence, whole, ar::ORDERED);
            }
        }
        if c.acts[ix].task == Task::Stop && c.rscs[rsc].notify {
            crate::notify::order_fencing(c, rsc, ix, fence);
        }
    }
}

/// A guest is fenced by its container's stop: a pseudo-fencing stands for it.
fn fence_guest_order(c: &mut Cluster, node: NodeIx) {
    let container = c.nodes[node].connection.and_then(|r| c.rscs[r].container);
    let Some(container) = container else {
        return;
    };
    let stop = c.rscs[container]
        .actions
        .iter()
        .copied()
        .find(|ix| c.acts[*ix].task == Task::Stop && !c.acts[*ix].optional);
    let op_name = "off";
    let fence = fence_op(
        c,
        node,
        Some(op_name),
        false,
        Some("guest is unclean"),
        false,
    );
    c.acts[fence].optional = false;
    c.acts[fence].pseudo = true;
    c.acts[fence].runnable = true;
    if let Some(stop) = stop {
        let host = c.acts[stop]
            .node
            .filter(|host| c.nodes[*host].unclean && can_fence(c, *host));
        if let Some(host_fence) = host.and_then(|h| c.nodes[h].fence_action) {
            ordering::order_actions(c, host_fence, fence, ar::FIRST_IMPLIES_THEN | ar::ORDERED);
        }
        ordering::order_actions(c, stop, fence, ar::FIRST_IMPLIES_THEN | ar::ORDERED);
        c.acts[stop].runnable = true;
    } else {
        let stop = c.nodes[node].connection.and_then(|r| {
            c.rscs[r]
                .actions
                .iter()
                .copied()
                .find(|ix| c.acts[*ix].task == Task::Stop)
        });
        if let Some(stop) = stop {
            ordering::order_actions(c, stop, fence, ar::ORDERED);
        }
    }
    order_fencing(c, node, fence);
}

/// Severity of what to do about a failure, for choosing the worst.
pub(crate) fn severity(on_fail: OnFail) -> u8 {
    match on_fail {
        OnFail::Ignore => 0,
        OnFail::Demote => 1,
        OnFail::Restart => 2,
        OnFail::ResetRemote => 3,
        OnFail::RestartContainer => 4,
        OnFail::Ban => 5,
        OnFail::Block => 6,
        OnFail::Stop => 7,
        OnFail::Standby => 8,
        OnFail::Fence => 9,
    }
}

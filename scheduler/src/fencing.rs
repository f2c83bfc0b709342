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
            .all(|host| c.nodes[*host].online || can_fence(c, *host));
    }
    if !c.options.fencing {
        return false;
    }
    if !c.have_fence_device && !watchdog_fencing(c) {
        return false;
    }
    // Without quorum only who is among us can be fenced: others may think the same of us.
    c.quorate || c.options.no_quorum == NoQuorum::Ignore || c.nodes[node].online
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
    if c.options.priority_fencing_delay_ms > 0 {
        let told = &mut c.acts[ix].extra;
        let known = told
            .iter()
            .position(|(name, _)| *name == "priority_fencing_delay");
        if known.is_some() || lost_contact {
            if let Some(at) = known {
                told.remove(at);
            }
            let delay_s = priority_delay_s(c, node).to_string();
            c.acts[ix].extra.push(("priority_fencing_delay", delay_s));
        }
    }
    if !optional && can_fence(c, node) {
        c.acts[ix].optional = false;
    }
    if let Some(reason) = reason {
        actions::set_reason(c, ix, reason, false);
    }
    ix
}

/// How long the fencing of a lost member waits, so that the half with more important resources wins.
fn priority_delay_s(c: &Cluster, node: NodeIx) -> i64 {
    let member = |n: &&crate::model::Node| n.kind == NodeKind::Member;
    let target = &c.nodes[node];
    if target.kind != NodeKind::Member || target.online {
        return 0;
    }
    let members: Vec<_> = c.nodes.iter().filter(member).collect();
    let online = members.iter().filter(|n| n.online).count();
    let top = members.iter().map(|n| n.priority).max().unwrap_or(0);
    let lowest = members.iter().map(|n| n.priority).min().unwrap_or(0);
    if online > members.len() / 2 || lowest == top || target.priority < top {
        return 0;
    }
    c.options.priority_fencing_delay_ms / 1000
}

/// The fencing and the shutdowns of this transition.
pub(crate) fn schedule(c: &mut Cluster) {
    let managed = c.rscs.iter().any(|r| r.managed);
    let mut dc_down: Option<ActIx> = None;
    let mut fencings: Vec<ActIx> = Vec::new();
    let mut shutdowns: Vec<ActIx> = Vec::new();
    for at in 0..c.nodes.len() {
        let node = c.node_order[at];
        if c.is_guest(node) {
            if c.nodes[node].remote_requires_reset && managed && can_fence(c, node) {
                fence_guest_order(c, node);
            }
        } else if managed && c.nodes[node].unclean && can_fence(c, node) {
            let op = fence_op(c, node, None, false, Some("node is unclean"), false);
            order_fencing(c, node, op);
            if c.nodes[node].is_dc {
                dc_down = Some(op);
                continue;
            }
            if let Some(last) = fencings.last().filter(|_| !c.options.concurrent_fencing) {
                ordering::order_actions(c, *last, op, ar::ORDERED);
            }
            fencings.push(op);
        } else if c.nodes[node].online && c.nodes[node].shutdown && !c.is_remote_node(node) {
            let down = shutdown_op(c, node);
            if c.nodes[node].is_dc {
                dc_down = Some(down);
            } else {
                shutdowns.push(down);
            }
        }
    }
    let Some(down) = dc_down else {
        return;
    };
    // The coordinator goes last, after everything that it has to see through.
    if c.acts[down].task == Task::Shutdown {
        for other in shutdowns {
            ordering::order_actions(c, other, down, ar::ORDERED);
        }
    }
    let before = if c.options.concurrent_fencing {
        fencings
    } else {
        fencings.pop().into_iter().collect()
    };
    for other in before {
        ordering::order_actions(c, other, down, ar::ORDERED);
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
        if a.task != Task::Stop || at != node {
            continue;
        }
        let r = &c.rscs[rsc];
        if r.maintenance || c.nodes[node].maintenance || !r.managed && !r.blocked {
            continue;
        }
        c.acts[ix].optional = false;
        ordering::order_actions(c, ix, shutdown, ar::UNRUNNABLE_FIRST_BLOCKS | ar::ORDERED);
    }
}

/// What waits for the fencing of a node.
pub(crate) fn order_fencing(c: &mut Cluster, node: NodeIx, fence: ActIx) {
    for rsc in 0..c.rscs.len() {
        if c.rscs[rsc].kind == crate::model::Kind::Primitive && c.rscs[rsc].managed {
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
                ordering::order_actions(c, fence, ix, ar::ORDERED);
            }
            Requires::Quorum => {
                let a = &c.acts[ix];
                let fits = a.task == Task::Start
                    && target.is_some_and(|t| c.rscs[rsc].allowed.get(t).is_some())
                    && !target.is_some_and(|t| is_known_on(c, rsc, t));
                // Its state on that node is not known until the node is fenced.
                if fits {
                    let flags = ar::ORDERED | ar::UNRUNNABLE_FIRST_BLOCKS;
                    ordering::order_actions(c, fence, ix, flags);
                }
            }
            Requires::Nothing => {}
        }
    }
}

/// Whether it is known what a resource, or any instance of its anonymous clone, does on a node.
fn is_known_on(c: &Cluster, rsc: RscIx, node: NodeIx) -> bool {
    let clone = c.rscs[rsc].parent.filter(|p| {
        let parent = &c.rscs[*p];
        parent.kind == crate::model::Kind::Clone && !parent.unique
    });
    let known = |r: RscIx| c.rscs[r].known_on.contains(node);
    known(rsc) || clone.is_some_and(known)
}

/// Fencing does the work of the stops there; what remains is their place in the order.
fn order_stops(c: &mut Cluster, rsc: RscIx, node: NodeIx, fence: ActIx) {
    let needs = matches!(
        c.rscs[rsc].requires,
        Requires::Fencing | Requires::Unfencing
    );
    // The fencing of a guest is the stop of its container: whatever the resource needs, it comes first.
    let after = needs || c.is_guest(node);
    let bundled = c.is_bundled(rsc);
    let top = c.uber_parent(rsc, false);
    let there = |c: &Cluster, task: Task| -> Vec<ActIx> {
        let all = ordering::find_actions(c, rsc, task, 0);
        let here = all.into_iter().filter(|ix| c.acts[*ix].node == Some(node));
        here.collect()
    };
    for ix in there(c, Task::Stop) {
        c.acts[ix].pseudo = true;
        c.acts[ix].runnable = true;
        if after {
            if !bundled {
                ordering::order_actions(c, fence, ix, ar::GUEST_ALLOWED);
            }
            if let Some(whole) = ordering::first_action(c, top, Task::Stop, None) {
                ordering::order_actions(c, fence, whole, ar::GUEST_ALLOWED);
            }
        }
        if c.rscs[rsc].notify {
            crate::notify::order_fencing(c, rsc, ix, fence);
        }
    }
    for ix in there(c, Task::Demote) {
        if c.clean_online(node) && !c.rscs[rsc].failed {
            continue;
        }
        c.acts[ix].pseudo = true;
        c.acts[ix].runnable = true;
        if after && !bundled {
            ordering::order_actions(c, fence, ix, ar::GUEST_ALLOWED | ar::ORDERED);
        }
    }
}

/// A guest is fenced by its container's stop: a pseudo-fencing stands for it.
fn fence_guest_order(c: &mut Cluster, node: NodeIx) {
    let connection = c.nodes[node].connection;
    let Some(container) = connection.and_then(|r| c.rscs[r].container) else {
        return;
    };
    let stop = ordering::first_action(c, container, Task::Stop, None);
    let op = match ordering::first_action(c, container, Task::Start, None) {
        Some(_) => "reboot",
        None => "off",
    };
    let fence = fence_op(c, node, Some(op), false, Some("guest is unclean"), false);
    c.acts[fence].pseudo = true;
    c.acts[fence].runnable = true;
    let implied = ar::UNRUNNABLE_FIRST_BLOCKS | ar::FIRST_IMPLIES_THEN;
    match stop {
        Some(stop) if c.acts[stop].pseudo => {
            if let Some(host) = c.acts[stop].node {
                let of_host = fence_op(c, host, None, false, None, false);
                ordering::order_actions(c, of_host, fence, implied);
            }
        }
        Some(stop) => {
            ordering::order_actions(c, stop, fence, implied);
        }
        None => {
            // It may only seem down, because its history was erased: the connection's stop comes after a probe.
            let stop = connection.and_then(|r| ordering::first_action(c, r, Task::Stop, None));
            if let Some(stop) = stop {
                ordering::order_actions(c, stop, fence, ar::ORDERED);
            }
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

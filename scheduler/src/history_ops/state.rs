//! What the sum of a resource's history on a node means: where it is active, and what its failures call for.

use crate::{
    actions,
    explain::record,
    fencing,
    model::{Cluster, Kind, MultiplyActive, NodeIx, NodeSet, OnFail, Requires, Role, RscIx, Task},
    score::INFINITY,
};

/// Draws the conclusions from a history that has been read.
pub(super) fn process(c: &mut Cluster, rsc: RscIx, node: NodeIx, on_fail: OnFail) {
    note_known(c, rsc, node);
    let n = &c.nodes[node];
    let down = !n.online && !n.maintenance;
    if c.rscs[rsc].role > Role::Stopped && down && c.rscs[rsc].managed {
        fence_for_active(c, rsc, node);
    }
    // What is on an unclean node ends with it: the failure says nothing about a later start.
    let now = if c.nodes[node].unclean {
        OnFail::Ignore
    } else {
        on_fail
    };
    apply_on_fail(c, rsc, node, now);
    if c.rscs[rsc].failed
        && c.rscs[rsc].is_remote
        && let Some(remote) = c.rscs[rsc].remote_node.filter(|n| c.nodes[*n].unclean)
    {
        c.nodes[remote].unseen = false;
    }
    let role = c.rscs[rsc].role;
    if role != Role::Stopped && role != Role::Unknown {
        add_running(c, rsc, node, on_fail != OnFail::Ignore);
        match now {
            OnFail::Ignore => {}
            OnFail::Demote | OnFail::Block => c.rscs[rsc].failed = true,
            _ => mark_failed(c, rsc),
        }
    } else if c.rscs[rsc]
        .history_id
        .as_ref()
        .is_some_and(|id| id.contains(':'))
    {
        // A number from the time when instances had numbers in histories; a stopped one is anyone's.
        c.rscs[rsc].history_id = None;
    } else {
        for at in 0..c.rscs[rsc].actions.len() {
            let ix = c.rscs[rsc].actions[at];
            if c.acts[ix].task == Task::Stop && c.acts[ix].node == Some(node) {
                c.acts[ix].optional = true;
            }
        }
    }
    let r = &mut c.rscs[rsc];
    // A stop on the source leaves what has already moved to the target.
    if r.role == Role::Stopped
        && r.partial_source == Some(node)
        && r.partial_target.is_some()
        && !r.running_on.is_empty()
    {
        r.role = Role::Started;
    }
}

fn mark_failed(c: &mut Cluster, rsc: RscIx) {
    c.rscs[rsc].failed = true;
    c.rscs[rsc].stop_if_failed = true;
}

fn note_known(c: &mut Cluster, rsc: RscIx, node: NodeIx) {
    if c.rscs[rsc].role != Role::Unknown {
        note_known_on(c, rsc, node);
    }
}

/// Notes that it is known what a resource, and all it is in, does on a node.
pub(super) fn note_known_on(c: &mut Cluster, rsc: RscIx, node: NodeIx) {
    let mut nodes = NodeSet::default();
    nodes.insert(node);
    note_known_on_all(c, rsc, &nodes);
}

/// As [`note_known_on`], of several nodes.
pub(super) fn note_known_on_all(c: &mut Cluster, rsc: RscIx, nodes: &NodeSet) {
    let mut at = Some(rsc);
    while let Some(ix) = at {
        c.rscs[ix].known_on.extend(nodes);
        if c.rscs[ix].unique {
            break;
        }
        at = c.rscs[ix].parent;
    }
}

fn fence_for_active(c: &mut Cluster, rsc: RscIx, node: NodeIx) {
    let mut reason = format!("{} is thought to be active there", c.rscs[rsc].id);
    if c.is_guest(node) {
        mark_failed(c, rsc);
        fencing::fence_node(c, node, &reason, false);
        return;
    }
    if !c.options.fencing {
        return;
    }
    if c.is_remote_node(node) && c.nodes[node].connection.is_some_and(|r| !c.rscs[r].failed) {
        // Fenced only if the connection cannot be brought up elsewhere.
        c.nodes[node].unseen = true;
        reason = format!(
            "{} is active there (fencing will be revoked if remote connection can be re-established elsewhere)",
            c.rscs[rsc].id
        );
    }
    fencing::fence_node(c, node, &reason, false);
}

fn apply_on_fail(c: &mut Cluster, rsc: RscIx, node: NodeIx, on_fail: OnFail) {
    let active = !matches!(c.rscs[rsc].role, Role::Stopped | Role::Unknown);
    match on_fail {
        OnFail::Ignore => {}
        OnFail::Demote => {
            c.rscs[rsc].failed = true;
            actions::demote(c, rsc, node, false);
        }
        OnFail::Fence => {
            let reason = format!("{} failed there", c.rscs[rsc].id);
            fencing::fence_node(c, node, &reason, false);
        }
        OnFail::Standby => {
            c.nodes[node].standby = true;
            c.nodes[node].standby_onfail = true;
        }
        OnFail::Block => {
            c.rscs[rsc].managed = false;
            c.rscs[rsc].blocked = true;
        }
        OnFail::Ban => super::ban(c, rsc, Some(node), "__action_migration_auto__"),
        OnFail::Stop => c.rscs[rsc].next_role = Role::Stopped,
        OnFail::Restart => {
            if active {
                mark_failed(c, rsc);
                actions::stop(c, rsc, node, false);
            }
        }
        OnFail::RestartContainer => {
            mark_failed(c, rsc);
            match c.rscs[rsc].container {
                // A bundle's connection may be elsewhere than its container, whose place is not known yet.
                Some(container) if c.is_bundled(rsc) => c.stop_needed.push(container),
                Some(container) => {
                    actions::stop(c, container, node, false);
                }
                None if active => {
                    actions::stop(c, rsc, node, false);
                }
                None => {}
            }
        }
        OnFail::ResetRemote => reset_remote(c, rsc, node),
    }
}

fn reset_remote(c: &mut Cluster, rsc: RscIx, node: NodeIx) {
    mark_failed(c, rsc);
    let remote = c.rscs[rsc].remote_node.filter(|_| c.options.fencing);
    if let Some(remote) = remote.filter(|n| !c.nodes[*n].remote_was_fenced) {
        fencing::fence_node(c, remote, "remote connection is unrecoverable", false);
    }
    if c.rscs[rsc].role > Role::Stopped {
        actions::stop(c, rsc, node, false);
    }
    if c.rscs[rsc].remote_reconnect_ms > 0 {
        c.rscs[rsc].next_role = Role::Stopped;
    }
}

/// Records that a resource is active on a node.
pub(crate) fn add_running(c: &mut Cluster, rsc: RscIx, node: NodeIx, failed: bool) {
    if c.rscs[rsc].running_on.contains(&node) {
        return;
    }
    c.rscs[rsc].running_on.push(node);
    let primitive = c.rscs[rsc].kind == Kind::Primitive;
    if primitive {
        c.nodes[node].running.push(rsc);
        add_priority(c, rsc, node, failed);
        if c.nodes[node].maintenance {
            let r = &mut c.rscs[rsc];
            r.managed = false;
            r.held |= !r.maintenance;
            r.maintenance = true;
        }
    }
    let mut parent = c.rscs[rsc].parent;
    if !c.rscs[rsc].managed {
        crate::assign::add_node_score(c, rsc, Some(node), INFINITY, "not_managed_default");
        while let Some(at) = parent.filter(|_| c.nodes[node].online) {
            if !c.rscs[at].running_on.contains(&node) {
                c.rscs[at].running_on.push(node);
            }
            parent = c.rscs[at].parent;
        }
        return;
    }
    if primitive && multiply_active(c, rsc) {
        too_active(c, rsc);
    }
    if let Some(parent) = parent {
        add_running(c, parent, node, false);
    }
}

/// A node is worth what runs on it; what is promoted counts one more.
fn add_priority(c: &mut Cluster, rsc: RscIx, node: NodeIx, failed: bool) {
    let r = &c.rscs[rsc];
    if r.priority == 0 || failed {
        return;
    }
    let worth = r
        .priority
        .saturating_add(i32::from(r.role == Role::Promoted));
    let mut nodes = vec![node];
    if let Some(container) = c.nodes[node].connection.and_then(|r| c.rscs[r].container) {
        nodes.extend(&c.rscs[container].running_on);
    }
    for node in nodes {
        c.nodes[node].priority = c.nodes[node].priority.saturating_add(worth);
    }
}

fn multiply_active(c: &Cluster, rsc: RscIx) -> bool {
    let (_, all, clean) = c.active_node(rsc);
    match c.rscs[rsc].requires {
        Requires::Fencing | Requires::Unfencing => all > 1,
        _ => clean > 1,
    }
}

fn too_active(c: &mut Cluster, rsc: RscIx) {
    match c.rscs[rsc].multiply_active {
        MultiplyActive::StopOnly => {
            for node in 0..c.nodes.len() {
                c.rscs[rsc].allowed.entry(node, 0).score = -INFINITY;
                record::set(c, rsc, node, -INFINITY, record::Cause::MultipleActive);
            }
        }
        MultiplyActive::Block => {
            let mut all = vec![rsc];
            let whole = c.rscs[rsc].parent.filter(|p| {
                let parent = &c.rscs[*p];
                matches!(parent.kind, Kind::Group | Kind::Bundle)
                    && parent.multiply_active == MultiplyActive::Block
            });
            if let Some(whole) = whole {
                all.extend(&c.rscs[whole].children);
            }
            for ix in all {
                c.rscs[ix].managed = false;
                c.rscs[ix].blocked = true;
            }
        }
        MultiplyActive::StopStart | MultiplyActive::StopUnexpected => {}
    }
}

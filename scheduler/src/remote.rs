//! Remote nodes: their connections, and what waits for them.

use std::collections::BTreeMap;

use crate::{
    explain::record,
    fencing,
    model::{ActIx, Cluster, NodeIx, Role, RscIx, Task, ar},
    ordering::{order_action_task, order_task_action, order_tasks},
    score::INFINITY,
};

/// A connection that will be up makes its node usable; one that goes takes it down.
pub(crate) fn connection_assigned(c: &mut Cluster, rsc: RscIx) {
    let Some(node) = c.rscs[rsc].remote_node else {
        return;
    };
    let r = &c.rscs[rsc];
    let up = r.assigned.is_some() && r.next_role != Role::Stopped;
    let n = &mut c.nodes[node];
    if !up {
        n.shutdown = true;
        return;
    }
    n.online = true;
    if n.unseen {
        n.unclean = false;
    }
}

/// Orderings and bans within connections and containers.
pub(crate) fn internal(c: &mut Cluster, rsc: RscIx) {
    if let Some(container) = c.rscs[rsc].container {
        with_container(c, rsc, container);
    }
    if c.rscs[rsc].is_remote || c.rscs[rsc].is_fence_device {
        ban_remote_nodes(c, rsc);
    }
}

/// Bans a resource from all remote and guest nodes.
fn ban_remote_nodes(c: &mut Cluster, rsc: RscIx) {
    for node in 0..c.nodes.len() {
        if c.nodes[node].connection.is_some()
            && let Some(entry) = c.rscs[rsc].allowed.get_mut(node)
        {
            entry.score = -INFINITY;
            record::set(c, rsc, node, -INFINITY, record::Cause::Remote);
        }
    }
}

fn with_container(c: &mut Cluster, rsc: RscIx, container: RscIx) {
    let mut remote = None;
    if c.rscs[rsc].is_remote {
        if !c.rscs[rsc].nesting_allowed {
            // No guest inside of another remote node.
            ban_remote_nodes(c, container);
        }
        // When somebody erased the container's history, the probe may find it running: then the connection is
        // not recovered for nothing.
        order_tasks(c, container, Task::Monitor, rsc, Task::Stop, ar::ORDERED);
    } else if c.rscs[container].is_remote {
        remote = Some(container);
    } else {
        let fillers = &c.rscs[container].fillers;
        remote = fillers.iter().copied().find(|f| c.rscs[*f].is_remote);
    }
    if let Some(remote) = remote {
        let only = c.rscs[remote].remote_node;
        let before = record::snapshot(c, rsc);
        for (node, entry) in c.rscs[rsc].allowed.entries_mut() {
            if Some(node) != only {
                entry.score = -INFINITY;
            }
        }
        record::changed(c, rsc, before, &record::Cause::Remote);
        return;
    }
    let up = ar::FIRST_IMPLIES_THEN | ar::UNRUNNABLE_FIRST_BLOCKS;
    order_tasks(c, container, Task::Start, rsc, Task::Start, up);
    let down = ar::THEN_IMPLIES_FIRST;
    order_tasks(c, rsc, Task::Stop, container, Task::Stop, down);
    // A bundle's connection may be elsewhere if it has to.
    let score = if c.rscs[rsc].nesting_allowed {
        10_000
    } else {
        INFINITY
    };
    let id = "#resource-with-container".into();
    let (dependent, primary) = ((rsc, Role::Unknown), (container, Role::Unknown));
    crate::constraints::new(c, &id, None, score, dependent, primary, true);
}

/// What waits for connections.
pub(crate) fn order(c: &mut Cluster) {
    if !c.have_remote {
        return;
    }
    for act in (0..c.acts.len()).rev() {
        order_one(c, act);
    }
}

/// An action on a remote node needs the connection, and the connection's stop waits for it.
fn order_one(c: &mut Cluster, act: ActIx) {
    let a = &c.acts[act];
    let Some(rsc) = a.rsc else {
        return;
    };
    let task = a.task;
    if c.rscs[rsc].is_remote && task == Task::ClearFailCount {
        return order_action_task(c, act, rsc, Task::Start, ar::ORDERED);
    }
    let Some(node) = a.node.filter(|n| c.is_remote_node(*n) && !a.pseudo) else {
        return;
    };
    let Some(connection) = c.nodes[node].connection else {
        return;
    };
    if task == Task::Start {
        // If the connection fails, the resource is left where it was.
        for at in 0..c.rscs[rsc].actions.len() {
            let other = c.rscs[rsc].actions[at];
            if c.acts[other].task == Task::Stop && c.acts[other].node != Some(node) {
                order_task_action(c, connection, Task::Start, other, ar::ORDERED);
            }
        }
    }
    match c.rscs[connection].container {
        Some(container) => order_guest(c, act, node, connection, container),
        None => order_remote(c, act, node, connection),
    }
}

fn after_start(c: &mut Cluster, connection: RscIx, act: ActIx, extra: u32) {
    let flags = ar::UNRUNNABLE_FIRST_BLOCKS | extra;
    order_task_action(c, connection, Task::Start, act, flags);
}

fn before_stop(c: &mut Cluster, connection: RscIx, act: ActIx, extra: u32) {
    let flags = ar::UNRUNNABLE_FIRST_BLOCKS | extra;
    order_action_task(c, act, connection, Task::Stop, flags);
}

fn order_guest(c: &mut Cluster, act: ActIx, node: NodeIx, connection: RscIx, container: RscIx) {
    let failed = c.rscs[container].failed;
    if failed {
        fencing::fence_node(c, node, "container failed", false);
    }
    match c.acts[act].task {
        Task::Start | Task::Promote => {
            after_start(c, container, act, ar::FIRST_IMPLIES_THEN);
            after_start(c, connection, act, 0);
        }
        // What was in a failed container ended with it.
        Task::Stop | Task::Demote => {
            if !failed {
                before_stop(c, connection, act, 0);
            }
        }
        // A cancellation can be done as long as the connection is there.
        Task::Cancel => {}
        _ if c.acts[act].interval_ms > 0 => {
            after_start(c, connection, act, ar::FIRST_IMPLIES_THEN);
        }
        _ => after_start(c, connection, act, 0),
    }
}

/// What will become of the connection to a remote node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ConnectionState {
    /// Up and staying.
    Alive,
    /// On a node that is lost, or on the way to another.
    Resting,
    /// Going down for good in good order.
    Stopped,
    /// Lost and not coming back.
    Failed,
    /// Down now; it may come up.
    Unknown,
}

fn connection_state(c: &Cluster, connection: RscIx, node: NodeIx) -> ConnectionState {
    let r = &c.rscs[connection];
    let host = c.current_node(connection);
    if r.next_role == Role::Stopped || r.assigned.is_none() {
        if host.is_some_and(|h| c.nodes[h].unclean) {
            return ConnectionState::Failed;
        }
        if !r.failed {
            return ConnectionState::Stopped;
        }
        let n = &c.nodes[node];
        let waits = r.next_role == Role::Stopped && r.remote_reconnect_ms > 0;
        if waits && n.remote_was_fenced && !n.shutdown_requested() {
            return ConnectionState::Unknown;
        }
        return ConnectionState::Failed;
    }
    let Some(host) = host else {
        return ConnectionState::Unknown;
    };
    let moves = r.running_on.len() > 1 && r.partial_source.is_some() && r.partial_target.is_some();
    if moves || c.nodes[host].unclean || !c.nodes[host].online {
        return ConnectionState::Resting;
    }
    ConnectionState::Alive
}

/// Whether a remote node's connection is lost and not coming back.
pub(crate) fn connection_is_lost(c: &Cluster, node: NodeIx) -> bool {
    let connection = c.nodes[node].connection.filter(|_| !c.is_guest(node));
    connection.is_some_and(|r| connection_state(c, r, node) == ConnectionState::Failed)
}

fn order_remote(c: &mut Cluster, act: ActIx, node: NodeIx, connection: RscIx) {
    use ConnectionState::{Alive, Failed, Resting, Stopped, Unknown};
    let state = connection_state(c, connection, node);
    let recurring = c.acts[act].interval_ms > 0;
    match c.acts[act].task {
        Task::Start | Task::Promote => {
            // Recovered with its connection.
            let extra = if state == Failed {
                ar::FIRST_IMPLIES_THEN
            } else {
                0
            };
            after_start(c, connection, act, extra);
        }
        Task::Stop | Task::MigrateTo | Task::MigrateFrom => match state {
            Alive => before_stop(c, connection, act, ar::THEN_IMPLIES_FIRST),
            Failed => {
                let reason = "resources are active but connection is unrecoverable";
                fencing::fence_node(c, node, reason, false);
            }
            _ if c.rscs[connection].next_role == Role::Stopped => {
                before_stop(c, connection, act, ar::THEN_IMPLIES_FIRST);
            }
            _ => after_start(c, connection, act, 0),
        },
        Task::Demote => {
            if matches!(state, Resting | Unknown) {
                after_start(c, connection, act, 0);
            }
        }
        _ if recurring => after_start(c, connection, act, ar::FIRST_IMPLIES_THEN),
        task => {
            if task == Task::Monitor && state == Failed {
                let reason = "resources are in unknown state and connection is unrecoverable";
                fencing::fence_node(c, node, reason, false);
            }
            if c.current_node(connection).is_some() && state == Stopped {
                // What runs there is looked at before the connection goes.
                before_stop(c, connection, act, 0);
            } else {
                after_start(c, connection, act, 0);
            }
        }
    }
}

/// The member through which a remote node is reached for an action.
pub(crate) fn router(c: &Cluster, act: ActIx, node: NodeIx) -> Option<NodeIx> {
    let connection = c.nodes[node].connection?;
    let r = &c.rscs[connection];
    let (begin, end) = (c.current_node(connection), r.assigned);
    let (Some(b), Some(e)) = (begin, end) else {
        return begin.or(end);
    };
    if b == e {
        return Some(b);
    }
    let mut task = c.acts[act].task;
    if task == Task::Notify {
        let told = c.acts[act].extra.iter();
        let mut told = told.filter(|(name, _)| *name == "notify_operation");
        task = told.next().map_or(task, |(_, op)| Task::parse(op));
    }
    // While the connection moves, what ends something goes by the old way; but a migration that is half done has
    // everything wait for its end.
    let half_moved = r.container.is_none() && r.partial_target.is_some();
    let old_way = matches!(
        task,
        Task::Stop | Task::Demote | Task::Cancel | Task::MigrateFrom | Task::MigrateTo
    );
    Some(if old_way && !half_moved { b } else { e })
}

/// The host of the guest an action is for, with what the agent is told of it.
pub(crate) fn guest_meta(c: &Cluster, act: ActIx, out: &mut BTreeMap<String, String>) {
    let a = &c.acts[act];
    let (Some(node), Some(rsc)) = (a.node, a.rsc) else {
        return;
    };
    let Some(container) = c.nodes[node].connection.and_then(|r| c.rscs[r].container) else {
        return;
    };
    let mut told = a.extra.iter().filter(|_| a.task == Task::Notify);
    let told = told.find(|(name, _)| *name == "notify_operation");
    let task = told.map_or(a.task, |(_, op)| Task::parse(op));
    let host = match task {
        Task::Stop | Task::Demote => c.current_node(container),
        Task::Start | Task::Monitor | Task::Promote => c.rscs[container].assigned,
        _ => None,
    };
    let Some(host) = host else {
        return;
    };
    out.insert(
        "CRM_meta_physical_host".to_owned(),
        c.nodes[host].name.clone(),
    );
    if let Some(target) = c.rscs[rsc].meta.get("container-attribute-target") {
        out.insert(
            "CRM_meta_container_attribute_target".to_owned(),
            target.clone(),
        );
    }
}

/// What an agent is told of remote nodes.
pub(crate) fn meta(c: &Cluster, rsc: usize, out: &mut std::collections::BTreeMap<String, String>) {
    let r = &c.rscs[rsc];
    if let Some(guest) = r.meta.get("remote-node") {
        out.insert("CRM_meta_remote_node".to_owned(), guest.clone());
    }
    if let Some(container) = r.container {
        out.insert(
            "CRM_meta_container".to_owned(),
            c.rscs[container].id.clone(),
        );
    }
}

/// Nodes that go down with a fenced node.
pub(crate) fn downed_by_fencing(c: &Cluster, node: usize) -> Vec<String> {
    let mut out = vec![c.nodes[node].id.clone()];
    for (ix, n) in c.nodes.iter().enumerate() {
        let container = n.connection.and_then(|r| c.rscs[r].container);
        if ix != node && container.is_some_and(|r| c.rscs[r].running_on.contains(&node)) {
            out.push(n.id.clone());
        }
    }
    out
}

/// The remote node that goes down with the stop of its connection.
pub(crate) fn downed_by_stop(c: &Cluster, ix: usize) -> Vec<String> {
    let a = &c.acts[ix];
    let Some(rsc) = a.rsc else {
        return Vec::new();
    };
    if !c.rscs[rsc].is_remote {
        return Vec::new();
    }
    let migrates = a.before.iter().any(|link| {
        let first = &c.acts[link.other];
        first.task == Task::MigrateFrom && first.rsc == Some(rsc)
    });
    match c.rscs[rsc].remote_node {
        Some(node) if !migrates => vec![c.nodes[node].id.clone()],
        _ => Vec::new(),
    }
}

//! Remote nodes: their connections, and what waits for them.

use crate::{
    model::{Cluster, Role, RscIx, Task, ar},
    ordering::{first_action, order_actions, order_tasks},
    score::INFINITY,
};

/// A connection that stays or moves without stopping keeps its node; one that goes takes it down.
pub(crate) fn connection_assigned(c: &mut Cluster, rsc: RscIx) {
    let Some(node) = c.rscs[rsc].remote_node else {
        return;
    };
    let r = &c.rscs[rsc];
    let next = r
        .assigned
        .filter(|_| r.next_role != crate::model::Role::Stopped);
    match next {
        Some(host) => {
            if c.nodes[host].unclean {
                return;
            }
            if !c.nodes[node].unclean {
                c.nodes[node].online = true;
                if c.nodes[node].unseen {
                    c.nodes[node].unclean = false;
                }
            }
        }
        None => {
            c.nodes[node].shutdown = true;
        }
    }
}

/// Orderings and bans within connections and containers.
pub(crate) fn internal(c: &mut Cluster, rsc: RscIx) {
    let r = &c.rscs[rsc];
    if r.is_remote || r.is_fence_device {
        // A remote node runs neither fence devices nor connections.
        let remote: Vec<usize> = (0..c.nodes.len())
            .filter(|n| c.is_remote_node(*n))
            .collect();
        let container_may = c.rscs[rsc].container.is_some() && c.rscs[rsc].is_remote;
        for node in remote {
            if (!container_may || c.is_guest(node)) && c.rscs[rsc].allowed.get(node).is_some() {
                crate::assign::add_node_score(
                    c,
                    rsc,
                    Some(node),
                    -INFINITY,
                    "remote connection or fence device",
                );
            }
        }
    }
    let Some(container) = c.rscs[rsc].container else {
        return;
    };
    order_tasks(
        c,
        container,
        Task::Start,
        rsc,
        Task::Start,
        ar::FIRST_IMPLIES_THEN | ar::UNRUNNABLE_FIRST_BLOCKS,
    );
    order_tasks(
        c,
        rsc,
        Task::Stop,
        container,
        Task::Stop,
        ar::THEN_IMPLIES_FIRST,
    );
    let score = INFINITY;
    let influence = c.rscs[rsc].critical;
    crate::constraints::new(
        c,
        &"#resource-with-container".into(),
        None,
        score,
        (rsc, Role::Unknown),
        (container, Role::Unknown),
        influence,
    );
}

/// What waits for connections.
pub(crate) fn order(c: &mut Cluster) {
    if !c.have_remote {
        return;
    }
    for act in 0..c.acts.len() {
        order_one(c, act);
    }
}

/// An action on a remote node needs the connection, and the connection's stop waits for it.
fn order_one(c: &mut Cluster, act: usize) {
    let a = &c.acts[act];
    let (Some(node), Some(rsc)) = (a.node, a.rsc) else {
        return;
    };
    if a.task == Task::ClearFailCount || a.pseudo && !matches!(a.task, Task::Stop | Task::Demote) {
        return;
    }
    if !c.is_remote_node(node) {
        return;
    }
    let Some(connection) = c.nodes[node].connection.filter(|r| *r != rsc) else {
        return;
    };
    if c.is_guest(node) {
        order_guest(c, act, rsc, connection);
    } else {
        order_remote(c, act, rsc, connection, node);
    }
}

fn order_guest(c: &mut Cluster, act: usize, rsc: RscIx, connection: RscIx) {
    let container = c.rscs[connection].container.unwrap_or(connection);
    let failed = c.rscs[container].failed;
    match c.acts[act].task {
        Task::Start | Task::Promote => {
            let flags = ar::FIRST_IMPLIES_THEN | ar::UNRUNNABLE_FIRST_BLOCKS;
            after_start(c, container, act, flags);
            after_start(c, connection, act, flags);
        }
        Task::Stop | Task::Demote if !failed => {
            before_stop(c, connection, act);
        }
        Task::Monitor if c.acts[act].interval_ms > 0 && c.rscs[rsc].managed => {
            after_start(
                c,
                connection,
                act,
                ar::FIRST_IMPLIES_THEN | ar::UNRUNNABLE_FIRST_BLOCKS,
            );
        }
        Task::Monitor => after_start(c, connection, act, ar::UNRUNNABLE_FIRST_BLOCKS),
        _ => {}
    }
}

fn after_start(c: &mut Cluster, connection: RscIx, act: usize, flags: u32) {
    if let Some(start) = first_action(c, connection, Task::Start, None) {
        order_actions(c, start, act, flags);
    }
}

fn before_stop(c: &mut Cluster, connection: RscIx, act: usize) {
    if let Some(stop) = first_action(c, connection, Task::Stop, None) {
        order_actions(c, act, stop, ar::THEN_IMPLIES_FIRST);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ConnectionState {
    Alive,
    Resting,
    Failed,
    Stopped,
    Unknown,
}

fn connection_state(c: &Cluster, connection: RscIx, node: usize) -> ConnectionState {
    let r = &c.rscs[connection];
    let host = r.running_on.first().copied();
    if r.next_role == Role::Stopped || r.assigned.is_none() {
        if c.nodes[node].unclean {
            return if c.nodes[node].remote_was_fenced {
                ConnectionState::Resting
            } else {
                ConnectionState::Failed
            };
        }
        if r.failed && r.remote_reconnect_ms > 0 {
            return ConnectionState::Resting;
        }
        return ConnectionState::Stopped;
    }
    match host {
        Some(host) if c.nodes[host].unclean => {
            if r.assigned != Some(host) && r.failed {
                ConnectionState::Failed
            } else {
                ConnectionState::Unknown
            }
        }
        Some(_) if r.failed => ConnectionState::Failed,
        Some(_) => ConnectionState::Alive,
        None => ConnectionState::Alive,
    }
}

fn order_remote(c: &mut Cluster, act: usize, rsc: RscIx, connection: RscIx, node: usize) {
    let state = connection_state(c, connection, node);
    let after = ar::UNRUNNABLE_FIRST_BLOCKS;
    match c.acts[act].task {
        Task::Start | Task::Promote => {
            let flags = if state == ConnectionState::Failed {
                after
            } else {
                ar::FIRST_IMPLIES_THEN | after
            };
            after_start(c, connection, act, flags);
        }
        Task::Stop | Task::Demote => match state {
            ConnectionState::Alive | ConnectionState::Unknown
                if state == ConnectionState::Alive =>
            {
                before_stop(c, connection, act);
            }
            ConnectionState::Failed => before_stop(c, connection, act),
            ConnectionState::Resting => {}
            _ => {
                let moves = c.rscs[connection].assigned.is_some()
                    && c.rscs[connection].next_role != Role::Stopped;
                if moves {
                    after_start(c, connection, act, after);
                } else {
                    before_stop(c, connection, act);
                }
            }
        },
        Task::Monitor if c.acts[act].interval_ms > 0 => {
            if c.rscs[rsc].managed {
                after_start(c, connection, act, ar::FIRST_IMPLIES_THEN | after);
            }
        }
        _ => {
            if c.rscs[rsc].managed || c.acts[act].task == Task::Monitor {
                after_start(c, connection, act, after);
            }
        }
    }
}

/// The member through which a remote node is reached for an action.
pub(crate) fn router(c: &Cluster, ix: usize, node: usize) -> Option<usize> {
    let connection = c.nodes[node].connection?;
    let r = &c.rscs[connection];
    let begin = r.running_on.first().copied();
    let end = r.assigned;
    match (begin, end) {
        (None, end) => end,
        (begin, None) => begin,
        (Some(b), Some(e)) if b == e => Some(b),
        (Some(b), Some(e)) => {
            use crate::model::Task;
            // While the connection moves, what ends something goes by the old way.
            let old_way = matches!(
                c.acts[ix].task,
                Task::Stop | Task::Demote | Task::Cancel | Task::MigrateFrom | Task::MigrateTo
            );
            Some(if old_way { b } else { e })
        }
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
    let migrates = c.rscs[rsc].actions.iter().any(|x| {
        matches!(
            c.acts[*x].task,
            crate::model::Task::MigrateTo | crate::model::Task::MigrateFrom
        ) && c.acts[*x].runnable
            && !c.acts[*x].optional
    });
    match c.rscs[rsc].remote_node {
        Some(node) if !migrates => vec![c.nodes[node].id.clone()],
        _ => Vec::new(),
    }
}

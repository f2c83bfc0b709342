//! Remote nodes: their connections, and what waits for them.

use crate::model::{Cluster, RscIx};

/// A connection that stays or moves without stopping keeps its node; one that goes takes it down.
pub(crate) fn connection_assigned(c: &mut Cluster, rsc: RscIx) {
    let Some(node) = c.rscs[rsc].remote_node else {
        return;
    };
    let r = &c.rscs[rsc];
    let next = r.assigned.filter(|_| r.next_role != crate::model::Role::Stopped);
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
    let _ = (c, rsc);
}

/// What waits for connections.
pub(crate) fn order(c: &mut Cluster) {
    let _ = c;
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
            let old_way = matches!(c.acts[ix].task, Task::Stop | Task::Demote | Task::Cancel | Task::MigrateFrom | Task::MigrateTo);
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
        out.insert("CRM_meta_container".to_owned(), c.rscs[container].id.clone());
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
    let migrates = c.rscs[rsc]
        .actions
        .iter()
        .any(|x| matches!(c.acts[*x].task, crate::model::Task::MigrateTo | crate::model::Task::MigrateFrom) && c.acts[*x].runnable && !c.acts[*x].optional);
    match c.rscs[rsc].remote_node {
        Some(node) if !migrates => vec![c.nodes[node].id.clone()],
        _ => Vec::new(),
    }
}

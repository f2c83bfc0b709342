//! Bundles: replicas of a container, each with (as configured) an address, a connection into it that makes it a
//! guest node, and the resource that runs inside.
//!
//! The parts are ordinary resources; what is here is how they stand to each other and to the bundle as a whole.

mod unpack;

use crate::{
    actions, assign, colocation, constraints, create,
    explain::record::{self, Cause},
    failures, instances,
    model::{Cluster, Kind, NodeIx, Replica, Role, RscIx, Task, ar},
    ordering::order_tasks,
    resources,
    score::INFINITY,
};
pub(crate) use unpack::unpack;

fn replicas(c: &Cluster, bundle: RscIx) -> Vec<Replica> {
    let settings = c.rscs[bundle].bundle.as_ref();
    settings.map_or_else(Vec::new, |s| s.replicas.clone())
}

/// The clone of what runs inside.
fn bundled(c: &Cluster, bundle: RscIx) -> Option<RscIx> {
    c.rscs[bundle].bundle.as_ref().and_then(|s| s.child)
}

/// The bundle a part belongs to, with its replica.
fn replica_of<'c>(c: &'c Cluster, part: RscIx) -> Option<&'c Replica> {
    let top = c.uber_parent(part, true);
    let settings = c.rscs[top].bundle.as_ref()?;
    settings.replicas.iter().find(|r| {
        r.container == part || r.remote == Some(part) || r.ip == Some(part) || r.child == Some(part)
    })
}

/// What counts as an instance of a clone or bundle.
pub(crate) fn instances(c: &Cluster, rsc: RscIx) -> Vec<RscIx> {
    match &c.rscs[rsc].bundle {
        Some(bundle) => bundle.replicas.iter().map(|r| r.container).collect(),
        None if c.rscs[rsc].kind == Kind::Primitive => vec![rsc],
        None => c.rscs[rsc].children.clone(),
    }
}

/// The resource inside a bundle's container.
pub(crate) fn bundled_in_container(c: &Cluster, rsc: RscIx) -> Option<RscIx> {
    replica_of(c, rsc)
        .filter(|r| r.container == rsc)
        .and_then(|r| r.child)
}

/// The resources a bundle is made of, replica by replica.
pub(crate) fn parts(c: &Cluster, bundle: RscIx) -> Vec<RscIx> {
    replicas(c, bundle)
        .into_iter()
        .flat_map(|r| [r.ip, Some(r.container), r.remote, r.child])
        .flatten()
        .collect()
}

/// Whether a bundle's colocations hold for a part of it: for its containers always, for what is promotable inside once
/// roles are chosen.
pub(crate) fn represents(c: &Cluster, bundle: RscIx, part: RscIx) -> bool {
    if bundle == part || replica_of(c, part).is_some_and(|r| r.container == part) {
        return true;
    }
    let inside = bundled(c, bundle).filter(|clone| c.rscs[*clone].promotable);
    match inside {
        Some(clone) if clone == part => c.rscs[clone].choosing_roles,
        Some(clone) => c.uber_parent(part, false) == clone && !c.rscs[part].unassigned,
        None => false,
    }
}

/// Applies a location constraint to the parts of a bundle.
pub(crate) fn apply_location(c: &mut Cluster, bundle: RscIx, ix: usize) {
    for replica in replicas(c, bundle) {
        for part in std::iter::once(replica.container).chain(replica.ip) {
            assign::apply_location_here(c, part, ix, false);
        }
    }
    let role = c.locations[ix].role;
    if let Some(child) = bundled(c, bundle).filter(|_| role > Role::Started) {
        assign::apply_location_here(c, child, ix, false);
        if !c.rscs[child].locations.contains(&ix) {
            c.rscs[child].locations.push(ix);
        }
    }
}

/// Places a bundle: the containers first, then what belongs to each, then what runs inside.
pub(crate) fn assign(c: &mut Cluster, bundle: RscIx, stop_if_fail: bool) {
    if c.rscs[bundle].assigning {
        return;
    }
    c.rscs[bundle].assigning = true;
    assign::show_scores(c, bundle);
    let mut containers = instances(c, bundle);
    instances::sort(c, &mut containers);
    let (max, per_host) = c.rscs[bundle]
        .bundle
        .as_ref()
        .map_or((0, 1), |b| (b.replicas.len(), b.per_host));
    let max = u32::try_from(max).unwrap_or(u32::MAX);
    instances::assign_instances(c, bundle, &containers, max, per_host);
    for replica in replicas(c, bundle) {
        assign_replica(c, &replica, stop_if_fail);
    }
    if let Some(child) = bundled(c, bundle) {
        let guests: Vec<NodeIx> = replicas(c, bundle).iter().filter_map(|r| r.node).collect();
        let before = record::snapshot(c, child);
        for (node, entry) in c.rscs[child].allowed.entries_mut() {
            entry.score = if guests.contains(&node) { 0 } else { -INFINITY };
        }
        record::changed(c, child, before, &Cause::Bundle);
        assign::assign(c, child, None, stop_if_fail);
    }
    c.rscs[bundle].assigning = false;
    c.rscs[bundle].unassigned = false;
}

fn assign_replica(c: &mut Cluster, replica: &Replica, stop_if_fail: bool) {
    if let Some(ip) = replica.ip {
        assign::assign(c, ip, None, stop_if_fail);
    }
    let host = c.rscs[replica.container].assigned;
    if let Some(remote) = replica.remote {
        let beside = host
            .filter(|h| c.is_remote_node(*h))
            .and_then(|h| c.nodes[h].connection);
        if let Some(beside) = beside {
            // A connection through a remote node starts from the member that is connected to it.
            let id = "#replica-remote-with-host-remote".into();
            let (dependent, primary) = ((remote, Role::Unknown), (beside, Role::Unknown));
            constraints::new(c, &id, None, INFINITY, dependent, primary, true);
        }
        assign::assign(c, remote, None, stop_if_fail);
    }
    let Some(child) = replica.child else {
        return;
    };
    let before = record::snapshot(c, child);
    for node in c.rscs[child].allowed.nodes().collect::<Vec<_>>() {
        let open =
            Some(node) == replica.node && failures::threshold_reached(c, child, node).is_none();
        if let Some(entry) = c.rscs[child].allowed.get_mut(node) {
            if open {
                entry.score = INFINITY;
            } else if Some(node) != replica.node {
                entry.score = -INFINITY;
            }
        }
    }
    record::changed(c, child, before, &Cause::Bundle);
    let parent = c.rscs[child].parent;
    for value in [true, false] {
        if let Some(parent) = parent {
            c.rscs[parent].assigning = value;
        }
        if value {
            assign::assign(c, child, replica.node, stop_if_fail);
        }
    }
}

/// Applies a colocation with a bundle: what counts is where its containers are.
pub(crate) fn as_primary(c: &mut Cluster, dependent: RscIx, bundle: RscIx, ix: usize) {
    if c.rscs[bundle].unassigned {
        return;
    }
    let col = c.colocations[ix].clone();
    if matches!(c.rscs[col.dependent].kind, Kind::Clone | Kind::Bundle) {
        match compatible(c, dependent, bundle) {
            Some(container) => colocation::apply(c, dependent, container, ix, true),
            None if col.score >= INFINITY => {
                assign::place(c, dependent, None, true, true);
            }
            None => {}
        }
        return;
    }
    let mut hosts = Vec::new();
    for replica in replicas(c, bundle) {
        if col.score < INFINITY {
            colocation::apply(c, dependent, replica.container, ix, false);
            continue;
        }
        let Some(host) = c.rscs[replica.container].assigned else {
            continue;
        };
        let demoted = replica
            .child
            .is_none_or(|child| c.rscs[child].next_role < Role::Promoted);
        let unfit = col.primary_role >= Role::Promoted && demoted;
        if !unfit && !colocation::blocked_anywhere(c, replica.container) {
            hosts.push(host);
        }
    }
    if col.score >= INFINITY {
        colocation::keep_to(c, dependent, bundle, ix, &hosts);
    }
}

/// The container of a bundle on a dependent's host, or on the best host it may have.
fn compatible(c: &Cluster, dependent: RscIx, bundle: RscIx) -> Option<RscIx> {
    let on = |node: NodeIx| {
        let host = host_of(c, node)?;
        instances::instance_on(c, bundle, host, Role::Unknown, false)
    };
    if let Some(node) = colocation::location(c, dependent) {
        return on(node);
    }
    let mut nodes: Vec<NodeIx> = c.rscs[dependent].allowed.nodes().collect();
    assign::sort_table(c, &c.rscs[dependent].allowed, &mut nodes, None);
    nodes.into_iter().find_map(on)
}

/// The node itself, or of the guest in a container where that is put.
fn host_of(c: &Cluster, node: NodeIx) -> Option<NodeIx> {
    if !c.nodes[node].bundle {
        return Some(node);
    }
    let container = c.nodes[node].connection.and_then(|r| c.rscs[r].container)?;
    c.rscs[container].assigned
}

/// Orderings within a bundle.
pub(crate) fn internal(c: &mut Cluster, bundle: RscIx) {
    for replica in replicas(c, bundle) {
        internal_replica(c, bundle, &replica);
    }
    let Some(child) = bundled(c, bundle) else {
        return;
    };
    let (begin, done) = (
        ar::THEN_IMPLIES_FIRST_GRAPHED,
        ar::FIRST_IMPLIES_THEN_GRAPHED,
    );
    order_tasks(c, bundle, Task::Start, child, Task::Start, begin);
    order_tasks(c, child, Task::Running, bundle, Task::Running, done);
    order_tasks(c, bundle, Task::Stop, child, Task::Stop, begin);
    order_tasks(c, child, Task::Stopped, bundle, Task::Stopped, done);
    create::internal(c, child);
    if c.rscs[child].promotable {
        create::promotable_restart(c, bundle);
        order_tasks(c, bundle, Task::Demote, child, Task::Demote, begin);
        order_tasks(c, child, Task::Demoted, bundle, Task::Demoted, done);
        order_tasks(c, bundle, Task::Promote, child, Task::Promote, begin);
        order_tasks(c, child, Task::Promoted, bundle, Task::Promoted, done);
    }
}

fn internal_replica(c: &mut Cluster, bundle: RscIx, replica: &Replica) {
    let container = replica.container;
    create::internal(c, container);
    let (begin, done) = (
        ar::THEN_IMPLIES_FIRST_GRAPHED,
        ar::FIRST_IMPLIES_THEN_GRAPHED,
    );
    let blocks = ar::UNRUNNABLE_FIRST_BLOCKS;
    order_tasks(
        c,
        bundle,
        Task::Start,
        container,
        Task::Start,
        blocks | begin,
    );
    if let Some(child) = replica.child {
        order_tasks(c, bundle, Task::Stop, child, Task::Stop, begin);
    }
    order_tasks(c, bundle, Task::Stop, container, Task::Stop, begin);
    order_tasks(c, container, Task::Start, bundle, Task::Running, done);
    order_tasks(c, container, Task::Stop, bundle, Task::Stopped, done);
    if let Some(ip) = replica.ip {
        create::internal(c, ip);
        order_tasks(c, ip, Task::Start, container, Task::Start, blocks);
        order_tasks(
            c,
            container,
            Task::Stop,
            ip,
            Task::Stop,
            ar::THEN_IMPLIES_FIRST,
        );
        let (dependent, primary) = ((ip, Role::Unknown), (container, Role::Unknown));
        let id = "#ip-with-container".into();
        constraints::new(c, &id, None, INFINITY, dependent, primary, true);
    }
    if let Some(remote) = replica.remote {
        create::internal(c, remote);
    }
}

/// Makes the actions of a bundle.
pub(crate) fn create(c: &mut Cluster, bundle: RscIx) {
    for replica in replicas(c, bundle) {
        let parts = [replica.ip, Some(replica.container), replica.remote];
        for part in parts.into_iter().flatten() {
            create::create(c, part);
        }
    }
    create::collective(c, bundle);
    let Some(child) = bundled(c, bundle) else {
        return;
    };
    create::create(c, child);
    if c.rscs[child].promotable {
        for task in [Task::Promote, Task::Promoted, Task::Demote, Task::Demoted] {
            let ix = create::pseudo(c, bundle, task, true, true);
            if matches!(task, Task::Promoted | Task::Demoted) {
                c.acts[ix].priority = INFINITY;
            }
        }
    }
}

/// Makes the probes of a bundle on a node. Whether there is any.
pub(crate) fn probe(c: &mut Cluster, bundle: RscIx, node: NodeIx) -> bool {
    let per_host = c.rscs[bundle].bundle.as_ref().map_or(1, |b| b.per_host);
    let all = replicas(c, bundle);
    let mut any = false;
    for (at, replica) in all.iter().enumerate() {
        if let Some(ip) = replica.ip {
            any |= crate::probes::probe(c, ip, node);
        }
        if let Some(child) = replica.child.filter(|_| replica.node == Some(node)) {
            any |= crate::probes::probe(c, child, node);
        }
        if crate::probes::probe(c, replica.container, node) {
            any = true;
            let others = all.iter().enumerate().filter(|(o, _)| *o != at);
            for (_, other) in others.filter(|_| per_host == 1) {
                // No second container starts there before it is known that none runs.
                order_tasks(
                    c,
                    replica.container,
                    Task::Monitor,
                    other.container,
                    Task::Start,
                    ar::ORDERED | ar::IF_ON_SAME_NODE,
                );
            }
        }
        if let Some(remote) = replica.remote
            && crate::probes::probe(c, remote, node)
        {
            any = true;
            // Where to connect to is known when the container's place is.
            let probe = actions::action(c, remote, Task::Monitor, 0, Some(node), true);
            crate::ordering::order_task_action(
                c,
                replica.container,
                Task::Start,
                probe,
                ar::NESTED_REMOTE_PROBE,
            );
        }
    }
    any
}

/// Whether the address of a connection is the name of the container's host.
pub(crate) fn needs_remote_name(c: &mut Cluster, rsc: RscIx) -> bool {
    let bundled = replica_of(c, rsc).is_some_and(|r| r.remote == Some(rsc));
    bundled
        && resources::params(c, rsc, None)
            .get("addr")
            .is_some_and(|addr| addr == "#uname")
}

/// The host whose name stands for `#uname` in the address of a connection into a container.
pub(crate) fn remote_address(c: &Cluster, rsc: RscIx) -> Option<NodeIx> {
    let replica = replica_of(c, rsc).filter(|r| r.remote == Some(rsc))?;
    let container = replica.container;
    c.rscs[container]
        .assigned
        .or_else(|| c.current_node(container))
}

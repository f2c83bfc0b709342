//! Spreads the instances of a clone (or the replicas of a bundle) over nodes.

use std::cmp::Ordering;

use crate::{
    assign::{self, add_node_score, available, place, unassign},
    colocation,
    explain::record::{self, Cause, Crowd},
    model::{Cluster, Kind, NodeIx, NodeTable, Role, RscIx},
    promotion,
    score::INFINITY,
};

/// Places all instances of a clone and gives promotable ones their roles.
pub(crate) fn assign_clone(c: &mut Cluster, clone: RscIx, stop_if_fail: bool) {
    if !c.rscs[clone].unassigned || c.rscs[clone].assigning {
        return;
    }
    c.rscs[clone].assigning = true;
    if c.rscs[clone].promotable {
        promotion::add_scores(c, clone);
    }
    for ix in colocation::this_with(c, clone) {
        let primary = c.colocations[ix].primary;
        assign::assign(c, primary, None, stop_if_fail);
    }
    for ix in colocation::with_this(c, clone) {
        colocation::add_dependent_scores(c, ix, clone);
    }
    assign::show_scores(c, clone);
    let mut instances = c.rscs[clone].children.clone();
    sort(c, &mut instances);
    c.rscs[clone].children = instances.clone();
    let (max, per_node) = (c.rscs[clone].clone.max, c.rscs[clone].clone.node_max);
    assign_instances(c, clone, &instances, max, per_node);
    if c.rscs[clone].promotable {
        promotion::set_roles(c, clone);
    }
    c.rscs[clone].unassigned = false;
    c.rscs[clone].assigning = false;
}

/// Places `max` instances in the order given, each where it is if that is fair.
pub(crate) fn assign_instances(
    c: &mut Cluster,
    owner: RscIx,
    instances: &[RscIx],
    max: u32,
    per_node: u32,
) {
    let mut usable = 0;
    let mut table = std::mem::take(&mut c.rscs[owner].allowed);
    for (node, entry) in table.entries_mut() {
        entry.count = 0;
        if c.can_run(node) {
            usable += 1;
        }
    }
    c.rscs[owner].allowed = table;
    let optimal = max.checked_div(usable).map_or(0, |share| share.max(1));
    let mut assigned = 0;
    for instance in instances {
        if assigned >= max {
            break;
        }
        if let Some(here) = preferred(c, owner, *instance, optimal)
            && assign_early(c, owner, *instance, here, per_node, max - assigned)
        {
            assigned += 1;
        }
    }
    for instance in instances {
        if !c.rscs[*instance].unassigned {
            continue;
        }
        if assigned >= max {
            add_node_score(c, *instance, None, -INFINITY, "collective_limit_reached");
        } else if assign_one(c, owner, *instance, None, per_node).is_some() {
            assigned += 1;
        }
    }
}

/// Where an instance is and may stay without crowding the node.
fn preferred(c: &Cluster, owner: RscIx, instance: RscIx, optimal: u32) -> Option<NodeIx> {
    if c.active_nodes(instance).is_empty()
        || !c.rscs[instance].unassigned
        || c.rscs[instance].failed
    {
        return None;
    }
    let here = c.current_node_of(instance)?;
    if !available(c, instance, here, false, false) {
        return None;
    }
    let entry = c.rscs[owner].allowed.get(here);
    if entry.is_some_and(|e| e.count >= optimal) {
        return None;
    }
    Some(here)
}

fn assign_early(
    c: &mut Cluster,
    owner: RscIx,
    instance: RscIx,
    here: NodeIx,
    per_node: u32,
    left: u32,
) -> bool {
    if c.rscs[instance].allowed.get(here).is_none() || !available(c, instance, here, true, false) {
        // 2.1.5 took that for a try.
        c.rscs[instance].tried = c.earlier.one_try;
        return false;
    }
    let (saved, mark) = (tables(c, instance), record::mark(c));
    if c.earlier.one_try {
        let chosen = assign_one(c, owner, instance, Some(here), per_node);
        // A group stays where it was put, even beside another instance.
        if c.rscs[instance].kind != Kind::Group && chosen.is_some_and(|node| node != here) {
            unassign(c, instance);
            restore(c, &saved);
            c.rscs[instance].tried = true;
        }
        return chosen == Some(here);
    }
    let mut reserved = Vec::new();
    let mut done = false;
    while (reserved.len() as u32) < left {
        let chosen = assign_one(c, owner, instance, Some(here), per_node);
        if chosen == Some(here) {
            done = true;
            break;
        }
        // Something with a better claim to another node would take this instance away: keep that room free
        // and look again.
        restore(c, &saved);
        record::rewind(c, mark, &saved);
        let Some(other) = chosen else {
            // Members of a cloned group keep what was found for them.
            c.rscs[instance].unassigned = true;
            break;
        };
        unassign(c, instance);
        if let Some(entry) = c.rscs[owner].allowed.get_mut(other) {
            entry.count += 1;
        }
        reserved.push(other);
    }
    for node in reserved {
        if let Some(entry) = c.rscs[owner].allowed.get_mut(node) {
            entry.count = entry.count.saturating_sub(1);
        }
    }
    done
}

fn tables(c: &Cluster, rsc: RscIx) -> Vec<(RscIx, NodeTable)> {
    let mut out = vec![(rsc, c.rscs[rsc].allowed.clone())];
    for child in &c.rscs[rsc].children {
        out.extend(tables(c, *child));
    }
    out
}

fn restore(c: &mut Cluster, saved: &[(RscIx, NodeTable)]) {
    for (rsc, table) in saved {
        c.rscs[*rsc].allowed = table.clone();
    }
}

fn assign_one(
    c: &mut Cluster,
    owner: RscIx,
    instance: RscIx,
    prefer: Option<NodeIx>,
    per_node: u32,
) -> Option<NodeIx> {
    if !c.rscs[instance].unassigned {
        return colocation::location(c, instance);
    }
    if c.rscs[instance].assigning {
        return None;
    }
    ban_unusable(c, owner, instance, per_node);
    // A try at the place where it is can be taken back.
    let for_good = prefer.is_none() || c.earlier.one_try;
    let chosen = assign::assign(c, instance, prefer, for_good);
    let chosen = chosen.or_else(|| colocation::location(c, instance));
    if let Some(chosen) = chosen {
        if prefer.is_some() && prefer != Some(chosen) {
            return Some(chosen);
        }
        if let Some(entry) = c.rscs[owner].allowed.get_mut(chosen) {
            entry.count += 1;
        }
    }
    chosen
}

/// Nodes that are down or full are out for an instance and what it contains.
fn ban_unusable(c: &mut Cluster, owner: RscIx, instance: RscIx, per_node: u32) {
    let removed = c.rscs[instance].removed;
    let nodes: Vec<NodeIx> = c.rscs[instance].allowed.nodes().collect();
    for node in nodes {
        let room = c.rscs[owner].allowed.get(node).copied();
        if !removed && c.can_run(node) && room.is_some_and(|e| e.score >= 0 && e.count < per_node) {
            continue;
        }
        let parts = std::iter::once(instance).chain(c.rscs[instance].children.clone());
        for part in parts {
            if let Some(entry) = c.rscs[part].allowed.get_mut(node) {
                entry.score = -INFINITY;
                let why = match room {
                    _ if removed => Crowd::Removed,
                    _ if !c.can_run(node) => Crowd::Down,
                    Some(room) if room.score >= 0 => Crowd::Full,
                    _ => Crowd::Banned,
                };
                record::set(c, part, node, -INFINITY, Cause::Crowd(why));
            }
        }
    }
}

/// Sorts instances: those that should keep their place first.
pub(crate) fn sort(c: &mut Cluster, instances: &mut [RscIx]) {
    let sorted = crate::merge::sort_by(instances.to_vec(), &mut |a, b| compare(c, *a, *b));
    instances.copy_from_slice(&sorted);
}

/// Which of two instances comes first.
pub(crate) fn compare(c: &mut Cluster, a: RscIx, b: RscIx) -> Ordering {
    let (nodes_a, nodes_b) = (c.active_nodes(a), c.active_nodes(b));
    if !nodes_a.is_empty() && !nodes_b.is_empty() && nodes_a.len() != nodes_b.len() {
        return nodes_a.len().cmp(&nodes_b.len());
    }
    let (mut here_a, mut here_b) = (nodes_a.first().copied(), nodes_b.first().copied());
    let can_a = usable_here(c, a, &mut here_a);
    let can_b = usable_here(c, b, &mut here_b);
    if can_a != can_b {
        return if can_a {
            Ordering::Less
        } else {
            Ordering::Greater
        };
    }
    // A promotion score above the priority counts as that.
    let priority = |rsc: RscIx| c.rscs[rsc].priority.max(c.rscs[rsc].promotion_priority);
    let by_priority = priority(b).cmp(&priority(a));
    if by_priority.is_ne() {
        return by_priority;
    }
    let (Some(node_a), Some(node_b)) = (here_a, here_b) else {
        return match (here_a, here_b) {
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            // Those without a place stay in the order in which they are.
            _ => Ordering::Equal,
        };
    };
    let run = |c: &Cluster, node: NodeIx| c.can_run(node);
    match (run(c, node_a), run(c, node_b)) {
        (true, false) => return Ordering::Less,
        (false, true) => return Ordering::Greater,
        _ => {}
    }
    let parent_allows = |c: &Cluster, rsc: RscIx, node: NodeIx| {
        c.rscs[rsc]
            .parent
            .and_then(|p| c.rscs[p].allowed.get(node))
            .map(|e| (e.count, e.score))
    };
    let (pa, pb) = (parent_allows(c, a, node_a), parent_allows(c, b, node_b));
    match (&pa, &pb) {
        (Some(_), None) => return Ordering::Less,
        (None, Some(_)) => return Ordering::Greater,
        (Some(x), Some(y)) => {
            let by_count = x.0.cmp(&y.0);
            if by_count.is_ne() {
                return by_count;
            }
        }
        _ => {}
    }
    let by_health = failed(c, a).cmp(&failed(c, b));
    if by_health.is_ne() {
        return by_health;
    }
    let by_colocation = compare_colocated(c, a, node_a, b, node_b);
    if by_colocation.is_ne() {
        return by_colocation;
    }
    number(c, a).cmp(&number(c, b))
}

fn usable_here(c: &Cluster, rsc: RscIx, node: &mut Option<NodeIx>) -> bool {
    let Some(at) = *node else {
        return true;
    };
    let fine = c.rscs[rsc].allowed.get(at).is_some_and(|e| e.score >= 0);
    if !fine {
        *node = None;
    }
    fine
}

fn failed(c: &Cluster, rsc: RscIx) -> bool {
    c.rscs[rsc].failed || c.rscs[rsc].children.iter().any(|r| failed(c, *r))
}

fn compare_colocated(
    c: &mut Cluster,
    a: RscIx,
    node_a: NodeIx,
    b: RscIx,
    node_b: NodeIx,
) -> Ordering {
    let score_a = colocation::colocated_score(c, a, node_a);
    let score_b = colocation::colocated_score(c, b, node_b);
    score_b.cmp(&score_a)
}

/// Puts the instances of a clone in the order of their numbers.
pub(crate) fn sort_by_number(c: &mut Cluster, clone: RscIx) {
    let mut children = std::mem::take(&mut c.rscs[clone].children);
    children.sort_by_key(|child| number(c, *child));
    c.rscs[clone].children = children;
}

/// The number in the name of an instance.
pub(crate) fn number(c: &Cluster, rsc: RscIx) -> i64 {
    c.rscs[rsc]
        .id
        .rsplit_once(':')
        .and_then(|(_, n)| n.parse().ok())
        .unwrap_or(0)
}

/// The instance of a clone on a dependent's node, or on the best node it may have.
pub(crate) fn compatible(
    c: &mut Cluster,
    dependent: RscIx,
    clone: RscIx,
    role: Role,
    current: bool,
) -> Option<RscIx> {
    let place = if current {
        c.current_node_of(dependent)
    } else {
        colocation::location(c, dependent)
    };
    if let Some(node) = place {
        return instance_on(c, clone, node, role, current);
    }
    let mut nodes: Vec<NodeIx> = c.rscs[dependent].allowed.nodes().collect();
    assign::sort_table(c, &c.rscs[dependent].allowed, &mut nodes, None);
    nodes
        .into_iter()
        .find_map(|node| instance_on(c, clone, node, role, current))
}

/// The instance of a clone on a node, in a role.
pub(crate) fn instance_on(
    c: &Cluster,
    clone: RscIx,
    node: NodeIx,
    role: Role,
    current: bool,
) -> Option<RscIx> {
    let list = crate::bundle::instances(c, clone);
    list.into_iter()
        .find(|instance| fits(c, *instance, node, role, current))
}

fn fits(c: &Cluster, instance: RscIx, node: NodeIx, role: Role, current: bool) -> bool {
    if role != Role::Unknown
        && c.state(
            crate::bundle::bundled_in_container(c, instance).unwrap_or(instance),
            current,
        ) != role
    {
        return false;
    }
    if colocation::blocked_anywhere(c, instance) {
        return false;
    }
    if current {
        c.active_nodes(instance).contains(&node)
    } else {
        !c.rscs[instance].unassigned && colocation::location(c, instance) == Some(node)
    }
}

impl Cluster<'_> {
    /// Where a primitive is active, or the first active part of a group.
    pub(crate) fn current_node_of(&self, rsc: RscIx) -> Option<NodeIx> {
        match self.rscs[rsc].kind {
            Kind::Primitive => self.current_node(rsc),
            _ => self.active_nodes(rsc).first().copied(),
        }
    }
}

/// Puts an instance nowhere. Whether it was somewhere.
pub(crate) fn give_up(c: &mut Cluster, instance: RscIx) -> bool {
    place(c, instance, None, true, true)
}

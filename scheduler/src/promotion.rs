//! Chooses which instances of a promotable clone are promoted.

use crate::{
    assign,
    colocation::{self, Select},
    history_ops::base_name,
    instances,
    model::{Cluster, Kind, NodeIx, Role, RscIx},
    score::{self, INFINITY},
};

/// Promotion scores make their nodes more attractive for the instances themselves.
pub(crate) fn add_scores(c: &mut Cluster, clone: RscIx) {
    if c.rscs[clone].promotion_added {
        return;
    }
    c.rscs[clone].promotion_added = true;
    for instance in c.rscs[clone].children.clone() {
        let nodes: Vec<NodeIx> = c.rscs[instance].allowed.nodes().collect();
        for node in nodes {
            if !c.can_run(node) {
                continue;
            }
            let Some(score) = promotion_score(c, instance, node) else {
                continue;
            };
            if let Some(entry) = c.rscs[instance].allowed.get_mut(node) {
                let new = score::add(score, entry.score);
                entry.score = new;
            }
            if score > c.rscs[instance].promotion_priority {
                c.rscs[instance].promotion_priority = score;
            }
        }
    }
}

/// The promotion score an agent gave an instance on a node; `None`: none that applies.
fn promotion_score(c: &Cluster, rsc: RscIx, node: NodeIx) -> Option<i32> {
    if c.rscs[rsc].kind == Kind::Group {
        let mut sum = None;
        for member in &c.rscs[rsc].children {
            if let Some(score) = promotion_score(c, *member, node) {
                sum = Some(score::add(sum.unwrap_or(0), score));
            }
        }
        return sum;
    }
    if !applies(c, rsc, node) {
        return None;
    }
    let name = c.rscs[rsc]
        .history_id
        .clone()
        .unwrap_or_else(|| c.rscs[rsc].id.clone());
    lookup(c, node, &name).or_else(|| {
        let stripped = base_name(&name);
        (stripped != name || stripped != c.rscs[rsc].id)
            .then(|| lookup(c, node, stripped))
            .flatten()
    })
}

fn lookup(c: &Cluster, node: NodeIx, rsc: &str) -> Option<i32> {
    c.nodes[node]
        .attrs
        .get(&format!("master-{rsc}"))
        .and_then(|v| score::parse(v))
}

/// Whether a score left on a node says anything about this instance.
fn applies(c: &Cluster, rsc: RscIx, node: NodeIx) -> bool {
    let Some(clone) = c.clone_of(rsc) else {
        return false;
    };
    if !c.rscs[rsc].unique {
        // Any instance's history there speaks for all of them.
        let probed = c.rscs[clone].known_on.contains(&node)
            || c.rscs[rsc]
                .parent
                .is_some_and(|p| c.rscs[p].known_on.contains(&node));
        if probed {
            let other_active = c.rscs[clone].children.iter().any(|i| {
                *i != rsc && !c.primitives(*i).contains(&rsc) && c.active_nodes(*i).contains(&node)
            });
            // A score left by another instance is that instance's, unless this one is still free to go there.
            let here = c.rscs[rsc].running_on.contains(&node);
            return here || c.rscs[rsc].running_on.is_empty() || !other_active;
        }
    }
    if c.rscs[rsc].known_on.contains(&node) || c.rscs[rsc].running_on.contains(&node) {
        return true;
    }
    c.rscs[rsc].allowed.get(node).is_some_and(|e| e.score > 0)
}

/// Gives every instance its next role.
pub(crate) fn set_roles(c: &mut Cluster, clone: RscIx) {
    let children = c.rscs[clone].children.clone();
    for child in &children {
        reset_promoted_counts(c, *child);
    }
    for instance in children {
        let chosen = colocation::location(c, instance);
        let Some(node) = chosen else {
            c.rscs[instance].promotion_priority = -INFINITY;
            c.rscs[instance].sort_index = -INFINITY;
            continue;
        };
        let next = c.state(instance, false);
        match next {
            Role::Started | Role::Unknown => {
                let priority = promotion_score(c, instance, node).unwrap_or(-1);
                c.rscs[instance].promotion_priority = priority;
            }
            Role::Unpromoted | Role::Stopped => c.rscs[instance].promotion_priority = -INFINITY,
            Role::Promoted => {}
        }
        promoted_locations(c, instance, instance, node);
        promoted_locations(c, clone, instance, node);
        for ix in colocation::this_with(c, instance) {
            let primary = c.colocations[ix].primary;
            colocation::apply(c, instance, primary, ix, true);
        }
        c.rscs[instance].sort_index = c.rscs[instance].promotion_priority;
        if next == Role::Promoted {
            c.rscs[instance].sort_index = INFINITY;
        }
    }
    let order = sort(c, clone);
    choose(c, clone, &order);
}

fn reset_promoted_counts(c: &mut Cluster, instance: RscIx) {
    let Some(clone) = c.rscs[instance].parent else {
        return;
    };
    for (_, entry) in c.rscs[clone].allowed.entries_mut() {
        entry.count = 0;
    }
}

fn promoted_locations(c: &mut Cluster, holder: RscIx, instance: RscIx, node: NodeIx) {
    for ix in c.rscs[holder].locations.clone() {
        let location = &c.locations[ix];
        if location.role != Role::Promoted {
            continue;
        }
        let found = location
            .nodes
            .iter()
            .find(|(n, _)| *n == node)
            .map(|(_, s)| *s);
        if let Some(score) = found {
            let r = &mut c.rscs[instance];
            r.promotion_priority = score::add(r.promotion_priority, score);
        }
    }
}

/// Instances in the order in which they are promoted.
fn sort(c: &mut Cluster, clone: RscIx) -> Vec<RscIx> {
    let children = c.rscs[clone].children.clone();
    for child in &children {
        // The scores of the clone's nodes serve as the field the instances' wishes are written on.
        let node = colocation::location(c, *child);
        if let Some(node) = node {
            let score = c.rscs[*child].sort_index;
            if score < 0 {
                continue;
            }
            if let Some(entry) = c.rscs[clone].allowed.get_mut(node) {
                entry.score = score::add(score, entry.score);
            }
        }
    }
    for ix in colocation::this_with(c, clone) {
        let (role, primary) = (c.colocations[ix].dependent_role, c.colocations[ix].primary);
        if role == Role::Promoted && c.colocations[ix].dependent == clone {
            apply_as_dependent(c, clone, primary, ix);
        }
    }
    for ix in colocation::with_this(c, clone) {
        let col = &c.colocations[ix];
        if col.primary_role == Role::Promoted && col.primary == clone {
            let (dependent, factor) = (col.dependent, col.score as f32 / INFINITY as f32);
            let mut table = c.rscs[clone].allowed.clone();
            let select = Select {
                this_with: false,
                nonnegative: true,
                active: true,
            };
            colocation::add_colocated(c, dependent, clone, &mut table, Some(ix), factor, select);
            c.rscs[clone].allowed = table;
        }
    }
    require_tickets(c, clone);
    for child in &children {
        if let Some(node) =
            colocation::location(c, *child).filter(|_| c.rscs[*child].sort_index >= 0)
            && let Some(score) = c.rscs[clone].allowed.get(node).map(|e| e.score)
        {
            c.rscs[*child].sort_index = score;
        }
    }
    let mut order = children;
    for at in 1..order.len() {
        let mut pos = at;
        while pos > 0 && before(c, order[pos], order[pos - 1]) {
            order.swap(pos - 1, pos);
            pos -= 1;
        }
    }
    order
}

/// Where the other resource is decides where a promoted instance may be.
fn apply_as_dependent(c: &mut Cluster, clone: RscIx, primary: RscIx, ix: usize) {
    let was = c.rscs[clone].unassigned;
    let saved_role = c.colocations[ix].dependent_role;
    c.colocations[ix].dependent_role = Role::Unknown;
    c.rscs[clone].unassigned = true;
    if !(c.rscs[primary].unassigned) {
        colocation::apply(c, clone, primary, ix, false);
    }
    c.colocations[ix].dependent_role = saved_role;
    c.rscs[clone].unassigned = was;
}

fn require_tickets(c: &mut Cluster, clone: RscIx) {
    for ix in c.rscs[clone].tickets.clone() {
        let u = &c.ticket_uses[ix];
        let held = c
            .tickets
            .get(&u.ticket)
            .is_some_and(|t| t.granted && !t.standby);
        if u.role == Role::Promoted && !held {
            for (_, entry) in c.rscs[clone].allowed.entries_mut() {
                entry.score = -INFINITY;
            }
        }
    }
}

fn before(c: &mut Cluster, a: RscIx, b: RscIx) -> bool {
    let (x, y) = (c.rscs[a].sort_index, c.rscs[b].sort_index);
    if x != y {
        return x > y;
    }
    let (x, y) = (c.state(a, true), c.state(b, true));
    if x != y {
        return x > y;
    }
    instances::compare(c, a, b).is_lt()
}

fn choose(c: &mut Cluster, clone: RscIx, order: &[RscIx]) {
    let max = c.rscs[clone].clone.promoted_max;
    let mut promoted = 0;
    for instance in order {
        show(c, *instance);
        if promoted < max
            && let Some(node) = promotable_on(c, clone, *instance)
        {
            if let Some(entry) = c.rscs[clone].allowed.get_mut(node) {
                entry.count += 1;
            }
            set_role(c, *instance, Role::Promoted);
            promoted += 1;
            continue;
        }
        set_unpromoted(c, *instance);
    }
    c.rscs[clone].clone.promoted_placed = promoted;
}

fn show(c: &mut Cluster, instance: RscIx) {
    let place = colocation::location(c, instance);
    let text = match place {
        Some(node) => format!("on {}", c.nodes[node].name),
        None => "(inactive)".to_owned(),
    };
    let line = format!(
        "{} promotion score {text}: {}",
        c.rscs[instance].id,
        score::show(c.rscs[instance].sort_index)
    );
    if c.trace.is_some()
        && let Some(trace) = &mut c.trace
    {
        trace.push(line);
    }
}

fn set_role(c: &mut Cluster, rsc: RscIx, role: Role) {
    c.rscs[rsc].next_role = role;
    for child in c.rscs[rsc].children.clone() {
        set_role(c, child, role);
    }
}

fn set_unpromoted(c: &mut Cluster, rsc: RscIx) {
    let children = c.rscs[rsc].children.clone();
    if children.is_empty() {
        let r = &mut c.rscs[rsc];
        if r.next_role != Role::Stopped {
            r.next_role = if r.assigned.is_some() {
                Role::Unpromoted
            } else {
                Role::Stopped
            };
        }
        return;
    }
    for child in children {
        set_unpromoted(c, child);
    }
    let first = c.rscs[rsc].children[0];
    c.rscs[rsc].next_role = c.rscs[first].next_role;
}

/// The node an instance can be promoted on, if it can.
fn promotable_on(c: &Cluster, clone: RscIx, instance: RscIx) -> Option<NodeIx> {
    if !c.rscs[instance].children.is_empty() {
        let fine = c.rscs[instance]
            .children
            .iter()
            .all(|m| member_promotable(c, *m));
        if !fine {
            return None;
        }
    }
    let node = colocation::location(c, instance)?;
    let r = &c.rscs[instance];
    if !r.managed {
        return (c.state(instance, true) == Role::Promoted).then_some(node);
    }
    let priority = r.sort_index;
    if priority < 0 || !c.can_run(node) {
        return None;
    }
    if !assign::guest_usable(c, node) {
        return None;
    }
    let entry = c.rscs[clone].allowed.get(node)?;
    (entry.count < c.rscs[clone].clone.promoted_node_max).then_some(node)
}

fn member_promotable(c: &Cluster, member: RscIx) -> bool {
    let r = &c.rscs[member];
    let Some(node) = r.assigned else {
        return false;
    };
    if !r.managed {
        return true;
    }
    r.promotion_priority >= 0 && c.can_run(node)
}

//! Chooses which instances of a promotable clone are promoted.

use crate::{
    assign,
    colocation::{self, Select},
    explain::record::{self, Cause},
    history_ops::base_name,
    instances,
    model::{Cluster, Kind, NodeIx, Role, RscIx},
    options::NoQuorum,
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
            if let Some(entry) = c.rscs[instance].allowed.get_mut(node).filter(|_| score > 0) {
                entry.score = score::add(score, entry.score);
                record::added_for(c, instance, node, score, Cause::Promotion);
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
                let before = sum.unwrap_or(0);
                sum = Some(match c.earlier.plain_sums {
                    true => i32::saturating_add(before, score),
                    false => score::add(before, score),
                });
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
    let node = attribute_node(c, rsc, node)?;
    lookup(c, node, &name).or_else(|| {
        let stripped = base_name(&name);
        (stripped != name || stripped != c.rscs[rsc].id)
            .then(|| lookup(c, node, stripped))
            .flatten()
    })
}

/// The node whose attributes count for a resource on a node: of what is in a container, if so configured, its host.
fn attribute_node(c: &Cluster, rsc: RscIx, node: NodeIx) -> Option<NodeIx> {
    let r = &c.rscs[rsc];
    let of_host = r
        .meta
        .get("container-attribute-target")
        .is_some_and(|t| t == "host");
    let container = c.nodes[node]
        .connection
        .and_then(|connection| c.rscs[connection].container);
    match container.filter(|_| of_host) {
        None => Some(node),
        Some(container) if r.unassigned => c.rscs[container].running_on.first().copied(),
        Some(container) => c.rscs[container].assigned,
    }
}

fn lookup(c: &Cluster, node: NodeIx, rsc: &str) -> Option<i32> {
    c.nodes[node]
        .attrs
        .get(&format!("master-{rsc}"))
        .and_then(|v| score::parse(v))
}

/// Whether a score left on a node says anything about this instance.
fn applies(c: &Cluster, rsc: RscIx, node: NodeIx) -> bool {
    let allowed = c.rscs[rsc].allowed.get(node);
    allowed.is_some_and(|e| e.score >= 0) && score_is_its_own(c, rsc, node)
}

fn score_is_its_own(c: &Cluster, rsc: RscIx, node: NodeIx) -> bool {
    let r = &c.rscs[rsc];
    if !r.unique
        && let Some(clone) = c.clone_of(rsc)
    {
        let base = base_name(&r.id);
        let mut active = None;
        let mut probed = false;
        for at in 0..c.rscs[clone].children.len() {
            let Some(part) = part_named(c, c.rscs[clone].children[at], base) else {
                continue;
            };
            if active.is_none() && c.rscs[part].running_on.contains(&node) {
                active = Some(part);
            }
            probed |= c.rscs[part].known_on.contains(node);
        }
        if active == Some(rsc) || active.is_none() && probed {
            return true;
        }
    }
    // Before anything is known anywhere, lasting scores count for all.
    r.running_on.is_empty() && r.known_on.is_empty()
        || r.known_on.contains(node)
        || r.running_on.contains(&node)
}

/// The part of an instance that goes by a name: itself, or a member of a group.
fn part_named(c: &Cluster, instance: RscIx, base: &str) -> Option<RscIx> {
    if c.rscs[instance].kind == Kind::Primitive {
        return (base_name(&c.rscs[instance].id) == base).then_some(instance);
    }
    let members = &c.rscs[instance].children;
    let named = |m: &&RscIx| base_name(&c.rscs[**m].id) == base;
    members.iter().find(named).copied()
}

/// Gives every instance its next role.
pub(crate) fn set_roles(c: &mut Cluster, clone: RscIx) {
    let children = c.rscs[clone].children.clone();
    for child in &children {
        reset_promoted_counts(c, *child);
    }
    for instance in children {
        if c.state(instance, true) == Role::Started {
            set_current_unpromoted(c, instance);
        }
        let chosen = colocation::location(c, instance);
        let Some(node) = chosen else {
            let in_between = c.earlier.inactive_in_between;
            c.rscs[instance].sort_index = if in_between { 0 } else { -INFINITY };
            continue;
        };
        let next = c.state(instance, false);
        match next {
            Role::Started | Role::Unknown => {
                let priority = promotion_score(c, instance, node).unwrap_or(-1);
                c.rscs[instance].promotion_priority = priority;
                record::priority(c, instance, priority, Cause::Promotion);
            }
            Role::Unpromoted | Role::Stopped => {
                c.rscs[instance].promotion_priority = -INFINITY;
                record::priority(c, instance, -INFINITY, Cause::Named("target-role".into()));
            }
            Role::Promoted => {}
        }
        promoted_locations(c, instance, instance, node);
        promoted_locations(c, clone, instance, node);
        for ix in colocation::this_with(c, instance) {
            let primary = c.colocations[ix].primary;
            let was = c.rscs[instance].promotion_priority;
            colocation::apply(c, instance, primary, ix, true);
            record::priority_moved(c, instance, was, Cause::With(ix));
        }
        c.rscs[instance].sort_index = c.rscs[instance].promotion_priority;
        if next == Role::Promoted {
            c.rscs[instance].sort_index = INFINITY;
        }
    }
    let order = sort(c, clone);
    c.rscs[clone].children = order.clone();
    choose(c, clone, &order);
    // What has a role from the clone has its importance from it too.
    for instance in order {
        c.rscs[instance].priority = c.rscs[clone].priority;
    }
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
            let was = r.promotion_priority;
            r.promotion_priority = score::add(was, score);
            record::priority_moved(c, instance, was, Cause::Location(ix));
        }
    }
}

/// Instances in the order in which they are promoted.
fn sort(c: &mut Cluster, clone: RscIx) -> Vec<RscIx> {
    let children = c.rscs[clone].children.clone();
    c.rscs[clone].choosing_roles = true;
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
                record::added_for(c, clone, node, score, Cause::Promotion);
            }
        }
    }
    // What the clone depends on counted for the instances' priorities already.
    if c.earlier.primaries_twice {
        add_primaries(c, clone);
    }
    for ix in colocation::with_this(c, clone) {
        let col = &c.colocations[ix];
        if col.primary_role != Role::Promoted || !colocation::has_influence(c, ix, None) {
            continue;
        }
        let (dependent, factor) = (col.dependent, col.score as f32 / INFINITY as f32);
        let select = Select {
            this_with: false,
            nonnegative: true,
            active: true,
        };
        add_wishes(c, clone, dependent, ix, factor, select);
    }
    require_tickets(c, clone);
    for child in &children {
        let r = &c.rscs[*child];
        if !r.managed && c.state(*child, false) == Role::Promoted {
            c.rscs[*child].sort_index = INFINITY;
            continue;
        }
        let place = colocation::location(c, *child).filter(|_| r.sort_index >= 0);
        if let Some(score) = place
            .and_then(|node| c.rscs[clone].allowed.get(node))
            .map(|e| e.score)
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

/// Adds what those think of the nodes that the promoted instances must be with (2.1.5).
fn add_primaries(c: &mut Cluster, clone: RscIx) {
    for ix in colocation::this_with(c, clone) {
        let col = &c.colocations[ix];
        if col.dependent_role != Role::Promoted {
            continue;
        }
        let (primary, factor) = (col.primary, col.score as f32 / INFINITY as f32);
        let select = Select {
            this_with: true,
            nonnegative: false,
            active: col.score < INFINITY,
        };
        add_wishes(c, clone, primary, ix, factor, select);
    }
}

/// Adds to a clone's scores of nodes what another resource thinks of them.
fn add_wishes(c: &mut Cluster, clone: RscIx, other: RscIx, ix: usize, factor: f32, select: Select) {
    let mut table = c.rscs[clone].allowed.clone();
    c.rscs[clone].updating_nodes = true;
    colocation::add_colocated(c, other, clone, &mut table, Some(ix), factor, select);
    c.rscs[clone].updating_nodes = false;
    let before = record::snapshot(c, clone);
    c.rscs[clone].allowed = table;
    record::changed(c, clone, before, &Cause::Wish(ix));
}

fn require_tickets(c: &mut Cluster, clone: RscIx) {
    for ix in c.rscs[clone].tickets.clone() {
        let u = &c.ticket_uses[ix];
        let held = c
            .tickets
            .get(&u.ticket)
            .is_some_and(|t| t.granted && !t.standby);
        if u.role == Role::Promoted && !held {
            let before = record::snapshot(c, clone);
            for node in 0..c.nodes.len() {
                c.rscs[clone].allowed.entry(node, 0).score = -INFINITY;
            }
            record::changed(c, clone, before, &Cause::Named("__loss_of_ticket__".into()));
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
    let frozen = !c.quorate && c.options.no_quorum == NoQuorum::Freeze;
    let mut promoted = 0;
    for instance in order.iter().copied() {
        show(c, instance);
        let wanted = c.rscs[instance].sort_index >= 0 && (promoted < max || !c.rscs[clone].managed);
        let chosen = promotable_on(c, clone, instance).filter(|_| wanted);
        let held_back = frozen && c.state(instance, true) < Role::Promoted;
        match chosen.filter(|_| !held_back) {
            Some(node) => {
                if let Some(entry) = c.rscs[clone].allowed.get_mut(node) {
                    entry.count += 1;
                }
                set_next_role(c, instance, Role::Promoted);
                promoted += 1;
            }
            None => set_next_role(c, instance, Role::Unpromoted),
        }
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

/// Gives an instance, and what it contains, a role, unless something decided on one before.
fn set_next_role(c: &mut Cluster, rsc: RscIx, role: Role) {
    // What is started and left alone is unpromoted; so is a promoted member of a group that is not promoted.
    let open = match c.rscs[rsc].next_role {
        Role::Unknown => true,
        Role::Started | Role::Promoted => role == Role::Unpromoted,
        _ => false,
    };
    if open {
        c.rscs[rsc].next_role = role;
    }
    for child in c.rscs[rsc].children.clone() {
        set_next_role(c, child, role);
    }
}

fn set_current_unpromoted(c: &mut Cluster, rsc: RscIx) {
    if c.rscs[rsc].role == Role::Started {
        c.rscs[rsc].role = Role::Unpromoted;
    }
    for child in c.rscs[rsc].children.clone() {
        set_current_unpromoted(c, child);
    }
}

/// The node an instance can be promoted on, if it can.
fn promotable_on(c: &Cluster, clone: RscIx, rsc: RscIx) -> Option<NodeIx> {
    // Of a cloned group every member must be promotable.
    let members = &c.rscs[rsc].children;
    if !members
        .iter()
        .all(|m| promotable_on(c, clone, *m).is_some())
    {
        return None;
    }
    let node = colocation::location(c, rsc)?;
    let r = &c.rscs[rsc];
    if !r.managed {
        if c.state(rsc, true) != Role::Promoted {
            return None;
        }
    } else if r.promotion_priority < 0 || !c.can_run(node) || !assign::guest_usable(c, node) {
        return None;
    }
    let entry = c.rscs[clone].allowed.get(node)?;
    (entry.count < c.rscs[clone].clone.promoted_node_max || !r.managed).then_some(node)
}

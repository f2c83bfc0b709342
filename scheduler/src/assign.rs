//! Chooses a node for every primitive and group: what nodes offer, what resources prefer, and who goes first.

use std::cmp::Reverse;

use crate::{
    colocation, deep,
    explain::record,
    failures, instances, merge,
    model::{Cluster, Discover, Kind, NodeIx, Role, RscIx, Task},
    options::{NoQuorum, Placement},
    score::{self, INFINITY},
    utilization,
};

/// Adds to a resource's score of a node (or of all), and to those of everything inside it.
pub(crate) fn add_node_score(
    c: &mut Cluster,
    rsc: RscIx,
    node: Option<NodeIx>,
    score: i32,
    why: &str,
) {
    match node {
        Some(node) => add_one(c, rsc, node, score, why),
        None => {
            for node in 0..c.nodes.len() {
                add_one(c, rsc, node, score, why);
            }
        }
    }
}

fn add_one(c: &mut Cluster, rsc: RscIx, node: NodeIx, score: i32, why: &str) {
    for at in 0..c.rscs[rsc].children.len() {
        let child = c.rscs[rsc].children[at];
        add_one(c, child, node, score, why);
    }
    let base = c.worth(node);
    if base != c.nodes[node].score && c.rscs[rsc].allowed.get(node).is_none() {
        record::set(
            c,
            rsc,
            node,
            base,
            record::Cause::Crowd(record::Crowd::Down),
        );
    }
    let entry = c.rscs[rsc].allowed.entry(node, base);
    entry.score = score::add(entry.score, score);
    record::added(c, rsc, node, score, why);
}

/// Health, constraints, failures and stickiness become scores.
pub(crate) fn apply_criteria(c: &mut Cluster) {
    apply_health(c);
    for at in 0..c.top.len() {
        apply_locations(c, c.top[at]);
    }
    for at in 0..c.top.len() {
        apply_lock(c, c.top[at]);
    }
    let nodes = 0..c.nodes.len();
    let failed: Vec<bool> = nodes.map(|node| failures::has_failures(c, node)).collect();
    let any_failed = failed.contains(&true);
    for at in 0..c.top.len() {
        let rsc = c.top[at];
        if !any_failed && !c.rscs[rsc].exclusive_probes {
            continue;
        }
        for (node, failed) in failed.iter().enumerate() {
            if *failed {
                apply_failures(c, rsc, node);
            }
            apply_exclusive(c, rsc, node);
        }
    }
    for at in 0..c.top.len() {
        apply_stickiness(c, c.top[at]);
    }
}

fn apply_health(c: &mut Cluster) {
    let strategy = c.options.health_strategy.clone();
    if strategy == "none" {
        return;
    }
    for node in 0..c.nodes.len() {
        let score = health_score(c, node);
        c.nodes[node].health = worst_health(c, node);
        if score == 0 {
            continue;
        }
        for at in 0..c.top.len() {
            let rsc = c.top[at];
            let tolerant = score::is_true(
                c.rscs[rsc]
                    .meta
                    .get("allow-unhealthy-nodes")
                    .map(String::as_str),
            );
            if score < 0 && tolerant {
                continue;
            }
            let ix = c.locations.len();
            c.locations.push(crate::model::Location {
                id: strategy.as_str().into(),
                role: Role::Unknown,
                discover: Discover::Always,
                nodes: vec![(node, score)],
            });
            c.rscs[rsc].locations.push(ix);
        }
    }
}

/// What a health attribute is worth under the strategy.
fn health_value(c: &Cluster, text: &str) -> i32 {
    let o = &c.options;
    let (green, yellow, red) = match o.health_strategy.as_str() {
        "migrate-on-red" => (0, 0, -INFINITY),
        "only-green" => (0, -INFINITY, -INFINITY),
        _ => (o.health_green, o.health_yellow, o.health_red),
    };
    match text {
        "green" => green,
        "yellow" => yellow,
        "red" => red,
        other => score::parse(other).unwrap_or(0),
    }
}

fn health_score(c: &Cluster, node: NodeIx) -> i32 {
    let base = if c.options.health_strategy == "progressive" {
        c.options.health_base
    } else {
        0
    };
    c.nodes[node]
        .attrs
        .iter()
        .filter(|(name, _)| name.starts_with("#health"))
        .fold(base, |sum, (_, value)| {
            score::add(sum, health_value(c, value))
        })
}

/// -1 red, 0 yellow, 1 green: the worst of what the attributes tell.
pub(crate) fn worst_health(c: &Cluster, node: NodeIx) -> i32 {
    let told = c.nodes[node].attrs.iter();
    let told = told.filter(|(name, _)| name.starts_with("#health"));
    told.map(|(_, value)| colour(c, value)).min().unwrap_or(1)
}

/// A number has the colour of the scores it lies between; where yellow is worth as much as green, none is yellow.
fn colour(c: &Cluster, text: &str) -> i32 {
    let (value, red, yellow, green) = match text {
        "red" => return -1,
        "yellow" => return 0,
        "green" => return 1,
        number => (
            health_value(c, number),
            health_value(c, "red"),
            health_value(c, "yellow"),
            health_value(c, "green"),
        ),
    };
    if value <= red {
        -1
    } else if value <= yellow && yellow != green {
        0
    } else {
        1
    }
}

fn apply_locations(c: &mut Cluster, rsc: RscIx) {
    for at in 0..c.rscs[rsc].locations.len() {
        let ix = c.rscs[rsc].locations[at];
        apply_location(c, rsc, ix, false);
    }
    for at in 0..c.rscs[rsc].children.len() {
        apply_locations(c, c.rscs[rsc].children[at]);
    }
}

fn apply_location(c: &mut Cluster, rsc: RscIx, ix: usize, zero: bool) {
    apply_location_here(c, rsc, ix, zero);
    let children = c.rscs[rsc].children.clone();
    match c.rscs[rsc].kind {
        Kind::Group if c.is_group_colocated(rsc) => {
            for (at, child) in children.into_iter().enumerate() {
                apply_location(c, child, ix, zero || at > 0);
            }
        }
        Kind::Bundle => crate::bundle::apply_location(c, rsc, ix),
        _ => {
            for child in children {
                apply_location(c, child, ix, zero);
            }
        }
    }
}

/// Adds a constraint's scores to one resource alone; `zero`: only makes the nodes known to it.
pub(crate) fn apply_location_here(c: &mut Cluster, rsc: RscIx, ix: usize, zero: bool) {
    let location = &c.locations[ix];
    if location.role > Role::Started && location.role != c.rscs[rsc].next_role {
        return;
    }
    let r = &mut c.rscs[rsc];
    for (node, score) in &location.nodes {
        let score = if zero { 0 } else { *score };
        let entry = r.allowed.entry(*node, 0);
        entry.score = score::add(entry.score, score);
        let stronger = match (entry.discover, location.discover) {
            (Discover::Always, other) => other,
            (Discover::Never, Discover::Exclusive) => Discover::Exclusive,
            (known, _) => known,
        };
        entry.discover = stronger;
        if location.discover == Discover::Exclusive {
            r.exclusive_probes = true;
        }
    }
    if !zero {
        record::located(c, rsc, ix);
    }
}

fn apply_lock(c: &mut Cluster, rsc: RscIx) {
    if !c.options.shutdown_lock {
        return;
    }
    let r = &c.rscs[rsc];
    if r.kind == Kind::Group {
        for child in r.children.clone() {
            apply_lock(c, child);
        }
        return;
    }
    if r.kind != Kind::Primitive || r.is_fence_device || r.is_remote || c.clone_of(rsc).is_some() {
        return;
    }
    if r.lock_node.is_some() {
        if !r.running_on.is_empty() {
            c.rscs[rsc].lock_node = None;
            c.rscs[rsc].lock_time_s = 0;
        }
    } else if r.running_on.len() == 1 {
        let node = r.running_on[0];
        if c.nodes[node].shutdown && !c.nodes[node].unclean {
            c.rscs[rsc].lock_node = Some(node);
            c.rscs[rsc].lock_time_s = match c.nodes[node].shutdown_at_s {
                at if at > 1 => at,
                _ => c.now_s,
            };
        }
    }
    let Some(home) = c.rscs[rsc].lock_node else {
        return;
    };
    let limit_s = c.options.shutdown_lock_limit_ms / 1000;
    if limit_s > 0 {
        let until = c.rscs[rsc].lock_time_s.saturating_add(limit_s);
        c.recheck.note(c.now_s, until.saturating_add(1));
    }
    for node in 0..c.nodes.len() {
        if node != home {
            add_node_score(c, rsc, Some(node), -INFINITY, "shutdown-lock");
        }
    }
}

fn apply_failures(c: &mut Cluster, rsc: RscIx, node: NodeIx) {
    if c.rscs[rsc].kind == Kind::Primitive {
        if let Some((banned, _)) = failures::threshold_reached(c, rsc, node) {
            add_node_score(c, banned, Some(node), -INFINITY, "__fail_limit__");
        }
        return;
    }
    for at in 0..c.rscs[rsc].children.len() {
        apply_failures(c, c.rscs[rsc].children[at], node);
    }
}

fn apply_exclusive(c: &mut Cluster, rsc: RscIx, node: NodeIx) {
    let top = c.uber_parent(rsc, false);
    if !c.rscs[rsc].exclusive_probes && !c.rscs[top].exclusive_probes {
        return;
    }
    for at in 0..c.rscs[rsc].children.len() {
        apply_exclusive(c, c.rscs[rsc].children[at], node);
    }
    if let Some(entry) = c.rscs[rsc].allowed.get_mut(node)
        && entry.discover != Discover::Exclusive
    {
        entry.score = -INFINITY;
        record::set(c, rsc, node, -INFINITY, record::Cause::Exclusive);
    }
}

fn apply_stickiness(c: &mut Cluster, rsc: RscIx) {
    if !c.rscs[rsc].children.is_empty() {
        for at in 0..c.rscs[rsc].children.len() {
            apply_stickiness(c, c.rscs[rsc].children[at]);
        }
        return;
    }
    let r = &c.rscs[rsc];
    if !r.managed || r.stickiness < 1 || r.running_on.len() != 1 {
        return;
    }
    let node = r.running_on[0];
    if !c.options.symmetric && r.allowed.get(node).is_none() {
        return;
    }
    let stickiness = r.stickiness;
    add_node_score(c, rsc, Some(node), stickiness, "stickiness");
}

/// Places everything: connections of remote nodes first, then by priority.
pub(crate) fn assign_all(c: &mut Cluster) {
    let order = resource_order(c);
    utilization::show(c, "Original");
    if c.have_remote {
        for rsc in &order {
            if c.rscs[*rsc].is_remote && c.rscs[*rsc].kind == Kind::Primitive {
                let prefer = c.rscs[*rsc].partial_target;
                assign(c, *rsc, prefer, true);
            }
        }
    }
    for rsc in order {
        if !(c.rscs[rsc].is_remote && c.rscs[rsc].kind == Kind::Primitive) {
            assign(c, rsc, None, true);
        }
    }
    utilization::show(c, "Remaining");
}

/// Order in which resources choose: priority first, then as configured (or, with utilization, by need).
fn resource_order(c: &mut Cluster) -> Vec<RscIx> {
    let mut order = c.top.clone();
    if c.options.placement != Placement::Default {
        utilization::sort_resources(c, &mut order);
        c.top = order.clone();
    } else {
        order.sort_by_key(|rsc| std::cmp::Reverse(c.rscs[*rsc].priority));
    }
    order
}

/// Places a resource of any kind. The node, where one node is the answer.
pub(crate) fn assign(
    c: &mut Cluster,
    rsc: RscIx,
    prefer: Option<NodeIx>,
    stop_if_fail: bool,
) -> Option<NodeIx> {
    // What it must be with is placed before, and what that must be with before that.
    deep::step(|| match c.rscs[rsc].kind {
        Kind::Primitive => primitive(c, rsc, prefer, stop_if_fail),
        Kind::Group => group(c, rsc, prefer, stop_if_fail),
        Kind::Clone => {
            instances::assign_clone(c, rsc, stop_if_fail);
            None
        }
        Kind::Bundle => {
            crate::bundle::assign(c, rsc, stop_if_fail);
            None
        }
    })
}

fn primitive(
    c: &mut Cluster,
    rsc: RscIx,
    prefer: Option<NodeIx>,
    stop_if_fail: bool,
) -> Option<NodeIx> {
    if let Some(parent) = c.rscs[rsc].parent
        && !c.rscs[parent].assigning
        && c.rscs[parent].unassigned
    {
        assign(c, parent, prefer, stop_if_fail);
    }
    if !c.rscs[rsc].unassigned {
        return c.rscs[rsc].assigned;
    }
    if c.rscs[rsc].assigning {
        return None;
    }
    c.rscs[rsc].assigning = true;
    colocation::apply_all(c, rsc);
    if c.rscs[rsc].next_role == Role::Stopped {
        add_node_score(c, rsc, None, -INFINITY, "target-role");
    }
    let r = &mut c.rscs[rsc];
    if r.next_role > r.role && !c.quorate && c.options.no_quorum == NoQuorum::Freeze {
        r.next_role = r.role;
    }
    show_scores(c, rsc);
    if c.options.fencing && !c.have_fence_device {
        // A cluster that is to fence and cannot leaves everything as it is.
        c.rscs[rsc].managed = false;
    }
    if !c.rscs[rsc].managed {
        c.rscs[rsc].next_role = c.rscs[rsc].role;
        let here = c.current_node(rsc);
        place(c, rsc, here, true, stop_if_fail);
    } else if c.options.stop_all {
        place(c, rsc, None, true, stop_if_fail);
    } else {
        best_node(c, rsc, prefer, stop_if_fail);
    }
    c.rscs[rsc].assigning = false;
    if c.rscs[rsc].is_remote {
        crate::remote::connection_assigned(c, rsc);
    }
    c.rscs[rsc].assigned
}

fn best_node(c: &mut Cluster, rsc: RscIx, prefer: Option<NodeIx>, stop_if_fail: bool) -> bool {
    let roomiest = utilization::ban_full(c, rsc);
    let prefer = prefer.or(roomiest);
    let first = first_node(c, rsc);
    let score_of =
        |c: &Cluster, node: NodeIx| c.rscs[rsc].allowed.get(node).map_or(-INFINITY, |e| e.score);
    let mut chosen = None;
    if let (Some(prefer), Some(first)) = (prefer, first) {
        let known = c.rscs[rsc].allowed.get(prefer).is_some();
        let worse = score_of(c, prefer) < score_of(c, first);
        if known && !worse && available(c, rsc, prefer, true, false) {
            chosen = Some(prefer);
        }
    }
    if chosen.is_none() {
        chosen = first;
        let unique_instance = c.rscs[rsc]
            .parent
            .is_some_and(|p| c.rscs[p].kind == Kind::Clone && c.rscs[p].unique);
        if let Some(best) =
            chosen.filter(|best| !unique_instance && score_of(c, *best) > 0 && c.can_run(*best))
            && let Some(running) = c.current_node(rsc).filter(|n| c.can_run(*n))
            && score_of(c, running) == score_of(c, best)
        {
            chosen = Some(running);
        }
    }
    place(c, rsc, chosen, false, stop_if_fail);
    c.rscs[rsc].assigned.is_some()
}

/// Whether a resource may be put on a node: it is up, and (as asked) its score and its guest's host allow it.
pub(crate) fn available(
    c: &Cluster,
    rsc: RscIx,
    node: NodeIx,
    by_score: bool,
    by_guest: bool,
) -> bool {
    if !c.can_run(node) {
        return false;
    }
    if by_score && c.rscs[rsc].allowed.get(node).is_some_and(|e| e.score < 0) {
        return false;
    }
    !by_guest || guest_usable(c, node)
}

/// Whether a guest's container will run.
pub(crate) fn guest_usable(c: &Cluster, node: NodeIx) -> bool {
    let container = c.nodes[node].connection.and_then(|r| c.rscs[r].container);
    container.is_none_or(|container| {
        let r = &c.rscs[container];
        r.unassigned || r.assigned.is_some()
    })
}

/// Nodes from best to worst for a resource.
pub(crate) fn sorted_nodes(c: &Cluster, rsc: RscIx) -> Vec<NodeIx> {
    let active = c.current_node(rsc);
    let mut nodes: Vec<NodeIx> = c.rscs[rsc].allowed.nodes().collect();
    sort_table(c, &c.rscs[rsc].allowed, &mut nodes, active);
    nodes
}

/// The best of [`sorted_nodes`].
fn first_node(c: &Cluster, rsc: RscIx) -> Option<NodeIx> {
    if !ranks(c) {
        return sorted_nodes(c, rsc).first().copied();
    }
    let (active, table) = (c.current_node(rsc), &c.rscs[rsc].allowed);
    // Nearly always it is the one where the resource is: then scores alone tell.
    let mut best = active.filter(|node| table.get(*node).is_some());
    let mut score = best.map_or(-INFINITY, |node| sort_score(c, table, node));
    for (node, entry) in table.entries() {
        if best == Some(node) || best.is_some() && entry.score.max(-INFINITY) < score {
            continue;
        }
        let better = |best| key(c, table, active, node) < key(c, table, active, best);
        if best.is_none_or(better) {
            best = Some(node);
            score = sort_score(c, table, node);
        }
    }
    best
}

/// Whether a key tells how good a node is: load is a number, and the nodes' names have been sorted.
fn ranks(c: &Cluster) -> bool {
    c.options.placement == Placement::Default && c.node_order.len() == c.nodes.len()
}

/// The smaller, the better the node.
fn key(
    c: &Cluster,
    table: &crate::model::NodeTable,
    active: Option<NodeIx>,
    node: NodeIx,
) -> impl Ord + use<> {
    let n = &c.nodes[node];
    (
        Reverse(sort_score(c, table, node)),
        n.placed,
        active != Some(node),
        n.rank,
    )
}

/// What a node scores when nodes are sorted: where nothing may run is last.
fn sort_score(c: &Cluster, table: &crate::model::NodeTable, node: NodeIx) -> i32 {
    if c.can_run(node) {
        table.get(node).map_or(-INFINITY, |e| e.score)
    } else {
        -INFINITY
    }
}

/// Sorts nodes by the scores of a table, then by room and load, then by name.
pub(crate) fn sort_table(
    c: &Cluster,
    table: &crate::model::NodeTable,
    nodes: &mut [NodeIx],
    active: Option<NodeIx>,
) {
    if ranks(c) {
        return nodes.sort_by_cached_key(|node| key(c, table, active, *node));
    }
    let score = |node: NodeIx| sort_score(c, table, node);
    // As few nodes as possible: neither load nor where it is now counts.
    let balances = c.options.placement != Placement::Minimal;
    let sorted = merge::sort_by(nodes.to_vec(), &mut |a, b| {
        score(*b)
            .cmp(&score(*a))
            .then_with(|| by_load(c, *a, *b))
            .then_with(|| match active.filter(|_| balances) {
                Some(active) if active == *a => std::cmp::Ordering::Less,
                Some(active) if active == *b => std::cmp::Ordering::Greater,
                _ => std::cmp::Ordering::Equal,
            })
            .then_with(|| crate::names::compare(&c.nodes[*a].name, &c.nodes[*b].name))
    });
    nodes.copy_from_slice(&sorted);
}

fn by_load(c: &Cluster, a: NodeIx, b: NodeIx) -> std::cmp::Ordering {
    match c.options.placement {
        Placement::Minimal => std::cmp::Ordering::Equal,
        Placement::Balanced => utilization::compare_free(c, a, b)
            .then_with(|| c.nodes[a].placed.cmp(&c.nodes[b].placed)),
        _ => c.nodes[a].placed.cmp(&c.nodes[b].placed),
    }
}

/// Puts a resource on a node, or nowhere. `force`: whatever the scores say.
pub(crate) fn place(
    c: &mut Cluster,
    rsc: RscIx,
    node: Option<NodeIx>,
    force: bool,
    stop_if_fail: bool,
) -> bool {
    if !c.rscs[rsc].children.is_empty() {
        let mut changed = false;
        for child in c.rscs[rsc].children.clone() {
            changed |= place(c, child, node, force, stop_if_fail);
        }
        return changed;
    }
    let was_assigned = !c.rscs[rsc].unassigned;
    let before = c.rscs[rsc].assigned;
    let mut node = node;
    if let Some(wanted) = node
        && !force
        && !acceptable(c, rsc, wanted)
    {
        node = None;
        if stop_if_fail {
            c.rscs[rsc].next_role = Role::Stopped;
        }
    }
    unassign(c, rsc);
    c.rscs[rsc].unassigned = false;
    let Some(node) = node else {
        if stop_if_fail {
            c.rscs[rsc].next_role = Role::Stopped;
        }
        for at in 0..c.rscs[rsc].actions.len() {
            let ix = c.rscs[rsc].actions[at];
            match c.acts[ix].task {
                Task::Stop => c.acts[ix].optional = false,
                Task::Start => c.acts[ix].runnable = false,
                // Also what would cancel one: it ends with the resource.
                Task::Monitor | Task::Cancel if c.acts[ix].interval_ms > 0 => {
                    c.acts[ix].runnable = false;
                }
                _ => {}
            }
        }
        return was_assigned && before.is_some();
    };
    c.rscs[rsc].assigned = Some(node);
    c.nodes[node].placed += 1;
    c.nodes[node].assigned.push(rsc);
    if let Some(entry) = c.rscs[rsc].allowed.get_mut(node) {
        entry.count += 1;
    }
    utilization::consume(c, node, rsc);
    utilization::show_taken(c, node, rsc);
    !was_assigned || before != Some(node)
}

/// Whether a resource may be put on a node. Connections to guests are taken to come up.
fn acceptable(c: &Cluster, rsc: RscIx, node: NodeIx) -> bool {
    let banned = c.rscs[rsc].allowed.get(node).is_some_and(|e| e.score < 0);
    !banned && (c.can_run(node) || c.is_guest(node))
}

/// Takes a resource off the node it was put on.
pub(crate) fn unassign(c: &mut Cluster, rsc: RscIx) {
    for child in c.rscs[rsc].children.clone() {
        unassign(c, child);
    }
    c.rscs[rsc].unassigned = true;
    if let Some(node) = c.rscs[rsc].assigned.take() {
        c.nodes[node].placed = c.nodes[node].placed.saturating_sub(1);
        c.nodes[node].assigned.retain(|r| *r != rsc);
        utilization::release(c, node, rsc);
    }
}

fn group(
    c: &mut Cluster,
    rsc: RscIx,
    prefer: Option<NodeIx>,
    stop_if_fail: bool,
) -> Option<NodeIx> {
    if let Some(parent) = c.rscs[rsc].parent
        && !c.rscs[parent].assigning
        && c.rscs[parent].unassigned
    {
        assign(c, parent, prefer, stop_if_fail);
    }
    let first = c.rscs[rsc].children.first().copied();
    if !c.rscs[rsc].unassigned {
        return first.and_then(|f| c.rscs[f].assigned);
    }
    if c.rscs[rsc].assigning {
        return None;
    }
    let Some(first) = first else {
        c.rscs[rsc].unassigned = false;
        return None;
    };
    c.rscs[rsc].assigning = true;
    c.rscs[rsc].role = c.rscs[first].role;
    show_scores(c, rsc);
    for at in 0..c.rscs[rsc].children.len() {
        let member = c.rscs[rsc].children[at];
        assign(c, member, prefer, stop_if_fail);
    }
    c.rscs[rsc].next_role = c.rscs[first].next_role;
    c.rscs[rsc].assigning = false;
    c.rscs[rsc].unassigned = false;
    if !c.is_group_colocated(rsc) {
        return None;
    }
    c.rscs[first].assigned
}

/// Writes down the scores of a resource and of what it contains, when asked for.
pub(crate) fn show_scores(c: &mut Cluster, rsc: RscIx) {
    if c.trace.is_none() && c.explain.is_none() {
        return;
    }
    let by = match c.rscs[rsc].kind {
        Kind::Primitive => "pcmk__primitive_assign",
        Kind::Group => "pcmk__group_assign",
        Kind::Clone => "pcmk__clone_assign",
        Kind::Bundle => "pcmk__bundle_assign",
    };
    show_scores_by(c, rsc, by);
}

fn show_scores_by(c: &mut Cluster, rsc: RscIx, by: &str) {
    show_one(c, rsc, by);
    for child in c.rscs[rsc].children.clone() {
        show_scores_by(c, child, by);
    }
}

fn show_one(c: &mut Cluster, rsc: RscIx, by: &str) {
    if c.rscs[rsc].removed {
        return;
    }
    let scores = c.node_order.iter().filter_map(|node| {
        let entry = c.rscs[rsc].allowed.get(*node)?;
        Some(format!(
            "{by}: {} allocation score on {}: {}",
            c.rscs[rsc].id,
            c.nodes[*node].name,
            score::show(entry.score)
        ))
    });
    let lines: Vec<String> = scores.collect();
    if let Some(trace) = &mut c.trace {
        trace.extend(lines);
    }
    record::shown(c, rsc, by);
}

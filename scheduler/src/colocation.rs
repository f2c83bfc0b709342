//! Applies colocations: what the place of one resource means for the scores of another.

mod wishes;

pub(crate) use wishes::{Select, add_colocated, add_dependent_scores, colocated_score};

use crate::{
    assign::{assign, place},
    explain::record,
    instances,
    model::{Cluster, Kind, NodeIx, NodeTable, Role, RscIx},
    score::{self, INFINITY},
};

/// What a colocation bears on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Affects {
    Nothing,
    Location,
    Role,
}

/// Applies all colocations of a resource that is being placed.
pub(crate) fn apply_all(c: &mut Cluster, rsc: RscIx) {
    let this_with = this_with(c, rsc);
    let with_this = with_this(c, rsc);
    // What must be is seen to first, so that as much as possible of it can be.
    let passes: &[Option<bool>] = match c.earlier.in_order {
        true => &[None],
        false => &[Some(true), Some(false)],
    };
    for mandatory in passes {
        let now = |c: &Cluster, ix: &usize| {
            mandatory.is_none_or(|m| m == (c.colocations[*ix].score.abs() >= INFINITY))
        };
        for ix in this_with.iter().copied() {
            if now(c, &ix) {
                apply_this_with(c, ix, rsc);
            }
        }
        for ix in with_this.iter().copied() {
            if now(c, &ix) {
                add_dependent_scores(c, ix, rsc);
            }
        }
    }
}

fn apply_this_with(c: &mut Cluster, ix: usize, rsc: RscIx) {
    let col = &c.colocations[ix];
    let (primary, score) = (col.primary, col.score);
    let keep = col.dependent_role >= Role::Promoted || score < 0 && score > -INFINITY;
    if c.rscs[primary].unassigned {
        assign(c, primary, None, true);
    }
    let before = record::snapshot(c, rsc);
    let archive = keep.then(|| c.rscs[rsc].allowed.clone());
    apply(c, rsc, primary, ix, true);
    if let Some(archive) = archive
        && !any_available(c, &c.rscs[rsc].allowed)
    {
        c.rscs[rsc].allowed = archive;
    }
    record::changed(c, rsc, before, &record::Cause::With(ix));
}

/// Colocations in which a resource (or what it is part of) depends on another.
pub(crate) fn this_with(c: &Cluster, rsc: RscIx) -> Vec<usize> {
    let mut out = Vec::new();
    collect_this_with(c, rsc, rsc, &mut out);
    let dependent = |ix: usize| c.colocations[ix].dependent;
    out.sort_by(|a, b| {
        by_primary(c, *a, *b).then_with(|| by_age(c, rsc, (*a, dependent(*a)), (*b, dependent(*b))))
    });
    out
}

/// Of equals the newest comes first, of those that hold for what a resource is part of, the oldest, of those of the
/// next level the newest again; and what holds for more comes first.
fn by_age(
    c: &Cluster,
    rsc: RscIx,
    (a, of_a): (usize, RscIx),
    (b, of_b): (usize, RscIx),
) -> std::cmp::Ordering {
    let level = |of: RscIx| {
        let around = std::iter::successors(Some(rsc), |r| c.rscs[*r].parent);
        around.take_while(|r| *r != of).count()
    };
    let (x, y) = (level(of_a), level(of_b));
    y.cmp(&x).then(match x % 2 {
        0 => b.cmp(&a),
        _ => a.cmp(&b),
    })
}

fn collect_this_with(c: &Cluster, rsc: RscIx, origin: RscIx, out: &mut Vec<usize>) {
    let r = &c.rscs[rsc];
    match r.kind {
        Kind::Primitive => own_or_explicit(c, rsc, origin, &r.this_with, out),
        Kind::Group => {
            let first = r.children.first() == Some(&origin) || !c.is_group_colocated(rsc);
            if origin != rsc && !first {
                return after_unmanaged(c, rsc, origin, out);
            }
            out.extend(&r.this_with);
            if let Some(parent) = r.parent {
                collect_this_with(c, parent, origin, out);
            }
            if c.is_group_colocated(rsc) {
                for member in r.children.iter().filter(|m| **m != origin) {
                    own_or_explicit(c, *member, origin, &c.rscs[*member].this_with, out);
                }
            }
            return;
        }
        Kind::Bundle => {
            if crate::bundle::represents(c, rsc, origin) {
                out.extend(&r.this_with);
            }
            return;
        }
        Kind::Clone => {
            let alone = c.earlier.instances_alone && rsc != origin;
            let wish = |ix: usize| (0..INFINITY).contains(&c.colocations[ix].score);
            let counts = |ix: &&usize| !alone || !wish(**ix);
            for _ in 0..times(c, rsc, origin) {
                out.extend(r.this_with.iter().filter(counts));
            }
        }
    }
    if let Some(parent) = r.parent.filter(|_| rsc == origin || r.kind == Kind::Clone) {
        collect_this_with(c, parent, origin, out);
    }
}

/// How often the colocations of a clone count for what is inside: 2.1.5 told an instance of them at each try.
fn times(c: &Cluster, clone: RscIx, inside: RscIx) -> usize {
    let mut instance = inside;
    while let Some(parent) = c.rscs[instance].parent.filter(|p| *p != clone) {
        instance = parent;
    }
    1 + usize::from(instance != clone && c.rscs[instance].tried)
}

/// All colocations for the resource itself; for what contains it, only those that somebody configured.
fn own_or_explicit(c: &Cluster, rsc: RscIx, origin: RscIx, list: &[usize], out: &mut Vec<usize>) {
    let explicit = |ix: &&usize| !c.colocations[**ix].id.starts_with('#');
    out.extend(list.iter().filter(|ix| rsc == origin || explicit(ix)));
}

/// Members follow the first through the colocations within the group, unless one between is unmanaged: then what
/// the group must be with holds for them directly.
fn after_unmanaged(c: &Cluster, group: RscIx, origin: RscIx, out: &mut Vec<usize>) {
    let r = &c.rscs[group];
    let mut earlier = r.children.iter().take_while(|m| **m != origin);
    if earlier.any(|m| !c.rscs[*m].managed) {
        let must = |ix: &&usize| c.colocations[**ix].score >= INFINITY;
        out.extend(r.this_with.iter().filter(must));
    }
}

/// Colocations in which another resource depends on this one (or on what it is part of).
pub(crate) fn with_this(c: &Cluster, rsc: RscIx) -> Vec<usize> {
    let mut out = bound_to(c, rsc);
    out.retain(|ix| has_influence(c, *ix, Some(rsc)));
    out
}

/// As [`with_this`], also of those whose wishes do not count.
pub(crate) fn bound_to(c: &Cluster, rsc: RscIx) -> Vec<usize> {
    let mut out = Vec::new();
    collect_with_this(c, rsc, rsc, &mut out);
    let primary = |ix: usize| c.colocations[ix].primary;
    out.sort_by(|a, b| {
        by_dependent(c, *a, *b).then_with(|| by_age(c, rsc, (*a, primary(*a)), (*b, primary(*b))))
    });
    out
}

fn collect_with_this(c: &Cluster, rsc: RscIx, origin: RscIx, out: &mut Vec<usize>) {
    let r = &c.rscs[rsc];
    match r.kind {
        Kind::Primitive => own_or_explicit(c, rsc, origin, &r.with_this, out),
        Kind::Group => {
            let last = r.children.last() == Some(&origin) || !c.is_group_colocated(rsc);
            if origin != rsc && !last {
                return;
            }
            out.extend(&r.with_this);
            if let Some(parent) = r.parent {
                collect_with_this(c, parent, origin, out);
            }
            if c.is_group_colocated(rsc) {
                for member in r.children.iter().filter(|m| **m != origin) {
                    own_or_explicit(c, *member, origin, &c.rscs[*member].with_this, out);
                }
            }
            return;
        }
        Kind::Bundle => {
            if crate::bundle::represents(c, rsc, origin) {
                out.extend(&r.with_this);
            }
            return;
        }
        Kind::Clone => {
            let alone = c.earlier.instances_alone && rsc != origin;
            let counts = |ix: &&usize| !alone || c.colocations[**ix].score < 0;
            for _ in 0..times(c, rsc, origin) {
                out.extend(r.with_this.iter().filter(counts));
            }
        }
    }
    if let Some(parent) = r.parent.filter(|_| rsc == origin || r.kind == Kind::Clone) {
        collect_with_this(c, parent, origin, out);
    }
}

fn rank(c: &Cluster, rsc: RscIx) -> (i32, Kind, bool) {
    let r = &c.rscs[rsc];
    (r.priority, r.kind, r.kind == Kind::Clone && r.promotable)
}

fn by_primary(c: &Cluster, a: usize, b: usize) -> std::cmp::Ordering {
    compare_ranked(c, c.colocations[a].primary, c.colocations[b].primary)
}

fn by_dependent(c: &Cluster, a: usize, b: usize) -> std::cmp::Ordering {
    compare_ranked(c, c.colocations[a].dependent, c.colocations[b].dependent)
}

fn compare_ranked(c: &Cluster, a: RscIx, b: RscIx) -> std::cmp::Ordering {
    let (x, y) = (rank(c, a), rank(c, b));
    y.0.cmp(&x.0)
        .then_with(|| y.1.cmp(&x.1))
        .then_with(|| y.2.cmp(&x.2))
        .then_with(|| c.rscs[a].id.cmp(&c.rscs[b].id))
}

/// Whether the wishes of a dependent resource count for its primary.
pub(crate) fn has_influence(c: &Cluster, ix: usize, rsc: Option<RscIx>) -> bool {
    let col = &c.colocations[ix];
    let rsc = rsc.unwrap_or(col.primary);
    let r = &c.rscs[rsc];
    let dependent = &c.rscs[col.dependent];
    // Moving the connection into a bundle's container is cheap, moving the container is not.
    if dependent.nesting_allowed && !r.failed && r.running_on.len() == 1 {
        return false;
    }
    col.influence || r.running_on.is_empty()
}

fn any_available(c: &Cluster, table: &NodeTable) -> bool {
    table
        .entries()
        .any(|(node, e)| e.score >= 0 && c.can_run(node))
}

/// Applies the colocation `ix` to `dependent`, given where `primary` is.
pub(crate) fn apply(
    c: &mut Cluster,
    dependent: RscIx,
    primary: RscIx,
    ix: usize,
    for_dependent: bool,
) {
    if for_dependent {
        if c.rscs[dependent].kind == Kind::Group {
            return group_as_dependent(c, dependent, primary, ix);
        }
        return apply(c, dependent, primary, ix, false);
    }
    match c.rscs[primary].kind {
        Kind::Primitive => primitive_as_primary(c, dependent, primary, ix),
        Kind::Group => group_as_primary(c, dependent, primary, ix),
        Kind::Clone => clone_as_primary(c, dependent, primary, ix),
        Kind::Bundle => crate::bundle::as_primary(c, dependent, primary, ix),
    }
}

fn group_as_dependent(c: &mut Cluster, group: RscIx, primary: RscIx, ix: usize) {
    let members = c.rscs[group].children.clone();
    if c.is_group_colocated(group) {
        if let Some(first) = members.first() {
            let before = c.rscs[*first].promotion_priority;
            apply(c, *first, primary, ix, true);
            let delta = c.rscs[*first].promotion_priority.saturating_sub(before);
            if delta != 0 && !c.earlier.groups_unranked {
                let r = &mut c.rscs[group];
                r.promotion_priority = score::add(r.promotion_priority, delta);
            }
        }
        return;
    }
    if c.colocations[ix].score >= INFINITY {
        let id = c.colocations[ix].id.clone();
        c.problem(format!(
            "colocation '{id}': a group whose members may be apart cannot be tied to a place"
        ));
        return;
    }
    for member in members {
        apply(c, member, primary, ix, true);
    }
}

fn group_as_primary(c: &mut Cluster, dependent: RscIx, group: RscIx, ix: usize) {
    if c.rscs[group].unassigned {
        return;
    }
    let members = c.rscs[group].children.clone();
    let score = c.colocations[ix].score;
    if c.is_group_colocated(group) {
        let member = if score >= INFINITY {
            members.last()
        } else {
            members.first()
        };
        if let Some(member) = member {
            apply(c, dependent, *member, ix, false);
        }
        return;
    }
    if score >= INFINITY {
        let id = c.colocations[ix].id.clone();
        c.problem(format!(
            "colocation '{id}': nothing can be tied to a group whose members may be apart"
        ));
        return;
    }
    for member in members {
        apply(c, dependent, member, ix, false);
    }
}

fn primitive_as_primary(c: &mut Cluster, dependent: RscIx, primary: RscIx, ix: usize) {
    match affects(c, dependent, primary, ix, false) {
        Affects::Role => to_priority(c, dependent, primary, ix),
        Affects::Location => to_scores(c, dependent, primary, ix),
        Affects::Nothing => {}
    }
}

/// What a colocation can still change for a dependent resource.
pub(crate) fn affects(
    c: &Cluster,
    dependent: RscIx,
    primary: RscIx,
    ix: usize,
    preview: bool,
) -> Affects {
    let col = &c.colocations[ix];
    if !preview && c.rscs[primary].unassigned {
        return Affects::Nothing;
    }
    let role_rsc = role_of(c, dependent);
    let is_promotable = c
        .clone_of(role_rsc)
        .is_some_and(|clone| c.rscs[clone].promotable);
    if col.dependent_role >= Role::Unpromoted && is_promotable && !c.rscs[dependent].unassigned {
        return Affects::Role;
    }
    if !preview && !c.rscs[dependent].unassigned {
        return Affects::Nothing;
    }
    if c.earlier.apart_in_any_role && col.score < 0 {
        // Just where the role is the one that is named 2.1.5 minded nothing.
        let is = |role: Role, rsc| role != Role::Unknown && role == c.state(role_of(c, rsc), false);
        let named = is(col.dependent_role, dependent) || is(col.primary_role, primary);
        return match named {
            true => Affects::Nothing,
            false => Affects::Location,
        };
    }
    if col.dependent_role != Role::Unknown && col.dependent_role != c.state(role_rsc, false) {
        return Affects::Nothing;
    }
    let primary_role = c.state(role_of(c, primary), false);
    if col.primary_role != Role::Unknown && col.primary_role != primary_role {
        return Affects::Nothing;
    }
    Affects::Location
}

/// A bundle's container has the role of what runs in it.
fn role_of(c: &Cluster, rsc: RscIx) -> RscIx {
    crate::bundle::bundled_in_container(c, rsc).unwrap_or(rsc)
}

/// The value by which nodes are compared for a resource. Inside a bundle's container that of its host counts.
fn attribute<'n>(
    c: &'n Cluster,
    node: NodeIx,
    name: &Option<String>,
    rsc: RscIx,
) -> Option<&'n str> {
    let mut node = node;
    if c.nodes[node].bundle && c.is_bundled(rsc) {
        let container = c.nodes[node].connection.and_then(|r| c.rscs[r].container)?;
        node = c.rscs[container].assigned?;
    }
    match name.as_deref() {
        None | Some("#uname") => Some(&c.nodes[node].name),
        Some(name) => c.nodes[node].attrs.get(name).map(String::as_str),
    }
}

fn to_scores(c: &mut Cluster, dependent: RscIx, primary: RscIx, ix: usize) {
    let col = c.colocations[ix].clone();
    let place = c.rscs[primary].assigned;
    if place.is_none() && col.score < 0 {
        return;
    }
    let wanted = place
        .and_then(|node| attribute(c, node, &col.attribute, primary))
        .map(str::to_owned);
    let mut work = c.rscs[dependent].allowed.clone();
    for (node, entry) in work.entries_mut() {
        if place.is_none() {
            entry.score = score::add(-col.score, entry.score);
            continue;
        }
        if attribute(c, node, &col.attribute, dependent) == wanted.as_deref() {
            if col.score < INFINITY {
                entry.score = score::add(col.score, entry.score);
            }
        } else if col.score >= INFINITY {
            entry.score = score::add(-col.score, entry.score);
        }
    }
    if col.score.abs() >= INFINITY || any_available(c, &work) {
        c.rscs[dependent].allowed = work;
    }
}

fn to_priority(c: &mut Cluster, dependent: RscIx, primary: RscIx, ix: usize) {
    let col = c.colocations[ix].clone();
    let must = col.score >= INFINITY && col.dependent_role == Role::Promoted;
    let Some(a) = c.rscs[dependent].assigned else {
        return;
    };
    let Some(b) = c.rscs[primary].assigned else {
        if must && !c.earlier.promoted_without {
            c.rscs[dependent].promotion_priority = -INFINITY;
        }
        return;
    };
    let same =
        attribute(c, a, &col.attribute, dependent) == attribute(c, b, &col.attribute, primary);
    if !same {
        if must {
            c.rscs[dependent].promotion_priority = -INFINITY;
        }
        return;
    }
    if col.primary_role != Role::Unknown && col.primary_role != c.state(role_of(c, primary), false)
    {
        return;
    }
    let delta = if col.dependent_role == Role::Unpromoted {
        -col.score
    } else {
        col.score
    };
    let r = &mut c.rscs[dependent];
    r.promotion_priority = score::add(delta, r.promotion_priority);
}

fn clone_as_primary(c: &mut Cluster, dependent: RscIx, clone: RscIx, ix: usize) {
    if c.rscs[clone].unassigned {
        return;
    }
    let col = c.colocations[ix].clone();
    if c.rscs[clone].promotable && col.primary_role != Role::Unknown {
        if c.rscs[dependent].unassigned {
            return promotable_to_scores(c, dependent, clone, ix);
        }
        if col.dependent_role == Role::Promoted {
            return promotable_to_priority(c, dependent, clone, ix);
        }
    }
    if interleaves(c, col.dependent, clone) {
        match instances::compatible(c, dependent, clone, Role::Unknown, false) {
            Some(instance) => apply(c, dependent, instance, ix, true),
            None if col.score >= INFINITY => {
                place(c, dependent, None, true, true);
            }
            None => {}
        }
        return;
    }
    let children = c.rscs[clone].children.clone();
    if col.score >= INFINITY {
        let nodes: Vec<NodeIx> = children
            .iter()
            .filter(|i| !blocked_anywhere(c, **i))
            .filter_map(|i| location(c, *i))
            .collect();
        keep_to(c, dependent, clone, ix, &nodes);
        return;
    }
    for instance in children {
        apply(c, dependent, instance, ix, false);
    }
}

/// Bans a dependent from every node that does not match one of its primary's.
pub(crate) fn keep_to(
    c: &mut Cluster,
    dependent: RscIx,
    primary: RscIx,
    ix: usize,
    nodes: &[NodeIx],
) {
    let mut name = c.colocations[ix].attribute.clone();
    if c.earlier.same_node_as_clone {
        name = None;
    }
    let value = |node: NodeIx, rsc: RscIx| attribute(c, node, &name, rsc).map(str::to_owned);
    let values: Vec<Option<String>> = nodes.iter().map(|n| value(*n, primary)).collect();
    let mine: Vec<NodeIx> = c.rscs[dependent].allowed.nodes().collect();
    let out: Vec<NodeIx> = mine
        .into_iter()
        .filter(|node| !values.contains(&value(*node, dependent)))
        .collect();
    for node in out {
        if let Some(entry) = c.rscs[dependent].allowed.get_mut(node) {
            entry.score = -INFINITY;
        }
    }
    tell_of(c, dependent, nodes);
}

/// Where a primary is and its dependent was never to be, it is not to be either; that is told.
fn tell_of(c: &mut Cluster, dependent: RscIx, nodes: &[NodeIx]) {
    for node in nodes {
        if c.rscs[dependent].allowed.get(*node).is_none() {
            c.rscs[dependent].allowed.entry(*node, -INFINITY);
        }
    }
}

pub(crate) fn blocked_anywhere(c: &Cluster, rsc: RscIx) -> bool {
    c.rscs[rsc].blocked || c.rscs[rsc].children.iter().any(|r| blocked_anywhere(c, *r))
}

/// Node a resource (or the first of a group's members) was put on.
pub(crate) fn location(c: &Cluster, rsc: RscIx) -> Option<NodeIx> {
    let r = &c.rscs[rsc];
    match r.children.first() {
        None => r.assigned,
        Some(_) => r.children.iter().find_map(|m| location(c, *m)),
    }
}

fn interleaves(c: &Cluster, dependent: RscIx, clone: RscIx) -> bool {
    let mine = dependent;
    if !matches!(c.rscs[mine].kind, Kind::Clone | Kind::Bundle)
        || !score::is_true(c.rscs[mine].meta.get("interleave").map(String::as_str))
    {
        return false;
    }
    let per_node = |rsc: RscIx| match &c.rscs[rsc].bundle {
        Some(bundle) => bundle.per_host,
        None => c.rscs[rsc].clone.node_max,
    };
    per_node(mine) == per_node(clone)
}

fn promotable_to_scores(c: &mut Cluster, dependent: RscIx, clone: RscIx, ix: usize) {
    let col = c.colocations[ix].clone();
    let mut chosen: Vec<NodeIx> = Vec::new();
    let mut own_scores: Vec<i32> = Vec::new();
    for instance in c.rscs[clone].children.clone() {
        let Some(node) = location(c, instance) else {
            continue;
        };
        if c.state(instance, false) != col.primary_role {
            continue;
        }
        chosen.push(node);
        own_scores.push(first_score(c, instance, node));
        if col.score < INFINITY {
            let wanted = attribute(c, node, &col.attribute, clone).map(str::to_owned);
            let mut table = std::mem::take(&mut c.rscs[dependent].allowed);
            for (n, entry) in table.entries_mut() {
                if attribute(c, n, &col.attribute, dependent) == wanted.as_deref() {
                    entry.score = score::add(entry.score, col.score);
                }
            }
            c.rscs[dependent].allowed = table;
        }
    }
    if col.score < INFINITY
        || col.dependent_role == Role::Promoted && col.primary_role == Role::Promoted
    {
        // Which of them are promoted is decided by priority, not by place.
        return;
    }
    let values: Vec<Option<String>> = chosen
        .iter()
        .map(|n| attribute(c, *n, &col.attribute, clone).map(str::to_owned))
        .collect();
    let mut table = std::mem::take(&mut c.rscs[dependent].allowed);
    for (n, entry) in table.entries_mut() {
        let value = attribute(c, n, &col.attribute, dependent).map(str::to_owned);
        if let Some(at) = values.iter().position(|v| *v == value) {
            entry.score = score::add(entry.score, own_scores[at]);
        } else {
            entry.score = -INFINITY;
        }
    }
    c.rscs[dependent].allowed = table;
    if c.earlier.told_beside_promoted {
        tell_of(c, dependent, &chosen);
    }
}

/// Score of the node an instance was put on. Where nobody put it, its own scores did not count.
fn first_score(c: &Cluster, instance: RscIx, node: NodeIx) -> i32 {
    let holder = c.rscs[instance]
        .children
        .first()
        .copied()
        .unwrap_or(instance);
    if !c.rscs[holder].managed {
        return c.worth(node);
    }
    c.rscs[holder].allowed.get(node).map_or(0, |e| e.score)
}

fn promotable_to_priority(c: &mut Cluster, dependent: RscIx, clone: RscIx, ix: usize) {
    let col = c.colocations[ix].clone();
    let found = instances::compatible(c, dependent, clone, col.primary_role, false);
    let r = &mut c.rscs[dependent];
    if found.is_some() {
        r.promotion_priority = score::add(r.promotion_priority, col.score);
    } else if col.score >= INFINITY {
        r.promotion_priority = -INFINITY;
    }
}

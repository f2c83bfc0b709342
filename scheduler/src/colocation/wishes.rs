//! Wishes: what everything that goes with a resource, directly or through others, thinks of the nodes.

use super::{any_available, attribute, has_influence, this_with, with_this};
use crate::{
    deep,
    explain::record,
    model::{Cluster, Colocation, Kind, NodeIx, NodeTable, Rsc, RscIx},
    score::{self, INFINITY},
};

/// Marks a score that preferences may not turn negative.
const FILTERED: i32 = INFINITY * -100;

/// How many colocations one wish is followed through: a lattice of them has more paths than anybody can walk.
const MOST_LINKS: u32 = 10_000;

/// Which colocations to follow when collecting preferences, and which results to keep.
#[derive(Clone, Copy)]
pub(crate) struct Select {
    /// Follow "this with" colocations instead of "with this".
    pub(crate) this_with: bool,
    /// Never let a preference make a good node a bad one.
    pub(crate) nonnegative: bool,
    /// Give up rather than leave no node at all.
    pub(crate) active: bool,
}

/// Lets the wishes of a dependent resource count for the one it goes with.
pub(crate) fn add_dependent_scores(c: &mut Cluster, ix: usize, target: RscIx) {
    let col = &c.colocations[ix];
    let (dependent, factor) = (col.dependent, col.score as f32 / INFINITY as f32);
    if !has_influence(c, ix, None) {
        return;
    }
    // Those who look at the target's own scores meanwhile see what they were.
    let mut table = c.rscs[target].allowed.clone();
    // A clone has many places: what a dependent dislikes is no reason to ban one.
    let collective = c.rscs[target].kind == Kind::Clone;
    let select = Select {
        this_with: false,
        nonnegative: collective,
        active: true,
    };
    add_colocated(c, dependent, target, &mut table, Some(ix), factor, select);
    let before = record::snapshot(c, target);
    c.rscs[target].allowed = table;
    record::changed(c, target, before, &record::Cause::Wish(ix));
}

/// Adds to `table` what `source`, and those that go with it, think of each node.
pub(crate) fn add_colocated(
    c: &mut Cluster,
    source: RscIx,
    target: RscIx,
    table: &mut NodeTable,
    ix: Option<usize>,
    factor: f32,
    select: Select,
) {
    c.links_left = MOST_LINKS;
    follow(c, source, target, table, ix, factor, select);
}

/// As [`add_colocated`], within what is left of the links to follow.
fn follow(
    c: &mut Cluster,
    source: RscIx,
    target: RscIx,
    table: &mut NodeTable,
    ix: Option<usize>,
    factor: f32,
    select: Select,
) {
    if c.rscs[source].kind != Kind::Group {
        return add_colocated_of(c, source, target, table, ix, factor, select);
    }
    let members = &c.rscs[source].children;
    let (Some(first), Some(last)) = (members.first().copied(), members.last().copied()) else {
        return;
    };
    if c.rscs[source].updating_nodes {
        return;
    }
    c.rscs[source].updating_nodes = true;
    let member = if select.this_with { last } else { first };
    add_colocated_of(c, member, target, table, ix, factor, select);
    let begun = |r: &Rsc| r.assigning || !r.unassigned;
    if c.earlier.groups_twice && any_available(c, table) {
        if begun(&c.rscs[source]) {
            let member = if select.this_with { first } else { last };
            add_linked(c, member, target, table, factor, select);
        } else if select.this_with {
            // What a group must be with 2.1.5 knew before, but of the group alone.
            add_linked(c, source, target, table, factor, select);
        }
    }
    c.rscs[source].updating_nodes = false;
}

/// Whether a colocation is one of the group of `source`, which nobody began to place: 2.1.5 had not told its members.
fn is_of_group_to_come(c: &Cluster, source: RscIx, select: Select, col: &Colocation) -> bool {
    let group = c.rscs[source].parent;
    let of_group = group.filter(|g| {
        *g == if select.this_with {
            col.dependent
        } else {
            col.primary
        }
    });
    of_group.is_some_and(|g| c.rscs[g].unassigned && !c.rscs[g].assigning)
}

/// Adds what those think that go with `source`, or that it goes with.
fn add_linked(
    c: &mut Cluster,
    source: RscIx,
    target: RscIx,
    table: &mut NodeTable,
    factor: f32,
    select: Select,
) {
    let next = match select.this_with {
        true => this_with(c, source),
        false => with_this(c, source),
    };
    for other in next {
        let col = &c.colocations[other];
        if c.earlier.groups_twice && is_of_group_to_come(c, source, select, col) {
            continue;
        }
        let (rsc, more) = match select.this_with {
            true => (col.primary, col.score),
            false => (col.dependent, col.score),
        };
        if !select.this_with && !has_influence(c, other, None) {
            continue;
        }
        let weight = match c.earlier.last_link {
            true => factor.signum(),
            false => factor,
        };
        let factor = weight * more as f32 / INFINITY as f32;
        if c.links_left == 0 {
            return leave_out_wishes(c, target);
        }
        c.links_left -= 1;
        // A wish from further on is none that may leave no node.
        let select = Select {
            active: true,
            ..select
        };
        follow(c, rsc, target, table, Some(other), factor, select);
    }
}

/// Says, once, that not everybody is asked.
fn leave_out_wishes(c: &mut Cluster, target: RscIx) {
    if !std::mem::replace(&mut c.wishes_left_out, true) {
        c.problem(format!(
            "resource '{}': more than {MOST_LINKS} colocations lead on from one of its own; wishes beyond are left out",
            c.rscs[target].id
        ));
    }
}

fn add_colocated_of(
    c: &mut Cluster,
    source: RscIx,
    target: RscIx,
    table: &mut NodeTable,
    ix: Option<usize>,
    factor: f32,
    select: Select,
) {
    if c.rscs[source].updating_nodes {
        return;
    }
    c.rscs[source].updating_nodes = true;
    let mut work = table.clone();
    if let Some(ix) = ix {
        add_matching(c, &mut work, source, target, ix, factor, select.nonnegative);
    }
    if work.is_empty() {
        c.rscs[source].updating_nodes = false;
        return;
    }
    if any_available(c, &work) {
        deep::step(|| add_linked(c, source, target, &mut work, factor, select));
    } else if select.active {
        c.rscs[source].updating_nodes = false;
        return;
    }
    if select.nonnegative {
        for (_, entry) in work.entries_mut() {
            if entry.score == FILTERED {
                entry.score = 1;
            }
        }
    }
    *table = work;
    c.rscs[source].updating_nodes = false;
}

fn add_matching(
    c: &Cluster,
    table: &mut NodeTable,
    source: RscIx,
    target: RscIx,
    ix: usize,
    factor: f32,
    nonnegative: bool,
) {
    let name = c.colocations[ix].attribute.clone();
    let own = &c.rscs[source].allowed;
    for (node, entry) in table.entries_mut() {
        let value = attribute(c, node, &name, target);
        let score = best_matching(c, source, own, &name, value, node);
        if factor < 0.0 && score < 0 && !gives_way(c, ix, score) {
            // What the dependent avoids is no reason to go there.
            continue;
        }
        if entry.score == FILTERED {
            continue;
        }
        let exact = factor * score as f32;
        let mut delta = if exact < 0.0 {
            (exact - 0.5) as i32
        } else {
            (exact + 0.5) as i32
        };
        if delta == 0 && score != 0 {
            if factor > 0.0 {
                delta = 1;
            } else if factor < 0.0 {
                delta = -1;
            }
        }
        let new = score::add(delta, entry.score);
        if nonnegative && new < 0 && entry.score > 0 {
            entry.score = FILTERED;
            continue;
        }
        if nonnegative && new < 0 && entry.score == 0 {
            continue;
        }
        entry.score = new;
    }
}

/// Whether a member of a group cannot be on a node because the group may not.
fn banned_with_group(c: &Cluster, rsc: RscIx, node: NodeIx) -> bool {
    let group = c.rscs[rsc]
        .parent
        .filter(|p| c.rscs[*p].kind == Kind::Group);
    let entry = group.and_then(|group| c.rscs[group].allowed.get(node));
    entry.is_some_and(|e| e.score <= -INFINITY)
}

/// Whether a primary goes where its dependent, which must not be with it, cannot be: only for a dependent that has but
/// one node to be on, and if the primary's stickiness and the constraint's influence let it.
fn gives_way(c: &Cluster, ix: usize, score: i32) -> bool {
    if c.earlier.unyielding {
        return false;
    }
    let col = &c.colocations[ix];
    let sticky = c.rscs[col.primary].stickiness >= score.saturating_neg();
    !sticky && has_influence(c, ix, None) && allowed_on_one(c, col.dependent)
}

/// Whether exactly one node is open to a resource.
fn allowed_on_one(c: &Cluster, rsc: RscIx) -> bool {
    let open = c.rscs[rsc].allowed.entries();
    open.filter(|(_, e)| e.score >= 0).take(2).count() == 1
}

fn best_matching(
    c: &Cluster,
    source: RscIx,
    table: &NodeTable,
    name: &Option<String>,
    value: Option<&str>,
    same: NodeIx,
) -> i32 {
    if name.is_none() && !c.nodes[same].bundle {
        return match table.get(same) {
            Some(entry) if c.can_run(same) && !banned_with_group(c, source, same) => {
                entry.score.max(-INFINITY)
            }
            _ => -INFINITY,
        };
    }
    table
        .entries()
        .filter(|(node, _)| c.can_run(*node) && !banned_with_group(c, source, *node))
        .filter(|(node, _)| attribute(c, *node, name, source) == value)
        .map(|(_, e)| e.score)
        .max()
        .unwrap_or(-INFINITY)
}

/// What everything colocated with an instance thinks of the node it is on.
pub(crate) fn colocated_score(c: &mut Cluster, rsc: RscIx, node: NodeIx) -> i32 {
    let mut table = NodeTable::default();
    table.entry(node, c.nodes[node].score);
    // For the order of instances 2.1.5 minded everything, too.
    let alone = std::mem::take(&mut c.earlier.instances_alone);
    let (this_with, with_this) = (this_with(c, rsc), with_this(c, rsc));
    c.earlier.instances_alone = alone;
    for ix in this_with {
        let col = &c.colocations[ix];
        let (primary, factor) = (col.primary, col.score as f32 / INFINITY as f32);
        let select = Select {
            this_with: false,
            nonnegative: false,
            active: false,
        };
        add_colocated(c, primary, rsc, &mut table, Some(ix), factor, select);
    }
    for ix in with_this {
        let col = &c.colocations[ix];
        let (dependent, factor) = (col.dependent, col.score as f32 / INFINITY as f32);
        let select = Select {
            this_with: false,
            nonnegative: true,
            active: false,
        };
        add_colocated(c, dependent, rsc, &mut table, Some(ix), factor, select);
    }
    table.get(node).map_or(0, |e| e.score)
}

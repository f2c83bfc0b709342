//! Writes down what moved each score while decisions are taken, for those who ask why.
//!
//! Nothing here changes a decision, and nothing is done unless [`Cluster::explain`] is there.

use std::{collections::BTreeMap, rc::Rc};

use crate::{
    colocation::{self, Affects},
    model::{Cluster, Kind, NodeIx, NodeTable, RscIx},
    score::{self, INFINITY},
};

/// What moved a score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// What the node (or the kind of the resource) starts from.
    Base,
    /// What [`crate::assign::add_node_score`] was told.
    Named(Rc<str>),
    /// A location constraint, rule, or health: place in the table of locations.
    Location(usize),
    /// The resource may only be where a constraint has it looked for.
    Exclusive,
    /// It goes with another: place in the table of colocations.
    With(usize),
    /// Another goes with it, and its wishes count: place in the table of colocations.
    Wish(usize),
    /// The agent's promotion score.
    Promotion,
    /// Instances of a clone or bundle may not be there.
    Crowd(Crowd),
    /// A bundle keeps its parts together.
    Bundle,
    /// What may not be on remote nodes, or only on one.
    Remote,
    /// It was found active too often.
    MultipleActive,
    /// The node has too little room: what, needed, free.
    Capacity(Vec<(String, i64, i64)>),
}

/// Why a node takes no (further) instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crowd {
    /// The instance is of a resource that is not configured any more.
    Removed,
    /// Nothing may run on the node.
    Down,
    /// The clone itself may not be there.
    Banned,
    /// It has as many as it may.
    Full,
}

/// How a score was moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    /// Added, as scores are added.
    Add(i32),
    /// It is this, whatever it was.
    Set(i32),
}

/// One movement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) rsc: RscIx,
    pub(crate) node: NodeIx,
    pub(crate) amount: Amount,
    pub(crate) cause: Cause,
}

/// Everything written down in one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder {
    log: Vec<Moved>,
    /// What moved the priority of instances that could be promoted.
    priorities: BTreeMap<RscIx, Vec<(Amount, Cause)>>,
    /// How far the log was when a resource's scores were final, or shown last.
    shown: BTreeMap<RscIx, usize>,
    /// Score lines as `crm_simulate -s` has them, made of what was written down alone.
    pub(crate) lines: Vec<String>,
}

impl Recorder {
    /// What moved the scores of a resource, in order.
    pub(crate) fn of(&self, rsc: RscIx) -> impl Iterator<Item = &Moved> {
        self.log.iter().filter(move |m| m.rsc == rsc)
    }

    /// What moved the priority of an instance that could be promoted.
    pub(crate) fn priority_of(&self, rsc: RscIx) -> &[(Amount, Cause)] {
        self.priorities.get(&rsc).map_or(&[], Vec::as_slice)
    }

    /// What moved the scores of a clone after its instances were placed: who is promoted.
    pub(crate) fn of_roles(&self, rsc: RscIx) -> impl Iterator<Item = &Moved> {
        let begin = self.shown.get(&rsc).copied().unwrap_or(self.log.len());
        let log = self.log.get(begin..).unwrap_or_default();
        log.iter().filter(move |m| m.rsc == rsc)
    }

    /// As [`Self::of`], up to when its scores were shown: a clone's table becomes something else afterwards.
    pub(crate) fn of_shown(&self, rsc: RscIx) -> impl Iterator<Item = &Moved> {
        let end = self.shown.get(&rsc).copied().unwrap_or(self.log.len());
        let log = self.log.get(..end).unwrap_or(&self.log);
        log.iter().filter(move |m| m.rsc == rsc)
    }
}

/// The sum of movements, from what a node starts with.
pub(crate) fn total<'m>(base: i32, moved: impl Iterator<Item = &'m Moved>) -> i32 {
    moved.fold(base, |sum, m| match m.amount {
        Amount::Add(score) => score::add(sum, score),
        Amount::Set(score) => score,
    })
}

/// Begins to write down; what scores there are already is where they start from.
pub(crate) fn begin(c: &mut Cluster) {
    let mut recorder = Recorder::default();
    for (rsc, r) in c.rscs.iter().enumerate() {
        for (node, entry) in r.allowed.entries() {
            if entry.score != c.nodes[node].score {
                let amount = Amount::Set(entry.score);
                let cause = Cause::Base;
                recorder.log.push(Moved {
                    rsc,
                    node,
                    amount,
                    cause,
                });
            }
        }
    }
    c.explain = Some(Box::new(recorder));
}

fn push(c: &mut Cluster, rsc: RscIx, node: NodeIx, amount: Amount, cause: Cause) {
    if let Some(recorder) = &mut c.explain {
        recorder.log.push(Moved {
            rsc,
            node,
            amount,
            cause,
        });
    }
}

/// A score was added to that of one node.
pub(crate) fn added(c: &mut Cluster, rsc: RscIx, node: NodeIx, score: i32, why: &str) {
    if c.explain.is_some() && score != 0 {
        let cause = Cause::Named(why.into());
        push(c, rsc, node, Amount::Add(score), cause);
    }
}

/// A score was added to that of one node, for a cause of its own.
pub(crate) fn added_for(c: &mut Cluster, rsc: RscIx, node: NodeIx, score: i32, cause: Cause) {
    if c.explain.is_some() {
        push(c, rsc, node, Amount::Add(score), cause);
    }
}

/// A score was overwritten.
pub(crate) fn set(c: &mut Cluster, rsc: RscIx, node: NodeIx, score: i32, cause: Cause) {
    if c.explain.is_some() {
        let amount = if score <= -INFINITY {
            Amount::Add(score)
        } else {
            Amount::Set(score)
        };
        push(c, rsc, node, amount, cause);
    }
}

/// The scores of a location were added to a resource.
pub(crate) fn located(c: &mut Cluster, rsc: RscIx, ix: usize) {
    let Some(recorder) = &mut c.explain else {
        return;
    };
    for (node, score) in &c.locations[ix].nodes {
        recorder.log.push(Moved {
            rsc,
            node: *node,
            amount: Amount::Add(*score),
            cause: Cause::Location(ix),
        });
    }
}

/// What a resource thinks of all nodes, to compare with afterwards.
pub(crate) fn snapshot(c: &Cluster, rsc: RscIx) -> Option<NodeTable> {
    c.explain.is_some().then(|| c.rscs[rsc].allowed.clone())
}

/// Whatever is different from `before` came from this.
pub(crate) fn changed(c: &mut Cluster, rsc: RscIx, before: Option<NodeTable>, cause: &Cause) {
    let Some(before) = before else {
        return;
    };
    let after = c.rscs[rsc].allowed.clone();
    for (node, entry) in after.entries() {
        let was = before.get(node).map_or(c.nodes[node].score, |e| e.score);
        if let Some(amount) = difference(was, entry.score) {
            push(c, rsc, node, amount, cause.clone());
        }
    }
    if let Cause::With(ix) = cause {
        bans_again(c, rsc, &before, *ix);
    }
}

fn difference(was: i32, is: i32) -> Option<Amount> {
    if was == is {
        return None;
    }
    Some(if is.abs() >= INFINITY && was > -INFINITY {
        Amount::Add(is)
    } else if was.abs() >= INFINITY {
        Amount::Set(is)
    } else {
        Amount::Add(is - was)
    })
}

/// A node that was out before is not let in by taking back only one of the reasons: finds out where a mandatory
/// colocation would ban a resource that nothing else bans.
fn bans_again(c: &mut Cluster, rsc: RscIx, before: &NodeTable, ix: usize) {
    let col = &c.colocations[ix];
    let Some(primary) = representative(c, col.primary, col.score) else {
        return;
    };
    let out = |e: &crate::model::Allowed| e.score <= -INFINITY;
    if col.score.abs() < INFINITY
        || !before.entries().any(|(_, e)| out(e))
        || colocation::affects(c, rsc, primary, ix, false) != Affects::Location
    {
        return;
    }
    let real = c.rscs[rsc].allowed.clone();
    for (_, entry) in c.rscs[rsc].allowed.entries_mut() {
        entry.score = 0;
    }
    colocation::apply(c, rsc, primary, ix, false);
    let tried = std::mem::replace(&mut c.rscs[rsc].allowed, real);
    for (node, _) in before.entries().filter(|(_, e)| out(e)) {
        if tried.get(node).is_some_and(out) {
            push(c, rsc, node, Amount::Add(-INFINITY), Cause::With(ix));
        }
    }
}

/// The primitive whose place counts for those that go with a resource, where it is but one.
fn representative(c: &Cluster, primary: RscIx, score: i32) -> Option<RscIx> {
    let r = &c.rscs[primary];
    match r.kind {
        Kind::Primitive => Some(primary),
        Kind::Group if c.is_group_colocated(primary) && score >= INFINITY => {
            r.children.last().copied()
        }
        Kind::Group if c.is_group_colocated(primary) => r.children.first().copied(),
        _ => None,
    }
}

/// The node that was banned just now has too little room.
pub(crate) fn too_small(c: &mut Cluster, node: NodeIx, needs: &BTreeMap<String, i64>) {
    let Some(recorder) = &mut c.explain else {
        return;
    };
    let room = &c.nodes[node].utilization;
    let short = needs.iter().filter_map(|(name, need)| {
        let free = room.get(name).copied().unwrap_or(0);
        (free < *need).then(|| (name.clone(), *need, free))
    });
    let short = short.collect();
    if let Some(last) = recorder.log.last_mut() {
        last.cause = Cause::Capacity(short);
    }
}

/// The priority of an instance begins with this.
pub(crate) fn priority(c: &mut Cluster, rsc: RscIx, priority: i32, cause: Cause) {
    if let Some(recorder) = &mut c.explain {
        let first = (Amount::Set(priority), cause);
        recorder.priorities.insert(rsc, vec![first]);
    }
}

/// The priority of an instance was moved from `was` to what it is.
pub(crate) fn priority_moved(c: &mut Cluster, rsc: RscIx, was: i32, cause: Cause) {
    let is = c.rscs[rsc].promotion_priority;
    if let (Some(recorder), Some(amount)) = (&mut c.explain, difference(was, is)) {
        let all = recorder.priorities.entry(rsc).or_default();
        all.push((amount, cause));
    }
}

/// How much is written down so far.
pub(crate) fn mark(c: &Cluster) -> usize {
    c.explain.as_ref().map_or(0, |r| r.log.len())
}

/// What was done to these resources since the mark was undone.
pub(crate) fn rewind(c: &mut Cluster, mark: usize, undone: &[(RscIx, NodeTable)]) {
    let Some(recorder) = &mut c.explain else {
        return;
    };
    let mut at = 0;
    recorder.log.retain(|m| {
        at += 1;
        at <= mark || !undone.iter().any(|(rsc, _)| *rsc == m.rsc)
    });
}

/// The scores of a resource are shown: as far as they were written down.
pub(crate) fn shown(c: &mut Cluster, rsc: RscIx, by: &str) {
    let Some(mut recorder) = c.explain.take() else {
        return;
    };
    recorder.shown.insert(rsc, recorder.log.len());
    if c.trace.is_some() {
        for node in &c.node_order {
            if c.rscs[rsc].allowed.get(*node).is_some() {
                let moved = recorder.of(rsc).filter(|m| m.node == *node);
                let sum = total(c.nodes[*node].score, moved);
                let (id, name) = (&c.rscs[rsc].id, &c.nodes[*node].name);
                let sum = score::show(sum);
                let line = format!("{by}: {id} allocation score on {name}: {sum}");
                recorder.lines.push(line);
            }
        }
    }
    c.explain = Some(recorder);
}

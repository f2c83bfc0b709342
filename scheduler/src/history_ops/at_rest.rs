//! Histories that are passed over: they say that a resource does not run on a node, and nothing else says more.
//!
//! Most histories of a large cluster are such. Of a node of which none has changed, those are looked at that say more,
//! and those of resources that anything else is said of somewhere; of the others it is enough that they are there.
//! All of this is remembered by node, as long as the element of its histories is the same piece of memory and the
//! configuration is the same. It is left alone where histories bear on each other: in clusters with remote nodes, and
//! on nodes where something failed.
//!
//! Must never: pass over a history that, read in its turn, would change anything but that it is known.

use std::collections::BTreeSet;

use cib::Element;

use super::{digested::History, state};
use crate::{
    failures,
    model::{Cluster, Kind, NodeIx, NodeSet, Role, Rsc, RscIx},
};

/// The histories of a node, with what is known of them.
#[derive(Default)]
pub(crate) struct NodeHistories {
    /// The element they are in.
    source: Option<Element>,
    pub(super) all: Vec<History>,
    /// Whether the following is as `all` is.
    sorted: bool,
    /// Positions of those that are looked at every time, in the order of the document.
    lively: Vec<usize>,
    /// Positions of the others, by the resources they are of.
    quiet: Vec<(RscIx, usize)>,
    /// Resources whose histories are looked at on every node because of what is said here.
    restless: Vec<RscIx>,
    /// In this run only some were looked at.
    passed: bool,
}

/// What is passed over in a run.
#[derive(Default)]
pub(crate) struct Passing {
    /// Resources whose histories are all looked at.
    restless: BTreeSet<RscIx>,
    /// Nodes where histories were passed over, by resource.
    nodes: Vec<NodeSet>,
}

impl NodeHistories {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether they are those in this element.
    pub(crate) fn are_of(&self, resources: &Element) -> bool {
        self.source.as_ref().is_some_and(|s| s.ptr_eq(resources))
    }

    /// The configuration is another one now.
    pub(crate) fn forget_configuration(&mut self) {
        self.all.iter_mut().for_each(History::forget_configuration);
        self.sorted = false;
    }

    /// Something more is known of one of them.
    pub(crate) fn learnt(&mut self) {
        self.sorted = false;
    }

    /// A history by its position.
    pub(crate) fn get_mut(&mut self, at: usize) -> Option<&mut History> {
        self.all.get_mut(at)
    }

    /// Takes over what an element says that may have changed.
    pub(super) fn read(&mut self, resources: &Element) {
        if self.are_of(resources) {
            return;
        }
        self.source = Some(resources.clone());
        self.all = super::digested::read_again(resources, std::mem::take(&mut self.all));
        self.sorted = false;
    }

    /// Sorts them into those to look at and those to pass over, by what follows from the configuration.
    pub(crate) fn sort(&mut self, configured: &[Rsc]) {
        if self.sorted {
            return;
        }
        self.lively.clear();
        self.quiet.clear();
        self.restless.clear();
        for (at, history) in self.all.iter().enumerate() {
            match history.resource().filter(|_| history.is_quiet()) {
                Some(rsc) if configured.get(rsc).is_some_and(is_calm) => self.quiet.push((rsc, at)),
                _ => self.lively.push(at),
            }
        }
        self.quiet.sort_unstable();
        // Two histories of one resource bear on each other.
        let twice = self.quiet.windows(2).filter(|two| two[0].0 == two[1].0);
        self.restless.extend(twice.map(|two| two[0].0));
        let quiet = |rsc: &RscIx| {
            self.quiet
                .binary_search_by_key(rsc, |(rsc, _)| *rsc)
                .is_ok()
        };
        let lively = self.lively.iter().filter_map(|at| self.all.get(*at));
        let also_lively = lively.filter_map(History::resource).filter(quiet);
        self.restless.extend(also_lively);
        self.sorted = true;
    }

    /// Positions of the histories to look at in this run, in the order of the document.
    pub(crate) fn to_look_at(&self, passing: Option<&Passing>) -> Vec<usize> {
        let Some(passing) = passing.filter(|_| self.passed) else {
            return (0..self.all.len()).collect();
        };
        let mut positions = self.lively.clone();
        for rsc in &passing.restless {
            let from = self.quiet.partition_point(|(other, _)| other < rsc);
            let own = self.quiet.iter().skip(from);
            let own = own.take_while(|(other, _)| other == rsc);
            positions.extend(own.map(|(_, at)| *at));
        }
        positions.sort_unstable();
        positions
    }
}

/// Whether nothing about a resource, as it is configured, makes more of a history than that it does not run there.
fn is_calm(r: &Rsc) -> bool {
    r.kind == Kind::Primitive
        && r.role == Role::Stopped
        && r.next_role == Role::Unknown
        && r.history_id.is_none()
        && r.container.is_none()
        && r.fillers.is_empty()
        && !r.has_target_role
        && !r.failed
        && !r.is_remote
}

/// Begins a run: finds out what has to be looked at, before anything is.
pub(crate) fn begin(c: &mut Cluster, states: &[&Element]) {
    let Some(mut recall) = c.recall.take() else {
        return;
    };
    if recall.same_configuration && !c.have_remote && are_different(c, states) {
        let mut passing = Passing {
            nodes: vec![NodeSet::default(); recall.configured],
            ..Passing::default()
        };
        for state in states {
            let (Some(key), Some(resources)) = (state.id(), super::histories_in(state)) else {
                continue;
            };
            let Some(node) = c.node_ids.get(key).copied() else {
                continue;
            };
            let mut known = recall.known_before(key);
            known.read(resources);
            known.passed = false;
            passing.note_restless(c, node, &known);
            recall.histories.insert(key.to_owned(), known);
        }
        recall.passing = Some(passing);
    }
    c.recall = Some(recall);
}

/// Whether each state is that of a node of its own.
fn are_different(c: &Cluster, states: &[&Element]) -> bool {
    let mut seen = BTreeSet::new();
    let mut nodes = states
        .iter()
        .map(|state| state.id().and_then(|id| c.node_ids.get(id)));
    nodes.all(|node| node.is_some_and(|node| seen.insert(*node)))
}

impl Passing {
    /// Notes the resources of which a node's histories say more than where they run.
    fn note_restless(&mut self, c: &Cluster, node: NodeIx, known: &NodeHistories) {
        self.restless.extend(&known.restless);
        let resource = |history: &History| {
            let by_id = || history.xml.id().and_then(|id| c.rsc_ids.get(id)).copied();
            history.resource().or_else(by_id)
        };
        if known.sorted {
            let lively = known.lively.iter().filter_map(|at| known.all.get(*at));
            let says_more = lively.filter(|history| !history.is_plain());
            self.restless.extend(says_more.filter_map(resource));
        } else {
            let says_more = known.all.iter().filter(|history| !history.is_plain());
            self.restless.extend(says_more.filter_map(resource));
        }
        if failures::has_failures(c, node) {
            let forgets = |rsc: &RscIx| super::digested::forgets_failures(c, *rsc);
            let all = known.all.iter().filter_map(resource);
            self.restless.extend(all.filter(forgets));
        }
    }
}

/// Passes over the histories of a node that need not be looked at, if that can be told of it.
pub(super) fn pass_over(c: &mut Cluster, node: NodeIx, known: &mut NodeHistories) {
    known.passed = false;
    let failed = failures::has_failures(c, node);
    let passing = c.recall.as_mut().and_then(|recall| recall.passing.as_mut());
    let Some(passing) = passing.filter(|_| known.sorted && !failed) else {
        return;
    };
    known.passed = true;
    for (rsc, _) in &known.quiet {
        if let Some(nodes) = passing.nodes.get_mut(*rsc) {
            nodes.insert(node);
        }
    }
}

/// When all histories have been read: what was passed over is known.
pub(crate) fn conclude(c: &mut Cluster) {
    let passing = c.recall.as_mut().and_then(|recall| recall.passing.as_mut());
    let Some(passing) = passing else {
        return;
    };
    let mut nodes = std::mem::take(&mut passing.nodes);
    for rsc in &passing.restless {
        if let Some(looked_at) = nodes.get_mut(*rsc) {
            *looked_at = NodeSet::default();
        }
    }
    for (rsc, nodes) in nodes.iter().enumerate() {
        if !nodes.is_empty() {
            state::note_known_on_all(c, rsc, nodes);
        }
    }
}

//! What a daemon keeps from one decision to the next, so that what has not changed is not read again.
//!
//! Documents are persistent: an edit copies the path to what it changes, and all else stays the same piece of memory.
//! What is kept holds these pieces, so that another one cannot take their address. A decision made with a memory is
//! the one that would be made without.
//!
//! | kept | depends on | dropped when |
//! |---|---|---|
//! | nodes and resources as configured, settings of operations | the element of the configuration, and three attributes of the document | another configuration, or one with rules or references in nodes, resources or defaults |
//! | what a history means | its element | the last document did not have it |
//! | which resource a history is of, that it agrees with the configuration | both of these | either is another one |
//! | which histories of a node are passed over (`history_ops::at_rest`) | the element of all histories of the node, and the configuration | either is another one |
//! | tables of the last run | nothing: they are written over, and save asking for memory | the configuration is not kept |
//!
//! Must never: keep anything that depends on time, on a rule or on a state of the cluster.

use std::{collections::BTreeMap, sync::Arc};

use cib::{Element, Word};
use indexmap::IndexMap;

use crate::{
    history_ops::at_rest::{NodeHistories, Passing},
    model::{Act, Again, Cluster, Node, NodeIx, OpMeta, Ordering, Rsc, RscIx, table_again},
    nodes::section,
};

/// What one decision leaves for the next; empty at first. Of bounded size: what the last document did not have
/// is not kept.
#[derive(Default)]
pub struct Memory {
    configuration: Option<Configuration>,
    /// By the id of the node's state.
    histories: BTreeMap<String, NodeHistories>,
    spare: Spare,
}

/// A daemon decides on other threads than the one that keeps its memory.
const _: () = {
    const fn is_sent<T: Send>() {}
    is_sent::<Memory>();
};

/// Tables of the last run, which the next writes over: nothing in them is read.
#[derive(Default)]
struct Spare {
    rscs: Vec<Rsc>,
    rsc_ids: IndexMap<String, RscIx>,
    acts: Vec<Act>,
    orderings: Vec<Ordering>,
}

impl Spare {
    /// The tables of a run that has ended. They take at most twice the room it needed.
    fn of(c: &mut Cluster) -> Self {
        let mut spare = Self {
            rscs: std::mem::take(&mut c.rscs),
            rsc_ids: std::mem::take(&mut c.rsc_ids),
            acts: std::mem::take(&mut c.acts),
            orderings: std::mem::take(&mut c.orderings),
        };
        spare.rscs.shrink_to(2 * spare.rscs.len());
        spare.acts.shrink_to(2 * spare.acts.len());
        spare.orderings.shrink_to(2 * spare.orderings.len());
        spare.acts.clear();
        spare.orderings.clear();
        spare
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let histories: usize = self.histories.values().map(NodeHistories::len).sum();
        f.debug_struct("Memory")
            .field("configuration", &self.configuration.is_some())
            .field("histories", &histories)
            .finish()
    }
}

/// A memory at work in a run.
#[derive(Default)]
pub(crate) struct Recall {
    configuration: Option<Configuration>,
    spare: Spare,
    pub(crate) same_configuration: bool,
    /// So many resources follow from the configuration that is kept.
    pub(crate) configured: usize,
    before: BTreeMap<String, NodeHistories>,
    /// Of nodes whose histories were read in this run.
    pub(crate) histories: BTreeMap<String, NodeHistories>,
    /// Histories that are passed over in this run, if it can be told which.
    pub(crate) passing: Option<Passing>,
    /// Reading settings of operations, something was said about them that has to be said every time.
    pub(crate) operations_told: bool,
}

impl Recall {
    /// What is known of the histories of a node.
    pub(crate) fn known_before(&mut self, state_id: &str) -> NodeHistories {
        let mut known = self.before.remove(state_id).unwrap_or_default();
        if !self.same_configuration {
            known.forget_configuration();
        }
        known
    }
}

/// Nodes and resources as they are read from a configuration.
struct Configuration {
    source: Source,
    nodes: Vec<Node>,
    node_names: BTreeMap<String, NodeIx>,
    node_ids: BTreeMap<String, NodeIx>,
    tags: BTreeMap<String, Vec<String>>,
    templates: BTreeMap<String, Vec<String>>,
    rscs: Vec<Rsc>,
    top: Vec<RscIx>,
    rsc_ids: IndexMap<String, RscIx>,
    problems: Vec<String>,
    rsc_defaults: Arc<BTreeMap<String, String>>,
    have_fence_device: bool,
    unfencing: bool,
    have_remote: bool,
}

/// All that nodes and resources are read from.
#[derive(PartialEq)]
struct Source {
    configuration: Same,
    /// Of the document itself.
    attributes: [Option<String>; 3],
}

/// Equal only if it is the same piece of memory.
struct Same(Element);

impl PartialEq for Same {
    fn eq(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }
}

impl Source {
    fn of(cib: &Element) -> Option<Self> {
        let attribute = |name: &str| cib.attr(name).map(str::to_owned);
        Some(Self {
            configuration: Same(cib.child("configuration")?.clone()),
            attributes: ["have-quorum", "no-quorum-panic", "dc-uuid"].map(attribute),
        })
    }
}

impl Memory {
    /// Begins a run on a document.
    pub(crate) fn recall(&mut self, cib: &Element) -> Recall {
        let source = Source::of(cib);
        let configuration = self
            .configuration
            .take()
            .filter(|kept| Some(&kept.source) == source.as_ref());
        Recall {
            same_configuration: configuration.is_some(),
            configuration,
            spare: std::mem::take(&mut self.spare),
            before: std::mem::take(&mut self.histories),
            ..Recall::default()
        }
    }

    /// Ends a run: takes over what it found out.
    pub(crate) fn keep(&mut self, c: &mut Cluster) {
        let Some(recall) = c.recall.take() else {
            return;
        };
        let recall = *recall;
        self.histories = recall.histories;
        self.configuration = recall.configuration;
        if let Some(configuration) = &mut self.configuration {
            configuration.learn(c, recall.operations_told);
            for histories in self.histories.values_mut() {
                histories.sort(&configuration.rscs);
            }
            self.spare = Spare::of(c);
        }
    }
}

impl Configuration {
    /// Keeps what a run found out about what is configured.
    fn learn(&mut self, c: &mut Cluster, operations_told: bool) {
        for (kept, used) in self.rscs.iter_mut().zip(&mut c.rscs) {
            kept.params.again(&used.params);
            // What the failure of a connection calls for depends on more than the configuration.
            let depends = operations_told || used.is_remote;
            if depends || Arc::ptr_eq(&kept.op_meta, &used.op_meta) {
                continue;
            }
            let by_time = |op: &OpMeta| op.meta.contains_key("interval-origin");
            if used.op_meta.iter().any(|(_, _, op)| by_time(op)) {
                Arc::make_mut(&mut used.op_meta).retain(|(_, _, op)| !by_time(op));
            }
            kept.op_meta = used.op_meta.clone();
        }
    }
}

/// Puts nodes and resources into the tables as they are known. Whether they are.
pub(crate) fn restore(c: &mut Cluster) -> bool {
    let Some(recall) = &mut c.recall else {
        return false;
    };
    let Some(kept) = &recall.configuration else {
        return false;
    };
    recall.configured = kept.rscs.len();
    c.nodes = kept.nodes.clone();
    c.node_names = kept.node_names.clone();
    c.node_ids = kept.node_ids.clone();
    c.tags = kept.tags.clone();
    c.templates = kept.templates.clone();
    c.rscs = std::mem::take(&mut recall.spare.rscs);
    table_again(&mut c.rscs, &kept.rscs);
    c.top = kept.top.clone();
    c.rsc_ids = std::mem::take(&mut recall.spare.rsc_ids);
    c.rsc_ids.clone_from(&kept.rsc_ids);
    c.acts = std::mem::take(&mut recall.spare.acts);
    c.orderings = std::mem::take(&mut recall.spare.orderings);
    c.problems = kept.problems.clone();
    c.rsc_defaults = kept.rsc_defaults.clone();
    c.have_fence_device = kept.have_fence_device;
    c.unfencing = kept.unfencing;
    c.have_remote = kept.have_remote;
    true
}

/// Keeps nodes and resources that were just read, if they follow from the configuration alone.
pub(crate) fn store(c: &mut Cluster) {
    let Some(recall) = &mut c.recall else {
        return;
    };
    let Some(source) = Source::of(c.cib).filter(|_| is_plain(c.cib)) else {
        return;
    };
    let other_tables = c.acts.len()
        + c.colocations.len()
        + c.locations.len()
        + c.orderings.len()
        + c.ticket_uses.len()
        + c.singletons.len();
    if other_tables > 0 || c.recheck.at_s().is_some() || c.dc.is_some() {
        return;
    }
    recall.configured = c.rscs.len();
    recall.configuration = Some(Configuration {
        source,
        nodes: c.nodes.clone(),
        node_names: c.node_names.clone(),
        node_ids: c.node_ids.clone(),
        tags: c.tags.clone(),
        templates: c.templates.clone(),
        rscs: c.rscs.clone(),
        top: c.top.clone(),
        rsc_ids: c.rsc_ids.clone(),
        problems: c.problems.clone(),
        rsc_defaults: c.rsc_defaults.clone(),
        have_fence_device: c.have_fence_device,
        unfencing: c.unfencing,
        have_remote: c.have_remote,
    });
}

/// Whether what is read of nodes and resources depends on no rule and on nothing that is elsewhere in the document.
fn is_plain(cib: &Element) -> bool {
    const RULE: Word = Word::new("rule");
    const ID_REF: Word = Word::new("id-ref");
    [
        "crm_config",
        "nodes",
        "resources",
        "rsc_defaults",
        "op_defaults",
        "tags",
    ]
    .iter()
    .filter_map(|name| section(cib, name))
    .flat_map(Element::descendants)
    .all(|element| !element.is(RULE) && element.get(ID_REF).is_none())
}

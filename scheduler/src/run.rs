//! One run of the scheduler from beginning to end, in the order in which things build on each other.

use std::collections::BTreeMap;

use cib::Element;
use indexmap::IndexMap;

use crate::{
    assign, changes, constraints, create,
    earlier::Earlier,
    explain, fencing,
    graph::Graph,
    history_ops,
    memory::{self, Memory, Recall},
    model::Cluster,
    nodes::{self, section},
    nvpairs::{self, Ids},
    options::{NoQuorum, Options},
    ordering, probes, produce, remote,
    report::{self, Planned},
    resources,
    rules::{Context, Recheck},
    score, status,
    view::View,
};

/// Everything one run found out and decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// What to do.
    pub graph: Graph,
    /// Things in the configuration that were ignored or mended.
    pub problems: Vec<String>,
    /// Planned changes, one line each.
    pub transition_summary: Vec<String>,
    /// Planned changes in parts.
    pub plan: Vec<Planned>,
    /// Score lines, if asked for.
    pub scores: Vec<String>,
    /// Room of the nodes, if asked for.
    pub utilization: Vec<String>,
    /// With scores and reasons: the score lines again, made of nothing but the reasons.
    pub score_sums: Vec<String>,
}

/// What a run writes down on its way, besides what it decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Scores.
    pub scores: bool,
    /// Room of the nodes and what takes it.
    pub utilization: bool,
    /// Why each score is what it is.
    pub reasons: bool,
    /// Private parameters are not known (somebody blotted them out): their changes are no changes.
    pub blotted: bool,
    /// Nobody wants the actions, only the planned changes: the graph names none.
    pub no_actions: bool,
    /// Rules of an earlier version, for comparing with it.
    pub earlier: Earlier,
}

/// Runs the scheduler for a moment; `trace`: with score lines.
#[must_use]
pub fn run(cib: &Element, now_s: i64, trace: bool) -> Run {
    let asked = Asked {
        scores: trace,
        ..Asked::default()
    };
    run_with(cib, now_s, asked)
}

/// Runs the scheduler for a moment and writes down what is asked for.
#[must_use]
pub fn run_with(cib: &Element, now_s: i64, asked: Asked) -> Run {
    finish(read_for(cib, now_s, asked, None), asked).0
}

/// Runs the scheduler with what was kept from an earlier run, and keeps what the next can use.
pub(crate) fn run_again(cib: &Element, now_s: i64, memory: &mut Memory) -> Run {
    let recall = Box::new(memory.recall(cib));
    let asked = Asked::default();
    let (run, mut c) = finish(read_for(cib, now_s, asked, Some(recall)), asked);
    memory.keep(&mut c);
    run
}

/// A CIB that has been read for one moment: to be looked at, and then decided on without reading it again.
pub struct Reading<'a>(Cluster<'a>);

impl<'a> Reading<'a> {
    /// Reads a CIB for the moment `now_s` (seconds since the epoch).
    #[must_use]
    pub fn of(cib: &'a Element, now_s: i64) -> Self {
        Self(read(cib, now_s))
    }

    /// Nodes and resources as they are before constraints are looked at; without histories.
    #[must_use]
    pub fn view(&self) -> View {
        View::read(&self.0)
    }

    /// Runs the scheduler and writes down what is asked for.
    #[must_use]
    pub fn decide(self, asked: Asked) -> Run {
        finish(self.0, asked).0
    }
}

fn finish(mut c: Cluster, asked: Asked) -> (Run, Cluster) {
    c.blotted = asked.blotted;
    c.earlier = asked.earlier;
    if c.earlier.fence_in_turn && !c.options.raw.contains_key("concurrent-fencing") {
        c.options.concurrent_fencing = false;
    }
    if c.earlier.held_where_active {
        for r in c.rscs.iter_mut().filter(|r| r.held) {
            r.maintenance = false;
        }
    }
    c.trace = asked.scores.then(Vec::new);
    c.utilization_trace = asked.utilization.then(Vec::new);
    decide(&mut c);
    let graph = produce::build(&mut c, !asked.no_actions);
    let plan = report::transition(&mut c);
    let run = Run {
        graph,
        transition_summary: plan.iter().map(|p| p.line(0, 0)).collect(),
        plan,
        problems: std::mem::take(&mut c.problems),
        scores: c.trace.take().unwrap_or_default(),
        score_sums: c.explain.take().map(|r| r.lines).unwrap_or_default(),
        utilization: c.utilization_trace.take().unwrap_or_default(),
    };

    (run, c)
}

/// Reads configuration and status.
pub(crate) fn read(cib: &Element, now_s: i64) -> Cluster<'_> {
    read_for(cib, now_s, Asked::default(), None)
}

/// As [`read`], for a run that writes down what is asked for.
pub(crate) fn read_for(
    cib: &Element,
    now_s: i64,
    asked: Asked,
    recall: Option<Box<Recall>>,
) -> Cluster<'_> {
    let ids = Ids::new(cib);
    let mut recheck = Recheck::default();
    let mut problems = Vec::new();
    let mut raw = BTreeMap::new();
    if let Some(config) = section(cib, "crm_config") {
        let ctx = Context {
            now_s,
            ..Context::default()
        };
        nvpairs::unpack(
            &ids,
            config,
            "cluster_property_set",
            Some("cib-bootstrap-options"),
            &ctx,
            &mut recheck,
            &mut raw,
        );
    }
    let options = Options::read(raw, &mut problems);
    let mut c = Cluster::new(cib, ids, now_s, options, recheck, problems);
    c.quorate = score::is_true(cib.attr("have-quorum"));
    let had_quorum = score::is_true(cib.attr("no-quorum-panic"));
    if c.options.no_quorum == NoQuorum::Fence && !c.quorate && !had_quorum {
        // Nothing was started yet that fencing would have to end.
        c.options.no_quorum = NoQuorum::Stop;
    }
    c.recall = recall;
    c.earlier = asked.earlier;
    if !memory::restore(&mut c) {
        nodes::unpack(&mut c);
        nodes::unpack_remote(&mut c);
        mark_dc(&mut c);
        nodes::add_builtin_attributes(&mut c);
        constraints::unpack_tags(&mut c);
        resources::unpack(&mut c);
        memory::store(&mut c);
    }

    if asked.reasons {
        explain::record::begin(&mut c);
    }
    status::unpack(&mut c);
    history_ops::apply_target_roles(&mut c);
    nodes::add_builtin_attributes(&mut c);
    c.node_order = (0..c.nodes.len()).collect();
    let mut order = std::mem::take(&mut c.node_order);
    order.sort_by(|a, b| crate::names::compare(&c.nodes[*a].name, &c.nodes[*b].name));
    let mut rank = 0;
    for (at, node) in order.iter().copied().enumerate() {
        let same = |before: usize| {
            let before = &c.nodes[order[before]].name;
            crate::names::compare(before, &c.nodes[node].name).is_eq()
        };
        if !at.checked_sub(1).is_some_and(same) {
            rank = at;
        }
        c.nodes[node].rank = rank;
    }
    c.node_order = order;
    c
}

fn mark_dc(c: &mut Cluster) {
    if let Some(dc) = c
        .cib
        .attr("dc-uuid")
        .and_then(|id| c.node_ids.get(id))
        .copied()
    {
        c.nodes[dc].is_dc = true;
    }
}

/// Decides everything that the graph is made of.
pub(crate) fn decide(c: &mut Cluster) {
    constraints::unpack(c);
    assign::apply_criteria(c);
    create::internal_constraints(c);
    changes::check(c);
    assign::assign_all(c);
    crate::failures::compare_rest(c);
    probes::schedule(c);
    create::all(c);
    remote::order(c);
    fencing::schedule(c);
    ordering::apply_all(c);
    crate::notify::create_all(c);
}

impl<'a> Cluster<'a> {
    fn new(
        cib: &'a Element,
        ids: Ids<'a>,
        now_s: i64,
        options: Options,
        recheck: Recheck,
        problems: Vec<String>,
    ) -> Self {
        Self {
            cib,
            ids,
            now_s,
            options,
            quorate: false,
            nodes: Vec::new(),
            rscs: Vec::new(),
            top: Vec::new(),
            rsc_ids: IndexMap::new(),
            node_names: BTreeMap::new(),
            node_ids: BTreeMap::new(),
            tags: BTreeMap::new(),
            templates: BTreeMap::new(),
            tickets: BTreeMap::new(),
            ticket_uses: Vec::new(),
            colocations: Vec::new(),
            locations: Vec::new(),
            orderings: Vec::new(),
            acts: Vec::new(),
            singletons: BTreeMap::new(),
            recheck,
            problems,
            trace: None,
            utilization_trace: None,
            explain: None,
            blotted: false,
            links_left: 0,
            wishes_left_out: false,
            earlier: Earlier::default(),
            recall: None,
            have_fence_device: false,
            unfencing: false,
            have_remote: false,
            dc: None,
            compare_later: Vec::new(),
            failed_ops: Vec::new(),
            node_order: Vec::new(),
            rsc_defaults: Default::default(),
            stop_needed: Vec::new(),
            last_op_metas: Default::default(),
        }
    }
}

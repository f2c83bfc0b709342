//! One run of the scheduler from beginning to end, in the order in which things build on each other.

use std::collections::BTreeMap;

use cib::Element;
use indexmap::IndexMap;

use crate::{
    assign, changes, constraints, create, explain, fencing,
    graph::Graph,
    history_ops,
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
    finish(read_for(cib, now_s, asked.reasons), asked)
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
        finish(self.0, asked)
    }
}

fn finish(mut c: Cluster, asked: Asked) -> Run {
    c.blotted = asked.blotted;
    c.trace = asked.scores.then(Vec::new);
    c.utilization_trace = asked.utilization.then(Vec::new);
    decide(&mut c);
    let graph = produce::build(&mut c, !asked.no_actions);
    let plan = report::transition(&mut c);
    Run {
        graph,
        transition_summary: plan.iter().map(|p| p.line(0, 0)).collect(),
        plan,
        problems: c.problems,
        scores: c.trace.unwrap_or_default(),
        score_sums: c.explain.map(|r| r.lines).unwrap_or_default(),
        utilization: c.utilization_trace.unwrap_or_default(),
    }
}

/// Reads configuration and status.
pub(crate) fn read(cib: &Element, now_s: i64) -> Cluster<'_> {
    read_for(cib, now_s, false)
}

/// As [`read`]; `reasons`: writes down why scores are what they are.
pub(crate) fn read_for(cib: &Element, now_s: i64, reasons: bool) -> Cluster<'_> {
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
    nodes::unpack(&mut c);
    nodes::unpack_remote(&mut c);
    mark_dc(&mut c);
    nodes::add_builtin_attributes(&mut c);
    constraints::unpack_tags(&mut c);
    resources::unpack(&mut c);
    if reasons {
        explain::record::begin(&mut c);
    }
    status::unpack(&mut c);
    history_ops::apply_target_roles(&mut c);
    nodes::add_builtin_attributes(&mut c);
    c.node_order = (0..c.nodes.len()).collect();
    let mut order = std::mem::take(&mut c.node_order);
    order.sort_by(|a, b| crate::names::compare(&c.nodes[*a].name, &c.nodes[*b].name));
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
            have_fence_device: false,
            unfencing: false,
            have_remote: false,
            dc: None,
            compare_later: Vec::new(),
            failed_ops: Vec::new(),
            node_order: Vec::new(),
            rsc_defaults: Default::default(),
            stop_needed: Vec::new(),
        }
    }
}

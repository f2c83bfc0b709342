//! Carries a graph out on paper: the CIB as it would be if every action ended as expected.

use std::collections::{BTreeMap, BTreeSet};

use cib::Element;

use crate::{
    graph::{Action, ActionKind, Graph},
    history::{self, Outcome},
    history_ops::base_name,
};

/// What a simulated transition did.
#[derive(Clone, Debug, PartialEq)]
pub struct Executed {
    /// The CIB afterwards.
    pub cib: Element,
    /// Each action, in order.
    pub steps: Vec<Step>,
}

/// One action that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing that anybody does.
    Pseudo {
        /// Its key.
        task: String,
        /// The node, of fencing that is only pretended.
        node: Option<String>,
    },
    /// Fencing.
    Fence {
        /// The node.
        target: String,
        /// `reboot`, `off` or `on`.
        op: String,
    },
    /// Something the cluster does itself.
    Cluster {
        /// What.
        task: String,
        /// Where.
        node: String,
        /// The resource it is about.
        resource: Option<String>,
    },
    /// An operation of a resource.
    Resource {
        /// The resource.
        resource: String,
        /// The operation.
        op: String,
        /// Where.
        node: String,
        /// Interval in milliseconds.
        interval_ms: u32,
    },
    /// An operation failed because it was told to.
    Failed {
        /// Number of the action in the graph.
        action: u32,
        /// Exit code.
        rc: i32,
    },
}

impl Step {
    /// In words.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Self::Pseudo { task, node: None } => format!("Pseudo action:   {task}"),
            Self::Pseudo {
                task,
                node: Some(node),
            } => format!("Pseudo action:   {task} on {node}"),
            Self::Fence { target, op } => format!("Fencing {target} ({op})"),
            Self::Cluster {
                task,
                node,
                resource: None,
            } => format!("Cluster action:  {task} on {node}"),
            Self::Cluster {
                task,
                node,
                resource: Some(resource),
            } => format!("Cluster action:  {task} for {resource} on {node}"),
            Self::Resource {
                resource,
                op,
                node,
                interval_ms: 0,
            } => format!("Resource action: {resource:<15} {op} on {node}"),
            Self::Resource {
                resource,
                op,
                node,
                interval_ms,
            } => format!("Resource action: {resource:<15} {op}={interval_ms} on {node}"),
            Self::Failed { action, rc } => {
                format!("Pretending action {action} failed with rc={rc}")
            }
        }
    }
}

/// An operation that shall fail if it is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Name of the resource, as its history has it.
    pub resource: String,
    /// The operation.
    pub op: String,
    /// Interval in milliseconds.
    pub interval_ms: u32,
    /// Where.
    pub node: String,
    /// Exit code.
    pub rc: i32,
}

/// Carries out a graph; `at_s` is written as the time of every operation.
#[must_use]
pub fn simulate(cib: &Element, graph: &Graph, at_s: i64) -> Executed {
    simulate_with(cib, graph, at_s, &[])
}

/// As [`simulate`]; nothing more is begun once one of `failing` has failed.
#[must_use]
pub fn simulate_with(cib: &Element, graph: &Graph, at_s: i64, failing: &[Failing]) -> Executed {
    let mut out = Executed {
        cib: cib.clone(),
        steps: Vec::new(),
    };
    let moment = Moment {
        at_s,
        known: &graph.known_instances,
        failing,
    };
    let mut places = Places::default();
    let mut done: BTreeSet<u32> = BTreeSet::new();
    let mut waiting: Vec<usize> = (0..graph.synapses.len()).collect();
    loop {
        let mut later = Vec::new();
        let before = done.len();
        for at in std::mem::take(&mut waiting) {
            let synapse = &graph.synapses[at];
            // What was just done counts at once, for whatever comes later in the graph.
            if !synapse.inputs.iter().all(|input| done.contains(input)) {
                later.push(at);
                continue;
            }
            for action in &synapse.actions {
                if !apply(&mut out, action, &moment, &mut places) {
                    return out;
                }
                done.insert(action.id);
            }
        }
        waiting = later;
        if done.len() == before {
            break;
        }
    }
    out
}

/// What all operations of one moment have in common.
struct Moment<'f> {
    at_s: i64,
    /// Names by which instances go from the first.
    known: &'f BTreeSet<String>,
    failing: &'f [Failing],
}

/// Whether it succeeded.
fn apply(out: &mut Executed, action: &Action, moment: &Moment, places: &mut Places) -> bool {
    let node = action.node.as_deref().unwrap_or("");
    match action.kind {
        ActionKind::Pseudo => {
            let is_fencing = action.operation == "stonith";
            out.steps.push(Step::Pseudo {
                task: action.key.clone(),
                node: action.node.clone().filter(|_| is_fencing),
            });
        }
        ActionKind::Cluster => {
            cluster_action(out, action, node);
            // Histories may have been erased.
            places.by_node.clear();
        }
        ActionKind::Resource => return resource_action(out, action, node, moment, places),
    }
    true
}

fn cluster_action(out: &mut Executed, action: &Action, node: &str) {
    match action.operation.as_str() {
        "stonith" => {
            let op = action
                .attributes
                .get("CRM_meta_stonith_action")
                .map_or("", String::as_str);
            out.steps.push(Step::Fence {
                target: node.to_owned(),
                op: op.to_owned(),
            });
            if op != "on" {
                // What guests on it did is only known when it is looked for.
                if let Some(id) = &action.node_uuid {
                    take_down(&mut out.cib, id);
                }
            }
        }
        "do_shutdown" => {
            out.steps.push(Step::Cluster {
                task: "do_shutdown".to_owned(),
                node: node.to_owned(),
                resource: None,
            });
        }
        operation => {
            let rsc = action.resource.as_ref().map_or("", |r| r.id.as_str());
            out.steps.push(Step::Cluster {
                task: operation.to_owned(),
                node: node.to_owned(),
                resource: Some(rsc.to_owned()),
            });
            if operation == "clear_failcount" {
                clear_failures(&mut out.cib, action);
            } else if operation == "lrm_delete" {
                delete_history(&mut out.cib, action);
            }
        }
    }
}

fn node_state<'c>(cib: &'c mut Element, id: &str) -> Option<&'c mut Element> {
    cib.child_mut("status")?
        .children_mut()
        .find(|s| s.name() == "node_state" && s.id() == Some(id))
}

fn take_down(cib: &mut Element, id: &str) {
    if node_state(cib, id).is_none() {
        let fresh = Element::new("node_state")
            .with_attr("id", id)
            .with_attr("in_ccm", "false");
        cib.child_or_insert("status").push(fresh);
    }
    let Some(state) = node_state(cib, id) else {
        return;
    };
    state.set_attr("in_ccm", "false");
    state.set_attr("crmd", "offline");
    state.set_attr("join", "down");
    state.set_attr("expected", "down");
    state.retain_children(|child| !matches!(child.name(), "lrm" | "transient_attributes"));
}

fn clear_failures(cib: &mut Element, action: &Action) {
    let (Some(id), Some(rsc)) = (&action.node_uuid, &action.resource) else {
        return;
    };
    let Some(attributes) = node_state(cib, id).and_then(|s| s.child_mut("transient_attributes"))
    else {
        return;
    };
    let base = base_name(&rsc.id).to_owned();
    let about = |name: &str| {
        ["fail-count-", "last-failure-"].iter().any(|prefix| {
            name.strip_prefix(prefix)
                .and_then(|rest| rest.strip_prefix(base.as_str()))
                .is_some_and(|rest| {
                    rest.is_empty() || rest.starts_with('#') || rest.starts_with(':')
                })
        })
    };
    for block in attributes.children_mut() {
        block.retain_children(|pair| !pair.attr("name").is_some_and(about));
    }
}

fn history_mut<'c>(cib: &'c mut Element, action: &Action) -> Option<&'c mut Element> {
    let id = action.node_uuid.as_deref()?;
    if node_state(cib, id).is_none() {
        let mut fresh = Element::new("node_state")
            .with_attr("id", id)
            .with_attr("uname", action.node.as_deref()?);
        if action.router_node.is_some() {
            fresh.set_attr("remote_node", "true");
        }
        cib.child_or_insert("status").push(fresh);
    }
    let state = node_state(cib, id)?;
    let lrm = state.child_or_insert("lrm");
    if lrm.id().is_none() {
        lrm.set_attr("id", id);
    }
    Some(lrm.child_or_insert("lrm_resources"))
}

fn delete_history(cib: &mut Element, action: &Action) {
    let Some(rsc) = action.resource.clone() else {
        return;
    };
    if let Some(resources) = history_mut(cib, action) {
        resources.retain_children(|r| {
            r.id() != Some(rsc.id.as_str()) && r.id() != rsc.long_id.as_deref()
        });
    }
}

/// Where the history of a resource stands among those of its node, so that it is not sought again each time.
#[derive(Default)]
struct Places {
    /// By node, then by name; nowhere, if there are several of the name: then none is it, and a new one is begun.
    by_node: BTreeMap<String, BTreeMap<String, Option<usize>>>,
}

impl Places {
    /// The places on a node.
    fn of(&mut self, node_id: &str, histories: &Element) -> &mut BTreeMap<String, Option<usize>> {
        if !self.by_node.contains_key(node_id) {
            let mut places = BTreeMap::new();
            for (at, node) in histories.nodes().iter().enumerate() {
                if let Some(id) = node.as_element().and_then(Element::id) {
                    let place = places.entry(id.to_owned());
                    place.and_modify(|at| *at = None).or_insert(Some(at));
                }
            }
            self.by_node.insert(node_id.to_owned(), places);
        }
        self.by_node.entry(node_id.to_owned()).or_default()
    }
}

/// Whether it succeeded.
fn resource_action(
    out: &mut Executed,
    action: &Action,
    node: &str,
    moment: &Moment,
    places: &mut Places,
) -> bool {
    let Some(rsc) = &action.resource else {
        return true;
    };
    // An instance goes by the plain name if a history does so.
    let shown = match &rsc.long_id {
        Some(long) if !moment.known.contains(&rsc.id) => long.clone(),
        _ => rsc.id.clone(),
    };
    let interval_ms = history::interval_ms(action);
    out.steps.push(Step::Resource {
        resource: shown.clone(),
        op: action.operation.clone(),
        node: node.to_owned(),
        interval_ms,
    });
    match action.operation.as_str() {
        "notify" => return true,
        "delete" | "lrm_delete" | "cancel" => return true,
        _ => {}
    }
    let is_it = |f: &&Failing| {
        [&rsc.id, &shown].contains(&&f.resource)
            && f.op == action.operation
            && f.interval_ms == interval_ms
            && f.node == node
    };
    let failing = moment.failing.iter().find(is_it);
    let rc = failing.map_or_else(|| history::target_rc(action), |f| f.rc);
    let Some(resources) = history_mut(&mut out.cib, action) else {
        return true;
    };
    let places = places.of(action.node_uuid.as_deref().unwrap_or_default(), resources);
    let place = places.get(&shown).copied().flatten();
    let known = place.and_then(|at| resources.nodes().get(at)?.as_element());
    let outcome = Outcome {
        transition: 0,
        maker: MAKER,
        rc,
        status: 0,
        call_id: next_call(known),
        at_s: moment.at_s,
        exec_ms: 0,
        queue_ms: 0,
        reason: None,
        node,
    };
    let recorded = mark(history::record(known, action, &outcome), &outcome).with_attr("id", &shown);
    match place.and_then(|at| resources.nodes_mut().get_mut(at)) {
        Some(old) => *old = recorded.into(),
        None => {
            let place = places.entry(shown.clone());
            place.or_insert(Some(resources.nodes().len()));
            resources.push(recorded);
        }
    }
    updated(&mut out.cib);
    let Some(failing) = failing else {
        return true;
    };
    out.steps.push(Step::Failed {
        action: action.id,
        rc: failing.rc,
    });
    if let Some(id) = &action.node_uuid {
        count_failure(&mut out.cib, id, failing, moment.at_s);
    }
    false
}

/// Stands for the maker of a transition in what a simulation writes.
const MAKER: &str = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

/// The number after the highest call in the history of a resource.
fn next_call(known: Option<&Element>) -> i64 {
    let entries = known.into_iter().flat_map(Element::children);
    let calls = entries.filter_map(|op| op.attr("call-id")?.parse::<i64>().ok());
    calls.max().unwrap_or(0).max(0) + 1
}

/// Marks the newest entry of a history as one that was only simulated: there was no transition -1.
fn mark(mut resource: Element, outcome: &Outcome) -> Element {
    let call = outcome.call_id.to_string();
    let newest = resource
        .children_mut()
        .find(|op| op.attr("call-id") == Some(call.as_str()));
    let Some(entry) = newest else {
        return resource;
    };
    let key = entry.attr("transition-key").unwrap_or_default().to_owned();
    let target = key.split(':').nth(2).unwrap_or("0");
    let key = format!("{call}:-1:{target}:{MAKER}");
    entry.set_attr("crm-debug-origin", "crm_simulate");
    entry.set_attr("transition-key", &key);
    entry.set_attr(
        "transition-magic",
        format!("{}:{};{key}", outcome.status, outcome.rc),
    );
    resource
}

/// Counts an update of the status.
pub fn updated(cib: &mut Element) {
    let number = cib.attr("num_updates").and_then(|n| n.parse::<u64>().ok());
    cib.set_attr("num_updates", (number.unwrap_or(0) + 1).to_string());
}

/// Adds one failure to the fail count of an operation on a node.
pub fn count_failure(cib: &mut Element, node_id: &str, failing: &Failing, at_s: i64) {
    let Some(state) = node_state(cib, node_id) else {
        return;
    };
    let transient = state.child_or_insert("transient_attributes");
    transient.set_attr("id", node_id);
    let set = transient.child_or_insert("instance_attributes");
    if set.id().is_none() {
        set.set_attr("id", format!("status-{node_id}"));
    }
    let set_id = set.id().unwrap_or_default().to_owned();
    let (rsc, op, interval_ms) = (
        base_name(&failing.resource),
        &failing.op,
        failing.interval_ms,
    );
    let count_name = history::fail_count_attribute(rsc, op, interval_ms);
    let known = set
        .children()
        .find(|p| p.attr("name") == Some(count_name.as_str()))
        .and_then(|p| p.attr("value")?.parse::<i64>().ok());
    let last_name = history::last_failure_attribute(rsc, op, interval_ms);
    for (name, value) in [(count_name, known.unwrap_or(0) + 1), (last_name, at_s)] {
        set.retain_children(|p| p.attr("name") != Some(name.as_str()));
        let pair = Element::new("nvpair")
            .with_attr("id", format!("{set_id}-{}", name.replace('#', ".")))
            .with_attr("name", &name)
            .with_attr("value", value.to_string());
        set.push(pair);
    }
}

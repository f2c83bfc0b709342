//! Carries a graph out on paper: the CIB as it would be if every action ended as expected.

use std::collections::BTreeSet;

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
    /// One line for each action, in order.
    pub lines: Vec<String>,
}

/// Carries out a graph; `at_s` is written as the time of every operation.
#[must_use]
pub fn simulate(cib: &Element, graph: &Graph, at_s: i64) -> Executed {
    let mut out = Executed {
        cib: cib.clone(),
        lines: Vec::new(),
    };
    let mut done: BTreeSet<u32> = BTreeSet::new();
    let mut call_id = 1_000_000;
    let mut waiting: Vec<usize> = (0..graph.synapses.len()).collect();
    loop {
        let ready: Vec<usize> = waiting
            .iter()
            .copied()
            .filter(|at| {
                graph.synapses[*at]
                    .inputs
                    .iter()
                    .all(|input| done.contains(input))
            })
            .collect();
        if ready.is_empty() {
            break;
        }
        waiting.retain(|at| !ready.contains(at));
        for at in ready {
            for action in &graph.synapses[at].actions {
                call_id += 1;
                apply(&mut out, action, call_id, at_s);
                done.insert(action.id);
            }
        }
    }
    out
}

fn apply(out: &mut Executed, action: &Action, call_id: i64, at_s: i64) {
    let node = action.node.as_deref().unwrap_or("");
    match action.kind {
        ActionKind::Pseudo => {
            out.lines.push(format!("Pseudo action:   {}", action.key));
        }
        ActionKind::Cluster => cluster_action(out, action, node),
        ActionKind::Resource => resource_action(out, action, node, call_id, at_s),
    }
}

fn cluster_action(out: &mut Executed, action: &Action, node: &str) {
    match action.operation.as_str() {
        "stonith" => {
            let op = action
                .attributes
                .get("CRM_meta_stonith_action")
                .map_or("", String::as_str);
            out.lines.push(format!("Fencing {node} ({op})"));
            if op != "on" {
                for id in &action.downed {
                    take_down(&mut out.cib, id);
                }
            }
        }
        "do_shutdown" => {
            out.lines
                .push(format!("Cluster action:  do_shutdown on {node}"));
        }
        operation => {
            let long = action
                .resource
                .as_ref()
                .map_or("", |r| r.long_id.as_deref().unwrap_or(&r.id));
            let rsc = named_by_key(action).unwrap_or(long);
            out.lines
                .push(format!("Cluster action:  {operation} for {rsc} on {node}"));
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
    if state.attr("remote_node").is_some() || state.attr("in_ccm").is_none() {
        state.set_attr("node_fenced", "1");
    } else {
        state.set_attr("in_ccm", "false");
        state.set_attr("crmd", "offline");
        state.set_attr("join", "down");
        state.set_attr("expected", "down");
    }
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

fn resource_action(out: &mut Executed, action: &Action, node: &str, call_id: i64, at_s: i64) {
    let Some(rsc) = &action.resource else {
        return;
    };
    let fresh = named_by_key(action)
        .unwrap_or_else(|| rsc.long_id.as_deref().unwrap_or(&rsc.id))
        .to_owned();
    let shown = name_in_history(&out.cib, action).unwrap_or(fresh);
    let interval_ms = history::interval_ms(action);
    let task = match interval_ms {
        0 => action.operation.clone(),
        ms => format!("{}={ms}", action.operation),
    };
    out.lines
        .push(format!("Resource action: {shown:<15} {task} on {node}"));
    match action.operation.as_str() {
        "notify" => return,
        "delete" | "lrm_delete" => return delete_history(&mut out.cib, action),
        "cancel" => return cancel(&mut out.cib, action),
        _ => {}
    }
    let outcome = Outcome {
        transition: 0,
        maker: "00000000-0000-0000-0000-000000000000",
        rc: history::target_rc(action),
        status: 0,
        call_id,
        at_s,
        exec_ms: 0,
        queue_ms: 0,
        reason: None,
        node,
    };
    let Some(resources) = history_mut(&mut out.cib, action) else {
        return;
    };
    let known = resources
        .children()
        .find(|r| r.id() == Some(shown.as_str()))
        .cloned();
    let id = shown.clone();
    let recorded = history::record(known.as_ref(), action, &outcome).with_attr("id", &id);
    let place = resources
        .children()
        .position(|r| r.id() == Some(id.as_str()));
    match place {
        Some(at) => {
            resources.replace_child(at, recorded);
        }
        None => resources.push(recorded),
    }
    if action.operation == "migrate_to" || action.operation == "stop" {
        // The frame around a migration says the rest.
    }
}

/// The resource as the history of its node knows it.
fn name_in_history(cib: &Element, action: &Action) -> Option<String> {
    let rsc = action.resource.as_ref()?;
    let state = cib
        .child("status")?
        .children_named("node_state")
        .find(|s| s.id() == action.node_uuid.as_deref())?;
    let resources = state.child("lrm")?.child("lrm_resources")?;
    let named = named_by_key(action);
    [named, rsc.long_id.as_deref(), Some(&rsc.id)]
        .into_iter()
        .flatten()
        .find(|name| resources.children().any(|r| r.id() == Some(name)))
        .map(str::to_owned)
}

/// The resource as the key of an action names it: its name in the history.
fn named_by_key(action: &Action) -> Option<&str> {
    let key = action.key.as_str();
    let attribute = |name: &str| action.attributes.get(name).map_or("", String::as_str);
    let suffix = match action.operation.as_str() {
        "notify" => format!(
            "_{}_notify_{}_0",
            attribute("CRM_meta_notify_type"),
            attribute("CRM_meta_notify_operation")
        ),
        "cancel" => format!(
            "_{}_{}",
            attribute("CRM_meta_operation"),
            attribute("CRM_meta_interval")
        ),
        operation => format!("_{operation}_{}", history::interval_ms(action)),
    };
    key.strip_suffix(suffix.as_str())
}

fn cancel(cib: &mut Element, action: &Action) {
    let Some(rsc) = action.resource.clone() else {
        return;
    };
    let operation = action
        .attributes
        .get("CRM_meta_operation")
        .cloned()
        .unwrap_or_default();
    let interval = action
        .attributes
        .get("CRM_meta_interval")
        .cloned()
        .unwrap_or_default();
    let Some(resources) = history_mut(cib, action) else {
        return;
    };
    for resource in resources.children_mut() {
        if resource.id() == Some(rsc.id.as_str()) || resource.id() == rsc.long_id.as_deref() {
            resource.retain_children(|op| {
                op.attr("operation") != Some(operation.as_str())
                    || op.attr("interval") != Some(interval.as_str())
            });
        }
    }
}

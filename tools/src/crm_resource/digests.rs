//! `--digests`: how the cluster notices that parameters have changed.

use super::{config, state::State};
use crate::common::{Failure, nodes, output::Output};
use cib::Element;
use scheduler::{digest, view::Kind};
use std::collections::BTreeMap;

/// Attributes of the cluster's own that no digest covers.
const INTERVAL: &str = "CRM_meta_interval";

/// Tells the digests of a resource's start (or recurring monitor) on a node, with parameters
/// overridden.
///
/// # Errors
/// The resource or the node is not known, or it is no primitive.
pub(super) fn tell(
    state: &State,
    resource: &str,
    node: &str,
    overrides: &[(String, String)],
    output: &mut Output,
) -> Result<(), Failure> {
    let node = nodes::find_by_any(&state.document, node)
        .ok_or_else(|| Failure::no_such(format!("Node '{node}' not found")))?;
    let place = state.find(resource)?;
    let r = state
        .resource(place)
        .filter(|r| r.kind == Kind::Primitive)
        .ok_or_else(|| Failure::usage("Resource-agent digests exist for primitives only"))?;
    let definition = state
        .definition(place)
        .ok_or_else(|| config::not_found(resource))?;
    let mut parameters = super::agents::parameters(&state.document, &definition);
    for (name, value) in overrides {
        parameters.insert(name.clone(), value.clone());
    }
    // Meta-attributes of actions are in milliseconds.
    let interval_ms: u64 = parameters
        .remove(INTERVAL)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let operation = last(state, &node, &r.name);
    let mut list = Element::new("digests")
        .with_attr("resource", resource)
        .with_attr("node", &node.name)
        .with_attr("task", "start")
        .with_attr("interval", format!("{interval_ms}ms"));
    let own = |name: &str| !digest::is_meta(name);
    let words = |attribute: &str| words(operation, attribute);
    let secret = words("op-secure-params");
    let mut kinds = vec![("all", parameters.clone())];
    if !secret.is_empty() {
        let public = |name: &str| own(name) && !secret.iter().any(|s| s == name);
        kinds.push(("nonprivate", keep(&parameters, public)));
    }
    let restart = words("op-force-restart");
    if operation.is_some_and(|o| o.attr("op-restart-digest").is_some()) {
        let wanted = |name: &str| own(name) && restart.iter().any(|s| s == name);
        kinds.push(("nonreloadable", keep(&parameters, wanted)));
    }
    output.line(&format!(
        "Digests for {resource} start on {} (interval {interval_ms}ms)",
        node.name
    ));
    for (kind, parameters) in kinds {
        let pairs = parameters.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        let hash = digest::of_parameters(pairs);
        output.line(&format!("  * {kind} parameters: {hash}"));
        let mut shown = Element::new("parameters");
        for (name, value) in &parameters {
            shown.set_attr(name, value);
        }
        list.push(
            Element::new("digest")
                .with_attr("type", kind)
                .with_attr("hash", hash)
                .with_child(shown),
        );
    }
    output.element(list);
    Ok(())
}

fn keep(
    parameters: &BTreeMap<String, String>,
    wanted: impl Fn(&str) -> bool,
) -> BTreeMap<String, String> {
    let kept = parameters.iter().filter(|(name, _)| wanted(name));
    kept.map(|(n, v)| (n.clone(), v.clone())).collect()
}

/// The newest start in the history, which says what its digests cover.
fn last<'d>(state: &'d State, node: &nodes::Node, resource: &str) -> Option<&'d Element> {
    let states = state.document.child("status")?.children_named("node_state");
    let mut states = states.filter(|s| s.id() == Some(&node.id));
    let histories = states.next()?.descendants();
    let history = histories
        .filter(|e| e.name() == "lrm_resource")
        .find(|e| e.id() == Some(resource))?;
    let mut operations = history.children_named("lrm_rsc_op");
    operations.rfind(|o| o.attr("operation") == Some("start"))
}

fn words(operation: Option<&Element>, attribute: &str) -> Vec<String> {
    let text = operation
        .and_then(|o| o.attr(attribute))
        .unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

//! `--why`: what keeps resources from running, or from being looked after.

use super::state::State;
use crate::common::{Failure, nodes, output::Output};
use cib::Element;
use scheduler::view::{Kind, Resource};

/// What is configured against a resource.
#[derive(Debug, Default)]
struct Check {
    id: String,
    remain_stopped: bool,
    not_promoted: bool,
    unmanaged: bool,
    locked_to: Option<String>,
}

/// Tells it of one resource, of what is on a node, or of everything.
///
/// # Errors
/// The resource or the node is not known.
pub(super) fn why(
    state: &State,
    resource: Option<&str>,
    node: Option<&str>,
    output: &mut Output,
) -> Result<(), Failure> {
    let node = node.map(|name| node_place(state, name)).transpose()?;
    let mut reason = Element::new("reason");
    match (resource, node) {
        (Some(name), Some(node)) => {
            let place = state.find(name)?;
            let id = id_of(state, place);
            let here = state.view.locations(place).contains(&node);
            let host = node_name(state, node);
            let not = if here { "" } else { "not " };
            output.line(&format!("Resource {id} is {not}running on host {host}"));
            let key = if here { "running_on" } else { "not_running_on" };
            reason.set_attr(key, host);
            reason.push(check(state, place).tell(output));
        }
        (Some(name), None) => {
            let place = state.find(name)?;
            let running = tell_running(state, place, output);
            reason.set_attr("running", running.to_string());
            reason.push(check(state, place).tell(output));
        }
        (None, Some(node)) => {
            let host = node_name(state, node);
            let mut resources = Element::new("resources");
            for place in running_on(state, node) {
                let id = id_of(state, place);
                output.line(&format!("Resource {id} is running on host {host}"));
                let element = Element::new("resource")
                    .with_attr("id", id)
                    .with_attr("running", "true")
                    .with_attr("host", &host);
                resources.push(element.with_child(check(state, place).tell(output)));
            }
            reason.push(resources);
        }
        (None, None) => {
            let mut resources = Element::new("resources");
            for place in state.view.top.clone() {
                let running = tell_running(state, place, output);
                let element = Element::new("resource")
                    .with_attr("id", id_of(state, place))
                    .with_attr("running", running.to_string());
                resources.push(element.with_child(check(state, place).tell(output)));
            }
            reason.push(resources);
        }
    }
    output.element(reason);
    Ok(())
}

fn node_place(state: &State, name: &str) -> Result<usize, Failure> {
    let known = nodes::find_by_any(&state.document, name);
    let name = known.map_or_else(|| name.to_owned(), |n| n.name);
    let place = state.view.nodes.iter().position(|n| n.name == name);
    place.ok_or_else(|| Failure::no_such(format!("Node '{name}' not found")))
}

fn node_name(state: &State, node: usize) -> String {
    let node = state.view.nodes.get(node);
    node.map(|n| n.name.clone()).unwrap_or_default()
}

fn id_of(state: &State, place: usize) -> String {
    let resource = state.resource(place);
    resource.map(|r| r.id.clone()).unwrap_or_default()
}

/// Primitives on a node, as its history names them.
fn running_on(state: &State, node: usize) -> Vec<usize> {
    let node = state.view.nodes.get(node);
    node.map(|n| n.running.clone()).unwrap_or_default()
}

fn tell_running(state: &State, place: usize, output: &mut Output) -> bool {
    let running = !state.view.locations(place).is_empty();
    let not = if running { "" } else { "not " };
    let id = id_of(state, place);
    output.line(&format!("Resource {id} is {not}running"));
    running
}

/// What is configured against a resource, or what it is part of.
fn check(state: &State, place: usize) -> Check {
    let named = state.view.top_of(place);
    let mut found = Check {
        id: state.constrained_id(named),
        ..Check::default()
    };
    // Only what people have configured; what is not managed for another reason is told elsewhere.
    let managed = state
        .definition(place)
        .and_then(|definition| super::parameters::meta(&state.document, &definition, "is-managed"));
    found.unmanaged = managed.is_some_and(|value| is_false(&value));
    let mut at = Some(place);
    while let Some(r) = at.and_then(|at| state.resource(at)) {
        found.add(r);
        found.locked_to = found.locked_to.or_else(|| {
            let node = state.view.nodes.get(r.locked_to?)?;
            Some(node.name.clone())
        });
        at = r.parent;
    }
    found
}

fn is_false(value: &str) -> bool {
    let words = ["false", "off", "no", "n", "0"];
    words.iter().any(|word| value.eq_ignore_ascii_case(word))
}

impl Check {
    fn add(&mut self, r: &Resource) {
        let target = r.target_role.as_deref().unwrap_or_default();
        let is = |role: &str| target.eq_ignore_ascii_case(role);
        self.remain_stopped |= is("stopped");
        self.not_promoted |=
            r.kind == Kind::Clone && r.promotable && (is("unpromoted") || is("slave"));
    }

    fn tell(&self, output: &mut Output) -> Element {
        let id = &self.id;
        let mut element = Element::new("check").with_attr("id", id);
        if self.remain_stopped {
            output.line(&format!(
                "Configuration specifies '{id}' should remain stopped"
            ));
            element.set_attr("remain_stopped", "true");
        }
        if self.not_promoted {
            output.line(&format!(
                "Configuration specifies '{id}' should not be promoted"
            ));
            element.set_attr("promotable", "false");
        }
        if self.unmanaged {
            output.line(&format!(
                "Configuration prevents cluster from stopping or starting unmanaged '{id}'"
            ));
            element.set_attr("unmanaged", "true");
        }
        if let Some(node) = &self.locked_to {
            output.line(&format!("'{id}' is locked to node {node} due to shutdown"));
            element.set_attr("locked-to-hostname", node);
        }
        element
    }
}

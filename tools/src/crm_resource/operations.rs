//! `--list-operations`: what was done, as the histories have it.

use super::state::State;
use crate::common::{Failure, codes, nodes, output::Output};
use cib::Element;

/// Tells the operations of a resource, on a node, or all. `active`: only of what is active there.
///
/// # Errors
/// The node is not known.
pub(super) fn tell(
    state: &State,
    resource: Option<&str>,
    node: Option<&str>,
    active: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    let node = match node {
        None => None,
        Some(name) => Some(
            nodes::find_by_any(&state.document, name)
                .ok_or_else(|| Failure::no_such(format!("Node '{name}' not found")))?,
        ),
    };
    let states = state
        .document
        .child("status")
        .into_iter()
        .flat_map(|s| s.children_named("node_state"))
        .filter(|s| {
            node.as_ref()
                .is_none_or(|n| s.id() == Some(&n.id) || s.attr("uname") == Some(&n.name))
        });
    let mut list = Element::new("operations");
    for node_state in states {
        let host = node_state.attr("uname").unwrap_or_default();
        let histories = node_state
            .descendants()
            .filter(|e| e.name() == "lrm_resource");
        for history in histories.filter(|h| is_of(state, h, resource)) {
            let mut operations = in_order(history);
            if active {
                operations = since_start(operations);
            }
            for operation in operations {
                one(state, history, operation, host, output, &mut list);
            }
        }
    }
    output.element(list);
    Ok(())
}

fn is_of(state: &State, history: &Element, resource: Option<&str>) -> bool {
    let Some(wanted) = resource else {
        return true;
    };
    let id = history.id().unwrap_or_default();
    let base = id.rsplit_once(':').map_or(id, |(base, _)| base);
    let named = state
        .find(wanted)
        .ok()
        .map(|place| state.constrained_id(place));
    id == wanted || base == wanted || named.is_some_and(|n| n == id || n == base)
}

/// Of operations in their order those that tell of the present activity: from the last start on, or
/// where none is known from what shows that it runs; nothing if it was stopped after that.
fn since_start(operations: Vec<&Element>) -> Vec<&Element> {
    let (mut start, mut stop, mut seen) = (None, None, None);
    for (at, operation) in operations.iter().enumerate() {
        let rc = operation.attr("rc-code").unwrap_or_default();
        match operation.attr("operation").unwrap_or_default() {
            "stop" if operation.attr("op-status") == Some("0") => stop = Some(at),
            "start" | "migrate_from" => start = Some(at),
            "promote" | "demote" => seen = Some(at),
            "monitor" if seen.is_none() && matches!(rc, "0" | "8") => seen = Some(at),
            _ => {}
        }
    }
    let start = start.or(seen);
    if stop.is_some() && start < stop {
        return Vec::new();
    }
    operations.into_iter().skip(start.unwrap_or(0)).collect()
}

/// By the number of the call; what is pending comes last.
fn in_order(history: &Element) -> Vec<&Element> {
    let mut operations: Vec<&Element> = history.children_named("lrm_rsc_op").collect();
    let call = |op: &&Element| {
        let number: Option<i64> = op.attr("call-id").and_then(|c| c.parse().ok());
        number.filter(|n| *n >= 0).unwrap_or(i64::MAX)
    };
    operations.sort_by_key(call);
    operations
}

fn one(
    state: &State,
    history: &Element,
    operation: &Element,
    host: &str,
    output: &mut Output,
    list: &mut Element,
) {
    let attr = |name: &str| operation.attr(name).unwrap_or_default();
    let id = history.id().unwrap_or_default();
    let place = instance(state, id, host);
    let resource = place.and_then(|p| state.resource(p));
    let head = place.map_or_else(
        || format!("{id}\t(removed):\t "),
        |place| crate::view::resource_line(&state.view, place),
    );
    let key = operation
        .attr("operation_key")
        .or(operation.id())
        .unwrap_or_default();
    let mut details = vec![
        format!("node={host}"),
        format!("call={}", attr("call-id")),
        format!("rc={}", attr("rc-code")),
    ];
    if let Some(at_s) = operation
        .attr("last-rc-change")
        .and_then(|t| t.parse().ok())
    {
        details.push(format!("last-rc-change='{}'", moment(at_s)));
    }
    if let Some(ms) = operation.attr("exec-time") {
        details.push(format!("exec={ms}ms"));
    }
    let status = status(attr("op-status"), attr("rc-code"));
    output.line(&format!("{head}: {key} ({}): {status}", details.join(", ")));
    let mut element = Element::new("operation")
        .with_attr("op", key)
        .with_attr("node", host)
        .with_attr("call", attr("call-id"))
        .with_attr("rc", attr("rc-code"))
        .with_attr("status", status);
    if let Some(r) = resource {
        element.set_attr("rsc", &r.id);
        element.set_attr("agent", &r.agent);
    }
    list.push(element);
}

/// The resource a history is about: the instance that is on that node, or any.
fn instance(state: &State, id: &str, host: &str) -> Option<usize> {
    let any = state.find_any(id).ok()?;
    let name = state.constrained_id(any);
    let all = 0..state.view.resources.len();
    let here = all
        .into_iter()
        .find(|at| state.constrained_id(*at) == name && is_active(state, *at, host));
    here.or(Some(any))
}

fn is_active(state: &State, place: usize, host: &str) -> bool {
    let nodes = state.resource(place).map(|r| r.running_on.as_slice());
    let mut nodes = nodes.unwrap_or_default().iter();
    nodes.any(|n| state.view.nodes.get(*n).is_some_and(|n| n.name == host))
}

/// `Sun Nov 22 20:22:53 2020`, UTC.
fn moment(at_s: i64) -> String {
    let at = jiff::Timestamp::from_second(at_s).unwrap_or_default();
    let at = at.to_zoned(jiff::tz::TimeZone::UTC);
    at.strftime("%a %b %e %H:%M:%S %Y").to_string()
}

/// How an execution ended, in the field's words.
fn status(status: &str, rc: &str) -> &'static str {
    match (status, rc) {
        ("-1", _) | (_, "193") => "Pending",
        ("0", _) => "Done",
        ("1", _) => "Cancelled",
        ("2", _) => "Timed Out",
        ("3", _) => "Not Supported",
        ("5", _) => "Not installed (hard)",
        ("6", _) => "Not connected",
        ("7", _) => "Not installed",
        ("12", _) => "Invalid",
        _ => "Error",
    }
}

/// The field's words for an agent's exit code.
pub(super) fn agent_code(rc: i32) -> &'static str {
    let code = u8::try_from(rc).ok();
    let known = codes::EXIT.iter().find(|(c, ..)| Some(*c) == code);
    match rc {
        0 => "OK",
        1 => "Error",
        _ => known.map_or("Unknown exit status", |(.., text)| text),
    }
}

//! Synthetic events: what is pretended to have happened before the scheduler decides.

use cib::Element;
use scheduler::{
    Failing, count_failure,
    graph::{Action, ActionKind, ResourceRef},
    history::{self, Outcome},
    updated,
    view::View,
};

use super::options::{Options, TicketChange};
use crate::common::{Failure, exit};

/// One change of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Injected {
    /// Quorum or watchdog: name and value.
    Setting(&'static str, String),
    /// A node: what becomes of it.
    Node(NodeChange, String),
    /// A ticket.
    Ticket(TicketChange, String),
    /// An operation, as it was given.
    Operation(String),
}

/// What becomes of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeChange {
    Up,
    Down,
    Fail,
}

/// Applies everything that is to be pretended. Nothing if there is nothing: settings alone do not count.
///
/// # Errors
/// An operation is not spelled right, or of a resource or node that does not exist.
pub(super) fn all(
    options: &Options,
    cib: &mut Element,
    view: &View,
    now_s: i64,
) -> Result<Option<Vec<Injected>>, Failure> {
    let nodes = options.node_up.len() + options.node_down.len() + options.node_fail.len();
    if nodes + options.tickets.len() + options.op_inject.len() == 0 {
        return Ok(None);
    }
    let mut done = Vec::new();
    for (name, value) in [("quorum", &options.quorum), ("watchdog", &options.watchdog)] {
        if let Some(value) = value {
            set(cib, name, value);
            done.push(Injected::Setting(name, value.clone()));
        }
    }
    for (change, names) in [
        (NodeChange::Up, &options.node_up),
        (NodeChange::Down, &options.node_down),
        (NodeChange::Fail, &options.node_fail),
    ] {
        for name in names {
            change_node(cib, change, name);
            done.push(Injected::Node(change, name.clone()));
        }
    }
    for (change, name) in &options.tickets {
        change_ticket(cib, *change, name, now_s);
        done.push(Injected::Ticket(*change, name.clone()));
    }
    for text in &options.op_inject {
        let spec = parse(text)?;
        operation(cib, view, &spec, now_s)?;
        done.push(Injected::Operation(text.clone()));
    }
    Ok(Some(done))
}

/// The operations that shall fail.
///
/// # Errors
/// One is not spelled right.
pub(super) fn failing(specs: &[String]) -> Result<Vec<Failing>, Failure> {
    specs.iter().map(|text| parse(text)).collect()
}

/// Reads `RESOURCE_TASK_INTERVAL@NODE=RC`.
fn parse(text: &str) -> Result<Failing, Failure> {
    let parsed = || {
        let (rest, rc) = text.rsplit_once('=')?;
        let (key, node) = rest.split_once('@')?;
        let (key, interval) = key.rsplit_once('_')?;
        let two_words = ["migrate_to", "migrate_from"];
        let long = two_words
            .iter()
            .find_map(|op| Some((key.strip_suffix(op)?.strip_suffix('_')?, *op)));
        let (resource, op) = long.or_else(|| key.rsplit_once('_'))?;
        Some(Failing {
            resource: resource.to_owned(),
            op: op.to_owned(),
            interval_ms: interval.parse().ok()?,
            node: node.to_owned(),
            rc: rc.parse().ok()?,
        })
    };
    parsed().ok_or_else(|| {
        Failure::usage(format!(
            "'{text}' is no operation: write RESOURCE_TASK_INTERVAL@NODE=RC, as in \
             memcached_monitor_20000@alpha=7"
        ))
    })
}

fn set(cib: &mut Element, name: &str, value: &str) {
    match name {
        "quorum" => {
            let has = matches!(value, "1" | "true" | "yes" | "on" | "y");
            cib.set_attr("have-quorum", if has { "1" } else { "0" });
        }
        _ => {
            let config = cib
                .child_or_insert("configuration")
                .child_or_insert("crm_config");
            let set = config.child_or_insert("cluster_property_set");
            if set.id().is_none() {
                set.set_attr("id", "cib-bootstrap-options");
            }
            set.retain_children(|pair| pair.attr("name") != Some("have-watchdog"));
            let pair = Element::new("nvpair")
                .with_attr("id", "cib-bootstrap-options-have-watchdog")
                .with_attr("name", "have-watchdog")
                .with_attr("value", value);
            set.push(pair);
        }
    }
    updated(cib);
}

/// A node comes up, goes down in order, or fails. One that is not configured is added.
pub(crate) fn change_node(cib: &mut Element, change: NodeChange, name: &str) {
    let id = node_id(cib, name);
    if node_state(cib, &id).is_none() {
        let fresh = Element::new("node_state")
            .with_attr("id", &id)
            .with_attr("uname", name);
        cib.child_or_insert("status").push(fresh);
        updated(cib);
    }
    if let Some(state) = node_state(cib, &id) {
        let (member, process, join, expected) = match change {
            NodeChange::Up => ("true", "online", "member", "member"),
            NodeChange::Fail => ("false", "online", "member", "member"),
            NodeChange::Down => ("false", "offline", "down", "down"),
        };
        for (attribute, value) in [
            ("in_ccm", member),
            ("crmd", process),
            ("join", join),
            ("expected", expected),
            ("crm-debug-origin", "crm_simulate"),
        ] {
            state.set_attr(attribute, value);
        }
        if change == NodeChange::Down {
            // Who leaves in order has stopped everything and takes its attributes along.
            state.retain_children(|c| !matches!(c.name(), "lrm" | "transient_attributes"));
        }
    }
    updated(cib);
}

/// Identity of a node; one that is not configured is added.
fn node_id(cib: &mut Element, name: &str) -> String {
    let nodes = cib
        .child_or_insert("configuration")
        .child_or_insert("nodes");
    let known = nodes.children().find(|n| n.attr("uname") == Some(name));
    if let Some(id) = known.and_then(Element::id) {
        return id.to_owned();
    }
    let guest = cib
        .child("status")
        .into_iter()
        .flat_map(Element::children)
        .find(|s| s.attr("uname") == Some(name));
    if let Some(id) = guest.and_then(Element::id) {
        return id.to_owned();
    }
    let fresh = Element::new("node")
        .with_attr("id", name)
        .with_attr("uname", name);
    cib.child_or_insert("configuration")
        .child_or_insert("nodes")
        .push(fresh);
    let epoch = cib.attr("epoch").and_then(|n| n.parse::<u64>().ok());
    cib.set_attr("epoch", (epoch.unwrap_or(0) + 1).to_string());
    cib.set_attr("num_updates", "0");
    name.to_owned()
}

fn node_state<'c>(cib: &'c mut Element, id: &str) -> Option<&'c mut Element> {
    let mut states = cib.child_mut("status")?.children_mut();
    states.find(|s| s.name() == "node_state" && s.id() == Some(id))
}

/// Something happens to a ticket.
pub(crate) fn change_ticket(cib: &mut Element, change: TicketChange, name: &str, now_s: i64) {
    let tickets = cib.child_or_insert("status").child_or_insert("tickets");
    if !tickets.children().any(|t| t.id() == Some(name)) {
        tickets.push(Element::new("ticket_state").with_attr("id", name));
    }
    let ticket = tickets.children_mut().find(|t| t.id() == Some(name));
    if let Some(ticket) = ticket {
        match change {
            TicketChange::Grant => {
                ticket.set_attr("granted", "true");
                ticket.set_attr("last-granted", now_s.to_string());
            }
            TicketChange::Revoke => ticket.set_attr("granted", "false"),
            TicketChange::Standby => ticket.set_attr("standby", "true"),
            TicketChange::Activate => ticket.set_attr("standby", "false"),
        }
    }
    updated(cib);
}

/// As [`operation`], of one that is spelled `RESOURCE_TASK_INTERVAL@NODE=RC`.
///
/// # Errors
/// It is not spelled right, or of a resource or node that does not exist.
pub(crate) fn operation_of(
    cib: &mut Element,
    view: &View,
    spec: &str,
    now_s: i64,
) -> Result<(), Failure> {
    operation(cib, view, &parse(spec)?, now_s)
}

/// Writes the result of an operation into the history of its node.
fn operation(cib: &mut Element, view: &View, spec: &Failing, now_s: i64) -> Result<(), Failure> {
    let missing = |what: &str, name: &str| {
        Failure::new(exit::NO_SUCH, format!("there is no {what} '{name}'"))
    };
    let place = view
        .find(&spec.resource)
        .ok_or_else(|| missing("resource", &spec.resource))?;
    let found = &view.resources[place];
    let node = view.nodes.iter().find(|n| n.name == spec.node);
    let node = node.ok_or_else(|| missing("node", &spec.node))?;
    let mut parts = found.agent.split(':').map(str::to_owned);
    let class = parts.next().unwrap_or_default();
    let rest: Vec<String> = parts.collect();
    let (provider, kind) = match rest.as_slice() {
        [provider, kind] => (Some(provider.clone()), kind.clone()),
        rest => (None, rest.join(":")),
    };
    let action = Action {
        id: 0,
        kind: ActionKind::Resource,
        operation: spec.op.clone(),
        key: format!("{}_{}_{}", spec.resource, spec.op, spec.interval_ms),
        node: Some(spec.node.clone()),
        node_uuid: Some(node.id.clone()),
        resource: Some(ResourceRef {
            id: found.name.clone(),
            class,
            provider,
            kind,
            ..ResourceRef::default()
        }),
        attributes: [("CRM_meta_interval".to_owned(), spec.interval_ms.to_string())].into(),
        ..Action::default()
    };
    change_history(cib, &action, spec, &node.id, now_s);
    Ok(())
}

fn change_history(cib: &mut Element, action: &Action, spec: &Failing, node_id: &str, now_s: i64) {
    let Some(state) = node_state(cib, node_id) else {
        return;
    };
    let lrm = state.child_or_insert("lrm");
    lrm.set_attr("id", node_id);
    let resources = lrm.child_or_insert("lrm_resources");
    let id = action
        .resource
        .as_ref()
        .map(|r| r.id.clone())
        .unwrap_or_default();
    let at = resources
        .children()
        .position(|r| r.id() == Some(id.as_str()));
    let known = at.and_then(|at| resources.children().nth(at)).cloned();
    let calls = known.iter().flat_map(|k| k.children());
    let calls = calls.filter_map(|op| op.attr("call-id")?.parse::<i64>().ok());
    let outcome = Outcome {
        maker: "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
        rc: spec.rc,
        call_id: calls.max().unwrap_or(0).max(0) + 1,
        at_s: now_s,
        node: &spec.node,
        ..Outcome::default()
    };
    let recorded = history::record(known.as_ref(), action, &outcome);
    match at {
        Some(at) => {
            resources.replace_child(at, recorded);
        }
        None => resources.push(recorded),
    }
    let found_nothing = spec.rc == 7 && spec.interval_ms == 0;
    if spec.rc != 0 && !found_nothing {
        count_failure(cib, node_id, spec, now_s);
    }
    updated(cib);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_spelled_as_in_the_field() {
        let spec = parse("memcached:0_monitor_20000@bart.example.com=7").unwrap();
        assert_eq!(
            (spec.resource.as_str(), spec.op.as_str()),
            ("memcached:0", "monitor")
        );
        assert_eq!(
            (spec.interval_ms, spec.node.as_str(), spec.rc),
            (20_000, "bart.example.com", 7)
        );
        assert_eq!(parse("vm_1_migrate_to_0@a=1").unwrap().op, "migrate_to");
        for wrong in [
            "vm_start@a=1",
            "vm_start_0=1",
            "vm_start_0@a",
            "vm_start_0@a=x",
        ] {
            assert_eq!(parse(wrong).unwrap_err().code, exit::USAGE, "{wrong}");
        }
    }
}

//! Changes of a document that people ask about ("what if …") and that remedies are made of: a small language, read,
//! written, applied to a copy, and named as the command that carries it out on a cluster.

use std::fmt;

use cib::Element;
use scheduler::view::View;

use crate::{
    common::{Failure, names, nodes},
    crm_simulate::{
        inject::{self, NodeChange},
        options::TicketChange,
    },
};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// A node comes up, goes down in order, or fails.
    Node(NodeChange, String),
    /// A node that has to be fenced is down for certain.
    Fenced(String),
    /// A node goes on standby, or ends it.
    Standby(String, bool),
    /// An attribute of a node: permanent, and set; or gone wherever it was set.
    Attribute(String, String, Option<String>),
    /// What a node has to offer: of what, how much.
    Capacity(String, String, String),
    /// The next monitor of a resource on a node fails.
    ResourceFails(String, String),
    /// Fail counts of a resource on a node are forgotten.
    ForgetFailures(String, String),
    /// As that, and the operations that failed are too.
    CleanUp(String, String),
    /// A constraint, or a rule of one, is deleted.
    Without(String),
    /// The cluster has quorum, or has not.
    Quorum(bool),
    /// Something happens to a ticket.
    Ticket(TicketChange, String),
    /// An option of the cluster.
    Setting(String, String),
    /// A meta-attribute of a resource.
    Meta(String, String, String),
    /// A resource is moved to a node, as by `crm_resource --move`.
    Move(String, String),
    /// As that, and promoted there (`crm_resource --move --promoted`).
    Promote(String, String),
}

/// The forms of the language, for messages and help.
pub(super) const FORMS: &str = "'node-online NODE', 'node-offline NODE', 'node-fail NODE', \
     'fenced NODE', 'standby NODE', 'unstandby NODE', 'attribute NODE NAME=VALUE', \
     'no-attribute NODE NAME', 'capacity NODE NAME=VALUE', 'resource-fail RESOURCE NODE', \
     'forget-failures RESOURCE NODE', 'cleanup RESOURCE NODE', 'without CONSTRAINT', \
     'quorum yes|no', 'ticket-grant TICKET', 'ticket-revoke TICKET', 'ticket-standby TICKET', \
     'ticket-activate TICKET', 'option NAME=VALUE', 'meta RESOURCE NAME=VALUE', \
     'move RESOURCE NODE', 'promote RESOURCE NODE'";

impl Edit {
    /// Reads one.
    ///
    /// # Errors
    /// It is none; the message says what there is.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let words: Vec<&str> = text.split_whitespace().collect();
        parse_words(&words).ok_or_else(|| {
            let text = format!("'{text}' is nothing that can be supposed: write one of {FORMS}");
            Failure::usage(text)
        })
    }

    /// Applies it to a document.
    ///
    /// # Errors
    /// What it names is not there.
    pub(super) fn apply(&self, cib: &mut Element, now_s: i64) -> Result<(), Failure> {
        match self {
            Self::Node(change, node) => {
                known_node(cib, node)?;
                inject::change_node(cib, *change, node);
            }
            Self::Fenced(node) => {
                known_node(cib, node)?;
                inject::change_node(cib, NodeChange::Down, node);
            }
            Self::Standby(node, true) => {
                set_node_attribute(cib, node, "instance_attributes", "standby", "on")?;
            }
            Self::Standby(node, false) => forget_attributes(cib, node, &|n| n == "standby")?,
            Self::Attribute(node, name, Some(value)) => {
                set_node_attribute(cib, node, "instance_attributes", name, value)?;
            }
            Self::Attribute(node, name, None) => {
                forget_attributes(cib, node, &|n| n == name)?;
            }
            Self::Capacity(node, name, value) => {
                set_node_attribute(cib, node, "utilization", name, value)?;
            }
            Self::ResourceFails(resource, node) => fail(cib, resource, node, now_s)?,
            Self::ForgetFailures(resource, node) => forget_failures(cib, resource, node)?,
            Self::CleanUp(resource, node) => {
                forget_failures(cib, resource, node)?;
                forget_operations(cib, resource, node);
            }
            Self::Without(id) => without(cib, id)?,
            Self::Quorum(has) => {
                cib.set_attr("have-quorum", if *has { "1" } else { "0" });
            }
            Self::Ticket(change, name) => inject::change_ticket(cib, *change, name, now_s),
            Self::Setting(name, value) => set_option(cib, name, value),
            Self::Meta(resource, name, value) => set_meta(cib, resource, name, value)?,
            Self::Move(resource, node) => move_to(cib, resource, node, "Started")?,
            Self::Promote(resource, node) => move_to(cib, resource, node, "Promoted")?,
        }
        Ok(())
    }

    /// The command that does it, and whether it works on a file (`CIB_file`) too. `None`: no command does; it is
    /// something to be done to a machine.
    pub(super) fn command(&self, cib: &Element) -> Option<(Vec<String>, bool)> {
        let (words, on_file): (Vec<&str>, bool) = match self {
            Self::Node(..) | Self::Quorum(_) | Self::ResourceFails(..) => return None,
            Self::Fenced(node) => (vec!["stonith_admin", "--confirm", node], false),
            Self::Standby(node, true) => (vec!["crm_standby", "-N", node, "-v", "on"], true),
            Self::Standby(node, false) => (vec!["crm_standby", "-N", node, "-D"], true),
            Self::Attribute(node, name, Some(value)) => (
                vec!["crm_attribute", "-N", node, "-n", name, "-v", value],
                true,
            ),
            Self::Attribute(node, name, None) => {
                let transient = is_transient(cib, node, name);
                let lifetime = if transient { "reboot" } else { "forever" };
                let words = vec![
                    "crm_attribute",
                    "-N",
                    node,
                    "-n",
                    name,
                    "-l",
                    lifetime,
                    "-D",
                ];
                (words, true)
            }
            Self::Capacity(node, name, value) => {
                let words = vec!["crm_attribute", "-N", node, "-z", "-n", name, "-v", value];
                (words, true)
            }
            Self::ForgetFailures(resource, node) => (
                vec!["crm_failcount", "-D", "-r", resource, "-N", node],
                true,
            ),
            Self::CleanUp(resource, node) => (
                vec!["crm_resource", "--cleanup", "-r", resource, "-N", node],
                false,
            ),
            Self::Without(id) => return Some((removal(cib, id), true)),
            Self::Ticket(change, name) => {
                let how = match change {
                    TicketChange::Grant => "--grant",
                    TicketChange::Revoke => "--revoke",
                    TicketChange::Standby => "--standby",
                    TicketChange::Activate => "--activate",
                };
                (vec!["crm_ticket", "-t", name, how, "--force"], true)
            }
            Self::Setting(name, value) => (
                vec!["crm_attribute", "-t", "crm_config", "-n", name, "-v", value],
                true,
            ),
            Self::Meta(resource, name, value) => {
                let words = vec![
                    "crm_resource",
                    "-r",
                    resource,
                    "--meta",
                    "-p",
                    name,
                    "-v",
                    value,
                ];
                (words, true)
            }
            Self::Move(resource, node) => (
                vec!["crm_resource", "--move", "-r", resource, "-N", node],
                true,
            ),
            Self::Promote(resource, node) => {
                let words = vec![
                    "crm_resource",
                    "--move",
                    "--promoted",
                    "-r",
                    resource,
                    "-N",
                    node,
                ];
                (words, true)
            }
        };
        Some((words.into_iter().map(str::to_owned).collect(), on_file))
    }

    /// For people, where there is no command.
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Node(NodeChange::Up, node) => {
                format!("bring {node} back (on {node}: systole cluster start)")
            }
            Self::Node(NodeChange::Down, node) => format!("stop the cluster on {node}"),
            Self::Node(NodeChange::Fail, node) => format!("{node} fails"),
            Self::Quorum(true) => "have the cluster regain quorum".to_owned(),
            Self::Quorum(false) => "the cluster loses quorum".to_owned(),
            Self::ResourceFails(resource, node) => format!("{resource} fails on {node}"),
            Self::Fenced(node) => {
                format!("make sure that {node} is down, then confirm it")
            }
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(NodeChange::Up, node) => write!(f, "node-online {node}"),
            Self::Node(NodeChange::Down, node) => write!(f, "node-offline {node}"),
            Self::Node(NodeChange::Fail, node) => write!(f, "node-fail {node}"),
            Self::Fenced(node) => write!(f, "fenced {node}"),
            Self::Standby(node, true) => write!(f, "standby {node}"),
            Self::Standby(node, false) => write!(f, "unstandby {node}"),
            Self::Attribute(node, name, Some(value)) => {
                write!(f, "attribute {node} {name}={value}")
            }
            Self::Attribute(node, name, None) => write!(f, "no-attribute {node} {name}"),
            Self::Capacity(node, name, value) => write!(f, "capacity {node} {name}={value}"),
            Self::ResourceFails(resource, node) => write!(f, "resource-fail {resource} {node}"),
            Self::ForgetFailures(resource, node) => {
                write!(f, "forget-failures {resource} {node}")
            }
            Self::CleanUp(resource, node) => write!(f, "cleanup {resource} {node}"),
            Self::Without(id) => write!(f, "without {id}"),
            Self::Quorum(has) => write!(f, "quorum {}", if *has { "yes" } else { "no" }),
            Self::Ticket(TicketChange::Grant, name) => write!(f, "ticket-grant {name}"),
            Self::Ticket(TicketChange::Revoke, name) => write!(f, "ticket-revoke {name}"),
            Self::Ticket(TicketChange::Standby, name) => write!(f, "ticket-standby {name}"),
            Self::Ticket(TicketChange::Activate, name) => write!(f, "ticket-activate {name}"),
            Self::Setting(name, value) => write!(f, "option {name}={value}"),
            Self::Meta(resource, name, value) => write!(f, "meta {resource} {name}={value}"),
            Self::Move(resource, node) => write!(f, "move {resource} {node}"),
            Self::Promote(resource, node) => write!(f, "promote {resource} {node}"),
        }
    }
}

fn parse_words(words: &[&str]) -> Option<Edit> {
    let own = |text: &str| text.to_owned();
    let pair = |text: &str| {
        let (name, value) = text.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    Some(match *words {
        ["node-online", node] => Edit::Node(NodeChange::Up, own(node)),
        ["node-offline", node] => Edit::Node(NodeChange::Down, own(node)),
        ["node-fail", node] => Edit::Node(NodeChange::Fail, own(node)),
        ["fenced", node] => Edit::Fenced(own(node)),
        ["standby", node] => Edit::Standby(own(node), true),
        ["unstandby", node] => Edit::Standby(own(node), false),
        ["attribute", node, set] => {
            let (name, value) = pair(set)?;
            Edit::Attribute(own(node), name, Some(value))
        }
        ["no-attribute", node, name] => Edit::Attribute(own(node), own(name), None),
        ["capacity", node, set] => {
            let (name, value) = pair(set)?;
            Edit::Capacity(own(node), name, value)
        }
        ["resource-fail", resource, node] => Edit::ResourceFails(own(resource), own(node)),
        ["forget-failures", resource, node] => Edit::ForgetFailures(own(resource), own(node)),
        ["cleanup", resource, node] => Edit::CleanUp(own(resource), own(node)),
        ["without", id] => Edit::Without(own(id)),
        ["quorum", "yes"] => Edit::Quorum(true),
        ["quorum", "no"] => Edit::Quorum(false),
        ["ticket-grant", name] => Edit::Ticket(TicketChange::Grant, own(name)),
        ["ticket-revoke", name] => Edit::Ticket(TicketChange::Revoke, own(name)),
        ["ticket-standby", name] => Edit::Ticket(TicketChange::Standby, own(name)),
        ["ticket-activate", name] => Edit::Ticket(TicketChange::Activate, own(name)),
        ["option", set] => {
            let (name, value) = pair(set)?;
            Edit::Setting(name, value)
        }
        ["meta", resource, set] => {
            let (name, value) = pair(set)?;
            Edit::Meta(own(resource), name, value)
        }
        ["move", resource, node] => Edit::Move(own(resource), own(node)),
        ["promote", resource, node] => Edit::Promote(own(resource), own(node)),
        _ => return None,
    })
}

fn known_node(cib: &Element, name: &str) -> Result<nodes::Node, Failure> {
    nodes::find(cib, name).ok_or_else(|| {
        let all: Vec<String> = nodes::all(cib).into_iter().map(|n| n.name).collect();
        let text = format!("there is no node '{name}'; there are {}", all.join(", "));
        Failure::no_such(text)
    })
}

fn no_resource(name: &str) -> Failure {
    Failure::no_such(format!("there is no resource '{name}'"))
}

/// Sets an attribute in the permanent part of a node.
fn set_node_attribute(
    cib: &mut Element,
    node: &str,
    block: &str,
    name: &str,
    value: &str,
) -> Result<(), Failure> {
    let node = known_node(cib, node)?;
    let list = cib
        .child_or_insert("configuration")
        .child_or_insert("nodes");
    if !list.children().any(|n| n.id() == Some(&node.id)) {
        let fresh = Element::new("node")
            .with_attr("id", &node.id)
            .with_attr("uname", &node.name);
        list.push(fresh.with_attr("type", "remote"));
    }
    let entry = list
        .children_mut()
        .find(|n| n.id() == Some(node.id.as_str()));
    if let Some(entry) = entry {
        let prefix = if block == "utilization" {
            "utilization"
        } else {
            "nodes"
        };
        set_pair(entry, block, &format!("{prefix}-{}", node.id), name, value);
    }
    Ok(())
}

/// Sets a pair in the first block of a kind that holds always; it is made if there is none.
fn set_pair(owner: &mut Element, block: &str, new_id: &str, name: &str, value: &str) {
    for set in owner.children_mut().filter(|b| b.name() == block) {
        if let Some(pair) = set.children_mut().find(|p| p.attr("name") == Some(name)) {
            pair.set_attr("value", value);
            return;
        }
    }
    let free = |b: &Element| b.name() == block && b.child("rule").is_none() && b.id().is_some();
    let at = owner.children().position(free);
    if at.is_none() {
        owner.push(Element::new(block).with_attr("id", new_id));
    }
    if let Some(set) = owner.children_mut().find(|b| free(b)) {
        let id = set.id().unwrap_or(new_id).to_owned();
        let pair = Element::new("nvpair")
            .with_attr("id", format!("{id}-{}", names::sanitized(name)))
            .with_attr("name", name)
            .with_attr("value", value);
        set.push(pair);
    }
}

fn set_option(cib: &mut Element, name: &str, value: &str) {
    let config = cib
        .child_or_insert("configuration")
        .child_or_insert("crm_config");
    let id = "cib-bootstrap-options";
    set_pair(config, "cluster_property_set", id, name, value);
}

/// Forgets attributes of a node, permanent and transient.
fn forget_attributes(
    cib: &mut Element,
    node: &str,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<(), Failure> {
    let node = known_node(cib, node)?;
    let permanent = cib
        .child_mut("configuration")
        .and_then(|c| c.child_mut("nodes"));
    forget_in(permanent, &node.id, wanted);
    forget_in(cib.child_mut("status"), &node.id, wanted);
    Ok(())
}

fn forget_in(section: Option<&mut Element>, id: &str, wanted: &dyn Fn(&str) -> bool) {
    let Some(section) = section else {
        return;
    };
    for entry in section.children_mut().filter(|n| n.id() == Some(id)) {
        forget_below(entry, wanted);
    }
}

fn forget_below(element: &mut Element, wanted: &dyn Fn(&str) -> bool) {
    let is_it = |e: &Element| e.name() == "nvpair" && e.attr("name").is_some_and(wanted);
    element.retain_children(|child| !is_it(child));
    for child in element.children_mut() {
        if matches!(child.name(), "transient_attributes" | "instance_attributes") {
            forget_below(child, wanted);
        }
    }
}

fn is_transient(cib: &Element, node: &str, name: &str) -> bool {
    let Some(node) = nodes::find(cib, node) else {
        return false;
    };
    let all = nodes::transient_attributes(cib, &node);
    all.into_iter().any(|(known, _)| known == name)
}

/// Whether the name of a fail count (without its prefix) is about a resource or an instance of it.
fn is_of(rest: &str, resource: &str) -> bool {
    let name = rest.split_once('#').map_or(rest, |(name, _)| name);
    name == resource || base(name) == resource
}

/// An id without the number of an instance.
pub(super) fn base(id: &str) -> &str {
    match id.rsplit_once(':') {
        Some((base, number)) if number.bytes().all(|b| b.is_ascii_digit()) => base,
        _ => id,
    }
}

fn forget_failures(cib: &mut Element, resource: &str, node: &str) -> Result<(), Failure> {
    let about = |name: &str| {
        ["fail-count-", "last-failure-"].iter().any(|prefix| {
            name.strip_prefix(prefix)
                .is_some_and(|r| is_of(r, resource))
        })
    };
    forget_attributes(cib, node, &about)
}

/// Forgets what is known of a resource on a node, as a clean-up does before it is looked for again.
fn forget_operations(cib: &mut Element, resource: &str, node: &str) {
    let id = nodes::find(cib, node).map(|n| n.id);
    let Some(status) = cib.child_mut("status") else {
        return;
    };
    for state in status.children_mut().filter(|s| s.id() == id.as_deref()) {
        let list = state
            .child_mut("lrm")
            .and_then(|lrm| lrm.child_mut("lrm_resources"));
        if let Some(list) = list {
            list.retain_children(|r| !r.id().is_some_and(|id| is_of(id, resource)));
        }
    }
}

/// Records a failed monitor.
fn fail(cib: &mut Element, resource: &str, node: &str, now_s: i64) -> Result<(), Failure> {
    known_node(cib, node)?;
    let definition = cib.find_id(resource).ok_or_else(|| no_resource(resource))?;
    let monitors = definition
        .descendants()
        .filter(|op| op.name() == "op" && op.attr("name") == Some("monitor"));
    let interval_ms = monitors
        .filter_map(|op| ocf_runner::metadata::parse_ms(op.attr("interval")?))
        .find(|ms| *ms > 0);
    let interval_ms = interval_ms.unwrap_or(10_000);
    let spec = format!("{resource}_monitor_{interval_ms}@{node}=1");
    let view = View::of_status(cib, now_s);
    inject::operation_of(cib, &view, &spec, now_s)
}

/// Deletes a constraint or a rule.
fn without(cib: &mut Element, id: &str) -> Result<(), Failure> {
    let list = cib
        .child_mut("configuration")
        .and_then(|c| c.child_mut("constraints"));
    let Some(list) = list else {
        return Err(no_constraint(id));
    };
    let before = list.children().count();
    list.retain_children(|c| c.id() != Some(id));
    if list.children().count() < before {
        return Ok(());
    }
    let mut found = false;
    for constraint in list.children_mut() {
        let rules = constraint.children().count();
        constraint.retain_children(|rule| rule.id() != Some(id));
        found |= constraint.children().count() < rules;
    }
    // A constraint without anything in it says nothing.
    let says_something = |c: &Element| {
        c.name() != "rsc_location" || c.attr("node").is_some() || c.children().next().is_some()
    };
    list.retain_children(says_something);
    if found {
        Ok(())
    } else {
        Err(no_constraint(id))
    }
}

fn no_constraint(id: &str) -> Failure {
    Failure::no_such(format!("there is no constraint '{id}'"))
}

/// The command that deletes a constraint or a rule.
fn removal(cib: &Element, id: &str) -> Vec<String> {
    let own = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
    if let Some(resource) = id.strip_prefix("cli-prefer-") {
        return own(&["crm_resource", "--clear", "-r", resource]);
    }
    let ban = id.strip_prefix("cli-ban-");
    if let Some((resource, node)) = ban.and_then(|rest| rest.rsplit_once("-on-")) {
        return own(&["crm_resource", "--clear", "-r", resource, "-N", node]);
    }
    let name = cib.find_id(id).map_or("rsc_location", Element::name);
    let xml = Element::new(name).with_attr("id", id).to_xml_compact();
    own(&[
        "cibadmin",
        "--delete",
        "-o",
        "constraints",
        "--xml-text",
        &xml,
    ])
}

fn set_meta(cib: &mut Element, resource: &str, name: &str, value: &str) -> Result<(), Failure> {
    let resources = cib
        .child_mut("configuration")
        .and_then(|c| c.child_mut("resources"));
    let found = resources.and_then(|r| find_mut(r, resource));
    let found = found.ok_or_else(|| no_resource(resource))?;
    let id = format!("{resource}-meta_attributes");
    set_pair(found, "meta_attributes", &id, name, value);
    Ok(())
}

fn find_mut<'e>(element: &'e mut Element, id: &str) -> Option<&'e mut Element> {
    for child in element.children_mut() {
        if child.id() == Some(id) {
            return Some(child);
        }
        if matches!(child.name(), "group" | "clone" | "master" | "bundle")
            && let Some(found) = find_mut(child, id)
        {
            return Some(found);
        }
    }
    None
}

/// As `crm_resource --move -N`: any earlier preference and the ban from the node go, a preference comes.
fn move_to(cib: &mut Element, resource: &str, node: &str, role: &str) -> Result<(), Failure> {
    let node = known_node(cib, node)?.name;
    if cib.find_id(resource).is_none() {
        return Err(no_resource(resource));
    }
    let list = cib
        .child_or_insert("configuration")
        .child_or_insert("constraints");
    let prefer = format!("cli-prefer-{resource}");
    let ban = format!("cli-ban-{resource}-on-{node}");
    list.retain_children(|c| c.id() != Some(&prefer) && c.id() != Some(&ban));
    let constraint = Element::new("rsc_location")
        .with_attr("id", &prefer)
        .with_attr("rsc", resource)
        .with_attr("role", role)
        .with_attr("node", &node)
        .with_attr("score", "INFINITY");
    list.push(constraint);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written_the_same() {
        let forms = FORMS.split('\'').skip(1).step_by(2);
        let mut seen = 0;
        for form in forms {
            let text = form.replace("yes|no", "no");
            assert_eq!(Edit::parse(&text).unwrap().to_string(), text);
            seen += 1;
        }
        assert_eq!(seen, 22);
        for wrong in [
            "",
            "node-online",
            "meta r name",
            "quorum maybe",
            "explode n1",
        ] {
            assert!(Edit::parse(wrong).is_err(), "{wrong}");
        }
    }
}

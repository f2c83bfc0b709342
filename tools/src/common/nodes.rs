//! Which nodes a configuration names: members of the cluster, remote nodes and guests.

use super::{Failure, source::Source};
use cib::Element;

/// How a node takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A member that runs the daemons.
    Cluster,
    /// A virtual machine or container that a resource starts.
    Guest,
    /// A host that a connection resource leads to.
    Remote,
}

impl Kind {
    /// The field's word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Guest => "guest",
            Self::Remote => "remote",
        }
    }
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// `uname`.
    pub(crate) name: String,
    /// Its number in the cluster; of guests and remote nodes the name.
    pub(crate) id: String,
    /// How it takes part.
    pub(crate) kind: Kind,
}

impl Node {
    /// Whether it is no member of its own.
    pub(crate) fn is_remote(&self) -> bool {
        self.kind != Kind::Cluster
    }
}

/// Every node of the document: members, then guests, then remote nodes, each in document order.
pub(crate) fn all(document: &Element) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for node in members(document).into_iter().chain(guests(document)) {
        if !nodes.iter().any(|n| n.name == node.name) {
            nodes.push(node);
        }
    }
    nodes.extend(remotes(document, &nodes));
    nodes
}

/// The node of this name.
pub(crate) fn find(document: &Element, name: &str) -> Option<Node> {
    let same = |n: &Node| n.name.eq_ignore_ascii_case(name);
    all(document).into_iter().find(same)
}

/// The node of this name or number.
pub(crate) fn find_by_any(document: &Element, name: &str) -> Option<Node> {
    let by_number = || all(document).into_iter().find(|n| n.id == name);
    find(document, name).or_else(by_number)
}

/// The node that is meant: the one of this name or number, else the caller's own.
///
/// # Errors
/// There is none.
pub(crate) fn meant(
    document: &Element,
    wanted: Option<&str>,
    source: &Source,
) -> Result<Node, Failure> {
    let name = wanted.map_or_else(|| source.own_node(), str::to_owned);
    find_by_any(document, &name)
        .ok_or_else(|| Failure::no_such(format!("there is no node '{name}'")))
}

fn configuration(document: &Element) -> Option<&Element> {
    document.child("configuration")
}

fn members(document: &Element) -> Vec<Node> {
    let listed = configuration(document)
        .and_then(|c| c.child("nodes"))
        .into_iter()
        .flat_map(|n| n.children_named("node"))
        .filter(|n| !matches!(n.attr("type"), Some("remote")));
    let node = |n: &Element| {
        Some(Node {
            name: n.attr("uname")?.to_owned(),
            id: n.id()?.to_owned(),
            kind: Kind::Cluster,
        })
    };
    listed.filter_map(node).collect()
}

fn primitives(document: &Element) -> impl Iterator<Item = &Element> {
    configuration(document)
        .and_then(|c| c.child("resources"))
        .into_iter()
        .flat_map(Element::descendants)
        .filter(|e| e.name() == "primitive")
}

/// Primitives with the meta-attribute `remote-node`.
fn guests(document: &Element) -> Vec<Node> {
    let name = |p: &Element| {
        let sets = p.children_named("meta_attributes");
        let mut pairs = sets.flat_map(|s| s.children_named("nvpair"));
        let pair = pairs.find(|n| n.attr("name") == Some("remote-node"))?;
        pair.attr("value").map(str::to_owned)
    };
    primitives(document)
        .filter_map(name)
        .map(|name| Node {
            id: name.clone(),
            name,
            kind: Kind::Guest,
        })
        .collect()
}

/// Connections of `ocf:pacemaker:remote`, and whatever else is said to be remote.
fn remotes(document: &Element, known: &[Node]) -> Vec<Node> {
    let connections = primitives(document)
        .filter(|p| p.attr("type") == Some("remote") && p.attr("provider") == Some("pacemaker"))
        .filter_map(Element::id);
    let states = document
        .child("status")
        .into_iter()
        .flat_map(|s| s.children_named("node_state"))
        .filter(|s| s.attr("remote_node") == Some("true"))
        .filter_map(|s| s.attr("uname"));
    let listed = configuration(document)
        .and_then(|c| c.child("nodes"))
        .into_iter()
        .flat_map(|n| n.children_named("node"))
        .filter(|n| n.attr("type") == Some("remote"))
        .filter_map(|n| n.attr("uname"));
    let mut found: Vec<Node> = Vec::new();
    for name in connections.chain(listed).chain(states) {
        let is_known = |n: &Node| n.name == name;
        if !known.iter().any(is_known) && !found.iter().any(is_known) {
            found.push(Node {
                name: name.to_owned(),
                id: name.to_owned(),
                kind: Kind::Remote,
            });
        }
    }
    found
}

/// The transient attributes of a node that are set, in document order.
pub(crate) fn transient_attributes(document: &Element, node: &Node) -> Vec<(String, String)> {
    document
        .child("status")
        .into_iter()
        .flat_map(|s| s.children_named("node_state"))
        .filter(|s| s.id() == Some(&node.id) || s.attr("uname") == Some(&node.name))
        .flat_map(|s| s.children_named("transient_attributes"))
        .flat_map(Element::descendants)
        .filter(|e| e.name() == "nvpair")
        .filter_map(|p| Some((p.attr("name")?.to_owned(), p.attr("value")?.to_owned())))
        .collect()
}

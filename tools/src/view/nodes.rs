//! Nodes and their attributes as outlines.

use scheduler::view::{Node, NodeKind};

use super::{Outline, Scene, Section, brief, describe, resources};

/// The list of nodes: those in a special state in lines of their own, the others by their state.
pub(super) fn outline(scene: &Scene<'_>) -> Option<Outline> {
    if !scene.show.sections.has(Section::Nodes) {
        return None;
    }
    let nodes = scene.view.nodes.iter().enumerate();
    let nodes: Vec<(usize, &Node)> = nodes.filter(|(at, _)| scene.filter.has_node(*at)).collect();
    let mut items = Vec::new();
    let mut lists: [Vec<&str>; 5] = Default::default();
    let alone = scene.show.by_node || scene.show.detail;
    for (_, node) in &nodes {
        match list_of(node) {
            _ if scene.show.detail => items.push(line(scene, node)),
            Some(None) => {}
            Some(Some(_)) if alone => items.push(line(scene, node)),
            Some(Some(list)) => lists[list].push(&node.name),
            None => items.push(line(scene, node)),
        }
    }
    for (title, names) in TITLES.iter().zip(&lists) {
        if !names.is_empty() {
            items.push(Outline::item(format!("{title}: [ {} ]", names.join(" "))));
        }
    }
    (!nodes.is_empty()).then(|| Outline::list("Node List", items))
}

const TITLES: [&str; 5] = [
    "Online",
    "OFFLINE",
    "RemoteOnline",
    "RemoteOFFLINE",
    "GuestOnline",
];

/// In which of the lists a node is; in none (a guest that is down); nothing if it needs a line of its own.
fn list_of(node: &Node) -> Option<Option<usize>> {
    match (describe::node_state(node).as_str(), node.kind) {
        ("online", NodeKind::Member) => Some(Some(0)),
        ("OFFLINE", NodeKind::Member) => Some(Some(1)),
        ("online", NodeKind::Remote) => Some(Some(2)),
        ("OFFLINE", NodeKind::Remote) => Some(Some(3)),
        ("online", NodeKind::Guest) => Some(Some(4)),
        ("OFFLINE", NodeKind::Guest) => Some(None),
        _ => None,
    }
}

fn line(scene: &Scene<'_>, node: &Node) -> Outline {
    let name = describe::node_name(scene.view, node, scene.show.detail);
    let kind = match node.kind {
        NodeKind::Member => "Node",
        NodeKind::Remote => "RemoteNode",
        NodeKind::Guest => "GuestNode",
    };
    let mut title = format!("{kind} {name}: {}", describe::node_state(node));
    if let Some(features) = node.feature_set.as_ref().filter(|_| scene.show.detail) {
        title.push_str(&format!(", feature set {features}"));
    }
    if !scene.show.by_node {
        return Outline::Item(title);
    }
    let running: Vec<usize> = node
        .running
        .iter()
        .copied()
        .filter(|r| scene.filter.has(scene.view, *r, true))
        .collect();
    let items = if scene.show.brief {
        brief::lines(scene, &running, brief::Where::Clear)
    } else {
        let lines = running.iter().map(|r| resources::bare_line(scene, *r));
        lines.collect()
    };
    if scene.show.brief && items.is_empty() {
        return Outline::list(title, Vec::new());
    }
    Outline::list(title, vec![Outline::list("Resources", items)])
}

/// Attributes of the nodes that are up.
pub(super) fn attributes(scene: &Scene<'_>) -> Option<Outline> {
    if !scene.show.sections.has(Section::Attributes) {
        return None;
    }
    let mut items = Vec::new();
    for (at, node) in scene.view.nodes.iter().enumerate() {
        if !node.online || node.attributes.is_empty() || !scene.filter.has_node(at) {
            continue;
        }
        let lines = node.attributes.iter().map(|a| {
            let mut line = format!("{:<32}\t: {:<10}", a.name, a.value);
            if let Some(expected) = a.expected {
                line.push_str(&connectivity(&a.value, expected));
            }
            Outline::Item(line)
        });
        let name = describe::node_name(scene.view, node, scene.show.detail);
        items.push(Outline::list(format!("Node: {name}"), lines.collect()));
    }
    (!items.is_empty()).then(|| Outline::list("Node Attributes", items))
}

fn connectivity(value: &str, expected: i64) -> String {
    match value.parse::<i64>().unwrap_or(0) {
        value if value <= 0 => "\t: Connectivity is lost".to_owned(),
        value if value < expected => {
            format!("\t: Connectivity is degraded (Expected={expected})")
        }
        _ => String::new(),
    }
}

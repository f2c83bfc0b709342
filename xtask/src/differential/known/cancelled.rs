//! Cancellations that 3.0.2 has and 2.1.5 has not.

use super::super::compare::{Part, Said};
use cib::Element;
use std::collections::BTreeMap;

/// Takes them out of what we say, where the peer does not say them.
pub(super) fn explain(cib: &Element, ours: &mut Said, peer: &Said, met: &mut Vec<&'static str>) {
    let held = held_resources(cib);
    if let (Some(ours), Some(peer)) = (ours.get_mut(&Part::Graph), peer.get(&Part::Graph)) {
        ours.retain(|line| {
            let name = match peer.contains(line) || line.contains(" AFTER ") {
                true => None,
                false => cancelled(&held, line),
            };
            met.extend(name);
            name.is_none()
        });
    }
    if let (Some(ours), Some(peer)) = (ours.get_mut(&Part::Summary), peer.get(&Part::Summary)) {
        ours.retain(|line| {
            let name = match peer.contains(line) {
                true => None,
                false => cancel_shown(&held, line),
            };
            met.extend(name);
            name.is_none()
        });
    }
}

const HELD: &str = "a resource that is active on a node in maintenance is so everywhere";

/// A monitor of a resource in maintenance is cancelled, also where only another node of it is.
fn cancelled(held: &BTreeMap<String, Vec<String>>, line: &str) -> Option<&'static str> {
    if !line.contains(" operation=cancel ") {
        return None;
    }
    let key = word(line, "operation_key=")?;
    let rsc = key.rsplit_once("_monitor_")?.0;
    let node = word(line, "on_node=")?;
    elsewhere(held, rsc, node).then_some(HELD)
}

/// `* Resource action: RSC cancel=INTERVAL on NODE`
fn cancel_shown(held: &BTreeMap<String, Vec<String>>, line: &str) -> Option<&'static str> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["*", "Resource", "action:", rsc, what, "on", node] if what.starts_with("cancel=") => {
            elsewhere(held, rsc, node).then_some(HELD)
        }
        _ => None,
    }
}

fn elsewhere(held: &BTreeMap<String, Vec<String>>, rsc: &str, node: &str) -> bool {
    held.get(base(rsc))
        .is_some_and(|nodes| !nodes.iter().any(|n| n == node))
}

/// Resources with a history on nodes in maintenance, and these nodes.
fn held_resources(cib: &Element) -> BTreeMap<String, Vec<String>> {
    let in_maintenance = |element: &Element| {
        element.descendants().any(|e| {
            e.attr("name") == Some("maintenance")
                && e.attr("value").is_some_and(|v| v == "true" || v == "on")
        })
    };
    let nodes = cib.child("configuration").and_then(|c| c.child("nodes"));
    let nodes: Vec<&str> = nodes
        .into_iter()
        .flat_map(Element::children)
        .filter(|n| in_maintenance(n))
        .filter_map(|n| n.attr("uname"))
        .collect();
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for state in cib.child("status").into_iter().flat_map(Element::children) {
        let name = state.attr("uname").unwrap_or_default();
        if !nodes.contains(&name) && !in_maintenance(state) {
            continue;
        }
        let histories = state.descendants().filter(|e| e.name() == "lrm_resource");
        for id in histories.filter_map(|e| e.attr("id")) {
            let held = out.entry(base(id).to_owned()).or_default();
            held.push(name.to_owned());
        }
    }
    out
}

fn word<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    line.split_whitespace().find_map(|w| w.strip_prefix(name))
}

fn base(id: &str) -> &str {
    id.split(':').next().unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(document: &str, part: Part, line: &str) -> Vec<String> {
        let cib = Element::parse(document).unwrap();
        let mut ours = Said::from([(part, vec![line.to_owned()])]);
        explain(
            &cib,
            &mut ours,
            &Said::from([(part, Vec::new())]),
            &mut Vec::new(),
        );
        ours.remove(&part).unwrap()
    }

    #[test]
    fn only_monitors_elsewhere_of_what_a_node_in_maintenance_holds() {
        let document = r#"<cib><configuration><nodes><node id="1" uname="n"><instance_attributes id="a"><nvpair id="b" name="maintenance" value="true"/></instance_attributes></node></nodes></configuration><status><node_state id="1" uname="n"><lrm id="1"><lrm_resources><lrm_resource id="r"/></lrm_resources></lrm></node_state></status></cib>"#;
        let shown =
            |rsc: &str, node: &str| format!("* Resource action: {rsc} cancel=10000 on {node}");
        assert!(left(document, Part::Summary, &shown("r", "m")).is_empty());
        assert_eq!(left(document, Part::Summary, &shown("r", "n")).len(), 1);
        assert_eq!(left(document, Part::Summary, &shown("s", "m")).len(), 1);
    }
}

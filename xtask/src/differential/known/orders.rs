//! Orders and cancellations that 3.0.2 has and 2.1.5 has not.

use super::super::compare::{Part, Said};
use cib::Element;
use std::collections::BTreeMap;

/// Takes them out of what we say, where the peer does not say them.
pub(super) fn explain(cib: &Element, ours: &mut Said, peer: &Said, met: &mut Vec<&'static str>) {
    let held = held_resources(cib);
    if let (Some(ours), Some(peer)) = (ours.get_mut(&Part::Graph), peer.get(&Part::Graph)) {
        let groups = groups(cib);
        let ordered = ordered_clones(cib);
        ours.retain(|line| {
            let name = match line.split_once(" AFTER ") {
                _ if peer.contains(line) => None,
                Some((then, first)) => later_member(&groups, then, first)
                    .or_else(|| later_instance(&ordered, then, first)),
                None => cancelled(&held, line),
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

/// A member of a group starts only after a later one, which is up without it, has stopped.
fn later_member(groups: &[Vec<String>], then: &str, first: &str) -> Option<&'static str> {
    // What the stop waits for, a probe, the start then waits for too.
    let ended = operation(first, "stop").or_else(|| operation(first, "monitor"));
    let (starts, stops) = (operation(then, "start")?, ended?);
    let place = |group: &[String], id: &str| group.iter().position(|m| m == base(id));
    let together = |group: &Vec<String>| {
        place(group, &starts)
            .zip(place(group, &stops))
            .is_some_and(|(a, b)| a < b)
    };
    groups
        .iter()
        .any(together)
        .then_some("a member of a group starts after the stop of a later one that is up without it")
}

/// Instances of an ordered clone wait for every earlier one, not just for the one before.
fn later_instance(ordered: &[String], then: &str, first: &str) -> Option<&'static str> {
    let both = |task: &str| Some((operation(then, task)?, operation(first, task)?));
    let (then, first, ahead) = match (both("start"), both("stop")) {
        (Some((then, first)), _) => (then, first, 1),
        (None, Some((then, first))) => (then, first, -1),
        (None, None) => return None,
    };
    let apart = (number(&then)? - number(&first)?) * ahead;
    let same = base(&then) == base(&first) && ordered.iter().any(|id| id == base(&then));
    (same && apart > 1).then_some("instances of an ordered clone wait for all earlier ones")
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

fn groups(cib: &Element) -> Vec<Vec<String>> {
    let groups = cib.descendants().filter(|e| e.name() == "group");
    groups
        .map(|g| {
            let members = g.children().filter(|e| e.name() == "primitive");
            let ids = members.filter_map(|e| e.attr("id"));
            ids.map(str::to_owned).collect()
        })
        .collect()
}

/// What is in ordered clones: a group and its members, or a primitive.
fn ordered_clones(cib: &Element) -> Vec<String> {
    let is_ordered = |e: &&Element| {
        let options = e.children().filter(|c| c.name() == "meta_attributes");
        options.flat_map(Element::children).any(|o| {
            o.attr("name") == Some("ordered") && o.attr("value").is_some_and(|v| v == "true")
        })
    };
    let clones = cib.descendants().filter(|e| e.name() == "clone");
    clones
        .filter(is_ordered)
        .flat_map(Element::descendants)
        .filter(|e| matches!(e.name(), "primitive" | "group"))
        .filter_map(|e| e.attr("id"))
        .map(str::to_owned)
        .collect()
}

/// The resource, with its number, that a step starts or stops.
fn operation(step: &str, task: &str) -> Option<String> {
    let key = word(step, "internal_operation_key=").or_else(|| word(step, "operation_key="))?;
    let end = format!("_{task}_0");
    key.strip_suffix(end.as_str()).map(str::to_owned)
}

fn word<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    line.split_whitespace().find_map(|w| w.strip_prefix(name))
}

fn base(id: &str) -> &str {
    id.split(':').next().unwrap_or(id)
}

fn number(id: &str) -> Option<i64> {
    id.rsplit_once(':')?.1.parse().ok()
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
    fn only_a_start_before_the_stop_of_a_later_member() {
        let document = r#"<cib><group id="g"><primitive id="a"/><primitive id="b"/></group></cib>"#;
        let line = |then: &str, first: &str| {
            format!("[0] rsc_op operation_key={then} AFTER rsc_op operation_key={first}")
        };
        assert!(left(document, Part::Graph, &line("a_start_0", "b_stop_0")).is_empty());
        assert_eq!(
            left(document, Part::Graph, &line("b_start_0", "a_stop_0")).len(),
            1
        );
        assert_eq!(
            left(document, Part::Graph, &line("a_start_0", "c_stop_0")).len(),
            1
        );
    }

    #[test]
    fn only_instances_of_ordered_clones_with_others_between() {
        let clone = |value: &str| {
            format!(
                r#"<cib><clone id="c"><meta_attributes id="m"><nvpair id="n" name="ordered" value="{value}"/></meta_attributes><primitive id="a"/></clone></cib>"#
            )
        };
        let line = |then: &str, first: &str| {
            format!("[0] rsc_op operation_key={then} AFTER rsc_op operation_key={first}")
        };
        let far = line("a:2_start_0", "a:0_start_0");
        assert!(left(&clone("true"), Part::Graph, &far).is_empty());
        assert_eq!(left(&clone("false"), Part::Graph, &far).len(), 1);
        let near = line("a:1_start_0", "a:0_start_0");
        assert_eq!(left(&clone("true"), Part::Graph, &near).len(), 1);
        let back = line("a:0_start_0", "a:2_start_0");
        assert_eq!(left(&clone("true"), Part::Graph, &back).len(), 1);
        assert!(
            left(
                &clone("true"),
                Part::Graph,
                &line("a:0_stop_0", "a:2_stop_0")
            )
            .is_empty()
        );
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

//! The devices and levels of a configuration. What is wrong in it is data: it goes on with the rest.

use crate::{
    device::Device,
    text::host_list,
    topology::{Level, Target, Topology},
};
use cib::Element;
use regex_lite::Regex;
use std::collections::{BTreeMap, BTreeSet};

/// Something in the configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line in the document it was read from; 0 if unknown.
    pub line: u32,
    /// `id` of the element.
    pub id: String,
    /// What is wrong, and what would be right.
    pub text: String,
}

/// Everything about fencing in a configuration.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    /// Devices by id.
    pub devices: BTreeMap<String, Device>,
    /// Levels.
    pub topology: Topology,
    /// Permanent attributes of the nodes, for levels by attribute.
    pub node_attributes: BTreeMap<String, BTreeMap<String, String>>,
}

impl Registry {
    /// Reads them from a whole `<cib>`.
    pub fn read(cib: &Element) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let Some(configuration) = cib.child("configuration") else {
            return (Self::default(), problems);
        };
        let node_attributes = node_attributes(configuration, cib);
        let mut devices = devices(configuration, cib, &mut problems);
        if let Some(constraints) = configuration.child("constraints") {
            let nodes: Vec<&str> = node_attributes.keys().map(String::as_str).collect();
            for location in constraints.children_named("rsc_location") {
                ban(location, &nodes, &mut devices);
            }
        }
        let topology = topology(configuration, &devices, &mut problems);
        let registry = Self {
            devices,
            topology,
            node_attributes,
        };
        (registry, problems)
    }

    /// Levels for a node.
    pub fn levels_for(&self, node: &str) -> Vec<Vec<String>> {
        let none = BTreeMap::new();
        let attributes = self.node_attributes.get(node).unwrap_or(&none);
        self.topology.levels_for(node, attributes)
    }
}

fn devices(
    configuration: &Element,
    cib: &Element,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Device> {
    let mut devices = BTreeMap::new();
    let Some(resources) = configuration.child("resources") else {
        return devices;
    };
    let primitives = resources
        .descendants()
        .filter(|e| e.name() == "primitive" && e.id().is_some());
    for primitive in primitives {
        let template = primitive.attr("template").and_then(|t| cib.find_id(t));
        let attr = |name| {
            primitive
                .attr(name)
                .or_else(|| template.and_then(|t| t.attr(name)))
        };
        if attr("class") != Some("stonith") {
            continue;
        }
        let meta = nvpairs(cib, "meta_attributes", primitive, template);
        if meta.get("target-role").is_some_and(|r| r == "Stopped") {
            continue;
        }
        let parameters = nvpairs(cib, "instance_attributes", primitive, template);
        let id = primitive.id().unwrap_or_default();
        let kind = attr("type").unwrap_or_default();
        let (device, wrong) = Device::new(id, kind, parameters, &meta);
        problems.extend(wrong.into_iter().map(|text| problem(primitive, text)));
        devices.insert(id.to_owned(), device);
    }
    devices
}

fn problem(element: &Element, text: String) -> Problem {
    Problem {
        line: element.line(),
        id: element.id().unwrap_or_default().to_owned(),
        text,
    }
}

/// The pairs of all blocks of a name, a primitive's own before its template's; the block with the higher
/// score goes first, and the first value of a name counts.
fn nvpairs(
    cib: &Element,
    block: &str,
    primitive: &Element,
    template: Option<&Element>,
) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    for holder in std::iter::once(primitive).chain(template) {
        for (name, value) in block_pairs(cib, holder, block) {
            pairs.entry(name).or_insert(value);
        }
    }
    pairs
}

fn block_pairs(cib: &Element, holder: &Element, block: &str) -> Vec<(String, String)> {
    let mut blocks: Vec<&Element> = holder
        .children_named(block)
        .map(|b| resolve(cib, b))
        .filter(|b| b.child("rule").is_none())
        .collect();
    blocks.sort_by_key(|b| std::cmp::Reverse(score(b.attr("score")).unwrap_or_default()));
    let pairs = blocks
        .iter()
        .flat_map(|b| b.children_named("nvpair"))
        .map(|pair| {
            let target = resolve(cib, pair);
            let name = pair.attr("name").or_else(|| target.attr("name"));
            (name, target.attr("value"))
        })
        .filter_map(|(name, value)| Some((name?.to_owned(), value?.to_owned())));
    pairs.collect()
}

fn resolve<'a>(cib: &'a Element, element: &'a Element) -> &'a Element {
    element
        .attr("id-ref")
        .and_then(|id| cib.find_id(id))
        .unwrap_or(element)
}

fn node_attributes(
    configuration: &Element,
    cib: &Element,
) -> BTreeMap<String, BTreeMap<String, String>> {
    let nodes = configuration.child("nodes").into_iter();
    nodes
        .flat_map(|nodes| nodes.children_named("node"))
        .filter_map(|node| {
            let name = node.attr("uname").or_else(|| node.id())?;
            let pairs = block_pairs(cib, node, "instance_attributes");
            Some((name.to_owned(), pairs.into_iter().collect()))
        })
        .collect()
}

/// A score, within -INFINITY and INFINITY (one million).
fn score(text: Option<&str>) -> Option<i64> {
    const INFINITY: i64 = 1_000_000;
    match text?.trim().to_ascii_lowercase().as_str() {
        "inf" | "infinity" | "+inf" | "+infinity" => Some(INFINITY),
        "-inf" | "-infinity" => Some(-INFINITY),
        number => Some(number.parse::<i64>().ok()?.clamp(-INFINITY, INFINITY)),
    }
}

fn is_ban(text: Option<&str>) -> bool {
    score(text) == Some(-1_000_000)
}

/// A location constraint that forbids a device somewhere, by node or by a rule on `#uname`.
fn ban(location: &Element, nodes: &[&str], devices: &mut BTreeMap<String, Device>) {
    let banned: BTreeSet<String> = match location.attr("node") {
        Some(node) if is_ban(location.attr("score")) => BTreeSet::from([node.to_owned()]),
        Some(_) => return,
        None => location
            .children_named("rule")
            .filter(|rule| is_ban(rule.attr("score")))
            .flat_map(|rule| nodes.iter().filter(|n| rule_is_true(rule, n)))
            .map(|n| (*n).to_owned())
            .collect(),
    };
    let of_pattern = location
        .attr("rsc-pattern")
        .and_then(|p| Regex::new(p).ok());
    let in_set: BTreeSet<&str> = location
        .descendants()
        .filter(|e| e.name() == "resource_ref")
        .filter_map(|e| e.id())
        .collect();
    for (id, device) in devices {
        let meant = location.attr("rsc") == Some(id)
            || in_set.contains(id.as_str())
            || of_pattern.as_ref().is_some_and(|p| p.is_match(id));
        if meant {
            device.banned_on.extend(banned.iter().cloned());
        }
    }
}

/// Rules on `#uname`; one on anything else bans nobody.
fn rule_is_true(rule: &Element, node: &str) -> bool {
    let holds = |e: &Element| match (e.attr("attribute"), e.attr("operation"), e.attr("value")) {
        (Some("#uname"), Some("eq"), Some(value)) => value == node,
        (Some("#uname"), Some("ne"), Some(value)) => value != node,
        (Some("#uname"), Some("defined"), _) => true,
        _ => false,
    };
    let mut conditions = rule.children_named("expression").peekable();
    if conditions.peek().is_none() {
        return false;
    }
    match rule.attr("boolean-op") {
        Some("or") => conditions.any(holds),
        _ => conditions.all(holds),
    }
}

fn topology(
    configuration: &Element,
    devices: &BTreeMap<String, Device>,
    problems: &mut Vec<Problem>,
) -> Topology {
    let section = configuration.child("fencing-topology").into_iter();
    let mut levels = Vec::new();
    for element in section.flat_map(|t| t.children_named("fencing-level")) {
        match level(element) {
            Ok(level) => {
                for id in level.devices.iter().filter(|id| !devices.contains_key(*id)) {
                    let text = format!("names device '{id}', which is not configured (or stopped)");
                    problems.push(problem(element, text));
                }
                levels.push(level);
            }
            Err(text) => problems.push(problem(element, text)),
        }
    }
    Topology { levels }
}

fn level(element: &Element) -> Result<Level, String> {
    let index = element
        .attr("index")
        .and_then(|i| i.parse().ok())
        .filter(|i| (1..=9).contains(i))
        .ok_or("needs an index from 1 to 9")?;
    let devices = host_list(element.attr("devices").unwrap_or_default());
    if devices.is_empty() {
        return Err("names no device".to_owned());
    }
    Ok(Level {
        target: target(element)?,
        index,
        devices,
    })
}

fn target(element: &Element) -> Result<Target, String> {
    if let Some(name) = element.attr("target") {
        return Ok(Target::Name(name.to_owned()));
    }
    if let Some(pattern) = element.attr("target-pattern") {
        return Regex::new(pattern)
            .map(Target::Pattern)
            .map_err(|e| format!("target-pattern '{pattern}': {e}"));
    }
    match (
        element.attr("target-attribute"),
        element.attr("target-value"),
    ) {
        (Some(name), Some(value)) => Ok(Target::Attribute {
            name: name.to_owned(),
            value: value.to_owned(),
        }),
        _ => Err("needs a target, a target-pattern or a target-attribute with target-value".into()),
    }
}

//! `<fencing-topology>`: which devices are tried for whom, level by level.

use regex_lite::Regex;
use std::collections::BTreeMap;

/// One `<fencing-level>`.
#[derive(Clone, Debug)]
pub(crate) struct Level {
    pub(crate) target: Target,
    pub(crate) index: u32,
    pub(crate) devices: Vec<String>,
}

/// Whom a level is for.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Name(String),
    Pattern(Regex),
    Attribute { name: String, value: String },
}

/// All levels.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    pub(crate) levels: Vec<Level>,
}

impl Topology {
    /// Device ids of each level for this node, in the order to try; empty: no topology for it.
    /// A node's own name goes before a pattern, a pattern before an attribute.
    pub fn levels_for(
        &self,
        node: &str,
        attributes: &BTreeMap<String, String>,
    ) -> Vec<Vec<String>> {
        let matching = |wanted: fn(&Target) -> bool| -> Vec<&Level> {
            let mut levels: Vec<&Level> = self
                .levels
                .iter()
                .filter(|l| wanted(&l.target) && l.target.matches(node, attributes))
                .collect();
            levels.sort_by_key(|l| l.index);
            levels
        };
        let by_name = matching(|t| matches!(t, Target::Name(_)));
        let by_pattern = || matching(|t| matches!(t, Target::Pattern(_)));
        let by_attribute = || matching(|t| matches!(t, Target::Attribute { .. }));
        let chosen = match by_name.is_empty() {
            false => by_name,
            true => match by_pattern() {
                found if !found.is_empty() => found,
                _ => by_attribute(),
            },
        };
        merge(&chosen)
    }
}

/// Levels of the same index are one.
fn merge(levels: &[&Level]) -> Vec<Vec<String>> {
    let mut merged: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for level in levels {
        merged
            .entry(level.index)
            .or_default()
            .extend(level.devices.iter().cloned());
    }
    merged.into_values().collect()
}

impl Target {
    fn matches(&self, node: &str, attributes: &BTreeMap<String, String>) -> bool {
        match self {
            Self::Name(name) => name == node,
            Self::Pattern(pattern) => pattern.is_match(node),
            Self::Attribute { name, value } => attributes.get(name) == Some(value),
        }
    }
}

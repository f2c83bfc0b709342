//! Resources in numbers: how many of which sort are active where.

use std::collections::BTreeMap;

use scheduler::view::Kind;

use super::{Outline, Scene};

/// What a line of numbers says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// The node is clear from where it stands; only what is active counts.
    Clear,
    /// The node; only what is active counts.
    Node,
    /// The node, and how many there are altogether.
    NodeOfAll,
}

/// One line for each sort and node.
pub(super) fn lines(scene: &Scene<'_>, resources: &[usize], form: Where) -> Vec<Outline> {
    let mut all: BTreeMap<&str, usize> = BTreeMap::new();
    let mut active: BTreeMap<(&str, usize), usize> = BTreeMap::new();
    for place in resources {
        let Some(r) = scene.view.resources.get(*place) else {
            continue;
        };
        if r.kind != Kind::Primitive {
            continue;
        }
        *all.entry(&r.agent).or_default() += 1;
        for node in &r.running_on {
            let up = scene.view.nodes.get(*node).is_some_and(|n| n.online);
            if up || !r.managed {
                *active.entry((&r.agent, *node)).or_default() += 1;
            }
        }
    }
    let mut items = Vec::new();
    for (agent, total) in all {
        let here: Vec<(usize, usize)> = active
            .iter()
            .filter(|((of, _), _)| *of == agent)
            .map(|((_, node), number)| (*node, *number))
            .collect();
        let sum: usize = here.iter().map(|(_, number)| number).sum();
        if form == Where::Clear {
            items.push(Outline::item(format!("{sum}\t({agent}):\tActive ")));
            continue;
        }
        for (node, number) in &here {
            let name = scene.view.nodes.get(*node).map_or("", |n| n.name.as_str());
            let number = match form {
                Where::NodeOfAll => format!("{number}/{total}"),
                _ => number.to_string(),
            };
            items.push(Outline::item(format!(
                "{number}\t({agent}):\tActive {name}"
            )));
        }
        if sum == 0 && form == Where::NodeOfAll {
            items.push(Outline::item(format!("0/{total}\t({agent}):\tActive")));
        }
    }
    items
}

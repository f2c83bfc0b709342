//! `--constraints` and `--stack`: what binds a resource to nodes and to others.

use super::state::State;
use crate::{common::output::Output, view::Outline};
use cib::Element;
use scheduler::view::{Colocation, Location};

/// Score that means always, or with a minus never.
const INFINITY: i32 = 1_000_000;

/// Which way colocations are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// To those that follow the resource.
    Dependents,
    /// To those the resource follows.
    Primaries,
}

struct Walk<'s> {
    state: &'s State,
    recursive: bool,
    /// What was met on the way, so that a loop ends.
    seen: Vec<usize>,
    elements: Vec<Element>,
}

/// Tells it. `recursive`: also of everything it is bound to.
pub(super) fn tell(state: &State, resource: usize, recursive: bool, output: &mut Output) {
    let top = state.view.top_of(resource);
    let mut walk = Walk {
        state,
        recursive,
        seen: Vec::new(),
        elements: Vec::new(),
    };
    let mut outlines = Vec::new();
    outlines.extend(walk.locations(top));
    for way in [Way::Dependents, Way::Primaries] {
        walk.seen.clear();
        outlines.extend(walk.colocations(top, way));
    }
    for part in &outlines {
        for line in crate::view::outline_text(part).lines() {
            output.line(line);
        }
    }
    let all = walk.elements.into_iter();
    output.element(all.fold(Element::new("constraints"), Element::with_child));
}

impl Walk<'_> {
    fn name(&self, resource: usize) -> String {
        self.state.constrained_id(resource)
    }

    fn locations(&mut self, resource: usize) -> Option<Outline> {
        let all = self.state.view.locations.iter();
        let own: Vec<&Location> = all.filter(|l| l.resource == resource).collect();
        let mut items = Vec::new();
        for location in own {
            let node = self.state.view.nodes.get(location.node);
            let node = node.map(|n| n.name.clone()).unwrap_or_default();
            let score = score(location.score);
            let (id, name) = (&location.id, self.name(resource));
            items.push(Outline::item(format!(
                "Node {node} (score={score}, id={id}, rsc={name})"
            )));
            self.elements.push(
                Element::new("rsc_location")
                    .with_attr("node", node)
                    .with_attr("rsc", name)
                    .with_attr("id", id)
                    .with_attr("score", score),
            );
        }
        (!items.is_empty()).then(|| Outline::list("Locations", items))
    }

    fn colocations(&mut self, resource: usize, way: Way) -> Option<Outline> {
        self.seen.push(resource);
        let mut items = Vec::new();
        for colocation in self.of(resource, way) {
            let other = match way {
                Way::Dependents => colocation.dependent,
                Way::Primaries => colocation.primary,
            };
            let (name, id) = (self.name(other), colocation.id.clone());
            self.push(&colocation);
            if self.seen.contains(&other) {
                items.push(Outline::item(format!("{name} (id={id} - loop)")));
                continue;
            }
            let score = score(colocation.score);
            items.push(Outline::item(format!(
                "{name} (score={score}{}, id={id})",
                needs(&colocation, way)
            )));
            let mut below = Vec::new();
            below.extend(self.locations(other));
            if self.recursive {
                below.extend(self.colocations(other, way));
            }
            if !below.is_empty() {
                items.push(Outline::inset(below));
            }
        }
        let name = self.name(resource);
        let title = match way {
            Way::Dependents => format!("Resources colocated with {name}"),
            Way::Primaries => format!("Resources {name} is colocated with"),
        };
        (!items.is_empty()).then(|| Outline::list(title, items))
    }

    /// Colocations of a resource in one direction, by the other's name.
    fn of(&self, resource: usize, way: Way) -> Vec<Colocation> {
        let all = self.state.view.colocations.iter();
        let mut found: Vec<Colocation> = all
            .filter(|c| match way {
                Way::Dependents => c.primary == resource,
                Way::Primaries => c.dependent == resource,
            })
            .cloned()
            .collect();
        found.sort_by_key(|c| match way {
            Way::Dependents => self.name(c.dependent),
            Way::Primaries => self.name(c.primary),
        });
        found
    }

    fn push(&mut self, colocation: &Colocation) {
        let attribute = colocation.node_attribute.as_deref().unwrap_or("#uname");
        let mut element = Element::new("rsc_colocation")
            .with_attr("id", &colocation.id)
            .with_attr("rsc", self.name(colocation.dependent))
            .with_attr("with-rsc", self.name(colocation.primary))
            .with_attr("score", score(colocation.score))
            .with_attr("node-attribute", attribute);
        if let Some(role) = colocation.dependent_role {
            element.set_attr("rsc-role", role.text());
        }
        if let Some(role) = colocation.primary_role {
            element.set_attr("with-rsc-role", role.text());
        }
        self.elements.push(element);
    }
}

/// The role that the other must have.
fn needs(colocation: &Colocation, way: Way) -> String {
    let word = match way {
        Way::Dependents => "needs",
        Way::Primaries => "with",
    };
    match colocation.primary_role {
        Some(role) => format!(", {word} role={}", role.text()),
        None => String::new(),
    }
}

fn score(score: i32) -> String {
    match score {
        s if s >= INFINITY => "INFINITY".to_owned(),
        s if s <= -INFINITY => "-INFINITY".to_owned(),
        s => s.to_string(),
    }
}

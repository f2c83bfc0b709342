//! What the cluster does with resources, as the status section tells it.

use super::config::{self, Definition};
use crate::common::{Failure, source::Source};
use cib::Element;
use scheduler::view::{Kind, Resource, Role, View};

/// The document at one moment, and what it says.
pub(super) struct State {
    /// Configuration and status.
    pub(super) document: Element,
    /// What they say.
    pub(super) view: View,
    /// When, in seconds since the epoch.
    pub(super) now_s: i64,
}

impl State {
    /// Reads it.
    ///
    /// # Errors
    /// The document cannot be read.
    pub(super) fn read(source: &mut Source) -> Result<Self, Failure> {
        let document = source.document()?;
        let now_s = jiff::Timestamp::now().as_second();
        let view = View::of(&document, now_s);
        Ok(Self {
            document,
            view,
            now_s,
        })
    }

    /// A resource by its place; there is one at every place that [`Self::find`] gives.
    pub(super) fn resource(&self, place: usize) -> Option<&Resource> {
        self.view.resources.get(place)
    }

    /// The place of a resource: by its id; interchangeable instances by their common name.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn find(&self, name: &str) -> Result<usize, Failure> {
        let by_id = self.view.resources.iter().position(|r| r.id == name);
        let all = 0..self.view.resources.len();
        let by_name = || all.into_iter().find(|at| self.constrained_id(*at) == name);
        by_id
            .or_else(by_name)
            .ok_or_else(|| config::not_found(name))
    }

    /// As [`Self::find`], also by the name that distinguishable instances have in the configuration.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn find_any(&self, name: &str) -> Result<usize, Failure> {
        let instance = || {
            let base = |r: &Resource| r.id.rsplit_once(':').is_some_and(|(b, _)| b == name);
            self.view.resources.iter().position(base)
        };
        self.find(name).or_else(|failure| instance().ok_or(failure))
    }

    /// The name under which constraints know a resource: that of its definition, unless its
    /// instances can be told apart.
    pub(super) fn constrained_id(&self, place: usize) -> String {
        let Some(r) = self.resource(place) else {
            return String::new();
        };
        let top = self.resource(self.view.top_of(place));
        let many = top.is_some_and(|t| match t.kind {
            Kind::Clone => !t.unique,
            Kind::Bundle => true,
            Kind::Primitive | Kind::Group => false,
        });
        let base = r.id.rsplit_once(':').filter(|_| many && r.parent.is_some());
        base.map_or(r.id.as_str(), |(base, _)| base).to_owned()
    }

    fn node_name(&self, node: usize) -> String {
        let node = self.view.nodes.get(node);
        node.map(|n| n.name.clone()).unwrap_or_default()
    }

    /// The node from where a move goes: the only one where it is active, or promoted.
    pub(super) fn current(&self, place: usize, promoted_only: bool) -> Option<String> {
        let promoted = self.promoted_on(place);
        let active = self.view.locations(place);
        let in_promotable = self
            .resource(place)
            .is_some_and(|r| r.promotable || r.in_promotable);
        let nodes = if in_promotable && (promoted_only || !promoted.is_empty()) {
            promoted
        } else {
            active
        };
        match nodes.as_slice() {
            [only] => Some(self.node_name(*only)),
            _ => None,
        }
    }

    /// Where a resource, or any of its instances, is promoted.
    pub(super) fn promoted_on(&self, place: usize) -> Vec<usize> {
        let mut nodes = Vec::new();
        for primitive in self.view.primitives(place) {
            let Some(r) = self.resource(primitive) else {
                continue;
            };
            if r.role == Role::Promoted {
                nodes.extend(r.running_on.iter().copied());
            }
        }
        nodes
    }

    /// Where it is active, and whether promoted there, as `--locate` tells it.
    pub(super) fn places(&self, place: usize, asked: &str) -> Vec<(String, bool)> {
        let Some(r) = self.resource(place) else {
            return Vec::new();
        };
        let name = self.constrained_id(place);
        let mut parts = match (r.kind, &r.bundle) {
            (_, Some(bundle)) => {
                let containers = bundle.replicas.iter().map(|r| r.container);
                let inside = bundle.replicas.iter().filter_map(|r| r.child);
                containers.chain(inside).collect()
            }
            (Kind::Clone, _) => r.children.clone(),
            // The instances' common name means all of them.
            _ if r.id != asked || name != r.id => {
                let all = 0..self.view.resources.len();
                let same = |at: &usize| asked == name && self.constrained_id(*at) == name;
                let mut found: Vec<usize> = all.filter(same).collect();
                if found.is_empty() {
                    found.push(place);
                }
                found
            }
            _ => vec![place],
        };
        parts.reverse();
        let mut found = Vec::new();
        for part in parts {
            let promoted = self.promoted_on(part);
            let mut nodes = self.view.locations(part);
            nodes.reverse();
            for node in nodes {
                let is_promoted = promoted.contains(&node)
                    && self
                        .resource(part)
                        .is_some_and(|r| r.kind == Kind::Primitive);
                found.push((self.node_name(node), is_promoted));
            }
        }
        found
    }

    /// The definition a resource comes from.
    pub(super) fn definition(&self, place: usize) -> Option<Definition<'_>> {
        let r = self.resource(place)?;
        Definition::find(&self.document, &r.id)
            .or_else(|| Definition::find(&self.document, &r.name))
    }
}

//! Which nodes and resources are shown (`--node`, `--resource`).

use std::collections::BTreeSet;

use scheduler::view::{Kind, View};

/// Which nodes and resources are shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Places of nodes; all if there is none.
    nodes: Option<BTreeSet<usize>>,
    /// Names of resources; all if there is none.
    names: Option<Vec<String>>,
}

impl Filter {
    /// As `--node` and `--resource` say: a name, or a tag of things of that sort. What is unknown shows nothing.
    pub(crate) fn new(view: &View, node: Option<&str>, resource: Option<&str>) -> Self {
        Self {
            nodes: node.filter(|n| *n != "*").map(|n| nodes(view, n)),
            names: resource.filter(|r| *r != "*").map(|r| names(view, r)),
        }
    }

    /// The same nodes, but every resource.
    pub(crate) fn of_nodes(&self) -> Self {
        Self {
            nodes: self.nodes.clone(),
            names: None,
        }
    }

    /// Whether a node is shown.
    pub(crate) fn has_node(&self, node: usize) -> bool {
        self.nodes
            .as_ref()
            .is_none_or(|nodes| nodes.contains(&node))
    }

    /// Whether resources are not chosen by name at all.
    pub(crate) fn is_of_all(&self) -> bool {
        self.names.is_none()
    }

    fn has_name(&self, name: &str) -> bool {
        self.names
            .as_ref()
            .is_none_or(|names| names.iter().any(|n| n == name))
    }

    /// Whether instances of something called so are chosen.
    pub(crate) fn has_base(&self, name: &str) -> bool {
        self.has_name(name)
    }

    /// Whether a resource is chosen by its own name.
    pub(crate) fn names(&self, view: &View, resource: usize) -> bool {
        let Some(r) = view.resources.get(resource) else {
            return false;
        };
        self.has_name(&r.name) || r.id.contains(':') && self.has_name(&r.id)
    }

    /// Whether a resource is chosen: itself, a part of it, or (`upward`) what it is part of.
    pub(crate) fn has(&self, view: &View, resource: usize, upward: bool) -> bool {
        let Some(r) = view.resources.get(resource) else {
            return false;
        };
        if self.names.is_none() || self.names(view, resource) {
            return true;
        }
        let top = view.top_of(resource);
        if r.kind == Kind::Primitive {
            return self.has_name(&r.id) || upward && top != resource && self.has(view, top, false);
        }
        if r.kind == Kind::Group && upward && self.names(view, top) {
            return true;
        }
        let of_parts = |place: usize| {
            let part = &view.resources[place];
            let base = part.id.split(':').next().unwrap_or_default();
            self.has(view, place, false) || r.kind == Kind::Clone && self.has_name(base)
        };
        view.parts(resource).into_iter().any(of_parts)
    }

    /// Whether a resource runs, but on no node that is shown.
    pub(crate) fn is_elsewhere(&self, view: &View, resource: usize) -> bool {
        view.is_active(resource, false) && !self.runs_here(view, resource)
    }

    /// Whether a resource runs on a node that is shown.
    pub(crate) fn runs_here(&self, view: &View, resource: usize) -> bool {
        let nodes = view.locations(resource);
        self.nodes.is_none() || nodes.into_iter().any(|n| self.has_node(n))
    }

    /// Whether a member of a group is shown. `whole`: the group itself is chosen.
    pub(crate) fn has_member(
        &self,
        view: &View,
        member: usize,
        whole: bool,
        inactive: bool,
    ) -> bool {
        let chosen = self.has(view, member, false);
        let worth = inactive || view.is_active(member, false);
        chosen && !self.is_of_all() || (chosen || whole) && worth
    }
}

fn nodes(view: &View, name: &str) -> BTreeSet<usize> {
    let is = |name: &str| {
        view.nodes
            .iter()
            .position(|n| n.name == name || n.id == name)
    };
    match is(name) {
        Some(node) => BTreeSet::from([node]),
        None => {
            let tagged = view.tags.get(name).into_iter().flatten();
            tagged.filter_map(|n| is(n)).collect()
        }
    }
}

fn names(view: &View, name: &str) -> Vec<String> {
    let exact = |name: &str| {
        let found = view.find(name)?;
        let r = &view.resources[found];
        let wanted = if name.contains(':') { &r.id } else { &r.name };
        Some(wanted.clone())
    };
    if let Some(found) = exact(name) {
        return vec![found];
    }
    // The name of a group in a clone, without number.
    let is_instance = |id: &str| id.split_once(':').is_some_and(|(base, _)| base == name);
    if view.resources.iter().any(|r| is_instance(&r.id)) {
        return vec![name.to_owned()];
    }
    let tagged = view.tags.get(name).into_iter().flatten();
    tagged.filter_map(|n| exact(n)).collect()
}

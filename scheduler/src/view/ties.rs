//! What binds resources to nodes and to each other, as constraints say it.

use super::{Colocation, Location, nodes};
use crate::model::{Cluster, Role};

/// What location constraints say, of each resource the newest first; needs them to be read.
pub(super) fn locations(c: &Cluster) -> Vec<Location> {
    let places = nodes::places(c);
    let mut found = Vec::new();
    for (resource, r) in c.rscs.iter().enumerate() {
        for location in r
            .locations
            .iter()
            .rev()
            .filter_map(|ix| c.locations.get(*ix))
        {
            let nodes = location.nodes.iter().filter_map(|(node, score)| {
                let node = *places.get(*node)?;
                Some(Location {
                    id: location.id.to_string(),
                    resource,
                    node,
                    score: *score,
                })
            });
            found.extend(nodes);
        }
    }
    found
}

/// What colocation constraints say, in the order in which they were read.
pub(super) fn colocations(c: &Cluster) -> Vec<Colocation> {
    let role = |role: Role| (role != Role::Unknown).then_some(role);
    let one = |x: &crate::model::Colocation| Colocation {
        id: x.id.to_string(),
        dependent: x.dependent,
        primary: x.primary,
        score: x.score,
        node_attribute: x.attribute.clone(),
        dependent_role: role(x.dependent_role),
        primary_role: role(x.primary_role),
    };
    c.colocations.iter().map(one).collect()
}

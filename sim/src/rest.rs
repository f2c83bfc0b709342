//! Whether a cluster is at rest, and if not, why.

use crate::world::World;
use crmd_core::view::NodeView;

impl World<'_> {
    /// What is not as it should be when nothing is broken. `idle` asks for a coordinator without
    /// anything to do, too.
    pub(crate) fn lacking(&self, idle: bool) -> Option<String> {
        self.daemon_lacks()
            .or_else(|| self.coordinator_lacks(idle))
            .or_else(|| self.resource_lacks())
    }

    fn daemon_lacks(&self) -> Option<String> {
        let without = self.hosts.iter().find(|h| h.daemon.is_none())?;
        Some(format!("{} has no running daemon", without.name))
    }

    fn coordinator_lacks(&self, idle: bool) -> Option<String> {
        let views: Vec<NodeView> = self
            .hosts
            .iter()
            .filter_map(|h| Some(h.daemon.as_ref()?.core.view(h.now(self.now))))
            .collect();
        let Some(coordinator) = views.first().and_then(|v| v.coordinator.clone()) else {
            return Some("nobody coordinates".to_owned());
        };
        for view in &views {
            if view.coordinator.as_ref() != Some(&coordinator) {
                return Some(format!(
                    "{} obeys {:?} and not {coordinator}",
                    view.node, view.coordinator
                ));
            }
            if !view.quorate {
                return Some(format!("{} has no quorum", view.node));
            }
        }
        let leader = views.iter().find(|v| *v.node == *coordinator)?;
        if let Some(member) = leader.members.iter().find(|m| m.state != "online") {
            return Some(format!(
                "{} is {} for the coordinator {coordinator}",
                member.node, member.state
            ));
        }
        if leader.members.len() != self.hosts.len() {
            return Some(format!(
                "{coordinator} knows {} members",
                leader.members.len()
            ));
        }
        (idle && !leader.idle).then(|| format!("{coordinator} still has something to do"))
    }

    fn resource_lacks(&self) -> Option<String> {
        self.resources.iter().find_map(|resource| {
            let places = self
                .hosts
                .iter()
                .filter(|h| h.active.contains_key(resource));
            let names: Vec<&str> = places.map(|h| &*h.name).collect();
            match names.as_slice() {
                [_] => None,
                [] => Some(format!("{resource} runs nowhere")),
                several => Some(format!("{resource} runs on {}", several.join(" and "))),
            }
        })
    }
}

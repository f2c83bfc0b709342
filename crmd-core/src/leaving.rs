//! How a member leaves: everything it ran is stopped first, the log says so, then its daemon goes
//! (protocol.md, 14).

use crate::{command::Severity, entry::Entry, evaluate, history, ids::NodeName, node::Node};

impl Node {
    /// A node that wants to leave has the attribute `shutdown`.
    pub(crate) fn is_leaving(&self, node: &NodeName) -> bool {
        let value = self.known(node).and_then(|k| k.attributes.get("shutdown"));
        value.is_some_and(|v| v != "0")
    }

    /// Members whose leaving is prepared: everything they ran is stopped.
    pub(crate) fn leavers(&mut self) {
        let quiet = self.coordinator.as_ref().is_some_and(|c| {
            c.settled
                && c.dirty.is_none()
                && c.run.is_none()
                && c.transition
                    .as_ref()
                    .is_some_and(|t| t.is_over() && t.aborted().is_none())
        });
        let members = self.state.members.keys();
        let leaving: Vec<NodeName> = members.filter(|n| self.is_leaving(n)).cloned().collect();
        for name in leaving {
            self.leaver(&name, quiet);
        }
    }

    fn leaver(&mut self, name: &NodeName, quiet: bool) {
        let alone = self.voter_names().len() == 1 && name == self.me();
        let Some(member) = self.state.members.get(name) else {
            return;
        };
        let id = member.member.raft_id;
        if !member.is_active() {
            if name == self.me() {
                self.exiting |= alone;
            } else if !self.raft.may_vote(id)
                && self.membership.is_up(name)
                && self.once(name, "leave order")
            {
                self.order_leave(name);
            }
            return;
        }
        let Some(life) = member.admitted.clone().filter(|_| member.is_active()) else {
            return;
        };
        if !quiet
            || (name == self.me() && !alone)
            || !self.has_finished(name)
            || !self.once(name, "left")
        {
            return;
        }
        let detached = self.still_running(name);
        self.log(
            Severity::Info,
            format!("{name} has stopped everything and leaves"),
        );
        self.propose(Entry::Left {
            node: name.clone(),
            life,
            detached,
        });
    }

    /// Everything it ran is known to be stopped, or left running on purpose.
    fn has_finished(&self, name: &NodeName) -> bool {
        let transition = self
            .coordinator
            .as_ref()
            .and_then(|c| c.transition.as_ref());
        let histories = self.known(name).map(|k| &k.resources);
        let mut histories = histories.into_iter().flatten();
        transition.is_some_and(|t| !t.unfinished_nodes().contains(&**name))
            && self.is_ready(name)
            && histories.all(|(resource, e)| {
                !history::is_pending(e) && (!history::is_active(e) || self.is_unmanaged(resource))
            })
    }

    /// Whether the configuration says that a resource is left alone.
    fn is_unmanaged(&self, resource: &str) -> bool {
        let on = |value: Option<&str>| value.is_some_and(evaluate::is_true);
        if on(self.state.property("maintenance-mode")) {
            return true;
        }
        let base = resource.split(':').next().unwrap_or(resource);
        let configured = self.state.cib.find_id(base);
        let sets = configured
            .into_iter()
            .flat_map(|e| e.children_named("meta_attributes"));
        let mut pairs = sets.flat_map(|s| s.children_named("nvpair"));
        pairs.any(|p| match p.attr("name") {
            Some("maintenance") => on(p.attr("value")),
            Some("is-managed") => !on(p.attr("value")),
            _ => false,
        })
    }

    fn still_running(&self, name: &NodeName) -> Vec<String> {
        let histories = self.known(name).map(|k| &k.resources);
        let active = histories
            .into_iter()
            .flatten()
            .filter(|(_, e)| history::is_active(e));
        active.map(|(resource, _)| resource.clone()).collect()
    }

    /// A member waits to be let go: it may wait for this node to hand the leadership over first.
    pub(crate) fn somebody_leaves(&self) -> bool {
        let mut active = self.state.members.iter().filter(|(_, m)| m.is_active());
        active.any(|(name, _)| self.is_leaving(name))
    }
}

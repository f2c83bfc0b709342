//! Who belongs to the cluster: lives are admitted and declared over, voters kept, nodes listed.
//!
//! Decides nothing about resources; everything it wants goes through the log.

use crate::{
    command::{Command, Severity},
    coordinator::RETRY_MS,
    entry::{Entry, Grade},
    evaluate,
    ids::{Life, NodeName, RaftId, RequestId},
    node::Node,
    request::CibChange,
};
use std::collections::BTreeSet;

/// Voters at most.
const VOTERS: usize = 7;

impl Node {
    /// Admits who has come, and declares lives over that a newer one has followed.
    pub(crate) fn lives(&mut self) {
        let names: Vec<NodeName> = self.state.members.keys().cloned().collect();
        for name in names {
            let (Some(identity), true) = (self.identity_of(&name), self.is_present(&name)) else {
                continue;
            };
            self.life_of(&name, &identity.life);
        }
    }

    fn life_of(&mut self, name: &NodeName, life: &Life) {
        let Some(member) = self.state.members.get(name) else {
            return;
        };
        if member.is_active_in(life) {
            return;
        }
        if life.number <= member.ended {
            self.warn_once(
                name,
                format!(
                    "{name}: its life {life} was declared over, yet it speaks: restart that host"
                ),
            );
            return;
        }
        if let (true, Some(old)) = (member.is_active(), member.admitted.clone()) {
            if old.number < life.number {
                self.old_life_over(name, &old);
            }
            return;
        }
        if self.state.intent_against(name).is_some()
            || !self.is_ready(name)
            || self.is_leaving(name)
        {
            return;
        }
        #[cfg(feature = "break-never-converge")]
        if member.ended > 0 {
            return;
        }
        let id = member.member.raft_id;
        if !self.raft.votes(id) && self.raft.voter_count() < VOTERS {
            return;
        }
        if self.once(name, "admit") {
            self.log(Severity::Info, format!("{name} is admitted in life {life}"));
            self.propose(Entry::Admitted {
                node: name.clone(),
                life: life.clone(),
            });
        }
    }

    /// A new life proves that the old one has ended.
    fn old_life_over(&mut self, name: &NodeName, old: &Life) {
        let open = self.state.intent_against(name).map(|(id, _)| id.clone());
        let shooting = self.coordinator.as_ref().is_some_and(|c| {
            open.as_ref()
                .is_some_and(|i| c.fencing.get(i).is_some_and(|f| f.is_fired()))
        });
        if shooting || !self.once(name, "new life") {
            return;
        }
        let intent = open.unwrap_or_else(|| format!("life-{name}-{old}"));
        self.log(
            Severity::Info,
            format!("{name} has booted: its life {old} is over"),
        );
        self.propose(Entry::FenceResult {
            intent,
            target: name.clone(),
            life_number: old.number,
            result: Ok(Grade::NewLife),
            device: String::new(),
            by: None,
            at_s: self.now.wall_s,
        });
    }

    fn warn_once(&mut self, node: &NodeName, text: String) {
        let fresh = self
            .coordinator
            .as_mut()
            .is_some_and(|c| c.warned.insert(node.clone()));
        if fresh {
            self.log(Severity::Error, text);
        }
    }

    /// Voters are the members that are there or may be running resources, seven at most. A leader
    /// never votes itself out: were it to fall with that entry in its log alone, nobody could be
    /// elected. Who leads after it does that.
    pub(crate) fn voters(&mut self) {
        let eligible: Vec<RaftId> = self
            .state
            .members
            .iter()
            .filter(|(name, m)| **name == *self.me() || self.may_vote(name, m.is_active()))
            .map(|(_, m)| m.member.raft_id)
            .collect();
        let mut voters: BTreeSet<RaftId> = eligible
            .iter()
            .copied()
            .filter(|id| self.raft.may_vote(*id))
            .take(VOTERS)
            .collect();
        for id in &eligible {
            if voters.len() < VOTERS {
                voters.insert(*id);
            }
        }
        if voters.is_empty() {
            return;
        }
        let follow = self.state.members.iter().filter(|(name, m)| {
            !voters.contains(&m.member.raft_id) && (!m.left || self.may_vote(name, false))
        });
        let learners: BTreeSet<RaftId> = follow.map(|(_, m)| m.member.raft_id).collect();
        let ms = self.ms();
        let settled = self.raft.is_settled(&voters) && self.raft.learners == learners;
        let Some(c) = &mut self.coordinator else {
            return;
        };
        if settled {
            c.changing = None;
            return;
        }
        let pending = c.changing.as_ref();
        if pending.is_some_and(|(v, l, until)| (v, l) == (&voters, &learners) && *until > ms) {
            return;
        }
        c.changing = Some((voters.clone(), learners.clone(), ms + RETRY_MS));
        self.log(
            Severity::Info,
            format!("voters shall be {voters:?}, learners {learners:?}"),
        );
        self.out.push(Command::ChangeVoters { voters, learners });
    }

    fn may_vote(&self, name: &NodeName, active: bool) -> bool {
        let ended = self.state.members.get(name).map_or(0, |m| m.ended);
        let alive = self
            .identity_of(name)
            .is_some_and(|i| i.life.number > ended);
        active || (self.is_present(name) && alive && !self.is_leaving(name))
    }

    pub(crate) fn voters_changed(&mut self) {
        self.mark_dirty("the voters changed");
    }

    /// Every member is listed under `<nodes>`.
    pub(crate) fn nodes_section(&mut self) {
        let nodes = self
            .state
            .cib
            .child("configuration")
            .and_then(|c| c.child("nodes"));
        let listed: BTreeSet<&str> = nodes
            .into_iter()
            .flat_map(|n| n.children_named("node"))
            .filter_map(|n| n.attr("uname"))
            .collect();
        let missing: Vec<(NodeName, RaftId)> = self
            .state
            .members
            .iter()
            .filter(|(name, _)| !listed.contains(&***name))
            .map(|(name, m)| (name.clone(), m.member.raft_id))
            .collect();
        for (name, id) in missing {
            if !self.once(&name, "node entry") {
                continue;
            }
            let element = cib::Element::new("node")
                .with_attr("id", id.to_string())
                .with_attr("uname", &name);
            self.change_nodes(&name, "create", &element);
        }
    }

    /// A member that was removed is listed no more.
    pub(crate) fn unlist(&mut self, name: &NodeName) {
        let element = cib::Element::new("node").with_attr("id", self.node_id(name));
        if self.state.cib.find_id(&self.node_id(name)).is_some() {
            self.change_nodes(name, "delete", &element);
        }
    }

    fn change_nodes(&mut self, name: &NodeName, action: &str, element: &cib::Element) {
        let epoch = evaluate::version(&self.state.cib).1;
        let id = element.id().unwrap_or_default();
        let request_id = RequestId {
            node: name.to_string(),
            unique: format!("node-entry-{action}-{id}-{epoch}"),
        };
        let change = CibChange {
            action: action.to_owned(),
            section: Some("nodes".to_owned()),
            xpath: None,
            xml: element.to_xml_compact(),
            allow_create: true,
            origin: format!("coordinator/{}", self.me()),
        };
        if let Some(c) = &mut self.coordinator {
            c.work.changes.queue(None, request_id, change);
        }
    }
}

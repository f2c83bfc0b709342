//! Where events come from: what this daemon has told already, and what is news.

use super::{Event, Teller, calls, problems};
use crate::{
    command::{Command, Severity},
    entry::Entry,
    ids::NodeName,
    journal::JournalRecord,
    membership,
    node::Node,
};
use cib::Element;
use std::collections::{BTreeMap, BTreeSet};

/// What one daemon told and knows already.
#[derive(Debug)]
pub(crate) struct Alerts {
    /// When this daemon began, seconds since the epoch: what was over before is no news. Of what ended in that
    /// very second it cannot be known: better told twice, by two runs of the daemon, than not at all.
    began_s: i64,
    /// Counts events that some agent was told of.
    sequence: u64,
    /// Members, and those of them that were told to be lost.
    members: BTreeMap<NodeName, bool>,
    /// Nodes whose attributes are known: what the first status of a node says was so before.
    learned: BTreeSet<NodeName>,
    /// The `<alerts>` that were looked at for mistakes.
    checked: Option<Element>,
}

impl Alerts {
    /// Nothing was told yet.
    pub(crate) fn new(began_s: i64) -> Self {
        Self {
            began_s,
            sequence: 0,
            members: BTreeMap::new(),
            learned: BTreeSet::new(),
            checked: None,
        }
    }
}

impl Node {
    fn alert(&mut self, event: &Event) {
        let teller = Teller {
            version: &self.identity.version,
            sequence: self.alerts.sequence + 1,
            now_s: self.now.wall_s,
        };
        let calls = calls(&self.state.cib, event, teller);
        if !calls.is_empty() {
            self.alerts.sequence += 1;
            self.out.push(Command::Alert(calls));
        }
    }

    /// A member came or went.
    pub(crate) fn alert_member(&mut self, event: &membership::Event) {
        match event {
            membership::Event::Up(node) => self.alert_is_member(node, true),
            membership::Event::Lost(node) => {
                self.counters.losses += 1;
                self.alert_is_member(node, false);
            }
            membership::Event::NewLife(node) => {
                self.alert_is_member(node, false);
                self.alert_is_member(node, true);
            }
            // The node is a member all the same.
            membership::Event::NewIncarnation(_) | membership::Event::DaemonDown(_) => {}
        }
    }

    /// Said once for each change; of a node that never was a member nobody is told that it is lost.
    pub(crate) fn alert_is_member(&mut self, node: &NodeName, member: bool) {
        let before = self.alerts.members.insert(node.clone(), member);
        if before.unwrap_or(false) == member {
            return;
        }
        let event = Event::Node {
            node: node.clone(),
            id: self.node_id(node),
            member,
        };
        self.alert(&event);
    }

    /// An entry is about to be applied or was just applied; returns what [`Node::alert_applied`] needs.
    pub(crate) fn is_known_fencing(&self, entry: &Entry) -> bool {
        let Entry::FenceResult { intent, .. } = entry else {
            return false;
        };
        let mut records = self.state.fencing.iter().rev();
        records.any(|r| r.intent == *intent && r.result.is_some())
    }

    /// An entry was applied, for the first time in this daemon; those that an earlier one or an earlier
    /// life of this node has seen come again at its start.
    pub(crate) fn alert_applied(&mut self, entry: &Entry) {
        match entry {
            Entry::FenceResult { at_s, .. } if *at_s >= self.alerts.began_s => {
                self.alert_fencing(entry);
            }
            Entry::MemberRemoved { node } => {
                if self.alerts.members.contains_key(node) {
                    self.alert_is_member(node, false);
                }
                self.alerts.members.remove(node);
                self.alerts.learned.remove(node);
            }
            _ => {}
        }
    }

    fn alert_fencing(&mut self, entry: &Entry) {
        let Entry::FenceResult {
            intent,
            target,
            result,
            device,
            by,
            ..
        } = entry
        else {
            return;
        };
        let mut records = self.state.fencing.iter().rev();
        let Some(record) = records.find(|r| r.intent == *intent) else {
            return;
        };
        // What a person confirms is that the node is off.
        let action = match record.action.as_str() {
            "confirm" => "off".to_owned(),
            other => other.to_owned(),
        };
        let origin = record.origin.clone();
        self.counters.fenced(&action, entry);
        if target == self.me() && action != "on" {
            return;
        }
        let event = Event::Fencing {
            target: target.clone(),
            action,
            origin,
            device: device.clone(),
            by: by.clone(),
            result: result.clone(),
        };
        self.alert(&event);
    }

    /// Operations that have ended on this node.
    pub(crate) fn alert_operations(&mut self) {
        for event in self.executor.take_events() {
            self.alert(&event);
        }
    }

    /// A node's status changed. `whole`: it replaces what was held. Of attributes one node tells, the
    /// coordinator, as in the field it is the one that writes them into the CIB.
    pub(crate) fn alert_attributes(
        &mut self,
        node: &NodeName,
        changes: &[JournalRecord],
        whole: bool,
    ) {
        let first = self.alerts.learned.insert(node.clone());
        if (first && whole) || self.coordinator.is_none() {
            return;
        }
        for change in changes {
            if let JournalRecord::Attribute { name, value } = change {
                let event = Event::Attribute {
                    node: node.clone(),
                    id: self.node_id(node),
                    name: name.clone(),
                    value: value.clone(),
                };
                self.alert(&event);
            }
        }
    }

    /// The configuration changed: says what in its `<alerts>` cannot be followed.
    pub(crate) fn check_alerts(&mut self) {
        let section = self.state.cib.child("configuration");
        let section = section.and_then(|c| c.child("alerts")).cloned();
        if section == self.alerts.checked {
            return;
        }
        self.alerts.checked = section;
        for text in problems(&self.state.cib, self.now.wall_s) {
            self.log(Severity::Warning, text);
        }
    }
}

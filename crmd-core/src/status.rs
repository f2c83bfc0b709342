//! The status of the nodes: each publishes its own, every member holds everybody's.
//!
//! Ordered by stamp (life, incarnation, sequence); what belongs to a life that is proven over is
//! erased and never comes back (protocol.md, 2). A gap asks for the whole.

use crate::{
    command::Command,
    ids::{Incarnation, Life, NodeName, Stamp},
    journal::JournalRecord,
    message::{Message, NodeStatus},
};
use cib::Element;
use std::collections::BTreeMap;

/// History and transient attributes of one node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Which state of the owner this is.
    pub stamp: Stamp,
    /// `<lrm_resource>` elements by resource.
    pub resources: BTreeMap<String, Element>,
    /// Transient attributes.
    pub attributes: BTreeMap<String, String>,
}

impl Known {
    fn apply(&mut self, change: &JournalRecord) {
        match change {
            JournalRecord::Resource { resource, xml } => {
                match xml.as_deref().map(Element::parse) {
                    Some(Ok(element)) => self.resources.insert(resource.clone(), element),
                    _ => self.resources.remove(resource),
                };
            }
            JournalRecord::Attribute { name, value } => {
                match value {
                    Some(value) => self.attributes.insert(name.clone(), value.clone()),
                    None => self.attributes.remove(name),
                };
            }
            _ => {}
        }
    }

    fn from_full(status: &NodeStatus) -> Self {
        let parsed = status.resources.iter().filter_map(|(name, xml)| {
            let element = Element::parse(xml).ok()?;
            Some((name.clone(), element))
        });
        Self {
            stamp: status.stamp.clone(),
            resources: parsed.collect(),
            attributes: status.attributes.clone(),
        }
    }
}

/// This node's own status: the only one it may change.
#[derive(Debug)]
pub(crate) struct Own {
    known: Known,
    published: Stamp,
    changes: Vec<JournalRecord>,
}

impl Own {
    /// Empty, at the start of an incarnation.
    pub(crate) fn new(life: Life, incarnation: Incarnation) -> Self {
        let stamp = Stamp {
            life,
            incarnation,
            sequence: 0,
        };
        Self {
            known: Known {
                stamp: stamp.clone(),
                ..Known::default()
            },
            published: stamp,
            changes: Vec::new(),
        }
    }

    /// Takes up a record of an earlier incarnation of the same life.
    pub(crate) fn recover(&mut self, record: &JournalRecord) {
        self.known.apply(record);
    }

    /// What it is now.
    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    /// Its stamp.
    pub(crate) fn stamp(&self) -> &Stamp {
        &self.known.stamp
    }

    /// Sets (or erases) a resource's history: journalled now, published by [`Own::publish`].
    pub(crate) fn set_resource(
        &mut self,
        name: &str,
        element: Option<Element>,
        out: &mut Vec<Command>,
    ) {
        if self.known.resources.get(name) == element.as_ref() {
            return;
        }
        self.change(
            JournalRecord::Resource {
                resource: name.to_owned(),
                xml: element.map(|e| e.to_xml_compact()),
            },
            out,
        );
    }

    /// Sets (or deletes) a transient attribute.
    pub(crate) fn set_attribute(
        &mut self,
        name: &str,
        value: Option<String>,
        out: &mut Vec<Command>,
    ) {
        if self.known.attributes.get(name) == value.as_ref() {
            return;
        }
        self.change(
            JournalRecord::Attribute {
                name: name.to_owned(),
                value,
            },
            out,
        );
    }

    fn change(&mut self, record: JournalRecord, out: &mut Vec<Command>) {
        self.known.apply(&record);
        self.known.stamp.sequence += 1;
        out.push(Command::Journal(record.clone()));
        self.changes.push(record);
    }

    /// The changes since the last call as a message to every member, if there are any.
    pub(crate) fn publish(&mut self) -> Option<Message> {
        if self.changes.is_empty() {
            return None;
        }
        let from = std::mem::replace(&mut self.published, self.known.stamp.clone());
        Some(Message::StatusDelta {
            from,
            to: self.known.stamp.clone(),
            changes: std::mem::take(&mut self.changes),
        })
    }

    /// The whole.
    pub(crate) fn full(&self) -> NodeStatus {
        let resources = self.known.resources.iter();
        NodeStatus {
            stamp: self.known.stamp.clone(),
            resources: resources
                .map(|(name, e)| (name.clone(), e.to_xml_compact()))
                .collect(),
            attributes: self.known.attributes.clone(),
        }
    }

    /// What a journal needs to say about it.
    pub(crate) fn records(&self) -> Vec<JournalRecord> {
        let full = self.full();
        let resources = full
            .resources
            .into_iter()
            .map(|(resource, xml)| JournalRecord::Resource {
                resource,
                xml: Some(xml),
            });
        let attributes =
            full.attributes
                .into_iter()
                .map(|(name, value)| JournalRecord::Attribute {
                    name,
                    value: Some(value),
                });
        resources.chain(attributes).collect()
    }
}

/// What came of a status message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Taken {
    /// Old, or known already.
    Nothing,
    /// Something is missing in between: ask the sender for the whole.
    Gap,
    /// It is applied; these changed (what a full status replaced counts as changed).
    Changed(Vec<JournalRecord>),
}

/// The statuses of the others.
#[derive(Debug, Default)]
pub(crate) struct Others {
    known: BTreeMap<NodeName, Known>,
    /// Stamp seen in the last beat, to notice lost deltas.
    seen: BTreeMap<NodeName, Stamp>,
    /// Up to which number the lives of a node are proven over.
    ended: BTreeMap<NodeName, u64>,
}

impl Others {
    /// One of them.
    pub(crate) fn get(&self, node: &str) -> Option<&Known> {
        self.known.get(node)
    }

    /// Erases what belongs to lives up to `life_number`, for good.
    pub(crate) fn bury(&mut self, node: &NodeName, life_number: u64) {
        let ended = self.ended.entry(node.clone()).or_default();
        *ended = (*ended).max(life_number);
        let ended = *ended;
        let over = |stamp: &Stamp| stamp.life.number <= ended;
        self.known.retain(|name, k| name != node || !over(&k.stamp));
        self.seen.retain(|name, s| name != node || !over(s));
    }

    /// Forgets a node that is no member any more.
    pub(crate) fn forget(&mut self, node: &str) {
        self.known.remove(node);
        self.seen.remove(node);
    }

    fn is_over(&self, node: &str, stamp: &Stamp) -> bool {
        let ended = self.ended.get(node).copied().unwrap_or(0);
        stamp.life.number <= ended
    }

    /// A whole status has come.
    pub(crate) fn full(&mut self, from: &NodeName, status: &NodeStatus) -> Taken {
        let old = self.known.get(from);
        if self.is_over(from, &status.stamp) || old.is_some_and(|k| k.stamp >= status.stamp) {
            return Taken::Nothing;
        }
        let new = Known::from_full(status);
        let changes = differences(old.unwrap_or(&Known::default()), &new);
        self.known.insert(from.clone(), new);
        Taken::Changed(changes)
    }

    /// Changes have come.
    pub(crate) fn delta(
        &mut self,
        from: &NodeName,
        before: &Stamp,
        after: &Stamp,
        changes: Vec<JournalRecord>,
    ) -> Taken {
        if self.is_over(from, after) {
            return Taken::Nothing;
        }
        let Some(known) = self.known.get_mut(from) else {
            return Taken::Gap;
        };
        if known.stamp >= *after {
            return Taken::Nothing;
        }
        if known.stamp != *before {
            return Taken::Gap;
        }
        changes.iter().for_each(|c| known.apply(c));
        known.stamp = after.clone();
        Taken::Changed(changes)
    }

    /// The stamp in a beat: whether this node has been behind it for a whole beat.
    pub(crate) fn is_behind(&mut self, from: &NodeName, stamp: &Stamp) -> bool {
        if self.is_over(from, stamp) {
            return false;
        }
        let held = self.known.get(from).map(|k| &k.stamp);
        let before = self.seen.insert(from.clone(), stamp.clone());
        before.is_some_and(|b| held.is_none_or(|h| *h < b))
    }
}

fn differences(old: &Known, new: &Known) -> Vec<JournalRecord> {
    let mut changes = Vec::new();
    for (name, element) in &new.resources {
        if old.resources.get(name) != Some(element) {
            let xml = Some(element.to_xml_compact());
            changes.push(JournalRecord::Resource {
                resource: name.clone(),
                xml,
            });
        }
    }
    for name in old
        .resources
        .keys()
        .filter(|n| !new.resources.contains_key(*n))
    {
        changes.push(JournalRecord::Resource {
            resource: name.clone(),
            xml: None,
        });
    }
    for (name, value) in &new.attributes {
        if old.attributes.get(name) != Some(value) {
            let value = Some(value.clone());
            changes.push(JournalRecord::Attribute {
                name: name.clone(),
                value,
            });
        }
    }
    for name in old
        .attributes
        .keys()
        .filter(|n| !new.attributes.contains_key(*n))
    {
        changes.push(JournalRecord::Attribute {
            name: name.clone(),
            value: None,
        });
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(life: u64, incarnation: u64) -> Own {
        Own::new(
            Life {
                number: life,
                id: "x".into(),
            },
            incarnation,
        )
    }

    fn set(own: &mut Own, name: &str, value: &str) -> Message {
        own.set_attribute(name, Some(value.into()), &mut Vec::new());
        own.publish().unwrap()
    }

    fn deliver(others: &mut Others, message: Message) -> Taken {
        let Message::StatusDelta { from, to, changes } = message else {
            panic!("{message:?}");
        };
        others.delta(&"b".into(), &from, &to, changes)
    }

    #[test]
    fn a_delta_needs_what_came_before_it() {
        let (mut b, mut others) = (own(1, 1), Others::default());
        let first = set(&mut b, "x", "1");
        assert_eq!(deliver(&mut others, first.clone()), Taken::Gap);
        assert!(matches!(
            others.full(&"b".into(), &b.full()),
            Taken::Changed(_)
        ));
        assert_eq!(deliver(&mut others, first), Taken::Nothing, "known already");
        let second = set(&mut b, "x", "2");
        let third = set(&mut b, "y", "1");
        assert_eq!(deliver(&mut others, third.clone()), Taken::Gap);
        assert!(matches!(deliver(&mut others, second), Taken::Changed(_)));
        assert!(matches!(deliver(&mut others, third), Taken::Changed(_)));
        assert_eq!(others.get("b").unwrap().attributes["x"], "2");
    }

    #[test]
    fn the_status_of_an_ended_life_does_not_come_back() {
        let (old, new) = (own(1, 9), own(2, 1));
        let mut others = Others::default();
        others.full(&"b".into(), &old.full());
        others.bury(&"b".into(), 1);
        assert!(others.get("b").is_none());
        assert_eq!(others.full(&"b".into(), &old.full()), Taken::Nothing);
        assert!(matches!(
            others.full(&"b".into(), &new.full()),
            Taken::Changed(_)
        ));
        others.bury(&"b".into(), 1);
        assert!(
            others.get("b").is_some(),
            "a late tombstone spares the new life"
        );
    }

    #[test]
    fn a_lost_delta_is_noticed_at_the_second_beat() {
        let (mut b, mut others) = (own(1, 1), Others::default());
        others.full(&"b".into(), &b.full());
        set(&mut b, "x", "1");
        assert!(
            !others.is_behind(&"b".into(), b.stamp()),
            "the delta may be on its way"
        );
        assert!(others.is_behind(&"b".into(), b.stamp()));
    }

    #[test]
    fn the_journal_gives_the_status_back() {
        let mut b = own(1, 1);
        let mut out = Vec::new();
        let element = Element::new("lrm_resource").with_attr("id", "r");
        b.set_resource("r", Some(element), &mut out);
        b.set_attribute("x", Some("1".into()), &mut out);
        b.set_attribute("x", None, &mut out);
        let mut again = own(1, 2);
        for command in &out {
            if let Command::Journal(record) = command {
                again.recover(record);
            }
        }
        assert_eq!(again.full().resources, b.full().resources);
        assert!(again.known().attributes.is_empty());
        assert!(again.stamp() > b.stamp(), "a new incarnation comes later");
    }
}

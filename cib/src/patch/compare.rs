//! Finding the changes between two documents. What is shared in memory is equal and not looked at.

use super::Style;
use crate::{
    tree::{Element, Node},
    version::COUNTERS,
    xpath::push_step,
};
use std::collections::{BTreeMap, BTreeSet};

/// The `<change>` elements, in their order.
pub(super) fn changes(old: &Element, new: &Element, style: Style) -> Vec<Element> {
    let mut found = Found::default();
    if is_same_place(old, new) {
        compare(old, new, "", style, &mut found);
    } else {
        // Another document altogether: the empty path is that of the document itself.
        let create = change("create", "").with_attr("position", "0");
        found.others.push(create.with_child(new.clone()));
    }
    found.deletions.append(&mut found.others);
    found.deletions
}

#[derive(Default)]
struct Found {
    /// In the order of the old document.
    deletions: Vec<Element>,
    /// Modifications, creations and moves in the order of the new document.
    others: Vec<Element>,
}

fn change(operation: &str, path: &str) -> Element {
    Element::new("change")
        .with_attr("operation", operation)
        .with_attr("path", path)
}

/// Compares two elements with the same name and id; `path` is that of their parents.
fn compare(old: &Element, new: &Element, path: &str, style: Style, found: &mut Found) {
    if old.ptr_eq(new) {
        return;
    }
    let mut own_path = path.to_owned();
    push_step(&mut own_path, new);
    let counters_count = style.versions || !path.is_empty();
    attributes(old, new, &own_path, style, counters_count, found);
    let pairs = Pairs::new(old, new);
    let mut inner = delete(old, new, &pairs, &own_path, style, found);
    create(new, &pairs, &own_path, &mut inner, found);
}

fn attributes(
    old: &Element,
    new: &Element,
    path: &str,
    style: Style,
    counters_count: bool,
    found: &mut Found,
) {
    let counts = |name: &str| counters_count || !COUNTERS.contains(&name);
    let before: Vec<_> = old.attrs().collect();
    let mut list = Element::new("change-list");
    for (position, (name, value)) in new.attrs().enumerate().filter(|(_, (n, _))| counts(n)) {
        // An attribute at another position is set too: that is how the order is told.
        let same = if style.attribute_order {
            before.get(position) == Some(&(name, value))
        } else {
            old.attr(name) == Some(value)
        };
        if !same {
            list.push(attribute_change(name, Some(value)));
        }
    }
    for (name, _) in old.attrs().filter(|(n, _)| counts(n)) {
        if new.attr(name).is_none() {
            list.push(attribute_change(name, None));
        }
    }
    if list.is_empty() {
        return;
    }
    let mut result = Element::new(new.name());
    for (name, value) in new.attrs() {
        result.set_attr(name, value);
    }
    let result = Element::new("change-result").with_child(result);
    let modify = change("modify", path).with_child(list).with_child(result);
    found.others.push(modify);
}

fn attribute_change(name: &str, value: Option<&str>) -> Element {
    let element = Element::new("change-attr").with_attr("name", name);
    match value {
        Some(value) => element
            .with_attr("operation", "set")
            .with_attr("value", value),
        None => element.with_attr("operation", "unset"),
    }
}

/// Deletes what has no partner and compares what has one, in the order of the old document.
/// Returns what else was found within partners, by their position in the new element.
fn delete(
    old: &Element,
    new: &Element,
    pairs: &Pairs,
    path: &str,
    style: Style,
    found: &mut Found,
) -> BTreeMap<usize, Vec<Element>> {
    let mut others = BTreeMap::new();
    let mut gone = 0;
    for (position, node) in old.nodes().iter().enumerate() {
        let partner = pairs.new_of.get(&position);
        if partner.is_none() {
            found.deletions.push(deletion(node, path, position - gone));
            gone += 1;
        } else if let (Some(at), Some(child)) = (partner, node.as_element())
            && let Some(other) = element_at(new, *at)
        {
            let mut inner = Found::default();
            compare(child, other, path, style, &mut inner);
            found.deletions.append(&mut inner.deletions);
            others.insert(*at, inner.others);
        }
    }
    others
}

fn deletion(node: &Node, path: &str, position: usize) -> Element {
    let mut path = path.to_owned();
    match node {
        Node::Element(element) => {
            push_step(&mut path, element);
            return change("delete", &path);
        }
        Node::Comment(_) => path.push_str("/comment"),
        Node::Text(_) => path.push_str("/text"),
    }
    change("delete", &path).with_attr("position", position.to_string())
}

/// Creates and moves, in the order of the new document.
fn create(
    new: &Element,
    pairs: &Pairs,
    path: &str,
    inner: &mut BTreeMap<usize, Vec<Element>>,
    found: &mut Found,
) {
    for (position, node) in new.nodes().iter().enumerate() {
        let at = position.to_string();
        if !pairs.old_of.contains_key(&position) {
            let mut create = change("create", path).with_attr("position", at);
            create.push_node(node.clone());
            found.others.push(create);
            continue;
        }
        found
            .others
            .append(&mut inner.remove(&position).unwrap_or_default());
        if let (Some(element), true) = (node.as_element(), pairs.moved.contains(&position)) {
            let mut path = path.to_owned();
            push_step(&mut path, element);
            found
                .others
                .push(change("move", &path).with_attr("position", at));
        }
    }
}

fn element_at(parent: &Element, position: usize) -> Option<&Element> {
    parent.nodes().get(position)?.as_element()
}

/// Which nodes of two elements are the same one, by position.
#[derive(Default)]
struct Pairs {
    new_of: BTreeMap<usize, usize>,
    old_of: BTreeMap<usize, usize>,
    /// Positions in the new element of those that stand elsewhere among the paired than before.
    moved: BTreeSet<usize>,
}

impl Pairs {
    fn new(old: &Element, new: &Element) -> Self {
        let mut pairs = Self::default();
        let mut crowds = Vec::new();
        pairs.pair_elements(old, new, &mut crowds);
        pairs.pair_rest(old, new);
        // What cannot be named cannot be moved: it is deleted and created instead, which may
        // change what else counts as moved.
        while !pairs.find_moved(old, &crowds) {}
        pairs
    }

    fn add(&mut self, old: usize, new: usize) {
        self.new_of.insert(old, new);
        self.old_of.insert(new, old);
    }

    fn remove(&mut self, old: usize) {
        if let Some(new) = self.new_of.remove(&old) {
            self.old_of.remove(&new);
        }
    }

    /// Pairs elements of the same name and id. Several with the same stay only if none of them
    /// changed; they are returned in `crowds` by their old positions.
    fn pair_elements(&mut self, old: &Element, new: &Element, crowds: &mut Vec<Vec<usize>>) {
        let old_places = places(old);
        let new_places = places(new);
        for (key, from) in old_places {
            let Some(to) = new_places.get(&key) else {
                continue;
            };
            let both: Vec<_> = from.iter().copied().zip(to.iter().copied()).collect();
            let is_same = |(a, b): &(usize, usize)| match (element_at(old, *a), element_at(new, *b))
            {
                (Some(a), Some(b)) => a == b || (from.len() == 1 && is_same_place(a, b)),
                _ => false,
            };
            if from.len() != to.len() || !both.iter().all(is_same) {
                continue;
            }
            for (a, b) in both {
                self.add(a, b);
            }
            if from.len() > 1 || !is_addressable(key.1) {
                crowds.push(from);
            }
        }
    }

    /// Pairs comments and texts that are the same at the same position.
    fn pair_rest(&mut self, old: &Element, new: &Element) {
        for (position, (a, b)) in old.nodes().iter().zip(new.nodes()).enumerate() {
            if a.as_element().is_none() && a == b {
                self.add(position, position);
            }
        }
    }

    /// Finds out what is moved; returns false if pairs had to be given up and it must be asked
    /// again.
    fn find_moved(&mut self, old: &Element, crowds: &[Vec<usize>]) -> bool {
        self.moved = self
            .new_of
            .values()
            .zip(self.old_of.keys())
            .filter(|(by_old, by_new)| by_old != by_new)
            .map(|(by_old, _)| *by_old)
            .collect();
        let moved_from: BTreeSet<usize> = self
            .moved
            .iter()
            .filter_map(|n| self.old_of.get(n).copied())
            .collect();
        let mut stays = true;
        for position in &moved_from {
            let crowd = crowds.iter().find(|c| c.contains(position));
            if let Some(crowd) = crowd {
                crowd.iter().for_each(|p| self.remove(*p));
                stays = false;
            } else if element_at(old, *position).is_none() {
                self.remove(*position);
                stays = false;
            }
        }
        stays
    }
}

type Key<'a> = (&'a str, Option<&'a str>);

/// Positions of elements by name and id.
fn places(parent: &Element) -> BTreeMap<Key<'_>, Vec<usize>> {
    let mut places: BTreeMap<Key<'_>, Vec<usize>> = BTreeMap::new();
    for (position, node) in parent.nodes().iter().enumerate() {
        if let Some(element) = node.as_element() {
            let key = (element.name(), element.id());
            places.entry(key).or_default().push(position);
        }
    }
    places
}

/// Whether changes from one to the other can be told by paths: both have the same name and id, and
/// so does nothing in them that paths cannot name.
fn is_same_place(old: &Element, new: &Element) -> bool {
    let named = |e: &Element| e.children().all(|c| is_addressable(c.id()));
    old.name() == new.name()
        && old.id() == new.id()
        && is_addressable(new.id())
        && named(old)
        && named(new)
}

/// XPath has no way to write both kinds of quotes in one literal.
fn is_addressable(id: Option<&str>) -> bool {
    id.is_none_or(|id| !(id.contains('\'') && id.contains('"')))
}

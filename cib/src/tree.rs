//! The document tree: immutable, reference-counted; a clone is free and an edit copies one path.

use crate::{
    names::{Name, Word},
    parse, write,
};
use compact_str::CompactString;
use std::{fmt, sync::Arc};

pub use crate::parse::ParseError;

/// An element with its attributes and what is in it.
///
/// A clone shares everything with its original; the first edit of a clone copies the element
/// itself (its children stay shared until they are edited in turn).
#[derive(Clone)]
pub struct Element(Arc<Inner>);

/// What an element can hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// An element.
    Element(Element),
    /// The text of a comment, without its delimiters.
    Comment(Box<str>),
    /// Character data that is not only blanks (the configuration itself uses none).
    Text(Box<str>),
}

impl Node {
    /// The element, if it is one.
    pub fn as_element(&self) -> Option<&Element> {
        match self {
            Self::Element(element) => Some(element),
            _ => None,
        }
    }

    fn as_element_mut(&mut self) -> Option<&mut Element> {
        match self {
            Self::Element(element) => Some(element),
            _ => None,
        }
    }
}

impl From<Element> for Node {
    fn from(element: Element) -> Self {
        Self::Element(element)
    }
}

#[derive(Clone)]
pub(crate) struct Inner {
    pub(crate) name: Name,
    pub(crate) line: u32,
    pub(crate) attrs: Vec<(Name, CompactString)>,
    pub(crate) nodes: Vec<Node>,
}

impl Drop for Inner {
    /// Takes a tree apart without recursion: its depth is not the stack's business.
    fn drop(&mut self) {
        if self.nodes.is_empty() {
            return;
        }
        let mut waiting = std::mem::take(&mut self.nodes);
        while let Some(node) = waiting.pop() {
            if let Node::Element(Element(mut shared)) = node
                && let Some(last) = Arc::get_mut(&mut shared)
            {
                waiting.append(&mut last.nodes);
            }
        }
    }
}

// Reading.
impl Element {
    /// An element without attributes and children.
    pub fn new(name: &str) -> Self {
        Self::from_inner(Inner {
            name: Name::new(name),
            line: 0,
            attrs: Vec::new(),
            nodes: Vec::new(),
        })
    }

    pub(crate) fn from_inner(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// What is in it, taken out if nobody else holds it.
    pub(crate) fn into_nodes(mut self) -> Vec<Node> {
        match Arc::get_mut(&mut self.0) {
            Some(inner) => std::mem::take(&mut inner.nodes),
            None => self.0.nodes.clone(),
        }
    }

    /// Reads a document: exactly one element, with comments and an XML declaration around it at
    /// most. Text that is only blanks is dropped, comments and the order of attributes are kept.
    ///
    /// # Errors
    /// Where the text is not well-formed XML, uses what a configuration has no use for (document
    /// types, entities of its own) or is nested deeper than 256 elements.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parse::parse(text)
    }

    /// Its tag.
    #[inline]
    pub fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// Line of its start tag in the text it was read from, from 1; 0 if it was not read.
    pub fn line(&self) -> u32 {
        self.0.line
    }

    /// The value of an attribute.
    #[inline]
    pub fn attr(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.attrs.iter().find(|(n, _)| n.as_str() == name)?;
        Some(value)
    }

    /// The value of an attribute that is a word of the vocabulary; faster than [`Self::attr`].
    #[inline]
    pub fn get(&self, word: Word) -> Option<&str> {
        let (_, value) = self.0.attrs.iter().find(|(n, _)| n.is(word))?;
        Some(value)
    }

    /// Attributes in order, their names as words where they are some.
    #[inline]
    pub fn words(&self) -> impl ExactSizeIterator<Item = (Option<Word>, &str)> {
        self.0.attrs.iter().map(|(n, v)| (n.word(), v.as_str()))
    }

    /// Whether this is its tag.
    #[inline]
    pub fn is(&self, word: Word) -> bool {
        self.0.name.is(word)
    }

    /// Attributes in order.
    pub fn attrs(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> + ExactSizeIterator {
        self.0.attrs.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// The `id` attribute.
    #[inline]
    pub fn id(&self) -> Option<&str> {
        const ID: Word = Word::new("id");
        self.get(ID)
    }

    /// Everything in it in order: elements, comments, text.
    pub fn nodes(&self) -> &[Node] {
        &self.0.nodes
    }

    /// Elements in it, in order.
    #[inline]
    pub fn children(&self) -> impl DoubleEndedIterator<Item = &Element> {
        self.0.nodes.iter().filter_map(Node::as_element)
    }

    /// The first element of this name in it.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children().find(|c| c.name() == name)
    }

    /// Elements of this name in it.
    pub fn children_named<'a>(
        &'a self,
        name: &'a str,
    ) -> impl DoubleEndedIterator<Item = &'a Element> {
        self.children().filter(move |c| c.name() == name)
    }

    /// All elements below it in document order, without itself.
    pub fn descendants(&self) -> Descendants<'_> {
        Descendants {
            waiting: vec![self.0.nodes.iter()],
        }
    }

    /// The first element below it, or itself, with this `id`.
    pub fn find_id(&self, id: &str) -> Option<&Element> {
        std::iter::once(self)
            .chain(self.descendants())
            .find(|e| e.id() == Some(id))
    }

    /// Character data directly in it, put together.
    pub fn text(&self) -> String {
        let texts = self.0.nodes.iter().filter_map(|node| match node {
            Node::Text(text) => Some(&**text),
            _ => None,
        });
        texts.collect()
    }

    /// Whether nothing is in it (attributes do not count).
    pub fn is_empty(&self) -> bool {
        self.0.nodes.is_empty()
    }

    /// Whether both are the same piece of memory, and so certainly equal.
    pub fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Text with an indentation of two blanks a level and a line break after every element.
    pub fn to_xml(&self) -> String {
        write::pretty(self)
    }

    /// Text without any blanks between elements.
    pub fn to_xml_compact(&self) -> String {
        write::compact(self)
    }
}

// Editing.
impl Element {
    fn inner(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }

    /// Sets an attribute; a new one goes to the end.
    pub fn set_attr(&mut self, name: &str, value: impl AsRef<str>) {
        let value = value.as_ref();
        if self.attr(name) == Some(value) {
            return;
        }
        let inner = self.inner();
        match inner.attrs.iter_mut().find(|(n, _)| n.as_str() == name) {
            Some((_, old)) => *old = value.into(),
            None => inner.attrs.push((Name::new(name), value.into())),
        }
    }

    /// Takes an attribute away; returns whether it was there.
    pub fn remove_attr(&mut self, name: &str) -> bool {
        if self.attr(name).is_none() {
            return false;
        }
        self.inner().attrs.retain(|(n, _)| n.as_str() != name);
        true
    }

    /// Keeps the attributes for which `keep` is true.
    pub fn retain_attrs(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        if self.attrs().all(|(n, v)| keep(n, v)) {
            return;
        }
        self.inner().attrs.retain(|(n, v)| keep(n.as_str(), v));
    }

    /// Takes all attributes away.
    pub fn clear_attrs(&mut self) {
        if !self.0.attrs.is_empty() {
            self.inner().attrs.clear();
        }
    }

    /// The element with an attribute set.
    #[must_use]
    pub fn with_attr(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.set_attr(name, value);
        self
    }

    /// The element with one more element at its end.
    #[must_use]
    pub fn with_child(mut self, child: Element) -> Self {
        self.push(child);
        self
    }

    /// Adds an element at the end.
    pub fn push(&mut self, child: Element) {
        self.push_node(child.into());
    }

    /// Adds an element, a comment or text at the end.
    pub fn push_node(&mut self, node: Node) {
        self.inner().nodes.push(node);
    }

    /// Puts an element before the one that has this position among the elements (not counting
    /// comments); past the last one means at the end.
    pub fn insert_child(&mut self, position: usize, child: Element) {
        let before = self
            .0
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, n)| n.as_element().is_some())
            .nth(position)
            .map(|(at, _)| at);
        let nodes = &mut self.inner().nodes;
        nodes.insert(before.unwrap_or(nodes.len()), child.into());
    }

    /// Puts a node (element, comment or text) at this position among all nodes; past the last one
    /// means at the end.
    pub fn insert_node(&mut self, position: usize, node: Node) {
        let nodes = &mut self.inner().nodes;
        nodes.insert(position.min(nodes.len()), node);
    }

    /// Takes out the node at this position among all nodes.
    pub fn remove_node(&mut self, position: usize) -> Option<Node> {
        (position < self.0.nodes.len()).then(|| self.inner().nodes.remove(position))
    }

    /// Puts another element in the place of the one at this position among the elements; returns
    /// the old one, or nothing (and changes nothing) if there is none.
    pub fn replace_child(&mut self, position: usize, child: Element) -> Option<Element> {
        let place = self.children_mut().nth(position)?;
        Some(std::mem::replace(place, child))
    }

    /// The first element of this name in it.
    pub fn child_mut(&mut self, name: &str) -> Option<&mut Element> {
        self.child(name)?;
        self.children_mut().find(|c| c.name() == name)
    }

    /// The first element of this name in it, made at the end if there is none.
    pub fn child_or_insert(&mut self, name: &str) -> &mut Element {
        let at = self.0.nodes.iter().position(|n| is_named(n, name));
        let nodes = &mut self.inner().nodes;
        let at = at.unwrap_or_else(|| {
            nodes.push(Element::new(name).into());
            nodes.len() - 1
        });
        match &mut nodes[at] {
            Node::Element(element) => element,
            _ => unreachable!("position() named an element"),
        }
    }

    /// Elements in it, to be edited. Asking copies this element; an unchanged child stays shared.
    pub fn children_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Element> {
        self.nodes_mut().iter_mut().filter_map(Node::as_element_mut)
    }

    /// Everything in it, to be edited.
    pub fn nodes_mut(&mut self) -> &mut Vec<Node> {
        &mut self.inner().nodes
    }

    /// Keeps the elements for which `keep` is true; comments and text stay.
    pub fn retain_children(&mut self, mut keep: impl FnMut(&Element) -> bool) {
        let keeps: Vec<bool> = self
            .0
            .nodes
            .iter()
            .map(|n| n.as_element().is_none_or(&mut keep))
            .collect();
        if keeps.iter().all(|k| *k) {
            return;
        }
        let mut keeps = keeps.into_iter();
        self.inner().nodes.retain(|_| keeps.next().unwrap_or(true));
    }
}

fn is_named(node: &Node, name: &str) -> bool {
    node.as_element().is_some_and(|e| e.name() == name)
}

impl PartialEq for Element {
    /// Same names, attributes in the same order, same content; lines do not count.
    fn eq(&self, other: &Self) -> bool {
        self.ptr_eq(other)
            || (self.0.name == other.0.name
                && self.0.attrs == other.0.attrs
                && self.0.nodes == other.0.nodes)
    }
}

impl Eq for Element {}
impl Eq for Node {}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_xml())
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_xml())
    }
}

impl std::str::FromStr for Element {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

/// See [`Element::descendants`].
#[derive(Debug)]
pub struct Descendants<'a> {
    waiting: Vec<std::slice::Iter<'a, Node>>,
}

impl<'a> Iterator for Descendants<'a> {
    type Item = &'a Element;

    fn next(&mut self) -> Option<&'a Element> {
        while let Some(level) = self.waiting.last_mut() {
            match level.next() {
                Some(Node::Element(element)) => {
                    if !element.is_empty() {
                        self.waiting.push(element.0.nodes.iter());
                    }
                    return Some(element);
                }
                Some(_) => {}
                None => {
                    self.waiting.pop();
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Element {
        Element::parse("<a x='1'><b id='b1'><c id='c1'/></b><!-- why --><b id='b2'/></a>").unwrap()
    }

    #[test]
    fn can_be_sent_and_shared() {
        fn check<T: Send + Sync>() {}
        check::<Element>();
    }

    #[test]
    fn reads() {
        let doc = sample();
        assert_eq!(doc.attr("x"), Some("1"));
        assert_eq!(doc.attr("y"), None);
        assert_eq!(doc.children().count(), 2);
        assert_eq!(doc.nodes().len(), 3);
        assert_eq!(doc.child("b").and_then(Element::id), Some("b1"));
        assert_eq!(doc.find_id("c1").map(Element::name), Some("c"));
        let ids: Vec<_> = doc.descendants().filter_map(Element::id).collect();
        assert_eq!(ids, ["b1", "c1", "b2"]);
    }

    #[test]
    fn an_edit_leaves_the_original_and_shares_what_it_did_not_touch() {
        let old = sample();
        let mut new = old.clone();
        new.set_attr("x", "2");
        assert_eq!(old.attr("x"), Some("1"));
        assert_eq!(new.attr("x"), Some("2"));
        for (a, b) in old.children().zip(new.children()) {
            assert!(a.ptr_eq(b));
        }
        new.child_mut("b").unwrap().push(Element::new("d"));
        assert!(!new.child("b").unwrap().ptr_eq(old.child("b").unwrap()));
        assert!(old.child("b").unwrap().child("d").is_none());
    }

    #[test]
    fn an_edit_that_changes_nothing_copies_nothing() {
        let old = sample();
        let mut new = old.clone();
        new.set_attr("x", "1");
        new.remove_attr("nope");
        new.retain_children(|_| true);
        new.retain_attrs(|_, _| true);
        assert!(new.child_mut("nope").is_none());
        assert!(new.ptr_eq(&old));
    }

    #[test]
    fn inserts_replaces_and_removes() {
        let mut doc = sample();
        doc.insert_child(1, Element::new("n"));
        assert_eq!(
            doc.to_xml_compact(),
            r#"<a x="1"><b id="b1"><c id="c1"/></b><!-- why --><n/><b id="b2"/></a>"#
        );
        doc.insert_child(9, Element::new("last"));
        assert_eq!(
            doc.replace_child(0, Element::new("first")).unwrap().id(),
            Some("b1")
        );
        assert!(doc.replace_child(9, Element::new("x")).is_none());
        doc.retain_children(|c| c.name() != "b");
        doc.child_or_insert("made").set_attr("k", "v");
        doc.child_or_insert("made").set_attr("l", "w");
        assert_eq!(
            doc.to_xml_compact(),
            r#"<a x="1"><first/><!-- why --><n/><last/><made k="v" l="w"/></a>"#
        );
    }

    #[test]
    fn a_very_deep_tree_is_dropped() {
        let mut doc = Element::new("leaf");
        for _ in 0..1_000_000 {
            doc = Element::new("x").with_child(doc);
        }
        drop(doc);
    }

    #[test]
    fn equality_sees_order_and_comments_but_not_lines() {
        let a = Element::parse("<a>\n<b x='1' y='2'/></a>").unwrap();
        assert_eq!(a, Element::parse("<a><b x='1' y='2'/></a>").unwrap());
        assert_ne!(a, Element::parse("<a><b y='2' x='1'/></a>").unwrap());
        assert_ne!(
            a,
            Element::parse("<a><!-- --><b x='1' y='2'/></a>").unwrap()
        );
    }
}

//! XPath 1.0 over documents. Expressions come from users: their length and nesting are capped.

use crate::{
    path::Path,
    tree::{Element, Node},
};
use std::cmp::Ordering;
use xpath_eval::{EvaluationContext, ExpandedName, NodeKind, Value};

/// Longest expression in bytes.
pub const MAX_LENGTH: usize = 4096;
/// Deepest nesting of brackets.
const MAX_NESTING: usize = 32;
/// Most searches through everything (`//`) in one expression.
const MAX_SEARCHES: usize = 16;

/// Why an expression selected nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XPathError {
    /// Longer or deeper than allowed.
    #[error("the XPath expression is {0}; write a simpler one")]
    TooComplex(String),
    /// Not XPath.
    #[error(
        "'{expression}' is not an XPath expression: {reason} at character {position}; \
         an example: //primitive[@id='web']"
    )]
    Syntax {
        /// What was given.
        expression: String,
        /// What is wrong.
        reason: String,
        /// Where, from 1.
        position: usize,
    },
    /// It could not be evaluated.
    #[error("the XPath expression '{expression}' cannot be evaluated: {reason}")]
    Evaluation {
        /// What was given.
        expression: String,
        /// Why.
        reason: String,
    },
    /// The result is a number, a text or a truth value.
    #[error("the XPath expression '{0}' gives a value; one that selects elements is needed")]
    NoNodes(String),
}

/// Places of the selected elements in document order, each once. An attribute, comment or text
/// stands for the element it is in, the document for its outermost element.
///
/// # Errors
/// If the expression is too long, wrong or selects no kind of node.
pub fn select(root: &Element, expression: &str) -> Result<Vec<Path>, XPathError> {
    check_limits(expression)?;
    let parsed = xpath_eval::parse(expression).map_err(|e| XPathError::Syntax {
        expression: expression.to_owned(),
        reason: e.message,
        position: e.position + 1,
    })?;
    let arena = Arena::new(root);
    let handle = Handle {
        arena: &arena,
        at: 0,
        attr: 0,
    };
    let context = EvaluationContext::new(handle);
    let value = xpath_eval::evaluate(&parsed, &context).map_err(|e| XPathError::Evaluation {
        expression: expression.to_owned(),
        reason: format!("{e:?}"),
    })?;
    let Value::NodeSet(nodes) = value else {
        return Err(XPathError::NoNodes(expression.to_owned()));
    };
    let mut found: Vec<usize> = nodes.into_iter().map(|n| arena.element_at(n.at)).collect();
    found.sort_unstable();
    found.dedup();
    Ok(found.into_iter().map(|at| arena.path(at)).collect())
}

/// The selected elements.
///
/// # Errors
/// As for [`select`].
pub fn find<'a>(root: &'a Element, expression: &str) -> Result<Vec<&'a Element>, XPathError> {
    let paths = select(root, expression)?;
    Ok(paths
        .iter()
        .filter_map(|path| crate::path::get(root, path))
        .collect())
}

/// The place of an element as the field writes it: `/cib/status/node_state[@id='1']`.
pub fn path_text(root: &Element, path: &[usize]) -> String {
    let mut text = String::new();
    let mut element = Some(root);
    let mut positions = path.iter();
    while let Some(e) = element {
        push_step(&mut text, e);
        element = positions
            .next()
            .and_then(|p| e.nodes().get(*p))
            .and_then(Node::as_element);
    }
    text
}

/// Appends the step to an element: its name, and its id if it has one.
pub(crate) fn push_step(text: &mut String, element: &Element) {
    text.push('/');
    text.push_str(element.name());
    if let Some(id) = element.id() {
        let quote = if id.contains('\'') { '"' } else { '\'' };
        text.push_str("[@id=");
        text.push(quote);
        text.push_str(id);
        text.push(quote);
        text.push(']');
    }
}

/// The evaluator is recursive, and a search multiplies with every other.
fn check_limits(expression: &str) -> Result<(), XPathError> {
    if expression.len() > MAX_LENGTH {
        let reason = format!("longer than {MAX_LENGTH} bytes");
        return Err(XPathError::TooComplex(reason));
    }
    let mut quote = None;
    let (mut depth, mut minuses, mut searches) = (0_usize, 0_usize, 0_usize);
    let mut last = b' ';
    for byte in expression.bytes() {
        match (quote, byte) {
            (Some(open), _) if open == byte => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'(' | b'[') => depth += 1,
            (None, b')' | b']') => depth = depth.saturating_sub(1),
            (None, b'/') if last == b'/' => searches += 1,
            _ => {}
        }
        match byte {
            b'-' => minuses += 1,
            b' ' | b'\t' | b'\n' | b'\r' => {}
            _ => minuses = 0,
        }
        last = byte;
        if depth > MAX_NESTING || minuses > MAX_NESTING {
            let reason = format!("nested deeper than {MAX_NESTING} levels");
            return Err(XPathError::TooComplex(reason));
        }
        if searches > MAX_SEARCHES {
            let reason = format!("searching everything ('//') more than {MAX_SEARCHES} times");
            return Err(XPathError::TooComplex(reason));
        }
    }
    Ok(())
}

/// Every node of a document in document order. The first is the document itself.
struct Arena<'a> {
    entries: Vec<Entry<'a>>,
}

struct Entry<'a> {
    node: Kind<'a>,
    parent: usize,
    /// Position among the parent's nodes.
    position: usize,
    /// One past its last descendant.
    end: usize,
}

#[derive(Clone, Copy)]
enum Kind<'a> {
    Document,
    Element(&'a Element),
    Comment(&'a str),
    Text(&'a str),
}

impl<'a> Arena<'a> {
    fn new(root: &'a Element) -> Self {
        let mut arena = Self {
            entries: vec![Entry {
                node: Kind::Document,
                parent: 0,
                position: 0,
                end: 0,
            }],
        };
        arena.add_element(root, 0, 0);
        arena.entries[0].end = arena.entries.len();
        arena
    }

    fn add(&mut self, node: Kind<'a>, parent: usize, position: usize) -> usize {
        let at = self.entries.len();
        self.entries.push(Entry {
            node,
            parent,
            position,
            end: at + 1,
        });
        at
    }

    fn add_element(&mut self, element: &'a Element, parent: usize, position: usize) {
        let at = self.add(Kind::Element(element), parent, position);
        for (position, node) in element.nodes().iter().enumerate() {
            match node {
                Node::Element(child) => self.add_element(child, at, position),
                Node::Comment(text) => {
                    self.add(Kind::Comment(text), at, position);
                }
                Node::Text(text) => {
                    self.add(Kind::Text(text), at, position);
                }
            }
        }
        self.entries[at].end = self.entries.len();
    }

    /// The element that stands for an entry.
    fn element_at(&self, at: usize) -> usize {
        match self.entries[at].node {
            Kind::Element(_) => at,
            Kind::Document => 1,
            Kind::Comment(_) | Kind::Text(_) => self.entries[at].parent,
        }
    }

    fn path(&self, mut at: usize) -> Path {
        let mut path = Path::new();
        while at > 1 {
            path.push(self.entries[at].position);
            at = self.entries[at].parent;
        }
        path.reverse();
        path
    }
}

/// A node for the evaluator: an entry, or an attribute of one (counted from 1).
#[derive(Clone, Copy)]
struct Handle<'a> {
    arena: &'a Arena<'a>,
    at: usize,
    attr: usize,
}

impl PartialEq for Handle<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.attr) == (other.at, other.attr)
    }
}

impl Eq for Handle<'_> {}

impl<'a> Handle<'a> {
    fn entry(self) -> &'a Entry<'a> {
        &self.arena.entries[self.at]
    }

    fn sibling(self, at: usize, attr: usize) -> Self {
        Self { at, attr, ..self }
    }

    fn attribute(self) -> Option<(&'a str, &'a str)> {
        match self.entry().node {
            Kind::Element(element) if self.attr > 0 => element.attrs().nth(self.attr - 1),
            _ => None,
        }
    }

    fn text_below(self) -> String {
        let below = self.arena.entries.get(self.at..self.entry().end);
        let texts = below.unwrap_or_default().iter().map(|e| match e.node {
            Kind::Text(text) => text,
            _ => "",
        });
        texts.collect()
    }

    fn name(self) -> Option<&'a str> {
        match (self.attribute(), self.entry().node) {
            (Some((name, _)), _) => Some(name),
            (None, Kind::Element(element)) => Some(element.name()),
            _ => None,
        }
    }
}

impl<'a> xpath_eval::Node<'a> for Handle<'a> {
    fn kind(self) -> NodeKind {
        match self.entry().node {
            _ if self.attr > 0 => NodeKind::Attribute,
            Kind::Document => NodeKind::Root,
            Kind::Element(_) => NodeKind::Element,
            Kind::Comment(_) => NodeKind::Comment,
            Kind::Text(_) => NodeKind::Text,
        }
    }

    fn parent(self) -> Option<Self> {
        match (self.attr, self.at) {
            (0, 0) => None,
            (0, _) => Some(self.sibling(self.entry().parent, 0)),
            _ => Some(self.sibling(self.at, 0)),
        }
    }

    fn children(self) -> impl Iterator<Item = Self> + 'a {
        let end = if self.attr > 0 { 0 } else { self.entry().end };
        let mut next = self.at + 1;
        std::iter::from_fn(move || {
            let child = self.sibling(next, 0);
            (next < end).then(|| {
                next = child.entry().end;
                child
            })
        })
    }

    fn attributes(self) -> impl Iterator<Item = Self> + 'a {
        let count = match self.entry().node {
            Kind::Element(element) if self.attr == 0 => element.attrs().len(),
            _ => 0,
        };
        (1..=count).map(move |attr| self.sibling(self.at, attr))
    }

    fn namespaces(self) -> impl Iterator<Item = Self> + 'a {
        std::iter::empty()
    }

    fn expanded_name(self) -> Option<ExpandedName> {
        Some(ExpandedName {
            namespace_uri: None,
            local_name: self.name()?.to_owned(),
        })
    }

    fn string_value(self) -> String {
        match (self.attribute(), self.entry().node) {
            (Some((_, value)), _) => value.to_owned(),
            (None, Kind::Comment(text) | Kind::Text(text)) => text.to_owned(),
            (None, Kind::Element(_) | Kind::Document) => self.text_below(),
        }
    }

    fn document_order(self, other: Self) -> Ordering {
        (self.at, self.attr).cmp(&(other.at, other.attr))
    }

    fn has_expanded_name(self, namespace_uri: Option<&str>, local_name: &str) -> bool {
        namespace_uri.is_none() && self.name() == Some(local_name)
    }

    fn with_string_value<R>(self, f: impl FnOnce(&str) -> R) -> R {
        match self.attribute() {
            Some((_, value)) => f(value),
            None => f(&self.string_value()),
        }
    }

    fn is_id_attribute(self) -> bool {
        self.attribute().is_some_and(|(name, _)| name == "id")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doc() -> Element {
        Element::parse(
            "<cib><configuration><resources><primitive id='a' type='x'/><group id='g'>\
             <!-- note --><primitive id='b'/></group></resources></configuration>\
             <status><node_state id='1'><t>te<u>xt</u></t></node_state></status></cib>",
        )
        .unwrap()
    }

    fn ids(expression: &str) -> Vec<String> {
        let doc = doc();
        let found = find(&doc, expression).unwrap();
        found
            .iter()
            .map(|e| e.id().unwrap_or(e.name()).to_owned())
            .collect()
    }

    #[test]
    fn selects() {
        assert_eq!(ids("//primitive"), ["a", "b"]);
        assert_eq!(ids("//primitive[@id='b']"), ["b"]);
        assert_eq!(ids("/cib/configuration/resources/*"), ["a", "g"]);
        assert_eq!(ids("//group/primitive[1] | //primitive[@type]"), ["a", "b"]);
        assert_eq!(ids("//primitive/@id"), ["a", "b"]);
        assert_eq!(ids("//comment()"), ["g"]);
        assert_eq!(ids("/"), ["cib"]);
        assert_eq!(ids("id('b')/.."), ["g"]);
        assert_eq!(ids("/cib/status//*[.='text']"), ["1", "t"]);
        assert_eq!(ids("//comment()[.=' note ']"), ["g"]);
        assert_eq!(ids("//nothing"), Vec::<String>::new());
    }

    #[test]
    fn names_places() {
        let doc = doc();
        let paths = select(&doc, "//primitive[@id='b']").unwrap();
        assert_eq!(
            path_text(&doc, &paths[0]),
            "/cib/configuration/resources/group[@id='g']/primitive[@id='b']"
        );
    }

    #[test]
    fn refuses() {
        let doc = doc();
        let error = |text: &str| select(&doc, text).unwrap_err().to_string();
        assert!(
            error("//a[").contains("is not an XPath expression"),
            "{}",
            error("//a[")
        );
        assert!(error("1+1").contains("gives a value"));
        assert!(error("nope()").contains("cannot be evaluated"));
        assert!(error(&"(".repeat(100)).contains("nested deeper"));
        assert!(error(&"- ".repeat(100)).contains("nested deeper"));
        assert!(error(&"//*".repeat(100)).contains("searching everything"));
        assert!(error(&"a".repeat(5000)).contains("longer than"));
        assert!(select(&doc, &format!("//a[@id='{}']", "(".repeat(100))).is_ok());
    }
}

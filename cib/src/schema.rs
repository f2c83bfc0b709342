//! Checks a document against the structure it says it has (`validate-with`), with line, id, what
//! is wrong and what would be right. Everything wrong is found, not only the first.
//!
//! Errors are what the field's schemas refuse; warnings are what they let pass but nobody can
//! mean. The rules come from the published description of the configuration and from observing
//! what is refused and what is not.

mod grammar;
mod meaning;
mod values;

pub use meaning::duration_ms;

use crate::Element;
use grammar::{Child, Count, Rule};
use std::{collections::BTreeMap, fmt};
use values::IdRefs;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The document is valid; somebody should look at it.
    Warning,
    /// The document is invalid: a change that leads to it is refused.
    Error,
}

/// Something wrong in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line of the element, 0 if the document was not read from text.
    pub line: u32,
    /// Name of the element.
    pub element: String,
    /// Id of the element, or of the nearest one around it that has an id.
    pub id: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub text: String,
    /// What would be right.
    pub expected: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}, ", self.line)?;
        }
        write!(f, "<{}", self.element)?;
        if let Some(id) = &self.id {
            write!(f, " id=\"{id}\"")?;
        }
        write!(f, ">: {}; {}", self.text, self.expected)
    }
}

/// Version of a schema: `pacemaker-3.9` is (3, 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SchemaVersion(pub u8, pub u8);

impl SchemaVersion {
    /// The newest there is.
    pub const LATEST: Self = Self(4, 0);

    /// Reads a schema's name; nothing if it is not known.
    pub fn from_name(name: &str) -> Option<Self> {
        let (major, minor) = name.strip_prefix("pacemaker-")?.split_once('.')?;
        let version = Self(major.parse().ok()?, minor.parse().ok()?);
        let is_known = match version {
            Self(1, minor) => matches!(minor, 0 | 2 | 3),
            Self(2 | 3, minor) => minor <= 10,
            Self(4, minor) => minor == 0,
            _ => false,
        };
        // "pacemaker-3.01" is no name.
        (is_known && version.to_string() == name).then_some(version)
    }
}

impl fmt::Display for SchemaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pacemaker-{}.{}", self.0, self.1)
    }
}

/// Checks a whole document (`<cib>`). The result is empty if there is nothing to say.
pub fn check(document: &Element) -> Vec<Problem> {
    let mut checker = Checker::new();
    let version = match document.attr("validate-with") {
        Some("none") => None,
        Some(name) => match SchemaVersion::from_name(name) {
            Some(version) => Some(version),
            None => {
                let text = format!("the schema '{name}' of validate-with is not known");
                let expected = format!("write {} or an older one", SchemaVersion::LATEST);
                checker.error(document, text, expected);
                return checker.problems;
            }
        },
        None => {
            let expected = format!("add validate-with=\"{}\"", SchemaVersion::LATEST);
            checker.error(
                document,
                "it does not say which schema it follows",
                expected,
            );
            return checker.problems;
        }
    };
    match version {
        Some(version) => {
            checker.version = version;
            checker.document(document);
            meaning::check(document, &mut checker);
        }
        None => checker.warning(
            document,
            "the schema check is switched off by validate-with=\"none\"",
            "switch it on: it prevents common mistakes",
        ),
    }
    checker.problems.sort_by_key(|p| p.line);
    checker.problems
}

/// Whether [`check`] finds no error.
pub fn is_valid(document: &Element) -> bool {
    check(document)
        .iter()
        .all(|p| p.severity != Severity::Error)
}

struct Checker<'a> {
    version: SchemaVersion,
    problems: Vec<Problem>,
    /// Where each id is.
    ids: BTreeMap<&'a str, &'a Element>,
    references: IdRefs<'a>,
    /// Ids of the elements around the one at hand.
    around: Vec<&'a str>,
}

impl<'a> Checker<'a> {
    fn new() -> Self {
        Self {
            version: SchemaVersion::LATEST,
            problems: Vec::new(),
            ids: BTreeMap::new(),
            references: Vec::new(),
            around: Vec::new(),
        }
    }

    fn error(&mut self, at: &Element, text: impl Into<String>, expected: impl Into<String>) {
        self.report(at, Severity::Error, text.into(), expected.into());
    }

    fn warning(&mut self, at: &Element, text: impl Into<String>, expected: impl Into<String>) {
        self.report(at, Severity::Warning, text.into(), expected.into());
    }

    fn report(&mut self, at: &Element, severity: Severity, text: String, expected: String) {
        let id = at.id().or_else(|| self.around.last().copied());
        self.problems.push(Problem {
            line: at.line(),
            element: at.name().to_owned(),
            id: id.map(str::to_owned),
            severity,
            text,
            expected,
        });
    }

    fn document(&mut self, document: &'a Element) {
        if document.name() == "cib" {
            self.element(document, &grammar::CIB);
            self.resolve_references();
        } else {
            let text = format!("the document is a <{}>", document.name());
            self.error(document, text, "a configuration is a <cib>");
        }
    }

    fn element(&mut self, element: &'a Element, rule: &'static Rule) {
        if let Some(id) = element.id() {
            self.around.push(id);
        }
        self.attributes(element, rule);
        self.children(element, rule);
        if let Some(further) = rule.further
            && let Some((text, expected)) = further(element, self.version)
        {
            self.error(element, text, expected);
        }
        if element.id().is_some() {
            self.around.pop();
        }
    }

    fn attributes(&mut self, element: &'a Element, rule: &'static Rule) {
        let version = self.version;
        let known = || rule.attrs.iter().filter(|a| a.versions.holds(version));
        for (name, value) in element.attrs() {
            let Some(attr) = known().find(|a| a.name == name) else {
                let names: Vec<_> = known().map(|a| a.name).collect();
                let text = format!("there is no attribute '{name}' in {version}");
                self.error(element, text, allowed("attributes", &names));
                continue;
            };
            if let Err(expected) = attr.kind.check(value, version) {
                let text = format!("'{value}' is no value for the attribute '{name}'");
                self.error(element, text, expected);
            }
            if attr.kind.is_id() {
                self.declare(element, value);
            } else if attr.kind.is_reference() {
                self.references.push((element, attr.name, value));
            }
        }
        // What refers to another element of its kind takes everything from there.
        if element.attr("id-ref").is_some() && rule.by_reference {
            return;
        }
        for attr in known().filter(|a| a.required) {
            if element.attr(attr.name).is_none() {
                let text = format!("the attribute '{}' is missing", attr.name);
                let expected = format!("add {}=: {}", attr.name, attr.kind.example(version));
                self.error(element, text, expected);
            }
        }
    }

    fn declare(&mut self, element: &'a Element, id: &'a str) {
        match self.ids.get(id).copied() {
            None => {
                self.ids.insert(id, element);
            }
            Some(first) => {
                let line = first.line();
                let text = format!(
                    "the id '{id}' is used already by <{}> in line {line}",
                    first.name()
                );
                self.error(
                    element,
                    text,
                    "every id may be used once only: choose another",
                );
            }
        }
    }

    fn children(&mut self, element: &'a Element, rule: &'static Rule) {
        let Some(content) = rule.content else {
            return;
        };
        let version = self.version;
        let known = || content.iter().filter(|c| c.versions.holds(version));
        let by_reference = rule.by_reference && element.attr("id-ref").is_some();
        for child in element.children() {
            match known().find(|c| c.rule.name == child.name()) {
                Some(known) => self.element(child, known.rule),
                None => {
                    let names: Vec<_> = known().map(|c| c.rule.name).collect();
                    let text = format!(
                        "<{}> is not allowed in <{}> in {version}",
                        child.name(),
                        element.name()
                    );
                    self.error(child, text, allowed("elements", &names));
                }
            }
        }
        if !element.text().is_empty() {
            let text = format!("there is text in it: '{}'", element.text().trim());
            self.error(element, text, "it may hold elements only");
        }
        for child in known().filter(|_| !by_reference) {
            self.count(element, child);
        }
    }

    fn count(&mut self, element: &'a Element, child: &Child) {
        let name = child.rule.name;
        let count = element.children_named(name).count();
        match child.count {
            Count::Once | Count::Some if count == 0 => {
                let text = format!("there is no <{name}> in it");
                self.error(element, text, "one is needed");
            }
            Count::Once | Count::Maybe if count > 1 => {
                let text = format!("there are {count} <{name}> in it");
                self.error(element, text, "only one is allowed");
            }
            _ => {}
        }
    }

    fn resolve_references(&mut self) {
        for (element, attr, id) in std::mem::take(&mut self.references) {
            if !self.ids.contains_key(id) {
                let text = format!("'{id}', which '{attr}' names, does not exist");
                self.error(element, text, "name the id of an element of this document");
            }
        }
    }
}

fn allowed(what: &str, names: &[&str]) -> String {
    if names.is_empty() {
        format!("no {what} are allowed here")
    } else {
        format!("allowed are {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests;

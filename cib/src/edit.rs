//! Edits of the configuration as `cibadmin` knows them, with the field's conditions and counters.

mod merge;

use crate::{
    Element, ParseError, Version,
    patch::{self, PatchError},
    path::{self, Path},
    schema::{self, Problem, Severity},
    version,
    xpath::{self, XPathError},
};
use std::{collections::BTreeSet, fmt, str::FromStr};

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Add an element that is not there yet.
    Create,
    /// Merge an element into the one of the same name and id.
    Modify,
    /// Put an element (or a document) in the place of the one of the same name and id.
    Replace,
    /// Delete the first element that has the name and the attributes of the given one.
    Delete,
    /// Delete all of them.
    DeleteAll,
    /// Apply a `<diff format="2">`.
    Patch,
    /// Raise `epoch` and nothing else.
    Bump,
    /// Empty the document, raising `admin_epoch`.
    Erase,
}

impl Action {
    /// Every action with its name.
    const NAMES: [(&'static str, Self); 8] = [
        ("create", Self::Create),
        ("modify", Self::Modify),
        ("replace", Self::Replace),
        ("delete", Self::Delete),
        ("delete-all", Self::DeleteAll),
        ("patch", Self::Patch),
        ("bump", Self::Bump),
        ("erase", Self::Erase),
    ];
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, action)| action == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

impl FromStr for Action {
    type Err = EditError;

    fn from_str(text: &str) -> Result<Self, EditError> {
        let found = Self::NAMES.iter().find(|(name, _)| *name == text);
        found
            .map(|(_, action)| *action)
            .ok_or_else(|| EditError::UnknownAction(text.to_owned()))
    }
}

/// An edit.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// What to do.
    pub action: Action,
    /// Where: a section such as `resources`; the whole document without.
    pub section: Option<String>,
    /// Where: an expression that selects elements; instead of a section.
    pub xpath: Option<String>,
    /// The element in question; not for `Bump` and `Erase`.
    pub element: Option<Element>,
    /// Whether `Modify` may create what is not there.
    pub allow_create: bool,
}

impl Operation {
    /// An operation in the whole document.
    pub fn new(action: Action, element: Option<Element>) -> Self {
        Self {
            action,
            section: None,
            xpath: None,
            element,
            allow_create: false,
        }
    }

    /// Reads an operation as it comes over a socket; an empty `xml` means no element.
    ///
    /// # Errors
    /// If the action is unknown or the element is no XML.
    pub fn from_parts(
        action: &str,
        section: Option<&str>,
        xpath: Option<&str>,
        xml: &str,
        allow_create: bool,
    ) -> Result<Self, EditError> {
        let element = if xml.trim().is_empty() {
            None
        } else {
            Some(Element::parse(xml)?)
        };
        Ok(Self {
            action: action.parse()?,
            section: section.map(str::to_owned),
            xpath: xpath.map(str::to_owned),
            element,
            allow_create,
        })
    }

    /// The operation in a section.
    #[must_use]
    pub fn in_section(mut self, section: &str) -> Self {
        self.section = Some(section.to_owned());
        self
    }

    /// The operation at what an XPath expression selects.
    #[must_use]
    pub fn at(mut self, xpath: &str) -> Self {
        self.xpath = Some(xpath.to_owned());
        self
    }
}

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// What is to be changed is not there (`ENXIO`).
    #[error("there is no {what} in {place}")]
    NotFound {
        /// The element looked for.
        what: String,
        /// Where it was looked for.
        place: String,
    },
    /// What is to be created is there already (`EEXIST`).
    #[error("{what} exists already in {place}: modify or replace it, or choose another id")]
    Exists {
        /// The element.
        what: String,
        /// Where.
        place: String,
        /// The element as it was given.
        element: Element,
    },
    /// The new document is older than the present one (`CRM_EX_OLD`).
    #[error("the new document has version {new}, which is older than the present {present}")]
    OldVersion {
        /// Of what was given.
        new: Version,
        /// Of what is there.
        present: Version,
    },
    /// There is no such section.
    #[error(
        "there is no section '{0}': sections are configuration, crm_config, nodes, resources, \
         constraints, fencing-topology, acls, tags, alerts, rsc_defaults, op_defaults and status"
    )]
    UnknownSection(String),
    /// There is no such action.
    #[error(
        "there is no action '{0}': create, modify, replace, delete, delete-all, patch, bump and erase are"
    )]
    UnknownAction(String),
    /// An element is needed and none was given.
    #[error("to {0} an element is needed: give one in XML")]
    NoElement(Action),
    /// The document itself cannot be deleted.
    #[error("the document itself cannot be deleted: erase it instead")]
    DeleteRoot,
    /// The given element is not XML.
    #[error("the element given is not XML: {0}")]
    Xml(#[from] ParseError),
    /// The expression is wrong.
    #[error(transparent)]
    XPath(#[from] XPathError),
    /// The patch does not fit.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// The document would be invalid.
    #[error("the configuration would be invalid: {}", list(.0))]
    Invalid(Vec<Problem>),
}

/// The first problems in words.
fn list(problems: &[Problem]) -> String {
    const SHOWN: usize = 5;
    let mut words: Vec<String> = problems
        .iter()
        .take(SHOWN)
        .map(Problem::to_string)
        .collect();
    if problems.len() > SHOWN {
        words.push(format!("and {} more", problems.len() - SHOWN));
    }
    words.join("; ")
}

/// Carries out an edit, moves the counters, and checks that it does not make the document invalid.
///
/// # Errors
/// If what it names is not there (or is, for `Create`), the new document is older, the edit itself
/// makes no sense, or something in the new document is wrong that was not before; the document is
/// then as before.
pub fn apply(document: &Element, operation: &Operation) -> Result<Element, EditError> {
    let result = apply_unchecked(document, operation)?;
    let introduced = introduced_errors(document, &result);
    if introduced.is_empty() {
        Ok(result)
    } else {
        Err(EditError::Invalid(introduced))
    }
}

/// What was wrong before does not keep people from changing something else.
fn introduced_errors(before: &Element, after: &Element) -> Vec<Problem> {
    let same_configuration = version::touched(before, after) != version::Touched::Configuration;
    if same_configuration && before.attr("validate-with") == after.attr("validate-with") {
        return Vec::new();
    }
    let errors = |document| {
        let problems = schema::check(document).into_iter();
        problems.filter(|p| p.severity == Severity::Error)
    };
    let mut introduced: Vec<Problem> = errors(after).collect();
    if !introduced.is_empty() {
        // An edit moves lines, and those of `after` partly come from another text.
        let key = |p: &Problem| (p.element.clone(), p.id.clone(), p.text.clone());
        let known: BTreeSet<_> = errors(before).map(|p| key(&p)).collect();
        introduced.retain(|p| !known.contains(&key(p)));
    }
    introduced
}

/// As [`apply`], without the check.
///
/// # Errors
/// As there.
pub fn apply_unchecked(document: &Element, operation: &Operation) -> Result<Element, EditError> {
    let mut result = match operation.action {
        Action::Erase => return Ok(erase(document)),
        Action::Bump => return Ok(bump(document)),
        // A patch brings the counters with it.
        Action::Patch => return Ok(patch::apply(document, element_of(operation)?)?),
        _ if operation.xpath.is_some() => at_xpath(document, operation)?,
        Action::Create => create(document, operation)?,
        Action::Modify => modify(document, operation)?,
        Action::Replace => replace(document, operation)?,
        Action::Delete | Action::DeleteAll => delete(document, operation)?,
    };
    let (new, present) = (Version::of(&result), Version::of(document));
    if (new.admin_epoch, new.epoch) < (present.admin_epoch, present.epoch) {
        return Err(EditError::OldVersion { new, present });
    }
    version::advance(document, &mut result);
    Ok(result)
}

fn element_of(operation: &Operation) -> Result<&Element, EditError> {
    let element = operation.element.as_ref();
    element.ok_or(EditError::NoElement(operation.action))
}

/// An empty document: the sections every document has.
pub fn empty_document() -> Element {
    let sections = ["crm_config", "nodes", "resources", "constraints"];
    let configuration = sections
        .iter()
        .fold(Element::new("configuration"), |all, name| {
            all.with_child(Element::new(name))
        });
    Element::new("cib")
        .with_child(configuration)
        .with_child(Element::new("status"))
}

fn erase(document: &Element) -> Element {
    let mut result = empty_document();
    for (name, value) in document.attrs() {
        result.set_attr(name, value);
    }
    let Version {
        admin_epoch, epoch, ..
    } = Version::of(document);
    let version = Version {
        admin_epoch: admin_epoch.saturating_add(1),
        epoch: epoch.saturating_add(1),
        num_updates: 0,
    };
    version.write_to(&mut result);
    result
}

fn bump(document: &Element) -> Element {
    let mut result = document.clone();
    let mut version = Version::of(document);
    version.epoch = version.epoch.saturating_add(1);
    version.num_updates = 0;
    version.write_to(&mut result);
    result
}

/// Sections in the configuration.
const SECTIONS: [&str; 10] = [
    "crm_config",
    "nodes",
    "resources",
    "constraints",
    "fencing-topology",
    "acls",
    "tags",
    "alerts",
    "rsc_defaults",
    "op_defaults",
];

/// The names on the way to a section, without the document itself.
///
/// # Errors
/// If there is no such section.
pub fn section_path(section: Option<&str>) -> Result<Vec<&str>, EditError> {
    match section {
        None | Some("" | "all" | "cib") => Ok(vec![]),
        Some("configuration") => Ok(vec!["configuration"]),
        Some("status") => Ok(vec!["status"]),
        Some("tickets") => Ok(vec!["status", "tickets"]),
        Some(name) if SECTIONS.contains(&name) => Ok(vec!["configuration", name]),
        Some(other) => Err(EditError::UnknownSection(other.to_owned())),
    }
}

/// A section of a document, if it has it.
///
/// # Errors
/// If there is no such section in any document.
pub fn section<'a>(
    document: &'a Element,
    section: Option<&str>,
) -> Result<Option<&'a Element>, EditError> {
    let names = section_path(section)?;
    Ok(names
        .iter()
        .try_fold(document, |element, name| element.child(name)))
}

/// The section to be edited, made if the document lacks it.
fn section_mut<'a>(
    document: &'a mut Element,
    section: Option<&str>,
) -> Result<&'a mut Element, EditError> {
    let mut element = document;
    for name in section_path(section)? {
        element = element.child_or_insert(name);
    }
    Ok(element)
}

fn place_name(operation: &Operation) -> String {
    match (&operation.xpath, &operation.section) {
        (Some(xpath), _) => xpath.clone(),
        (None, Some(section)) => format!("section {section}"),
        (None, None) => "the document".to_owned(),
    }
}

fn describe(element: &Element) -> String {
    match element.id() {
        Some(id) => format!("<{} id=\"{id}\">", element.name()),
        None => format!("<{}>", element.name()),
    }
}

fn not_found(operation: &Operation, element: &Element) -> EditError {
    EditError::NotFound {
        what: describe(element),
        place: place_name(operation),
    }
}

/// Where a whole document is given for one section, that section of it is meant.
fn part_for_section<'a>(
    operation: &Operation,
    element: &'a Element,
) -> Result<&'a Element, EditError> {
    if element.name() != "cib" || operation.section.is_none() {
        return Ok(element);
    }
    let part = section(element, operation.section.as_deref())?;
    part.ok_or_else(|| not_found(operation, element))
}

/// Adds an element to a section, or all that a section of that name holds.
fn create(document: &Element, operation: &Operation) -> Result<Element, EditError> {
    let given = part_for_section(operation, element_of(operation)?)?;
    let names = section_path(operation.section.as_deref())?;
    let Some(section_name) = names.last().copied() else {
        // Without a section the field takes it for a modification.
        return modify(document, operation);
    };
    let mut result = document.clone();
    let section = section_mut(&mut result, operation.section.as_deref())?;
    if given.name() == section_name {
        for child in given.children() {
            add(section, child, operation)?;
        }
    } else {
        add(section, given, operation)?;
    }
    Ok(result)
}

fn add(parent: &mut Element, given: &Element, operation: &Operation) -> Result<(), EditError> {
    if parent.children().any(|c| merge::is_match(c, given)) {
        return Err(EditError::Exists {
            what: describe(given),
            place: place_name(operation),
            element: given.clone(),
        });
    }
    parent.push(given.clone());
    Ok(())
}

fn modify(document: &Element, operation: &Operation) -> Result<Element, EditError> {
    let given = part_for_section(operation, element_of(operation)?)?;
    let mut result = document.clone();
    let section = section_mut(&mut result, operation.section.as_deref())?;
    match path::find(section, &|e| merge::is_match(e, given)) {
        Some(place) => {
            if let Some(target) = path::get_mut(section, &place) {
                merge::merge(target, given);
            }
        }
        None if operation.allow_create => section.push(merge::resolved(given)),
        None => return Err(not_found(operation, given)),
    }
    Ok(result)
}

fn replace(document: &Element, operation: &Operation) -> Result<Element, EditError> {
    let given = element_of(operation)?;
    if given.name() == "cib" && section_path(operation.section.as_deref())?.is_empty() {
        let (new, present) = (Version::of(given), Version::of(document));
        if new < present {
            return Err(EditError::OldVersion { new, present });
        }
        return Ok(given.clone());
    }
    let given = part_for_section(operation, given)?;
    let mut result = document.clone();
    let section = section_mut(&mut result, operation.section.as_deref())?;
    let place = path::find(section, &|e| merge::is_match(e, given));
    let target = place
        .and_then(|place| path::get_mut(section, &place))
        .ok_or_else(|| not_found(operation, given))?;
    *target = given.clone();
    Ok(result)
}

/// Deleting what is not there is no error.
fn delete(document: &Element, operation: &Operation) -> Result<Element, EditError> {
    let given = part_for_section(operation, element_of(operation)?)?;
    let Some(start) = section(document, operation.section.as_deref())? else {
        return Ok(document.clone());
    };
    let is_start = |e: &Element| e.ptr_eq(start);
    let prefix = path::find(document, &is_start).unwrap_or_default();
    let mut result = document.clone();
    loop {
        let found = path::get(&result, &prefix)
            .and_then(|section| path::find(section, &|e| merge::has_all_of(e, given)));
        let Some(place) = found else {
            return Ok(result);
        };
        let place: Path = prefix.iter().chain(&place).copied().collect();
        let Some(_) = path::remove(&mut result, &place) else {
            return Err(EditError::DeleteRoot);
        };
        // When the section itself goes, there is no more to look through.
        if operation.action == Action::Delete || place == prefix {
            return Ok(result);
        }
    }
}

fn at_xpath(document: &Element, operation: &Operation) -> Result<Element, EditError> {
    let expression = operation.xpath.as_deref().unwrap_or_default();
    let places = xpath::select(document, expression)?;
    let deletes = matches!(operation.action, Action::Delete | Action::DeleteAll);
    let Some(first) = places.first() else {
        if deletes {
            return Ok(document.clone());
        }
        return Err(EditError::NotFound {
            what: "element selected by it".to_owned(),
            place: format!("the document: {expression}"),
        });
    };
    let mut result = document.clone();
    if deletes {
        let count = match operation.action {
            Action::DeleteAll => places.len(),
            _ => 1,
        };
        // From the end, so that the other places stay what they are.
        for place in places[..count].iter().rev() {
            path::remove(&mut result, place).ok_or(EditError::DeleteRoot)?;
        }
        return Ok(result);
    }
    let given = element_of(operation)?;
    let Some(target) = path::get_mut(&mut result, first) else {
        return Err(not_found(operation, given));
    };
    match operation.action {
        Action::Create => add(target, given, operation)?,
        Action::Replace => *target = given.clone(),
        _ => match path::find(target, &|e| merge::is_match(e, given)) {
            Some(place) => {
                if let Some(target) = path::get_mut(target, &place) {
                    merge::merge(target, given);
                }
            }
            None if operation.allow_create => target.push(merge::resolved(given)),
            None => return Err(not_found(operation, given)),
        },
    }
    Ok(result)
}

#[cfg(test)]
mod tests;

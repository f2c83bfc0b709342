//! Carrying out the changes of a patch.

use crate::{
    Element, Node, Version, digest,
    path::{self, Path},
};
use std::collections::BTreeMap;

/// Why a patch was not applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// It is for another version of the document.
    #[error("the patch is for version {source_version}, but the document has version {document}")]
    Version {
        /// What the patch starts from.
        source_version: Version,
        /// What the document has.
        document: Version,
    },
    /// It is not a patch of format 2.
    #[error("this is not a patch of format 2: {0}; <diff format=\"2\"> with <change> elements is")]
    Format(String),
    /// It changes something that is not there.
    #[error("line {line} of the patch: there is no {path} in the document to {operation}")]
    NotFound {
        /// Line of the change in the patch, or 0.
        line: u32,
        /// What was to be done.
        operation: String,
        /// Where.
        path: String,
    },
    /// The result is not what the patch promised.
    #[error("the patched document has digest {found}, but the patch promises {expected}")]
    Digest {
        /// Of the patch.
        expected: String,
        /// Of the result.
        found: String,
    },
}

/// Applies a patch after comparing versions, and checks the digest it names.
///
/// # Errors
/// If the patch is not for this document, is none, or gives something else than promised.
pub fn apply(document: &Element, patch: &Element) -> Result<Element, PatchError> {
    if let Some((source_version, _)) = super::versions(patch) {
        let document = Version::of(document);
        if source_version != document {
            return Err(PatchError::Version {
                source_version,
                document,
            });
        }
    }
    apply_unversioned(document, patch)
}

/// Applies a patch whatever the versions, and checks the digest it names.
///
/// # Errors
/// If the patch does not fit the document, is none, or gives something else than promised.
pub fn apply_unversioned(document: &Element, patch: &Element) -> Result<Element, PatchError> {
    check_format(patch)?;
    let mut result = document.clone();
    for change in of_kind(patch, "delete") {
        delete(&mut result, change)?;
    }
    for change in of_kind(patch, "modify") {
        modify(&mut result, change)?;
    }
    place(&mut result, patch)?;
    check_digest(&result, patch)?;
    Ok(result)
}

fn check_format(patch: &Element) -> Result<(), PatchError> {
    let refuse = |reason: String| Err(PatchError::Format(reason));
    if patch.name() != "diff" {
        return refuse(format!("it is a <{}>", patch.name()));
    }
    if patch.attr("format") != Some("2") {
        let format = patch.attr("format").unwrap_or("1 (or none)");
        return refuse(format!("its format is {format}"));
    }
    for change in patch.children_named("change") {
        let operation = change.attr("operation").unwrap_or("nothing");
        if !matches!(operation, "create" | "modify" | "move" | "delete") {
            let line = change.line();
            return refuse(format!("the change in line {line} is to do '{operation}'"));
        }
    }
    Ok(())
}

fn check_digest(result: &Element, patch: &Element) -> Result<(), PatchError> {
    let Some(expected) = patch.attr("digest") else {
        return Ok(());
    };
    let found = digest::of_result(result);
    if found == expected {
        return Ok(());
    }
    Err(PatchError::Digest {
        expected: expected.to_owned(),
        found,
    })
}

fn of_kind<'a>(patch: &'a Element, operation: &'a str) -> impl Iterator<Item = &'a Element> {
    patch
        .children_named("change")
        .filter(move |c| c.attr("operation") == Some(operation))
}

fn path_of(change: &Element) -> &str {
    change.attr("path").unwrap_or_default()
}

fn not_found(change: &Element) -> PatchError {
    PatchError::NotFound {
        line: change.line(),
        operation: change.attr("operation").unwrap_or_default().to_owned(),
        path: path_of(change).to_owned(),
    }
}

fn delete(result: &mut Element, change: &Element) -> Result<(), PatchError> {
    let text = path_of(change);
    let place = match position_of(change) {
        // With a position it is a comment (or text) of the parent.
        Some(position) => locate(result, parent_of(text)).map(|mut place| {
            place.push(position);
            place
        }),
        None => locate(result, text),
    };
    let place = place.ok_or_else(|| not_found(change))?;
    let is_element = path::get(result, &place).is_some();
    if is_element == position_of(change).is_some() {
        return Err(not_found(change));
    }
    path::remove(result, &place).ok_or_else(|| not_found(change))?;
    Ok(())
}

fn position_of(change: &Element) -> Option<usize> {
    change.attr("position")?.parse().ok()
}

/// The attributes become those of the result that the change names.
fn modify(result: &mut Element, change: &Element) -> Result<(), PatchError> {
    let wanted = change
        .child("change-result")
        .and_then(|r| r.children().next())
        .ok_or_else(|| {
            let line = change.line();
            PatchError::Format(format!("the change in line {line} has no <change-result>"))
        })?;
    let element = locate(result, path_of(change))
        .and_then(|place| path::get_mut(result, &place))
        .ok_or_else(|| not_found(change))?;
    element.clear_attrs();
    for (name, value) in wanted.attrs() {
        element.set_attr(name, value);
    }
    Ok(())
}

/// Creates and moves. All that is moved is taken out first; then everything is put in its place
/// in ascending order, so that each position is final.
fn place(result: &mut Element, patch: &Element) -> Result<(), PatchError> {
    let mut arrivals: BTreeMap<&str, Vec<(usize, Node, &Element)>> = BTreeMap::new();
    for change in of_kind(patch, "move") {
        let text = path_of(change);
        let node = locate(result, text)
            .and_then(|place| path::remove(result, &place))
            .ok_or_else(|| not_found(change))?;
        let position = position_of(change).unwrap_or(usize::MAX);
        let parent = arrivals.entry(parent_of(text)).or_default();
        parent.push((position, node, change));
    }
    for change in of_kind(patch, "create") {
        let Some(node) = change.nodes().first().cloned() else {
            let line = change.line();
            return Err(PatchError::Format(format!(
                "the change in line {line} creates nothing"
            )));
        };
        let text = path_of(change);
        if let ("", Node::Element(root)) = (text, &node) {
            *result = root.clone();
            continue;
        }
        let position = position_of(change).unwrap_or(usize::MAX);
        let parent = arrivals.entry(text).or_default();
        parent.push((position, node, change));
    }
    // A parent may itself be waiting in an outer list: shorter paths come first.
    for (parent, mut nodes) in arrivals {
        nodes.sort_by_key(|(position, _, _)| *position);
        for (position, node, change) in nodes {
            let element = locate(result, parent)
                .and_then(|place| path::get_mut(result, &place))
                .ok_or_else(|| not_found(change))?;
            element.insert_node(position, node);
        }
    }
    Ok(())
}

/// Everything before the last step.
pub(crate) fn parent_of(path: &str) -> &str {
    let mut end = 0;
    let mut rest = path;
    while let Some((_, after)) = split_step(rest).filter(|(_, after)| !after.is_empty()) {
        end += rest.len() - after.len();
        rest = after;
    }
    path.get(..end).unwrap_or_default()
}

struct Step<'a> {
    name: &'a str,
    id: Option<&'a str>,
}

/// Takes `/name` or `/name[@id='…']` off the front.
fn split_step(path: &str) -> Option<(Step<'_>, &str)> {
    let path = path.strip_prefix('/')?;
    let end = path.find(['/', '[']).unwrap_or(path.len());
    let (name, rest) = path.split_at(end);
    let Some(predicate) = rest.strip_prefix("[@id=") else {
        return Some((Step { name, id: None }, rest));
    };
    let quote = predicate
        .chars()
        .next()
        .filter(|c| matches!(c, '\'' | '"'))?;
    let (id, rest) = predicate.get(1..)?.split_once(quote)?;
    let rest = rest.strip_prefix(']')?;
    let id = Some(id);
    Some((Step { name, id }, rest))
}

/// The place a path names.
pub(crate) fn locate(root: &Element, text: &str) -> Option<Path> {
    let (step, mut rest) = split_step(text)?;
    if !matches(root, &step) {
        return None;
    }
    let mut place = Path::new();
    let mut element = root;
    while !rest.is_empty() {
        let (step, after) = split_step(rest)?;
        let (position, child) = find_child(element, &step)?;
        place.push(position);
        element = child;
        rest = after;
    }
    Some(place)
}

fn matches(element: &Element, step: &Step<'_>) -> bool {
    element.name() == step.name && (step.id.is_none() || element.id() == step.id)
}

/// Without an id in the path, an element that has none is meant in the first place.
fn find_child<'a>(parent: &'a Element, step: &Step<'_>) -> Option<(usize, &'a Element)> {
    let candidates = || {
        parent
            .nodes()
            .iter()
            .enumerate()
            .filter_map(|(at, node)| Some((at, node.as_element()?)))
            .filter(|(_, e)| matches(e, step))
    };
    let exact = candidates().find(|(_, e)| e.id() == step.id);
    exact.or_else(|| candidates().next())
}

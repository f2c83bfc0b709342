//! Access control lists: what a user may see and change.
//!
//! A permission marks the elements it selects; a mark holds for everything below until another one
//! is met. On one element denying beats writing, and writing beats reading. Without any mark
//! nothing is allowed. Who may change the lists is decided by the lists as they were before.

mod render;

use crate::{
    Element, Node, patch,
    path::{self, Path},
    version::COUNTERS,
    xpath,
};
use std::{collections::BTreeMap, fmt};

pub use render::{Rendering, render};

/// What somebody may do with an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Nothing is said: as good as denied.
    Unspecified,
    /// See it.
    Read,
    /// See and change it.
    Write,
    /// Neither.
    Denied,
}

impl Access {
    /// May it be seen?
    pub fn is_readable(self) -> bool {
        matches!(self, Self::Read | Self::Write)
    }
}

/// Who wants something.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Name of the user.
    pub user: &'a str,
    /// Names of the groups the user is in.
    pub groups: &'a [String],
}

/// Why a change was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the access control lists do not let user {user} {what} {place}: a permission of kind write is needed"
)]
pub struct Denied {
    /// Who.
    pub user: String,
    /// What the user wanted to do.
    pub what: &'static str,
    /// With which element.
    pub place: String,
}

/// Users whom lists do not bind.
const FREE_USERS: [&str; 3] = ["", "root", "hacluster"];

/// Whether lists are switched on (`enable-acl`) and bind this user.
pub fn binds(document: &Element, user: &str) -> bool {
    let enabled = document
        .child("configuration")
        .and_then(|c| c.child("crm_config"))
        .into_iter()
        .flat_map(|c| c.children_named("cluster_property_set"))
        .flat_map(|s| s.children_named("nvpair"))
        .find(|n| n.attr("name") == Some("enable-acl"))
        .and_then(|n| n.attr("value"))
        .is_some_and(|v| {
            let on = ["true", "yes", "on", "y", "1"];
            on.iter().any(|word| v.eq_ignore_ascii_case(word))
        });
    enabled && !FREE_USERS.contains(&user)
}

/// What a subject may do, element by element.
#[derive(Clone, Debug)]
pub struct Rights {
    marks: BTreeMap<Path, Access>,
}

impl Rights {
    /// The rights in `document` by the lists in `lists` (usually the same; of a change, the
    /// document before it).
    pub fn new(document: &Element, lists: &Element, subject: &Subject<'_>) -> Self {
        let mut marks = BTreeMap::new();
        for permission in permissions(lists, subject) {
            let access = match permission.attr("kind") {
                Some("read") => Access::Read,
                Some("write") => Access::Write,
                // What cannot be understood allows nothing.
                _ => Access::Denied,
            };
            for place in selected(document, permission, access) {
                let mark = marks.entry(place).or_insert(access);
                *mark = access.max(*mark);
            }
        }
        Self { marks }
    }

    /// What may be done with the element at this place.
    pub fn at(&self, place: &[usize]) -> Access {
        (0..=place.len())
            .rev()
            .find_map(|end| self.marks.get(&place[..end]).copied())
            .unwrap_or(Access::Unspecified)
    }
}

/// Permissions of the roles of the user and of the user's groups.
fn permissions<'a>(lists: &'a Element, subject: &Subject<'_>) -> Vec<&'a Element> {
    let Some(acls) = lists.child("configuration").and_then(|c| c.child("acls")) else {
        return Vec::new();
    };
    let applies = |list: &&Element| {
        let name = list.attr("name").or(list.id()).unwrap_or_default();
        match list.name() {
            "acl_target" => name == subject.user,
            "acl_group" => subject.groups.iter().any(|g| g == name),
            _ => false,
        }
    };
    acls.children()
        .filter(applies)
        .flat_map(|list| list.children_named("role"))
        .filter_map(|role| {
            acls.children_named("acl_role")
                .find(|r| r.id() == role.id())
        })
        .flat_map(|role| role.children_named("acl_permission"))
        .collect()
}

fn selected(document: &Element, permission: &Element, access: Access) -> Vec<Path> {
    if let Some(expression) = permission.attr("xpath") {
        // A denial that cannot be understood is one of everything.
        let everything = || match access {
            Access::Denied => vec![Path::new()],
            _ => Vec::new(),
        };
        return xpath::select(document, expression).unwrap_or_else(|_| everything());
    }
    let kind = permission.attr("object-type");
    let reference = permission.attr("reference");
    let attribute = permission.attr("attribute");
    if kind.is_none() && reference.is_none() {
        return Vec::new();
    }
    let is_selected = |e: &Element| {
        kind.is_none_or(|k| k == "*" || e.name() == k)
            && reference.is_none_or(|r| e.id() == Some(r))
            && attribute.is_none_or(|a| e.attr(a).is_some())
    };
    let mut places = Vec::new();
    collect(document, &is_selected, &mut Path::new(), &mut places);
    places
}

fn collect(
    element: &Element,
    wanted: &dyn Fn(&Element) -> bool,
    at: &mut Path,
    places: &mut Vec<Path>,
) {
    if wanted(element) {
        places.push(at.clone());
    }
    for (position, child) in element.nodes().iter().enumerate() {
        if let Some(child) = child.as_element() {
            at.push(position);
            collect(child, wanted, at, places);
            at.pop();
        }
    }
}

/// What of a document a subject may see; nothing if that is nothing. Elements around something
/// visible are there with their ids only.
pub fn visible(document: &Element, subject: &Subject<'_>) -> Option<Element> {
    let rights = Rights::new(document, document, subject);
    visible_part(document, &rights, &mut Path::new())
}

fn visible_part(element: &Element, rights: &Rights, at: &mut Path) -> Option<Element> {
    let readable = rights.at(at).is_readable();
    let mut part = element.clone();
    part.nodes_mut().clear();
    for (position, node) in element.nodes().iter().enumerate() {
        match node {
            Node::Element(child) => {
                at.push(position);
                if let Some(child) = visible_part(child, rights, at) {
                    part.push(child);
                }
                at.pop();
            }
            _ if readable => part.push_node(node.clone()),
            _ => {}
        }
    }
    if readable {
        return Some(part);
    }
    part.retain_attrs(|name, _| name == "id");
    (!part.is_empty()).then_some(part)
}

/// Whether a subject may make `new` of `old`. The counters do not count.
///
/// # Errors
/// The first thing that is not allowed.
pub fn check_change(old: &Element, new: &Element, subject: &Subject<'_>) -> Result<(), Denied> {
    let before = Rights::new(old, old, subject);
    let after = Rights::new(new, old, subject);
    let changes = patch::diff(old, new, patch::Style::UNVERSIONED);
    for change in changes.iter().flat_map(|p| p.children_named("change")) {
        let text = change.attr("path").unwrap_or_default();
        let position = change
            .attr("position")
            .and_then(|p| p.parse::<usize>().ok());
        let (what, allowed) = match change.attr("operation") {
            Some("create") => ("create", may_create(new, &after, text, position)),
            Some("delete") => ("delete", may_delete(old, &before, text, position)),
            Some("move") => ("move", may_write(old, &before, text)),
            _ => (
                "change",
                is_counting(change) || may_write(old, &before, text),
            ),
        };
        if !allowed {
            return Err(Denied {
                user: subject.user.to_owned(),
                what,
                place: describe(change, text),
            });
        }
    }
    Ok(())
}

fn describe(change: &Element, path: &str) -> String {
    match change.nodes().first() {
        Some(Node::Element(e)) if change.attr("operation") == Some("create") => {
            let id = e.id().map(|id| format!(" id=\"{id}\"")).unwrap_or_default();
            format!("<{}{id}> in {path}", e.name())
        }
        _ => path.to_owned(),
    }
}

/// A change of nothing but counters of the document.
fn is_counting(change: &Element) -> bool {
    change.child("change-list").is_some_and(|list| {
        list.children()
            .all(|c| c.attr("name").is_some_and(|n| COUNTERS.contains(&n)))
    })
}

fn may_write(document: &Element, rights: &Rights, path: &str) -> bool {
    patch::locate(document, path).is_some_and(|place| rights.at(&place) == Access::Write)
}

fn may_delete(old: &Element, rights: &Rights, path: &str, position: Option<usize>) -> bool {
    if position.is_some() {
        // A comment: who may write what it is in may delete it.
        return may_write(old, rights, patch::parent_of(path));
    }
    let Some(mut place) = patch::locate(old, path) else {
        return false;
    };
    let Some(element) = path::get(old, &place) else {
        return false;
    };
    all_writable(element, rights, &mut place)
}

fn all_writable(element: &Element, rights: &Rights, at: &mut Path) -> bool {
    rights.at(at) == Access::Write
        && element.nodes().iter().enumerate().all(|(position, node)| {
            at.push(position);
            let allowed = node
                .as_element()
                .is_none_or(|e| all_writable(e, rights, at));
            at.pop();
            allowed
        })
}

fn may_create(new: &Element, rights: &Rights, path: &str, position: Option<usize>) -> bool {
    let place = if path.is_empty() {
        Some(Path::new())
    } else {
        patch::locate(new, path)
            .zip(position)
            .map(|(mut place, position)| {
                place.push(position);
                place
            })
    };
    let Some(mut place) = place else {
        return false;
    };
    match path::get(new, &place) {
        Some(element) => creatable(element, rights, &mut place),
        None => may_write(new, rights, path),
    }
}

/// An element with nothing but an id is mere scaffolding for what is in it.
fn creatable(element: &Element, rights: &Rights, at: &mut Path) -> bool {
    let is_scaffolding = element.attrs().all(|(name, _)| name == "id")
        && element.children().next().is_some()
        && rights.at(at) != Access::Denied;
    if rights.at(at) != Access::Write && !is_scaffolding {
        return false;
    }
    element.nodes().iter().enumerate().all(|(position, node)| {
        at.push(position);
        let allowed = node.as_element().is_none_or(|e| creatable(e, rights, at));
        at.pop();
        allowed
    })
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "readable",
            Self::Write => "writable",
            Self::Denied | Self::Unspecified => "denied",
        })
    }
}

#[cfg(test)]
mod tests;

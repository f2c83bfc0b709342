//! Resources as they stand in the configuration.

use crate::common::Failure;
use cib::Element;

/// Elements that are resources.
const KINDS: [&str; 5] = ["primitive", "group", "clone", "bundle", "master"];

/// A resource's definition and what it is in, the innermost first.
#[derive(Clone, Debug)]
pub(super) struct Definition<'d> {
    /// Itself.
    pub(super) element: &'d Element,
    /// What it is part of.
    pub(super) parents: Vec<&'d Element>,
}

impl<'d> Definition<'d> {
    /// The resource with this id; an instance (`r:0`) is looked up by its base.
    pub(super) fn find(document: &'d Element, id: &str) -> Option<Self> {
        let resources = document.child("configuration")?.child("resources")?;
        let base = id.rsplit_once(':').filter(|(_, number)| is_number(number));
        within(resources, id).or_else(|| within(resources, base?.0))
    }

    /// As [`Self::find`].
    ///
    /// # Errors
    /// There is none.
    pub(super) fn named(document: &'d Element, id: &str) -> Result<Self, Failure> {
        Self::find(document, id).ok_or_else(|| not_found(id))
    }

    /// Its id.
    pub(super) fn id(&self) -> &'d str {
        self.element.id().unwrap_or_default()
    }

    /// What it is directly part of.
    pub(super) fn parent(&self) -> Option<&'d Element> {
        self.parents.first().copied()
    }

    /// The outermost resource it is part of, or itself.
    pub(super) fn top(&self) -> &'d Element {
        self.parents.last().copied().unwrap_or(self.element)
    }

    /// Resources directly in it.
    pub(super) fn children(&self) -> impl Iterator<Item = &'d Element> {
        self.element.children().filter(|e| is_resource(e))
    }
}

/// Said of a resource that is not there.
pub(super) fn not_found(id: &str) -> Failure {
    Failure::no_such(format!(
        "Resource '{id}' not found\nError performing operation: No such object"
    ))
}

/// Whether an element is a resource.
pub(super) fn is_resource(element: &Element) -> bool {
    KINDS.contains(&element.name())
}

/// Whether it is a clone by any of its names.
pub(super) fn is_clone(element: &Element) -> bool {
    matches!(element.name(), "clone" | "master")
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn within<'d>(element: &'d Element, id: &str) -> Option<Definition<'d>> {
    for child in element.children() {
        let named = is_resource(child) || child.name() == "template";
        if named && child.id() == Some(id) {
            return Some(Definition {
                element: child,
                parents: Vec::new(),
            });
        }
        if let Some(mut found) = within(child, id) {
            found.parents.push(child);
            return Some(found);
        }
    }
    None
}

//! Patch sets: the difference of two documents in the field's `<diff format="2">`, and back.
//!
//! A patch is a list of changes. Deletions come first, in document order of the old document; then
//! modifications, creations and moves in document order of the new one. Positions count all nodes
//! of the parent (comments too) as they will be when the patch is complete; those of deleted
//! comments as they are when that deletion's turn comes.

mod apply;
mod compare;

use crate::{Element, Version, digest};

pub use apply::{PatchError, apply, apply_unversioned};
pub(crate) use apply::{locate, parent_of};

/// How a patch is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Name the versions of both documents; without, a change of the counters is left out too.
    pub versions: bool,
    /// Name the digest of the result, to be checked when the patch is applied.
    pub digest: bool,
    /// Whether a change of nothing but the order of attributes is one.
    pub attribute_order: bool,
}

impl Style {
    /// Everything: applying the patch gives exactly the new document, or an error.
    pub const EXACT: Self = Self {
        versions: true,
        digest: true,
        attribute_order: true,
    };
    /// As the field writes patches to the configuration.
    pub const CIB: Self = Self {
        versions: true,
        digest: true,
        attribute_order: false,
    };
    /// As the field compares any two files.
    pub const FILES: Self = Self {
        versions: true,
        digest: false,
        attribute_order: true,
    };
    /// The same without versions.
    pub const UNVERSIONED: Self = Self {
        versions: false,
        digest: false,
        attribute_order: true,
    };
}

/// The patch that makes `new` of `old`; nothing if there is no difference that the style sees.
pub fn diff(old: &Element, new: &Element, style: Style) -> Option<Element> {
    let changes = compare::changes(old, new, style);
    if changes.is_empty() {
        return None;
    }
    let mut patch = Element::new("diff").with_attr("format", "2");
    if style.digest {
        patch.set_attr("digest", digest::of_result(new));
    }
    if style.versions {
        let versions = Element::new("version")
            .with_child(version_element("source", old))
            .with_child(version_element("target", new));
        patch.push(versions);
    }
    for change in changes {
        patch.push(change);
    }
    Some(patch)
}

fn version_element(name: &str, document: &Element) -> Element {
    let mut element = Element::new(name);
    Version::of(document).write_to(&mut element);
    element
}

/// The versions a patch leads from and to, if it names them.
pub fn versions(patch: &Element) -> Option<(Version, Version)> {
    let versions = patch.child("version")?;
    let source = versions.child("source").map(Version::of)?;
    let target = versions.child("target").map(Version::of)?;
    Some((source, target))
}

#[cfg(test)]
mod tests;

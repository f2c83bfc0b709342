//! The document tree: immutable, reference-counted; a clone is free and an edit copies one path.

use std::sync::Arc;

/// An element with its attributes and children.
#[derive(Clone, Debug, PartialEq)]
pub struct Element(Arc<Inner>);

#[derive(Clone, Debug, PartialEq)]
struct Inner {
    name: String,
}

impl Element {
    /// An element without attributes and children.
    pub fn new(name: &str) -> Self {
        Self(Arc::new(Inner {
            name: name.to_owned(),
        }))
    }

    /// Its tag.
    pub fn name(&self) -> &str {
        &self.0.name
    }
}

//! The configuration: document tree, XML in and out, XPath, edits, patches, schema check, and the durable file store.
//!
//! Everything except [`store`] is pure.

mod tree;

pub use tree::Element;

//! The configuration: document tree, XML in and out, XPath, edits, patches, schema check, and the durable file store.
//!
//! Everything except [`store`] is pure.

mod names;
mod parse;
mod tree;
mod write;

pub use tree::{Descendants, Element, Node, ParseError};

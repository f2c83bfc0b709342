//! The configuration: document tree, XML in and out, XPath, edits, patches, schema check, and the durable file store.
//!
//! Everything except [`store`] is pure.

pub mod acl;
pub mod digest;
pub mod edit;
mod names;
mod parse;
pub mod patch;
pub mod path;
pub mod schema;
pub mod store;
mod tree;
pub mod version;
mod write;
pub mod xpath;

pub use names::Word;
pub use parse::parts;
pub use tree::{Descendants, Element, Node, ParseError};
pub use version::Version;

//! What the plugin says of itself, as fence agents do.

/// Its metadata.
pub const METADATA: &str = include_str!("metadata.xml");

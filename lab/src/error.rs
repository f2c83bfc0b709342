//! What can go wrong in a lab, in words that name the thing it happened to.

use std::io;

/// An operating error of the lab.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The operating system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, to what.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A program of the node or of the host failed, or somebody asked for what cannot be.
    #[error("{0}")]
    Said(String),
    /// Namespaces are not to be had here.
    #[error(
        "namespaces are not allowed here: {0}. Be root, or allow them (sysctl user.max_user_namespaces, and on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0); no fault can be played without them"
    )]
    NoNamespaces(String),
    /// Something did not happen in its time.
    #[error("{what} within {limit_ms} ms")]
    TooLate {
        /// What did not happen.
        what: String,
        /// How long was waited, in milliseconds.
        limit_ms: u64,
    },
}

/// Adds to an error what was being done.
pub(crate) trait While<T> {
    /// Names the deed in case of failure.
    fn during(self, what: impl FnOnce() -> String) -> Result<T, LabError>;
}

impl<T, E: Into<io::Error>> While<T> for Result<T, E> {
    fn during(self, what: impl FnOnce() -> String) -> Result<T, LabError> {
        self.map_err(|source| LabError::Io {
            what: what(),
            source: source.into(),
        })
    }
}

/// An error in one's own words.
pub(crate) fn said<T>(text: impl Into<String>) -> Result<T, LabError> {
    Err(LabError::Said(text.into()))
}

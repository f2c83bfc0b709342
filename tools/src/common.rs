//! What the tools share: exit codes, the two forms of output, and where the configuration comes
//! from.

pub(crate) mod exit;
pub(crate) mod output;
pub(crate) mod source;

/// Why a tool ends without having done what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Exit code, one of [`exit`].
    pub(crate) code: u8,
    /// For people, without the tool's name; empty if there is nothing to say.
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(code: u8, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }

    /// The command line is wrong.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::new(exit::USAGE, text)
    }
}

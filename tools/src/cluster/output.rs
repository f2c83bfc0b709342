//! Plain lines on standard output; a reader that goes away is no failure.

use std::io::Write;

/// Prints a line.
pub(super) fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

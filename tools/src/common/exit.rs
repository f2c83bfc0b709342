//! Exit codes of the field's tools and their short descriptions.

use super::codes;

/// Success.
pub(crate) const OK: u8 = 0;
/// Anything without a code of its own; of `crm_diff`, that there is a difference.
pub(crate) const ERROR: u8 = 1;
/// The caller may not do that.
pub(crate) const INSUFFICIENT_PRIVILEGE: u8 = 4;
/// The command line is wrong.
pub(crate) const USAGE: u8 = 64;
/// The data given is wrong.
pub(crate) const DATA: u8 = 65;
/// An input is missing or cannot be read.
pub(crate) const NO_INPUT: u8 = 66;
/// A file cannot be written.
pub(crate) const CANNOT_CREATE: u8 = 73;
/// Reading or writing failed.
pub(crate) const IO: u8 = 74;
/// The configuration is, or would become, invalid.
pub(crate) const CONFIG: u8 = 78;
/// No daemon answers.
pub(crate) const DISCONNECTED: u8 = 102;
/// The update is older than what is there.
pub(crate) const OLD: u8 = 103;
/// No such thing.
pub(crate) const NO_SUCH: u8 = 105;
/// There is no quorum.
pub(crate) const QUORUM: u8 = 106;
/// Dangerous, and not forced.
pub(crate) const UNSAFE: u8 = 107;
/// It is there already.
pub(crate) const EXISTS: u8 = 108;
/// Several match where one is meant.
pub(crate) const MULTIPLE: u8 = 109;
/// What was asked about is over.
pub(crate) const EXPIRED: u8 = 110;
/// What was asked about has not begun.
pub(crate) const NOT_YET_IN_EFFECT: u8 = 111;
/// Not what can be done with this resource.
pub(crate) const UNSATISFIED: u8 = 113;
/// It took too long.
pub(crate) const TIMEOUT: u8 = 124;
/// Parameters that make no sense (also of an agent).
pub(crate) const INVALID_PARAMETER: u8 = 2;
/// Not something this can do (also of an agent).
pub(crate) const UNIMPLEMENTED: u8 = 3;

/// The field's words for a code.
pub(crate) fn description(code: u8) -> &'static str {
    let found = codes::EXIT.iter().find(|(known, ..)| *known == code);
    match (found, code) {
        (Some((.., text)), _) => text,
        (None, u8::MAX) => "Error occurred",
        (None, _) => "Unknown exit status",
    }
}

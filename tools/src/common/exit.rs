//! Exit codes of the field's tools and their short descriptions.

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
    match code {
        OK => "OK",
        ERROR => "Error occurred",
        INVALID_PARAMETER => "Invalid parameter",
        UNIMPLEMENTED => "Unimplemented",
        INSUFFICIENT_PRIVILEGE => "Insufficient privileges",
        5 => "Not installed",
        6 => "Not configured",
        7 => "Not running",
        8 => "Promoted",
        9 => "Failed in promoted role",
        USAGE => "Incorrect usage",
        DATA => "Invalid data given",
        NO_INPUT => "Input file not available",
        67 => "User does not exist",
        68 => "Host does not exist",
        69 => "Necessary service unavailable",
        70 => "Internal software bug",
        71 => "Operating system error",
        72 => "System file not available",
        CANNOT_CREATE => "Cannot create output file",
        IO => "I/O error occurred",
        75 => "Temporary failure, try again",
        76 => "Protocol violated",
        77 => "Insufficient privileges",
        CONFIG => "Invalid configuration",
        100 => "Fatal error occurred, will not respawn",
        101 => "System panic required",
        DISCONNECTED => "Not connected",
        OLD => "Update was older than existing configuration",
        104 => "Digest mismatch",
        NO_SUCH => "No such object",
        QUORUM => "Quorum required",
        UNSAFE => "Operation not safe",
        EXISTS => "Requested item already exists",
        MULTIPLE => "Multiple items match request",
        EXPIRED => "Requested item has expired",
        NOT_YET_IN_EFFECT => "Requested item is not yet in effect",
        112 => "Could not determine status",
        UNSATISFIED => "Not applicable under current conditions",
        TIMEOUT => "Timeout occurred",
        190 => "Service is active but might fail soon",
        191 => "Service is promoted but might fail soon",
        193 => "No exit status available",
        255 => "Error occurred",
        _ => "Unknown exit status",
    }
}

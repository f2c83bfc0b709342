//! Init scripts (Linux Standard Base core specification, "Init Script Actions").

use crate::codes::OcfCode;

/// The script's argument for an operation; nothing if init scripts have no such operation.
pub(crate) fn argument(operation: &str) -> Option<&'static str> {
    match operation {
        "start" => Some("start"),
        "stop" => Some("stop"),
        "monitor" | "status" => Some("status"),
        "reload" | "reload-agent" => Some("reload"),
        _ => None,
    }
}

/// What the exit code of a script means; `status` has a table of its own.
pub(crate) fn code(operation: &str, exit: i32) -> OcfCode {
    if matches!(operation, "monitor" | "status") {
        return match exit {
            0 => OcfCode::Success,
            // Dead with a pid or lock file left, or cleanly stopped.
            1..=3 => OcfCode::NotRunning,
            4 => OcfCode::ErrPerm,
            _ => OcfCode::ErrGeneric,
        };
    }
    match exit {
        0 => OcfCode::Success,
        2 => OcfCode::ErrArgs,
        3 => OcfCode::ErrUnimplemented,
        4 => OcfCode::ErrPerm,
        5 => OcfCode::ErrInstalled,
        6 => OcfCode::ErrConfigured,
        7 => OcfCode::NotRunning,
        _ => OcfCode::ErrGeneric,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_has_its_own_table() {
        assert_eq!(code("monitor", 3), OcfCode::NotRunning);
        assert_eq!(code("start", 3), OcfCode::ErrUnimplemented);
        assert_eq!(code("stop", 0), OcfCode::Success);
    }
}

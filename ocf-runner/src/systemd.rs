//! systemd units, through `systemctl` (which talks to systemd by D-Bus and waits for the job).

use crate::codes::OcfCode;
use process::Program;
use std::path::Path;

/// The command for an operation; nothing if units have no such operation.
pub(crate) fn program(systemctl: &Path, operation: &str, unit: &str) -> Option<Program> {
    let base = Program::new(systemctl).arg("--no-pager");
    let verb = match operation {
        "start" => "start",
        "stop" => "stop",
        "reload" | "reload-agent" => "reload",
        "monitor" | "status" => {
            return Some(base.args(["show", "--property=LoadState,ActiveState", "--", unit]));
        }
        _ => return None,
    };
    Some(base.args([verb, "--", unit]))
}

/// What `systemctl show` says of a unit, and why.
pub(crate) fn monitor_code(output: &str) -> (OcfCode, String) {
    let value = |name: &str| {
        output
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or_default()
    };
    let (load, active) = (value("LoadState"), value("ActiveState"));
    match (load, active) {
        // A unit on its way up or down is not proven to be stopped.
        (_, "active" | "reloading" | "refreshing" | "activating" | "deactivating") => {
            (OcfCode::Success, String::new())
        }
        ("not-found" | "bad-setting" | "error", _) => {
            (OcfCode::ErrInstalled, format!("unit is {load}"))
        }
        (_, "inactive" | "failed" | "maintenance") => {
            (OcfCode::NotRunning, format!("unit is {active}"))
        }
        _ => (
            OcfCode::ErrGeneric,
            format!("systemctl did not name a state (LoadState '{load}', ActiveState '{active}')"),
        ),
    }
}

/// What the exit code of `systemctl start|stop|reload` means (systemctl(1), "Exit status").
pub(crate) fn job_code(exit: i32) -> OcfCode {
    match exit {
        0 => OcfCode::Success,
        4 => OcfCode::ErrPerm,
        5 => OcfCode::ErrInstalled,
        _ => OcfCode::ErrGeneric,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states() {
        let code = |text| monitor_code(text).0;
        assert_eq!(
            code("LoadState=loaded\nActiveState=active\n"),
            OcfCode::Success
        );
        assert_eq!(
            code("LoadState=loaded\nActiveState=failed\n"),
            OcfCode::NotRunning
        );
        assert_eq!(
            code("LoadState=loaded\nActiveState=deactivating\n"),
            OcfCode::Success
        );
        assert_eq!(
            code("LoadState=not-found\nActiveState=inactive\n"),
            OcfCode::ErrInstalled
        );
        assert_eq!(code("nonsense"), OcfCode::ErrGeneric);
    }
}

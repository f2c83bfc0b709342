//! Words for numbers, as the field's tools show them.

use crate::{entry::Grade, input::ExecStatus};

/// `CRM_alert_rc` of fencing that failed: the field gives a negative system error, here "input/output error".
pub(super) const FAILED: i32 = -5;

/// An agent's exit code (OCF resource agent API 1.1).
pub(super) fn exit_code(rc: i32) -> &'static str {
    match rc {
        0 => "ok",
        1 => "error",
        2 => "invalid parameter",
        3 => "unimplemented feature",
        4 => "insufficient privileges",
        5 => "not installed",
        6 => "not configured",
        7 => "not running",
        8 => "promoted",
        9 => "failed in promoted role",
        190 => "degraded",
        191 => "promoted and degraded",
        _ => "unknown",
    }
}

/// How an execution ended.
pub(super) fn status(status: ExecStatus) -> &'static str {
    match status {
        ExecStatus::Pending => "pending",
        ExecStatus::Done => "complete",
        ExecStatus::Cancelled => "cancelled",
        ExecStatus::TimedOut => "timed out",
        ExecStatus::NotSupported => "not supported",
        ExecStatus::Error => "error",
        ExecStatus::NotInstalled => "not installed",
    }
}

/// How sure it is that a node is down.
pub(super) fn grade(grade: Grade) -> &'static str {
    match grade {
        Grade::VerifiedOff => "verified off",
        Grade::NewLife => "came back with a new life",
        Grade::Acknowledged => "acknowledged by the device only",
        Grade::AcknowledgedTrusted => "acknowledged by a trusted device",
        Grade::WatchdogElapsed => "its watchdog has reset it",
        Grade::Asked => "asked only",
        Grade::Human => "a person said so",
    }
}

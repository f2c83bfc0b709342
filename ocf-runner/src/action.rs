//! What to run, and how it went.

use crate::codes::OcfCode;
use std::collections::BTreeMap;

/// One operation of one agent, self-contained.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Action {
    /// Resource (instance) name, as in `OCF_RESOURCE_INSTANCE`.
    pub resource: String,
    /// `ocf`, `systemd`, `lsb` or `service`.
    pub class: String,
    /// OCF provider.
    pub provider: Option<String>,
    /// Agent, unit or init script.
    pub kind: String,
    /// `start`, `stop`, `monitor`, `promote`, …
    pub operation: String,
    /// 0 for one-off actions.
    pub interval_ms: u64,
    /// Deadline; 0: none.
    pub timeout_ms: u64,
    /// Instance parameters, and `CRM_meta_*` attributes as in the transition graph.
    pub parameters: BTreeMap<String, String>,
    /// Names this execution in the environment of all its processes ([`process::Program::mark`]).
    pub mark: String,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it ran to its end.
    pub status: Status,
    /// OCF exit code. With a status other than [`Status::Done`] the one that describes it best.
    pub rc: i32,
    /// For people: the agent's `ocf_exit_reason`, or what went wrong running it.
    pub reason: String,
    /// End of its standard output (all of it for `meta-data`).
    pub stdout: String,
    /// End of its standard error.
    pub stderr: String,
    /// When it started, seconds since the epoch.
    pub started_wall_s: i64,
    /// How long it ran, in milliseconds.
    pub exec_ms: u64,
    /// Processes of it that could not be ended: what they work on is unknown.
    pub survivors: Vec<i32>,
}

/// The field's execution states (`op-status` of an `lrm_rsc_op`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Ran to its end (0).
    Done,
    /// Ended on request (1).
    Cancelled,
    /// Ended at its deadline (2).
    TimedOut,
    /// The class has no such operation (3).
    NotSupported,
    /// Could not be run, or was ended by a signal (4).
    Error,
    /// The agent is not installed (7).
    NotInstalled,
}

impl Status {
    /// Its word in the field's tools.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "complete",
            Self::Cancelled => "Cancelled",
            Self::TimedOut => "Timed Out",
            Self::NotSupported => "NOT SUPPORTED",
            Self::Error => "Error",
            Self::NotInstalled => "Not installed",
        }
    }
}

impl Outcome {
    /// One that never ran.
    pub(crate) fn not_run(status: Status, code: OcfCode, reason: impl Into<String>) -> Self {
        Self {
            status,
            rc: code.number(),
            reason: reason.into(),
            stdout: String::new(),
            stderr: String::new(),
            started_wall_s: 0,
            exec_ms: 0,
            survivors: Vec::new(),
        }
    }
}

//! Actions of the plan: what they do, what is set for them, and how they bear on each other.

use std::{collections::BTreeMap, sync::Arc};

use smallvec::SmallVec;

use super::{ActIx, NodeIx, Requires, Role, RscIx};

/// What an action does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Task {
    #[default]
    None,
    Start,
    Running,
    Stop,
    Stopped,
    Promote,
    Promoted,
    Demote,
    Demoted,
    Monitor,
    MigrateTo,
    MigrateFrom,
    Notify,
    Notified,
    Cancel,
    Delete,
    LrmDelete,
    ClearFailCount,
    ReloadAgent,
    Fence,
    Shutdown,
    LoadStopped,
    OneOrMore,
    /// An operation somebody configured that the cluster never runs itself.
    Other,
}

impl Task {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::None | Self::Other => "",
            Self::Start => "start",
            Self::Running => "running",
            Self::Stop => "stop",
            Self::Stopped => "stopped",
            Self::Promote => "promote",
            Self::Promoted => "promoted",
            Self::Demote => "demote",
            Self::Demoted => "demoted",
            Self::Monitor => "monitor",
            Self::MigrateTo => "migrate_to",
            Self::MigrateFrom => "migrate_from",
            Self::Notify => "notify",
            Self::Notified => "notified",
            Self::Cancel => "cancel",
            Self::Delete => "delete",
            Self::LrmDelete => "lrm_delete",
            Self::ClearFailCount => "clear_failcount",
            Self::ReloadAgent => "reload-agent",
            Self::Fence => "stonith",
            Self::Shutdown => "do_shutdown",
            Self::LoadStopped => "load_stopped",
            Self::OneOrMore => "one-or-more",
        }
    }

    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "start" => Self::Start,
            "running" | "started" => Self::Running,
            "stop" => Self::Stop,
            "stopped" => Self::Stopped,
            "promote" => Self::Promote,
            "promoted" => Self::Promoted,
            "demote" => Self::Demote,
            "demoted" => Self::Demoted,
            "monitor" | "status" => Self::Monitor,
            "migrate_to" => Self::MigrateTo,
            "migrate_from" => Self::MigrateFrom,
            "notify" => Self::Notify,
            "delete" => Self::Delete,
            "cancel" => Self::Cancel,
            "reload-agent" | "reload" => Self::ReloadAgent,
            "stonith" => Self::Fence,
            _ => Self::Other,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OnFail {
    Ignore,
    #[default]
    Restart,
    Ban,
    Block,
    Stop,
    Standby,
    Fence,
    Demote,
    RestartContainer,
    ResetRemote,
}

/// Settings of an operation: what is configured, completed by defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct OpMeta {
    /// As the executor receives it, `CRM_meta_` left out.
    pub(crate) meta: BTreeMap<String, String>,
    pub(crate) params: BTreeMap<String, String>,
    pub(crate) on_fail: OnFail,
    pub(crate) fail_role: Option<Role>,
    pub(crate) timeout_ms: i64,
    pub(crate) priority: i32,
}

/// One action of the plan.
#[derive(Clone, Debug, Default)]
pub(crate) struct Act {
    pub(crate) rsc: Option<RscIx>,
    pub(crate) node: Option<NodeIx>,
    pub(crate) task: Task,
    pub(crate) interval_ms: u32,
    /// Key when it is not made of resource, task and interval.
    pub(crate) key: Option<Arc<str>>,
    /// Name of the operation when it is not that of the task.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) op: Option<Arc<OpMeta>>,
    pub(crate) extra: Vec<(&'static str, String)>,
    pub(crate) extra_owned: Vec<(String, String)>,
    pub(crate) priority: i32,
    pub(crate) pseudo: bool,
    pub(crate) runnable: bool,
    pub(crate) optional: bool,
    pub(crate) print_always: bool,
    pub(crate) migratable: bool,
    pub(crate) min_runnable: bool,
    pub(crate) reschedule: bool,
    pub(crate) in_graph: bool,
    pub(crate) on_dc: bool,
    pub(crate) needs: Requires,
    pub(crate) reason: Option<Arc<str>>,
    pub(crate) required_before: u32,
    pub(crate) runnable_before: u32,
    pub(crate) before: Links,
    pub(crate) after: Links,
}

/// Edges on one side of an action: of most, a stop and a start.
pub(crate) type Links = SmallVec<[Link; 2]>;

/// An edge between two actions, seen from one of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) other: ActIx,
    pub(crate) flags: u32,
}

/// How one action bears on another.
pub(crate) mod ar {
    pub(crate) const ORDERED: u32 = 1;
    pub(crate) const FIRST_IMPLIES_THEN: u32 = 1 << 1;
    pub(crate) const THEN_IMPLIES_FIRST: u32 = 1 << 2;
    pub(crate) const PROMOTED_THEN_IMPLIES_FIRST: u32 = 1 << 3;
    pub(crate) const UNRUNNABLE_FIRST_BLOCKS: u32 = 1 << 4;
    pub(crate) const MIN_RUNNABLE: u32 = 1 << 5;
    pub(crate) const NESTED_REMOTE_PROBE: u32 = 1 << 6;
    pub(crate) const FIRST_IMPLIES_SAME_NODE_THEN: u32 = 1 << 7;
    pub(crate) const IF_ON_SAME_NODE: u32 = 1 << 8;
    pub(crate) const IF_ON_SAME_NODE_OR_TARGET: u32 = 1 << 9;
    pub(crate) const IF_REQUIRED_ON_SAME_NODE: u32 = 1 << 10;
    pub(crate) const THEN_CANCELS_FIRST: u32 = 1 << 11;
    pub(crate) const INTERMEDIATE_STOP: u32 = 1 << 12;
    pub(crate) const ASYMMETRIC: u32 = 1 << 13;
    pub(crate) const UNMIGRATABLE_THEN_BLOCKS: u32 = 1 << 14;
    pub(crate) const IF_FIRST_UNMIGRATABLE: u32 = 1 << 15;
    pub(crate) const SERIALIZE: u32 = 1 << 16;
    pub(crate) const FIRST_IMPLIES_THEN_GRAPHED: u32 = 1 << 18;
    pub(crate) const THEN_IMPLIES_FIRST_GRAPHED: u32 = 1 << 19;
    pub(crate) const FIRST_ELSE_THEN: u32 = 1 << 20;
    /// An order only; made by the cluster itself.
    pub(crate) const GUEST_ALLOWED: u32 = 1 << 21;
}

//! Cluster options: their names in both spellings, defaults and values.

use std::collections::BTreeMap;

use crate::score;

/// What happens in a partition without quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoQuorum {
    Stop,
    Ignore,
    Freeze,
    Demote,
    Fence,
}

/// How much nodes fill up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    Default,
    Utilization,
    Balanced,
    Minimal,
}

/// The options that bear on scheduling, with units in the names.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) raw: BTreeMap<String, String>,
    pub(crate) no_quorum: NoQuorum,
    pub(crate) symmetric: bool,
    pub(crate) maintenance: bool,
    pub(crate) start_failure_fatal: bool,
    pub(crate) probes: bool,
    pub(crate) shutdown_lock: bool,
    pub(crate) shutdown_lock_limit_ms: i64,
    pub(crate) fencing: bool,
    pub(crate) fencing_action: String,
    pub(crate) fencing_timeout_ms: i64,
    pub(crate) concurrent_fencing: bool,
    pub(crate) startup_fencing: bool,
    pub(crate) priority_fencing_delay_ms: i64,
    pub(crate) node_pending_timeout_ms: i64,
    pub(crate) cluster_delay_ms: i64,
    pub(crate) batch_limit: i64,
    pub(crate) migration_limit: i64,
    pub(crate) stop_all: bool,
    pub(crate) stop_removed: bool,
    pub(crate) cancel_removed: bool,
    pub(crate) remove_after_stop: bool,
    pub(crate) health_strategy: String,
    pub(crate) health_base: i32,
    pub(crate) health_green: i32,
    pub(crate) health_yellow: i32,
    pub(crate) health_red: i32,
    pub(crate) placement: Placement,
    pub(crate) have_watchdog: bool,
    pub(crate) watchdog_timeout_ms: i64,
}

impl Options {
    /// Reads options; every unknown value leaves the default and is reported.
    pub(crate) fn read(raw: BTreeMap<String, String>, problems: &mut Vec<String>) -> Self {
        let mut read = Reader {
            raw: &raw,
            problems,
        };
        let fencing = read.bool(&["fencing-enabled", "stonith-enabled"], true);
        let options = Self {
            no_quorum: read.no_quorum(fencing),
            symmetric: read.bool(&["symmetric-cluster"], true),
            maintenance: read.bool(&["maintenance-mode"], false),
            start_failure_fatal: read.bool(&["start-failure-is-fatal"], true),
            probes: read.bool(&["enable-startup-probes"], true),
            shutdown_lock: read.bool(&["shutdown-lock"], false),
            shutdown_lock_limit_ms: read.ms(&["shutdown-lock-limit"], 0),
            fencing,
            fencing_action: read.fencing_action(),
            fencing_timeout_ms: read.ms(&["fencing-timeout", "stonith-timeout"], 60_000),
            concurrent_fencing: read.bool(&["concurrent-fencing"], true),
            startup_fencing: read.bool(&["startup-fencing"], true),
            priority_fencing_delay_ms: read.ms(&["priority-fencing-delay"], 0),
            node_pending_timeout_ms: read.ms(&["node-pending-timeout"], 0),
            cluster_delay_ms: read.ms(&["cluster-delay"], 60_000),
            batch_limit: read.number(&["batch-limit"], 0),
            migration_limit: read.number(&["migration-limit"], -1),
            stop_all: read.bool(&["stop-all-resources"], false),
            stop_removed: read.bool(&["stop-removed-resources", "stop-orphan-resources"], true),
            remove_after_stop: read.bool(&["remove-after-stop"], false),
            cancel_removed: read.bool(&["cancel-removed-actions", "stop-orphan-actions"], true),
            health_strategy: read
                .text(&["node-health-strategy"])
                .unwrap_or("none")
                .to_owned(),
            health_base: read.score(&["node-health-base"], 0),
            health_green: read.score(&["node-health-green"], 0),
            health_yellow: read.score(&["node-health-yellow"], 0),
            health_red: read.score(&["node-health-red"], -score::INFINITY),
            placement: read.placement(),
            have_watchdog: read.bool(&["have-watchdog"], false),
            watchdog_timeout_ms: read
                .ms(&["fencing-watchdog-timeout", "stonith-watchdog-timeout"], 0),
            raw: BTreeMap::new(),
        };
        Self { raw, ..options }
    }
}

struct Reader<'r> {
    raw: &'r BTreeMap<String, String>,
    problems: &'r mut Vec<String>,
}

impl<'r> Reader<'r> {
    fn text(&self, names: &[&str]) -> Option<&'r str> {
        names
            .iter()
            .find_map(|name| self.raw.get(*name))
            .map(String::as_str)
    }

    fn parsed<T>(&mut self, names: &[&str], default: T, parse: impl Fn(&str) -> Option<T>) -> T {
        let Some(text) = self.text(names) else {
            return default;
        };
        parse(text).unwrap_or_else(|| {
            self.problems.push(format!(
                "cluster option {}: '{text}' is not a value it can have; its default is used",
                names[0]
            ));
            default
        })
    }

    fn bool(&mut self, names: &[&str], default: bool) -> bool {
        self.parsed(names, default, score::parse_bool)
    }

    fn ms(&mut self, names: &[&str], default: i64) -> i64 {
        self.parsed(names, default, score::parse_ms)
    }

    fn number(&mut self, names: &[&str], default: i64) -> i64 {
        self.parsed(names, default, score::leading_integer)
    }

    fn score(&mut self, names: &[&str], default: i32) -> i32 {
        self.parsed(names, default, score::parse)
    }

    fn no_quorum(&mut self, fencing: bool) -> NoQuorum {
        let policy = self.parsed(&["no-quorum-policy"], NoQuorum::Stop, |text| match text {
            "stop" => Some(NoQuorum::Stop),
            "ignore" => Some(NoQuorum::Ignore),
            "freeze" => Some(NoQuorum::Freeze),
            "demote" => Some(NoQuorum::Demote),
            "suicide" | "fence" => Some(NoQuorum::Fence),
            _ => None,
        });
        if policy == NoQuorum::Fence && !fencing {
            self.problems.push(
                "cluster option no-quorum-policy: 'fence' needs fencing, which is off; resources are stopped instead"
                    .to_owned(),
            );
            return NoQuorum::Stop;
        }
        policy
    }

    fn fencing_action(&mut self) -> String {
        let text = self
            .text(&["fencing-action", "stonith-action"])
            .unwrap_or("reboot");
        match text {
            "off" | "poweroff" => "off".to_owned(),
            _ => "reboot".to_owned(),
        }
    }

    fn placement(&mut self) -> Placement {
        self.parsed(
            &["placement-strategy"],
            Placement::Default,
            |text| match text {
                "default" => Some(Placement::Default),
                "utilization" => Some(Placement::Utilization),
                "balanced" => Some(Placement::Balanced),
                "minimal" => Some(Placement::Minimal),
                _ => None,
            },
        )
    }
}

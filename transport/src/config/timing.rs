//! Every time-out, with its meaning and default.

use super::ConfigError;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Milliseconds unless the name says otherwise. `examples/systole.toml` shows them all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timing {
    // The core's; the same names as in crmd_core::settings::Settings.
    /// Between two heartbeats.
    pub heartbeat_interval_ms: u64,
    /// Silence after which a member is lost.
    pub failure_timeout_ms: u64,
    /// How long a crashed daemon may take to return while its host lives.
    pub daemon_grace_ms: u64,
    /// How long the assurance of a quorum lasts.
    pub lease_ms: u64,
    /// How long after the end of its lease a node waits for a new coordinator before it follows
    /// `no-quorum-policy`.
    pub quorum_grace_ms: u64,
    /// What a node without a quorum needs at most to stop everything.
    pub stop_budget_ms: u64,
    /// After a cold start, before nodes that were never seen are fenced.
    pub startup_grace_ms: u64,
    /// Deadline of a probe of a host's ports.
    pub probe_deadline_ms: u64,
    /// After this time an order that was not acknowledged is sent again.
    pub order_resend_ms: u64,
    /// How long a request may wait for a coordinator.
    pub request_timeout_ms: u64,
    /// More losses than this at once raise an alarm and `mass_loss_delay_ms`.
    pub mass_loss_threshold: u32,
    /// Delay before fencing then.
    pub mass_loss_delay_ms: u64,

    // Raft's.
    /// Between two heartbeats of the Raft leader.
    pub raft_heartbeat_ms: u64,
    /// Shortest silence of the leader before a node stands for election.
    pub raft_election_min_ms: u64,
    /// Longest; each node draws its own between the two.
    pub raft_election_max_ms: u64,

    /// A write to the Raft log that takes longer is a disk in trouble: the node stops leading.
    pub storage_stall_ms: u64,

    // Connections'.
    /// Deadline of a connection to another node: TCP, TLS and the first byte.
    pub connect_timeout_ms: u64,
    /// Pause between two attempts to reach a node.
    pub reconnect_interval_ms: u64,
    /// A link on which no heartbeat was acknowledged for so long is avoided, and its connections are
    /// replaced. More than `heartbeat_interval_ms`.
    pub link_stale_ms: u64,
    /// Deadline of the TLS handshake of somebody who connects to us.
    pub handshake_timeout_ms: u64,
    /// Unacknowledged data on a connection between nodes: the kernel gives up after this.
    pub tcp_user_timeout_ms: u64,
    /// Idle seconds before TCP probes a connection (the kernel counts in seconds).
    pub tcp_keepalive_idle_s: u32,
    /// Seconds between two such probes.
    pub tcp_keepalive_interval_s: u32,
    /// Unanswered probes after which the connection is given up.
    pub tcp_keepalive_probes: u32,
    /// Deadline of a connection to a daemon of the same node.
    pub local_connect_timeout_ms: u64,
    /// Deadline of a whole join: connecting, the cluster's agreement, the answer.
    pub join_timeout_ms: u64,

    // The supervisor's.
    /// Pauses before a crashed daemon is started again: first crash, second, …; the last repeats.
    pub restart_pauses_ms: Vec<u64>,
    /// A daemon that ran this long has not crashed "again".
    pub restart_reset_ms: u64,
    /// How long a daemon may take to end after SIGTERM before it is killed.
    pub daemon_stop_timeout_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat_interval_ms: 200,
            failure_timeout_ms: 1_500,
            daemon_grace_ms: 10_000,
            lease_ms: 1_200,
            quorum_grace_ms: 3_000,
            stop_budget_ms: 20_000,
            startup_grace_ms: 10_000,
            probe_deadline_ms: 250,
            order_resend_ms: 500,
            request_timeout_ms: 60_000,
            mass_loss_threshold: 2,
            mass_loss_delay_ms: 2_000,
            raft_heartbeat_ms: 200,
            raft_election_min_ms: 400,
            raft_election_max_ms: 600,
            storage_stall_ms: 1_000,
            connect_timeout_ms: 1_000,
            reconnect_interval_ms: 200,
            link_stale_ms: 350,
            handshake_timeout_ms: 2_000,
            tcp_user_timeout_ms: 1_500,
            tcp_keepalive_idle_s: 1,
            tcp_keepalive_interval_s: 1,
            tcp_keepalive_probes: 3,
            local_connect_timeout_ms: 2_000,
            join_timeout_ms: 30_000,
            restart_pauses_ms: vec![0, 100, 1_000, 5_000],
            restart_reset_ms: 60_000,
            daemon_stop_timeout_ms: 30_000,
        }
    }
}

/// Names of the settings that the core understands.
const CORE: &[&str] = &[
    "heartbeat_interval_ms",
    "failure_timeout_ms",
    "daemon_grace_ms",
    "lease_ms",
    "quorum_grace_ms",
    "stop_budget_ms",
    "startup_grace_ms",
    "probe_deadline_ms",
    "order_resend_ms",
    "request_timeout_ms",
    "mass_loss_threshold",
    "mass_loss_delay_ms",
];

impl Timing {
    /// The core's part as the core's own type (`crmd_core::settings::Settings`), by field name.
    ///
    /// ```
    /// #[derive(serde::Deserialize)]
    /// struct Settings { lease_ms: u64 }
    /// let settings: Settings = transport::config::Timing::default().core()?;
    /// assert_eq!(settings.lease_ms, 1_200);
    /// # Ok::<(), transport::config::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// The type does not have these fields: the two lists have drifted apart.
    pub fn core<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        let whole = toml::Table::try_from(self).map_err(|e| ConfigError::Convert(e.to_string()))?;
        let part: toml::Table = whole
            .into_iter()
            .filter(|(key, _)| CORE.contains(&key.as_str()))
            .collect();
        part.try_into()
            .map_err(|e: toml::de::Error| ConfigError::Convert(e.to_string()))
    }

    pub(super) fn must_not_be_zero(&self) -> [(&'static str, u64); 12] {
        [
            ("heartbeat_interval_ms", self.heartbeat_interval_ms),
            ("lease_ms", self.lease_ms),
            ("probe_deadline_ms", self.probe_deadline_ms),
            ("request_timeout_ms", self.request_timeout_ms),
            ("raft_heartbeat_ms", self.raft_heartbeat_ms),
            ("storage_stall_ms", self.storage_stall_ms),
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("handshake_timeout_ms", self.handshake_timeout_ms),
            ("tcp_user_timeout_ms", self.tcp_user_timeout_ms),
            ("local_connect_timeout_ms", self.local_connect_timeout_ms),
            ("join_timeout_ms", self.join_timeout_ms),
            ("daemon_stop_timeout_ms", self.daemon_stop_timeout_ms),
        ]
    }
}

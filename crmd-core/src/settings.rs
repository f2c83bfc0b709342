//! Time-outs and limits of a node's core; every one can be set in the configuration file.

use serde::{Deserialize, Serialize};

/// All in milliseconds unless the name says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Between two heartbeats.
    pub heartbeat_interval_ms: u64,
    /// Silence after which a member is lost.
    pub failure_timeout_ms: u64,
    /// How long a crashed daemon may take to return while its host lives.
    pub daemon_grace_ms: u64,
    /// How long the assurance of a quorum lasts.
    pub lease_ms: u64,
    /// How long after the end of its lease a node waits for a new coordinator before it follows
    /// `no-quorum-policy`. It starts nothing meanwhile. Part of the bound of protocol.md, 27.
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
}

impl Default for Settings {
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
        }
    }
}

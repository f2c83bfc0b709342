//! How alert agents are called, and where figures are offered.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Limits for alert agents; which there are stands in the CIB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alerts {
    /// User that agents run as; empty: the daemon's own.
    pub user: String,
    /// Agents that may be at work at once.
    pub parallel: usize,
    /// Of one alert.
    pub parallel_per_alert: usize,
    /// Calls of one alert that may wait; more are dropped.
    pub queue_per_alert: usize,
    /// How long agents may take to end when the daemon ends, in milliseconds.
    pub finish_timeout_ms: u64,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            user: "hacluster".to_owned(),
            parallel: 8,
            parallel_per_alert: 4,
            queue_per_alert: 200,
            finish_timeout_ms: 2_000,
        }
    }
}

impl Alerts {
    /// Limits that would let nothing happen if they were 0.
    pub(super) fn must_not_be_zero(&self) -> [(&'static str, usize); 3] {
        [
            ("parallel", self.parallel),
            ("parallel_per_alert", self.parallel_per_alert),
            ("queue_per_alert", self.queue_per_alert),
        ]
    }
}

/// Figures in Prometheus' text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Where `GET /metrics` is answered, without encryption or identification.
    pub listen: SocketAddr,
    /// How long a connection may take to ask and be answered, in milliseconds.
    #[serde(default = "request_timeout_ms")]
    pub request_timeout_ms: u64,
    /// Connections at once; more wait.
    #[serde(default = "connections")]
    pub connections: usize,
}

fn request_timeout_ms() -> u64 {
    5_000
}

fn connections() -> usize {
    4
}

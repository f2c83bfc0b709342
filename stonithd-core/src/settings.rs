//! Limits of the core that no device sets.

use serde::{Deserialize, Serialize};

/// All in milliseconds unless the name says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Time-out of a device's call where neither the device nor the request says less.
    pub call_timeout_ms: u64,
    /// Time-out of asking a device for its targets.
    pub list_timeout_ms: u64,
    /// How long other nodes may take to say whether they can.
    pub can_timeout_ms: u64,
    /// Pause before a failed call is tried again.
    pub retry_pause_ms: u64,
    /// Pause before a device that still says "on" after "off" is asked again.
    pub verify_pause_ms: u64,
    /// How long a device may keep saying "on" after it accepted "off".
    pub verify_timeout_ms: u64,
    /// Added to the deadline of a call before it is given up without an answer.
    pub slack_ms: u64,
    /// Entries of the history.
    pub history_entries: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            call_timeout_ms: 60_000,
            list_timeout_ms: 10_000,
            can_timeout_ms: 2_000,
            retry_pause_ms: 1_000,
            verify_pause_ms: 250,
            verify_timeout_ms: 20_000,
            slack_ms: 2_000,
            history_entries: 500,
        }
    }
}

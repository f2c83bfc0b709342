//! The two clocks of every measurement: one that all nodes share and never jumps, and the calendar.

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// A moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Moment {
    /// `CLOCK_BOOTTIME` in milliseconds: the same in every node of a lab.
    pub boottime_ms: f64,
    /// Milliseconds since the epoch.
    pub wall_ms: u64,
}

impl Moment {
    /// This moment.
    pub fn now() -> Self {
        let boot = clock_gettime(ClockId::Boottime);
        let wall = clock_gettime(ClockId::Realtime);
        let boottime_us = boot.tv_sec as f64 * 1e6 + (boot.tv_nsec / 1000) as f64;
        Self {
            boottime_ms: boottime_us / 1e3,
            wall_ms: wall.tv_sec.unsigned_abs() * 1000 + wall.tv_nsec.unsigned_abs() / 1_000_000,
        }
    }
}

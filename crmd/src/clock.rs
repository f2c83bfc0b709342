//! The two clocks a core is given: one that counts through suspend, and the calendar.

use crate::machine::Clock;
use crmd_core::ids::Now;
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The kernel's clocks.
#[derive(Debug)]
pub(crate) struct HostClock;

impl Clock for HostClock {
    fn now(&self) -> Now {
        Now {
            mono_ms: boottime_ms(),
            wall_s: wall_s(),
        }
    }
}

/// Through the C library, so that tests can set it (libfaketime).
fn wall_s() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

/// Milliseconds of `CLOCK_BOOTTIME`.
fn boottime_ms() -> u64 {
    let t = clock_gettime(ClockId::Boottime);
    u64::try_from(t.tv_sec).unwrap_or(0) * 1_000 + u64::try_from(t.tv_nsec).unwrap_or(0) / 1_000_000
}

/// How long to sleep at `now_ms` until `deadline_ms` of the same clock, at most a second: tokio's
/// timers stand still during suspend, so a longer sleep would overshoot by its length.
pub(crate) fn until(now_ms: u64, deadline_ms: Option<u64>) -> Duration {
    let left_ms = deadline_ms.map_or(u64::MAX, |d| d.saturating_sub(now_ms));
    Duration::from_millis(left_ms.min(1_000))
}

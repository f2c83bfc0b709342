//! Waiting for something to become true, never for ever.

use crate::error::LabError;
use std::{
    thread,
    time::{Duration, Instant},
};

/// Asks again and again until there is an answer. Errors on the way are not yet the end; the last one is
/// part of the message when the time is over.
///
/// # Errors
/// That `what` did not happen within `limit`.
pub(crate) fn wait_for<T>(
    what: &str,
    limit: Duration,
    pause: Duration,
    mut ask: impl FnMut() -> Result<Option<T>, LabError>,
) -> Result<T, LabError> {
    let deadline = Instant::now() + limit;
    loop {
        let last = match ask() {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => String::new(),
            Err(e) => format!(" (last: {e})"),
        };
        if Instant::now() > deadline {
            return Err(LabError::TooLate {
                what: format!("{what} did not happen{last}"),
                limit_ms: limit.as_millis() as u64,
            });
        }
        thread::sleep(pause);
    }
}

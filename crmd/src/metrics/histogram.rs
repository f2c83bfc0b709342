//! How long something took, counted by bounds.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Upper bounds, in microseconds and as they are shown in seconds: from a fast disk's commit to a stalled one's.
const BOUNDS: [(u64, &str); 12] = [
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (5_000_000, "5"),
];

/// Counts; adding one is two additions.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// Observations in each bound alone, and last those beyond all.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    total_us: AtomicU64,
}

impl Histogram {
    /// It took this long.
    pub(crate) fn observe(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let place = BOUNDS.partition_point(|(bound, _)| *bound < us);
        if let Some(bucket) = self.buckets.get(place) {
            bucket.fetch_add(1, Relaxed);
        }
        self.total_us.fetch_add(us, Relaxed);
    }

    /// Bounds with the observations up to each, the last one `+Inf`, and the sum in seconds.
    pub(super) fn cumulative(&self) -> (Vec<(&'static str, u64)>, f64) {
        let names = BOUNDS.iter().map(|(_, name)| *name).chain(["+Inf"]);
        let mut so_far = 0;
        let bounds = names.zip(&self.buckets).map(|(name, bucket)| {
            so_far += bucket.load(Relaxed);
            (name, so_far)
        });
        let bounds = bounds.collect();
        let total = Duration::from_micros(self.total_us.load(Relaxed));
        (bounds, total.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_includes_itself_and_all_below() {
        let histogram = Histogram::default();
        for us in [0, 500, 501, 1_000, 60_000_000] {
            histogram.observe(Duration::from_micros(us));
        }
        let (bounds, sum_s) = histogram.cumulative();
        assert_eq!(bounds[0], ("0.0005", 2));
        assert_eq!(bounds[1], ("0.001", 4));
        assert_eq!(bounds[11], ("5", 4));
        assert_eq!(bounds[12], ("+Inf", 5));
        assert!((sum_s - 60.002_001).abs() < 1e-9, "{sum_s}");
    }
}

//! Whether a link to a peer works, told by the acknowledgements of the beats sent over it.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// What is known of one link; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Health(Arc<watch::Sender<State>>, Arc<AtomicU64>);

#[derive(Clone, Copy, Debug)]
struct State {
    /// Connections so far.
    epoch: u64,
    /// The last acknowledgement, or when the present connection was opened; nothing without one.
    acked: Option<Instant>,
}

impl Default for Health {
    fn default() -> Self {
        let state = State {
            epoch: 0,
            acked: None,
        };
        Self(Arc::new(watch::Sender::new(state)), Arc::default())
    }
}

impl Health {
    /// A connection was opened.
    pub(super) fn opened(&self) {
        self.0.send_modify(|s| {
            s.epoch += 1;
            s.acked = Some(Instant::now());
        });
    }

    /// A beat was acknowledged.
    pub(super) fn acked(&self) {
        self.0.send_modify(|s| s.acked = Some(Instant::now()));
    }

    /// The connection ended.
    pub(super) fn closed(&self) {
        self.0.send_modify(|s| s.acked = None);
    }

    /// The link is lost once more.
    pub(super) fn lost(&self) {
        self.1.fetch_add(1, Relaxed);
    }

    /// How often it was lost.
    pub(super) fn losses(&self) -> u64 {
        self.1.load(Relaxed)
    }

    /// Which connection it is.
    pub(super) fn epoch(&self) -> u64 {
        self.0.borrow().epoch
    }

    /// Whether a beat was acknowledged within `limit`.
    pub(super) fn fresh(&self, limit: Duration) -> bool {
        self.0.borrow().acked.is_some_and(|at| at.elapsed() < limit)
    }

    /// Waits until a beat was acknowledged within `limit`.
    pub(super) async fn until_fresh(&self, limit: Duration) {
        let fresh = |s: &State| s.acked.is_some_and(|at| at.elapsed() < limit);
        if self.0.subscribe().wait_for(fresh).await.is_err() {
            pending().await
        }
    }

    /// Waits until no beat was acknowledged within `limit`, or its connection is gone.
    pub(super) async fn until_stale(&self, limit: Duration) {
        loop {
            let Some(acked) = self.0.borrow().acked else {
                return;
            };
            if acked.elapsed() >= limit {
                return;
            }
            sleep_until(acked + limit).await;
        }
    }

    /// Waits until no beat was acknowledged for `limit`, with a connection or without one.
    pub(super) async fn until_lost(&self, limit: Duration) {
        let mut last = Instant::now();
        loop {
            last = self.0.borrow().acked.unwrap_or(last).max(last);
            if last.elapsed() >= limit {
                return;
            }
            sleep_until(last + limit).await;
        }
    }

    /// Waits until the connection is another one than `epoch`.
    pub(super) async fn until_replaced(&self, epoch: u64) {
        let other = |s: &State| s.epoch != epoch && s.acked.is_some();
        if self.0.subscribe().wait_for(other).await.is_err() {
            pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(300);

    #[tokio::test(start_paused = true)]
    async fn acknowledgements_keep_a_link_fresh() {
        let health = Health::default();
        assert!(!health.fresh(LIMIT));
        health.opened();
        tokio::time::advance(LIMIT / 2).await;
        health.acked();
        tokio::time::advance(LIMIT / 2).await;
        assert!(health.fresh(LIMIT));
        let before = Instant::now();
        health.until_stale(LIMIT).await;
        assert_eq!(before.elapsed(), LIMIT / 2);
        assert!(!health.fresh(LIMIT));
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_without_a_connection_is_stale_at_once_and_lost_later() {
        let health = Health::default();
        health.opened();
        health.closed();
        let before = Instant::now();
        health.until_stale(LIMIT).await;
        assert_eq!(before.elapsed(), Duration::ZERO);
        health.until_lost(LIMIT).await;
        assert_eq!(before.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_connection_is_seen() {
        let health = Health::default();
        health.opened();
        let epoch = health.epoch();
        let waiting = tokio::spawn({
            let health = health.clone();
            async move { health.until_replaced(epoch).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        health.opened();
        waiting.await.unwrap();
    }
}

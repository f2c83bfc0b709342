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
    time::{Instant, timeout_at},
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
    /// A beat is under way. Until then nothing need be waited for: who watches a link sleeps.
    awaited: bool,
}

impl Default for Health {
    fn default() -> Self {
        let state = State {
            epoch: 0,
            acked: None,
            awaited: false,
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
            s.awaited = false;
        });
    }

    /// A beat goes out.
    pub(super) fn sent(&self) {
        self.0
            .send_if_modified(|s| !std::mem::replace(&mut s.awaited, true));
    }

    /// The beats were acknowledged.
    pub(super) fn acked(&self) {
        self.0.send_modify(|s| {
            s.acked = Some(Instant::now());
            s.awaited = false;
        });
    }

    /// The connection ended.
    pub(super) fn closed(&self) {
        self.0.send_modify(|s| {
            s.acked = None;
            s.awaited = false;
        });
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

    /// Waits until a beat was not acknowledged within `limit` of the last one that was, or its connection is
    /// gone.
    pub(super) async fn until_stale(&self, limit: Duration) {
        let mut states = self.0.subscribe();
        loop {
            let state = *states.borrow_and_update();
            let Some(acked) = state.acked else {
                return;
            };
            if !changes_within(&mut states, state.awaited.then(|| acked + limit)).await {
                return;
            }
        }
    }

    /// Waits until no beat was acknowledged for `limit`, with a connection or without one.
    pub(super) async fn until_lost(&self, limit: Duration) {
        let mut states = self.0.subscribe();
        let mut last = Instant::now();
        loop {
            let state = *states.borrow_and_update();
            last = state.acked.unwrap_or(last).max(last);
            let due = state.acked.is_none() || state.awaited;
            if !changes_within(&mut states, due.then(|| last + limit)).await {
                return;
            }
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

/// Waits for a change, until `due` if that is given: whether there was one.
async fn changes_within(states: &mut watch::Receiver<State>, due: Option<Instant>) -> bool {
    let changed = async {
        if states.changed().await.is_err() {
            pending().await
        }
    };
    match due {
        Some(due) => timeout_at(due, changed).await.is_ok(),
        None => {
            changed.await;
            true
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
        health.sent();
        let before = Instant::now();
        health.until_stale(LIMIT).await;
        assert_eq!(before.elapsed(), LIMIT / 2);
        assert!(!health.fresh(LIMIT));
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_is_not_to_blame_while_nothing_is_sent() {
        let health = Health::default();
        health.opened();
        let stale = tokio::time::timeout(10 * LIMIT, health.until_stale(LIMIT));
        assert!(stale.await.is_err());
        health.sent();
        health.acked();
        let lost = tokio::time::timeout(10 * LIMIT, health.until_lost(LIMIT));
        assert!(lost.await.is_err());
        health.sent();
        let before = Instant::now();
        health.until_lost(LIMIT).await;
        assert_eq!(before.elapsed(), LIMIT);
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

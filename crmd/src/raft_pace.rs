//! When Raft's leader sends heartbeats and when a follower stands for election. Raft's own clock, which looks
//! for both many times in a second, stands still: a member at rest is awake only when something is said.
//!
//! A leader's heartbeats go out with the beats of the core, so that one wake serves both. A follower whose
//! leader was silent for a time drawn anew between the settings' two asks the others first (pre-vote), and
//! those who still hear the leader refuse.
//!
//! Must never: stand for election without asking, or while the disk is in trouble.

use crate::raft_types::{Raft, TypeConfig};
use openraft::{RaftMetrics, ServerState, async_runtime::watch::WatchReceiver, errors::Fatal};
use rand::Rng as _;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// The settings' part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rhythm {
    /// From one heartbeat of the leader to the next.
    pub(crate) heartbeat: Duration,
    /// Shortest silence of the leader before a follower stands for election.
    pub(crate) patience_min: Duration,
    /// Longest.
    pub(crate) patience_max: Duration,
}

/// What is known of the leader's heartbeats, and what the next one of this node waits for; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    rhythm: Rhythm,
    heard: Arc<Mutex<Option<Instant>>>,
    held: Arc<AtomicBool>,
    beaten: Arc<Notify>,
    hurried: Arc<Notify>,
}

impl Pace {
    /// Nothing heard yet.
    pub(crate) fn new(rhythm: Rhythm) -> Self {
        Self {
            rhythm,
            heard: Arc::default(),
            held: Arc::default(),
            beaten: Arc::default(),
            hurried: Arc::default(),
        }
    }

    /// The leader was heard.
    pub(crate) fn heard(&self) {
        *self.last_heard() = Some(Instant::now());
    }

    /// Beats of the core go out: a heartbeat that is nearly due goes with them.
    pub(crate) fn beaten(&self) {
        self.beaten.notify_one();
    }

    /// The next heartbeat is sent at once: the last may have been lost on its way.
    pub(crate) fn hurry(&self) {
        self.hurried.notify_one();
    }

    /// While held this node sends no heartbeats and does not stand, so that somebody else is elected.
    pub(crate) fn hold(&self, held: bool) {
        self.held.store(held, Ordering::Relaxed);
    }

    fn last_heard(&self) -> MutexGuard<'_, Option<Instant>> {
        // One assignment: a panic cannot leave it half changed.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }

    /// Works until Raft ends.
    pub(crate) async fn keep(self, raft: Raft) {
        let mut server = raft.server_metrics();
        // At first nobody is known to lead: only what keeps candidates apart is waited for.
        let mut patience = self.rhythm.apart();
        loop {
            let leads = server.borrow_watched().state == ServerState::Leader;
            tokio::select! {
                changed = server.changed() => if changed.is_err() {
                    return;
                },
                _ = self.lead(&raft), if leads => return,
                _ = self.follow(&raft, patience), if !leads => return,
            }
            patience = self.rhythm.patience();
        }
    }

    /// Sends heartbeats until Raft ends.
    async fn lead(&self, raft: &Raft) -> Result<(), Fatal<TypeConfig>> {
        let heartbeat = self.rhythm.heartbeat;
        let mut due = Instant::now();
        loop {
            // The core's beats come in the same interval, but their timer is another one.
            let late = due + heartbeat / 8;
            tokio::select! {
                () = self.beaten.notified() => if Instant::now() + heartbeat / 2 < due {
                    continue;
                },
                () = self.hurried.notified() => {}
                () = sleep_until(late) => {}
            }
            due = Instant::now() + heartbeat;
            if !self.is_held() {
                raft.trigger().heartbeat().await?;
            }
        }
    }

    /// Stands for election whenever nothing was heard for long enough, until Raft ends.
    async fn follow(&self, raft: &Raft, mut patience: Duration) -> Result<(), Fatal<TypeConfig>> {
        let mut began = Instant::now();
        if is_alone(&raft.metrics().borrow_watched()) {
            patience = Duration::ZERO;
        }
        loop {
            let until = self.last_heard().map_or(began, |at| at.max(began)) + patience;
            if until > Instant::now() {
                sleep_until(until).await;
                continue;
            }
            if !self.is_held() {
                raft.trigger().elect(true).await?;
            }
            began = Instant::now();
            patience = self.rhythm.patience();
        }
    }
}

/// Whether this node is the only one that votes: nobody need be asked.
fn is_alone(metrics: &RaftMetrics<TypeConfig>) -> bool {
    let mut voters = metrics.membership_config.voter_ids();
    voters.next() == Some(metrics.id) && voters.next().is_none()
}

impl Rhythm {
    fn patience(&self) -> Duration {
        self.patience_min + self.apart()
    }

    /// What keeps candidates apart.
    fn apart(&self) -> Duration {
        let range = self.patience_max.saturating_sub(self.patience_min);
        range.mul_f64(rand::rng().random_range(0.0..1.0))
    }
}

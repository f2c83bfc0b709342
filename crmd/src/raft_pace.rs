//! Keeps Raft's own clock still while nothing needs it. Its tick looks for elections and heartbeats fifty
//! times in a second, on every member, at rest too. A leader's heartbeats come from here instead, and a
//! follower's clock runs only once its leader has been silent for longer than a heartbeat takes.
//!
//! It never decides an election: when one is due is Raft's own reckoning, for which its clock runs in time
//! (a heartbeat and a half is shorter than every election time-out; the settings see to that).

use crate::raft_types::Raft;
use openraft::{ServerState, async_runtime::watch::WatchReceiver};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// What is known of the leader's heartbeats; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    heard: Arc<watch::Sender<Option<Instant>>>,
    held: Arc<AtomicBool>,
}

impl Pace {
    /// Nothing heard yet.
    pub(crate) fn new() -> Self {
        Self {
            heard: Arc::new(watch::Sender::new(None)),
            held: Arc::default(),
        }
    }

    /// The leader was heard.
    pub(crate) fn heard(&self) {
        self.heard.send_replace(Some(Instant::now()));
    }

    /// While held this node sends no heartbeats, so that somebody else is elected.
    pub(crate) fn hold(&self, held: bool) {
        self.held.store(held, Ordering::Relaxed);
    }

    fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }

    /// Works until Raft ends. `heartbeat`: from one to the next.
    pub(crate) async fn keep(self, raft: Raft, heartbeat: Duration) {
        let mut server = raft.server_metrics();
        loop {
            let leads = server.borrow_watched().state == ServerState::Leader;
            raft.runtime_config().tick(!leads);
            tokio::select! {
                changed = server.changed() => if changed.is_err() {
                    return;
                },
                () = self.lead(&raft, heartbeat), if leads => return,
                () = self.follow(&raft, heartbeat * 3 / 2), if !leads => {}
            }
        }
    }

    /// Sends heartbeats until Raft ends.
    async fn lead(&self, raft: &Raft, heartbeat: Duration) {
        let mut next = Instant::now();
        loop {
            sleep_until(next).await;
            next = Instant::now() + heartbeat;
            if !self.is_held() && raft.trigger().heartbeat().await.is_err() {
                return;
            }
        }
    }

    /// Has Raft's clock run whenever nothing was heard for `limit`.
    async fn follow(&self, raft: &Raft, limit: Duration) {
        let mut heard = self.heard.subscribe();
        loop {
            let until = heard.borrow_and_update().map(|at| at + limit);
            let quiet = until.filter(|until| *until > Instant::now());
            raft.runtime_config().tick(quiet.is_none());
            match quiet {
                Some(until) => sleep_until(until).await,
                None => {
                    // The sender lives as long as `self`.
                    let _ = heard.changed().await;
                }
            }
        }
    }
}

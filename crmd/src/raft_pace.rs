//! When Raft's leader sends heartbeats and when a follower stands for election. Raft's own clock, which looks
//! for both many times in a second, stands still: a member at rest is awake only when something is said.
//!
//! A leader's heartbeats go out with the beats of the core, so that one wake serves both. A follower whose
//! leader was silent for a time drawn anew between the settings' two asks the others first (pre-vote), and
//! those who still hear the leader refuse. Whoever has just promised its vote lets that candidate finish, and
//! whoever was refused once asks again soon: two members that stood at the same moment, or one that stood a
//! moment before the other missed the leader, cost a fraction of an election time-out and not a whole one.
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
use tracing::{debug, info};

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

/// What was noticed of others.
#[derive(Clone, Copy, Debug, Default)]
struct Signs {
    /// When the leader was heard last.
    leader: Option<Instant>,
    /// When a candidate was promised this node's vote last.
    candidate: Option<Instant>,
}

/// A follower's wait for its own candidacy.
#[derive(Clone, Copy, Debug)]
struct Vigil {
    began: Instant,
    /// How long the leader may be silent.
    patience: Duration,
    /// How long a candidate that was promised a vote is given.
    grace: Duration,
    /// It follows a candidacy that led to nothing.
    repeated: bool,
}

/// What is known of the leader's heartbeats, and what the next one of this node waits for; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    rhythm: Rhythm,
    signs: Arc<Mutex<Signs>>,
    held: Arc<AtomicBool>,
    beaten: Arc<Notify>,
    hurried: Arc<Notify>,
}

impl Pace {
    /// Nothing heard yet.
    pub(crate) fn new(rhythm: Rhythm) -> Self {
        Self {
            rhythm,
            signs: Arc::default(),
            held: Arc::default(),
            beaten: Arc::default(),
            hurried: Arc::default(),
        }
    }

    /// The leader was heard.
    pub(crate) fn heard(&self) {
        self.signs().leader = Some(Instant::now());
    }

    /// A candidate was promised this node's vote, or given it.
    pub(crate) fn promised(&self) {
        self.signs().candidate = Some(Instant::now());
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

    fn signs(&self) -> MutexGuard<'_, Signs> {
        // Single assignments: a panic cannot leave it half changed.
        self.signs.lock().unwrap_or_else(PoisonError::into_inner)
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
        if is_alone(&raft.metrics().borrow_watched()) {
            patience = Duration::ZERO;
        }
        let mut vigil = Vigil {
            began: Instant::now(),
            patience,
            grace: self.rhythm.again(),
            repeated: false,
        };
        loop {
            let due = vigil.due(*self.signs());
            if due > Instant::now() {
                sleep_until(due).await;
                continue;
            }
            if !self.is_held() {
                vigil.tell(*self.signs());
                raft.trigger().elect(true).await?;
            }
            vigil = vigil.after(*self.signs(), Instant::now(), self.rhythm);
        }
    }
}

impl Vigil {
    /// When this node stands, unless more is noticed until then.
    fn due(self, signs: Signs) -> Instant {
        let silent = signs.leader.map_or(self.began, |at| at.max(self.began)) + self.patience;
        let undecided = signs.candidate.map(|at| at + self.grace);
        undecided.map_or(silent, |until| until.max(silent))
    }

    /// Says that this node stands: once for every silence, for without a majority it goes on for ever.
    fn tell(self, signs: Signs) {
        let silence = signs.leader.map_or("nobody leads".to_owned(), |at| {
            let ms = at.elapsed().as_millis();
            format!("the leader has been silent for {ms} ms")
        });
        if self.repeated {
            debug!("{silence}: standing for election again");
        } else {
            info!("{silence}: standing for election");
        }
    }

    /// The wait after a candidacy. Only the first is repeated soon: a disk or a network on which elections
    /// take longer than that must be able to finish one.
    fn after(self, signs: Signs, now: Instant, rhythm: Rhythm) -> Self {
        let first = !self.repeated || signs.leader.is_some_and(|at| at > self.began);
        let patience = if first {
            rhythm.again()
        } else {
            rhythm.patience()
        };
        Self {
            began: now,
            patience,
            grace: rhythm.again(),
            repeated: true,
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

    /// How long an election is given that should end at once.
    fn again(&self) -> Duration {
        self.patience_max.saturating_sub(self.patience_min) / 2 + self.apart()
    }

    /// What keeps candidates apart.
    fn apart(&self) -> Duration {
        let range = self.patience_max.saturating_sub(self.patience_min);
        range.mul_f64(rand::rng().random_range(0.0..1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RHYTHM: Rhythm = Rhythm {
        heartbeat: Duration::from_millis(200),
        patience_min: Duration::from_millis(400),
        patience_max: Duration::from_millis(600),
    };

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn vigil(began: Instant) -> Vigil {
        Vigil {
            began,
            patience: ms(500),
            grace: ms(150),
            repeated: false,
        }
    }

    #[test]
    fn a_leader_that_is_heard_postpones_the_candidacy() {
        let began = Instant::now();
        let mut signs = Signs::default();
        assert_eq!(vigil(began).due(signs), began + ms(500));
        signs.leader = Some(began + ms(200));
        assert_eq!(vigil(began).due(signs), began + ms(700));
    }

    #[test]
    fn what_was_heard_before_the_wait_began_does_not_shorten_it() {
        let heard = Instant::now();
        let signs = Signs {
            leader: Some(heard),
            ..Signs::default()
        };
        assert_eq!(vigil(heard + ms(300)).due(signs), heard + ms(800));
    }

    #[test]
    fn a_candidate_that_was_promised_a_vote_is_let_finish() {
        let began = Instant::now();
        let at = |promised| Signs {
            leader: None,
            candidate: Some(began + ms(promised)),
        };
        // The other stands a moment before this one would have.
        assert_eq!(vigil(began).due(at(490)), began + ms(640));
        // Long done: nothing came of it, and this node waits no longer than it would have.
        assert_eq!(vigil(began).due(at(100)), began + ms(500));
    }

    #[test]
    fn only_the_first_candidacy_is_repeated_soon() {
        let began = Instant::now();
        let none = Signs::default();
        for _ in 0..100 {
            let second = vigil(began).after(none, began + ms(500), RHYTHM);
            assert!((ms(100)..=ms(300)).contains(&second.patience));
            let third = second.after(none, began + ms(700), RHYTHM);
            assert!((ms(400)..=ms(600)).contains(&third.patience));
        }
    }

    #[test]
    fn a_leader_heard_since_makes_the_next_candidacy_a_first_one() {
        let began = Instant::now();
        let second = vigil(began).after(Signs::default(), began + ms(500), RHYTHM);
        let signs = Signs {
            leader: Some(began + ms(600)),
            ..Signs::default()
        };
        let third = second.after(signs, began + ms(1200), RHYTHM);
        assert!(third.patience <= ms(300));
    }
}

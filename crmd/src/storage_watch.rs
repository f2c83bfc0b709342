//! Watches the disk under the Raft log: tells the core of trouble, and makes a leader that cannot write
//! give way by stopping its Raft heartbeats (protocol.md, 5).

use crate::{
    driver::{Event, Events},
    log_store::Health,
    raft_pace::Pace,
};
use crmd_core::input::Input;
use std::time::Duration;

/// Looks until the daemon ends. `stall`: a write that takes longer is trouble.
pub(crate) async fn watch(health: Health, pace: Pace, stall: Duration, events: Events) {
    let mut told = None;
    let mut steps_back = false;
    loop {
        let stalled = health.writing_for().filter(|taken| *taken >= stall);
        if stalled.is_some() != steps_back {
            steps_back = stalled.is_some();
            pace.hold(steps_back);
        }
        let trouble = health
            .trouble()
            .or_else(|| stalled.map(|_| slow_words(stall)));
        if trouble != told {
            told.clone_from(&trouble);
            if events
                .send(Event::Input(Input::Storage { trouble }))
                .is_err()
            {
                return;
            }
        }
        if health.writing_for().is_none() && !steps_back {
            health.stirs().await;
        }
        tokio::time::sleep(stall / 4).await;
    }
}

fn slow_words(stall: Duration) -> String {
    format!(
        "the disk under the log has not finished a write within {} ms",
        stall.as_millis()
    )
}

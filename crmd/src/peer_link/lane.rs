//! Raft's heartbeats over the stream of a link's beats, and their answers. A call of its own for each would cost
//! a member at rest more than everything else it does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Notify, oneshot};

/// Calls that wait for an answer at most; a Raft has one under way to each member.
const MOST: usize = 16;

/// The answer to a heartbeat; an error if the connection ended before it came.
pub(crate) type Answer = oneshot::Receiver<Vec<u8>>;

/// The heartbeats of one link; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    calls: Mutex<Calls>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Calls {
    /// The number of the last one.
    last: u64,
    /// Not on its way yet. A newer one takes its place.
    next: Option<(u64, Vec<u8>)>,
    waiting: BTreeMap<u64, oneshot::Sender<Vec<u8>>>,
}

impl Lane {
    /// Sends a heartbeat with the next opportunity.
    pub(super) fn call(&self, body: Vec<u8>) -> Answer {
        let (sender, answer) = oneshot::channel();
        let mut calls = self.calls();
        calls.last += 1;
        let number = calls.last;
        if let Some((replaced, _)) = calls.next.replace((number, body)) {
            calls.waiting.remove(&replaced);
        }
        if calls.waiting.len() == MOST {
            calls.waiting.pop_first();
        }
        calls.waiting.insert(number, sender);
        drop(calls);
        self.0.filled.notify_one();
        answer
    }

    /// The next to send, with its number.
    pub(super) async fn next(&self) -> (u64, Vec<u8>) {
        loop {
            if let Some(call) = self.calls().next.take() {
                return call;
            }
            self.0.filled.notified().await;
        }
    }

    /// The peer answered.
    pub(super) fn answered(&self, number: u64, body: Vec<u8>) {
        if let Some(waiting) = self.calls().waiting.remove(&number) {
            // Nobody waits for it any more.
            let _ = waiting.send(body);
        }
    }

    /// The peer has no answer.
    pub(super) fn refused(&self, number: u64) {
        self.calls().waiting.remove(&number);
    }

    /// Another connection, or none: what was under way is not answered any more.
    pub(super) fn begin(&self) {
        let mut calls = self.calls();
        calls.next = None;
        calls.waiting.clear();
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_caller_gets_the_answer_to_its_own_call() {
        let lane = Lane::default();
        let first = lane.call(b"1".to_vec());
        let (one, body) = lane.next().await;
        assert_eq!(body, b"1");
        let second = lane.call(b"2".to_vec());
        let (two, _) = lane.next().await;
        lane.answered(two, b"second".to_vec());
        lane.answered(one, b"first".to_vec());
        assert_eq!(first.await.as_deref(), Ok(&b"first"[..]));
        assert_eq!(second.await.as_deref(), Ok(&b"second"[..]));
    }

    #[tokio::test]
    async fn what_a_connection_took_along_is_an_error() {
        let lane = Lane::default();
        let answer = lane.call(Vec::new());
        let (number, _) = lane.next().await;
        lane.begin();
        lane.answered(number, Vec::new());
        assert!(answer.await.is_err());
    }

    #[tokio::test]
    async fn a_newer_heartbeat_takes_the_place_of_one_that_did_not_leave() {
        let lane = Lane::default();
        let old = lane.call(b"old".to_vec());
        let _new = lane.call(b"new".to_vec());
        assert!(old.await.is_err());
        assert_eq!(lane.next().await.1, b"new");
    }

    #[test]
    fn calls_that_nobody_answers_do_not_pile_up() {
        let lane = Lane::default();
        for _ in 0..100 {
            drop(lane.call(Vec::new()));
            lane.calls().next = None;
        }
        assert_eq!(lane.calls().waiting.len(), MOST);
    }
}

//! What a leader does: replicate, commit, change the membership, hand over.

use super::{
    HEARTBEAT_MS, Leading, Output, Raft, Role, Wire,
    store::{Config, Payload},
};
use crmd_core::ids::{Index, RaftId, Term};
use std::collections::{BTreeMap, BTreeSet};

/// Most entries in one message.
const BATCH: usize = 32;

impl Raft {
    pub(super) fn lead(&mut self, now_ms: u64) {
        let first = self.store.append(Payload::Blank);
        self.role = Role::Leader(Leading {
            next: BTreeMap::new(),
            matched: BTreeMap::new(),
            first,
            ready: false,
            open: BTreeMap::new(),
            wanted: None,
            beat_at_ms: now_ms,
        });
        self.leader = Some(self.me);
        self.tell();
        self.beat(now_ms);
    }

    /// Brings the membership to this, learners first; what was wanted before is forgotten.
    pub(crate) fn change(
        &mut self,
        now_ms: u64,
        voters: BTreeSet<RaftId>,
        learners: BTreeSet<RaftId>,
    ) {
        if let Role::Leader(leading) = &mut self.role
            && !voters.is_empty()
        {
            leading.wanted = Some((voters, learners));
            self.change_on();
            self.replicate(now_ms);
        }
    }

    /// Hands the leadership over, if the other one holds the whole log.
    pub(crate) fn transfer(&mut self, to: RaftId) {
        let (term, last) = (self.store.term, self.store.last().1);
        if let Role::Leader(leading) = &self.role
            && leading.matched.get(&to) == Some(&last)
        {
            self.out.push(Output::Send(to, Wire::TimeoutNow { term }));
        }
    }

    /// A heartbeat with whatever each follower lacks.
    pub(super) fn beat(&mut self, now_ms: u64) {
        self.change_on();
        let peers = self.store.config().1.everybody();
        for to in peers {
            self.append_to(to, true);
        }
        if let Role::Leader(leading) = &mut self.role {
            leading.beat_at_ms = now_ms + HEARTBEAT_MS;
        }
        self.advance(now_ms);
    }

    /// Sends what is new.
    pub(super) fn replicate(&mut self, now_ms: u64) {
        let peers = self.store.config().1.everybody();
        for to in peers {
            self.append_to(to, false);
        }
        self.advance(now_ms);
    }

    fn append_to(&mut self, to: RaftId, even_nothing: bool) {
        let Role::Leader(leading) = &mut self.role else {
            return;
        };
        if to == self.me {
            return;
        }
        let term = self.store.term;
        let last = self.store.last().1;
        let next = *leading.next.entry(to).or_insert(last);
        let prev = next - 1;
        let wire = match (self.store.term_of(prev), self.store.after(prev)) {
            (Some(prev_term), Some(records)) => {
                if records.is_empty() && !even_nothing {
                    return;
                }
                let records: Vec<_> = records.iter().take(BATCH).cloned().collect();
                leading.next.insert(to, next + records.len() as u64);
                Wire::Append {
                    term,
                    prev: (prev_term, prev),
                    records,
                    committed: self.committed,
                }
            }
            _ => {
                let snapshot = self.store.snapshot.clone();
                leading.next.insert(to, snapshot.index + 1);
                Wire::Install { term, snapshot }
            }
        };
        self.send(to, wire);
    }

    pub(super) fn answered(
        &mut self,
        now_ms: u64,
        from: RaftId,
        term: Term,
        result: Result<Index, Index>,
    ) {
        if term > self.store.term {
            self.adopt(term);
            return;
        }
        let Role::Leader(leading) = &mut self.role else {
            return;
        };
        if term < self.store.term {
            return;
        }
        match result {
            Ok(matched) => {
                let known = leading.matched.entry(from).or_default();
                *known = (*known).max(matched);
                let next = leading.next.entry(from).or_insert(matched + 1);
                *next = (*next).max(matched + 1);
                self.advance(now_ms);
                if self.leads() {
                    self.append_to(from, false);
                }
            }
            Err(hint) => {
                let known = leading.matched.get(&from).copied().unwrap_or(0);
                leading.next.insert(from, hint.max(known) + 1);
                self.append_to(from, false);
            }
        }
    }

    /// Commits what a majority holds, in its own term only.
    fn advance(&mut self, now_ms: u64) {
        let Role::Leader(leading) = &self.role else {
            return;
        };
        let (first, last) = (leading.first, self.store.last().1);
        let holds = |index: Index| {
            let config = self.store.config().1;
            config.is_quorum(|id| {
                id == self.me || leading.matched.get(&id).is_some_and(|m| *m >= index)
            })
        };
        let lowest = first.max(self.committed + 1);
        if let Some(index) = (lowest..=last).rev().find(|i| holds(*i)) {
            self.commit(index);
            self.removed_itself(now_ms);
        }
    }

    /// A leader that is no voter any more steps down once that is committed.
    fn removed_itself(&mut self, now_ms: u64) {
        let (at, config) = self.store.config();
        if at <= self.committed && !config.votes(self.me) {
            // The others must hear that it is committed.
            let peers = config.everybody();
            for to in peers {
                self.append_to(to, true);
            }
            self.follow(None);
            self.rest(now_ms);
        }
    }

    /// The next step towards the membership that is wanted.
    fn change_on(&mut self) {
        let Role::Leader(leading) = &mut self.role else {
            return;
        };
        let (at, config) = self.store.config();
        if at > self.committed || !leading.ready {
            return;
        }
        if let [_, new] = config.voters.as_slice() {
            let done = Config {
                voters: vec![new.clone()],
                learners: config.learners.clone(),
            };
            self.store.append(Payload::Config(done));
            return;
        }
        let Some((voters, learners)) = leading.wanted.clone() else {
            return;
        };
        let old = config.voters.first().cloned().unwrap_or_default();
        if old == voters && config.learners == learners {
            leading.wanted = None;
            return;
        }
        let newcomers: BTreeSet<RaftId> = voters.difference(&config.everybody()).copied().collect();
        if !newcomers.is_empty() {
            let learners = config.learners.union(&newcomers).copied().collect();
            let voters = vec![old];
            self.store
                .append(Payload::Config(Config { voters, learners }));
            return;
        }
        let caught_up = |id: &RaftId| {
            *id == self.me
                || leading
                    .matched
                    .get(id)
                    .is_some_and(|m| *m >= self.committed)
        };
        if !voters.difference(&old).all(caught_up) {
            return;
        }
        let voters = if old == voters {
            vec![old]
        } else {
            vec![old, voters]
        };
        self.store
            .append(Payload::Config(Config { voters, learners }));
    }
}

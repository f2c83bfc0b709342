//! A model of the log: Raft as its paper has it (terms, elections with pre-vote, majority commit,
//! truncated tails, joint membership changes, snapshots), without disk or network of its own.
//!
//! It stands for openraft behind the daemon's shell, and tells the core what that shell tells it.
//! It must never be kinder than the real one: a leader that was cut off keeps believing that it
//! leads, its proposals stay open, and whoever proposed may never hear what became of them.

mod election;
mod leading;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use store::{Config, Payload, Record, Snapshot, Store};

use crate::rng::Rng;
use crmd_core::{
    command::ProposalId,
    entry::Entry,
    ids::{Index, RaftId, Term},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Between two heartbeats of a leader.
pub(crate) const HEARTBEAT_MS: u64 = 300;
/// Least silence after which a follower stands for election; at most twice that.
pub(crate) const ELECTION_MS: u64 = 1_000;

/// Between the Rafts of two nodes.
#[derive(Clone, Debug)]
pub(crate) enum Wire {
    /// Asks for a vote, or whether one would be given.
    Vote {
        /// The candidate's term.
        term: Term,
        /// Index and term of its last entry, term first.
        last: (Term, Index),
        /// Only asking.
        pre: bool,
        /// The leader is known to be gone, or wants it so: its lease does not count.
        overrule: bool,
    },
    /// Answer to `Vote`.
    VoteReply {
        /// Term asked with if granted, otherwise the answerer's.
        term: Term,
        /// As in the question.
        pre: bool,
        /// Whether it is given.
        granted: bool,
    },
    /// Entries, or none: a heartbeat.
    Append {
        /// The leader's term.
        term: Term,
        /// Entry before the first.
        prev: (Term, Index),
        /// What follows it.
        records: Vec<Record>,
        /// What is committed.
        committed: Index,
    },
    /// Answer to `Append` and `Install`.
    AppendReply {
        /// The follower's term.
        term: Term,
        /// Up to where the logs agree, or where to try next.
        result: Result<Index, Index>,
    },
    /// A snapshot instead of entries that are gone.
    Install {
        /// The leader's term.
        term: Term,
        /// It.
        snapshot: Arc<Snapshot>,
    },
    /// The leader hands over: stand for election now.
    TimeoutNow {
        /// The leader's term.
        term: Term,
    },
}

/// What Raft wants done, in order.
#[derive(Clone, Debug)]
pub(crate) enum Output {
    /// To a peer.
    Send(RaftId, Wire),
    /// Another term or leader.
    Leader(Term, Option<RaftId>),
    /// Leads, and has applied everything up to the first entry of its own term.
    Ready(Term),
    /// A committed entry.
    Apply(Index, Payload),
    /// A snapshot replaces what was applied.
    Installed(Arc<Snapshot>),
    /// What became of a proposal, as far as is known.
    Proposed(ProposalId, Result<Index, Option<RaftId>>),
}

/// What a Raft is at present.
#[derive(Debug)]
enum Role {
    Follower,
    Candidate {
        pre: bool,
        overrule: bool,
        votes: BTreeSet<RaftId>,
    },
    Leader(Leading),
}

/// What only a leader knows.
#[derive(Debug)]
struct Leading {
    next: BTreeMap<RaftId, Index>,
    matched: BTreeMap<RaftId, Index>,
    /// First entry of its own term.
    first: Index,
    ready: bool,
    open: BTreeMap<Index, ProposalId>,
    wanted: Option<(BTreeSet<RaftId>, BTreeSet<RaftId>)>,
    beat_at_ms: u64,
}

/// One node's Raft.
#[derive(Debug)]
pub(crate) struct Raft {
    me: RaftId,
    store: Store,
    role: Role,
    leader: Option<RaftId>,
    /// Last sign of the leader.
    heard_ms: Option<u64>,
    /// When to stand for election.
    election_ms: u64,
    applied: Index,
    committed: Index,
    told: Option<(Term, Option<RaftId>)>,
    rng: Rng,
    out: Vec<Output>,
}

impl Raft {
    /// Starts with what is on disk and applies what is known to be committed.
    pub(crate) fn new(now_ms: u64, me: RaftId, store: Store, rng: Rng) -> Self {
        let mut raft = Self {
            me,
            applied: store.snapshot.index,
            committed: store.committed.max(store.snapshot.index),
            store,
            role: Role::Follower,
            leader: None,
            heard_ms: None,
            election_ms: 0,
            told: None,
            rng,
            out: Vec::new(),
        };
        raft.rest(now_ms);
        if raft.store.snapshot.index > 0 {
            let snapshot = raft.store.snapshot.clone();
            raft.out.push(Output::Installed(snapshot));
        }
        raft.apply();
        raft.tell();
        raft
    }

    /// What survives.
    pub(crate) fn into_store(self) -> Store {
        self.store
    }

    /// What is to be done now.
    pub(crate) fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.out)
    }

    /// When [`Raft::tick`] is due.
    pub(crate) fn deadline_ms(&self) -> u64 {
        match &self.role {
            Role::Leader(leading) => leading.beat_at_ms,
            _ => self.election_ms,
        }
    }

    /// Whether it believes to lead.
    pub(crate) fn leads(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// Last applied index.
    pub(crate) fn applied(&self) -> Index {
        self.applied
    }

    /// Replaces what was applied up to `index` by the state's own snapshot; some entries are kept
    /// for followers that are not far behind.
    pub(crate) fn compact(&mut self, data: Vec<u8>, keep: u64) {
        self.store.compact(self.applied, data, keep);
    }

    /// The deadline has come.
    pub(crate) fn tick(&mut self, now_ms: u64) {
        if now_ms < self.deadline_ms() {
            return;
        }
        match &self.role {
            Role::Leader(_) => self.beat(now_ms),
            _ => self.stand(now_ms, true, false),
        }
    }

    /// The leader is known to be gone: stand for election at once.
    pub(crate) fn campaign(&mut self, now_ms: u64) {
        if !self.leads() {
            self.stand(now_ms, false, true);
        }
    }

    /// Appends, if it leads in the term that the core was told.
    pub(crate) fn propose(&mut self, now_ms: u64, id: ProposalId, term: Term, entry: Entry) {
        let leader = self.leader;
        match &mut self.role {
            Role::Leader(leading) if term == self.store.term => {
                let payload = Payload::Fact(Arc::new(entry));
                let index = self.store.append(payload);
                leading.open.insert(index, id);
                self.replicate(now_ms);
            }
            _ => self.out.push(Output::Proposed(id, Err(leader))),
        }
    }

    /// A message of a peer has come.
    pub(crate) fn receive(&mut self, now_ms: u64, from: RaftId, wire: Wire) {
        match wire {
            Wire::Vote {
                term,
                last,
                pre,
                overrule,
            } => {
                self.asked_for_vote(now_ms, from, term, last, pre, overrule);
            }
            Wire::VoteReply { term, pre, granted } => {
                self.voted(now_ms, from, term, pre, granted);
            }
            Wire::Append {
                term,
                prev,
                records,
                committed,
            } => {
                if !self.obey(now_ms, from, term) {
                    return;
                }
                let result = self.store.take(prev, records, self.committed);
                if let Ok(matched) = result {
                    self.commit(committed.min(matched));
                }
                let term = self.store.term;
                self.send(from, Wire::AppendReply { term, result });
            }
            Wire::Install { term, snapshot } => {
                if !self.obey(now_ms, from, term) {
                    return;
                }
                let index = snapshot.index;
                if self.store.term_of(index) == Some(snapshot.term) {
                    // What it has beyond the snapshot may have been counted already.
                    self.commit(index);
                } else if index > self.committed {
                    self.store.install(snapshot.clone());
                    (self.applied, self.committed) = (index, index);
                    self.out.push(Output::Installed(snapshot));
                }
                let term = self.store.term;
                self.send(
                    from,
                    Wire::AppendReply {
                        term,
                        result: Ok(index),
                    },
                );
            }
            Wire::AppendReply { term, result } => self.answered(now_ms, from, term, result),
            Wire::TimeoutNow { term } => {
                if term == self.store.term && !self.leads() {
                    self.stand(now_ms, false, true);
                }
            }
        }
    }

    /// A leader's message: follow it unless it is an old one.
    fn obey(&mut self, now_ms: u64, from: RaftId, term: Term) -> bool {
        if term < self.store.term {
            let reply = Wire::AppendReply {
                term: self.store.term,
                result: Err(0),
            };
            self.send(from, reply);
            return false;
        }
        if term > self.store.term {
            self.adopt(term);
        }
        self.follow(Some(from));
        self.heard_ms = Some(now_ms);
        self.rest(now_ms);
        true
    }

    fn adopt(&mut self, term: Term) {
        self.store.term = term;
        self.store.voted = None;
        self.follow(None);
    }

    /// Gives up whatever role it had; open proposals end without an outcome.
    fn follow(&mut self, leader: Option<RaftId>) {
        let role = std::mem::replace(&mut self.role, Role::Follower);
        self.leader = leader;
        if let Role::Leader(leading) = role {
            for id in leading.open.into_values() {
                self.out.push(Output::Proposed(id, Err(leader)));
            }
        }
        self.tell();
    }

    fn commit(&mut self, index: Index) {
        if index > self.committed {
            self.committed = index;
            self.store.committed = index;
            self.apply();
        }
    }

    fn apply(&mut self) {
        while self.applied < self.committed {
            let index = self.applied + 1;
            let Some(record) = self.store.get(index) else {
                break;
            };
            let payload = record.payload.clone();
            self.applied = index;
            self.out.push(Output::Apply(index, payload));
            if let Role::Leader(leading) = &mut self.role {
                if let Some(id) = leading.open.remove(&index) {
                    self.out.push(Output::Proposed(id, Ok(index)));
                }
                if index >= leading.first && !leading.ready {
                    leading.ready = true;
                    self.out.push(Output::Ready(self.store.term));
                }
            }
        }
    }

    fn tell(&mut self) {
        let now = (self.store.term, self.leader);
        if self.told != Some(now) {
            self.told = Some(now);
            self.out.push(Output::Leader(now.0, now.1));
        }
    }

    fn rest(&mut self, now_ms: u64) {
        self.election_ms = now_ms + self.rng.range(ELECTION_MS, 2 * ELECTION_MS);
    }

    fn send(&mut self, to: RaftId, wire: Wire) {
        self.out.push(Output::Send(to, wire));
    }
}

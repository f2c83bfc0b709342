//! What Raft keeps on disk: term, vote, entries, and the snapshot that stands for the first of them.

use crmd_core::{
    entry::Entry,
    ids::{Index, RaftId, Term},
};
use std::{collections::BTreeSet, sync::Arc};

/// Who votes and who only follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    /// One set, or two while the membership changes: a majority of each is needed.
    pub voters: Vec<BTreeSet<RaftId>>,
    /// Followers without a vote.
    pub learners: BTreeSet<RaftId>,
}

impl Config {
    /// Everybody in it.
    pub(crate) fn everybody(&self) -> BTreeSet<RaftId> {
        let voters = self.voters.iter().flatten();
        voters.chain(&self.learners).copied().collect()
    }

    /// Whether the node votes.
    pub(crate) fn votes(&self, id: RaftId) -> bool {
        self.voters.iter().any(|set| set.contains(&id))
    }

    /// Whether these are a majority of each set.
    pub(crate) fn is_quorum(&self, holds: impl Fn(RaftId) -> bool) -> bool {
        let majority =
            |set: &BTreeSet<RaftId>| set.iter().filter(|id| holds(**id)).count() > set.len() / 2;
        !self.voters.is_empty() && self.voters.iter().all(majority)
    }
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Payload {
    /// A leader's first entry.
    Blank,
    /// For the core.
    Fact(Arc<Entry>),
    /// A membership, valid from when it is appended.
    Config(Config),
}

/// An entry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    /// Term of the leader that made it.
    pub term: Term,
    /// What it says.
    pub payload: Payload,
}

/// The state after `index`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Snapshot {
    /// Last entry in it.
    pub index: Index,
    /// That entry's term.
    pub term: Term,
    /// Membership then.
    pub config: Config,
    /// The core's own form.
    pub data: Vec<u8>,
}

/// Everything on disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    /// Present term.
    pub term: Term,
    /// Vote given in it.
    pub voted: Option<RaftId>,
    /// What was known to be committed.
    pub committed: Index,
    /// Stands for the entries up to its index; some of them may still be there.
    pub snapshot: Arc<Snapshot>,
    /// Index and term of the entry before the first kept one.
    base: (Term, Index),
    base_config: Config,
    log: Vec<Record>,
}

impl Store {
    /// A log that already has these committed entries, all of term 1.
    pub(crate) fn with(config: Config, facts: impl IntoIterator<Item = Entry>) -> Self {
        let mut store = Self {
            term: 1,
            ..Self::default()
        };
        store.append(Payload::Config(config));
        for fact in facts {
            store.append(Payload::Fact(Arc::new(fact)));
        }
        store.committed = store.last().1;
        store
    }

    /// Term and index of the last entry.
    pub(crate) fn last(&self) -> (Term, Index) {
        let index = self.base.1 + self.log.len() as u64;
        (self.log.last().map_or(self.base.0, |r| r.term), index)
    }

    /// An entry.
    pub(crate) fn get(&self, index: Index) -> Option<&Record> {
        let position = index.checked_sub(self.base.1 + 1)?;
        self.log.get(position as usize)
    }

    /// Term of an entry, if it is known.
    pub(crate) fn term_of(&self, index: Index) -> Option<Term> {
        if index == self.base.1 {
            return Some(self.base.0);
        }
        self.get(index).map(|r| r.term)
    }

    /// Entries after `index`; nothing if they are gone.
    pub(crate) fn after(&self, index: Index) -> Option<&[Record]> {
        self.log.get(index.checked_sub(self.base.1)? as usize..)
    }

    /// The last membership and where it stands.
    pub(crate) fn config(&self) -> (Index, &Config) {
        let found = self
            .log
            .iter()
            .enumerate()
            .rev()
            .find_map(|(i, r)| match &r.payload {
                Payload::Config(config) => Some((self.base.1 + 1 + i as u64, config)),
                _ => None,
            });
        found.unwrap_or((self.base.1, &self.base_config))
    }

    /// Appends in the present term.
    pub(crate) fn append(&mut self, payload: Payload) -> Index {
        self.log.push(Record {
            term: self.term,
            payload,
        });
        self.last().1
    }

    /// A leader's entries: up to where the logs now agree, or where it should try next. Nothing
    /// committed is ever cut off.
    pub(crate) fn take(
        &mut self,
        prev: (Term, Index),
        records: Vec<Record>,
        committed: Index,
    ) -> Result<Index, Index> {
        let mut index = prev.1;
        if index < self.base.1 {
            // What it sends begins in what a snapshot stands for.
            return Err(committed.max(self.base.1));
        }
        if self.term_of(index) != Some(prev.0) {
            return Err(committed.min(index.saturating_sub(1)));
        }
        for record in records {
            index += 1;
            if self.term_of(index) == Some(record.term) {
                continue;
            }
            self.log.truncate((index - self.base.1 - 1) as usize);
            self.log.push(record);
        }
        Ok(index)
    }

    /// Makes a snapshot of what was applied up to `index` and drops entries before it but `keep`.
    pub(crate) fn compact(&mut self, index: Index, data: Vec<u8>, keep: u64) {
        let (Some(term), config) = (self.term_of(index), self.config_at(index)) else {
            return;
        };
        self.snapshot = Arc::new(Snapshot {
            index,
            term,
            config,
            data,
        });
        let base = index.saturating_sub(keep).max(self.base.1);
        let (Some(term), config) = (self.term_of(base), self.config_at(base)) else {
            return;
        };
        self.log.drain(..(base - self.base.1) as usize);
        self.base = (term, base);
        self.base_config = config;
    }

    /// Replaces everything by a leader's snapshot.
    pub(crate) fn install(&mut self, snapshot: Arc<Snapshot>) {
        self.log.clear();
        self.base = (snapshot.term, snapshot.index);
        self.base_config = snapshot.config.clone();
        self.committed = snapshot.index;
        self.snapshot = snapshot;
    }

    fn config_at(&self, index: Index) -> Config {
        let upto = index.saturating_sub(self.base.1) as usize;
        let found = self
            .log
            .iter()
            .take(upto)
            .rev()
            .find_map(|r| match &r.payload {
                Payload::Config(config) => Some(config.clone()),
                _ => None,
            });
        found.unwrap_or_else(|| self.base_config.clone())
    }
}

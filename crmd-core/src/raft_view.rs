//! What the core knows of Raft: who leads, who votes. Raft itself is the shell's.

use crate::ids::{NodeName, RaftId, Term};
use std::collections::BTreeSet;

/// What Raft last told.
#[derive(Debug, Default)]
pub(crate) struct Raft {
    pub(crate) term: Term,
    pub(crate) leader: Option<NodeName>,
    /// One set, or two while the membership changes.
    pub(crate) voters: Vec<BTreeSet<RaftId>>,
    pub(crate) learners: BTreeSet<RaftId>,
}

impl Raft {
    /// Whether it votes, now and when a change under way is complete.
    pub(crate) fn votes(&self, id: RaftId) -> bool {
        !self.voters.is_empty() && self.voters.iter().all(|set| set.contains(&id))
    }

    /// Whether it votes in any set.
    pub(crate) fn may_vote(&self, id: RaftId) -> bool {
        self.voters.iter().any(|set| set.contains(&id))
    }

    /// Whether exactly these vote and no change is under way.
    pub(crate) fn is_settled(&self, voters: &BTreeSet<RaftId>) -> bool {
        matches!(self.voters.as_slice(), [set] if set == voters)
    }

    /// How many vote for certain.
    pub(crate) fn voter_count(&self) -> usize {
        self.voters.iter().map(BTreeSet::len).min().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_the_membership_changes_only_who_is_in_both_sets_votes_for_certain() {
        let changing = Raft {
            voters: vec![[1, 2, 3].into(), [1, 2, 4, 5].into()],
            ..Raft::default()
        };
        let certain: Vec<RaftId> = (1..=6).filter(|id| changing.votes(*id)).collect();
        assert_eq!(certain, [1, 2]);
        let perhaps: Vec<RaftId> = (1..=6).filter(|id| changing.may_vote(*id)).collect();
        assert_eq!(perhaps, [1, 2, 3, 4, 5]);
        assert!(!changing.is_settled(&[1, 2, 3].into()));
        assert_eq!(changing.voter_count(), 3);
        assert!(!Raft::default().votes(1));
    }
}

//! Who leads.

use super::{ELECTION_MS, Raft, Role, Wire};
use crmd_core::ids::{Index, RaftId, Term};

impl Raft {
    /// Stands for election, or first asks whether that has a chance (`pre`).
    pub(super) fn stand(&mut self, now_ms: u64, pre: bool, overrule: bool) {
        self.rest(now_ms);
        let (_, config) = self.store.config();
        if !config.votes(self.me) {
            return;
        }
        let everybody = config.everybody();
        let mut term = self.store.term + 1;
        if !pre {
            self.adopt(term);
            self.store.voted = Some(self.me);
            term = self.store.term;
        }
        self.role = Role::Candidate {
            pre,
            overrule,
            votes: [self.me].into(),
        };
        let last = self.store.last();
        let me = self.me;
        for to in everybody.into_iter().filter(|id| *id != me) {
            self.send(
                to,
                Wire::Vote {
                    term,
                    last,
                    pre,
                    overrule,
                },
            );
        }
        self.count(now_ms);
    }

    pub(super) fn asked_for_vote(
        &mut self,
        now_ms: u64,
        from: RaftId,
        term: Term,
        last: (Term, Index),
        pre: bool,
        overrule: bool,
    ) {
        let lease = self.leads() || self.heard_ms.is_some_and(|at| now_ms < at + ELECTION_MS);
        let kept = lease && !overrule;
        if !pre && term > self.store.term && !kept {
            self.adopt(term);
        }
        let free = pre || self.store.voted.is_none() || self.store.voted == Some(from);
        let in_term = if pre {
            term > self.store.term
        } else {
            term == self.store.term
        };
        let granted = !kept && in_term && free && last >= self.store.last();
        if granted && !pre {
            self.store.voted = Some(from);
            self.rest(now_ms);
        }
        let term = if granted { term } else { self.store.term };
        self.send(from, Wire::VoteReply { term, pre, granted });
    }

    pub(super) fn voted(
        &mut self,
        now_ms: u64,
        from: RaftId,
        term: Term,
        pre: bool,
        granted: bool,
    ) {
        if !granted {
            if term > self.store.term {
                self.adopt(term);
            }
            return;
        }
        let expected = self.store.term + u64::from(pre);
        if let Role::Candidate {
            pre: asking, votes, ..
        } = &mut self.role
            && *asking == pre
            && term == expected
        {
            votes.insert(from);
            self.count(now_ms);
        }
    }

    fn count(&mut self, now_ms: u64) {
        let Role::Candidate {
            pre,
            overrule,
            votes,
        } = &self.role
        else {
            return;
        };
        if !self.store.config().1.is_quorum(|id| votes.contains(&id)) {
            return;
        }
        if *pre {
            let overrule = *overrule;
            self.stand(now_ms, false, overrule);
        } else {
            self.lead(now_ms);
        }
    }
}

//! In each term the orders of one node only are obeyed, and no executor obeys an older term after a newer one.

use super::{Checker, Truth};
use crmd_core::ids::{Life, NodeName, Term};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct OneCoordinator {
    of_term: BTreeMap<Term, NodeName>,
    highest: BTreeMap<(NodeName, Life), Term>,
}

impl Checker for OneCoordinator {
    fn name(&self) -> &'static str {
        "one-coordinator"
    }

    fn see(&mut self, _now_ms: u64, truth: &Truth) -> Result<(), String> {
        let Truth::OrderTaken { by, from, term, .. } = truth else {
            return Ok(());
        };
        let first = self.of_term.entry(*term).or_insert_with(|| from.clone());
        if first != from {
            return Err(format!(
                "{} took an order of {from} in term {term}, in which {first}'s orders were obeyed",
                by.0
            ));
        }
        let highest = self.highest.entry(by.clone()).or_insert(*term);
        if term < highest {
            return Err(format!(
                "{} took an order of {from} in term {term} after one of term {highest}",
                by.0
            ));
        }
        *highest = *term;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::judge;
    use super::*;

    fn taken(by: &str, from: &str, term: Term) -> Truth {
        Truth::OrderTaken {
            by: (by.into(), Life::default()),
            incarnation: 1,
            from: from.into(),
            term,
        }
    }

    #[test]
    fn two_coordinators_in_a_term_are_noticed() {
        let history = [taken("a", "b", 3), taken("a", "c", 4), taken("b", "a", 4)];
        assert!(judge(OneCoordinator::default(), &history).is_err());
        assert_eq!(judge(OneCoordinator::default(), &history[..2]), Ok(()));
    }

    #[test]
    fn an_old_term_is_not_obeyed_after_a_new_one() {
        let history = [taken("a", "b", 4), taken("a", "c", 3)];
        assert!(judge(OneCoordinator::default(), &history).is_err());
    }
}

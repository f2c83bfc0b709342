//! The promises, each with a checker of its own that is fed with the truth and never looks into a node.

mod acknowledged_lost;
mod convergence;
mod never_active_twice;
mod no_panic;
mod one_coordinator;
mod start_before_down;
mod stuck;

pub use convergence::BOUND_MS as CONVERGENCE_BOUND_MS;

use crate::truth::Truth;
use std::fmt;

/// Watches one promise.
pub trait Checker: fmt::Debug + Send {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// Takes in a fact.
    ///
    /// # Errors
    /// The promise is broken: what was seen, for people.
    fn see(&mut self, now_ms: u64, truth: &Truth) -> Result<(), String>;
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which checker.
    pub checker: &'static str,
    /// When.
    pub at_ms: u64,
    /// What it saw.
    pub saw: String,
}

/// One of each.
pub(crate) fn all() -> Vec<Box<dyn Checker>> {
    vec![
        Box::<no_panic::NoPanic>::default(),
        Box::<stuck::Stuck>::default(),
        Box::<never_active_twice::NeverActiveTwice>::default(),
        Box::<start_before_down::StartBeforeDown>::default(),
        Box::<one_coordinator::OneCoordinator>::default(),
        Box::<acknowledged_lost::AcknowledgedLost>::default(),
        Box::<convergence::Convergence>::default(),
    ]
}

/// Those that need to be told of agents, power and proofs only: where resources are, and may be.
#[must_use]
pub fn of_places() -> Vec<Box<dyn Checker>> {
    vec![
        Box::<never_active_twice::NeverActiveTwice>::default(),
        Box::<start_before_down::StartBeforeDown>::default(),
    ]
}

/// Names of all, and for each feature `break-X` of the core the checkers that may notice it as `X`.
pub fn expected(name: &str) -> Option<Vec<&'static str>> {
    match name {
        "start-before-fencing" => Some(vec!["start-before-down"]),
        "double-start" => Some(vec!["never-active-twice"]),
        "forget-acknowledged" => Some(vec!["acknowledged-lost"]),
        "never-converge" => Some(vec!["convergence"]),
        _ => {
            let known = all().iter().map(|c| c.name()).find(|n| *n == name)?;
            Some(vec![known])
        }
    }
}

/// Helpers of the checkers' own tests.
#[cfg(test)]
mod testing {
    use super::{Checker, Truth};

    /// What the checker says of a history, one fact a millisecond.
    pub(super) fn judge(mut checker: impl Checker, history: &[Truth]) -> Result<(), String> {
        let mut facts = history.iter().enumerate();
        facts.try_for_each(|(at, truth)| checker.see(at as u64, truth))
    }

    pub(super) fn place(node: &str, life: u64) -> (crmd_core::ids::NodeName, u64) {
        (node.into(), life)
    }

    pub(super) fn began(node: &str, life: u64, operation: &str) -> Truth {
        Truth::Began {
            place: place(node, life),
            resource: "r".to_owned(),
            operation: operation.to_owned(),
        }
    }

    pub(super) fn ended(node: &str, life: u64, operation: &str, rc: i32) -> Truth {
        Truth::Ended {
            place: place(node, life),
            resource: "r".to_owned(),
            operation: operation.to_owned(),
            rc: Some(rc),
        }
    }
}

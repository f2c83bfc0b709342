//! After everything is mended the cluster finds its rest within a bound, and from then on nobody is
//! fenced and nothing is started or stopped any more.

use super::{Checker, Truth};

/// From the mending of the last fault to rest, in simulated milliseconds.
pub const BOUND_MS: u64 = 60_000;

#[derive(Debug, Default)]
pub(super) struct Convergence {
    healed_ms: Option<u64>,
    converged: bool,
}

impl Checker for Convergence {
    fn name(&self) -> &'static str {
        "convergence"
    }

    fn see(&mut self, now_ms: u64, truth: &Truth) -> Result<(), String> {
        match truth {
            Truth::Healed => self.healed_ms = Some(now_ms),
            Truth::Disturbed => *self = Self::default(),
            Truth::Converged => self.converged = true,
            Truth::Lacking(what) => return self.lacking(now_ms, what),
            Truth::Shot((node, life)) if self.converged => {
                return Err(format!(
                    "{node} (life {life}) was fenced after the cluster had converged"
                ));
            }
            Truth::Began {
                place,
                resource,
                operation,
            } if self.converged => {
                if matches!(operation.as_str(), "start" | "stop" | "promote" | "demote") {
                    return Err(format!(
                        "{operation} of {resource} on {} after the cluster had converged",
                        place.0
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Convergence {
    fn lacking(&self, now_ms: u64, what: &str) -> Result<(), String> {
        let late = self.healed_ms.is_some_and(|at| now_ms > at + BOUND_MS);
        if self.converged {
            return Err(format!("the cluster had converged, then: {what}"));
        }
        if late {
            return Err(format!(
                "{} s after everything was mended: {what}",
                BOUND_MS / 1000
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{began, place};
    use super::*;

    #[test]
    fn unrest_beyond_the_bound_is_noticed() {
        let mut checker = Convergence::default();
        let lacking = Truth::Lacking("r is nowhere".to_owned());
        checker.see(5_000, &Truth::Healed).unwrap();
        checker.see(5_000 + BOUND_MS, &lacking).unwrap();
        let saw = checker.see(5_001 + BOUND_MS, &lacking).unwrap_err();
        assert!(saw.contains("r is nowhere"), "{saw}");
    }

    #[test]
    fn fencing_and_moving_after_rest_are_noticed() {
        let shot = Truth::Shot(place("a", 1));
        let start = began("a", 1, "start");
        for late in [shot, start] {
            let mut checker = Convergence::default();
            checker.see(0, &Truth::Healed).unwrap();
            checker.see(1, &late).unwrap();
            checker.see(2, &Truth::Converged).unwrap();
            checker.see(3, &began("a", 1, "monitor")).unwrap();
            assert!(checker.see(4, &late).is_err());
        }
    }
}

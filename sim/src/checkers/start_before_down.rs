//! Nothing starts before its old place is proven down: stopped there with success, found not running
//! there, its node shot by a device that made sure and said so, or its node seen in a new life.

use super::{Checker, Truth};
use crate::truth::Place;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct StartBeforeDown {
    /// Where each resource may be, as far as anybody could know.
    open: BTreeMap<String, BTreeSet<Place>>,
    starting: BTreeSet<(String, Place)>,
}

impl Checker for StartBeforeDown {
    fn name(&self) -> &'static str {
        "start-before-down"
    }

    fn see(&mut self, _now_ms: u64, truth: &Truth) -> Result<(), String> {
        match truth {
            Truth::Began {
                place,
                resource,
                operation,
            } => match operation.as_str() {
                "start" | "migrate_from" => self.starts(place, resource)?,
                _ => {}
            },
            Truth::Ended {
                place,
                resource,
                operation,
                rc,
            } => {
                self.ended(place, resource, operation, *rc);
            }
            Truth::ProvenDown((node, life)) => self.over(|(n, l)| n == node && l <= life),
            Truth::Lives((node, life)) => self.over(|(n, l)| n == node && l < life),
            _ => {}
        }
        Ok(())
    }
}

impl StartBeforeDown {
    fn starts(&mut self, place: &Place, resource: &str) -> Result<(), String> {
        let places = self.open.entry(resource.to_owned()).or_default();
        places.insert(place.clone());
        self.starting.insert((resource.to_owned(), place.clone()));
        let Some((node, life)) = places.iter().find(|p| *p != place) else {
            return Ok(());
        };
        Err(format!(
            "{resource} starts on {} (life {}) while nothing has proven that it is down on {node} (life {life})",
            place.0, place.1
        ))
    }

    fn ended(&mut self, place: &Place, resource: &str, operation: &str, rc: Option<i32>) {
        let key = (resource.to_owned(), place.clone());
        let down = match operation {
            "stop" => rc == Some(0),
            "monitor" => rc == Some(7) && !self.starting.contains(&key),
            _ => false,
        };
        if operation == "start" {
            self.starting.remove(&key);
        }
        if down && let Some(places) = self.open.get_mut(resource) {
            places.remove(place);
        }
    }

    fn over(&mut self, ended: impl Fn(&Place) -> bool) {
        for places in self.open.values_mut() {
            places.retain(|p| !ended(p));
        }
        self.starting.retain(|(_, p)| !ended(p));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{began, ended, judge, place};
    use super::*;

    #[test]
    fn a_node_that_fell_silent_is_not_proven_down() {
        let history = [
            began("a", 1, "start"),
            ended("a", 1, "start", 0),
            Truth::Down(place("a", 1)),
            began("b", 1, "start"),
        ];
        let saw = judge(StartBeforeDown::default(), &history).unwrap_err();
        assert!(saw.contains("down on a (life 1)"), "{saw}");
    }

    #[test]
    fn a_failed_stop_proves_nothing() {
        let history = [
            began("a", 1, "start"),
            ended("a", 1, "stop", 1),
            began("b", 1, "start"),
        ];
        assert!(judge(StartBeforeDown::default(), &history).is_err());
    }

    #[test]
    fn every_proof_counts() {
        let proofs = [
            ended("a", 1, "stop", 0),
            Truth::ProvenDown(place("a", 1)),
            Truth::Lives(place("a", 2)),
        ];
        for proof in proofs {
            let history = [began("a", 1, "start"), proof, began("b", 1, "start")];
            assert_eq!(judge(StartBeforeDown::default(), &history), Ok(()));
        }
        let found_stopped = [
            began("a", 1, "start"),
            ended("a", 1, "start", 1),
            ended("a", 1, "monitor", 7),
            began("b", 1, "start"),
        ];
        assert_eq!(judge(StartBeforeDown::default(), &found_stopped), Ok(()));
    }

    #[test]
    fn the_wrong_life_proves_nothing() {
        let history = [
            began("a", 2, "start"),
            Truth::ProvenDown(place("a", 1)),
            began("b", 1, "start"),
        ];
        assert!(judge(StartBeforeDown::default(), &history).is_err());
    }
}

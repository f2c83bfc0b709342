//! A primitive is never active in two places at once.

use super::{Checker, Truth};
use crate::truth::Place;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct NeverActiveTwice {
    active: BTreeMap<String, BTreeSet<Place>>,
}

impl Checker for NeverActiveTwice {
    fn name(&self) -> &'static str {
        "never-active-twice"
    }

    fn see(&mut self, _now_ms: u64, truth: &Truth) -> Result<(), String> {
        match truth {
            Truth::Active { place, resource } => {
                let places = self.active.entry(resource.clone()).or_default();
                places.insert(place.clone());
                if places.len() > 1 {
                    let list: Vec<_> = places
                        .iter()
                        .map(|(n, l)| format!("{n} (life {l})"))
                        .collect();
                    return Err(format!("{resource} is active on {}", list.join(" and on ")));
                }
            }
            Truth::Inactive { place, resource } => {
                if let Some(places) = self.active.get_mut(resource) {
                    places.remove(place);
                }
            }
            Truth::Down(place) => {
                for places in self.active.values_mut() {
                    places.remove(place);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{judge, place};
    use super::*;

    fn active(node: &str) -> Truth {
        Truth::Active {
            place: place(node, 1),
            resource: "r".to_owned(),
        }
    }

    #[test]
    fn two_places_at_once_are_one_too_many() {
        let history = [active("a"), active("b")];
        let saw = judge(NeverActiveTwice::default(), &history).unwrap_err();
        assert!(saw.contains("a (life 1) and on b (life 1)"), "{saw}");
    }

    #[test]
    fn one_after_the_other_is_fine() {
        let gone = Truth::Inactive {
            place: place("a", 1),
            resource: "r".to_owned(),
        };
        let history = [
            active("a"),
            gone,
            active("b"),
            Truth::Down(place("b", 1)),
            active("c"),
        ];
        assert_eq!(judge(NeverActiveTwice::default(), &history), Ok(()));
    }
}

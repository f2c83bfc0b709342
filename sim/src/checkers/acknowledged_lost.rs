//! An acknowledged write is in every member's configuration at the end, unless one that was asked
//! for later (or whose fate nobody knows) has replaced it; and all configurations are the same.

use super::{Checker, Truth};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct AcknowledgedLost {
    writes: BTreeMap<u64, Write>,
    clock: u64,
    digest: Option<(String, String)>,
}

#[derive(Debug)]
struct Write {
    key: String,
    value: Option<String>,
    asked: u64,
    acknowledged: Option<u64>,
    refused: bool,
}

impl Checker for AcknowledgedLost {
    fn name(&self) -> &'static str {
        "acknowledged-lost"
    }

    fn see(&mut self, _now_ms: u64, truth: &Truth) -> Result<(), String> {
        self.clock += 1;
        match truth {
            Truth::Write { write, key, value } => {
                let new = Write {
                    key: key.clone(),
                    value: value.clone(),
                    asked: self.clock,
                    acknowledged: None,
                    refused: false,
                };
                self.writes.insert(*write, new);
            }
            Truth::Acknowledged { write } => {
                if let Some(w) = self.writes.get_mut(write) {
                    w.acknowledged.get_or_insert(self.clock);
                }
            }
            Truth::Refused { write } => {
                if let Some(w) = self.writes.get_mut(write) {
                    w.refused = true;
                }
            }
            Truth::Final {
                node,
                digest,
                values,
            } => {
                self.same(node, digest)?;
                self.values(node, values)?;
            }
            _ => {}
        }
        Ok(())
    }
}

impl AcknowledgedLost {
    fn same(&mut self, node: &str, digest: &str) -> Result<(), String> {
        let (first, expected) = self
            .digest
            .get_or_insert_with(|| (node.to_owned(), digest.to_owned()));
        if expected == digest {
            return Ok(());
        }
        Err(format!(
            "{node} and {first} have different configurations (digests {digest} and {expected})"
        ))
    }

    fn values(&self, node: &str, values: &[(String, String)]) -> Result<(), String> {
        let shown: BTreeMap<&str, &str> = values
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        let keys: std::collections::BTreeSet<&str> =
            self.writes.values().map(|w| w.key.as_str()).collect();
        for key in keys {
            self.value(node, key, shown.get(key).copied())?;
        }
        Ok(())
    }

    /// The value must be one of a write that no acknowledged write was asked for after.
    fn value(&self, node: &str, key: &str, shown: Option<&str>) -> Result<(), String> {
        let of_key = || {
            self.writes
                .iter()
                .filter(|(_, w)| w.key == key && !w.refused)
        };
        let mut candidates = of_key().filter(|(_, w)| w.value.as_deref() == shown);
        let legal = candidates.any(|(_, w)| self.overwritten(w).is_none());
        let untouched = shown.is_none() && of_key().all(|(_, w)| w.acknowledged.is_none());
        if legal || untouched {
            return Ok(());
        }
        let last = of_key()
            .filter(|(_, w)| w.acknowledged.is_some())
            .max_by_key(|(_, w)| w.asked);
        let (number, value) = last.map_or((0, None), |(n, w)| (*n, w.value.as_deref()));
        Err(format!(
            "{node} shows {key} as {}, but write {number} ({}) was acknowledged after whatever wrote that",
            shown.unwrap_or("absent"),
            value.unwrap_or("delete"),
        ))
    }

    /// An acknowledged write of the same key that was asked for after this one had ended.
    fn overwritten(&self, write: &Write) -> Option<&Write> {
        let ended = write.acknowledged?;
        self.writes.values().find(|w| {
            w.key == write.key && !w.refused && w.acknowledged.is_some() && w.asked > ended
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::judge;
    use super::*;

    fn write(write: u64, value: Option<&str>) -> Truth {
        Truth::Write {
            write,
            key: "k".to_owned(),
            value: value.map(str::to_owned),
        }
    }

    fn shows(value: Option<&str>) -> Truth {
        Truth::Final {
            node: "a".into(),
            digest: "d".to_owned(),
            values: value
                .map(|v| ("k".to_owned(), v.to_owned()))
                .into_iter()
                .collect(),
        }
    }

    fn acknowledged(write: u64) -> Truth {
        Truth::Acknowledged { write }
    }

    #[test]
    fn an_acknowledged_write_that_is_gone_is_noticed() {
        let history = [write(1, Some("x")), acknowledged(1), shows(None)];
        assert!(judge(AcknowledgedLost::default(), &history).is_err());
        let older = [
            write(1, Some("x")),
            acknowledged(1),
            write(2, Some("y")),
            acknowledged(2),
            shows(Some("x")),
        ];
        assert!(judge(AcknowledgedLost::default(), &older).is_err());
    }

    #[test]
    fn writes_of_unknown_fate_may_show_or_not() {
        let begin = [write(1, Some("x")), acknowledged(1), write(2, Some("y"))];
        for value in ["x", "y"] {
            let mut history = begin.to_vec();
            history.push(shows(Some(value)));
            assert_eq!(judge(AcknowledgedLost::default(), &history), Ok(()));
        }
        let mut refused = begin.to_vec();
        refused.extend([Truth::Refused { write: 2 }, shows(Some("y"))]);
        assert!(judge(AcknowledgedLost::default(), &refused).is_err());
    }

    #[test]
    fn an_acknowledged_delete_holds() {
        let history = [
            write(1, Some("x")),
            acknowledged(1),
            write(2, None),
            acknowledged(2),
            shows(None),
        ];
        assert_eq!(judge(AcknowledgedLost::default(), &history), Ok(()));
    }

    #[test]
    fn different_digests_are_noticed() {
        let other = Truth::Final {
            node: "b".into(),
            digest: "e".to_owned(),
            values: Vec::new(),
        };
        assert!(judge(AcknowledgedLost::default(), &[shows(None), other]).is_err());
    }
}

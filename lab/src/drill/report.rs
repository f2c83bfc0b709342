//! What a drill found: every figure, every expectation, and whether anything was ever active twice.

use super::Drill;
use crate::{
    audit::Verdict,
    error::{LabError, While},
    events::Event,
    timeline::Paint,
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, fs, io, path::Path};

/// One playing of a drill.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Run {
    /// Resource it was about.
    pub(crate) resource: String,
    /// Node that ran it.
    pub(crate) node: String,
    /// Time spans in milliseconds with their names (`failover_ms`, …), in the order of reading.
    pub(crate) spans_ms: Vec<(String, f64)>,
    /// For each resource, how long it was not served, in milliseconds.
    pub(crate) downtime_ms: BTreeMap<String, f64>,
    /// Expectations that did not hold, with what happened instead.
    pub(crate) broken: Vec<String>,
    /// The moment of the fault on the clock of the events, in milliseconds.
    pub(crate) began_ms: f64,
    /// Everything that happened, in order.
    pub(crate) events: Vec<Event>,
}

impl Run {
    /// Notes an expectation that does not hold.
    pub(crate) fn expect(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.broken.push(otherwise());
        }
    }

    /// Notes a span.
    pub(crate) fn span(&mut self, name: &str, from_ms: f64, to_ms: f64) {
        self.spans_ms.push((name.into(), round(to_ms - from_ms)));
    }

    fn json(&self) -> Value {
        let mut all = Map::new();
        all.insert("resource".into(), json!(self.resource));
        all.insert("node".into(), json!(self.node));
        for (name, value) in &self.spans_ms {
            all.insert(name.clone(), json!(value));
        }
        all.insert("downtime_per_resource_ms".into(), json!(self.downtime_ms));
        all.insert("broken".into(), json!(self.broken));
        all.insert("events".into(), json!(self.events));
        Value::Object(all)
    }
}

fn round(ms: f64) -> f64 {
    (ms * 1000.0).round() / 1000.0
}

/// All runs of a drill.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    drill: Drill,
    runs: Vec<Run>,
    doubles: Vec<String>,
    /// Every expectation held in every run, and nothing was ever active twice.
    pub(crate) ok: bool,
}

impl Report {
    /// Nothing yet.
    pub(crate) fn new(drill: Drill) -> Self {
        Self {
            drill,
            runs: Vec::new(),
            doubles: Vec::new(),
            ok: false,
        }
    }

    /// One more run.
    pub(crate) fn add(&mut self, run: Run) {
        self.runs.push(run);
    }

    /// The audit's word, and with it whether all is well.
    pub(crate) fn conclude(&mut self, audit: &Verdict) {
        self.doubles.clone_from(&audit.doubles);
        self.ok = self.doubles.is_empty()
            && self.runs.iter().all(|r| r.broken.is_empty())
            && !self.runs.is_empty();
    }

    fn names(&self) -> Vec<String> {
        self.runs
            .first()
            .map(|r| r.spans_ms.iter().map(|(name, _)| name.clone()).collect())
            .unwrap_or_default()
    }

    /// Sorted values of a span.
    fn values(&self, name: &str) -> Vec<f64> {
        let mut values: Vec<f64> = self
            .runs
            .iter()
            .flat_map(|r| {
                r.spans_ms
                    .iter()
                    .filter(|(n, _)| n == name)
                    .map(|(_, ms)| *ms)
            })
            .collect();
        values.sort_by(f64::total_cmp);
        values
    }

    /// For people.
    pub(crate) fn print(&self, paint: Paint) {
        println!(
            "\nReport: {} ({}), {}",
            self.drill.name(),
            self.drill.label(),
            match self.runs.len() {
                1 => "1 run".to_owned(),
                many => format!("{many} runs, medians"),
            }
        );
        for name in self.names() {
            let values = self.values(&name);
            let worst = values.last().copied().unwrap_or_default();
            let label = name.trim_end_matches("_ms").replace('_', " ");
            let spread = if values.len() > 1 {
                format!("   worst {worst:>8.1} ms")
            } else {
                String::new()
            };
            println!("  {label:<16} {:>8.1} ms{spread}", median(&values));
        }
        for (number, run) in (1..).zip(&self.runs) {
            for broken in &run.broken {
                println!("  {} run {number}: {broken}", paint.bad("broken"));
            }
        }
        for double in &self.doubles {
            println!("  {} {double}", paint.bad("ACTIVE TWICE"));
        }
        let verdict = if self.ok {
            paint.good("every expectation held")
        } else {
            paint.bad("not as expected")
        };
        println!("  active twice: {}; {verdict}", self.doubles.len());
    }

    /// For programs: medians at the top, every run below.
    pub(crate) fn json(&self) -> Value {
        let mut all = Map::new();
        all.insert("drill".into(), json!(self.drill.name()));
        all.insert("label".into(), json!(self.drill.label()));
        all.insert("expectations".into(), json!(self.drill.expectations()));
        for name in self.names() {
            all.insert(name.clone(), json!(median(&self.values(&name))));
        }
        all.insert("double_active".into(), json!(self.doubles.len()));
        all.insert("doubles".into(), json!(self.doubles));
        all.insert("ok".into(), json!(self.ok));
        all.insert("runs".into(), self.runs.iter().map(Run::json).collect());
        Value::Object(all)
    }

    /// Writes [`Report::json`].
    pub(crate) fn write(&self, file: &Path) -> Result<(), LabError> {
        let text = serde_json::to_vec_pretty(&self.json()).map_err(io::Error::from);
        text.and_then(|t| fs::write(file, t))
            .during(|| format!("write {}", file.display()))
    }
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    let at = |i: usize| sorted.get(i).copied().unwrap_or_default();
    if sorted.len() % 2 == 1 {
        at(middle)
    } else {
        round((at(middle.saturating_sub(1)) + at(middle)) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[1.0, 2.0, 9.0]), 2.0);
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), 3.0);
        assert_eq!(median(&[]), 0.0);
    }

    #[test]
    fn double_activity_spoils_a_report() {
        let mut report = Report::new(Drill::NodeCrash);
        report.add(Run::default());
        report.conclude(&Verdict::default());
        assert!(report.ok);
        report.conclude(&Verdict {
            doubles: vec!["web".into()],
            ..Verdict::default()
        });
        assert!(!report.ok);
        assert_eq!(report.json().get("double_active"), Some(&json!(1)));
    }

    #[test]
    fn a_report_without_runs_is_not_well() {
        let mut report = Report::new(Drill::NodeCrash);
        report.conclude(&Verdict::default());
        assert!(!report.ok);
    }
}

//! What is written down about scores adds up to the scores, on every recorded case.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use cib::Element;
use scheduler::{
    Asked,
    explain::{self, NodeReasons},
};

/// Percent of the recorded score lines that the reasons alone add up to. Never lower it.
const FLOOR: f64 = 100.0;
/// The same of the rows of explanations, resource by resource and node by node.
const FLOOR_OF_ROWS: f64 = 100.0;
/// The same of the rows that tell why an instance is promoted, or is not.
const FLOOR_OF_ROLES: f64 = 100.0;

const INFINITY: i32 = 1_000_000;

/// The recorded cases, each with its moment.
fn cases() -> Vec<(PathBuf, Element, i64)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/pacemaker-scheduler/xml");
    let Ok(entries) = std::fs::read_dir(dir) else {
        eprintln!("skipped: the recorded cases are not beside the workspace");
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        let cib = Element::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let recorded = cib.attr("execution-date").and_then(|t| t.parse().ok());
        (path, cib, recorded.unwrap_or(1_790_000_000))
    };
    paths.map(read).collect()
}

/// Counts what is as it should be; with `SHOW` set, shows what is not.
#[derive(Default)]
struct Share {
    all: u32,
    good: u32,
}

impl Share {
    fn count(&mut self, good: bool, what: impl Fn() -> String) {
        self.all += 1;
        self.good += u32::from(good);
        if !good && std::env::var_os("SHOW").is_some() {
            eprintln!("{}", what());
        }
    }

    fn check(&self, what: &str, floor: f64) {
        let Self { all, good } = self;
        let percent = 100.0 * f64::from(*good) / f64::from((*all).max(1));
        eprintln!("{good} of {all} {what} are accounted for ({percent:.2} %)");
        assert!(
            *all == 0 || percent >= floor,
            "{what}: {percent:.2} %, floor {floor} %"
        );
    }
}

#[test]
fn reasons_add_up_to_every_score_line_and_asking_changes_nothing() {
    let asked = Asked {
        scores: true,
        reasons: true,
        ..Asked::default()
    };
    let plain = Asked {
        scores: true,
        ..Asked::default()
    };
    let mut share = Share::default();
    for (path, cib, now_s) in cases() {
        let path = path.display();
        let run = scheduler::run_with(&cib, now_s, asked);
        let without = scheduler::run_with(&cib, now_s, plain);
        assert_eq!(
            run.graph, without.graph,
            "{path}: asking why changes the plan"
        );
        assert_eq!(run.scores, without.scores, "{path}");
        let scores = run.scores.iter();
        let scores: Vec<_> = scores
            .filter(|l| l.contains(" allocation score on "))
            .collect();
        assert_eq!(scores.len(), run.score_sums.len(), "{path}");
        for (score, sum) in scores.into_iter().zip(&run.score_sums) {
            share.count(score == sum, || format!("{path}\n  {score}\n  {sum}"));
        }
    }
    share.check("score lines", FLOOR);
}

/// Adds scores as the field does.
fn add(a: i32, b: i32) -> i32 {
    match (a, b) {
        (a, b) if a <= -INFINITY || b <= -INFINITY => -INFINITY,
        (a, b) if a >= INFINITY || b >= INFINITY => INFINITY,
        (a, b) => (a + b).clamp(-INFINITY, INFINITY),
    }
}

fn sum(row: &NodeReasons) -> i32 {
    row.contributions
        .iter()
        .fold(0, |sum, part| match part.replaces {
            true => part.amount,
            false => add(sum, part.amount),
        })
}

#[test]
fn every_row_of_every_explanation_adds_up() {
    let (mut rows, mut roles) = (Share::default(), Share::default());
    for (path, cib, now_s) in cases() {
        for explanation in explain::everything(&cib, now_s) {
            let told = |row: &NodeReasons| {
                let of = format!("{} of {}", row.instance, explanation.resource);
                let parts = row.contributions.iter();
                let parts: Vec<_> = parts
                    .map(|p| (p.amount, p.replaces, &p.reason.text))
                    .collect();
                let score = row.score;
                format!(
                    "{}: {of} on {}: {score:?} {parts:#?}",
                    path.display(),
                    row.node
                )
            };
            for row in &explanation.nodes {
                let Some(score) = row.score else {
                    continue;
                };
                rows.count(sum(row) == score, || told(row));
                // Nowhere without a reason: either something keeps it from the node, or from running.
                let why = !row.blockers.is_empty() || !explanation.blockers.is_empty();
                let said = row.is_chosen || row.is_wanted || why;
                assert!(
                    said || explanation.decided.is_empty(),
                    "no reason: {}",
                    told(row)
                );
            }
            for row in &explanation.promotion {
                roles.count(row.score == Some(sum(row)), || told(row));
            }
        }
    }
    rows.check("scores of explanations", FLOOR_OF_ROWS);
    roles.check("scores of promotion", FLOOR_OF_ROLES);
}

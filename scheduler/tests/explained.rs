//! What is written down about scores adds up to the scores.

use std::path::Path;

use cib::Element;
use scheduler::Asked;

/// Percent of the recorded score lines that the reasons alone add up to. Never lower it.
const FLOOR: f64 = 100.0;

#[test]
fn reasons_add_up_to_the_scores_of_every_recorded_case() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/pacemaker-scheduler/xml");
    if !dir.is_dir() {
        eprintln!("skipped: the recorded cases are not beside the workspace");
        return;
    }
    let asked = Asked {
        scores: true,
        reasons: true,
        ..Asked::default()
    };
    let plain = Asked {
        scores: true,
        ..Asked::default()
    };
    let (mut lines, mut equal) = (0, 0);
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let cib = Element::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let recorded = cib.attr("execution-date").and_then(|t| t.parse().ok());
        let now_s = recorded.unwrap_or(1_790_000_000);
        let run = scheduler::run_with(&cib, now_s, asked);
        let without = scheduler::run_with(&cib, now_s, plain);
        assert_eq!(
            run.graph,
            without.graph,
            "{}: asking why changes the plan",
            path.display()
        );
        assert_eq!(run.scores, without.scores, "{}", path.display());
        let scores = run
            .scores
            .iter()
            .filter(|l| l.contains(" allocation score on "));
        let scores: Vec<&String> = scores.collect();
        assert_eq!(scores.len(), run.score_sums.len(), "{}", path.display());
        for (score, sum) in scores.into_iter().zip(&run.score_sums) {
            lines += 1;
            if score == sum {
                equal += 1;
            } else if std::env::var_os("SHOW").is_some() {
                eprintln!("{}\n  {score}\n  {sum}", path.display());
            }
        }
    }
    let share = 100.0 * f64::from(equal) / f64::from(lines);
    eprintln!("{equal} of {lines} score lines are accounted for ({share:.2} %)");
    assert!(share >= FLOOR, "{share:.2} %");
}

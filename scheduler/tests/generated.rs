//! Decides random configurations: no panic, and no graph that the linter finds fault with.

mod generator;

use cib::Element;

const SEEDS: u64 = 400;

#[test]
fn generated_clusters_lint_clean() {
    let mut wrong = Vec::new();
    for seed in 0..SEEDS {
        let cib = Element::parse(&generator::document(seed)).unwrap();
        let run = scheduler::run(&cib, generator::NOW_S, true);
        for problem in scheduler::lint(&run.graph) {
            wrong.push(format!("seed {seed}: {problem}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn generated_documents_are_valid() {
    for seed in 0..SEEDS {
        let cib = Element::parse(&generator::document(seed)).unwrap();
        let problems = cib::schema::check(&cib);
        let errors: Vec<String> = problems
            .iter()
            .filter(|p| p.severity == cib::schema::Severity::Error)
            .map(ToString::to_string)
            .collect();
        assert!(errors.is_empty(), "seed {seed}: {}", errors.join("\n"));
    }
}

#[test]
fn a_seed_names_one_document() {
    assert_eq!(generator::document(7), generator::document(7));
    assert_ne!(generator::document(7), generator::document(8));
}

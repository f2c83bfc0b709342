//! Recorded clusters with small random changes: whatever a configuration says, a decision is made, in bounded time,
//! and its graph is sound.
//!
//! `MUTATION_ROUNDS=20 cargo test -p scheduler --test mutated` looks longer; a failure names case and round.

#![expect(
    clippy::disallowed_types,
    reason = "the time a decision takes is measured"
)]

mod changing;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use changing::{Dice, at_position, count};
use cib::Element;

/// Changes of one document.
const CHANGES: u64 = 6;
/// Far above what the slowest case takes when nothing is wrong.
const LIMIT: Duration = Duration::from_secs(20);
const NOW_S: i64 = 1_790_000_000;

/// Values that no configuration should have, and some that few have.
const ODD: &[&str] = &[
    "",
    "INFINITY",
    "-INFINITY",
    "999999999999999999999",
    "-999999999999999999999",
    "2147483648",
    "NaN",
    "true",
    "false",
    "nothing-of-that-name",
    "Promoted",
    "Stopped",
    "-1",
    "0",
    "1",
    "100000",
    "stop",
    "fence",
    "P1D",
    "99999999h",
    ":",
    "a:b:c",
    "ü#",
];

/// Attributes that name something: any id may stand there.
const REFERENCES: &[&str] = &[
    "rsc",
    "with-rsc",
    "first",
    "then",
    "node",
    "id-ref",
    "id",
    "template",
    "ticket",
    "uname",
    "operation",
    "value",
];

fn data() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/pacemaker-scheduler/xml");
    dir.is_dir().then_some(dir)
}

fn ids(element: &Element, out: &mut Vec<String>) {
    out.extend(element.id().map(str::to_owned));
    for child in element.children() {
        ids(child, out);
    }
}

fn change_one(element: &mut Element, dice: &mut Dice, ids: &[String]) {
    let names: Vec<String> = element.attrs().map(|(name, _)| name.to_owned()).collect();
    let references: Vec<String> = names
        .iter()
        .filter(|n| REFERENCES.contains(&n.as_str()))
        .cloned()
        .collect();
    match dice.below(5) {
        0 => {
            let gone = dice.below(element.children().count());
            let mut at = 0;
            element.retain_children(|_| {
                at += 1;
                at != gone + 1
            });
        }
        1 => {
            let twice: Vec<Element> = element.children().cloned().collect();
            if let Some(child) = dice.one_of(&twice) {
                element.push(child.clone());
            }
        }
        2 | 3 => {
            if let (Some(name), Some(id)) = (dice.one_of(&references), dice.one_of(ids)) {
                element.set_attr(name, id);
            }
        }
        _ => {
            if let (Some(name), Some(value)) = (dice.one_of(&names), dice.one_of(ODD)) {
                element.set_attr(name, *value);
            }
        }
    }
}

fn mutated(original: &Element, seed: u64) -> Element {
    let mut dice = Dice(seed);
    let mut out = original.clone();
    for _ in 0..CHANGES {
        let mut names = Vec::new();
        ids(&out, &mut names);
        let at = dice.below(count(&out));
        if let Some(element) = at_position(&mut out, at) {
            change_one(element, &mut dice, &names);
        }
    }
    out
}

/// What is wrong with the decision about a document, if anything.
fn problems(cib: &Element) -> Vec<String> {
    let began = Instant::now();
    let decided = catch_unwind(AssertUnwindSafe(|| {
        let asked = scheduler::Asked {
            scores: true,
            utilization: true,
            ..scheduler::Asked::default()
        };
        let run = scheduler::run_with(cib, NOW_S, asked);
        let _ = scheduler::simulate(cib, &run.graph, NOW_S);
        run.graph
    }));
    let mut out = match decided {
        Ok(graph) => scheduler::lint(&graph)
            .into_iter()
            .map(|p| p.to_string())
            .collect(),
        Err(_) => vec!["panicked".to_owned()],
    };
    if began.elapsed() > LIMIT {
        out.push(format!("took {:?}", began.elapsed()));
    }
    out
}

#[test]
fn mutated_cases() {
    let Some(dir) = data() else {
        eprintln!("skipped: the recorded cases are not beside the workspace");
        return;
    };
    let rounds = std::env::var("MUTATION_ROUNDS").ok();
    let rounds: u64 = rounds.and_then(|r| r.parse().ok()).unwrap_or(1);
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut wrong = 0;
    let mut changed = 0;
    for (number, file) in files.iter().enumerate() {
        let original = Element::parse(&std::fs::read_to_string(file).unwrap()).unwrap();
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        for round in 0..rounds {
            let seed = round * 1_000_003 + number as u64;
            let cib = mutated(&original, seed);
            changed += usize::from(cib != original);
            for problem in problems(&cib) {
                eprintln!("{name}, round {round}: {problem}");
                wrong += 1;
            }
        }
    }
    assert!(wrong == 0, "{wrong} findings");
    assert!(changed > files.len() / 2, "only {changed} were changed");
}

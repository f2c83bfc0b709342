//! Every recorded scheduler case: the graph is sound, and as many as ever decide as recorded.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use cib::Element;

/// Graphs that must be equal to the recorded ones. Raise it when more are; never lower it.
const FLOOR: usize = 589;

fn data() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/pacemaker-scheduler");
    dir.is_dir().then_some(dir)
}

/// An element's attributes without those that are numbering only.
fn identity(element: &Element) -> String {
    let mut attrs: Vec<String> = element
        .attrs()
        .filter(|(name, _)| !matches!(*name, "id" | "crm_feature_set" | "batch-limit"))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    attrs.sort();
    format!("{} {}", element.name(), attrs.join(" "))
}

fn full(action: &Element) -> String {
    let mut parts: Vec<String> = action
        .children()
        .map(|child| {
            let id = child.id().unwrap_or("");
            let mut inner: Vec<String> = child
                .children()
                .map(|n| n.id().unwrap_or("").to_owned())
                .collect();
            inner.sort();
            format!("<{} {id} {inner:?}>", identity(child))
        })
        .collect();
    parts.sort();
    format!("{} {}", identity(action), parts.join(" "))
}

/// What a graph says, independent of the numbers of its actions.
fn canonical(graph: &Element) -> BTreeMap<String, usize> {
    let mut out = BTreeMap::new();
    let mut add = |line: String| *out.entry(line).or_insert(0) += 1;
    add(identity(graph));
    for synapse in graph.children_named("synapse") {
        let priority = synapse.attr("priority").unwrap_or("0");
        let mut triggers: Vec<String> = synapse
            .child("inputs")
            .into_iter()
            .flat_map(|inputs| inputs.children())
            .flat_map(|trigger| trigger.children())
            .map(identity)
            .collect();
        triggers.sort();
        triggers.dedup();
        for action in synapse
            .child("action_set")
            .into_iter()
            .flat_map(|set| set.children())
        {
            add(format!("[{priority}] {}", full(action)));
            for trigger in &triggers {
                add(format!("[{priority}] {} AFTER {trigger}", identity(action)));
            }
        }
    }
    out
}

fn extra_arguments(dir: &Path) -> BTreeMap<String, String> {
    // `{"case": ["-t", "2005-020"]}`: only moments are given that way.
    let text = std::fs::read_to_string(dir.join("args.json")).unwrap_or_default();
    let strings: Vec<&str> = text.split('"').skip(1).step_by(2).collect();
    strings
        .windows(3)
        .filter(|w| w[1] == "-t")
        .map(|w| (w[0].to_owned(), w[2].to_owned()))
        .collect()
}

#[test]
fn recorded_cases() {
    let Some(dir) = data() else {
        eprintln!("skipped: the recorded cases are not beside the workspace");
        return;
    };
    let moments = extra_arguments(&dir);
    let mut equal = 0;
    let mut cases = 0;
    let mut unsound = Vec::new();
    for entry in std::fs::read_dir(dir.join("xml")).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path.file_stem().map(|n| n.to_string_lossy().into_owned()) else {
            continue;
        };
        let cib = Element::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let now_s = moments
            .get(&name)
            .and_then(|text| scheduler::parse_moment(text))
            .or_else(|| cib.attr("execution-date").and_then(|t| t.parse().ok()))
            .unwrap_or(1_790_000_000);
        let decision = scheduler::schedule(&cib, now_s);
        for problem in scheduler::lint(&decision.graph) {
            unsound.push(format!("{name}: {problem}"));
        }
        let wanted = std::fs::read_to_string(dir.join("exp").join(format!("{name}.exp"))).unwrap();
        let got = Element::parse(&decision.graph.to_xml(1)).unwrap();
        cases += 1;
        equal += usize::from(canonical(&got) == canonical(&Element::parse(&wanted).unwrap()));
    }
    eprintln!(
        "{equal} of {cases} graphs are as recorded; {} findings of the linter",
        unsound.len()
    );
    for line in &unsound {
        eprintln!("{line}");
    }
    assert!(
        equal >= FLOOR,
        "only {equal} of {cases} graphs are as recorded, {FLOOR} were"
    );
    assert!(
        unsound.is_empty(),
        "{} findings of the linter",
        unsound.len()
    );
}

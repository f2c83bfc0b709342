//! Runs both programs on one document and compares what they say: summary, graph and scores.

use super::{earlier, known, memory::Memory};
use cib::Element;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A moment in the middle of what the documents say, for both programs.
const NOW: &str = "2026-09-21T14:13:20Z";
/// A program that takes longer is stuck; seconds for `timeout`.
const LIMIT_S: &str = "60";

/// What is compared; the first that differs says most about why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Scores,
    Graph,
    Summary,
}

impl Part {
    pub(crate) const ALL: [Self; 3] = [Self::Scores, Self::Graph, Self::Summary];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Scores => "scores",
            Self::Graph => "graph",
            Self::Summary => "summary",
        }
    }
}

/// The two programs, and where files may be put.
pub(crate) struct Programs {
    pub(crate) ours: PathBuf,
    pub(crate) peer: PathBuf,
    pub(crate) work: PathBuf,
    /// What the peer said to documents before, where that is wanted.
    pub(crate) remembered: Option<Memory>,
}

/// What was found for one document.
#[derive(Default)]
pub(crate) struct Found {
    /// Lines as `- PEER` and `+ OURS`.
    pub(crate) differences: BTreeMap<Part, Vec<String>>,
    /// Names of known changes that were met.
    pub(crate) changes: Vec<&'static str>,
}

pub(super) type Said = BTreeMap<Part, Vec<String>>;

/// Compares all parts, of a document that may be compared again another day.
pub(crate) fn all(programs: &Programs, document: &str, seed: u64) -> Found {
    compare(programs, document, seed, programs.remembered.as_ref())
}

/// What differs in one part; all are asked for, since a known change may need the others to be recognised.
pub(crate) fn one(programs: &Programs, document: &str, part: Part, seed: u64) -> Vec<String> {
    let mut found = compare(programs, document, seed, None);
    found.differences.remove(&part).unwrap_or_default()
}

fn compare(programs: &Programs, document: &str, seed: u64, memory: Option<&Memory>) -> Found {
    // Without a schema the other program is twice as fast; now and then it checks that documents are valid.
    let document = match seed % 20 {
        0 => document.to_owned(),
        _ => document.replace("validate-with=\"pacemaker-3.9\"", "validate-with=\"none\""),
    };
    let who = std::thread::current().id();
    let file = programs.work.join(format!("{seed}-{who:?}.xml"));
    if let Err(e) = fs::write(&file, &document) {
        let lines = vec![format!("cannot write a document: {e}")];
        return Found {
            differences: BTreeMap::from([(Part::Summary, lines)]),
            ..Found::default()
        };
    }
    let peer = peer_said(programs, &document, &file, seed, memory);
    let found = by_rules(programs, &document, &file, &peer);
    // It may be gone already; there is nothing to do about it.
    let _ = fs::remove_file(&file);
    found
}

/// By our rules; where that differs, by those of 2.1.5 that were changed since: one of them first, then all. Where
/// all that does not explain it, what differs least.
fn by_rules(programs: &Programs, document: &str, file: &Path, peer: &Said) -> Found {
    let mut least = against(document, said(&programs.ours, file, &[]), peer);
    if least.differences.is_empty() {
        return least;
    }
    let lines = |found: &Found| found.differences.values().map(Vec::len).sum::<usize>();
    let ones = earlier::RULES.iter().map(std::slice::from_ref);
    for rules in ones.chain([earlier::RULES]) {
        let ours = said(&programs.ours, file, &earlier::arguments(rules));
        let mut before = against(document, ours, peer);
        if before.differences.is_empty() {
            before.changes.extend(rules.iter().map(|rule| rule.change));
            return before;
        }
        if lines(&before) < lines(&least) {
            least = before;
        }
    }
    least
}

/// What differs between the two, but for known changes.
fn against(document: &str, mut ours: Said, peer: &Said) -> Found {
    let mut peer = peer.clone();
    let changes = known::explain(document, &mut ours, &mut peer);
    let differing = ours.into_iter().map(|(part, ours)| {
        let peer = peer.get(&part).map_or(&[][..], Vec::as_slice);
        (part, difference(peer, &ours))
    });
    Found {
        differences: differing.filter(|(_, lines)| !lines.is_empty()).collect(),
        changes,
    }
}

fn peer_said(
    programs: &Programs,
    document: &str,
    file: &Path,
    seed: u64,
    memory: Option<&Memory>,
) -> Said {
    if let Some(peer) = memory.and_then(|m| m.recall(seed, document)) {
        return peer;
    }
    let peer = said(&programs.peer, file, &[]);
    if let Some(memory) = memory {
        memory.keep(seed, document, &peer);
    }
    peer
}

/// What a program says about a document, with more arguments.
fn said(program: &Path, file: &Path, more: &[&str]) -> Said {
    let scores = output(program, file, &[more, &["-sQ"]].concat(), None);
    let graph = file.with_extension("graph");
    let summary = output(program, file, &[more, &["-S", "-G"]].concat(), Some(&graph));
    let text = fs::read_to_string(&graph).unwrap_or_default();
    // It may not have been written; there is nothing to do about it.
    let _ = fs::remove_file(&graph);
    Said::from([
        (Part::Scores, canonical_scores(&scores)),
        (Part::Graph, canonical_graph(&text)),
        (Part::Summary, canonical_summary(&summary)),
    ])
}

fn output(program: &Path, file: &Path, args: &[&str], graph: Option<&Path>) -> String {
    let mut command = Command::new("timeout");
    command
        .arg(LIMIT_S)
        .args(["nice", "-n", "19"])
        .arg(program)
        .arg("-x")
        .arg(file)
        .args(["-t", NOW])
        .args(args)
        .args(graph)
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .stdin(Stdio::null());
    match command.output() {
        Ok(done) => {
            let mut text = String::from_utf8_lossy(&done.stderr).into_owned();
            text.push_str(&String::from_utf8_lossy(&done.stdout));
            if !done.status.success() {
                text.push_str(&format!("\nended: {}\n", done.status));
            }
            text
        }
        Err(e) => format!("cannot run {}: {e}", program.display()),
    }
}

/// Lines with white space folded; without what is about how the program was started.
fn folded(text: &str) -> Vec<String> {
    let lines = text
        .lines()
        .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "));
    lines
        .filter(|l| !l.is_empty())
        .filter(|l| !l.starts_with("Setting effective cluster time"))
        .filter(|l| !l.starts_with("Schema validation of configuration is disabled"))
        .collect()
}

/// The steps of the transition in any order, everything else as it stands.
fn canonical_summary(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut steps: Option<Vec<String>> = None;
    for line in folded(text) {
        if steps.is_some() && (line.ends_with("Status:") || !line.starts_with('*')) {
            let mut done = steps.take().unwrap_or_default();
            done.sort();
            out.append(&mut done);
        }
        if line == "Executing Cluster Transition:" {
            steps = Some(Vec::new());
            out.push(line);
        } else if let Some(steps) = &mut steps {
            steps.push(line);
        } else {
            out.push(line);
        }
    }
    let mut rest = steps.unwrap_or_default();
    rest.sort();
    out.append(&mut rest);
    out
}

/// In any order, without the name of a function in front.
fn canonical_scores(text: &str) -> Vec<String> {
    let mut out: Vec<String> = folded(text)
        .into_iter()
        .map(|line| match line.split_once(": ") {
            Some((name, rest)) if name.chars().all(|c| c.is_alphanumeric() || c == '_') => {
                rest.to_owned()
            }
            _ => line,
        })
        .collect();
    out.sort();
    out
}

/// The same actions and the same relations, whatever the numbers.
fn canonical_graph(text: &str) -> Vec<String> {
    let Ok(root) = Element::parse(text) else {
        return vec![format!(
            "no graph: {}",
            text.chars().take(200).collect::<String>()
        )];
    };
    let mut out = vec![attributes(
        &root,
        &[
            "crm_feature_set",
            "batch-limit",
            "transition_id",
            "stonith-timeout",
            "fencing-timeout",
        ],
    )];
    for synapse in root.children_named("synapse") {
        let priority = synapse.attr("priority").unwrap_or("0");
        let actions = synapse.child("action_set");
        let mut triggers: Vec<String> = synapse
            .child("inputs")
            .into_iter()
            .flat_map(|i| i.children_named("trigger"))
            .flat_map(Element::children)
            .map(action_key)
            .collect();
        triggers.sort();
        triggers.dedup();
        for action in actions.into_iter().flat_map(Element::children) {
            out.push(format!("[{priority}] {}", action_full(action)));
            for trigger in &triggers {
                out.push(format!(
                    "[{priority}] {} AFTER {trigger}",
                    action_key(action)
                ));
            }
        }
    }
    out.sort();
    out
}

fn attributes(element: &Element, without: &[&str]) -> String {
    let mut all: Vec<String> = element
        .attrs()
        .filter(|(name, _)| !without.contains(name))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    all.sort();
    format!("{} {}", element.name(), all.join(" "))
}

fn action_key(action: &Element) -> String {
    attributes(action, &["id"])
}

fn action_full(action: &Element) -> String {
    let mut parts: Vec<String> = action
        .children()
        .map(|child| {
            let mut inside: Vec<String> = match child.name() {
                "attributes" => Vec::new(),
                _ => child.children().map(action_full).collect(),
            };
            inside.sort();
            let own = attributes(child, &["crm_feature_set", "batch-limit"]);
            format!("<{own}>{}", inside.concat())
        })
        .collect();
    parts.sort();
    format!("{} {}", action_key(action), parts.join(" "))
}

/// Lines that only one has, in order: `-` the peer's, `+` ours.
pub(super) fn difference(peer: &[String], ours: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    let (mut p, mut o) = (0, 0);
    while p < peer.len() || o < ours.len() {
        if p < peer.len() && o < ours.len() && peer[p] == ours[o] {
            p += 1;
            o += 1;
            continue;
        }
        let next_peer = ours
            .get(o)
            .and_then(|l| peer[p..].iter().position(|x| x == l));
        let next_ours = peer
            .get(p)
            .and_then(|l| ours[o..].iter().position(|x| x == l));
        let skip_peer = match (next_peer, next_ours) {
            (Some(a), Some(b)) => a <= b,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => p < peer.len(),
        };
        if skip_peer && p < peer.len() {
            out.push(format!("- {}", peer[p]));
            p += 1;
        } else if o < ours.len() {
            out.push(format!("+ {}", ours[o]));
            o += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn finds_what_only_one_says() {
        let found = difference(&lines("a b c"), &lines("a x c d"));
        assert_eq!(found, ["- b", "+ x", "+ d"]);
        assert!(difference(&lines("a b"), &lines("a b")).is_empty());
        assert_eq!(difference(&lines("a b"), &lines("b a")).len(), 2);
    }

    #[test]
    fn steps_may_come_in_any_order_and_the_rest_may_not() {
        let one =
            "A\nExecuting Cluster Transition:\n * b\n * a\nRevised Cluster Status:\n * z\n * y\n";
        let other =
            "A\nExecuting Cluster Transition:\n * a\n * b\nRevised Cluster Status:\n * z\n * y\n";
        assert_eq!(canonical_summary(one), canonical_summary(other));
        let third = other.replace("* z\n * y", "* y\n * z");
        assert_ne!(canonical_summary(one), canonical_summary(&third));
    }

    #[test]
    fn a_relation_is_part_of_a_graph() {
        let graph = |input: &str| {
            format!(
                r#"<transition_graph><synapse id="0"><action_set><rsc_op id="1" operation="start"/></action_set><inputs>{input}</inputs></synapse></transition_graph>"#
            )
        };
        let without = canonical_graph(&graph(""));
        let with = canonical_graph(&graph(
            r#"<trigger><rsc_op id="2" operation="stop"/></trigger>"#,
        ));
        assert_eq!(difference(&without, &with).len(), 1);
    }
}

//! A decision with what was kept from the one before is the decision made without: on every recorded case, changed
//! a little again and again as a daemon's document changes, all else shared.
//!
//! `AGAIN_ROUNDS=20 cargo test -p scheduler --test again` looks longer; a failure names case, round and step.

#![expect(
    clippy::unwrap_used,
    reason = "a document of ours that cannot be read is a broken test"
)]

mod changing;

use std::path::{Path, PathBuf};

use changing::{Dice, at_position, count};
use cib::Element;
use scheduler::Memory;

/// Changes of one document in a round.
const STEPS: usize = 3;
const NOW_S: i64 = 1_790_000_000;

/// Values of histories, and some that no document should have.
const VALUES: &[&str] = &[
    "",
    "0",
    "1",
    "5",
    "7",
    "8",
    "-1",
    "2",
    "190",
    "193",
    "10000",
    "60s",
    "start",
    "stop",
    "monitor",
    "promote",
    "demote",
    "migrate_to",
    "true",
    "false",
    "Stopped",
    "Started",
    "Promoted",
    "online",
    "offline",
    "member",
    "down",
    "fence",
    "block",
    "ignore",
    "standby",
    "demote",
    "1789999990",
    "1790000001",
    "INFINITY",
    "-INFINITY",
    "Dummy",
    "0:0;5:2:0:8c8c8c8c-8c8c-8c8c-8c8c-8c8c8c8c8c8c",
    "5:2:7:8c8c8c8c-8c8c-8c8c-8c8c-8c8c8c8c8c8c",
];

fn data() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/pacemaker-scheduler/xml");
    dir.is_dir().then_some(dir)
}

fn change_somewhere(document: &mut Element, dice: &mut Dice) {
    let at = dice.below(count(document));
    if let Some(element) = at_position(document, at) {
        change_one(element, dice);
    }
}

fn change_one(element: &mut Element, dice: &mut Dice) {
    let children = element.children().count();
    match dice.below(8) {
        0 if children > 0 => {
            let gone = dice.below(children);
            let mut at = 0;
            element.retain_children(|_| {
                at += 1;
                at != gone + 1
            });
        }
        1 if children > 0 => {
            let twice = element.children().nth(dice.below(children)).cloned();
            let to = dice.below(children + 1);
            twice
                .into_iter()
                .for_each(|child| element.insert_child(to, child));
        }
        2 => {
            let names: Vec<String> = element.attrs().map(|(name, _)| name.to_owned()).collect();
            if let Some(name) = names.get(dice.below(names.len())) {
                element.remove_attr(name);
            }
        }
        _ => {
            let names: Vec<String> = element.attrs().map(|(name, _)| name.to_owned()).collect();
            let value = VALUES[dice.below(VALUES.len())];
            if let Some(name) = names.get(dice.below(names.len())) {
                element.set_attr(name, value);
            }
        }
    }
}

/// A small change: most are of histories, some of anything, some of nothing but time.
fn step(document: &mut Element, now_s: &mut i64, dice: &mut Dice) {
    let status = document.children().position(|c| c.name() == "status");
    match (dice.below(6), status) {
        (0, _) => *now_s += [1, 30, 3600][dice.below(3)],
        (1, _) | (_, None) => {
            change_somewhere(document, dice);
        }
        (_, Some(at)) => {
            if let Some(status) = document.children_mut().nth(at) {
                change_somewhere(status, dice);
            }
        }
    }
}

/// Where the decisions of a round first differ.
fn difference(original: &Element, seed: u64) -> Option<usize> {
    let mut dice = Dice(seed);
    let mut memory = Memory::default();
    let (mut document, mut now_s) = (original.clone(), NOW_S);
    for at in 0..STEPS {
        let again = scheduler::schedule_again(&document, now_s, &mut memory);
        if again != scheduler::schedule(&document, now_s) {
            return Some(at);
        }
        let before = document.clone();
        step(&mut document, &mut now_s, &mut dice);
        if dice.below(4) == 0 {
            // As it was, but the memory has seen the other.
            let _ = scheduler::schedule_again(&document, now_s, &mut memory);
            document = before;
        }
    }
    None
}

#[test]
fn decides_the_same_with_a_memory() {
    let Some(dir) = data() else {
        eprintln!("skipped: the recorded cases are not beside the workspace");
        return;
    };
    let rounds = std::env::var("AGAIN_ROUNDS").ok();
    let rounds: u64 = rounds.and_then(|r| r.parse().ok()).unwrap_or(1);
    let files = std::fs::read_dir(dir).unwrap();
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut failed = Vec::new();
    for (at, file) in files.iter().enumerate() {
        let Ok(text) = std::fs::read_to_string(file) else {
            continue;
        };
        let Ok(original) = Element::parse(&text) else {
            continue;
        };
        for round in 0..rounds {
            if let Some(step) = difference(&original, (at as u64) << 32 | round) {
                failed.push(format!("{} round {round} step {step}", file.display()));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// With a memory of the cluster at rest, a failed monitor is seen, and that it is mended is seen again.
#[test]
fn a_failure_is_noticed_and_forgotten() {
    let document = Element::parse(
        "<cib have-quorum='1' dc-uuid='1'><configuration><crm_config>\
         <cluster_property_set id='s'><nvpair id='o' name='stonith-enabled' value='false'/></cluster_property_set>\
         </crm_config><nodes><node id='1' uname='a'/></nodes><resources>\
         <primitive id='r' class='ocf' provider='pacemaker' type='Dummy'><operations>\
         <op id='m' name='monitor' interval='10s'/></operations></primitive></resources><constraints/>\
         </configuration><status><node_state id='1' uname='a' in_ccm='true' crmd='online' join='member' \
         expected='member'/></status></cib>",
    )
    .unwrap();
    let graph = scheduler::schedule(&document, NOW_S).graph;
    let started = scheduler::simulate(&document, &graph, NOW_S).cib;
    let mut memory = Memory::default();
    let mut again = |document: &Element| {
        let decision = scheduler::schedule_again(document, NOW_S, &mut memory);
        assert_eq!(decision, scheduler::schedule(document, NOW_S));
        decision.graph.synapses.len()
    };
    assert_eq!((again(&started), again(&started)), (0, 0));
    let mut failed = started.clone();
    let at = failed
        .descendants()
        .position(|e| e.id() == Some("r_monitor_10000"));
    set(&mut failed, at, "rc-code", "7");
    assert!(again(&failed) > 0);
    assert_eq!(again(&started), 0);
    let mut stopped = started.clone();
    let resource = stopped.descendants().position(|e| e.name() == "primitive");
    set(&mut stopped, resource, "type", "Stateful");
    assert!(again(&stopped) > 0);
    assert_eq!(again(&started), 0);
}

/// A cluster of five nodes, everything configured and nothing started.
fn five_nodes() -> Element {
    let pair = |id: &str, name: &str, value: &str| {
        format!("<nvpair id='{id}-{name}' name='{name}' value='{value}'/>")
    };
    let primitive = |id: &str, meta: &str| {
        format!(
            "<primitive id='{id}' class='ocf' provider='pacemaker' type='Dummy'>\
             <meta_attributes id='{id}-meta'>{meta}</meta_attributes>\
             <operations><op id='{id}-m' name='monitor' interval='10s'/></operations></primitive>"
        )
    };
    let mut resources: String = (0..12).map(|n| primitive(&format!("r{n}"), "")).collect();
    resources += &primitive("forgets", &pair("forgets", "failure-timeout", "60s"));
    resources += &primitive("stopped", &pair("stopped", "target-role", "Stopped"));
    let member = |n: usize| primitive(&format!("g{n}"), "");
    resources += &format!("<group id='g'>{}{}</group>", member(1), member(2));
    resources += &format!("<clone id='c'>{}</clone>", primitive("i", ""));
    let nodes: String = (1..6)
        .map(|n| format!("<node id='{n}' uname='n{n}'/>"))
        .collect();
    let states: String = (1..6)
        .map(|n| {
            format!(
                "<node_state id='{n}' uname='n{n}' in_ccm='true' crmd='online' join='member' expected='member'/>"
            )
        })
        .collect();
    let text = format!(
        "<cib have-quorum='1' dc-uuid='1'><configuration><crm_config><cluster_property_set id='s'>{}\
         </cluster_property_set></crm_config><nodes>{nodes}</nodes><resources>{resources}</resources><constraints>\
         <rsc_colocation id='r1-with-r0' rsc='r1' with-rsc='r0' score='INFINITY'/>\
         <rsc_order id='r0-then-r1' first='r0' then='r1'/></constraints></configuration>\
         <status>{states}</status></cib>",
        pair("s", "stonith-enabled", "false")
    );
    Element::parse(&text).unwrap()
}

/// In a cluster at rest, where most histories are passed over, what happens to some of them is decided as if all were
/// read.
#[test]
fn what_is_passed_over_is_as_if_it_were_read() {
    let mut started = five_nodes();
    for _ in 0..3 {
        let graph = scheduler::schedule(&started, NOW_S).graph;
        started = scheduler::simulate(&started, &graph, NOW_S).cib;
    }
    let settled = scheduler::schedule(&started, NOW_S).graph;
    assert_eq!(settled.synapses.len(), 0);
    let rounds = std::env::var("AGAIN_ROUNDS").ok();
    let rounds: u64 = rounds.and_then(|r| r.parse().ok()).unwrap_or(1) * 40;
    for round in 0..rounds {
        let mut dice = Dice(round);
        let mut memory = Memory::default();
        let (mut document, mut now_s) = (started.clone(), NOW_S);
        for at in 0..12 {
            let again = scheduler::schedule_again(&document, now_s, &mut memory);
            let fresh = scheduler::schedule(&document, now_s);
            assert_eq!(again, fresh, "round {round} step {at}");
            if dice.below(3) > 0 {
                step(&mut document, &mut now_s, &mut dice);
            }
            if dice.below(5) == 0 {
                document = started.clone();
            }
        }
    }
}

/// Sets an attribute of one of the document's descendants, given by its place among them. Without it nothing is
/// changed, which the test sees.
fn set(document: &mut Element, descendant: Option<usize>, name: &str, value: &str) {
    // The document itself is at 0.
    if let Some(element) = descendant.and_then(|at| at_position(document, at + 1)) {
        element.set_attr(name, value);
    }
}

//! Reads ordering constraints and sets of them.

use cib::Element;

use crate::{
    constraints,
    model::{Cluster, Kind, RscIx, Task, ar},
    ordering, score,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Strength {
    Optional,
    Mandatory,
    Serialize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Symmetry {
    Asymmetric,
    Symmetric,
    Inverse,
}

/// Reads one `<rsc_order>`.
pub(crate) fn unpack(c: &mut Cluster, xml: &Element) {
    let strength = strength(c, xml);
    let symmetry = symmetry(xml, strength);
    let sets: Vec<Element> = xml
        .children_named("resource_set")
        .filter_map(|s| c.ids.resolve(s).cloned())
        .collect();
    if sets.is_empty() {
        return simple(c, xml, strength, symmetry);
    }
    let mut last: Option<&Element> = None;
    for set in &sets {
        within(c, xml, set, strength, symmetry);
        if let Some(last) = last {
            if symmetry == Symmetry::Symmetric {
                between(c, xml, set, last, strength, Symmetry::Inverse);
            }
            between(
                c,
                xml,
                last,
                set,
                strength,
                if symmetry == Symmetry::Symmetric {
                    Symmetry::Symmetric
                } else {
                    Symmetry::Asymmetric
                },
            );
        }
        last = Some(set);
    }
}

fn strength(c: &mut Cluster, xml: &Element) -> Strength {
    match xml.attr("kind") {
        Some("Mandatory") => Strength::Mandatory,
        Some("Optional") => Strength::Optional,
        Some("Serialize") => Strength::Serialize,
        Some(other) => {
            c.problem(format!(
                "line {}: ordering '{}': kind '{other}' is none of Mandatory, Optional, Serialize; Mandatory is used",
                xml.line(),
                xml.id().unwrap_or("")
            ));
            Strength::Mandatory
        }
        None => match xml.attr("score").map(|s| score::parse(s).unwrap_or(0)) {
            Some(0) => Strength::Optional,
            _ => Strength::Mandatory,
        },
    }
}

fn symmetry(xml: &Element, strength: Strength) -> Symmetry {
    let configured = xml.attr("symmetrical").and_then(score::parse_bool);
    let symmetric =
        configured.unwrap_or(strength != Strength::Serialize) && strength != Strength::Serialize;
    if symmetric {
        Symmetry::Symmetric
    } else {
        Symmetry::Asymmetric
    }
}

fn flags_for(strength: Strength, first: Task, symmetry: Symmetry) -> u32 {
    let mut flags = ar::ORDERED;
    match strength {
        Strength::Optional => {}
        Strength::Serialize => flags |= ar::SERIALIZE,
        Strength::Mandatory => match symmetry {
            Symmetry::Asymmetric => flags |= ar::ASYMMETRIC,
            Symmetry::Symmetric => {
                flags |= ar::FIRST_IMPLIES_THEN;
                if matches!(first, Task::Start | Task::Promote) {
                    flags |= ar::UNRUNNABLE_FIRST_BLOCKS;
                }
            }
            Symmetry::Inverse => flags |= ar::THEN_IMPLIES_FIRST,
        },
    }
    flags
}

fn inverse(task: Task) -> Option<Task> {
    match task {
        Task::Start => Some(Task::Stop),
        Task::Stop => Some(Task::Start),
        Task::Promote => Some(Task::Demote),
        Task::Demote => Some(Task::Promote),
        Task::Promoted => Some(Task::Demoted),
        Task::Demoted => Some(Task::Promoted),
        Task::Running => Some(Task::Stopped),
        Task::Stopped => Some(Task::Running),
        _ => None,
    }
}

fn simple(c: &mut Cluster, xml: &Element, strength: Strength, symmetry: Symmetry) {
    let (Some(first_id), Some(then_id)) = (xml.attr("first"), xml.attr("then")) else {
        c.problem(format!(
            "line {}: ordering '{}' names no two resources",
            xml.line(),
            xml.id().unwrap_or("")
        ));
        return;
    };
    let first_task = xml.attr("first-action").map_or(Task::Start, Task::parse);
    let then_task = xml.attr("then-action").map_or(first_task, Task::parse);
    let firsts = constraints::find_all(c, first_id, xml);
    let thens = constraints::find_all(c, then_id, xml);
    for first in &firsts {
        for then in &thens {
            one(
                c,
                xml,
                (*first, first_task),
                (*then, then_task),
                strength,
                symmetry,
            );
        }
    }
}

fn one(
    c: &mut Cluster,
    xml: &Element,
    first: (RscIx, Task),
    then: (RscIx, Task),
    strength: Strength,
    symmetry: Symmetry,
) {
    let flags = flags_for(strength, first.1, symmetry);
    let min = clones_needed(c, xml, first.0);
    if min > 0 {
        at_least(c, xml, first, then, flags, min);
    } else {
        ordering::order_tasks(c, first.0, first.1, then.0, then.1, flags);
    }
    if symmetry != Symmetry::Symmetric {
        return;
    }
    let (Some(inverse_then), Some(inverse_first)) = (inverse(then.1), inverse(first.1)) else {
        return;
    };
    let flags = flags_for(strength, first.1, Symmetry::Inverse);
    ordering::order_tasks(c, then.0, inverse_then, first.0, inverse_first, flags);
}

/// How many instances suffice before what comes next may begin; 0: all.
fn clones_needed(c: &Cluster, xml: &Element, first: RscIx) -> u32 {
    if c.rscs[first].kind != Kind::Clone {
        return 0;
    }
    if c.rscs[first].clone.min > 0 {
        return c.rscs[first].clone.min;
    }
    match xml.attr("require-all").and_then(score::parse_bool) {
        Some(false) => 1,
        _ => 0,
    }
}

fn at_least(
    c: &mut Cluster,
    xml: &Element,
    first: (RscIx, Task),
    then: (RscIx, Task),
    flags: u32,
    min: u32,
) {
    let key = format!("clone-one-or-more:{}", xml.id().unwrap_or(""));
    let gate = crate::actions::pseudo(c, &key, Task::OneOrMore);
    c.acts[gate].name = Some(key.as_str().into());
    c.acts[gate].min_runnable = true;
    c.acts[gate].required_before = min;
    for child in c.rscs[first.0].children.clone() {
        ordering::order_task_action(
            c,
            child,
            first.1,
            gate,
            ar::MIN_RUNNABLE | ar::FIRST_IMPLIES_THEN_GRAPHED,
        );
    }
    // However little the order itself asks for: too few are none.
    let flags = flags | ar::UNRUNNABLE_FIRST_BLOCKS;
    ordering::order_action_task(c, gate, then.0, then.1, flags);
}

fn set_task(set: &Element) -> Task {
    set.attr("action").map_or(Task::Start, Task::parse)
}

fn sequential(set: &Element) -> bool {
    set.attr("sequential")
        .and_then(score::parse_bool)
        .unwrap_or(true)
}

fn within(c: &mut Cluster, xml: &Element, set: &Element, strength: Strength, symmetry: Symmetry) {
    let strength = match set.attr("kind") {
        Some("Mandatory") => Strength::Mandatory,
        Some("Optional") => Strength::Optional,
        Some("Serialize") => Strength::Serialize,
        _ => strength,
    };
    let symmetry = match set.attr("symmetrical").and_then(score::parse_bool) {
        Some(true) => Symmetry::Symmetric,
        Some(false) => Symmetry::Asymmetric,
        None => symmetry,
    };
    let task = set_task(set);
    let all = constraints::members(c, set, xml);
    let flags = flags_for(strength, task, symmetry);
    for (at, rsc) in all.iter().enumerate() {
        if strength == Strength::Serialize {
            for earlier in &all[..at] {
                ordering::order_tasks(c, *earlier, task, *rsc, task, flags);
            }
        } else if sequential(set) && at > 0 {
            ordering::order_tasks(c, all[at - 1], task, *rsc, task, flags);
        }
    }
    if symmetry != Symmetry::Symmetric || !sequential(set) {
        return;
    }
    let Some(task) = inverse(task) else {
        return;
    };
    let flags = flags_for(strength, task, Symmetry::Inverse);
    for pair in all.windows(2) {
        ordering::order_tasks(c, pair[1], task, pair[0], task, flags);
    }
}

fn between(
    c: &mut Cluster,
    xml: &Element,
    set1: &Element,
    set2: &Element,
    strength: Strength,
    symmetry: Symmetry,
) {
    let mut first_task = set_task(set1);
    let mut then_task = set_task(set2);
    let mut require_all = set1
        .attr("require-all")
        .and_then(score::parse_bool)
        .unwrap_or(true);
    // Between sets, only one that says so counts as a sequence.
    let says_so = |set: &Element| set.attr("sequential").and_then(score::parse_bool) == Some(true);
    let (sequential1, sequential2) = (says_so(set1), says_so(set2));
    if symmetry == Symmetry::Inverse {
        let (Some(a), Some(b)) = (inverse(first_task), inverse(then_task)) else {
            return;
        };
        (first_task, then_task) = (a, b);
        require_all = true;
    }
    let flags = flags_for(strength, first_task, symmetry);
    let all1 = constraints::members(c, set1, xml);
    let all2 = constraints::members(c, set2, xml);
    if !require_all {
        // One of the first set is enough.
        let key = format!("one-or-more:{}", set1.id().unwrap_or(""));
        let gate = crate::actions::pseudo(c, &key, Task::OneOrMore);
        c.acts[gate].name = Some(key.as_str().into());
        c.acts[gate].min_runnable = true;
        c.acts[gate].required_before = 1;
        for rsc in &all1 {
            ordering::order_task_action(
                c,
                *rsc,
                first_task,
                gate,
                ar::MIN_RUNNABLE | ar::FIRST_IMPLIES_THEN_GRAPHED,
            );
        }
        let flags = flags | ar::UNRUNNABLE_FIRST_BLOCKS;
        for rsc in &all2 {
            ordering::order_action_task(c, gate, *rsc, then_task, flags);
        }
        return;
    }
    // A sequence begins with its first member and is done with its last; stopping runs the other way.
    let reverse = symmetry == Symmetry::Inverse;
    let firsts: Vec<RscIx> = match (sequential1, reverse) {
        (true, false) => all1.last().copied().into_iter().collect(),
        (true, true) => all1.first().copied().into_iter().collect(),
        _ => all1,
    };
    let thens: Vec<RscIx> = match (sequential2, reverse) {
        (true, false) => all2.first().copied().into_iter().collect(),
        (true, true) => all2.last().copied().into_iter().collect(),
        _ => all2,
    };
    for first in &firsts {
        for then in &thens {
            ordering::order_tasks(c, *first, first_task, *then, then_task, flags);
        }
    }
}

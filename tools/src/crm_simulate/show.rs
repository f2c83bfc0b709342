//! What `crm_simulate` shows, as text and as XML.

use cib::Element;
use scheduler::{Executed, Planned, Run, Step, view::View};

use super::{
    Told,
    inject::{Injected, NodeChange},
    options::{Options, TicketChange},
};
use crate::{
    common::output::Output,
    view::{self, Filter, Scene, Section, Sections, Show},
};

/// How much of a state is shown.
pub(super) fn how_much(options: &Options) -> Show {
    let mut sections = Sections::of(&[Section::Nodes, Section::Resources]);
    if options.show_attrs {
        sections.add(Section::Attributes);
    }
    if options.show_failcounts {
        sections.add(Section::FailCounts);
    }
    Show {
        sections,
        inactive: true,
        ..Show::default()
    }
}

/// The state before.
pub(super) fn before(told: &Told, view: &View, now_s: i64, output: &mut Output) {
    if told.prose
        && view.summary.options.maintenance
        && let Some(text) = view::management_text(&view.summary.options)
    {
        text.lines().for_each(|line| output.line(line));
        output.line("");
    }
    let counts = view.summary.counts;
    if told.prose && counts.disabled + counts.blocked > 0 {
        output.line(&format!(
            "{} of {} resource instances DISABLED and {} BLOCKED from further action due to failure\n",
            counts.disabled, counts.all, counts.blocked
        ));
    }
    state(
        told,
        view,
        now_s,
        ("Current cluster status:", "cluster_status"),
        output,
    );
}

/// The state afterwards.
pub(super) fn after(told: &Told, view: &View, now_s: i64, output: &mut Output) {
    let names = ("Revised Cluster Status:", "revised_cluster_status");
    state(told, view, now_s, names, output);
}

fn state(told: &Told, view: &View, now_s: i64, names: (&str, &str), output: &mut Output) {
    let filter = Filter::default();
    let scene = Scene {
        view,
        live: None,
        now_s,
        show: &told.show,
        filter: &filter,
    };
    if told.xml {
        let parts = view::status_xml(&scene);
        output.element(
            parts
                .into_iter()
                .fold(Element::new(names.1), Element::with_child),
        );
    }
    if told.prose {
        output.line(names.0);
        view::status_text(&scene, 1)
            .lines()
            .for_each(|line| output.line(line));
        output.line("");
    }
}

/// What was pretended.
pub(super) fn modifications(told: &Told, all: &[Injected], output: &mut Output) {
    if told.xml {
        output.element(Element::new("modifications"));
        all.iter().for_each(|i| output.element(modification(i)));
    }
    if told.prose {
        output.line("Performing Requested Modifications:");
        all.iter()
            .for_each(|i| output.line(&format!("  * {}", in_words(i))));
        output.line("");
    }
}

fn in_words(injected: &Injected) -> String {
    match injected {
        Injected::Setting(name, value) => format!("Setting {name}: {value}"),
        Injected::Node(NodeChange::Up, name) => format!("Bringing node {name} online"),
        Injected::Node(NodeChange::Down, name) => format!("Taking node {name} offline"),
        Injected::Node(NodeChange::Fail, name) => format!("Failing node {name}"),
        Injected::Ticket(TicketChange::Grant, name) => format!("Granting ticket {name}"),
        Injected::Ticket(TicketChange::Revoke, name) => format!("Revoking ticket {name}"),
        Injected::Ticket(TicketChange::Standby, name) => format!("Making ticket {name} standby"),
        Injected::Ticket(TicketChange::Activate, name) => format!("Activating ticket {name}"),
        Injected::Operation(spec) => format!("Injecting {spec} into the configuration"),
    }
}

fn modification(injected: &Injected) -> Element {
    match injected {
        Injected::Setting(name, value) => Element::new("modify_config").with_attr(name, value),
        Injected::Node(change, name) => {
            let action = match change {
                NodeChange::Up => "Online",
                NodeChange::Down => "Offline",
                NodeChange::Fail => "Failing",
            };
            Element::new("modify_node")
                .with_attr("action", action)
                .with_attr("node", name)
        }
        Injected::Ticket(change, name) => {
            let action = match change {
                TicketChange::Grant => "Granting",
                TicketChange::Revoke => "Revoking",
                TicketChange::Standby => "Standby",
                TicketChange::Activate => "Activating",
            };
            Element::new("modify_ticket")
                .with_attr("action", action)
                .with_attr("ticket", name)
        }
        Injected::Operation(spec) => Element::new("inject_spec").with_attr("spec", spec),
    }
}

/// Scores and utilization, if they were asked for.
pub(super) fn scores(told: &Told, before: &View, run: &Run, output: &mut Output) {
    let (scores, room) = (&run.scores, &run.utilization);
    if scores.is_empty() && room.is_empty() {
        return;
    }
    if told.xml {
        let name = match (scores.is_empty(), room.is_empty()) {
            (false, true) => "allocations",
            (true, _) => "utilizations",
            _ => "allocations_utilizations",
        };
        let scores = scores.iter().filter_map(|line| score(line));
        let room = room.iter().filter_map(|line| utilization(line));
        let all = scores.chain(room);
        output.element(all.fold(Element::new(name), Element::with_child));
    }
    let _ = before;
    if told.prose {
        output.line(match (scores.is_empty(), room.is_empty()) {
            (false, true) => "Assignment Scores:",
            (true, _) => "Utilization Information:",
            _ => "Assignment Scores and Utilization Information:",
        });
    }
    if !told.xml {
        let mark = if told.prose { "  * " } else { "" };
        let all = scores.iter().chain(room);
        all.for_each(|line| output.line(&format!("{mark}{line}")));
        if told.prose {
            output.line("");
        }
    }
}

/// A line of scores in parts.
fn score(line: &str) -> Option<Element> {
    let (rest, score) = line.rsplit_once(": ")?;
    if let Some((id, place)) = rest.split_once(" promotion score ") {
        let element = Element::new("promotion_score")
            .with_attr("id", id)
            .with_attr("score", score);
        return Some(match place.strip_prefix("on ") {
            Some(node) => element.with_attr("node", node),
            None => element,
        });
    }
    let (by, rest) = rest.split_once(": ")?;
    let (id, node) = rest.split_once(" allocation score on ")?;
    Some(
        Element::new("node_weight")
            .with_attr("function", by)
            .with_attr("node", node)
            .with_attr("score", score)
            .with_attr("id", id),
    )
}

/// A line of utilization in parts.
fn utilization(line: &str) -> Option<Element> {
    let (rest, amounts) = line.split_once(" capacity:").or_else(|| {
        let (head, rest) = line.split_once(" utilization on ")?;
        let (node, amounts) = rest.split_once(':')?;
        Some((
            &line[..head.len() + " utilization on ".len() + node.len()],
            amounts,
        ))
    })?;
    let (comment, rest) = rest.split_once(": ")?;
    let element = match rest.split_once(" utilization on ") {
        Some((id, node)) => Element::new("utilization")
            .with_attr("resource", id)
            .with_attr("node", node)
            .with_attr("function", comment),
        None => Element::new("capacity")
            .with_attr("node", rest)
            .with_attr("comment", comment),
    };
    let pairs = amounts.split_whitespace().filter_map(|a| a.split_once('='));
    Some(pairs.fold(element, |e, (name, amount)| e.with_attr(name, amount)))
}

/// What would be done.
pub(super) fn plan(told: &Told, run: &Run, output: &mut Output) {
    if told.xml {
        let all = run.plan.iter().map(planned);
        output.element(all.fold(Element::new("actions"), Element::with_child));
    }
    if told.prose && told.plan {
        output.line("Transition Summary:");
        let width = |of: &dyn Fn(&Planned) -> usize| {
            let resources = run.plan.iter().filter(|p| !p.is_node);
            resources.map(of).max().unwrap_or(0)
        };
        let subjects = width(&|p| p.subject.chars().count()) + 4;
        let places = width(&|p| p.place.chars().count());
        for planned in &run.plan {
            output.line(&format!("  * {}", planned.line(subjects, places)));
        }
        output.line("");
    }
}

fn planned(p: &Planned) -> Element {
    let mut element = if p.is_node {
        Element::new("node_action")
            .with_attr("task", &p.action)
            .with_attr("node", &p.subject)
    } else {
        Element::new("rsc_action")
            .with_attr("action", p.action.to_lowercase())
            .with_attr("resource", &p.subject)
    };
    for (name, role) in [("role", p.role), ("next-role", p.next_role)] {
        if let Some(role) = role {
            element.set_attr(name, role);
        }
    }
    match (&p.source, &p.dest) {
        (None, Some(node)) if p.role.is_some() => element.set_attr("dest", node),
        (None, Some(node)) | (Some(node), None) => element.set_attr("node", node),
        // What recovers in its place is where it is; anything else comes from there.
        (Some(node), Some(dest))
            if node == dest && p.action == "Recover" && p.next_role.is_none() =>
        {
            element.set_attr("node", node);
        }
        (Some(source), Some(dest)) => {
            element.set_attr("source", source);
            if source != dest {
                element.set_attr("dest", dest);
            }
        }
        (None, None) => {}
    }
    if let Some(reason) = &p.reason {
        element.set_attr("reason", reason);
    }
    if p.blocked {
        element.set_attr("blocked", "true");
    }
    element
}

/// What was done on paper.
pub(super) fn steps(told: &Told, executed: &Executed, output: &mut Output) {
    if told.xml {
        let all = executed.steps.iter().map(step);
        output.element(all.fold(Element::new("transition"), Element::with_child));
    }
    if told.prose {
        output.line("Executing Cluster Transition:");
        for step in &executed.steps {
            let indent = match step {
                Step::Failed { .. } => "    ",
                _ => "  * ",
            };
            output.line(&format!("{indent}{}", step.line()));
        }
        output.line("");
    }
}

fn step(step: &Step) -> Element {
    match step {
        Step::Pseudo { task, node } => {
            let element = Element::new("pseudo_action").with_attr("task", task);
            match node {
                Some(node) => element.with_attr("node", node),
                None => element,
            }
        }
        Step::Fence { target, op } => Element::new("fencing_action")
            .with_attr("target", target)
            .with_attr("op", op),
        Step::Cluster {
            task,
            node,
            resource,
        } => {
            let element = Element::new("cluster_action")
                .with_attr("task", task)
                .with_attr("node", node);
            match resource {
                Some(resource) => element.with_attr("id", resource),
                None => element,
            }
        }
        Step::Resource {
            resource,
            op,
            node,
            interval_ms,
        } => {
            let element = Element::new("rsc_action")
                .with_attr("resource", resource)
                .with_attr("op", op)
                .with_attr("node", node);
            match interval_ms {
                0 => element,
                ms => element.with_attr("interval", ms.to_string()),
            }
        }
        Step::Failed { action, rc } => Element::new("failed_action")
            .with_attr("action", action.to_string())
            .with_attr("rc", rc.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_scores_have_parts() {
        let element = score("pcmk__clone_assign: r:0 allocation score on a:b: -INFINITY").unwrap();
        assert_eq!(element.attr("node"), Some("a:b"));
        assert_eq!(element.attr("id"), Some("r:0"));
        assert_eq!(element.attr("function"), Some("pcmk__clone_assign"));
        let element = score("r:1 promotion score (inactive): -1").unwrap();
        assert_eq!(
            (element.attr("node"), element.attr("score")),
            (None, Some("-1"))
        );
        let line = "pcmk__assign_resource: vm utilization on n1: cpu=2 memory=2048";
        let element = utilization(line).unwrap();
        assert_eq!(
            (element.attr("resource"), element.attr("cpu")),
            (Some("vm"), Some("2"))
        );
        let element = utilization("Original: n1 capacity:").unwrap();
        assert_eq!(element.attr("comment"), Some("Original"));
    }
}

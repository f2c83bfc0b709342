//! Operations, failures and fencing as outlines.

use scheduler::view::{Failure, Kind, Operation, ResourceHistory};

use super::{Outline, Scene, Section, describe};

/// Scores beyond this are infinite.
const INFINITY: i32 = 1_000_000;

/// Histories of operations, or of fail counts only.
pub(super) fn operations(scene: &Scene<'_>) -> Option<Outline> {
    let sections = scene.show.sections;
    let whole = sections.has(Section::Operations);
    if !whole && !sections.has(Section::FailCounts) {
        return None;
    }
    let mut items = Vec::new();
    for (node, resources) in shown(scene) {
        let lines = resources.iter().map(|h| {
            let title = resource_title(scene, h);
            if whole {
                let operations = h.operations.iter().map(|o| operation(scene, o));
                Outline::list(title, operations.collect())
            } else {
                Outline::Item(format!("{title}:"))
            }
        });
        let name = describe::node_name(scene.view, &scene.view.nodes[node], scene.show.detail);
        items.push(Outline::list(format!("Node: {name}"), lines.collect()));
    }
    let title = if whole {
        "Operations"
    } else {
        "Migration Summary"
    };
    is_told(scene).then(|| Outline::list(title, items))
}

/// Whether there are nodes whose histories could be shown, even if there is nothing in them.
pub(super) fn is_told(scene: &Scene<'_>) -> bool {
    let mut nodes = scene.view.histories.iter();
    nodes.any(|h| scene.filter.has_node(h.node))
}

/// The histories that are wanted, by node.
pub(super) fn shown<'s>(scene: &'s Scene<'_>) -> Vec<(usize, Vec<&'s ResourceHistory>)> {
    let whole = scene.show.sections.has(Section::Operations);
    let is_worth = |h: &&ResourceHistory| {
        let counts = if whole {
            !h.operations.is_empty()
        } else {
            h.fail_count > 0
        };
        counts && is_chosen(scene, h.resource)
    };
    let nodes = scene.view.histories.iter();
    nodes
        .filter(|h| scene.filter.has_node(h.node))
        .map(|h| (h.node, h.resources.iter().filter(is_worth).collect()))
        .filter(|(_, resources): &(usize, Vec<_>)| !resources.is_empty())
        .collect()
}

/// Of a group only the members that are meant, not all of them because one is.
fn is_chosen(scene: &Scene<'_>, resource: usize) -> bool {
    let view = scene.view;
    let top = view.top_of(resource);
    if view.resources[top].kind == Kind::Group {
        return scene.filter.names(view, resource) || scene.filter.names(view, top);
    }
    scene.filter.has(view, resource, true)
}

fn resource_title(scene: &Scene<'_>, h: &ResourceHistory) -> String {
    let name = &scene.view.resources[h.resource].name;
    let mut title = format!("{name}: migration-threshold={}", h.migration_threshold);
    if h.fail_count > 0 {
        title.push_str(&format!(" fail-count={}", h.fail_count.min(INFINITY)));
    }
    if h.last_failure_s > 0 {
        let at = describe::moment(h.last_failure_s);
        title.push_str(&format!(" last-failure='{at}'"));
    }
    title
}

fn operation(scene: &Scene<'_>, op: &Operation) -> Outline {
    let mut line = format!("({}) {}", op.call, op.task);
    let timing = scene.show.timing;
    let mut details = Vec::new();
    if op.interval_ms > 0 {
        details.push(format!("interval=\"{}ms\"", op.interval_ms));
    }
    if timing {
        if let Some(at) = op.last_change_s {
            details.push(format!("last-rc-change=\"{}\"", describe::moment(at)));
        }
        if let Some(ms) = &op.exec_ms {
            details.push(format!("exec-time=\"{ms}ms\""));
        }
        if let Some(ms) = &op.queue_ms {
            details.push(format!("queue-time=\"{ms}ms\""));
        }
        details.push(format!("rc={} ({})", op.rc, describe::words(op.rc)));
    }
    if !details.is_empty() {
        line.push_str(&format!(": {}", details.join(" ")));
    }
    Outline::Item(line)
}

/// Operations that failed.
pub(super) fn failures(scene: &Scene<'_>) -> Option<Outline> {
    let lines: Vec<Outline> = shown_failures(scene)
        .map(|f| {
            Outline::Item(if scene.show.detail {
                exact_failure(scene, f)
            } else {
                friendly_failure(scene, f)
            })
        })
        .collect();
    (!lines.is_empty()).then(|| Outline::list("Failed Resource Actions", lines))
}

/// The failures that are wanted.
pub(super) fn shown_failures<'s>(scene: &'s Scene<'_>) -> impl Iterator<Item = &'s Failure> {
    let wanted = scene.show.sections.has(Section::Failures);
    let failures = scene.view.failures.iter().filter(move |_| wanted);
    failures
        .filter(|f| scene.filter.has_node(f.node))
        .filter(|f| is_chosen(scene, f.resource))
        .filter(|f| !is_probe_of_nothing(f))
}

/// That a program is not installed is no failure where it need not run.
fn is_probe_of_nothing(f: &Failure) -> bool {
    f.task == "monitor" && f.interval_ms == 0 && (f.rc == 5 || f.status == 7)
}

fn exact_failure(scene: &Scene<'_>, f: &Failure) -> String {
    let key = f.key.as_deref().unwrap_or(&f.id);
    let node = &scene.view.nodes[f.node].name;
    let mut line = format!(
        "{key} on {node} '{}' ({}): call={}, status='{}'",
        describe::words(f.rc),
        f.rc,
        f.call,
        execution(f.status)
    );
    if let Some(reason) = said(f) {
        line.push_str(&format!(", exitreason='{reason}'"));
    }
    if let Some(at) = f.last_change_s {
        line.push_str(&format!(", last-rc-change='{}'", describe::moment(at)));
        for (name, ms) in [("queued", &f.queue_ms), ("exec", &f.exec_ms)] {
            line.push_str(&format!(", {name}={}ms", ms.as_deref().unwrap_or_default()));
        }
    }
    line
}

fn friendly_failure(scene: &Scene<'_>, f: &Failure) -> String {
    let (resource, task, interval_ms) = parts_of(f);
    let operation = match (task, interval_ms) {
        ("monitor", 0) => "probe".to_owned(),
        (task, 0) => task.to_owned(),
        (task, ms) => format!("{}-interval {task}", describe::span(ms)),
    };
    let node = &scene.view.nodes[f.node].name;
    let mut line = format!("{resource} {operation} on {node}");
    if f.status == 0 {
        line.push_str(&format!(" returned '{}'", describe::words(f.rc)));
        if let Some(reason) = said(f) {
            line.push_str(&format!(" ({reason})"));
        }
    } else {
        line.push_str(&format!(" could not be executed ({}", execution(f.status)));
        if let Some(reason) = said(f) {
            line.push_str(&format!(": {reason}"));
        }
        line.push(')');
    }
    if let Some(at) = f.last_change_s {
        line.push_str(&format!(" at {}", describe::moment(at)));
    }
    let exec_ms = f.exec_ms.as_ref().and_then(|ms| ms.parse::<u64>().ok());
    if let Some(ms) = exec_ms.filter(|ms| *ms > 0) {
        line.push_str(&format!(" after {}", describe::span(ms)));
    }
    line
}

fn said(f: &Failure) -> Option<&str> {
    f.reason.as_deref().filter(|reason| !reason.is_empty())
}

/// Resource, operation and interval as the key of a failure says them.
fn parts_of(f: &Failure) -> (&str, &str, u64) {
    let key = f.key.as_deref().unwrap_or(&f.id);
    let parsed = || {
        let (rest, interval) = key.rsplit_once('_')?;
        let interval_ms = interval.parse().ok()?;
        // Names of operations have no underscore, but for migrations.
        let (resource, task) = match rest.strip_suffix("_migrate_to") {
            Some(resource) => (resource, "migrate_to"),
            None => match rest.strip_suffix("_migrate_from") {
                Some(resource) => (resource, "migrate_from"),
                None => rest.rsplit_once('_')?,
            },
        };
        Some((resource, task, interval_ms))
    };
    parsed().unwrap_or((key, &f.task, f.interval_ms))
}

/// The field's words for how an execution ended.
pub(super) fn execution(status: i64) -> &'static str {
    match status {
        -2 => "Unknown",
        -1 => "Pending",
        0 => "Done",
        1 => "Cancelled",
        2 => "Timed out",
        3 => "Unsupported",
        4 => "Error",
        5 => "Hard error",
        6 => "Fatal error",
        7 => "Not installed",
        8 => "Internal communication failure",
        9 => "Cannot execute now",
        10 => "No fence device",
        11 => "No secrets",
        _ => "Unrecognized status",
    }
}

/// Fencing that ended so.
pub(super) fn fencing(scene: &Scene<'_>, status: &str) -> Option<Outline> {
    let (section, title) = match status {
        "failed" => (Section::FencingFailed, "Failed Fencing Actions"),
        "pending" => (Section::FencingPending, "Pending Fencing Actions"),
        _ => (Section::FencingSucceeded, "Fencing History"),
    };
    let live = scene.live.filter(|_| scene.show.sections.has(section))?;
    let lines: Vec<Outline> = live
        .fencing
        .iter()
        .filter(|f| f.status == status)
        .map(|f| {
            let by = match f.delegate.as_str() {
                "" => String::new(),
                delegate => format!("delegate={delegate}, "),
            };
            let end = match f.status {
                "pending" => String::new(),
                _ => format!(", completed='{}'", describe::moment(f.completed_s)),
            };
            Outline::Item(format!(
                "{} of {} {}: {by}client={}, origin={}{end}",
                f.action,
                f.target,
                match f.status {
                    "success" => "successful",
                    other => other,
                },
                f.client,
                f.origin
            ))
        })
        .collect();
    (!lines.is_empty()).then(|| Outline::list(title, lines))
}

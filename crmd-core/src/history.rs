//! The `<lrm_resource>` a node publishes for each resource, as the field writes it.
//!
//! One entry for the last one-off operation, one for the last failure, one for each recurring
//! operation; the newest call-id is the newest fact.

use crate::{
    command::AgentAction,
    input::{AgentOutcome, ExecStatus},
};
use cib::Element;
use std::collections::BTreeMap;

/// Feature set the entries are written in (Pacemaker 3.0.2's).
pub(crate) use scheduler::history::FEATURE_SET;

/// What is to be recorded of one execution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Execution<'a> {
    /// What was run.
    pub action: &'a AgentAction,
    /// `action:transition:target-rc:uuid`.
    pub transition_key: &'a str,
    /// Counts up; the greatest is the newest.
    pub call_id: i64,
    /// Node it ran on.
    pub node: &'a str,
    /// How it ended; nothing: it is about to begin.
    pub outcome: Option<&'a AgentOutcome>,
    /// Attributes only the coordinator knew (digests).
    pub record: &'a BTreeMap<String, String>,
    /// Seconds since the epoch.
    pub now_s: i64,
}

/// The field's numbers for how an execution ended (`op-status`).
pub(crate) fn status_code(status: ExecStatus) -> i32 {
    match status {
        ExecStatus::Pending => -1,
        ExecStatus::Done => 0,
        ExecStatus::Cancelled => 1,
        ExecStatus::TimedOut => 2,
        ExecStatus::NotSupported => 3,
        ExecStatus::Error => 4,
        ExecStatus::NotInstalled => 7,
    }
}

/// The exit code an outcome counts as: OCF's generic error where the agent gave none.
pub(crate) fn effective_rc(outcome: &AgentOutcome) -> i32 {
    match outcome.status {
        ExecStatus::Done => outcome.rc,
        ExecStatus::Pending => 193,
        ExecStatus::NotSupported => 3,
        ExecStatus::NotInstalled => 5,
        ExecStatus::Cancelled | ExecStatus::TimedOut | ExecStatus::Error => 1,
    }
}

/// The history with one more execution in it. `failed`: it did not end as it should.
pub(crate) fn recorded(history: Option<&Element>, run: &Execution<'_>, failed: bool) -> Element {
    let action = run.action;
    let mut element = history.cloned().unwrap_or_else(|| {
        let mut new = Element::new("lrm_resource")
            .with_attr("id", &action.resource)
            .with_attr("class", &action.class);
        if let Some(provider) = &action.provider {
            new.set_attr("provider", provider);
        }
        new.with_attr("type", &action.kind)
    });
    let failed = failed && run.outcome.is_some();
    if !failed || action.interval_ms == 0 {
        let id = entry_id(action);
        put(&mut element, operation(run, &id));
    }
    if failed {
        let id = format!("{}_last_failure_0", action.resource);
        put(&mut element, operation(run, &id));
    }
    element
}

/// The history without the entry of a recurring operation.
pub(crate) fn without_recurring(
    history: &Element,
    resource: &str,
    operation: &str,
    interval_ms: u64,
) -> Element {
    let id = format!("{resource}_{operation}_{interval_ms}");
    let mut element = history.clone();
    element.retain_children(|c| c.id() != Some(&id));
    element
}

/// The id of the entry an operation is kept under.
pub(crate) fn entry_id(action: &AgentAction) -> String {
    if action.interval_ms == 0 {
        format!("{}_last_0", action.resource)
    } else {
        key(action)
    }
}

/// `RSC_OPERATION_INTERVAL`.
pub(crate) fn key(action: &AgentAction) -> String {
    format!(
        "{}_{}_{}",
        action.resource, action.operation, action.interval_ms
    )
}

/// The greatest call-id in a history.
pub(crate) fn last_call_id(history: &Element) -> i64 {
    let ids = history
        .children()
        .filter_map(|c| c.attr("call-id")?.parse().ok());
    ids.max().unwrap_or(0)
}

/// Whether an operation is under way, or was when its node was last heard of.
pub(crate) fn is_pending(history: &Element) -> bool {
    let mut entries = history.children_named("lrm_rsc_op");
    entries.any(|e| e.attr("op-status") == Some("-1"))
}

/// Whether a history says that the resource runs: by its newest operation that says anything.
pub(crate) fn is_active(history: &Element) -> bool {
    let number = |e: &Element, name: &str| e.attr(name).and_then(|v| v.parse::<i64>().ok());
    let mut entries: Vec<&Element> = history.children_named("lrm_rsc_op").collect();
    entries.sort_by_key(|e| number(e, "call-id").unwrap_or(0));
    let mut active = false;
    for entry in entries {
        let rc = number(entry, "rc-code").unwrap_or(0);
        match (entry.attr("operation"), rc) {
            (Some("stop" | "migrate_to"), 0) | (Some("monitor"), 7) => active = false,
            (Some("monitor"), 0 | 8) => active = true,
            (Some("monitor"), _) => {}
            (Some("notify"), _) => {}
            (Some("stop"), _) => active = true,
            (Some(_), _) => active = true,
            (None, _) => {}
        }
    }
    active
}

fn put(element: &mut Element, entry: Element) {
    let place = element.children().position(|c| c.id() == entry.id());
    match place {
        Some(position) => {
            element.replace_child(position, entry);
        }
        None => element.push(entry),
    }
}

fn operation(run: &Execution<'_>, id: &str) -> Element {
    let action = run.action;
    let (rc, status) = match run.outcome {
        Some(outcome) => (effective_rc(outcome), status_code(outcome.status)),
        None => (193, -1),
    };
    let changed_s = run.outcome.map_or(run.now_s, |o| o.started_wall_s);
    let magic = format!("{status}:{rc};{}", run.transition_key);
    let mut entry = Element::new("lrm_rsc_op")
        .with_attr("id", id)
        .with_attr("operation_key", key(action))
        .with_attr("operation", &action.operation)
        .with_attr("crm_feature_set", FEATURE_SET)
        .with_attr("transition-key", run.transition_key)
        .with_attr("transition-magic", magic)
        .with_attr("exit-reason", run.outcome.map_or("", |o| &o.reason))
        .with_attr("on_node", run.node)
        .with_attr("call-id", run.call_id.to_string())
        .with_attr("rc-code", rc.to_string())
        .with_attr("op-status", status.to_string())
        .with_attr("interval", action.interval_ms.to_string())
        .with_attr("last-rc-change", changed_s.to_string())
        .with_attr(
            "exec-time",
            run.outcome.map_or(0, |o| o.exec_ms).to_string(),
        )
        .with_attr(
            "queue-time",
            run.outcome.map_or(0, |o| o.queue_ms).to_string(),
        );
    for (name, value) in run.record {
        entry.set_attr(name, value);
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn action(operation: &str, interval_ms: u64) -> AgentAction {
        AgentAction {
            resource: "r".into(),
            class: "ocf".into(),
            provider: Some("systole".into()),
            kind: "Dummy".into(),
            operation: operation.into(),
            interval_ms,
            timeout_ms: 20_000,
            parameters: BTreeMap::new(),
        }
    }

    #[test]
    fn an_operation_is_pending_then_done_then_failed_beside_its_failure() {
        let record = BTreeMap::from([("op-digest".to_owned(), "d".to_owned())]);
        let start = action("start", 0);
        let mut run = Execution {
            action: &start,
            transition_key: "1:2:0:u",
            call_id: 5,
            node: "n",
            outcome: None,
            record: &record,
            now_s: 100,
        };
        let pending = recorded(None, &run, false);
        let entry = pending.child("lrm_rsc_op").unwrap();
        assert_eq!(entry.attr("transition-magic"), Some("-1:193;1:2:0:u"));
        let outcome = AgentOutcome {
            rc: 1,
            status: ExecStatus::Done,
            reason: "no".into(),
            started_wall_s: 100,
            exec_ms: 3,
            queue_ms: 0,
        };
        run.outcome = Some(&outcome);
        let failed = recorded(Some(&pending), &run, true);
        let ids: Vec<_> = failed.children().filter_map(|c| c.id()).collect();
        assert_eq!(ids, ["r_last_0", "r_last_failure_0"]);
        assert_eq!(
            failed.child("lrm_rsc_op").unwrap().attr("op-digest"),
            Some("d")
        );
        assert_eq!(last_call_id(&failed), 5);
        let monitor = action("monitor", 10_000);
        run.action = &monitor;
        let with = recorded(Some(&failed), &run, false);
        assert_eq!(with.children().count(), 3);
        assert_eq!(without_recurring(&with, "r", "monitor", 10_000), failed);
    }
}

//! Operation history: the `<lrm_rsc_op>` entries that record what an executor did, and fail counts.

use cib::Element;

use crate::{digest, graph::Action};

/// Level of features written into entries.
pub const FEATURE_SET: &str = "3.20.1";

/// How an operation ended and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome<'o> {
    /// Number of the transition and unique id of its maker.
    pub transition: u64,
    /// Id of whoever made the transition.
    pub maker: &'o str,
    /// Exit code of the agent.
    pub rc: i32,
    /// Execution status: 0 done, 1 cancelled, 2 timeout, 3 not supported, 4 error, …; -1 still under way.
    pub status: i32,
    /// Number of the call at its executor; -1 while under way.
    pub call_id: i64,
    /// When the result last changed, seconds since the epoch.
    pub at_s: i64,
    /// Time it took, milliseconds.
    pub exec_ms: u64,
    /// Time it waited, milliseconds.
    pub queue_ms: u64,
    /// Exit reason the agent gave.
    pub reason: Option<&'o str>,
    /// Node of the executor.
    pub node: &'o str,
}

/// Adds the entry of an executed action to the history of its resource on a node, which is made if missing.
#[must_use]
pub fn record(resource: Option<&Element>, action: &Action, outcome: &Outcome) -> Element {
    let mut out = resource.cloned().unwrap_or_else(|| new_resource(action));
    let entry = entry(action, outcome);
    let id = entry.id().unwrap_or("").to_owned();
    out.retain_children(|child| child.id() != Some(id.as_str()));
    out.push(entry);
    out
}

/// `<lrm_resource>` of an action's resource, without entries.
#[must_use]
pub fn new_resource(action: &Action) -> Element {
    let mut out = Element::new("lrm_resource");
    if let Some(rsc) = &action.resource {
        out.set_attr("id", &rsc.id);
        out.set_attr("class", &rsc.class);
        if let Some(provider) = &rsc.provider {
            out.set_attr("provider", provider);
        }
        out.set_attr("type", &rsc.kind);
    }
    if let Some(container) = action.attributes.get("CRM_meta_container") {
        out.set_attr("container", container);
    }
    out
}

/// The entry alone.
#[must_use]
pub fn entry(action: &Action, outcome: &Outcome) -> Element {
    let rsc = action.resource.as_ref().map_or("", |r| r.id.as_str());
    let interval_ms = interval_ms(action);
    let operation = operation(action);
    let target = target_rc(action);
    let key = format!(
        "{}:{}:{target}:{}",
        action.id, outcome.transition, outcome.maker
    );
    let failed = outcome.status > 0 || outcome.status == 0 && outcome.rc != target;
    let probe_found = operation == "monitor" && interval_ms == 0;
    let id = if operation == "notify" {
        action
            .internal_key
            .clone()
            .unwrap_or_else(|| action.key.clone())
    } else if failed && !probe_found && interval_ms == 0 {
        format!("{rsc}_last_failure_0")
    } else if interval_ms == 0 {
        format!("{rsc}_last_0")
    } else {
        format!("{rsc}_{operation}_{interval_ms}")
    };
    let mut out = Element::new("lrm_rsc_op")
        .with_attr("id", id)
        .with_attr("operation_key", format!("{rsc}_{operation}_{interval_ms}"))
        .with_attr("operation", operation)
        .with_attr("crm-debug-origin", "scheduler")
        .with_attr("crm_feature_set", FEATURE_SET)
        .with_attr("transition-key", &key)
        .with_attr(
            "transition-magic",
            format!("{}:{};{key}", outcome.status, outcome.rc),
        )
        .with_attr("exit-reason", outcome.reason.unwrap_or(""))
        .with_attr("on_node", outcome.node)
        .with_attr("call-id", outcome.call_id.to_string())
        .with_attr("rc-code", outcome.rc.to_string())
        .with_attr("op-status", outcome.status.to_string())
        .with_attr("interval", interval_ms.to_string())
        .with_attr("last-rc-change", outcome.at_s.to_string())
        .with_attr("exec-time", outcome.exec_ms.to_string())
        .with_attr("queue-time", outcome.queue_ms.to_string());
    for (name, attr) in [
        ("CRM_meta_migrate_source", "migrate_source"),
        ("CRM_meta_migrate_target", "migrate_target"),
    ] {
        if let Some(value) = action.attributes.get(name) {
            out.set_attr(attr, value);
        }
    }
    out.set_attr("op-digest", params_digest(action));
    out
}

/// Digest of an action's parameters; of one that recurs, its time-out is one of them.
#[must_use]
pub fn params_digest(action: &Action) -> String {
    let recurs = interval_ms(action) > 0;
    digest::of_parameters(
        action
            .attributes
            .iter()
            .filter(|(name, _)| !digest::is_meta(name) || recurs && *name == "CRM_meta_timeout")
            .map(|(name, value)| (name.as_str(), value.as_str())),
    )
}

/// Interval of an action's operation, milliseconds.
#[must_use]
pub fn interval_ms(action: &Action) -> u32 {
    action
        .attributes
        .get("CRM_meta_interval")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

/// Result that is no failure: what the graph expects, or 0.
#[must_use]
pub fn target_rc(action: &Action) -> i32 {
    action
        .attributes
        .get("CRM_meta_op_target_rc")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

fn operation(action: &Action) -> &str {
    &action.operation
}

/// Name of the attribute that counts failures of an operation.
#[must_use]
pub fn fail_count_attribute(rsc: &str, operation: &str, interval_ms: u32) -> String {
    format!("fail-count-{rsc}#{operation}_{interval_ms}")
}

/// Name of the attribute with the time of the last failure, seconds since the epoch.
#[must_use]
pub fn last_failure_attribute(rsc: &str, operation: &str, interval_ms: u32) -> String {
    format!("last-failure-{rsc}#{operation}_{interval_ms}")
}

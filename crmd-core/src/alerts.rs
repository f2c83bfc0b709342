//! Alerts: which agents are to be told of an event, for which recipient and with what environment, as the
//! `<alerts>` of the configuration say (Pacemaker Explained, "Alerts"; Pacemaker Administration, "Alert
//! Agents").
//!
//! Every daemon tells its own agents: of members that come and go and of fencing each of them, of an
//! operation the node that ran it, of a transient attribute each of them. Nothing here runs anything, waits
//! for an agent, or lets one decide about anything.

mod hooks;
mod words;

use crate::{
    entry::Grade,
    evaluate,
    history::{effective_rc, status_code},
    ids::NodeName,
    input::{AgentOutcome, ExecStatus},
};
use cib::{Element, schema::duration_ms};
pub(crate) use hooks::Alerts;
use std::{collections::BTreeMap, fmt::Write};

/// How long an agent may take unless its `timeout` says otherwise.
pub const DEFAULT_TIMEOUT_MS: u64 = 30_000;

/// Form of `CRM_alert_timestamp` unless `timestamp-format` says otherwise.
pub const DEFAULT_FORMAT: &str = "%H:%M:%S.%06N";

/// Something people may want to be told of.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A member came or went.
    Node {
        /// Which.
        node: NodeName,
        /// Its id in the configuration.
        id: String,
        /// It is a member now; else it is lost.
        member: bool,
    },
    /// A fencing operation has ended, and that is committed.
    Fencing {
        /// Whom.
        target: NodeName,
        /// `reboot`, `off`, `on`.
        action: String,
        /// Who asked.
        origin: String,
        /// Device that was used, if any.
        device: String,
        /// Node whose fencing daemon did it.
        by: Option<NodeName>,
        /// How sure it is, or why it failed.
        result: Result<Grade, String>,
    },
    /// An operation of a resource has ended on this node, and its result is news.
    Resource {
        /// This node.
        node: NodeName,
        /// Resource (instance) name.
        resource: String,
        /// `start`, `stop`, `monitor`, …
        operation: String,
        /// 0 for one-off operations.
        interval_ms: u64,
        /// The exit code that is no failure.
        target_rc: i32,
        /// How it ended.
        outcome: AgentOutcome,
    },
    /// A transient attribute changed.
    Attribute {
        /// Whose.
        node: NodeName,
        /// That node's id in the configuration.
        id: String,
        /// Which.
        name: String,
        /// New value; nothing: deleted.
        value: Option<String>,
    },
}

/// An agent to call, self-contained but for the time: the shell adds `CRM_alert_timestamp`,
/// `CRM_alert_timestamp_epoch` and `CRM_alert_timestamp_usec`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Id of the `<alert>`, for the log.
    pub alert: String,
    /// The agent.
    pub path: String,
    /// Deadline.
    pub timeout_ms: u64,
    /// Form of `CRM_alert_timestamp`, as `date` understands it.
    pub timestamp_format: String,
    /// The agent's parameters and the `CRM_alert_*` variables.
    pub environment: BTreeMap<String, String>,
}

/// Whose words the calls carry.
#[derive(Clone, Copy, Debug)]
pub struct Teller<'a> {
    /// Version of this program.
    pub version: &'a str,
    /// Counts this node's events up.
    pub sequence: u64,
    /// Seconds since the epoch, for rules.
    pub now_s: i64,
}

/// The calls that an event leads to, in the order of the configuration.
#[must_use]
pub fn calls(document: &Element, event: &Event, teller: Teller<'_>) -> Vec<Call> {
    if is_expected_probe(event) {
        return Vec::new();
    }
    let mut calls = Vec::new();
    for alert in alerts(document).filter(|a| selects(a, event)) {
        let (Some(id), Some(path)) = (alert.id(), alert.attr("path")) else {
            continue;
        };
        for settings in Settings::of(document, alert, teller.now_s) {
            let mut environment = settings.parameters;
            environment.extend(about(event));
            let mut say = |name: &str, value: String| {
                environment.insert(format!("CRM_alert_{name}"), value);
            };
            say("version", teller.version.to_owned());
            say("node_sequence", teller.sequence.to_string());
            if let Some(recipient) = settings.recipient {
                say("recipient", recipient);
            }
            calls.push(Call {
                alert: id.to_owned(),
                path: path.to_owned(),
                timeout_ms: settings.timeout_ms,
                timestamp_format: settings.timestamp_format,
                environment,
            });
        }
    }
    calls
}

/// What in the `<alerts>` is not followed as it stands, with ids, for people.
#[must_use]
pub fn problems(document: &Element, now_s: i64) -> Vec<String> {
    let mut problems = Vec::new();
    for alert in alerts(document) {
        let id = alert.id().unwrap_or("without id");
        match alert.attr("path") {
            Some(path) if path.starts_with('/') => {}
            Some(path) => problems.push(format!(
                "alert {id}: path '{path}' does not begin with '/': it cannot be run; give the whole path"
            )),
            None => problems.push(format!("alert {id}: without a path nothing is run")),
        }
        let recipients = alert.children_named("recipient");
        for element in std::iter::once(alert).chain(recipients) {
            let own = scheduler::named_values(document, element, "meta_attributes", now_s);
            if let Some(text) = own.get("timeout").filter(|t| timeout_ms(t).is_none()) {
                problems.push(format!(
                    "alert {id}: timeout '{text}' is no time: {DEFAULT_TIMEOUT_MS} ms are taken; write a number \
                     with a unit, like 30s"
                ));
            }
            let parameters =
                scheduler::named_values(document, element, "instance_attributes", now_s);
            for name in parameters.keys().filter(|n| !is_variable(n)) {
                problems.push(format!(
                    "alert {id}: '{name}' cannot be the name of an environment variable: it is left out"
                ));
            }
        }
    }
    problems
}

fn alerts(document: &Element) -> impl Iterator<Item = &Element> {
    let section = document
        .child("configuration")
        .and_then(|c| c.child("alerts"));
    section.into_iter().flat_map(|s| s.children_named("alert"))
}

/// A probe that found what was expected is nothing to be told of.
fn is_expected_probe(event: &Event) -> bool {
    matches!(event, Event::Resource { operation, interval_ms: 0, target_rc, outcome, .. }
        if operation == "monitor" && effective_rc(outcome) == *target_rc)
}

/// Whether an alert is for events like this; without a choice it is for all but attributes.
fn selects(alert: &Element, event: &Event) -> bool {
    let select = alert
        .child("select")
        .filter(|s| s.children().next().is_some());
    let (wanted, usual) = match event {
        Event::Node { .. } => ("select_nodes", true),
        Event::Fencing { .. } => ("select_fencing", true),
        Event::Resource { .. } => ("select_resources", true),
        Event::Attribute { .. } => ("select_attributes", false),
    };
    let Some(select) = select else {
        return usual;
    };
    match (select.child(wanted), event) {
        (Some(chosen), Event::Attribute { name, .. }) => {
            let mut names = chosen.children_named("attribute").peekable();
            names.peek().is_none() || names.any(|a| a.attr("name") == Some(name))
        }
        (chosen, _) => chosen.is_some(),
    }
}

/// How an agent is called for one recipient.
struct Settings {
    recipient: Option<String>,
    timeout_ms: u64,
    timestamp_format: String,
    parameters: BTreeMap<String, String>,
}

impl Settings {
    /// One for each recipient, or a single one without; none where the alert is switched off.
    fn of(document: &Element, alert: &Element, now_s: i64) -> Vec<Self> {
        let read =
            |element: &Element, kind: &str| scheduler::named_values(document, element, kind, now_s);
        let meta = read(alert, "meta_attributes");
        let parameters = read(alert, "instance_attributes");
        if !is_enabled(&meta) {
            return Vec::new();
        }
        let mut recipients = alert.children_named("recipient").peekable();
        if recipients.peek().is_none() {
            return vec![Self::new(None, &meta, parameters)];
        }
        let for_recipient = |element: &Element| {
            let (mut meta, mut parameters) = (meta.clone(), parameters.clone());
            meta.extend(read(element, "meta_attributes"));
            parameters.extend(read(element, "instance_attributes"));
            let value = element.attr("value").unwrap_or_default();
            is_enabled(&meta).then(|| Self::new(Some(value.to_owned()), &meta, parameters))
        };
        recipients.filter_map(for_recipient).collect()
    }

    fn new(
        recipient: Option<String>,
        meta: &BTreeMap<String, String>,
        mut parameters: BTreeMap<String, String>,
    ) -> Self {
        parameters.retain(|name, _| is_variable(name));
        let format = meta.get("timestamp-format").filter(|f| !f.is_empty());
        Self {
            recipient,
            timeout_ms: meta
                .get("timeout")
                .and_then(|t| timeout_ms(t))
                .unwrap_or(DEFAULT_TIMEOUT_MS),
            timestamp_format: format.map_or_else(|| DEFAULT_FORMAT.to_owned(), Clone::clone),
            parameters,
        }
    }
}

fn is_enabled(meta: &BTreeMap<String, String>) -> bool {
    meta.get("enabled").is_none_or(|v| evaluate::is_true(v))
}

fn timeout_ms(text: &str) -> Option<u64> {
    duration_ms(text).filter(|ms| *ms > 0)
}

/// Whether the system lets a variable have that name.
fn is_variable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

/// The variables that describe the event.
fn about(event: &Event) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let mut say = |name: &str, value: String| {
        variables.insert(format!("CRM_alert_{name}"), value);
    };
    match event {
        Event::Node { node, id, member } => {
            say("kind", "node".to_owned());
            say("node", node.to_string());
            say("nodeid", id.clone());
            let state = if *member { "member" } else { "lost" };
            say("desc", state.to_owned());
        }
        Event::Fencing {
            target,
            action,
            result,
            ..
        } => {
            say("kind", "fencing".to_owned());
            say("node", target.to_string());
            say("task", action.clone());
            say("desc", fencing_words(event));
            let rc = if result.is_ok() { 0 } else { words::FAILED };
            say("rc", rc.to_string());
        }
        Event::Resource {
            node,
            resource,
            operation,
            interval_ms,
            target_rc,
            outcome,
        } => {
            say("kind", "resource".to_owned());
            say("node", node.to_string());
            say("rsc", resource.clone());
            say("task", operation.clone());
            say("interval", interval_ms.to_string());
            say("target_rc", target_rc.to_string());
            say("rc", effective_rc(outcome).to_string());
            say("status", status_code(outcome.status).to_string());
            say("exec_time", outcome.exec_ms.to_string());
            let desc = match outcome.status {
                ExecStatus::Done => words::exit_code(outcome.rc),
                status => words::status(status),
            };
            say("desc", desc.to_owned());
        }
        Event::Attribute {
            node,
            id,
            name,
            value,
        } => {
            say("kind", "attribute".to_owned());
            say("node", node.to_string());
            say("nodeid", id.clone());
            say("attribute_name", name.clone());
            say("attribute_value", value.clone().unwrap_or_default());
        }
    }
    variables
}

fn fencing_words(event: &Event) -> String {
    let Event::Fencing {
        target,
        action,
        origin,
        device,
        by,
        result,
    } = event
    else {
        return String::new();
    };
    let mut text = format!("{action} of {target}");
    // Writing to a string does not fail.
    if let Some(by) = by {
        let _ = write!(text, " by {by}");
    }
    if !device.is_empty() {
        let _ = write!(text, " with {device}");
    }
    let _ = write!(text, " for {origin}: ");
    match result {
        Ok(grade) => {
            let _ = write!(text, "OK ({})", words::grade(*grade));
        }
        Err(reason) => {
            let _ = write!(text, "failed: {reason}");
        }
    }
    text
}

#[cfg(test)]
mod tests;

//! The answers in words and in XML.

use cib::Element;
use crmd_core::state::FenceRecord;
use jiff::{Timestamp, tz::TimeZone};
use proto::fencing::{Device, FenceReply, HistoryEntry};
use std::fmt::Write;

/// Version of the XML output's schema that this follows (Pacemaker 3.0's).
const API_VERSION: &str = "2.38";

/// What a command found out.
#[derive(Debug)]
pub(super) enum Shown {
    /// Devices of the configuration.
    Devices(Vec<Device>),
    /// Names under a title.
    Names {
        title: &'static str,
        names: Vec<String>,
    },
    /// Whether a device works.
    Checked {
        device: String,
        problem: Option<String>,
    },
    /// An operation.
    Fenced {
        action: &'static str,
        target: String,
        reply: FenceReply,
    },
    /// What was fenced; not `complete`: as far as this node alone knows.
    History { events: Vec<Event>, complete: bool },
    /// As it is.
    Text(String),
    /// Something is not there.
    Missing(String),
}

/// One operation of the history.
#[derive(Debug)]
pub(super) struct Event {
    action: String,
    target: String,
    /// `pending`, `success`, `failed`.
    state: &'static str,
    grade: String,
    reason: String,
    device: String,
    delegate: String,
    client: String,
    at_s: i64,
}

impl From<FenceRecord> for Event {
    fn from(record: FenceRecord) -> Self {
        let (state, grade, reason) = match record.result {
            None => ("pending", String::new(), String::new()),
            Some(Ok(grade)) => ("success", word(grade), String::new()),
            Some(Err(reason)) => ("failed", String::new(), reason),
        };
        Self {
            action: record.action,
            target: record.target.to_string(),
            state,
            grade,
            reason,
            device: record.device,
            delegate: record.by.map(|n| n.to_string()).unwrap_or_default(),
            client: record.origin,
            at_s: record.at_s,
        }
    }
}

impl From<HistoryEntry> for Event {
    fn from(entry: HistoryEntry) -> Self {
        Self {
            action: entry.action,
            target: entry.target,
            state: match entry.state.as_str() {
                "done" => "success",
                "pending" => "pending",
                _ => "failed",
            },
            grade: entry.grade,
            reason: entry.reason,
            device: entry.device,
            delegate: entry.by_node,
            client: entry.origin,
            at_s: entry.at,
        }
    }
}

fn word(grade: crmd_core::entry::Grade) -> String {
    match serde_json::to_value(grade) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

impl Shown {
    /// In words.
    pub(super) fn text(&self, verbose: bool) -> String {
        match self {
            Self::Devices(devices) => {
                let lines = devices.iter().map(|d| match verbose {
                    true => device_line(d),
                    false => d.id.clone(),
                });
                counted(lines.collect(), "fence device")
            }
            Self::Names { names, .. } => counted(names.clone(), "fence device"),
            Self::Checked { device, problem } => match problem {
                None => format!("{device} works\n"),
                Some(problem) => format!("{device} does not work: {problem}\n"),
            },
            Self::Fenced {
                action,
                target,
                reply,
            } => outcome(action, target, reply),
            Self::History { events, complete } => history(events, *complete),
            Self::Text(text) => text.clone(),
            Self::Missing(reason) => format!("{reason}\n"),
        }
    }

    fn element(&self) -> Option<Element> {
        Some(match self {
            Self::Devices(devices) => {
                let names = devices.iter().map(|d| d.id.as_str());
                list("Registered fence devices", names.collect())
            }
            Self::Names { title, names } => list(title, names.iter().map(String::as_str).collect()),
            Self::Checked { device, problem } => Element::new("fence-device")
                .with_attr("id", device)
                .with_attr("works", problem.is_none().to_string())
                .with_attr("reason", problem.clone().unwrap_or_default()),
            Self::Fenced {
                action,
                target,
                reply,
            } => Element::new("fence-result")
                .with_attr("target", target)
                .with_attr("action", action)
                .with_attr("done", reply.done.to_string())
                .with_attr("grade", &reply.grade)
                .with_attr("device", &reply.device)
                .with_attr("delegate", &reply.by_node)
                .with_attr("reason", &reply.reason),
            Self::History { events, .. } => {
                events.iter().fold(Element::new("fence_history"), |all, e| {
                    all.with_child(event_element(e))
                })
            }
            Self::Text(_) | Self::Missing(_) => return None,
        })
    }
}

/// The whole answer in XML.
pub(super) fn xml(command_line: &str, shown: Option<&Shown>, code: u8, problem: &str) -> String {
    let mut result = Element::new("pacemaker-result")
        .with_attr("api-version", API_VERSION)
        .with_attr("request", command_line);
    if let Some(element) = shown.and_then(Shown::element) {
        result = result.with_child(element);
    }
    let mut status = Element::new("status")
        .with_attr("code", code.to_string())
        .with_attr("message", if code == 0 { "OK" } else { "Error occurred" });
    let errors = match shown {
        Some(Shown::Fenced { reply, .. }) if !reply.done => reply.reason.as_str(),
        Some(Shown::Missing(reason)) => reason,
        _ => problem,
    };
    if !errors.is_empty() {
        let error = Element::new("error").with_attr("text", errors);
        status = status.with_child(Element::new("errors").with_child(error));
    }
    format!("{}\n", result.with_child(status).to_xml().trim_end())
}

fn list(title: &str, names: Vec<&str>) -> Element {
    let empty = Element::new("list")
        .with_attr("name", title)
        .with_attr("count", names.len().to_string());
    names.into_iter().fold(empty, |all, name| {
        all.with_child(Element::new("item").with_attr("name", name))
    })
}

fn counted(lines: Vec<String>, what: &str) -> String {
    let mut text = String::new();
    for line in &lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, " {line}");
    }
    let _ = match lines.len() {
        0 => writeln!(text, "No {what}s found"),
        1 => writeln!(text, "1 {what} found"),
        n => writeln!(text, "{n} {what}s found"),
    };
    text
}

fn device_line(device: &Device) -> String {
    let targets = match device.targets.is_empty() {
        true => "not known".to_owned(),
        false => device.targets.join(" "),
    };
    let here = match device.runs_here {
        true => "used here",
        false => "not used here",
    };
    format!(
        "{} ({}), {here}, targets: {targets}",
        device.id, device.plugin
    )
}

fn outcome(action: &str, target: &str, reply: &FenceReply) -> String {
    if !reply.done {
        return format!("{action} of {target} failed: {}\n", reply.reason);
    }
    if action == "confirm" {
        return format!("{target} counts as down because a person says so\n");
    }
    let by = match reply.by_node.as_str() {
        "" => String::new(),
        node => format!(" by {node}"),
    };
    let device = match reply.device.as_str() {
        "" => String::new(),
        device => format!(" with {device}"),
    };
    format!("{action} of {target} done{by}{device}: {}\n", reply.grade)
}

fn history(events: &[Event], complete: bool) -> String {
    let mut text = String::new();
    for e in events {
        let _ = writeln!(text, "{}", event_line(e));
    }
    let _ = match events.len() {
        0 => writeln!(text, "No fencing events found"),
        1 => writeln!(text, "1 event found"),
        n => writeln!(text, "{n} events found"),
    };
    if !complete {
        let _ = writeln!(text, "(only what this node knows: crmd does not answer)");
    }
    text
}

fn event_line(e: &Event) -> String {
    let delegate = match (e.delegate.as_str(), e.device.as_str()) {
        ("", "") => String::new(),
        (node, "") => format!("delegate={node}, "),
        (node, device) => format!("delegate={node}, device={device}, "),
    };
    let (head, key) = match e.state {
        "success" => (format!("successful ({})", e.grade), "completed"),
        "pending" => ("pending".to_owned(), "started"),
        _ => (format!("failed [{}]", e.reason), "failed"),
    };
    let more = match (e.state, e.reason.as_str()) {
        ("success", reason) if !reason.is_empty() => format!(", {reason}"),
        _ => String::new(),
    };
    format!(
        "{} of {} {head}: {delegate}client={}, {key}='{}'{more}",
        e.action,
        e.target,
        e.client,
        time(e.at_s)
    )
}

fn event_element(e: &Event) -> Element {
    Element::new("fence_event")
        .with_attr("action", &e.action)
        .with_attr("target", &e.target)
        .with_attr("client", &e.client)
        .with_attr("delegate", &e.delegate)
        .with_attr("device", &e.device)
        .with_attr("status", e.state)
        .with_attr("grade", &e.grade)
        .with_attr("exit-reason", &e.reason)
        .with_attr("completed", time(e.at_s))
}

fn time(at_s: i64) -> String {
    match Timestamp::from_second(at_s) {
        Ok(at) => at
            .to_zoned(TimeZone::system())
            .strftime("%F %T %:z")
            .to_string(),
        Err(_) => at_s.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(done: bool) -> FenceReply {
        FenceReply {
            done,
            grade: "verified-off".into(),
            device: "power".into(),
            by_node: "n1".into(),
            reason: "no way".into(),
            ..FenceReply::default()
        }
    }

    #[test]
    fn the_answer_names_who_did_it_and_how_it_was_confirmed() {
        let shown = |done| Shown::Fenced {
            action: "reboot",
            target: "n2".into(),
            reply: reply(done),
        };
        assert_eq!(
            shown(true).text(false),
            "reboot of n2 done by n1 with power: verified-off\n"
        );
        assert_eq!(shown(false).text(false), "reboot of n2 failed: no way\n");
        let text = xml("stonith_admin -B n2", Some(&shown(false)), 1, "");
        let parsed = Element::parse(&text).unwrap();
        let status = parsed.child("status").unwrap();
        assert_eq!(status.attr("code"), Some("1"));
        assert!(text.contains("no way"), "{text}");
    }

    #[test]
    fn lists_are_counted() {
        let names = |n: usize| Shown::Names {
            title: "t",
            names: vec!["a".to_owned(); n],
        };
        assert_eq!(names(0).text(false), "No fence devices found\n");
        assert_eq!(names(1).text(false), " a\n1 fence device found\n");
        assert_eq!(names(2).text(false), " a\n a\n2 fence devices found\n");
    }

    #[test]
    fn history_tells_how() {
        let event = Event::from(HistoryEntry {
            target: "n2".into(),
            action: "off".into(),
            state: "done".into(),
            grade: "verified-off".into(),
            by_node: "n1".into(),
            device: "power".into(),
            origin: "crmd".into(),
            ..HistoryEntry::default()
        });
        let line = event_line(&event);
        assert!(
            line.starts_with("off of n2 successful (verified-off): delegate=n1, device=power, client=crmd, completed='1970-01-01"),
            "{line}"
        );
    }
}

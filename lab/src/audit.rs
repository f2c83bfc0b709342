//! Was anything ever active twice? Told from the events of the audited agents and of the power switches,
//! after the fact and without asking any daemon of the cluster.

use crate::events::Event;
use serde::Serialize;
use std::collections::BTreeMap;

/// What the audit found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verdict {
    /// Every time at which a resource was active twice, in words.
    pub doubles: Vec<String>,
    /// Resources active at the end: resource to node.
    pub active: BTreeMap<String, String>,
    /// How many starts were seen.
    pub starts: usize,
}

/// One service that runs.
#[derive(Clone, Debug, PartialEq)]
struct Running {
    node: String,
    life: u64,
    pid: u32,
}

/// Goes through both logs in the order of time.
pub fn judge(audit: &[Event], lab: &[Event]) -> Verdict {
    let mut all: Vec<&Event> = audit.iter().chain(lab).collect();
    all.sort_by(|a, b| a.at.boottime_ms.total_cmp(&b.at.boottime_ms));
    let mut running: BTreeMap<String, Vec<Running>> = BTreeMap::new();
    let mut verdict = Verdict::default();
    for event in all {
        match event.event.as_str() {
            "start" | "double" => begin(
                event,
                running.entry(event.resource.clone()).or_default(),
                &mut verdict,
            ),
            "stop" | "stopped" => end(event, running.get_mut(&event.resource)),
            "monitor-failed" => end_on_node(event, running.get_mut(&event.resource)),
            // The lab has seen that nothing of the node is left.
            "crashed" | "fence-done" | "boot" => {
                for services in running.values_mut() {
                    end_on_node(event, Some(services));
                }
            }
            _ => {}
        }
    }
    verdict.active = running
        .into_iter()
        .filter_map(|(resource, services)| Some((resource, services.last()?.node.clone())))
        .collect();
    verdict
}

fn begin(event: &Event, services: &mut Vec<Running>, verdict: &mut Verdict) {
    // A service that died without a word (its lock was free) is not one that runs.
    if event.event == "start" {
        services.retain(|other| other.node != event.node);
    }
    verdict.starts += 1;
    let other = services
        .first()
        .map(|o| format!("{} (life {}, process {})", o.node, o.life, o.pid));
    if event.event == "double" || other.is_some() {
        verdict.doubles.push(format!(
            "{} started on {} (life {}, process {}) at {:.3} ms while active on {}",
            event.resource,
            event.node,
            event.life,
            event.pid,
            event.at.boottime_ms,
            other.unwrap_or_else(|| event.detail.clone()),
        ));
    }
    services.push(Running {
        node: event.node.clone(),
        life: event.life,
        pid: event.pid,
    });
}

fn end(event: &Event, services: Option<&mut Vec<Running>>) {
    if let Some(services) = services {
        services.retain(|s| !(s.node == event.node && s.life == event.life && s.pid == event.pid));
    }
}

fn end_on_node(event: &Event, services: Option<&mut Vec<Running>>) {
    if let Some(services) = services {
        services.retain(|s| s.node != event.node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;

    fn at(boottime_ms: f64, event: &str, node: &str, pid: u32) -> Event {
        Event {
            at: Moment {
                boottime_ms,
                wall_ms: 0,
            },
            event: event.into(),
            node: node.into(),
            life: 1,
            resource: "web".into(),
            pid,
            detail: String::new(),
        }
    }

    #[test]
    fn one_after_another_is_right() {
        let audit = [
            at(1.0, "start", "a", 7),
            at(2.0, "stop", "a", 7),
            at(3.0, "start", "b", 9),
        ];
        let verdict = judge(&audit, &[]);
        assert_eq!(verdict.doubles, Vec::<String>::new());
        assert_eq!(verdict.active.get("web").map(String::as_str), Some("b"));
    }

    #[test]
    fn a_start_before_the_stop_is_double() {
        let audit = [
            at(1.0, "start", "a", 7),
            at(2.0, "start", "b", 9),
            at(3.0, "stop", "a", 7),
        ];
        assert_eq!(judge(&audit, &[]).doubles.len(), 1);
    }

    #[test]
    fn a_held_lock_is_double() {
        let audit = [at(1.0, "start", "a", 7), at(2.0, "double", "b", 9)];
        let doubles = judge(&audit, &[]).doubles;
        assert_eq!(doubles.len(), 1);
        assert!(
            doubles.iter().all(|d| d.contains("web started on b")),
            "{doubles:?}"
        );
    }

    #[test]
    fn nothing_outlives_its_node() {
        let audit = [at(1.0, "start", "a", 7), at(3.0, "start", "b", 9)];
        assert_eq!(
            judge(&audit, &[at(2.0, "crashed", "a", 0)]).doubles,
            Vec::<String>::new()
        );
        assert_eq!(
            judge(&audit, &[at(4.0, "crashed", "a", 0)]).doubles.len(),
            1
        );
    }

    #[test]
    fn a_restart_after_a_crash_of_the_service_is_right() {
        let audit = [
            at(1.0, "start", "a", 7),
            at(2.0, "start", "a", 8),
            at(3.0, "stop", "a", 8),
        ];
        let verdict = judge(&audit, &[]);
        assert_eq!((verdict.doubles.len(), verdict.active.len()), (0, 0));
    }
}

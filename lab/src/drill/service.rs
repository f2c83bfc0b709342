//! resource-crash: the service of a resource dies.

use super::{Before, report::Run};
use crate::{clock::Moment, error::LabError};
use std::time::Duration;

/// What must hold.
pub(super) const EXPECTATIONS: [&str; 3] = [
    "the monitor notices, and the resource is started again on the same node",
    "no other resource is started or stopped",
    "nobody is fenced",
];

pub(super) fn play(before: &mut Before<'_>) -> Result<Run, LabError> {
    let (resource, node) = (before.resource.clone(), before.node.clone());
    let pid = before.cluster.last_start(&resource)?.pid.to_string();
    let began = Moment::now().boottime_ms;
    before
        .lab()
        .exec(&node, &["kill", "-KILL", &pid], Duration::from_secs(5))?;
    let noticed = before.wait_audit("the failed monitor", |e| {
        e.event == "monitor-failed" && e.resource == resource
    })?;
    let started = before.wait_audit("the restart", |e| {
        e.event == "started" && e.resource == resource && e.at.boottime_ms > noticed.at.boottime_ms
    })?;
    before.cluster.settle()?;
    let mut run = before.run()?;
    before.cluster.cleanup(&resource)?;
    run.began_ms = began;
    run.span(
        "recovery_ms",
        noticed.at.boottime_ms,
        started.at.boottime_ms,
    );
    run.span("downtime_ms", began, started.at.boottime_ms);
    run.downtime_ms
        .insert(resource.clone(), started.at.boottime_ms - began);
    run.expect(started.node == node, || {
        format!("{resource} was started on {}", started.node)
    });
    let strangers = before.strangers(|e| e.resource == resource)?;
    run.expect(strangers.is_empty(), || {
        format!("not concerned, but: {}", strangers.join(", "))
    });
    let fenced = before.fenced()?;
    run.expect(fenced.is_empty(), || {
        format!("fenced: {}", fenced.join(", "))
    });
    Ok(run)
}

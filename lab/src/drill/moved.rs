//! planned-move: a location constraint takes a resource to another node.

use super::{Before, report::Run};
use crate::{clock::Moment, error::LabError};

/// What must hold.
pub(super) const EXPECTATIONS: [&str; 4] = [
    "the resource stops where it ran, then starts on the wanted node",
    "no other resource is started or stopped",
    "nobody is fenced",
    "it stays there when the constraint is removed",
];

pub(super) fn play(before: &mut Before<'_>) -> Result<Run, LabError> {
    let (resource, from) = (before.resource.clone(), before.node.clone());
    let nodes = &before.lab().spec().nodes;
    let Some(to) = nodes
        .iter()
        .cycle()
        .skip_while(|n| **n != from)
        .nth(1)
        .filter(|n| **n != from)
        .cloned()
    else {
        return Err(LabError::Said(
            "a resource cannot move in a cluster of one node".into(),
        ));
    };
    let id = format!("drill-{resource}");
    let constraint =
        format!(r#"<rsc_location id="{id}" rsc="{resource}" node="{to}" score="INFINITY"/>"#);
    let coordinator = before.cluster.coordinator()?;
    let began = Moment::now().boottime_ms;
    coordinator.change("create", "constraints", &constraint, super::EFFECT_LIMIT)?;
    let started = before.wait_audit(&format!("the start of {resource} on {to}"), |e| {
        e.event == "started" && e.resource == resource && e.node == to
    });
    before.cluster.change(
        "delete",
        "constraints",
        &format!(r#"<rsc_location id="{id}"/>"#),
    )?;
    let started = started?;
    let active = before.cluster.settle()?;
    let mut run = before.run()?;
    run.began_ms = began;
    let stop = run
        .events
        .iter()
        .find(|e| e.event == "stop" && e.resource == resource)
        .map(|e| e.at.boottime_ms);
    run.span("move_ms", began, started.at.boottime_ms);
    run.expect(stop.is_some_and(|s| s < started.at.boottime_ms), || {
        format!("{resource} was not stopped first")
    });
    if let Some(stop) = stop {
        run.span("downtime_ms", stop, started.at.boottime_ms);
        run.downtime_ms
            .insert(resource.clone(), started.at.boottime_ms - stop);
    }
    let strangers = before.strangers(|e| e.resource == resource)?;
    run.expect(strangers.is_empty(), || {
        format!("not concerned, but: {}", strangers.join(", "))
    });
    let fenced = before.fenced()?;
    run.expect(fenced.is_empty(), || {
        format!("fenced: {}", fenced.join(", "))
    });
    let now = active.get(&resource).cloned().unwrap_or_default();
    run.expect(now == to, || format!("{resource} went on to {now}"));
    Ok(run)
}

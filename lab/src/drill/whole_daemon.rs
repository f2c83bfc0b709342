//! daemon-crash: crmd is killed on the node that runs a resource. A crash of a daemon is not an outage.

use super::{Before, EFFECT_LIMIT, POLL, report::Run};
use crate::{clock::Moment, error::LabError, layout::IN_NODE_SHARED, remote::Lab, wait::wait_for};
use std::{fs, time::Duration};

/// What must hold.
pub(super) const EXPECTATIONS: [&str; 4] = [
    "the service keeps running: the same process",
    "nothing is started or stopped anywhere",
    "nobody is fenced",
    "crmd comes back, is a member, and monitors again",
];

const TOOL_LIMIT: Duration = Duration::from_secs(5);

pub(super) fn play(before: &mut Before<'_>) -> Result<Run, LabError> {
    let (resource, node) = (before.resource.clone(), before.node.clone());
    let start = before.cluster.last_start(&resource)?;
    let incarnation = incarnation(before, &node)?;
    let began = Moment::now().boottime_ms;
    let program = format!("{IN_NODE_SHARED}/bin/systole");
    let killed = before.lab().exec(
        &node,
        &[&program, "lab", "crash-program", "crmd"],
        TOOL_LIMIT,
    )?;
    if killed.code != 0 {
        return Err(LabError::Said(format!(
            "crmd of {node} could not be killed: {}",
            killed.text.trim()
        )));
    }
    let mut run = Run::default();
    let back = wait_for(
        &format!("crmd of {node} back as a member"),
        EFFECT_LIMIT,
        POLL * 5,
        || Ok((self::incarnation(before, &node)? > incarnation).then(|| Moment::now().boottime_ms)),
    )?;
    let monitored = wait_for("monitors on again", EFFECT_LIMIT, POLL, || {
        Ok(last_look(before.lab(), &node, &resource).filter(|at| *at > back))
    })?;
    before.cluster.settle()?;
    run = Run {
        began_ms: began,
        broken: run.broken,
        ..before.run()?
    };
    run.span("return_ms", began, back);
    run.span("monitored_again_ms", began, monitored);
    let alive = before
        .lab()
        .exec(&node, &["kill", "-0", &start.pid.to_string()], TOOL_LIMIT)?
        .code
        == 0;
    let last = before.cluster.last_start(&resource)?;
    run.expect(alive && last == start, || {
        format!("{resource} is not the process {} any more", start.pid)
    });
    let strangers = before.strangers(|_| false)?;
    run.expect(strangers.is_empty(), || strangers.join(", "));
    let fenced = before.fenced()?;
    run.expect(fenced.is_empty(), || {
        format!("fenced: {}", fenced.join(", "))
    });
    run.downtime_ms.insert(resource, 0.0);
    Ok(run)
}

/// The run of a member's daemon, as the coordinator sees it, if it is online.
fn incarnation(before: &Before<'_>, node: &str) -> Result<u64, LabError> {
    let view = before.cluster.view()?;
    let member = view
        .members
        .iter()
        .find(|m| &*m.node == node && m.state == "online");
    Ok(member.map_or(0, |m| m.incarnation))
}

/// When a resource was last monitored, on the clock of the events: the agent leaves a trace.
fn last_look(lab: &Lab, node: &str, resource: &str) -> Option<f64> {
    let trace = lab
        .layout()
        .run(node)
        .join(format!("resource-agents/Audited-{resource}.monitored"));
    let age = fs::metadata(trace).ok()?.modified().ok()?.elapsed().ok()?;
    Some(Moment::now().boottime_ms - age.as_secs_f64() * 1000.0)
}

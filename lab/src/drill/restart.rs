//! full-restart: the power of all nodes fails at once and comes back.

use super::{Before, EFFECT_LIMIT, POLL, REJOIN_LIMIT, at_once, report::Run};
use crate::{clock::Moment, error::LabError, events::Event, remote::Lab, wait::wait_for};

/// What must hold.
pub(super) const EXPECTATIONS: [&str; 4] = [
    "every resource runs again, each once",
    "the configuration is what it was",
    "nobody is fenced",
    "all nodes are members",
];

pub(super) fn play(before: &mut Before<'_>) -> Result<Run, LabError> {
    let configuration = configuration(before)?;
    let nodes = &before.lab().spec().nodes;
    let began = Moment::now().boottime_ms;
    at_once(nodes, |node| before.lab().silence(node))?;
    at_once(nodes, |node| switch(before.lab(), node))?;
    let on = Moment::now().boottime_ms;
    let resources: Vec<&String> = before.active.keys().collect();
    let starts = resources
        .iter()
        .map(|resource| {
            wait_for(
                &format!("the start of {resource}"),
                REJOIN_LIMIT,
                POLL,
                || {
                    let audit = before.audit()?;
                    let mut starts = audit.into_iter().filter(|e| e.at.boottime_ms > on);
                    Ok(starts.find(|e| e.event == "started" && e.resource == **resource))
                },
            )
        })
        .collect::<Result<Vec<Event>, _>>()?;
    let active = before.cluster.settle()?;
    let mut run = Run {
        began_ms: began,
        ..before.run()?
    };
    let last = starts.iter().map(|e| e.at.boottime_ms).fold(on, f64::max);
    run.span("power_on_to_served_ms", on, last);
    run.span("failover_ms", began, last);
    for start in &starts {
        run.downtime_ms
            .insert(start.resource.clone(), start.at.boottime_ms - began);
    }
    run.expect(active.len() >= before.active.len(), || {
        format!("active afterwards: {}", active.len())
    });
    let now = self::configuration(before)?;
    run.expect(now == configuration, || {
        "the configuration is not what it was".into()
    });
    let fenced = by_others(before)?;
    run.expect(fenced.is_empty(), || {
        format!("fenced: {}", fenced.join(", "))
    });
    Ok(run)
}

/// Off, which the operator may, and on again.
fn switch(lab: &Lab, node: &str) -> Result<(), LabError> {
    lab.off(node)?;
    lab.on(node)
}

fn configuration(before: &Before<'_>) -> Result<String, LabError> {
    let cib = before.cluster.coordinator()?.cib(EFFECT_LIMIT)?;
    Ok(cib
        .child("configuration")
        .map(cib::Element::to_xml)
        .unwrap_or_default())
}

/// Nodes that were fenced by the cluster.
fn by_others(before: &Before<'_>) -> Result<Vec<String>, LabError> {
    let power = before.power()?.into_iter();
    let requests = power.filter(|e| e.event == "fence-request" && e.detail != "by operator");
    Ok(requests.map(|e| e.node).collect())
}

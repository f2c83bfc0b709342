//! node-crash: SIGKILL for everything on the node that runs a resource.

use super::{Before, EFFECT_LIMIT, POLL, REJOIN_LIMIT, report::Run};
use crate::{clock::Moment, error::LabError, events::Event, wait::wait_for};
use std::time::Duration;

/// What must hold.
pub(super) const EXPECTATIONS: [&str; 5] = [
    "the node is fenced, and its resources start elsewhere only after that is proven",
    "every resource of the node starts on another one",
    "no other resource is started or stopped",
    "no other node is fenced",
    "the node comes back as a member",
];

pub(super) fn play(before: &mut Before<'_>) -> Result<Run, LabError> {
    let victim = before.node.clone();
    let moving: Vec<String> = before
        .active
        .iter()
        .filter(|(_, n)| **n == victim)
        .map(|(r, _)| r.clone())
        .collect();
    let began = Moment::now().boottime_ms;
    before.lab().kill(&victim)?;
    let recovered = |resource: &String| {
        before.wait_audit(&format!("the start of {resource} elsewhere"), |e| {
            e.event == "started" && e.resource == *resource && e.node != victim
        })
    };
    let starts = moving
        .iter()
        .map(recovered)
        .collect::<Result<Vec<Event>, _>>()?;
    let rejoined = rejoin(before, &victim);
    let mut run = before.run()?;
    run.began_ms = began;
    if let Ok(back) = &rejoined {
        run.events.push(back.clone());
        run.events
            .sort_by(|a, b| a.at.boottime_ms.total_cmp(&b.at.boottime_ms));
    }
    measure(&mut run, &victim, &starts);
    check(before, &mut run, &victim, &moving)?;
    run.expect(rejoined.is_ok(), || {
        rejoined
            .as_ref()
            .err()
            .map(ToString::to_string)
            .unwrap_or_default()
    });
    Ok(run)
}

/// The moment at which the node is a member again.
fn rejoin(before: &Before<'_>, victim: &str) -> Result<Event, LabError> {
    wait_for("the power of the node on again", EFFECT_LIMIT, POLL, || {
        Ok(before
            .power()?
            .iter()
            .any(|e| e.event == "boot" && e.node == victim)
            .then_some(()))
    })?;
    wait_for(
        &format!("{victim} a member again"),
        REJOIN_LIMIT,
        Duration::from_millis(20),
        || {
            let view = before.cluster.view()?;
            let member = view
                .members
                .iter()
                .find(|m| &*m.node == victim && m.state == "online");
            Ok(member.map(|m| Event::now("member").node(victim, m.life)))
        },
    )
}

fn moment(run: &Run, event: &str, node: &str) -> Option<f64> {
    run.events
        .iter()
        .find(|e| e.event == event && e.node == node)
        .map(|e| e.at.boottime_ms)
}

fn measure(run: &mut Run, victim: &str, starts: &[Event]) {
    let began = run.began_ms;
    let asked = moment(run, "fence-request", victim).unwrap_or(began);
    let fenced = moment(run, "fence-done", victim).unwrap_or(asked);
    let last = starts
        .iter()
        .map(|e| e.at.boottime_ms)
        .fold(fenced, f64::max);
    run.span("detection_ms", began, asked);
    run.span("fencing_ms", asked, fenced);
    run.span("start_ms", fenced, last);
    run.span("failover_ms", began, last);
    for start in starts {
        run.downtime_ms
            .insert(start.resource.clone(), start.at.boottime_ms - began);
    }
}

fn check(
    before: &Before<'_>,
    run: &mut Run,
    victim: &str,
    moving: &[String],
) -> Result<(), LabError> {
    let fenced = moment(run, "fence-done", victim);
    run.expect(fenced.is_some(), || format!("{victim} was not fenced"));
    let proven = fenced.unwrap_or(f64::MAX);
    let early: Vec<String> = run
        .events
        .iter()
        .filter(|e| e.event == "start" && moving.contains(&e.resource) && e.at.boottime_ms < proven)
        .map(|e| format!("{} on {}", e.resource, e.node))
        .collect();
    run.expect(early.is_empty(), || {
        format!(
            "started before {victim} was proven down: {}",
            early.join(", ")
        )
    });
    let strangers = before.strangers(|e| moving.contains(&e.resource))?;
    run.expect(strangers.is_empty(), || {
        format!("not concerned, but: {}", strangers.join(", "))
    });
    let others: Vec<String> = before
        .fenced()?
        .into_iter()
        .filter(|n| n != victim)
        .collect();
    run.expect(others.is_empty(), || {
        format!("also fenced: {}", others.join(", "))
    });
    Ok(())
}

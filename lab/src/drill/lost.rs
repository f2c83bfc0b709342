//! node-crash, node-silent, partition and double-crash: nodes that run resources are lost, each in its own
//! way, and everything they ran must come back elsewhere, after they are proven down and not before.

use super::{Before, Drill, EFFECT_LIMIT, POLL, REJOIN_LIMIT, at_once, report::Run};
use crate::{clock::Moment, error::LabError, events::Event, remote::Lab, wait::wait_for};
use std::time::Duration;

/// What must hold.
pub(super) const EXPECTATIONS: [&str; 5] = [
    "the lost node is fenced, and its resources start elsewhere only after that is proven",
    "every resource it ran starts on another node",
    "no other resource is started or stopped",
    "no other node is fenced",
    "it comes back as a member",
];

pub(super) fn play(drill: Drill, before: &mut Before<'_>) -> Result<Run, LabError> {
    let victims = victims(drill, before)?;
    let moving: Vec<String> = before
        .active
        .iter()
        .filter(|(_, n)| victims.contains(n))
        .map(|(r, _)| r.clone())
        .collect();
    let began = Moment::now().boottime_ms;
    strike(drill, before.lab(), &victims)?;
    let recovered = |resource: &String| {
        before.wait_audit(&format!("the start of {resource} elsewhere"), |e| {
            e.event == "started" && e.resource == *resource && !victims.contains(&e.node)
        })
    };
    let starts = moving.iter().map(recovered).collect::<Result<Vec<_>, _>>();
    // Whatever happened: what was cut is whole again before anybody else looks at the lab.
    let fenced = fenced(before, &victims);
    if drill == Drill::Partition {
        before.lab().heal()?;
    }
    fenced?;
    let starts = starts?;
    let mut broken = Vec::new();
    let mut back = Vec::new();
    for victim in &victims {
        match rejoin(before, victim) {
            Ok(event) => back.push(event),
            Err(e) => broken.push(e.to_string()),
        }
    }
    let mut run = Run {
        began_ms: began,
        broken,
        ..before.run()?
    };
    run.events.extend(back);
    run.events
        .sort_by(|a, b| a.at.boottime_ms.total_cmp(&b.at.boottime_ms));
    measure(&mut run, &victims, &starts);
    check(before, &mut run, &victims, &moving)?;
    Ok(run)
}

/// Who is struck: the node of the resource; with double-crash the coordinator too, or another node if they
/// are the same.
fn victims(drill: Drill, before: &Before<'_>) -> Result<Vec<String>, LabError> {
    let mut victims = vec![before.node.clone()];
    if drill == Drill::DoubleCrash {
        let coordinator = before.cluster.view()?.node;
        let nodes = before.lab().spec().nodes.iter().cloned();
        let second = std::iter::once(coordinator)
            .chain(nodes)
            .find(|n| *n != before.node);
        victims.extend(second);
    }
    Ok(victims)
}

fn strike(drill: Drill, lab: &Lab, victims: &[String]) -> Result<(), LabError> {
    match drill {
        Drill::NodeSilent => victims.iter().try_for_each(|v| lab.silence(v)),
        Drill::Partition => {
            let nodes = &lab.spec().nodes;
            let others = nodes.iter().filter(|n| !victims.contains(n));
            let mut pairs = others.flat_map(|o| victims.iter().map(move |v| (v, o)));
            pairs.try_for_each(|(victim, other)| lab.cut(victim, other, true, None))
        }
        _ => at_once(victims, |v| lab.kill(v)),
    }
}

/// Waits until all of them are proven down.
fn fenced(before: &Before<'_>, victims: &[String]) -> Result<(), LabError> {
    let what = format!("the fencing of {}", victims.join(" and "));
    wait_for(&what, EFFECT_LIMIT, POLL, || {
        let power = before.power()?;
        let down = |victim: &String| {
            power
                .iter()
                .any(|e| e.event == "fence-done" && e.node == *victim)
        };
        Ok(victims.iter().all(down).then_some(()))
    })
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

/// The last moment of this kind among these nodes.
fn moment(run: &Run, event: &str, nodes: &[String]) -> Option<f64> {
    run.events
        .iter()
        .filter(|e| e.event == event && nodes.contains(&e.node))
        .map(|e| e.at.boottime_ms)
        .reduce(f64::max)
}

fn measure(run: &mut Run, victims: &[String], starts: &[Event]) {
    let began = run.began_ms;
    let asked = moment(run, "fence-request", victims).unwrap_or(began);
    let fenced = moment(run, "fence-done", victims).unwrap_or(asked);
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
    victims: &[String],
    moving: &[String],
) -> Result<(), LabError> {
    for victim in victims {
        let home = |r: &String| before.active.get(r) == Some(victim);
        let fenced = moment(run, "fence-done", std::slice::from_ref(victim));
        run.expect(fenced.is_some(), || format!("{victim} was not fenced"));
        let proven = fenced.unwrap_or(f64::MAX);
        let early: Vec<String> = run
            .events
            .iter()
            .filter(|e| e.event == "start" && moving.contains(&e.resource) && home(&e.resource))
            .filter(|e| e.at.boottime_ms < proven)
            .map(|e| format!("{} on {}", e.resource, e.node))
            .collect();
        run.expect(early.is_empty(), || {
            format!(
                "started before {victim} was proven down: {}",
                early.join(", ")
            )
        });
    }
    let strangers = before.strangers(|e| moving.contains(&e.resource))?;
    run.expect(strangers.is_empty(), || {
        format!("not concerned, but: {}", strangers.join(", "))
    });
    let others: Vec<String> = before
        .fenced()?
        .into_iter()
        .filter(|n| !victims.contains(n))
        .collect();
    run.expect(others.is_empty(), || {
        format!("also fenced: {}", others.join(", "))
    });
    Ok(())
}

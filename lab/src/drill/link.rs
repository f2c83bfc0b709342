//! link-loss: one of two networks fails, for all nodes at once. Nobody must notice but the log.

use super::{Before, EFFECT_LIMIT, report::Run};
use crate::{clock::Moment, error::LabError, wait::wait_for};
use crmd_core::request::Request;
use std::{
    thread,
    time::{Duration, Instant},
};

/// What must hold.
pub(super) const EXPECTATIONS: [&str; 4] = [
    "no member is lost",
    "nothing is started or stopped anywhere, and nobody is fenced",
    "changes are committed all the time",
    "every daemon says which link is lost",
];

/// How long the network is away: several times what it takes to lose a silent member.
const AWAY: Duration = Duration::from_secs(6);
/// Between two changes.
const PAUSE: Duration = Duration::from_millis(100);
/// Attribute that is changed all the time.
const ATTRIBUTE: &str = "drill-link-loss";

pub(super) fn play(before: &mut Before<'_>, number: u32) -> Result<Run, LabError> {
    let link = number as usize % before.lab().spec().links;
    let began = Moment::now().boottime_ms;
    cut(before, link)?;
    let watched = watch(before);
    let silent = unsaid(before, link);
    before.lab().heal()?;
    let (longest, lost) = watched?;
    back(before)?;
    before.cluster.settle()?;
    let mut run = Run {
        began_ms: began,
        ..before.run()?
    };
    run.span("longest_commit_ms", 0.0, longest);
    run.downtime_ms.insert(before.resource.clone(), 0.0);
    run.expect(lost.is_empty(), || {
        format!("lost as members: {}", lost.join(", "))
    });
    run.expect(silent.is_empty(), || {
        format!("no word about the lost link on {}", silent.join(", "))
    });
    let strangers = before.strangers(|_| false)?;
    run.expect(strangers.is_empty(), || strangers.join(", "));
    let fenced = before.fenced()?;
    run.expect(fenced.is_empty(), || {
        format!("fenced: {}", fenced.join(", "))
    });
    Ok(run)
}

/// Cuts every pair of nodes on this link.
fn cut(before: &Before<'_>, link: usize) -> Result<(), LabError> {
    let nodes = &before.lab().spec().nodes;
    for (at, one) in nodes.iter().enumerate() {
        for other in nodes.iter().skip(at + 1) {
            before.lab().cut(one, other, true, Some(link))?;
        }
    }
    Ok(())
}

/// Changes something again and again: the longest time until it was committed, and who was ever not online.
fn watch(before: &Before<'_>) -> Result<(f64, Vec<String>), LabError> {
    let client = before.cluster.coordinator()?;
    let mut longest = Duration::ZERO;
    let mut lost = Vec::new();
    let end = Instant::now() + AWAY;
    let mut value = 0;
    while Instant::now() < end {
        value += 1;
        let request = Request::Attribute {
            node: before.node.as_str().into(),
            name: ATTRIBUTE.into(),
            value: Some(value.to_string()),
        };
        let asked = Instant::now();
        client.call(&request, EFFECT_LIMIT)?;
        longest = longest.max(asked.elapsed());
        let view = client.state(EFFECT_LIMIT)?;
        let away = view.members.iter().filter(|m| m.state != "online");
        lost.extend(away.map(|m| format!("{} ({})", m.node, m.state)));
        thread::sleep(PAUSE);
    }
    lost.dedup();
    Ok((longest.as_secs_f64() * 1000.0, lost))
}

/// Waits until every daemon says of every link that it works again: the next run cuts the other network.
fn back(before: &Before<'_>) -> Result<(), LabError> {
    wait_for("the links to work again", EFFECT_LIMIT, PAUSE, || {
        let mut nodes = before.lab().spec().nodes.iter();
        Ok(nodes.all(|n| away(before, n).is_empty()).then_some(()))
    })
}

/// Links of a node that are lost by the last word of its log.
fn away(before: &Before<'_>, node: &str) -> Vec<String> {
    let log = std::fs::read_to_string(before.lab().layout().node_log(node)).unwrap_or_default();
    let mut links = std::collections::BTreeMap::new();
    for line in log.lines() {
        let Some((_, said)) = line.split_once(" link ") else {
            continue;
        };
        if let Some((link, _)) = said.split_once(" is lost") {
            links.insert(link, true);
        } else if let Some((link, _)) = said.split_once(" works again") {
            links.insert(link, false);
        }
    }
    let lost = links.into_iter().filter(|(_, lost)| *lost);
    lost.map(|(link, _)| format!("{node}: {link}")).collect()
}

/// Nodes whose log does not name the link.
fn unsaid(before: &Before<'_>, link: usize) -> Vec<String> {
    let word = format!("link {link}");
    let said = |node: &&String| {
        let log = std::fs::read_to_string(before.lab().layout().node_log(node));
        !log.is_ok_and(|text| {
            text.lines()
                .any(|l| l.contains(&word) && l.contains("lost"))
        })
    };
    let nodes = before.lab().spec().nodes.iter();
    nodes.filter(said).cloned().collect()
}

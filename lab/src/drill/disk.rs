//! disk-full: the disk of the coordinator fills up, and has room again later.

use super::{Before, EFFECT_LIMIT, POLL, report::Run};
use crate::{clock::Moment, error::LabError, layout::IN_NODE_ROOT, wait::wait_for};
use std::{
    thread,
    time::{Duration, Instant},
};

/// What must hold.
pub(super) const EXPECTATIONS: [&str; 5] = [
    "the node says that its disk is full, and its daemon lives on",
    "the leadership moves, and changes are acknowledged again",
    "nothing is started or stopped anywhere, and nobody is fenced",
    "with room on the disk the node is in order again by itself",
    "all nodes have the same configuration in the end",
];

/// Size of each node's disk in a lab of the drill's own.
pub(super) const DISK_MIB: u32 = 64;
/// How long changes go on while the disk is full.
const FULL: Duration = Duration::from_secs(3);
/// Each change carries so much, so that the log grows.
const PAYLOAD: usize = 4 * 1024;
/// Between two changes.
const PAUSE: Duration = Duration::from_millis(20);
const TOOL_LIMIT: Duration = Duration::from_secs(20);

pub(super) fn play(before: &mut Before<'_>) -> Result<Run, LabError> {
    let victim = before.cluster.view()?.node;
    let incarnation = incarnation(before, &victim)?;
    let began = Moment::now().boottime_ms;
    let before_that = full_lines(before, &victim);
    fill(before, &victim)?;
    let changed = change_all_the_time(before);
    let said = full_lines(before, &victim) > before_that;
    let moved = before.cluster.view().map(|v| v.node != victim);
    empty(before, &victim)?;
    let longest = changed?;
    wait_for(
        &format!("the disk of {victim} in order again"),
        EFFECT_LIMIT,
        POLL * 10,
        || {
            let view = before.cluster.view()?;
            let member = view.members.iter().find(|m| *m.node == *victim);
            Ok(member.is_some_and(|m| !m.storage_failing).then_some(()))
        },
    )?;
    before.cluster.change(
        "delete",
        "crm_config",
        &format!(r#"<cluster_property_set id="{SET}"/>"#),
    )?;
    before.cluster.settle()?;
    let digests = before.cluster.same_digest();
    let mut run = Run {
        node: victim.clone(),
        began_ms: began,
        ..before.run()?
    };
    run.span("longest_commit_ms", 0.0, longest);
    run.downtime_ms.insert(before.resource.clone(), 0.0);
    run.expect(said, || {
        format!("{victim} did not say that its disk is full")
    });
    run.expect(moved?, || format!("{victim} went on leading"));
    run.expect(digests.is_ok(), || {
        digests.err().map(|e| e.to_string()).unwrap_or_default()
    });
    let now = self::incarnation(before, &victim)?;
    run.expect(now == incarnation, || {
        format!("the daemon of {victim} was restarted")
    });
    let strangers = before.strangers(|_| false)?;
    run.expect(strangers.is_empty(), || strangers.join(", "));
    let fenced = before.fenced()?;
    run.expect(fenced.is_empty(), || {
        format!("fenced: {}", fenced.join(", "))
    });
    Ok(run)
}

/// Set of options that is changed all the time.
const SET: &str = "drill-disk-full";

/// Fills the disk to the last byte.
fn fill(before: &Before<'_>, node: &str) -> Result<(), LabError> {
    let fill = format!("dd if=/dev/zero of={IN_NODE_ROOT}/var/fill bs=16k 2>/dev/null; sync; true");
    let words = ["sh", "-c", fill.as_str()];
    before.lab().exec(node, &words, TOOL_LIMIT).map(drop)
}

fn empty(before: &Before<'_>, node: &str) -> Result<(), LabError> {
    let file = format!("{IN_NODE_ROOT}/var/fill");
    before
        .lab()
        .exec(node, &["rm", "-f", &file], TOOL_LIMIT)
        .map(drop)
}

/// The longest time that a change took to be acknowledged, asked again wherever somebody leads.
fn change_all_the_time(before: &Before<'_>) -> Result<f64, LabError> {
    let payload = "x".repeat(PAYLOAD);
    let mut longest = Duration::ZERO;
    let end = Instant::now() + FULL;
    let mut number = 0;
    while Instant::now() < end {
        number += 1;
        let value = format!("{number}-{payload}");
        let xml = format!(
            r#"<cluster_property_set id="{SET}"><nvpair id="{SET}-value" name="{SET}" value="{value}"/></cluster_property_set>"#
        );
        let asked = Instant::now();
        wait_for("a change acknowledged", EFFECT_LIMIT, POLL * 5, || {
            let coordinator = before.cluster.coordinator()?;
            coordinator.modify("crm_config", &xml, TOOL_LIMIT)?;
            Ok(Some(()))
        })?;
        longest = longest.max(asked.elapsed());
        thread::sleep(PAUSE);
    }
    Ok(longest.as_secs_f64() * 1000.0)
}

/// How often a node has said so.
fn full_lines(before: &Before<'_>, node: &str) -> usize {
    let log = std::fs::read_to_string(before.lab().layout().node_log(node));
    log.map_or(0, |text| {
        text.lines().filter(|l| l.contains("is full")).count()
    })
}

/// The run of a member's daemon, as the coordinator sees it.
fn incarnation(before: &Before<'_>, node: &str) -> Result<u64, LabError> {
    let view = before.cluster.view()?;
    let member = view.members.iter().find(|m| &*m.node == node);
    Ok(member.map_or(0, |m| m.incarnation))
}

//! What is asked of the daemon's parts at a scrape, and under which names it is shown.

use super::{
    Sources,
    text::{Kind, Text},
};
use crate::{alerts::Count, driver::Event, links::LinkState, raft_control::RaftFigures};
use crmd_core::figures::Figures;
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// All figures, now; nothing: the daemon is ending.
pub(super) async fn all(sources: &Sources) -> Option<String> {
    let (reply, answer) = oneshot::channel();
    sources.events.send(Event::Figures { reply }).ok()?;
    let figures = answer.await.ok()?;
    let mut text = Text::default();
    build(&mut text);
    members(&mut text, &figures);
    resources(&mut text, &figures);
    work(&mut text, &figures);
    fencing(&mut text, &figures);
    if let Some(raft) = sources.raft.figures() {
        log(&mut text, &raft);
    }
    text.histogram(
        "systole_commit_duration_seconds",
        "Time from proposing a change on this node as the coordinator to its commit by a majority on disk.",
        sources.raft.latency(),
    );
    storage(&mut text, &figures);
    links(&mut text, &sources.links.states());
    alerts(&mut text, &sources.alerts.counts());
    Some(text.finish())
}

fn build(text: &mut Text) {
    text.figure(
        "systole_build_info",
        Kind::Gauge,
        "Version of the daemon; always 1.",
    )
    .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
}

fn members(text: &mut Text, figures: &Figures) {
    let view = &figures.view;
    text.figure(
        "systole_member",
        Kind::Gauge,
        "Members in the state this node sees them in (online, joining, daemon-down, lost, off, left, unknown); always 1.",
    );
    for member in &view.members {
        text.sample(&[("node", &member.node), ("state", &member.state)], 1);
    }
    text.figure(
        "systole_member_silence_seconds",
        Kind::Gauge,
        "Time since this node last heard a member.",
    );
    for member in view.members.iter().filter(|m| *m.node != *view.node) {
        #[allow(clippy::cast_precision_loss)] // milliseconds of a silence
        let silent_s = member.silent_ms as f64 / 1000.0;
        text.sample(&[("node", &member.node)], silent_s);
    }
    text.figure(
        "systole_member_losses_total",
        Kind::Counter,
        "How often this node saw a member lost since its daemon began.",
    )
    .sample(&[], figures.losses);
    text.figure(
        "systole_quorate",
        Kind::Gauge,
        "Whether this node is assured of a quorum.",
    )
    .sample(&[], u8::from(view.quorate));
    text.figure(
        "systole_coordinates",
        Kind::Gauge,
        "Whether this node is the coordinator (DC).",
    )
    .sample(&[], u8::from(figures.coordinates));
    text.figure(
        "systole_coordinator",
        Kind::Gauge,
        "The coordinator (DC) that this node obeys; always 1, missing without one.",
    );
    if let Some(node) = &view.coordinator {
        text.sample(&[("node", node)], 1);
    }
}

fn resources(text: &mut Text, figures: &Figures) {
    text.figure(
        "systole_resources",
        Kind::Gauge,
        "Resources by node and state (started, promoted, stopped, pending), as their histories say.",
    );
    for ((node, state), count) in &figures.resources {
        text.sample(&[("node", node), ("state", state)], count);
    }
    text.figure(
        "systole_fail_count",
        Kind::Gauge,
        "Failures of a resource on a node; 1000000 is INFINITY.",
    );
    for ((node, resource), count) in &figures.fail_counts {
        text.sample(&[("node", node), ("resource", resource)], count);
    }
}

fn work(text: &mut Text, figures: &Figures) {
    text.figure(
        "systole_operations_total",
        Kind::Counter,
        "Resource operations executed on this node since its daemon began, by result (ok, failed, timed-out, cancelled).",
    );
    for ((operation, result), executions) in &figures.operations {
        let labels = [("operation", operation.as_str()), ("result", result)];
        text.sample(&labels, executions.count);
    }
    text.figure(
        "systole_operation_duration_seconds",
        Kind::Summary,
        "Time that resource operations on this node took, by result.",
    );
    for ((operation, result), executions) in &figures.operations {
        let labels = [("operation", operation.as_str()), ("result", result)];
        #[allow(clippy::cast_precision_loss)] // milliseconds of work
        let total_s = executions.total_ms as f64 / 1000.0;
        text.summary(&labels, executions.count, total_s);
    }
    text.figure(
        "systole_transitions_total",
        Kind::Counter,
        "Transitions with something to do that this node began as the coordinator.",
    )
    .sample(&[], figures.transitions);
    text.figure(
        "systole_transition_steps_total",
        Kind::Counter,
        "Steps in those transitions.",
    )
    .sample(&[], figures.steps);
}

fn fencing(text: &mut Text, figures: &Figures) {
    text.figure(
        "systole_fencing_total",
        Kind::Counter,
        "Fencing operations of the cluster that ended since this daemon began, by action and result (confirmed, unconfirmed, failed).",
    );
    for ((action, result), count) in &figures.fencing {
        text.sample(&[("action", action), ("result", result)], count);
    }
    text.figure(
        "systole_fencing_pending",
        Kind::Gauge,
        "Fencing operations under way.",
    )
    .sample(&[], figures.fencing_pending);
}

fn log(text: &mut Text, raft: &RaftFigures) {
    text.figure("systole_raft_term", Kind::Gauge, "Raft's term.")
        .sample(&[], raft.term);
    text.figure(
        "systole_raft_last_index",
        Kind::Gauge,
        "Last index in this node's log.",
    )
    .sample(&[], raft.last_index);
    text.figure(
        "systole_raft_applied_index",
        Kind::Gauge,
        "Last index this node has applied.",
    )
    .sample(&[], raft.applied_index);
    text.figure(
        "systole_raft_snapshot_index",
        Kind::Gauge,
        "Last index in this node's newest snapshot.",
    )
    .sample(&[], raft.snapshot_index);
}

fn storage(text: &mut Text, figures: &Figures) {
    text.figure(
        "systole_storage_failing",
        Kind::Gauge,
        "Whether the disk under the log takes nothing at present.",
    )
    .sample(&[], u8::from(figures.storage_failing));
    text.figure(
        "systole_storage_stalls_total",
        Kind::Counter,
        "How often the disk under the log stalled or failed since the daemon began.",
    )
    .sample(&[], figures.storage_troubles);
}

fn links(text: &mut Text, states: &[LinkState]) {
    let label = |state: &LinkState| (state.link.to_string(), state.peer.clone());
    text.figure(
        "systole_link_up",
        Kind::Gauge,
        "Whether heartbeats over a link to a member are acknowledged.",
    );
    for state in states {
        let (link, peer) = label(state);
        text.sample(&[("peer", &peer), ("link", &link)], u8::from(state.up));
    }
    text.figure(
        "systole_link_losses_total",
        Kind::Counter,
        "How often a link to a member was lost since it was set up.",
    );
    for state in states {
        let (link, peer) = label(state);
        text.sample(&[("peer", &peer), ("link", &link)], state.losses);
    }
}

fn alerts(text: &mut Text, counts: &BTreeMap<String, Count>) {
    text.figure(
        "systole_alerts_total",
        Kind::Counter,
        "Calls of alert agents begun on this node since its daemon began, by alert.",
    );
    for (alert, count) in counts {
        text.sample(&[("alert", alert)], count.called);
    }
    text.figure(
        "systole_alerts_failed_total",
        Kind::Counter,
        "Of those: could not be run or failed (failed), were ended at their time-out (timed-out).",
    );
    for (alert, count) in counts {
        text.sample(&[("alert", alert), ("reason", "failed")], count.failed);
        text.sample(
            &[("alert", alert), ("reason", "timed-out")],
            count.timed_out,
        );
    }
    text.figure(
        "systole_alerts_dropped_total",
        Kind::Counter,
        "Calls that were not begun because too many of their alert were waiting.",
    );
    for (alert, count) in counts {
        text.sample(&[("alert", alert)], count.dropped);
    }
}

#[cfg(test)]
mod tests;

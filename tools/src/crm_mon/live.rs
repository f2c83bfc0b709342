//! What a running cluster says of itself besides its document.

use cib::Element;
use crmd_core::{
    request::{Request, Response},
    state::FenceRecord,
};
use scheduler::view::{NodeKind, View};

use super::options::Wanted;
use crate::{
    daemon::{Daemon, DaemonError},
    view::{Fencing, Live, Section},
};

/// Asks the daemon, and completes what its document cannot say.
pub(super) fn read(
    daemon: &mut Daemon,
    document: &Element,
    view: &mut View,
    wanted: &Wanted,
) -> Result<Live, DaemonError> {
    let state = daemon.state()?;
    let summary = &mut view.summary;
    summary.stack.get_or_insert_with(|| "systole".to_owned());
    summary.dc_version.get_or_insert(state.version);
    summary.quorate = state.quorate;
    if let Some(name) = &state.coordinator {
        summary.dc = view.nodes.iter().position(|n| n.name.as_str() == &**name);
    }
    features(document, view);
    Ok(Live {
        daemons: "running".to_owned(),
        node: state.node,
        fencing: fencing(daemon, wanted)?,
    })
}

/// A live document says what each node can do in its status.
fn features(document: &Element, view: &mut View) {
    let status = document.child("status");
    for node in &mut view.nodes {
        let mut states = status
            .into_iter()
            .flat_map(|s| s.children_named("node_state"));
        let state = states.find(|s| s.id() == Some(node.id.as_str()));
        let told = state.and_then(|s| s.attr("crm_feature_set"));
        if node.kind == NodeKind::Member && node.feature_set.is_some() && told.is_some() {
            node.feature_set = told.map(str::to_owned);
        }
    }
}

fn fencing(daemon: &mut Daemon, wanted: &Wanted) -> Result<Vec<Fencing>, DaemonError> {
    let sections = [
        Section::FencingFailed,
        Section::FencingPending,
        Section::FencingSucceeded,
    ];
    if !sections.iter().any(|s| wanted.show.sections.has(*s)) {
        return Ok(Vec::new());
    }
    match daemon.call(&Request::FenceHistory { target: None }, None)? {
        Response::FenceHistory(records) => {
            let mut events: Vec<Fencing> = records.into_iter().map(event).collect();
            events.sort_by_key(|e| std::cmp::Reverse(e.completed_s));
            if !wanted.every_fencing {
                newest_only(&mut events);
            }
            Ok(events)
        }
        other => Err(DaemonError::Answer(format!("{other:?}"))),
    }
}

/// Of each kind of fencing of a node, the newest.
fn newest_only(events: &mut Vec<Fencing>) {
    let mut known: Vec<(String, String, &'static str)> = Vec::new();
    events.retain(|e| {
        let kind = (e.target.clone(), e.action.clone(), e.status);
        let is_new = !known.contains(&kind);
        known.push(kind);
        is_new
    });
}

fn event(record: FenceRecord) -> Fencing {
    Fencing {
        target: record.target.to_string(),
        action: record.action,
        client: record.device,
        origin: record.origin,
        delegate: record.by.map(|n| n.to_string()).unwrap_or_default(),
        status: match record.result {
            None => "pending",
            Some(Ok(_)) => "success",
            Some(Err(_)) => "failed",
        },
        completed_s: record.at_s,
    }
}

//! Fail counts: how often a resource failed on a node, and when that is forgotten.

use std::{ops::Bound, sync::Arc};

use cib::Element;

use crate::{
    actions,
    history_ops::{Entry, base_name},
    model::{Cluster, NodeIx, OnFail, RscIx, Task, ar},
    score::{self, INFINITY},
};

/// What a node's attributes say about failures of a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FailCount {
    pub(crate) count: i32,
    pub(crate) last_s: i64,
}

/// Sums the fail counts of a resource on a node. `effective`: forget what is older than failure-timeout.
pub(crate) fn count(c: &mut Cluster, rsc: RscIx, node: NodeIx, effective: bool) -> FailCount {
    // What is in no clone shares its name with nobody, whatever number it ends with.
    let unique = c.rscs[rsc].unique || c.clone_of(rsc).is_none();
    let name = match unique {
        true => c.rscs[rsc].id.clone(),
        false => base_name(&c.rscs[rsc].id).to_owned(),
    };
    let mut out = FailCount::default();
    for (key, value) in c.nodes[node].attrs.range("fail-count-".to_owned()..) {
        let Some(rest) = key.strip_prefix("fail-count-") else {
            break;
        };
        if matches(rest, &name, unique) {
            out.count = score::add(out.count, score::parse(value).unwrap_or(0));
        }
    }
    for (key, value) in c.nodes[node].attrs.range("last-failure-".to_owned()..) {
        let Some(rest) = key.strip_prefix("last-failure-") else {
            break;
        };
        if matches(rest, &name, unique) {
            out.last_s = out.last_s.max(score::leading_integer(value).unwrap_or(0));
        }
    }
    let timeout_s = c.rscs[rsc].failure_timeout_ms / 1000;
    if effective
        && out.count > 0
        && timeout_s > 0
        && out.last_s > 0
        && !failure_blocks(c, rsc, node)
        && c.now_s > out.last_s.saturating_add(timeout_s)
    {
        out.count = 0;
    }
    out
}

/// A guest's failures count for the container with them.
pub(crate) fn count_with_fillers(c: &mut Cluster, rsc: RscIx, node: NodeIx) -> FailCount {
    let mut out = count(c, rsc, node, true);
    for filler in c.rscs[rsc].fillers.clone() {
        let more = count(c, filler, node, true);
        out.count = score::add(out.count, more.count);
        out.last_s = out.last_s.max(more.last_s);
    }
    out
}

fn matches(rest: &str, name: &str, unique: bool) -> bool {
    let Some(after) = rest.strip_prefix(name) else {
        return false;
    };
    if after.is_empty() || after.starts_with('#') {
        return true;
    }
    // Instances of an anonymous clone share their counts.
    if unique {
        return false;
    }
    after.strip_prefix(':').is_some_and(|number| {
        let digits = number.split('#').next().unwrap_or("");
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

/// Whether a failure on the node blocks the resource for good (`on-fail=block`): such counts do not expire.
fn failure_blocks(c: &mut Cluster, rsc: RscIx, node: NodeIx) -> bool {
    let ops: Arc<_> = c.rscs[rsc].ops.clone();
    let blocking: Vec<(String, u32)> = ops
        .iter()
        .filter(|op| {
            let inline = op.xml.attr("on-fail");
            inline.is_some_and(|v| v == "block")
                || inline.is_none() && op.xml.child("meta_attributes").is_some()
        })
        .map(|op| (op.name.clone(), op.interval_ms))
        .collect();
    let id = c.history_id(rsc).to_owned();
    blocking.into_iter().any(|(name, interval_ms)| {
        let task = Task::parse(&name);
        if task == Task::Other
            || actions::op_meta(c, rsc, task, interval_ms).on_fail != OnFail::Block
        {
            return false;
        }
        node_failed_op(c, node, &id, &name, interval_ms)
    })
}

fn node_failed_op(c: &Cluster, node: NodeIx, rsc: &str, name: &str, interval_ms: u32) -> bool {
    let id = c.nodes[node].id.as_str();
    let interval = interval_ms.to_string();
    c.cib
        .child("status")
        .into_iter()
        .flat_map(|s| s.children_named("node_state"))
        .filter(|s| s.id() == Some(id))
        .filter_map(|s| s.child("lrm")?.child("lrm_resources"))
        .flat_map(|r| r.children_named("lrm_resource"))
        .filter(|r| r.id() == Some(rsc))
        .flat_map(|r| r.children_named("lrm_rsc_op"))
        .any(|op| {
            op.attr("operation") == Some(name)
                && op.attr("interval").unwrap_or("0") == interval
                && entry_failed(op)
        })
}

/// Whether an entry of the history is of a failure.
pub(crate) fn entry_failed(op: &Element) -> bool {
    let target = op
        .attr("transition-key")
        .and_then(|key| key.split(':').nth(2))
        .unwrap_or("0");
    op.attr("rc-code").is_some_and(|rc| rc != target)
        || op.attr("op-status").is_some_and(|s| s != "0" && s != "-1")
}

/// Whether an operation is so old that its failure does not count any more; may ask for fail counts to be wiped.
pub(crate) fn entry_expired(c: &mut Cluster, rsc: RscIx, node: NodeIx, entry: &Entry) -> bool {
    if entry.agent_missing() {
        // Nothing changes by waiting for an agent that is not there.
        return false;
    }
    let timeout_s = c.rscs[rsc].failure_timeout_ms / 1000;
    let mut expired = false;
    let mut recent = FailCount::default();
    if let Some(at) = entry.changed_s.filter(|_| timeout_s > 0) {
        expired = c.now_s >= at.saturating_add(timeout_s) && !waits_for_fencing(c, rsc, entry);
        recent = count(c, rsc, node, true);
        let until = recent.last_s.saturating_add(timeout_s).saturating_add(1);
        if recent.count > 0 && c.now_s < until {
            c.recheck.note(c.now_s, until);
        }
    }
    let reconnects = c.rscs[rsc].remote_reconnect_ms > 0;
    let mut clear = None;
    if expired {
        if count(c, rsc, node, false).count > 0 {
            if recent.count == 0 {
                clear = Some("it expired");
            } else {
                expired = false;
            }
        } else if entry.is_last_failure() && reconnects {
            clear = Some("reconnect interval is set");
        }
    } else if matches!(entry.task, Task::Start | Task::Monitor) && entry.is_last_failure() {
        if crate::bundle::needs_remote_name(c, rsc) {
            c.compare_later.push((rsc, node, entry.xml.clone()));
        } else if crate::changes::params_changed(c, rsc, node, entry.xml) {
            clear = Some(CHANGED);
        }
    }
    if let Some(reason) = clear {
        let ix = actions::clear_failcount(c, rsc, node, reason);
        let remote = c.rscs[rsc]
            .remote_node
            .filter(|_| reconnects && c.options.fencing);
        if let Some(fence) = remote.and_then(|n| c.nodes[n].fence_action) {
            crate::ordering::order_actions(c, fence, ix, ar::ORDERED);
        }
    }
    if entry.is_probe() && matches!(entry.rc, 0 | 7 | 8 | 190 | 191) {
        expired = false;
    }
    expired
}

/// Why fail counts are wiped when a resource is not configured as it was.
const CHANGED: &str = "resource parameters have changed";

/// Compares what could not be compared before it was known where containers go.
pub(crate) fn compare_rest(c: &mut Cluster) {
    for (rsc, node, entry) in std::mem::take(&mut c.compare_later) {
        if crate::changes::params_changed(c, rsc, node, &entry) {
            actions::clear_failcount(c, rsc, node, CHANGED);
        }
    }
}

/// The failed monitor of a connection that is tried again at intervals counts until its node was fenced.
fn waits_for_fencing(c: &Cluster, rsc: RscIx, entry: &Entry) -> bool {
    let r = &c.rscs[rsc];
    let recurring = entry.task == Task::Monitor && entry.interval_ms > 0;
    recurring
        && r.remote_reconnect_ms > 0
        && c.options.fencing
        && r.remote_node.is_some_and(|n| !c.nodes[n].remote_was_fenced)
}

/// Whether a resource failed too often on a node to stay or come there.
pub(crate) fn threshold_reached(c: &mut Cluster, rsc: RscIx, node: NodeIx) -> Option<(RscIx, i32)> {
    if !has_failures(c, node) {
        return None;
    }
    if c.rscs[rsc].migration_threshold == 0 {
        return None;
    }
    // Where one failure is ignored, the counts of no node ban.
    if c.rscs[rsc].ignored_failure || will_be_wiped(c, rsc, node) {
        return None;
    }
    let found = count_with_fillers(c, rsc, node);
    if found.count <= 0 {
        return None;
    }
    let limit = c.rscs[rsc].migration_threshold;
    let remaining = if limit >= INFINITY && found.count >= INFINITY {
        0
    } else {
        limit.saturating_sub(found.count)
    };
    let to_force = if c.is_anonymous_instance(rsc) {
        c.uber_parent(rsc, false)
    } else {
        rsc
    };
    (remaining <= 0).then_some((to_force, remaining))
}

/// Whether anything ever failed on a node, as far as its attributes tell.
pub(crate) fn has_failures(c: &Cluster, node: NodeIx) -> bool {
    let from = (Bound::Included("fail-count-"), Bound::Unbounded);
    let mut counts = c.nodes[node].attrs.range::<str, _>(from);
    counts
        .next()
        .is_some_and(|(name, _)| name.starts_with("fail-count-"))
}

/// What a resource did with other parameters counts no more: its fail count is about to be wiped.
fn will_be_wiped(c: &Cluster, rsc: RscIx, node: NodeIx) -> bool {
    let mut actions = c.rscs[rsc].actions.iter().map(|ix| &c.acts[*ix]);
    actions.any(|a| a.task == Task::ClearFailCount && a.node == Some(node))
}

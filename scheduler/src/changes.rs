//! Notices changed configuration: recurring operations to cancel, parameters that need a reload or a restart.

use std::{collections::BTreeMap, sync::Arc};

use cib::Element;
use indexmap::IndexMap;

use crate::{
    actions, create, digest, failures,
    history_ops::{self, at_rest::NodeHistories, word},
    model::{Cluster, Kind, NodeIx, OpMeta, RscIx, Task, ar},
    ordering::{order_action_task, order_task_action},
    recurring, resources, score,
};

/// Compares every active resource's history with its configuration.
pub(crate) fn check(c: &mut Cluster) {
    let cib = c.cib;
    let Some(status) = cib.child("status") else {
        return;
    };
    let others = others_by_name(c);
    for state in status.children_named("node_state") {
        let Some(node) = state.id().and_then(|id| c.node_ids.get(id)).copied() else {
            continue;
        };
        if !c.can_run(node) && !c.nodes[node].maintenance {
            continue;
        }
        let Some(resources) = history_ops::histories_in(state) else {
            continue;
        };
        let key = state.id().unwrap_or("");
        let known = c.recall.as_mut().and_then(|r| r.histories.remove(key));
        match known {
            Some(mut known) if known.are_of(resources) => {
                check_known(c, node, &mut known, &others);
                if let Some(recall) = &mut c.recall {
                    recall.histories.insert(key.to_owned(), known);
                }
            }
            _ => {
                for xml in resources.children().filter(|x| x.is(word::LRM_RESOURCE)) {
                    check_history(c, node, xml, &others);
                }
            }
        }
    }
}

/// Compares those histories of a node of which it is not known that nothing follows from it.
fn check_known(c: &mut Cluster, node: NodeIx, known: &mut NodeHistories, others: &ByName) {
    let passing = c.recall.as_ref().and_then(|recall| recall.passing.as_ref());
    for at in known.to_look_at(passing) {
        let Some(history) = known.get_mut(at) else {
            continue;
        };
        if history.is_settled(c, node) {
            continue;
        }
        let found = check_history(c, node, &history.xml, others);
        if found != Found::Changes && history.resource().is_some() {
            history.settle(c, node, found == Found::Same);
            known.learnt();
        }
    }
}

/// What comparing a history with the configuration showed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Nothing could follow from it.
    Nothing,
    /// Its operations are those configured.
    Same,
    Changes,
}

/// Compares a history with all resources that go by its name.
fn check_history(c: &mut Cluster, node: NodeIx, xml: &Element, others: &ByName) -> Found {
    let mut found = Found::Nothing;
    for rsc in named(c, xml, others) {
        // What has no operations has no history.
        if concerns(c, rsc, node, xml) && xml.children().any(|x| x.is(word::LRM_RSC_OP)) {
            let changed = check_resource(c, rsc, node, xml);
            if changed {
                found = Found::Changes;
            } else if found == Found::Nothing {
                found = Found::Same;
            }
        }
    }
    found
}

/// Whether anything could follow from a history: most are of resources that do not run there and are as they were.
fn concerns(c: &Cluster, rsc: RscIx, node: NodeIx, xml: &Element) -> bool {
    let r = &c.rscs[rsc];
    r.removed || r.running_on.contains(&node) || agent_changed(c, rsc, xml)
}

/// Resources by names.
type ByName = IndexMap<String, Vec<RscIx>>;

/// Primitives by names that are not those they are found by: the names of instances in histories, and ids that
/// something else goes by now.
fn others_by_name(c: &Cluster) -> ByName {
    let mut out = ByName::new();
    for (ix, r) in c.rscs.iter().enumerate() {
        if r.kind != Kind::Primitive {
            continue;
        }
        if c.rsc_ids.get(&r.id) != Some(&ix) {
            out.entry(r.id.clone()).or_default().push(ix);
        }
        if let Some(name) = r.history_id.as_ref().filter(|name| **name != r.id) {
            out.entry(name.clone()).or_default().push(ix);
        }
    }
    out
}

/// Primitives that go by the name a history has, in the order of the tables.
fn named(c: &Cluster, history: &Element, others: &ByName) -> Vec<RscIx> {
    let Some(id) = history.id() else {
        return Vec::new();
    };
    let own = c.rsc_ids.get(id).copied();
    let own = own.filter(|rsc| c.rscs[*rsc].kind == Kind::Primitive);
    let mut all: Vec<RscIx> = own.into_iter().collect();
    all.extend(others.get(id).into_iter().flatten());
    all.sort_unstable();
    all
}

/// Compares a history with the configuration. Whether they differ.
fn check_resource(c: &mut Cluster, rsc: RscIx, node: NodeIx, xml: &Element) -> bool {
    if c.rscs[rsc].removed {
        let top = c.uber_parent(rsc, false);
        let anonymous = c.rscs[top].kind == Kind::Clone && !c.rscs[top].unique;
        // A surplus instance goes by a name that others need.
        if !anonymous {
            create::clean_up(c, rsc, node, false);
        }
        return true;
    }
    if !c.rscs[rsc].running_on.contains(&node) {
        if agent_changed(c, rsc, xml) {
            create::clean_up(c, rsc, node, false);
        }
        return true;
    }
    let mut changed = agent_changed(c, rsc, xml);
    if changed {
        actions::stop(c, rsc, node, false);
        c.rscs[rsc].start_pending = true;
        create::clean_up(c, rsc, node, false);
    }
    for op in history_ops::live(xml) {
        let name = op.attr("operation").unwrap_or("");
        let interval_ms = interval_ms(op);
        if interval_ms > 0 && (c.rscs[rsc].maintenance || c.nodes[node].maintenance) {
            schedule_cancel(c, rsc, node, op, name, interval_ms);
            changed = true;
        } else if (interval_ms > 0
            || matches!(name, "monitor" | "start" | "promote" | "migrate_from"))
            && check_op(c, rsc, node, op, name, interval_ms)
        {
            changed = true;
            if failures::count(c, rsc, node, true).count > 0 {
                // What failed as it was may succeed as it is now.
                actions::clear_failcount(c, rsc, node, "action definition changed");
            }
        }
    }
    changed
}

fn interval_ms(op: &Element) -> u32 {
    op.attr("interval")
        .and_then(score::leading_integer)
        .and_then(|n| u32::try_from(n).ok())
        .unwrap_or(0)
}

fn agent_changed(c: &Cluster, rsc: RscIx, xml: &Element) -> bool {
    let r = &c.rscs[rsc];
    xml.get(word::TYPE).is_some_and(|v| v != &*r.agent)
        || xml.get(word::CLASS).is_some_and(|v| v != &*r.class)
        || xml.get(word::PROVIDER) != r.provider.as_deref()
}

fn schedule_cancel(
    c: &mut Cluster,
    rsc: RscIx,
    node: NodeIx,
    op: &Element,
    name: &str,
    interval_ms: u32,
) {
    let cancel = recurring::cancel(c, rsc, name, interval_ms, node);
    let call = op.attr("call-id").unwrap_or("").to_owned();
    let a = &mut c.acts[cancel];
    if !a.extra.iter().any(|(n, _)| *n == "call_id") {
        a.extra.push(("call_id", call));
    }
    // A stop cancels it anyway.
    order_task_action(c, rsc, Task::Stop, cancel, ar::ORDERED);
}

struct Digests {
    all_changed: bool,
    restart_changed: bool,
    reloadable: bool,
}

/// Compares one operation with the configuration. Whether it is not what it was.
fn check_op(
    c: &mut Cluster,
    rsc: RscIx,
    node: NodeIx,
    op: &Element,
    name: &str,
    interval_ms: u32,
) -> bool {
    if interval_ms > 0 && actions::find_op(c, rsc, name, interval_ms, false).is_none() {
        if c.options.cancel_removed {
            schedule_cancel(c, rsc, node, op, name, interval_ms);
        }
        return true;
    }
    let expired = c.rscs[rsc].monitors_to_renew.iter();
    let mut expired = expired.filter(|(n, o, i)| (*n, o.as_str(), *i) == (node, name, interval_ms));
    if expired.next().is_some() {
        force(c, rsc, Task::parse(name), interval_ms);
        return true;
    }
    let Some(d) = compare(c, rsc, node, op, name, interval_ms) else {
        return false;
    };
    let task = Task::parse(name);
    if d.restart_changed {
        force(c, rsc, task, interval_ms);
    } else if !d.all_changed {
        return false;
    } else if interval_ms > 0 {
        let ix = actions::action(c, rsc, task, interval_ms, Some(node), true);
        c.acts[ix].reschedule = true;
    } else if d.reloadable {
        reload(c, rsc, node);
    } else {
        // What no agent can take over while it runs takes a start, also of what was promoted last.
        force(c, rsc, Task::Start, 0);
    }
    true
}

/// Has an operation done again, wherever the resource will be.
fn force(c: &mut Cluster, rsc: RscIx, task: Task, interval_ms: u32) {
    let ix = actions::action(c, rsc, task, interval_ms, None, false);
    actions::set_reason(c, ix, "resource definition change", true);
}

fn reload(c: &mut Cluster, rsc: RscIx, node: NodeIx) {
    let r = &c.rscs[rsc];
    if !r.managed || r.running_on.len() > 1 || r.failed || r.reload {
        return;
    }
    if c.nodes[node].unclean || !c.nodes[node].online {
        return;
    }
    if c.rscs[rsc].start_pending {
        // Nobody knows which parameters it starts with.
        actions::stop(c, rsc, node, false);
        return;
    }
    c.rscs[rsc].reload = true;
    let ix = actions::action(c, rsc, Task::ReloadAgent, 0, Some(node), false);
    actions::set_reason(c, ix, "resource definition change", false);
    // A start or stop makes the reload pointless.
    order_action_task(c, ix, rsc, Task::Stop, ar::ORDERED | ar::THEN_CANCELS_FIRST);
    order_action_task(
        c,
        ix,
        rsc,
        Task::Demote,
        ar::ORDERED | ar::THEN_CANCELS_FIRST,
    );
}

fn compare(
    c: &mut Cluster,
    rsc: RscIx,
    node: NodeIx,
    op: &Element,
    name: &str,
    interval_ms: u32,
) -> Option<Digests> {
    // A history without a digest may be of any parameters: they count as changed.
    let recorded = op.attr("op-digest");
    let params = digest_params(c, rsc, node, name, interval_ms);
    let all = digest::of_parameters(params.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    let restart = op.attr("op-restart-digest").map(|known| {
        let listed = op.attr("op-force-restart");
        let names: Option<Vec<&str>> = listed.map(|l| l.split_whitespace().collect());
        let counts = |n: &str| names.as_ref().is_none_or(|names| names.contains(&n));
        let kept = params.iter().filter(|(n, _)| counts(n));
        digest::of_parameters(kept.map(|(n, v)| (n.as_str(), v.as_str()))) != known
    });
    let all_changed = recorded != Some(all.as_str());
    // Parameters of the operation alone take effect only when it is done again.
    let extra =
        recorded.is_some() && all_changed && !settings(c, rsc, name, interval_ms).params.is_empty();
    if recorded.is_some()
        && c.blotted
        && (all_changed || restart == Some(true))
        && !public_changed(c, rsc, op, &params)
    {
        return None;
    }
    Some(Digests {
        all_changed,
        restart_changed: interval_ms == 0 && (restart == Some(true) || extra),
        reloadable: restart.is_some(),
    })
}

/// Whether parameters differ that are not private, as far as the history of an operation tells.
fn public_changed(
    c: &Cluster,
    rsc: RscIx,
    op: &Element,
    params: &BTreeMap<String, String>,
) -> bool {
    let Some(recorded) = op.attr("op-secure-digest") else {
        return true;
    };
    let private: Vec<&str> = op
        .attr("op-secure-params")
        .map_or_else(Vec::new, |list| list.split_whitespace().collect());
    // Executors of old told neither the cluster's own parameters nor time-outs.
    let old = op.attr("crm_feature_set").is_some_and(older_than_3_16);
    let device = c.rscs[rsc].is_fence_device;
    let counts = |name: &str| {
        let clusters = device && (name.starts_with("pcmk_") || name == "provides");
        !private.contains(&name) && !(old && (clusters || name == "CRM_meta_timeout"))
    };
    let kept = params.iter().filter(|(name, _)| counts(name));
    digest::of_parameters(kept.map(|(n, v)| (n.as_str(), v.as_str()))) != recorded
}

fn older_than_3_16(version: &str) -> bool {
    let mut parts = version
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let (major, minor) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    (major, minor) < (3, 16)
}

/// Whether a resource's parameters are known not to be those an operation was done with.
pub(crate) fn params_changed(c: &mut Cluster, rsc: RscIx, node: NodeIx, op: &Element) -> bool {
    let name = op.attr("operation").unwrap_or("");
    let known = op.attr("op-digest").is_some();
    compare(c, rsc, node, op, name, interval_ms(op))
        .is_some_and(|d| known && d.all_changed || d.restart_changed)
}

/// Settings of an operation as a history names it.
fn settings(c: &mut Cluster, rsc: RscIx, name: &str, interval_ms: u32) -> Arc<OpMeta> {
    let task = Task::parse(name);
    // What the failure of a connection calls for depends on whether it is managed, which may still change.
    if task.text() == name && !c.rscs[rsc].is_remote {
        return actions::op_meta(c, rsc, task, interval_ms);
    }
    let found = actions::find_op(c, rsc, name, interval_ms, true);
    Arc::new(actions::read_op_meta(c, rsc, found, name, interval_ms))
}

/// Parameters an operation's digest is made of.
pub(crate) fn digest_params(
    c: &mut Cluster,
    rsc: RscIx,
    node: NodeIx,
    name: &str,
    interval_ms: u32,
) -> BTreeMap<String, String> {
    let op = settings(c, rsc, name, interval_ms);
    let mut out = (*resources::params(c, rsc, Some(node))).clone();
    for (name, value) in &op.params {
        out.insert(name.clone(), value.clone());
    }
    out.retain(|name, _| !digest::is_meta(name));
    if out.get("addr").is_some_and(|addr| addr == "#uname")
        && let Some(host) = crate::bundle::remote_address(c, rsc)
    {
        out.insert("addr".to_owned(), c.nodes[host].name.clone());
    }
    if interval_ms > 0 {
        out.insert("CRM_meta_timeout".to_owned(), op.timeout_ms.to_string());
    }
    out
}

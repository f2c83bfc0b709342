//! Notices changed configuration: recurring operations to cancel, parameters that need a reload or a restart.

use std::collections::BTreeMap;

use cib::Element;

use crate::{
    actions, digest, failures,
    history_ops::{self, Entry, base_name},
    model::{Cluster, Kind, NodeIx, RscIx, Task, ar},
    ordering::{order_action_task, order_tasks},
    recurring, resources, score,
};

/// Compares every active resource's history with its configuration.
pub(crate) fn check(c: &mut Cluster) {
    let cib = c.cib;
    let Some(status) = cib.child("status") else {
        return;
    };
    for state in status.children_named("node_state") {
        let Some(node) = state.id().and_then(|id| c.node_ids.get(id)).copied() else {
            continue;
        };
        if !c.can_run(node) && !c.nodes[node].maintenance {
            continue;
        }
        let resources = state.child("lrm").and_then(|l| l.child("lrm_resources"));
        for xml in resources
            .iter()
            .flat_map(|r| r.children_named("lrm_resource"))
        {
            for rsc in matching(c, xml.id().unwrap_or("")) {
                check_resource(c, rsc, node, xml);
            }
        }
    }
}

fn matching(c: &Cluster, id: &str) -> Vec<RscIx> {
    let mut out: Vec<RscIx> = c.rsc_ids.get(id).copied().into_iter().collect();
    let base = base_name(id);
    if let Some(zero) = c.rsc_ids.get(&format!("{base}:0")).copied() {
        let clone = c.uber_parent(zero, false);
        if !c.rscs[clone].unique {
            for rsc in c.primitives(clone) {
                if base_name(&c.rscs[rsc].id) == base && !out.contains(&rsc) {
                    out.push(rsc);
                }
            }
        }
    }
    out.retain(|r| c.rscs[*r].kind == Kind::Primitive);
    out
}

fn check_resource(c: &mut Cluster, rsc: RscIx, node: NodeIx, xml: &Element) {
    if c.rscs[rsc].removed || !c.rscs[rsc].running_on.contains(&node) {
        return;
    }
    if agent_changed(c, rsc, xml) {
        agent_restart(c, rsc, node);
        return;
    }
    let mut ops: Vec<&Element> = xml.children_named("lrm_rsc_op").collect();
    let call = |op: &Element| {
        op.attr("call-id")
            .and_then(score::leading_integer)
            .unwrap_or(-1)
    };
    ops.sort_by_key(|op| call(op));
    let started = history_ops::live_from(xml);
    let Some(from) = started else {
        return;
    };
    for op in ops {
        let name = op.attr("operation").unwrap_or("");
        let interval_ms = op
            .attr("interval")
            .and_then(score::leading_integer)
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(0);
        if call(op) >= 0 && call(op) < from {
            continue;
        }
        if interval_ms > 0 && (c.rscs[rsc].maintenance || c.nodes[node].maintenance) {
            schedule_cancel(c, rsc, node, op, name, interval_ms);
        } else if interval_ms > 0
            || matches!(name, "monitor" | "start" | "promote" | "migrate_from")
        {
            if failures::entry_failed(op) {
                clear_if_changed(c, rsc, node, op, name, interval_ms);
            }
            check_op(c, rsc, node, op, name, interval_ms);
        }
    }
}

fn agent_changed(c: &Cluster, rsc: RscIx, xml: &Element) -> bool {
    let r = &c.rscs[rsc];
    xml.attr("type").is_some_and(|v| v != &*r.agent)
        || xml.attr("class").is_some_and(|v| v != &*r.class)
        || xml.attr("provider").map(str::to_owned) != r.provider.as_deref().map(str::to_owned)
}

fn agent_restart(c: &mut Cluster, rsc: RscIx, node: NodeIx) {
    let delete = actions::action(c, rsc, Task::Delete, 0, Some(node), false);
    c.acts[delete].optional = false;
    order_tasks(c, rsc, Task::Stop, rsc, Task::Delete, ar::ORDERED);
    order_tasks(c, rsc, Task::Delete, rsc, Task::Start, ar::ORDERED);
    let stop = actions::stop(c, rsc, node, false);
    actions::set_reason(c, stop, "resource definition change", true);
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
    order_action_task(c, cancel, rsc, Task::Stop, ar::ORDERED);
}

struct Digests {
    all_changed: bool,
    restart_changed: bool,
    reloadable: bool,
}

fn clear_if_changed(
    c: &mut Cluster,
    rsc: RscIx,
    node: NodeIx,
    op: &Element,
    name: &str,
    interval_ms: u32,
) {
    let changed = compare(c, rsc, node, op, name, interval_ms)
        .is_some_and(|d| d.all_changed || d.restart_changed);
    if changed && failures::count(c, rsc, node, true).count > 0 {
        actions::clear_failcount(c, rsc, node, "action definition changed");
    }
}

fn check_op(c: &mut Cluster, rsc: RscIx, node: NodeIx, op: &Element, name: &str, interval_ms: u32) {
    if interval_ms > 0 && actions::find_op(c, rsc, name, interval_ms, false).is_none() {
        if c.options.cancel_removed {
            schedule_cancel(c, rsc, node, op, name, interval_ms);
        }
        return;
    }
    let expired = c.rscs[rsc].monitors_to_renew.iter();
    let mut expired = expired.filter(|(n, o, i)| (*n, o.as_str(), *i) == (node, name, interval_ms));
    if expired.next().is_some() {
        return force(c, rsc, Task::parse(name), interval_ms, node);
    }
    let Some(d) = compare(c, rsc, node, op, name, interval_ms) else {
        return;
    };
    let task = Task::parse(name);
    if d.restart_changed {
        force(c, rsc, task, interval_ms, node);
    } else if d.all_changed {
        if interval_ms > 0 {
            let ix = actions::action(c, rsc, task, interval_ms, Some(node), true);
            c.acts[ix].reschedule = true;
        } else if d.reloadable {
            reload(c, rsc, node);
        } else {
            force(c, rsc, task, interval_ms, node);
        }
    }
}

fn force(c: &mut Cluster, rsc: RscIx, task: Task, interval_ms: u32, node: NodeIx) {
    let ix = actions::action(c, rsc, task, interval_ms, Some(node), false);
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
    let recorded = op.attr("op-digest")?;
    let params = digest_params(c, rsc, node, name, interval_ms);
    let all = digest::of_parameters(params.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    let restart = op.attr("op-restart-digest").map(|known| {
        let listed = op.attr("op-force-restart").unwrap_or("");
        let names: Vec<&str> = listed.split_whitespace().collect();
        let kept = params.iter().filter(|(n, _)| names.contains(&n.as_str()));
        digest::of_parameters(kept.map(|(n, v)| (n.as_str(), v.as_str()))) != known
    });
    let all_changed = all != recorded;
    Some(Digests {
        all_changed,
        restart_changed: restart.unwrap_or(false) && interval_ms == 0 && all_changed
            || restart == Some(true) && interval_ms == 0,
        reloadable: restart.is_some(),
    })
}

/// Whether a resource's parameters are not those an operation was done with.
pub(crate) fn params_changed(c: &mut Cluster, rsc: RscIx, node: NodeIx, entry: &Entry) -> bool {
    compare(c, rsc, node, entry.xml, entry.name, entry.interval_ms)
        .is_some_and(|d| d.all_changed || d.restart_changed)
}

/// Parameters an operation's digest is made of.
pub(crate) fn digest_params(
    c: &mut Cluster,
    rsc: RscIx,
    node: NodeIx,
    name: &str,
    interval_ms: u32,
) -> BTreeMap<String, String> {
    let found = actions::find_op(c, rsc, name, interval_ms, true);
    let op = actions::read_op_meta(c, rsc, found, name, interval_ms);
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

//! Makes actions and keeps their first properties: settings, whether they can run, what a start needs.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    fencing,
    model::{Act, ActIx, Cluster, NodeIx, OnFail, OpDef, OpMeta, Requires, Role, RscIx, Task},
    nodes::section,
    nvpairs,
    options::NoQuorum,
    resources,
    rules::Context,
    score,
};

/// Default time an operation may take.
const DEFAULT_TIMEOUT_MS: i64 = 20_000;

/// Finds or makes the action of a resource; one that is required stays required.
pub(crate) fn action(
    c: &mut Cluster,
    rsc: RscIx,
    task: Task,
    interval_ms: u32,
    node: Option<NodeIx>,
    optional: bool,
) -> ActIx {
    let r = &c.rscs[rsc];
    let found = match node.filter(|_| task == Task::Monitor && interval_ms == 0) {
        Some(node) if !r.unplaced_probe => r.probes.get(node).copied().flatten(),
        _ => r.actions_of(task).find(|ix| {
            let a = &c.acts[*ix];
            a.interval_ms == interval_ms
                && (a.node == node || a.node.is_none() || node.is_none())
                && a.key.is_none()
                && a.name.is_none()
        }),
    };
    if let Some(ix) = found.filter(|_| node.is_some()) {
        // What was made before its place was known gets it now.
        c.acts[ix].node = node;
    }
    let ix = found.unwrap_or_else(|| new_action(c, rsc, task, interval_ms, node, None));
    refresh(c, ix, optional);
    ix
}

/// An action of a resource under a key of its own (notifications, cancellations).
pub(crate) fn keyed_action(
    c: &mut Cluster,
    rsc: RscIx,
    task: Task,
    key: String,
    node: Option<NodeIx>,
    optional: bool,
) -> ActIx {
    let found = c.rscs[rsc].actions_of(task).find(|ix| {
        let a = &c.acts[*ix];
        a.node == node && a.key.as_deref() == Some(key.as_str())
    });
    let ix = found.unwrap_or_else(|| new_action(c, rsc, task, 0, node, Some(key)));
    refresh(c, ix, optional);
    ix
}

fn new_action(
    c: &mut Cluster,
    rsc: RscIx,
    task: Task,
    interval_ms: u32,
    node: Option<NodeIx>,
    key: Option<String>,
) -> ActIx {
    let op = op_meta(c, rsc, task, interval_ms);
    let needs = match task {
        Task::Start | Task::Promote => match c.rscs[rsc].requires {
            Requires::Unfencing => Requires::Fencing,
            other => other,
        },
        _ => Requires::Nothing,
    };
    let ix = c.acts.len();
    let act = Act {
        rsc: Some(rsc),
        node,
        task,
        interval_ms,
        key: key.map(Into::into),
        priority: op.priority,
        op: Some(op),
        runnable: true,
        optional: true,
        needs,
        ..Act::default()
    };
    c.rscs[rsc].add_action(ix, &act);
    c.acts.push(act);
    ix
}

/// An action that belongs to no resource, found again by its key.
pub(crate) fn singleton(
    c: &mut Cluster,
    key: &str,
    task: Task,
    node: Option<NodeIx>,
    optional: bool,
) -> ActIx {
    let full = match node {
        Some(node) => format!("{key}@{}", c.nodes[node].id),
        None => key.to_owned(),
    };
    let ix = match c.singletons.get(&full) {
        Some(ix) => *ix,
        None => {
            let ix = c.acts.len();
            c.acts.push(Act {
                task,
                node,
                key: Some(key.into()),
                runnable: true,
                optional: true,
                ..Act::default()
            });
            c.singletons.insert(full, ix);
            ix
        }
    };
    if !optional {
        c.acts[ix].optional = false;
    }
    ix
}

/// A pseudo-action named by its key alone.
pub(crate) fn pseudo(c: &mut Cluster, key: &str, task: Task) -> ActIx {
    let ix = singleton(c, key, task, None, true);
    c.acts[ix].pseudo = true;
    c.acts[ix].runnable = true;
    ix
}

fn refresh(c: &mut Cluster, ix: ActIx, optional: bool) {
    let Some(rsc) = c.acts[ix].rsc else {
        return;
    };
    let a = &c.acts[ix];
    let forced = a.node.is_some() && !a.pseudo && !c.rscs[rsc].managed && a.interval_ms == 0;
    if forced {
        c.acts[ix].optional = true;
    } else if !optional {
        c.acts[ix].optional = false;
    }
    update_runnable(c, ix, rsc);
}

fn update_runnable(c: &mut Cluster, ix: ActIx, rsc: RscIx) {
    if c.acts[ix].pseudo {
        return;
    }
    let Some(node) = c.acts[ix].node else {
        c.acts[ix].runnable = false;
        return;
    };
    let n = &c.nodes[node];
    let guest = c.is_guest(node);
    let dc = c.acts[ix].on_dc;
    if !dc && !n.online && (!guest || n.remote_requires_reset) {
        c.acts[ix].runnable = false;
        if c.rscs[rsc].managed && c.acts[ix].task == Task::Stop && !c.nodes[node].unclean {
            fencing::fence_node(c, node, "resource actions are unrunnable", false);
        }
    } else if !dc && n.pending {
        c.acts[ix].runnable = false;
    } else if c.acts[ix].needs == Requires::Nothing {
        // What needs nothing is looked at afresh, whatever it was asked for before.
        c.acts[ix].reason = None;
        c.acts[ix].runnable = !guest || fencing::can_fence(c, node);
    } else {
        match quorum_policy(c, rsc) {
            NoQuorum::Stop => {
                c.acts[ix].runnable = false;
                set_reason(c, ix, "no quorum", true);
            }
            NoQuorum::Freeze => {
                let r = &c.rscs[rsc];
                if r.running_on.is_empty() || r.next_role > r.role {
                    c.acts[ix].runnable = false;
                    set_reason(c, ix, "quorum freeze", true);
                }
            }
            _ => c.acts[ix].runnable = true,
        }
    }
}

fn quorum_policy(c: &mut Cluster, rsc: RscIx) -> NoQuorum {
    if c.quorate {
        return NoQuorum::Ignore;
    }
    match c.options.no_quorum {
        NoQuorum::Demote => {
            let r = &mut c.rscs[rsc];
            if matches!(r.role, Role::Promoted | Role::Unpromoted) {
                if r.next_role > Role::Unpromoted {
                    r.next_role = Role::Unpromoted;
                }
                NoQuorum::Ignore
            } else {
                NoQuorum::Stop
            }
        }
        NoQuorum::Fence => NoQuorum::Ignore,
        other => other,
    }
}

/// Remembers why an action is as it is; the first reason stays unless told otherwise.
pub(crate) fn set_reason(c: &mut Cluster, ix: ActIx, reason: &str, overwrite: bool) {
    let a = &mut c.acts[ix];
    if a.reason.is_none() || overwrite {
        a.reason = Some(reason.into());
    }
}

pub(crate) fn start(c: &mut Cluster, rsc: RscIx, node: Option<NodeIx>, optional: bool) -> ActIx {
    action(c, rsc, Task::Start, 0, node, optional)
}

pub(crate) fn stop(c: &mut Cluster, rsc: RscIx, node: NodeIx, optional: bool) -> ActIx {
    action(c, rsc, Task::Stop, 0, Some(node), optional)
}

pub(crate) fn promote(c: &mut Cluster, rsc: RscIx, node: Option<NodeIx>, optional: bool) -> ActIx {
    action(c, rsc, Task::Promote, 0, node, optional)
}

pub(crate) fn demote(c: &mut Cluster, rsc: RscIx, node: NodeIx, optional: bool) -> ActIx {
    action(c, rsc, Task::Demote, 0, Some(node), optional)
}

/// Asks for the fail counts of a resource on a node to be wiped.
pub(crate) fn clear_failcount(c: &mut Cluster, rsc: RscIx, node: NodeIx, reason: &str) -> ActIx {
    let ix = action(c, rsc, Task::ClearFailCount, 0, Some(node), false);
    let online = c.nodes[node].online;
    let a = &mut c.acts[ix];
    a.optional = false;
    a.on_dc = true;
    a.runnable = online;
    if !a.extra.iter().any(|(name, _)| *name == "op_no_wait") {
        a.extra.push(("op_no_wait", "true".to_owned()));
    }
    set_reason(c, ix, reason, true);
    ix
}

/// The configured operation of a name and interval.
pub(crate) fn find_op(
    c: &Cluster,
    rsc: RscIx,
    name: &str,
    interval_ms: u32,
    disabled_too: bool,
) -> Option<usize> {
    let exact = |name: &str| {
        c.rscs[rsc].ops.iter().position(|op| {
            op.name == name && op.interval_ms == interval_ms && (disabled_too || op.enabled)
        })
    };
    exact(name).or_else(|| match name {
        "migrate_to" | "migrate_from" => exact("migrate"),
        "notified" => exact("notify"),
        _ => None,
    })
}

/// Settings of an operation, from a cache.
pub(crate) fn op_meta(c: &mut Cluster, rsc: RscIx, task: Task, interval_ms: u32) -> Arc<OpMeta> {
    let known = c.rscs[rsc]
        .op_meta
        .iter()
        .find(|(t, i, _)| *t == task && *i == interval_ms);
    if let Some((_, _, meta)) = known {
        return meta.clone();
    }
    let shared = first_instance(c, rsc).map(|first| op_meta(c, first, task, interval_ms));
    let meta = shared.unwrap_or_else(|| {
        let found = find_op(c, rsc, task.text(), interval_ms, true);
        let meta = read_op_meta(c, rsc, found, task.text(), interval_ms);
        shared_with_last(c, meta)
    });
    Arc::make_mut(&mut c.rscs[rsc].op_meta).push((task, interval_ms, meta.clone()));
    meta
}

/// Settings as they were read, shared with those read last that are equal: most resources have the same.
fn shared_with_last(c: &mut Cluster, meta: OpMeta) -> Arc<OpMeta> {
    const LAST: usize = 8;
    let known = c.last_op_metas.iter().find(|known| ***known == meta);
    if let Some(known) = known {
        return known.clone();
    }
    let meta = Arc::new(meta);
    c.last_op_metas.truncate(LAST - 1);
    c.last_op_metas.push_front(meta.clone());
    meta
}

fn first_instance(c: &Cluster, rsc: RscIx) -> Option<RscIx> {
    let r = &c.rscs[rsc];
    if r.removed {
        return None;
    }
    let (base, number) = r.id.rsplit_once(':')?;
    if number == "0" || c.clone_of(rsc).is_none() {
        return None;
    }
    c.rsc_ids
        .get(&format!("{base}:0"))
        .copied()
        .filter(|first| *first != rsc)
}

/// Settings of a configured operation (`found`) or of one nobody configured.
pub(crate) fn read_op_meta(
    c: &mut Cluster,
    rsc: RscIx,
    found: Option<usize>,
    name: &str,
    interval_ms: u32,
) -> OpMeta {
    let told = c.problems.len();
    let ops = c.rscs[rsc].ops.clone();
    let op = found.and_then(|at| ops.get(at));
    let mut meta = raw_meta(c, rsc, op, name, interval_ms);
    let mut params = BTreeMap::new();
    if let Some(op) = op {
        let ctx = Context {
            now_s: c.now_s,
            ..Context::default()
        };
        nvpairs::unpack(
            &c.ids,
            &op.xml,
            "instance_attributes",
            None,
            &ctx,
            &mut c.recheck,
            &mut params,
        );
    }
    let timeout_ms = timeout(c, rsc, &meta, name, interval_ms);
    meta.insert("timeout".to_owned(), timeout_ms.to_string());
    start_delay(c.now_s, &mut meta, interval_ms);
    let (on_fail, fail_role) = on_failure(c, rsc, &mut meta, name, interval_ms);
    let priority = meta
        .get("priority")
        .and_then(|v| score::parse(v))
        .unwrap_or(0);
    if let Some(recall) = c.recall.as_mut().filter(|_| c.problems.len() > told) {
        recall.operations_told = true;
    }
    OpMeta {
        meta,
        params,
        on_fail,
        fail_role,
        timeout_ms,
        priority,
    }
}

fn raw_meta(
    c: &mut Cluster,
    rsc: RscIx,
    op: Option<&OpDef>,
    name: &str,
    interval_ms: u32,
) -> BTreeMap<String, String> {
    let mut meta = BTreeMap::new();
    if let Some(op) = op {
        for (key, value) in op.xml.attrs().filter(|(key, _)| *key != "id") {
            meta.insert(key.to_owned(), value.to_owned());
        }
    }
    let (class, provider, agent) = {
        let r = &c.rscs[rsc];
        (r.class.clone(), r.provider.clone(), r.agent.clone())
    };
    let ctx = Context {
        now_s: c.now_s,
        agent: Some((&*class, provider.as_deref(), &*agent)),
        op: Some((name, interval_ms)),
        ..Context::default()
    };
    if let Some(op) = op {
        nvpairs::unpack(
            &c.ids,
            &op.xml,
            "meta_attributes",
            None,
            &ctx,
            &mut c.recheck,
            &mut meta,
        );
    }
    if let Some(defaults) = section(c.cib, "op_defaults") {
        nvpairs::unpack(
            &c.ids,
            defaults,
            "meta_attributes",
            None,
            &ctx,
            &mut c.recheck,
            &mut meta,
        );
    }
    meta.remove("id");
    if interval_ms > 0 {
        meta.insert("interval".to_owned(), interval_ms.to_string());
    } else {
        meta.remove("interval");
    }
    meta
}

fn timeout(
    c: &mut Cluster,
    rsc: RscIx,
    meta: &BTreeMap<String, String>,
    name: &str,
    interval_ms: u32,
) -> i64 {
    let is_probe = name == "monitor" && interval_ms == 0;
    if c.rscs[rsc].is_fence_device && (name == "start" || name == "monitor") {
        let params = resources::params(c, rsc, None);
        if let Some(ms) = params
            .get("pcmk_monitor_timeout")
            .and_then(|t| score::parse_ms(t))
        {
            return ms;
        }
    }
    if is_probe && find_op(c, rsc, name, 0, true).is_none() {
        let frequent = c.rscs[rsc]
            .ops
            .iter()
            .enumerate()
            .filter(|(_, op)| op.enabled && op.name == "monitor" && op.interval_ms > 0)
            .min_by_key(|(_, op)| op.interval_ms)
            .map(|(at, _)| at);
        if let Some(at) = frequent {
            let op = c.rscs[rsc].ops[at].clone();
            let found = raw_meta(c, rsc, Some(&op), name, 0);
            if let Some(ms) = found.get("timeout").and_then(|t| score::parse_ms(t)) {
                return ms.max(0);
            }
        }
    }
    meta.get("timeout")
        .and_then(|t| score::parse_ms(t))
        .filter(|ms| *ms >= 0)
        .unwrap_or(DEFAULT_TIMEOUT_MS)
}

/// Reads `start-delay`, or works it out of `interval-origin`.
fn start_delay(now_s: i64, meta: &mut BTreeMap<String, String>, interval_ms: u32) {
    let delay_ms = match meta.get("start-delay") {
        Some(text) => score::parse_ms(text).unwrap_or(0).max(0),
        None => {
            let origin = meta
                .get("interval-origin")
                .and_then(|t| crate::dates::parse_moment(t));
            let interval_s = i64::from(interval_ms / 1000);
            let Some(origin) = origin.filter(|_| interval_s > 0) else {
                return;
            };
            // The time to the next whole number of intervals since the origin.
            (origin - now_s).rem_euclid(interval_s) * 1000
        }
    };
    meta.insert("start-delay".to_owned(), delay_ms.to_string());
}

fn on_failure(
    c: &mut Cluster,
    rsc: RscIx,
    meta: &mut BTreeMap<String, String>,
    name: &str,
    interval_ms: u32,
) -> (OnFail, Option<Role>) {
    let fencing = c.options.fencing;
    let inherited = promoted_on_fail(c, rsc).filter(|_| name == "demote");
    let asked = meta.get("on-fail").or(inherited.as_ref());
    let asked = asked.map(String::as_str);
    let role = meta.get("role").and_then(|r| Role::parse(r));
    let demotes = match name {
        "promote" | "demote" => true,
        "monitor" => interval_ms > 0 && role == Some(Role::Promoted),
        _ => false,
    };
    let senseless = match (name, asked) {
        ("stop", Some("stop" | "standby")) => true,
        (_, Some("demote")) => !demotes,
        _ => false,
    };
    let asked = asked.filter(|_| !senseless).map(str::to_owned);
    if let Some(value) = meta.get("on-fail").filter(|_| senseless) {
        let id = &c.rscs[rsc].id;
        let text = match name {
            "stop" => format!("resource '{id}': on-fail={value} is ignored for stop"),
            _ => format!(
                "resource '{id}': on-fail={value} is ignored for {name} with interval {interval_ms} ms"
            ),
        };
        c.problem(text);
    }
    if (senseless || name == "demote" && asked.as_deref() == Some("demote"))
        && !c.earlier.on_fail_as_it_stands
    {
        meta.remove("on-fail");
    }
    let on_fail = match asked.as_deref() {
        Some("ignore" | "nothing") => Some(OnFail::Ignore),
        Some("block") => Some(OnFail::Block),
        Some("fence") if fencing => Some(OnFail::Fence),
        Some("fence") => Some(OnFail::Stop),
        Some("standby") => Some(OnFail::Standby),
        Some("migrate") => Some(OnFail::Ban),
        Some("stop") => Some(OnFail::Stop),
        Some("restart") => Some(OnFail::Restart),
        Some("restart-container") if c.rscs[rsc].container.is_some() => {
            Some(OnFail::RestartContainer)
        }
        Some("restart-container") => None,
        Some("demote") => Some(OnFail::Demote),
        _ => None,
    };
    let on_fail = on_fail.unwrap_or_else(|| default_on_fail(c, rsc, name, interval_ms));
    let r = &c.rscs[rsc];
    let role = meta.get("role_after_failure").and_then(|t| Role::parse(t));
    let fail_role = match on_fail {
        OnFail::Stop => Some(Role::Stopped),
        OnFail::ResetRemote if r.remote_reconnect_ms > 0 => Some(Role::Stopped),
        _ => role,
    };
    (on_fail, fail_role)
}

/// A demotion fails as what watches the promoted resource does, unless that would demote it.
fn promoted_on_fail(c: &Cluster, rsc: RscIx) -> Option<String> {
    let ops = c.rscs[rsc].ops.iter();
    let watch = |op: &&OpDef| op.enabled && op.name == "monitor" && op.interval_ms > 0;
    ops.filter(watch)
        .filter(|op| op.role == Some(Role::Promoted))
        .filter_map(|op| op.xml.attr("on-fail"))
        .find(|on_fail| *on_fail != "demote")
        .map(str::to_owned)
}

fn default_on_fail(c: &Cluster, rsc: RscIx, name: &str, interval_ms: u32) -> OnFail {
    let r = &c.rscs[rsc];
    if r.container.is_some() {
        return OnFail::RestartContainer;
    }
    let is_probe = name == "monitor" && interval_ms == 0;
    if r.is_remote && r.container.is_none() && !is_probe && name != "start" {
        return if r.managed {
            OnFail::ResetRemote
        } else {
            OnFail::Stop
        };
    }
    match name {
        "stop" if c.options.fencing => OnFail::Fence,
        "stop" => OnFail::Block,
        _ => OnFail::Restart,
    }
}

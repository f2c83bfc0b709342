//! Notifications: what the instances of a clone are told before and after each change.

use std::collections::BTreeMap;

use crate::{
    actions,
    model::{ActIx, Cluster, Discover, Kind, NodeIx, Notices, Role, RscIx, Task, ar},
    ordering::{first_action, order_actions},
    score::INFINITY,
};

/// Makes the pseudo-actions around one kind of change.
pub(crate) fn create_pair(c: &mut Cluster, clone: RscIx, task: Task, begin: ActIx, end: ActIx) {
    let (optional, runnable) = (c.acts[begin].optional, c.acts[begin].runnable);
    let (end_optional, end_runnable) = (c.acts[end].optional, c.acts[end].runnable);
    let name = task.text();
    let pre = frame(
        c,
        clone,
        Task::Notify,
        "pre",
        name,
        ("pre", name),
        optional,
        runnable,
    );
    let pre_done = frame(
        c,
        clone,
        Task::Notified,
        "confirmed-pre",
        name,
        ("pre", name),
        optional,
        runnable,
    );
    order_actions(c, pre, pre_done, ar::ORDERED);
    order_actions(c, pre_done, begin, ar::ORDERED);
    let done = c.acts[end].task.text();
    let post = frame(
        c,
        clone,
        Task::Notify,
        "post",
        done,
        ("post", name),
        end_optional,
        end_runnable,
    );
    let post_done = frame(
        c,
        clone,
        Task::Notified,
        "confirmed-post",
        done,
        ("post", name),
        end_optional,
        end_runnable,
    );
    c.acts[post].priority = INFINITY;
    c.acts[post_done].priority = INFINITY;
    order_actions(c, end, post, ar::FIRST_IMPLIES_THEN);
    order_actions(c, post, post_done, ar::FIRST_IMPLIES_THEN);
    order_actions(c, pre_done, post, ar::ORDERED);
    let notices = Notices {
        pre: Some(pre),
        pre_done: Some(pre_done),
        post,
        post_done,
    };
    c.rscs[clone].clone.notices.insert(task, notices);
}

#[expect(clippy::too_many_arguments, reason = "what a notification is named by")]
fn frame(
    c: &mut Cluster,
    clone: RscIx,
    task: Task,
    key_type: &str,
    key_operation: &str,
    what: (&'static str, &str),
    optional: bool,
    runnable: bool,
) -> ActIx {
    let key = format!("{}_{key_type}_notify_{key_operation}_0", c.rscs[clone].id);
    let ix = actions::keyed_action(c, clone, task, key, None, optional);
    let a = &mut c.acts[ix];
    a.pseudo = true;
    a.runnable = runnable;
    a.extra.push(("notify_key_type", key_type.to_owned()));
    a.extra
        .push(("notify_key_operation", key_operation.to_owned()));
    a.extra.push(("notify_type", what.0.to_owned()));
    a.extra.push(("notify_operation", what.1.to_owned()));
    ix
}

/// Orders the notifications of one change before those of another.
pub(crate) fn chain(c: &mut Cluster, clone: RscIx, first: Task, then: Task) {
    let notices = &c.rscs[clone].clone.notices;
    let (Some(first), Some(then)) = (notices.get(&first).copied(), notices.get(&then).copied())
    else {
        return;
    };
    if let Some(pre) = then.pre {
        order_actions(c, first.post_done, pre, ar::ORDERED);
    }
}

/// Makes the notifications of all instances, once it is known what they will do.
pub(crate) fn create_all(c: &mut Cluster) {
    for clone in 0..c.rscs.len() {
        if c.rscs[clone].kind != Kind::Clone || !c.rscs[clone].notify {
            continue;
        }
        let notices: Vec<(Task, Notices)> = c.rscs[clone]
            .clone
            .notices
            .iter()
            .map(|(t, n)| (*t, *n))
            .collect();
        let order = [Task::Start, Task::Stop, Task::Promote, Task::Demote];
        for task in order {
            if let Some((_, notices)) = notices.iter().find(|(t, _)| *t == task) {
                require_frames(c, clone, task, notices);
                announce(c, clone, task, notices);
            }
        }
    }
}

/// A change that turned out to be needed is told of.
fn require_frames(c: &mut Cluster, clone: RscIx, task: Task, notices: &Notices) {
    let begin = first_action(c, clone, task, None).map(|ix| &c.acts[ix]);
    let needed = begin.is_some_and(|a| a.runnable && !a.optional);
    if needed {
        let before = notices.pre.into_iter().chain(notices.pre_done);
        for ix in before.chain([notices.post, notices.post_done]) {
            c.acts[ix].optional = false;
        }
    }
}

/// Who does what, as instances and their nodes.
#[derive(Default)]
struct Lists {
    lists: BTreeMap<&'static str, Vec<(String, Option<NodeIx>)>>,
}

fn collect(c: &Cluster, clone: RscIx) -> Lists {
    let mut out = Lists::default();
    for rsc in c.primitives(clone) {
        let r = &c.rscs[rsc];
        let here = r.running_on.first().copied();
        let list = match r.role {
            Role::Stopped | Role::Unknown => "inactive",
            Role::Started => "active",
            Role::Unpromoted => "unpromoted",
            Role::Promoted => "promoted",
        };
        let name = shown_id(c, rsc);
        if r.role > Role::Started {
            // In whatever role: it is active.
            out.lists
                .entry("active")
                .or_default()
                .push((name.clone(), here));
        }
        out.lists
            .entry(list)
            .or_default()
            .push((name.clone(), here));
        for ix in &r.actions {
            let a = &c.acts[*ix];
            let list = match a.task {
                Task::Start => "start",
                Task::Stop => "stop",
                Task::Promote => "promote",
                Task::Demote => "demote",
                _ => continue,
            };
            let Some(node) = a.node.filter(|_| !a.optional) else {
                continue;
            };
            // What ends with its node is announced even where the node cannot be fenced.
            if a.runnable || a.task == Task::Stop && c.nodes[node].unclean {
                out.lists
                    .entry(list)
                    .or_default()
                    .push((name.clone(), a.node));
            }
        }
    }
    for list in out.lists.values_mut() {
        list.sort_by(|a, b| by_instance(&a.0, &b.0));
    }
    out
}

fn by_instance(a: &str, b: &str) -> std::cmp::Ordering {
    a.cmp(b)
}

fn shown_id(c: &Cluster, rsc: RscIx) -> String {
    c.rscs[rsc].id.clone()
}

fn keys(c: &Cluster, clone: RscIx, lists: &Lists) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    let blank = |text: String| {
        if text.is_empty() {
            " ".to_owned()
        } else {
            text
        }
    };
    let resources = |list: &str| {
        let names: Vec<&str> = lists
            .lists
            .get(list)
            .into_iter()
            .flatten()
            .map(|(n, _)| n.as_str())
            .collect();
        blank(names.join(" "))
    };
    let nodes = |list: &str| {
        let names: Vec<&str> = lists
            .lists
            .get(list)
            .into_iter()
            .flatten()
            .filter_map(|(_, n)| n.map(|n| c.nodes[n].name.as_str()))
            .collect();
        blank(names.join(" "))
    };
    for (list, resource_key, node_key) in [
        ("start", "notify_start_resource", "notify_start_uname"),
        ("stop", "notify_stop_resource", "notify_stop_uname"),
        ("promote", "notify_promote_resource", "notify_promote_uname"),
        ("demote", "notify_demote_resource", "notify_demote_uname"),
        ("active", "notify_active_resource", "notify_active_uname"),
        (
            "promoted",
            "notify_promoted_resource",
            "notify_promoted_uname",
        ),
        ("promoted", "notify_master_resource", "notify_master_uname"),
        (
            "unpromoted",
            "notify_unpromoted_resource",
            "notify_unpromoted_uname",
        ),
        ("unpromoted", "notify_slave_resource", "notify_slave_uname"),
    ] {
        out.push((resource_key, resources(list)));
        out.push((node_key, nodes(list)));
    }
    out.push(("notify_inactive_resource", resources("inactive")));
    let exclusive = c.rscs[clone].exclusive_probes;
    let all = c.rscs[clone].allowed.entries();
    let open = all.filter(|(_, e)| !exclusive || e.discover == Discover::Exclusive);
    let mut available: Vec<NodeIx> = open.map(|(node, _)| node).collect();
    let by_name = |list: &mut Vec<NodeIx>| {
        list.sort_by(|a, b| crate::names::compare(&c.nodes[*a].name, &c.nodes[*b].name))
    };
    by_name(&mut available);
    let names = |list: &[NodeIx]| {
        blank(
            list.iter()
                .map(|n| c.nodes[*n].name.as_str())
                .collect::<Vec<_>>()
                .join(" "),
        )
    };
    out.push(("notify_available_uname", names(&available)));
    out.push(("notify_all_uname", names(&c.node_order)));
    let target = c.rscs[clone].meta.get("container-attribute-target");
    if target.is_some_and(|t| t == "host") {
        let hosts: Vec<NodeIx> = c.node_order.iter().map(|n| host_of(c, *n)).collect();
        out.push(("notify_all_hosts", names(&hosts)));
    }
    out
}

/// The host of a guest that runs; of others, the node itself.
fn host_of(c: &Cluster, node: NodeIx) -> NodeIx {
    let container = c.nodes[node].connection.and_then(|r| c.rscs[r].container);
    container.and_then(|r| c.current_node(r)).unwrap_or(node)
}

fn announce(c: &mut Cluster, clone: RscIx, task: Task, notices: &Notices) {
    let lists = collect(c, clone);
    let keys = keys(c, clone, &lists);
    for rsc in c.primitives(clone) {
        tell(c, rsc, task, notices, &keys, &lists);
    }
}

fn tell(
    c: &mut Cluster,
    rsc: RscIx,
    task: Task,
    notices: &Notices,
    keys: &[(&'static str, String)],
    lists: &Lists,
) {
    for ix in c.rscs[rsc].actions.clone() {
        let a = &c.acts[ix];
        let kind = matches!(
            a.task,
            Task::Start | Task::Stop | Task::Promote | Task::Demote
        );
        if kind && !a.optional && a.node.is_some() {
            add_keys(c, ix, keys);
        }
    }
    let list = task.text();
    if lists.lists.get(list).is_none_or(|l| l.is_empty()) {
        return;
    }
    let (role, next_role) = (c.rscs[rsc].role, c.rscs[rsc].next_role);
    if role != Role::Stopped && matches!(task, Task::Stop | Task::Demote) {
        let stop = first_action(c, rsc, Task::Stop, None);
        for node in c.rscs[rsc].running_on.clone() {
            let n = &c.nodes[node];
            let fenced = n.unclean || n.remote_requires_reset;
            let implied = stop.is_some_and(|ix| c.acts[ix].pseudo) && fenced;
            if implied {
                continue;
            }
            if let (Some(pre), Some(done)) = (notices.pre, notices.pre_done) {
                notify(c, rsc, node, pre, done, keys);
            }
            if task == Task::Demote || stop.is_none_or(|ix| c.acts[ix].optional) {
                post_notify(c, rsc, node, notices, keys);
            }
        }
    }
    if next_role != Role::Stopped && matches!(task, Task::Start | Task::Promote) {
        let Some(node) = c.rscs[rsc].assigned else {
            return;
        };
        let start = first_action(c, rsc, Task::Start, None);
        if start.is_some_and(|ix| !c.acts[ix].runnable) {
            return;
        }
        if (task != Task::Start || start.is_none_or(|ix| c.acts[ix].optional))
            && let (Some(pre), Some(done)) = (notices.pre, notices.pre_done)
        {
            notify(c, rsc, node, pre, done, keys);
        }
        post_notify(c, rsc, node, notices, keys);
    }
}

fn add_keys(c: &mut Cluster, ix: ActIx, keys: &[(&'static str, String)]) {
    let extra = &mut c.acts[ix].extra;
    for (name, value) in keys {
        // What was told first stays.
        if !extra.iter().any(|(known, _)| known == name) {
            extra.push((name, value.clone()));
        }
    }
}

fn notify(
    c: &mut Cluster,
    rsc: RscIx,
    node: NodeIx,
    frame: ActIx,
    done: ActIx,
    keys: &[(&'static str, String)],
) -> Option<ActIx> {
    if !c.nodes[node].online || !c.acts[frame].runnable {
        return None;
    }
    let own = c.acts[frame].extra.clone();
    let value = |name: &str| {
        own.iter()
            .find(|(n, _)| *n == name)
            .map_or("", |(_, v)| v.as_str())
    };
    let key = format!(
        "{}_{}_notify_{}_0",
        c.rscs[rsc].id,
        value("notify_type"),
        value("notify_operation")
    );
    let optional = c.acts[frame].optional;
    let ix = actions::keyed_action(c, rsc, Task::Notify, key, Some(node), optional);
    for (name, value) in own {
        // The first frame that an instance is told from names what it is told.
        let extra = &mut c.acts[ix].extra;
        if !extra.iter().any(|(known, _)| *known == name) {
            extra.push((name, value));
        }
    }
    add_keys(c, ix, keys);
    order_actions(c, frame, ix, ar::ORDERED);
    order_actions(c, ix, done, ar::ORDERED);
    Some(ix)
}

fn post_notify(
    c: &mut Cluster,
    rsc: RscIx,
    node: NodeIx,
    notices: &Notices,
    keys: &[(&'static str, String)],
) {
    if let Some(ix) = notify(c, rsc, node, notices.post, notices.post_done, keys) {
        c.acts[ix].priority = INFINITY;
    }
    for mon in c.rscs[rsc].actions.clone() {
        let a = &c.acts[mon];
        if a.interval_ms > 0 && a.task == Task::Monitor {
            order_actions(c, notices.post_done, mon, ar::ORDERED);
        }
    }
}

/// Notifications about a stop that fencing implies: those left are told when the fencing is done.
pub(crate) fn order_fencing(c: &mut Cluster, rsc: RscIx, stop: ActIx, fence: ActIx) {
    let (optional, runnable) = (c.acts[fence].optional, c.acts[fence].runnable);
    let frame = |c: &mut Cluster, task, kind| {
        let what = ("post", "stop");
        let ix = frame(c, rsc, task, kind, "stonith", what, optional, runnable);
        c.acts[ix].priority = INFINITY;
        ix
    };
    let post = frame(c, Task::Notify, "post");
    let post_done = frame(c, Task::Notified, "confirmed-post");
    order_actions(c, fence, post, ar::FIRST_IMPLIES_THEN);
    order_actions(c, post, post_done, ar::FIRST_IMPLIES_THEN);
    let notices = Notices {
        pre: None,
        pre_done: None,
        post,
        post_done,
    };
    let place = c.acts[stop].node;
    let name = place.map_or(String::new(), |n| c.nodes[n].name.clone());
    // Of what ends with the node only this is known yet.
    let keys = [
        ("notify_stop_uname", name),
        ("notify_stop_resource", shown_id(c, rsc)),
    ];
    let whole = c.uber_parent(rsc, false);
    if c.rscs[whole].kind != Kind::Clone {
        // A bundle's containers and connections are told of their own stop only.
        return add_keys(c, stop, &keys);
    }
    let mut lists = Lists::default();
    let stopping = (shown_id(c, rsc), place);
    lists.lists.insert("stop", vec![stopping]);
    for part in c.primitives(whole) {
        tell(c, part, Task::Stop, &notices, &keys, &lists);
    }
}

//! What keeps a resource from running, from a node, or waiting.

use cib::Element;

use super::{Explanation, NodeReasons, Reason, Why, describe, show_score};
use crate::{
    history_ops::base_name,
    model::{ActIx, Cluster, Kind, NodeIx, Requires, RscIx, Task},
    options::NoQuorum,
    ordering::find_actions,
    score::{self, INFINITY},
};

/// Whether a primitive will be stopped on a node.
pub(super) fn must_stop(c: &Cluster, rsc: RscIx, node: NodeIx) -> bool {
    on(c, rsc, Task::Stop, node).is_some_and(|ix| !c.acts[ix].optional && c.acts[ix].runnable)
}

/// Whether a primitive can be started on a node, or migrated to it.
pub(super) fn can_come(c: &Cluster, rsc: RscIx, node: NodeIx) -> bool {
    let starts = on(c, rsc, Task::Start, node).is_some_and(|ix| c.acts[ix].runnable);
    let migrates = on(c, rsc, Task::MigrateFrom, node)
        .is_some_and(|ix| c.acts[ix].runnable && !c.acts[ix].optional);
    starts || migrates
}

fn on(c: &Cluster, rsc: RscIx, task: Task, node: NodeIx) -> Option<ActIx> {
    let mut all = find_actions(c, rsc, task, 0).into_iter();
    all.find(|ix| c.acts[*ix].node == Some(node))
}

/// What holds for a resource whatever the node.
pub(super) fn of_resource(c: &mut Cluster, rsc: RscIx) -> Vec<Reason> {
    let mut out = Vec::new();
    if let Some(found) = unwanted(c, rsc) {
        out.push(found);
    }
    if c.options.stop_all {
        let text = "stop-all-resources is set";
        out.push(Reason::new(Why::StopAll, text).id("stop-all-resources"));
    }
    let runs = super::runs_on(c, rsc).is_some();
    if !c.rscs[rsc].managed {
        out.push(unmanaged(c, rsc));
    }
    if let Some(found) = no_quorum(c, rsc).filter(|_| !runs) {
        out.push(found);
    }
    out.extend(missing_ticket(c, rsc).filter(|_| !runs));
    let placed = c.rscs[rsc].assigned.filter(|_| !runs && out.is_empty());
    if let Some(start) = placed.and_then(|node| on(c, rsc, Task::Start, node)) {
        out.extend(unrunnable(c, rsc, start));
    }
    out
}

/// It is meant to be stopped.
fn unwanted(c: &Cluster, rsc: RscIx) -> Option<Reason> {
    let configured = c.rscs[rsc].meta.get("target-role");
    let stopped = configured.is_some_and(|role| role.eq_ignore_ascii_case("stopped"));
    let told = |m: &super::record::Moved| matches!(&m.cause, super::record::Cause::Named(why) if &**why == "target-role");
    let recorder = c.explain.as_ref()?;
    (stopped || recorder.of(rsc).any(told)).then(|| describe::stopped(c, rsc))
}

fn missing_ticket(c: &mut Cluster, rsc: RscIx) -> Option<Reason> {
    let node = c.rscs[rsc].allowed.nodes().next()?;
    let all = describe::contributions(c, rsc, node);
    let mut tickets = all.into_iter().map(|part| part.reason);
    tickets.find(|reason| reason.why == Why::Ticket)
}

fn no_quorum(c: &Cluster, rsc: RscIx) -> Option<Reason> {
    let policy = match c.options.no_quorum {
        _ if c.quorate => return None,
        NoQuorum::Ignore => return None,
        NoQuorum::Stop => "stop",
        NoQuorum::Freeze => "freeze",
        NoQuorum::Demote => "demote",
        NoQuorum::Fence => "fence",
    };
    if c.rscs[rsc].requires == Requires::Nothing {
        return None;
    }
    let text = format!("the cluster has no quorum, and no-quorum-policy is {policy}");
    Some(Reason::new(Why::NoQuorum, text).id("no-quorum-policy"))
}

/// Why the cluster keeps its hands off.
fn unmanaged(c: &Cluster, rsc: RscIx) -> Reason {
    let r = &c.rscs[rsc];
    let meta = |name: &str| r.meta.get(name).map(String::as_str);
    if r.blocked {
        return blocked(c, rsc);
    }
    let top = &c.rscs[c.uber_parent(rsc, true)].meta;
    let maintenance = meta("maintenance").or(top.get("maintenance").map(String::as_str));
    if score::is_true(maintenance) {
        let text = "maintenance is on for it: the cluster leaves it alone";
        return Reason::new(Why::Unmanaged, text).id("maintenance");
    }
    if c.options.maintenance {
        let text = "the whole cluster is in maintenance-mode";
        return Reason::new(Why::MaintenanceMode, text).id("maintenance-mode");
    }
    let node = r.running_on.iter().find(|n| c.nodes[**n].maintenance);
    if let Some(node) = node {
        let name = c.nodes[*node].name.clone();
        let text = format!("node {name}, where it runs, is in maintenance");
        return Reason::new(Why::NodeMaintenance, text)
            .id("maintenance")
            .about(name);
    }
    if r.is_fence_device && !c.have_fence_device {
        return Reason::new(Why::Unmanaged, "a fence device that cannot be used");
    }
    let text = "is-managed is false: the cluster neither starts nor stops it";
    Reason::new(Why::Unmanaged, text).id("is-managed")
}

/// A failure keeps the cluster from touching it.
fn blocked(c: &Cluster, rsc: RscIx) -> Reason {
    let failed = c.failed_ops.iter().rev().find(|(r, ..)| *r == rsc);
    let Some((rsc, node, op)) = failed else {
        if c.rscs[rsc].running_on.len() > 1 {
            let text = "it was found active on several nodes and multiple-active is block";
            return Reason::new(Why::MultipleActive, text).id("multiple-active");
        }
        if let Some(ticket) = lost_ticket(c, rsc) {
            return ticket;
        }
        return Reason::new(Why::Blocked, "a failure blocks it");
    };
    let what = describe::of_op(c, *rsc, *node, op);
    let name = op.attr("operation").unwrap_or_default();
    let mut ops = c.rscs[*rsc].ops.iter().filter(|op| op.name == name);
    let said = ops.any(|op| op.xml.attr("on-fail") == Some("block"));
    let why = if name == "stop" && !c.options.fencing && !said {
        ", and without fencing nothing can be done about a failed stop"
    } else {
        ", and on-fail is block"
    };
    let text = format!("{what}{why}: the cluster leaves it alone until it is cleaned up");
    Reason::new(Why::Blocked, text).about(c.nodes[*node].name.clone())
}

/// A ticket with the policy to freeze what needs it.
fn lost_ticket(c: &Cluster, rsc: RscIx) -> Option<Reason> {
    let uses = c.rscs[rsc].tickets.iter().map(|ix| &c.ticket_uses[*ix]);
    let mut lost = uses.filter(|u| c.tickets.get(&u.ticket).is_none_or(|t| !t.granted));
    let u = lost.next()?;
    let text = format!("ticket {} was lost, and loss-policy is freeze", u.ticket);
    let reason = Reason::new(Why::Ticket, text).id(&*u.id);
    Some(reason.about(u.ticket.clone()))
}

/// Why an operation of a primitive that is planned cannot be done.
pub(super) fn cannot(c: &Cluster, rsc: RscIx, task: Task) -> Option<Reason> {
    let act = find_actions(c, rsc, task, 0).into_iter().next()?;
    unrunnable(c, rsc, act)
}

/// Why an action cannot be done.
fn unrunnable(c: &Cluster, rsc: RscIx, act: ActIx) -> Option<Reason> {
    let told = c.acts[act].reason.as_deref().unwrap_or_default();
    if let Some(other) = told.strip_prefix("colocation with ") {
        let text = format!("it must be with {other}, which cannot run");
        let reason = Reason::new(Why::Colocation, text).about(other);
        return Some(match colocation_id(c, rsc, other) {
            Some(id) => reason.id(id),
            None => reason,
        });
    }
    if let Some(found) = blocking(c, rsc, act) {
        return Some(found);
    }
    (!c.acts[act].runnable).then(|| Reason::new(Why::Other, told))
}

fn colocation_id(c: &Cluster, rsc: RscIx, other: &str) -> Option<String> {
    let mine = names(c, rsc);
    let is = |rsc: RscIx, all: &[String]| all.contains(&c.rscs[rsc].id);
    let mut all = c.colocations.iter();
    let found = all.find(|col| is(col.dependent, &mine) && c.rscs[col.primary].id == other)?;
    Some(found.id.to_string())
}

/// Follows what an action waits for to something that does not happen, of another resource.
fn blocking(c: &Cluster, rsc: RscIx, act: ActIx) -> Option<Reason> {
    let top = c.uber_parent(rsc, true);
    let mut queue = vec![act];
    let mut seen = vec![act];
    let mut at = 0;
    while let Some(act) = queue.get(at).copied() {
        at += 1;
        for link in &c.acts[act].before {
            let first = &c.acts[link.other];
            if first.runnable || seen.contains(&link.other) {
                continue;
            }
            seen.push(link.other);
            if first.task == Task::Fence {
                let node = first.node.map(|n| c.nodes[n].name.clone())?;
                let text = format!("{node} has to be fenced first, and cannot be");
                return Some(Reason::new(Why::Fencing, text).about(node));
            }
            let Some(other) = first.rsc.filter(|other| *other != rsc) else {
                queue.push(link.other);
                continue;
            };
            if c.uber_parent(other, true) != top {
                return Some(ordered(c, rsc, other, first.task));
            }
            if c.rscs[other].kind == Kind::Primitive && super::runs_on(c, other).is_none() {
                let other = c.rscs[other].id.clone();
                let text = format!("{other}, which comes before it in the group, does not run");
                return Some(Reason::new(Why::Group, text).about(other));
            }
            queue.push(link.other);
        }
    }
    None
}

fn ordered(c: &Cluster, then: RscIx, first: RscIx, task: Task) -> Reason {
    let name = c.rscs[first].id.clone();
    let task = match task {
        Task::Promote | Task::Promoted => "be promoted",
        Task::Stop | Task::Stopped => "stop",
        Task::Demote | Task::Demoted => "be demoted",
        _ => "start",
    };
    let text = format!("ordering: {name} has to {task} first, and does not");
    let reason = Reason::new(Why::Ordering, text).about(name);
    match order_id(c, first, then) {
        Some(id) => reason.id(id),
        None => reason,
    }
}

/// A resource and all it is part of, by every name constraints may use.
fn names(c: &Cluster, rsc: RscIx) -> Vec<String> {
    let mut out = Vec::new();
    let mut at = Some(rsc);
    while let Some(rsc) = at {
        let id = &c.rscs[rsc].id;
        out.extend([id.clone(), base_name(id).to_owned()]);
        at = c.rscs[rsc].parent;
    }
    for group in c.tags.iter().chain(c.templates.iter()) {
        if group.1.iter().any(|member| out.contains(member)) {
            out.push(group.0.clone());
        }
    }
    out
}

/// The ordering constraint that puts one resource before another.
fn order_id(c: &Cluster, first: RscIx, then: RscIx) -> Option<String> {
    let constraints = crate::nodes::section(c.cib, "constraints")?;
    let (first, then) = (names(c, first), names(c, then));
    let has = |text: Option<&str>, all: &[String]| text.is_some_and(|t| all.iter().any(|n| n == t));
    let orders = |xml: &&Element| {
        let plain = has(xml.attr("first"), &first) && has(xml.attr("then"), &then);
        let refs = || xml.descendants().filter(|e| e.name() == "resource_ref");
        plain || refs().any(|r| has(r.id(), &first)) && refs().any(|r| has(r.id(), &then))
    };
    let found = constraints.children_named("rsc_order").find(orders)?;
    found.id().map(str::to_owned)
}

/// Fencing that has to be over before a primitive can start where it was put.
pub(super) fn waits(c: &Cluster, rsc: RscIx) -> Vec<Reason> {
    let Some((node, _)) = super::runs_on(c, rsc) else {
        return Vec::new();
    };
    let Some(start) = on(c, rsc, Task::Start, node).filter(|ix| !c.acts[*ix].optional) else {
        return Vec::new();
    };
    let mut out: Vec<Reason> = Vec::new();
    let mut queue = vec![start];
    let mut seen = vec![start];
    let mut at = 0;
    while let Some(act) = queue.get(at).copied() {
        at += 1;
        for link in &c.acts[act].before {
            let first = &c.acts[link.other];
            if first.optional || seen.contains(&link.other) {
                continue;
            }
            seen.push(link.other);
            if let Some(node) = first.node.filter(|_| first.task == Task::Fence) {
                let node = c.nodes[node].name.clone();
                let why = first.reason.as_deref().unwrap_or("its state is not known");
                let text = format!("{node} has to be fenced first ({why})");
                out.push(Reason::new(Why::Fencing, text).about(node));
            } else {
                queue.push(link.other);
            }
        }
    }
    out
}

/// Why a node is not where an instance runs.
pub(super) fn of_node(
    c: &Cluster,
    rsc: RscIx,
    who: RscIx,
    node: NodeIx,
    row: &NodeReasons,
) -> Vec<Reason> {
    let mut out = of_state(c, node);
    if row.score.is_none() {
        if !c.options.symmetric {
            let text = "symmetric-cluster is off, and no location constraint opens the node";
            out.push(Reason::new(Why::OptIn, text).id("symmetric-cluster"));
        }
        return out;
    }
    let general = [
        Why::TargetRole,
        Why::FailureStop,
        Why::Ticket,
        Why::Unmanaged,
    ];
    let bans = row.contributions.iter().filter(|part| {
        let why = part.reason.why;
        let told = why == Why::Offline && !out.is_empty();
        part.amount <= -INFINITY && !general.contains(&why) && !told
    });
    let bans: Vec<Reason> = bans.map(|part| part.reason.clone()).collect();
    for ban in bans {
        if !out.contains(&ban) {
            out.push(ban);
        }
    }
    let score = row.score.unwrap_or(0);
    if out.is_empty() && score < 0 && score > -INFINITY {
        out.push(negative(row, score));
    }
    let collective = matches!(c.rscs[rsc].kind, Kind::Clone | Kind::Bundle);
    if out.is_empty() && collective && who == rsc {
        out.push(describe::clone_max(c, rsc));
    }
    out
}

fn negative(row: &NodeReasons, score: i32) -> Reason {
    let worst = row.contributions.iter().min_by_key(|part| part.amount);
    let text = format!("the sum of its scores is {}, below 0", show_score(score));
    let reason = Reason::new(Why::Negative, text);
    match worst.and_then(|part| part.reason.id.clone()) {
        Some(id) => reason.id(id),
        None => reason,
    }
}

/// Why nothing can run on a node.
fn of_state(c: &Cluster, node: NodeIx) -> Vec<Reason> {
    let n = &c.nodes[node];
    if c.can_run(node) {
        return Vec::new();
    }
    let (why, text) = if n.unclean {
        (Why::Unclean, "its state is not known: it has to be fenced")
    } else if !n.online {
        (Why::Offline, "the node is offline")
    } else if n.standby_onfail {
        (Why::StandbyOnFail, "a failure put the node on standby")
    } else if n.standby {
        (Why::Standby, "the node is on standby")
    } else if n.maintenance {
        (Why::NodeMaintenance, "the node is in maintenance")
    } else if n.pending {
        (Why::Pending, "the node is joining")
    } else {
        (Why::Leaving, "the node is shutting down")
    };
    vec![Reason::new(why, text).about(n.name.clone())]
}

/// Compares the nodes it could be on with the one it is on.
pub(super) fn compare(c: &Cluster, out: &mut Explanation) {
    let best = out.nodes.iter().find(|row| row.is_chosen);
    let Some((name, best)) = best.and_then(|row| Some((row.node.clone(), row.score?))) else {
        return;
    };
    for row in out.nodes.iter_mut().filter(|row| !row.is_chosen) {
        let Some(score) = row.score.filter(|_| row.blockers.is_empty()) else {
            continue;
        };
        let reason = if score < best {
            let text = if best >= INFINITY {
                format!("{name} has INFINITY, this node {}", show_score(score))
            } else {
                let more = best.saturating_sub(score);
                format!(
                    "{name} has {}, {more} more than this node",
                    show_score(best)
                )
            };
            Reason::new(Why::Outscored, text)
        } else if score == best {
            let text = format!(
                "{name} has the same score, and was taken because {}",
                tie(c)
            );
            Reason::new(Why::Tie, text)
        } else if out.blockers.is_empty() {
            let text = format!("{name} was taken for what it is part of");
            Reason::new(Why::Other, text)
        } else {
            continue;
        };
        row.blockers.push(reason.about(name.clone()));
    }
}

fn tie(c: &Cluster) -> &'static str {
    match c.options.placement {
        crate::options::Placement::Balanced => {
            "it has more room, or less runs there, or it comes first by name"
        }
        crate::options::Placement::Minimal => "it runs there already, or it comes first by name",
        _ => "less was placed there, or it runs there already, or it comes first by name",
    }
}

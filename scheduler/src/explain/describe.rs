//! Turns what was written down about scores into reasons people can act on.

use cib::Element;

use super::{
    Contribution, Reason, Why, decided,
    record::{Amount, Cause, Crowd, Moved, total},
};
use crate::{
    failures,
    model::{Cluster, Kind, NodeIx, RscIx},
    score::{self, INFINITY},
};

/// What the score of a resource on a node is made of. What is equal is told once.
pub(super) fn contributions(c: &mut Cluster, rsc: RscIx, node: NodeIx) -> Vec<Contribution> {
    let mut out: Vec<Contribution> = Vec::new();
    let base = c.nodes[node].score;
    if base != 0 && c.rscs[rsc].allowed.get(node).is_some() {
        out.push(contribution(
            &Amount::Add(base),
            reason(c, rsc, node, &Cause::Base),
        ));
    }
    for moved in moved(c, rsc, node) {
        let reason = reason(c, rsc, node, &moved.cause);
        let new = contribution(&moved.amount, reason);
        let known = new.amount <= -INFINITY && out.contains(&new);
        if !known {
            out.push(new);
        }
    }
    out
}

fn contribution(amount: &Amount, reason: Reason) -> Contribution {
    let (amount, replaces) = match *amount {
        Amount::Add(amount) => (amount, false),
        Amount::Set(amount) => (amount, true),
    };
    Contribution {
        amount,
        replaces,
        reason,
    }
}

fn moved(c: &Cluster, rsc: RscIx, node: NodeIx) -> Vec<Moved> {
    let Some(recorder) = &c.explain else {
        return Vec::new();
    };
    let here = |m: &&Moved| m.node == node;
    match c.rscs[rsc].kind {
        Kind::Clone | Kind::Bundle => recorder.of_shown(rsc).filter(here).cloned().collect(),
        _ => recorder.of(rsc).filter(here).cloned().collect(),
    }
}

/// What the priority of an instance is made of, as far as it is its own.
pub(super) fn priorities(c: &mut Cluster, rsc: RscIx, node: NodeIx) -> Vec<Contribution> {
    let all = c.explain.as_ref().map(|r| r.priority_of(rsc).to_vec());
    let all = all.unwrap_or_default().into_iter();
    let parts = all.map(|(amount, cause)| {
        let reason = match (&amount, &cause) {
            (Amount::Set(-1), Cause::Promotion) => {
                let name = format!("master-{}", base(c, rsc));
                let text = "its agent has set no promotion score here";
                Reason::new(Why::Promotion, text).id(name)
            }
            (_, Cause::Named(_)) => {
                let text = "target-role keeps it from being promoted";
                Reason::new(Why::TargetRole, text).id("target-role")
            }
            _ => reason(c, rsc, node, &cause),
        };
        // It begins anew, but it is added to what the clone brings along.
        let amount = match amount {
            Amount::Set(score) if cause == Cause::Promotion => Amount::Add(score),
            amount => amount,
        };
        contribution(&amount, reason)
    });
    parts.collect()
}

/// What other instances on the node bring along for one whose own sum is `own`: those on one node are promoted by the
/// sum of all.
pub(super) fn beside(c: &Cluster, clone: RscIx, node: NodeIx, own: i32) -> Vec<Contribution> {
    let Some(recorder) = &c.explain else {
        return Vec::new();
    };
    let here = recorder.of_roles(clone).filter(|m| m.node == node);
    let mut sums: Vec<Amount> = here
        .filter(|m| m.cause == Cause::Promotion)
        .map(|m| m.amount)
        .collect();
    if let Some(at) = sums.iter().position(|sum| *sum == Amount::Add(own)) {
        sums.remove(at);
    }
    let text = "what another instance on the node brings along";
    sums.iter()
        .map(|sum| contribution(sum, Reason::new(Why::Promotion, text)))
        .collect()
}

/// What others want of the promoted instances of a clone, and the tickets promotion needs.
pub(super) fn role_wishes(c: &mut Cluster, clone: RscIx, node: NodeIx) -> Vec<Contribution> {
    let all: Vec<Moved> = match &c.explain {
        None => Vec::new(),
        Some(recorder) => recorder.of_roles(clone).cloned().collect(),
    };
    let here = all
        .into_iter()
        .filter(|m| m.node == node && m.cause != Cause::Promotion);
    here.map(|m| contribution(&m.amount, reason(c, clone, node, &m.cause)))
        .collect()
}

/// The score of a collective before its instances were placed.
pub(super) fn shown_score(c: &Cluster, rsc: RscIx, node: NodeIx) -> Option<i32> {
    c.rscs[rsc].allowed.get(node)?;
    Some(total(c.nodes[node].score, moved(c, rsc, node).iter()))
}

/// One cause in words.
fn reason(c: &mut Cluster, rsc: RscIx, node: NodeIx, cause: &Cause) -> Reason {
    match cause {
        Cause::Base => Reason::new(Why::NodeScore, "what every resource starts from here"),
        Cause::Named(why) => named(c, rsc, node, why),
        Cause::Location(ix) => location(c, *ix),
        Cause::Exclusive => discovery(c, rsc),
        Cause::With(ix) => with(c, rsc, *ix),
        Cause::Wish(ix) => wish(c, *ix),
        Cause::Promotion => {
            let name = format!("master-{}", base(c, rsc));
            Reason::new(Why::Promotion, "the promotion score its agent set").id(name)
        }
        Cause::Crowd(crowd) => crowded(c, rsc, *crowd),
        Cause::Bundle => {
            let text = "the parts of a bundle's replica are together";
            Reason::new(Why::Bundle, text)
        }
        Cause::Remote => Reason::new(Why::Remote, "it cannot run on this remote node"),
        Cause::MultipleActive => {
            let text = "it was found active on several nodes and multiple-active is stop_only";
            Reason::new(Why::MultipleActive, text).id("multiple-active")
        }
        Cause::Capacity(amounts) => {
            let short: Vec<String> = amounts
                .iter()
                .map(|(name, need, free)| format!("{name}: {need} needed, {free} free"))
                .collect();
            let text = format!("not enough room: {}", short.join("; "));
            let mut reason = Reason::new(Why::Capacity, text);
            reason.amounts = amounts.clone();
            reason
        }
    }
}

fn base(c: &Cluster, rsc: RscIx) -> String {
    crate::history_ops::base_name(c.history_id(rsc)).to_owned()
}

fn named(c: &mut Cluster, rsc: RscIx, node: NodeIx, why: &str) -> Reason {
    let node_name = c.nodes[node].name.clone();
    match why {
        "stickiness" => {
            let text = "resource-stickiness: it runs here and likes to stay";
            Reason::new(Why::Stickiness, text).id("resource-stickiness")
        }
        "__fail_limit__" => fail_count(c, rsc, node),
        "target-role" => stopped(c, rsc),
        "__loss_of_ticket__" => ticket(c, rsc),
        "shutdown-lock" => {
            let home = c.rscs[rsc].lock_node.map(|n| c.nodes[n].name.clone());
            let home = home.unwrap_or_default();
            let text = format!("shutdown-lock keeps it for {home}, which was shut down in order");
            Reason::new(Why::ShutdownLock, text).about(home)
        }
        "collective_limit_reached" => clone_max(c, rsc),
        "__stop_fail__" => {
            let text = format!("its stop failed on {node_name}");
            Reason::new(Why::StopFailed, text).about(node_name)
        }
        "hard-error" | "fatal-error" => {
            let failed = failure(c, rsc, node).unwrap_or_else(|| "its agent failed".to_owned());
            let text = format!("{failed}: an error that trying again does not mend");
            Reason::new(Why::HardError, text).about(node_name)
        }
        "__action_migration_auto__" => {
            let failed = failure(c, rsc, node).unwrap_or_else(|| "a failure".to_owned());
            let text = format!("{failed}, and such a failure bans it from the node");
            Reason::new(Why::FailureBan, text).about(node_name)
        }
        "not_managed_default" => {
            let text = "it runs here and the cluster may not move it";
            Reason::new(Why::Unmanaged, text)
        }
        "removed" => Reason::new(Why::Removed, "its configuration was removed"),
        other => Reason::new(Why::Other, other),
    }
}

fn fail_count(c: &mut Cluster, rsc: RscIx, node: NodeIx) -> Reason {
    let failing = failing_part(c, rsc, node);
    let count = failures::count_with_fillers(c, failing, node).count;
    let limit = c.rscs[failing].migration_threshold;
    let name = base(c, failing);
    let node = c.nodes[node].name.clone();
    let text = format!(
        "{name} failed on {node}: fail-count {}, migration-threshold {}",
        score::show(count),
        score::show(limit)
    );
    let mut reason = Reason::new(Why::FailCount, text).about(node);
    reason.id = Some(format!("fail-count-{name}"));
    reason.amounts = vec![("migration-threshold".to_owned(), count.into(), limit.into())];
    reason
}

/// The primitive whose failures keep a resource (which may share them with other instances) from a node.
fn failing_part(c: &mut Cluster, rsc: RscIx, node: NodeIx) -> RscIx {
    let top = c.uber_parent(rsc, false);
    let mut candidates = vec![rsc];
    candidates.extend(c.primitives(top));
    let reached = |c: &mut Cluster, r: &RscIx| {
        c.rscs[*r].kind == Kind::Primitive && failures::threshold_reached(c, *r, node).is_some()
    };
    let found = candidates.iter().copied().find(|r| reached(c, r));
    found.unwrap_or(rsc)
}

/// It shall be stopped: because somebody said so, or because of a failure.
pub(super) fn stopped(c: &Cluster, rsc: RscIx) -> Reason {
    let r = &c.rscs[rsc];
    let configured = r.meta.get("target-role");
    if configured.is_some_and(|role| role.eq_ignore_ascii_case("stopped")) {
        let text = "target-role is Stopped: somebody wants it stopped";
        return Reason::new(Why::TargetRole, text).id("target-role");
    }
    let failed = c.failed_ops.iter().find(|(failed, ..)| *failed == rsc);
    let (what, node) = match failed {
        Some((rsc, node, op)) => (of_op(c, *rsc, *node, op), c.nodes[*node].name.clone()),
        None => ("a failure".to_owned(), String::new()),
    };
    let text = format!("{what}, and on-fail keeps it stopped until it is cleaned up");
    let reason = Reason::new(Why::FailureStop, text);
    if node.is_empty() {
        reason
    } else {
        reason.about(node)
    }
}

fn ticket(c: &Cluster, rsc: RscIx) -> Reason {
    let mut at = Some(rsc);
    while let Some(rsc) = at {
        for ix in &c.rscs[rsc].tickets {
            let u = &c.ticket_uses[*ix];
            let state = c.tickets.get(&u.ticket).cloned().unwrap_or_default();
            if state.granted && !state.standby {
                continue;
            }
            let how = if state.granted {
                "on standby"
            } else {
                "not granted to this cluster"
            };
            let text = format!("ticket {} is {how}", u.ticket);
            return Reason::new(Why::Ticket, text)
                .id(&*u.id)
                .about(u.ticket.clone());
        }
        at = c.rscs[rsc].parent;
    }
    Reason::new(Why::Ticket, "a ticket is not held by this cluster")
}

fn location(c: &Cluster, ix: usize) -> Reason {
    let id = c.locations[ix].id.to_string();
    let xml = c.ids.find(&id);
    match xml.map(Element::name) {
        Some("rsc_location") => {
            let how = match id.as_str() {
                id if id.starts_with("cli-ban-") => ", made by crm_resource --ban",
                id if id.starts_with("cli-prefer-") => ", made by crm_resource --move",
                _ => "",
            };
            Reason::new(Why::Location, format!("location constraint{how}")).id(id)
        }
        Some("rule") => rule(c, &id),
        _ if id == c.options.health_strategy => {
            let text = format!("health of the node (node-health-strategy {id})");
            Reason::new(Why::Health, text).id("node-health-strategy")
        }
        _ => Reason::new(Why::Location, "location constraint").id(id),
    }
}

fn rule(c: &Cluster, rule: &str) -> Reason {
    let constraints = crate::nodes::section(c.cib, "constraints");
    let mut all = constraints.into_iter().flat_map(Element::children);
    let names = |r: &Element| r.id() == Some(rule) || r.attr("id-ref") == Some(rule);
    let owner = all.find(|xml| xml.children_named("rule").any(names));
    let id = owner.and_then(Element::id).unwrap_or(rule).to_owned();
    let mut parts = owner.into_iter().flat_map(Element::descendants);
    let end = parts.find_map(|e| e.attr("end").filter(|_| e.name() == "date_expression"));
    let mut text = format!("rule {rule}");
    if id.starts_with("cli-") {
        let made = if id.starts_with("cli-ban-") {
            "ban"
        } else {
            "move"
        };
        text.push_str(&format!(", made by crm_resource --{made}"));
    }
    if let Some(end) = end {
        text.push_str(&format!(", until {end}"));
    }
    let mut reason = Reason::new(Why::Location, text).id(id);
    reason.rule = Some(rule.to_owned());
    reason
}

/// Some constraint with `resource-discovery="exclusive"` names other nodes.
fn discovery(c: &Cluster, rsc: RscIx) -> Reason {
    let mut at = Some(rsc);
    let text = "resource-discovery is exclusive, and not for this node";
    while let Some(rsc) = at {
        let mut mine = c.rscs[rsc]
            .locations
            .iter()
            .map(|ix| (*ix, &c.locations[*ix]));
        let exclusive =
            |l: &crate::model::Location| l.discover == crate::model::Discover::Exclusive;
        if let Some((ix, _)) = mine.find(|(_, l)| exclusive(l)) {
            let found = location(c, ix);
            return Reason {
                why: Why::Discovery,
                text: text.to_owned(),
                ..found
            };
        }
        at = c.rscs[rsc].parent;
    }
    Reason::new(Why::Discovery, text)
}

/// Where a resource will be, for sentences.
fn whereabouts(c: &Cluster, rsc: RscIx) -> String {
    let mut nodes: Vec<String> = decided(c, rsc).into_iter().map(|p| p.node).collect();
    nodes.dedup();
    match nodes.as_slice() {
        [] => "which will not run".to_owned(),
        nodes => format!("which will be on {}", nodes.join(", ")),
    }
}

/// The name by which people know a resource.
fn plain(c: &Cluster, rsc: RscIx) -> String {
    let id = &c.rscs[rsc].id;
    if c.clone_of(rsc).is_some_and(|clone| clone != rsc) {
        return crate::history_ops::base_name(id).to_owned();
    }
    id.clone()
}

fn with(c: &Cluster, rsc: RscIx, ix: usize) -> Reason {
    let col = &c.colocations[ix];
    let primary = plain(c, col.primary);
    let place = whereabouts(c, col.primary);
    if col.id.starts_with('#') {
        let text = format!("it is in a group with {primary}, {place}");
        return Reason::new(Why::Group, text).about(primary);
    }
    let way = if col.score < 0 { "away from" } else { "with" };
    let whose = if col.dependent == rsc {
        String::new()
    } else {
        format!("{} ", plain(c, col.dependent))
    };
    let role = match col.primary_role {
        crate::model::Role::Unknown => String::new(),
        role => format!(" {}", role.text()),
    };
    let text = format!("colocation: {whose}{way} {primary}{role}, {place}");
    Reason::new(Why::Colocation, text)
        .id(&*col.id)
        .about(primary)
}

fn wish(c: &Cluster, ix: usize) -> Reason {
    let col = &c.colocations[ix];
    let dependent = plain(c, col.dependent);
    if col.id.starts_with('#') {
        let text = format!("what {dependent}, which is in a group with it, prefers");
        return Reason::new(Why::Group, text).about(dependent);
    }
    let way = if col.score < 0 { "away from" } else { "with" };
    let text = format!("what {dependent}, which goes {way} it, prefers");
    Reason::new(Why::Dependent, text)
        .id(&*col.id)
        .about(dependent)
}

fn crowded(c: &Cluster, rsc: RscIx, crowd: Crowd) -> Reason {
    let owner = c.uber_parent(rsc, true);
    let owner = c.rscs[owner].id.clone();
    match crowd {
        Crowd::Removed => Reason::new(Why::Removed, "its configuration was removed"),
        Crowd::Down => Reason::new(Why::Offline, "nothing can run on the node"),
        Crowd::Banned => {
            let text = format!("{owner} as a whole may not be here");
            Reason::new(Why::CloneBanned, text).about(owner)
        }
        Crowd::Full => {
            let text =
                format!("the node has as many instances of {owner} as clone-node-max lets it");
            Reason::new(Why::CloneNodeMax, text)
                .id("clone-node-max")
                .about(owner)
        }
    }
}

pub(super) fn clone_max(c: &Cluster, rsc: RscIx) -> Reason {
    let top = c.uber_parent(rsc, true);
    let max = c.rscs[top].clone.max;
    let owner = c.rscs[top].id.clone();
    let text = format!("{owner} has as many instances as clone-max ({max}) lets it");
    let mut reason = Reason::new(Why::CloneMax, text)
        .id("clone-max")
        .about(owner);
    reason.amounts = vec![("clone-max".to_owned(), i64::from(max) + 1, max.into())];
    reason
}

/// The last failure of a resource on a node.
pub(super) fn failure(c: &Cluster, rsc: RscIx, node: NodeIx) -> Option<String> {
    let name = base(c, rsc);
    let mut all = c.failed_ops.iter().rev();
    let (rsc, node, op) = all.find(|(failed, on, _)| *on == node && base(c, *failed) == name)?;
    Some(of_op(c, *rsc, *node, op))
}

/// A failed operation in words.
pub(super) fn of_op(c: &Cluster, rsc: RscIx, node: NodeIx, op: &Element) -> String {
    let what = op.attr("operation").unwrap_or("an operation");
    let rc = op.attr("rc-code").unwrap_or("?");
    let told = match op.attr("exit-reason") {
        Some(reason) if !reason.is_empty() => format!(": {reason}"),
        _ => String::new(),
    };
    let node = &c.nodes[node].name;
    format!(
        "{what} of {} failed on {node} (rc {rc}{told})",
        plain(c, rsc)
    )
}

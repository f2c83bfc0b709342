//! Reads the status section: which nodes are up, healthy, on standby, leaving or lost.

use std::collections::BTreeMap;

use cib::Element;

use crate::{
    fencing,
    history_ops::{self, at_rest},
    model::{Cluster, NodeIx, NodeKind, Role, Ticket},
    nodes, nvpairs,
    rules::Context,
    score,
};

/// Reads `<status>`.
pub(crate) fn unpack(c: &mut Cluster) {
    let cib = c.cib;
    let Some(status) = cib.child("status") else {
        return;
    };
    unpack_tickets(c, status);
    for state in status.children_named("node_state") {
        unpack_node_state(c, state);
    }
    let states: Vec<&Element> = status.children_named("node_state").collect();
    at_rest::begin(c, &states);
    while unpack_histories(c, &states, false) {}
    if c.options.fencing {
        unpack_histories(c, &states, true);
    }
    at_rest::conclude(c);
    finish_containers(c);
    finish_remote(c, &states);
}

fn unpack_tickets(c: &mut Cluster, status: &Element) {
    for xml in status
        .children_named("tickets")
        .flat_map(|t| t.children_named("ticket_state"))
    {
        let Some(id) = xml.id() else {
            continue;
        };
        let ticket = Ticket {
            granted: score::is_true(xml.attr("granted")),
            standby: score::is_true(xml.attr("standby")),
        };
        c.tickets.insert(id.to_owned(), ticket);
    }
}

fn find_node(c: &Cluster, state: &Element) -> Option<NodeIx> {
    let by_id = state.id().and_then(|id| c.node_ids.get(id));
    let by_name = || state.attr("uname").and_then(|name| c.node_names.get(name));
    by_id.or_else(by_name).copied()
}

fn unpack_node_state(c: &mut Cluster, state: &Element) {
    let Some(node) = find_node(c, state) else {
        if state.attr("remote_node").is_none() {
            c.problem(format!(
                "line {}: status of node '{}', which is not configured, is ignored",
                state.line(),
                state.attr("uname").or(state.id()).unwrap_or("?")
            ));
        }
        return;
    };
    if c.nodes[node].kind == NodeKind::Remote {
        let fenced = state
            .attr("node_fenced")
            .and_then(score::leading_integer)
            .unwrap_or(0)
            > 0;
        c.nodes[node].remote_was_fenced = fenced;
        return;
    }
    add_transient(c, node, state);
    let is_dc = c.cib.attr("dc-uuid") == Some(c.nodes[node].id.as_str());
    let n = &mut c.nodes[node];
    n.unclean = false;
    n.unseen = false;
    n.expected_up = state.attr("expected") == Some("member");
    n.is_dc = is_dc;
    if is_dc {
        c.dc = Some(node);
    }
    read_modes(c, node);
    read_shutdown(c, node);
    let n = &mut c.nodes[node];
    if n.attrs
        .get("resource-discovery-enabled")
        .is_some_and(|v| !score::is_true(Some(v)))
    {
        let name = n.name.clone();
        c.problem(format!(
            "node '{name}': resource-discovery-enabled=false counts only for remote nodes"
        ));
    }
    let online = if c.options.fencing {
        online_with_fencing(c, node, state)
    } else {
        online_without_fencing(c, node, state)
    };
    c.nodes[node].online = online;
}

fn add_transient(c: &mut Cluster, node: NodeIx, state: &Element) {
    let Some(xml) = state.child("transient_attributes") else {
        return;
    };
    let ctx = Context {
        now_s: c.now_s,
        node: Some(&c.nodes[node].attrs),
        ..Context::default()
    };
    let mut found = BTreeMap::new();
    nvpairs::unpack(
        &c.ids,
        xml,
        "instance_attributes",
        None,
        &ctx,
        &mut c.recheck,
        &mut found,
    );
    let mut utilization = BTreeMap::new();
    nvpairs::unpack(
        &c.ids,
        xml,
        "utilization",
        None,
        &ctx,
        &mut c.recheck,
        &mut utilization,
    );
    c.nodes[node].attrs.extend(found);
    c.nodes[node]
        .utilization
        .extend(nodes::numbers(&utilization));
}

fn read_modes(c: &mut Cluster, node: NodeIx) {
    let n = &mut c.nodes[node];
    n.standby |= score::is_true(n.attrs.get("standby").map(String::as_str));
    n.maintenance |= score::is_true(n.attrs.get("maintenance").map(String::as_str));
}

fn read_shutdown(c: &mut Cluster, node: NodeIx) {
    let n = &mut c.nodes[node];
    let Some(text) = n.attrs.get("shutdown") else {
        return;
    };
    match score::leading_integer(text) {
        Some(0) => {}
        Some(at) => {
            n.shutdown = true;
            n.shutdown_at_s = at;
        }
        None => n.shutdown = true,
    }
}

/// Since when something holds: positive (1 if unknown), 0 not, -1 never said.
fn since(state: &Element, name: &str, default: i64) -> i64 {
    match state.attr(name) {
        None => default,
        Some("online") => 1,
        Some("offline") => 0,
        Some(text) => match score::parse_bool(text) {
            Some(true) => 1,
            Some(false) => 0,
            None => score::leading_integer(text).unwrap_or(0),
        },
    }
}

fn online_without_fencing(c: &mut Cluster, node: NodeIx, state: &Element) -> bool {
    let member = since(state, "in_ccm", 0);
    let process = since(state, "crmd", 0);
    if member <= 0 {
        return false;
    }
    if process > 0 {
        return state.attr("join") == Some("member");
    }
    if c.nodes[node].expected_up {
        c.nodes[node].unclean = true;
    }
    false
}

fn online_with_fencing(c: &mut Cluster, node: NodeIx, state: &Element) -> bool {
    let member = since(state, "in_ccm", -1);
    let process = since(state, "crmd", 0);
    let join = state.attr("join").unwrap_or("");
    let wanted = c.nodes[node].attrs.get("terminate").cloned();
    let terminate = wanted.is_some_and(|v| {
        score::is_true(Some(&v)) || score::leading_integer(&v).is_some_and(|n| n > 0)
    });
    if c.nodes[node].shutdown {
        return process > 0;
    }
    let expected = state.attr("expected").unwrap_or("down");
    if member < 0 {
        fencing::fence_node(c, node, "peer has not been seen by the cluster", false);
    } else if join == "banned" {
        let reason = "peer failed Pacemaker membership criteria";
        fencing::fence_node(c, node, reason, false);
    } else if terminate {
        if !(member == 0 && process == 0 && join == "down") {
            fencing::fence_node(c, node, "fencing was requested", false);
        }
    } else if expected == "down" {
        if pending_too_long(c, state, member, process) {
            fencing::fence_node(
                c,
                node,
                "peer pending timed out on joining the process group",
                false,
            );
        } else if member > 0 || process > 0 {
            c.nodes[node].standby = true;
            c.nodes[node].pending = true;
        }
    } else if member == 0 {
        fencing::fence_node(c, node, "peer is no longer part of the cluster", true);
    } else if process == 0 {
        fencing::fence_node(c, node, "peer process is no longer available", false);
    } else if matches!(join, "pending" | "down") {
        c.nodes[node].standby = true;
        c.nodes[node].pending = true;
    } else if join != "member" {
        fencing::fence_node(c, node, "peer was in an unknown state", false);
    }
    member > 0
}

fn pending_too_long(c: &mut Cluster, state: &Element, member: i64, process: i64) -> bool {
    let timeout_ms = c.options.node_pending_timeout_ms;
    let _ = state;
    if timeout_ms <= 0 || member <= 1 || process > 0 {
        return false;
    }
    let until = member.saturating_add(timeout_ms / 1000);
    if c.now_s >= until {
        return true;
    }
    c.recheck.note(c.now_s, until);
    false
}

/// Reads operation histories of nodes that are up (or, `all`: of every node). Whether more may follow.
fn unpack_histories(c: &mut Cluster, states: &[&Element], all: bool) -> bool {
    let mut progress = false;
    for state in states {
        let Some(node) = find_or_make_node(c, state) else {
            continue;
        };
        if c.nodes[node].history_unpacked || !ready(c, node, state, all) {
            continue;
        }
        if c.nodes[node].kind == NodeKind::Remote {
            remote_online(c, node);
            if !c.nodes[node].online && !all && !c.options.fencing {
                // Its history may still say what was there.
            }
            remote_attributes(c, node, state);
        }
        c.nodes[node].history_unpacked = true;
        history_ops::unpack_node(c, node, state);
        progress = true;
    }
    progress && !all
}

fn find_or_make_node(c: &mut Cluster, state: &Element) -> Option<NodeIx> {
    find_node(c, state)
}

fn ready(c: &Cluster, node: NodeIx, state: &Element, all: bool) -> bool {
    let n = &c.nodes[node];
    let _ = state;
    if n.kind == NodeKind::Remote {
        let Some(rsc) = n.connection else {
            return false;
        };
        let r = &c.rscs[rsc];
        if let Some(container) = r.container {
            return all || r.role == Role::Started && c.rscs[container].role == Role::Started;
        }
        return all || r.role == Role::Started || c.options.shutdown_lock;
    }
    // Without fencing, what is off comes last, so that active instances get the first numbers.
    all || n.online || c.options.fencing || c.options.shutdown_lock
}

/// Whether a remote node is up follows from its connection (and container).
pub(crate) fn remote_online(c: &mut Cluster, node: NodeIx) {
    let Some(rsc) = c.nodes[node].connection else {
        c.nodes[node].online = false;
        return;
    };
    let r = &c.rscs[rsc];
    let host = (r.running_on.len() == 1).then(|| r.running_on[0]);
    let container = r.container.map(|x| &c.rscs[x]);
    let container_failed = container.is_some_and(|x| x.failed);
    let container_stopped = container.is_some_and(|x| x.role == Role::Stopped);
    let (role, next, failed) = (r.role, r.next_role, r.failed);
    let guest = r.container.is_some();
    let host_lost = host.is_some_and(|h| !c.nodes[h].online && c.nodes[h].unclean);
    let n = &mut c.nodes[node];
    if role == Role::Started {
        n.online = true;
    }
    if role == Role::Started && next == Role::Stopped {
        n.shutdown = true;
    }
    if container_failed {
        n.online = false;
        n.remote_requires_reset = true;
    } else if failed {
        n.online = false;
    } else if role == Role::Stopped || container_stopped {
        n.online = false;
        n.remote_requires_reset = false;
    } else if guest && host_lost {
        n.online = false;
        n.remote_requires_reset = true;
    }
}

fn remote_attributes(c: &mut Cluster, node: NodeIx, state: &Element) {
    c.nodes[node].remote_maintenance = score::is_true(state.attr("node_in_maintenance"));
    if !c.nodes[node].remote_requires_reset {
        c.nodes[node].unclean = false;
        c.nodes[node].unseen = false;
    }
    add_transient(c, node, state);
    read_modes(c, node);
    if c.nodes[node].shutdown_requested() {
        c.nodes[node].shutdown = true;
    }
    if c.nodes[node].connection.is_some_and(|r| !c.rscs[r].managed) {
        c.nodes[node].maintenance = true;
    }
    let n = &mut c.nodes[node];
    if n.attrs
        .get("resource-discovery-enabled")
        .is_some_and(|v| !score::is_true(Some(v)))
    {
        if c.is_guest(node) {
            c.problem(format!(
                "node '{}': resource-discovery-enabled=false is ignored for a guest",
                c.nodes[node].name
            ));
        } else {
            c.nodes[node].probes = false;
        }
    }
}

/// Containers whose connection failed are restarted.
fn finish_containers(c: &mut Cluster) {
    for rsc in std::mem::take(&mut c.stop_needed) {
        if let Some(node) = c.current_node(rsc) {
            crate::actions::stop(c, rsc, node, false);
        }
    }
}

/// Remote nodes that have no status at all, and dangling connections.
fn finish_remote(c: &mut Cluster, states: &[&Element]) {
    let _ = states;
    for node in 0..c.nodes.len() {
        if c.nodes[node].kind == NodeKind::Remote
            && c.nodes[node].shutdown
            && let Some(rsc) = c.nodes[node].connection
        {
            c.rscs[rsc].next_role = Role::Stopped;
        }
        if c.nodes[node].kind == NodeKind::Remote && !c.nodes[node].history_unpacked {
            remote_online(c, node);
        }
    }
}

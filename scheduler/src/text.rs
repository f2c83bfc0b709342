//! The cluster's state as text, in the form status tools print.

use crate::{
    history_ops::base_name,
    model::{Cluster, Kind, NodeIx, Role, RscIx},
};

/// Node list and resource list, without a heading.
pub(crate) fn status(c: &mut Cluster, pending: bool) -> Vec<String> {
    if !pending {
        for r in &mut c.rscs {
            r.pending_op = None;
        }
    }
    let c = &*c;
    let mut out = vec!["  * Node List:".to_owned()];
    nodes(c, &mut out);
    out.push(String::new());
    out.push("  * Full List of Resources:".to_owned());
    let before = out.len();
    for rsc in &c.top {
        resource(c, *rsc, 2, &mut out);
    }
    if out.len() == before {
        out.push("    * No resources".to_owned());
    }
    out
}

/// Disabled, blocked and all primitives.
pub(crate) fn counts(c: &Cluster) -> (usize, usize, usize) {
    let primitives: Vec<&crate::model::Rsc> = c
        .rscs
        .iter()
        .filter(|r| r.kind == Kind::Primitive && !r.removed)
        .collect();
    let disabled = primitives.iter().filter(|r| disabled(r)).count();
    let blocked = primitives.iter().filter(|r| r.blocked).count();
    (disabled, blocked, primitives.len())
}

fn disabled(r: &crate::model::Rsc) -> bool {
    r.meta.get("target-role").and_then(|t| Role::parse(t)) == Some(Role::Stopped)
}

fn nodes(c: &Cluster, out: &mut Vec<String>) {
    let mut lists: [Vec<&str>; 5] = Default::default();
    for node in &c.node_order {
        let n = &c.nodes[*node];
        let (remote, guest) = (c.is_remote_node(*node), c.is_guest(*node));
        let state = node_state(c, *node);
        match state.as_str() {
            "online" => lists[if guest {
                4
            } else if remote {
                2
            } else {
                0
            }]
            .push(&n.name),
            "OFFLINE" if guest => {}
            "OFFLINE" => lists[if remote { 3 } else { 1 }].push(&n.name),
            _ => {
                let kind = if guest {
                    "GuestNode"
                } else if remote {
                    "RemoteNode"
                } else {
                    "Node"
                };
                out.push(format!("    * {kind} {}: {state}", n.name));
            }
        }
    }
    for (title, list) in [
        "Online",
        "OFFLINE",
        "RemoteOnline",
        "RemoteOFFLINE",
        "GuestOnline",
    ]
    .iter()
    .zip(lists)
    {
        if !list.is_empty() {
            out.push(format!("    * {title}: [ {} ]", list.join(" ")));
        }
    }
}

fn node_state(c: &Cluster, node: NodeIx) -> String {
    let n = &c.nodes[node];
    let base = if n.unclean {
        if n.online {
            "UNCLEAN (online)"
        } else if n.pending {
            "UNCLEAN (pending)"
        } else {
            "UNCLEAN (offline)"
        }
    } else if n.pending {
        "pending"
    } else if n.standby_onfail && n.online {
        "standby (on-fail)"
    } else if n.standby {
        match (n.online, n.running.is_empty()) {
            (false, _) => "OFFLINE (standby)",
            (true, true) => "standby",
            (true, false) => "standby (with active resources)",
        }
    } else if n.maintenance {
        if n.online {
            "maintenance"
        } else {
            "OFFLINE (maintenance)"
        }
    } else if n.online {
        "online"
    } else {
        "OFFLINE"
    };
    let health = if c.options.health_strategy == "none" {
        1
    } else {
        health(c, node)
    };
    match health {
        -1 => format!("{base} (health is RED)"),
        0 => format!("{base} (health is YELLOW)"),
        _ => base.to_owned(),
    }
}

fn health(c: &Cluster, node: NodeIx) -> i32 {
    crate::assign::worst_health(c, node)
}

fn line(out: &mut Vec<String>, depth: usize, text: &str) {
    out.push(format!("{}* {text}", "  ".repeat(depth)));
}

fn resource(c: &Cluster, rsc: RscIx, depth: usize, out: &mut Vec<String>) {
    let r = &c.rscs[rsc];
    if r.removed && c.active_nodes(rsc).is_empty() {
        return;
    }
    if r.meta.get("internal").is_some_and(|v| v == "true") && r.is_remote {
        return;
    }
    match r.kind {
        Kind::Primitive => primitive(c, rsc, depth, out),
        Kind::Group => group(c, rsc, depth, out),
        Kind::Clone => clone(c, rsc, depth, out),
        Kind::Bundle => crate::bundle::text(c, rsc, depth, out),
    }
}

fn group(c: &Cluster, rsc: RscIx, depth: usize, out: &mut Vec<String>) {
    let r = &c.rscs[rsc];
    let mut flags = Vec::new();
    if disabled(r) {
        flags.push("disabled");
    }
    if r.maintenance {
        flags.push("maintenance");
    } else if !r.managed {
        flags.push("unmanaged");
    }
    line(
        out,
        depth,
        &format!("Resource Group: {}{}:", r.id, parens(&flags)),
    );
    for member in &r.children {
        primitive(c, *member, depth + 1, out);
    }
}

fn parens(flags: &[&str]) -> String {
    if flags.is_empty() {
        String::new()
    } else {
        format!(" ({})", flags.join(", "))
    }
}

/// One primitive with its state.
pub(crate) fn primitive(c: &Cluster, rsc: RscIx, depth: usize, out: &mut Vec<String>) {
    line(out, depth, &describe(c, rsc));
}

fn printed_name(c: &Cluster, rsc: RscIx) -> String {
    let r = &c.rscs[rsc];
    if c.is_anonymous_instance(rsc) && r.kind == Kind::Primitive {
        base_name(&r.id).to_owned()
    } else {
        r.id.clone()
    }
}

/// Name, agent, state, place and what is special about a primitive.
pub(crate) fn describe(c: &Cluster, rsc: RscIx) -> String {
    describe_as(c, rsc, &printed_name(c, rsc))
}

pub(crate) fn describe_as(c: &Cluster, rsc: RscIx, name: &str) -> String {
    let r = &c.rscs[rsc];
    let agent = match &r.provider {
        Some(provider) => format!("{}:{provider}:{}", r.class, r.agent),
        None => format!("{}:{}", r.class, r.agent),
    };
    let mut text = format!("{name}\t({agent}):\t");
    if r.removed {
        text.push_str(" ORPHANED");
    }
    let role = shown_role(c, rsc);
    if r.failed && r.role > Role::Unpromoted {
        text.push_str(&format!(" FAILED {role}"));
    } else if r.failed {
        text.push_str(" FAILED");
    } else {
        text.push_str(&format!(" {role}"));
    }
    let node = if r.running_on.len() == 1 {
        r.running_on.first().copied()
    } else {
        r.lock_node.filter(|_| r.running_on.is_empty())
    };
    if let Some(node) = node {
        text.push_str(&format!(" {}", c.nodes[node].name));
    }
    let flags = flags(c, rsc, node);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    text.push_str(&parens(&flags));
    if r.running_on.len() > 1 {
        let names: Vec<&str> = r
            .running_on
            .iter()
            .map(|n| c.nodes[*n].name.as_str())
            .collect();
        text.push_str(&format!(" [ {} ]", names.join(" ")));
    }
    text
}

fn shown_role<'c>(c: &'c Cluster, rsc: RscIx) -> &'c str {
    let r = &c.rscs[rsc];
    match r.pending_op.as_deref() {
        Some(text @ ("Starting" | "Stopping" | "Migrating" | "Promoting" | "Demoting")) => text,
        _ => match r.role {
            Role::Unknown => "Stopped",
            Role::Unpromoted
                if !c
                    .clone_of(rsc)
                    .is_some_and(|clone| c.rscs[clone].promotable) =>
            {
                "Started"
            }
            role => role.text(),
        },
    }
}

fn flags(c: &Cluster, rsc: RscIx, node: Option<NodeIx>) -> Vec<String> {
    let r = &c.rscs[rsc];
    let mut out = Vec::new();
    if let Some(node) = node
        && !c.nodes[node].online
        && c.nodes[node].unclean
    {
        out.push("UNCLEAN".to_owned());
    }
    if r.lock_node.is_some() && r.running_on.is_empty() {
        out.push("LOCKED".to_owned());
    }
    if r.pending_op.as_deref() == Some("Monitoring") {
        out.push("Monitoring".to_owned());
    }
    match r.meta.get("target-role").and_then(|t| Role::parse(t)) {
        Some(Role::Stopped) => out.push("disabled".to_owned()),
        Some(Role::Unpromoted) => {
            let clone = c.clone_of(rsc);
            if clone.is_some_and(|clone| c.rscs[clone].promotable) {
                out.push("target-role:Unpromoted".to_owned());
            }
        }
        _ => {}
    }
    if r.blocked {
        out.push("blocked".to_owned());
    } else if r.maintenance {
        out.push("maintenance".to_owned());
    } else if !r.managed {
        out.push("unmanaged".to_owned());
    }
    if r.ignored_failure {
        out.push("failure ignored".to_owned());
    }
    out
}

fn any(c: &Cluster, rsc: RscIx, test: &dyn Fn(&crate::model::Rsc) -> bool) -> bool {
    c.primitives(rsc).iter().any(|p| test(&c.rscs[*p]))
}

fn clone(c: &Cluster, rsc: RscIx, depth: usize, out: &mut Vec<String>) {
    let r = &c.rscs[rsc];
    let mut flags = Vec::new();
    if r.promotable {
        flags.push("promotable");
    }
    if r.unique {
        flags.push("unique");
    }
    if disabled(r) {
        flags.push("disabled");
    }
    if r.maintenance {
        flags.push("maintenance");
    } else if !r.managed {
        flags.push("unmanaged");
    }
    let child = r.children.first().map_or("", |x| base_name(&c.rscs[*x].id));
    line(
        out,
        depth,
        &format!("Clone Set: {} [{child}]{}:", r.id, parens(&flags)),
    );
    let mut promoted: Vec<NodeIx> = Vec::new();
    let mut started: Vec<NodeIx> = Vec::new();
    let mut active = 0;
    let mut shown: Vec<RscIx> = r.children.clone();
    shown.sort_by_key(|x| {
        c.rscs[*x]
            .id
            .rsplit_once(':')
            .and_then(|(_, n)| n.parse::<u32>().ok())
            .unwrap_or(0)
    });
    for instance in shown {
        let nodes = c.active_nodes(instance);
        let running = !nodes.is_empty();
        if r.unique {
            if running || !c.rscs[instance].removed {
                print_instance(c, instance, depth + 1, out);
            }
            continue;
        }
        if !running {
            continue;
        }
        active += 1;
        let special = any(c, instance, &|p| {
            p.removed || p.failed || !p.managed || p.pending_op.is_some()
        }) || c
            .primitives(instance)
            .iter()
            .any(|p| c.rscs[*p].running_on.len() != 1);
        let lost = !c.nodes[nodes[0]].online && c.nodes[nodes[0]].unclean;
        if special || lost {
            print_instance(c, instance, depth + 1, out);
        } else if c.state(instance, true) > Role::Unpromoted {
            promoted.push(nodes[0]);
        } else {
            started.push(nodes[0]);
        }
    }
    let title = if r.promotable {
        "Unpromoted"
    } else {
        "Started"
    };
    let target = r.meta.get("target-role").and_then(|t| Role::parse(t));
    list(c, "Promoted", promoted, depth + 1, out);
    let title = match target {
        Some(Role::Unpromoted) if r.promotable => "Unpromoted (target-role)".to_owned(),
        _ => title.to_owned(),
    };
    list(c, &title, started, depth + 1, out);
    if !r.unique && (r.clone.max as usize) > active {
        let here = c.active_nodes(rsc);
        let stopped: Vec<NodeIx> = c
            .node_order
            .iter()
            .copied()
            .filter(|n| r.allowed.is_empty() || r.allowed.get(*n).is_some())
            .filter(|n| !here.contains(n))
            .collect();
        let title = if disabled(r) {
            "Stopped (disabled)"
        } else {
            "Stopped"
        };
        list(c, title, stopped, depth + 1, out);
    }
}

fn list(c: &Cluster, title: &str, mut nodes: Vec<NodeIx>, depth: usize, out: &mut Vec<String>) {
    if nodes.is_empty() {
        return;
    }
    nodes.sort_by(|a, b| crate::names::compare(&c.nodes[*a].name, &c.nodes[*b].name));
    let names: Vec<&str> = nodes.iter().map(|n| c.nodes[*n].name.as_str()).collect();
    line(out, depth, &format!("{title}: [ {} ]", names.join(" ")));
}

fn print_instance(c: &Cluster, instance: RscIx, depth: usize, out: &mut Vec<String>) {
    match c.rscs[instance].kind {
        Kind::Group => group(c, instance, depth, out),
        _ => primitive(c, instance, depth, out),
    }
}

//! What a transition will do to each resource and node, in words, with reasons.

use crate::{
    model::{ActIx, Cluster, Kind, NodeIx, Role, RscIx, Task},
    ordering::actions_for,
};

/// A planned change, in words and in parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Planned {
    /// `Start`, `Move`, `Fence (reboot)`, …
    pub action: String,
    /// The resource, or the node that is fenced.
    pub subject: String,
    /// Whether it is about a node.
    pub is_node: bool,
    /// Roles and nodes, as people read them; of a guest that is fenced, its container.
    pub place: String,
    /// The node it leaves, or stays on.
    pub source: Option<String>,
    /// The node it goes to.
    pub dest: Option<String>,
    /// Role before, where roles matter.
    pub role: Option<&'static str>,
    /// Role after, where it becomes another.
    pub next_role: Option<&'static str>,
    /// Why.
    pub reason: Option<String>,
    /// Something keeps it from being done.
    pub blocked: bool,
}

impl Planned {
    /// In one line; names as wide as `subject_width` and places as `place_width`, in characters.
    #[must_use]
    pub fn line(&self, subject_width: usize, place_width: usize) -> String {
        let reason = self.reason.as_deref();
        if self.is_node {
            let container = match self.place.as_str() {
                "" => String::new(),
                container => format!(" (resource: {container})"),
            };
            let reason = reason.map_or(String::new(), |r| format!(" '{r}'"));
            return format!("{} {}{container}{reason}", self.action, self.subject);
        }
        let mut line = format!(
            "{:<10} {:<subject_width$} ( {:>place_width$} )",
            self.action, self.subject, self.place
        );
        if let Some(reason) = reason {
            line.push_str(&format!("  due to {reason}"));
        }
        line.push_str(match (self.blocked, reason) {
            (true, Some(_)) => " (blocked)",
            (true, None) => " blocked",
            (false, _) => "",
        });
        line
    }
}

/// Each fencing, shutdown and change of a resource.
pub(crate) fn transition(c: &mut Cluster) -> Vec<Planned> {
    let mut out = Vec::new();
    for ix in (0..c.acts.len()).rev() {
        fencing_line(c, ix, &mut out);
    }
    for at in 0..c.top.len() {
        resource(c, c.top[at], &mut out);
    }
    out
}

fn fencing_line(c: &Cluster, ix: ActIx, out: &mut Vec<Planned>) {
    let a = &c.acts[ix];
    let Some(node) = a
        .node
        .filter(|_| a.task == Task::Fence && !a.optional && a.in_graph)
    else {
        return;
    };
    let name = &c.nodes[node].name;
    let op = a
        .extra
        .iter()
        .find(|(n, _)| *n == "stonith_action")
        .map_or("", |(_, v)| v.as_str());
    let container = if a.pseudo && c.is_guest(node) {
        container_name(c, node)
    } else {
        String::new()
    };
    out.push(Planned {
        action: format!("Fence ({op})"),
        subject: name.clone(),
        is_node: true,
        place: container,
        reason: a.reason.as_deref().map(str::to_owned),
        ..Planned::default()
    });
}

fn container_name(c: &Cluster, node: NodeIx) -> String {
    c.nodes[node]
        .connection
        .and_then(|r| c.rscs[r].container)
        .map_or(String::new(), |r| c.rscs[r].id.clone())
}

fn resource(c: &mut Cluster, rsc: RscIx, out: &mut Vec<Planned>) {
    match c.rscs[rsc].kind {
        Kind::Primitive => primitive(c, rsc, out),
        Kind::Bundle => {
            for part in crate::bundle::parts(c, rsc) {
                resource(c, part, out);
            }
        }
        _ => {
            for child in c.rscs[rsc].children.clone() {
                resource(c, child, out);
            }
        }
    }
}

struct Change<'c> {
    name: &'c str,
    origin: Option<NodeIx>,
    target: Option<NodeIx>,
    from: Role,
    to: Role,
}

fn on_node(c: &Cluster, rsc: RscIx, task: Task, node: Option<NodeIx>) -> Option<ActIx> {
    actions_for(c, rsc, task, 0).find(|ix| {
        let at = c.acts[*ix].node;
        node.is_none() || at.is_none() || at == node
    })
}

fn primitive(c: &mut Cluster, rsc: RscIx, out: &mut Vec<Planned>) {
    let next = c.rscs[rsc].assigned;
    let mut current = c.current_node(rsc);
    let r = &c.rscs[rsc];
    let unfinished = r.role == Role::Stopped && current.is_some() && current == next;
    if r.role == Role::Stopped {
        // What is not running has no place, whatever its history says.
        current = None;
    }
    if !r.managed || current.is_none() && next.is_none() {
        return;
    }
    let (role, next_role) = (r.role, r.next_role);
    let moving = current.is_some() && next.is_some() && current != next;
    let migrate = on_node(c, rsc, Task::MigrateFrom, next)
        .filter(|ix| c.acts[*ix].runnable && !c.acts[*ix].optional);
    let start = on_node(c, rsc, Task::Start, next);
    let starts = start.is_some_and(|ix| c.acts[ix].runnable);
    let stop = on_node(c, rsc, Task::Stop, current.filter(|_| starts)).or_else(|| {
        // Where it should be it goes on running; elsewhere it stops.
        let elsewhere = c.rscs[rsc].stop_unexpected;
        elsewhere
            .then(|| on_node(c, rsc, Task::Stop, None))
            .flatten()
    });
    let promote = on_node(c, rsc, Task::Promote, next);
    let demote = on_node(c, rsc, Task::Demote, next);
    let pick = |name, origin, target, to| Change {
        name,
        origin,
        target,
        from: role,
        to,
    };
    if role == next_role {
        if let Some(migrate) = migrate {
            push(
                c,
                out,
                rsc,
                &pick("Migrate", current, next, next_role),
                start.or(Some(migrate)),
                None,
            );
        } else if c.rscs[rsc].reload {
            push(
                c,
                out,
                rsc,
                &pick("Reload", current, next, next_role),
                None,
                None,
            );
        } else if start.is_none_or(|ix| c.acts[ix].optional) && !moving {
            let both = demote.is_some_and(|ix| !c.acts[ix].optional)
                && promote.is_some_and(|ix| !c.acts[ix].optional);
            if both {
                push(
                    c,
                    out,
                    rsc,
                    &pick("Re-promote", current, next, next_role),
                    promote,
                    demote,
                );
            }
        } else if start.is_some_and(|ix| !c.acts[ix].runnable) {
            let reason = stop.filter(|ix| c.acts[*ix].reason.is_some()).or(start);
            push(
                c,
                out,
                rsc,
                &Change {
                    name: "Stop",
                    origin: current,
                    target: None,
                    from: role,
                    to: Role::Stopped,
                },
                reason,
                stop,
            );
        } else if moving {
            let name = if c.rscs[rsc].failed {
                "Recover"
            } else {
                "Move"
            };
            push(
                c,
                out,
                rsc,
                &pick(name, current, next, next_role),
                stop,
                None,
            );
        } else if c.rscs[rsc].failed {
            push(
                c,
                out,
                rsc,
                &pick("Recover", current, next, next_role),
                stop,
                None,
            );
        } else {
            push(
                c,
                out,
                rsc,
                &pick("Restart", current, next, next_role),
                start,
                None,
            );
        }
        return;
    }
    if stop.is_some()
        && (next_role == Role::Stopped || start.is_some_and(|ix| !c.acts[ix].runnable))
    {
        for node in c.rscs[rsc].running_on.clone() {
            let stop = on_node(c, rsc, Task::Stop, Some(node));
            let because = stop.filter(|ix| c.acts[*ix].reason.is_some()).or(start);
            push(
                c,
                out,
                rsc,
                &Change {
                    name: "Stop",
                    origin: Some(node),
                    target: None,
                    from: role,
                    to: Role::Stopped,
                },
                because,
                stop,
            );
        }
        return;
    }
    if stop.is_some_and(|ix| !c.acts[ix].optional) && c.rscs[rsc].failed && role > Role::Stopped {
        push(
            c,
            out,
            rsc,
            &pick("Recover", current, next, next_role),
            stop,
            None,
        );
        return;
    }
    if moving {
        push(
            c,
            out,
            rsc,
            &pick("Move", current, next, next_role),
            stop,
            None,
        );
        return;
    }
    if c.rscs[rsc].reload && role > Role::Stopped {
        push(
            c,
            out,
            rsc,
            &pick("Reload", current, next, next_role),
            None,
            None,
        );
        return;
    }
    if role > Role::Stopped && stop.is_some_and(|ix| !c.acts[ix].optional) {
        push(
            c,
            out,
            rsc,
            &pick("Restart", current, next, next_role),
            start,
            stop,
        );
        return;
    }
    if role == Role::Promoted && next_role < Role::Promoted {
        push(
            c,
            out,
            rsc,
            &pick("Demote", current, next, next_role),
            demote,
            None,
        );
        return;
    }
    if next_role == Role::Promoted {
        push(
            c,
            out,
            rsc,
            &pick("Promote", current, next, next_role),
            promote,
            None,
        );
        return;
    }
    if role == Role::Stopped && next_role > Role::Stopped {
        // A migration that was given up may have left it where it is to start.
        let change = if unfinished {
            pick("Restart", None, next, next_role)
        } else {
            pick("Start", current, next, next_role)
        };
        push(c, out, rsc, &change, start, None);
    }
}

fn push(
    c: &Cluster,
    out: &mut Vec<Planned>,
    rsc: RscIx,
    change: &Change,
    source: Option<ActIx>,
    real: Option<ActIx>,
) {
    // Also of what stops and was to be promoted.
    let to_be_promoted = c.rscs[rsc].next_role == Role::Promoted;
    let need_role = change.from > Role::Started || change.to > Role::Started || to_be_promoted;
    let (from, to) = (change.from.text(), change.to.text());
    let name = |node: Option<NodeIx>| node.map_or("", |n| c.nodes[n].name.as_str());
    let (origin, target) = (name(change.origin), name(change.target));
    let same_host = change.origin == change.target;
    let same_role = change.from == change.to;
    let place = match (change.origin, change.target) {
        (None, _) if need_role => {
            format!("{from} -> {to} {target}").replace("Stopped -> Unpromoted ", "")
        }
        (None, _) => target.to_owned(),
        (_, None) if need_role => format!("{from} {origin}"),
        (_, None) => origin.to_owned(),
        _ if need_role && same_role && same_host => format!("{from} {origin}"),
        _ if same_role && same_host => origin.to_owned(),
        _ if need_role && same_role => format!("{origin} -> {target} {from}"),
        _ if same_role => format!("{origin} -> {target}"),
        _ if same_host => format!("{from} -> {to} {origin}"),
        _ => format!("{from} {origin} -> {to} {target}"),
    };
    let plain_start = change.from == Role::Stopped && change.to == Role::Unpromoted;
    let roles_matter = need_role && !(change.origin.is_none() && plain_start);
    let reason = source.and_then(|ix| c.acts[ix].reason.as_deref());
    let blocked = source.is_some_and(|ix| !c.acts[real.unwrap_or(ix)].runnable);
    let named = |node: Option<NodeIx>| node.map(|n| c.nodes[n].name.clone());
    out.push(Planned {
        action: change.name.to_owned(),
        subject: c.rscs[rsc].id.clone(),
        is_node: false,
        place,
        source: named(change.origin),
        dest: named(change.target),
        role: roles_matter.then_some(from),
        next_role: (roles_matter && change.target.is_some() && !same_role).then_some(to),
        reason: reason.map(str::to_owned),
        blocked,
    });
}

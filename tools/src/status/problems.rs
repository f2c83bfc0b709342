//! What is wrong with a cluster, the worst first, each with what to do next.

use super::Cluster;
use scheduler::view::{Kind, Node, Resource, View};
use serde::Serialize;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    /// What, about whom, and why it matters.
    pub(super) what: String,
    /// A command to type, or something to look at.
    pub(super) next: String,
}

fn problem(what: impl Into<String>, next: impl Into<String>) -> Problem {
    Problem {
        what: what.into(),
        next: next.into(),
    }
}

/// All of them: what concerns the whole first, then nodes, then resources, then what only limits.
pub(super) fn find(view: &View, cluster: &Cluster) -> Vec<Problem> {
    let mut found = whole(view, cluster);
    found.extend(view.nodes.iter().filter_map(node));
    found.extend(failures(view));
    found.extend(view.top.iter().flat_map(|top| resource(view, *top)));
    found.extend(bans(view));
    found
}

fn whole(view: &View, cluster: &Cluster) -> Vec<Problem> {
    let mut found = Vec::new();
    let options = &view.summary.options;
    if !cluster.quorum {
        found.push(problem(
            format!(
                "This part of the cluster has no quorum: resources follow no-quorum-policy={}.",
                options.no_quorum_policy
            ),
            "bring back the missing nodes or the network between them: systole cluster status",
        ));
    } else if cluster.coordinator.is_none() {
        found.push(problem(
            "No node coordinates: nothing is started, stopped or mended.",
            "wait some seconds; if it stays so, look at the log of crmd on each node",
        ));
    }
    if options.maintenance {
        found.push(problem(
            "The whole cluster is in maintenance mode: no failure is noticed or mended.",
            "when the work is done: crm_attribute -n maintenance-mode -D",
        ));
    }
    if options.stop_all {
        found.push(problem(
            "All resources are to be stopped (stop-all-resources).",
            "to have them run: crm_attribute -n stop-all-resources -D",
        ));
    }
    if !options.fencing {
        found.push(problem(
            "Fencing is switched off: after a node is lost its resources may run twice.",
            "configure a fence device, then: crm_attribute -n fencing-enabled -v true",
        ));
    }
    found
}

fn node(node: &Node) -> Option<Problem> {
    let name = &node.name;
    Some(match node {
        n if n.unclean => problem(
            format!(
                "Node {name} is UNCLEAN: what runs there is unknown, and its resources wait until \
                 it is fenced."
            ),
            format!(
                "see why fencing does not succeed: stonith_admin --history {name}; only if you \
                 have seen yourself that it is off: stonith_admin --confirm {name}"
            ),
        ),
        n if n.pending => problem(
            format!("Node {name} is joining and not ready yet."),
            format!("wait some seconds; if it stays so, look at the log of crmd on {name}"),
        ),
        n if !n.online => problem(
            format!("Node {name} is offline."),
            format!(
                "if that is not meant: switch it on (stonith_admin --on {name}) or start systole there"
            ),
        ),
        n if n.standby_onfail => problem(
            format!("Node {name} is in standby because something failed there."),
            format!("when it is mended: crm_resource --cleanup -N {name}"),
        ),
        n if n.standby => problem(
            format!("Node {name} is in standby: it runs nothing."),
            format!("to use it again: crm_standby -N {name} -D"),
        ),
        n if n.maintenance => problem(
            format!("Node {name} is in maintenance: no failure there is noticed."),
            format!("when the work is done: crm_attribute -N {name} -n maintenance -D"),
        ),
        n if n.health_counts && n.health < 0 => problem(
            format!("Node {name} says that it is not healthy."),
            format!("see its attributes: crm_mon -1A --node {name}"),
        ),
        _ => return None,
    })
}

fn failures(view: &View) -> Vec<Problem> {
    let all = view.failures.iter();
    all.filter_map(|failure| {
        let resource = view.resources.get(failure.resource)?;
        let node = view.nodes.get(failure.node)?;
        let (name, node) = (&resource.name, &node.name);
        let why = match failure.reason.as_deref().unwrap_or_default() {
            "" => format!("exit code {}", failure.rc),
            reason => format!("exit code {}, '{reason}'", failure.rc),
        };
        let effect = match resource.blocked {
            true => "; the cluster leaves it alone until you have looked at it",
            false => "",
        };
        Some(problem(
            format!(
                "{} of {name} failed on {node} ({why}){effect}.",
                capital(&failure.task)
            ),
            format!("mend the cause, then: crm_resource --cleanup -r {name} -N {node}"),
        ))
    })
    .collect()
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + chars.as_str()
}

/// A resource of the top level, or the members of a group, that should run and do not, or that are not cared for.
fn resource(view: &View, place: usize) -> Vec<Problem> {
    let Some(r) = view.resources.get(place) else {
        return Vec::new();
    };
    if r.kind == Kind::Group {
        let members = r.children.iter();
        return members.flat_map(|member| resource(view, *member)).collect();
    }
    let name = &r.name;
    let parts = view.primitives(place);
    let several = |at: &usize| {
        let nodes = view.resources.get(*at).map(|r| r.running_on.len());
        nodes.unwrap_or(0) > 1
    };
    let mut found = Vec::new();
    if parts.iter().any(several) {
        found.push(problem(
            format!("{name} is active on several nodes at once: its data may be damaged."),
            format!("see where: crm_resource -W -r {name}; stop the wrong one by hand"),
        ));
    }
    let failed = parts
        .iter()
        .any(|p| view.failures.iter().any(|f| f.resource == *p));
    let stopped = view.locations(place).is_empty();
    if stopped && !failed && !is_meant_to_stop(view, r) && !is_pending(view, &parts) {
        found.push(problem(
            format!("{name} does not run anywhere."),
            format!(
                "see why: crm_resource --why -r {name}; crm_resource -a -r {name}; crm_simulate -LS"
            ),
        ));
    }
    if !r.managed && !view.summary.options.maintenance {
        found.push(problem(
            format!("{name} is not managed: the cluster neither starts, stops nor mends it."),
            format!("to hand it back: crm_resource -r {name} -m -d is-managed (or maintenance)"),
        ));
    }
    found
}

fn is_pending(view: &View, parts: &[usize]) -> bool {
    let pending = |at: &usize| view.resources.get(*at).is_some_and(|r| r.is_pending);
    parts.iter().any(pending)
}

fn is_meant_to_stop(view: &View, r: &Resource) -> bool {
    view.summary.options.stop_all || super::is_disabled(view, r)
}

/// What a move or ban of long ago still forbids.
fn bans(view: &View) -> Vec<Problem> {
    let forgotten = view.bans.iter().filter(|b| b.id.starts_with("cli-"));
    let mut told: Vec<&str> = Vec::new();
    forgotten
        .filter_map(|ban| {
            let resource = view.resources.get(ban.resource)?;
            let node = view.nodes.get(ban.node)?;
            if told.contains(&ban.id.as_str()) {
                return None;
            }
            told.push(&ban.id);
            Some(problem(
                format!(
                    "{} may not run on {}: a move or ban by hand ({}) is still in force.",
                    resource.name, node.name, ban.id
                ),
                format!(
                    "if it is no longer needed: crm_resource --clear -r {}",
                    resource.name
                ),
            ))
        })
        .collect()
}

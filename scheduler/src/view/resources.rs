//! Resources as a view has them.

use super::{Kind, Resource, bundle, nodes};
use crate::{
    history_ops::base_name,
    model::{self, Cluster, NodeIx, Role, Rsc, RscIx},
};

/// All resources, at the places they have in the cluster's table.
pub(super) fn all(c: &Cluster) -> Vec<Resource> {
    let places = nodes::places(c);
    (0..c.rscs.len())
        .map(|ix| resource(c, ix, &places))
        .collect()
}

/// Whether a node is one of those a resource might be on: in a cluster in which nothing may run anywhere unless a
/// constraint says so, those where it is known.
fn is_open(c: &Cluster, r: &Rsc, node: NodeIx) -> bool {
    match r.allowed.is_empty() {
        true => c.options.symmetric || r.known_on.contains(node),
        false => r.allowed.get(node).is_some(),
    }
}

fn resource(c: &Cluster, ix: RscIx, places: &[usize]) -> Resource {
    let r = &c.rscs[ix];
    let mut allowed: Vec<usize> = c
        .node_order
        .iter()
        .filter(|n| is_open(c, r, **n))
        .filter(|n| !is_for_another(c, ix, **n))
        .map(|n| places[*n])
        .collect();
    allowed.sort_unstable();
    let in_promotable = c.clone_of(ix).is_some_and(|clone| c.rscs[clone].promotable);
    Resource {
        id: r.id.clone(),
        name: shown_name(c, ix).to_owned(),
        kind: match r.kind {
            model::Kind::Primitive => Kind::Primitive,
            model::Kind::Group => Kind::Group,
            model::Kind::Clone => Kind::Clone,
            model::Kind::Bundle => Kind::Bundle,
        },
        parent: r.parent,
        children: children(c, ix),
        agent: agent(r),
        role: role(r, in_promotable),
        shown_role: shown_role(r, in_promotable).to_owned(),
        target_role: r.meta.get("target-role").cloned(),
        running_on: r.running_on.iter().map(|n| places[*n]).collect(),
        current: c.current_node(ix).map(|n| places[n]),
        pending_on: r.pending_node.map(|n| places[n]),
        locked_to: r.lock_node.map(|n| places[n]),
        pending: r.pending_op.clone().filter(|p| p == "Monitoring"),
        is_pending: r.pending_op.is_some(),
        internal: r.is_remote && r.meta.get("internal").is_some_and(|v| v == "true"),
        removed: r.removed,
        blocked: r.blocked,
        maintenance: r.maintenance,
        managed: r.managed,
        failed: r.failed,
        failure_ignored: r.ignored_failure,
        unique: r.unique,
        promotable: r.promotable,
        in_promotable,
        clone_max: usize::try_from(r.clone.max).unwrap_or_default(),
        allowed,
        failed_probes: failed_probes(c, ix, places),
        description: r
            .xml
            .as_ref()
            .and_then(|x| x.attr("description"))
            .map(str::to_owned),
        bundle: bundle::read(c, ix),
    }
}

/// Whether a node is the guest of a bundle, which is for nothing but what the bundle has in it.
fn is_for_another(c: &Cluster, ix: RscIx, node: model::NodeIx) -> bool {
    let connection = c.nodes[node].connection;
    let bundle = connection.and_then(|r| c.rscs[r].parent);
    bundle.is_some_and(|bundle| c.rscs[ix].parent != Some(bundle))
}

/// Instances in the order of their numbers; members of groups as configured.
fn children(c: &Cluster, ix: RscIx) -> Vec<RscIx> {
    let r = &c.rscs[ix];
    let mut children = r.children.clone();
    if r.kind == model::Kind::Clone {
        let number = |id: &str| {
            let number = id.rsplit_once(':').map(|(_, n)| n);
            number.and_then(|n| n.parse::<u32>().ok()).unwrap_or(0)
        };
        children.sort_by_key(|x| number(&c.rscs[*x].id));
    }
    children
}

fn shown_name<'c>(c: &'c Cluster, ix: RscIx) -> &'c str {
    let r = &c.rscs[ix];
    if c.is_anonymous_instance(ix) && r.kind == model::Kind::Primitive {
        base_name(&r.id)
    } else {
        &r.id
    }
}

fn agent(r: &model::Rsc) -> String {
    if r.kind != model::Kind::Primitive {
        return String::new();
    }
    match &r.provider {
        Some(provider) => format!("{}:{provider}:{}", r.class, r.agent),
        None => format!("{}:{}", r.class, r.agent),
    }
}

/// What a resource does. What was started and can be promoted is unpromoted to people, whatever its history calls it.
fn role(r: &model::Rsc, in_promotable: bool) -> Role {
    match r.role {
        Role::Started if in_promotable => Role::Unpromoted,
        role => role,
    }
}

fn shown_role(r: &model::Rsc, in_promotable: bool) -> &str {
    match r.pending_op.as_deref() {
        Some(text @ ("Starting" | "Stopping" | "Migrating" | "Promoting" | "Demoting")) => text,
        _ => role_text(role(r, in_promotable), in_promotable),
    }
}

/// The word for what a resource does; of one that cannot be promoted, only whether it runs.
pub(super) fn role_text(role: Role, in_promotable: bool) -> &'static str {
    match role {
        Role::Unknown => "Stopped",
        Role::Unpromoted if !in_promotable => "Started",
        role => role.text(),
    }
}

/// Whether failed probes are known by the name of what they are of: an instance with a number of its own and a member
/// of a cloned group have others.
fn tells_probes(c: &Cluster, ix: RscIx) -> bool {
    let Some(clone) = c.clone_of(ix) else {
        return true;
    };
    c.rscs[ix].parent == Some(clone) && !c.rscs[clone].unique
}

fn failed_probes(c: &Cluster, ix: RscIx, places: &[usize]) -> Vec<(usize, i64)> {
    let of_it = c.failed_ops.iter().filter(|(rsc, _, _)| {
        let mut primitives = c.primitives(ix).into_iter();
        tells_probes(c, *rsc)
            && primitives.any(|p| p == *rsc || shown_name(c, p) == shown_name(c, *rsc))
    });
    let probes = of_it.filter(|(_, _, op)| {
        let is_monitor = op.attr("operation") == Some("monitor");
        let is_probe = is_monitor && op.attr("interval").is_none_or(|i| i == "0");
        // Any other failure of a probe is one of the resource.
        is_probe && (op.attr("rc-code") == Some("5") || op.attr("op-status") == Some("7"))
    });
    probes
        .filter_map(|(_, node, op)| Some((places[*node], op.attr("rc-code")?.parse().ok()?)))
        .collect()
}

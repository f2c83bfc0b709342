//! Nodes as a view has them.

use super::{Attribute, Node, NodeKind};
use crate::{
    assign,
    model::{Cluster, Kind, NodeIx, RscIx},
};

/// Attributes that are the cluster's own business.
const HIDDEN: [&str; 3] = ["shutdown", "terminate", "standby"];

/// Places of the nodes in the order in which they are shown, by their places in the cluster's table.
pub(super) fn places(c: &Cluster) -> Vec<usize> {
    let mut places = vec![0; c.nodes.len()];
    for (at, node) in c.node_order.iter().enumerate() {
        places[*node] = at;
    }
    places
}

/// All nodes, sorted by name.
pub(super) fn all(c: &Cluster) -> Vec<Node> {
    c.node_order.iter().map(|ix| node(c, *ix)).collect()
}

fn node(c: &Cluster, ix: NodeIx) -> Node {
    let n = &c.nodes[ix];
    let container = n.connection.and_then(|r| c.rscs[r].container);
    let kind = match (c.is_remote_node(ix), container) {
        (_, Some(_)) => NodeKind::Guest,
        (true, None) => NodeKind::Remote,
        (false, None) => NodeKind::Member,
    };
    let speaks = n.online && n.expected_up && kind == NodeKind::Member;
    let feature_set = || {
        let known = n.attrs.get("#feature-set").cloned();
        known.unwrap_or_else(|| "<3.15.1".to_owned())
    };
    Node {
        id: n.id.clone(),
        name: n.name.clone(),
        kind,
        online: n.online,
        standby: n.standby,
        standby_onfail: n.standby_onfail,
        maintenance: n.maintenance,
        pending: n.pending,
        unclean: n.unclean,
        health: assign::worst_health(c, ix),
        health_counts: c.options.health_strategy != "none",
        feature_set: speaks.then(feature_set),
        shutdown: n.shutdown,
        expected_up: n.expected_up,
        is_dc: n.is_dc,
        running: n.running.clone(),
        container,
        attributes: attributes(c, ix),
    }
}

fn attributes(c: &Cluster, ix: NodeIx) -> Vec<Attribute> {
    let shown = |name: &str| {
        let own = name.starts_with('#')
            || name.starts_with("fail-count-")
            || name.starts_with("last-failure-")
            || HIDDEN.contains(&name);
        !own
    };
    let attrs = c.nodes[ix].attrs.iter().filter(|(name, _)| shown(name));
    attrs
        .map(|(name, value)| Attribute {
            name: name.clone(),
            value: value.clone(),
            expected: expected(c, name),
        })
        .collect()
}

/// The value of an attribute that a ping resource keeps, if all hosts answer.
fn expected(c: &Cluster, name: &str) -> Option<i64> {
    let all = (0..c.rscs.len()).filter(|r| c.rscs[*r].kind == Kind::Primitive);
    all.filter(|r| matches!(&*c.rscs[*r].agent, "ping" | "pingd"))
        .find_map(|r| expected_of(c, r, name))
}

fn expected_of(c: &Cluster, rsc: RscIx, name: &str) -> Option<i64> {
    let xml = c.rscs[rsc].xml.as_ref()?;
    let blocks = xml.children_named("instance_attributes");
    let pairs: Vec<_> = blocks.flat_map(|b| b.children_named("nvpair")).collect();
    let value = |wanted: &str| {
        let mut found = pairs.iter().filter(|p| p.attr("name") == Some(wanted));
        found.find_map(|p| p.attr("value"))
    };
    if value("name").unwrap_or("pingd") != name {
        return None;
    }
    let hosts = value("host_list").map_or(0, |hosts| hosts.split_whitespace().count());
    let each: i64 = value("multiplier")
        .and_then(|m| m.parse().ok())
        .unwrap_or(1);
    i64::try_from(hosts).ok().map(|hosts| hosts * each)
}

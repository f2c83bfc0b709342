//! Unfencing: nodes that have to be switched on by a fencing device before resources may use what it guards.

use crate::{
    fencing,
    model::{ActIx, Cluster, NodeIx, Requires, RscIx, ar},
    ordering::order_actions,
};

fn needed(c: &Cluster, rsc: RscIx, node: NodeIx) -> bool {
    c.rscs[rsc].requires == Requires::Unfencing && c.options.fencing && !c.is_remote_guest(node)
}

/// Orders an action after the unfencing of its node.
pub(crate) fn order(c: &mut Cluster, rsc: RscIx, node: NodeIx, act: ActIx) {
    if !needed(c, rsc, node) {
        return;
    }
    let optional = unfenced(c, node);
    let unfence = fencing::fence_op(c, node, Some("on"), optional, None, false);
    order_actions(c, unfence, act, ar::ORDERED);
}

/// Orders a stop before the unfencing of its node.
pub(crate) fn order_stop(c: &mut Cluster, rsc: RscIx, node: NodeIx, stop: ActIx) {
    if !needed(c, rsc, node) {
        return;
    }
    let unfence = fencing::fence_op(c, node, Some("on"), true, None, false);
    order_actions(c, stop, unfence, ar::THEN_IMPLIES_FIRST);
}

fn unfenced(c: &Cluster, node: NodeIx) -> bool {
    c.nodes[node]
        .attrs
        .get("#node-unfenced")
        .is_some_and(|v| v != "0" && !v.is_empty())
}

impl Cluster<'_> {
    /// Whether a node is a guest, which is never unfenced.
    pub(crate) fn is_remote_guest(&self, node: NodeIx) -> bool {
        self.is_guest(node)
    }
}

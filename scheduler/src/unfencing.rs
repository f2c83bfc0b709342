//! Unfencing: nodes that have to be switched on by a fencing device before resources may use what it guards.

use crate::{
    fencing,
    model::{ActIx, Cluster, NodeIx, Requires, RscIx, Task, ar},
    ordering::{order_action_task, order_actions, order_task_action},
};

/// Orders an action after the unfencing of its node. Devices too wait for it: many of them cannot even be probed
/// before.
pub(crate) fn order(c: &mut Cluster, rsc: RscIx, node: NodeIx, act: ActIx, flags: u32) {
    let device = c.rscs[rsc].is_fence_device && c.unfencing;
    if !device && c.rscs[rsc].requires != Requires::Unfencing {
        return;
    }
    let unfence = fencing::fence_op(c, node, Some("on"), true, None, false);
    order_actions(c, unfence, act, flags);
    if !unfenced(c, node) {
        let task = c.acts[act].task.text();
        let reason = format!("required by {} {task}", c.rscs[rsc].id);
        trigger(c, node, &reason, None);
    }
}

/// Has a node unfenced, if it can be.
pub(crate) fn trigger(c: &mut Cluster, node: NodeIx, reason: &str, then: Option<ActIx>) {
    if !c.unfencing || !c.clean_online(node) || c.nodes[node].shutdown {
        return;
    }
    let unfence = fencing::fence_op(c, node, Some("on"), false, Some(reason), false);
    if let Some(then) = then {
        order_actions(c, unfence, then, ar::ORDERED);
    }
}

/// Orders a resource's stops before, and its starts after, the unfencing of the same node.
pub(crate) fn internal(c: &mut Cluster, rsc: RscIx) {
    let r = &c.rscs[rsc];
    if r.is_fence_device || !c.unfencing || r.requires != Requires::Unfencing {
        return;
    }
    let nodes: Vec<NodeIx> = r.allowed.nodes().collect();
    for node in nodes {
        let unfence = fencing::fence_op(c, node, Some("on"), true, None, false);
        let before = ar::ORDERED | ar::IF_ON_SAME_NODE;
        order_task_action(c, rsc, Task::Stop, unfence, before);
        let after = ar::FIRST_IMPLIES_SAME_NODE_THEN | ar::IF_ON_SAME_NODE;
        order_action_task(c, unfence, rsc, Task::Start, after);
    }
}

fn unfenced(c: &Cluster, node: NodeIx) -> bool {
    let value = c.nodes[node].attrs.get("#node-unfenced");
    value.is_some_and(|v| v != "0")
}

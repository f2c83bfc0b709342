//! What migrations in the histories of two nodes say about where a resource is.
//!
//! A migration is `migrate_to` on the source, `migrate_from` on the target, `stop` on the source. With the first
//! alone it is partial; with the first two it dangles: the source still has to stop it.

use cib::Element;

use super::{Entry, exec, newer, state::add_running};
use crate::{
    model::{Cluster, NodeIx, Role, RscIx},
    score,
};

/// `migrate_to` succeeded on `source`.
pub(super) fn to_success(c: &mut Cluster, rsc: RscIx, source: NodeIx, entry: &Entry) {
    let Some((source_name, target_name)) = names(entry.xml) else {
        return;
    };
    let source_newer = non_monitor_after(c, rsc, source_name, entry.xml, true);
    let from = find_op(c, rsc, "migrate_from", target_name, Some(source_name), None);
    if from.is_some() && source_newer {
        return;
    }
    let number = |attr: &str, fallback: i64| {
        from.map_or(fallback, |op| {
            op.attr(attr)
                .and_then(score::leading_integer)
                .unwrap_or(fallback)
        })
    };
    let (rc, status) = (number("rc-code", 0), number("op-status", exec::PENDING));
    let target_newer = newer_state(c, rsc, target_name, Some(entry.xml), from);
    if source_newer && target_newer {
        return;
    }
    if rc == 0 && status == exec::DONE {
        return dangles(c, rsc, source);
    }
    c.rscs[rsc].role = Role::Started;
    let target = c.node_names.get(target_name).copied();
    let up = target.filter(|t| c.nodes[*t].online);
    let active_on_target = up.filter(|_| !target_newer);
    if status != exec::PENDING {
        match active_on_target {
            Some(target) => add_running(c, rsc, target, true),
            None => unfinished(c, rsc),
        }
        return;
    }
    if up.is_some() && unknown_on(c, rsc, target_name) {
        // Its history there was erased: a probe will tell.
        return;
    }
    if let Some(target) = active_on_target {
        add_running(c, rsc, target, false);
        let source = c.node_names.get(source_name).copied();
        if let Some(source) = source.filter(|s| c.nodes[*s].online) {
            c.rscs[rsc].partial_target = Some(target);
            c.rscs[rsc].partial_source = Some(source);
        }
    } else if !source_newer {
        unfinished(c, rsc);
    }
}

/// `migrate_to` failed on `source`.
pub(super) fn to_failure(c: &mut Cluster, rsc: RscIx, source: NodeIx, entry: &Entry) {
    let Some((source_name, target_name)) = names(entry.xml) else {
        return;
    };
    c.rscs[rsc].role = Role::Started;
    let from = find_op(
        c,
        rsc,
        "migrate_from",
        target_name,
        Some(source_name),
        Some(0),
    );
    let unknown = unknown_on(c, rsc, target_name);
    if !unknown && !newer_state(c, rsc, target_name, Some(entry.xml), from) {
        let target = c.node_names.get(target_name).copied();
        if let Some(target) = target.filter(|t| c.nodes[*t].online) {
            add_running(c, rsc, target, false);
        }
    } else if !non_monitor_after(c, rsc, source_name, entry.xml, true) {
        c.rscs[rsc].dangling_migrations.push(source);
    }
}

/// `migrate_from` failed on its target.
pub(super) fn from_failure(c: &mut Cluster, rsc: RscIx, _target: NodeIx, entry: &Entry) {
    let Some((source_name, target_name)) = names(entry.xml) else {
        return;
    };
    c.rscs[rsc].role = Role::Started;
    let to = find_op(
        c,
        rsc,
        "migrate_to",
        source_name,
        Some(target_name),
        Some(0),
    );
    if !unknown_on(c, rsc, source_name) && !newer_state(c, rsc, source_name, to, Some(entry.xml)) {
        let source = c.node_names.get(source_name).copied();
        if let Some(source) = source.filter(|s| c.nodes[*s].online) {
            add_running(c, rsc, source, true);
        }
    }
}

fn names(xml: &Element) -> Option<(&str, &str)> {
    Some((xml.attr("migrate_source")?, xml.attr("migrate_target")?))
}

fn dangles(c: &mut Cluster, rsc: RscIx, source: NodeIx) {
    c.rscs[rsc].role = Role::Stopped;
    if !c.rscs[rsc].dangling_migrations.contains(&source) {
        c.rscs[rsc].dangling_migrations.push(source);
    }
}

/// The other end was lost on the way: everything has to be stopped, nothing is migrated.
fn unfinished(c: &mut Cluster, rsc: RscIx) {
    let r = &mut c.rscs[rsc];
    r.failed = true;
    r.stop_if_failed = true;
    r.migratable = false;
}

/// Entries of a resource's history on the node of a name.
fn history<'a>(c: &Cluster<'a>, rsc: RscIx, node: &str) -> Vec<&'a Element> {
    let id = c.history_id(rsc);
    let cib = c.cib;
    cib.child("status")
        .into_iter()
        .flat_map(|status| status.children_named("node_state"))
        .filter(|state| state.attr("uname") == Some(node))
        .filter_map(|state| state.child("lrm")?.child("lrm_resources"))
        .flat_map(|resources| resources.children_named("lrm_resource"))
        .filter(|resource| resource.id() == Some(id))
        .flat_map(|resource| resource.children_named("lrm_rsc_op"))
        .collect()
}

/// An operation in the history of a node, of a migration from or to `other`, with a result.
fn find_op<'a>(
    c: &Cluster<'a>,
    rsc: RscIx,
    operation: &str,
    node: &str,
    other: Option<&str>,
    wanted_rc: Option<i64>,
) -> Option<&'a Element> {
    let other_attr = match operation {
        "migrate_to" => "migrate_target",
        _ => "migrate_source",
    };
    let found = history(c, rsc, node).into_iter().find(|op| {
        op.attr("operation") == Some(operation)
            && other.is_none_or(|other| op.attr(other_attr) == Some(other))
    })?;
    let number = |attr: &str| found.attr(attr).and_then(score::leading_integer);
    let fits = wanted_rc
        .is_none_or(|rc| number("rc-code") == Some(rc) && number("op-status") == Some(exec::DONE));
    fits.then_some(found)
}

/// Whether nothing finished is known of a resource on a node.
fn unknown_on(c: &Cluster, rsc: RscIx, node: &str) -> bool {
    !history(c, rsc, node)
        .iter()
        .any(|op| op.attr("rc-code") != Some("193"))
}

/// Whether something other than a monitor happened on a node after an entry.
fn non_monitor_after(c: &Cluster, rsc: RscIx, node: &str, than: &Element, same_node: bool) -> bool {
    history(c, rsc, node).into_iter().any(|op| {
        let counts = matches!(
            op.attr("operation"),
            Some("start" | "stop" | "migrate_to" | "migrate_from")
        );
        counts && !std::ptr::eq(op, than) && newer(op, than, same_node).is_gt()
    })
}

/// Whether the resource's state on a node was learnt after a migration.
fn newer_state(
    c: &Cluster,
    rsc: RscIx,
    node: &str,
    to: Option<&Element>,
    from: Option<&Element>,
) -> bool {
    let Some(any) = to.or(from) else {
        return false;
    };
    let at_source = any.attr("migrate_source") == Some(node);
    // The half that was done on the same node can be compared by its place in that history.
    let (preferred, other) = if at_source { (to, from) } else { (from, to) };
    let (than, same_node) = match (preferred, other) {
        (Some(than), _) => (than, true),
        (None, Some(than)) => (than, false),
        (None, None) => return false,
    };
    if non_monitor_after(c, rsc, node, than, same_node) {
        return true;
    }
    history(c, rsc, node)
        .into_iter()
        .find(|op| {
            op.attr("operation") == Some("monitor")
                && op.attr("rc-code") == Some("7")
                && op.attr("op-status") == Some("0")
        })
        .is_some_and(|monitor| newer(monitor, than, same_node).is_gt())
}

//! Finds the resource that a history entry speaks of: an instance of a clone by what it does on the node,
//! a removed resource by making it up.

use cib::Element;

use super::{ban, base_name};
use crate::{
    model::{Cluster, Kind, NodeIx, NodeKind, Requires, Rsc, RscIx},
    resources,
};

/// The resource an id in the history of a node stands for.
pub(super) fn resource(c: &mut Cluster, node: NodeIx, id: &str) -> Option<RscIx> {
    let mut found = c.rsc_ids.get(id).copied();
    let mut clone = None;
    if let Some(rsc) = found {
        if c.rscs[rsc].kind != Kind::Primitive {
            return None;
        }
        let parent = c.uber_parent(rsc, false);
        if c.rscs[parent].kind == Kind::Clone && !c.rscs[parent].unique {
            clone = Some(parent);
        }
    } else {
        let base = base_name(id);
        let zero = c.rsc_ids.get(&format!("{base}:0")).copied();
        if let Some(rsc) = zero {
            let parent = c.uber_parent(rsc, false);
            if c.rscs[parent].kind == Kind::Clone && !c.rscs[parent].unique {
                clone = Some(parent);
            } else if c.rscs[parent].kind == Kind::Clone {
                // A number a unique clone does not have any more.
                return None;
            }
        }
    }
    if let Some(clone) = clone {
        let base = base_name(id).to_owned();
        // A bundled resource has its one place: the guest of its replica.
        if let Some(bundled) = bundled_instance(c, clone, node) {
            found = Some(bundled);
        } else {
            found = Some(find_anonymous(c, node, clone, &base));
        }
        if let Some(rsc) = found {
            c.rscs[rsc].history_id = Some(id.to_owned());
        }
    }
    found
}

fn bundled_instance(c: &Cluster, clone: RscIx, node: NodeIx) -> Option<RscIx> {
    let bundle = c.rscs[clone].parent?;
    let settings = c.rscs[bundle].bundle.as_ref()?;
    settings
        .replicas
        .iter()
        .find(|r| r.node == Some(node))
        .and_then(|r| r.child)
}

fn member_named(c: &Cluster, instance: RscIx, base: &str) -> Option<RscIx> {
    if c.rscs[instance].kind == Kind::Primitive {
        return (base_name(&c.rscs[instance].id) == base).then_some(instance);
    }
    c.rscs[instance]
        .children
        .iter()
        .copied()
        .find(|m| base_name(&c.rscs[*m].id) == base)
}

/// The instance that a history on this node speaks of: the one active here, else a free one, else a surplus one.
fn find_anonymous(c: &mut Cluster, node: NodeIx, clone: RscIx, base: &str) -> RscIx {
    let mut chosen = None;
    let mut free = None;
    let mut skip_free = false;
    for at in 0..c.rscs[clone].children.len() {
        let instance = c.rscs[clone].children[at];
        if let Some(first) = place(c, instance) {
            if first != node {
                continue;
            }
            chosen = member_named(c, instance, base);
            if let Some(rsc) = chosen {
                if c.rscs[rsc].running_on.is_empty() {
                    break;
                }
                skip_free = true;
                chosen = None;
            }
        } else if !skip_free && free.is_none() && !c.rscs[instance].blocked {
            free = member_named(c, instance, base);
            // What is under way for it on another node claims it.
            if free.is_some_and(|f| c.rscs[f].pending_node.is_some_and(|n| n != node)) {
                free = None;
            }
        }
    }
    if chosen.is_none() && !skip_free {
        chosen = free;
    }
    if let Some(rsc) = chosen {
        let lost = !c.nodes[node].online || c.nodes[node].unclean;
        let fences = matches!(
            c.rscs[rsc].requires,
            Requires::Fencing | Requires::Unfencing
        );
        if !fences && lost && !c.is_guest(node) && !on_every_node(c, clone) {
            chosen = None;
        }
    }
    chosen.unwrap_or_else(|| surplus_instance(c, clone, base))
}

/// The first node an instance is active on, or where something is under way for it.
fn place(c: &Cluster, rsc: RscIx) -> Option<NodeIx> {
    let r = &c.rscs[rsc];
    if r.kind == Kind::Primitive {
        return r.running_on.first().copied().or(r.pending_node);
    }
    let under_way = || {
        let parts = c.primitives(rsc);
        parts.iter().find_map(|r| c.rscs[*r].pending_node)
    };
    c.active_nodes(rsc).first().copied().or_else(under_way)
}

fn on_every_node(c: &Cluster, clone: RscIx) -> bool {
    let r = &c.rscs[clone];
    !r.unique && r.clone.max as usize == c.nodes.len()
}

/// An instance beyond those configured.
fn surplus_instance(c: &mut Cluster, clone: RscIx, base: &str) -> RscIx {
    let number = c.rscs[clone].clone.total;
    let instance = resources::add_instance(c, clone, number);
    if let Some(added) = instance {
        mark_removed(c, added);
    }
    instance
        .and_then(|i| member_named(c, i, base))
        .unwrap_or(clone)
}

fn mark_removed(c: &mut Cluster, rsc: RscIx) {
    c.rscs[rsc].removed = true;
    for child in c.rscs[rsc].children.clone() {
        mark_removed(c, child);
    }
}

/// A resource that runs, or ran, but is not configured any more.
pub(super) fn create_removed(c: &mut Cluster, xml: &Element) -> RscIx {
    let id = xml.id().unwrap_or("");
    let mut fake = Element::new("primitive").with_attr("id", id);
    for name in ["class", "provider", "type"] {
        if let Some(value) = xml.attr(name) {
            fake.set_attr(name, value);
        }
    }
    // The id may be that of a collection now.
    let taken = c.rsc_ids.shift_remove(id);
    let made = resources::create(c, &fake, None, None);
    if let Some(taken) = taken {
        c.rsc_ids.insert(id.to_owned(), taken);
    }
    let ix = match made {
        Some(ix) => ix,
        None => {
            c.rscs.push(Rsc {
                id: id.to_owned(),
                ..Rsc::default()
            });
            c.rscs.len() - 1
        }
    };
    c.top.push(ix);
    c.rscs[ix].removed = true;
    // What could fence can fence until it is stopped.
    c.have_fence_device |= c.rscs[ix].is_fence_device;
    if c.rscs[ix].is_remote {
        removed_remote(c, ix);
    }
    if c.options.stop_removed {
        // Banned everywhere, so that it stops; probing it makes no sense.
        location_all(c, ix);
    } else {
        c.rscs[ix].managed = false;
    }
    ix
}

fn removed_remote(c: &mut Cluster, ix: RscIx) {
    let id = c.rscs[ix].id.clone();
    let node = crate::nodes::create(c, &id, &id, NodeKind::Remote, 0);
    c.nodes[node].connection = Some(ix);
    c.nodes[node].shutdown = true;
    c.nodes[node].unclean = false;
    c.rscs[ix].remote_node = Some(node);
}

fn location_all(c: &mut Cluster, rsc: RscIx) {
    for node in 0..c.nodes.len() {
        ban(c, rsc, Some(node), "removed");
    }
}

//! Resources as XML.

use cib::Element;
use scheduler::view::{Kind, View};

use super::{Scene, describe, resources, xml::flag};

/// A resource with everything in it that is chosen; nothing if it is not.
pub(super) fn resource(scene: &Scene<'_>, place: usize) -> Option<Element> {
    let r = scene.view.resources.get(place)?;
    if !scene.filter.has(scene.view, place, true) {
        return None;
    }
    match r.kind {
        Kind::Primitive => Some(primitive(scene.view, place)),
        Kind::Group => group(scene, place),
        Kind::Clone => clone(scene, place),
        Kind::Bundle => bundle(scene, place),
    }
}

/// One primitive and the nodes where it is active.
pub(super) fn primitive(view: &View, place: usize) -> Element {
    let r = &view.resources[place];
    let mut element = Element::new("resource")
        .with_attr("id", &r.name)
        .with_attr("resource_agent", &r.agent)
        .with_attr("role", &r.shown_role);
    if let Some(target) = &r.target_role {
        element.set_attr("target_role", target);
    }
    for (name, value) in [
        ("active", view.is_active(place, true)),
        ("orphaned", r.removed),
        ("removed", r.removed),
        ("blocked", r.blocked),
        ("maintenance", r.maintenance),
        ("managed", r.managed),
        ("failed", r.failed),
        ("failure_ignored", r.failure_ignored),
    ] {
        element = flag(element, name, value);
    }
    element.set_attr("nodes_running_on", r.running_on.len().to_string());
    if let Some(pending) = &r.pending {
        element.set_attr("pending", pending);
    }
    if let Some(node) = r.locked_to.and_then(|n| view.nodes.get(n)) {
        element.set_attr("locked_to", &node.name);
    }
    if let Some(description) = &r.description {
        element.set_attr("description", description);
    }
    let nodes = r.running_on.iter().filter_map(|n| view.nodes.get(*n));
    nodes.fold(element, |element, n| {
        let node = Element::new("node")
            .with_attr("name", &n.name)
            .with_attr("id", &n.id);
        element.with_child(flag(node, "cached", n.online))
    })
}

fn group(scene: &Scene<'_>, place: usize) -> Option<Element> {
    let (view, filter) = (scene.view, scene.filter);
    let r = &view.resources[place];
    let whole = filter.names(view, place) || filter.names(view, view.top_of(place));
    let shown = |member: &&usize| filter.has_member(view, **member, whole, scene.show.inactive);
    let members: Vec<&usize> = r.children.iter().filter(shown).collect();
    let element = Element::new("group")
        .with_attr("id", &r.id)
        .with_attr("number_resources", members.len().to_string());
    let element = flag(element, "maintenance", r.maintenance);
    let element = flag(element, "managed", r.managed);
    let mut element = flag(element, "disabled", describe::is_disabled(r));
    if let Some(description) = &r.description {
        element.set_attr("description", description);
    }
    let any = !members.is_empty();
    let full = members.into_iter().fold(element, |element, m| {
        element.with_child(primitive(view, *m))
    });
    any.then_some(full)
}

fn clone(scene: &Scene<'_>, place: usize) -> Option<Element> {
    let view = scene.view;
    let r = &view.resources[place];
    let mut element = Element::new("clone").with_attr("id", &r.id);
    for (name, value) in [
        ("multi_state", r.promotable),
        ("unique", r.unique),
        ("maintenance", r.maintenance),
        ("managed", r.managed),
        ("disabled", describe::is_disabled(r)),
        ("failed", r.failed),
        ("failure_ignored", r.failure_ignored),
    ] {
        element = flag(element, name, value);
    }
    if let Some(target) = &r.target_role {
        element.set_attr("target_role", target);
    }
    if let Some(description) = &r.description {
        element.set_attr("description", description);
    }
    let all = scene.filter.of_nodes();
    let inner = Scene {
        filter: &all,
        ..*scene
    };
    for child in &r.children {
        let here = !scene.filter.is_elsewhere(view, *child);
        if here && resources::has_instance(scene, place, *child) {
            element = resource(&inner, *child)
                .into_iter()
                .fold(element, Element::with_child);
        }
    }
    (!element.is_empty()).then_some(element)
}

fn bundle(scene: &Scene<'_>, place: usize) -> Option<Element> {
    let view = scene.view;
    let r = &view.resources[place];
    let bundle = r.bundle.as_ref()?;
    let whole = scene.filter.names(view, place);
    let mut element = Element::new("bundle")
        .with_attr("id", &r.id)
        .with_attr("type", &bundle.engine)
        .with_attr("image", &bundle.image);
    for (name, value) in [
        ("unique", r.unique),
        ("maintenance", r.maintenance),
        ("managed", r.managed),
        ("failed", r.failed),
    ] {
        element = flag(element, name, value);
    }
    if let Some(description) = &r.description {
        element.set_attr("description", description);
    }
    for replica in &bundle.replicas {
        if scene.filter.is_elsewhere(view, replica.container) {
            continue;
        }
        let chosen = |part: &usize| whole || scene.filter.has(view, *part, false);
        let parts = replica.parts().filter(chosen);
        let inner = Element::new("replica").with_attr("id", replica.number.to_string());
        let full = parts.fold(inner, |e, part| e.with_child(primitive(view, part)));
        if !full.is_empty() {
            element.push(full);
        }
    }
    (!element.is_empty()).then_some(element)
}

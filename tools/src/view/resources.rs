//! Resources as outlines.

use std::collections::BTreeMap;

use scheduler::view::{Bundle, Kind, Replica, Resource, Role};

use super::{
    Filter, Outline, Scene, Section,
    brief::{self, Where},
    describe,
};

/// The list of resources. `told`: say so if there is nothing in it.
pub(super) fn outline(scene: &Scene<'_>, told: bool) -> Option<Outline> {
    let show = scene.show;
    if !show.sections.has(Section::Resources) || show.by_node && !show.inactive {
        return None;
    }
    let mut items = Vec::new();
    if show.brief && !show.by_node {
        let chosen: Vec<usize> = scene
            .view
            .top
            .iter()
            .copied()
            .filter(|r| scene.filter.has(scene.view, *r, false))
            .collect();
        let form = if show.inactive {
            Where::NodeOfAll
        } else {
            Where::Node
        };
        items.extend(brief::lines(scene, &chosen, form));
    }
    let internal = |place: &usize| show.detail || !scene.view.resources[*place].internal;
    for place in worth_showing(scene).into_iter().filter(internal) {
        items.extend(resource(scene, place));
    }
    let (title, nothing) = match (show.by_node, show.inactive) {
        (true, _) => ("Inactive Resources", "No inactive resources"),
        (false, true) => ("Full List of Resources", "No resources"),
        (false, false) => ("Active Resources", "No active resources"),
    };
    if items.is_empty() && told {
        items.push(Outline::item(nothing));
    }
    (!items.is_empty()).then(|| Outline::list(title, items))
}

/// Places of the top-level resources that a list has to look at.
pub(super) fn worth_showing(scene: &Scene<'_>) -> Vec<usize> {
    let (view, show) = (scene.view, scene.show);
    let is_worth = |place: &usize| {
        let r = &view.resources[*place];
        let partly = view.is_active(*place, false);
        let whole = view.is_active(*place, true);
        match r {
            r if r.removed && !whole => false,
            _ if show.by_node => !whole,
            r if show.brief && r.kind == Kind::Primitive => false,
            _ if !partly => show.inactive,
            _ => scene.filter.runs_here(view, *place),
        }
    };
    view.top.iter().copied().filter(is_worth).collect()
}

/// One resource; nothing if it is not chosen.
pub(super) fn resource(scene: &Scene<'_>, place: usize) -> Vec<Outline> {
    let Some(r) = scene.view.resources.get(place) else {
        return Vec::new();
    };
    if !scene.filter.has(scene.view, place, true) {
        return Vec::new();
    }
    match r.kind {
        Kind::Primitive => vec![Outline::Item(describe::primitive(
            scene.view,
            place,
            scene.show.bare,
        ))],
        Kind::Group => group(scene, place).into_iter().collect(),
        Kind::Clone => clone(scene, place).into_iter().collect(),
        Kind::Bundle => bundle(scene, place).into_iter().collect(),
    }
}

/// A primitive under the node where it runs.
pub(super) fn bare_line(scene: &Scene<'_>, place: usize) -> Outline {
    Outline::Item(describe::primitive(scene.view, place, true))
}

fn group(scene: &Scene<'_>, place: usize) -> Option<Outline> {
    let (view, show) = (scene.view, scene.show);
    let r = &view.resources[place];
    let whole = scene.filter.names(view, place) || scene.filter.names(view, view.top_of(place));
    let shown = |member: &usize| scene.filter.has_member(view, *member, whole, show.inactive);
    let items: Vec<Outline> = if show.brief {
        let chosen = |member: &usize| scene.filter.has(view, *member, false);
        let members: Vec<usize> = r.children.iter().copied().filter(chosen).collect();
        brief::lines(scene, &members, Where::NodeOfAll)
    } else {
        let members = r.children.iter().filter(|m| shown(m));
        members
            .map(|m| Outline::Item(describe::primitive(view, *m, show.bare)))
            .collect()
    };
    let mut flags = Vec::new();
    let partly = view.is_active(place, false) && !view.is_active(place, true);
    if partly && !show.inactive {
        let members = r.children.iter().filter(|m| !view.is_active(**m, true));
        let inactive = describe::plural(members.count(), "member");
        flags.push(format!("{inactive} inactive"));
    }
    flags.extend(describe::collection_flags(r));
    let title = format!("Resource Group: {}{}", r.id, describe::brackets(&flags));
    (!items.is_empty()).then(|| Outline::list(title, items))
}

/// What a clone has besides instances in lines of their own.
#[derive(Default)]
struct Gathered<'v> {
    promoted: Vec<usize>,
    started: Vec<usize>,
    /// By state: nodes.
    stopped: BTreeMap<String, Vec<&'v str>>,
    active: usize,
}

fn clone(scene: &Scene<'_>, place: usize) -> Option<Outline> {
    let (view, show) = (scene.view, scene.show);
    let r = &view.resources[place];
    let mut items = Vec::new();
    let mut gathered = Gathered::default();
    let all = scene.filter.of_nodes();
    let inner = Scene {
        filter: &all,
        ..*scene
    };
    for child in &r.children {
        if scene.filter.is_elsewhere(view, *child) || !has_instance(scene, place, *child) {
            continue;
        }
        if stands_alone(scene, r, *child, &mut gathered) {
            items.extend(instance(&inner, *child));
        }
    }
    if !show.detail {
        items.extend(lists(scene, place, gathered));
    }
    let flags = describe::brackets(&describe::collection_flags(r));
    let child = r.children.first().map_or("", |c| {
        let id = view.resources[*c].id.as_str();
        id.split(':').next().unwrap_or(id)
    });
    // One that no node is open to has nothing to list, and is there nevertheless.
    let nowhere = show.inactive && r.allowed.is_empty();
    (nowhere || !items.is_empty())
        .then(|| Outline::list(format!("Clone Set: {} [{child}]{flags}", r.id), items))
}

/// Whether an instance of a clone is chosen.
pub(super) fn has_instance(scene: &Scene<'_>, clone: usize, instance: usize) -> bool {
    let filter: &Filter = scene.filter;
    if filter.names(scene.view, clone) || filter.has(scene.view, instance, false) {
        return true;
    }
    let id = &scene.view.resources[instance].id;
    let base = id.split(':').next().unwrap_or(id);
    filter.has_name(base)
}

fn instance(scene: &Scene<'_>, place: usize) -> Vec<Outline> {
    match scene.view.resources[place].kind {
        Kind::Group => {
            // Every member of an instance that stands alone is worth showing.
            group(scene, place).into_iter().collect()
        }
        _ => vec![Outline::Item(describe::primitive(
            scene.view,
            place,
            scene.show.bare,
        ))],
    }
}

/// Whether an instance needs lines of its own; if not, it is put where it belongs.
fn stands_alone(
    scene: &Scene<'_>,
    clone: &Resource,
    place: usize,
    gathered: &mut Gathered<'_>,
) -> bool {
    let view = scene.view;
    let running = view.is_active(place, false);
    let r = &view.resources[place];
    if clone.unique {
        return running || !r.removed || scene.show.detail;
    }
    if scene.show.detail {
        return true;
    }
    let primitives = view.primitives(place);
    let any =
        |test: &dyn Fn(&Resource) -> bool| primitives.iter().any(|p| test(&view.resources[*p]));
    // What a member of a group is about to become does not show from outside.
    if r.is_pending {
        return true;
    }
    if !running {
        return false;
    }
    let special = any(&|p| p.removed || p.failed || !p.managed || p.maintenance);
    let places = view.locations(place);
    let scattered = primitives
        .iter()
        .any(|p| view.resources[*p].running_on.len() != 1);
    let [node] = places.as_slice() else {
        return true;
    };
    let lost = view
        .nodes
        .get(*node)
        .is_some_and(|n| !n.online && n.unclean);
    if special || scattered || lost {
        return true;
    }
    gathered.active += 1;
    if view.role(place) > Role::Unpromoted {
        gathered.promoted.push(*node);
    } else {
        gathered.started.push(*node);
    }
    false
}

fn lists<'v>(scene: &Scene<'v>, place: usize, mut gathered: Gathered<'v>) -> Vec<Outline> {
    let view = scene.view;
    let r = &view.resources[place];
    let mut items = Vec::new();
    let mut list = |title: &str, nodes: &mut Vec<usize>| {
        nodes.sort_unstable();
        nodes.retain(|n| scene.filter.has_node(*n));
        let names = nodes.iter().filter_map(|n| view.nodes.get(*n));
        let names: Vec<&str> = names.map(|n| n.name.as_str()).collect();
        if !names.is_empty() {
            items.push(Outline::item(format!("{title}: [ {} ]", names.join(" "))));
        }
    };
    list("Promoted", &mut gathered.promoted);
    let wanted = describe::target_of(view, place).and_then(Role::parse);
    let title = match wanted {
        Some(Role::Unpromoted) if r.promotable => "Unpromoted (target-role)",
        _ if r.promotable => "Unpromoted",
        _ => "Started",
    };
    list(title, &mut gathered.started);
    if scene.show.inactive && !r.unique && r.clone_max > gathered.active {
        let here = view.locations(place);
        for at in r.allowed.iter().filter(|n| !here.contains(n)) {
            let Some(node) = view.nodes.get(*at).filter(|_| scene.filter.has_node(*at)) else {
                continue;
            };
            let probed = describe::failed_probe(r, Some(*at));
            let state = match probed {
                Some(rc) => format!("Stopped ({})", describe::words(rc)),
                None if wanted == Some(Role::Stopped) => "Stopped (disabled)".to_owned(),
                None => "Stopped".to_owned(),
            };
            gathered.stopped.entry(state).or_default().push(&node.name);
        }
        for (state, names) in &gathered.stopped {
            items.push(Outline::item(format!("{state}: [ {} ]", names.join(" "))));
        }
    }
    items
}

fn bundle(scene: &Scene<'_>, place: usize) -> Option<Outline> {
    let view = scene.view;
    let r = &view.resources[place];
    let bundle = r.bundle.as_ref()?;
    let mut items = Vec::new();
    for replica in &bundle.replicas {
        if !scene.filter.is_elsewhere(view, replica.container) {
            items.extend(replica_lines(scene, place, bundle, replica));
        }
    }
    let set = if bundle.replicas.len() > 1 {
        " set"
    } else {
        ""
    };
    let flags = describe::brackets(&describe::collection_flags(r));
    let title = format!("Container bundle{set}: {} [{}]{flags}", r.id, bundle.image);
    (!items.is_empty()).then(|| Outline::list(title, items))
}

fn replica_lines(
    scene: &Scene<'_>,
    place: usize,
    bundle: &Bundle,
    replica: &Replica,
) -> Vec<Outline> {
    let view = scene.view;
    let whole = scene.filter.names(view, place);
    let chosen = |part: &usize| whole || scene.filter.has(view, *part, false);
    let parts: Vec<usize> = replica.parts().filter(chosen).collect();
    if parts.is_empty() {
        return Vec::new();
    }
    if !scene.show.detail && whole {
        return vec![Outline::Item(replica_line(scene, replica))];
    }
    let lines = parts
        .iter()
        .map(|p| Outline::Item(describe::primitive(view, *p, scene.show.bare)))
        .collect();
    let mut items = Vec::new();
    if bundle.replicas.len() > 1 {
        items.push(Outline::item(format!("Replica[{}]", replica.number)));
    }
    items.push(Outline::inset(lines));
    items
}

fn replica_line(scene: &Scene<'_>, replica: &Replica) -> String {
    let view = scene.view;
    let named = replica.remote.unwrap_or(replica.container);
    let mut name = view.resources[named].name.clone();
    if let Some(address) = &replica.address {
        name.push_str(&format!(" ({address})"));
    }
    let shown = replica.child.unwrap_or(replica.container);
    let node = view.resources[replica.container].current;
    describe::primitive_as(view, shown, &name, node, scene.show.bare)
}

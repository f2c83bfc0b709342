//! A status as XML, section by section.

use cib::Element;
use scheduler::view::{Failure, Node, NodeKind, Operation, ResourceHistory};

use super::{Scene, Section, describe, history, resources, summary, xml_parts};

/// Every wanted section that has anything in it.
pub(super) fn elements(scene: &Scene<'_>) -> Vec<Element> {
    [
        head(scene),
        nodes(scene),
        resources(scene),
        attributes(scene),
        operations(scene),
        failures(scene),
        fencing(scene),
        tickets(scene),
        bans(scene),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn filled(name: &str, children: Vec<Element>) -> Option<Element> {
    let element = children
        .into_iter()
        .fold(Element::new(name), Element::with_child);
    (!element.is_empty()).then_some(element)
}

/// `true` or `false` as an attribute.
pub(super) fn flag(element: Element, name: &str, value: bool) -> Element {
    element.with_attr(name, if value { "true" } else { "false" })
}

fn head(scene: &Scene<'_>) -> Option<Element> {
    let sections = scene.show.sections;
    let mut parts = Vec::new();
    if sections.has(Section::Stack) {
        let stack = scene.view.summary.stack.as_deref().unwrap_or("unknown");
        let mut element = Element::new("stack").with_attr("type", stack);
        if let Some(live) = scene.live {
            element.set_attr("pacemakerd-state", &live.daemons);
        }
        parts.push(element);
    }
    // That nobody is in charge is told whatever is wanted.
    if sections.has(Section::Dc) || scene.view.summary.dc.is_none() {
        parts.push(controller(scene));
    }
    if sections.has(Section::Times) {
        parts.extend(times(scene));
    }
    if sections.has(Section::Counts) {
        parts.extend(counts(scene));
    }
    if sections.has(Section::Options) {
        parts.push(options(scene));
    }
    filled("summary", parts)
}

fn controller(scene: &Scene<'_>) -> Element {
    let all = &scene.view.summary;
    let Some(dc) = all.dc.and_then(|dc| scene.view.nodes.get(dc)) else {
        return flag(Element::new("current_dc"), "present", false);
    };
    let element = flag(Element::new("current_dc"), "present", true)
        .with_attr("version", all.dc_version.as_deref().unwrap_or_default())
        .with_attr("name", &dc.name)
        .with_attr("id", &dc.id);
    let element = flag(element, "with_quorum", all.quorate);
    flag(element, "mixed_version", all.mixed_version)
}

fn times(scene: &Scene<'_>) -> [Element; 2] {
    let mut updated = Element::new("last_update").with_attr("time", describe::moment(scene.now_s));
    if let Some(live) = scene.live {
        updated.set_attr("origin", &live.node);
    }
    let last = &scene.view.summary.last_change;
    let changed = Element::new("last_change")
        .with_attr("time", &last.time)
        .with_attr("user", &last.user)
        .with_attr("client", &last.client)
        .with_attr("origin", &last.origin);
    [updated, changed]
}

fn counts(scene: &Scene<'_>) -> [Element; 2] {
    let number = |name: &str, n: usize| Element::new(name).with_attr("number", n.to_string());
    let counts = scene.view.summary.counts;
    [
        number("nodes_configured", scene.view.nodes.len()),
        number("resources_configured", counts.all)
            .with_attr("disabled", counts.disabled.to_string())
            .with_attr("blocked", counts.blocked.to_string()),
    ]
}

fn options(scene: &Scene<'_>) -> Element {
    let o = &scene.view.summary.options;
    let element = flag(
        Element::new("cluster_options"),
        "fencing-enabled",
        o.fencing,
    )
    .with_attr("fencing-timeout-ms", o.fencing_timeout_ms.to_string());
    let element = flag(element, "symmetric-cluster", o.symmetric)
        .with_attr("no-quorum-policy", o.no_quorum_policy);
    let element = flag(element, "maintenance-mode", o.maintenance);
    let element = flag(element, "stop-all-resources", o.stop_all).with_attr(
        "priority-fencing-delay-ms",
        o.priority_fencing_delay_ms.to_string(),
    );
    flag(element, "stonith-enabled", o.fencing)
        .with_attr("stonith-timeout-ms", o.fencing_timeout_ms.to_string())
}

/// The nodes; under each, if wanted, what runs there.
pub(super) fn nodes(scene: &Scene<'_>) -> Option<Element> {
    if !scene.show.sections.has(Section::Nodes) {
        return None;
    }
    let nodes = scene.view.nodes.iter().enumerate();
    let nodes = nodes.filter(|(at, _)| scene.filter.has_node(*at));
    let elements = nodes.map(|(_, n)| node(scene, n));
    Some(elements.fold(Element::new("nodes"), Element::with_child))
}

fn node(scene: &Scene<'_>, n: &Node) -> Element {
    let mut element = Element::new("node")
        .with_attr("name", &n.name)
        .with_attr("id", &n.id);
    for (name, value) in [
        ("online", n.online),
        ("standby", n.standby),
        ("standby_onfail", n.standby_onfail),
        ("maintenance", n.maintenance),
        ("pending", n.pending),
        ("unclean", n.unclean),
    ] {
        element = flag(element, name, value);
    }
    element.set_attr("health", describe::health(n));
    if let Some(features) = &n.feature_set {
        element.set_attr("feature_set", features);
    }
    for (name, value) in [
        ("shutdown", n.shutdown),
        ("expected_up", n.expected_up),
        ("is_dc", n.is_dc),
    ] {
        element = flag(element, name, value);
    }
    let kind = match n.kind {
        NodeKind::Member => "member",
        NodeKind::Remote | NodeKind::Guest => "remote",
    };
    element.set_attr("resources_running", n.running.len().to_string());
    element.set_attr("type", kind);
    if let Some(container) = n.container.and_then(|c| scene.view.resources.get(c)) {
        element.set_attr("id_as_resource", &container.id);
    }
    if scene.show.by_node {
        for place in &n.running {
            if scene.filter.has(scene.view, *place, true) {
                element.push(xml_parts::primitive(scene.view, *place));
            }
        }
    }
    element
}

/// The resources.
pub(super) fn resources(scene: &Scene<'_>) -> Option<Element> {
    let show = scene.show;
    if !show.sections.has(Section::Resources) || show.by_node && !show.inactive {
        return None;
    }
    let places = resources::worth_showing(scene);
    let mut element = Element::new("resources");
    for place in &places {
        if let Some(child) = xml_parts::resource(scene, *place) {
            element.push(child);
        }
    }
    (!places.is_empty()).then_some(element)
}

fn attributes(scene: &Scene<'_>) -> Option<Element> {
    if !scene.show.sections.has(Section::Attributes) {
        return None;
    }
    let nodes = scene.view.nodes.iter().enumerate();
    let nodes =
        nodes.filter(|(at, n)| n.online && !n.attributes.is_empty() && scene.filter.has_node(*at));
    let elements = nodes.map(|(_, n)| {
        let element = Element::new("node").with_attr("name", &n.name);
        n.attributes.iter().fold(element, |element, a| {
            let mut attribute = Element::new("attribute")
                .with_attr("name", &a.name)
                .with_attr("value", &a.value);
            if let Some(expected) = a.expected {
                attribute.set_attr("expected", expected.to_string());
            }
            element.with_child(attribute)
        })
    });
    filled("node_attributes", elements.collect())
}

fn operations(scene: &Scene<'_>) -> Option<Element> {
    let sections = scene.show.sections;
    let whole = sections.has(Section::Operations);
    if !whole && !sections.has(Section::FailCounts) {
        return None;
    }
    let nodes = history::shown(scene).into_iter().map(|(node, histories)| {
        let element = Element::new("node").with_attr("name", &scene.view.nodes[node].name);
        histories.into_iter().fold(element, |element, h| {
            element.with_child(resource_history(scene, h, whole))
        })
    });
    let all = nodes.fold(Element::new("node_history"), Element::with_child);
    history::is_told(scene).then_some(all)
}

fn resource_history(scene: &Scene<'_>, h: &ResourceHistory, whole: bool) -> Element {
    let r = &scene.view.resources[h.resource];
    let element = Element::new("resource_history").with_attr("id", &r.name);
    let element = flag(flag(element, "orphan", false), "removed", false);
    let mut element = element.with_attr("migration-threshold", h.migration_threshold.to_string());
    if h.fail_count > 0 {
        element.set_attr("fail-count", h.fail_count.to_string());
    }
    if h.last_failure_s > 0 {
        element.set_attr("last-failure", describe::moment(h.last_failure_s));
    }
    let operations = h.operations.iter().filter(|_| whole);
    operations.fold(element, |element, op| element.with_child(operation(op)))
}

fn operation(op: &Operation) -> Element {
    let mut element = Element::new("operation_history")
        .with_attr("call", &op.call)
        .with_attr("task", &op.task)
        .with_attr("rc", op.rc.to_string())
        .with_attr("rc_text", describe::words(op.rc));
    if op.interval_ms > 0 {
        element.set_attr("interval", format!("{}ms", op.interval_ms));
    }
    if let Some(at) = op.last_change_s {
        element.set_attr("last-rc-change", describe::moment(at));
    }
    if let Some(ms) = &op.exec_ms {
        element.set_attr("exec-time", format!("{ms}ms"));
    }
    if let Some(ms) = &op.queue_ms {
        element.set_attr("queue-time", format!("{ms}ms"));
    }
    element
}

fn failures(scene: &Scene<'_>) -> Option<Element> {
    let all = history::shown_failures(scene).map(|f| failure(scene, f));
    filled("failures", all.collect())
}

fn failure(scene: &Scene<'_>, f: &Failure) -> Element {
    let (name, value) = match &f.key {
        Some(key) => ("op_key", key),
        None => ("id", &f.id),
    };
    let mut element = Element::new("failure")
        .with_attr(name, value)
        .with_attr("node", &scene.view.nodes[f.node].name)
        .with_attr("exitstatus", describe::words(f.rc))
        .with_attr("exitreason", f.reason.as_deref().unwrap_or("none"))
        .with_attr("exitcode", f.rc.to_string())
        .with_attr("call", &f.call)
        .with_attr("status", history::execution(f.status));
    if let Some(at) = f.last_change_s {
        element.set_attr("last-rc-change", describe::iso_moment(at));
        for (name, ms) in [("queued", &f.queue_ms), ("exec", &f.exec_ms)] {
            if let Some(ms) = ms {
                element.set_attr(name, ms);
            }
        }
        element.set_attr("interval", f.interval_ms.to_string());
        element.set_attr("task", &f.task);
    }
    element
}

fn fencing(scene: &Scene<'_>) -> Option<Element> {
    let live = scene.live?;
    let wanted = |status: &str| {
        scene.show.sections.has(match status {
            "failed" => Section::FencingFailed,
            "pending" => Section::FencingPending,
            _ => Section::FencingSucceeded,
        })
    };
    let events = live.fencing.iter().filter(|f| wanted(f.status));
    let elements: Vec<Element> = events
        .map(|f| {
            let mut element = Element::new("fence_event")
                .with_attr("target", &f.target)
                .with_attr("action", &f.action)
                .with_attr("status", f.status)
                .with_attr("client", &f.client)
                .with_attr("origin", &f.origin);
            if !f.delegate.is_empty() {
                element.set_attr("delegate", &f.delegate);
            }
            if f.status != "pending" {
                element.set_attr("completed", describe::iso_moment(f.completed_s));
            }
            element
        })
        .collect();
    let history = Element::new("fence_history").with_attr("status", "0");
    let full = elements.into_iter().fold(history, Element::with_child);
    (!full.is_empty()).then_some(full)
}

fn tickets(scene: &Scene<'_>) -> Option<Element> {
    if !scene.show.sections.has(Section::Tickets) {
        return None;
    }
    let tickets = scene.view.tickets.iter().map(|t| {
        let state = if t.granted { "granted" } else { "revoked" };
        let element = Element::new("ticket")
            .with_attr("id", &t.id)
            .with_attr("status", state);
        let mut element = flag(element, "standby", t.standby);
        for (name, value) in &t.attributes {
            element.set_attr(name, value);
        }
        if let Some(at) = t.last_granted_s {
            element.set_attr("last-granted", describe::moment(at));
        }
        element
    });
    filled("tickets", tickets.collect())
}

fn bans(scene: &Scene<'_>) -> Option<Element> {
    let bans = summary::shown_bans(scene).map(|ban| {
        let element = Element::new("ban")
            .with_attr("id", &ban.id)
            .with_attr("resource", &scene.view.resources[ban.resource].id)
            .with_attr("node", &scene.view.nodes[ban.node].name)
            .with_attr("weight", ban.score.to_string());
        let element = flag(element, "promoted-only", ban.promoted_only);
        flag(element, "master_only", ban.promoted_only)
    });
    filled("bans", bans.collect())
}

//! The cluster as a whole, its tickets and bans, as outlines.

use super::{Outline, Scene, Section, describe};

/// The head of a status.
pub(super) fn outline(scene: &Scene<'_>) -> Vec<Outline> {
    let mut items = Vec::new();
    let sections = scene.show.sections;
    if sections.has(Section::Stack) {
        items.push(Outline::Item(stack(scene)));
    }
    // That nobody is in charge is told whatever is wanted.
    if sections.has(Section::Dc) || scene.view.summary.dc.is_none() {
        items.push(Outline::Item(controller(scene)));
    }
    if sections.has(Section::Times) {
        items.extend(times(scene));
    }
    if sections.has(Section::Counts) {
        items.extend(counts(scene));
    }
    let mut all = Vec::new();
    if !items.is_empty() {
        all.push(Outline::list("Cluster Summary", items));
    }
    if sections.has(Section::MaintMode) || sections.has(Section::Options) {
        all.extend(management(scene));
    }
    all
}

fn stack(scene: &Scene<'_>) -> String {
    let stack = scene.view.summary.stack.as_deref().unwrap_or("unknown");
    match scene.live {
        Some(live) => format!("Stack: {stack} (daemons: {})", live.daemons),
        None => format!("Stack: {stack}"),
    }
}

fn controller(scene: &Scene<'_>) -> String {
    let summary = &scene.view.summary;
    let Some(dc) = summary.dc.and_then(|dc| scene.view.nodes.get(dc)) else {
        return "Current DC: NONE".to_owned();
    };
    let name = describe::node_name(scene.view, dc, scene.show.detail);
    let version = summary.dc_version.as_deref().unwrap_or("unknown");
    let mixed = if summary.mixed_version {
        "MIXED-VERSION "
    } else {
        ""
    };
    let quorum = if summary.quorate { "with" } else { "WITHOUT" };
    format!("Current DC: {name} (version {version}) - {mixed}partition {quorum} quorum")
}

fn times(scene: &Scene<'_>) -> Vec<Outline> {
    let mut updated = format!("Last updated: {}", describe::moment(scene.now_s));
    if let Some(live) = scene.live {
        updated.push_str(&format!(" on {}", live.node));
    }
    let last = &scene.view.summary.last_change;
    let mut changed = format!("Last change:  {}", last.time);
    for (word, value) in [
        ("by", &last.user),
        ("via", &last.client),
        ("on", &last.origin),
    ] {
        if !value.is_empty() {
            changed.push_str(&format!(" {word} {value}"));
        }
    }
    vec![Outline::Item(updated), Outline::Item(changed)]
}

fn counts(scene: &Scene<'_>) -> Vec<Outline> {
    let nodes = describe::plural(scene.view.nodes.len(), "node");
    let counts = scene.view.summary.counts;
    let mut flags = Vec::new();
    if counts.disabled > 0 {
        flags.push(format!("{} DISABLED", counts.disabled));
    }
    if counts.blocked > 0 {
        flags.push(format!(
            "{} BLOCKED from further action due to failure",
            counts.blocked
        ));
    }
    let instances = describe::plural(counts.all, "resource instance");
    let flags = describe::brackets(&flags);
    vec![
        Outline::Item(format!("{nodes} configured")),
        Outline::Item(format!("{instances} configured{flags}")),
    ]
}

fn management(scene: &Scene<'_>) -> Option<Outline> {
    let options = &scene.view.summary.options;
    let lines = if options.maintenance {
        [
            "              *** Resource management is DISABLED ***",
            "  The cluster will not attempt to start, stop or recover services",
        ]
    } else if options.stop_all {
        [
            "              *** Resource management is STOPPED ***",
            "  The cluster will keep all resources stopped",
        ]
    } else {
        return None;
    };
    let lines = lines.map(|l| Outline::Plain(l.to_owned()));
    Some(Outline::inset(lines.to_vec()))
}

/// Tickets and whether they are granted.
pub(super) fn tickets(scene: &Scene<'_>) -> Option<Outline> {
    if !scene.show.sections.has(Section::Tickets) || scene.view.tickets.is_empty() {
        return None;
    }
    let lines = scene.view.tickets.iter().map(|t| {
        let state = if t.granted { "granted" } else { "revoked" };
        let mut line = format!("{}\t{state}", t.id);
        if t.standby {
            line.push_str(" [standby]");
        }
        if let Some(at) = t.last_granted_s {
            line.push_str(&format!(" last-granted=\"{}\"", describe::moment(at)));
        }
        Outline::Item(line)
    });
    Some(Outline::list("Tickets", lines.collect()))
}

/// Constraints that keep resources from nodes.
pub(super) fn bans(scene: &Scene<'_>) -> Option<Outline> {
    let lines: Vec<Outline> = shown_bans(scene)
        .map(|ban| {
            let view = scene.view;
            let node = &view.nodes[ban.node];
            let role = if ban.promoted_only {
                "in Promoted role "
            } else {
                ""
            };
            Outline::Item(format!(
                "{}\tprevents {} from running {role}on {}",
                ban.id,
                view.resources[ban.resource].id,
                describe::node_name(view, node, scene.show.detail)
            ))
        })
        .collect();
    (!lines.is_empty()).then(|| Outline::list("Negative Location Constraints", lines))
}

/// The bans that are wanted.
pub(super) fn shown_bans<'s>(
    scene: &'s Scene<'_>,
) -> impl Iterator<Item = &'s scheduler::view::Ban> {
    let wanted = scene.show.sections.has(Section::Bans);
    let bans = scene.view.bans.iter().filter(move |_| wanted);
    bans.filter(|ban| ban.id.starts_with(&scene.show.ban_prefix))
        .filter(|ban| {
            let top = scene.view.top_of(ban.resource);
            scene.filter.names(scene.view, ban.resource) || scene.filter.names(scene.view, top)
        })
}

//! The words in which nodes and resources are described.

use scheduler::view::{Kind, Node, NodeKind, Resource, Role, View};

use crate::common::exit;

/// A node's name; in detail with a guest's host and with an identity that differs.
pub(super) fn node_name(view: &View, node: &Node, detail: bool) -> String {
    if !detail {
        return node.name.clone();
    }
    let mut name = node.name.clone();
    if node.kind == NodeKind::Guest {
        let host = view.host_of(node).map_or("", |h| h.name.as_str());
        name.push_str(&format!("@{host}"));
    }
    if !node.id.eq_ignore_ascii_case(&node.name) {
        name.push_str(&format!(" ({})", node.id));
    }
    name
}

/// The field's words for the state of a node.
pub(super) fn node_state(node: &Node) -> String {
    let idle = node.running.is_empty();
    let base = match node {
        n if n.unclean && n.online => "UNCLEAN (online)",
        n if n.unclean && n.pending => "UNCLEAN (pending)",
        n if n.unclean => "UNCLEAN (offline)",
        n if n.pending => "pending",
        n if n.standby_onfail && n.online => "standby (on-fail)",
        n if n.standby && !n.online => "OFFLINE (standby)",
        n if n.standby && idle => "standby",
        n if n.standby => "standby (with active resources)",
        n if n.maintenance && n.online => "maintenance",
        n if n.maintenance => "OFFLINE (maintenance)",
        n if n.online => "online",
        _ => "OFFLINE",
    };
    let health = match node.health {
        _ if !node.health_counts => "",
        h if h < 0 => " (health is RED)",
        0 => " (health is YELLOW)",
        _ => "",
    };
    format!("{base}{health}")
}

/// The field's word for the health of a node.
pub(super) fn health(node: &Node) -> &'static str {
    match node.health {
        h if h < 0 => "red",
        0 => "yellow",
        _ => "green",
    }
}

/// The role that the configuration wants.
pub(super) fn wanted_role(r: &Resource) -> Option<Role> {
    r.target_role.as_deref().and_then(Role::parse)
}

/// Whether the configuration wants it stopped, or unpromoted where it could be promoted.
pub(super) fn is_disabled(r: &Resource) -> bool {
    match wanted_role(r) {
        Some(Role::Stopped) => true,
        Some(Role::Unpromoted) => r.promotable || r.in_promotable,
        _ => false,
    }
}

/// The role that the configuration wants of a clone: its own, or that of what is in it.
pub(super) fn target_of(view: &View, place: usize) -> Option<&str> {
    let r = view.resources.get(place)?;
    let own = r.target_role.as_deref();
    let of_part = || target_of(view, *r.children.first()?);
    own.or_else(of_part)
}

/// Words in brackets after a collection of resources.
pub(super) fn brackets(flags: &[String]) -> String {
    match flags {
        [] => String::new(),
        flags => format!(" ({})", flags.join(", ")),
    }
}

/// What is special about a collection of resources.
pub(super) fn collection_flags(r: &Resource) -> Vec<String> {
    let mut flags = Vec::new();
    if r.kind == Kind::Clone && r.promotable {
        flags.push("promotable".to_owned());
    }
    if matches!(r.kind, Kind::Clone | Kind::Bundle) && r.unique {
        flags.push("unique".to_owned());
    }
    if r.kind != Kind::Bundle && is_disabled(r) {
        flags.push("disabled".to_owned());
    }
    if r.maintenance {
        flags.push("maintenance".to_owned());
    } else if !r.managed {
        flags.push("unmanaged".to_owned());
    }
    flags
}

/// One primitive with its state. `bare`: the node is clear from where it stands.
pub(super) fn primitive(view: &View, place: usize, bare: bool) -> String {
    match view.resources.get(place) {
        Some(r) => primitive_as(view, place, &r.name, r.current, bare),
        None => String::new(),
    }
}

/// As [`primitive`], with a name and a node of its own.
pub(super) fn primitive_as(
    view: &View,
    place: usize,
    name: &str,
    node: Option<usize>,
    bare: bool,
) -> String {
    let Some(r) = view.resources.get(place) else {
        return String::new();
    };
    let several = r.running_on.len() > 1 && !bare;
    let node = if r.running_on.is_empty() {
        node.or(r.pending_on).or(r.locked_to)
    } else {
        node
    };
    let at = node.and_then(|n| view.nodes.get(n));
    let mut text = format!("{name}\t({}):\t{}", r.agent, state(r));
    if let Some(at) = at.filter(|_| !several && !bare) {
        text.push_str(&format!(" {}", at.name));
    }
    if r.role <= Role::Stopped
        && let Some(rc) = failed_probe(r, node)
    {
        text.push_str(&format!(" ({}) ", words(rc)));
    }
    // Of several nodes none is told to be unclean.
    text.push_str(&brackets(&flags(r, at.filter(|_| !several))));
    if several {
        let names = r.running_on.iter().filter_map(|n| view.nodes.get(*n));
        let names: Vec<&str> = names.map(|n| n.name.as_str()).collect();
        text.push_str(&format!(" [ {} ]", names.join(" ")));
    }
    text
}

fn state(r: &Resource) -> String {
    let removed = if r.removed { " ORPHANED" } else { "" };
    let role = &r.shown_role;
    match (r.failed, r.role > Role::Unpromoted) {
        (true, true) => format!("{removed} FAILED {role}"),
        (true, false) => format!("{removed} FAILED"),
        (false, _) => format!("{removed} {role}"),
    }
}

/// The exit code of a failed probe on a node, or anywhere.
pub(super) fn failed_probe(r: &Resource, node: Option<usize>) -> Option<i64> {
    let mut probes = r.failed_probes.iter();
    let found = probes.find(|(at, _)| node.is_none_or(|n| n == *at));
    found.map(|(_, rc)| *rc)
}

/// The field's words for an exit code of an agent.
pub(super) fn words(rc: i64) -> &'static str {
    u8::try_from(rc).map_or("Unknown exit status", exit::description)
}

fn flags(r: &Resource, at: Option<&Node>) -> Vec<String> {
    let mut flags = Vec::new();
    if at.is_some_and(|n| !n.online && n.unclean) {
        flags.push("UNCLEAN".to_owned());
    }
    if r.locked_to.is_some() && r.running_on.is_empty() {
        flags.push("LOCKED".to_owned());
    }
    flags.extend(r.pending.clone());
    match wanted_role(r) {
        Some(Role::Stopped) => flags.push("disabled".to_owned()),
        Some(Role::Unpromoted) if r.in_promotable => {
            flags.push("target-role:Unpromoted".to_owned());
        }
        _ => {}
    }
    if r.blocked {
        flags.push("blocked".to_owned());
    } else if r.maintenance {
        flags.push("maintenance".to_owned());
    } else if !r.managed {
        flags.push("unmanaged".to_owned());
    }
    if r.failure_ignored {
        flags.push("failure ignored".to_owned());
    }
    flags
}

/// A moment in the field's form, in the local time zone.
pub(super) fn moment(at_s: i64) -> String {
    let Ok(at) = jiff::Timestamp::from_second(at_s) else {
        return at_s.to_string();
    };
    let local = at.to_zoned(jiff::tz::TimeZone::system());
    local.strftime("%a %b %e %H:%M:%S %Y").to_string()
}

/// A moment in ISO form with its zone.
pub(super) fn iso_moment(at_s: i64) -> String {
    let Ok(at) = jiff::Timestamp::from_second(at_s) else {
        return at_s.to_string();
    };
    let local = at.to_zoned(jiff::tz::TimeZone::system());
    let zone = match local.offset().seconds() {
        0 => "Z".to_owned(),
        _ => local.strftime(" %:z").to_string(),
    };
    format!("{}{zone}", local.strftime("%Y-%m-%d %H:%M:%S"))
}

/// A span of time as people say it, parts that are nothing left out: `2m59.014s`.
pub(super) fn span(ms: u64) -> String {
    let (minutes, rest_ms) = (ms / 60_000, ms % 60_000);
    let mut text = String::new();
    for (amount, unit) in [
        (minutes / 1440, "d"),
        (minutes / 60 % 24, "h"),
        (minutes % 60, "m"),
    ] {
        if amount > 0 {
            text.push_str(&format!("{amount}{unit}"));
        }
    }
    match (rest_ms / 1000, rest_ms % 1000) {
        (0, 0) => {}
        (0, ms) => text.push_str(&format!("{ms}ms")),
        (s, 0) => text.push_str(&format!("{s}s")),
        (s, ms) => text.push_str(&format!("{s}.{ms:03}s")),
    }
    text
}

/// `1 node`, `2 nodes`.
pub(super) fn plural(number: usize, one: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {one}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_leave_out_what_is_nothing() {
        for (ms, text) in [
            (10, "10ms"),
            (10_000, "10s"),
            (60_000, "1m"),
            (179_014, "2m59.014s"),
            (90_061_000, "1d1h1m1s"),
        ] {
            assert_eq!(span(ms), text);
        }
    }
}

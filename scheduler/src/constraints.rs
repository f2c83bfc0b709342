//! Reads the constraints: who likes which node, who goes with whom, what comes first, what a ticket guards.

use std::rc::Rc;

use cib::Element;

use crate::{
    model::{
        Cluster, Colocation, Discover, Location, LossPolicy, Role, RscIx, Task, TicketUse, ar,
    },
    nodes::section,
    rules::{self, Context},
    score::{self, INFINITY},
};

/// Reads `<constraints>`.
pub(crate) fn unpack(c: &mut Cluster) {
    let Some(constraints) = section(c.cib, "constraints") else {
        return;
    };
    for xml in constraints.children() {
        if expired(c, xml) {
            continue;
        }
        match xml.name() {
            "rsc_location" => location(c, xml),
            "rsc_colocation" => colocation(c, xml),
            "rsc_order" => crate::order_constraints::unpack(c, xml),
            "rsc_ticket" => ticket(c, xml),
            _ => {}
        }
    }
}

/// A constraint may have a lifetime of its own.
fn expired(c: &mut Cluster, xml: &Element) -> bool {
    let Some(lifetime) = xml.child("lifetime") else {
        return false;
    };
    let ctx = Context {
        now_s: c.now_s,
        ..Context::default()
    };
    !rules::block_applies(lifetime, &ctx, &mut c.recheck)
}

/// Reads `<tags>`.
pub(crate) fn unpack_tags(c: &mut Cluster) {
    let Some(tags) = section(c.cib, "tags") else {
        return;
    };
    for tag in tags.children_named("tag") {
        let Some(id) = tag.id() else {
            continue;
        };
        let members = tag
            .children_named("obj_ref")
            .filter_map(|r| r.id())
            .map(str::to_owned);
        c.tags.entry(id.to_owned()).or_default().extend(members);
    }
}

/// The resource a name stands for: by id, or the clone whose instances have that name.
pub(crate) fn find(c: &Cluster, id: &str) -> Option<RscIx> {
    c.rsc_ids.get(id).copied().or_else(|| clone_around(c, id))
}

/// The clone (or bundle) whose instances have a name.
fn clone_around(c: &Cluster, id: &str) -> Option<RscIx> {
    let instance = c.rsc_ids.get(&format!("{id}:0")).copied()?;
    Some(c.uber_parent(instance, false))
}

/// The resource a constraint names. The name of what is inside a clone stands for the clone as soon as a history of
/// that name is one of its instances', and for nothing before that: so it is in Pacemaker.
fn find_constrained(c: &Cluster, id: &str) -> Option<RscIx> {
    let named = c.rsc_ids.get(id).copied();
    named.or_else(|| clone_around(c, id).filter(|clone| has_history_named(c, *clone, id)))
}

fn has_history_named(c: &Cluster, rsc: RscIx, id: &str) -> bool {
    let r = &c.rscs[rsc];
    r.history_id.as_deref() == Some(id) || r.children.iter().any(|r| has_history_named(c, *r, id))
}

/// All resources a name in a constraint stands for: itself, or the members of a tag or users of a template.
pub(crate) fn find_all(c: &mut Cluster, id: &str, constraint: &Element) -> Vec<RscIx> {
    if let Some(found) = find_constrained(c, id) {
        return vec![found];
    }
    let members = c.tags.get(id).or_else(|| c.templates.get(id)).cloned();
    let Some(members) = members else {
        let why = match clone_around(c, id) {
            Some(clone) => format!("which is inside '{0}': name '{0}'", c.rscs[clone].id),
            None => "which does not exist".to_owned(),
        };
        let text = format!(
            "line {}: {} '{}' names resource '{id}', {why}; the constraint is ignored",
            constraint.line(),
            constraint.name(),
            constraint.id().unwrap_or("")
        );
        c.problem(text);
        return Vec::new();
    };
    let known = members.iter().filter_map(|m| find_constrained(c, m));
    let mut out: Vec<RscIx> = known.collect();
    out.dedup();
    out
}

fn id_of(xml: &Element) -> Rc<str> {
    Rc::from(xml.id().unwrap_or(""))
}

fn location(c: &mut Cluster, xml: &Element) {
    if let Some(pattern) = xml.attr("rsc-pattern") {
        return pattern_location(c, xml, pattern);
    }
    for set in xml.children_named("resource_set") {
        let Some(set) = resolve_set(c, set) else {
            continue;
        };
        let role = set
            .attr("role")
            .or_else(|| xml.attr("role"))
            .map(str::to_owned);
        for member in members(c, &set, xml) {
            one_location(c, xml, member, role.as_deref(), set.attr("score"), None);
        }
    }
    if let Some(id) = xml.attr("rsc") {
        for rsc in find_all(c, id, xml) {
            one_location(c, xml, rsc, xml.attr("role"), None, None);
        }
    }
}

fn resolve_set(c: &Cluster, set: &Element) -> Option<Element> {
    c.ids.resolve(set).cloned()
}

/// Resources of a set, in order.
pub(crate) fn members(c: &mut Cluster, set: &Element, constraint: &Element) -> Vec<RscIx> {
    let ids: Vec<String> = set
        .children_named("resource_ref")
        .filter_map(|r| r.id())
        .map(str::to_owned)
        .collect();
    ids.iter()
        .flat_map(|id| find_all(c, id, constraint))
        .collect()
}

fn pattern_location(c: &mut Cluster, xml: &Element, pattern: &str) {
    let (pattern, invert) = match pattern.strip_prefix('!') {
        Some(rest) => (rest, true),
        None => (pattern, false),
    };
    for rsc in c.top.clone() {
        let found = crate::pattern::find(pattern, &c.rscs[rsc].id);
        match (found, invert) {
            (Some(captures), false) => {
                one_location(c, xml, rsc, xml.attr("role"), None, Some(&captures))
            }
            (None, true) => one_location(c, xml, rsc, xml.attr("role"), None, None),
            _ => {}
        }
    }
}

fn one_location(
    c: &mut Cluster,
    xml: &Element,
    rsc: RscIx,
    role: Option<&str>,
    score_override: Option<&str>,
    captures: Option<&[String]>,
) {
    let discover = match xml.attr("resource-discovery") {
        Some("never") => Discover::Never,
        Some("exclusive") => Discover::Exclusive,
        _ => Discover::Always,
    };
    let text = score_override.or_else(|| xml.attr("score"));
    if let Some(name) = xml.attr("node") {
        let Some(node) = c
            .node_names
            .get(name)
            .or_else(|| c.node_ids.get(name))
            .copied()
        else {
            return;
        };
        let score = text.and_then(score::parse).unwrap_or(0);
        let role = location_role(c, xml, role);
        add(c, rsc, id_of(xml), role, discover, vec![(node, score)]);
        return;
    }
    let rules: Vec<Element> = xml
        .children_named("rule")
        .filter_map(|r| c.ids.resolve(r).cloned())
        .collect();
    for rule in rules {
        rule_location(c, xml, rsc, &rule, role, discover, captures);
    }
}

fn parse_role(c: &mut Cluster, xml: &Element, text: Option<&str>) -> Role {
    let Some(text) = text else {
        return Role::Unknown;
    };
    match Role::parse(text) {
        Some(Role::Started) => Role::Unknown,
        Some(role) => role,
        None => {
            c.problem(format!(
                "line {}: {} '{}': '{text}' is not a role",
                xml.line(),
                xml.name(),
                xml.id().unwrap_or("")
            ));
            Role::Unknown
        }
    }
}

/// The role a location is for. Whatever is promoted was unpromoted before: what holds for that role holds for all.
fn location_role(c: &mut Cluster, xml: &Element, text: Option<&str>) -> Role {
    let role = parse_role(c, xml, text);
    match role {
        Role::Unpromoted => Role::Unknown,
        role => role,
    }
}

fn rule_location(
    c: &mut Cluster,
    xml: &Element,
    rsc: RscIx,
    rule: &Element,
    role: Option<&str>,
    discover: Discover,
    captures: Option<&[String]>,
) {
    let role_text = rule.attr("role").or(role).map(str::to_owned);
    let role = location_role(c, xml, role_text.as_deref());
    let fixed = rule.attr("score").and_then(score::parse);
    let by_attribute = rule.attr("score-attribute").map(str::to_owned);
    let meta = c.rscs[rsc].meta.clone();
    let mut nodes = Vec::new();
    for node in 0..c.nodes.len() {
        let params = crate::resources::params(c, rsc, Some(node));
        let ctx = Context {
            now_s: c.now_s,
            node: Some(&c.nodes[node].attrs),
            params: Some(&params),
            meta: Some(&meta),
            captures,
            ..Context::default()
        };
        if !rules::holds(rule, &ctx, &mut c.recheck) {
            continue;
        }
        let score = match &by_attribute {
            Some(name) => c.nodes[node]
                .attrs
                .get(name)
                .and_then(|v| score::parse(v))
                .unwrap_or(-INFINITY),
            None => fixed.unwrap_or(0),
        };
        // A rule of which any part is enough adds to what the node itself is worth.
        let score = match rules::any_is_enough(rule) {
            true => score::add(score, c.worth(node)),
            false => score,
        };
        nodes.push((node, score));
    }
    let id = rule.id().map_or_else(|| id_of(xml), Rc::from);
    add(c, rsc, id, role, discover, nodes);
}

fn add(
    c: &mut Cluster,
    rsc: RscIx,
    id: Rc<str>,
    role: Role,
    discover: Discover,
    nodes: Vec<(usize, i32)>,
) {
    // Whatever the role, and even if no rule holds anywhere: nodes that no such constraint names are out.
    c.rscs[rsc].exclusive_probes |= discover == Discover::Exclusive;
    if nodes.is_empty() {
        return;
    }
    let ix = c.locations.len();
    c.locations.push(Location {
        id,
        role,
        discover,
        nodes,
    });
    c.rscs[rsc].locations.push(ix);
}

fn colocation(c: &mut Cluster, xml: &Element) {
    let score = xml.attr("score").and_then(score::parse).unwrap_or(0);
    let influence = xml.attr("influence");
    if let Some(value) = influence.filter(|v| score::parse_bool(v).is_none()) {
        c.problem(format!(
            "line {}: colocation '{}' has influence=\"{value}\", which is neither true nor false; what is critical has \
             influence",
            xml.line(),
            xml.id().unwrap_or("")
        ));
    }
    let sets: Vec<Element> = xml
        .children_named("resource_set")
        .filter_map(|s| resolve_set(c, s))
        .collect();
    if sets.is_empty() {
        return simple_colocation(c, xml, score);
    }
    let mut last: Option<&Element> = None;
    for set in &sets {
        within_set(c, xml, set, score);
        if let Some(last) = last {
            between_sets(c, xml, last, set, score);
        }
        last = Some(set);
    }
}

fn simple_colocation(c: &mut Cluster, xml: &Element, score: i32) {
    let (Some(dependent), Some(primary)) = (xml.attr("rsc"), xml.attr("with-rsc")) else {
        c.problem(format!(
            "line {}: colocation '{}' names no two resources",
            xml.line(),
            xml.id().unwrap_or("")
        ));
        return;
    };
    let stands_for_many = |id: &str| !c.rsc_ids.contains_key(id);
    if stands_for_many(dependent) && stands_for_many(primary) {
        c.problem(format!(
            "line {}: colocation '{}' is ignored: '{dependent}' and '{primary}' both stand for several resources; name \
             the resources of one of them",
            xml.line(),
            xml.id().unwrap_or("")
        ));
        return;
    }
    let dependents = find_all(c, dependent, xml);
    let primaries = find_all(c, primary, xml);
    let dependent_role = parse_role(c, xml, xml.attr("rsc-role"));
    let primary_role = parse_role(c, xml, xml.attr("with-rsc-role"));
    for d in &dependents {
        for p in &primaries {
            let influence = influence(c, xml, *d);
            new(
                c,
                &id_of(xml),
                xml.attr("node-attribute"),
                score,
                (*d, dependent_role),
                (*p, primary_role),
                influence,
            );
        }
    }
}

fn influence(c: &Cluster, xml: &Element, dependent: RscIx) -> bool {
    xml.attr("influence")
        .and_then(score::parse_bool)
        .unwrap_or(c.rscs[dependent].critical)
}

fn sequential(set: &Element) -> bool {
    set.attr("sequential")
        .and_then(score::parse_bool)
        .unwrap_or(true)
}

fn within_set(c: &mut Cluster, xml: &Element, set: &Element, score: i32) {
    let score = set.attr("score").and_then(score::parse).unwrap_or(score);
    let role = parse_role(c, xml, set.attr("role"));
    let all = members(c, set, xml);
    let id = id_of(set);
    if !sequential(set) || score == 0 {
        return;
    }
    if score > 0 {
        // Each goes with the one before it, as in a group; listed, with the one after it.
        let listed = set.attr("ordering").is_some_and(|o| o != "group");
        for pair in all.windows(2) {
            let (dependent, primary) = match listed {
                true => (pair[0], pair[1]),
                false => (pair[1], pair[0]),
            };
            let influence = influence(c, xml, dependent);
            new(
                c,
                &id,
                None,
                score,
                (dependent, role),
                (primary, role),
                influence,
            );
        }
        return;
    }
    for (at, dependent) in all.iter().enumerate() {
        for primary in &all[..at] {
            let influence = influence(c, xml, *dependent);
            new(
                c,
                &id,
                None,
                score,
                (*dependent, role),
                (*primary, role),
                influence,
            );
        }
    }
}

fn between_sets(c: &mut Cluster, xml: &Element, set1: &Element, set2: &Element, score: i32) {
    if score == 0 {
        return;
    }
    let (role1, role2) = (
        parse_role(c, xml, set1.attr("role")),
        parse_role(c, xml, set2.attr("role")),
    );
    let mut dependents = members(c, set1, xml);
    let mut primaries = members(c, set2, xml);
    if sequential(set1) {
        dependents.truncate(1);
    }
    if sequential(set2) {
        primaries = primaries.pop().into_iter().collect();
    }
    let id = id_of(xml);
    for d in &dependents {
        for p in &primaries {
            let influence = influence(c, xml, *d);
            new(c, &id, None, score, (*d, role1), (*p, role2), influence);
        }
    }
}

/// Adds a colocation.
pub(crate) fn new(
    c: &mut Cluster,
    id: &Rc<str>,
    attribute: Option<&str>,
    score: i32,
    dependent: (RscIx, Role),
    primary: (RscIx, Role),
    influence: bool,
) {
    if score == 0 || dependent.0 == primary.0 {
        return;
    }
    let ix = c.colocations.len();
    c.colocations.push(Colocation {
        id: id.clone(),
        attribute: attribute.map(str::to_owned),
        score,
        dependent: dependent.0,
        primary: primary.0,
        dependent_role: dependent.1,
        primary_role: primary.1,
        influence,
    });
    if score <= -INFINITY {
        keep_apart(c, dependent, primary);
        keep_apart(c, primary, dependent);
    }
    c.rscs[dependent.0].this_with.push(ix);
    c.rscs[primary.0].with_this.push(ix);
}

/// What must not be together comes to a node only after the other has left it.
fn keep_apart(c: &mut Cluster, first: (RscIx, Role), then: (RscIx, Role)) {
    let leave: &[Task] = match first.1 {
        Role::Promoted => &[Task::Demote],
        Role::Unpromoted => &[Task::Stop, Task::Promote],
        _ => &[Task::Stop],
    };
    let come: &[Task] = match then.1 {
        Role::Promoted => &[Task::Promote],
        Role::Unpromoted => &[Task::Start, Task::Demote],
        _ => &[Task::Start],
    };
    for leave in leave {
        for come in come {
            let flags = ar::IF_REQUIRED_ON_SAME_NODE;
            crate::ordering::order_tasks(c, first.0, *leave, then.0, *come, flags);
        }
    }
}

fn ticket(c: &mut Cluster, xml: &Element) {
    let Some(name) = xml.attr("ticket").map(str::to_owned) else {
        return;
    };
    let mut uses = Vec::new();
    for set in xml.children_named("resource_set") {
        let Some(set) = resolve_set(c, set) else {
            continue;
        };
        let role = parse_role(c, xml, set.attr("role"));
        uses.extend(members(c, &set, xml).into_iter().map(|r| (r, role)));
    }
    if let Some(id) = xml.attr("rsc") {
        let role = parse_role(c, xml, xml.attr("rsc-role"));
        uses.extend(find_all(c, id, xml).into_iter().map(|r| (r, role)));
    }
    c.tickets.entry(name.clone()).or_default();
    for (rsc, role) in uses {
        let loss = match xml.attr("loss-policy") {
            Some("fence") if c.options.fencing => LossPolicy::Fence,
            Some("freeze") => LossPolicy::Freeze,
            Some("demote") => LossPolicy::Demote,
            Some("stop" | "fence") => LossPolicy::Stop,
            _ if role == Role::Promoted => LossPolicy::Demote,
            _ => LossPolicy::Stop,
        };
        add_ticket(c, id_of(xml), &name, rsc, role, loss);
    }
}

fn add_ticket(c: &mut Cluster, id: Rc<str>, name: &str, rsc: RscIx, role: Role, loss: LossPolicy) {
    let known = c.tickets.get(name).cloned().unwrap_or_default();
    let ix = c.ticket_uses.len();
    c.ticket_uses.push(TicketUse {
        id,
        ticket: name.to_owned(),
        role,
        loss,
    });
    c.rscs[rsc].tickets.push(ix);
    if !known.granted || known.standby {
        apply_missing_ticket(c, rsc, ix, known.granted);
    }
}

/// What a ticket that is not held here, or on standby, means for a resource.
fn apply_missing_ticket(c: &mut Cluster, rsc: RscIx, ix: usize, granted: bool) {
    let children = c.rscs[rsc].children.clone();
    if !children.is_empty() {
        for child in children {
            apply_missing_ticket(c, child, ix, granted);
        }
        return;
    }
    let (role, loss) = (c.ticket_uses[ix].role, c.ticket_uses[ix].loss);
    let matches = role == Role::Unknown || role == c.rscs[rsc].role;
    let active = !c.rscs[rsc].running_on.is_empty();
    if granted || !active {
        if role != Role::Promoted || loss == LossPolicy::Stop {
            ban_all(c, rsc);
        }
        return;
    }
    match loss {
        LossPolicy::Demote if role != Role::Promoted => ban_all(c, rsc),
        // In whatever role it is.
        LossPolicy::Stop => ban_all(c, rsc),
        LossPolicy::Fence if matches => {
            ban_all(c, rsc);
            for node in c.rscs[rsc].running_on.clone() {
                crate::fencing::fence_node(c, node, "deadman ticket was lost", false);
            }
        }
        LossPolicy::Freeze if matches => {
            c.rscs[rsc].managed = false;
            c.rscs[rsc].blocked = true;
        }
        _ => {}
    }
}

fn ban_all(c: &mut Cluster, rsc: RscIx) {
    crate::history_ops::ban(c, rsc, None, "__loss_of_ticket__");
}

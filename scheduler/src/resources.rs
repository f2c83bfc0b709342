//! Reads the resources of the configuration into the tables: templates, primitives, groups and clones.

use std::{collections::BTreeMap, sync::Arc};

use cib::Element;

use crate::{
    model::{
        CloneSettings, Cluster, Kind, MultiplyActive, OpDef, Requires, RestartType, Role, Rsc,
        RscIx,
    },
    nodes::{self, section},
    nvpairs,
    options::NoQuorum,
    rules::Context,
    score::{self, INFINITY},
};

/// Instances of a clone for which there is no room are made up to this number only.
const MAX_INSTANCES: u32 = 100;

/// Reads `<resources>`.
pub(crate) fn unpack(c: &mut Cluster) {
    let Some(resources) = section(c.cib, "resources") else {
        return;
    };
    read_defaults(c);
    c.unfencing = false;
    for xml in resources.children() {
        if matches!(
            xml.name(),
            "primitive" | "group" | "clone" | "master" | "bundle"
        ) && let Some(ix) = create(c, xml, None, None)
        {
            c.top.push(ix);
        }
    }
    link_guests(c);
    let mut top = std::mem::take(&mut c.top);
    top.sort_by_key(|rsc| std::cmp::Reverse(c.rscs[*rsc].priority));
    c.top = top;
    c.have_fence_device |= c.options.have_watchdog || c.rscs.iter().any(|r| r.is_fence_device);
}

fn read_defaults(c: &mut Cluster) {
    let mut defaults = BTreeMap::new();
    if let Some(xml) = section(c.cib, "rsc_defaults")
        && !nvpairs::has_rules(&c.ids, xml, "meta_attributes")
    {
        let ctx = Context {
            now_s: c.now_s,
            ..Context::default()
        };
        nvpairs::unpack(
            &c.ids,
            xml,
            "meta_attributes",
            None,
            &ctx,
            &mut c.recheck,
            &mut defaults,
        );
    }
    c.rsc_defaults = Arc::new(defaults);
}

/// Adds one resource with everything inside it. `number`: the instance of a clone it belongs to.
pub(crate) fn create(
    c: &mut Cluster,
    xml: &Element,
    parent: Option<RscIx>,
    number: Option<u32>,
) -> Option<RscIx> {
    let Some(base_id) = xml.id() else {
        c.problem(format!(
            "line {}: a resource without id is ignored",
            xml.line()
        ));
        return None;
    };
    let expanded = expand_template(c, xml)?;
    let id = match number {
        Some(number) => format!("{base_id}:{number}"),
        None => base_id.to_owned(),
    };
    if c.rsc_ids.contains_key(&id) {
        c.problem(format!(
            "line {}: resource id '{id}' is used twice; the second is ignored",
            xml.line()
        ));
        return None;
    }
    let kind = match xml.name() {
        "group" => Kind::Group,
        "clone" | "master" => Kind::Clone,
        "bundle" => Kind::Bundle,
        _ => Kind::Primitive,
    };
    let ix = c.rscs.len();
    c.rscs.push(Rsc {
        id: id.clone(),
        kind,
        parent,
        xml: Some(expanded.clone()),
        ..Rsc::default()
    });
    c.rsc_ids.insert(id, ix);
    unpack_common(c, ix, &expanded, number.is_some_and(|n| n > 0));
    match kind {
        Kind::Primitive => unpack_primitive(c, ix, &expanded),
        Kind::Group => unpack_group(c, ix, &expanded, number),
        Kind::Clone => unpack_clone(c, ix, &expanded),
        Kind::Bundle => crate::bundle::unpack(c, ix, &expanded),
    }
    Some(ix)
}

fn expand_template(c: &mut Cluster, xml: &Element) -> Option<Element> {
    let Some(template_id) = xml.attr("template") else {
        return Some(xml.clone());
    };
    let template = section(c.cib, "resources")?
        .children_named("template")
        .find(|t| t.id() == Some(template_id));
    let Some(template) = template else {
        c.problem(format!(
            "line {}: resource '{}' names template '{template_id}', which does not exist; the resource is ignored",
            xml.line(),
            xml.id().unwrap_or("")
        ));
        return None;
    };
    c.templates
        .entry(template_id.to_owned())
        .or_default()
        .extend(
            xml.id()
                .map(str::to_owned)
                .filter(|id| !c.rsc_ids.contains_key(id)),
        );
    Some(merge_template(template, xml))
}

fn merge_template(template: &Element, xml: &Element) -> Element {
    let mut out = Element::new(xml.name());
    for (name, value) in template.attrs().chain(xml.attrs()) {
        if name != "template" {
            out.set_attr(name, value);
        }
    }
    for child in template
        .children()
        .chain(xml.children())
        .filter(|child| child.name() != "operations")
    {
        out.push(child.clone());
    }
    let key = |op: &Element| {
        let role = op.attr("role").and_then(Role::parse);
        let role = role.filter(|r| !matches!(r, Role::Started | Role::Unpromoted));
        (op.attr("name").unwrap_or("").to_owned(), role)
    };
    let mut ops = xml
        .child("operations")
        .cloned()
        .unwrap_or_else(|| Element::new("operations"));
    let own: Vec<_> = ops.children_named("op").map(key).collect();
    for op in template
        .child("operations")
        .iter()
        .flat_map(|o| o.children_named("op"))
    {
        if !own.contains(&key(op)) {
            ops.push(op.clone());
        }
    }
    out.push(ops);
    out
}

fn unpack_common(c: &mut Cluster, ix: RscIx, xml: &Element, copy: bool) {
    if copy {
        share_with_first_instance(c, ix);
    } else {
        let agent: Arc<str> = xml.attr("type").unwrap_or("").into();
        let r = &mut c.rscs[ix];
        r.class = xml.attr("class").unwrap_or("").into();
        r.provider = xml.attr("provider").map(Into::into);
        r.agent = agent;
        let meta = read_meta(c, ix, xml);
        c.rscs[ix].meta = Arc::new(meta);
        c.rscs[ix].ops = Arc::new(read_ops(c, xml));
        let mut utilization = BTreeMap::new();
        let ctx = Context {
            now_s: c.now_s,
            ..Context::default()
        };
        nvpairs::unpack(
            &c.ids,
            xml,
            "utilization",
            None,
            &ctx,
            &mut c.recheck,
            &mut utilization,
        );
        c.rscs[ix].utilization = Arc::new(nodes::numbers(&utilization));
        c.rscs[ix].params_by_rule = nvpairs::has_rules(&c.ids, xml, "instance_attributes");
    }
    let r = &mut c.rscs[ix];
    r.is_fence_device = &*r.class == "stonith";
    r.unassigned = true;
    r.role = Role::Stopped;
    read_settings(c, ix);
    init_allowed(c, ix);
}

/// Instances of a clone differ only by name: all tables are those of the first.
fn share_with_first_instance(c: &mut Cluster, ix: RscIx) {
    let base = crate::history_ops::base_name(&c.rscs[ix].id).to_owned();
    let Some(first) = c.rsc_ids.get(&format!("{base}:0")).copied() else {
        return;
    };
    let f = &c.rscs[first];
    let (class, provider, agent) = (f.class.clone(), f.provider.clone(), f.agent.clone());
    let (meta, ops, utilization) = (f.meta.clone(), f.ops.clone(), f.utilization.clone());
    let by_rule = f.params_by_rule;
    let r = &mut c.rscs[ix];
    (r.class, r.provider, r.agent) = (class, provider, agent);
    (r.meta, r.ops, r.utilization) = (meta, ops, utilization);
    r.params_by_rule = by_rule;
}

fn read_meta(c: &mut Cluster, ix: RscIx, xml: &Element) -> BTreeMap<String, String> {
    let mut meta = BTreeMap::new();
    let r = &c.rscs[ix];
    let (class, provider, agent) = (r.class.clone(), r.provider.clone(), r.agent.clone());
    let ctx = Context {
        now_s: c.now_s,
        agent: (r.kind == Kind::Primitive).then_some((&*class, provider.as_deref(), &*agent)),
        ..Context::default()
    };
    nvpairs::unpack(
        &c.ids,
        xml,
        "meta_attributes",
        None,
        &ctx,
        &mut c.recheck,
        &mut meta,
    );
    if let Some(parent) = r.parent {
        for (name, value) in c.rscs[parent].meta.iter() {
            meta.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    let by_rule = section(c.cib, "rsc_defaults")
        .filter(|xml| nvpairs::has_rules(&c.ids, xml, "meta_attributes"));
    match by_rule {
        Some(xml) => nvpairs::unpack(
            &c.ids,
            xml,
            "meta_attributes",
            None,
            &ctx,
            &mut c.recheck,
            &mut meta,
        ),
        None => {
            for (name, value) in c.rsc_defaults.iter() {
                meta.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
    }
    meta
}

fn read_ops(c: &Cluster, xml: &Element) -> Vec<OpDef> {
    let Some(ops) = xml.child("operations") else {
        return Vec::new();
    };
    let Some(ops) = c.ids.resolve(ops) else {
        return Vec::new();
    };
    ops.children_named("op")
        .filter_map(|op| c.ids.resolve(op))
        .filter_map(|op| {
            Some(OpDef {
                name: op.attr("name")?.to_owned(),
                interval_ms: op
                    .attr("interval")
                    .and_then(score::parse_ms)
                    .map_or(0, |ms| u32::try_from(ms).unwrap_or(0)),
                enabled: op
                    .attr("enabled")
                    .and_then(score::parse_bool)
                    .unwrap_or(true),
                role: op.attr("role").and_then(Role::parse),
                xml: op.clone(),
            })
        })
        .collect()
}

fn read_settings(c: &mut Cluster, ix: RscIx) {
    let meta = c.rscs[ix].meta.clone();
    let text = |name: &str| meta.get(name).map(String::as_str);
    let flag =
        |name: &str, default: bool| text(name).and_then(score::parse_bool).unwrap_or(default);
    let number = |name: &str, default: i32| text(name).and_then(score::parse).unwrap_or(default);
    let maintenance = c.options.maintenance || flag("maintenance", false);
    let requires = requirement(c, ix, text("requires"));
    let has_container = text("container").is_some() || text("remote-node").is_some();
    let r = &mut c.rscs[ix];
    r.has_target_role = text("target-role").is_some();
    r.maintenance = maintenance;
    r.managed = !maintenance && flag("is-managed", true);
    r.notify = flag("notify", false);
    r.critical = flag("critical", true);
    r.priority = number("priority", 0);
    r.stickiness = number("resource-stickiness", 0);
    r.migration_threshold = match number("migration-threshold", INFINITY) {
        threshold if threshold < 0 => INFINITY,
        threshold => threshold,
    };
    r.failure_timeout_ms = text("failure-timeout")
        .and_then(score::parse_ms)
        .unwrap_or(0);
    r.restart_type = match text("restart-type") {
        Some("restart") => RestartType::Restart,
        _ => RestartType::Ignore,
    };
    r.multiply_active = match text("multiple-active") {
        Some("stop_only") => MultiplyActive::StopOnly,
        Some("block") => MultiplyActive::Block,
        Some("stop_unexpected") => MultiplyActive::StopUnexpected,
        _ => MultiplyActive::StopStart,
    };
    r.requires = requires;
    r.allow_remote = flag("allow-remote", true) || has_container;
    r.unique = flag("globally-unique", false);
    r.next_role = Role::Unknown;
}

fn requirement(c: &mut Cluster, ix: RscIx, configured: Option<&str>) -> Requires {
    let r = &c.rscs[ix];
    let is_device = &*r.class == "stonith";
    let is_connection = &*r.agent == "remote" && r.provider.as_deref() == Some("pacemaker");
    let fallback = if is_device || is_connection {
        Requires::Quorum
    } else if c.unfencing && c.options.fencing {
        Requires::Unfencing
    } else if c.options.fencing {
        Requires::Fencing
    } else if c.options.no_quorum == NoQuorum::Ignore {
        Requires::Nothing
    } else {
        Requires::Quorum
    };
    match configured {
        Some("nothing") => Requires::Nothing,
        Some("quorum") => Requires::Quorum,
        Some("fencing") if c.options.fencing => Requires::Fencing,
        Some("unfencing") if is_device => Requires::Quorum,
        Some("unfencing") if c.options.fencing => Requires::Unfencing,
        Some("fencing" | "unfencing") => Requires::Quorum,
        _ => fallback,
    }
}

fn init_allowed(c: &mut Cluster, ix: RscIx) {
    // A connection into a container goes wherever the container may.
    let guest = c.rscs[ix].meta.contains_key("container");
    if !c.options.symmetric && !guest {
        return;
    }
    let nodes = &c.nodes;
    let table = &mut c.rscs[ix].allowed;
    // The inside of a bundle's container is for its own resource.
    for (node, n) in nodes.iter().enumerate().filter(|(_, n)| !n.bundle) {
        table.entry(node, n.score);
    }
}

fn unpack_primitive(c: &mut Cluster, ix: RscIx, xml: &Element) {
    let is_remote = nodes::is_remote_primitive(xml);
    let meta = c.rscs[ix].meta.clone();
    let text = |name: &str| meta.get(name).map(String::as_str);
    let in_guest = text("container").is_some();
    let default_migrate = is_remote && !in_guest;
    let r = &mut c.rscs[ix];
    r.migratable = text("allow-migrate")
        .and_then(score::parse_bool)
        .unwrap_or(default_migrate);
    r.is_remote = is_remote;
    if is_remote {
        r.remote_reconnect_ms = reconnect_interval(xml);
        if r.remote_reconnect_ms > 0 {
            // The connection is tried again when its failure has expired.
            r.failure_timeout_ms = i64::from(r.remote_reconnect_ms);
        }
    }
    if r.is_fence_device && text("provides") == Some("unfencing") {
        r.provides_unfencing = true;
        c.unfencing = true;
    }
    if is_remote {
        let id = c.rscs[ix].id.clone();
        if let Some(node) = c.node_ids.get(&id).copied() {
            c.nodes[node].connection = Some(ix);
            c.rscs[ix].remote_node = Some(node);
        }
    }
}

fn reconnect_interval(xml: &Element) -> u32 {
    xml.children_named("instance_attributes")
        .flat_map(|block| block.children_named("nvpair"))
        .find(|pair| pair.attr("name") == Some("reconnect_interval"))
        .and_then(|pair| pair.attr("value"))
        .and_then(score::parse_ms)
        .and_then(|ms| u32::try_from(ms).ok())
        .unwrap_or(0)
}

fn unpack_group(c: &mut Cluster, ix: RscIx, xml: &Element, number: Option<u32>) {
    let mut members = Vec::new();
    for child in xml.children_named("primitive") {
        members.extend(create(c, child, Some(ix), number));
    }
    if members.is_empty() {
        c.problem(format!(
            "group '{}' has no member that can be used",
            c.rscs[ix].id
        ));
    }
    c.rscs[ix].children = members;
}

fn unpack_clone(c: &mut Cluster, ix: RscIx, xml: &Element) {
    let meta = c.rscs[ix].meta.clone();
    let text = |names: &[&str]| names.iter().find_map(|n| meta.get(*n)).map(String::as_str);
    let number = |names: &[&str], default: u32| {
        text(names)
            .and_then(score::leading_integer)
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(default)
    };
    let promotable = xml.name() == "master" || score::is_true(text(&["promotable"]));
    let nodes = u32::try_from(c.nodes.len()).unwrap_or(1).max(1);
    let node_max = number(&["clone-node-max"], 1);
    let unique = text(&["globally-unique"])
        .and_then(score::parse_bool)
        .unwrap_or(node_max > 1);
    let cannot = unique.then(|| member_without_instances(c, xml)).flatten();
    let unique = unique && cannot.is_none();
    let mut max = number(&["clone-max"], nodes);
    let mut node_max = node_max;
    if let Some((member, class)) = cannot {
        c.problem(format!(
            "clone '{}': globally-unique is ignored, since resources of class {class} such as '{member}' have no \
             numbered instances",
            c.rscs[ix].id
        ));
        (max, node_max) = (max.min(nodes), 1);
    }
    let most = nodes.saturating_mul(node_max.min(10)).max(MAX_INSTANCES);
    if max > most {
        c.problem(format!(
            "clone '{}': clone-max={max} is more than there is room for; {most} is used",
            c.rscs[ix].id
        ));
        max = most;
    }
    let settings = CloneSettings {
        max,
        node_max: if unique { node_max } else { node_max.min(1) },
        promoted_max: if promotable {
            number(&["promoted-max", "master-max"], 1)
        } else {
            0
        },
        promoted_node_max: if promotable {
            number(&["promoted-node-max", "master-node-max"], 1)
        } else {
            0
        },
        min: number(&["clone-min"], 0),
        ordered: score::is_true(text(&["ordered"])),
        ..CloneSettings::default()
    };
    let r = &mut c.rscs[ix];
    r.promotable = promotable;
    r.unique = unique;
    let mut meta = (*meta).clone();
    meta.entry("resource-stickiness".to_owned())
        .or_insert_with(|| "1".to_owned());
    meta.insert("globally-unique".to_owned(), unique.to_string());
    meta.insert("clone-node-max".to_owned(), settings.node_max.to_string());
    r.meta = Arc::new(meta);
    r.clone = settings;
    r.migratable = score::is_true(r.meta.get("allow-migrate").map(String::as_str));
    for number in 0..c.rscs[ix].clone.max.max(1) {
        if add_instance(c, ix, number).is_none() {
            break;
        }
    }
}

/// The first member of a clone whose agent does not tell instances apart, with its class.
fn member_without_instances(c: &Cluster, xml: &Element) -> Option<(String, String)> {
    let templates = section(c.cib, "resources");
    let class_of = |member: &Element| {
        let own = member.attr("class").map(str::to_owned);
        own.or_else(|| {
            let id = member.attr("template")?;
            let mut all = templates?.children_named("template");
            let template = all.find(|t| t.id() == Some(id))?;
            template.attr("class").map(str::to_owned)
        })
    };
    let groups = xml.children_named("group");
    xml.children_named("primitive")
        .chain(groups.flat_map(|group| group.children_named("primitive")))
        .filter_map(|member| Some((member.id()?.to_owned(), class_of(member)?)))
        .find(|(_, class)| matches!(class.as_str(), "lsb" | "systemd" | "service" | "upstart"))
}

/// Adds an instance to a clone.
pub(crate) fn add_instance(c: &mut Cluster, clone: RscIx, number: u32) -> Option<RscIx> {
    let xml = c.rscs[clone].xml.clone()?;
    let template = xml
        .children()
        .find(|x| matches!(x.name(), "primitive" | "group"))?
        .clone();
    let child = create(c, &template, Some(clone), Some(number))?;
    mark_instance(c, clone, child);
    c.rscs[clone].children.push(child);
    c.rscs[clone].clone.total += 1;
    Some(child)
}

fn mark_instance(c: &mut Cluster, clone: RscIx, rsc: RscIx) {
    let (unique, promotable, notify) = {
        let r = &c.rscs[clone];
        (r.unique, r.promotable, r.notify)
    };
    for ix in std::iter::once(rsc).chain(c.rscs[rsc].children.clone()) {
        let r = &mut c.rscs[ix];
        r.unique = unique;
        r.promotable = promotable;
        r.notify = notify;
    }
}

/// Gives each container its guest: an implicit connection resource.
fn link_guests(c: &mut Cluster) {
    for container in 0..c.rscs.len() {
        if c.rscs[container].kind != Kind::Primitive {
            continue;
        }
        let Some(guest) = c.rscs[container].meta.get("remote-node").cloned() else {
            continue;
        };
        let xml = connection_xml(&guest, &c.rscs[container]);
        let Some(ix) = create(c, &xml, None, None) else {
            continue;
        };
        c.top.push(ix);
        attach_guest(c, container, ix);
    }
    for inner in 0..c.rscs.len() {
        let Some(id) = c.rscs[inner].meta.get("container").cloned() else {
            continue;
        };
        if let Some(outer) = c.rsc_ids.get(&id).copied()
            && c.rscs[inner].container.is_none()
            && outer != inner
        {
            attach_guest(c, outer, inner);
        }
    }
}

/// Records that a resource runs inside another.
pub(crate) fn attach_guest(c: &mut Cluster, container: RscIx, inner: RscIx) {
    c.rscs[inner].container = Some(container);
    c.rscs[container].fillers.push(inner);
}

fn connection_xml(name: &str, container: &Rsc) -> Element {
    let text = |key: &str| container.meta.get(key).map(String::as_str);
    let mut parts = vec![
        meta_pair(name, "internal", "container", &container.id),
        meta_pair(name, "internal", "internal", "true"),
    ];
    if text("remote-allow-migrate").is_some() {
        parts.push(meta_pair(
            name,
            "internal",
            "allow-migrate",
            text("remote-allow-migrate").unwrap_or(""),
        ));
    }
    let mut meta = Element::new("meta_attributes").with_attr("id", format!("{name}-internal"));
    for part in parts {
        meta.push(part);
    }
    let op = |op: &str, timeout: &str, interval: &str| {
        Element::new("op")
            .with_attr("id", format!("{name}-{op}-interval-{interval}"))
            .with_attr("name", op)
            .with_attr("interval", interval)
            .with_attr("timeout", timeout)
    };
    let start = text("remote-connect-timeout").unwrap_or("60s");
    let ops = Element::new("operations")
        .with_child(op("monitor", "30s", "30s"))
        .with_child(op("start", start, "0s"));
    let mut out = Element::new("primitive")
        .with_attr("id", name)
        .with_attr("class", "ocf")
        .with_attr("provider", "pacemaker")
        .with_attr("type", "remote")
        .with_child(meta)
        .with_child(ops);
    let mut attributes =
        Element::new("instance_attributes").with_attr("id", format!("{name}-instance_attributes"));
    let mut any = false;
    for (key, attr) in [("remote-addr", "addr"), ("remote-port", "port")] {
        if let Some(value) = text(key) {
            attributes.push(meta_pair(name, "instance_attributes", attr, value));
            any = true;
        }
    }
    if any {
        out.push(attributes);
    }
    out
}

fn meta_pair(rsc: &str, block: &str, name: &str, value: &str) -> Element {
    Element::new("nvpair")
        .with_attr("id", format!("{rsc}-{block}-{name}"))
        .with_attr("name", name)
        .with_attr("value", value)
}

/// Parameters of a resource on a node.
pub(crate) fn params(
    c: &mut Cluster,
    ix: RscIx,
    node: Option<usize>,
) -> Arc<BTreeMap<String, String>> {
    if let Some(known) = &c.rscs[ix].params {
        return known.clone();
    }
    let mut out = BTreeMap::new();
    if let Some(xml) = c.rscs[ix].xml.clone() {
        let ctx = Context {
            now_s: c.now_s,
            node: node.map(|n| &c.nodes[n].attrs),
            ..Context::default()
        };
        nvpairs::unpack(
            &c.ids,
            &xml,
            "instance_attributes",
            None,
            &ctx,
            &mut c.recheck,
            &mut out,
        );
    }
    if let Some(parent) = c.rscs[ix].parent {
        let inherited = params(c, parent, node);
        for (name, value) in inherited.iter() {
            out.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    let out = Arc::new(out);
    let parent_by_rule = c.rscs[ix].parent.is_some_and(|p| c.rscs[p].params_by_rule);
    if !c.rscs[ix].params_by_rule && !parent_by_rule {
        c.rscs[ix].params = Some(out.clone());
    }
    out
}

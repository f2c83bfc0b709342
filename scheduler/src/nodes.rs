//! Reads the nodes of the configuration, and which remote nodes resources add.

use std::collections::BTreeMap;

use cib::Element;

use crate::{
    model::{Cluster, Node, NodeIx, NodeKind},
    nvpairs,
    rules::Context,
    score,
};

/// Reads `<nodes>`.
pub(crate) fn unpack(c: &mut Cluster) {
    let Some(nodes) = section(c.cib, "nodes") else {
        return;
    };
    for xml in nodes.children_named("node") {
        let (Some(id), Some(name)) = (xml.id(), xml.attr("uname").or_else(|| xml.id())) else {
            c.problem(format!("line {}: a node without id is ignored", xml.line()));
            continue;
        };
        let kind = match xml.attr("type") {
            Some("remote") => NodeKind::Remote,
            _ => NodeKind::Member,
        };
        let base = xml.attr("score").and_then(score::parse).unwrap_or(0);
        let ix = create(c, id, name, kind, base);
        read_details(c, ix, xml);
    }
}

fn read_details(c: &mut Cluster, ix: NodeIx, xml: &Element) {
    let fencing_at_start = c.options.fencing && c.options.startup_fencing;
    // An entry of a remote node may be left over from a connection that is not configured any more.
    c.nodes[ix].unclean = fencing_at_start && c.nodes[ix].kind == NodeKind::Member;
    if score::is_true(xml.attr("maintenance")) {
        c.nodes[ix].maintenance = true;
    }
    let mut attrs = std::mem::take(&mut c.nodes[ix].attrs);
    let ctx = Context {
        now_s: c.now_s,
        ..Context::default()
    };
    nvpairs::unpack(
        &c.ids,
        xml,
        "instance_attributes",
        None,
        &ctx,
        &mut c.recheck,
        &mut attrs,
    );
    let mut utilization = BTreeMap::new();
    let ctx = Context {
        now_s: c.now_s,
        node: Some(&attrs),
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
    c.nodes[ix].utilization = numbers(&utilization);
    c.nodes[ix].attrs = attrs;
}

/// Amounts of utilization as numbers; what is no number counts nothing.
pub(crate) fn numbers(texts: &BTreeMap<String, String>) -> BTreeMap<String, i64> {
    texts
        .iter()
        .map(|(name, text)| (name.clone(), score::leading_integer(text).unwrap_or(0)))
        .collect()
}

/// A section of `<configuration>`.
pub(crate) fn section<'a>(cib: &'a Element, name: &str) -> Option<&'a Element> {
    cib.child("configuration")?.child(name)
}

/// Adds a node, or finds the one of that id.
pub(crate) fn create(c: &mut Cluster, id: &str, name: &str, kind: NodeKind, base: i32) -> NodeIx {
    if let Some(known) = c.node_ids.get(id) {
        return *known;
    }
    let ix = c.nodes.len();
    let mut attrs = BTreeMap::new();
    attrs.insert("#uname".to_owned(), name.to_owned());
    attrs.insert("#id".to_owned(), id.to_owned());
    let text = if kind == NodeKind::Remote {
        "remote"
    } else {
        "cluster"
    };
    attrs.insert("#kind".to_owned(), text.to_owned());
    if kind == NodeKind::Remote {
        c.have_remote = true;
    }
    c.nodes.push(Node {
        id: id.to_owned(),
        name: name.to_owned(),
        kind,
        score: base,
        attrs,
        unseen: true,
        probes: true,
        ..Node::default()
    });
    c.node_ids.insert(id.to_owned(), ix);
    c.node_names.insert(name.to_owned(), ix);
    ix
}

/// Nodes that connection resources and containers lead to.
pub(crate) fn unpack_remote(c: &mut Cluster) {
    let Some(resources) = section(c.cib, "resources") else {
        return;
    };
    let mut found = Vec::new();
    collect_remote(c, resources, &mut found);
    for name in found {
        if !c.node_names.contains_key(&name) && !c.node_ids.contains_key(&name) {
            let ix = create(c, &name, &name, NodeKind::Remote, 0);
            c.nodes[ix].unclean = false;
        } else if let Some(ix) = c.node_ids.get(&name).copied() {
            c.nodes[ix].kind = NodeKind::Remote;
            c.have_remote = true;
        }
    }
}

fn collect_remote(c: &Cluster, xml: &Element, found: &mut Vec<String>) {
    for child in xml.children() {
        match child.name() {
            "primitive" => {
                if is_remote_primitive(child) {
                    found.extend(child.id().map(str::to_owned));
                } else if let Some(guest) = guest_name(c, child) {
                    found.push(guest);
                }
            }
            "group" | "clone" | "master" => collect_remote(c, child, found),
            _ => {}
        }
    }
}

/// Whether a primitive connects a remote node of the same name.
pub(crate) fn is_remote_primitive(xml: &Element) -> bool {
    xml.attr("class") == Some("ocf")
        && xml.attr("provider") == Some("pacemaker")
        && xml.attr("type") == Some("remote")
}

/// Name of the guest node a primitive contains (`remote-node`).
pub(crate) fn guest_name(c: &Cluster, xml: &Element) -> Option<String> {
    xml.children_named("meta_attributes")
        .filter_map(|block| c.ids.resolve(block))
        .flat_map(|block| block.children_named("nvpair"))
        .find(|pair| pair.attr("name") == Some("remote-node"))
        .and_then(|pair| pair.attr("value"))
        .map(str::to_owned)
}

/// Site, name and role of every node as attributes rules may ask for.
pub(crate) fn add_builtin_attributes(c: &mut Cluster) {
    let cluster_name = c.options.raw.get("cluster-name").cloned();
    for ix in 0..c.nodes.len() {
        let is_dc = c.nodes[ix].is_dc;
        let node = &mut c.nodes[ix];
        node.attrs.insert("#is_dc".to_owned(), is_dc.to_string());
        if let Some(name) = &cluster_name {
            node.attrs
                .entry("#cluster-name".to_owned())
                .or_insert_with(|| name.clone());
        }
        let site = node
            .attrs
            .get("site-name")
            .or(cluster_name.as_ref())
            .cloned();
        if let Some(site) = site {
            node.attrs.insert("#site-name".to_owned(), site);
        }
    }
}

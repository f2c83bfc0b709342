//! Reads a bundle and makes up the resources it is made of.

use std::net::Ipv4Addr;

use cib::Element;

use crate::{
    model::{BundleSettings, Cluster, Discover, NodeIx, NodeKind, Replica, RscIx},
    nodes, resources,
    score::{self, INFINITY},
};

/// Port of the executor inside a container, unless configured.
const REMOTE_PORT: &str = "3121";
/// Replicas for which there is no room are made up to this number only: each is a node for all others.
const MAX_REPLICAS: u32 = 100;

/// What is configured, in the form containers need it.
struct Config<'x> {
    id: String,
    agent: &'static str,
    engine: &'x Element,
    network: Option<&'x Element>,
    replicas: u32,
    per_host: u32,
    promoted_max: u32,
    mounts: Vec<Mount>,
    ports: Vec<(String, String)>,
}

struct Mount {
    source: String,
    target: String,
    options: Option<String>,
    /// Each replica has a directory of its own below the source.
    per_replica: bool,
}

/// Reads a bundle.
pub(crate) fn unpack(c: &mut Cluster, ix: RscIx, xml: &Element) {
    let Some(config) = read(c, ix, xml) else {
        return;
    };
    c.rscs[ix].unique = config.per_host > 1;
    c.rscs[ix].bundle = Some(Box::new(BundleSettings {
        per_host: config.per_host,
        ..BundleSettings::default()
    }));
    let primitive = xml.child("primitive");
    let reachable =
        config.attr("ip-range-start").is_some() || config.attr("control-port").is_some();
    if primitive.is_some() && !reachable {
        c.problem(format!(
            "line {}: bundle '{}' has a resource inside but neither ip-range-start nor control-port to reach it by; it is not started",
            xml.line(),
            config.id
        ));
    }
    let child = primitive
        .filter(|_| reachable)
        .and_then(|p| make_child(c, ix, &config, p));
    let instances = child.map_or_else(Vec::new, |child| c.rscs[child].children.clone());
    let mut address = config.attr("ip-range-start").map(str::to_owned);
    for offset in 0..config.replicas {
        let instance = usize::try_from(offset)
            .ok()
            .and_then(|at| instances.get(at));
        make_replica(
            c,
            ix,
            &config,
            offset,
            instance.copied(),
            address.as_deref(),
        );
        address = address.as_deref().and_then(next_address);
    }
    if let Some(child) = child {
        if c.rscs[child].notify {
            for part in c.rscs[ix].children.clone() {
                c.rscs[part].notify = true;
            }
        }
        c.rscs[ix].children.push(child);
        if let Some(bundle) = &mut c.rscs[ix].bundle {
            bundle.child = Some(child);
        }
    }
}

fn read<'x>(c: &mut Cluster, ix: RscIx, xml: &'x Element) -> Option<Config<'x>> {
    let found = [("docker", "docker"), ("podman", "podman"), ("rkt", "rkt")]
        .into_iter()
        .find_map(|(name, agent)| xml.child(name).map(|engine| (agent, engine)));
    let Some((agent, engine)) = found else {
        let id = c.rscs[ix].id.clone();
        c.problem(format!(
            "line {}: bundle '{id}' has neither docker nor podman in it and is ignored",
            xml.line()
        ));
        return None;
    };
    let number = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| engine.attr(name))
            .and_then(score::leading_integer)
            .and_then(|n| u32::try_from(n).ok())
    };
    let promoted_max = number(&["promoted-max", "masters"]).unwrap_or(0);
    let replicas = number(&["replicas"]).unwrap_or_else(|| promoted_max.max(1));
    let per_host = number(&["replicas-per-host"]).unwrap_or(1).max(1);
    let replicas = within_room(c, ix, xml, replicas.max(1), per_host);
    let mut out = Config {
        id: c.rscs[ix].id.clone(),
        agent,
        engine,
        network: xml.child("network"),
        replicas,
        per_host,
        promoted_max,
        mounts: Vec::new(),
        ports: Vec::new(),
    };
    if out.attr("control-port").is_some() && out.attr("ip-range-start").is_none() {
        out.per_host = 1;
    }
    read_ports(&mut out);
    read_mounts(&mut out, xml);
    if xml.child("primitive").is_some() {
        let port = out.attr("control-port").unwrap_or(REMOTE_PORT).to_owned();
        out.ports.push((port.clone(), port));
        let fixed = |source: &str, target: &str, per_replica| Mount {
            source: source.to_owned(),
            target: target.to_owned(),
            options: None,
            per_replica,
        };
        let key = "/etc/pacemaker/authkey";
        out.mounts.push(fixed(key, key, false));
        out.mounts
            .push(fixed("/var/log/pacemaker/bundles", "/var/log", true));
    }
    Some(out)
}

/// As many of the replicas as the cluster may have use for.
fn within_room(c: &mut Cluster, ix: RscIx, xml: &Element, replicas: u32, per_host: u32) -> u32 {
    let hosts = c.nodes.iter().filter(|n| !n.bundle).count();
    let hosts = u32::try_from(hosts).unwrap_or(u32::MAX);
    let most = hosts.saturating_mul(per_host.min(10)).max(MAX_REPLICAS);
    if replicas > most {
        c.problem(format!(
            "line {}: bundle '{}': replicas={replicas} is more than there is room for; {most} are used",
            xml.line(),
            c.rscs[ix].id
        ));
    }
    replicas.min(most)
}

fn read_ports(out: &mut Config) {
    let Some(network) = out.network else {
        return;
    };
    for mapping in network.children_named("port-mapping") {
        if let Some(port) = mapping.attr("port") {
            let inside = mapping.attr("internal-port").unwrap_or(port);
            out.ports.push((port.to_owned(), inside.to_owned()));
        } else if let Some(range) = mapping.attr("range") {
            out.ports.push((range.to_owned(), range.to_owned()));
        }
    }
}

fn read_mounts(out: &mut Config, xml: &Element) {
    let storage = xml.child("storage");
    for mapping in storage
        .into_iter()
        .flat_map(|s| s.children_named("storage-mapping"))
    {
        let source = mapping.attr("source-dir");
        let root = mapping.attr("source-dir-root");
        if let (Some(path), Some(target)) = (source.or(root), mapping.attr("target-dir")) {
            out.mounts.push(Mount {
                source: path.to_owned(),
                target: target.to_owned(),
                options: mapping.attr("options").map(str::to_owned),
                per_replica: source.is_none(),
            });
        }
    }
}

impl Config<'_> {
    /// An attribute of the network.
    fn attr(&self, name: &str) -> Option<&str> {
        self.network.and_then(|n| n.attr(name))
    }
}

fn pair(id: &str, name: &str, value: &str) -> Element {
    Element::new("nvpair")
        .with_attr("id", format!("{id}-{name}"))
        .with_attr("name", name)
        .with_attr("value", value)
}

fn block(kind: &str, id: &str, pairs: &[(&str, &str)]) -> Element {
    let mut out = Element::new(kind).with_attr("id", id);
    for (name, value) in pairs {
        out.push(pair(id, name, value));
    }
    out
}

fn resource(id: &str, provider: &str, agent: &str) -> Element {
    Element::new("primitive")
        .with_attr("id", id)
        .with_attr("class", "ocf")
        .with_attr("provider", provider)
        .with_attr("type", agent)
}

fn monitor(id: &str, interval: &str, timeout: Option<&str>) -> Element {
    let mut op = Element::new("op")
        .with_attr("id", format!("{id}-monitor-{interval}"))
        .with_attr("interval", interval)
        .with_attr("name", "monitor");
    if let Some(timeout) = timeout {
        op.set_attr("timeout", timeout);
    }
    Element::new("operations").with_child(op)
}

/// The clone whose instances run inside the containers.
fn make_child(
    c: &mut Cluster,
    bundle: RscIx,
    config: &Config,
    primitive: &Element,
) -> Option<RscIx> {
    // The name of an earlier kind of clone stays, so that nothing restarts over it.
    let kind = if config.promoted_max > 0 {
        "master"
    } else {
        "clone"
    };
    let id = format!("{}-{kind}", config.id);
    let max = config.replicas.to_string();
    let per_host = config.per_host.to_string();
    let unique = (config.per_host > 1).to_string();
    let promoted_max = config.promoted_max.to_string();
    let mut pairs = vec![
        ("ordered", "true"),
        ("clone-max", max.as_str()),
        ("clone-node-max", per_host.as_str()),
        ("globally-unique", unique.as_str()),
    ];
    if config.promoted_max > 0 {
        pairs.push(("promotable", "true"));
        pairs.push(("promoted-max", promoted_max.as_str()));
    }
    let xml = Element::new("clone")
        .with_attr("id", &id)
        .with_child(block("meta_attributes", &format!("{id}-meta"), &pairs))
        .with_child(primitive.clone());
    let child = resources::create(c, &xml, Some(bundle), None)?;
    let instances = c.rscs[child].children.clone();
    let notify = instances.iter().any(|i| {
        let notify = c.rscs[*i].meta.get("notify").map(String::as_str);
        score::is_true(notify)
    });
    for ix in std::iter::once(child).chain(instances) {
        c.rscs[ix].notify = notify;
    }
    Some(child)
}

fn make_replica(
    c: &mut Cluster,
    bundle: RscIx,
    config: &Config,
    offset: u32,
    child: Option<RscIx>,
    address: Option<&str>,
) {
    let id = format!("{}-{}-{offset}", config.id, config.agent);
    let xml = container_xml(config, &id, offset, child.is_some(), address);
    let Some(container) = resources::create(c, &xml, Some(bundle), None) else {
        return;
    };
    c.rscs[bundle].children.push(container);
    let ip = address.and_then(|address| {
        let xml = ip_xml(config, offset, address);
        resources::create(c, &xml, Some(bundle), None)
    });
    c.rscs[bundle].children.extend(ip);
    let mut replica = Replica {
        container,
        ip,
        remote: None,
        child,
        node: None,
        address: address.map(str::to_owned),
    };
    if let Some(child) = child {
        let (remote, node) = make_connection(c, bundle, config, offset, &replica, child);
        replica.remote = remote;
        replica.node = Some(node);
        if let Some(address) = address {
            let meta = std::sync::Arc::make_mut(&mut c.rscs[child].meta);
            meta.insert("external-ip".to_owned(), address.to_owned());
        }
        c.rscs[bundle].children.extend(remote);
    }
    if let Some(settings) = &mut c.rscs[bundle].bundle {
        settings.replicas.push(replica);
    }
}

fn container_xml(
    config: &Config,
    id: &str,
    offset: u32,
    has_child: bool,
    address: Option<&str>,
) -> Element {
    let (options, mount_points) = run_options(config, offset, address);
    let mut pairs = vec![
        ("image", config.engine.attr("image").unwrap_or("")),
        ("allow_pull", "true"),
        ("force_kill", "false"),
        ("reuse", "false"),
        ("run_opts", options.as_str()),
        ("mount_points", mount_points.as_str()),
    ];
    let command = config.engine.attr("run-command");
    if has_child {
        pairs.push(("run_cmd", command.unwrap_or("/usr/sbin/pacemaker-remoted")));
    } else if let Some(command) = command {
        pairs.push(("run_cmd", command));
    }
    // What runs inside is watched on its own.
    pairs.push(("monitor_cmd", "/bin/true"));
    let attributes = format!("{}-attributes-{offset}", config.id);
    resource(id, "heartbeat", config.agent)
        .with_child(block("instance_attributes", &attributes, &pairs))
        .with_child(monitor(id, "60s", None))
}

/// Options of a container's start, and the directories that have to exist for it.
fn run_options(config: &Config, offset: u32, address: Option<&str>) -> (String, String) {
    let mut out = String::new();
    if config.agent == "docker" {
        out.push_str(" --restart=no");
    }
    let mut directories: Vec<String> = Vec::new();
    if config.attr("ip-range-start").is_some() {
        out.push_str(&format!(" -h {}-{offset}", config.id));
    }
    out.push_str(" -e PCMK_stderr=1");
    let network = config.engine.attr("network");
    if let Some(network) = network {
        out.push_str(&format!(" --net={network}"));
    }
    let port = config.attr("control-port").unwrap_or(REMOTE_PORT);
    out.push_str(&format!(" -e PCMK_remote_port={port}"));
    for mount in &config.mounts {
        let mut source = mount.source.clone();
        if mount.per_replica {
            source = format!("{source}/{}-{offset}", config.id);
            directories.push(source.clone());
        }
        out.push_str(&format!(" -v {source}:{}", mount.target));
        if let Some(options) = &mount.options {
            out.push_str(&format!(":{options}"));
        }
    }
    for (source, target) in &config.ports {
        if let Some(address) = address {
            out.push_str(&format!(" -p {address}:{source}:{target}"));
        } else if network != Some("host") {
            out.push_str(&format!(" -p {source}:{target}"));
        }
    }
    if let Some(options) = config.engine.attr("options") {
        out.push_str(&format!(" {options}"));
    }
    out.push_str(&host_entries(config));
    (out, directories.join(","))
}

/// The names and addresses of all replicas, for each of them.
fn host_entries(config: &Config) -> String {
    let add_host = config.attr("add-host").and_then(score::parse_bool);
    let mut address = config
        .attr("ip-range-start")
        .filter(|_| add_host.unwrap_or(true))
        .map(str::to_owned);
    if config.attr("ip-range-start").is_none() {
        return " ".to_owned();
    }
    let mut out = String::from(" ");
    for offset in 0..config.replicas {
        let Some(current) = address else {
            break;
        };
        out.push_str(&format!(" --add-host={}-{offset}:{current}", config.id));
        address = next_address(&current);
    }
    out
}

/// The address after one.
fn next_address(address: &str) -> Option<String> {
    let parsed: Ipv4Addr = address.parse().ok()?;
    let next = u32::from(parsed).checked_add(1)?;
    Some(Ipv4Addr::from(next).to_string())
}

fn ip_xml(config: &Config, offset: u32, address: &str) -> Element {
    let id = format!("{}-ip-{address}", config.id);
    let mut pairs = vec![("ip", address)];
    if let Some(interface) = config.attr("host-interface") {
        pairs.push(("nic", interface));
    }
    pairs.push(("cidr_netmask", config.attr("host-netmask").unwrap_or("32")));
    let attributes = format!("{}-attributes-{offset}", config.id);
    resource(&id, "heartbeat", "IPaddr2")
        .with_child(block("instance_attributes", &attributes, &pairs))
        .with_child(monitor(&id, "60s", None))
}

/// The guest node in a container, and the connection to it.
fn make_connection(
    c: &mut Cluster,
    bundle: RscIx,
    config: &Config,
    offset: u32,
    replica: &Replica,
    child: RscIx,
) -> (Option<RscIx>, NodeIx) {
    let mut id = format!("{}-{offset}", config.id);
    if c.rsc_ids.contains_key(&id) {
        id = format!("{}-remote-{offset}", config.id);
    }
    let node = nodes::create(c, &id, &id, NodeKind::Remote, -INFINITY);
    let n = &mut c.nodes[node];
    n.kind = NodeKind::Remote;
    n.score = -INFINITY;
    n.bundle = true;
    n.unclean = false;
    n.attrs.insert("#kind".to_owned(), "container".to_owned());
    c.have_remote = true;
    // The node may be known from the configuration, and open to what was read before.
    if let Some(entry) = c.rscs[bundle].allowed.get_mut(node) {
        entry.present = false;
    }
    for r in &mut c.rscs {
        if let Some(entry) = r.allowed.get_mut(node) {
            entry.score = -INFINITY;
            entry.discover = Discover::Never;
        }
    }
    open_for_child(c, child, node);
    let container = c.rscs[replica.container].id.clone();
    let address = replica.address.as_deref().unwrap_or("#uname");
    let port = config.attr("control-port").unwrap_or(REMOTE_PORT);
    let meta = [("internal", "true"), ("container", container.as_str())];
    let xml = resource(&id, "pacemaker", "remote")
        .with_child(block(
            "meta_attributes",
            &format!("{id}-meta_attributes"),
            &meta,
        ))
        .with_child(block(
            "instance_attributes",
            &format!("{id}-instance_attributes"),
            &[("addr", address), ("port", port)],
        ))
        .with_child(monitor(&id, "30s", Some("30s")));
    let remote = resources::create(c, &xml, Some(bundle), None);
    if let Some(remote) = remote {
        for other in 0..c.nodes.len() {
            if c.nodes[other].kind == NodeKind::Remote
                && let Some(entry) = c.rscs[remote].allowed.get_mut(other)
            {
                entry.score = -INFINITY;
            }
        }
        c.nodes[node].connection = Some(remote);
        c.rscs[remote].remote_node = Some(node);
        c.rscs[remote].nesting_allowed = true;
        resources::attach_guest(c, replica.container, remote);
    }
    (remote, node)
}

/// What runs inside goes to its guest node and nowhere else.
fn open_for_child(c: &mut Cluster, child: RscIx, node: NodeIx) {
    c.rscs[child].exclusive_probes = true;
    c.rscs[child].allowed = Default::default();
    let entry = c.rscs[child].allowed.entry(node, 500);
    entry.score = 500;
    entry.discover = Discover::Exclusive;
    if let Some(clone) = c.rscs[child].parent {
        let entry = c.rscs[clone].allowed.entry(node, -INFINITY);
        entry.score = -INFINITY;
        entry.discover = Discover::Exclusive;
    }
}

//! `crm_mon`: the cluster at a glance.

use crate::{
    active::{self, Active},
    common::{
        Failure, exit,
        output::{Output, OutputArguments},
        source::{Source, of_daemon},
    },
    daemon,
};
use cib::Element;
use clap::Parser;
use crmd_core::view::NodeView;
use std::{ffi::OsString, process::ExitCode, time::Duration};

/// Shows the state of the cluster.
#[derive(Debug, Parser)]
#[command(name = "crm_mon", version)]
struct Arguments {
    /// Show the state once and end (the only way in which this version shows it, unless --watch).
    #[arg(short = '1', long)]
    one_shot: bool,
    /// Show it again every so many seconds until interrupted.
    #[arg(short = 'i', long, value_name = "SECONDS")]
    interval: Option<u64>,
    /// As XML (as --output-as=xml).
    #[arg(short = 'X', long)]
    as_xml: bool,
    /// Show inactive resources, too.
    #[arg(short = 'r', long)]
    inactive: bool,
    #[command(flatten)]
    output: OutputArguments,
}

/// The program.
pub(crate) fn main(mut args: Vec<OsString>) -> ExitCode {
    let shown = args.clone();
    if args.iter().any(|a| a == "-X" || a == "--as-xml") {
        args.push("--output-as=xml".into());
    }
    let arguments = match daemon::arguments::<Arguments>("crm_mon", args) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    loop {
        let mut output = Output::new("crm_mon", &shown, &arguments.output);
        let result = show(&arguments, &mut output);
        let code = output.finish(result);
        match arguments.interval {
            Some(seconds) if !arguments.one_shot => {
                std::thread::sleep(Duration::from_secs(seconds.max(1)));
            }
            _ => return code,
        }
    }
}

fn show(arguments: &Arguments, output: &mut Output) -> Result<u8, Failure> {
    let mut source = Source::from_environment()?;
    let document = source.document()?;
    let view = match &mut source {
        Source::Live(daemon) => Some(daemon.state().map_err(of_daemon)?),
        Source::File(_) => None,
    };
    let picture = Picture::new(&document, view);
    if output.is_xml() {
        picture
            .elements()
            .into_iter()
            .for_each(|e| output.element(e));
    } else {
        picture
            .lines(arguments.inactive)
            .iter()
            .for_each(|l| output.line(l));
    }
    Ok(exit::OK)
}

/// What is shown, from the document and, if there is one, the daemon's own word on the members.
struct Picture<'a> {
    document: &'a Element,
    view: Option<NodeView>,
    active: Vec<Active>,
}

/// A node of the configuration.
struct NodeLine {
    id: String,
    name: String,
    online: bool,
    pending: bool,
    unclean: bool,
    standby: bool,
    maintenance: bool,
    coordinator: bool,
    running: usize,
}

impl NodeLine {
    /// The field's word for its state.
    fn state(&self) -> &'static str {
        match self {
            _ if self.unclean && self.online => "UNCLEAN (online)",
            _ if self.unclean => "UNCLEAN (offline)",
            _ if self.pending => "pending",
            _ if self.online && self.standby && self.running > 0 => {
                "standby (with active resources)"
            }
            _ if self.online && self.standby => "standby",
            _ if self.standby => "OFFLINE (standby)",
            _ if self.online && self.maintenance => "maintenance",
            _ if self.maintenance => "OFFLINE (maintenance)",
            _ if self.online => "online",
            _ => "OFFLINE",
        }
    }
}

impl<'a> Picture<'a> {
    fn new(document: &'a Element, view: Option<NodeView>) -> Self {
        Self {
            document,
            view,
            active: active::all(document),
        }
    }

    fn section(&self, name: &str) -> Option<&'a Element> {
        self.document.child("configuration")?.child(name)
    }

    fn property(&self, name: &str) -> Option<&'a str> {
        let pairs = self.section("crm_config")?.descendants();
        pairs
            .filter(|e| e.name() == "nvpair" && e.attr("name") == Some(name))
            .find_map(|e| e.attr("value"))
    }

    fn coordinator(&self) -> Option<String> {
        if let Some(view) = &self.view {
            return view.coordinator.as_ref().map(ToString::to_string);
        }
        let uuid = self.document.attr("dc-uuid")?;
        let nodes = self.section("nodes")?;
        let node = nodes.children().find(|n| n.id() == Some(uuid))?;
        node.attr("uname").map(str::to_owned)
    }

    fn quorate(&self) -> bool {
        match &self.view {
            Some(view) => view.quorate,
            None => self.document.attr("have-quorum") == Some("1"),
        }
    }

    fn nodes(&self) -> Vec<NodeLine> {
        let nodes = self
            .section("nodes")
            .into_iter()
            .flat_map(Element::children);
        nodes.filter_map(|n| self.node(n)).collect()
    }

    fn node(&self, node: &Element) -> Option<NodeLine> {
        let name = node.attr("uname")?.to_owned();
        let flag = |wanted: &str| {
            let pairs = node.descendants().filter(|e| e.name() == "nvpair");
            let mut named = pairs.filter(|p| p.attr("name") == Some(wanted));
            named.any(|p| matches!(p.attr("value"), Some("true" | "on" | "yes" | "1")))
        };
        let (online, pending, unclean) = self.reach(&name);
        let running = self
            .active
            .iter()
            .filter(|a| a.node == name && a.role != "Stopped");
        Some(NodeLine {
            id: node.id()?.to_owned(),
            online,
            pending,
            unclean,
            standby: flag("standby"),
            maintenance: flag("maintenance") || self.property("maintenance-mode") == Some("true"),
            coordinator: self.coordinator().as_deref() == Some(name.as_str()),
            running: running.count(),
            name,
        })
    }

    /// Online, pending, unclean.
    fn reach(&self, name: &str) -> (bool, bool, bool) {
        if let Some(view) = &self.view {
            let member = view.members.iter().find(|m| &*m.node == name);
            return match member.map(|m| m.state.as_str()) {
                Some("online") => (true, false, false),
                Some("joining") => (true, true, false),
                Some("daemon-down" | "lost") => (false, false, true),
                _ => (false, false, false),
            };
        }
        let states = self.document.child("status");
        let state = states
            .into_iter()
            .flat_map(Element::children)
            .find(|s| s.attr("uname") == Some(name));
        let is = |attribute: &str, values: &[&str]| {
            let value = state.and_then(|s| s.attr(attribute));
            value.is_some_and(|v| values.contains(&v) || v.parse::<u64>().is_ok_and(|n| n > 1))
        };
        let online = is("in_ccm", &["true"]) && is("crmd", &["online"]);
        (online, false, false)
    }

    /// Top-level resources of the configuration.
    fn resources(&self) -> Vec<&'a Element> {
        let all = self
            .section("resources")
            .into_iter()
            .flat_map(Element::children);
        all.filter(|e| e.name() != "template").collect()
    }

    fn instances(&self, primitive: &str) -> Vec<&Active> {
        let is_it =
            |id: &str| id == primitive || id.split_once(':').is_some_and(|(n, _)| n == primitive);
        let of_it = self.active.iter().filter(|a| is_it(&a.resource));
        of_it.filter(|a| a.role != "Stopped").collect()
    }

    fn configured_instances(&self) -> usize {
        let online = self.nodes().len().max(1);
        let count = |e: &Element, copies: usize| {
            let own = usize::from(e.name() == "primitive");
            let inner = e.descendants().filter(|d| d.name() == "primitive").count();
            copies * own.max(inner)
        };
        let each = self.resources().into_iter().map(|e| match e.name() {
            "clone" | "master" => count(e, online),
            _ => count(e, 1),
        });
        each.sum()
    }
}

// Text.
impl Picture<'_> {
    fn lines(&self, inactive: bool) -> Vec<String> {
        let mut lines = self.summary_lines();
        lines.push(String::new());
        lines.push("Node List:".to_owned());
        lines.extend(self.node_lines());
        lines.push(String::new());
        let (title, none) = if inactive {
            ("Full List of Resources:", "  * No resources")
        } else {
            ("Active Resources:", "  * No active resources")
        };
        lines.push(title.to_owned());
        let before = lines.len();
        for resource in self.resources() {
            self.resource_lines(resource, "  ", inactive, &mut lines);
        }
        if lines.len() == before {
            lines.push(none.to_owned());
        }
        let failures = self.failures();
        if !failures.is_empty() {
            lines.push(String::new());
            lines.push("Failed Resource Actions:".to_owned());
            lines.extend(failures);
        }
        lines
    }

    fn summary_lines(&self) -> Vec<String> {
        let quorum = match self.quorate() {
            true => "partition with quorum",
            false => "partition WITHOUT quorum",
        };
        let version = self.view.as_ref().map_or("unknown", |v| &v.version);
        let coordinator = match self.coordinator() {
            Some(name) => format!("{name} (version {version}) - {quorum}"),
            None => "NONE".to_owned(),
        };
        let instances = self.configured_instances();
        let nodes = self.nodes().len();
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        vec![
            "Cluster Summary:".to_owned(),
            "  * Stack: systole".to_owned(),
            format!("  * Current DC: {coordinator}"),
            format!("  * {nodes} node{} configured", plural(nodes)),
            format!(
                "  * {instances} resource instance{} configured",
                plural(instances)
            ),
        ]
    }

    fn node_lines(&self) -> Vec<String> {
        let nodes = self.nodes();
        let named = |state: &str| -> Vec<&str> {
            let of_state = nodes.iter().filter(|n| n.state() == state);
            of_state.map(|n| n.name.as_str()).collect()
        };
        let special = nodes
            .iter()
            .filter(|n| !matches!(n.state(), "online" | "OFFLINE"))
            .map(|n| format!("  * Node {}: {}", n.name, n.state()));
        let mut lines: Vec<String> = special.collect();
        for (state, title) in [("online", "Online"), ("OFFLINE", "OFFLINE")] {
            let names = named(state);
            if !names.is_empty() {
                lines.push(format!("  * {title}: [ {} ]", names.join(" ")));
            }
        }
        lines
    }

    fn resource_lines(
        &self,
        resource: &Element,
        indent: &str,
        inactive: bool,
        lines: &mut Vec<String>,
    ) {
        let id = resource.id().unwrap_or_default();
        match resource.name() {
            "primitive" => lines.extend(self.primitive_line(resource, indent, inactive)),
            "group" => {
                let mut inner = Vec::new();
                for member in resource.children_named("primitive") {
                    self.resource_lines(member, &format!("{indent}  "), inactive, &mut inner);
                }
                if !inner.is_empty() {
                    lines.push(format!("{indent}* Resource Group: {id}:"));
                    lines.append(&mut inner);
                }
            }
            "clone" | "master" => self.clone_lines(resource, indent, inactive, lines),
            _ => {}
        }
    }

    fn primitive_line(&self, resource: &Element, indent: &str, inactive: bool) -> Option<String> {
        let id = resource.id().unwrap_or_default();
        let places = self.instances(id);
        let state = match places.as_slice() {
            [] if !inactive => return None,
            [] => "Stopped".to_owned(),
            [one] if one.failed => format!("FAILED {}", one.node),
            [one] => format!("{} {}", one.role, one.node),
            [first, ..] => {
                let nodes: Vec<&str> = places.iter().map(|a| a.node.as_str()).collect();
                format!("{} [ {} ]", first.role, nodes.join(" "))
            }
        };
        Some(format!(
            "{indent}* {id}\t({}):\t {state}",
            agent_of(resource)
        ))
    }

    fn clone_lines(&self, clone: &Element, indent: &str, inactive: bool, lines: &mut Vec<String>) {
        let id = clone.id().unwrap_or_default();
        let child = clone
            .children()
            .find(|c| matches!(c.name(), "primitive" | "group"));
        let primitives = clone.descendants().filter(|e| e.name() == "primitive");
        let instances: Vec<&Active> = primitives
            .filter_map(Element::id)
            .flat_map(|id| self.instances(id))
            .collect();
        if instances.is_empty() && !inactive {
            return;
        }
        let child = child.and_then(Element::id).unwrap_or_default();
        lines.push(format!("{indent}* Clone Set: {id} [{child}]:"));
        let mut used = Vec::new();
        for (role, title) in [("Promoted", "Promoted"), ("Started", "Started")] {
            let mut nodes: Vec<&str> = instances
                .iter()
                .filter(|a| a.role == role)
                .map(|a| a.node.as_str())
                .collect();
            nodes.sort_unstable();
            nodes.dedup();
            if !nodes.is_empty() {
                lines.push(format!("{indent}  * {title}: [ {} ]", nodes.join(" ")));
            }
            used.extend(nodes);
        }
        let nodes = self.nodes();
        let idle: Vec<&str> = nodes
            .iter()
            .map(|n| n.name.as_str())
            .filter(|n| !used.contains(n))
            .collect();
        if inactive && !idle.is_empty() {
            lines.push(format!("{indent}  * Stopped: [ {} ]", idle.join(" ")));
        }
    }

    /// Operations that failed, as the history has them.
    fn failures(&self) -> Vec<String> {
        let states = self
            .document
            .child("status")
            .into_iter()
            .flat_map(Element::children);
        let mut lines = Vec::new();
        for state in states {
            let node = state.attr("uname").unwrap_or_default();
            for operation in state.descendants().filter(|e| e.name() == "lrm_rsc_op") {
                if operation
                    .id()
                    .is_some_and(|id| id.contains("_last_failure_"))
                {
                    lines.push(failure_line(operation, node));
                }
            }
        }
        lines
    }
}

fn failure_line(operation: &Element, node: &str) -> String {
    let attr = |name| operation.attr(name).unwrap_or_default();
    let key = match operation.attr("operation_key") {
        Some(key) => key.to_owned(),
        None => attr("id").replace("_last_failure_0", ""),
    };
    format!(
        "  * {key} on {node} (rc {}): call={}, exitreason='{}', exec={}ms",
        attr("rc-code"),
        attr("call-id"),
        attr("exit-reason"),
        attr("exec-time")
    )
}

fn agent_of(primitive: &Element) -> String {
    let parts = ["class", "provider", "type"].map(|name| primitive.attr(name));
    parts.into_iter().flatten().collect::<Vec<_>>().join(":")
}

// XML.
impl Picture<'_> {
    fn elements(&self) -> Vec<Element> {
        let mut nodes = Element::new("nodes");
        for node in self.nodes() {
            nodes.push(node_element(&node));
        }
        let mut resources = Element::new("resources");
        for resource in self.resources() {
            if let Some(element) = self.resource_element(resource) {
                resources.push(element);
            }
        }
        vec![self.summary_element(), nodes, resources]
    }

    fn summary_element(&self) -> Element {
        let mut coordinator = Element::new("current_dc");
        let name = self.coordinator();
        coordinator.set_attr("present", name.is_some().to_string());
        if let Some(name) = &name {
            let nodes = self.nodes();
            let id = nodes.iter().find(|n| n.name == *name).map(|n| n.id.clone());
            let version = self.view.as_ref().map_or("unknown", |v| &v.version);
            coordinator.set_attr("version", version);
            coordinator.set_attr("name", name);
            coordinator.set_attr("id", id.unwrap_or_default());
            coordinator.set_attr("with_quorum", self.quorate().to_string());
            coordinator.set_attr("mixed_version", "false");
        }
        let number = |name: &str, n: usize| Element::new(name).with_attr("number", n.to_string());
        let option = |name: &str, default: &str| {
            let value = self.property(name).unwrap_or(default);
            (name.to_owned(), value.to_owned())
        };
        let mut options = Element::new("cluster_options");
        for (name, value) in [
            option("stonith-enabled", "true"),
            option("symmetric-cluster", "true"),
            option("no-quorum-policy", "stop"),
            option("maintenance-mode", "false"),
            option("stop-all-resources", "false"),
        ] {
            options.set_attr(&name, value);
        }
        Element::new("summary")
            .with_child(
                Element::new("stack")
                    .with_attr("type", "systole")
                    .with_attr("pacemakerd-state", "running"),
            )
            .with_child(coordinator)
            .with_child(number("nodes_configured", self.nodes().len()))
            .with_child(
                number("resources_configured", self.configured_instances())
                    .with_attr("disabled", "0")
                    .with_attr("blocked", "0"),
            )
            .with_child(options)
    }

    fn resource_element(&self, resource: &Element) -> Option<Element> {
        let id = resource.id().unwrap_or_default();
        let container = |name: &str| Element::new(name).with_attr("id", id);
        match resource.name() {
            "primitive" => Some(self.primitive_element(resource)),
            "group" => {
                let members = resource.children_named("primitive");
                let members: Vec<Element> = members.map(|m| self.primitive_element(m)).collect();
                let group =
                    container("group").with_attr("number_resources", members.len().to_string());
                Some(members.into_iter().fold(group, Element::with_child))
            }
            "clone" | "master" => {
                let members = resource.descendants().filter(|e| e.name() == "primitive");
                let members = members.map(|m| self.primitive_element(m));
                Some(members.fold(container("clone"), Element::with_child))
            }
            _ => None,
        }
    }

    fn primitive_element(&self, resource: &Element) -> Element {
        let id = resource.id().unwrap_or_default();
        let places = self.instances(id);
        let role = places.first().map_or("Stopped", |a| a.role);
        let failed = places.iter().any(|a| a.failed);
        let element = Element::new("resource")
            .with_attr("id", id)
            .with_attr("resource_agent", agent_of(resource))
            .with_attr("role", role)
            .with_attr("active", (!places.is_empty()).to_string())
            .with_attr("orphaned", "false")
            .with_attr("blocked", "false")
            .with_attr("managed", "true")
            .with_attr("failed", failed.to_string())
            .with_attr("failure_ignored", "false")
            .with_attr("nodes_running_on", places.len().to_string());
        let nodes = self.nodes();
        places.iter().fold(element, |element, place| {
            let id = nodes
                .iter()
                .find(|n| n.name == place.node)
                .map(|n| n.id.as_str());
            let node = Element::new("node")
                .with_attr("name", &place.node)
                .with_attr("id", id.unwrap_or_default())
                .with_attr("cached", "true");
            element.with_child(node)
        })
    }
}

fn node_element(node: &NodeLine) -> Element {
    let flags = [
        ("online", node.online),
        ("standby", node.standby),
        ("standby_onfail", false),
        ("maintenance", node.maintenance),
        ("pending", node.pending),
        ("unclean", node.unclean),
        ("is_dc", node.coordinator),
    ];
    let element = Element::new("node")
        .with_attr("name", &node.name)
        .with_attr("id", &node.id);
    let flagged = flags.iter().fold(element, |element, (name, value)| {
        element.with_attr(name, value.to_string())
    });
    flagged
        .with_attr("resources_running", node.running.to_string())
        .with_attr("type", "member")
}

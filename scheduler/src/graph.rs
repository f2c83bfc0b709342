//! The transition graph: actions and what each waits for.

use std::collections::{BTreeMap, BTreeSet};

/// A plan of actions, as in Pacemaker's `<transition_graph>`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// `cluster-delay` as configured.
    pub cluster_delay: String,
    /// `fencing-timeout` as configured.
    pub fencing_timeout: String,
    /// How long the effects of an action may take to spread (`cluster-delay`), in milliseconds.
    pub cluster_delay_ms: u64,
    /// `fencing-timeout`, in milliseconds.
    pub fencing_timeout_ms: u64,
    /// Most actions under way at once; 0: no limit.
    pub batch_limit: u32,
    /// Most migrations under way on one node; negative: no limit.
    pub migration_limit: i32,
    /// `failed-stop-offset`.
    pub failed_stop_offset: String,
    /// `failed-start-offset`.
    pub failed_start_offset: String,
    /// When time alone would change the plan (`recheck-by`), seconds since the epoch.
    pub recheck_at_s: Option<i64>,
    /// Names by which histories know instances of clones: those then go by them while a transition is simulated.
    pub known_instances: BTreeSet<String>,
    /// Steps; `Action::id` is unique over all of them.
    pub synapses: Vec<Synapse>,
}

/// Actions that may begin when all their inputs are complete.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Synapse {
    /// Number in the graph.
    pub id: u32,
    /// Higher ones first.
    pub priority: i32,
    /// What to do (one action).
    pub actions: Vec<Action>,
    /// Ids of actions that must be complete.
    pub inputs: Vec<u32>,
}

/// Who carries an action out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ActionKind {
    /// A resource agent on a node (`rsc_op`).
    #[default]
    Resource,
    /// The cluster itself: fencing, `lrm_delete`, `clear_failcount`, `maintenance_nodes` (`crm_event`).
    Cluster,
    /// A point in the order only (`pseudo_event`).
    Pseudo,
}

/// One action.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Action {
    /// Unique in the graph.
    pub id: u32,
    /// Who does it.
    pub kind: ActionKind,
    /// `start`, `stop`, `monitor`, `stonith`, `cancel`, `delete`, …
    pub operation: String,
    /// `operation_key`.
    pub key: String,
    /// `internal_operation_key`, of notifications.
    pub internal_key: Option<String>,
    /// `on_node`.
    pub node: Option<String>,
    /// `on_node_uuid`.
    pub node_uuid: Option<String>,
    /// `router_node`: the cluster node that relays to a remote one.
    pub router_node: Option<String>,
    /// Resource it is about.
    pub resource: Option<ResourceRef>,
    /// `<attributes>`: parameters, `CRM_meta_*`, `crm_feature_set`.
    pub attributes: BTreeMap<String, String>,
    /// `<downed>`: nodes that are down once it is done.
    pub downed: Vec<String>,
    /// Nodes under `maintenance` of a `maintenance_nodes` action.
    pub maintenance: Vec<String>,
    /// Since when the resource is reserved for the node that shuts down (`shutdown-lock`), seconds since the epoch.
    pub shutdown_lock_s: Option<i64>,
}

/// The `<primitive>` of an action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceRef {
    /// Instance name.
    pub id: String,
    /// Long name of an anonymous clone's instance (`long-id`).
    pub long_id: Option<String>,
    /// `ocf`, `stonith`, …
    pub class: String,
    /// OCF provider.
    pub provider: Option<String>,
    /// Agent.
    pub kind: String,
}

impl Graph {
    /// Pacemaker's `<transition_graph>`.
    #[must_use]
    pub fn to_xml(&self, transition_id: u64) -> String {
        let mut out = String::with_capacity(1024 * (self.synapses.len() + 1));
        out.push_str("<transition_graph");
        attr(&mut out, "cluster-delay", &self.cluster_delay);
        attr(&mut out, "fencing-timeout", &self.fencing_timeout);
        attr(&mut out, "failed-stop-offset", &self.failed_stop_offset);
        attr(&mut out, "failed-start-offset", &self.failed_start_offset);
        if self.batch_limit > 0 {
            attr(&mut out, "batch-limit", &self.batch_limit.to_string());
        }
        attr(&mut out, "transition_id", &transition_id.to_string());
        if self.migration_limit >= 0 {
            attr(
                &mut out,
                "migration-limit",
                &self.migration_limit.to_string(),
            );
        }
        if let Some(at_s) = self.recheck_at_s {
            attr(&mut out, "recheck-by", &at_s.to_string());
        }
        out.push_str(">\n");
        let by_id: BTreeMap<u32, &Action> = self
            .synapses
            .iter()
            .flat_map(|s| &s.actions)
            .map(|a| (a.id, a))
            .collect();
        for synapse in &self.synapses {
            write_synapse(&mut out, synapse, &by_id);
        }
        out.push_str("</transition_graph>\n");
        out
    }

    /// A drawing of the graph for Graphviz.
    #[must_use]
    pub fn to_dot(&self) -> String {
        let mut lines = Vec::new();
        let by_id: BTreeMap<u32, &Action> = self
            .synapses
            .iter()
            .flat_map(|s| &s.actions)
            .map(|a| (a.id, a))
            .collect();
        for synapse in &self.synapses {
            for action in &synapse.actions {
                let font = if action.kind == ActionKind::Pseudo {
                    "orange"
                } else {
                    "black"
                };
                lines.push(format!(
                    "\"{}\" [ style=bold color=\"green\" fontcolor=\"{font}\"]",
                    action.label()
                ));
                for input in synapse.inputs.iter().filter_map(|id| by_id.get(id)) {
                    lines.push(format!(
                        "\"{}\" -> \"{}\" [ style = bold]",
                        input.label(),
                        action.label()
                    ));
                }
            }
        }
        lines.sort();
        format!(" digraph \"g\" {{\n{}\n}}\n", lines.join("\n"))
    }
}

impl Action {
    /// Key and node, as drawings and logs name an action.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.node {
            Some(node) => format!("{} {node}", self.key),
            None => self.key.clone(),
        }
    }

    fn tag(&self) -> &'static str {
        match self.kind {
            ActionKind::Resource => "rsc_op",
            ActionKind::Cluster => "crm_event",
            ActionKind::Pseudo => "pseudo_event",
        }
    }
}

fn attr(out: &mut String, name: &str, value: &str) {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn write_synapse(out: &mut String, synapse: &Synapse, by_id: &BTreeMap<u32, &Action>) {
    out.push_str("  <synapse");
    attr(out, "id", &synapse.id.to_string());
    if synapse.priority > 0 {
        attr(out, "priority", &synapse.priority.to_string());
    }
    out.push_str(">\n    <action_set>\n");
    for action in &synapse.actions {
        write_action(out, action);
    }
    out.push_str("    </action_set>\n");
    if synapse.inputs.is_empty() {
        out.push_str("    <inputs/>\n");
    } else {
        out.push_str("    <inputs>\n");
        for input in synapse.inputs.iter().filter_map(|id| by_id.get(id)) {
            out.push_str("      <trigger>\n        ");
            let named = Action {
                shutdown_lock_s: None,
                ..(*input).clone()
            };
            open(out, &named);
            out.push_str("/>\n      </trigger>\n");
        }
        out.push_str("    </inputs>\n");
    }
    out.push_str("  </synapse>\n");
}

fn open(out: &mut String, action: &Action) {
    out.push('<');
    out.push_str(action.tag());
    attr(out, "id", &action.id.to_string());
    attr(out, "operation", &action.operation);
    attr(out, "operation_key", &action.key);
    if let Some(key) = &action.internal_key {
        attr(out, "internal_operation_key", key);
    }
    if let Some(node) = &action.node {
        attr(out, "on_node", node);
    }
    if let Some(uuid) = &action.node_uuid {
        attr(out, "on_node_uuid", uuid);
    }
    if let Some(router) = &action.router_node {
        attr(out, "router_node", router);
    }
    if action.operation == "lrm_delete" {
        attr(out, "mode", "cib");
    }
    if let Some(at_s) = action.shutdown_lock_s {
        attr(out, "shutdown-lock", &at_s.to_string());
    }
}

fn is_xml_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn write_action(out: &mut String, action: &Action) {
    out.push_str("      ");
    open(out, action);
    out.push_str(">\n");
    if let Some(rsc) = &action.resource {
        out.push_str("        <primitive");
        attr(out, "id", &rsc.id);
        if let Some(long) = &rsc.long_id {
            attr(out, "long-id", long);
        }
        attr(out, "class", &rsc.class);
        if let Some(provider) = &rsc.provider {
            attr(out, "provider", provider);
        }
        attr(out, "type", &rsc.kind);
        out.push_str("/>\n");
    }
    out.push_str("        <attributes");
    // A parameter may have a name that no XML attribute can have.
    let (plain, odd): (Vec<_>, Vec<_>) = action
        .attributes
        .iter()
        .partition(|(name, _)| is_xml_name(name));
    for (name, value) in plain {
        attr(out, name, value);
    }
    if odd.is_empty() {
        out.push_str("/>\n");
    } else {
        out.push('>');
        for (name, value) in odd {
            out.push_str("<param");
            attr(out, "name", name);
            attr(out, "value", value);
            out.push_str("/>");
        }
        out.push_str("</attributes>\n");
    }
    for (tag, nodes) in [
        ("downed", &action.downed),
        ("maintenance", &action.maintenance),
    ] {
        if nodes.is_empty() {
            continue;
        }
        out.push_str(&format!("        <{tag}>\n"));
        for node in nodes {
            out.push_str("          <node");
            attr(out, "id", node);
            out.push_str("/>\n");
        }
        out.push_str(&format!("        </{tag}>\n"));
    }
    out.push_str(&format!("      </{}>\n", action.tag()));
}

//! The options of cluster and resources, for `--list-options`.

use super::output::Output;
use cib::Element;

/// An option.
#[derive(Debug)]
pub(crate) struct Known {
    name: &'static str,
    /// As the schema of metadata has it: `boolean`, `integer`, `duration`, `score`, `enum`, ….
    kind: &'static str,
    default: &'static str,
    about: &'static str,
    /// For people who know why: shown with `--all` only.
    is_advanced: bool,
}

const fn usual(
    name: &'static str,
    kind: &'static str,
    default: &'static str,
    about: &'static str,
) -> Known {
    let is_advanced = false;
    Known {
        name,
        kind,
        default,
        about,
        is_advanced,
    }
}

const fn advanced(
    name: &'static str,
    kind: &'static str,
    default: &'static str,
    about: &'static str,
) -> Known {
    let is_advanced = true;
    Known {
        name,
        kind,
        default,
        about,
        is_advanced,
    }
}

/// Of the cluster.
#[rustfmt::skip]
pub(crate) const CLUSTER: &[Known] = &[
    usual("batch-limit", "integer", "0", "How many actions may run at once in the whole cluster; 0: as the load allows"),
    usual("cluster-ipc-limit", "nonnegative_integer", "500", "How many messages of a local caller may wait"),
    usual("cluster-name", "string", "", "A name people give the cluster"),
    advanced("cluster-delay", "duration", "60s", "How long an answer over the network may take on top of an action's own time"),
    usual("cluster-recheck-interval", "duration", "15min", "How often rules and time-outs are looked at when nothing else happens"),
    usual("concurrent-fencing", "boolean", "true", "Whether several nodes may be fenced at the same time"),
    advanced("dc-deadtime", "duration", "20s", "How long a new cluster waits for others"),
    advanced("election-timeout", "duration", "2min", "How long finding a coordinator may take"),
    advanced("enable-acl", "boolean", "false", "Whether access control lists are enforced"),
    usual("enable-startup-probes", "boolean", "true", "Whether a node is asked what runs there when it joins"),
    usual("fence-reaction", "enum", "stop", "What a node does that learns it was fenced: stop or panic"),
    usual("fencing-action", "enum", "reboot", "What is done to a node that must be fenced: reboot or off"),
    usual("fencing-enabled", "boolean", "true", "Whether nodes may be fenced; switched off, data is at risk"),
    usual("fencing-max-attempts", "score", "10", "How often fencing a node may fail before it is no longer tried at once"),
    usual("fencing-timeout", "duration", "60s", "How long one attempt to fence may take"),
    usual("fencing-watchdog-timeout", "duration", "0", "After how long a node with a watchdog is taken to have reset itself"),
    advanced("have-watchdog", "boolean", "false", "Whether nodes have a watchdog (found out by the cluster)"),
    usual("load-threshold", "percentage", "80%", "Load of a node above which less is done there at once"),
    usual("maintenance-mode", "boolean", "false", "Whether the cluster leaves every resource alone"),
    usual("migration-limit", "integer", "-1", "How many live migrations a node may take part in at once; -1: any"),
    usual("no-quorum-policy", "enum", "stop", "What a part without quorum does: stop, freeze, ignore, demote or fence"),
    usual("node-action-limit", "integer", "0", "How many actions may run at once on a node; 0: twice its cores"),
    advanced("node-health-base", "score", "0", "What every node's health starts from (strategy progressive)"),
    advanced("node-health-green", "score", "0", "What a green attribute of health is worth (strategies custom and progressive)"),
    advanced("node-health-red", "score", "-INFINITY", "What a red one is worth"),
    usual("node-health-strategy", "enum", "none", "What attributes of health do: none, migrate-on-red, only-green, progressive or custom"),
    advanced("node-health-yellow", "score", "0", "What a yellow one is worth"),
    usual("node-pending-timeout", "duration", "0", "After how long a node that joins but does not finish is fenced; 0: never"),
    usual("pe-error-series-max", "integer", "-1", "How many inputs that led to errors are kept; -1: all"),
    usual("pe-input-series-max", "integer", "4000", "How many ordinary inputs are kept"),
    usual("pe-warn-series-max", "integer", "5000", "How many inputs that led to warnings are kept"),
    usual("placement-strategy", "enum", "default", "How utilization matters for places: default, utilization, minimal or balanced"),
    usual("priority-fencing-delay", "duration", "0", "How long the more important side of a split is given before it may be fenced"),
    advanced("join-finalization-timeout", "duration", "30min", "How long the last step of a join may take"),
    advanced("join-integration-timeout", "duration", "3min", "How long answering a join may take"),
    usual("shutdown-escalation", "duration", "20min", "How long a node may take to leave before it just ends"),
    usual("shutdown-lock", "boolean", "false", "Whether the resources of a node that was shut down wait for it"),
    usual("shutdown-lock-limit", "duration", "0", "How long they wait; 0: for ever"),
    usual("start-failure-is-fatal", "boolean", "true", "Whether one failed start keeps a resource off that node"),
    usual("startup-fencing", "boolean", "true", "Whether nodes that nobody has seen yet are fenced when the cluster starts"),
    usual("stop-all-resources", "boolean", "false", "Whether every resource is to be stopped"),
    usual("stop-orphan-actions", "boolean", "true", "Whether operations that were removed from the configuration are cancelled"),
    usual("stop-orphan-resources", "boolean", "true", "Whether resources that were removed from the configuration are stopped"),
    usual("symmetric-cluster", "boolean", "true", "Whether resources may run anywhere unless a constraint says no"),
    advanced("transition-delay", "duration", "0", "How long to wait for more news before a decision"),
];

/// Of every kind of resource.
#[rustfmt::skip]
pub(crate) const PRIMITIVE: &[Known] = &[
    usual("allow-migrate", "boolean", "", "Whether it may move while it runs"),
    usual("allow-unhealthy-nodes", "boolean", "false", "Whether it may run on nodes that are not healthy"),
    usual("critical", "boolean", "true", "Whether what it is colocated with may pull it along"),
    usual("failure-timeout", "duration", "0", "After how long a failure is forgotten; 0: never"),
    usual("is-managed", "boolean", "true", "Whether the cluster may start and stop it"),
    usual("maintenance", "boolean", "false", "Whether the cluster leaves it alone altogether"),
    usual("migration-threshold", "score", "INFINITY", "How many failures keep it off a node"),
    usual("multiple-active", "enum", "stop_start", "What is done when it is found on two nodes: block, stop_only, stop_start or stop_unexpected"),
    usual("priority", "score", "0", "Who stays when not all can run"),
    usual("requires", "enum", "", "What must be so before it starts: nothing, quorum, fencing or unfencing"),
    usual("resource-stickiness", "score", "", "How much it wants to stay where it is"),
    usual("target-role", "enum", "Started", "What it is meant to be: Stopped, Started, Unpromoted or Promoted"),
    usual("remote-node", "string", "", "The name of the guest node that this resource is"),
    usual("remote-addr", "string", "", "Where the guest's agent listens (default: the node's name)"),
    usual("remote-port", "port", "3121", "The port it listens on"),
    usual("remote-connect-timeout", "duration", "60s", "How long connecting to it may take"),
    usual("remote-allow-migrate", "boolean", "true", "Whether the connection may move with the guest"),
];

/// Of every fence device, besides those of its agent.
#[rustfmt::skip]
pub(crate) const FENCING: &[Known] = &[
    advanced("pcmk_host_argument", "string", "port", "Another name for the agent's parameter that names the node"),
    usual("pcmk_host_map", "string", "", "Names of nodes as the device knows them: node1:1;node2:2,3"),
    usual("pcmk_host_list", "string", "", "Nodes that the device can fence"),
    usual("pcmk_host_check", "enum", "", "How it is found out whom it can fence: dynamic-list, static-list, status or none"),
    usual("pcmk_delay_max", "duration", "0", "The most that is waited, at random, before fencing"),
    usual("pcmk_delay_base", "string", "0", "What is waited before fencing, for all nodes or each: node1:1s;node2:5s"),
    usual("pcmk_action_limit", "integer", "1", "How many actions the device may carry out at once; -1: any"),
    advanced("pcmk_reboot_action", "string", "reboot", "What the agent is told instead of reboot"),
    advanced("pcmk_reboot_timeout", "duration", "60s", "How long a reboot may take, instead of fencing-timeout"),
    advanced("pcmk_reboot_retries", "integer", "2", "How often a reboot is tried within its time"),
    advanced("pcmk_off_action", "string", "off", "What the agent is told instead of off"),
    advanced("pcmk_off_timeout", "duration", "60s", "How long switching off may take"),
    advanced("pcmk_off_retries", "integer", "2", "How often switching off is tried within its time"),
    advanced("pcmk_on_action", "string", "on", "What the agent is told instead of on"),
    advanced("pcmk_on_timeout", "duration", "60s", "How long switching on may take"),
    advanced("pcmk_on_retries", "integer", "2", "How often switching on is tried within its time"),
    advanced("pcmk_list_timeout", "duration", "60s", "How long listing nodes may take"),
    advanced("pcmk_monitor_timeout", "duration", "60s", "How long a check of the device may take"),
    advanced("pcmk_status_timeout", "duration", "60s", "How long asking for a node's power may take"),
];

/// Writes a list of options: names, defaults and meanings.
pub(crate) fn list(options: &[Known], name: &str, all: bool, output: &mut Output) {
    let mut parameters = Element::new("parameters");
    for option in options.iter().filter(|o| all || !o.is_advanced) {
        output.line(&format!("  * {}: {}", option.name, option.about));
        let default = match option.default {
            "" => "no default".to_owned(),
            default => format!("default: {default}"),
        };
        output.line(&format!("    * {} ({default})", option.kind));
        let mut content = Element::new("content").with_attr("type", option.kind);
        if !option.default.is_empty() {
            content.set_attr("default", option.default);
        }
        let about = || Element::new("shortdesc").with_attr("lang", "en");
        let mut about = about();
        about.push_node(cib::Node::Text(option.about.into()));
        let parameter = Element::new("parameter")
            .with_attr("name", option.name)
            .with_attr("advanced", if option.is_advanced { "1" } else { "0" })
            .with_child(about)
            .with_child(content);
        parameters.push(parameter);
    }
    let agent = Element::new("resource-agent")
        .with_attr("name", name)
        .with_child(parameters);
    output.element(agent);
}

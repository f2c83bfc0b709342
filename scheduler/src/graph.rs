//! The transition graph: actions and what each waits for.

use std::collections::BTreeMap;

/// A plan of actions, as in Pacemaker's `<transition_graph>`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
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

//! The state of a cluster as people look at it: nodes, resources, histories, bans, tickets.
//!
//! [`View::of`] reads a CIB for one moment into plain data; renderers choose what they show of it.
//! Nodes and resources lie in flat tables and name each other by their places in them.
//! Nothing is decided here.

mod bundle;
mod extras;
mod history;
mod nodes;
mod resources;
mod ties;

use std::collections::BTreeMap;

use cib::Element;

pub use crate::model::Role;
use crate::{constraints, model::Cluster, run};

/// Everything a status tool can show.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// The cluster as a whole.
    pub summary: Summary,
    /// Nodes, remote nodes and guest nodes, sorted by name (numbers count: `n2` before `n10`).
    pub nodes: Vec<Node>,
    /// Every resource and every instance of one; [`Resource::children`] are places in this table.
    pub resources: Vec<Resource>,
    /// Places of the resources without parent, in the order of the configuration.
    pub top: Vec<usize>,
    /// Nodes that location constraints forbid to resources, the newest constraint first.
    pub bans: Vec<Ban>,
    /// What location constraints say of nodes.
    pub locations: Vec<Location>,
    /// What colocation constraints say.
    pub colocations: Vec<Colocation>,
    /// Tickets by name.
    pub tickets: Vec<Ticket>,
    /// Operations that failed and still count, probes for programs that are not installed included, in the order in which they were read.
    pub failures: Vec<Failure>,
    /// Operations of each node that is up, in the order of the status section.
    pub histories: Vec<NodeHistory>,
    /// What each tag names.
    pub tags: BTreeMap<String, Vec<String>>,
}

/// The cluster as a whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Messaging layer (`cluster-infrastructure`), if the configuration says.
    pub stack: Option<String>,
    /// Version of the designated controller (`dc-version`), if the configuration says.
    pub dc_version: Option<String>,
    /// Place of the designated controller among the nodes.
    pub dc: Option<usize>,
    /// Whether the partition has quorum.
    pub quorate: bool,
    /// Whether nodes that are up differ in their feature sets.
    pub mixed_version: bool,
    /// When and by whom the configuration was changed last.
    pub last_change: LastChange,
    /// Instances of resources.
    pub counts: Counts,
    /// Options that bear on everything.
    pub options: ClusterOptions,
}

/// When and by whom the configuration was changed last, as the CIB says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastChange {
    /// Time in the field's form (`Wed Oct  2 13:07:16 2013`).
    pub time: String,
    /// User; may be empty.
    pub user: String,
    /// Program; may be empty.
    pub client: String,
    /// Node; may be empty.
    pub origin: String,
}

/// Numbers of primitive instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Configured, and removed from the configuration but still there.
    pub all: usize,

    /// Of these, those that shall be stopped.
    pub disabled: usize,
    /// Of these, those that a failure keeps from being touched.
    pub blocked: usize,
}

/// Options that bear on the whole cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterOptions {
    /// Nodes may be fenced.
    pub fencing: bool,
    /// How long fencing may take, in milliseconds.
    pub fencing_timeout_ms: i64,
    /// Resources may run anywhere unless forbidden.
    pub symmetric: bool,
    /// What happens without quorum, in the field's words.
    pub no_quorum_policy: &'static str,
    /// Nothing is started, stopped or monitored.
    pub maintenance: bool,
    /// Everything is to be stopped.
    pub stop_all: bool,
    /// Delay before fencing the node with the more important resources, in milliseconds.
    pub priority_fencing_delay_ms: i64,
}

/// What a node is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodeKind {
    /// A member of the cluster.
    #[default]
    Member,
    /// Runs only the remote executor; a resource connects it.
    Remote,
    /// As remote, in a container or virtual machine that is a resource.
    Guest,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// Identity in the CIB.
    pub id: String,
    /// Name.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
    /// Up.
    pub online: bool,
    /// On standby.
    pub standby: bool,
    /// On standby because something failed there.
    pub standby_onfail: bool,
    /// In maintenance.
    pub maintenance: bool,
    /// Entering the cluster.
    pub pending: bool,
    /// In an unknown state; must be fenced.
    pub unclean: bool,
    /// Health: -1 red, 0 yellow, 1 green.
    pub health: i32,
    /// Whether health bears on placement (`node-health-strategy`).
    pub health_counts: bool,
    /// Feature set, of members that are up.
    pub feature_set: Option<String>,
    /// Leaving.
    pub shutdown: bool,
    /// It is expected to be up.
    pub expected_up: bool,
    /// The designated controller.
    pub is_dc: bool,
    /// Places of the resources that run there, in the order in which the histories name them.
    pub running: Vec<usize>,
    /// Of a guest: place of the resource it runs in.
    pub container: Option<usize>,
    /// Attributes for people, by name; the cluster's own are left out.
    pub attributes: Vec<Attribute>,
}

/// An attribute of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attribute {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
    /// Of an attribute that a ping resource keeps: the value if every host answers.
    pub expected: Option<i64>,
}

/// What a resource is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A single resource.
    #[default]
    Primitive,
    /// Resources that belong together.
    Group,
    /// A resource on several nodes.
    Clone,
    /// Containers with a resource in each.
    Bundle,
}

/// A resource or an instance of one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource {
    /// Identity, with the instance number if it has one.
    pub id: String,
    /// Name for people: without instance number where instances are interchangeable.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Place of what it is part of.
    pub parent: Option<usize>,
    /// Places of its parts.
    pub children: Vec<usize>,
    /// `class:provider:type` of a primitive.
    pub agent: String,
    /// What it does.
    pub role: Role,
    /// What it does, as shown: a pending change (`Starting`) goes first.
    pub shown_role: String,
    /// What it shall do, as configured.
    pub target_role: Option<String>,
    /// Places of the nodes where it is active.
    pub running_on: Vec<usize>,
    /// The node it is on, as decisions take it.
    pub current: Option<usize>,
    /// The node on which a start or the like is under way.
    pub pending_on: Option<usize>,
    /// The node that is down but may have it back.
    pub locked_to: Option<usize>,
    /// Pending operation that has no role of its own (`Monitoring`).
    pub pending: Option<String>,
    /// An operation is under way.
    pub is_pending: bool,
    /// Made by the cluster for something else; not worth a line of its own.
    pub internal: bool,
    /// Not in the configuration any more.
    pub removed: bool,
    /// A failure keeps it from being touched.
    pub blocked: bool,
    /// In maintenance.
    pub maintenance: bool,
    /// The cluster may start and stop it.
    pub managed: bool,
    /// Failed.
    pub failed: bool,
    /// Failed, and failures are to be ignored.
    pub failure_ignored: bool,
    /// Of a clone: instances have names of their own.
    pub unique: bool,
    /// Of a clone: instances can be promoted.
    pub promotable: bool,
    /// It or what it is part of can be promoted.
    pub in_promotable: bool,
    /// Of a clone: number of instances.
    pub clone_max: usize,
    /// Of a clone: places of the nodes where instances may be, sorted.
    pub allowed: Vec<usize>,
    /// Probes that found no program: place of the node and exit code.
    pub failed_probes: Vec<(usize, i64)>,
    /// Description for people.
    pub description: Option<String>,
    /// Of a bundle: its replicas.
    pub bundle: Option<Bundle>,
}

/// What is special about a bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    /// `docker` or `podman`.
    pub engine: String,
    /// Image of the containers.
    pub image: String,
    /// The replicas.
    pub replicas: Vec<Replica>,
}

/// One container of a bundle and what belongs to it, as places of resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replica {
    /// Number, from 0.
    pub number: usize,
    /// Its address, if it has one of its own.
    pub address: Option<String>,
    /// The resource that brings the address up.
    pub ip: Option<usize>,
    /// The resource inside.
    pub child: Option<usize>,
    /// The container.
    pub container: usize,
    /// The connection to the executor inside.
    pub remote: Option<usize>,
}

/// A node that a constraint forbids to a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ban {
    /// The constraint.
    pub id: String,
    /// Place of the resource.
    pub resource: usize,
    /// Place of the node.
    pub node: usize,
    /// Score, below zero.
    pub score: i32,
    /// Only the promoted role is forbidden.
    pub promoted_only: bool,
}

/// What a location constraint says of a resource on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// The constraint.
    pub id: String,
    /// Place of the resource.
    pub resource: usize,
    /// Place of the node.
    pub node: usize,
    /// How much it wants to be there; a million is infinity.
    pub score: i32,
}

/// What a colocation constraint says of two resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Colocation {
    /// The constraint.
    pub id: String,
    /// Place of the resource that follows.
    pub dependent: usize,
    /// Place of the resource it follows.
    pub primary: usize,
    /// How much; a million is infinity.
    pub score: i32,
    /// What they must have in common; nothing: the node.
    pub node_attribute: Option<String>,
    /// Only when it has this role.
    pub dependent_role: Option<Role>,
    /// Only where the other has this role.
    pub primary_role: Option<Role>,
}

/// A ticket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ticket {
    /// Name.
    pub id: String,
    /// Granted.
    pub granted: bool,
    /// On standby.
    pub standby: bool,
    /// When it was granted last, in seconds since the epoch.
    pub last_granted_s: Option<i64>,
    /// Its other attributes.
    pub attributes: BTreeMap<String, String>,
}

/// An operation that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// Place of the resource.
    pub resource: usize,
    /// Place of the node.
    pub node: usize,
    /// Key (`rsc_monitor_10000`), if the history has one.
    pub key: Option<String>,
    /// Identity of the entry in the history.
    pub id: String,
    /// Name of the operation.
    pub task: String,
    /// Interval in milliseconds.
    pub interval_ms: u64,
    /// Exit code of the agent.
    pub rc: i64,
    /// How the execution ended, as the field numbers it.
    pub status: i64,
    /// Number of the call.
    pub call: String,
    /// What the agent said, if the history has room for that.
    pub reason: Option<String>,
    /// When the result was first seen, in seconds since the epoch.
    pub last_change_s: Option<i64>,
    /// How long it waited, in milliseconds, as recorded.
    pub queue_ms: Option<String>,
    /// How long it took, in milliseconds, as recorded.
    pub exec_ms: Option<String>,
}

/// What happened on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeHistory {
    /// Place of the node.
    pub node: usize,
    /// Histories of resources.
    pub resources: Vec<ResourceHistory>,
}

/// What was done with a resource on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceHistory {
    /// Place of the resource.
    pub resource: usize,
    /// How many failures there drive it away.
    pub migration_threshold: i32,
    /// How often it failed there; a million is infinity.
    pub fail_count: i32,
    /// When it failed last, in seconds since the epoch; 0 unknown.
    pub last_failure_s: i64,
    /// Operations, the oldest first; probes that found nothing are left out.
    pub operations: Vec<Operation>,
}

/// One operation of a history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operation {
    /// Number of the call.
    pub call: String,
    /// Name; `probe` for a monitor without interval.
    pub task: String,
    /// Interval in milliseconds.
    pub interval_ms: u64,
    /// Exit code.
    pub rc: i64,
    /// When the result was first seen, in seconds since the epoch.
    pub last_change_s: Option<i64>,
    /// How long it took, in milliseconds, as recorded.
    pub exec_ms: Option<String>,
    /// How long it waited, in milliseconds, as recorded.
    pub queue_ms: Option<String>,
}

impl View {
    /// Reads a CIB for the moment `now_s` (seconds since the epoch), with what constraints make of it.
    #[must_use]
    pub fn of(cib: &Element, now_s: i64) -> Self {
        let mut cluster = run::read(cib, now_s);
        constraints::unpack(&mut cluster);
        let mut view = Self::read(&cluster);
        view.histories = history::all(&mut cluster);
        view.bans = extras::bans(&cluster);
        view.locations = ties::locations(&cluster);
        view.colocations = ties::colocations(&cluster);
        view
    }

    /// Reads nodes and resources of a CIB as they are before constraints are looked at; without histories.
    #[must_use]
    pub fn of_status(cib: &Element, now_s: i64) -> Self {
        Self::read(&run::read(cib, now_s))
    }

    /// What a cluster's tables say, bans apart.
    pub(crate) fn read(c: &Cluster) -> Self {
        let mut view = Self {
            nodes: nodes::all(c),
            resources: resources::all(c),
            top: c.top.clone(),
            tickets: extras::tickets(c),
            failures: history::failures(c),
            tags: c.tags.clone(),
            ..Self::default()
        };
        view.summary = extras::summary(c, &view);
        view
    }

    /// Leaves out what is under way, as if nobody knew of it.
    pub fn forget_pending(&mut self) {
        for r in &mut self.resources {
            r.pending = None;
            r.is_pending = false;
            r.shown_role = resources::role_text(r.role, r.in_promotable).to_owned();
        }
    }

    /// Whether a resource is active: any part of it, or (`all`) every part.
    /// What is on a node that is down counts only if the cluster cannot know better.
    #[must_use]
    pub fn is_active(&self, resource: usize, all: bool) -> bool {
        let Some(r) = self.resources.get(resource) else {
            return false;
        };
        if r.kind == Kind::Primitive {
            let nodes = r.running_on.iter().filter_map(|n| self.nodes.get(*n));
            return nodes
                .into_iter()
                .any(|n| n.unclean || n.online || !r.managed);
        }
        let parts = self.parts(resource);
        let mut active = parts.iter().map(|part| self.is_active(*part, all));
        if all {
            !parts.is_empty() && active.all(|a| a)
        } else {
            active.any(|a| a)
        }
    }

    /// Places of what a resource directly consists of, the hidden parts of bundles included.
    #[must_use]
    pub fn parts(&self, resource: usize) -> Vec<usize> {
        let Some(r) = self.resources.get(resource) else {
            return Vec::new();
        };
        match &r.bundle {
            Some(bundle) => bundle.replicas.iter().flat_map(Replica::parts).collect(),
            None => r.children.clone(),
        }
    }

    /// Places of the primitives a resource consists of, itself included if it is one.
    #[must_use]
    pub fn primitives(&self, resource: usize) -> Vec<usize> {
        match self.resources.get(resource) {
            None => Vec::new(),
            Some(r) if r.kind == Kind::Primitive => vec![resource],
            Some(_) => {
                let parts = self.parts(resource);
                parts.iter().flat_map(|p| self.primitives(*p)).collect()
            }
        }
    }

    /// Places of the nodes where any part of a resource is active, in the order in which they turn up.
    #[must_use]
    pub fn locations(&self, resource: usize) -> Vec<usize> {
        let mut found = Vec::new();
        for primitive in self.primitives(resource) {
            for node in &self.resources[primitive].running_on {
                if !found.contains(node) {
                    found.push(*node);
                }
            }
        }
        found
    }

    /// The highest role of any part of a resource.
    #[must_use]
    pub fn role(&self, resource: usize) -> Role {
        let primitives = self.primitives(resource);
        let roles = primitives.iter().map(|p| self.resources[*p].role);
        roles.max().unwrap_or_default()
    }

    /// The resource at the top of a resource's chain of parents.
    #[must_use]
    pub fn top_of(&self, resource: usize) -> usize {
        let mut at = resource;
        while let Some(parent) = self.resources.get(at).and_then(|r| r.parent) {
            at = parent;
        }
        at
    }

    /// Finds a resource by its identity or, for an instance, by the name its history has.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        let by_id = self.resources.iter().position(|r| r.id == name);
        by_id.or_else(|| self.resources.iter().position(|r| r.name == name))
    }

    /// The node on which a guest's container runs.
    #[must_use]
    pub fn host_of(&self, node: &Node) -> Option<&Node> {
        let container = self.resources.get(node.container?)?;
        self.nodes.get(container.current?)
    }
}

impl Replica {
    /// Places of everything in it.
    pub fn parts(&self) -> impl Iterator<Item = usize> + use<> {
        [self.ip, self.child, Some(self.container), self.remote]
            .into_iter()
            .flatten()
    }
}

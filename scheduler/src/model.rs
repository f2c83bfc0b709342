//! The cluster as the scheduler sees it: nodes, resources, constraints and actions in flat tables,
//! named by index. Everything else in this crate reads and changes these tables.

mod action;
mod again;
mod node_set;

use std::{
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    sync::Arc,
};

use cib::Element;
use indexmap::IndexMap;

pub(crate) use action::{Act, Link, OnFail, OpMeta, Task, ar};
pub(crate) use again::{Again, again, table_again};
pub(crate) use node_set::NodeSet;

use crate::{nvpairs::Ids, options::Options, rules::Recheck, score::INFINITY};

pub(crate) type NodeIx = usize;
pub(crate) type RscIx = usize;
pub(crate) type ActIx = usize;

/// What a resource does on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Nothing is known.
    #[default]
    Unknown,
    /// It does not run.
    Stopped,
    /// It runs and cannot be promoted.
    Started,
    /// It runs and can be promoted.
    Unpromoted,
    /// It runs and is promoted.
    Promoted,
}

impl Role {
    /// Reads a role in any of the field's spellings, those of old included.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "stopped" => Some(Self::Stopped),
            "started" => Some(Self::Started),
            "unpromoted" | "slave" => Some(Self::Unpromoted),
            "promoted" | "master" => Some(Self::Promoted),
            _ => None,
        }
    }

    /// The field's word for it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Stopped => "Stopped",
            Self::Started => "Started",
            Self::Unpromoted => "Unpromoted",
            Self::Promoted => "Promoted",
        }
    }
}

/// Where probes for a resource may run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Discover {
    #[default]
    Always,
    Never,
    Exclusive,
}

/// A resource's view of one node.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowed {
    pub(crate) present: bool,
    pub(crate) score: i32,
    pub(crate) discover: Discover,
    /// Instances of a clone placed there so far.
    pub(crate) count: u32,
}

/// A resource's view of all nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeTable(pub(crate) Vec<Allowed>);

impl NodeTable {
    pub(crate) fn get(&self, node: NodeIx) -> Option<&Allowed> {
        self.0.get(node).filter(|entry| entry.present)
    }

    pub(crate) fn get_mut(&mut self, node: NodeIx) -> Option<&mut Allowed> {
        self.0.get_mut(node).filter(|entry| entry.present)
    }

    /// The entry of a node, made with a base score if missing.
    pub(crate) fn entry(&mut self, node: NodeIx, base: i32) -> &mut Allowed {
        if self.0.len() <= node {
            self.0.resize(node + 1, Allowed::default());
        }
        let entry = &mut self.0[node];
        if !entry.present {
            *entry = Allowed {
                present: true,
                score: base,
                ..Allowed::default()
            };
        }
        entry
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = NodeIx> + '_ {
        self.0
            .iter()
            .enumerate()
            .filter(|(_, e)| e.present)
            .map(|(ix, _)| ix)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (NodeIx, &Allowed)> + '_ {
        self.0.iter().enumerate().filter(|(_, e)| e.present)
    }

    pub(crate) fn entries_mut(&mut self) -> impl Iterator<Item = (NodeIx, &mut Allowed)> + '_ {
        self.0.iter_mut().enumerate().filter(|(_, e)| e.present)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.nodes().next().is_none()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum NodeKind {
    #[default]
    Member,
    /// Runs the remote executor; its connection is a resource. Guests are those in a container resource.
    Remote,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: NodeKind,
    /// Score every resource starts from there.
    pub(crate) score: i32,
    pub(crate) attrs: BTreeMap<String, String>,
    pub(crate) utilization: BTreeMap<String, i64>,
    pub(crate) priority: i32,
    pub(crate) online: bool,
    pub(crate) standby: bool,
    pub(crate) standby_onfail: bool,
    pub(crate) pending: bool,
    pub(crate) unclean: bool,
    pub(crate) unseen: bool,
    pub(crate) shutdown: bool,
    pub(crate) expected_up: bool,
    pub(crate) is_dc: bool,
    pub(crate) maintenance: bool,
    pub(crate) probes: bool,
    pub(crate) remote_requires_reset: bool,
    pub(crate) remote_was_fenced: bool,
    pub(crate) remote_maintenance: bool,
    pub(crate) history_unpacked: bool,
    /// The inside of a bundle's container, for its own resource only.
    pub(crate) bundle: bool,
    /// Place among all nodes by name; of names that compare equal, the same.
    pub(crate) rank: usize,
    pub(crate) health: i32,
    /// Resources placed there by this run.
    pub(crate) placed: usize,
    pub(crate) running: Vec<RscIx>,
    pub(crate) assigned: Vec<RscIx>,
    /// The resource whose start connects it.
    pub(crate) connection: Option<RscIx>,
    pub(crate) fence_action: Option<ActIx>,
    pub(crate) shutdown_at_s: i64,
}

impl Node {
    /// Whether the node asked to leave.
    pub(crate) fn shutdown_requested(&self) -> bool {
        self.attrs.get("shutdown").is_some_and(|v| v != "0")
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    #[default]
    Primitive,
    Group,
    Clone,
    Bundle,
}

/// What to do about a resource that is active more often than it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MultiplyActive {
    #[default]
    StopStart,
    StopOnly,
    Block,
    StopUnexpected,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RestartType {
    #[default]
    Ignore,
    Restart,
}

/// What a start needs from the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Requires {
    #[default]
    Nothing,
    Quorum,
    Fencing,
    Unfencing,
}

/// Settings of a clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct CloneSettings {
    pub(crate) max: u32,
    pub(crate) node_max: u32,
    pub(crate) promoted_max: u32,
    pub(crate) promoted_node_max: u32,
    pub(crate) min: u32,
    pub(crate) ordered: bool,
    /// Instances beyond the configured ones were found active.
    pub(crate) total: u32,
    /// The pseudo-actions around each kind of change.
    pub(crate) notices: BTreeMap<Task, Notices>,
    pub(crate) promoted_placed: u32,
}

/// The pseudo-actions that frame the notifications of one kind of change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notices {
    pub(crate) pre: Option<ActIx>,
    pub(crate) pre_done: Option<ActIx>,
    pub(crate) post: ActIx,
    pub(crate) post_done: ActIx,
}

/// Parts of one replica of a bundle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replica {
    pub(crate) container: RscIx,
    pub(crate) ip: Option<RscIx>,
    /// The connection into the container.
    pub(crate) remote: Option<RscIx>,
    pub(crate) address: Option<String>,
    pub(crate) child: Option<RscIx>,
    pub(crate) node: Option<NodeIx>,
}

/// Settings of a bundle.
#[derive(Clone, Debug, Default)]
pub(crate) struct BundleSettings {
    pub(crate) replicas: Vec<Replica>,
    pub(crate) per_host: u32,
    /// The clone of what runs inside.
    pub(crate) child: Option<RscIx>,
}

#[derive(Clone, Debug)]
pub(crate) struct OpDef {
    pub(crate) xml: Element,
    pub(crate) name: String,
    pub(crate) interval_ms: u32,
    pub(crate) enabled: bool,
    pub(crate) role: Option<Role>,
}

again! {
#[derive(Clone, Debug, Default)]
pub(crate) struct Rsc {
    pub(crate) id: String,
    /// Name in the operation history: the id without the number of an instance.
    pub(crate) history_id: Option<String>,
    pub(crate) xml: Option<Element>,
    pub(crate) ops: Arc<Vec<OpDef>>,
    pub(crate) kind: Kind,
    pub(crate) parent: Option<RscIx>,
    pub(crate) children: Vec<RscIx>,
    pub(crate) class: Arc<str>,
    pub(crate) provider: Option<Arc<str>>,
    pub(crate) agent: Arc<str>,
    pub(crate) meta: Arc<BTreeMap<String, String>>,
    pub(crate) utilization: Arc<BTreeMap<String, i64>>,
    pub(crate) params: Option<Arc<BTreeMap<String, String>>>,
    pub(crate) params_by_rule: bool,
    pub(crate) clone: CloneSettings,
    pub(crate) bundle: Option<Box<BundleSettings>>,

    pub(crate) priority: i32,
    pub(crate) promotion_priority: i32,
    pub(crate) stickiness: i32,
    pub(crate) failure_timeout_ms: i64,
    pub(crate) migration_threshold: i32,
    pub(crate) multiply_active: MultiplyActive,
    pub(crate) restart_type: RestartType,
    pub(crate) requires: Requires,
    pub(crate) remote_reconnect_ms: u32,

    /// A role is configured for it (its meta-attributes say which).
    pub(crate) has_target_role: bool,
    pub(crate) managed: bool,
    pub(crate) blocked: bool,
    pub(crate) failed: bool,
    pub(crate) stop_if_failed: bool,
    pub(crate) removed: bool,
    pub(crate) removed_filler: bool,
    pub(crate) maintenance: bool,
    /// In maintenance for no other reason than that a node is on which it is active.
    pub(crate) held: bool,
    pub(crate) unique: bool,
    pub(crate) notify: bool,
    pub(crate) promotable: bool,
    pub(crate) migratable: bool,
    pub(crate) critical: bool,
    pub(crate) is_remote: bool,
    pub(crate) is_fence_device: bool,
    pub(crate) allow_remote: bool,
    /// The connection into a bundle's container, which may itself be on a remote node.
    pub(crate) nesting_allowed: bool,
    pub(crate) exclusive_probes: bool,
    pub(crate) start_pending: bool,
    pub(crate) stop_unexpected: bool,
    pub(crate) reload: bool,
    pub(crate) ignored_failure: bool,
    pub(crate) assigning: bool,
    pub(crate) unassigned: bool,
    /// An instance for which a place was sought in vain; only with the earlier rule `one-try`.
    pub(crate) tried: bool,
    pub(crate) updating_nodes: bool,
    pub(crate) promotion_added: bool,
    /// Instances of the clone have begun to get their roles.
    pub(crate) choosing_roles: bool,
    pub(crate) provides_unfencing: bool,

    /// Guest nodes run inside this resource (their connections), or the resource the guest runs in.
    pub(crate) container: Option<RscIx>,
    pub(crate) fillers: Vec<RscIx>,
    /// The node this connection resource leads to.
    pub(crate) remote_node: Option<NodeIx>,

    pub(crate) running_on: Vec<NodeIx>,
    pub(crate) known_on: NodeSet,
    pub(crate) dangling_migrations: Vec<NodeIx>,
    pub(crate) partial_target: Option<NodeIx>,
    pub(crate) partial_source: Option<NodeIx>,
    pub(crate) role: Role,
    pub(crate) next_role: Role,
    pub(crate) pending_op: Option<String>,
    pub(crate) pending_node: Option<NodeIx>,
    pub(crate) lock_node: Option<NodeIx>,
    pub(crate) lock_time_s: i64,

    pub(crate) allowed: NodeTable,
    pub(crate) assigned: Option<NodeIx>,
    /// What promotion sorts by.
    pub(crate) sort_index: i32,
    pub(crate) actions: Vec<ActIx>,
    /// Tasks of `actions`, in their order: they are sought by task.
    pub(crate) tasks: Vec<Task>,
    /// The probe of each node.
    pub(crate) probes: Vec<Option<ActIx>>,
    /// There is a probe that has no node yet.
    pub(crate) unplaced_probe: bool,
    pub(crate) this_with: Vec<usize>,
    pub(crate) with_this: Vec<usize>,
    pub(crate) locations: Vec<usize>,
    pub(crate) tickets: Vec<usize>,
    pub(crate) op_meta: Arc<Vec<(Task, u32, Arc<OpMeta>)>>,
    /// Monitors whose failure expired: node, operation, interval.
    pub(crate) monitors_to_renew: Vec<(NodeIx, String, u32)>,
}
}

impl Rsc {
    /// Its actions of a task, from the oldest on.
    pub(crate) fn actions_of(&self, task: Task) -> impl DoubleEndedIterator<Item = ActIx> {
        let all = self.actions.iter().zip(&self.tasks);
        all.filter(move |(_, t)| **t == task).map(|(ix, _)| *ix)
    }

    /// Keeps an action.
    pub(crate) fn add_action(&mut self, ix: ActIx, act: &Act) {
        self.actions.push(ix);
        self.tasks.push(act.task);
        if act.task != Task::Monitor || act.interval_ms != 0 || act.key.is_some() {
            return;
        }
        let Some(node) = act.node else {
            self.unplaced_probe = true;
            return;
        };
        if self.probes.len() <= node {
            self.probes.resize(node + 1, None);
        }
        self.probes[node] = Some(ix);
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Colocation {
    pub(crate) id: Rc<str>,
    pub(crate) attribute: Option<String>,
    pub(crate) score: i32,
    pub(crate) dependent: RscIx,
    pub(crate) primary: RscIx,
    pub(crate) dependent_role: Role,
    pub(crate) primary_role: Role,
    pub(crate) influence: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Location {
    pub(crate) id: Rc<str>,
    pub(crate) role: Role,
    pub(crate) discover: Discover,
    pub(crate) nodes: Vec<(NodeIx, i32)>,
}

/// One end of an ordering: a resource's operation, or one action.
#[derive(Clone, Debug, Default)]
pub(crate) struct End {
    pub(crate) rsc: Option<RscIx>,
    pub(crate) task: Task,
    pub(crate) interval_ms: u32,
    pub(crate) act: Option<ActIx>,
}

#[derive(Clone, Debug)]
pub(crate) struct Ordering {
    pub(crate) first: End,
    pub(crate) then: End,
    pub(crate) flags: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LossPolicy {
    #[default]
    Stop,
    Demote,
    Fence,
    Freeze,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Ticket {
    pub(crate) granted: bool,
    pub(crate) standby: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct TicketUse {
    pub(crate) id: Rc<str>,
    pub(crate) ticket: String,
    pub(crate) role: Role,
    pub(crate) loss: LossPolicy,
}

/// Everything one run works on.
pub(crate) struct Cluster<'a> {
    pub(crate) cib: &'a Element,
    pub(crate) ids: Ids<'a>,
    pub(crate) now_s: i64,
    pub(crate) options: Options,
    pub(crate) quorate: bool,
    pub(crate) nodes: Vec<Node>,
    pub(crate) rscs: Vec<Rsc>,
    /// Resources without parent, in the order of the configuration.
    pub(crate) top: Vec<RscIx>,
    pub(crate) rsc_ids: IndexMap<String, RscIx>,
    pub(crate) node_names: BTreeMap<String, NodeIx>,
    pub(crate) node_ids: BTreeMap<String, NodeIx>,
    pub(crate) tags: BTreeMap<String, Vec<String>>,
    pub(crate) templates: BTreeMap<String, Vec<String>>,
    pub(crate) tickets: BTreeMap<String, Ticket>,
    pub(crate) ticket_uses: Vec<TicketUse>,
    pub(crate) colocations: Vec<Colocation>,
    pub(crate) locations: Vec<Location>,
    pub(crate) orderings: Vec<Ordering>,
    pub(crate) acts: Vec<Act>,
    pub(crate) singletons: BTreeMap<String, ActIx>,
    pub(crate) recheck: Recheck,
    pub(crate) problems: Vec<String>,
    /// Score lines, when asked for.
    pub(crate) trace: Option<Vec<String>>,
    pub(crate) utilization_trace: Option<Vec<String>>,
    /// What moved each score, when asked for.
    pub(crate) explain: Option<Box<crate::explain::record::Recorder>>,
    /// Private parameters are not known.
    pub(crate) blotted: bool,
    /// How many more colocations the wish that is being collected is followed through.
    pub(crate) links_left: u32,
    /// It has been said that some were not followed.
    pub(crate) wishes_left_out: bool,
    /// Rules of an earlier version.
    pub(crate) earlier: crate::earlier::Earlier,
    /// What is known from earlier runs.
    pub(crate) recall: Option<Box<crate::memory::Recall>>,
    pub(crate) have_fence_device: bool,
    pub(crate) unfencing: bool,
    pub(crate) have_remote: bool,
    pub(crate) dc: Option<NodeIx>,
    /// Failed operations that still count: resource, node, entry of the history.
    /// Failures whose operations cannot be compared with the configuration yet.
    pub(crate) compare_later: Vec<(RscIx, NodeIx, Element)>,
    pub(crate) failed_ops: Vec<(RscIx, NodeIx, Element)>,
    /// Nodes by name.
    pub(crate) node_order: Vec<NodeIx>,
    pub(crate) rsc_defaults: Arc<BTreeMap<String, String>>,
    pub(crate) stop_needed: Vec<RscIx>,
    /// Settings of operations that were read last.
    pub(crate) last_op_metas: VecDeque<Arc<OpMeta>>,
}

impl<'a> Cluster<'a> {
    /// Notes something about the configuration that people should know.
    pub(crate) fn problem(&mut self, text: impl Into<String>) {
        self.problems.push(text.into());
    }

    /// The resource at the top of a resource's chain of parents; a bundle counts only if asked for.
    pub(crate) fn uber_parent(&self, rsc: RscIx, through_bundle: bool) -> RscIx {
        let mut at = rsc;
        while let Some(parent) = self.rscs[at].parent {
            if !through_bundle && self.rscs[parent].kind == Kind::Bundle {
                break;
            }
            at = parent;
        }
        at
    }

    /// The clone a resource is an instance of, or lives in.
    pub(crate) fn clone_of(&self, rsc: RscIx) -> Option<RscIx> {
        let top = self.uber_parent(rsc, false);
        (self.rscs[top].kind == Kind::Clone).then_some(top)
    }

    /// Whether a resource is in a clone whose instances are interchangeable.
    pub(crate) fn is_anonymous_instance(&self, rsc: RscIx) -> bool {
        self.clone_of(rsc)
            .is_some_and(|clone| clone != rsc && !self.rscs[clone].unique)
    }

    /// All primitives under a resource, itself included if it is one.
    pub(crate) fn primitives(&self, rsc: RscIx) -> Vec<RscIx> {
        if self.rscs[rsc].kind == Kind::Primitive {
            return vec![rsc];
        }
        self.rscs[rsc]
            .children
            .iter()
            .flat_map(|c| self.primitives(*c))
            .collect()
    }

    /// Whether a resource is part of a bundle.
    pub(crate) fn is_bundled(&self, rsc: RscIx) -> bool {
        let top = self.uber_parent(rsc, true);
        top != rsc && self.rscs[top].kind == Kind::Bundle
    }

    pub(crate) fn is_guest(&self, node: NodeIx) -> bool {
        self.nodes[node]
            .connection
            .is_some_and(|rsc| self.rscs[rsc].container.is_some())
    }

    pub(crate) fn is_remote_node(&self, node: NodeIx) -> bool {
        self.nodes[node].kind == NodeKind::Remote
    }

    /// Whether resources may run there, its score aside.
    pub(crate) fn can_run(&self, node: NodeIx) -> bool {
        let n = &self.nodes[node];
        n.online && !n.shutdown && !n.unclean && !n.standby && !n.maintenance
    }

    /// What a node is worth to what is told of it only now: nothing, if it said that it is off or is about to leave.
    /// (One that never said anything may still come.)
    pub(crate) fn worth(&self, node: NodeIx) -> i32 {
        let n = &self.nodes[node];
        let gone = n.kind != NodeKind::Remote && !n.unseen && (!n.online || n.shutdown);
        if gone { -INFINITY } else { n.score }
    }

    /// Whether it is up and its state known, or being fenced already stopped its resources.
    pub(crate) fn clean_online(&self, node: NodeIx) -> bool {
        self.nodes[node].online && !self.nodes[node].unclean
    }

    /// The one node a resource is on now, as decisions take it: the source of an unfinished migration, else the
    /// first healthy one.
    pub(crate) fn current_node(&self, rsc: RscIx) -> Option<NodeIx> {
        self.active_node(rsc).0
    }

    /// As [`Self::current_node`], with the number of nodes it is active on, and of healthy ones of these.
    pub(crate) fn active_node(&self, rsc: RscIx) -> (Option<NodeIx>, usize, usize) {
        let r = &self.rscs[rsc];
        let mut active: Option<NodeIx> = None;
        let (mut all, mut clean) = (0, 0);
        let of_parts;
        let nodes = match r.kind {
            Kind::Primitive => &r.running_on,
            _ => {
                of_parts = self.active_nodes(rsc);
                &of_parts
            }
        };
        let fences = matches!(r.requires, Requires::Fencing | Requires::Unfencing);
        for node in nodes.iter().copied() {
            all += 1;
            let is_clean = self.clean_online(node);
            if is_clean {
                clean += 1;
            }
            let is_source = r.partial_source == Some(node) && r.partial_target.is_some();
            let active_is_clean = active.is_some_and(|a| self.clean_online(a));
            // What needs fencing is taken to be where it was first: a node that is ill will be fenced.
            let better = is_clean && !active_is_clean && r.partial_source.is_none() && !fences;
            if active.is_none() || is_source || better {
                active = Some(node);
            }
        }
        (active, all, clean)
    }

    /// Nodes a resource, or any part of it, is active on.
    pub(crate) fn active_nodes(&self, rsc: RscIx) -> Vec<NodeIx> {
        let r = &self.rscs[rsc];
        match r.kind {
            Kind::Primitive => r.running_on.clone(),
            Kind::Bundle => {
                let containers = r
                    .bundle
                    .iter()
                    .flat_map(|b| &b.replicas)
                    .map(|x| x.container);
                self.union_nodes(containers)
            }
            _ => self.union_nodes(r.children.iter().copied()),
        }
    }

    fn union_nodes(&self, rscs: impl Iterator<Item = RscIx>) -> Vec<NodeIx> {
        let mut out = Vec::new();
        for rsc in rscs {
            for node in self.active_nodes(rsc) {
                if !out.contains(&node) {
                    out.push(node);
                }
            }
        }
        out
    }

    /// Role of a resource; of a collection, the highest of its parts (for a group: of its first).
    pub(crate) fn state(&self, rsc: RscIx, current: bool) -> Role {
        let r = &self.rscs[rsc];
        match r.kind {
            Kind::Primitive => {
                if current {
                    r.role
                } else {
                    r.next_role
                }
            }
            _ => r
                .children
                .iter()
                .map(|c| self.state(*c, current))
                .max()
                .unwrap_or(Role::Unknown),
        }
    }

    /// Name in the operation history.
    pub(crate) fn history_id(&self, rsc: RscIx) -> &str {
        let r = &self.rscs[rsc];
        r.history_id.as_deref().unwrap_or(&r.id)
    }

    /// The text of a key `RSC_TASK_INTERVAL`.
    pub(crate) fn key_of(&self, act: ActIx) -> String {
        let a = &self.acts[act];
        if let Some(key) = &a.key {
            return key.to_string();
        }
        let rsc = a.rsc.map_or("", |r| self.rscs[r].id.as_str());
        let name = a.name.as_deref().unwrap_or_else(|| a.task.text());
        format!("{rsc}_{name}_{}", a.interval_ms)
    }

    pub(crate) fn is_group_colocated(&self, group: RscIx) -> bool {
        self.rscs[group]
            .meta
            .get("collocated")
            .is_none_or(|v| crate::score::is_true(Some(v)))
    }

    pub(crate) fn is_group_ordered(&self, group: RscIx) -> bool {
        self.rscs[group]
            .meta
            .get("ordered")
            .is_none_or(|v| crate::score::is_true(Some(v)))
    }
}

//! Why a resource is where it is, or nowhere: which scores came from what, what blocks it, what it waits for.
//!
//! [`explain`] is a function of a CIB, a moment and a resource, as [`crate::schedule`] is of the first two; what would
//! be if something were different is the same function on another CIB. It decides nothing of its own: it runs the
//! scheduler and tells what that wrote down on its way.

mod describe;
mod obstacles;
pub(crate) mod record;
mod roles;

use cib::Element;

pub use crate::model::Role;
use crate::{
    bundle, constraints,
    model::{Cluster, Kind, NodeIx, RscIx},
    produce, report,
    run::{Asked, decide, read, read_for},
    score,
};

/// Why a resource is where it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explanation {
    /// The resource.
    pub resource: String,
    /// `primitive`, `group`, `clone` or `bundle`.
    pub kind: &'static str,
    /// The primitive whose place decides, where it is not the resource itself: a member of a group.
    pub member: Option<String>,
    /// Where it is now.
    pub current: Vec<Place>,
    /// Where it will be when what is planned has been done.
    pub decided: Vec<Place>,
    /// What the next transition does about it, as in a transition summary.
    pub plan: Vec<String>,
    /// What keeps it from running, or from being where it was put, whatever the node.
    pub blockers: Vec<Reason>,
    /// Every node, sorted by name.
    pub nodes: Vec<NodeReasons>,
    /// Of a promotable clone: each instance that is placed, and whether it is promoted, in the order of promotion.
    pub promotion: Vec<NodeReasons>,
    /// What it will be put on, but is not before something else has happened (a node is fenced).
    pub waits: Vec<Reason>,
}

/// An instance of a resource on a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The node.
    pub node: String,
    /// In which role.
    pub role: Role,
    /// The instance.
    pub instance: String,
}

/// What speaks for and against a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeReasons {
    /// The node.
    pub node: String,
    /// The primitive or instance whose score it is.
    pub instance: String,
    /// The score; `None`: the resource may not be there unless a constraint says so, and none does.
    pub score: Option<i32>,
    /// It will be there.
    pub is_chosen: bool,
    /// It would be there if what [`Explanation::blockers`] tells did not keep it from it.
    pub is_wanted: bool,
    /// What the score is made of, in the order in which it was added. The sum, with infinities absorbing, is the score.
    pub contributions: Vec<Contribution>,
    /// Why it will not be there; empty if it will.
    pub blockers: Vec<Reason>,
}

/// A part of a score.
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
    /// What was added; ±1000000 is infinity.
    pub amount: i32,
    /// It took the place of everything before it.
    pub replaces: bool,
    /// Where it comes from.
    pub reason: Reason,
}

/// One reason, for people and for programs.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// What kind of reason it is.
    pub why: Why,
    /// Id of the constraint (or name of the option or attribute) it comes from.
    pub id: Option<String>,
    /// Id of the rule within the constraint.
    pub rule: Option<String>,
    /// Another resource, a ticket or a node it has to do with.
    pub about: Option<String>,
    /// Numbers: name, what is needed, what there is.
    pub amounts: Vec<(String, i64, i64)>,
    /// In words.
    pub text: String,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Kinds of reasons.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Why { $($(#[$doc])* $name,)* }

        impl Why {
            /// A short name for programs.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

kinds! {
    /// A location constraint.
    Location = "location",
    /// Health of a node.
    Health = "node-health",
    /// It likes to stay.
    Stickiness = "stickiness",
    /// A colocation in which it depends on another resource.
    Colocation = "colocation",
    /// A colocation in which another resource depends on it.
    Dependent = "dependent-colocation",
    /// It is in a group with others.
    Group = "group-member",
    /// As many instances are promoted as may be.
    PromotedMax = "promoted-max",
    /// Its agent's promotion score.
    Promotion = "promotion-score",
    /// It failed there as often as migration-threshold lets it.
    FailCount = "fail-count",
    /// It could not be stopped.
    StopFailed = "stop-failed",
    /// Its agent cannot work there, or anywhere.
    HardError = "hard-error",
    /// A failure keeps it away from the node until it is cleaned up.
    FailureBan = "failure-ban",
    /// It is configured to be stopped.
    TargetRole = "target-role",
    /// A failure keeps it stopped until it is cleaned up.
    FailureStop = "failure-stop",
    /// A failure keeps the cluster from touching it until it is cleaned up.
    Blocked = "failure-block",
    /// A ticket is not held here, or on standby.
    Ticket = "ticket",
    /// The node has too little room.
    Capacity = "utilization",
    /// It waits for its node, which was shut down in order.
    ShutdownLock = "shutdown-lock",
    /// Another constraint has it looked for, and placed, elsewhere only.
    Discovery = "resource-discovery",
    /// There are as many instances as there may be.
    CloneMax = "clone-max",
    /// The node has as many instances as it may have.
    CloneNodeMax = "clone-node-max",
    /// The node is closed to the whole clone.
    CloneBanned = "clone-banned",
    /// Its configuration was removed.
    Removed = "removed",
    /// It was found active on too many nodes.
    MultipleActive = "multiple-active",
    /// It cannot be on remote nodes, or is tied to one.
    Remote = "remote-node",
    /// The parts of a bundle belong together.
    Bundle = "bundle",
    /// What the node starts from.
    NodeScore = "node-score",
    /// The node is not there.
    Offline = "node-offline",
    /// The node's state is not known; it has to be fenced.
    Unclean = "node-unclean",
    /// The node is on standby.
    Standby = "node-standby",
    /// A failure put the node on standby.
    StandbyOnFail = "node-standby-failure",
    /// The node is in maintenance.
    NodeMaintenance = "node-maintenance",
    /// The node is joining.
    Pending = "node-pending",
    /// The node is leaving.
    Leaving = "node-shutdown",
    /// Resources run only where constraints put them (`symmetric-cluster` is off).
    OptIn = "symmetric-cluster",
    /// What speaks against the node outweighs what speaks for it.
    Negative = "negative-score",
    /// Another node has a higher score.
    Outscored = "lower-score",
    /// Another node has the same score.
    Tie = "same-score",
    /// The cluster may not start or stop it.
    Unmanaged = "unmanaged",
    /// The whole cluster is in maintenance.
    MaintenanceMode = "maintenance-mode",
    /// The cluster has no quorum.
    NoQuorum = "no-quorum",
    /// Everything is to be stopped.
    StopAll = "stop-all-resources",
    /// What has to start first does not.
    Ordering = "ordering",
    /// A node has to be fenced first.
    Fencing = "fencing",
    /// Anything else.
    Other = "other",
}

impl Reason {
    pub(crate) fn new(why: Why, text: impl Into<String>) -> Self {
        Self {
            why,
            id: None,
            rule: None,
            about: None,
            amounts: Vec::new(),
            text: text.into(),
        }
    }

    pub(crate) fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    pub(crate) fn about(mut self, about: impl Into<String>) -> Self {
        self.about = Some(about.into());
        self
    }
}

/// A score as people read it: `INFINITY` by name.
#[must_use]
pub fn show_score(score: i32) -> String {
    score::show(score)
}

/// Explains one resource (by its id, or the name its instances share) at the moment `now_s` (seconds since the epoch).
/// `None`: there is no such resource.
#[must_use]
pub fn explain(cib: &Element, now_s: i64, resource: &str) -> Option<Explanation> {
    let asked = Asked {
        reasons: true,
        ..Asked::default()
    };
    let mut c = read_for(cib, now_s, asked, None);
    decide(&mut c);
    produce::build(&mut c, false);
    let rsc = constraints::find(&c, resource)?;
    let plan = report::transition(&mut c);
    Some(explanation(&mut c, rsc, &plan))
}

/// Where a resource will be, as [`Explanation::decided`], and nothing else. `None`: there is no such resource.
#[must_use]
pub fn outcome(cib: &Element, now_s: i64, resource: &str) -> Option<Vec<Place>> {
    let mut c = read(cib, now_s);
    decide(&mut c);
    produce::build(&mut c, false);
    let rsc = constraints::find(&c, resource)?;
    Some(decided(&c, rsc))
}

/// Explains every resource that people configured: members of groups one by one, clones and bundles as a whole.
#[must_use]
pub fn everything(cib: &Element, now_s: i64) -> Vec<Explanation> {
    those(cib, now_s, |_, _| true)
}

/// As [`everything`], of the resources that do not run (of a bundle: not all of its replicas).
#[must_use]
pub fn idle(cib: &Element, now_s: i64) -> Vec<Explanation> {
    those(cib, now_s, |c, rsc| {
        let running = decided(c, rsc).len();
        let is_short = c.rscs[rsc].kind == Kind::Bundle && running < instances(c, rsc).len();
        running == 0 || is_short
    })
}

fn those(cib: &Element, now_s: i64, wanted: impl Fn(&Cluster, RscIx) -> bool) -> Vec<Explanation> {
    let asked = Asked {
        reasons: true,
        ..Asked::default()
    };
    let mut c = read_for(cib, now_s, asked, None);
    decide(&mut c);
    produce::build(&mut c, false);
    let plan = report::transition(&mut c);
    let top = c.top.iter().copied().filter(|rsc| !c.rscs[*rsc].removed);
    let all = top.flat_map(|rsc| match c.rscs[rsc].kind {
        Kind::Group => c.rscs[rsc].children.clone(),
        _ => vec![rsc],
    });
    let all: Vec<RscIx> = all.filter(|rsc| wanted(&c, *rsc)).collect();
    all.into_iter()
        .map(|rsc| explanation(&mut c, rsc, &plan))
        .collect()
}

fn explanation(c: &mut Cluster, rsc: RscIx, plan: &[report::Planned]) -> Explanation {
    let kind = match c.rscs[rsc].kind {
        Kind::Primitive => "primitive",
        Kind::Group => "group",
        Kind::Clone => "clone",
        Kind::Bundle => "bundle",
    };
    let parts: Vec<String> = parts(c, rsc)
        .into_iter()
        .map(|part| c.rscs[part].id.clone())
        .collect();
    let mine = plan.iter().filter(|p| parts.contains(&p.subject));
    let lead = lead(c, rsc);
    let mut out = Explanation {
        resource: c.rscs[rsc].id.clone(),
        kind,
        member: (c.rscs[rsc].kind == Kind::Group).then(|| c.rscs[lead].id.clone()),
        current: current(c, rsc),
        decided: decided(c, rsc),
        plan: mine.map(|p| p.line(0, 0)).collect(),
        ..Explanation::default()
    };
    out.blockers = obstacles::of_resource(c, lead);
    out.waits = obstacles::waits(c, lead);
    for node in c.node_order.clone() {
        if c.nodes[node].bundle && !c.is_bundled(rsc) {
            // The inside of a container is for what belongs there.
            continue;
        }
        let row = node_reasons(c, rsc, lead, node);
        out.nodes.push(row);
    }
    obstacles::compare(c, &mut out);
    out.promotion = roles::promotion(c, rsc);
    out
}

/// The instances of a collective; anything else is its own.
fn instances(c: &Cluster, rsc: RscIx) -> Vec<RscIx> {
    match c.rscs[rsc].kind {
        Kind::Clone | Kind::Bundle => bundle::instances(c, rsc),
        _ => vec![rsc],
    }
}

/// All primitives of a resource.
fn parts(c: &Cluster, rsc: RscIx) -> Vec<RscIx> {
    match c.rscs[rsc].kind {
        Kind::Bundle => bundle::parts(c, rsc),
        _ => c.primitives(rsc),
    }
}

/// The primitive whose place decides for an instance: of a group the first that does not run, else the first.
fn leader(c: &Cluster, rsc: RscIx) -> RscIx {
    let all = c.primitives(rsc);
    let idle = all.iter().find(|p| runs_on(c, **p).is_none());
    idle.or(all.first()).copied().unwrap_or(rsc)
}

/// As [`leader`]; of a clone or bundle, that of the first instance that does not run, else of the first.
fn lead(c: &Cluster, rsc: RscIx) -> RscIx {
    let all = instances(c, rsc);
    let idle = all.iter().find(|i| runs_on(c, leader(c, **i)).is_none());
    let chosen = idle.or(all.first()).copied().unwrap_or(rsc);
    leader(c, chosen)
}

fn current(c: &Cluster, rsc: RscIx) -> Vec<Place> {
    let mut out = Vec::new();
    for part in instances(c, rsc) {
        let part = leader_now(c, part);
        let r = &c.rscs[part];
        if r.role <= Role::Stopped {
            continue;
        }
        out.extend(r.running_on.iter().map(|node| Place {
            node: c.nodes[*node].name.clone(),
            role: r.role,
            instance: r.id.clone(),
        }));
    }
    out.sort();
    out
}

/// Of a group the first member that does not run now: only what is complete runs.
fn leader_now(c: &Cluster, rsc: RscIx) -> RscIx {
    let all = c.primitives(rsc);
    let idle = all.iter().find(|p| c.rscs[**p].role <= Role::Stopped);
    idle.or(all.first()).copied().unwrap_or(rsc)
}

/// Where a resource will be.
fn decided(c: &Cluster, rsc: RscIx) -> Vec<Place> {
    let mut out = Vec::new();
    for part in instances(c, rsc) {
        let part = leader(c, part);
        if let Some((node, role)) = runs_on(c, part) {
            out.push(Place {
                node: c.nodes[node].name.clone(),
                role,
                instance: c.rscs[part].id.clone(),
            });
        }
    }
    out.sort();
    out
}

/// Where a primitive will run: it was put there, and what is to be done for that can be done.
fn runs_on(c: &Cluster, rsc: RscIx) -> Option<(NodeIx, Role)> {
    let r = &c.rscs[rsc];
    let node = r.assigned?;
    let role = match r.next_role {
        Role::Stopped => return None,
        Role::Unknown => Role::Started,
        role => role,
    };
    let here = r.role > Role::Stopped && r.running_on.contains(&node);
    if !r.managed {
        return here.then_some((node, r.role));
    }
    let stays = here && !obstacles::must_stop(c, rsc, node);
    (stays || obstacles::can_come(c, rsc, node)).then_some((node, role))
}

/// What speaks for and against one node, for the instance there, or for the one that could be there.
fn node_reasons(c: &mut Cluster, rsc: RscIx, lead: RscIx, node: NodeIx) -> NodeReasons {
    let all = instances(c, rsc);
    let on = |c: &Cluster, i: &RscIx| {
        let part = leader(c, *i);
        runs_on(c, part).filter(|(n, _)| *n == node).map(|_| part)
    };
    let here = all.iter().find_map(|i| on(c, i));
    let everything_placed = all.len() > 1 && runs_on(c, lead).is_some();
    let who = match here {
        Some(part) => part,
        None if everything_placed => rsc,
        None => lead,
    };
    let score = match c.rscs[who].kind {
        Kind::Clone | Kind::Bundle => describe::shown_score(c, who, node),
        _ => c.rscs[who].allowed.get(node).map(|e| e.score),
    };
    let contributions = describe::contributions(c, who, node);
    let mut row = NodeReasons {
        node: c.nodes[node].name.clone(),
        instance: c.rscs[who].id.clone(),
        score,
        is_chosen: here.is_some(),
        is_wanted: here.is_none() && c.rscs[who].assigned == Some(node),
        contributions,
        blockers: Vec::new(),
    };
    if here.is_none() {
        row.blockers = obstacles::of_node(c, rsc, who, node, &row);
    }
    row
}

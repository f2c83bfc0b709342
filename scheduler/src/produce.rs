//! Turns the actions that remain into the graph that is carried out.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    graph::{Action, ActionKind, Graph, ResourceRef, Synapse},
    history_ops::base_name,
    model::{ActIx, Cluster, Kind, Link, NodeIx, Rsc, RscIx, Task, ar},
    resources,
};

/// Builds the graph; `listed`: with its actions, not only what holds for all of them.
pub(crate) fn build(c: &mut Cluster, listed: bool) -> Graph {
    let chosen: Vec<bool> = (0..c.acts.len()).map(|ix| belongs(c, ix)).collect();
    for (ix, keep) in chosen.iter().enumerate() {
        c.acts[ix].in_graph = *keep;
    }
    let mut wanted: Vec<Inputs> = (0..c.acts.len())
        .map(|ix| {
            if chosen[ix] {
                inputs(c, ix)
            } else {
                Inputs::new()
            }
        })
        .collect();
    break_loops(c, &mut wanted);
    let mut synapses = Vec::new();
    let order = if listed { order(c) } else { Vec::new() };
    for ix in order {
        if !chosen[ix] {
            continue;
        }
        let inputs = wanted[ix].iter().map(|(other, _)| number(*other)).collect();
        let id = u32::try_from(synapses.len()).unwrap_or(u32::MAX);
        let rsc_priority = c.acts[ix].rsc.map_or(0, |r| c.rscs[r].priority);
        let priority = rsc_priority.max(c.acts[ix].priority).max(0);
        let action = describe(c, ix);
        synapses.push(Synapse {
            id,
            priority,
            actions: vec![action],
            inputs,
        });
    }
    let o = &c.options;
    let raw = |names: &[&str]| {
        names
            .iter()
            .find_map(|n| o.raw.get(*n))
            .cloned()
            .unwrap_or_else(|| "60s".to_owned())
    };
    Graph {
        cluster_delay: raw(&["cluster-delay"]),
        fencing_timeout: raw(&["fencing-timeout", "stonith-timeout"]),
        cluster_delay_ms: u64::try_from(o.cluster_delay_ms).unwrap_or(0),
        fencing_timeout_ms: u64::try_from(o.fencing_timeout_ms).unwrap_or(0),
        batch_limit: u32::try_from(o.batch_limit).unwrap_or(0),
        migration_limit: i32::try_from(o.migration_limit).unwrap_or(-1),
        failed_stop_offset: "INFINITY".to_owned(),
        failed_start_offset: if o.start_failure_fatal {
            "INFINITY"
        } else {
            "1"
        }
        .to_owned(),
        recheck_at_s: c.recheck.at_s(),
        known_instances: known_instances(c),
        synapses,
    }
}

fn known_instances(c: &Cluster) -> BTreeSet<String> {
    let in_clone = |parent: Option<RscIx>| parent.is_some_and(|p| c.rscs[p].kind != Kind::Group);
    let in_collection = |r: &&Rsc| {
        let direct = in_clone(r.parent);
        direct || r.parent.is_some_and(|p| in_clone(c.rscs[p].parent))
    };
    let instances = c.rscs.iter().filter(in_collection);
    instances.filter_map(|r| r.history_id.clone()).collect()
}

/// Actions in the order in which a graph lists them, which is the order in which equals are begun: resource by
/// resource, of each what was thought of last; then everything that is about no resource.
fn order(c: &Cluster) -> Vec<ActIx> {
    let mut order = Vec::with_capacity(c.acts.len());
    for rsc in &c.top {
        list(c, *rsc, &mut order);
    }
    let mut is_listed = vec![false; c.acts.len()];
    for ix in &order {
        is_listed[*ix] = true;
    }
    order.extend((0..c.acts.len()).rev().filter(|ix| !is_listed[*ix]));
    order
}

/// A group comes before its members, a clone after its instances.
fn list(c: &Cluster, rsc: RscIx, order: &mut Vec<ActIx>) {
    let r = &c.rscs[rsc];
    let own = r.actions.iter().rev().copied();
    if matches!(r.kind, Kind::Primitive | Kind::Group) {
        order.extend(own.clone());
    }
    for child in &r.children {
        list(c, *child, order);
    }
    if matches!(r.kind, Kind::Clone | Kind::Bundle) {
        order.extend(own);
    }
}

/// Number of an action in the graph.
fn number(ix: ActIx) -> u32 {
    u32::try_from(ix + 1).unwrap_or(u32::MAX)
}

fn belongs(c: &Cluster, ix: ActIx) -> bool {
    let a = &c.acts[ix];
    if !a.runnable || a.optional && !a.print_always {
        return false;
    }
    if let Some(rsc) = a.rsc {
        let monitor = a.task == Task::Monitor || a.interval_ms != 0;
        if !c.rscs[rsc].managed && !monitor {
            return false;
        }
    }
    if a.pseudo || matches!(a.task, Task::Fence | Task::Shutdown) {
        return true;
    }
    let Some(node) = a.node else {
        return false;
    };
    if a.task == Task::ClearFailCount && c.nodes[node].unclean {
        // Its end settles that anyway.
        return false;
    }
    if a.on_dc {
        return true;
    }
    if c.is_guest(node) && !c.nodes[node].remote_requires_reset {
        return true;
    }
    c.nodes[node].online && !c.nodes[node].unclean
}

/// What an action waits for, with how strongly, by number.
type Inputs = Vec<(ActIx, u32)>;

fn inputs(c: &Cluster, ix: ActIx) -> Inputs {
    let links = c.acts[ix].before.iter().filter(|link| link.flags != 0);
    let mut inputs: Inputs = links.map(|link| (link.other, link.flags)).collect();
    inputs.sort_unstable_by_key(|(other, _)| *other);
    inputs.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 |= next.1;
        }
        same
    });
    inputs.retain(|(other, flags)| {
        let link = Link {
            other: *other,
            flags: *flags,
        };
        wants_input(c, ix, link)
    });
    inputs
}

/// Actions that wait for each other would wait for ever: the weakest tie of each loop is given up.
fn break_loops(c: &mut Cluster, wanted: &mut [Inputs]) {
    while let Some(ring) = find_loop(wanted) {
        let weakest = ring
            .iter()
            .enumerate()
            .map(|(at, then)| (*then, ring[(at + 1) % ring.len()]))
            .min_by_key(|(then, first)| {
                strength(c, *first, *then, flags_of(&wanted[*then], *first))
            });
        let Some((then, first)) = weakest else {
            return;
        };
        wanted[then].retain(|(other, _)| *other != first);
        let text = format!(
            "{} and {} wait for each other through orderings; {} does not wait",
            c.key_of(first),
            c.key_of(then),
            c.key_of(then)
        );
        c.problem(text);
    }
}

fn flags_of(inputs: &Inputs, first: ActIx) -> u32 {
    let found = inputs.iter().find(|(other, _)| *other == first);
    found.map_or(0, |(_, flags)| *flags)
}

fn strength(c: &Cluster, first: ActIx, then: ActIx, flags: u32) -> (u32, ActIx) {
    let same = c.acts[first].rsc.is_some() && c.acts[first].rsc == c.acts[then].rsc;
    let fencing = c.acts[first].task == Task::Fence;
    let gate = c.acts[first].task == Task::LoadStopped && c.acts[then].task == Task::MigrateTo;
    let rank = if gate {
        0
    } else if same || fencing {
        4
    } else if flags & (ar::FIRST_IMPLIES_THEN | ar::UNRUNNABLE_FIRST_BLOCKS) != 0 {
        3
    } else if flags & !(ar::ORDERED | ar::IF_ON_SAME_NODE) != 0 {
        2
    } else {
        1
    };
    let order = if gate { ActIx::MAX - then } else { then };
    (rank, order)
}

/// Who waits for each action, one after the other.
struct Dependents {
    all: Vec<ActIx>,
    /// Where those of each action end.
    ends: Vec<usize>,
}

impl Dependents {
    fn of(wanted: &[Inputs]) -> Self {
        let mut ends = vec![0; wanted.len()];
        for (first, _) in wanted.iter().flatten() {
            ends[*first] += 1;
        }
        let mut sum = 0;
        for end in &mut ends {
            sum += std::mem::replace(end, sum);
        }
        // Now where they begin, which moves to where they end as they are filled in.
        let mut all = vec![0; sum];
        for (then, inputs) in wanted.iter().enumerate() {
            for (first, _) in inputs {
                all[ends[*first]] = then;
                ends[*first] += 1;
            }
        }
        Self { all, ends }
    }

    fn on(&self, first: ActIx) -> &[ActIx] {
        let begin = first.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.all[begin..self.ends[first]]
    }
}

/// A ring of actions, each waiting for the next.
fn find_loop(wanted: &[Inputs]) -> Option<Vec<ActIx>> {
    let mut waits: Vec<usize> = wanted.iter().map(Vec::len).collect();
    let dependents = Dependents::of(wanted);
    let mut ready: Vec<ActIx> = (0..wanted.len()).filter(|ix| waits[*ix] == 0).collect();
    while let Some(first) = ready.pop() {
        for then in dependents.on(first) {
            waits[*then] -= 1;
            if waits[*then] == 0 {
                ready.push(*then);
            }
        }
    }
    let mut at = (0..wanted.len()).find(|ix| waits[*ix] > 0)?;
    let mut path: Vec<ActIx> = Vec::new();
    loop {
        if let Some(begin) = path.iter().position(|p| *p == at) {
            return Some(path.split_off(begin));
        }
        path.push(at);
        let mut inputs = wanted[at].iter().map(|(first, _)| *first);
        at = inputs.find(|first| waits[*first] > 0)?;
    }
}

fn wants_input(c: &Cluster, ix: ActIx, link: Link) -> bool {
    let (a, first) = (&c.acts[ix], &c.acts[link.other]);
    if !first.in_graph {
        return false;
    }
    if link.flags & ar::MIN_RUNNABLE != 0 && !first.runnable {
        return false;
    }
    if link.flags & ar::IF_FIRST_UNMIGRATABLE != 0 && first.migratable {
        return false;
    }
    let between = first.rsc.is_some() && a.rsc.is_some() && first.rsc != a.rsc;
    if link.flags == ar::ORDERED
        && between
        && first.migratable
        && first.task == Task::Stop
        && a.task == Task::Stop
    {
        // Where a resource goes without a stop, nothing waits for one that is merely preferred.
        return false;
    }
    if link.flags & ar::IF_ON_SAME_NODE_OR_TARGET != 0 {
        let node = match a.task {
            Task::MigrateTo => a
                .extra
                .iter()
                .find(|(name, _)| *name == "migrate_target")
                .and_then(|(_, target)| c.node_names.get(target))
                .copied()
                .or(a.node),
            _ => a.node,
        };
        if first.node.is_some() && node.is_some() && first.node != node {
            return false;
        }
    }
    if link.flags & ar::IF_REQUIRED_ON_SAME_NODE != 0
        && link.flags & !(ar::IF_REQUIRED_ON_SAME_NODE) == 0
        && (first.node.is_some() && a.node.is_some() && first.node != a.node || first.optional)
    {
        return false;
    }
    if let (Some(x), Some(y)) = (first.rsc, a.rsc) {
        let stuck = x != y && c.rscs[x].failed && !c.rscs[x].managed && first.task == Task::Stop;
        if stuck && c.rscs[y].kind == Kind::Clone {
            return false;
        }
    }
    !first.optional || first.print_always
}

fn describe(c: &mut Cluster, ix: ActIx) -> Action {
    let kind = kind_of(c, ix);
    let a = &c.acts[ix];
    let (node, rsc, task) = (a.node, a.rsc, a.task);
    let operation = a.name.as_deref().unwrap_or_else(|| task.text()).to_owned();
    let key = c.key_of(ix);
    let (key, internal_key) = history_key(c, ix, key);
    let with_node = node.filter(|_| kind != ActionKind::Pseudo || task == Task::Fence);
    let router = with_node.and_then(|n| router(c, ix, n));
    let mut out = Action {
        id: number(ix),
        kind,
        operation,
        key,
        internal_key,
        node: with_node.map(|n| c.nodes[n].name.clone()),
        node_uuid: with_node.map(|n| c.nodes[n].id.clone()),
        router_node: router.map(|n| c.nodes[n].name.clone()),
        resource: rsc
            .filter(|_| kind != ActionKind::Pseudo)
            .map(|r| reference(c, r)),
        attributes: BTreeMap::new(),
        downed: Vec::new(),
        maintenance: Vec::new(),
        shutdown_lock_s: shutdown_lock(c, ix),
    };
    out.attributes = attributes(c, ix, kind);
    out.downed = downed(c, ix);
    out
}

/// A stop for a node's shutdown keeps the resource for that node.
fn shutdown_lock(c: &Cluster, ix: ActIx) -> Option<i64> {
    let a = &c.acts[ix];
    let r = &c.rscs[a.rsc?];
    (a.task == Task::Stop && r.lock_node.is_some() && r.lock_node == a.node)
        .then_some(r.lock_time_s)
}

fn kind_of(c: &Cluster, ix: ActIx) -> ActionKind {
    let a = &c.acts[ix];
    match a.task {
        _ if a.pseudo => ActionKind::Pseudo,
        Task::Fence | Task::Shutdown | Task::ClearFailCount | Task::LrmDelete => {
            ActionKind::Cluster
        }
        _ => ActionKind::Resource,
    }
}

/// An anonymous instance's operations go by the name in the history.
fn history_key(c: &Cluster, ix: ActIx, key: String) -> (String, Option<String>) {
    let a = &c.acts[ix];
    let Some(rsc) = a.rsc else {
        return (key, None);
    };
    let r = &c.rscs[rsc];
    let Some(history_id) = r.history_id.as_ref().filter(|h| **h != r.id) else {
        return (key, None);
    };
    let told = |name: &str| {
        let mut extra = a.extra.iter();
        extra
            .find(|(n, _)| *n == name)
            .map_or("", |(_, v)| v.as_str())
    };
    let (kind, operation) = (told("notify_type"), told("notify_operation"));
    match a.task {
        Task::Notify => {
            return (
                format!("{history_id}_{kind}_notify_{operation}_0"),
                Some(key),
            );
        }
        Task::Notified => return (format!("{history_id}_notified_0"), Some(key)),
        _ => {}
    }
    match key.strip_prefix(&r.id) {
        Some(rest) => (format!("{history_id}{rest}"), Some(key)),
        None => (key, None),
    }
}

/// The member through which a remote node is reached for an action.
fn router(c: &Cluster, ix: ActIx, node: NodeIx) -> Option<NodeIx> {
    if !c.is_remote_node(node) || matches!(c.acts[ix].task, Task::Fence) {
        return None;
    }
    crate::remote::router(c, ix, node)
}

fn reference(c: &Cluster, rsc: RscIx) -> ResourceRef {
    let r = &c.rscs[rsc];
    let unique = !c.is_anonymous_instance(rsc);
    let (id, long_id) = if r.removed && r.history_id.is_some() {
        (
            r.history_id.clone().unwrap_or_default(),
            Some(r.id.clone()).filter(|id| Some(id) != r.history_id.as_ref()),
        )
    } else if unique {
        (r.id.clone(), r.history_id.clone().filter(|h| *h != r.id))
    } else {
        let base = base_name(&r.id).to_owned();
        let long = match &r.history_id {
            Some(h) if h.contains(':') => h.clone(),
            _ => r.id.clone(),
        };
        (base, Some(long))
    };
    ResourceRef {
        id,
        long_id,
        class: r.class.to_string(),
        provider: r.provider.as_deref().map(str::to_owned),
        kind: r.agent.to_string(),
    }
}

fn attributes(c: &mut Cluster, ix: ActIx, kind: ActionKind) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let a = &c.acts[ix];
    let (rsc, node, op) = (a.rsc, a.node, a.op.clone());
    if let Some(node) = node.filter(|_| kind != ActionKind::Pseudo || a.task == Task::Fence) {
        out.insert("CRM_meta_on_node".to_owned(), c.nodes[node].name.clone());
        out.insert("CRM_meta_on_node_uuid".to_owned(), c.nodes[node].id.clone());
    }
    if let Some(rsc) = rsc {
        let primitive = c.rscs[rsc].kind == Kind::Primitive;
        if primitive {
            let params = resources::params(c, rsc, node);
            for (name, value) in params.iter() {
                out.insert(name.clone(), value.clone());
            }
        }
        if let Some(op) = &op {
            if primitive {
                for (name, value) in &op.params {
                    out.insert(name.clone(), value.clone());
                }
            }
            for (name, value) in &op.meta {
                out.insert(meta_name(name), value.clone());
            }
        }
        if kind == ActionKind::Resource || kind == ActionKind::Cluster || kind == ActionKind::Pseudo
        {
            collection_meta(c, rsc, &mut out);
        }
    }
    if let Some(rsc) = rsc
        && out.get("addr").is_some_and(|addr| addr == "#uname")
        && let Some(host) = crate::bundle::remote_address(c, rsc)
    {
        out.insert("addr".to_owned(), c.nodes[host].name.clone());
    }
    crate::remote::guest_meta(c, ix, &mut out);
    if let Some(address) = rsc.and_then(|r| c.rscs[r].meta.get("external-ip")) {
        out.insert("pcmk_external_ip".to_owned(), address.clone());
    }
    for (name, value) in &c.acts[ix].extra {
        out.insert(meta_name(name), value.clone());
    }
    for (name, value) in &c.acts[ix].extra_owned {
        out.insert(meta_name(name), value.clone());
    }
    out
}

fn meta_name(name: &str) -> String {
    const PREFIX: &str = "CRM_meta_";
    let mut out = String::with_capacity(PREFIX.len() + name.len());
    out.push_str(PREFIX);
    out.extend(name.chars().map(|ch| if ch == '-' { '_' } else { ch }));
    out
}

/// What an agent is told of the collections it is in.
fn collection_meta(c: &Cluster, rsc: RscIx, out: &mut BTreeMap<String, String>) {
    let mut at = Some(rsc);
    while let Some(ix) = at {
        let r = &c.rscs[ix];
        match r.kind {
            Kind::Primitive => {
                let in_clone = c.clone_of(ix).is_some();
                if let Some((_, number)) = r.id.rsplit_once(':').filter(|_| in_clone) {
                    out.insert("CRM_meta_clone".to_owned(), number.to_owned());
                }
                crate::remote::meta(c, ix, out);
            }
            Kind::Clone => {
                let s = &r.clone;
                let mut put = |name: &str, value: String| {
                    out.insert(format!("CRM_meta_{name}"), value);
                };
                put("globally_unique", r.unique.to_string());
                put("notify", r.notify.to_string());
                put("clone_max", s.max.to_string());
                put("clone_node_max", s.node_max.to_string());
                if r.promotable {
                    put("promoted_max", s.promoted_max.to_string());
                    put("promoted_node_max", s.promoted_node_max.to_string());
                    put("master_max", s.promoted_max.to_string());
                    put("master_node_max", s.promoted_node_max.to_string());
                }
            }
            _ => {}
        }
        at = r.parent;
    }
}

fn downed(c: &Cluster, ix: ActIx) -> Vec<String> {
    let a = &c.acts[ix];
    let Some(node) = a.node else {
        return Vec::new();
    };
    match a.task {
        Task::Shutdown => vec![c.nodes[node].id.clone()],
        Task::Fence => {
            let on = a
                .extra
                .iter()
                .any(|(name, value)| *name == "stonith_action" && value == "on");
            if on {
                Vec::new()
            } else {
                crate::remote::downed_by_fencing(c, node)
            }
        }
        Task::Stop if !a.pseudo => crate::remote::downed_by_stop(c, ix),
        _ => Vec::new(),
    }
}
